//! Quasi-random points.

use crate::rng::Stream;
use crate::{Error, Result};
use ndarray::Array2;

/// Kronecker's sequence u_i = (shift + i alpha) mod 1 in [0, 1)^d, alpha_j = phi^-(j + 1), phi the positive
/// root of phi^(d + 1) = phi + 1: the golden ratio for d = 1, where every prefix of the points is spread as
/// evenly as can be. The shift, one for each replicate, makes each point uniform, so that means are unbiased
/// (Cranley and Patterson 1976).
///
/// ```
/// use ndsm::control::{Kronecker, replicated};
/// use ndsm::rng::{Purpose, Stream};
/// // E U V = 1/4, from 8 replicates of 128 points.
/// let mut y = ndarray::Array2::zeros((8, 128));
/// for (r, mut row) in y.rows_mut().into_iter().enumerate() {
///     let points = Kronecker::new(2, &mut Stream::new(0, Purpose::Test, 0, r as u32))?.points(128);
///     row.iter_mut().zip(points.rows()).for_each(|(y, u)| *y = u[0] * u[1]);
/// }
/// let estimate = replicated(y.view())?;
/// assert!((estimate.mean - 0.25).abs() < 4.0 * estimate.standard_error && estimate.gain() > 8.0);
/// # Ok::<(), ndsm::Error>(())
/// ```
#[derive(Debug, Clone, PartialEq)]
pub struct Kronecker {
    alpha: Vec<f64>,
    shift: Vec<f64>,
}

impl Kronecker {
    /// In `dim` dimensions, with a shift from `stream`.
    ///
    /// # Errors
    /// No dimension.
    pub fn new(dim: usize, stream: &mut Stream) -> Result<Self> {
        if dim == 0 {
            return Err(Error::invalid("quasi-random points: dimension", ">= 1", dim));
        }
        // x = (1 + x)^(1/(d + 1)) contracts by at least 1/2 each time.
        let phi = (0..64).fold(1.5f64, |x, _| (1.0 + x).powf(1.0 / (dim as f64 + 1.0)));
        let mut shift = vec![0.0; dim];
        stream.fill_uniform(&mut shift);
        Ok(Kronecker { alpha: (0..dim).map(|j| phi.powi(-(j as i32) - 1)).collect(), shift })
    }

    /// Point `i`, coordinate `j`. Accurate to 1e-16 (i + 1).
    #[inline]
    pub fn at(&self, i: usize, j: usize) -> f64 {
        (self.shift[j] + i as f64 * self.alpha[j]).fract()
    }

    /// The first `n` points, [n, d].
    pub fn points(&self, n: usize) -> Array2<f64> {
        Array2::from_shape_fn((n, self.alpha.len()), |(i, j)| self.at(i, j))
    }
}
