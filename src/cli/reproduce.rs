//! `ndsm reproduce`.

use super::args::ReproduceArgs;
use super::commands::count;
use super::encode::escape;
use super::html::{document, figure, markdown_table};
use super::plot::{Curve, Figure, sweep};
use super::progress::Phase;
use super::reproduce_images;
use super::results::{Results, lines};
use super::run_dir::probe;
use crate::data::write_whole;
use crate::experiment::{Experiment, Factor, GROUPS, KL, Key, METRICS, Record, Row, factors, markdown, steps_to_reach, summarise};
use crate::{Error, Result};
use std::collections::HashSet;
use std::fs;
use std::path::{Path, PathBuf};

lines!(Record);

/// The file of all figures, a line each.
const RESULTS: &str = "results.csv";
/// Most trainings side by side.
const MAX_THREADS: i64 = 1024;

/// Runs what is not on record yet, and writes tables, pictures and the page.
pub fn run(args: &ReproduceArgs) -> Result<String> {
    let threads = match args.threads {
        Some(n) => count("--threads", n, 1, MAX_THREADS)? as usize,
        None => std::thread::available_parallelism().map_or(1, usize::from),
    };
    match args.what.as_str() {
        "low-dim" => {}
        "latent" | "images" => return reproduce_images::run(args, threads),
        other => return Err(Error::invalid("reproduce", "low-dim, images or latent", format!("\"{other}\""))),
    }
    if args.shard.is_some() {
        return Err(Error::refused("--shard", "is for reproduce latent and images; low-dim runs in one piece"));
    }
    if args.side.is_some() {
        return Err(Error::refused("--side", "is for reproduce latent and images"));
    }
    if let Some(group) = args.group.as_deref().filter(|group| GROUPS.iter().all(|(name, _)| name != group)) {
        let names: Vec<&str> = GROUPS.iter().map(|(name, _)| *name).collect();
        return Err(Error::invalid("--group", format!("one of {}", names.join(", ")), format!("\"{group}\"")));
    }
    let plan = if args.quick { Experiment::QUICK } else { Experiment::FULL };
    let experiment = Experiment { data: args.data.clone(), ..plan };
    // What cannot be read is known before anything is run.
    experiment.cases().iter().find(|case| case.request.path.is_some()).map(|case| case.data(0)).transpose()?;
    let name = if args.quick { "runs/reproduce-low-dim-quick" } else { "runs/reproduce-low-dim" };
    let dir = args.out.clone().unwrap_or_else(|| PathBuf::from(name));
    let made = fs::create_dir_all(&dir).and_then(|()| probe(&dir));
    made.map_err(|e| Error::bad_file(&dir, format!("the directory cannot be made: {}", e.kind())))?;
    let records = complete(&dir.join(RESULTS), &experiment, args.group.as_deref(), threads)?;
    write(&dir, &experiment, &records)
}

/// The plan that a file of results belongs to: what was measured under another one is another experiment.
fn plan(experiment: &Experiment) -> String {
    format!("# ndsm {} reproduce low-dim, {experiment:?}", env!("CARGO_PKG_VERSION"))
}

/// All records of the experiment: those of the file, and those that were missing of `group` or of all groups,
/// which are added to it one by one.
fn complete(path: &Path, experiment: &Experiment, group: Option<&str>, threads: usize) -> Result<Vec<Record>> {
    let (mut results, mut records) = Results::open::<Record>(path, &plan(experiment))?;
    for phase in ["tuning", "running"] {
        let mut jobs = if phase == "tuning" { experiment.tuning_jobs() } else { experiment.jobs(&records) };
        jobs.retain(|job| group.is_none_or(|group| job.case.group == group));
        let known: HashSet<Key> = records.iter().map(|r| r.key.clone()).collect();
        let bar = Phase::of(phase, jobs.len(), jobs.iter().filter(|j| j.keys().iter().all(|k| known.contains(k))).count());
        let mut fresh = Vec::new();
        let ran = experiment.run(&jobs, &known, threads, |job, new| {
            bar.tell(format_args!("{}, {}", job.case.name, job.method.name));
            bar.advance(1);
            results.add(&new)?;
            fresh.extend(new);
            Ok(())
        });
        drop(bar);
        ran?;
        records.extend(fresh);
    }
    Ok(records)
}

