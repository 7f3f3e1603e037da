//! `ndsm reproduce latent` and `ndsm reproduce images`.

use super::args::ReproduceArgs;
use super::commands::count;
use super::encode::escape;
use super::html::{document, figure, kept_figure, markdown_table};
use super::plot::{Curve, Figure, image_grid, sweep};
use super::progress::Phase;
use super::remark;
use super::results::{Results, lines};
use super::run_dir::probe;
use crate::data::{DataName, write_whole};
use crate::experiment::images::{
    IMAGE_GROUPS, ImageJob, ImageKey, ImageRecord, ImageRow, ImageSpace, ImageStudy, Variant, image_markdown, image_ratio, image_rows,
    seconds_to_reach,
};
use crate::{Error, Result};
use std::collections::HashSet;
use std::fs;
use std::path::{Path, PathBuf};

lines!(ImageRecord);

/// The file of all figures.
const RESULTS: &str = "results.csv";
/// Largest side that may be asked for.
const LARGEST: i64 = 1024;
/// Pairs of a sample and its nearest image side by side.
const COLUMNS: usize = 8;

/// Runs what is not on record yet, and writes tables, pictures and the page.
pub fn run(args: &ReproduceArgs, threads: usize) -> Result<String> {
    let shard = args.shard.as_deref().map_or(Ok((0, 1)), shard)?;
    let plan = if args.what == "images" { ImageStudy::pixels() } else { ImageStudy::latent() };
    let mut study = if args.quick { plan.quick() } else { plan };
    study.data = args.data.clone().map(|path| (DataName::Idx, path));
    if let Some(side) = args.side {
        study.side = count("--side", side, 4, LARGEST)? as usize;
        study.larger.clear();
    }
    let groups = study.groups();
    if let Some(group) = args.group.as_deref().filter(|group| !groups.contains(group)) {
        return Err(Error::invalid("--group", format!("one of {}", groups.join(", ")), format!("\"{group}\"")));
    }
    let name = format!("runs/reproduce-{}{}", args.what, if args.quick { "-quick" } else { "" });
    let dir = args.out.clone().unwrap_or_else(|| PathBuf::from(name));
    let made = fs::create_dir_all(&dir).and_then(|()| probe(&dir));
    made.map_err(|e| Error::bad_file(&dir, format!("the directory cannot be made: {}", e.kind())))?;
    let records = complete(&dir, &study, args, shard, threads)?;
    write(&dir, &study, &records)
}

/// Part i of n, from 0.
fn shard(text: &str) -> Result<(usize, usize)> {
    let parts = text.split_once('/').and_then(|(i, n)| Some((i.parse::<usize>().ok()?, n.parse::<usize>().ok()?)));
    match parts {
        Some((i, n)) if i >= 1 && i <= n => Ok((i - 1, n)),
        _ => Err(Error::invalid("--shard", "I/N with 1 <= I <= N", format!("\"{text}\""))),
    }
}

/// The plan that a file of results belongs to; where the images lie is not part of it.
fn plan(study: &ImageStudy) -> String {
    let kind = study.data.as_ref().map(|(name, _)| name.name());
    let plain = ImageStudy { data: None, ..study.clone() };
    format!("# ndsm {} reproduce {plain:?} of {}", env!("CARGO_PKG_VERSION"), kind.unwrap_or("digits"))
}

/// The file of the samples of a variant, of images of the usual size or larger.
fn samples(group: &str, variant: &str) -> String {
    let size = if group == "larger" { "larger-" } else { "" };
    format!("samples-{size}{}.png", variant.replace(", ", "-").replace(' ', "-"))
}

