//! Wrong inputs end with exit code 2 and one clear sentence, and leave nothing behind.

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
    // An array of 1,000 x 2 that ends after 3 numbers; one that claims more than any machine has; one with
    // NaN.
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
    write("wide.csv", (0..10).map(|i| format!("{}{i}\n", "0,1,".repeat(50_000))).collect::<String>().as_bytes());
    // 28 x 28 x 1,000 images are announced and 16 bytes are there.
    write("short-idx3-ubyte", &[0, 0, 8, 3, 0, 0, 3, 0xe8, 0, 0, 0, 28, 0, 0, 0, 28, 1, 2, 3]);
    write("magic-idx3-ubyte", &[9, 9, 9, 9, 0, 0, 0, 1]);
    write("constant.csv", "1,2\n".repeat(50).as_bytes());
    write("three.csv", "1,2\n3,4\n-1,0\n".repeat(30).as_bytes());
    write("huge.csv", b"1e300,2\n-1e300,3\n1e299,4\n2e300,5\n5,6\n");
    write("few.csv", b"1,2\n3,4\n5,6\n7,8\n9,10\n11,12\n");
    fs::create_dir(dir.join("taken")).expect("a writable directory");
    write("taken/config.toml", b"");
    fs::create_dir(dir.join("other")).expect("a writable directory");
    write("other/notes.txt", b"");
}

