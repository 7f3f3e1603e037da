//! Scores: the chain's own, the equation's, a network's, and what the samplers make of an exact one.

pub(super) mod trained;

use super::transitions::{order, row, three_modes};
use super::{Curve, Effort, Part, Row};
use crate::config::{Config, Setting, Spacing};
use crate::mixture::{Covariances, Draw, Mixture};
use crate::rng::Purpose;
use crate::sample::{Field, Generation, Method, Reverse, ReverseIsotropic, ReverseLangevin, generate};
use crate::sde::ode::Explicit;
use crate::sde::{ComponentStep, DoubleWell, Isotropic, Langevin, NoiseScale};
use crate::train::{Reference, Settled, Trainer};
use crate::transition::{ChapmanKolmogorov, Drift, Euler, FokkerPlanck, Line, LocalLinear};
use crate::{Real, Result};
use ndarray::{Array2, Axis, array};

pub(super) const HOW: &str = "\
chain    the exact score of the Euler chain (Chapman-Kolmogorov, eq. 6) against that of its equation (Fokker-Planck), which it meets to
         first order in h: relative error in L2(p) at time 1/2, each chain started from its own first step
linear   the chain of exact steps of a linear equation, started from a mixture, against the mixture that its law is
network  a small network trained by NDSM on the Euler chain, against the chain's exact score
trained  the same on chains of 200 steps from a law with a density, for up to a minute on two cores (quick: a second), in each of ten bins of time
reverse  100,000 (quick: 20,000) points taken back by the exact score: Kolmogorov-Smirnov distance to p_0 over its 1 % critical value";

/// Checks them all.
pub(super) const PARTS: &[Part] =
    &[("chain", |_| chains()), ("linear", |_| linear()), ("network", network), ("trained", trained::rows), ("reverse", reverse)];

fn chains() -> Result<Vec<Row>> {
    let well = |x: f64| 0.25 * x.powi(4) - 0.5 * x * x;
    let pi = three_modes()?;
    // Langevin dynamics with beta = 1: the potential -(1/2) ln pi, at D = 1/2.
    let potential = |x: f64| pi.log_density(array![[x]].view()).map_or(f64::NAN, |l| -0.5 * l[0]);
    Ok(vec![
        chain("double well", &Euler(DoubleWell::new(1, 0.8)?), &well, 0.32)?,
        chain("three modes", &Euler(Langevin::<f64>::new(&pi, 1.0)?), &potential, 0.5)?,
    ])
}

/// The relative error of the chain's score at time 1/2, from N(0.3, 1/4), over the step.
fn chain<S: Isotropic<f64>>(tried: &str, one: &Euler<S>, potential: &dyn Fn(f64) -> f64, diffusion: f64) -> Result<Row> {
    let start = || Line::new(-5.0, 5.0, 1001, |x| (-2.0 * (x - 0.3) * (x - 0.3)).exp());
    let mut exact = start()?;
    FokkerPlanck { drift: Drift::Potential(potential), diffusion }.evolve_extrapolated(&mut exact, 0.0, 0.5, 200)?;
    let reference = exact.score();
    let mut curve = Curve { h: vec![1.0 / 64.0, 1.0 / 32.0, 1.0 / 16.0], error: vec![] };
    for h in &curve.h {
        let steps = (0.5 / h).round() as usize;
        let mut law = ChapmanKolmogorov::new(start()?);
        (0..steps).try_for_each(|n| law.step(one, n as f64 * h, (n + 1) as f64 * h))?;
        curve.error.push(relative(&exact, law.score(), &reference));
    }
    Ok(order("chain", tried, 1.0, 0.15, curve))
}

/// (E |a - b|^2 / E |b|^2)^(1/2) under p, where p is not negligible.
fn relative(p: &Line, a: &[f64], b: &[f64]) -> f64 {
    let (mut top, mut bottom) = (0.0, 0.0);
    for (p, (a, b)) in p.density().iter().zip(a.iter().zip(b)).filter(|(p, _)| **p > 1e-9) {
        top += p * (a - b) * (a - b);
        bottom += p * b * b;
    }
    (top / bottom).sqrt()
}

