//! The commands with a model that needs no numerics: a number that is halved every step.

use super::engine::Model;
use super::metrics_log::Step;
use super::plot::{Figure, Panel};
use super::summary::Metric;
use super::*;
use crate::Error;
use crate::config::Config;
use engine::Sampling;
use ndarray::{Array2, ArrayView2};
use std::fs;
use std::path::{Path, PathBuf};

/// Fails at the step of this number, as a killed or diverged run would.
struct Fake {
    fails_at: usize,
}

struct Halving {
    done: usize,
    x: f64,
    fails_at: usize,
}

impl Engine for Fake {
    fn begin(&self, _: &Config) -> Result<Box<dyn Model>> {
        Ok(Box::new(Halving { done: 0, x: 1.0, fails_at: self.fails_at }))
    }
    fn checkpoint(&self, dir: &Path) -> Result<Option<(PathBuf, Option<String>)>> {
        let file = dir.join("checkpoint.safetensors");
        Ok(file.is_file().then_some((file, None)))
    }

    fn load(&self, _: &Config, checkpoint: &Path) -> Result<Box<dyn Model>> {
        let text = fs::read_to_string(checkpoint).unwrap();
        let (done, x) = text.split_once(' ').unwrap();
        Ok(Box::new(Halving { done: done.parse().unwrap(), x: x.parse().unwrap(), fails_at: self.fails_at }))
    }
    fn resume(&self, config: &Config, checkpoint: &Path) -> Result<Box<dyn Model>> {
        self.load(config, checkpoint)
    }
}

impl Model for Halving {
    fn done(&self) -> usize {
        self.done
    }
    fn step(&mut self) -> Result<Step> {
        self.done += 1;
        if self.done == self.fails_at {
            return Err(Error::NonFinite { place: "loss".into(), step: self.done, remedy: "go on from the checkpoint".into() });
        }
        self.x /= 2.0;
        Ok(Step { step: self.done, loss: self.x, more: vec![], groups: vec![], gains: None })
    }
    fn save(&self, checkpoint: &Path) -> Result<()> {
        fs::write(checkpoint, format!("{} {:e}", self.done, self.x)).unwrap();
        Ok(())
    }
    fn columns(&self) -> usize {
        2
    }
    fn double(&self) -> Result<Option<String>> {
        Ok(None)
    }
    fn sample(&self, how: Sampling, take: &mut dyn FnMut(Array2<f64>) -> Result<()>) -> Result<()> {
        take(Array2::from_elem((how.n, 2), self.x + how.seed as f64))
    }
    fn evaluate(&self, samples: ArrayView2<f64>, _: u64, _: usize) -> Result<Vec<Metric>> {
        Ok(vec![Metric {
            name: "sliced_w2".into(),
            value: Some(samples[[0, 0]]),
            floor: Some(0.1),
            meaning: "distance".into(),
            ..Metric::default()
        }])
    }
    fn likelihood(&self, _: u64) -> Result<Vec<Metric>> {
        let nll =
            Metric { name: "nll_held_out".into(), value: Some(2.0), floor: Some(1.0), meaning: "likelihood".into(), ..Metric::default() };
        Ok(vec![nll])
    }
    fn pictures(&self, _: ArrayView2<f64>) -> Result<Vec<(&'static str, Figure)>> {
        Ok(vec![("samples", Figure::new(vec![Panel::new(10.0, 10.0)]))])
    }
    fn onnx(&self) -> Result<Vec<u8>> {
        Ok(Vec::new())
    }
    fn facts(&self) -> Vec<(String, String)> {
        vec![("weights".into(), "1".into())]
    }
}

fn ndsm(arguments: &[&str], fails_at: usize) -> Result<String> {
    run(Cli::try_parse_from([&["ndsm"], arguments].concat()).unwrap(), &Fake { fails_at })
}

/// Every file of a run, without the timings and what shows them.
fn files(dir: &Path) -> Vec<(String, Vec<u8>)> {
    let names = ["config.toml", "metrics.jsonl", "checkpoint.safetensors", "samples.npy", "pictures/samples.png", "pictures/loss.png"];
    names.iter().map(|name| ((*name).to_owned(), fs::read(dir.join(name)).unwrap())).collect()
}

#[test]
fn a_run_that_was_broken_off_and_resumed_equals_one_that_was_not() {
    let place = tempfile::tempdir().unwrap();
    let (whole, broken) = (place.path().join("whole"), place.path().join("broken"));
    let command = |dir: &Path, more: &[&str], fails_at: usize| {
        let set = ["train", "--set", "train.steps=40", "--set", "train.checkpoint_every=15", "--out", dir.to_str().unwrap()];
        ndsm(&[&set, more].concat(), fails_at)
    };
    let end = command(&whole, &[], 0).unwrap();
    assert!(end.contains("sliced_w2") && end.contains("report.html"), "{end}");
    let failed = command(&broken, &[], 38).unwrap_err();
    assert_eq!(failed.exit_code(), 1);
    // The log goes on beyond the checkpoint of step 30.
    assert_eq!(fs::read_to_string(broken.join("metrics.jsonl")).unwrap().lines().count(), 37);
    ndsm(&["train", "--resume", "--out", broken.to_str().unwrap()], 0).unwrap();
    assert_eq!(files(&whole), files(&broken));
    // A finished run: refused without --resume, and longer with more steps.
    assert_eq!(command(&whole, &[], 0).unwrap_err().exit_code(), 2);
    ndsm(&["train", "--resume", "--set", "train.steps=50", "--out", whole.to_str().unwrap()], 0).unwrap();
    assert_eq!(fs::read_to_string(whole.join("metrics.jsonl")).unwrap().lines().count(), 50);
    assert!(fs::read_to_string(whole.join("config.toml")).unwrap().contains("checkpoint_every = 15"));
}

#[test]
fn the_other_commands_read_a_run() {
    let place = tempfile::tempdir().unwrap();
    let dir = place.path().join("run");
    let (run, out) = (dir.to_str().unwrap(), place.path().join("s.npy"));
    ndsm(&["train", "--set", "train.steps=3", "--out", run], 0).unwrap();
    ndsm(&["sample", run, "--n", "7", "--seed", "2", "--out", out.to_str().unwrap()], 0).unwrap();
    assert_eq!(fs::read(&out).unwrap().len(), 128 + 7 * 2 * 4);
    let json: serde_json::Value = serde_json::from_str(&ndsm(&["eval", run, "--n", "9", "--json"], 0).unwrap()).unwrap();
    assert!(json["n"] == 9 && json["seed"] == 0 && json["sliced_w2"] == 0.125 && json["seconds"].is_number(), "{json}");
    fs::remove_file(dir.join("report.html")).unwrap();
    ndsm(&["report", run], 0).unwrap();
    assert!(fs::read_to_string(dir.join("report.html")).unwrap().contains("sliced w2"));
    // A run without a checkpoint has no samples to give.
    fs::remove_file(dir.join("checkpoint.safetensors")).unwrap();
    assert_eq!(ndsm(&["sample", run, "--out", out.to_str().unwrap()], 0).unwrap_err().exit_code(), 2);
}

#[test]
fn the_command_line_is_consistent_and_its_help_names_every_key() {
    use clap::CommandFactory;
    Cli::command().debug_assert();
    let help = Cli::command().find_subcommand_mut("train").unwrap().render_long_help().to_string();
    for key in crate::config::KEYS {
        assert!(help.contains(key.name), "{}", key.name);
    }
}
