//! `metrics.jsonl`: one JSON object a line, one line a step.

use crate::train::{Gain, Gains, Group};
use crate::{Error, Result};
use serde_json::{Map, Value, json};
use std::fs::{File, OpenOptions};
use std::io::{BufWriter, Write};
use std::path::{Path, PathBuf};

/// What the log holds of one step.
#[derive(Debug, Clone, PartialEq)]
pub struct Step {
    /// Optimiser steps done, this one included.
    pub step: usize,
    /// Mean loss of the step's batch.
    pub loss: f64,
    /// More numbers under their names: learning rate, gradient norm, variances.
    pub more: Vec<(&'static str, f64)>,
    /// With `train.diagnose`, at some steps: what the control is worth at each time.
    pub groups: Vec<Group>,
    /// Every `train.evaluate_every` steps: the gain (19) on held-out points and on training points.
    pub gains: Option<Gains>,
}

/// The names of the numbers of a group of draws in the order of time: mean time, mean length of a step,
/// variance of the loss with the run's control and without any, trace of the covariance of a draw's gradient
/// with and without.
const GROUP: [&str; 6] = ["time", "step", "loss_variance", "loss_variance_none", "gradient_variance", "gradient_variance_none"];

/// Where a line has the gains (19): `{"gain", "error", "times": [{"time", "gain", "error"}, ...]}`.
const HELD_OUT: &str = "held_out";
const TRAINING: &str = "training";

fn gain(gain: &Gain) -> Value {
    let times = gain.groups.iter().map(|(time, mean)| json!({"time": time, "gain": mean.value, "error": mean.error}));
    json!({"gain": gain.whole.value, "error": gain.whole.error, "times": times.collect::<Vec<_>>()})
}

/// The open log.
pub struct MetricsLog {
    last: usize,
    path: PathBuf,
    file: BufWriter<File>,
}

impl MetricsLog {
    /// Opens the log to go on after `done` steps: lines of later steps, which a killed run wrote after its
    /// checkpoint, and a last line that it did not finish, are removed.
    /// # Errors
    /// `File` where reading or writing fails.
    pub fn open(path: &Path, done: usize) -> Result<Self> {
        let old = match std::fs::read_to_string(path) {
            Ok(text) => text,
            Err(e) if e.kind() == std::io::ErrorKind::NotFound => String::new(),
            Err(e) => return Err(Error::bad_file(path, format!("cannot be read: {e}"))),
        };
        let kept: String = old.split_inclusive('\n').filter(|line| step_of(line).is_some_and(|s| s <= done)).collect();
        if kept != old {
            crate::data::write_whole(path, kept.as_bytes()).map_err(|e| Error::io(path, "cannot be written", &e))?;
        }
        let file = OpenOptions::new().create(true).append(true).open(path).map_err(|e| Error::io(path, "cannot be opened", &e))?;
        let last = kept.lines().last().and_then(|line| step_of(&format!("{line}\n"))).unwrap_or(0);
        Ok(MetricsLog { last, path: path.to_owned(), file: BufWriter::new(file) })
    }

    /// The step of its last line when it was opened; 0 of an empty log.
    pub fn last(&self) -> usize {
        self.last
    }

    /// Appends a step. A number that is not finite is written as null.
    /// # Errors
    /// `File` where writing fails.
    pub fn append(&mut self, step: &Step) -> Result<()> {
        let mut line = Map::new();
        line.insert("step".into(), step.step.into());
        line.insert("loss".into(), step.loss.into());
        line.extend(step.more.iter().map(|(name, x)| ((*name).to_owned(), (*x).into())));
        if !step.groups.is_empty() {
            let groups = step.groups.iter().map(|g| {
                let [loss, gradient] = g.plain;
                let values = [g.time, g.step, g.loss, loss, g.gradient, gradient];
                Value::Object(GROUP.iter().zip(values).map(|(name, x)| ((*name).to_owned(), x.into())).collect())
            });
            line.insert("groups".into(), groups.collect());
        }
        if let Some(gains) = &step.gains {
            line.insert(HELD_OUT.into(), gain(&gains.held_out));
            line.insert(TRAINING.into(), gain(&gains.training));
        }
        writeln!(self.file, "{}", Value::Object(line)).map_err(|e| Error::io(&self.path, "cannot be written", &e))
    }

