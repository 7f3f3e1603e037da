//! `ndsm train`.

use super::args::{Method, TrainArgs};
use super::engine::{Engine, Model, Sampling};
use super::metrics_log::MetricsLog;
use super::progress::{Phase, Progress};
use super::remark;
use super::report;
use super::run_dir::{Hold, RunDir};
use super::samples;
use super::signals::Signals;
use super::summary::{Metric, Summary};
use crate::config::{Config, Setting, file};
use crate::train::{Rival, same_model};
use crate::{Error, Result};
use std::path::{Path, PathBuf};
use std::time::Instant;

/// Samples drawn at the end of a run.
const SAMPLES: usize = 5000;

/// Trains, and leaves everything in the run directory; returns what to say at the end. Nothing is written
/// before the configuration, the output directory and the data have been found good.
pub fn train(args: &TrainArgs, engine: &dyn Engine) -> Result<String> {
    let Plan { config, run, held, checkpoint } = plan(args, engine)?;
    let started = Instant::now();
    let mut model = match &checkpoint {
        Some(checkpoint) => engine.resume(&config, checkpoint)?,
        None => engine.begin(&config)?,
    };
    if config.train.steps < model.done() {
        let expected = format!(">= {}, the steps that {} has made", model.done(), run.path().display());
        return Err(Error::invalid("train.steps", expected, config.train.steps));
    }
    let prepared = started.elapsed().as_secs_f64();
    let _held = run.create(&config, held)?;
    remark(format_args!("{}", run.path().display()));
    for (name, text) in model.facts().iter().filter(|(name, _)| ["data", "chosen", "reference"].contains(&name.as_str())) {
        remark(format_args!("{name}: {text}"));
    }
    let mut timings = vec![("data and reference".to_owned(), prepared)];
    steps(model.as_mut(), &config, &run, &mut timings)?;
    finish(model.as_ref(), &config, &run, &mut timings)
}

/// What a command is about to do.
struct Plan {
    config: Config,
    run: RunDir,
    /// The directory, where there is one already.
    held: Option<Hold>,
    /// What it goes on from.
    checkpoint: Option<PathBuf>,
}

/// The configuration and the place of the run, both checked. A resumed run goes by its own configuration,
/// with `--config` in its stead and `--set` over it; with a checkpoint there, only keys that say how to go on may
/// differ.
fn plan(args: &TrainArgs, engine: &dyn Engine) -> Result<Plan> {
    let set = file::overrides(&args.keys.set)?;
    let over = |mut base: Vec<Setting>| {
        base.extend(set.iter().cloned());
        Config::resolve(&base)
    };
    let file = args.keys.config.as_deref().map(file::read).transpose()?;
    // The run's own configuration comes before its place is checked: `--set` is to be judged together with
    // it.
    let own = |run: &Path| match RunDir::open(run) {
        Ok(run) if args.resume => file::read(&run.config()).map(Some),
        _ => Ok(None),
    };
    let named = args.out.as_deref().map(own).transpose()?.flatten();
    let config = over(file.clone().or(named).unwrap_or_default())?;
    let run = RunDir::plan(args.out.as_deref(), &config, args.resume)?;
    if !args.resume || !run.path().is_dir() {
        return Ok(Plan { config, run, held: None, checkpoint: None });
    }
    let held = Some(run.hold()?);
    let Some(own) = own(run.path())? else { return Ok(Plan { config, run, held, checkpoint: None }) };
    let config = if file.is_some() { config } else { over(own.clone())? };
    let checkpoint = last_checkpoint(&run, engine)?;
    if checkpoint.is_some() {
        same_model(&config, &Config::resolve(&own)?, run.path())?;
    }
    Ok(Plan { config, run, held, checkpoint })
}

/// The last whole checkpoint of a run; says so where that is not the last.
fn last_checkpoint(run: &RunDir, engine: &dyn Engine) -> Result<Option<PathBuf>> {
    let Some((checkpoint, note)) = engine.checkpoint(run.path())? else { return Ok(None) };
    if let Some(note) = note {
        remark(format_args!("{note}"));
    }
    Ok(Some(checkpoint))
}

