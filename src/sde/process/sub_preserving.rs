use super::linear::span;
use super::{Clock, Linear, ScalarLaw, scaled};
use crate::sde::kinds::{Additive, Either};
use crate::sde::{Isotropic, Sde, Time};
use crate::simd::W;
use crate::{Real, Result};

/// The sub-variance-preserving process dX = -(b(t)/2) X dt + (b(t) (1 - e^(-2 B(t))))^(1/2) dB, B(t) =
/// int_0^t b (Song et al. 2021, eq. 12). The mean is that of the variance-preserving process, the variance
/// given X_0 its square, (1 - e^-B)^2. b: [`Clock`], 1 / time; X without unit.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct SubVariancePreserving {
    dim: usize,
    clock: Clock,
}

impl SubVariancePreserving {
    /// The process in `dim` dimensions.
    ///
    /// # Errors
    /// No dimension.
    pub fn new(dim: usize, clock: Clock) -> Result<Self> {
        Ok(SubVariancePreserving { dim: super::dimension("sub-variance-preserving process", dim)?, clock })
    }

    /// b.
    pub fn clock(&self) -> Clock {
        self.clock
    }

    /// sigma^2 / b = 1 - e^(-2 B(t)); 0 before time 0.
    fn share(&self, t: f64) -> f64 {
        -(-2.0 * self.clock.integral(0.0, t).max(0.0)).exp_m1()
    }

    fn diffusion(&self, t: f64) -> f64 {
        (self.clock.rate(t) * self.share(t)).sqrt()
    }
}

impl Linear for SubVariancePreserving {
    type Transition = ScalarLaw;
    /// a = e^(-D/2), sd^2 = (1 - e^-D)(1 - e^(-D - 2 B)), B = int b to `from`, D = int b from there on.
    fn law(&self, from: f64, to: f64) -> Result<ScalarLaw> {
        span("sub-variance-preserving process", from, to)?;
        let (b, d) = (self.clock.integral(0.0, from), self.clock.integral(from, to));
        let variance = (-d).exp_m1() * (-d - 2.0 * b).exp_m1();
        Ok(ScalarLaw::new(self.dim, (-0.5 * d).exp(), variance.sqrt()))
    }
}

impl<R: Real> Sde<R> for SubVariancePreserving {
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
        scaled(t.lanes(|t| self.diffusion(t)), w, g);
    }
}

impl<R: Real> Isotropic<R> for SubVariancePreserving {
    fn sigma(&self, t: f64) -> f64 {
        self.diffusion(t)
    }
    /// int sigma^2 = D - e^(-2B) (1 - e^(-2D)) / 2, as two terms that are not negative.
    fn noise(&self, t: f64, h: f64) -> f64 {
        let d = self.clock.integral(t, t + h);
        let share = self.share(t);
        (share * d + (1.0 - share) * (d + 0.5 * (-2.0 * d).exp_m1())).max(0.0).sqrt()
    }
}