    /// Hands everything to the file system: before a checkpoint, so that the log never ends before it.
    /// # Errors
    /// `File` where writing fails.
    pub fn flush(&mut self) -> Result<()> {
        self.file.flush().map_err(|e| Error::io(&self.path, "cannot be written", &e))
    }
}

fn step_of(line: &str) -> Option<usize> {
    let value: Value = line.ends_with('\n').then(|| serde_json::from_str(line).ok())??;
    usize::try_from(value.get("step")?.as_u64()?).ok()
}

/// The losses of a log: steps and values; lines without a finite loss are left out.
/// # Errors
/// `File` where reading fails.
pub fn losses(path: &Path) -> Result<(Vec<f64>, Vec<f64>)> {
    let pair = |line: &Value| Some((line.get("step")?.as_f64()?, line.get("loss")?.as_f64()?));
    Ok(lines(path)?.iter().filter_map(pair).unzip())
}

/// The lines of a log that are whole.
fn lines(path: &Path) -> Result<Vec<Value>> {
    let text = std::fs::read_to_string(path).map_err(|e| Error::bad_file(path, format!("cannot be read: {e}")))?;
    Ok(text.lines().filter_map(|line| serde_json::from_str(line).ok()).collect())
}

/// The numbers of a line, under their names.
pub type Scalars = Vec<(String, f64)>;

/// The numbers of every line of a log; the gains (19) are `held_out_gain`, `held_out_error`, `training_gain` and
/// `training_error`.
/// # Errors
/// `File` where reading fails.
pub fn scalars(path: &Path) -> Result<Vec<Scalars>> {
    let of = |line: &Value| {
        let mut all: Scalars = line.as_object()?.iter().filter_map(|(name, v)| Some((name.clone(), v.as_f64()?))).collect();
        for set in [HELD_OUT, TRAINING] {
            let number = |name: &str| Some((format!("{set}_{name}"), line.get(set)?.get(name)?.as_f64()?));
            all.extend(["gain", "error"].into_iter().filter_map(number));
        }
        Some(all)
    };
    Ok(lines(path)?.iter().filter_map(of).collect())
}

/// A curve of gains: (step, gain, standard error).
pub type GainCurve = Vec<[f64; 3]>;

/// The gains of a log.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct GainCurves {
    /// On held-out points.
    pub held_out: GainCurve,
    /// On training points.
    pub training: GainCurve,
    /// On held-out points, by group of times: the group's mean time, and its curve.
    pub times: Vec<(f64, GainCurve)>,
}

/// The gains of a log.
/// # Errors
/// `File` where reading fails.
pub fn gains(path: &Path) -> Result<GainCurves> {
    let number = |v: &Value, name: &str| v.get(name).and_then(Value::as_f64);
    let GainCurves { mut held_out, mut training, mut times } = GainCurves::default();
    for line in lines(path)? {
        let Some(step) = number(&line, "step") else { continue };
        let point = |v: &Value| Some([step, number(v, "gain")?, number(v, "error")?]);
        held_out.extend(line.get(HELD_OUT).and_then(point));
        training.extend(line.get(TRAINING).and_then(point));
        for (i, group) in line.get(HELD_OUT).and_then(|v| v.get("times")?.as_array()).into_iter().flatten().enumerate() {
            if times.len() == i {
                times.push((number(group, "time").unwrap_or(f64::NAN), Vec::new()));
            }
            times[i].1.extend(point(group));
        }
    }
    Ok(GainCurves { held_out, training, times })
}

