//! Whole runs of the program: what it leaves, and that neither threads nor a kill change a byte of it.

use std::fs;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

const SMALL: &[&str] = &[
    "--set",
    "data.name=four-modes",
    "--set",
    "data.n=300",
    "--set",
    "network.width=16",
    "--set",
    "network.depth=2",
    "--set",
    "train.batch=300",
];

fn program(dir: &Path) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_ndsm"));
    command.current_dir(dir).stdout(Stdio::piped()).stderr(Stdio::piped());
    command
}

/// Runs to the end; returns standard output.
fn ok(dir: &Path, arguments: &[&str]) -> String {
    let out = program(dir).args(arguments).output().expect("the program starts");
    assert!(out.status.success(), "{arguments:?}: {}", String::from_utf8_lossy(&out.stderr));
    String::from_utf8(out.stdout).expect("text")
}

fn train(dir: &Path, more: &[&str]) -> String {
    ok(dir, &[&["train"], SMALL, more].concat())
}

fn samples(run: &Path) -> Vec<u8> {
    fs::read(run.join("samples.npy")).expect("samples.npy")
}

#[test]
fn a_run_leaves_everything_and_the_other_commands_take_it_from_there() {
    let dir = tempfile::tempdir().unwrap();
    let run = dir.path().join("run");
    train(dir.path(), &["--set", "train.steps=30", "--set", "train.diagnose=true", "--out", "run"]);
    for file in ["config.toml", "metrics.jsonl", "checkpoint.safetensors", "samples.npy", "report.html", "summary.json"] {
        assert!(run.join(file).metadata().is_ok_and(|m| m.len() > 0), "{file}");
    }
    for picture in ["samples", "score", "paths", "loss", "variance-time", "variance-step"] {
        assert!(fs::read(run.join(format!("pictures/{picture}.png"))).is_ok_and(|b| b.starts_with(b"\x89PNG")), "{picture}");
    }
    let log = fs::read_to_string(run.join("metrics.jsonl")).unwrap();
    assert!(log.lines().count() == 30 && log.matches("\"gradient_variance_none\"").count() == 8 * 30);
    let report = fs::read_to_string(run.join("report.html")).unwrap();
    assert!(report.contains("data:image/png;base64,") && !report.contains("http://") && !report.contains("src=\"http"));

    ok(dir.path(), &["sample", "run", "--n", "50", "--seed", "3", "--method", "pc", "--steps", "4", "--out", "more.npy"]);
    assert_eq!(fs::read(dir.path().join("more.npy")).unwrap().len(), 128 + 50 * 2 * 4);
    let json: serde_json::Value = serde_json::from_str(&ok(dir.path(), &["eval", "run", "--n", "200", "--json"])).expect("one object");
    for key in ["n", "seed", "mode_weight_tv", "sliced_w2", "energy_distance", "mmd2", "outlier_share", "nll_exact", "seconds"] {
        assert!(json[key].is_number(), "{key} in {json}");
    }
    for key in ["recall", "memorisation_ratio"] {
        for rival in ["smoothed", "closed_form", "bridge"] {
            assert!(json[format!("{key}_{rival}")].is_number(), "{key} of {rival} in {json}");
        }
    }
    fs::remove_file(run.join("report.html")).unwrap();
    ok(dir.path(), &["report", "run"]);
    assert!(run.join("report.html").is_file());
    let csv = ok(dir.path(), &["report", "run", "--csv"]);
    assert!(csv.lines().count() == 31 && csv.starts_with("step,") && csv.contains("held_out_gain"), "{csv}");
    let seen = ok(dir.path(), &["inspect", "run"]);
    for words in ["steps ", "30 of 30", "data.name", "four-modes", "whole: its hash", "model.layers.0.weight", "F32   [14, 16]"] {
        assert!(seen.contains(words), "{words:?} is missing in {seen}");
    }
    assert!(ok(dir.path(), &["man", "train"]).contains("ndsm") && ok(dir.path(), &["completions", "fish"]).contains("inspect"));
}

#[test]
fn threads_do_not_change_a_byte() {
    let dir = tempfile::tempdir().unwrap();
    let run = |threads: &str| {
        train(dir.path(), &["--set", "train.steps=40", "--threads", threads, "--out", threads]);
        let run = dir.path().join(threads);
        (samples(&run), fs::read(run.join("metrics.jsonl")).unwrap())
    };
    let one = run("1");
    assert!(one == run("2"), "2 threads");
    assert!(one == run("4"), "4 threads");
}

