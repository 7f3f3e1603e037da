//! `train.diagnose`: what the control is worth at each time, measured while training goes on.

use crate::objective::{Batch, ControlState, Label, Objective, Out, ScoreModel};
use crate::sde::Paths;
use crate::transition::{Draws, Noising, by_time};
use crate::{Real, Result};

/// Groups of draws in the order of their times.
const GROUPS: usize = 8;
/// Micro-batches of a group, between which the gradient varies.
const MICRO: usize = 4;
/// Diagnoses of a run, at most.
const TIMES: u64 = 40;

/// A group of draws at neighbouring times.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Group {
    /// Their mean time.
    pub time: f64,
    /// The mean length of the steps that end there.
    pub step: f64,
    /// Variance of the loss over draws, with the run's control.
    pub loss: f64,
    /// Trace of the covariance of a draw's gradient, with the run's control.
    pub gradient: f64,
    /// Both without control; NaN for an objective that has none to leave out.
    pub plain: [f64; 2],
}

/// Whether step `step` of `steps` is diagnosed.
pub(super) fn due(step: u64, steps: u64) -> bool {
    step.is_multiple_of(steps.div_ceil(TIMES).max(1))
}

/// What a batch is diagnosed with.
pub(super) struct Diagnosis<'a, R: Real> {
    pub model: &'a ScoreModel<R>,
    pub noising: &'a dyn Noising<R>,
    pub params: &'a [R],
    pub draws: &'a Draws<R>,
    pub weights: &'a [f64],
    pub labels: &'a [Label],
    pub noise: Paths,
}

/// Draws of a micro-batch of `n` draws.
pub(super) fn micro(n: usize) -> usize {
    n / (GROUPS * MICRO)
}

impl<R: Real> Diagnosis<'_, R> {
    /// The groups, with `run`, the run's objective with what its control has learned, and `plain`, the one
    /// without control: both on [`micro`] draws.
    pub fn groups(&self, run: (&mut Objective<R>, &ControlState<R>), plain: Option<&mut Objective<R>>) -> Result<Vec<Group>> {
        let size = micro(self.draws.len());
        if size == 0 {
            return Ok(Vec::new());
        }
        let times = self.draws.times();
        let order = by_time(times);
        let (objective, learned) = run;
        let mut plain = plain;
        let mut groups = Vec::with_capacity(GROUPS);
        for group in order.chunks_exact(size * MICRO).take(GROUPS) {
            let mean = |f: &dyn Fn(f64) -> f64| group.iter().map(|i| f(times[*i])).sum::<f64>() / group.len() as f64;
            let [loss, gradient] = self.variances(group, objective, learned)?;
            let plain = plain.as_mut().map_or(Ok([f64::NAN; 2]), |plain| self.variances(group, plain, &ControlState::Nothing))?;
            groups.push(Group { time: mean(&|t| t), step: mean(&|t| self.noising.step_length(t)), loss, gradient, plain });
        }
        Ok(groups)
    }

    /// Variance of the loss, and trace of the covariance of the gradient, of a draw of `group`.
    fn variances(&self, group: &[usize], objective: &mut Objective<R>, learned: &ControlState<R>) -> Result<[f64; 2]> {
        let size = group.len() / MICRO;
        let mut draws = Draws::new(size, self.draws.dim());
        let (mut values, mut grad) = (vec![R::zero(); size], vec![R::zero(); self.params.len()]);
        let (mut sum, mut squares) = (vec![0.0; grad.len()], 0.0);
        let (mut loss, mut loss_squares) = (0.0, 0.0);
        for micro in 0..MICRO {
            // Draws that lie apart in time, in each.
            let rows: Vec<usize> = group.iter().copied().skip(micro).step_by(MICRO).collect();
            draws.copy_rows(self.draws, &rows);
            let weights: Vec<f64> = rows.iter().map(|i| self.weights[*i]).collect();
            let labels: Vec<Label> = rows.iter().filter_map(|i| self.labels.get(*i).copied()).collect();
            let batch = Batch { draws: &draws, weights: &weights, labels: &labels, noise: self.noise };
            objective.run(self.model, self.params, learned, &batch, Out { values: &mut values, grad: &mut grad })?;
            for (sum, g) in sum.iter_mut().zip(&grad) {
                *sum += g.f64();
                squares += g.f64() * g.f64();
            }
            for v in &values {
                loss += v.f64();
                loss_squares += v.f64() * v.f64();
            }
        }
        let n = group.len() as f64;
        let between = (squares - sum.iter().map(|s| s * s).sum::<f64>() / MICRO as f64) / (MICRO - 1) as f64;
        Ok([(loss_squares - loss * loss / n) / (n - 1.0), between * size as f64])
    }
}
