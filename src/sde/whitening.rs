//! Whitened coordinates (method.md, "Steps that fit a mixture reference").
//!
//! Langevin dynamics with the constant mobility M = A A^T in x is Langevin dynamics with the identity in u = A^-1 (x - mean).
//! With M the pooled within-component covariance of the reference, its components have variances near 1 in u, so that one
//! step size suits all directions.

use crate::linalg::Cholesky;
use crate::{Error, Result};
use ndarray::{Array1, Array2, ArrayView1, ArrayView2, Axis};

/// The affine map u = A^-1 (x - mean), A lower triangular.
#[derive(Debug, Clone, PartialEq)]
pub struct Whitening {
    mean: Array1<f64>,
    factor: Array2<f64>,
}

impl Whitening {
    /// The map whose A is the Cholesky factor of `mobility` [d, d].
    ///
    /// # Errors
    /// Shapes that do not fit; a mobility that is not positive definite.
    pub fn new(mean: ArrayView1<f64>, mobility: ArrayView2<f64>) -> Result<Self> {
        if mobility.dim() != (mean.len(), mean.len()) {
            return Err(Error::shape("whitening", "a mean [d] and a mobility [d, d]", &[mean.shape(), mobility.shape()]));
        }
        let factor = linalg::cholesky(mobility).map_err(|e| e.within("whitening"))?;
        Ok(Whitening { mean: mean.to_owned(), factor })
    }

    /// The map with the given parts, as read from a checkpoint.
    ///
    /// # Errors
    /// A factor that is not lower triangular with a positive diagonal, or values that are not finite.
    pub fn from_parts(mean: Array1<f64>, factor: Array2<f64>) -> Result<Self> {
        let d = mean.len();
        let fits = factor.dim() == (d, d) && d > 0;
        let lower = fits && factor.indexed_iter().all(|((i, j), v)| v.is_finite() && (j < i || (j == i && *v > 0.0) || (j > i && *v == 0.0)));
        if !lower || mean.iter().any(|m| !m.is_finite()) {
            return Err(Error::refused("whitening", "expected a finite mean [d] and a lower triangular factor [d, d] with positive diagonal"));
        }
        Ok(Whitening { mean, factor })
    }

    /// The dimension d.
    pub fn dim(&self) -> usize {
        self.mean.len()
    }

    /// The origin of u, in x.
    pub fn mean(&self) -> ArrayView1<'_, f64> {
        self.mean.view()
    }

    /// A [d, d], lower triangular.
    pub fn factor(&self) -> ArrayView2<'_, f64> {
        self.factor.view()
    }

    /// The matrix and the vector of u = matrix x + vector.
    pub fn forward(&self) -> Result<(Array2<f64>, Array1<f64>)> {
        let inverse = linalg::solve_lower(self.factor.view(), Array2::eye(self.dim()).view())?;
        let shift = -inverse.dot(&self.mean);
        Ok((inverse, shift))
    }

    /// u = A^-1 (x - mean), row by row: [n, d] -> [n, d].
    pub fn whiten(&self, x: ArrayView2<f64>) -> Result<Array2<f64>> {
        self.check(x)?;
        let centred = &x - &self.mean.view().insert_axis(Axis(0));
        Ok(linalg::solve_lower(self.factor.view(), centred.t())?.reversed_axes().as_standard_layout().into_owned())
    }

    /// x = mean + A u, row by row: [n, d] -> [n, d].
    pub fn unwhiten(&self, u: ArrayView2<f64>) -> Result<Array2<f64>> {
        self.check(u)?;
        Ok(u.dot(&self.factor.t()) + &self.mean.view().insert_axis(Axis(0)))
    }

    fn check(&self, x: ArrayView2<f64>) -> Result<()> {
        if x.ncols() == self.dim() {
            return Ok(());
        }
        Err(Error::shape("whitening", format!("points [n, {}]", self.dim()), &[x.shape()]))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use ndarray::array;

    #[test]
    fn there_and_back() {
        let w = Whitening::new(array![1.0, -2.0].view(), array![[4.0, 1.0], [1.0, 2.0]].view()).unwrap();
        let x = array![[0.0, 0.0], [3.0, 1.0], [-1.0, 5.0]];
        let u = w.whiten(x.view()).unwrap();
        let back = w.unwhiten(u.view()).unwrap();
        assert!(back.iter().zip(&x).all(|(a, b)| (a - b).abs() <= 1e-14));
        let (matrix, shift) = w.forward().unwrap();
        let same = x.dot(&matrix.t()) + &shift;
        assert!(same.iter().zip(&u).all(|(a, b)| (a - b).abs() <= 1e-14));
        assert!(w.whiten(array![[1.0]].view()).is_err());
        assert!(Whitening::new(array![0.0].view(), array![[-1.0]].view()).is_err());
    }
}
