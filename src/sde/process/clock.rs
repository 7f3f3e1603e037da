//! How fast the clock of a process runs.

use super::finite;
use crate::sde::positive;
use crate::{Error, Result};
use std::f64::consts::FRAC_PI_2;

/// The clock of a process: its rate b(t) >= 0 (1 / time), the integral of the rate, and the integral's
/// inverse. Before 0 and after the horizon T the rate stays what it is at 0 and at T.
///
/// ```
/// use ndsm::sde::Clock;
/// let b = Clock::linear(0.1, 20.0, 1.0)?;
/// assert!((b.integral(0.0, 1.0) - 10.05).abs() < 1e-12);
/// assert!((b.time(b.integral(0.0, 0.3)) - 0.3).abs() < 1e-14);
/// # Ok::<(), ndsm::Error>(())
/// ```
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Clock(Kind);

#[derive(Debug, Clone, Copy, PartialEq)]
enum Kind {
    Constant(f64),
    /// b0 + (b1 - b0) t / T.
    Linear {
        b0: f64,
        b1: f64,
        horizon: f64,
    },
    /// 2 theta' tan theta, theta = theta0 + theta' t.
    Cosine {
        theta0: f64,
        slope: f64,
        horizon: f64,
    },
}

impl Clock {
    /// b(t) = b.
    ///
    /// # Errors
    /// b not positive.
    pub fn constant(b: f64) -> Result<Self> {
        Ok(Clock(Kind::Constant(positive("constant clock", b)?)))
    }

    /// b(t) = b0 + (b1 - b0) t / T (Ho, Jain and Abbeel 2020; Song et al. 2021 with 0.1, 20 and 1).
    ///
    /// # Errors
    /// b0 negative; b1 or T not positive.
    pub fn linear(b0: f64, b1: f64, horizon: f64) -> Result<Self> {
        if !(b0 >= 0.0 && b0.is_finite()) {
            return Err(Error::invalid("linear clock: b0", "a finite number >= 0", b0));
        }
        let b1 = positive("linear clock: b1", b1)?;
        Ok(Clock(Kind::Linear { b0, b1, horizon: positive("linear clock: horizon", horizon)? }))
    }

    /// exp(-int_0^t b) = cos^2 theta(t) / cos^2 theta(0), theta linear in t and theta(0) = (pi/2) s / (1 + s)
    /// (Nichol and Dhariwal 2021, s = `offset` = 0.008). Theirs runs to pi/2, where b is infinite; here
    /// theta(T) is where the integral of b is `total`, say 20.
    ///
    /// # Errors
    /// T or the total not positive; an offset outside of [0, 1].
    pub fn cosine(horizon: f64, offset: f64, total: f64) -> Result<Self> {
        let (horizon, total) = (positive("cosine clock: horizon", horizon)?, positive("cosine clock: total", total)?);
        if !(0.0..=1.0).contains(&finite("cosine clock: offset", offset)?) {
            return Err(Error::invalid("cosine clock: offset", "in [0, 1]", offset));
        }
        if total > 500.0 {
            return Err(Error::invalid("cosine clock: total", "<= 500", total)); // cos theta(T) would underflow
        }
        let theta0 = FRAC_PI_2 * offset / (1.0 + offset);
        Ok(Clock(Kind::Cosine { theta0, slope: (angle(theta0, total) - theta0) / horizon, horizon }))
    }

    /// b(t).
    pub fn rate(&self, t: f64) -> f64 {
        match self.0 {
            Kind::Constant(b) => b,
            Kind::Linear { b0, b1, horizon } => {
                let u = (t / horizon).clamp(0.0, 1.0);
                b0 * (1.0 - u) + b1 * u
            }
            Kind::Cosine { theta0, slope, horizon } => 2.0 * slope * (theta0 + slope * t.clamp(0.0, horizon)).tan(),
        }
    }

    /// int b from `from` to `to`, without cancellation.
    pub fn integral(&self, from: f64, to: f64) -> f64 {
        let Some(horizon) = self.horizon() else {
            return self.rate(0.0) * (to - from);
        };
        let before = self.rate(0.0) * (to.min(0.0) - from.min(0.0));
        let after = self.rate(horizon) * (to.max(horizon) - from.max(horizon));
        before + self.inside(from.clamp(0.0, horizon), to.clamp(0.0, horizon)) + after
    }

