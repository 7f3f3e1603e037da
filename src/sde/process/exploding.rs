//! The variance-exploding process: a Brownian motion whose clock runs ever faster.

use super::linear::span;
use super::{Linear, ScalarLaw, dimension, scaled};
use crate::sde::kinds::{Additive, Either};
use crate::sde::{Isotropic, Sde, Time, positive};
use crate::simd::W;
use crate::{Real, Result};

/// dX = sqrt(2 beta t) dB, so that X_t = X_0 + sqrt(beta) t Z: the standard deviation of the noise grows in
/// proportion to time (Karras, Aittala, Aila, Laine 2022, with beta = 1).
#[derive(Debug, Clone, Copy)]
pub struct VarianceExploding {
    dim: usize,
    beta: f64,
}

impl VarianceExploding {
    /// The process in `dim` dimensions.
    ///
    /// # Errors
    /// No dimension; `beta` not positive.
    pub fn new(dim: usize, beta: f64) -> Result<Self> {
        Ok(VarianceExploding { dim: dimension("variance-exploding process", dim)?, beta: positive("beta", beta)? })
    }

    /// sbar(t): the standard deviation of X_t - X_0.
    pub fn sbar(&self, t: f64) -> f64 {
        self.beta.sqrt() * t
    }
}

impl Linear for VarianceExploding {
    type Transition = ScalarLaw;
    /// X + (beta h (2t + h))^(1/2) Z.
    fn law(&self, from: f64, to: f64) -> Result<ScalarLaw> {
        let h = span("variance-exploding process", from, to)?;
        Ok(ScalarLaw::new(self.dim, 1.0, Isotropic::<f64>::noise(self, from, h)))
    }
}

impl<R: Real> Sde<R> for VarianceExploding {
    type Noise = Additive;
    type Calculus = Either;
    type Scratch = ();
    fn dim(&self) -> usize {
        self.dim
    }
    fn scratch(&self) {}
    #[inline(always)]
    fn drift<const FMA: bool>(&self, _t: &Time, _x: &[[R; W]], f: &mut [[R; W]], (): &mut ()) {
        f.fill([R::zero(); W]);
    }
    #[inline(always)]
    fn diffuse<const FMA: bool>(&self, t: &Time, _x: &[[R; W]], w: &[[R; W]], g: &mut [[R; W]], (): &mut ()) {
        scaled(t.lanes(|t| <Self as Isotropic<R>>::sigma(self, t)), w, g);
    }
}

impl<R: Real> Isotropic<R> for VarianceExploding {
    fn sigma(&self, t: f64) -> f64 {
        (2.0 * self.beta * t).sqrt()
    }
    /// Exact, beta ((t + h)^2 - t^2): the explicit step is too, and the first one, where sigma(0) = 0, has
    /// noise.
    fn noise(&self, t: f64, h: f64) -> f64 {
        (self.beta * h * (2.0 * t + h)).sqrt()
    }
}
