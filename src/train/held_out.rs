//! The held-out gain (19): whether the network is better than none.
//!
//! On draws of held-out points, always the same ones, the loss of (7) less that of the guide alone, which is a
//! network whose output is zero. With r = S - S_0 what the network adds, times sbar, and y the target less
//! S_0, both scores times sbar,
//!
//! G = E [ (|S|^2 - 2 S . Y) - (|S_0|^2 - 2 S_0 . Y) ] = E [ |r|^2 - 2 r . y ],
//!
//! over antithetic pairs +-z at the times of training. 0 is "no network", below is better, above is worse than
//! not training at all. Of the component flow, whose network is regressed on y by itself, the same form.

use super::System;
use crate::config::Parametrisation;
use crate::nn::Inference;
use crate::objective::Regression;
use crate::rng::{Purpose, Stream};
use crate::sde::Paths;
use crate::transition::{Draws, stratified};
use crate::{Error, Real, Result};
use ndarray::{Array2, ArrayView2};

/// Groups of draws in the order of their times.
const GROUPS: usize = 8;
/// Draws, each a pair, of held-out points, and half as many of training points: several of each point where
/// the points are fewer, one of as many points otherwise.
const DRAWS: usize = 1024;
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

/// (19) on held-out points, and the same on training points.
#[derive(Debug, Clone, PartialEq)]
pub struct Gains {
    /// On points that training does not see.
    pub held_out: Gain,
    /// On points that it sees: what is below the other is learned by heart.
    pub training: Gain,
}

/// Held-out points, noised once, and the network's memory.
pub(super) struct HeldOut<R> {
    /// Inputs of the network, [2 n, inputs]: a pair's points one after the other.
    rows: Vec<R>,
    /// u, [2 n, d].
    pub points: Vec<R>,
    /// S_0, [2 n, d].
    pub guide: Vec<R>,
    /// y, [2 n, d].
    pub targets: Vec<R>,
    /// What the network is multiplied with, and whether S_0 is taken from it, so that it becomes r.
    factors: Vec<R>,
    whole_score: bool,
    /// The time of each pair, and the point that it was noised from.
    pub times: Vec<f64>,
    pub owners: Vec<usize>,
    /// Pairs in the order of their times.
    order: Vec<usize>,
    inference: Inference<R>,
    dim: usize,
}

impl<R: Real> HeldOut<R> {
    /// `draws` pairs, or a few more, of the rows of `u` [m, d], whitened. Which: by `seed` and `number`.
    ///
    /// # Errors
    /// No row; a path that reaches NaN or infinity.
    pub fn new(system: &System<R>, u: ArrayView2<f64>, draws: usize, (seed, number): (u64, u64)) -> Result<Self> {
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
            whole_score: system.regression == Regression::Score && model.parametrisation != Parametrisation::Residual,
            times: drawn.times().to_vec(),
            owners: (0..n).map(|i| i / (copies * per_path)).collect(),
            order: (0..n).collect(),
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
        let score = if system.regression == Regression::Score { R::one() } else { R::zero() };
        for (i, t) in twice.iter().enumerate() {
            let (sbar, at) = (R::of(model.scale.sbar(*t)), i * d..(i + 1) * d);
            model.input(*t, &all.points[at.clone()], &mut all.rows[i * inputs..(i + 1) * inputs])?;
            for (y, g) in all.targets[at.clone()].iter_mut().zip(&mut all.guide[at]) {
                *g *= sbar;
                *y = sbar * *y - score * *g;
            }
            all.factors.push(if model.parametrisation == Parametrisation::Plain { sbar } else { R::one() });
        }
        let times = &all.times;
        all.order.sort_by(|a, b| times[*a].total_cmp(&times[*b]));
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
        for ((r, g), factor) in r.chunks_exact_mut(self.dim).zip(self.guide.chunks_exact(self.dim)).zip(&self.factors) {
            r.iter_mut().zip(g).for_each(|(r, g)| *r = *factor * *r - if self.whole_score { *g } else { R::zero() });
        }
        Ok(r)
    }

    /// The gain of what is added, [2 n, d].
    pub fn gain(&self, added: &[R]) -> Gain {
        let d = self.dim;
        let row = |(r, y): (&[R], &[R])| r.iter().zip(y).map(|(r, y)| r.f64() * (r.f64() - 2.0 * y.f64())).sum::<f64>();
        let rows: Vec<f64> = added.chunks_exact(d).zip(self.targets.chunks_exact(d)).map(row).collect();
        let pairs: Vec<f64> = rows.chunks_exact(2).map(|pair| 0.5 * (pair[0] + pair[1])).collect();
        let over = |draws: &[usize]| self.mean(&pairs, draws);
        let time = |draws: &[usize]| draws.iter().map(|i| self.times[*i]).sum::<f64>() / draws.len() as f64;
        let group = |draws: &[usize]| (time(draws), over(draws));
        Gain { whole: over(&self.order), groups: self.order.chunks(self.order.len().div_ceil(GROUPS)).map(group).collect() }
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

/// What a run is watched on: held-out points, and training points, for what the network knows by heart.
pub(super) struct Watch<R> {
    /// Held-out points, whitened.
    pub points: Array2<f64>,
    held_out: HeldOut<R>,
    training: HeldOut<R>,
}

impl<R: Real> Watch<R> {
    /// `held_out` and `training`: rows, whitened.
    ///
    /// # Errors
    /// As [`HeldOut::new`].
    pub fn new(system: &System<R>, held_out: ArrayView2<f64>, training: ArrayView2<f64>, seed: u64) -> Result<Self> {
        let points = held_out.to_owned();
        let held_out = HeldOut::new(system, held_out, DRAWS, (seed, 0))?;
        Ok(Watch { points, held_out, training: HeldOut::new(system, training, DRAWS / 2, (seed, 1))? })
    }

    /// The gain of the network with the parameters `params` on held-out points and on training points.
    ///
    /// # Errors
    /// Parameters of another network.
    pub fn gains(&mut self, params: &[R]) -> Result<Gains> {
        let gain = |of: &mut HeldOut<R>| of.added(params).map(|added| of.gain(&added));
        Ok(Gains { held_out: gain(&mut self.held_out)?, training: gain(&mut self.training)? })
    }
}
