//! Runs of a network that is told labels.

use ndsm::data::npy;
use ndsm::train::Checkpoint;
use std::path::Path;
use std::process::{Command, Output};

fn ndsm(dir: &Path, args: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_ndsm")).args(args).current_dir(dir).output().unwrap()
}

fn done(dir: &Path, args: &[&str]) -> String {
    let out = ndsm(dir, args);
    assert!(out.status.success(), "{args:?}: {}", String::from_utf8_lossy(&out.stderr));
    String::from_utf8(out.stdout).unwrap()
}

/// One sentence with `words`, exit code 2.
fn refused(dir: &Path, args: &[&str], words: &str) {
    let out = ndsm(dir, args);
    let sentence = String::from_utf8_lossy(&out.stderr);
    assert!(out.status.code() == Some(2) && sentence.contains(words), "{args:?}: {sentence}");
}

/// Two clusters of 200 points, twenty apart, with words for labels, `swapped` in the last one.
fn table(dir: &Path, swapped: bool) {
    let mut text = String::from("x,y,kind\n");
    for i in 0..400 {
        let (side, wave) = (i % 2, (f64::from(i) * 0.7).sin());
        let far = side == 1;
        let label = if far != (swapped && i == 399) { "right" } else { "left" };
        text += &format!("{},{},{label}\n", 20.0 * f64::from(side) + wave, (f64::from(i) * 1.3).cos());
    }
    std::fs::write(dir.join("two.csv"), text).unwrap();
}

const KEYS: [&str; 10] = [
    "data.name=csv",
    "data.path=two.csv",
    "data.label=kind",
    "network.classes=2",
    "reference.components=2",
    "network.width=16",
    "train.steps=40",
    "train.batch=32",
    "train.evaluate_every=20",
    "calibration.score=false",
];

fn train<'a>(out: &'a str, more: &[&'a str]) -> Vec<&'a str> {
    let key = |setting: &str| setting.split('=').next().map(str::to_owned);
    let own = KEYS.iter().filter(|setting| more.iter().all(|other| key(other) != key(setting)));
    let keys = own.chain(more).flat_map(|setting| ["--set", setting]);
    ["train", "--out", out].into_iter().chain(keys).collect()
}

/// Samples of a class are where its points are, those of all in their shares; the report says what the labels are worth;
/// what cannot be is refused; a run is not resumed on other labels.
#[test]
fn a_class_is_asked_for_by_its_number() {
    let folder = tempfile::tempdir().unwrap();
    let dir = folder.path();
    table(dir, false);
    let said = done(dir, &train("run", &[]));
    assert!(said.contains("held-out gain by class: 0: ") && said.contains("told the label") && said.contains("; 1: "), "{said}");
    let first = |args: &[&str]| {
        done(dir, &[&["sample", "run", "--n", "300", "--out", "s.npy"], args].concat());
        npy::read(&dir.join("s.npy")).unwrap().values.column(0).to_vec()
    };
    // Words are numbered in their order: left, right.
    for (class, middle) in [("0", 0.0), ("1", 20.0)] {
        for guidance in ["1", "1.5"] {
            let x = first(&["--class", class, "--guidance", guidance]);
            assert!(x.iter().all(|x| (x - middle).abs() <= 5.0), "{class} {guidance}: {x:?}");
        }
    }
    let right = first(&[]).iter().filter(|x| **x > 10.0).count();
    assert!((130..=170).contains(&right), "{right}");
    refused(dir, &["sample", "run", "--class", "2", "--out", "t.npy"], "class: must be one of the 2 classes from 0 on");
    refused(dir, &["sample", "run", "--class", "-1", "--out", "t.npy"], "--class: must be >= 0, got -1");
    refused(dir, &["sample", "run", "--guidance", "nan", "--out", "t.npy"], "--guidance: must be in [0, 100], got NaN");
    refused(dir, &train("other", &["network.classes=1"]), "network.classes: must be at least 2, as the labels go from 0 to 1, got 1");
    refused(dir, &["train", "--set", "data.name=ring", "--set", "network.classes=2"], "needs labels, and the law \"ring\" has none");
    refused(dir, &train("other", &["reference.per_class=true", "reference.group=c2"]), "a group ties the components of all classes");
    assert!(!dir.join("t.npy").exists() && !dir.join("other").exists());

    table(dir, true);
    refused(dir, &["train", "--out", "run", "--resume", "--set", "train.steps=60"], "data.label: the labels differ");
    table(dir, false);
    done(dir, &["train", "--out", "run", "--resume", "--set", "train.steps=60"]);
    done(dir, &train("each", &["reference.per_class=true", "reference.components=1"]));
    let joint = Checkpoint::<f32>::load(&dir.join("each")).unwrap().classes.unwrap().joint().to_owned();
    assert!(joint.dim() == (2, 2) && joint[[0, 1]].max(joint[[1, 0]]) <= 1e-6 && joint[[0, 0]] > 0.4, "{joint}");
}
