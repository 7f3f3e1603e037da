//! Losses and their gradients against formulas.

use ndarray::array;
use ndsm::config::{Control, Parametrisation, Weighting};
use ndsm::mixture::{Covariances, Evaluator, Mixture};
use ndsm::nn::{Inference, ScoreNet};
use ndsm::objective::{Batch, ComponentChain, ControlState, Divergence, Guide, Implicit, Loss, Out, Regression, ScoreModel, Seen, Weights};
use ndsm::rng::{Purpose, Stream};
use ndsm::sde::{ComponentStep, NoiseScale, Paths};
use ndsm::transition::{Draws, Noising, TimeLaw, stratified};

/// Of the draws.
const NOISE: Paths = Paths { seed: 0, purpose: Purpose::Noise, step: 0 };

fn pi() -> Mixture {
    let covariances = array![[[1.0, 0.3], [0.3, 0.6]], [[0.8, 0.0], [0.0, 1.5]]];
    Mixture::new(array![0.4, 0.6], array![[-2.0, 0.5], [2.0, -0.5]], Covariances::Full(covariances)).unwrap()
}

fn chain() -> ComponentChain<f64> {
    let times = TimeLaw::logit_normal(NoiseScale::Preserving { beta: 1.0 }, 0.02, 3.0, -0.6, 1.2).unwrap();
    ComponentChain::per_path(ComponentStep::<f64>::new(&pi(), 1.0).unwrap(), 4, times).unwrap()
}

/// Draws of a chain, and random parameters.
fn setting(parametrisation: Parametrisation, n: usize) -> (ScoreModel<f64>, Draws<f64>, Vec<f64>) {
    let (pi, scale) = (pi(), NoiseScale::Preserving { beta: 1.0 });
    let mut u = vec![0.0; n];
    stratified(&mut Stream::new(0, Purpose::Time, 0, 0), 1, &mut u);
    let mut draws = Draws::new(n, 2);
    chain().draw(&[0.5, -0.3].repeat(n), &u, NOISE, &mut draws).unwrap();
    let net = ScoreNet::new(2, 12, 2, 3).unwrap();
    let model = ScoreModel::new(net, parametrisation, scale, Guide::Reference(Evaluator::new(&pi)), &[2.0, 1.5]).unwrap();
    let mut params = vec![0.0; model.net.parameter_count()];
    Stream::new(1, Purpose::Test, 0, 0).fill_normal(&mut params);
    params.iter_mut().for_each(|p| *p *= 0.3);
    (model, draws, params)
}

/// The loss of each draw by (eq. 7, 9, 11), written out in s, without the rows' rearrangement.
fn by_formula(
    model: &ScoreModel<f64>,
    draws: &Draws<f64>,
    params: &[f64],
    regression: Regression,
    control: Control,
    weighting: Weighting,
    learned: &ControlState<f64>,
) -> Vec<f64> {
    let mut inference = Inference::new(&model.net, params).unwrap();
    (0..draws.len())
        .map(|i| {
            let (d, t) = (draws.draw(i), draws.times()[i]);
            let sbar = model.scale.sbar(t);
            let mut s = |x: &[f64]| {
                let mut row = vec![0.0; model.net.inputs()];
                model.input(t, x, &mut row).unwrap();
                let (mut out, mut guide) = (vec![0.0; 2], vec![0.0; 2]);
                inference.run(&row, &mut out).unwrap();
                model.guide(&[t], x, &mut guide).unwrap();
                let guided = [Parametrisation::Residual, Parametrisation::Preconditioned].contains(&model.parametrisation);
                let guided = guided && regression == Regression::Score;
                let scale = match model.parametrisation {
                    Parametrisation::Plain => 1.0,
                    Parametrisation::Scaled | Parametrisation::Residual => 1.0 / sbar,
                    Parametrisation::Preconditioned => preconditioned(model.scale, t) / sbar,
                };
                (0..2).map(|j| out[j] * scale + if guided { guide[j] } else { 0.0 }).collect::<Vec<f64>>()
            };
            let dot = |a: &[f64], b: &[f64]| a.iter().zip(b).map(|(a, b)| a * b).sum::<f64>();
            let one = |s: &[f64], y: &[f64]| dot(s, s) - 2.0 * dot(s, y);
            let lambda = if weighting == Weighting::Variance { sbar * sbar } else { 1.0 };
            let plus = one(&s(d.plus), d.target_plus);
            // The factors of the controls that learn: a network's output at mu, or a coefficient by the
            // time's bin.
            let factor: Vec<f64> = match learned {
                ControlState::Nothing => vec![1.0; 2],
                ControlState::Network { params, .. } => {
                    let (mut row, mut out) = (vec![0.0; model.net.inputs()], vec![0.0; 2]);
                    model.input(t, d.mean, &mut row).unwrap();
                    Inference::new(&ScoreNet::new(2, 32, 2, 3).unwrap(), params).unwrap().run(&row, &mut out).unwrap();
                    out
                }
                ControlState::Regression(bins) => {
                    let bin = (model.scale.log_ratio(t) + 4.0).clamp(0.0, 7.0) as usize;
                    vec![bins[bin].coefficients().unwrap()[0]; 2]
                }
            };
            let at_mean = s(d.mean);
            let controlled =
                |f: &dyn Fn(usize) -> f64| plus + (0..2).map(|j| 2.0 * f(j) * (d.target_plus[j] - d.target_minus[j]) / 2.0).sum::<f64>();
            lambda
                * match control {
                    Control::None => plus,
                    Control::Auto => unreachable!("it stands for another"),
                    Control::SelfControl | Control::Regression => controlled(&|j| factor[j] * at_mean[j]),
                    Control::Gated => controlled(&|j| (1.0 + factor[j]) * at_mean[j]),
                    Control::Network => controlled(&|j| factor[j] / sbar),
                    Control::Blend => {
                        let mut g = [d.plus, d.minus].map(|x| {
                            let mut g = vec![0.0; 2];
                            model.guide(&[t], x, &mut g).unwrap();
                            g
                        });
                        if regression == Regression::Residual {
                            g = [vec![0.0; 2], vec![0.0; 2]];
                        }
                        let odd = |a: &[f64], b: &[f64], j: usize| (a[j] - b[j]) / 2.0;
                        let control = |j: usize| odd(d.target_plus, d.target_minus, j) - odd(&g[0], &g[1], j);
                        plus + (0..2).map(|j| 2.0 * at_mean[j] * control(j)).sum::<f64>()
                    }
                    Control::Antithetic => 0.5 * (plus + one(&s(d.minus), d.target_minus)),
                }
        })
        .collect()
}