fn linear() -> Result<Vec<Row>> {
    let standard = Mixture::new(array![1.0], array![[0.0]], Covariances::Spherical(array![1.0]))?;
    let one = LocalLinear(Langevin::<f64>::new(&standard, 1.0)?);
    let data = three_modes()?;
    let density = |x: f64| data.log_density(array![[x]].view()).map_or(f64::NAN, |l| l[0].exp());
    let mut law = ChapmanKolmogorov::new(Line::new(-8.0, 8.0, 801, density)?);
    (0..5).try_for_each(|n| law.step(&one, 0.2 * f64::from(n), 0.2 * f64::from(n + 1)))?;
    let exact = data.marginal((-0.5f64).exp(), -(-1f64).exp_m1())?;
    let x = Array2::from_shape_fn((801, 1), |(i, _)| law.law().x(i));
    let score = exact.score(x.view())?;
    let p = exact.log_density(x.view())?.mapv(f64::exp);
    let density_error = p.iter().zip(law.law().density()).map(|(a, b)| (a - b).abs()).fold(0.0, f64::max);
    let score_error = relative(law.law(), law.score(), &score.column(0).to_vec());
    Ok(vec![row("linear", "three modes, five exact steps to time 1", &[("density", density_error, 1e-10), ("score", score_error, 1e-9)])])
}

/// NDSM with the Euler chain of 10 steps on [0, 1]; the network's score at time 1/2 against that of the chain
/// from the training points.
fn network(effort: Effort) -> Result<Vec<Row>> {
    let (steps, bound) = if effort == Effort::Quick { (400usize, 0.3) } else { (2000, 0.15) };
    let config = Config::resolve(&[
        Setting::new("data.name", "four-modes"),
        Setting::new("reference.components", 3usize),
        Setting::new("sde.horizon", 1.0),
        Setting::new("sde.steps", 10usize),
        Setting::new("objective.transition", "euler"),
        Setting::new("network.width", 64usize),
        Setting::new("network.depth", 2usize),
        Setting::new("train.steps", steps),
        Setting::new("train.batch", 256usize),
        Setting::new("train.times_per_path", 4usize),
    ])?;
    // The reference is not quite the data's law, so that there is something to learn.
    let data = Mixture::new(array![0.3, 0.5, 0.2], array![[-1.8], [0.1], [2.4]], Covariances::Spherical(array![0.4, 0.6, 0.4]))?;
    let points = data.sample(2000, 0, Purpose::Data, Draw::Systematic)?.0;
    let reference = Reference::from_mixture(&three_modes()?, 0.0)?;
    let mut trainer = Trainer::<f32>::new(&Settled::new(&config, &reference, points.nrows())?, &reference, points.view())?;
    for _ in 0..steps {
        trainer.step()?;
    }
    // The chain in whitened coordinates, from the points: after its first step its law is a mixture of 2,000
    // Gaussians.
    let one = Euler(Langevin::<f64>::new(&reference.mixture, 1.0)?);
    let u = reference.whitening.whiten(points.view())?;
    let (h, at_half) = (0.1, 5);
    let mean = crate::transition::rows::mean(&one, 0.0, h, u.view())?;
    let first = |x: f64| mean.iter().map(|m| (-0.5 * (x - m) * (x - m) / h).exp()).sum::<f64>();
    let mut law = ChapmanKolmogorov::new(Line::new(-9.0, 9.0, 601, first)?);
    (1..at_half).try_for_each(|n| law.step(&one, f64::from(n) * h, f64::from(n + 1) * h))?;
    let grid = Array2::from_shape_fn((601, 1), |(i, _)| law.law().x(i));
    let x = reference.whitening.unwhiten(grid.view())?;
    // s_u = A^T s_x.
    let learned = trainer.generator(&reference)?.score(h * f64::from(at_half), x.view())?.dot(&reference.whitening.factor());
    let learned: Vec<f64> = learned.index_axis(Axis(1), 0).to_vec();
    let error = relative(law.law(), &learned, law.score());
    // What training started from: the reference's own score.
    let guide = reference.mixture.score(grid.view())?;
    let before = relative(law.law(), &guide.column(0).to_vec(), law.score());
    let tried = format!("{steps} steps, relative L2(p); the reference alone has {before:.3}");
    Ok(vec![row("network", &tried, &[("chain's score", error, bound), ("of the reference's error", error / before, 0.6)])])
}

/// The exact residual of a linear process whose data are a mixture, over the score of N(0, 1) data.
struct Exact<'a>(&'a Mixture, NoiseScale);

