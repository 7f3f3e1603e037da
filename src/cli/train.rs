//! `ndsm train`.

use super::args::{Method, TrainArgs};
use super::engine::{Engine, Model, Sampling};
use super::metrics_log::MetricsLog;
use super::progress::Progress;
use super::report;
use super::run_dir::RunDir;
use super::summary::{Metric, Summary};
use crate::config::{Config, KEYS, Setting, Value, file};
use crate::data::npy;
use crate::train::Rival;
use crate::{Error, Result};
use ndarray::Array2;
use std::io::Write;
use std::path::Path;
use std::time::Instant;

/// Samples drawn at the end of a run.
const SAMPLES: usize = 5000;

/// Trains, and leaves everything in the run directory; returns what to say at the end. Nothing is written
/// before the configuration, the output directory and the data have been found good.
pub fn train(args: &TrainArgs, engine: &dyn Engine) -> Result<String> {
    let (config, run) = plan(args)?;
    let started = Instant::now();
    let mut model = match run.checkpoint().is_file() {
        true => engine.resume(&config, &run.checkpoint())?,
        false => engine.begin(&config)?,
    };
    let prepared = started.elapsed().as_secs_f64();
    run.create(&config)?;
    let _ = writeln!(std::io::stderr(), "{}", run.path().display());
    for (name, text) in model.facts().iter().filter(|(name, _)| ["chosen", "reference"].contains(&name.as_str())) {
        let _ = writeln!(std::io::stderr(), "{name}: {text}");
    }
    let started = Instant::now();
    steps(model.as_mut(), &config, &run)?;
    let mut timings = vec![("data and reference".to_owned(), prepared), ("training".to_owned(), started.elapsed().as_secs_f64())];
    finish(model.as_ref(), &config, &run, &mut timings)
}

/// Keys that may change when a run is resumed: they say how to go on, not what the checkpoint is. The file of
/// the data may have moved; that they are the same is checked by their hash.
const RESUMABLE: &[&str] = &[
    "data.path",
    "train.steps",
    "train.batch",
    "train.times_per_path",
    "train.lr",
    "train.schedule",
    "train.warmup",
    "train.weight_decay",
    "train.clip",
    "train.patience",
    "train.checkpoint_every",
    "train.diagnose",
];

/// The configuration and the place of the run, both checked. A resumed run goes by its own configuration,
/// with `--config` in its stead and `--set` over it; with a checkpoint there, only [`RESUMABLE`] keys may
/// differ.
fn plan(args: &TrainArgs) -> Result<(Config, RunDir)> {
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
    let Some(own) = own(run.path())? else { return Ok((config, run)) };
    let config = if file.is_some() { config } else { over(own.clone())? };
    if run.checkpoint().is_file() {
        same_model(&config, &Config::resolve(&own)?, &run)?;
    }
    Ok((config, run))
}

/// Refuses a configuration under which the checkpoint of `run`, made under `own`, would be another model.
fn same_model(config: &Config, own: &Config, run: &RunDir) -> Result<()> {
    let shown = |value: Option<Value>| value.map_or("nothing".to_owned(), |v| v.to_string());
    for key in KEYS.iter().filter(|k| !RESUMABLE.contains(&k.name)) {
        let (new, old) = ((key.get)(config), (key.get)(own));
        if new != old {
            let expected = format!("{} as in the run to resume, {}", shown(old), run.path().display());
            return Err(Error::invalid(key.name, expected, format!("{}; start a new run with another --out", shown(new))));
        }
    }
    Ok(())
}

/// The steps that are left, with the log and the checkpoints.
fn steps(model: &mut dyn Model, config: &Config, run: &RunDir) -> Result<()> {
    let total = config.train.steps;
    let mut log = MetricsLog::open(&run.metrics(), model.done())?;
    let mut progress = Progress::new(total, model.done());
    while model.done() < total && !model.exhausted() {
        let step = model.step().inspect_err(|_| {
            // What led to the failure is in the log; a second failure, to write it, would hide the first.
            let _ = log.flush();
            progress.finish();
        })?;
        log.append(&step)?;
        progress.step(&step);
        let every = config.train.checkpoint_every;
        if every > 0 && step.step.is_multiple_of(every) {
            log.flush()?;
            model.save(&run.checkpoint())?;
        }
    }
    progress.finish();
    log.flush()?;
    // A run that was complete is calibrated again, to the same bits.
    model.complete()?;
    model.save(&run.checkpoint())
}

/// Samples, metrics, pictures, report.
fn finish(model: &dyn Model, config: &Config, run: &RunDir, timings: &mut Vec<(String, f64)>) -> Result<String> {
    let started = Instant::now();
    let how = Sampling { n: SAMPLES, seed: config.train.seed, method: Method::default(), steps: None, temperature: 1.0 };
    let samples = model.sample(how)?;
    write_samples(&run.samples(), &samples)?;
    timings.push((format!("drawing {SAMPLES} samples"), started.elapsed().as_secs_f64()));
    let started = Instant::now();
    let metrics = model.evaluate(samples.view(), config.train.seed, 0)?;
    timings.push(("evaluation".to_owned(), started.elapsed().as_secs_f64()));
    for (name, picture) in model.pictures(samples.view())? {
        picture.save(&run.picture(name))?;
    }
    let (verdict, mut facts) = (model.verdict(), model.facts());
    // What was chosen on the way, as the choices before it were said at the start.
    let chosen = facts.iter().filter(|(name, _)| ["control chosen", "calibration"].contains(&name.as_str()));
    let lines = [metrics_text(&metrics)].into_iter().chain(chosen.map(|(name, text)| format!("{name}: {text}")));
    let end = lines.chain(verdict.clone()).collect::<Vec<_>>().join("\n");
    facts.splice(0..0, verdict.map(|verdict| ("verdict".to_owned(), verdict)));
    Summary { metrics, timings: timings.clone(), facts }.write(&run.summary())?;
    report::write(run)?;
    Ok(format!("{end}\nreport: {}", run.report().display()))
}

/// Writes samples `[n, d]` as a NumPy file of f32, whatever the precision of the run.
pub fn write_samples(path: &Path, samples: &Array2<f64>) -> Result<()> {
    npy::write(path, samples.mapv(|x| x as f32).view())
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
    if !run.checkpoint().is_file() {
        return Err(Error::bad_file(run.checkpoint(), "is not there; train the run first: ndsm train --resume --out DIR"));
    }
    let model = engine.load(&config, &run.checkpoint())?;
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
