use super::Pointwise;
use crate::sde::kinds::{Diagonal, Ito};
use crate::{Error, Real, Result};

/// Geometric Brownian motion, Ito, coordinate by coordinate: dX_j = mu_j X_j dt + s_j X_j dB_j.
/// Exactly X_j(t) = X_j(0) exp((mu_j - s_j^2/2) t + s_j B_j(t)).
#[derive(Debug, Clone)]
pub struct GeometricBrownian {
    mu: Vec<f64>,
    s: Vec<f64>,
}

impl GeometricBrownian {
    /// Growth rates `mu` and volatilities `s`, one for each coordinate.
    ///
    /// # Errors
    /// Different lengths, none, or a number that is not finite.
    pub fn new(mu: Vec<f64>, s: Vec<f64>) -> Result<Self> {
        if mu.is_empty() || mu.len() != s.len() || mu.iter().chain(&s).any(|v| !v.is_finite()) {
            return Err(Error::refused(
                "geometric Brownian motion",
                format!("expected as many finite growth rates as volatilities, at least one, got {mu:?} and {s:?}"),
            ));
        }
        Ok(GeometricBrownian { mu, s })
    }

    /// X_t, from the coordinates of X_0 and of `b` = B_t.
    pub fn exact(&self, x0: &[f64], t: f64, b: &[f64]) -> Vec<f64> {
        let growth = self.mu.iter().zip(&self.s).zip(b).map(|((mu, s), b)| ((mu - 0.5 * s * s) * t + s * b).exp());
        x0.iter().zip(growth).map(|(x, growth)| x * growth).collect()
    }
}

impl Pointwise for GeometricBrownian {
    type Noise = Diagonal;
    type Calculus = Ito;
    fn dim(&self) -> usize {
        self.mu.len()
    }
    #[inline(always)]
    fn drift<R: Real>(&self, j: usize, x: R) -> R {
        R::of(self.mu[j]) * x
    }
    #[inline(always)]
    fn sigma<R: Real>(&self, j: usize, x: R) -> R {
        R::of(self.s[j]) * x
    }
}