/// The tables, the pictures and the page; returns the path of the page and the shortest summary.
fn write(dir: &Path, experiment: &Experiment, records: &[Record]) -> Result<String> {
    let cases = experiment.cases();
    let rows = summarise(&cases, records);
    let save = |name: &str, bytes: &[u8]| {
        let path = dir.join(name);
        write_whole(&path, bytes).map_err(|e| Error::io(&path, "cannot be written", &e))
    };
    save("table.csv", csv(&rows).as_bytes())?;
    let lead = format!(
        "Medians over {} seeds with 95 % bootstrap intervals; every figure is the mean over {} generation keys of {} samples. Settings of \
         linear, coloured and ndsm are the best of {} drawn ones on {} other seeds (least NLL excess of those whose sliced W2 is within a quarter of the least); the other methods take those of ndsm. P is that of an \
         exact sign-flip test of the differences to linear, paired by seed.",
        experiment.seeds, experiment.keys, experiment.samples, experiment.budget, experiment.tuning_seeds
    );
    let (mut text, mut body) =
        (format!("{lead}\n"), format!("<h1>Low-dimensional experiments</h1>\n<p class=\"lead\">{}</p>\n", escape(&lead)));
    for (group, question) in GROUPS {
        let own: Vec<Row> = rows.iter().filter(|r| r.case.group == group).cloned().collect();
        if own.is_empty() {
            continue;
        }
        text += &format!("\n## {group}: {question}\n\n{}", markdown(&own));
        body += &format!("<h2>{}</h2>\n<p class=\"how\">{}</p>\n", escape(group), escape(question));
        let factors = if group == "less-data" { factors(&cases, records) } else { Vec::new() };
        for (name, drawn) in pictures(group, &own, &factors) {
            drawn.save_all(&dir.join(format!("{name}.png")))?;
            body += &figure(&drawn.html(), question);
        }
        for found in [gains(&own), fewer_points(&factors)].into_iter().filter(|found| !found.is_empty()) {
            text += &format!("\n{found}\n");
            body += &format!("<p>{}</p>\n", escape(&found));
        }
        if group == "few-optimiser-steps" {
            let found = reaching(&own);
            text += &format!("\n{found}\n");
            body += &format!("<p>{}</p>\n", escape(&found));
        }
        body += &markdown_table(&markdown(&own), 2);
    }
    save("table.md", text.as_bytes())?;
    save("index.html", document("Low-dimensional experiments", &body).as_bytes())?;
    Ok(dir.join("index.html").display().to_string())
}

/// How many steps, and how much time, the baseline needs for what the method reaches in 500.
fn reaching(rows: &[Row]) -> String {
    let of = |method: &str, steps: usize| rows.iter().find(|r| r.method == method && r.case.steps == steps);
    let steps = rows.iter().map(|r| r.case.steps).filter(|s| *s <= 500).max().unwrap_or(0);
    let mut out = String::new();
    for method in ["ndsm", "ndsm-self", "flow"] {
        let (Some(own), Some(linear)) = (of(method, steps), of("linear", steps)) else { continue };
        let target = own.figures[0].median;
        let price = own.figures[7].median / linear.figures[7].median;
        out += &match steps_to_reach(rows, "linear", target) {
            Some(needed) => format!(
                "Sliced W2 {target:.3}, which {method} reaches in {steps} steps, takes linear {needed:.0}: {:.1} times the steps, {:.1} times the time. ",
                needed / steps as f64,
                needed / steps as f64 / price
            ),
            None => {
                let most = rows.iter().map(|r| r.case.steps).max().unwrap_or(0);
                format!("Sliced W2 {target:.3}, which {method} reaches in {steps} steps, linear does not reach in {most}. ")
            }
        };
    }
    out.trim_end().to_owned()
}

/// Whether a network made the reference worse: held-out gains on fresh points, of all seeds.
fn gains(rows: &[Row]) -> String {
    let mut found = String::new();
    for method in ["ndsm", "ndsm-kept", "ndsm-white-kept", "linear-kept", "coloured-kept"] {
        let own: Vec<&Row> = rows.iter().filter(|r| r.method == method && !r.sweep).collect();
        let (worse, seeds) = own.iter().fold((0, 0), |(worse, seeds), r| (worse + r.worse, seeds + r.seeds));
        if seeds > 0 {
            found += &format!("{method}: a held-out gain above 0 by more than two standard errors in {worse} of {seeds} runs. ");
        }
    }
    found.trim_end().to_owned()
}

