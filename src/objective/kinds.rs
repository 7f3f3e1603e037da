//! Either kind of objective: with a target or without.

use super::{ControlState, Implicit, Label, Loss, ScoreModel};
use crate::sde::Paths;
use crate::tape::Noise;
use crate::transition::Draws;
use crate::{Real, Result};

/// What an objective is evaluated on.
#[derive(Debug, Clone, Copy)]
pub struct Batch<'a, R> {
    /// n draws.
    pub draws: &'a Draws<R>,
    /// lambda/sbar^2 of each draw, `[n]`: [`Weights`](super::Weights).
    pub weights: &'a [f64],
    /// The label of each draw, `[n]`; none at all where points have none.
    pub labels: &'a [Label],
    /// The streams of random probes, for an objective that has them, and the seed and step of the network's
    /// dropout.
    pub noise: Paths,
}

impl<R> Batch<'_, R> {
    /// The label of draw `i`, where it is known.
    #[inline]
    pub(super) fn label(&self, i: usize) -> Label {
        self.labels.get(i).copied().flatten()
    }

    /// The dropout of the rows from `first` on, of which a draw has `share`: a draw sees one network.
    pub(super) fn dropout(&self, first: usize, share: usize) -> Option<Noise> {
        Some(Noise { seed: self.noise.seed, step: self.noise.step, first, share })
    }
}

/// Where an objective leaves what it comes to.
#[derive(Debug)]
pub struct Out<'a, R> {
    /// The value of each draw, `[n]`.
    pub values: &'a mut [R],
    /// The gradient of their mean, as many numbers as parameters.
    pub grad: &'a mut [R],
}

/// What a trainer minimises.
pub enum Objective<R: Real> {
    /// A regression on a target.
    Regression(Box<Loss<R>>),
    /// Score matching without a target.
    Implicit(Box<Implicit<R>>),
}

impl<R: Real> Objective<R> {
    /// What the control has learned before the first step.
    ///
    /// # Errors
    /// None that was ever seen.
    pub fn start(&self, seed: u64) -> Result<ControlState<R>> {
        match self {
            Objective::Regression(loss) => loss.start(seed),
            Objective::Implicit(_) => Ok(ControlState::Nothing),
        }
    }

    /// The value of each draw of `batch`, and the gradient of their mean.
    ///
    /// # Errors
    /// As [`Loss::run`] and [`Implicit::run`].
    pub fn run(
        &mut self,
        model: &ScoreModel<R>,
        params: &[R],
        learned: &ControlState<R>,
        batch: &Batch<'_, R>,
        out: Out<'_, R>,
    ) -> Result<()> {
        match self {
            Objective::Regression(loss) => loss.run(model, params, learned, batch, out),
            Objective::Implicit(loss) => loss.run(model, params, batch, out),
        }
    }

    /// Lets the control learn from the batch of the last [`Objective::run`].
    ///
    /// # Errors
    /// As [`Loss::learn`].
    pub fn learn(&mut self, model: &ScoreModel<R>, learned: &mut ControlState<R>, draws: &Draws<R>, values: &[R]) -> Result<()> {
        match self {
            Objective::Regression(loss) => loss.learn(model, learned, draws, values),
            Objective::Implicit(_) => Ok(()),
        }
    }
}
