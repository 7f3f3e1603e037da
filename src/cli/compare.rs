//! `ndsm report` of several runs: their curves over each other, their metrics beside each other, and what their
//! configurations differ in; and the log of runs as a table.

use super::encode::escape;
use super::html::{document, figure, folded, list, table};
use super::metrics_log;
use super::plot;
use super::report::shown;
use super::run_dir::RunDir;
use super::summary::{Metric, Summary};
use crate::config::{Config, KEYS, Key, file};
use crate::data::write_whole;
use crate::{Error, Result};
use std::path::Path;

/// What is known of a run.
struct Seen {
    name: String,
    config: Config,
    summary: Summary,
    losses: plot::Losses,
    gains: plot::Gains,
}

/// Writes the page of `runs` to `out`.
///
/// # Errors
/// A run whose files are not what they should be; a page that cannot be written.
pub fn write(runs: &[RunDir], out: &Path) -> Result<()> {
    let names = names(runs);
    let seen: Vec<Seen> = runs.iter().zip(names).map(|(run, name)| see(run, name)).collect::<Result<_>>()?;
    let names: Vec<&str> = seen.iter().map(|s| s.name.as_str()).collect();
    let mut body = format!("<h1>{} runs</h1>\n<p class=\"lead\">{}</p>\n", seen.len(), escape(&names.join(", ")));
    let (losses, gains): (Vec<_>, Vec<_>) = seen.iter().map(|s| (s.losses.clone(), s.gains.clone())).unzip();
    if gains.iter().any(|g| g.points.len() > 1) {
        let caption = "The held-out gain (19): the loss on held-out points less that of the run's own reference alone; below 0 is better. \
                       Runs with different references start from different places.";
        body += &figure(&plot::gains("Held-out gain", &gains).html(), caption);
    }
    if losses.iter().any(|l| !l.steps.is_empty()) {
        let caption = "Running means of the loss. Losses of different processes, references or controls do not compare.";
        body += &figure(&plot::loss_curves(&losses).html(), caption);
    }
    body += "<h2>Metrics of the samples</h2>\n";
    body += &metrics(&seen);
    body += "<h2>What the configurations differ in</h2>\n";
    let (differ, same): (Vec<_>, Vec<_>) = KEYS.iter().map(|key| values(key, &seen)).partition(|(differ, _)| *differ);
    let head: Vec<&str> = ["key"].into_iter().chain(names.iter().copied()).collect();
    body += &match differ.len() {
        0 => "<p>Nothing.</p>\n".to_owned(),
        _ => table(&head, &differ.into_iter().map(|(_, row)| row).collect::<Vec<_>>(), &[]),
    };
    let same: Vec<Vec<String>> = same.into_iter().map(|(_, row)| row[..2].to_vec()).collect();
    body += &folded(&format!("{} keys that are the same", same.len()), &list(&same));
    body += "<h2>Seconds</h2>\n";
    body += &seconds(&seen);
    write_whole(out, document("Runs beside each other", &body).as_bytes()).map_err(|e| Error::io(out, "cannot be written", &e))
}

/// The last parts of the paths, as many as tell the runs apart.
fn names(runs: &[RunDir]) -> Vec<String> {
    let tail = |run: &RunDir, n: usize| {
        let parts: Vec<_> = run.path().components().map(|c| c.as_os_str().to_string_lossy().into_owned()).collect();
        parts[parts.len().saturating_sub(n)..].join("/")
    };
    let of = |n: usize| runs.iter().map(|run| tail(run, n)).collect::<Vec<_>>();
    let apart = |all: &[String]| all.iter().enumerate().all(|(i, name)| !all[..i].contains(name));
    (1..16).map(of).find(|all| apart(all)).unwrap_or_else(|| runs.iter().map(|run| run.path().display().to_string()).collect())
}