/// Arguments, and words that the sentence must contain.
type Case<'a> = (&'a [&'a str], &'a [&'a str]);

/// The command line and the configuration.
const ARGUMENTS: &[Case<'static>] = &[
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
    (&["train", "--set", "sde.horizon=-1"], &["sde.horizon"]),
    (&["train", "--set", "data.name=ring", "--set", "sde.t_min=5"], &["sde.t_min: must be < sde.horizon = 3, got 5"]),
    (&["train", "--set", "sde.t_min=5", "--set", "sde.horizon=4"], &["sde.t_min", "sde.horizon"]),
    (&["train", "--set", "sde.t_min=1e-30"], &["sde.t_min", "1e-16"]),
    (&["train", "--set", "sde.horizon=1e5"], &["sde.horizon", "<= 700"]),
    (&["train", "--set", "reference.kind=gaussian", "--set", "reference.components=3"], &["reference.components", "got 3"]),
    (&["train", "--set", "sde.kind=sub-vp", "--set", "objective.kind=component-flow"], &["component-flow", "langevin"]),
    (&["train", "--set", "reference.kind=file"], &["reference.path", "needs the file"]),
    (&["train", "--set", "reference.path=x"], &["reference.path", "mixture"]),
    (&["train", "--set", "data.name=ring", "--set", "reference.covariance=low-rank"], &["rank: must be < 2, the dimension, got 8"]),
    (&["fit", "--out", "taken"], &["taken", "exists already"]),
    (&["fit", "--set", "reference.rank=0"], &["reference.rank", ">= 1"]),
    (&["train", "--set", "data.name=ring", "--set", "reference.group=e8"], &["reference.group", "c<n>"]),
    (&["train", "--set", "reference.group=c4"], &["reference.group", "data.latent = 0"]),
    (&["train", "--set", "network.kind=unet", "--set", "data.name=moons"], &["network.kind", "needs points that are images", "moons"]),
    (&["train", "--set", "network.kind=unet", "--set", "data.latent=8"], &["network.kind", "needs pixels", "data.latent = 0, got 8"]),
    (
        &["fit", "--set", "network.kind=unet", "--set", "network.multipliers=[1,1,1,1,1]", "--set", "data.latent=0"],
        &["network.multipliers", "at most as many levels as halve the images", "8 x 8"],
    ),
    (&["train", "--set", "network.stem=2"], &["network.stem", "only network.kind = \"unet\" takes it"]),
    (&["train", "--set", "encoder.kind=vae", "--set", "data.name=moons"], &["encoder.kind", "needs points that are images", "moons"]),
    (&["train", "--set", "encoder.kind=none", "--set", "data.latent=3"], &["data.latent", "encoder.kind = \"none\", got 3"]),
    (
        &["train", "--set", "encoder.kind=autoencoder", "--set", "train.augment=mirror"],
        &["train.augment", "encoder.kind = \"autoencoder\""],
    ),
    (&["reproduce", "latent", "--shard", "3/2"], &["--shard", "1 <= I <= N", "3/2"]),
    (&["reproduce", "images", "--group", "clusters"], &["--group", "small-sets, imbalance, symmetry", "clusters"]),
    (&["reproduce", "images", "--side", "3"], &["--side", ">= 4", "3"]),
    (&["reproduce", "low-dim", "--side", "14"], &["--side", "latent and images"]),
    (&["train", "--set", "sde.isotropy=1.5"], &["sde.isotropy", "<= 1", "1.5"]),
    (&["reproduce", "everything"], &["low-dim, images or latent", "everything"]),
    (&["train", "--set", "objective.control=slef"], &["\"self\""]),
    (
        &["train", "--set", "objective.transition=euler", "--set", "sde.grid=per-path", "--set", "reference.covariance=full"],
        &["unstable", "sde.grid = \"uniform\""],
    ),
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
    (&["train", "--out", "/proc/no-place/run"], &["cannot be made"]),
    (&["sample", "absent", "--out", "s.npy"], &["absent", "no such run directory"]),
    (&["sample", "other", "--out", "s.npy"], &["other", "config.toml"]),
    (&["sample", "taken", "--out", "s.npy"], &["checkpoint.safetensors"]),
    (&["sample", "taken", "--out", "no/such/s.npy"], &["s.npy", "cannot be written"]),
    (&["sample", "taken", "--n", "-5", "--out", "s.npy"], &["--n", "got -5"]),
    (&["sample", "taken", "--n", "0", "--out", "s.npy"], &["--n", ">= 1", "got 0"]),
    (&["sample", "taken", "--out", "other"], &["other", "directory"]),
    (&["sample", "taken", "--out", "/proc/s.npy"], &["/proc/s.npy", "cannot be written"]),
    (&["sample", "taken", "--steps", "0", "--out", "s.npy"], &["--steps", ">= 1"]),
    (&["sample", "taken", "--method", "magic", "--out", "s.npy"], &["magic"]),
    (&["eval", "taken", "--n", "1"], &["--n", ">= 2"]),
    (&["eval", "taken", "--n", "many"], &["many"]),
    (&["report", "absent"], &["absent", "no such run directory"]),
    (&["report", "taken", "absent"], &["absent", "no such run directory"]),
    (&["report", "taken", "taken"], &["taken", "is given twice"]),
    (&["report", "taken", "--out", "page.html"], &["--out", "is for several runs"]),
    (&["report", "taken", "--csv", "--out", "page.html"], &["--csv"]),
    (&["inspect", "absent"], &["absent", "must be a run directory, or a file"]),
    (&["inspect", "noise.npy"], &["noise.npy"]),
    (&["inspect", "other"], &["other", "config.toml"]),
    (&["export", "taken", "--out", "m.onnx"], &["checkpoint.safetensors"]),
    (&["export", "taken", "--out", "other"], &["other", "cannot be written"]),
    (&["man", "magic"], &["one of \"train\"", "magic"]),
    (&["completions", "magic"], &["magic", "bash"]),
    (&["train", "-q", "-v"], &["--quiet", "--verbose"]),
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

/// Data files, and data that the rest of the configuration does not fit. What each reader says about a row or
/// column is tested in `data_files.rs`.
const FILES: &[Case<'static>] = &[
    (&["train", "--set", "data.name=npy", "--set", "data.path=absent.npy"], &["absent.npy", "no such file"]),
    (&["train", "--set", "data.name=npy", "--set", "data.path=truncated.npy"], &["truncated.npy", "8000 bytes"]),
    (&["train", "--set", "data.name=npy", "--set", "data.path=oversized.npy"], &["oversized.npy", "9999999999 x 9999999999"]),
    (&["train", "--set", "data.name=npy", "--set", "data.path=nan.npy"], &["nan.npy", "row 2", "NaN"]),
    (&["train", "--set", "data.name=npy", "--set", "data.path=noise.npy"], &["noise.npy", "NUMPY"]),
    (&["train", "--set", "data.name=npy", "--set", "data.path=other"], &["other", "directory"]),
    (&["train", "--set", "data.name=csv", "--set", "data.path=ragged.csv"], &["ragged.csv", "line 3", "2 fields"]),
    (&["train", "--set", "data.name=csv", "--set", "data.path=words.csv"], &["words.csv", "line 2, column 2", "`four`"]),
    (&["train", "--set", "data.name=csv", "--set", "data.path=nan.csv"], &["nan.csv", "line 2, column 2"]),
    (&["train", "--set", "data.name=csv", "--set", "data.path=empty.csv"], &["empty.csv", "empty"]),
    (&["train", "--set", "data.name=idx", "--set", "data.path=short-idx3-ubyte"], &["short-idx3-ubyte", "bytes"]),
    (&["train", "--set", "data.name=idx", "--set", "data.path=magic-idx3-ubyte"], &["magic-idx3-ubyte"]),
    (&["train", "--set", "data.name=idx", "--set", "data.path=other"], &["other"]),
    (&["train", "--set", "data.name=csv", "--set", "data.path=few.csv", "--set", "reference.components=50"], &["at most the 4", "50"]),
    (&["train", "--set", "data.name=csv", "--set", "data.path=few.csv", "--set", "data.latent=9"], &["data.latent", "at most 2", "9"]),
    (&["train", "--set", "data.name=csv", "--set", "data.path=constant.csv"], &["all points are the same"]),
    (&["train", "--set", "data.name=csv", "--set", "data.path=huge.csv"], &["too large"]),
    (
        &[
            "train",
            "--set",
            "data.name=csv",
            "--set",
            "data.path=wide.csv",
            "--set",
            "reference.covariance=low-rank",
            "--set",
            "reference.rank=2",
        ],
        &["data: ", "100001 x 100001", "74.5 GiB", "data.latent"],
    ),
    (
        &["train", "--set", "data.name=csv", "--set", "data.path=three.csv", "--set", "reference.components=5"],
        &["5 components", "3 are different"],
    ),
    (&["train", "--set", "data.n=100000"], &["data.n", "1797 rows"]),
    (&["train", "--set", "reference.kind=file", "--set", "reference.path=absent"], &["absent: no such file"]),
    (&["fit", "--set", "reference.kind=file", "--set", "reference.path=noise.npy"], &["noise.npy", "not a whole reference"]),
    (
        &[
            "train",
            "--set",
            "data.name=four-modes",
            "--set",
            "objective.transition=euler",
            "--set",
            "sde.steps=2",
            "--set",
            "sde.horizon=9",
        ],
        &["sde.steps", "unstable", "component"],
    ),
];

#[test]
fn files_that_are_not_what_they_claim_are_refused() {
    let dir = tempfile::tempdir().expect("a temporary directory");
    bad_files(dir.path());
    for case in FILES {
        check(dir.path(), case);
    }
}

/// A checkpoint with one tensor's first number replaced, the rest as it is.
fn with_first_number(checkpoint: &[u8], tensor: &str, x: f32) -> Vec<u8> {
    let start = 8 + u64::from_le_bytes(checkpoint[..8].try_into().expect("8 bytes")) as usize;
    let header: serde_json::Value = serde_json::from_slice(&checkpoint[8..start]).expect("a JSON header");
    let offset = header[tensor]["data_offsets"][0].as_u64().expect("an offset") as usize;
    let mut changed = checkpoint.to_vec();
    changed[start + offset..start + offset + 4].copy_from_slice(&x.to_le_bytes());
    changed
}

/// A run of which something is broken, or that is to go on as another one.
#[test]
fn runs_that_are_broken_or_not_the_same_are_refused() {
    let place = tempfile::tempdir().expect("a temporary directory");
    let dir = place.path();
    let points: String = (0..60).map(|i| format!("{},{}\n", f64::sin(i as f64), f64::cos(1.7 * i as f64))).collect();
    fs::write(dir.join("points.csv"), &points).expect("a writable directory");
    fs::write(dir.join("others.csv"), points.replacen("0,1", "0,1.5", 1)).expect("a writable directory");
    let small = "--set train.steps=3 --set network.width=8 --set reference.components=2 --set train.batch=16";
    for own in [
        "--out run --set data.name=csv --set data.path=points.csv",
        "--out flow --set data.name=four-modes --set objective.kind=component-flow",
    ] {
        let trained = ndsm(dir, &format!("train {small} {own}").split_whitespace().collect::<Vec<_>>());
        assert!(trained.status.success(), "{}", String::from_utf8_lossy(&trained.stderr));
    }
    for (arguments, words) in [
        (&["train", "--out", "run"][..], &["--resume"][..]),
        (&["train", "--out", "run", "--resume", "--set", "network.width=16"], &["network.width: must be 8", "got 16", "--out"]),
        (&["train", "--out", "run", "--resume", "--set", "train.seed=1"], &["train.seed"]),
        (&["train", "--out", "run", "--resume", "--set", "train.precision=f64"], &["train.precision"]),
        (&["train", "--out", "run", "--resume", "--set", "reference.floor=0.5"], &["reference.floor"]),
        (&["train", "--out", "run", "--resume", "--set", "data.path=others.csv"], &["data", "differ", "checkpoint"]),
        (&["train", "--out", "run", "--resume", "--set", "data.path=absent.csv"], &["absent.csv", "no such file"]),
        (&["sample", "flow", "--method", "sde", "--out", "s.npy"], &["--method", "velocity", "ode"]),
        (&["sample", "flow", "--method", "pc", "--out", "s.npy"], &["--method", "velocity", "ode"]),
        (&["sample", "run", "--n", "99999999999", "--out", "s.npy"], &["--n", "<= 100000000"]),
        (&["sample", "run", "--out", "run"], &["run", "directory"]),
    ] {
        check(dir, &(arguments, words));
    }
    // The same refusals from whatever reads a checkpoint.
    let checkpoint = dir.join("run/checkpoint.safetensors");
    let good = fs::read(&checkpoint).expect("a checkpoint");
    let broken = [
        (good[..good.len() / 2].to_vec(), "not a whole checkpoint"),
        (good[..5].to_vec(), "not a whole checkpoint"),
        (Vec::new(), "is empty"),
        (b"garbage".repeat(1000), "not a whole checkpoint"),
        ([&[0xff; 8], &good[8..]].concat(), "not a whole checkpoint"),
        (with_first_number(&good, "model.layers.0.weight", f32::NAN), "is damaged"),
        (with_first_number(&good, "adam.v.layers.0.bias", 0.5), "is damaged"),
        (replaced(&good, b"adam.m.layers.0.bias", b"adam.m.layers.9.bias"), "is damaged"),
        (replaced(&good, b"ndsm 2", b"ndsm 1"), "format"),
    ];
    for (bytes, words) in broken {
        fs::write(&checkpoint, bytes).expect("a writable directory");
        let words = &["checkpoint.safetensors", words];
        check(dir, &(&["sample", "run", "--out", "s.npy"], words));
        check(dir, &(&["eval", "run"], words));
        check(dir, &(&["train", "--out", "run", "--resume"], words));
    }
    fs::write(&checkpoint, good).expect("a writable directory");
    fs::write(dir.join("points.csv"), points.replacen("0,1", "0,1.5", 1)).expect("a writable directory");
    check(dir, &(&["eval", "run"], &["data", "differ", "checkpoint"]));
    fs::write(dir.join("run/summary.json"), "{").expect("a writable directory");
    check(dir, &(&["report", "run"], &["summary.json"]));
}

/// `bytes` with the first occurrence of `old` replaced by `new`, of the same length.
fn replaced(bytes: &[u8], old: &[u8], new: &[u8]) -> Vec<u8> {
    let at = bytes.windows(old.len()).position(|w| w == old).expect("an occurrence");
    [&bytes[..at], new, &bytes[at + old.len()..]].concat()
}
