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
    Settled::new(&Config::resolve(&all).unwrap(), reference).unwrap()
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
    let config = settled(&[], &reference);
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
