//! Expectations with less variance: control variates by regression, antithetic pairs, strata, quasi-random
//! points. No networks here.
//!
//! A control variate c is a quantity whose mean is known to be 0. Whatever b is, y - b . c has the mean of y,
//! and with
//!
//! b = Cov(c)^-1 Cov(c, y)
//!
//! its variance is (1 - R^2) Var y, R the multiple correlation of y and c. Estimated from the samples it is
//! applied to, b makes the mean biased by O(1/n) and its standard error too small; estimated from *other*
//! samples, it does neither ([`Regression`]: the other folds of one sample; [`Running`]: the batches before).
//!
//! | what helps | when | here |
//! |---|---|---|
//! | controls | y is nearly linear in something whose mean is known | [`Regression::cross_fitted`], [`Regression::grouped`], [`Running`] |
//! | Stein's identity | the score of the law is known, and y is smooth | [`stein`] |
//! | antithetic pairs | y is nearly odd in a symmetric noise; pairs of an even y are one sample twice | [`antithetic`] |
//! | strata | y depends on something that can be drawn stratum by stratum, such as time | [`stratified`], [`one_per_stratum`] |
//! | quasi-random points | y is smooth in few uniform numbers, or in a data set's points | [`Kronecker`], [`space_filling`], [`replicated`] |
//!
//! Standard errors are those of the estimator that was used, and [`Estimate::gain`] says what it was worth.
//!
//! ```
//! use ndarray::{Array1, Array2};
//! use ndsm::control::Regression;
//! use ndsm::rng::{Purpose, Stream};
//! // E e^U = e - 1, U uniform, with the control U - 1/2.
//! let mut u = vec![0.0; 1000];
//! Stream::new(0, Purpose::Test, 0, 0).fill_uniform(&mut u);
//! let y: Array1<f64> = u.iter().map(|u: &f64| u.exp()).collect();
//! let c = Array2::from_shape_vec((1000, 1), u.iter().map(|u| u - 0.5).collect()).unwrap();
//! let fit = Regression::default().cross_fitted(y.view(), c.view())?;
//! assert!((fit.estimate.mean - (1f64.exp() - 1.0)).abs() < 3.0 * fit.estimate.standard_error);
//! assert!(fit.estimate.gain() > 50.0); // as good as 50,000 samples: 1 - R^2 = 0.016
//! # Ok::<(), ndsm::Error>(())
//! ```

mod estimate;
mod moments;
mod quasi_random;
mod regression;
mod running;
mod sampling;
mod space_filling;
pub mod stein;

pub use estimate::Estimate;
pub use quasi_random::Kronecker;
pub use regression::{Controlled, Dropped, Grouped, Regression, Why};
pub use running::Running;
pub use sampling::{antithetic, one_per_stratum, replicated, stratified};
pub use space_filling::space_filling;

#[cfg(test)]
mod tests;
