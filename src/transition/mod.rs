//! Gaussian one-step laws and their conditional scores: what denoising score matching regresses on.
//!
//! Given where a step starts (and, for the component laws, which component k drives it) its end is Gaussian
//! with mean `mu` and covariance L L^T. A [`Draws`] record holds, per draw, the mean, the antithetic pair
//! mu +- L z and the targets at both.
//!
//! * [`ComponentKernel`]: from x_0 straight to t by one component's exact Ornstein-Uhlenbeck law. With one
//!   component it is the exact kernel of the variance-preserving process. Its targets are the conditional
//!   score, or the component flow's (18).
//! * [`IsotropicKernel`]: the exact kernel of the linear processes that treat all coordinates alike.
//! * [`StraightKernel`]: straight paths with their velocity, for flow matching, the noise paired with the data at
//!   random or by optimal transport.
//!
//! For steps of the processes themselves, the rows of (13): [`Euler`], [`ItoTaylor`], [`LocalLinear`] and,
//! for linear equations, [`Exact`] are [`OneStep`] laws N(m(x), C(x)) for hot loops, and [`rows`] gives their
//! means, covariances, scores, log-densities and draws for whole batches.
//!
//! Where nothing is in closed form, [`FokkerPlanck`], [`Plane`] and [`ChapmanKolmogorov`] have the law on a
//! grid.
//!
//! [`TimeLaw`] says at which times draws are made (17).

mod component_kernel;
mod draws;
mod exact;
mod grid;
mod isotropic;
pub mod law;
pub mod rows;
mod step;
mod straight;
mod time;

pub(crate) use component_kernel::write_pair;
pub use component_kernel::{ComponentKernel, Target};
pub use draws::{Draw, DrawMut, Draws, Noising, Starts};
pub(crate) use draws::{FIELDS, check_finish, check_start};
pub use exact::{Exact, Factored};

pub use grid::{ChapmanKolmogorov, Drift, FokkerPlanck, Line, Plane};
pub use isotropic::IsotropicKernel;
pub use law::{Factor, OneStep};
pub use step::{Euler, ItoTaylor, LocalLinear};
pub use straight::StraightKernel;
pub(crate) use time::by_time;
pub use time::{TimeLaw, normal_quantile, stratified};
