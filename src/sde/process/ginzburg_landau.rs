use super::{Pointwise, dimension, finite};
use crate::sde::kinds::{Diagonal, Ito};
use crate::sde::positive;
use crate::{Real, Result};

/// Stochastic Ginzburg-Landau equation, Ito, coordinate by coordinate:
/// dX = ((eta + s^2/2) X - lambda X^3) dt + s X dB (Kloeden and Platen 1992, ch. 4.4).
/// eta: 1 / time; lambda: 1 / (time X^2); s: time^(-1/2).
///
/// The drift is not globally Lipschitz: the moments of explicit Euler diverge as the step goes to 0
/// (Hutzenthaler, Jentzen and Kloeden 2011).
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct GinzburgLandau {
    dim: usize,
    eta: f64,
    lambda: f64,
    s: f64,
}

impl GinzburgLandau {
    /// `dim` independent coordinates.
    ///
    /// # Errors
    /// No coordinate; `eta` not finite; `lambda` or `s` not positive.
    pub fn new(dim: usize, eta: f64, lambda: f64, s: f64) -> Result<Self> {
        let (dim, eta) = (dimension("Ginzburg-Landau", dim)?, finite("Ginzburg-Landau: eta", eta)?);
        Ok(GinzburgLandau { dim, eta, lambda: positive("Ginzburg-Landau: lambda", lambda)?, s: positive("Ginzburg-Landau: s", s)? })
    }

    /// The solution X_t = x_0 Y_t (1 + 2 lambda x_0^2 I_t)^(-1/2), Y_t = e^(eta t + s B_t), from `b` = B_t
    /// and `i` = I_t = int_0^t Y_u^2 du.
    pub fn exact(&self, x0: f64, t: f64, b: f64, i: f64) -> f64 {
        x0 * (self.eta * t + self.s * b).exp() / (1.0 + 2.0 * self.lambda * x0 * x0 * i).sqrt()
    }

    /// E X^2 = eta / lambda and E X^4 = (eta^2 + eta s^2) / lambda^2 in the stationary law of a path that
    /// does not start at 0: X^2 has the Gamma law of shape eta / s^2 and scale s^2 / lambda. Nothing for
    /// eta <= 0, where every path dies out.
    pub fn stationary_moments(&self) -> Option<(f64, f64)> {
        let second = self.eta / self.lambda;
        (self.eta > 0.0).then_some((second, second * second + second * self.s * self.s / self.lambda))
    }
}

impl Pointwise for GinzburgLandau {
    type Noise = Diagonal;
    type Calculus = Ito;
    fn dim(&self) -> usize {
        self.dim
    }
    #[inline(always)]
    fn drift<R: Real>(&self, _j: usize, x: R) -> R {
        let growth = R::of(self.eta + 0.5 * self.s * self.s);
        (growth - R::of(self.lambda) * (x * x)) * x
    }
    #[inline(always)]
    fn sigma<R: Real>(&self, _j: usize, x: R) -> R {
        R::of(self.s) * x
    }
}
