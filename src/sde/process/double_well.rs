use super::{dimension, scaled};
use crate::sde::kinds::{Additive, Either};
use crate::sde::smooth::smooth_by_duals;
use crate::sde::{Isotropic, Sde, Semilinear, Time, positive};
use crate::simd::W;
use crate::{Real, Result};

/// Double well, in every coordinate: dX = (X - X^3) dt + sigma dB, Langevin dynamics in the potential U = x^4/4 - x^2/2 at temperature
/// sigma^2/2: the invariant density is proportional to e^(-2 U / sigma^2). The drift is not globally Lipschitz: long explicit steps
/// diverge.
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

impl<R: Real> Sde<R> for DoubleWell {
    type Noise = Additive;
    type Calculus = Either;
    type Scratch = ();
    fn dim(&self) -> usize {
        self.dim
    }
    fn scratch(&self) {}
    #[inline(always)]
    fn drift<const FMA: bool>(&self, _t: &Time, x: &[[R; W]], f: &mut [[R; W]], (): &mut ()) {
        for (f, x) in f.iter_mut().zip(x) {
            let (x, mut y) = (*x, [R::zero(); W]);
            for i in 0..W {
                y[i] = (-x[i] * x[i]).fma::<FMA>(x[i], x[i]);
            }
            *f = y;
        }
    }
    #[inline(always)]
    fn diffuse<const FMA: bool>(&self, _t: &Time, _x: &[[R; W]], w: &[[R; W]], g: &mut [[R; W]], (): &mut ()) {
        scaled([R::of(self.sigma); W], w, g);
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
