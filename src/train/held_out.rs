//! The held-out gain (19): whether the network is better than none.
//!
//! On draws of held-out points, always the same ones, the loss of (7) less that of the guide alone, which is
//! a network whose output is zero. With r = S - S_0 what the network adds, times sbar, and y the target less
//! S_0, both scores times sbar,
//!
//! G = E [ (|S|^2 - 2 S . Y) - (|S_0|^2 - 2 S_0 . Y) ] = E [ |r|^2 - 2 r . y ],
//!
//! over antithetic pairs +-z at the times of training. 0 is "no network", below is better, above is worse
//! than not training at all. Of the component flow, whose network is regressed on y by itself, the same form;
//! of a velocity S = v, with that of N(0, I) data for S_0.

use super::System;
use crate::nn::Inference;
use crate::rng::{Purpose, Stream};
use crate::sde::Paths;
use crate::transition::{Draws, by_time, stratified};
use crate::{Error, Real, Result};
use ndarray::ArrayView2;
use std::collections::BTreeMap;

/// Groups of draws in the order of their times.
const GROUPS: usize = 8;
/// Streams of training steps end far below.
const STEP: u64 = 1 << 41;

/// A held-out gain with its standard error over held-out points, in units of the loss.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Mean {
    /// The mean.
    pub value: f64,
    /// Its standard error: points are independent, draws of one point are not.
    pub error: f64,
}

/// (19) at one set of parameters.
#[derive(Debug, Clone, PartialEq)]
pub struct Gain {
    /// Over all draws.
    pub whole: Mean,
    /// Over the draws of neighbouring times: their mean time, and their gain.
    pub groups: Vec<(f64, Mean)>,
}

/// (19) over the held-out points of one class, of a network that is told it.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct ClassGain {
    /// The class.
    pub class: u32,
    /// The gain.
    pub told: Mean,
    /// That of the same network on the same draws, told no label.
    pub untold: Mean,
}

/// Held-out points, noised once, and the network's memory.
pub(super) struct HeldOut<R> {
    /// Inputs of the network, [2 n, inputs]: a pair's points one after the other.
    rows: Vec<R>,
    /// u, [2 n, d].
    pub points: Vec<R>,
    /// The guide's score over the unit of S, [2 n, d]: S_0 of a score, and sbar g of the component flow.
    pub guide: Vec<R>,
    /// y, [2 n, d].
    pub targets: Vec<R>,
    /// What the network is multiplied with, and the multiple of the guide that is taken from it, so that it
    /// becomes r.
    factors: Vec<[R; 2]>,
    /// The time of each pair, and the point that it was noised from.
    pub times: Vec<f64>,
    pub owners: Vec<usize>,
    /// Pairs in the order of their times.
    order: Vec<usize>,
    inference: Inference<R>,
    pub dim: usize,
}

impl<R: Real> HeldOut<R> {
    /// `draws` pairs, or a few more, of the rows of `u` [m, d], whitened. Which: by `seed` and `number`. The
    /// network is told their `labels`, if there are any.
    ///
    /// # Errors
    /// No row; a path that reaches NaN or infinity; a label that is no class of the network.
    pub fn new(system: &System<R>, u: ArrayView2<f64>, labels: &[u32], draws: usize, (seed, number): (u64, u64)) -> Result<Self> {
        let (model, d, per_path) = (&system.model, system.model.dim(), system.noising.draws_per_path());
        if u.nrows() == 0 || u.ncols() != d {
            return Err(Error::shape("held-out points", format!("[m, {d}], m >= 1"), &[u.shape()]));
        }
        let points = u.nrows().min(draws.max(1));
        let copies = draws.div_ceil(points * per_path).max(1);
        let n = points * copies * per_path;
        let noise = Paths { seed, purpose: Purpose::Noise, step: STEP + number };
        let starts: Vec<R> = (0..points * copies).flat_map(|i| u.row(i / copies).to_vec()).map(R::of).collect();
        let (mut times, mut drawn) = (vec![0.0; n], Draws::new(n, d));
        stratified(&mut Stream::new(seed, Purpose::Time, noise.step, 0), copies * per_path, &mut times);
        system.noising.draw(&starts, &times, noise, &mut drawn)?;

        let inputs = model.net.inputs();
        let mut all = HeldOut {
            rows: vec![R::zero(); 2 * n * inputs],
            points: Vec::with_capacity(2 * n * d),
            guide: vec![R::zero(); 2 * n * d],
            targets: Vec::with_capacity(2 * n * d),
            factors: Vec::with_capacity(2 * n),
            times: drawn.times().to_vec(),
            owners: (0..n).map(|i| i / (copies * per_path)).collect(),
            order: by_time(drawn.times()),
            inference: Inference::new(&model.net, &vec![R::zero(); model.net.parameter_count()])?,
            dim: d,
        };
        for i in 0..n {
            let draw = drawn.draw(i);
            all.points.extend([draw.plus, draw.minus].concat());
            all.targets.extend([draw.target_plus, draw.target_minus].concat());
        }
        let twice: Vec<f64> = all.times.iter().flat_map(|t| [*t; 2]).collect();
        model.guide(&twice, &all.points, &mut all.guide)?;
        let whole = system.regression.is_whole(model.parametrisation);
        for (i, t) in twice.iter().enumerate() {
            let (unit, at) = (R::of(system.regression.unit(model.scale, *t)), i * d..(i + 1) * d);
            let share = R::of(system.regression.share(model.scale, *t));
            let label = labels.get(all.owners[i / 2]).copied();
            model.labelled_input(*t, label, &all.points[at.clone()], &mut all.rows[i * inputs..(i + 1) * inputs])?;
            for (y, g) in all.targets[at.clone()].iter_mut().zip(&mut all.guide[at]) {
                *g *= unit;
                *y = unit * *y - share * *g;
            }
            all.factors.push([R::of(model.factor(system.regression, *t)), if whole { share } else { R::zero() }]);
        }
        Ok(all)
    }