/// The mean of each group of draws over the second half of the diagnoses of a log; none where there is no
/// diagnosis.
/// # Errors
/// `File` where reading fails.
pub fn groups(path: &Path) -> Result<Vec<Group>> {
    let numbers = |group: &Value| GROUP.map(|name| group.get(name).and_then(Value::as_f64).unwrap_or(f64::NAN));
    let of = |line: &Value| Some(line.get("groups")?.as_array()?.iter().map(numbers).collect::<Vec<_>>());
    let all: Vec<Vec<[f64; 6]>> = lines(path)?.iter().filter_map(of).collect();
    let late = &all[all.len() / 2..];
    let count = late.iter().map(Vec::len).min().unwrap_or(0);
    let mean = |k: usize, i: usize| late.iter().map(|groups| groups[k][i]).sum::<f64>() / late.len() as f64;
    let group = |k| Group { time: mean(k, 0), step: mean(k, 1), loss: mean(k, 2), gradient: mean(k, 4), plain: [mean(k, 3), mean(k, 5)] };
    Ok((0..count).map(group).collect())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::train::Mean;

    #[test]
    fn a_resumed_log_is_the_log_of_an_unbroken_run() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("metrics.jsonl");
        let write = |from: usize, to: usize| {
            let mut log = MetricsLog::open(&path, from).unwrap();
            (from + 1..=to).for_each(|s| {
                log.append(&Step { step: s, loss: 1.0 / s as f64, more: vec![("lr", 0.1)], groups: vec![], gains: None }).unwrap()
            });
            log.flush().unwrap();
        };
        write(0, 10);
        let whole = std::fs::read_to_string(&path).unwrap();
        // Killed after step 7 in the middle of a line; its checkpoint is of step 5.
        let cut = whole.match_indices('\n').nth(6).unwrap().0 + 9;
        std::fs::write(&path, &whole[..cut]).unwrap();
        write(5, 10);
        assert_eq!(std::fs::read_to_string(&path).unwrap(), whole);
        let (steps, losses) = losses(&path).unwrap();
        assert_eq!((steps.len(), steps[9], losses[3]), (10, 10.0, 0.25));
        let mut log = MetricsLog::open(&path, 10).unwrap();
        log.append(&Step { step: 11, loss: f64::NAN, more: vec![], groups: vec![], gains: None }).unwrap();
        log.flush().unwrap();
        assert!(std::fs::read_to_string(&path).unwrap().ends_with("{\"loss\":null,\"step\":11}\n"));
        assert_eq!(super::losses(&path).unwrap().0.len(), 10);
    }

    #[test]
    fn the_later_diagnoses_count() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("metrics.jsonl");
        let mut log = MetricsLog::open(&path, 0).unwrap();
        let group = |x: f64| Group { time: x, step: 0.1, loss: 2.0 * x, gradient: 3.0, plain: [x, f64::NAN] };
        for (step, x) in [(1, 0.5), (2, 1.0), (3, 2.0)] {
            log.append(&Step { step, loss: 0.0, more: vec![], groups: vec![group(x), group(4.0)], gains: None }).unwrap();
        }
        log.flush().unwrap();
        let seen = groups(&path).unwrap();
        // What is not known stays so.
        assert!(seen.len() == 2 && seen[0].plain[1].is_nan());
        assert_eq!((seen[0].time, seen[0].loss, seen[0].gradient, seen[0].plain[0], seen[1].time), (1.5, 3.0, 3.0, 1.5, 4.0));
    }

    #[test]
    fn gains_come_back_as_they_were_written() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("metrics.jsonl");
        let mut log = MetricsLog::open(&path, 0).unwrap();
        let mean = |value: f64| Mean { value, error: 0.25 };
        let gain = |x: f64| Gain { whole: mean(x), groups: vec![(0.1, mean(2.0 * x)), (3.0, mean(0.0))] };
        for step in 1..=4 {
            let x = -(step as f64);
            let gains = (step % 2 == 0).then(|| Gains { held_out: gain(x), training: gain(3.0 * x) });
            log.append(&Step { step, loss: 0.0, more: vec![], groups: vec![], gains }).unwrap();
        }
        log.flush().unwrap();
        let got = gains(&path).unwrap();
        assert_eq!(got.held_out, [[2.0, -2.0, 0.25], [4.0, -4.0, 0.25]]);
        assert_eq!(got.training, [[2.0, -6.0, 0.25], [4.0, -12.0, 0.25]]);
        assert_eq!(got.times, [(0.1, vec![[2.0, -4.0, 0.25], [4.0, -8.0, 0.25]]), (3.0, vec![[2.0, 0.0, 0.25], [4.0, 0.0, 0.25]])]);
    }
}
