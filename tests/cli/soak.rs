//! A training of an hour: `cargo test --release --test cli soak -- --ignored --nocapture`; `NDSM_SOAK_MINUTES` for another time.

use std::fs;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

/// Resident memory in kB.
fn resident(child: &Child) -> Option<f64> {
    let status = fs::read_to_string(format!("/proc/{}/status", child.id())).ok()?;
    status.lines().find_map(|line| line.strip_prefix("VmRSS:"))?.split_whitespace().next()?.parse().ok()
}

#[test]
#[ignore = "takes an hour"]
fn an_hour_of_training_stays_in_the_same_memory() {
    let minutes = std::env::var("NDSM_SOAK_MINUTES").map_or(60.0, |minutes| minutes.parse::<f64>().expect("minutes"));
    let dir = tempfile::tempdir().unwrap();
    let mut child = Command::new(env!("CARGO_BIN_EXE_ndsm"))
        .args(["train", "--set", "train.steps=10000000", "--set", "train.warmup=100", "--out", "run"])
        .current_dir(dir.path())
        .stderr(Stdio::null())
        .spawn()
        .expect("the program starts");
    let started = Instant::now();
    let mut seen: Vec<f64> = Vec::new();
    while started.elapsed() < Duration::from_secs_f64(60.0 * minutes) {
        std::thread::sleep(Duration::from_secs_f64(0.6 * minutes));
        assert!(child.try_wait().unwrap().is_none(), "it ended");
        seen.push(resident(&child).expect("a process with memory"));
    }
    let steps = fs::read_to_string(dir.path().join("run/metrics.jsonl")).unwrap().lines().count();
    child.kill().unwrap();
    child.wait().unwrap();
    // After a tenth of the time everything has been needed once.
    let (early, late) = (seen[seen.len() / 10], seen[seen.len() - 1]);
    println!("{steps} steps in {minutes} minutes: {early} kB resident after a tenth of the time, {late} kB at the end");
    assert!(late <= 1.02 * early + 1024.0, "{seen:?}");
}
