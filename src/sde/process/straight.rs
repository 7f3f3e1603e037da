//! Straight paths from data to noise, as an equation.

use super::linear::span;
use super::{Linear, ScalarLaw, dimension, scaled};
use crate::sde::kinds::{Additive, Either};
use crate::sde::{Isotropic, Sde, Time};
use crate::simd::W;
use crate::{Error, Real, Result};

/// dX = -X/(1 - t) dt + (2t/(1 - t))^(1/2) dB, t < 1, whose X_t given X_0 has the law of the straight path
/// (1 - t) X_0 + t Z (Liu, Gong and Liu 2022; Lipman et al. 2023). X without unit, time without unit.
#[derive(Debug, Clone, Copy)]
pub struct Straight {
    dim: usize,
}

impl Straight {
    /// The process in `dim` dimensions.
    ///
    /// # Errors
    /// No dimension.
    pub fn new(dim: usize) -> Result<Self> {
        Ok(Straight { dim: dimension("straight paths", dim)? })
    }
}

impl Linear for Straight {
    type Transition = ScalarLaw;
    /// a = (1 - t)/(1 - s), sd^2 = t^2 - a^2 s^2 = (t - s)(s + t - 2 s t)/(1 - s)^2 from s to t < 1.
    fn law(&self, from: f64, to: f64) -> Result<ScalarLaw> {
        let h = span("straight paths", from, to)?;
        if to >= 1.0 {
            return Err(Error::invalid("straight paths: end of the step", "< 1, where nothing of the data is left", to));
        }
        let variance = h * (from + to - 2.0 * from * to);
        Ok(ScalarLaw::new(self.dim, (1.0 - to) / (1.0 - from), variance.max(0.0).sqrt() / (1.0 - from)))
    }
}

impl<R: Real> Sde<R> for Straight {
    type Noise = Additive;
    type Calculus = Either;
    type Scratch = ();
    fn dim(&self) -> usize {
        self.dim
    }
    fn scratch(&self) {}
    #[inline(always)]
    fn drift<const FMA: bool>(&self, t: &Time, x: &[[R; W]], f: &mut [[R; W]], (): &mut ()) {
        scaled(t.lanes(|t| -1.0 / (1.0 - t)), x, f);
    }
    #[inline(always)]
    fn diffuse<const FMA: bool>(&self, t: &Time, _x: &[[R; W]], w: &[[R; W]], g: &mut [[R; W]], (): &mut ()) {
        scaled(t.lanes(|t| <Self as Isotropic<R>>::sigma(self, t)), w, g);
    }
}

impl<R: Real> Isotropic<R> for Straight {
    fn sigma(&self, t: f64) -> f64 {
        (2.0 * t / (1.0 - t)).sqrt()
    }
    /// int sigma^2 = -2 h - 2 ln(1 - h/(1 - t)).
    fn noise(&self, t: f64, h: f64) -> f64 {
        (-2.0 * (h + (-h / (1.0 - t)).ln_1p())).max(0.0).sqrt()
    }
}
