//! At a terminal no command is silent for long.
//!
//! By `script`, which runs a program at a terminal of its own; where there is none the test says so and ends.

use std::io::Read;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

/// The longest silence.
const MOST: Duration = Duration::from_secs(3);

/// Runs the program at a terminal; the longest time between two of its outputs, from its start to its end, and what it said.
fn longest_silence(dir: &Path, arguments: &str) -> (Duration, String) {
    let command = format!("{} {arguments}", env!("CARGO_BIN_EXE_ndsm"));
    let mut script = Command::new("script");
    script.args(["-q", "-e", "-f", "-c", &command, "/dev/null"]).current_dir(dir).stdin(Stdio::null()).stdout(Stdio::piped());
    let mut child = script.spawn().expect("script, which was there before");
    let mut output = child.stdout.take().unwrap();
    let (mut last, mut longest, mut said, mut bytes) = (Instant::now(), Duration::ZERO, Vec::new(), [0; 4096]);
    while let Ok(n) = output.read(&mut bytes) {
        longest = longest.max(last.elapsed());
        last = Instant::now();
        said.extend(&bytes[..n]);
        if n == 0 {
            break;
        }
    }
    let said = String::from_utf8_lossy(&said).into_owned();
    assert!(child.wait().unwrap().success(), "{arguments}: {said}");
    (longest, said)
}

#[test]
fn no_command_is_silent_at_a_terminal() {
    let tool = &mut Command::new("script");
    if !crate::there(tool.args(["-q", "-e", "-c", "true", "/dev/null"]), "silence at a terminal; script cannot make one here") {
        return;
    }
    let dir = tempfile::tempdir().unwrap();
    // The default data and reference; fewer steps than the default run, which are a bar like any other.
    for (arguments, phases) in [
        ("train --set train.steps=60 --out run", &["data and reference", "training", "metrics", "pictures"][..]),
        ("sample run --n 3000 --out more.npy", &["samples"]),
        ("eval run --n 1000", &["metrics", "a classifier of the images"]),
        ("fit --out law", &["data and reference"]),
        ("audit transitions --quick", &["transitions: grids", "rows pass"]),
        ("report run", &[]),
    ] {
        let (silence, said) = longest_silence(dir.path(), arguments);
        for phase in phases {
            assert!(said.contains(phase), "{arguments}: nothing of {phase} in {said}");
        }
        assert!(silence <= MOST, "{arguments}: silent for {silence:?}: {said}");
    }
    // With -q there is nothing but the result; with -v the phases stay, terminal or not.
    let quiet = longest_silence(dir.path(), "sample run -q --n 3000 --out more.npy").1;
    assert_eq!(quiet.trim(), "more.npy");
    let mut verbose = Command::new(env!("CARGO_BIN_EXE_ndsm"));
    verbose.args(["sample", "run", "-v", "--n", "100", "--out", "more.npy"]).current_dir(dir.path());
    let said = String::from_utf8_lossy(&verbose.output().unwrap().stderr).into_owned();
    assert!(said.lines().any(|line| line.starts_with("samples: ") && line.ends_with(" s")), "{said}");
}