/// All records: those of the file, and those that were missing of the group and the part, which are added to it
/// one by one. A part runs no training whose settings are still to be chosen.
fn complete(
    dir: &Path,
    study: &ImageStudy,
    args: &ReproduceArgs,
    (part, parts): (usize, usize),
    threads: usize,
) -> Result<Vec<ImageRecord>> {
    let (mut results, mut records) = Results::open::<ImageRecord>(&dir.join(RESULTS), &plan(study))?;
    for phase in ["tuning", "running"] {
        let known: HashSet<ImageKey> = records.iter().map(|r| r.key.clone()).collect();
        let done = |job: &ImageJob| job.keys(study).iter().all(|key| known.contains(key));
        let mut jobs = if phase == "tuning" { study.tuning_jobs() } else { study.jobs(&records) };
        let all = jobs.len();
        let mut place = 0..all;
        jobs.retain(|_| place.next().is_some_and(|i| i % parts == part));
        if phase == "running" {
            jobs.retain(|job| args.group.as_deref().is_none_or(|group| job.case.group == group));
            let missing = study.tuning_jobs().iter().filter(|job| !done(job)).count();
            if missing > 0 {
                remark(format_args!(
                    "{missing} trainings of the search are still to be run by other parts: put their results together, then go on"
                ));
                return Ok(records);
            }
        }
        let bar = Phase::of(phase, jobs.len(), jobs.iter().filter(|job| done(job)).count());
        let mut fresh = Vec::new();
        let ran = study.run(&jobs, &known, threads, |job, found| {
            bar.tell(format_args!("{}, {}", job.case.name, job.variant.name()));
            bar.advance(1);
            if let Some(shown) = found.shown {
                let grid = image_grid(shown.samples.view(), shown.nearest.view(), shown.shape, COLUMNS);
                grid.save_all(&dir.join(samples(job.case.group, &job.variant.name())))?;
            }
            results.add(&found.records)?;
            fresh.extend(found.records);
            Ok(())
        });
        drop(bar);
        ran?;
        records.extend(fresh);
    }
    Ok(records)
}

/// The tables, the pictures and the page; returns the path of the page.
fn write(dir: &Path, study: &ImageStudy, records: &[ImageRecord]) -> Result<String> {
    let rows = image_rows(study, records);
    let save = |name: &str, bytes: &[u8]| {
        let path = dir.join(name);
        write_whole(&path, bytes).map_err(|e| Error::io(&path, "cannot be written", &e))
    };
    let (title, measured) = match study.space {
        ImageSpace::Latent(_) => (
            "Images in a latent space",
            "FD is the Frechet distance of a classifier's features to the held-out images after encoder and decoder, FD raw to these images \
             as they are; the row \"training images\" is the floor of both.",
        ),
        ImageSpace::Pixels => (
            "Images in pixels",
            "FD is the Frechet distance of a classifier's features to the held-out images; the row \"training images\" is its floor.",
        ),
    };
    let lead = format!(
        "Medians over {} seeds with 95 % bootstrap intervals, each the mean over {} draws of {} samples. Half of the images are seen by no \
         method. {measured} Settings are those of the least FD of {} on {} other seeds.",
        study.seeds, study.draws, study.samples, study.budget, study.tuning_seeds
    );
    let (mut text, mut body) = (format!("{lead}\n"), format!("<h1>{title}</h1>\n<p class=\"lead\">{}</p>\n", escape(&lead)));
    for (group, question) in IMAGE_GROUPS {
        let own: Vec<ImageRow> = rows.iter().filter(|r| r.case.group == group).cloned().collect();
        if own.is_empty() {
            continue;
        }
        let markdown = image_markdown(&own);
        text += &format!("\n## {group}: {question}\n\n{markdown}");
        body += &format!("<h2>{}</h2>\n<p class=\"how\">{}</p>\n", escape(group), escape(question));
        for (name, drawn) in pictures(study, group, &own) {
            drawn.save_all(&dir.join(format!("{name}.png")))?;
            body += &figure(&drawn.html(), question);
        }
        body += &markdown_table(&markdown, 2);
        for variant in study.variants(group).iter().filter(|_| ["full", "larger"].contains(&group)).map(Variant::name) {
            // Of a part whose trainings are still to be run there are none.
            if let Some(shown) = kept_figure(&dir.join(samples(group, &variant)), &format!("samples of {variant}")) {
                body += &format!("<h3>{}</h3>\n{shown}", escape(&variant));
            }
        }
    }
    let found = ratios(study, &rows, records);
    if !found.is_empty() {
        text += &format!("\n## Ratios of FD, paired by seed and draw\n\n{found}");
        body += &format!("<h2>Ratios of FD, paired by seed and draw</h2>\n{}", markdown_table(&found, 3));
    }
    let found = seconds(study, &rows);
    if !found.is_empty() {
        let title = "Seconds of fit and training to the same FD";
        text += &format!("\n## {title}\n\n{found}");
        body += &format!("<h2>{title}</h2>\n{}", markdown_table(&found, 2));
    }
    save("table.md", text.as_bytes())?;
    save("index.html", document(title, &body).as_bytes())?;
    Ok(dir.join("index.html").display().to_string())
}

/// The solver's steps that the search chose for a variant: those of the cases where there are no others.
fn tuned(rows: &[ImageRow], variant: &str) -> Option<usize> {
    let own = rows.iter().filter(|r| r.variant == variant);
    own.clone().find(|r| own.clone().filter(|other| other.case == r.case).count() == 1).map(|r| r.solver)
}

