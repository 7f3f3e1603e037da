//! Samples that are not independent, on purpose, and the standard errors that they have.

use super::Estimate;
use super::estimate::{check, mean_variance};
use crate::{Error, Result};
use ndarray::ArrayView2;

/// E y from n antithetic pairs: `plus[i]` at a noise z_i, `minus[i]` at -z_i. Pairs are independent of each
/// other.
///
/// The variance is (1 + rho)/2 times that of 2 n plain samples, rho the correlation within pairs: 0 if y is
/// odd in z (up to its mean), and 1, not 1/2, of n plain samples if y is even.
///
/// # Errors
/// Halves of different lengths, fewer than two pairs, numbers that are not finite.
pub fn antithetic(plus: &[f64], minus: &[f64]) -> Result<Estimate> {
    check("antithetic pairs", "samples", plus, 2)?;
    check("antithetic pairs", "samples", minus, 2)?;
    if plus.len() != minus.len() {
        return Err(Error::shape("antithetic pairs", "as many samples of each sign", &[&[plus.len()], &[minus.len()]]));
    }
    let (mean, variance) = mean_variance(plus.iter().zip(minus).map(|(a, b)| 0.5 * (a + b)));
    let n = plus.len() as f64;
    // All 2 n have one law, and both halves are samples of it.
    let plain = 0.5 * (mean_variance(plus.iter().copied()).1 + mean_variance(minus.iter().copied()).1);
    Ok(Estimate::new(mean, variance / n, 2 * plus.len(), plain))
}

/// E y from strata: (probability, independent samples) of each. The variance between the strata is gone; that
/// inside of them adds up to sum w_s^2 Var_s / n_s.
///
/// # Errors
/// Probabilities that are not positive or do not add up to 1; fewer than two samples in a stratum; numbers
/// that are not finite.
pub fn stratified(strata: &[(f64, &[f64])]) -> Result<Estimate> {
    let total: f64 = strata.iter().map(|(w, _)| w).sum();
    if !((total - 1.0).abs() <= 1e-9 && strata.iter().all(|(w, _)| *w > 0.0)) {
        return Err(Error::invalid("strata: probabilities", "positive, with the sum 1", format!("the sum {total}")));
    }
    let (mut mean, mut variance, mut within, mut n) = (0.0, 0.0, 0.0, 0);
    for (s, (w, y)) in strata.iter().enumerate() {
        check(&format!("stratum {s}"), "samples", *y, 2)?;
        let (m, v) = mean_variance(y.iter().copied());
        (mean, variance, within, n) = (mean + w * m, variance + w * w * v / y.len() as f64, within + w * v, n + y.len());
    }
    let between: f64 = strata.iter().map(|(w, y)| w * (y.iter().sum::<f64>() / y.len() as f64 - mean).powi(2)).sum();
    Ok(Estimate::new(mean, variance, n, within + between))
}

/// E y from one sample in each of n strata of equal probability, in their order: stratified times, for
/// example.
///
/// No stratum shows its own variance, so that neighbours stand in for each other: (1/n) sum (y_i - y_(i+1))^2
/// / (2 (n - 1)) also holds their difference in mean, and errs to the safe side (Cochran 1977, "collapsed
/// strata"); for a smooth y this is of order 1/n^2 beside it.
///
/// # Errors
/// Fewer than two samples; numbers that are not finite.
pub fn one_per_stratum(y: &[f64]) -> Result<Estimate> {
    check("strata", "samples", y, 2)?;
    let n = y.len() as f64;
    let within = y.windows(2).map(|p| (p[0] - p[1]) * (p[0] - p[1])).sum::<f64>() / (2.0 * (n - 1.0));
    let (mean, plain) = mean_variance(y.iter().copied());
    Ok(Estimate::new(mean, within / n, y.len(), plain))
}

/// E y from independent replicates [r, n], each with points that belong together: quasi-random ones with a
/// shift of their own. The means of the replicates are independent, and their spread is the standard error;
/// nothing else is, for quasi-random points.
///
/// # Errors
/// Fewer than two replicates, empty ones, numbers that are not finite.
pub fn replicated(y: ArrayView2<f64>) -> Result<Estimate> {
    if y.nrows() < 2 || y.ncols() == 0 {
        return Err(Error::shape("replicates", "at least 2 replicates [r, n], n >= 1", &[y.shape()]));
    }
    check("replicates", "samples", y, 2)?;
    let (mean, variance) = mean_variance(y.rows().into_iter().map(|r| r.sum() / r.len() as f64).collect::<Vec<_>>().into_iter());
    Ok(Estimate::new(mean, variance / y.nrows() as f64, y.len(), mean_variance(y.iter().copied()).1))
}
