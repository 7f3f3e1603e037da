use super::{Pointwise, dimension};
use crate::sde::kinds::{Diagonal, Ito};
use crate::sde::positive;
use crate::{Real, Result};

/// Cox-Ingersoll-Ross process, Ito, coordinate by coordinate: dX = kappa (theta - X) dt + s sqrt(X) dB (Cox,
/// Ingersoll and Ross 1985). kappa: 1 / time; theta: as X; s: (X / time)^(1/2).
///
/// The solution stays at X >= 0, and above 0 if 2 kappa theta >= s^2 ([`CoxIngersollRoss::never_zero`]). A
/// step of an integrator may land below: there both coefficients take X^+ = max(X, 0), full truncation (Lord,
/// Koekkoek and van Dijk 2010), so that a negative path drifts upward without noise. What an integrator
/// returns may be slightly negative. sqrt is not Lipschitz at 0, so that orders of convergence are those
/// claimed only for paths that stay away from it.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct CoxIngersollRoss {
    dim: usize,
    kappa: f64,
    theta: f64,
    s: f64,
}

impl CoxIngersollRoss {
    /// `dim` independent coordinates.
    ///
    /// # Errors
    /// No coordinate; a parameter that is not positive.
    pub fn new(dim: usize, kappa: f64, theta: f64, s: f64) -> Result<Self> {
        Ok(CoxIngersollRoss {
            dim: dimension("Cox-Ingersoll-Ross", dim)?,
            kappa: positive("Cox-Ingersoll-Ross: kappa", kappa)?,
            theta: positive("Cox-Ingersoll-Ross: theta", theta)?,
            s: positive("Cox-Ingersoll-Ross: s", s)?,
        })
    }

    /// Feller's condition 2 kappa theta >= s^2.
    pub fn never_zero(&self) -> bool {
        2.0 * self.kappa * self.theta >= self.s * self.s
    }

    /// Mean and variance of X_t given X_0 = `x0`. At t = infinity those of the stationary law, Gamma of shape
    /// 2 kappa theta / s^2 and scale s^2 / (2 kappa).
    pub fn moments(&self, x0: f64, t: f64) -> (f64, f64) {
        let e = (-self.kappa * t).exp();
        let mean = self.theta + (x0 - self.theta) * e;
        let variance = self.s * self.s / self.kappa * (1.0 - e) * (x0 * e + 0.5 * self.theta * (1.0 - e));
        (mean, variance)
    }
}

/// X^+; NaN stays NaN.
#[inline(always)]
fn truncated<R: Real>(x: R) -> R {
    if x <= R::zero() { R::zero() } else { x }
}

impl Pointwise for CoxIngersollRoss {
    type Noise = Diagonal;
    type Calculus = Ito;
    fn dim(&self) -> usize {
        self.dim
    }
    #[inline(always)]
    fn drift<R: Real>(&self, _j: usize, x: R) -> R {
        R::of(self.kappa) * (R::of(self.theta) - truncated(x))
    }
    #[inline(always)]
    fn sigma<R: Real>(&self, _j: usize, x: R) -> R {
        // The branch keeps the derivative of sqrt away from 0, where it is infinite.
        R::of(self.s) * if x <= R::zero() { R::zero() } else { x.sqrt() }
    }
}
