//! Wrong inputs end with exit code 2 and one clear sentence, and leave nothing behind.
#![cfg(feature = "cli")]

use std::fs;
use std::path::Path;
use std::process::{Command, Output};

/// Runs the program in `dir`.
fn ndsm(dir: &Path, arguments: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_ndsm")).args(arguments).current_dir(dir).output().expect("the program starts")
}

/// Every path below `dir`, with the size of files.
fn listing(dir: &Path) -> Vec<(std::path::PathBuf, u64)> {
    let mut all = Vec::new();
    let mut open = vec![dir.to_owned()];
    while let Some(next) = open.pop() {
        for entry in fs::read_dir(&next).expect("a readable directory").flatten() {
            let meta = entry.metadata().expect("metadata");
            all.push((entry.path(), if meta.is_file() { meta.len() } else { 0 }));
            if meta.is_dir() {
                open.push(entry.path());
            }
        }
    }
    all.sort();
    all
}

/// Files that are not what they claim to be.
fn bad_files(dir: &Path) {
    let write = |name: &str, bytes: &[u8]| fs::write(dir.join(name), bytes).expect("a writable directory");
    write("broken.toml", b"[sde]\nbeta = = 1\n");
    write("unknown.toml", b"[trian]\nsteps = 10\n");
    write("typed.toml", b"[train]\nsteps = \"many\"\n");
    write("twice.toml", b"[train]\nsteps = 1\nsteps = 2\n");
    write("binary.toml", &[0xff, 0xfe, 0x00, 0x80]);
    // An array of 1,000 x 2 that ends after 3 numbers; one that claims more than any machine has; one with NaN.
    let npy = |shape: &str, numbers: &[f32]| {
        let header = format!("{{'descr': '<f4', 'fortran_order': False, 'shape': {shape}, }}");
        let header = format!("{header:<117}\n");
        let mut bytes = b"\x93NUMPY\x01\x00".to_vec();
        bytes.extend((header.len() as u16).to_le_bytes());
        bytes.extend(header.bytes());
        bytes.extend(numbers.iter().flat_map(|x| x.to_le_bytes()));
        bytes
    };
    write("truncated.npy", &npy("(1000, 2)", &[1.0, 2.0, 3.0]));
    write("oversized.npy", &npy("(9999999999, 9999999999)", &[1.0]));
    write("nan.npy", &npy("(3, 2)", &[1.0, 2.0, f32::NAN, 4.0, 5.0, 6.0]));
    write("noise.npy", b"this is no array");
    write("ragged.csv", b"1,2\n3,4\n5\n6,7\n");
    write("words.csv", b"1,2\n3,four\n5,6\n");
    write("nan.csv", b"1,2\n3,nan\n5,6\n7,8\n");
    write("empty.csv", b"");
    // 28 x 28 x 1,000 images are announced and 16 bytes are there.
    write("short-idx3-ubyte", &[0, 0, 8, 3, 0, 0, 3, 0xe8, 0, 0, 0, 28, 0, 0, 0, 28, 1, 2, 3]);
    write("magic-idx3-ubyte", &[9, 9, 9, 9, 0, 0, 0, 1]);
    write("few.csv", b"1,2\n3,4\n5,6\n7,8\n9,10\n11,12\n");
    fs::create_dir(dir.join("taken")).expect("a writable directory");
    write("taken/config.toml", b"");
    fs::create_dir(dir.join("other")).expect("a writable directory");
    write("other/notes.txt", b"");
}

/// Arguments, and words that the sentence must contain.
type Case = (&'static [&'static str], &'static [&'static str]);

