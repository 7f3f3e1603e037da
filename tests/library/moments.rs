//! Samples with the moments of the noised law (eq. 21), whatever the network.

use ndarray::{Array1, Array2, ArrayView2, Axis, array};
use ndsm::config::{Config, Setting, Value};
use ndsm::linalg::Cholesky;
use ndsm::mixture::{Covariances, Draw, Mixture};
use ndsm::rng::{Purpose, Stream};
use ndsm::sample::{Gaussian, Method};
use ndsm::train::{DataMoments, Generator, Likelihood, Reference, Settled, State, Trainer};
use std::sync::Arc;

/// 4.42 standard deviations: 1e-5 of a normal law lie beyond.
const Z: f64 = 4.42;
/// Points of the run that maps are taken from.
const CALIBRATING: f64 = 16_384.0;

fn normal(d: usize) -> Mixture {
    let covariance = Array2::from_shape_fn((d, d), |(i, j)| if i == j { 1.0 + i as f64 } else { 0.6 });
    let mean = Array2::from_shape_fn((1, d), |(_, j)| j as f64 - 1.0);
    Mixture::new(array![1.0], mean, Covariances::Full(covariance.insert_axis(Axis(0)))).unwrap()
}

fn two_modes() -> Mixture {
    let covariances = array![[[4.0, 1.8], [1.8, 1.0]], [[3.0, 0.9], [0.9, 0.5]]];
    Mixture::new(array![0.4, 0.6], array![[-2.0, 1.0], [3.0, 0.0]], Covariances::Full(covariances)).unwrap()
}

fn points(law: &Mixture, n: usize) -> Array2<f64> {
    law.sample(n, 1, Purpose::Test, Draw::Independent).unwrap().0
}

/// A model of the rows of `x` before its first step.
fn model(settings: &[(&str, Value)], reference: Option<&Mixture>, x: ArrayView2<f64>) -> (Settled, Reference, State<f64>) {
    let mut all =
        vec![Setting::new("data.name", "four-modes"), Setting::new("network.width", 16usize), Setting::new("train.batch", 32usize)];
    all.extend(settings.iter().map(|(key, value)| Setting::new(key, value.clone())));
    let config = Config::resolve(&all).unwrap();
    let reference = match reference {
        Some(law) => Reference::from_mixture(law, 0.0).unwrap(),
        None => Reference::fit(x, &config).unwrap(),
    };
    let config = Settled::new(&config, &reference, x.nrows()).unwrap();
    let state = Trainer::<f64>::new(&config, &reference, x).unwrap().state().clone();
    (config, reference, state)
}

/// The generator of these parameters with the moments that the configuration asks for.
fn generator(config: &Settled, reference: &Reference, state: &State<f64>, x: ArrayView2<f64>) -> Generator<f64> {
    let moments = DataMoments::new(config, reference, x, None).unwrap().map(Arc::new);
    Generator::new(config, reference, state).unwrap().keeping(moments)
}

/// Parameters that say something, all of it wrong.
fn noisy(state: &State<f64>) -> State<f64> {
    let (mut stream, mut state) = (Stream::new(4, Purpose::Test, 0, 0), state.clone());
    state.params.iter_mut().for_each(|p| *p += 0.25 * stream.normal::<f64>());
    state.optimiser.ema.clear();
    state
}

/// How far samples are from the moments `wants`, in standard deviations of the draws of samples and maps: the
/// largest over means, variances and covariances of the coordinates in which these moments are 0 and 1.
fn deviations(x: ArrayView2<f64>, wants: &Gaussian) -> f64 {
    let (n, d) = x.dim();
    let root = Cholesky::new(wants.covariance.view()).unwrap();
    let z = root.solve_lower((&x - &wants.mean).t()).unwrap();
    let share = (1.0 / n as f64 + 1.0 / CALIBRATING).sqrt();
    let mut worst = 0f64;
    for i in 0..d {
        for j in 0..=i {
            let product: Array1<f64> = &z.row(i) * &z.row(j);
            let exact = if i == j { 1.0 } else { 0.0 };
            worst = worst.max((product.mean().unwrap() - exact).abs() / (product.std(1.0) * share));
        }
        worst = worst.max(z.row(i).mean().unwrap().abs() / (z.row(i).std(1.0) * share));
    }
    worst
}

