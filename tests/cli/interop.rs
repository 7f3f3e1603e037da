//! What other programs make of a run's files: its score in NumPy, its network in onnxruntime.
//!
//! By the Python that NDSM_PYTHON names, or `python3`; where that has no NumPy, or no onnxruntime, the test says so and
//! ends.

use ndarray::Array2;
use ndsm::config::{Config, file};
use ndsm::data::npy;
use ndsm::nn::Inference;
use ndsm::rng::{Purpose, Stream};
use ndsm::train::{Checkpoint, Generator, network};
use std::path::Path;
use std::process::Command;

fn python() -> Command {
    Command::new(std::env::var("NDSM_PYTHON").unwrap_or_else(|_| "python3".to_owned()))
}

/// Whether a module is there; says so where it is not.
fn has(module: &str) -> bool {
    let left_out = format!("{module} on the files of a run; Python does not have it here");
    crate::there(python().args(["-c", &format!("import {module}")]), &left_out)
}

fn run(command: &mut Command) {
    let out = command.output().expect("the program starts");
    assert!(out.status.success(), "{command:?}: {}", String::from_utf8_lossy(&out.stderr));
}

fn train(dir: &Path, settings: &str) {
    let small = "network.width=16 train.batch=64 train.steps=60 train.evaluate_every=20";
    let set = small.split(' ').chain(settings.split(' ')).flat_map(|s| ["--set", s]);
    run(Command::new(env!("CARGO_BIN_EXE_ndsm")).args(["train", "--out", "run"]).args(set).current_dir(dir));
}

fn normals(n: usize, d: usize) -> Array2<f64> {
    let mut x = Array2::zeros((n, d));
    Stream::new(3, Purpose::Test, 0, 0).fill_normal(x.as_slice_mut().unwrap());
    x
}

/// The largest difference, in units of the largest value.
fn difference(a: &Array2<f64>, b: &Array2<f64>) -> f64 {
    let most = b.iter().fold(0.0f64, |m, v| m.max(v.abs()));
    a.iter().zip(b).map(|(a, b)| (a - b).abs()).fold(0.0, f64::max) / most
}

#[test]
fn numpy_makes_the_same_score_of_a_checkpoint() {
    if !has("numpy") {
        return;
    }
    for settings in [
        "data.name=four-modes data.n=300 train.keep=last network.kind=mlp network.depth=2",
        "data.name=pinwheel data.n=400 train.keep=last network.kind=residual network.depth=2 reference.covariance=tied network.parametrisation=preconditioned",
        "data.name=digits network.kind=residual network.depth=1 network.parametrisation=scaled",
    ] {
        let dir = tempfile::tempdir().unwrap();
        train(dir.path(), settings);
        let mut generator = Generator::<f32>::load(dir.path().join("run")).unwrap();
        let d = if settings.contains("digits") { 24 } else { 2 };
        let x = 2.0 * normals(50, d);
        npy::write(&dir.path().join("x.npy"), x.view()).unwrap();
        for t in [0.03, 0.5, 2.0] {
            let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("examples/score_numpy.py");
            let arguments = ["run/checkpoint.safetensors", &t.to_string(), "x.npy", "score.npy"];
            run(python().arg(script).args(arguments).current_dir(dir.path()));
            let theirs = npy::read(&dir.path().join("score.npy")).unwrap().values;
            let ours = generator.score(t, x.view()).unwrap();
            assert!(difference(&theirs, &ours) <= 1e-5, "{settings}, t = {t}: {}", difference(&theirs, &ours));
        }
    }
}

#[test]
fn onnxruntime_makes_the_same_of_a_network() {
    if !has("numpy") || !has("onnxruntime") {
        return;
    }
    const SCRIPT: &str = "import numpy, onnxruntime\n\
        session = onnxruntime.InferenceSession('m.onnx')\n\
        numpy.save('y.npy', session.run(None, {'rows': numpy.load('rows.npy').astype('float32')})[0])";
    for settings in [
        "data.name=four-modes data.n=300 train.keep=last network.kind=mlp network.depth=2",
        "data.name=digits train.keep=last network.kind=residual network.depth=2 network.dropout=0.1",
        "data.name=digits data.latent=0 train.keep=last network.kind=unet network.depth=1 network.multipliers=[1,2] network.attention=true",
        "data.name=digits data.latent=0 train.keep=last network.kind=unet network.depth=2 network.multipliers=[1] network.stem=2",
    ] {
        let dir = tempfile::tempdir().unwrap();
        train(dir.path(), settings);
        run(Command::new(env!("CARGO_BIN_EXE_ndsm")).args(["export", "run", "--out", "m.onnx"]).current_dir(dir.path()));
        let config = Config::resolve(&file::read(&dir.path().join("run/config.toml")).unwrap()).unwrap();
        let checkpoint = Checkpoint::<f32>::read(&dir.path().join("run/checkpoint.safetensors"), &config).unwrap();
        let net = network(&checkpoint.config, &checkpoint.reference).unwrap();
        let rows = normals(7, net.inputs());
        npy::write(&dir.path().join("rows.npy"), rows.view()).unwrap();
        run(python().args(["-c", SCRIPT]).current_dir(dir.path()));
        let theirs = npy::read(&dir.path().join("y.npy")).unwrap().values;
        let (single, mut ours) = (rows.mapv(|v| v as f32), Array2::<f32>::zeros((7, net.dim())));
        let mut inference = Inference::new(&net, checkpoint.state.generating()).unwrap();
        inference.run(single.as_slice().unwrap(), ours.as_slice_mut().unwrap()).unwrap();
        let ours = ours.mapv(f64::from);
        assert!(ours.iter().any(|v| *v != 0.0) && difference(&theirs, &ours) <= 1e-5, "{settings}: {}", difference(&theirs, &ours));
    }
}
