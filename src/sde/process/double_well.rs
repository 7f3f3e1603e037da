use super::{Pointwise, dimension};
use crate::sde::kinds::{Additive, Either};
use crate::sde::smooth::smooth_by_duals;
use crate::sde::{Isotropic, Semilinear, positive};
use crate::{Real, Result};

/// Double well, in every coordinate: dX = (X - X^3) dt + sigma dB, Langevin dynamics in the potential
/// U = x^4/4 - x^2/2 at temperature sigma^2/2: the invariant density is proportional to e^(-2 U / sigma^2).
/// The drift is not globally Lipschitz: long explicit steps diverge.
#[derive(Debug, Clone, Copy)]
pub struct DoubleWell {
    dim: usize,
    sigma: f64,
}

impl DoubleWell {
    /// `dim` independent coordinates, with noise `sigma`.
    ///
    /// # Errors
    /// No coordinate; `sigma` not positive.
    pub fn new(dim: usize, sigma: f64) -> Result<Self> {
        Ok(DoubleWell { dim: dimension("double well", dim)?, sigma: positive("double well: sigma", sigma)? })
    }
}

impl Pointwise for DoubleWell {
    type Noise = Additive;
    type Calculus = Either;
    fn dim(&self) -> usize {
        self.dim
    }
    #[inline(always)]
    fn drift<R: Real>(&self, _j: usize, x: R) -> R {
        x - x * x * x
    }
    #[inline(always)]
    fn sigma<R: Real>(&self, _j: usize, _x: R) -> R {
        R::of(self.sigma)
    }
}

impl<R: Real> Isotropic<R> for DoubleWell {
    fn sigma(&self, _t: f64) -> f64 {
        self.sigma
    }
}

smooth_by_duals!(DoubleWell);

/// -2 x, the drift's slope at the bottom of the wells.
impl<R: Real> Semilinear<R> for DoubleWell {
    fn rate(&self, _j: usize) -> f64 {
        2.0
    }
}