/// How many times the points a linear process needs.
fn fewer_points(factors: &[Factor]) -> String {
    let one = |f: &Factor| {
        let shown = |v: f64| if v.is_finite() { format!("{v:.1}") } else { format!("over {:.1}", f.most) };
        format!(
            "{}, {} points: {} times [{}, {}] as many for a linear process with all corrections. ",
            f.data,
            f.n,
            shown(f.factor.median),
            shown(f.factor.low),
            shown(f.factor.high)
        )
    };
    factors.iter().map(one).collect::<String>().trim_end().to_owned()
}

/// Likelihoods over the number of points, for each kind of data, and how many times the points a linear
/// process needs.
fn less_data(rows: &[Row], factors: &[Factor]) -> Vec<(String, Figure)> {
    let mut all = Vec::new();
    for own in rows.chunk_by(|a, b| a.case.request.name == b.case.request.name) {
        let data = &own[0].case.request.name;
        let mut curves: Vec<Curve> = Vec::new();
        // Those with the same corrections: without them a likelihood can be anything.
        for r in own.iter().filter(|r| r.method.ends_with("-kept")) {
            let f = &r.figures[KL];
            add(&mut curves, r.method, [r.case.at, f.low, f.median, f.high]);
        }
        all.push((
            format!("less-data-{data}"),
            sweep(&format!("Fresh points of {data}"), ["data points", "KL divergence, or negative log-likelihood, nats"], &curves),
        ));
    }
    let mut curves: Vec<Curve> = Vec::new();
    for f in factors {
        let points = |factor: f64| f.n * factor.min(f.most);
        add(&mut curves, &f.data, [f.n, points(f.factor.low), points(f.factor.median), points(f.factor.high)]);
    }
    for f in factors {
        add(&mut curves, "as many", [f.n; 4]);
    }
    let axes = ["points of the method", "points of a linear process"];
    all.push(("less-data".to_owned(), sweep("Points for the same likelihood; the top stands for more", axes, &curves)));
    all
}

fn add(curves: &mut Vec<Curve>, name: &str, point: [f64; 4]) {
    match curves.iter_mut().find(|c| c.name == name) {
        Some(curve) => curve.points.push(point),
        None => curves.push(Curve { name: name.to_owned(), points: vec![point] }),
    }
}

/// Sliced W2 over what a group varies, where it varies one thing.
fn pictures(group: &str, rows: &[Row], factors: &[Factor]) -> Vec<(String, Figure)> {
    let axis = match group {
        "clusters" => "modes (2-d)",
        "small-sets" => "data points",
        "few-sampling-steps" => "solver steps",
        "few-optimiser-steps" => "optimiser steps",
        "less-data" => return less_data(rows, factors),
        _ => return Vec::new(),
    };
    let mut curves: Vec<Curve> = Vec::new();
    for r in rows {
        let sweeping = group == "few-sampling-steps";
        if sweeping != r.sweep || (group == "clusters" && !r.case.name.ends_with("in 2-d")) {
            continue;
        }
        let at = if sweeping { r.solver as f64 } else { r.case.at };
        let f = &r.figures[0];
        add(&mut curves, r.method, [at, f.low, f.median, f.high]);
    }
    vec![(group.to_owned(), sweep("Distance to the law, median and 95 % interval", [axis, "sliced W2"], &curves))]
}

