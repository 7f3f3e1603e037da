//! `metrics.jsonl`: one JSON object a line, one line a step.

use crate::{Error, Result};
use serde_json::{Map, Value};
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
}

/// The open log.
pub struct MetricsLog {
    path: PathBuf,
    file: BufWriter<File>,
}

impl MetricsLog {
    /// Opens the log to go on after `done` steps: lines of later steps, which a killed run wrote after its checkpoint, and a
    /// last line that it did not finish, are removed.
    /// # Errors
    /// `File` where reading or writing fails.
    pub fn open(path: &Path, done: usize) -> Result<Self> {
        let old = match std::fs::read_to_string(path) {
            Ok(text) => text,
            Err(e) if e.kind() == std::io::ErrorKind::NotFound => String::new(),
            Err(e) => return Err(Error::io(path, "cannot be read", &e)),
        };
        let kept: String = old.split_inclusive('\n').filter(|line| step_of(line).is_some_and(|s| s <= done)).collect();
        if kept != old {
            super::run_dir::write_whole(path, kept.as_bytes()).map_err(|e| Error::io(path, "cannot be written", &e))?;
        }
        let file = OpenOptions::new().create(true).append(true).open(path).map_err(|e| Error::io(path, "cannot be opened", &e))?;
        Ok(MetricsLog { path: path.to_owned(), file: BufWriter::new(file) })
    }

    /// Appends a step. A number that is not finite is written as null.
    /// # Errors
    /// `File` where writing fails.
    pub fn append(&mut self, step: &Step) -> Result<()> {
        let mut line = Map::new();
        line.insert("step".into(), step.step.into());
        line.insert("loss".into(), step.loss.into());
        line.extend(step.more.iter().map(|(name, x)| ((*name).to_owned(), (*x).into())));
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
    let text = std::fs::read_to_string(path).map_err(|e| Error::io(path, "cannot be read", &e))?;
    let pair = |line: &str| {
        let value: Value = serde_json::from_str(line).ok()?;
        Some((value.get("step")?.as_f64()?, value.get("loss")?.as_f64()?))
    };
    Ok(text.lines().filter_map(pair).unzip())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_resumed_log_is_the_log_of_an_unbroken_run() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("metrics.jsonl");
        let write = |from: usize, to: usize| {
            let mut log = MetricsLog::open(&path, from).unwrap();
            (from + 1..=to).for_each(|s| log.append(&Step { step: s, loss: 1.0 / s as f64, more: vec![("lr", 0.1)] }).unwrap());
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
        log.append(&Step { step: 11, loss: f64::NAN, more: vec![] }).unwrap();
        log.flush().unwrap();
        assert!(std::fs::read_to_string(&path).unwrap().ends_with("{\"loss\":null,\"step\":11}\n"));
        assert_eq!(super::losses(&path).unwrap().0.len(), 10);
    }
}
