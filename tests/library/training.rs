//! Training against truths, and stopping and going on.

use ndarray::{Array2, ArrayView2};
use ndsm::config::{Config, Control, Setting, Value};
use ndsm::data::law::four_modes;
use ndsm::data::{Law, law};
use ndsm::sample::Method;
use ndsm::train::{Reference, Settled, Trainer};

fn config(set: &[(&str, Value)]) -> Config {
    let mut all = vec![
        Setting::new("data.name", "four-modes"),
        Setting::new("reference.components", 4usize),
        Setting::new("network.width", 64usize),
        Setting::new("network.depth", 2usize),
    ];
    all.extend(set.iter().map(|(key, value)| Setting::new(key, value.clone())));
    Config::resolve(&all).unwrap()
}

fn settled(config: &Config, reference: &Reference) -> Settled {
    Settled::new(config, reference, 500).unwrap()
}

/// Relative L2 error of the learned score against grad log pi, weighted by pi, averaged over times: in data
/// units, where the data *are* pi.
fn oracle_error(set: &[(&str, Value)]) -> f64 {
    let law = four_modes().unwrap();
    let pi = law.mixture().unwrap();
    let x = law.sample(20_000, 0, law::TRAINING);
    let c = config(set);
    let reference = Reference::from_mixture(pi, 0.0).unwrap();
    let mut trainer = Trainer::<f32>::new(&settled(&c, &reference), &reference, x.view()).unwrap();
    for _ in 0..c.train.steps {
        trainer.step().unwrap();
    }
    let mut generator = trainer.generator(&reference).unwrap();
    let at = law.sample(4_000, 1, law::HELD_OUT);
    let truth = pi.score(at.view()).unwrap();
    let times = [0.05, 0.2, 0.5, 1.0, 2.0];
    let square = |a: &Array2<f64>| a.iter().map(|v| v * v).sum::<f64>();
    let error = |t: f64| square(&(generator.score(t, at.view()).unwrap() - &truth)) / square(&truth);
    (times.map(error).iter().sum::<f64>() / times.len() as f64).sqrt()
}

/// The minimiser of (eq. 7) where it is known: the data are pi, which is invariant (eq. 2).
#[test]
fn when_the_data_are_the_reference_the_score_is_its_score() {
    let residual = oracle_error(&[("train.steps", 200usize.into())]);
    assert!(residual <= 0.05, "residual: {residual}");
    let scaled = [
        ("network.parametrisation", "scaled".into()),
        ("train.steps", 3000usize.into()),
        ("network.depth", 3usize.into()),
        ("network.width", 128usize.into()),
    ];
    let scaled = oracle_error(&scaled);
    // Without the reference in its output the network has to find all of it; the measured error is 5.9 %.
    assert!(scaled <= 0.08, "from nothing: {scaled}");
    // The test can fail: an untrained network that starts from nothing is all wrong.
    let untrained = oracle_error(&[("network.parametrisation", "scaled".into()), ("train.steps", 1usize.into())]);
    assert!(untrained > 0.5, "{untrained}");
}

fn points(n: usize) -> Array2<f64> {
    four_modes().unwrap().sample(n, 0, law::TRAINING)
}

#[test]
fn a_run_that_stops_goes_on_with_the_same_bits_on_any_number_of_threads() {
    let c = config(&[("train.steps", 12usize.into()), ("train.batch", 200usize.into())]);
    let x = points(500);
    let pool = |threads| rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
    let reference = Reference::fit(x.view(), &c).unwrap();
    let whole = |threads: usize| {
        pool(threads).install(|| {
            let mut t = Trainer::<f32>::new(&settled(&c, &reference), &reference, x.view()).unwrap();
            (0..12).for_each(|_| drop(t.step().unwrap()));
            (t.state().clone(), t.generator(&reference).unwrap().sample(700, 3, Method::Sde, Some(5)).unwrap())
        })
    };
    let one = whole(1);
    assert!(one == whole(2) && one == whole(4));
    let mut t = Trainer::<f32>::new(&settled(&c, &reference), &reference, x.view()).unwrap();
    (0..5).for_each(|_| drop(t.step().unwrap()));
    let mut t = Trainer::resume(&settled(&c, &reference), &reference, x.view(), t.state().clone()).unwrap();
    (0..7).for_each(|_| drop(t.step().unwrap()));
    assert!(*t.state() == one.0);
}

