//! Learning rates.

use crate::{Error, Result};

/// What the rate does after the warm-up.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Decay {
    /// It stays.
    Constant,
    /// It falls to 0 along half a cosine (Loshchilov and Hutter, "SGDR", ICLR 2017).
    Cosine,
}

/// The learning rate as a function of the step:
/// peak (step + 1)/warm_up for step < warm_up, then peak or peak (1 + cos(pi u))/2, u = (step - warm_up)/(steps - warm_up).
///
/// ```
/// use ndsm::optim::{Decay, Schedule};
/// let s = Schedule::new(1e-3, 10, 110, Decay::Cosine)?;
/// assert_eq!((s.rate(0), s.rate(9), s.rate(10), s.rate(110)), (1e-4, 1e-3, 1e-3, 0.0));
/// assert!((s.rate(60) - 0.5e-3).abs() < 1e-15);
/// # Ok::<(), ndsm::Error>(())
/// ```
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Schedule {
    peak: f64,
    warm_up: u64,
    steps: u64,
    decay: Decay,
}

impl Schedule {
    /// `peak` > 0: the largest rate; `warm_up` <= `steps`: steps of the linear rise; `steps`: where the cosine ends.
    ///
    /// # Errors
    /// If one of these is not so.
    pub fn new(peak: f64, warm_up: u64, steps: u64, decay: Decay) -> Result<Self> {
        if !(peak > 0.0 && peak.is_finite()) {
            return Err(Error::invalid("learning rate", "a finite number > 0", peak));
        }
        if warm_up > steps {
            return Err(Error::invalid("learning rate: warm-up", format!("at most all {steps} steps"), warm_up));
        }
        Ok(Schedule { peak, warm_up, steps, decay })
    }

    /// The rate of step `step` = 0, 1, ...; 0 behind the end of a cosine.
    pub fn rate(&self, step: u64) -> f64 {
        if step < self.warm_up {
            return self.peak * (step + 1) as f64 / self.warm_up as f64;
        }
        match self.decay {
            Decay::Constant => self.peak,
            Decay::Cosine if step >= self.steps => 0.0,
            Decay::Cosine => {
                let u = (step - self.warm_up) as f64 / (self.steps - self.warm_up) as f64;
                self.peak * 0.5 * (1.0 + (std::f64::consts::PI * u).cos())
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use approx::assert_abs_diff_eq;

    #[test]
    fn a_constant_rate_stays_and_bad_values_are_refused() {
        let s = Schedule::new(0.5, 0, 10, Decay::Constant).unwrap();
        assert_eq!((s.rate(0), s.rate(1_000_000)), (0.5, 0.5));
        assert_eq!(Schedule::new(0.5, 10, 10, Decay::Cosine).unwrap().rate(10), 0.0);
        for peak in [0.0, -1.0, f64::NAN, f64::INFINITY] {
            assert!(Schedule::new(peak, 0, 10, Decay::Constant).is_err());
        }
        let e = Schedule::new(0.1, 11, 10, Decay::Cosine).unwrap_err();
        assert_eq!(e.to_string(), "learning rate: warm-up: must be at most all 10 steps, got 11");
    }

    /// Three steps up and four down, each number of it: the first step after the warm-up has the whole rate,
    /// the step behind the last none.
    #[test]
    fn every_step_has_its_rate() {
        let s = Schedule::new(4.0, 3, 7, Decay::Cosine).unwrap();
        let half = 2f64.sqrt();
        let exact = [4.0 / 3.0, 8.0 / 3.0, 4.0, 4.0, 2.0 + half, 2.0, 2.0 - half, 0.0, 0.0];
        let rates: Vec<f64> = (0..9).map(|step| s.rate(step)).collect();
        assert_abs_diff_eq!(rates[..], exact[..], epsilon = 2e-15);
    }

    #[test]
    fn the_rate_never_jumps() {
        let s = Schedule::new(1.0, 20, 200, Decay::Cosine).unwrap();
        assert!((1..250).all(|i| (s.rate(i) - s.rate(i - 1)).abs() <= 0.0501));
    }
}