/// (eq. 21) By every sampler of every process, from a network of random numbers: samples have the mean and
/// covariance of the training points, at 1e-5 a comparison. Without the maps they do not.
#[test]
fn any_network_gives_samples_the_moments_of_the_data() {
    let (law, n) = (normal(3), 20_000);
    let x = points(&law, 1_500);
    let wants = Gaussian::of(x.view()).unwrap();
    for (kind, objective) in [
        ("vp", "dsm"),
        ("ve", "dsm"),
        ("sub-vp", "ndsm"),
        ("straight", "flow-matching"),
        ("straight", "ndsm"),
        ("langevin", "ndsm"),
        ("langevin", "component-flow"),
    ] {
        let settings = [("sde.kind", kind.into()), ("objective.kind", objective.into()), ("calibration.moments", "full".into())];
        let settings =
            if kind == "langevin" { [&settings[..], &[("reference.components", 2usize.into())]].concat() } else { settings.to_vec() };
        let (config, reference, state) = model(&settings, None, x.view());
        let state = noisy(&state);
        let mut with = generator(&config, &reference, &state, x.view());
        let mut without = Generator::new(&config, &reference, &state).unwrap();
        for (method, steps) in [(Method::Ode, 8), (Method::Sde, 20), (Method::Pc, 12)] {
            if objective == "component-flow" && method != Method::Ode {
                continue;
            }
            let samples = with.sample(n, 3, method, Some(steps)).unwrap();
            let plain = without.sample(n, 3, method, Some(steps)).unwrap();
            let (got, plain) = (deviations(samples.view(), &wants), deviations(plain.view(), &wants));
            println!("{kind} {objective} {method:?}: {got:.2} standard deviations, {plain:.1} without");
            assert!(got <= Z && plain > 2.0 * Z, "{kind} {objective} {method:?}: {got}, {plain} without");
        }
    }
}

/// Scalar and diagonal maps have their share of them.
#[test]
fn every_kind_keeps_the_moments_that_it_names() {
    let (law, n) = (normal(3), 20_000);
    let x = points(&law, 1_500);
    for kind in ["scalar", "diagonal", "auto"] {
        let settings = [("sde.kind", "vp".into()), ("calibration.moments", kind.into())];
        let (config, reference, state) = model(&settings, None, x.view());
        let samples = generator(&config, &reference, &noisy(&state), x.view()).sample(n, 3, Method::Ode, Some(8)).unwrap();
        // In the coordinates of the model, where the maps work: squares against variances.
        let whiten = |x: ArrayView2<f64>| reference.whitening.whiten(x).unwrap();
        let wants = Gaussian::of(whiten(x.view()).view()).unwrap();
        let squares = (whiten(samples.view()) - &wants.mean).mapv(|v| v * v);
        let off = |squares: Array1<f64>, exact: f64| {
            let share = (1.0 / n as f64 + 1.0 / CALIBRATING).sqrt();
            (squares.mean().unwrap() - exact) / (squares.std(1.0) * share)
        };
        let total = off(squares.sum_axis(Axis(1)), wants.covariance.diag().sum());
        println!("{kind}: total variance {total:.2} standard deviations off");
        assert!(total.abs() <= Z, "{kind}: {total}");
        for j in 0..3 {
            let off = off(squares.column(j).to_owned(), wants.covariance[[j, j]]);
            println!("{kind}, coordinate {j}: {off:.2}");
            assert!(kind == "scalar" || off.abs() <= Z, "{kind} {j}: {off}");
        }
        if kind == "auto" {
            // 1,500 points are enough for a covariance in three dimensions.
            assert!(deviations(samples.view(), &Gaussian::of(x.view()).unwrap()) <= Z);
        }
    }
}

/// Data that are the reference, and a network that adds nothing: the field is exact, so with many points the
/// maps are the identity. Toward a mixture and of linear processes.
#[test]
fn an_exact_field_needs_no_maps() {
    for (law, kind, steps) in [(two_modes(), "langevin", 8), (normal(3), "vp", 8), (normal(3), "ve", 60)] {
        let x = points(&law, 30_000);
        let settings = [("sde.kind", kind.into()), ("network.parametrisation", "residual".into()), ("calibration.moments", "full".into())];
        let (config, reference, state) = model(&settings, Some(&law), x.view());
        let mut generator = generator(&config, &reference, &state, x.view());
        for method in [Method::Ode, Method::Sde] {
            let maps = generator.maps(method, Some(steps)).unwrap().unwrap();
            assert_eq!(maps.steps().len(), steps + 2);
            let mut worst = 0f64;
            for (_, map) in maps.steps() {
                let a = map.linear();
                worst = (&a - &Array2::<f64>::eye(a.nrows())).iter().fold(worst, |m, e| m.max(e.abs()));
            }
            println!("{kind} {method:?}: entries of A - 1 up to {worst:.4}");
            // Half the relative error of a variance, from 16,384 points of each; and the solver's own.
            assert!(worst <= 0.04, "{kind} {method:?}: {worst}");
        }
    }
}

