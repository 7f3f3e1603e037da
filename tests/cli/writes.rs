//! Every write of a training, one after the other, is the last thing that it does, or fails. What is read from the run then is
//! the checkpoint before it or the one after it.
//!
//! By `strace`, which stops a program at its k-th call of the system; where there is none the tests say so and end.

use ndsm::config::{Config, file};
use ndsm::train::Checkpoint;
use std::fs;
use std::os::unix::process::ExitStatusExt;
use std::path::Path;
use std::process::{Command, Output};

/// A checkpoint each step, and as little else as can be.
const SMALL: &str = "train --threads 1 --set data.name=four-modes --set data.n=100 --set reference.components=4 --set network.width=8 --set network.depth=1 --set train.batch=50 --set train.warmup=0 --set train.steps=3 --set train.checkpoint_every=1 --set train.evaluate_every=0";
/// The calls by which files change.
const CALLS: [&str; 4] = ["write", "fsync", "rename", "renameat"];

fn train(dir: &Path, run: &str) -> Output {
    let arguments = SMALL.split(' ').chain(["--out", run]);
    Command::new(env!("CARGO_BIN_EXE_ndsm")).args(arguments).current_dir(dir).output().expect("the program starts")
}

/// The same with `fault` at its `k`-th `call`.
fn with_fault(dir: &Path, run: &str, fault: &str, call: &str, k: usize) -> Output {
    let inject = format!("inject={call}:{fault}:when={k}");
    let strace = ["-f", "-qq", "-o", "calls.txt", "-e", &format!("trace={call}"), "-e", &inject, env!("CARGO_BIN_EXE_ndsm")];
    let arguments = strace.into_iter().chain(SMALL.split(' ')).chain(["--out", run]);
    Command::new("strace").args(arguments).current_dir(dir).output().expect("strace, which was there before")
}

/// Whether programs can be traced here.
fn traced() -> bool {
    let tool = &mut Command::new("strace");
    crate::there(tool.args(["-o", "/dev/null", "true"]), "faults at every write; strace cannot trace programs here")
}

/// The step of the checkpoint that a run goes on from; none if it has none yet.
fn kept(run: &Path) -> Option<u64> {
    let config = file::read(&run.join("config.toml")).and_then(|settings| Config::resolve(&settings)).ok()?;
    let read = |name: &str| Checkpoint::<f32>::read(&run.join(name), &config).ok().map(|model| model.state.optimiser.step);
    read("checkpoint.safetensors").or_else(|| read("checkpoint.previous.safetensors"))
}

/// Whether the samples were begun: all checkpoints have been written.
fn is_past_training(run: &Path) -> bool {
    let names = fs::read_dir(run).into_iter().flatten().flatten().map(|entry| entry.file_name().to_string_lossy().into_owned());
    names.into_iter().any(|name| name.contains("samples.npy"))
}

/// The steps kept by runs with `fault` at every call, from one to the next at most one more and never one less; `check` is
/// called with each of them.
fn at_every_call(dir: &Path, fault: &str, check: &dyn Fn(&str, &Output)) {
    for call in CALLS {
        let (mut last, mut k) = (None, 0);
        loop {
            k += 1;
            let name = format!("{call}-{k}");
            let out = with_fault(dir, &name, fault, call, k);
            let run = dir.join(&name);
            if is_past_training(&run) {
                // A line on the screen may be lost.
                let calls = fs::read_to_string(dir.join("calls.txt")).unwrap();
                if calls.lines().any(|line| line.contains("write(2,") && line.contains("INJECTED")) {
                    continue;
                }
                break;
            }
            let step = kept(&run);
            assert!(step >= last && step <= Some(last.map_or(1, |last| last + 1)), "{name}: {last:?}, then {step:?}");
            last = step;
            check(&name, &out);
        }
        // Four checkpoints: one a step, and one with what is found out at the end.
        assert!(k > if call == "rename" { 3 } else { 4 } && last >= Some(2), "{call}: {k} {last:?}");
    }
}

#[test]
fn a_program_killed_at_any_write_leaves_a_whole_checkpoint() {
    if !traced() {
        return;
    }
    let dir = tempfile::tempdir().unwrap();
    assert!(train(dir.path(), "whole").status.success());
    let whole = fs::read(dir.path().join("whole/checkpoint.safetensors")).unwrap();
    at_every_call(dir.path(), "signal=KILL", &|name, out| {
        assert!(out.status.signal() == Some(9) || out.status.code() == Some(137), "{name}: {:?}", out.status);
        let run = dir.path().join(name);
        if name.ends_with(['3', '6']) && run.join("config.toml").is_file() {
            let resume = ["train", "--resume", "--out", name];
            let resumed = Command::new(env!("CARGO_BIN_EXE_ndsm")).args(resume).current_dir(dir.path()).output().unwrap();
            assert!(resumed.status.success(), "{name}: {}", String::from_utf8_lossy(&resumed.stderr));
            assert!(fs::read(run.join("checkpoint.safetensors")).unwrap() == whole, "{name}");
        }
    });
}

#[test]
fn a_disk_that_is_full_at_any_write_leaves_a_whole_checkpoint() {
    if !traced() {
        return;
    }
    let dir = tempfile::tempdir().unwrap();
    at_every_call(dir.path(), "error=ENOSPC", &|name, out| {
        let said = String::from_utf8_lossy(&out.stderr).into_owned();
        assert!(
            out.status.code() == Some(1) && said.contains("error: ") && said.contains("No space left"),
            "{name}: {:?} {said}",
            out.status
        );
    });
}