    /// The t >= 0 with int_0^t b = `elapsed`; 0 for a negative one.
    pub fn time(&self, elapsed: f64) -> f64 {
        if elapsed <= 0.0 {
            return 0.0;
        }
        let total = self.horizon().map_or(0.0, |horizon| self.inside(0.0, horizon));
        if elapsed >= total {
            let horizon = self.horizon().unwrap_or(0.0);
            return horizon + (elapsed - total) / self.rate(horizon);
        }
        match self.0 {
            Kind::Constant(b) => elapsed / b,
            // The root of b0 t + (b1 - b0) t^2 / 2T = elapsed in the form that divides by no difference.
            Kind::Linear { b0, b1, horizon } => 2.0 * elapsed / (b0 + (b0 * b0 + 2.0 * (b1 - b0) * elapsed / horizon).max(0.0).sqrt()),
            Kind::Cosine { theta0, slope, .. } => (angle(theta0, elapsed) - theta0) / slope,
        }
    }

    fn horizon(&self) -> Option<f64> {
        match self.0 {
            Kind::Constant(_) => None,
            Kind::Linear { horizon, .. } | Kind::Cosine { horizon, .. } => Some(horizon),
        }
    }

    /// The integral between two times in [0, T].
    fn inside(&self, from: f64, to: f64) -> f64 {
        match self.0 {
            Kind::Constant(b) => b * (to - from),
            Kind::Linear { .. } => (to - from) * 0.5 * (self.rate(from) + self.rate(to)),
            // -2 ln(cos theta2 / cos theta1), the cosines' difference as a product of sines.
            Kind::Cosine { theta0, slope, .. } => {
                let (half_sum, half_difference) = (theta0 + slope * 0.5 * (from + to), slope * 0.5 * (to - from));
                let difference = -2.0 * half_sum.sin() * half_difference.sin();
                -2.0 * (difference / (theta0 + slope * from).cos()).ln_1p()
            }
        }
    }
}

/// The theta with cos theta = cos theta0 e^(-elapsed/2), from sine and cosine: right where either is small.
fn angle(theta0: f64, elapsed: f64) -> f64 {
    let (s, c) = theta0.sin_cos();
    (s * s - c * c * (-elapsed).exp_m1()).sqrt().atan2(c * (-0.5 * elapsed).exp())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn clocks() -> Vec<Clock> {
        vec![
            Clock::constant(0.7).unwrap(),
            Clock::linear(0.1, 20.0, 1.0).unwrap(),
            Clock::linear(3.0, 0.5, 2.0).unwrap(),
            Clock::linear(0.0, 2.0, 1.5).unwrap(),
            Clock::cosine(1.0, 0.008, 20.0).unwrap(),
            Clock::cosine(2.0, 0.0, 5.0).unwrap(),
        ]
    }

    #[test]
    fn integral_and_inverse_belong_to_the_rate() {
        for b in clocks() {
            for t in [1e-9, 1e-3, 0.3, 0.999, 1.0, 1.2, 3.0] {
                // Simpson's rule on short pieces that have no kink inside: a kink lies only where T does.
                let h = 1e-4 * f64::min(t, 0.1);
                let simpson = h / 6.0 * (b.rate(t) + 4.0 * b.rate(t + h / 2.0) + b.rate(t + h));
                assert!((b.integral(t, t + h) / simpson - 1.0).abs() <= 1e-7, "{b:?} at {t}: {} {simpson}", b.integral(t, t + h));
                let elapsed = b.integral(0.0, t);
                assert!((b.time(elapsed) / t - 1.0).abs() <= 1e-7, "{b:?}: {} for {t}", b.time(elapsed));
                let sum = b.integral(0.0, 0.4 * t) + b.integral(0.4 * t, t);
                assert!((sum / elapsed - 1.0).abs() <= 1e-12, "{b:?} to {t}: {sum} {elapsed}");
            }
            assert!(b.time(0.0) == 0.0 && b.time(-1.0) == 0.0 && b.rate(-1.0) == b.rate(0.0) && b.rate(9.0) == b.rate(2.0));
        }
    }

    #[test]
    fn the_cosine_clock_is_the_published_one() {
        let (b, s) = (Clock::cosine(1.0, 0.008, 400.0).unwrap(), 0.008);
        let f = |t: f64| ((t + s) / (1.0 + s) * FRAC_PI_2).cos().powi(2);
        for t in [0.01, 0.5, 0.9, 0.999] {
            let bar = (-b.integral(0.0, t)).exp();
            assert!((bar - f(t) / f(0.0)).abs() <= 1e-12, "{bar}");
        }
    }

    #[test]
    fn nonsense_is_refused() {
        for bad in [Clock::constant(0.0), Clock::linear(-1.0, 1.0, 1.0), Clock::linear(1.0, 0.0, 1.0), Clock::linear(1.0, 1.0, f64::NAN)] {
            assert!(bad.is_err(), "{bad:?}");
        }
        assert!(
            Clock::cosine(1.0, 2.0, 1.0).is_err() && Clock::cosine(1.0, 0.0, 0.0).is_err() && Clock::cosine(1.0, f64::NAN, 1.0).is_err()
        );
    }
}