/// A map is fixed: the samples that a call makes first do not depend on how many it makes; nor any on the
/// number of threads.
#[test]
fn samples_depend_neither_on_their_number_nor_on_the_threads() {
    let x = points(&normal(3), 400);
    let pool = |threads| rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
    for (kind, maps) in [("vp", "full"), ("ve", "diagonal")] {
        let settings = [("sde.kind", kind.into()), ("calibration.moments", maps.into())];
        let (config, reference, state) = model(&settings, None, x.view());
        let state = noisy(&state);
        let sample = |n, threads: usize| {
            pool(threads).install(|| generator(&config, &reference, &state, x.view()).sample(n, 5, Method::Sde, Some(6)).unwrap())
        };
        let (one, many) = (sample(1, 2), sample(700, 1));
        // The way to the units of the data is a product of matrices, which may round anew.
        assert!(one.iter().zip(many.row(0)).all(|(a, b)| (a - b).abs() <= 1e-13 * (1.0 + b.abs())), "{kind}: {one} {}", many.row(0));
        assert_eq!(many, sample(700, 4), "{kind}");
    }
}

/// The table of a linear process against alpha^2 C + sbar^2 1 and alpha m: what is left is the error of the
/// noise, at 1e-5 an entry; at time 0 nothing. By kernels and by chains.
#[test]
fn the_table_has_the_moments_of_linear_processes() {
    let x = points(&normal(3), 1_500);
    for (kind, objective, grid) in
        [("vp", "dsm", "per-path"), ("ve", "dsm", "per-path"), ("sub-vp", "ndsm", "uniform"), ("vp", "ndsm", "per-path")]
    {
        let mut settings = vec![("sde.kind", kind.into()), ("objective.kind", objective.into()), ("calibration.moments", "full".into())];
        settings.extend((objective == "ndsm").then_some(("sde.grid", grid.into())));
        settings.extend((grid == "uniform").then_some(("train.times_per_path", 3usize.into())));
        let (config, reference, state) = model(&settings, None, x.view());
        let trainer = Trainer::<f64>::resume(&config, &reference, x.view(), state).unwrap();
        let (scale, data) = (trainer.system().model.scale, Gaussian::of(reference.whitening.whiten(x.view()).unwrap().view()).unwrap());
        let table = DataMoments::new(&config, &reference, x.view(), None).unwrap().unwrap().noised;
        let last = table.times()[table.times().len() - 1];
        assert!(table.times().len() >= 15 && (last / config.sde.horizon - 1.0).abs() <= 1e-6, "{:?}", table.times());
        for t in table.times() {
            let (alpha, sbar, got) = (scale.alpha(*t), scale.sbar(*t), table.at(*t));
            let exact = &data.covariance * alpha.powi(2) + Array2::<f64>::eye(3) * sbar.powi(2);
            // Paths of a chain bring noise of their own, which pairs do not cancel.
            let (noise, share) = (sbar.powi(2) * (2.0 / 9_000f64).sqrt(), if objective == "ndsm" { 1.0 } else { 0.0 });
            let cross = share * 2.0 * alpha * sbar * (data.covariance.diag().iter().fold(0f64, |m, v| m.max(*v)) / 9_000.0).sqrt();
            let worst = (&got.covariance - &exact).iter().fold(0f64, |m, e| m.max(e.abs()));
            assert!(worst <= Z * (noise + cross) + 1e-12, "{kind} {objective} at {t}: {worst}, noise {noise} {cross}");
            let mean = (&got.mean - &(&data.mean * alpha)).iter().fold(0f64, |m, e| m.max(e.abs()));
            assert!(mean <= Z * share * sbar / 9_000f64.sqrt() + 1e-12, "{kind} {objective} at {t}: {mean}");
        }
    }
}

/// Toward a Gaussian and without a network the flow stands still, so that the maps alone carry the reference
/// to the law of the samples: a Gaussian, whose density is that of the likelihood.
#[test]
fn the_likelihood_is_that_of_the_mapped_law() {
    let (wrong, x) = (normal(2), points(&two_modes(), 1_000));
    let settings = [("reference.kind", "gaussian".into()), ("calibration.moments", "full".into())];
    let (config, reference, state) = model(&settings, Some(&wrong), x.view());
    let maps = generator(&config, &reference, &state, x.view()).maps(Method::Ode, None).unwrap().unwrap();
    let mut law = Gaussian { mean: Array1::zeros(2), covariance: Array2::eye(2) };
    for (_, map) in maps.steps().iter().filter(|(t, _)| *t > 0.0) {
        law = map.moments(&law);
    }
    let (mean, stack) = (law.mean.insert_axis(Axis(0)), law.covariance.insert_axis(Axis(0)));
    let (whitening, exact) = (&reference.whitening, Mixture::new(array![1.0], mean, Covariances::Full(stack)).unwrap());
    let at = array![[0.0, 0.0], [3.0, 1.0], [-2.0, 1.5]];
    let volume: f64 = whitening.inverse().diag().iter().map(|v| v.ln()).sum();
    let exact = exact.log_density(whitening.whiten(at.view()).unwrap().view()).unwrap() + volume;
    let mut likelihood = Likelihood::new(&config, &reference, &state).unwrap().through(Some(&maps)).unwrap();
    let got = likelihood.log_density(at.view(), 20).unwrap();
    assert!(got.iter().zip(&exact).all(|(g, e)| (g - e).abs() <= 1e-9), "{got} {exact}");
}
