//! Controls from Stein's identity: for a law with the score s = grad ln p and a vector field g that does not
//! grow too fast,
//!
//! E[div g(X) + g(X) . s(X)] = 0,
//!
//! so every field gives a control, and the normalising constant of p is not needed (Assaraf and Caffarel
//! 1999; Mira, Solgi and Imparato 2013). For a Gaussian law, quadratic fields control every polynomial of
//! degree two without any rest.
//!
//! ```
//! use ndarray::{array, Axis};
//! use ndsm::control::{Regression, stein};
//! use ndsm::mixture::{Covariances, Draw, Mixture};
//! use ndsm::rng::Purpose;
//! // E |X|^2 of a mixture whose modes overlap.
//! let means = array![[-0.6, 0.0], [0.9, 0.3]];
//! let pi = Mixture::new(array![0.6, 0.4], means, Covariances::Spherical(array![1.0, 1.0]))?;
//! let x = pi.sample(2000, 0, Purpose::Test, Draw::Independent)?.0;
//! let y = x.mapv(|x| x * x).sum_axis(Axis(1));
//! let controls = stein::quadratic(x.view(), pi.score(x.view())?.view(), pi.total_mean().view())?;
//! let fit = Regression::default().cross_fitted(y.view(), controls.view())?;
//! let exact = pi.total_covariance().diag().sum() + pi.total_mean().mapv(|m| m * m).sum();
//! assert!((fit.estimate.mean - exact).abs() < 4.0 * fit.estimate.standard_error);
//! assert!(fit.estimate.gain() > 20.0);
//! # Ok::<(), ndsm::Error>(())
//! ```

use crate::{Error, Result};
use ndarray::{Array2, ArrayView1, ArrayView2, s};

/// The constant fields e_j: the scores themselves, [n, d].
///
/// # Errors
/// `Shape` if there is no coordinate.
pub fn linear(score: ArrayView2<f64>) -> Result<Array2<f64>> {
    if score.ncols() == 0 {
        return Err(Error::shape("Stein controls", "scores [n, d], d >= 1", &[score.shape()]));
    }
    Ok(score.to_owned())
}

/// The constant fields, and the linear ones y_i e_j + y_j e_i with y = x - `about`, i <= j:
/// [n, d + d (d + 1)/2]. `about`, `[d]`, changes what the controls span in nothing and their conditioning a
/// lot: take the mean.
///
/// # Errors
/// `Shape` if the arrays do not fit.
pub fn quadratic(x: ArrayView2<f64>, score: ArrayView2<f64>, about: ArrayView1<f64>) -> Result<Array2<f64>> {
    let (n, d) = x.dim();
    if d == 0 || score.dim() != (n, d) || about.len() != d {
        let got = [x.shape(), score.shape(), about.shape()];
        return Err(Error::shape("Stein controls", "points and scores [n, d] and a centre [d], d >= 1", &got));
    }
    let y = &x - &about;
    let mut out = Array2::zeros((n, d + d * (d + 1) / 2));
    out.slice_mut(s![.., ..d]).assign(&score);
    let mut column = d;
    for i in 0..d {
        for j in i..d {
            for row in 0..n {
                let (a, b) = (y[[row, i]] * score[[row, j]], y[[row, j]] * score[[row, i]]);
                out[[row, column]] = if i == j { 1.0 + a } else { a + b };
            }
            column += 1;
        }
    }
    Ok(out)
}
