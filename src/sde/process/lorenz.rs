use super::{finite, scaled};
use crate::sde::kinds::{Additive, Either};
use crate::sde::{Isotropic, Sde, Time, positive};
use crate::simd::W;
use crate::{Real, Result};

/// The equations of Lorenz (1963) with additive noise, X = (x, y, z):
///
/// dx = s (y - x) dt + sigma dB_1,   dy = (x (rho - z) - y) dt + sigma dB_2,
/// dz = (x y - beta z) dt + sigma dB_3.
///
/// s, rho, beta and time are without unit; sigma is X / time^(1/2). In the stationary law E x y = beta E z
/// and E x^2 = E x y + sigma^2 / (2 s).
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Lorenz {
    s: f64,
    rho: f64,
    beta: f64,
    sigma: f64,
}

impl Lorenz {
    /// Lorenz's parameters s = 10, rho = 28, beta = 8/3, with noise `sigma`.
    ///
    /// # Errors
    /// `sigma` not positive.
    pub fn classic(sigma: f64) -> Result<Self> {
        Lorenz::new(10.0, 28.0, 8.0 / 3.0, sigma)
    }

    /// The equations with Prandtl number `s`, Rayleigh number `rho`, and `beta`.
    ///
    /// # Errors
    /// `s`, `beta` or `sigma` not positive; `rho` not finite.
    pub fn new(s: f64, rho: f64, beta: f64, sigma: f64) -> Result<Self> {
        Ok(Lorenz {
            s: positive("Lorenz: s", s)?,
            rho: finite("Lorenz: rho", rho)?,
            beta: positive("Lorenz: beta", beta)?,
            sigma: positive("Lorenz: sigma", sigma)?,
        })
    }
}

impl<R: Real> Sde<R> for Lorenz {
    type Noise = Additive;
    type Calculus = Either;
    type Scratch = ();
    fn dim(&self) -> usize {
        3
    }
    fn scratch(&self) {}
    #[inline(always)]
    fn drift<const FMA: bool>(&self, _t: &Time, x: &[[R; W]], f: &mut [[R; W]], (): &mut ()) {
        let [s, rho, minus_beta] = [self.s, self.rho, -self.beta].map(R::of);
        for i in 0..W {
            let (x, y, z) = (x[0][i], x[1][i], x[2][i]);
            f[0][i] = s * (y - x);
            f[1][i] = x.fma::<FMA>(rho - z, -y);
            f[2][i] = x.fma::<FMA>(y, minus_beta * z);
        }
    }
    #[inline(always)]
    fn diffuse<const FMA: bool>(&self, _t: &Time, _x: &[[R; W]], w: &[[R; W]], g: &mut [[R; W]], (): &mut ()) {
        scaled([R::of(self.sigma); W], w, g);
    }
}

crate::sde::smooth::smooth_by_duals!(Lorenz);

impl<R: Real> Isotropic<R> for Lorenz {
    fn sigma(&self, _t: f64) -> f64 {
        self.sigma
    }
}