fn see(run: &RunDir, name: String) -> Result<Seen> {
    let config = Config::resolve(&file::read(&run.config())?)?;
    let logged = run.metrics().is_file();
    let (steps, values) = if logged { metrics_log::losses(&run.metrics())? } else { Default::default() };
    let points = if logged { metrics_log::gains(&run.metrics())?.held_out } else { Vec::new() };
    let losses = plot::Losses { name: name.clone(), steps, losses: values };
    Ok(Seen { config, summary: Summary::read(&run.summary())?, losses, gains: plot::Gains { name: name.clone(), points }, name })
}

/// Names in the order in which they come first, each once.
fn distinct<'a>(names: impl Iterator<Item = &'a str>) -> Vec<&'a str> {
    let mut all = Vec::new();
    names.for_each(|name| {
        if !all.contains(&name) {
            all.push(name);
        }
    });
    all
}

/// A table with a column of numbers for each run, between the first column and those of `more`.
fn by_run(first: &str, seen: &[Seen], more: &[&str], rows: &[Vec<String>]) -> String {
    let head: Vec<&str> = [first].into_iter().chain(seen.iter().map(|s| s.name.as_str())).chain(more.iter().copied()).collect();
    table(&head, rows, &(1..head.len()).collect::<Vec<_>>())
}

/// A row for each metric that any of the runs has, with the floor where they have one in common: that of other data is another.
fn metrics(seen: &[Seen]) -> String {
    let known = seen.iter().flat_map(|s| &s.summary.metrics).filter(|m| m.value.is_some());
    let row = |name: &&str| {
        let all: Vec<Option<&Metric>> = seen.iter().map(|s| s.summary.metrics.iter().find(|m| m.name == *name)).collect();
        let mut floors = all.iter().flatten().map(|m| m.floor);
        let floor = floors.next().flatten().filter(|first| floors.all(|other| other == Some(*first)));
        let values = all.iter().map(|m| shown(m.and_then(|m| m.value)));
        [(*name).to_owned()].into_iter().chain(values).chain([shown(floor)]).collect()
    };
    let rows: Vec<Vec<String>> = distinct(known.map(|m| m.name.as_str())).iter().map(row).collect();
    by_run("metric", seen, &["floor"], &rows)
}

/// A key's values, and whether they differ.
fn values(key: &Key, seen: &[Seen]) -> (bool, Vec<String>) {
    let all: Vec<String> = seen.iter().map(|s| (key.get)(&s.config).map_or("not set".to_owned(), |v| v.to_string())).collect();
    (all.iter().any(|v| *v != all[0]), [key.name.to_owned()].into_iter().chain(all).collect())
}

fn seconds(seen: &[Seen]) -> String {
    let row = |phase: &&str| {
        let of = |s: &Seen| s.summary.timings.iter().find(|(p, _)| p == phase).map_or("–".to_owned(), |(_, s)| format!("{s:.2}"));
        [(*phase).to_owned()].into_iter().chain(seen.iter().map(of)).collect()
    };
    let phases = distinct(seen.iter().flat_map(|s| &s.summary.timings).map(|(phase, _)| phase.as_str()));
    by_run("phase", seen, &[], &phases.iter().map(row).collect::<Vec<_>>())
}

/// The logs of runs as one table of comma-separated values: a line for each step, with the columns that any of them
/// has; of several runs the first column is the run.
///
/// # Errors
/// A log that cannot be read.
pub fn csv(runs: &[RunDir]) -> Result<String> {
    let names = names(runs);
    let logs: Vec<Vec<metrics_log::Scalars>> = runs.iter().map(|run| metrics_log::scalars(&run.metrics())).collect::<Result<_>>()?;
    let mut columns = distinct(logs.iter().flatten().flatten().map(|(column, _)| column.as_str()));
    // The step comes first.
    columns.sort_by_key(|c| *c != "step");
    let several = runs.len() > 1;
    let mut out = format!("{}{}", if several { "run," } else { "" }, columns.join(","));
    for (log, run) in logs.iter().zip(&names) {
        for line in log {
            out.push('\n');
            if several {
                out += &format!("{},", quoted(run));
            }
            let value = |column: &&str| line.iter().find(|(c, _)| c == column).map_or(String::new(), |(_, v)| number_of(*v));
            out += &columns.iter().map(value).collect::<Vec<_>>().join(",");
        }
    }
    Ok(out)
}