/// FD over the steps of the optimiser, over the seconds that they took, and over the evaluations of the network; of
/// the methods with all tools, and as they were published.
fn pictures(study: &ImageStudy, group: &str, rows: &[ImageRow]) -> Vec<(String, Figure)> {
    if group != "full" {
        return Vec::new();
    }
    let mut curves: [Vec<Curve>; 6] = Default::default();
    let mut add = |i: usize, name: &str, point: [f64; 4]| match curves[i].iter_mut().find(|c| c.name == name) {
        Some(curve) => curve.points.push(point),
        None => curves[i].push(Curve { name: name.to_owned(), points: vec![point] }),
    };
    for r in rows.iter().filter(|r| r.solver > 0) {
        let fd = &r.figures[0];
        // The title says what the names of these have in common.
        let bare = r.variant.strip_suffix(", as published");
        let (published, name) = (3 * usize::from(bare.is_some()), bare.unwrap_or(&r.variant));
        if tuned(rows, &r.variant) == Some(r.solver) {
            add(published, name, [r.case.steps as f64, fd.low, fd.median, fd.high]);
            add(published + 2, name, [r.seconds(), fd.low, fd.median, fd.high]);
        }
        let swept = rows.iter().any(|other| other.case == r.case && other.variant == r.variant && other.solver != r.solver);
        if swept && study.solvers.contains(&r.solver) {
            add(published + 1, name, [(2 * r.solver + 1) as f64, fd.low, fd.median, fd.high]);
        }
    }
    let kinds = [
        ("steps", "FD, with all tools", "optimiser steps"),
        ("evaluations", "FD, with all tools", "evaluations of the network"),
        ("seconds", "FD, with all tools", "seconds of fit and training"),
        ("steps-published", "FD, as published", "optimiser steps"),
        ("evaluations-published", "FD, as published", "evaluations of the network"),
        ("seconds-published", "FD, as published", "seconds of fit and training"),
    ];
    let drawn = kinds.into_iter().zip(curves).filter(|(_, curves)| !curves.is_empty());
    drawn
        .map(|((name, title, axis), curves)| {
            (name.to_owned(), sweep(&format!("{title}: median and 95 % interval"), [axis, "Frechet distance (FD) of features"], &curves))
        })
        .collect()
}

/// What the mixture's methods reach over what the linear ones and the reference do, at equal steps of the
/// optimiser, each with the solver's steps of its own search.
fn ratios(study: &ImageStudy, rows: &[ImageRow], records: &[ImageRecord]) -> String {
    let mut out = String::from("| case | method | over | FD ratio [95 %] |\n|---|---|---|---|\n");
    let others = [
        "reference",
        "reference, without residual noise",
        "white-vp, as published",
        "coloured, as published",
        "edm, as published",
        "flow-matching, as published",
        "white-vp",
        "coloured",
        "edm",
        "flow-matching",
    ];
    for case in study.cases().iter().filter(|case| case.group != "parts") {
        for method in ["ndsm", "kernel", "flow", "flow, tied"] {
            for other in others.into_iter().chain((method == "flow, tied").then_some("flow")) {
                let (Some(a), Some(b)) = (tuned(rows, method), tuned(rows, other)) else { continue };
                let r = image_ratio(records, 0, (&case.name, method, a), (&case.name, other, b));
                if r.median.is_finite() {
                    out += &format!("| {} | {method} | {other} | {:.2} [{:.2}, {:.2}] |\n", case.name, r.median, r.low, r.high);
                }
            }
        }
    }
    out
}

