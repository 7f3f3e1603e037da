//! What a generator makes of a state, and what a batch is made of.

use super::*;
use crate::config::{Config, Setting, Value};
use crate::mixture::{Covariances, Draw, Mixture};
use crate::rng::Purpose;
use crate::sample::Method;
use approx::assert_relative_eq;
use ndarray::{Array2, array};

fn settled(settings: &[(&str, Value)], reference: &Reference) -> Settled {
    let mut all =
        vec![Setting::new("data.name", "four-modes"), Setting::new("network.width", 16usize), Setting::new("train.batch", 24usize)];
    all.extend(settings.iter().map(|(key, value)| Setting::new(key, value.clone())));
    Settled::new(&Config::resolve(&all).unwrap(), reference, 40).unwrap()
}

/// Long components that lie obliquely: A is far from symmetric.
fn oblique() -> Mixture {
    let covariances = array![[[4.0, 1.8], [1.8, 1.0]], [[3.0, 0.9], [0.9, 0.5]]];
    Mixture::new(array![0.4, 0.6], array![[-2.0, 1.0], [3.0, 0.0]], Covariances::Full(covariances)).unwrap()
}

fn points(n: usize) -> Array2<f64> {
    oblique().sample(n, 1, Purpose::Test, Draw::Independent).unwrap().0
}

/// A network that says nothing yet has the score of the reference, in the units of the data: s_x = A^-T s_u,
/// row by row s_u A^-1.
#[test]
fn scores_are_those_of_the_data_units() {
    let (reference, x) = (Reference::from_mixture(&oblique(), 0.0).unwrap(), points(40));
    let inverse = reference.whitening.inverse();
    assert!((inverse[[0, 1]] - inverse[[1, 0]]).abs() > 0.5, "{inverse}");
    let trainer = Trainer::<f64>::new(&settled(&[], &reference), &reference, x.view()).unwrap();
    let got = trainer.generator(&reference).unwrap().score(0.3, x.view()).unwrap();
    let exact = oblique().score(x.view()).unwrap();
    assert_relative_eq!(got.as_slice().unwrap(), exact.as_slice().unwrap(), max_relative = 1e-9);
}

/// Generation is by the averaged parameters; by the last ones where there is no average.
#[test]
fn generation_is_by_the_averaged_parameters() {
    let reference = Reference::from_mixture(&oblique(), 0.0).unwrap();
    let config = settled(&[("calibration.moments", "none".into())], &reference);
    let mut trainer = Trainer::<f32>::new(&config, &reference, points(100).view()).unwrap();
    (0..5).for_each(|_| drop(trainer.step().unwrap()));
    let state = trainer.state();
    let only = |params: &[f32]| {
        let mut alone = state.clone();
        (alone.params, alone.optimiser.ema) = (params.to_vec(), Vec::new());
        Generator::new(&config, &reference, &alone).unwrap().sample(8, 0, Method::Ode, Some(4)).unwrap()
    };
    let got = trainer.generator(&reference).unwrap().sample(8, 0, Method::Ode, Some(4)).unwrap();
    assert_eq!(got, only(&state.optimiser.ema));
    assert!(got != only(&state.params));
}

/// x_0 of a batch, found again in the exact kernel's draws, whose mean is alpha(t) x_0: whatever takes the
/// rows, and where paths are used again.
#[test]
fn a_batch_is_that_of_its_draws() {
    let (reference, x) = (Reference::from_mixture(&oblique(), 0.0).unwrap(), points(50));
    for (sampling, reuse) in [("lattice", 1usize), ("shuffled", 1), ("shuffled", 3)] {
        let settings = [
            ("sde.kind", "sub-vp".into()),
            ("objective.kind", "dsm".into()),
            ("train.times_per_path", 3usize.into()),
            ("train.sampling", sampling.into()),
            ("train.reuse", reuse.into()),
        ];
        let mut trainer = Trainer::<f64>::new(&settled(&settings, &reference), &reference, x.view()).unwrap();
        let (scale, u) = (trainer.system().model.scale, reference.whitening.whiten(x.view()).unwrap());
        for step in [0, 1, 20, 3, 52] {
            let (rows, x0) = trainer.batch(step).unwrap();
            assert!(rows.len() == 24 && x0 == u.select(ndarray::Axis(0), &rows), "{sampling} {step}");
            let draws = trainer.draw(step).unwrap();
            assert_eq!(draws.len(), 72);
            for (i, t) in draws.times().iter().enumerate() {
                let mean = x0.row(i / 3).mapv(|x| scale.alpha(*t) * x);
                assert_relative_eq!(draws.draw(i).mean, mean.as_slice().unwrap(), max_relative = 1e-14);
            }
        }
    }
}

/// Dropout's masks have the name of the step: the same training on any number of threads and after a resume,
/// for every kind of objective; another one than without. What a generator makes has none.
#[test]
fn dropout_is_that_of_the_step() {
    let (reference, x) = (Reference::from_mixture(&oblique(), 0.0).unwrap(), points(100));
    for (kind, control) in [("ndsm", "antithetic"), ("ndsm", "gated"), ("dsm", "none"), ("sliced", "none"), ("implicit", "none")] {
        for network in ["mlp", "residual"] {
            let name = format!("{network} {kind} {control}");
            let config = |dropout: f64| {
                let text = [("objective.kind", kind), ("objective.control", control), ("network.kind", network)];
                let mut settings: Vec<(&str, Value)> = text.map(|(key, value)| (key, value.into())).to_vec();
                // Several blocks of rows, the last one not full.
                settings.extend([("train.batch", 270usize.into()), ("network.depth", 2usize.into()), ("network.dropout", dropout.into())]);
                settled(&settings, &reference)
            };
            let dropped = config(0.2);
            let run = |config: &Settled, threads: usize| {
                let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
                pool.install(|| {
                    let mut trainer = Trainer::<f32>::new(config, &reference, x.view()).unwrap();
                    (0..4).for_each(|_| drop(trainer.step().unwrap()));
                    trainer.state().clone()
                })
            };
            let state = run(&dropped, 1);
            assert!(state == run(&dropped, 2) && state == run(&dropped, 3), "{name}: threads");
            let mut killed = Trainer::<f32>::new(&dropped, &reference, x.view()).unwrap();
            (0..2).for_each(|_| drop(killed.step().unwrap()));
            let mut resumed = Trainer::resume(&dropped, &reference, x.view(), killed.state().clone()).unwrap();
            (0..2).for_each(|_| drop(resumed.step().unwrap()));
            assert!(state == *resumed.state(), "{name}: resume");
            let plain = run(&config(0.0), 1);
            assert!(state.params != plain.params, "{name}");
            // The gradient of a step is its own, and the same when asked again.
            let first = resumed.gradient(7).unwrap().to_vec();
            assert!(resumed.gradient(8).unwrap() != first && resumed.gradient(7).unwrap() == first, "{name}");
            let samples =
                |config: &Settled| Generator::new(config, &reference, &state).unwrap().sample(8, 0, Method::Ode, Some(4)).unwrap();
            assert_eq!(samples(&dropped), samples(&config(0.0)), "{name}");
        }
    }
}
