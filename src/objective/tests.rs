//! What a batch sees of a network that has dropout.

use super::*;
use crate::config::{Control, Parametrisation};
use crate::nn::{Mlp, ScoreNet, Sizes};
use crate::rng::{Purpose, Stream};
use crate::sde::{NoiseScale, Paths};
use crate::transition::{DrawMut, Draws};

const N: usize = 300; // more than one block, and a last one that is not full
const NOISE: Paths = Paths { seed: 4, purpose: Purpose::Probe, step: 8 };

fn model(dropout: f64) -> (ScoreModel<f64>, Vec<f64>) {
    let net = ScoreNet::of(Mlp::of(&Sizes { dim: 2, width: 12, depth: 2, frequencies: 3, dropout, ..Sizes::default() }).unwrap()).unwrap();
    let scale = NoiseScale::Preserving { beta: 1.0 };
    let model = ScoreModel::new(net, Parametrisation::Scaled, scale, Guide::Standard, &[2.0, 1.5]).unwrap();
    let mut params = vec![0.0; model.net.parameter_count()];
    Stream::new(1, Purpose::Test, 0, 0).fill_normal(&mut params);
    (model, params)
}

/// Draws without noise: mean and points are the same, moved by `shift`; both targets are `target`.
fn draws(shift: [f64; 2], target: [f64; 2]) -> Draws<f64> {
    let mut draws = Draws::new(N, 2);
    let (values, times) = draws.parts_mut();
    let (mut stream, mut x) = (Stream::new(2, Purpose::Test, 0, 0), [0.0; 2]);
    for (i, t) in times.iter_mut().enumerate() {
        *t = 0.1 + 0.01 * i as f64;
        stream.fill_normal(&mut x);
        let draw = DrawMut::of(values, i, 2);
        for part in [draw.mean, draw.plus, draw.minus] {
            part.copy_from_slice(&[x[0] + shift[0], x[1] + shift[1]]);
        }
        for part in [draw.target_plus, draw.target_minus] {
            part.copy_from_slice(&target);
        }
    }
    draws
}

/// The values of a batch of these draws.
fn values(dropout: f64, draws: &Draws<f64>, noise: Paths, objective: impl Fn(&ScoreModel<f64>) -> Objective<f64>) -> Vec<f64> {
    let (model, params) = model(dropout);
    let (mut objective, mut values, mut grad) = (objective(&model), vec![0.0; N], vec![0.0; params.len()]);
    let learned = objective.start(0).unwrap();
    let batch = Batch { draws, weights: &[1.0; N], labels: &[], noise };
    objective.run(&model, &params, &learned, &batch, Out { values: &mut values, grad: &mut grad }).unwrap();
    assert!(grad.iter().all(|g| g.is_finite()) && grad.iter().any(|g| *g != 0.0));
    values
}

fn regression(control: Control) -> impl Fn(&ScoreModel<f64>) -> Objective<f64> {
    move |model| Objective::Regression(Box::new(Loss::new(model, Regression::Score, control, N).unwrap()))
}

/// Where the points of a draw are one and the target is zero, every estimator is |S|^2 of one network, if all
/// its evaluations are of the same one.
#[test]
fn the_points_of_a_draw_see_one_network() {
    let (points, none) = (draws([0.0; 2], [0.0; 2]), regression(Control::None));
    let want = values(0.3, &points, NOISE, &none);
    for control in Control::ALL.iter().copied().filter(|c| *c != Control::Auto) {
        let got = values(0.3, &points, NOISE, regression(control));
        let apart = got.iter().zip(&want).filter(|(a, b)| (*a - *b).abs() > 1e-12 * (1.0 + b.abs())).count();
        assert!(apart == 0, "{control:?}: {apart} of {N} draws see another network at one of their points");
    }
    // Another step, another seed, and no dropout are other networks; the purpose is not the dropout's.
    let differ = |other: &[f64]| other.iter().zip(&want).filter(|(a, b)| a != b).count() > N * 9 / 10;
    assert!(differ(&values(0.3, &points, Paths { step: 9, ..NOISE }, &none)));
    assert!(differ(&values(0.3, &points, Paths { seed: 5, ..NOISE }, &none)));
    assert!(differ(&values(0.0, &points, NOISE, &none)));
    assert_eq!(values(0.3, &points, Paths { purpose: Purpose::Noise, ..NOISE }, &none), want);
}

/// The exact divergence is that of the network that the draw sees: |S|^2 + 2 sbar div S, with S and its
/// differences from the values of the regression, |S|^2 - 2 sbar S . y.
#[test]
fn the_divergence_is_that_of_one_network() {
    let scale = model(0.3).0.scale;
    let plain = |shift, target| values(0.3, &draws(shift, target), NOISE, regression(Control::None));
    let mut want = plain([0.0; 2], [0.0; 2]);
    let (h, points) = (1e-4, draws([0.0; 2], [0.0; 2]));
    for j in 0..2 {
        let along = |size: f64| [0, 1].map(|k| if k == j { size } else { 0.0 });
        let s = |shift: f64| {
            let with = plain(along(shift), along(1.0));
            plain(along(shift), [0.0; 2]).into_iter().zip(with).map(|(square, with)| 0.5 * (square - with)).collect::<Vec<f64>>()
        };
        // sbar S_j, and so sbar dS_j/dx_j.
        for (want, (plus, minus)) in want.iter_mut().zip(s(h).into_iter().zip(s(-h))) {
            *want += 2.0 * (plus - minus) / (2.0 * h);
        }
    }
    let exact =
        |model: &ScoreModel<f64>| Objective::Implicit(Box::new(Implicit::new(model, Regression::Score, Divergence::Exact, N).unwrap()));
    let got = values(0.3, &points, NOISE, exact);
    for (i, (got, want)) in got.iter().zip(&want).enumerate() {
        assert!(
            (got - want).abs() <= 1e-5 * (1.0 + want.abs()),
            "{i}, t = {}: {got}, by differences {want} ({scale:?})",
            points.times()[i]
        );
    }
}