/// The seconds after which the mixture's methods are as good as others after the most steps, over what these take.
fn seconds(study: &ImageStudy, rows: &[ImageRow]) -> String {
    let mut out =
        String::from("| as good as | after steps | FD | its seconds | method | seconds | ratio |\n|---|---|---|---|---|---|---|\n");
    let of = |variant: &str| -> Vec<ImageRow> {
        let solver = tuned(rows, variant);
        rows.iter().filter(|r| r.case.group == "full" && r.variant == variant && Some(r.solver) == solver).cloned().collect()
    };
    let mut lines = 0;
    for other in
        ["white-vp, as published", "coloured, as published", "flow-matching, as published", "white-vp", "coloured", "flow-matching"]
    {
        let Some(last) = of(other).into_iter().max_by_key(|r| r.case.steps).filter(|r| Some(&r.case.steps) == study.steps.last()) else {
            continue;
        };
        for method in ["ndsm", "kernel", "flow"] {
            let (steps, fd, its) = (last.case.steps, last.median("fd"), last.seconds());
            let found = seconds_to_reach(&of(method), fd).map_or("never | ".to_owned(), |s| format!("{s:.1} | {:.2}", s / its));
            out += &format!("| {other} | {steps} | {fd:.2} | {its:.1} | {method} | {found} |\n");
            lines += 1;
        }
    }
    if lines > 0 { out } else { String::new() }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::experiment::images::IMAGE_METRICS;

    fn args(out: &Path) -> ReproduceArgs {
        let (what, out) = ("latent".to_owned(), Some(out.to_owned()));
        ReproduceArgs { what, quick: true, group: None, data: None, shard: None, side: None, out, threads: Some(2) }
    }

    #[test]
    fn what_cannot_be_run_is_refused() {
        let place = tempfile::tempdir().unwrap();
        for (wrong, words) in [
            (
                ReproduceArgs { group: Some("clusters".into()), ..args(place.path()) },
                "--group: must be one of full, parts, small-sets, imbalance",
            ),
            (ReproduceArgs { shard: Some("3/2".into()), ..args(place.path()) }, "--shard: must be I/N with 1 <= I <= N, got \"3/2\""),
            (ReproduceArgs { shard: Some("0/2".into()), ..args(place.path()) }, "--shard"),
            (ReproduceArgs { shard: Some("half".into()), ..args(place.path()) }, "--shard"),
            (ReproduceArgs { data: Some(place.path().join("none")), ..args(place.path()) }, "none"),
        ] {
            let e = run(&wrong, 1).unwrap_err();
            assert!(e.to_string().contains(words) && e.exit_code() == 2, "{e}");
        }
        assert_eq!((shard("1/1").unwrap(), shard("2/3").unwrap()), ((0, 1), (1, 3)));
    }

    /// The records that the README speaks of are those of the present plan, and whole lines.
    #[test]
    fn kept_records_are_of_this_plan() {
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("examples/results/latent-mnist.csv");
        // A packed crate goes without them.
        let Ok(text) = fs::read_to_string(path) else { return };
        let study = ImageStudy { data: Some((DataName::Idx, PathBuf::new())), ..ImageStudy::latent() };
        assert_eq!(text.lines().next(), Some(&plan(&study)[..]));
        let known: HashSet<ImageKey> = text.lines().skip(2).map(|line| ImageRecord::parse(line).expect("a record").key).collect();
        let full = study.jobs(&[]).into_iter().filter(|job| job.case.group == "full");
        let missing = study.tuning_jobs().into_iter().chain(full).filter(|job| {
            let alike = |a: &ImageKey, b: &ImageKey| (&a.case, &a.variant, a.seed, a.draw) == (&b.case, &b.variant, b.seed, b.draw);
            job.keys(&study).iter().any(|key| !known.iter().any(|k| alike(k, key)))
        });
        assert_eq!(missing.count(), 0);
    }

    /// Records that are all there make the tables without any training; those of several parts put together are
    /// all.
    #[test]
    fn a_finished_study_is_only_written_again() {
        let place = tempfile::tempdir().unwrap();
        let study = ImageStudy::latent().quick();
        let jobs = study.jobs(&[]);
        let value = |key: &ImageKey| if key.variant.starts_with("white") { 2.0 } else { 1.0 } + 0.1 * key.draw as f64;
        let keys = jobs.iter().flat_map(|job| job.keys(&study));
        let lines: Vec<String> = keys.map(|key| ImageRecord { values: [value(&key); IMAGE_METRICS.len()], key }.line()).collect();
        let text = format!("{}\n{}\n{}\n{}", plan(&study), ImageRecord::header(), lines.join("\n"), &lines[0][..9]);
        fs::write(place.path().join(RESULTS), text).unwrap();
        let page = fs::read_to_string(run(&args(place.path()), 1).unwrap()).unwrap();
        assert!(page.matches("<figure").count() == 6 && page.contains("flow, without moments"), "{page}");
        let table = fs::read_to_string(place.path().join("table.md")).unwrap();
        assert!(
            table.contains("| all, 40 steps | flow | white-vp | 0.52 [0.50, 0.52] |")
                || table.contains("| all, 40 steps | flow | white-vp | 0.51 [0.50, 0.52] |"),
            "{table}"
        );
        assert!(table.contains("training images") && table.contains("two classes"));
        assert_eq!(fs::read_to_string(place.path().join(RESULTS)).unwrap().lines().count(), 2 + lines.len());
        // What belongs to another plan is left alone.
        fs::write(place.path().join(RESULTS), "# another\n").unwrap();
        assert!(run(&args(place.path()), 1).unwrap_err().to_string().contains("another plan"));
    }
}
