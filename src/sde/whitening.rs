//! Whitened coordinates (method.md, "Steps that fit a mixture reference").
//!
//! Langevin dynamics with the constant mobility M = A A^T in x is Langevin dynamics with the identity in u =
//! A^-1 (x - mean). With M the pooled within-component covariance of the reference, its components have
//! variances near 1 in u, so that one step size suits all directions.

use crate::linalg::Cholesky;
use crate::{Error, Result};
use ndarray::{Array1, Array2, ArrayView1, ArrayView2, Axis};

/// The affine map u = A^-1 (x - mean), A lower triangular.
#[derive(Debug, Clone, PartialEq)]
pub struct Whitening {
    mean: Array1<f64>,
    factor: Array2<f64>,
    inverse: Array2<f64>,
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
        let cholesky = Cholesky::new(mobility).map_err(|e| e.within("whitening"))?;
        Ok(Whitening { mean: mean.to_owned(), factor: cholesky.lower().to_owned(), inverse: cholesky.inverse_lower() })
    }

    /// The map u = (x - mean)/`scale`.
    ///
    /// # Errors
    /// A scale that is not positive.
    pub fn scaled(mean: ArrayView1<f64>, scale: f64) -> Result<Self> {
        let scale = super::positive("whitening: scale", scale)?;
        let eye = Array2::<f64>::eye(mean.len());
        Ok(Whitening { mean: mean.to_owned(), factor: &eye * scale, inverse: eye / scale })
    }

    /// The map with the given parts, as read from a checkpoint: the mean, A and A^-1.
    ///
    /// # Errors
    /// Shapes that do not fit; values that are not finite; matrices that are not inverse to each other.
    pub fn from_parts(mean: Array1<f64>, factor: Array2<f64>, inverse: Array2<f64>) -> Result<Self> {
        let d = mean.len();
        if d == 0 || factor.dim() != (d, d) || inverse.dim() != (d, d) {
            return Err(Error::shape("whitening", "mean [d], A [d, d], A^-1 [d, d]", &[mean.shape(), factor.shape(), inverse.shape()]));
        }
        let inverses = (factor.dot(&inverse) - Array2::<f64>::eye(d)).iter().all(|v| v.abs() <= 1e-6);
        if !inverses || mean.iter().any(|m| !m.is_finite()) {
            return Err(Error::refused("whitening", "A A^-1 must be the identity and the mean finite"));
        }
        Ok(Whitening { mean, factor, inverse })
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

    /// A^-1 [d, d], lower triangular.
    pub fn inverse(&self) -> ArrayView2<'_, f64> {
        self.inverse.view()
    }

    /// -A^-1 mean: the vector b of u = A^-1 x + b.
    pub fn shift(&self) -> Array1<f64> {
        -self.inverse.dot(&self.mean)
    }

    /// u = A^-1 (x - mean), row by row: [n, d] -> [n, d].
    pub fn whiten(&self, x: ArrayView2<f64>) -> Result<Array2<f64>> {
        self.check(x)?;
        let centred = &x - &self.mean.view().insert_axis(Axis(0));
        Ok(centred.dot(&self.inverse.t()))
    }

    /// x = mean + A u, row by row: [n, d] -> [n, d].
    pub fn unwhiten(&self, u: ArrayView2<f64>) -> Result<Array2<f64>> {
        self.check(u)?;
        Ok(u.dot(&self.factor.t()) + self.mean.view().insert_axis(Axis(0)))
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
        let same = x.dot(&w.inverse().t()) + &w.shift();
        assert!(same.iter().zip(&u).all(|(a, b)| (a - b).abs() <= 1e-14));
        let parts = (w.mean().to_owned(), w.factor().to_owned(), w.inverse().to_owned());
        assert_eq!(Whitening::from_parts(parts.0.clone(), parts.1.clone(), parts.2).unwrap(), w);
        assert!(Whitening::from_parts(parts.0, parts.1.clone(), parts.1).is_err());
        assert!(w.whiten(array![[1.0]].view()).is_err());
        let half = Whitening::scaled(array![1.0, 0.0].view(), 2.0).unwrap();
        assert_eq!(half.whiten(array![[3.0, -2.0]].view()).unwrap(), array![[1.0, -1.0]]);
        assert!(Whitening::scaled(array![1.0].view(), 0.0).is_err());
        assert!(Whitening::new(array![0.0].view(), array![[-1.0]].view()).is_err());
    }
}