/// The command line and the configuration.
const ARGUMENTS: &[Case] = &[
    (&["--sets"], &["--sets"]),
    (&["frobnicate"], &["frobnicate"]),
    (&["sample"], &["--out", "<DIR>"]),
    (&["train", "--threads", "0"], &["--threads", ">= 1", "got 0"]),
    (&["train", "--threads", "-3"], &["--threads", ">= 1", "got -3"]),
    (&["train", "--threads", "99999999"], &["--threads", "<= 4096"]),
    (&["train", "--device", "cuda"], &["--device cuda"]),
    (&["train", "--device", "abacus"], &["abacus", "cpu"]),
    (&["train", "--config", "absent.toml"], &["absent.toml", "cannot be read"]),
    (&["train", "--config", "."], &["must be a configuration file"]),
    (&["train", "--config", "broken.toml"], &["broken.toml", "line 2"]),
    (&["train", "--config", "unknown.toml"], &["trian", "did you mean train?"]),
    (&["train", "--config", "typed.toml"], &["train.steps: must be an integer, got \"many\""]),
    (&["train", "--config", "twice.toml"], &["line 3", "duplicate"]),
    (&["train", "--config", "binary.toml"], &["binary.toml"]),
    (&["train", "--set", "train.steps"], &["table.key=value"]),
    (&["train", "--set", "train.stepps=3"], &["did you mean train.steps?"]),
    (&["train", "--set", "train.steps=3", "--set", "train.steps=4"], &["given twice"]),
    (&["train", "--set", "train.steps=0"], &["train.steps", ">= 1"]),
    (&["train", "--set", "train.steps=2.5"], &["must be an integer, got 2.5"]),
    (&["train", "--set", "train.batch=-1"], &["train.batch", "got -1"]),
    (&["train", "--set", "train.lr=inf"], &["train.lr", "finite"]),
    (&["train", "--set", "train.ema=1"], &["train.ema", "< 1"]),
    (&["train", "--set", "train.seed=-1"], &["train.seed"]),
    (&["train", "--set", "network.width=99999999999"], &["network.width", "<= 16384", "99999999999"]),
    (&["train", "--set", "network.width=16384", "--set", "network.depth=64"], &["weights"]),
    (&["train", "--set", "sde.beta=-1"], &["sde.beta: must be > 0, got -1"]),
    (&["train", "--set", "sde.horizon=0"], &["sde.horizon"]),
    (&["train", "--set", "sde.t_min=5"], &["sde.t_min", "sde.horizon"]),
    (&["train", "--set", "sde.kind=sub-vp"], &["not available yet", "langevin"]),
    (&["train", "--set", "objective.control=gated"], &["not available yet", "antithetic"]),
    (&["train", "--set", "objective.control=slef"], &["\"self\""]),
    (&["train", "--set", "objective.transition=euler", "--set", "sde.grid=per-path"], &["fixed grid"]),
    (&["train", "--set", "reference.floor=1"], &["reference.floor", "< 1"]),
    (&["train", "--set", "reference.components=0"], &["reference.components", ">= 1"]),
    (
        &["train", "--set", "data.name=ring", "--set", "data.n=5", "--set", "reference.components=6"],
        &["reference.components", "data.n = 5"],
    ),
    (&["train", "--set", "data.name=mnist"], &["data.name", "\"idx\""]),
    (&["train", "--set", "data.name=idx"], &["data.path"]),
    (&["train", "--set", "data.latent=65"], &["data.latent", "64"]),
    (&["train", "--set", "data.n=99999999999"], &["data.n"]),
    (&["train", "--out", "taken"], &["taken", "--resume"]),
    (&["train", "--out", "other", "--resume"], &["other", "config.toml"]),
    (&["train", "--out", "few.csv"], &["not a directory"]),
    (&["train", "--out", "few.csv/run"], &["cannot be made"]),
    (&["train", "--out", ""], &["--out"]),
    (&["sample", "absent", "--out", "s.npy"], &["absent", "no such run directory"]),
    (&["sample", "other", "--out", "s.npy"], &["other", "config.toml"]),
    (&["sample", "taken", "--out", "s.npy"], &["checkpoint.safetensors"]),
    (&["sample", "taken", "--out", "no/such/s.npy"], &["s.npy", "cannot be written"]),
    (&["sample", "taken", "--n", "-5", "--out", "s.npy"], &["--n", "got -5"]),
    (&["sample", "taken", "--steps", "0", "--out", "s.npy"], &["--steps", ">= 1"]),
    (&["sample", "taken", "--method", "magic", "--out", "s.npy"], &["magic"]),
    (&["eval", "taken", "--n", "1"], &["--n", ">= 2"]),
    (&["eval", "taken", "--n", "many"], &["many"]),
    (&["report", "absent"], &["absent", "no such run directory"]),
];