#[test]
fn a_killed_run_resumes_to_the_same_bytes() {
    let dir = tempfile::tempdir().unwrap();
    // Long enough to be met alive after its first checkpoint, short enough to be run twice.
    let long = ["--set", "train.steps=2000", "--set", "train.checkpoint_every=50"];
    train(dir.path(), &[&long[..], &["--out", "whole"]].concat());
    let arguments = [&["train"], SMALL, &long[..], &["--out", "killed"]].concat();
    let mut child = program(dir.path()).args(&arguments).spawn().expect("the program starts");
    let (killed, started) = (dir.path().join("killed"), Instant::now());
    while !killed.join("checkpoint.safetensors").is_file() {
        assert!(started.elapsed() < Duration::from_secs(120), "no checkpoint appeared");
        std::thread::sleep(Duration::from_millis(2));
    }
    child.kill().expect("SIGKILL"); // std's kill is SIGKILL on Unix
    child.wait().expect("an end");
    assert!(!killed.join("samples.npy").exists(), "it was killed before its end");
    ok(dir.path(), &["train", "--resume", "--out", "killed"]);
    assert!(samples(&killed) == samples(&dir.path().join("whole")), "samples differ");
    let log = |run: &str| fs::read_to_string(dir.path().join(run).join("metrics.jsonl")).unwrap();
    assert!(log("killed") == log("whole"), "logs differ");
}

/// A program trains the first steps of a run, and the command line the rest; the run has the bytes of one
/// that was not broken off, and the program has its samples.
#[test]
fn a_saved_model_is_taken_up_by_the_command_line_and_back() {
    use ndsm::config::{Config, Setting};
    use ndsm::train::{Checkpoint, Generator, prepare};
    let dir = tempfile::tempdir().unwrap();
    let more = ["--set", "network.kind=residual", "--set", "train.steps=60", "--set", "train.warmup=5"];
    let whole = dir.path().join("whole");
    train(dir.path(), &[&more[..], &["--out", "whole"]].concat());

    let given = [SMALL, &more[..]].concat();
    let pairs = given.iter().filter_map(|s| s.split_once('='));
    let settings: Vec<Setting> = pairs
        .map(|(key, value)| value.parse::<usize>().map_or_else(|_| Setting::new(key, value), |number| Setting::new(key, number)))
        .collect();
    let prepared = prepare(&Config::resolve(&settings).unwrap()).unwrap();
    let mut trainer = prepared.trainer::<f32>().unwrap();
    (0..25).for_each(|_| drop(trainer.step().unwrap()));
    let saved = dir.path().join("saved");
    Checkpoint::of(&prepared, &trainer).save(&saved).unwrap();
    ok(dir.path(), &["train", "--resume", "--out", "saved"]);
    assert!(samples(&saved) == samples(&whole), "samples differ");

    for (method, name) in [(ndsm::sample::Method::Ode, "ode"), (ndsm::sample::Method::Sde, "sde")] {
        ok(dir.path(), &["sample", "whole", "--n", "50", "--seed", "3", "--method", name, "--out", "x.npy"]);
        let here = Generator::<f32>::load(&whole).unwrap().sample(50, 3, method, None).unwrap();
        let bytes: Vec<u8> = here.iter().flat_map(|x| (*x as f32).to_le_bytes()).collect();
        assert!(fs::read(dir.path().join("x.npy")).unwrap()[128..] == bytes, "{name}");
    }
    // The checkpoint of one kind of network under the configuration of another.
    train(dir.path(), &["--set", "train.steps=2", "--out", "mlp"]);
    fs::copy(whole.join("checkpoint.safetensors"), dir.path().join("mlp/checkpoint.safetensors")).unwrap();
    let out = program(dir.path()).args(["sample", "mlp", "--out", "y.npy"]).output().unwrap();
    let sentence = String::from_utf8_lossy(&out.stderr).into_owned();
    assert!(out.status.code() == Some(2) && sentence.lines().count() == 1, "{sentence}");
    assert!(sentence.contains("network.kind: must be \"residual\" as in mlp/checkpoint.safetensors, got \"mlp\""), "{sentence}");
}