/// A number as it reads back to the same bits; nothing for one that is not finite.
fn number_of(v: f64) -> String {
    if v.is_finite() { v.to_string() } else { String::new() }
}

/// A text between quotes where it would end its cell (RFC 4180).
fn quoted(text: &str) -> String {
    if text.contains([',', '"', '\n', '\r']) { format!("\"{}\"", text.replace('"', "\"\"")) } else { text.to_owned() }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cli::metrics_log::{MetricsLog, Step};

    fn run(at: &Path, seed: u64, metrics: &[(&str, f64)]) -> RunDir {
        let mut config = Config::default();
        config.train.seed = seed;
        let run = RunDir::plan(Some(at), &config, false).unwrap();
        run.create(&config, None).unwrap();
        let mut log = MetricsLog::open(&run.metrics(), 0).unwrap();
        for step in 1..=20 {
            let more = if seed == 1 { vec![("rate", 0.5)] } else { vec![] };
            log.append(&Step { step, loss: 1.0 / step as f64, more, groups: vec![], gains: None }).unwrap();
        }
        log.flush().unwrap();
        let metric = |(name, value): &(&str, f64)| Metric {
            name: (*name).into(),
            value: Some(*value),
            floor: Some(if *value < 0.3 { 7.5 } else { *value }),
            ..Metric::default()
        };
        let summary =
            Summary { metrics: metrics.iter().map(metric).collect(), timings: vec![("training".into(), 1.5)], ..Summary::default() };
        summary.write(&run.summary()).unwrap();
        run
    }

    #[test]
    fn runs_stand_beside_each_other() {
        let place = tempfile::tempdir().unwrap();
        let a = run(&place.path().join("x/same"), 1, &[("sliced_w2", 0.125), ("mmd2", 0.5), ("w2", 4.25)]);
        let b = run(&place.path().join("y/same"), 2, &[("sliced_w2", 0.25), ("w2", 3.0)]);
        let out = place.path().join("page.html");
        write(&[a, b], &out).unwrap();
        let page = std::fs::read_to_string(&out).unwrap();
        for part in ["x/same", "y/same", "0.1250", "0.2500", "train.seed", "data-name=\"y/same\"", "keys that are the same", "–"] {
            assert!(page.contains(part), "{part} is missing in {page}");
        }
        // One has the floor 7.5 twice, one its own, one two: these are none.
        let cells = |name: &str| page.split(&format!("<td>{name}</td>")).nth(1).unwrap().split("</tr>").next().unwrap().to_owned();
        assert!(cells("sliced_w2").contains("7.500") && cells("mmd2").ends_with("0.5000</td>"), "{page}");
        assert!(cells("w2").contains("4.250") && cells("w2").contains("3.000") && cells("w2").ends_with("–</td>"), "{page}");
        // Of the keys one differs.
        let differ = page.split("differ in</h2>").nth(1).unwrap().split("<details>").next().unwrap();
        assert_eq!(differ.matches("<tr>").count(), 2, "{differ}");
    }

    #[test]
    fn a_log_is_a_table_with_the_columns_of_all() {
        let place = tempfile::tempdir().unwrap();
        let runs = [run(&place.path().join("a,b"), 1, &[]), run(&place.path().join("c"), 2, &[])];
        let text = csv(&runs).unwrap();
        let lines: Vec<&str> = text.lines().collect();
        assert_eq!((lines.len(), lines[0], lines[2], lines[22]), (41, "run,step,loss,rate", "\"a,b\",2,0.5,0.5", "c,2,0.5,"));
        assert!(csv(&runs[1..]).unwrap().starts_with("step,loss\n1,1\n"));
    }
}
