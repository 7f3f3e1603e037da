//! The variance-exploding process: a Brownian motion whose clock runs ever faster.

use super::{Sde, positive};
use crate::simd::W;
use crate::{Real, Result};

/// dX = sqrt(2 beta t) dB, so that X_t = X_0 + sqrt(beta) t Z: the standard deviation of the noise grows in proportion to time
/// (Karras, Aittala, Aila, Laine 2022, with beta = 1).
#[derive(Debug, Clone, Copy)]
pub struct VarianceExploding {
    dim: usize,
    beta: f64,
}

impl VarianceExploding {
    /// The process in `dim` dimensions.
    ///
    /// # Errors
    /// `beta` not positive.
    pub fn new(dim: usize, beta: f64) -> Result<Self> {
        Ok(VarianceExploding { dim, beta: positive("beta", beta)? })
    }

    /// sbar(t): the standard deviation of X_t - X_0.
    pub fn sbar(&self, t: f64) -> f64 {
        self.beta.sqrt() * t
    }
}

impl<R: Real> Sde<R> for VarianceExploding {
    type Scratch = ();
    fn dim(&self) -> usize {
        self.dim
    }
    fn scratch(&self) {}
    #[inline(always)]
    fn drift<const FMA: bool>(&self, _t: f64, _x: &[[R; W]], f: &mut [[R; W]], (): &mut ()) {
        f.fill([R::zero(); W]);
    }
    fn diffusion(&self, t: f64) -> f64 {
        (2.0 * self.beta * t).sqrt()
    }
    /// Exact, beta ((t + h)^2 - t^2): the explicit step is too, and the first one, where sigma(0) = 0, has noise.
    fn noise(&self, t: f64, h: f64) -> f64 {
        (self.beta * h * (2.0 * t + h)).sqrt()
    }
}
