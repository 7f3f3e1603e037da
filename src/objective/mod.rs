//! Objectives: what the network is trained to minimise.
//!
//! [`Noising`](crate::transition::Noising) makes draws (a point and a target), [`Loss`] turns them into a
//! value per draw and a gradient:
//!
//! * denoising score matching (DSM): draws of an exact kernel;
//! * nonlinear denoising score matching (NDSM, eq. 7): draws of single steps of a chain, [`GaussianChain`] or
//!   [`ComponentChain`], with the control variates `none`, `self` (9), `gated` and `network` (10),
//!   `antithetic` (11) and `regression` (12): what each of them adds to the loss is the table [`TERMS`];
//! * the component flow (18): draws of the component kernel with the flow's target;
//! * flow matching (23): draws of straight paths with their velocity as the target;
//! * [`Implicit`] score matching, exact, by Hutchinson's probes or sliced: the points alone, and derivatives
//!   of the network.

mod chain;
mod estimator;
mod implicit;
mod kinds;
mod loss;
mod model;
mod regression;
mod steps;
#[cfg(test)]
mod tests;
mod variate;
mod weights;

pub use chain::{ComponentChain, GaussianChain};
pub use estimator::{DrawPoint, LossTerm, TERMS, TargetPart, points_per_draw, terms};
pub use implicit::{Divergence, Implicit};
pub use kinds::{Batch, Objective, Out};
pub use loss::Loss;
pub use model::{Guide, Label, ScoreModel};
pub use regression::Regression;
pub use variate::ControlState;
pub use weights::{Seen, Weights};
