//! What every estimator here returns.

use crate::{Error, Result};

/// An expectation, estimated.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Estimate {
    /// The estimate.
    pub mean: f64,
    /// Its standard error.
    pub standard_error: f64,
    /// Evaluations of y that it took.
    pub evaluations: usize,
    /// Its variance over that of the plain mean of as many independent evaluations, both estimated.
    pub variance_ratio: f64,
}

impl Estimate {
    /// Effective sample gain: how many evaluations the plain mean needs for each one here,
    /// 1/[`Estimate::variance_ratio`].
    pub fn gain(&self) -> f64 {
        1.0 / self.variance_ratio
    }

    /// From the mean's variance, and the variance of a single plain evaluation.
    pub(super) fn new(mean: f64, variance: f64, evaluations: usize, plain: f64) -> Self {
        let ratio = if plain > 0.0 { variance * evaluations as f64 / plain } else { 1.0 };
        Estimate { mean, standard_error: variance.sqrt(), evaluations, variance_ratio: ratio }
    }
}

/// Mean and variance (with n - 1) of numbers.
pub(super) fn mean_variance(x: impl ExactSizeIterator<Item = f64> + Clone) -> (f64, f64) {
    let n = x.len() as f64;
    let mean = x.clone().sum::<f64>() / n;
    (mean, x.map(|x| (x - mean) * (x - mean)).sum::<f64>() / (n - 1.0))
}

/// Samples must be finite, and so many.
pub(super) fn check<'a>(place: &str, what: &str, x: impl IntoIterator<Item = &'a f64>, least: usize) -> Result<()> {
    let mut n = 0;
    for x in x {
        if !x.is_finite() {
            return Err(Error::invalid(format!("{place}: {what}[{n}]"), "finite", x));
        }
        n += 1;
    }
    if n < least {
        return Err(Error::invalid(format!("{place}: number of {what}"), format!(">= {least}"), n));
    }
    Ok(())
}