/// Losses (eq. 7) with each control (eq. 9, 10, 11, 12).
#[test]
fn losses_and_gradients_are_the_formulas() {
    let n = 700; // more than one block, and a last one that is not full
    for parametrisation in Parametrisation::ALL.iter().copied() {
        let (model, draws, params) = setting(parametrisation, n);
        for control in Control::ALL.iter().copied().filter(|c| *c != Control::Auto) {
            for (regression, weighting) in [
                (Regression::Score, Weighting::Variance),
                (Regression::Score, Weighting::Uniform),
                (Regression::Residual, Weighting::Variance),
            ] {
                let name = format!("{parametrisation:?} {control:?} {regression:?} {weighting:?}");
                let mut loss = Loss::new(&model, regression, control, n).unwrap();
                let mut weights = Weights::new(weighting, model.scale, n);
                let weights = weights.at(draws.times(), &chain(), &Seen::default());
                let (mut values, mut grad) = (vec![0.0; n], vec![0.0; params.len()]);
                let mut learned = loss.start(0).unwrap();
                if let ControlState::Network { params, .. } = &mut learned {
                    Stream::new(3, Purpose::Test, 0, 0).fill_normal(params);
                    params.iter_mut().for_each(|p| *p *= 0.3);
                }
                let batch = Batch { draws: &draws, weights, labels: &[], noise: NOISE };
                if control == Control::Regression {
                    loss.run(&model, &params, &learned, &batch, Out { values: &mut values, grad: &mut grad }).unwrap();
                    loss.learn(&model, &mut learned, &draws, &values).unwrap();
                }
                loss.run(&model, &params, &learned, &batch, Out { values: &mut values, grad: &mut grad }).unwrap();
                let expected = by_formula(&model, &draws, &params, regression, control, weighting, &learned);
                for (a, b) in values.iter().zip(&expected) {
                    assert!((a - b).abs() <= 1e-10 * (1.0 + b.abs()), "{name}: {a} {b}");
                }
                // The gradient of the mean along a random direction, against a central difference.
                let mut v = vec![0.0; params.len()];
                Stream::new(2, Purpose::Test, 0, 0).fill_normal(&mut v);
                let h = 1e-5;
                let mean = |sign: f64| {
                    let moved: Vec<f64> = params.iter().zip(&v).map(|(p, v)| p + sign * h * v).collect();
                    by_formula(&model, &draws, &moved, regression, control, weighting, &learned).iter().sum::<f64>() / n as f64
                };
                let (numeric, exact) = ((mean(1.0) - mean(-1.0)) / (2.0 * h), grad.iter().zip(&v).map(|(g, v)| g * v).sum::<f64>());
                assert!((numeric - exact).abs() <= 1e-6 * (1.0 + exact.abs()), "{name}: {numeric} {exact}");
            }
        }
    }
}

/// alpha/(alpha^2 + sbar^2)^(1/2) (eq. 22).
fn preconditioned(scale: NoiseScale, t: f64) -> f64 {
    scale.alpha(t) / (scale.alpha(t).powi(2) + scale.sbar(t).powi(2)).sqrt()
}