#[test]
fn what_a_control_has_learned_is_part_of_the_state() {
    let x = points(500);
    for control in ["gated", "regression", "network", "auto"] {
        let c = config(&[("train.steps", 60usize.into()), ("train.batch", 100usize.into()), ("objective.control", control.into())]);
        let reference = Reference::fit(x.view(), &c).unwrap();
        let mut whole = Trainer::<f32>::new(&settled(&c, &reference), &reference, x.view()).unwrap();
        let start = whole.state().clone();
        (0..60).for_each(|_| drop(whole.step().unwrap()));
        // Stopped before and after the choice of "auto".
        for stop in [20, 55] {
            let mut t = Trainer::<f32>::new(&settled(&c, &reference), &reference, x.view()).unwrap();
            (0..stop).for_each(|_| drop(t.step().unwrap()));
            let mut t = Trainer::resume(&settled(&c, &reference), &reference, x.view(), t.state().clone()).unwrap();
            (stop..60).for_each(|_| drop(t.step().unwrap()));
            assert!(t.state() == whole.state(), "{control} after {stop}");
        }
        let state = whole.state();
        assert!(state.control != start.control || control == "auto", "{control} learns");
        assert_eq!(state.prices.is_some(), control == "auto");
        // The state of another control is refused.
        let other = if control == "auto" { "gated" } else { "self" };
        let c = config(&[("objective.control", other.into())]);
        let e = Trainer::resume(&settled(&c, &reference), &reference, x.view(), state.clone()).err().expect("another control").to_string();
        assert!(e.contains("objective.control"), "{e}");
    }
}

#[test]
fn what_weights_have_seen_is_part_of_the_state_and_a_diagnosis_changes_nothing() {
    let x = points(500);
    let settings = |diagnose: bool| {
        config(&[
            ("train.steps", 60usize.into()),
            ("train.batch", 100usize.into()),
            ("objective.weighting", "inverse-variance".into()),
            ("train.diagnose", diagnose.into()),
        ])
    };
    let reference = Reference::fit(x.view(), &settings(false)).unwrap();
    let run = |diagnose, stop: Option<usize>| {
        let c = settings(diagnose);
        let mut t = Trainer::<f32>::new(&settled(&c, &reference), &reference, x.view()).unwrap();
        for step in 0..60 {
            if Some(step) == stop {
                t = Trainer::resume(&settled(&c, &reference), &reference, x.view(), t.state().clone()).unwrap();
            }
            t.step().unwrap();
        }
        t.state().clone()
    };
    let whole = run(false, None);
    assert!(whole == run(false, Some(37)) && whole == run(true, None) && whole == run(true, Some(52)));
    assert_eq!(whole.weights.numbers().len(), 8);
    let other = config(&[("train.steps", 60usize.into()), ("train.batch", 100usize.into())]);
    let e = Trainer::resume(&settled(&other, &reference), &reference, x.view(), whole).err().expect("another weighting").to_string();
    assert!(e.contains("objective.weighting"), "{e}");
}

