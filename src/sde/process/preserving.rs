use super::linear::span;
use super::{Clock, Linear, ScalarLaw, scaled};
use crate::sde::kinds::{Additive, Either};
use crate::sde::{Isotropic, Sde, Time};
use crate::simd::W;
use crate::{Real, Result};

/// The variance-preserving process dX = -(b(t)/2) X dt + sqrt(b(t)) dB (Song et al. 2021, eq. 11): N(0, I) is
/// stationary. b: [`Clock`], 1 / time; X without unit.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct VariancePreserving {
    dim: usize,
    clock: Clock,
}

impl VariancePreserving {
    /// The process in `dim` dimensions.
    ///
    /// # Errors
    /// No dimension.
    pub fn new(dim: usize, clock: Clock) -> Result<Self> {
        Ok(VariancePreserving { dim: super::dimension("variance-preserving process", dim)?, clock })
    }

    /// b.
    pub fn clock(&self) -> Clock {
        self.clock
    }
}

impl Linear for VariancePreserving {
    type Transition = ScalarLaw;
    /// a = e^(-B/2), sd^2 = 1 - e^-B, B = int b.
    fn law(&self, from: f64, to: f64) -> Result<ScalarLaw> {
        span("variance-preserving process", from, to)?;
        let b = self.clock.integral(from, to);
        Ok(ScalarLaw::new(self.dim, (-0.5 * b).exp(), (-(-b).exp_m1()).sqrt()))
    }
}

impl<R: Real> Sde<R> for VariancePreserving {
    type Noise = Additive;
    type Calculus = Either;
    type Scratch = ();
    fn dim(&self) -> usize {
        self.dim
    }
    fn scratch(&self) {}
    #[inline(always)]
    fn drift<const FMA: bool>(&self, t: &Time, x: &[[R; W]], f: &mut [[R; W]], (): &mut ()) {
        scaled(t.lanes(|t| -0.5 * self.clock.rate(t)), x, f);
    }
    #[inline(always)]
    fn diffuse<const FMA: bool>(&self, t: &Time, _x: &[[R; W]], w: &[[R; W]], g: &mut [[R; W]], (): &mut ()) {
        scaled(t.lanes(|t| self.clock.rate(t).sqrt()), w, g);
    }
}

impl<R: Real> Isotropic<R> for VariancePreserving {
    fn sigma(&self, t: f64) -> f64 {
        self.clock.rate(t).sqrt()
    }
    fn noise(&self, t: f64, h: f64) -> f64 {
        self.clock.integral(t, t + h).sqrt()
    }
}
