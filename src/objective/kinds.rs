//! Either kind of objective: with a target or without.

use super::{Implicit, Learned, Loss, ScoreModel};
use crate::sde::Paths;
use crate::transition::Draws;
use crate::{Real, Result};

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
    pub fn start(&self, seed: u64) -> Result<Learned<R>> {
        match self {
            Objective::Regression(loss) => loss.start(seed),
            Objective::Implicit(_) => Ok(Learned::Nothing),
        }
    }

    /// The value of each draw, into `values`, and the gradient of their mean, into `grad`. Random probes come from the streams of `noise`.
    ///
    /// # Errors
    /// As [`Loss::run`] and [`Implicit::run`].
    #[allow(clippy::too_many_arguments)]
    pub fn run(
        &mut self,
        model: &ScoreModel<R>,
        params: &[R],
        learned: &Learned<R>,
        draws: &Draws<R>,
        weights: &[f64],
        noise: Paths,
        values: &mut [R],
        grad: &mut [R],
    ) -> Result<()> {
        match self {
            Objective::Regression(loss) => loss.run(model, params, learned, draws, weights, values, grad),
            Objective::Implicit(loss) => loss.run(model, params, draws, weights, noise, values, grad),
        }
    }

    /// Lets the control learn from the batch of the last [`Objective::run`].
    ///
    /// # Errors
    /// As [`Loss::learn`].
    pub fn learn(&mut self, model: &ScoreModel<R>, learned: &mut Learned<R>, draws: &Draws<R>, values: &[R]) -> Result<()> {
        match self {
            Objective::Regression(loss) => loss.learn(model, learned, draws, values),
            Objective::Implicit(_) => Ok(()),
        }
    }
}
