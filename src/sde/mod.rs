//! Stochastic differential equations dX = f(X, t) dt + sigma(X, t) dB in R^d (method.md, eq. 1), time grids,
//! and integrators.
//!
//! Three things are kept apart: the equation ([`Sde`]: drift, diffusion, and as types its [`Calculus`] and
//! its kind of [`Noise`]), the [`Integrator`] (its [`Claims`] are data, its step is the formula), and the
//! Brownian path. [`simulate`] joins them for many paths at once, [`simulate_on`] on the paths of a
//! [`brownian::Tree`]. Hot loops hold [`W`] paths, paths last: coordinate j of all of them is one `[R; W]`.
//!
//! * [`Langevin`]: dX = (beta/2) grad log pi(X) dt + sqrt(beta) dB toward a Gaussian mixture pi (eq. 2): the
//!   nonlinear noising. With one component it is the linear Ornstein-Uhlenbeck, or variance-preserving,
//!   process. Noising runs in the *whitened* coordinates of [`Whitening`].
//! * [`OrnsteinUhlenbeck`], [`VariancePreserving`], ...: the linear processes of diffusion models with their
//!   exact laws ([`Linear`]), underdamped and preconditioned dynamics, equations with state-dependent noise;
//!   two formulas make one that is [`Pointwise`], [`from_fn`] one of a closure.
//! * [`ode`]: ordinary equations for the probability flow, with fixed and with adaptive steps.
//! * [`ComponentStep`]: the component-wise exact step (15), which leaves pi invariant for every step size.
//! * [`Tableau`]: stochastic Runge-Kutta methods as tables of exact coefficients.
//!
//! ```
//! use ndsm::mixture::{Covariances, Mixture};
//! use ndsm::rng::Purpose;
//! use ndsm::sde::{EulerMaruyama, Grid, Langevin, Paths, simulate};
//! use ndarray::array;
//!
//! let pi = Mixture::new(array![0.3, 0.7], array![[-2.0], [2.0]], Covariances::Spherical(array![1.0, 0.5]))?;
//! let sde = Langevin::<f64>::new(&pi, 1.0)?;
//! let grid = Grid::Uniform.times(1.0, 100)?;
//! let mut x = vec![2.0; 1000]; // 1,000 paths that start at 2
//! simulate(&EulerMaruyama, &sde, &grid, &mut x, Paths { seed: 0, purpose: Purpose::Path, step: 0 })?;
//! let mean = x.iter().sum::<f64>() / 1000.0;
//! assert!((1.0..2.0).contains(&mean), "{mean}");
//! # Ok::<(), ndsm::Error>(())
//! ```

mod adaptive;
pub mod brownian;
pub(crate) mod component_step;
mod grid;
mod integrator;
pub mod kinds;
pub mod method;
pub mod ode;
mod on_tree;
mod process;
mod scale;
mod simulate;
pub mod smooth;
mod spectral;
mod surd;
pub mod tableau;
mod time;
mod whitening;

pub use adaptive::{Counts, Embedded, Tolerance, adaptive};
pub use component_step::{ComponentLaw, ComponentStep};
pub use grid::Grid;
pub use integrator::{Claims, Increment, Integrator, Method, Needs, Orders};
pub use kinds::{Calculus, CalculusKind, Either, Ito, Noise, NoiseKind, ReadsAs, Stratonovich, Within};
pub use method::methods::*;
pub use on_tree::simulate_on;
pub use process::{
    Blockwise, Clock, CoxIngersollRoss, DoubleWell, DriftOf, Force, FromFn, GeometricBrownian, GinzburgLandau, Harmonic, Langevin, Linear,
    LinearLaw, Lorenz, MatrixLaw, MixtureScore, OrnsteinUhlenbeck, Overdamped, Pointwise, Preconditioned, Rowwise, ScalarLaw, Sigma,
    Straight, SubVariancePreserving, Tanh, TimeChanged, Underdamped, VarianceExploding, VariancePreserving, force_blocks, force_fn,
    from_fn, from_fn_diagonal,
};
pub use scale::NoiseScale;
pub use simulate::{simulate, trajectories};
pub use smooth::Smooth;
pub use surd::Surd;
pub use tableau::{RungeKutta, Tableau};
pub use time::{Step, Time};
pub use whitening::Whitening;

