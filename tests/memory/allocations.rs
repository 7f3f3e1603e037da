//! Steps of training and of solvers allocate nothing after the first one.

use crate::counting::COUNT;
use crate::training::{self, Training};
use ndsm::config::{Config, Setting};
use ndsm::nn::{Autoencoder, Inference, Pixels, ScoreNet, Sizes};
use ndsm::optim::{Adam, Decay, Schedule};
use ndsm::rng::{Purpose, Stream};
use ndsm::sde::Paths;
use ndsm::sde::brownian::Tree;
use ndsm::sde::ode::{DormandPrince, Explicit};
use ndsm::train::prepare;

/// Normals for an input of this many numbers.
fn normals(len: usize, chunk: u32) -> Vec<f32> {
    let mut v = vec![0.0; len];
    Stream::new(0, Purpose::Test, 0, chunk).fill_normal(&mut v);
    v
}

/// A hundred steps and, behind each, `also`; steps 2 to 100 must not allocate, and must train.
fn check(mut training: Training, mut also: impl FnMut(&[f32])) {
    let mut losses = [0.0; 100];
    let mut step = |loss: &mut f64| {
        *loss = training.step().unwrap();
        also(&training.params);
    };
    step(&mut losses[0]);
    let before = COUNT.get();
    losses[1..].iter_mut().for_each(step);
    let after = COUNT.get();
    assert_eq!(after - before, 0, "steps 2 to 100 allocated");
    assert!(losses[99] < 0.9 * losses[0], "{losses:?}");
}

/// Everything that Adam can do.
fn adam() -> Adam {
    let schedule = Schedule::new(2e-3, 5, 200, Decay::Cosine).unwrap();
    Adam { clip: Some(1.0), ema: Some(0.99), weight_decay: 0.01, ..Adam::new(schedule) }
}

#[test]
fn steps_of_a_perceptron_and_its_inference_allocate_nothing() {
    let net = ScoreNet::new(2, 32, 3, 6).unwrap();
    let n = 100;
    let batch = vec![normals(n * net.inputs(), 0), vec![0.7; n], normals(n * 2, 1)];
    let params = net.init(0);
    let mut inference = Inference::new(&net, &params).unwrap();
    let (rows, mut out) = (normals(n * net.inputs(), 0), vec![0.0; n * 2]);
    check(Training::new(training::mlp(&net, n).unwrap(), batch, 1, params, adam()).unwrap(), |params| {
        inference.load(params).unwrap();
        inference.run(&rows, &mut out).unwrap();
    });
}

#[test]
fn steps_with_dropout_allocate_nothing() {
    let n = 100;
    for kind in ndsm::nn::ARCHITECTURES {
        let pixels = kind.images.then_some(Pixels { shape: [1, 2, 1], maps: None });
        let sizes =
            Sizes { dim: 2, width: 32, depth: 2, frequencies: 6, dropout: 0.1, multipliers: vec![1], stem: 1, pixels, ..Sizes::default() };
        let net = (kind.network)(&sizes).unwrap();
        let batch = vec![normals(n * net.inputs(), 0), vec![0.7; n], normals(n * 2, 1)];
        let training = Training::new(training::mlp(&net, n).unwrap(), batch, 1, net.init(0), adam()).unwrap();
        check(training.with_dropout(n), |_| {});
    }
}

#[test]
fn the_score_of_a_point_allocates_nothing() {
    for (kind, sde, form) in [("mlp", "langevin", "residual"), ("residual", "langevin", "scaled"), ("mlp", "ve", "plain")] {
        let mut settings = vec![Setting::new("data.name", "moons"), Setting::new("data.n", 300usize)];
        settings.extend(
            [("network.kind", kind), ("sde.kind", sde), ("network.parametrisation", form), ("train.keep", "last")]
                .map(|(k, v)| Setting::new(k, v)),
        );
        let prepared = prepare(&Config::resolve(&settings).unwrap()).unwrap();
        let mut trainer = prepared.trainer::<f32>().unwrap();
        // Before its first step the network is zero, and so is a score without a guide.
        trainer.step().unwrap();
        let mut generator = prepared.generator(&trainer).unwrap();
        let (mut score, mut sum) = ([0.0; 2], 0.0);
        generator.score_into(0.5, &[0.0, 0.0], &mut score).unwrap();
        let before = COUNT.get();
        for i in 0..100 {
            generator.score_into(0.01 * f64::from(i + 1), &[0.1 * f64::from(i), 1.0], &mut score).unwrap();
            sum += score[0] + score[1];
        }
        assert_eq!(COUNT.get() - before, 0, "{kind} {sde} {form}");
        assert!(sum.is_finite() && sum != 0.0);
    }
}

#[test]
fn steps_of_a_unet_allocate_nothing() {
    let net = training::unet([8, 4, 2], 8, &[1, 2]).unwrap();
    let n = 6;
    let batch = vec![normals(n * net.inputs(), 0), normals(n * 64, 1)];
    check(Training::new(training::regression(&net, n).unwrap(), batch, 1, net.init(0), adam()).unwrap(), |_| {});
}

#[test]
fn steps_of_an_autoencoder_allocate_nothing() {
    let net = Autoencoder::new([8, 12, 1], 6, 5).unwrap();
    let n = 7;
    let batch = vec![normals(n * 96, 0)];
    check(Training::new(training::autoencoder(&net, n).unwrap(), batch, 1, net.init(0), adam()).unwrap(), |_| {});
}

#[test]
fn a_brownian_path_allocates_nothing() {
    let tree = Tree::new(Paths { seed: 0, purpose: Purpose::Test, step: 0 }, &[0.0, 0.3, 1.0]).unwrap();
    let (mut cursor, mut clocks) = (tree.cursor::<f64>(0, 2), tree.clocks::<f64>(0, 2));
    let [mut w, mut h, mut k] = [[[0.0; 16]; 2]; 3];
    let before = COUNT.get();
    for n in 0..1000 {
        let (s, u) = (f64::from(n) / 1000.0, f64::from(n + 1) / 1000.0);
        cursor.query(s, u, &mut w, &mut h, &mut k).unwrap();
        clocks.query(&[s; 16], &[u; 16], &mut w, &mut h, &mut k).unwrap();
    }
    assert_eq!(COUNT.get(), before);
}

#[test]
fn steps_of_ordinary_equations_allocate_nothing() {
    let mut field = |t: f64, x: &[f64], v: &mut [f64]| {
        v.iter_mut().zip(x).for_each(|(v, x)| *v = t - x * x);
        Ok(())
    };
    let times: Vec<f64> = (0..=50).map(|i| f64::from(i) * 0.2).collect();
    let mut x: Vec<f64> = (0..1000).map(|i| 1e-3 * f64::from(i)).collect();
    for adaptive in [false, true] {
        let (mut first, mut last) = (0, 0);
        let mut seen = |i: usize, _: &[f64]| {
            last = COUNT.get();
            if i == 0 {
                first = last;
            }
        };
        if adaptive {
            DormandPrince::new(1e-8, 1e-8).unwrap().solve(&mut field, 2, &mut x, &times, &mut seen).unwrap();
        } else {
            Explicit::RK4.solve(&mut field, 2, &mut x, &times, &mut seen).unwrap();
        }
        assert_eq!(last - first, 0, "adaptive: {adaptive}");
    }
}