/// The steps that are left, with the log and the checkpoints.
fn steps(model: &mut dyn Model, config: &Config, run: &RunDir, timings: &mut Vec<(String, f64)>) -> Result<()> {
    let total = config.train.steps;
    let mut log = MetricsLog::open(&run.metrics(), model.done())?;
    if log.last() < model.done() {
        let (ends, done) = (log.last(), model.done());
        remark(format_args!("{}: ends at step {ends}; it lacks the steps to {done}, the checkpoint's", run.metrics().display()));
    }
    let signals = Signals::listen().map_err(|e| Error::io(run.path(), "signals cannot be heard", &e))?;
    let mut progress = Progress::new(total, model.done());
    let mut kept = model.done();
    // What led to the failure is in the log.
    let failed = |mut e: Error, kept: usize| {
        if let Error::NonFinite { remedy, .. } | Error::Diverged { remedy, .. } = &mut e {
            *remedy = going_on(run, kept, remedy);
        }
        e
    };
    while model.done() < total && !model.exhausted() {
        let step = model.step().map_err(|e| {
            // A second failure, to write the log, would hide the first.
            let _ = log.flush();
            failed(e, kept)
        })?;
        log.append(&step)?;
        progress.step(&step);
        let (every, heard) = (config.train.checkpoint_every, signals.heard());
        if every > 0 && step.step.is_multiple_of(every) || heard.is_some() {
            log.flush()?;
            model.save(&run.checkpoint()).map_err(|e| failed(e, kept))?;
            kept = step.step;
        }
        if let Some(signal) = heard {
            drop(progress);
            let remedy = format!("step {kept} is kept; go on with ndsm train --resume --out {}", run.path().display());
            return Err(Error::Interrupted { signal, remedy });
        }
    }
    timings.push(("training".to_owned(), progress.end()));
    log.flush()?;
    let phase = Phase::begin("calibration");
    // A run that was complete is calibrated again, to the same bits.
    model.complete()?;
    model.save(&run.checkpoint()).map_err(|e| failed(e, kept))?;
    timings.push(("calibration and checkpoint".to_owned(), phase.end()));
    Ok(())
}

/// What helps, and the last good checkpoint, where there is one.
fn going_on(run: &RunDir, kept: usize, remedy: &str) -> String {
    match kept {
        0 => format!("{remedy}; there is no checkpoint yet"),
        _ => format!("{remedy}; {} has step {kept}", run.checkpoint().display()),
    }
}

/// Samples, metrics, pictures, report.
fn finish(model: &dyn Model, config: &Config, run: &RunDir, timings: &mut Vec<(String, f64)>) -> Result<String> {
    let started = Instant::now();
    let how = Sampling::plain(SAMPLES, config.train.seed, Method::default(), None);
    let drawn = samples::drawn(model, how)?;
    drawn.write(&run.samples())?;
    let samples = drawn.values;
    timings.push((format!("drawing {SAMPLES} samples"), started.elapsed().as_secs_f64()));
    let started = Instant::now();
    let metrics = model.evaluate(samples.view(), config.train.seed, 0)?;
    timings.push(("evaluation".to_owned(), started.elapsed().as_secs_f64()));
    let phase = Phase::begin("pictures");
    for (name, picture) in model.pictures(samples.view())? {
        picture.save_all(&run.picture(name))?;
    }
    if let Some(film) = model.film()? {
        film.write(&run.film())?;
    }
    timings.push(("pictures".to_owned(), phase.end()));
    let (verdict, mut facts) = (model.verdict(), model.facts());
    // What was chosen on the way, as the choices before it were said at the start.
    let chosen = facts.iter().filter(|(name, _)| ["control chosen", "calibration", "held-out gain by class"].contains(&name.as_str()));
    let lines = [metrics_text(&metrics)].into_iter().chain(chosen.map(|(name, text)| format!("{name}: {text}")));
    let end = lines.chain(verdict.clone()).collect::<Vec<_>>().join("\n");
    facts.splice(0..0, verdict.map(|verdict| ("verdict".to_owned(), verdict)));
    Summary { metrics, timings: timings.clone(), facts, tape: model.tape()? }.write(&run.summary())?;
    report::write(run)?;
    Ok(format!("{end}\nreport: {}", run.report().display()))
}

/// Metrics by which the samples are compared with those of the rivals; the last shows who copies.
const COMPARED: [&str; 5] = ["sliced_w2", "energy_distance", "frechet", "recall", "memorisation_ratio"];

