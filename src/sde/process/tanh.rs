use super::{Pointwise, dimension, finite};
use crate::sde::kinds::{Diagonal, Ito};
use crate::sde::positive;
use crate::{Real, Result};

/// Coordinate by coordinate, Ito: dX = -(a + b^2 X)(1 - X^2) dt + b (1 - X^2) dB (Kloeden and Platen 1992,
/// ch. 4.4, eq. 4.46). a: 1 / time; b: time^(-1/2). Exactly X_t = tanh(artanh X_0 - a t + b B_t): a pathwise
/// solution with a drift and a noise that are both nonlinear, which tells strong order 1 from 1.5.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Tanh {
    dim: usize,
    a: f64,
    b: f64,
}

impl Tanh {
    /// `dim` independent coordinates.
    ///
    /// # Errors
    /// No coordinate; `a` not finite, `b` not positive.
    pub fn new(dim: usize, a: f64, b: f64) -> Result<Self> {
        Ok(Tanh { dim: dimension("tanh equation", dim)?, a: finite("tanh equation: a", a)?, b: positive("tanh equation: b", b)? })
    }

    /// X_t, from `x0` in (-1, 1) and `w` = B_t.
    pub fn exact(&self, x0: f64, t: f64, w: f64) -> f64 {
        (x0.atanh() - self.a * t + self.b * w).tanh()
    }
}

impl Pointwise for Tanh {
    type Noise = Diagonal;
    type Calculus = Ito;
    fn dim(&self) -> usize {
        self.dim
    }
    #[inline(always)]
    fn drift<R: Real>(&self, _j: usize, x: R) -> R {
        -(R::of(self.a) + R::of(self.b * self.b) * x) * (R::one() - x * x)
    }
    #[inline(always)]
    fn sigma<R: Real>(&self, _j: usize, x: R) -> R {
        R::of(self.b) * (R::one() - x * x)
    }
}