/// S = sbar s of the network at `x`.
fn score(model: &ScoreModel<f64>, params: &[f64], t: f64, x: &[f64]) -> Vec<f64> {
    let sbar = model.scale.sbar(t);
    let mut row = vec![0.0; model.net.inputs()];
    model.input(t, x, &mut row).unwrap();
    let (mut out, mut guide) = (vec![0.0; 2], vec![0.0; 2]);
    Inference::new(&model.net, params).unwrap().run(&row, &mut out).unwrap();
    model.guide(&[t], x, &mut guide).unwrap();
    let (factor, guided) = match model.parametrisation {
        Parametrisation::Plain => (sbar, 0.0),
        Parametrisation::Scaled => (1.0, 0.0),
        Parametrisation::Residual => (1.0, sbar),
        Parametrisation::Preconditioned => (preconditioned(model.scale, t), sbar),
    };
    (0..2).map(|j| factor * out[j] + guided * guide[j]).collect()
}

/// Implicit score matching ("Without a target", behind eq. 12).
#[test]
fn implicit_score_matching_is_its_formula() {
    let n = 300; // more than one block
    let noise = Paths { seed: 4, purpose: Purpose::Probe, step: 2 };
    for parametrisation in Parametrisation::ALL.iter().copied() {
        let (model, draws, params) = setting(parametrisation, n);
        let mut weights = Weights::new(Weighting::Likelihood, model.scale, n);
        let weights = weights.at(draws.times(), &chain(), &Seen::default()).to_vec();
        let mut exact = vec![];
        for divergence in [Divergence::Exact, Divergence::Hutchinson, Divergence::Sliced] {
            let mut loss = Implicit::new(&model, Regression::Score, divergence, n).unwrap();
            let (mut values, mut grad) = (vec![0.0; n], vec![0.0; params.len()]);
            let mut run = |params: &[f64], values: &mut [f64], grad: &mut [f64]| {
                loss.run(&model, params, &Batch { draws: &draws, weights: &weights, labels: &[], noise }, Out { values, grad }).unwrap();
            };
            run(&params, &mut values, &mut grad);
            // The divergence by differences, without that of the guide: the one at other parameters is taken
            // off.
            let jacobian = |i: usize, params: &[f64]| {
                let (x, t, h) = (draws.draw(i).plus, draws.times()[i], 1e-5);
                let at = |j: usize, sign: f64| {
                    let mut x = x.to_vec();
                    x[j] += sign * h;
                    score(&model, params, t, &x)
                };
                let column = |j: usize| at(j, 1.0).iter().zip(at(j, -1.0)).map(|(a, b)| (a - b) / (2.0 * h)).collect::<Vec<f64>>();
                [column(0), column(1)]
            };
            let still = vec![0.0; params.len()];
            for i in (0..n).step_by(7) {
                let (s, sbar) = (score(&model, &params, draws.times()[i], draws.draw(i).plus), model.scale.sbar(draws.times()[i]));
                let (a, b) = (jacobian(i, &params), jacobian(i, &still));
                let j = |r: usize, c: usize| a[c][r] - b[c][r];
                let of = |v: [f64; 2], square: f64| {
                    let along = (0..2).flat_map(|r| (0..2).map(move |c| (r, c))).map(|(r, c)| v[r] * v[c] * j(r, c)).sum::<f64>();
                    weights[i] * (square + 2.0 * sbar * along)
                };
                let norm = s[0] * s[0] + s[1] * s[1];
                let fits = |expected: f64| (values[i] - expected).abs() <= 1e-6 * (1.0 + expected.abs());
                let right = match divergence {
                    Divergence::Exact => fits(weights[i] * (norm + 2.0 * sbar * (j(0, 0) + j(1, 1)))),
                    Divergence::Hutchinson => fits(of([1.0, 1.0], norm)) || fits(of([1.0, -1.0], norm)),
                    Divergence::Sliced => fits(of([1.0, 1.0], (s[0] + s[1]).powi(2))) || fits(of([1.0, -1.0], (s[0] - s[1]).powi(2))),
                };
                assert!(right, "{parametrisation:?} {divergence:?}: {i}");
            }
            // The gradient along a random direction, against a central difference of the values.
            let mut v = vec![0.0; params.len()];
            Stream::new(2, Purpose::Test, 0, 0).fill_normal(&mut v);
            let (h, mut other) = (1e-5, vec![0.0; params.len()]);
            let mut mean = |sign: f64| {
                let moved: Vec<f64> = params.iter().zip(&v).map(|(p, v)| p + sign * h * v).collect();
                let mut values = vec![0.0; n];
                run(&moved, &mut values, &mut other);
                values.iter().sum::<f64>() / n as f64
            };
            let (numeric, along) = ((mean(1.0) - mean(-1.0)) / (2.0 * h), grad.iter().zip(&v).map(|(g, v)| g * v).sum::<f64>());
            assert!((numeric - along).abs() <= 1e-6 * (1.0 + along.abs()), "{parametrisation:?} {divergence:?}: {numeric} {along}");
            exact.push(values);
        }
        assert!(exact[0] != exact[1] && exact[1] != exact[2]);
    }
    let (model, ..) = setting(Parametrisation::Residual, 1);
    assert!(Implicit::new(&model, Regression::Residual, Divergence::Exact, 8).is_err());
}
