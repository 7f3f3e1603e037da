use super::linear::span;
use super::{Clock, Linear, scaled};
use crate::sde::{Isotropic, Sde, Time};
use crate::simd::W;
use crate::{Real, Result};

/// A process run by another clock: where dY = f(Y, s) ds + sigma(Y, s) dB,
///
/// dX = b(t) f(X, B(t)) dt + b(t)^(1/2) sigma(X, B(t)) dB,   B(t) = int_0^t b,
///
/// so that X_t has the law of Y_B(t), in either calculus. b: [`Clock`]; the coefficients of Y are then per
/// unit of B.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct TimeChanged<S> {
    sde: S,
    clock: Clock,
}

impl<S> TimeChanged<S> {
    /// `sde` by the clock `clock`.
    pub fn new(sde: S, clock: Clock) -> Self {
        TimeChanged { sde, clock }
    }
    /// Y.
    pub fn inner(&self) -> &S {
        &self.sde
    }
    /// b.
    pub fn clock(&self) -> Clock {
        self.clock
    }

    /// B(t).
    fn elapsed(&self, t: f64) -> f64 {
        self.clock.integral(0.0, t)
    }

    #[inline(always)]
    fn inner_time(&self, t: &Time) -> Time {
        match t {
            Time::Common(t) => Time::Common(self.elapsed(*t)),
            Time::Lanes(t) => Time::Lanes(t.map(|t| self.elapsed(t))),
        }
    }
}

impl<S: Linear> Linear for TimeChanged<S> {
    type Transition = S::Transition;
    fn law(&self, from: f64, to: f64) -> Result<S::Transition> {
        span("time-changed process", from, to)?;
        let start = self.elapsed(from);
        self.sde.law(start, start + self.clock.integral(from, to))
    }
}

impl<R: Real, S: Sde<R>> Sde<R> for TimeChanged<S> {
    type Noise = S::Noise;
    type Calculus = S::Calculus;
    type Scratch = (S::Scratch, Vec<[R; W]>);
    fn dim(&self) -> usize {
        self.sde.dim()
    }
    fn noises(&self) -> usize {
        self.sde.noises()
    }
    fn scratch(&self) -> Self::Scratch {
        (self.sde.scratch(), vec![[R::zero(); W]; self.sde.noises()])
    }
    #[inline(always)]
    fn drift<const FMA: bool>(&self, t: &Time, x: &[[R; W]], f: &mut [[R; W]], (scratch, _): &mut Self::Scratch) {
        self.sde.drift::<FMA>(&self.inner_time(t), x, f, scratch);
        let b: [R; W] = t.lanes(|t| self.clock.rate(t));
        for f in f {
            for i in 0..W {
                f[i] *= b[i];
            }
        }
    }
    #[inline(always)]
    fn diffuse<const FMA: bool>(&self, t: &Time, x: &[[R; W]], w: &[[R; W]], g: &mut [[R; W]], (scratch, faster): &mut Self::Scratch) {
        scaled(t.lanes(|t| self.clock.rate(t).sqrt()), w, faster);
        self.sde.diffuse::<FMA>(&self.inner_time(t), x, faster, g, scratch);
    }
}

impl<R: Real, S: Isotropic<R>> Isotropic<R> for TimeChanged<S> {
    fn sigma(&self, t: f64) -> f64 {
        self.clock.rate(t).sqrt() * self.sde.sigma(self.elapsed(t))
    }
    fn noise(&self, t: f64, h: f64) -> f64 {
        self.sde.noise(self.elapsed(t), self.clock.integral(t, t + h))
    }
}
