//! Processes: an equation, its units and its coefficients, one to a file.
//!
//! | process | equation | noise |
//! |---|---|---|
//! | [`Langevin`], [`Overdamped`] | dX = (beta/2) grad log pi(X) dt + sqrt(beta) dB | isotropic |
//! | [`Preconditioned`] | dX = (beta/2) M grad log pi(X) dt + (beta M)^(1/2) dB | additive |
//! | [`Underdamped`] | dq = v dt, dv = (F(q) - gamma v) dt + sqrt(2 gamma T) dB | additive |
//! | [`OrnsteinUhlenbeck`] | dX = A (m - X) dt + S dB | additive |
//! | [`VariancePreserving`] | dX = -(b(t)/2) X dt + sqrt(b(t)) dB | isotropic |
//! | [`SubVariancePreserving`] | the same drift, a variance that is never larger | isotropic |
//! | [`VarianceExploding`] | dX = sqrt(2 beta t) dB | isotropic |
//! | [`Straight`] | dX = -X/(1 - t) dt + (2t/(1 - t))^(1/2) dB, t < 1 | isotropic |
//! | [`DoubleWell`] | dX = (X - X^3) dt + sigma dB | isotropic |
//! | [`Lorenz`] | Lorenz 1963, + sigma dB | isotropic |
//! | [`GeometricBrownian`] | dX = mu X dt + s X dB, Ito | diagonal |
//! | [`GinzburgLandau`] | dX = ((eta + s^2/2) X - lambda X^3) dt + s X dB, Ito | diagonal |
//! | [`CoxIngersollRoss`] | dX = kappa (theta - X) dt + s sqrt(X) dB, Ito | diagonal |
//! | [`Tanh`] | dX = -(a + b^2 X)(1 - X^2) dt + b (1 - X^2) dB, Ito | diagonal |
//!
//! Where the coordinates go their own ways, two formulas on numbers make the equation: [`Pointwise`].
//! [`TimeChanged`] runs any of them by another clock, [`from_fn`] and [`from_fn_diagonal`] make one of
//! closures, and [`Linear`] is what those have whose transition law is a Gaussian in closed form.

mod clock;
mod cox_ingersoll_ross;
mod double_well;
mod evolution;
mod exploding;
mod force;
mod from_fn;
mod geometric;
mod ginzburg_landau;
mod langevin;
mod linear;
mod lorenz;
mod matrix;
mod ornstein_uhlenbeck;
mod pointwise;
mod preconditioned;
mod preserving;
mod straight;
mod sub_preserving;
mod tanh;
#[cfg(test)]
mod tests;
mod time_changed;
mod underdamped;

pub use clock::Clock;
pub use cox_ingersoll_ross::CoxIngersollRoss;
pub use double_well::DoubleWell;
pub use exploding::VarianceExploding;
pub use force::{Blockwise, DriftOf, Force, Harmonic, Rowwise, force_blocks, force_fn};
pub use from_fn::{FromFn, Sigma, from_fn, from_fn_diagonal};
pub use geometric::GeometricBrownian;
pub use ginzburg_landau::GinzburgLandau;
pub use langevin::{Langevin, MixtureScore, Overdamped};
pub use linear::{Linear, LinearLaw, MatrixLaw, ScalarLaw};
pub use lorenz::Lorenz;
pub use ornstein_uhlenbeck::OrnsteinUhlenbeck;
pub use pointwise::Pointwise;
pub use preconditioned::Preconditioned;
pub use preserving::VariancePreserving;
pub use straight::Straight;
pub use sub_preserving::SubVariancePreserving;
pub use tanh::Tanh;
pub use time_changed::TimeChanged;
pub use underdamped::Underdamped;

use crate::simd::W;
use crate::{Error, Real, Result};

/// g = sigma w for a scalar sigma.
#[inline(always)]
pub(crate) fn scaled<R: Real>(sigma: [R; W], w: &[[R; W]], g: &mut [[R; W]]) {
    for (g, w) in g.iter_mut().zip(w) {
        // By value: slices that might overlap are not vectorised.
        let (w, mut y) = (*w, [R::zero(); W]);
        for i in 0..W {
            y[i] = sigma[i] * w[i];
        }
        *g = y;
    }
}

/// Refuses a process without coordinates.
fn dimension(process: &str, dim: usize) -> Result<usize> {
    if dim > 0 { Ok(dim) } else { Err(Error::invalid(format!("{process}: dim"), ">= 1", dim)) }
}

/// Refuses a parameter that is NaN or infinite.
fn finite(place: &str, x: f64) -> Result<f64> {
    if x.is_finite() { Ok(x) } else { Err(Error::invalid(place, "a finite number", x)) }
}
