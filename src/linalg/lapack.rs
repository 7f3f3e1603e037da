//! The same factorisations by LAPACK, through ndarray-linalg and the system's OpenBLAS.

use super::eigen::{Eigen, ordered};
use ndarray::{Array2, ArrayView2};
use ndarray_linalg::{Cholesky, Eigh, UPLO};

/// The lower factor, or `None` where LAPACK finds the matrix not positive definite.
pub fn cholesky(a: ArrayView2<f64>) -> Option<Array2<f64>> {
    if a.is_empty() {
        return None;
    }
    let lower = a.as_standard_layout().cholesky(UPLO::Lower).ok()?;
    // In standard layout, as the crate's own; LAPACK leaves the other triangle as it was.
    Some(Array2::from_shape_fn(lower.dim(), |(i, j)| if i >= j { lower[[i, j]] } else { 0.0 }))
}

/// See [`super::symmetric_eigen`]; `None` where LAPACK's iteration gives up.
pub fn eigen(a: ArrayView2<f64>) -> Option<Eigen> {
    if a.is_empty() {
        return None;
    }
    // LAPACK reads the lower triangle of a row-major matrix; it is mirrored first, so that layouts cannot
    // matter.
    let full = Array2::from_shape_fn(a.dim(), |(i, j)| a[[i.max(j), i.min(j)]]);
    let (values, vectors) = full.eigh(UPLO::Lower).ok()?;
    Some(ordered(values.to_vec(), vectors.t()))
}