use crate::rng::{Purpose, Stream};
use crate::simd::W;
use crate::{Error, Real, Result};

/// dX = f(X, t) dt + sigma(X, t) dB (eq. 1), X in R^d, B in R^m.
pub trait Sde<R: Real>: Sync {
    /// [`Ito`], [`Stratonovich`], or [`Either`] where the noise is additive.
    type Calculus: Calculus;
    /// How the noise enters: [`kinds::Additive`], [`kinds::Diagonal`], ...
    type Noise: Within<kinds::General>;
    /// Working memory of one block of paths; made once per thread, so that a step allocates nothing.
    type Scratch: Send;
    /// The dimension d.
    fn dim(&self) -> usize;
    /// The number m of independent Brownian motions.
    fn noises(&self) -> usize {
        self.dim()
    }
    /// Working memory for [`Sde::drift`] and [`Sde::diffuse`].
    fn scratch(&self) -> Self::Scratch;
    /// f(x, t) of [`W`] paths. `x`, `f`: d blocks, paths last.
    fn drift<const FMA: bool>(&self, t: &Time, x: &[[R; W]], f: &mut [[R; W]], scratch: &mut Self::Scratch);
    /// g = sigma(x, t) w. `x`, `g`: d blocks; `w`: m blocks. Linear in w. Where the noise is additive it does
    /// not look at `x`.
    fn diffuse<const FMA: bool>(&self, t: &Time, x: &[[R; W]], w: &[[R; W]], g: &mut [[R; W]], scratch: &mut Self::Scratch);
}

/// An equation with noise sigma(t) I: what the denoising targets (6) divide by.
pub trait Isotropic<R: Real>: Sde<R, Noise = kinds::Additive, Calculus = Either> {
    /// sigma(t).
    fn sigma(&self, t: f64) -> f64;
    /// Standard deviation of the noise of a step from `t` over `h`: sqrt(h) sigma(t), or the exact (int
    /// sigma^2)^(1/2) where a process knows it.
    fn noise(&self, t: f64, h: f64) -> f64 {
        h.sqrt() * self.sigma(t)
    }
}

/// An equation whose drift is linear and diagonal up to a rest: f(x, t) = -lambda x + n(x, t), coordinate by
/// coordinate.
pub trait Semilinear<R: Real>: Sde<R> {
    /// lambda of coordinate `j`, 1/time.
    fn rate(&self, j: usize) -> f64;
}

/// Underdamped dynamics: X = (q, v), dq = v dt, dv = (F(q) - gamma v) dt + sqrt(2 gamma T) dB.
pub trait Kinetic<R: Real>: Sde<R, Noise = kinds::Additive, Calculus = Either> {
    /// What F is given by.
    type Force: Force<R>;
    /// F.
    fn force(&self) -> &Self::Force;
    /// gamma, 1/time.
    fn friction(&self) -> f64;
    /// T.
    fn temperature(&self) -> f64;
}

/// The name of the random numbers of a simulation. Block c of [`W`] paths draws from
/// `Stream::new(seed, purpose, step, c)`.
#[derive(Debug, Clone, Copy)]
pub struct Paths {
    /// The run's seed.
    pub seed: u64,
    /// What the paths are for.
    pub purpose: Purpose,
    /// Which simulation of this purpose.
    pub step: u64,
}

impl Paths {
    /// The stream of block `chunk`.
    pub fn stream(self, chunk: usize) -> Stream {
        Stream::new(self.seed, self.purpose, self.step, chunk as u32)
    }

    /// The name of the areas H that belong to the increments W of this name.
    pub(crate) fn areas(self) -> Self {
        Paths { purpose: self.purpose.area(), ..self }
    }
}

/// Refuses points that are not whole rows of d numbers.
pub(crate) fn check_rows<R>(place: &str, x: &[R], d: usize) -> Result<()> {
    if d > 0 && x.len().is_multiple_of(d) {
        return Ok(());
    }
    Err(Error::shape(place, format!("rows of {d} numbers"), &[&[x.len()]]))
}

/// Refuses a parameter that is not a positive number.
pub(crate) fn positive(place: &str, x: f64) -> Result<f64> {
    if x > 0.0 && x.is_finite() { Ok(x) } else { Err(Error::invalid(place, "a finite number > 0", x)) }
}