    /// r, [2 n, d], of the network with the parameters `params`.
    ///
    /// # Errors
    /// Parameters of another network.
    pub fn added(&mut self, params: &[R]) -> Result<Vec<R>> {
        self.inference.load(params)?;
        let mut r = vec![R::zero(); self.points.len()];
        self.inference.run(&self.rows, &mut r)?;
        for ((r, g), [factor, share]) in r.chunks_exact_mut(self.dim).zip(self.guide.chunks_exact(self.dim)).zip(&self.factors) {
            r.iter_mut().zip(g).for_each(|(r, g)| *r = *factor * *r - *share * *g);
        }
        Ok(r)
    }

    /// The gain of what is added, [2 n, d], pair by pair.
    fn pairs(&self, added: &[R]) -> Vec<f64> {
        let d = self.dim;
        let row = |(r, y): (&[R], &[R])| r.iter().zip(y).map(|(r, y)| r.f64() * (r.f64() - 2.0 * y.f64())).sum::<f64>();
        let rows: Vec<f64> = added.chunks_exact(d).zip(self.targets.chunks_exact(d)).map(row).collect();
        rows.chunks_exact(2).map(|pair| 0.5 * (pair[0] + pair[1])).collect()
    }

    /// The gain of what is added less that of something else, with the error of the difference.
    pub fn difference(&self, added: &[R], other: &[R]) -> Mean {
        let pairs: Vec<f64> = self.pairs(added).iter().zip(self.pairs(other)).map(|(a, b)| a - b).collect();
        self.mean(&pairs, &self.order)
    }

    /// The gain of what is added, [2 n, d].
    pub fn gain(&self, added: &[R]) -> Gain {
        let pairs = self.pairs(added);
        let over = |draws: &[usize]| self.mean(&pairs, draws);
        let time = |draws: &[usize]| draws.iter().map(|i| self.times[*i]).sum::<f64>() / draws.len() as f64;
        let group = |draws: &[usize]| (time(draws), over(draws));
        Gain { whole: over(&self.order), groups: self.order.chunks(self.order.len().div_ceil(GROUPS)).map(group).collect() }
    }

    /// The gain of what is added, [2 n, d], over the draws of the points of each label, which point i has in `labels[i]`.
    pub fn gains_by_label(&self, added: &[R], labels: &[u32]) -> BTreeMap<u32, Mean> {
        let (pairs, mut draws) = (self.pairs(added), BTreeMap::<u32, Vec<usize>>::new());
        self.order.iter().for_each(|i| draws.entry(labels[self.owners[*i]]).or_default().push(*i));
        draws.into_iter().map(|(label, draws)| (label, self.mean(&pairs, &draws))).collect()
    }

