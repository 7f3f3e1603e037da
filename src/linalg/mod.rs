//! Dense factorisations of small and middle-sized matrices, f64.
//!
//! [`Cholesky`] for everything with covariances (solves, inverses, log-determinants, square roots),
//! [`symmetric_eigen`] for functions of a symmetric matrix, [`Reflectors`] for bases that begin with few
//! directions, [`expm`], [`Phi`] and [`LinearStep`] for linear differential equations, and [`lanes`] for the
//! same on many small matrices at once. Matrix products are ndarray's. With the feature `lapack` the first
//! two run through the system's OpenBLAS instead, behind the same signatures; signs and the order of
//! eigenvalues are the same, the last digits are not.
//!
//! ```
//! use ndarray::array;
//! use ndsm::linalg::{Cholesky, symmetric_eigen};
//! let a = array![[4.0, 2.0], [2.0, 3.0]];
//! let cholesky = Cholesky::new(a.view())?;
//! assert!((cholesky.log_det() - 8f64.ln()).abs() < 1e-15);
//! let eigen = symmetric_eigen(a.view())?;
//! let root = eigen.map(f64::sqrt);
//! assert!((root.dot(&root) - a).iter().all(|e| e.abs() < 1e-14));
//! # Ok::<(), ndsm::Error>(())
//! ```

mod cholesky;
mod eigen;
mod exponential;
pub mod lanes;
#[cfg(feature = "lapack")]
mod lapack;
mod lu;
mod reflectors;
mod van_loan;
mod vector;

pub use cholesky::Cholesky;
pub use eigen::{Eigen, symmetric_eigen};
pub use exponential::{Phi, expm, phi1, phi2};
pub use reflectors::{Reflectors, leading};
pub use van_loan::LinearStep;

use crate::{Error, Result};
use ndarray::ArrayView2;

/// That `a` is square and finite; `what` names it in the error.
fn check_square(what: &str, a: ArrayView2<f64>) -> Result<usize> {
    let (rows, columns) = a.dim();
    if rows != columns {
        return Err(Error::shape(what, "a square matrix", &[a.shape()]));
    }
    match a.indexed_iter().find(|(_, v)| !v.is_finite()) {
        Some(((i, j), v)) => Err(Error::invalid(what, "finite in every entry", format!("{v} in row {i}, column {j}"))),
        None => Ok(rows),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rng::{Purpose, Stream};
    use ndarray::Array2;

    /// An n x n matrix of standard normals.
    pub fn normal(n: usize, seed: u64) -> Array2<f64> {
        let mut a = Array2::zeros((n, n));
        if let Some(slice) = a.as_slice_mut() {
            Stream::new(seed, Purpose::Test, 0, 0).fill_normal(slice);
        }
        a
    }

    /// A positive definite matrix with eigenvalues of size about 0.1 to 4.
    pub fn positive(n: usize, seed: u64) -> Array2<f64> {
        let a = normal(n, seed);
        a.dot(&a.t()) / n as f64 + Array2::<f64>::eye(n) * 0.1
    }

    /// Largest entry in absolute value.
    pub fn largest(a: &Array2<f64>) -> f64 {
        a.iter().fold(0.0, |m, v| if v.abs() <= m { m } else { v.abs() })
    }

    #[test]
    fn bad_matrices_are_refused_in_words() {
        let rectangle = Array2::<f64>::zeros((2, 3));
        let mut nan = Array2::<f64>::eye(3);
        nan[[2, 1]] = f64::NAN;
        for (matrix, word) in [(rectangle, "square"), (nan, "NaN in row 2, column 1")] {
            let cholesky = Cholesky::new(matrix.view()).map(|_| ()).unwrap_err();
            let eigen = symmetric_eigen(matrix.view()).map(|_| ()).unwrap_err();
            assert!(cholesky.to_string().contains(word), "{cholesky}");
            assert!(eigen.to_string().contains(word), "{eigen}");
        }
    }
}