/// All rows with all figures.
fn csv(rows: &[Row]) -> String {
    let mut out = String::from("group;case;method;candidate;solver;sweep;seeds");
    METRICS.iter().for_each(|m| out += &format!(";{m};{m}_low;{m}_high"));
    out += ";difference;difference_low;difference_high;p;nll_difference;nll_difference_low;nll_difference_high;nll_p\n";
    for r in rows {
        out += &format!("{};{};{};{};{};{};{}", r.case.group, r.case.name, r.method, r.candidate, r.solver, u8::from(r.sweep), r.seeds);
        r.figures.iter().for_each(|f| out += &format!(";{};{};{}", f.median, f.low, f.high));
        for (d, p) in [&r.difference, &r.nll_difference] {
            out += &format!(";{};{};{};{p}", d.median, d.low, d.high);
        }
        out.push('\n');
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    fn args(what: &str, out: &Path) -> ReproduceArgs {
        ReproduceArgs {
            what: what.to_owned(),
            quick: true,
            group: None,
            data: None,
            shard: None,
            side: None,
            out: Some(out.to_owned()),
            threads: Some(2),
        }
    }

    #[test]
    fn what_cannot_be_run_is_refused() {
        let place = tempfile::tempdir().unwrap();
        let e = run(&args("low", place.path())).unwrap_err();
        assert_eq!((e.to_string().as_str(), e.exit_code()), ("reproduce: must be low-dim, images or latent, got \"low\"", 2));
        let e = run(&ReproduceArgs { side: Some(14), ..args("low-dim", place.path()) }).unwrap_err();
        assert_eq!(e.to_string(), "--side: is for reproduce latent and images");
        fs::write(place.path().join(RESULTS), "# another plan\n").unwrap();
        let e = run(&args("low-dim", place.path())).unwrap_err();
        assert!(e.to_string().contains("another plan") && e.exit_code() == 2, "{e}");
        assert_eq!(fs::read_to_string(place.path().join(RESULTS)).unwrap(), "# another plan\n");
        let bad = ReproduceArgs { group: Some("cluster".to_owned()), ..args("low-dim", place.path()) };
        assert!(run(&bad).unwrap_err().to_string().starts_with("--group: must be one of clusters, small-sets"));
        let bad = ReproduceArgs { data: Some(place.path().join("none")), ..args("low-dim", place.path()) };
        assert_eq!(run(&ReproduceArgs { quick: false, ..bad }).unwrap_err().exit_code(), 2);
        let bad = ReproduceArgs { threads: Some(0), ..args("low-dim", place.path()) };
        assert_eq!(run(&bad).unwrap_err().to_string(), "--threads: must be >= 1, got 0");
    }

    /// Records that are all there make the tables without any training.
    #[test]
    fn a_finished_experiment_is_only_written_again() {
        let place = tempfile::tempdir().unwrap();
        let path = place.path().join(RESULTS);
        let e = Experiment::QUICK;
        let made = |jobs: &[crate::experiment::Job]| -> Vec<Record> {
            let value = |key: &Key| 0.1 + 0.01 * key.seed as f64 % 1.0 + if key.method == "linear" { 0.2 } else { 0.0 };
            jobs.iter().flat_map(|j| j.keys()).map(|key| Record { values: [value(&key); METRICS.len()], key }).collect()
        };
        let mut all = made(&e.tuning_jobs());
        all.extend(made(&e.jobs(&all)));
        let lines: Vec<String> = all.iter().map(Record::line).collect();
        // The last line cut off, as a stopped run leaves it, and once more whole.
        let cut = &lines[0][..20];
        fs::write(&path, format!("{}\n{}\n{}\n{cut}", plan(&e), Record::header(), lines.join("\n"))).unwrap();
        let page = run(&args("low-dim", place.path())).unwrap();
        let html = fs::read_to_string(page).unwrap();
        assert_eq!(html.matches("<figure").count(), 6);
        assert!(html.contains("linear does not reach in 30") && html.contains("ndsm-c4-exact"), "{html}");
        let table = fs::read_to_string(place.path().join("table.md")).unwrap();
        assert!(table.contains("| 4 modes in 2-d | ndsm | 16 | 0.105 [0.100, 0.110] | -0.200 [-0.200, -0.200] | 0.500 |"), "{table}");
        let rows = fs::read_to_string(place.path().join("table.csv")).unwrap();
        let columns: HashSet<usize> = rows.lines().map(|l| l.split(';').count()).collect();
        assert_eq!(columns.len(), 1);
        for name in ["clusters", "small-sets", "few-sampling-steps", "few-optimiser-steps", "less-data", "less-data-four-modes"] {
            assert!(fs::read(place.path().join(format!("{name}.png"))).unwrap().starts_with(b"\x89PNG"), "{name}");
        }
        assert_eq!(fs::read_to_string(&path).unwrap().lines().count(), 2 + lines.len());
    }
}