fn check(dir: &Path, (arguments, words): &Case) {
    let before = listing(dir);
    let output = ndsm(dir, arguments);
    let sentence = String::from_utf8(output.stderr).expect("text");
    assert_eq!(output.status.code(), Some(2), "{arguments:?}: {sentence}");
    assert!(sentence.starts_with("error: ") && sentence.ends_with('\n'), "{arguments:?}: {sentence}");
    assert_eq!(sentence.lines().count(), 1, "{arguments:?}: {sentence}");
    assert!(!sentence.contains("panicked") && !sentence.contains("RUST_BACKTRACE"), "{arguments:?}: {sentence}");
    for word in *words {
        assert!(sentence.contains(word), "{arguments:?}: no {word:?} in: {sentence}");
    }
    assert!(output.stdout.is_empty(), "{arguments:?}: something on standard output");
    assert_eq!(listing(dir), before, "{arguments:?}: something was written");
}

#[test]
fn wrong_arguments_and_settings_are_refused() {
    let dir = tempfile::tempdir().expect("a temporary directory");
    bad_files(dir.path());
    for case in ARGUMENTS {
        check(dir.path(), case);
    }
}

/// Data files.
const FILES: &[Case] = &[
    (&["train", "--set", "data.name=npy", "--set", "data.path=absent.npy"], &["absent.npy"]),
    (&["train", "--set", "data.name=npy", "--set", "data.path=truncated.npy"], &["truncated.npy"]),
    (&["train", "--set", "data.name=npy", "--set", "data.path=oversized.npy"], &["oversized.npy"]),
    (&["train", "--set", "data.name=npy", "--set", "data.path=nan.npy"], &["nan.npy"]),
    (&["train", "--set", "data.name=npy", "--set", "data.path=noise.npy"], &["noise.npy"]),
    (&["train", "--set", "data.name=npy", "--set", "data.path=other"], &["other"]),
    (&["train", "--set", "data.name=csv", "--set", "data.path=ragged.csv"], &["ragged.csv"]),
    (&["train", "--set", "data.name=csv", "--set", "data.path=words.csv"], &["words.csv"]),
    (&["train", "--set", "data.name=csv", "--set", "data.path=nan.csv"], &["nan.csv"]),
    (&["train", "--set", "data.name=csv", "--set", "data.path=empty.csv"], &["empty.csv"]),
    (&["train", "--set", "data.name=idx", "--set", "data.path=short-idx3-ubyte"], &["short-idx3-ubyte"]),
    (&["train", "--set", "data.name=idx", "--set", "data.path=magic-idx3-ubyte"], &["magic-idx3-ubyte"]),
    (&["train", "--set", "data.name=idx", "--set", "data.path=other"], &["other"]),
    (&["train", "--set", "data.name=csv", "--set", "data.path=few.csv", "--set", "reference.components=50"], &["50"]),
    (&["train", "--set", "data.n=100000"], &["data.n"]),
    (&["train", "--set", "data.name=csv", "--set", "data.path=few.csv", "--set", "data.latent=9"], &["data.latent"]),
];

#[test]
fn files_that_are_not_what_they_claim_are_refused() {
    let dir = tempfile::tempdir().expect("a temporary directory");
    bad_files(dir.path());
    for case in FILES {
        check(dir.path(), case);
    }
}