/// The metrics as lines of text, each beside those of the reference alone and its floors; what is not defined
/// is left out. Behind them, where there are rivals, a second table compares with those.
pub fn metrics_text(metrics: &[Metric]) -> String {
    let main: [Column; 4] =
        [("samples", &|m| m.value), ("reference", &|m| m.reference), ("floor", &|m| m.floor), ("decoded", &|m| m.decoded)];
    let known: Vec<&Metric> = metrics.iter().filter(|m| m.value.is_some()).collect();
    let mut lines = table("", &main, &known);
    if known.iter().any(|m| m.interval.is_some()) {
        lines[0] += "  95 % interval";
    }
    for (line, m) in lines.iter_mut().skip(1).zip(&known) {
        *line += &m.interval.map_or(String::new(), |[low, high]| format!("  {} .. {}", report::number(low), report::number(high)));
    }
    let compared = |m: &&Metric| COMPARED.contains(&m.name.trim_start_matches("latent_")) && m.rivals.iter().any(Option::is_some);
    let rows: Vec<&Metric> = known.into_iter().filter(compared).collect();
    if !rows.is_empty() {
        let of = [0, 1, 2].map(|rival| move |m: &Metric| m.rivals[rival]);
        let rivals = Rival::ALL.into_iter().zip(&of).map(|(rival, of)| -> Column { (rival.name(), of) });
        let all: Vec<Column> = main[..1].iter().copied().chain(rivals).chain(main[2..3].iter().copied()).collect();
        lines.push(String::new());
        lines.extend(table("rivals without a network", &all, &rows));
    }
    lines.join("\n")
}

/// Its head and what it shows.
type Column<'a> = (&'static str, &'a dyn Fn(&Metric) -> Option<f64>);

/// A head and a line for each metric, of the columns that any of them has.
fn table(title: &str, columns: &[Column], metrics: &[&Metric]) -> Vec<String> {
    let shown: Vec<&Column> = columns.iter().filter(|(_, of)| metrics.iter().any(|m| of(m).is_some())).collect();
    let row = |name: &str, cell: &dyn Fn(&Column) -> String| {
        shown.iter().fold(format!("{name:<26}"), |row, column| row + &format!(" {:>1$}", cell(column), column.0.len().max(10)))
    };
    let head = row(title, &|(name, _)| (*name).to_owned());
    let line = |m: &&Metric| row(&m.name, &|(_, of)| of(m).map_or("-".to_owned(), report::number));
    [head].into_iter().chain(metrics.iter().map(line)).collect()
}

/// The model in a run directory, for the commands that use it.
pub fn trained(run: &RunDir, engine: &dyn Engine) -> Result<(Config, Box<dyn Model>)> {
    let config = Config::resolve(&file::read(&run.config())?)?;
    let Some(checkpoint) = last_checkpoint(run, engine)? else {
        return Err(Error::bad_file(run.checkpoint(), "is not there; train the run first: ndsm train --resume --out DIR"));
    };
    let model = engine.load(&config, &checkpoint)?;
    Ok((config, model))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Two tables that a terminal of 100 columns holds; the second has what rivals are compared by, in the
    /// data's space and in the latent one, and is left out where there are none.
    #[test]
    fn rivals_stand_in_a_table_of_their_own() {
        let metric = |name: &str| Metric {
            name: name.to_owned(),
            value: Some(-1.234e-5),
            reference: Some(-1.234e-5),
            rivals: [Some(1.0), Some(20.0), None],
            floor: Some(-1.234e-5),
            decoded: Some(-1.234e-5),
            interval: Some([-1.234e-5, -1.234e-5]),
            meaning: String::new(),
        };
        let mut all = ["sliced_w2", "mmd2", "memorisation_ratio", "latent_recall"].map(metric);
        let text = metrics_text(&all);
        assert!(text.lines().all(|line| line.len() <= 100), "{text}");
        let (main, rivals) = text.split_once("\n\n").unwrap();
        assert!(main.lines().count() == 5 && main.contains("mmd2") && !main.contains("smoothed"), "{text}");
        assert!(rivals.lines().all(|line| line.len() == rivals.lines().next().unwrap().len()), "{text}");
        let rows: Vec<Vec<&str>> = rivals.lines().map(|line| line.split_whitespace().collect()).collect();
        assert_eq!(rows[0], ["rivals", "without", "a", "network", "samples", "smoothed", "closed-form", "floor"]);
        assert_eq!(rows[1], ["sliced_w2", "-1.234e-5", "1.000", "20.00", "-1.234e-5"]);
        assert_eq!(rows[2..].iter().map(|row| row[0]).collect::<Vec<_>>(), ["memorisation_ratio", "latent_recall"]);
        all.iter_mut().for_each(|m| m.rivals = Default::default());
        assert_eq!(metrics_text(&all), main);
    }
}