/// What pairs (eq. 11) take off the variance of (eq. 7).
#[test]
fn a_diagnosis_shows_what_a_control_is_worth() {
    let x = points(1000);
    let c = config(&[
        ("objective.transition", "euler".into()),
        ("sde.grid", "quadratic".into()),
        ("sde.horizon", 1.0.into()),
        ("objective.control", "antithetic".into()),
        ("train.times_per_path", 4usize.into()),
        ("train.diagnose", true.into()),
        ("train.steps", 80usize.into()),
    ]);
    let reference = Reference::fit(x.view(), &c).unwrap();
    let mut t = Trainer::<f64>::new(&settled(&c, &reference), &reference, x.view()).unwrap();
    let reports: Vec<_> = (0..80).map(|_| t.step().unwrap()).collect();
    let diagnosed: Vec<_> = reports.iter().filter(|r| !r.groups.is_empty()).collect();
    assert_eq!(diagnosed.len(), 40);
    let groups = &diagnosed[39].groups;
    assert!(groups.len() == 8 && groups.windows(2).all(|g| g[1].time > g[0].time && g[1].step > g[0].step));
    // 200 steps of at most 0.01: pairs take off all but a small part of the variance at every time.
    for g in groups {
        assert!(g.gradient > 0.0 && g.gradient < 0.2 * g.plain[1] && g.loss < 0.2 * g.plain[0], "{g:?}");
        // Steps of (i^2 - (i - 1)^2)/200^2 that end at t = (i/200)^2; the mean of i over its root mean square
        // is 3^(1/2)/2 or more.
        assert!((g.step - 2.0 * g.time.sqrt() / 200.0).abs() <= 0.25 * g.step, "{g:?}");
    }
}

/// With reuse 4, the steps s, s + 16, s + 32 and s + 48 finish the same paths, each with noise of its own:
/// the means mu(X) are equal, the noise is not, and given the paths the control's mean is 0 over the noise
/// (eq. 8).
#[test]
fn paths_are_used_again_with_fresh_noise() {
    let x = points(1000);
    let c = config(&[
        ("objective.transition", "euler".into()),
        ("sde.grid", "uniform".into()),
        ("sde.horizon", 1.0.into()),
        ("sde.steps", 20usize.into()),
        ("train.times_per_path", 4usize.into()),
        ("train.reuse", 4usize.into()),
    ]);
    let reference = Reference::fit(x.view(), &c).unwrap();
    let mut t = Trainer::<f64>::new(&settled(&c, &reference), &reference, x.view()).unwrap();
    let n = t.draw(0).unwrap().len();
    // z sqrt(h) and mu, of each draw.
    let mut visit = |step: u64| -> (Vec<f64>, Vec<f64>) {
        let draws = t.draw(step).unwrap();
        let rows = (0..n).flat_map(|i| (0..2).map(move |j| (i, j)));
        rows.map(|(i, j)| (draws.draw(i).plus[j] - draws.draw(i).mean[j], draws.draw(i).mean[j])).unzip()
    };
    let visits: Vec<_> = [0, 16, 32, 48, 64].map(&mut visit).into();
    for (noise, mean) in &visits[1..4] {
        assert!(*mean == visits[0].1);
        // Correlation within four standard errors of that of independent numbers.
        let dot = |a: &[f64], b: &[f64]| a.iter().zip(b).map(|(a, b)| a * b).sum::<f64>();
        let correlation = dot(noise, &visits[0].0) / (dot(noise, noise) * dot(&visits[0].0, &visits[0].0)).sqrt();
        assert!(correlation.abs() <= 4.0 / (noise.len() as f64).sqrt(), "{correlation}");
    }
    assert!(visits[4].1 != visits[0].1, "the fifth use has paths of its own");
    // tanh(mu) . z summed over draws: normal with this variance, given the paths.
    let paths: Vec<f64> = visits[0].1.clone();
    let term = |noise: &[f64]| noise.iter().zip(&paths).map(|(z, m)| z * m.tanh()).sum::<f64>();
    let spread = (0.05 * paths.iter().map(|m| m.tanh().powi(2)).sum::<f64>()).sqrt();
    let mean = visits[..4].iter().map(|(noise, _)| term(noise)).sum::<f64>() / 4.0;
    assert!(mean.abs() <= 4.0 * spread / 2.0, "{mean} {spread}");
    assert!(term(&visits[0].0).abs() <= 4.0 * spread);
}