    /// The mean of `values` over `draws`, with the error that it has because its points were drawn.
    fn mean(&self, values: &[f64], draws: &[usize]) -> Mean {
        let points = self.owners.last().map_or(0, |last| last + 1);
        let (mut sums, mut counts) = (vec![0.0; points], vec![0.0; points]);
        for i in draws {
            sums[self.owners[*i]] += values[*i];
            counts[self.owners[*i]] += 1.0;
        }
        let n = draws.len() as f64;
        let value = sums.iter().sum::<f64>() / n;
        // Linearised: of a mean of clusters of unlike sizes.
        let squares: f64 = sums.iter().zip(&counts).map(|(s, c)| (s - c * value).powi(2)).sum();
        let clusters = counts.iter().filter(|c| **c > 0.0).count() as f64;
        Mean { value, error: (squares * clusters / (clusters - 1.0).max(1.0)).sqrt() / n }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::train::watch::tests::prepared;
    use approx::assert_relative_eq;

    /// (19) as it is written, from the scores themselves.
    #[test]
    fn the_gain_is_the_difference_of_two_losses() {
        let cases = [("residual", "ndsm"), ("scaled", "dsm"), ("plain", "ndsm"), ("preconditioned", "dsm"), ("residual", "component-flow")];
        for (form, objective) in cases.into_iter().chain(["plain", "residual"].map(|form| (form, "flow-matching"))) {
            let velocity = objective == "flow-matching";
            let kind = if velocity { "straight" } else { "langevin" };
            let prepared = prepared(&[("network.parametrisation", form), ("objective.kind", objective), ("sde.kind", kind)]);
            let system = System::<f64>::new(&prepared.config, &prepared.reference).unwrap();
            let u = prepared.reference.whitening.whiten(prepared.held_out().unwrap().slice(ndarray::s![..50, ..])).unwrap();
            let mut held_out = HeldOut::new(&system, u.view(), &[], 200, (3, 0)).unwrap();
            let mut params = system.model.net.init::<f64>(1);
            let nothing = held_out.added(&params).unwrap();
            if ["residual", "preconditioned"].contains(&form) {
                assert!(held_out.gain(&nothing).whole == Mean { value: 0.0, error: 0.0 });
            }
            Stream::new(2, Purpose::Test, 0, 0).fill_normal(&mut params);
            params.iter_mut().for_each(|p| *p *= 0.1);
            let (added, mut exact) = (held_out.added(&params).unwrap(), 0.0);
            let pairs = held_out.times.len();
            for i in 0..2 * pairs {
                let t = held_out.times[i / 2];
                let scale = system.model.scale;
                let sbar = scale.sbar(t);
                let (mut net, mut guide) = ([0.0; 2], [0.0; 2]);
                let at = held_out.points[2 * i..][..2].to_vec();
                Inference::new(&system.model.net, &params)
                    .unwrap()
                    .run(&held_out.rows[i * system.model.net.inputs()..][..system.model.net.inputs()], &mut net)
                    .unwrap();
                system.model.guide(&[held_out.times[i / 2]], &at, &mut guide).unwrap();
                for j in 0..2 {
                    // S, S_0 and the target times sbar; of the component flow the residuals by themselves.
                    let alone = match objective {
                        "component-flow" => 0.0,
                        // (2t - 1) u/V, the velocity of N(0, I) data.
                        "flow-matching" => (2.0 * t - 1.0) / (1.0 - 2.0 * t + 2.0 * t * t) * at[j],
                        _ => sbar * guide[j],
                    };
                    let s = match form {
                        "residual" => alone + net[j],
                        "preconditioned" => alone + scale.alpha(t) / scale.total(t).sqrt() * net[j],
                        "scaled" => net[j],
                        _ if velocity => net[j],
                        _ => sbar * net[j],
                    };
                    let y = held_out.targets[2 * i + j] + alone;
                    exact += (s * s - 2.0 * s * y) - (alone * alone - 2.0 * alone * y);
                }
            }
            let gain = held_out.gain(&added);
            assert_relative_eq!(gain.whole.value, exact / (2 * pairs) as f64, max_relative = 1e-10);
            let groups: f64 = gain.groups.iter().map(|(_, mean)| mean.value).sum::<f64>() / gain.groups.len() as f64;
            assert!(gain.groups.len() == GROUPS && gain.groups.windows(2).all(|g| g[0].0 < g[1].0));
            assert_relative_eq!(gain.whole.value, groups, max_relative = 1e-10);
        }
    }

    /// The standard error is that of the mean of independent points: over 40 sets of points the means scatter
    /// as it says. A ratio of variances from 40 values lies within a factor of 1.6 with 99.7 %.
    #[test]
    fn the_error_is_that_of_the_points() {
        let prepared = prepared(&[]);
        let system = System::<f64>::new(&prepared.config, &prepared.reference).unwrap();
        let u = prepared.reference.whitening.whiten(prepared.held_out().unwrap().view()).unwrap();
        let mut params = system.model.net.init::<f64>(1);
        Stream::new(2, Purpose::Test, 0, 0).fill_normal(&mut params);
        params.iter_mut().for_each(|p| *p *= 0.1);
        let of = |set: usize| {
            let mut held_out =
                HeldOut::new(&system, u.slice(ndarray::s![50 * set..50 * (set + 1), ..]), &[], 400, (set as u64, 0)).unwrap();
            let added = held_out.added(&params).unwrap();
            held_out.gain(&added).whole
        };
        let all: Vec<Mean> = (0..40).map(of).collect();
        let mean = all.iter().map(|m| m.value).sum::<f64>() / 40.0;
        let scatter = all.iter().map(|m| (m.value - mean).powi(2)).sum::<f64>() / 39.0;
        let said = all.iter().map(|m| m.error.powi(2)).sum::<f64>() / 40.0;
        assert!((scatter / said).ln().abs() <= 1.6f64.ln(), "{scatter} {said}");
    }
}
