//! The calibration (20) of a network that overfits, of one that is right, and of one that is noise.

use super::{Case, gaussian, modes, noise_network, settle};
use crate::audit::transitions::row;
use crate::audit::{Effort, Row};
use crate::mixture::{Covariances, Draw, Mixture};
use crate::rng::{Purpose, Stream};
use crate::sde::Paths;
use crate::train::{Calibration, Generator, State, Trainer};
use crate::transition::{Draws, by_time, stratified};
use crate::{Error, Result};
use ndarray::{Array1, Array2, array};

/// Fresh draws.
const DRAWS: usize = 4000;
/// Groups of draws in the order of their times.
const GROUPS: usize = 8;
/// Standard errors that a group may be above: one of 2,000 is by chance.
const CONFIDENCE: f64 = 3.3;

/// A row for each network.
///
/// # Errors
/// None that was ever seen.
pub fn rows(effort: Effort) -> Result<Vec<Row>> {
    Ok(vec![overfitted()?, right(effort)?, noise()?, linear()?])
}

/// The configuration of a run that overfits: 150 points of four modes in 8 dimensions.
pub fn overfitting() -> Result<Case> {
    let law = modes(8)?;
    let settings = [
        ("sde.kind", "vp".into()),
        ("train.steps", 600usize.into()),
        ("train.evaluate_every", 25usize.into()),
        ("train.keep", "last".into()),
    ];
    Case::new(&law, &gaussian(&law)?, (150, 150), &settings)
}

fn calibrated(trainer: &mut Trainer<f32>) -> Result<Calibration> {
    trainer.calibrate()?.cloned().ok_or_else(|| Error::refused("audit", "the run has no calibration"))
}

fn overfitted() -> Result<Row> {
    let case = overfitting()?;
    let mut trainer = case.trainer()?;
    for _ in 0..case.config.train.steps {
        trainer.step()?;
    }
    let fit = calibrated(&mut trainer)?;
    let star = trainer.state().clone();
    let plain = State { calibration: None, ..star.clone() };
    let error = |drawn: Vec<Drawn>| drawn.iter().map(|d| square(&(&d.learned - &d.exact))).collect::<Vec<f64>>();
    let drawn = scores(&case, &trainer, &plain)?;
    let times: Vec<f64> = drawn.iter().map(|d| d.t).collect();
    let (before, after) = (error(drawn), error(scores(&case, &trainer, &star)?));
    let sum = |e: &[f64]| e.iter().sum::<f64>();
    let ratio = sum(&after) / sum(&before);
    let order = by_time(&times);
    let above = order.chunks(DRAWS / GROUPS).map(|group| {
        let change: Vec<f64> = group.iter().map(|i| after[*i] - before[*i]).collect();
        let (n, mean) = (change.len() as f64, sum(&change) / change.len() as f64);
        mean / (change.iter().map(|c| (c - mean).powi(2)).sum::<f64>() / (n - 1.0) / n).sqrt()
    });
    let worst = above.fold(f64::NEG_INFINITY, f64::max).max(0.0);
    let n = DRAWS as f64;
    let tried = format!(
        "overfitted: error {:.2} becomes {:.2}, held-out gain {:.2} +- {:.2} becomes {:.2} +- {:.2}",
        sum(&before) / n,
        sum(&after) / n,
        fit.plain.value,
        fit.plain.error,
        fit.calibrated.value,
        fit.calibrated.error
    );
    Ok(row("calibration", &tried, &[("error without", ratio, 0.7), ("increase in a group, standard errors", worst, CONFIDENCE)]))
}

/// What a score is at a fresh draw of the noised law: all times sbar, in whitened coordinates.
struct Drawn {
    t: f64,
    u: Array1<f64>,
    learned: Array1<f64>,
    exact: Array1<f64>,
}

/// The score of the generator of `state` at fresh draws, the same ones for every state of `trainer`.
fn scores(case: &Case, trainer: &Trainer<f32>, state: &State<f32>) -> Result<Vec<Drawn>> {
    let (system, whitening) = (trainer.system(), &case.reference.whitening);
    let (d, scale) = (case.law.dim(), system.model.scale);
    let x = case.law.sample(DRAWS, 3, Purpose::Test, Draw::Systematic)?.0;
    let starts: Vec<f32> = whitening.whiten(x.view())?.iter().map(|u| *u as f32).collect();
    let (mut levels, mut draws) = (vec![0.0; DRAWS], Draws::new(DRAWS, d));
    stratified(&mut Stream::new(3, Purpose::Test, 0, 0), 1, &mut levels);
    system.noising.draw(&starts, &levels, Paths { seed: 3, purpose: Purpose::Test, step: 1 }, &mut draws)?;
    let law = case.law.affine(whitening.inverse(), whitening.shift().view())?;
    let mut generator = Generator::new(&case.config, &case.reference, state)?;
    let one = |i: usize| -> Result<Drawn> {
        let t = draws.times()[i];
        let u = Array2::from_shape_fn((1, d), |(_, j)| f64::from(draws.draw(i).plus[j]));
        // s_u = A^T s_x.
        let learned = generator.score(t, whitening.unwhiten(u.view())?.view())?.dot(&whitening.factor());
        let exact = law.marginal(scale.alpha(t), scale.sbar(t).powi(2))?.score(u.view())?;
        let row = |x: Array2<f64>| x.row(0).mapv(|x| x * scale.sbar(t));
        Ok(Drawn { t, u: row(u), learned: row(learned), exact: row(exact) })
    };
    (0..DRAWS).map(one).collect()
}