/// Trains `steps=5` with `settings` and draws 20 finite samples by each method.
fn trains_and_generates(dir: &Path, name: &str, settings: &[String], methods: &[&str]) {
    let set: Vec<&str> = settings.iter().flat_map(|s| ["--set", s]).collect();
    train(dir, &[&set[..], &["--set", "train.steps=5", "--out", name]].concat());
    for method in methods {
        ok(dir, &["sample", name, "--n", "20", "--steps", "3", "--method", method, "--out", "x.npy"]);
        // A run in f64 leaves samples in f64.
        let double = settings.iter().any(|s| s == "train.precision=f64");
        assert_eq!(fs::metadata(dir.join("x.npy")).expect("x.npy").len(), 128 + 20 * 2 * if double { 8 } else { 4 });
        let x = ndsm::data::npy::read(&dir.join("x.npy")).expect("finite numbers").values;
        assert_eq!(x.dim(), (20, 2), "{settings:?} {method}");
    }
}

const METHODS: &[&str] = &["ode", "sde", "pc"];

#[test]
fn every_process_objective_and_control_that_fit_train_and_generate() {
    use ndsm::config::{Config, Control, ObjectiveKind, SdeKind, Setting};
    let dir = tempfile::tempdir().unwrap();
    let mut counts = Vec::new();
    for sde in SdeKind::ALL {
        let mut fitting = 0;
        for objective in ObjectiveKind::ALL {
            // A control does not know where its draws come from: all of them once, some of them everywhere.
            let chain = *objective == ObjectiveKind::Ndsm && *sde == SdeKind::Langevin;
            for control in Control::ALL.iter().filter(|c| chain || matches!(c, Control::Auto | Control::Gated | Control::None)) {
                let pairs = [("sde.kind", sde.name()), ("objective.kind", objective.name()), ("objective.control", control.name())];
                let settings: Vec<Setting> = pairs.iter().map(|(key, value)| Setting::new(key, *value)).collect();
                if Config::resolve(&settings).is_err() {
                    continue;
                }
                fitting += 1;
                let settings: Vec<String> = pairs.iter().map(|(key, value)| format!("{key}={value}")).collect();
                let methods = if *objective == ObjectiveKind::ComponentFlow { &METHODS[..1] } else { METHODS };
                let name = format!("{}-{}-{}", sde.name(), objective.name(), control.name());
                trains_and_generates(dir.path(), &name, &settings, methods);
            }
        }
        counts.push((sde.name(), fitting));
    }
    // Only "langevin" has a component flow, only "straight" flow matching; the three implicit objectives have no
    // control.
    assert_eq!(counts, [("langevin", Control::ALL.len() + 9), ("vp", 9), ("ve", 9), ("sub-vp", 9), ("straight", 12)]);
}

#[test]
fn every_grid_transition_parametrisation_and_precision_trains_and_generates() {
    let dir = tempfile::tempdir().unwrap();
    let euler = "objective.transition=euler sde.horizon=1 sde.steps=30 train.times_per_path=3";
    for (name, settings) in [
        ("uniform", format!("{euler} sde.grid=uniform")),
        ("quadratic", format!("{euler} sde.grid=quadratic objective.control=self")),
        ("geometric", "sde.grid=geometric objective.time_sampling=grid sde.steps=6".to_owned()),
        ("linearised", "objective.transition=local-linear sde.grid=per-path train.times_per_path=2".to_owned()),
        ("f64", "train.precision=f64 train.ema=0 train.clip=0 train.weight_decay=0.1".to_owned()),
        ("residual", "network.kind=residual".to_owned()),
        ("plain", "network.parametrisation=plain".to_owned()),
        ("scaled", "network.parametrisation=scaled objective.weighting=uniform train.schedule=constant".to_owned()),
        ("spherical", "reference.covariance=spherical objective.kind=dsm".to_owned()),
        ("diagonal", "reference.covariance=diagonal reference.floor=0".to_owned()),
        ("tied", "reference.covariance=tied".to_owned()),
        ("low-rank", "reference.covariance=low-rank reference.rank=1".to_owned()),
        ("ou", "sde.kind=ou".to_owned()),
    ] {
        let settings: Vec<String> = settings.split(' ').map(str::to_owned).collect();
        trains_and_generates(dir.path(), name, &settings, METHODS);
    }
}

