//! Stochastic differential equations dX = f(X, t) dt + sigma(t) dB in R^d (method.md, eq. 1), time grids, and integrators.
//!
//! Everything here runs in the *whitened* coordinates of [`Whitening`], where the noise is sigma(t) times the identity.
//! Hot loops hold [`W`] paths at once, paths last: coordinate j of all of them is one `[R; W]`.
//!
//! * [`Langevin`]: dX = (beta/2) grad log pi(X) dt + sqrt(beta) dB toward a Gaussian mixture pi (eq. 2): the nonlinear noising.
//!   With one component it is the linear Ornstein-Uhlenbeck, or variance-preserving, process.
//! * [`VarianceExploding`]: dX = sigma(t) dB.
//! * [`euler_maruyama`]: the explicit chain (5), for every [`Sde`].
//! * [`ComponentStep`]: the component-wise exact step (15), which leaves pi invariant for every step size.
//!
//! ```
//! use ndsm::mixture::{Covariances, Mixture};
//! use ndsm::rng::Purpose;
//! use ndsm::sde::{Grid, Langevin, Paths, euler_maruyama};
//! use ndarray::array;
//!
//! let pi = Mixture::new(array![0.3, 0.7], array![[-2.0], [2.0]], Covariances::Spherical(array![1.0, 0.5]))?;
//! let sde = Langevin::<f64>::new(&pi, 1.0)?;
//! let grid = Grid::Uniform.times(1.0, 100)?;
//! let mut x = vec![2.0; 1000]; // 1,000 paths that start at 2
//! euler_maruyama(&sde, &grid, &mut x, Paths { seed: 0, purpose: Purpose::Path, step: 0 })?;
//! let mean = x.iter().sum::<f64>() / 1000.0;
//! assert!((1.0..2.0).contains(&mean), "{mean}");
//! # Ok::<(), ndsm::Error>(())
//! ```

pub(crate) mod component;
pub(crate) mod euler;
mod grid;
mod langevin;
mod scale;
mod ve;
mod whitening;

pub use component::{ComponentLaw, ComponentStep};
pub use euler::euler_maruyama;
pub use grid::Grid;
pub use langevin::Langevin;
pub use scale::NoiseScale;
pub use ve::VarianceExploding;
pub use whitening::Whitening;

use crate::rng::{Purpose, Stream};
use crate::simd::W;
use crate::{Error, Real, Result};

/// dX = f(X, t) dt + sigma(t) dB (eq. 1), additive scalar noise.
pub trait Sde<R: Real>: Sync {
    /// Working memory of one block of paths; made once per thread, so that a step allocates nothing.
    type Scratch: Send;
    /// The dimension d.
    fn dim(&self) -> usize;
    /// Working memory for [`Sde::drift`].
    fn scratch(&self) -> Self::Scratch;
    /// f(x, t) of [`W`] paths. `x`, `f`: d blocks, paths last.
    fn drift<const FMA: bool>(&self, t: f64, x: &[[R; W]], f: &mut [[R; W]], scratch: &mut Self::Scratch);
    /// sigma(t).
    fn diffusion(&self, t: f64) -> f64;
    /// Standard deviation of the noise of a step from `t` over `h`: sqrt(h) sigma(t), or the exact (int sigma^2)^(1/2) where a process
    /// knows it.
    fn noise(&self, t: f64, h: f64) -> f64 {
        h.sqrt() * self.diffusion(t)
    }
}

/// The name of the random numbers of a simulation. Block c of [`W`] paths draws from `Stream::new(seed, purpose, step, c)`.
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