/// The choice among (eq. 11), (eq. 9) and no control at equal evaluations.
#[test]
fn auto_takes_a_pair_where_steps_are_short() {
    let c = config(&[
        ("objective.transition", "euler".into()),
        ("sde.grid", "uniform".into()),
        ("sde.horizon", 1.0.into()),
        ("sde.steps", 200usize.into()),
        ("train.steps", 51usize.into()),
    ]);
    let x = points(1000);
    let reference = Reference::fit(x.view(), &c).unwrap();
    let mut t = Trainer::<f32>::new(&settled(&c, &reference), &reference, x.view()).unwrap();
    (0..51).for_each(|_| drop(t.step().unwrap()));
    let prices = t.state().prices.expect("measured");
    let [pair, own, none] = prices.0;
    assert!(none > 5.0 * pair.min(own) && prices.choice() != Control::None, "{prices}");
    assert!(prices.to_string().contains("none"), "{prices}");
}

#[test]
fn a_number_that_is_not_finite_stops_training_before_it_does_harm() {
    let c = config(&[("train.steps", 5usize.into())]);
    let x = points(300);
    let reference = Reference::fit(x.view(), &c).unwrap();
    let mut state = Trainer::<f32>::new(&settled(&c, &reference), &reference, x.view()).unwrap().state().clone();
    state.params[3] = f32::NAN;
    let mut t = Trainer::resume(&settled(&c, &reference), &reference, x.view(), state).unwrap();
    let e = t.step().unwrap_err();
    assert!(e.to_string().starts_with("step 1: NaN or infinity in the loss"), "{e}");
    assert_eq!((e.exit_code(), t.state().optimiser.step), (1, 0));
}

/// Trace of the gradient's covariance over batches at the initial parameters of the next-to-last layer
/// onwards.
fn gradient_variance(control: &str, steps: usize) -> f64 {
    let c = config(&[
        ("objective.transition", "euler".into()),
        ("sde.grid", "uniform".into()),
        ("sde.horizon", 1.0.into()),
        ("sde.steps", steps.into()),
        ("objective.control", control.into()),
        ("network.parametrisation", "scaled".into()),
        ("train.times_per_path", 4usize.into()),
        ("train.batch", 64usize.into()),
        ("train.steps", 1000usize.into()),
    ]);
    let x = points(1000);
    let reference = Reference::fit(x.view(), &c).unwrap();
    let mut t = Trainer::<f32>::new(&settled(&c, &reference), &reference, x.view()).unwrap();
    // A few steps away from the start, so that the network is not zero.
    (0..30).for_each(|_| drop(t.step().unwrap()));
    let batches = 60;
    let all: Vec<f64> =
        (0..batches).flat_map(|i| t.gradient(5000 + i).unwrap().iter().map(|g| f64::from(*g)).collect::<Vec<_>>()).collect();
    let g = ArrayView2::from_shape((batches as usize, all.len() / batches as usize), &all).unwrap();
    g.var_axis(ndarray::Axis(0), 1.0).sum()
}

/// The variance of (eq. 7) is like 1/h; with (eq. 9, 10, 11, 12) it is bounded.
#[test]
fn without_a_control_the_gradient_variance_grows_like_one_over_h_and_with_one_it_stays() {
    let [none, own, pair, gated, regression] =
        ["none", "self", "antithetic", "gated", "regression"].map(|c| [20, 200].map(|n| gradient_variance(c, n)));
    assert!(none[1] >= 5.0 * none[0], "none: {none:?}");
    assert!(own[1] <= 2.0 * own[0], "self: {own:?}");
    assert!(pair[1] <= 2.0 * pair[0], "antithetic: {pair:?}");
    assert!(gated[1] <= 2.0 * gated[0], "gated: {gated:?}");
    assert!(regression[1] <= 2.0 * regression[0], "regression: {regression:?}");
    assert!(none[1] >= 10.0 * own[1] && none[1] >= 10.0 * pair[1], "{none:?} {own:?} {pair:?}");
}