/// The bytes of a safetensors file with one tensor of f64 after the other, and its metadata.
fn safetensors(tensors: &[(&str, &[usize], &[f64])], metadata: &str) -> Vec<u8> {
    let (mut header, mut at) = (format!("{{\"__metadata__\":{metadata}"), 0);
    for (name, shape, values) in tensors {
        header += &format!(",\"{name}\":{{\"dtype\":\"F64\",\"shape\":{shape:?},\"data_offsets\":[{at},{}]}}", at + 8 * values.len());
        at += 8 * values.len();
    }
    header += "}";
    let mut bytes = (header.len() as u64).to_le_bytes().to_vec();
    bytes.extend(header.bytes());
    bytes.extend(tensors.iter().flat_map(|(_, _, values)| values.iter()).flat_map(|v| v.to_le_bytes()));
    bytes
}

/// What `fit` writes is what `train` would have fitted: the same bytes come of it. A checkpoint and a file
/// made elsewhere serve, too.
#[test]
fn a_reference_from_a_file_is_the_one_that_was_fitted() {
    let dir = tempfile::tempdir().unwrap();
    let short = ["--set", "train.steps=5"];
    let said = ok(dir.path(), &[&["fit"], SMALL, &["--out", "reference"]].concat());
    for words in ["components: 4", "held out: -", "held out, one Gaussian: -", "chosen: sde.horizon = 3, 1.5 relaxation times"] {
        assert!(said.contains(words), "{words:?} is missing: {said}");
    }
    let page = fs::read_to_string(dir.path().join("reference/reference.html")).unwrap();
    assert!(page.contains("Numbers of components tried") && page.matches("<figure").count() == 2);
    train(dir.path(), &[&short[..], &["--out", "direct"]].concat());
    for (name, file) in [("fitted", "reference/reference.safetensors"), ("checkpoint", "direct/checkpoint.safetensors")] {
        let path = format!("reference.path={file}");
        train(dir.path(), &[&short[..], &["--set", "reference.kind=file", "--set", &path, "--out", name]].concat());
        assert!(samples(&dir.path().join(name)) == samples(&dir.path().join("direct")), "{name}");
    }
    // Two modes of a mixture that no fit has seen, in the units of the data.
    let mixture: [(&str, &[usize], &[f64]); 3] = [
        ("mixture.weights", &[2], &[0.75, 0.25]),
        ("mixture.means", &[2, 2], &[4.0, 4.0, -4.0, -4.0]),
        ("mixture.covariances", &[2], &[0.25, 0.25]),
    ];
    let own = dir.path().join("own.safetensors");
    fs::write(&own, safetensors(&mixture, "{\"covariance\":\"spherical\"}")).unwrap();
    let take = ["--set", "reference.kind=file", "--set", "reference.path=own.safetensors"];
    let said = ok(dir.path(), &[&["fit"], SMALL, &take[..], &["--out", "own"]].concat());
    assert!(said.contains("components: 2"), "{said}");
    let refused = |more: &[&str], words: &str| {
        let out = program(dir.path()).args([&["train"], SMALL, &take[..], more].concat()).output().unwrap();
        let sentence = String::from_utf8_lossy(&out.stderr).into_owned();
        assert!(out.status.code() == Some(2) && sentence.contains(words), "{sentence}");
    };
    fs::write(&own, safetensors(&mixture, "{\"covariance\":\"round\"}")).unwrap();
    refused(&[], "`covariance` in the metadata must be spherical, diagonal, full, tied or low-rank, got \"round\"");
    fs::write(&own, safetensors(&mixture[..2], "{\"covariance\":\"full\"}")).unwrap();
    refused(&[], "lacks the tensor `mixture.covariances`");
    let line: [(&str, &[usize], &[f64]); 3] =
        [("mixture.weights", &[1], &[1.0]), ("mixture.means", &[1, 1], &[0.0]), ("mixture.covariances", &[1], &[1.0])];
    fs::write(&own, safetensors(&line, "{\"covariance\":\"spherical\"}")).unwrap();
    refused(&[], "holds a law in 1 dimensions, and the data have 2");
}

#[test]
fn the_example_configurations_run() {
    let dir = tempfile::tempdir().unwrap();
    let configs = Path::new(env!("CARGO_MANIFEST_DIR")).join("examples/configs");
    for entry in fs::read_dir(configs).expect("examples/configs").flatten() {
        let (file, name) = (entry.path(), entry.file_name().to_string_lossy().replace('.', "-"));
        let text = fs::read_to_string(&file).unwrap();
        if text.contains("data.path") || text.contains("path =") {
            continue; // its data are not here
        }
        ok(dir.path(), &["train", "--config", file.to_str().unwrap(), "--set", "train.steps=3", "--set", "train.warmup=1", "--out", &name]);
    }
}