impl<R: Real> Field<R> for Exact<'_> {
    fn residual(&mut self, t: f64, u: &[R], out: &mut [R]) -> Result<()> {
        let (law, scale) = (self.0, self.1);
        let x = Array2::from_shape_fn((u.len(), 1), |(i, _)| u[i].f64());
        let s = law.marginal(scale.alpha(t), scale.sbar(t).powi(2))?.score(x.view())?;
        let precision = R::of(1.0 / scale.total(t));
        out.iter_mut().zip(&s).zip(u).for_each(|((o, s), u)| *o = R::of(*s) + precision * *u);
        Ok(())
    }
}

fn reverse(effort: Effort) -> Result<Vec<Row>> {
    let n = if effort == Effort::Quick { 20_000 } else { 100_000 };
    let standard = Mixture::new(array![1.0], array![[0.0]], Covariances::Spherical(array![1.0]))?;
    let data = three_modes()?;
    let langevin = ReverseLangevin(ComponentStep::<f64>::new(&standard, 1.0)?);
    let isotropic = |scale| ReverseIsotropic::new(1, scale);
    let (exploding, straight) = (isotropic(NoiseScale::Exploding { beta: 1.0 }), isotropic(NoiseScale::Straight));
    let how = |method, steps, [t_min, horizon]: [f64; 2], spacing| Generation {
        method,
        flow: Explicit::HEUN,
        steps,
        horizon,
        t_min,
        spacing,
        seed: 5,
        block: 0,
    };
    let to_pi = |method, steps| how(method, steps, [1e-3, 12.0], Spacing::Karras);
    let samplers: [(&str, &dyn Reverse<f64>, Generation); 5] = [
        ("ode", &langevin, to_pi(Method::Ode, 100)),
        ("sde", &langevin, to_pi(Method::Sde, 2000)),
        ("pc", &langevin, to_pi(Method::Pc, 1200)),
        ("ode of EDM", &exploding, how(Method::Ode, 60, [0.004, 160.0], Spacing::Karras)),
        ("ode of straight paths", &straight, how(Method::Ode, 100, [0.002, 0.998], Spacing::Uniform)),
    ];
    let mut rows = vec![];
    for (name, process, how) in samplers {
        let wide = process.scale().total_std(1.0, how.horizon);
        let mut u: Vec<f64> = standard.sample(n, 1, Purpose::Start, Draw::Independent)?.0.iter().map(|u| wide * u).collect();
        generate(process, &mut Exact(&data, process.scale()), how, &mut u, &mut |_, _| {})?;
        rows.push(row("reverse", &format!("{name}, {} steps", how.steps), &[("Kolmogorov-Smirnov", distance(&mut u, &data)?, 1.0)]));
    }
    Ok(rows)
}

/// The Kolmogorov-Smirnov distance of points to a mixture in one dimension, over its 1 % critical value.
pub(super) fn distance(x: &mut [f64], law: &Mixture) -> Result<f64> {
    x.sort_by(f64::total_cmp);
    let n = x.len() as f64;
    let sd: Vec<f64> = (0..law.components()).map(|k| law.covariance(k)[[0, 0]].sqrt()).collect();
    let cumulative = |x: f64| -> f64 {
        (0..sd.len()).map(|k| law.weights()[k] * ((x - law.means()[[k, 0]]) / sd[k]).normal_law_lane::<false>().0).sum()
    };
    let largest = x.iter().enumerate().map(|(i, x)| {
        let f = cumulative(*x);
        (f - i as f64 / n).abs().max((f - (i + 1) as f64 / n).abs())
    });
    Ok(largest.fold(0.0, f64::max) * n.sqrt() / 1.628)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::audit::{Effort, Subject, table};

    #[test]
    fn scores_are_what_they_should_be() {
        let table = table(Subject::Scores, Effort::Quick, &mut |_| {});
        let failed: Vec<&Row> = table.rows.iter().filter(|row| !row.pass).collect();
        assert!(failed.is_empty() && table.rows.len() == 11, "{failed:#?}");
    }

    #[test]
    fn a_biased_sampler_is_seen() {
        let data = three_modes().unwrap();
        let mut right: Vec<f64> = data.sample(20_000, 3, Purpose::Test, Draw::Independent).unwrap().0.iter().copied().collect();
        let mut wrong: Vec<f64> = right.iter().map(|x| 1.02 * x + 0.02).collect();
        assert!(distance(&mut right, &data).unwrap() <= 1.0 && distance(&mut wrong, &data).unwrap() > 1.0);
    }
}