fn square(x: &Array1<f64>) -> f64 {
    x.dot(x)
}

/// With 20,000 points to learn from and 20,000 others to be calibrated on.
fn right(effort: Effort) -> Result<Row> {
    let (steps, bound) = if effort == Effort::Quick { (800usize, 0.15) } else { (3000, 0.1) };
    let law = modes(2)?;
    let settings = [("sde.kind", "vp".into()), ("train.steps", steps.into()), ("train.evaluate_every", 0usize.into())];
    let case = Case::new(&law, &gaussian(&law)?, (20_000, 20_000), &settings)?;
    let mut trainer = case.trainer()?;
    for _ in 0..steps {
        trainer.step()?;
    }
    // Nothing was watched; the last parameters.
    let params = trainer.state().averaged().to_vec();
    let watched = settle(&[("sde.kind", "vp".into()), ("train.keep", "last".into())], &case.reference, case.x.nrows())?;
    let mut watching = case.with(&watched, &params)?;
    let fit = calibrated(&mut watching)?;
    // Where the network is nearly linear, at large times, it is the point and the guide over again, and only
    // the sum of the three terms means something: what (c_1 - 1) net + c_2 u + c_3 g is beside net.
    let star = State { calibration: Some(fit.clone()), ..watching.state().clone() };
    let (before, after) = (scores(&case, &watching, &State { calibration: None, ..star.clone() })?, scores(&case, &watching, &star)?);
    let apart: f64 = before.iter().zip(&after).map(|(a, b)| square(&(&a.learned - &b.learned))).sum();
    // The guide is -u.
    let change = (apart / before.iter().map(|d| square(&(&d.learned + &d.u))).sum::<f64>()).sqrt();
    let better = (fit.plain.value - fit.calibrated.value) / fit.plain.value.abs();
    let tried = format!(
        "20,000 points, {steps} steps: gain {:.4} +- {:.4}, {:.1e} of it more by the calibration, which changes {change:.3} of the network",
        fit.plain.value, fit.plain.error, better
    );
    Ok(row("calibration", &tried, &[("c = (1, 0, 0)", change, bound), ("nothing to gain", better, 0.02)]))
}

/// A network of random numbers where the reference is the law: nothing is left to learn.
fn noise() -> Result<Row> {
    let law = modes(2)?;
    let case = Case::new(&law, &law, (1000, 4000), &[("train.keep", "last".into())])?;
    let mut trainer = case.with(&case.config, &noise_network(&case, 0, 0.3)?)?;
    let fit = calibrated(&mut trainer)?;
    let first = fit.coefficients.iter().map(|c| c[0].abs()).fold(0.0, |m: f64, v| if v <= m { m } else { v });
    let tried = format!(
        "noise: gain {:.2} becomes {:.1e} +- {:.0e}, c_1 at most {first:.1e}",
        fit.plain.value, fit.calibrated.value, fit.calibrated.error
    );
    // Left out it has no gain and no error.
    let above = if fit.is_guide() { 0.0 } else { fit.calibrated.value / fit.calibrated.error };
    let errors = [
        ("gain 0, standard errors", above.abs(), CONFIDENCE),
        ("c_1 = 0", first, 0.05),
        ("share of the gain", fit.calibrated.value / fit.plain.value, 0.01),
    ];
    Ok(row("calibration", &tried, &errors))
}

/// The same for a Gaussian law that is narrower than its reference: its score is linear in the point, so that
/// c_2 and c_3 alone are exact but for the interpolation in time.
fn linear() -> Result<Row> {
    let law = |variance: f64| Mixture::new(array![1.0], Array2::zeros((1, 3)), Covariances::Spherical(array![variance]));
    let case = Case::new(&law(0.25)?, &law(1.0)?, (1000, 4000), &[("sde.kind", "vp".into()), ("train.keep", "last".into())])?;
    let mut trainer = case.with(&case.config, &noise_network(&case, 0, 0.3)?)?;
    let fit = calibrated(&mut trainer)?;
    let drawn = scores(&case, &trainer, trainer.state())?;
    let left: f64 = drawn.iter().map(|d| square(&(&d.learned - &d.exact))).sum();
    let of: f64 = drawn.iter().map(|d| square(&(&d.u + &d.exact))).sum();
    let tried = format!("noise, a Gaussian law of half the width: gain {:.2} becomes {:.3}", fit.plain.value, fit.calibrated.value);
    Ok(row("calibration", &tried, &[("score, of the reference's error", left / of, 0.02)]))
}
