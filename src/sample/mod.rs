//! Generation: from the reference law back to data.
//!
//! A [`Field`] gives the residual r(u, t) = s(u, t) - g(u) of a score over the guide's; a [`Reverse`] process
//! turns it into steps back in time; [`generate`] runs them by one of three [`Method`]s:
//!
//! * `ode`: probability flow (4) by an explicit method of [`crate::sde::ode`]. Toward a reference pi it reads
//!   dY/dtau = (beta/2) (s - grad log pi) (eq. 16): the stiff reference drift cancels.
//! * `sde`: the reverse SDE (3), split into a component-wise step (15), which keeps pi invariant, and the
//!   drift beta (s - grad log pi).
//! * `pc`: after each `sde` step a corrector, Langevin dynamics toward p_t, split in the same way.
//!
//! All of them end by following the probability flow from t_min to 0 without noise, in one Euler step, with
//! the field at t_min: the last step denoises and, other than the posterior mean E[X_0 | X_t], does not
//! shrink the law.
//!
//! The points may be changed on their way: [`Maps`] give them the moments of the noised law (21).
//!
//! [`flow_log_density`] goes the other way: the likelihood of points, by the flow of any process and score.

mod affine;
mod component_map;
mod generate;
mod likelihood;
mod moments;
mod reverse;
#[cfg(test)]
mod tests;

pub use affine::{AffineMap, Maps, MomentKind};
pub(crate) use component_map::ShareSums;
pub use component_map::{ComponentMap, Share};
pub(crate) use generate::sampling_times;
pub use generate::{BLOCK, Field, Generation, Method, generate};
pub(crate) use likelihood::flow_log_density_through;
pub use likelihood::{ByDuals, DivergenceField, ScoreFlow, flow_log_density};
pub(crate) use moments::Sums;
pub use moments::{Gaussian, Moments};
pub use reverse::{Reverse, ReverseIsotropic, ReverseLangevin};
