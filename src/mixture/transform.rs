//! Laws that are mixtures again: images under linear maps, marginals of linear SDEs, floored covariances.

use super::{CovarianceKind, Covariances, Mixture};
use crate::{Error, Result};
use ndarray::{Array1, Array2, Array3, ArrayView1, ArrayView2, Axis};

impl Mixture {
    /// The law of `alpha` X + sqrt(`variance`) Z, Z ~ N(0, I) independent of X: the exact marginal of a
    /// linear SDE such as VP (alpha = e^(-B/2), variance = 1 - alpha^2, B = int_0^t beta) or VE (alpha = 1,
    /// variance = sigma^2).
    ///
    /// # Errors
    /// `Invalid` if `variance` is negative, a number is not finite, or alpha and variance are both 0.
    ///
    /// ```
    /// use ndarray::array;
    /// use ndsm::mixture::{Covariances, Mixture};
    /// let data = Mixture::new(array![0.5, 0.5], array![[-4.0], [4.0]], Covariances::Spherical(array![0.25, 0.25]))?;
    /// let noised = data.marginal(0.5, 0.75)?;
    /// assert_eq!(noised.means(), array![[-2.0], [2.0]]);
    /// assert_eq!(noised.covariance(0), array![[0.8125]]); // 0.25 * 0.25 + 0.75
    /// # Ok::<(), ndsm::Error>(())
    /// ```
    pub fn marginal(&self, alpha: f64, variance: f64) -> Result<Mixture> {
        if !(variance >= 0.0 && variance.is_finite()) {
            return Err(Error::invalid("mixture marginal: variance", ">= 0 and finite", variance));
        }
        if !alpha.is_finite() {
            return Err(Error::invalid("mixture marginal: alpha", "finite", alpha));
        }
        if alpha == 0.0 && variance == 0.0 {
            return Err(Error::refused("mixture marginal", "alpha and variance must not both be 0: the law would be a point"));
        }
        let a2 = alpha * alpha;
        let shifted = |c: ArrayView2<f64>| &c * a2 + Array2::<f64>::eye(self.dim()) * variance;
        let covariances = match self.covariances() {
            Covariances::Spherical(v) => Covariances::Spherical(v * a2 + variance),
            Covariances::Diagonal(v) => Covariances::Diagonal(v * a2 + variance),
            Covariances::Full(c) => Covariances::Full(each(c, shifted)),
            Covariances::Tied(c) => Covariances::Tied(shifted(c.view())),
            Covariances::LowRank { loadings, noise } => Covariances::LowRank { loadings: loadings * alpha, noise: noise * a2 + variance },
        };
        Mixture::new(self.weights().to_owned(), &self.means() * alpha, covariances)
    }

    /// The law of A X + b, A: [e, d] of full row rank, b: `[e]`. Tied covariances stay tied, and of low rank
    /// where A A^T is a multiple of the identity to 12 digits; others become full.
    ///
    /// # Errors
    /// `Shape` if A and b do not fit; `NotPositiveDefinite` if A does not have full row rank.
    pub fn affine(&self, a: ArrayView2<f64>, b: ArrayView1<f64>) -> Result<Mixture> {
        if a.ncols() != self.dim() || a.nrows() != b.len() || b.is_empty() {
            let expected = format!("A with {} columns and as many rows as b has entries", self.dim());
            return Err(Error::shape("mixture: A X + b", expected, &[a.shape(), b.shape()]));
        }
        // Symmetric to the last bit, whatever the products round to.
        let image = |c: ArrayView2<f64>| {
            let c = a.dot(&c).dot(&a.t());
            (&c + &c.t()) * 0.5
        };
        let scale = match self.kind() {
            CovarianceKind::LowRank(q) if q <= b.len() => conformal(a),
            _ => None,
        };
        let covariances = match (self.covariances(), scale) {
            (Covariances::Tied(c), _) => Covariances::Tied(image(c.view())),
            (Covariances::LowRank { loadings, noise }, Some(scale)) => {
                let mut images = Array3::zeros((self.components(), loadings.dim().1, b.len()));
                for (mut to, from) in images.outer_iter_mut().zip(loadings.outer_iter()) {
                    to.assign(&from.dot(&a.t()));
                }
                Covariances::LowRank { loadings: images, noise: noise * scale }
            }
            _ => {
                let mut all = Array3::zeros((self.components(), b.len(), b.len()));
                for (k, mut c) in all.outer_iter_mut().enumerate() {
                    c.assign(&image(self.covariance(k).view()));
                }
                Covariances::Full(all)
            }
        };
        Mixture::new(self.weights().to_owned(), self.means().dot(&a.t()) + b, covariances)
    }

    /// The same mixture with C_k <- (1 - `rho`) C_k + `rho` C_bar, C_bar = sum_k w_k C_k: no component stays
    /// much narrower than the average one, and the pooled covariance is what it was. Of C_bar covariances of
    /// low rank take what they can hold beside their loadings, (tr C_bar / d) I.
    ///
    /// # Errors
    /// `Invalid` unless 0 <= rho <= 1.
    pub fn floored(&self, rho: f64) -> Result<Mixture> {
        if !(0.0..=1.0).contains(&rho) {
            return Err(Error::invalid("mixture floor", "between 0 and 1", rho));
        }
        let w = self.weights();
        let covariances = match self.covariances() {
            Covariances::Spherical(v) => Covariances::Spherical(v * (1.0 - rho) + rho * w.dot(v)),
            Covariances::Diagonal(v) => Covariances::Diagonal(v * (1.0 - rho) + w.dot(v) * rho),
            Covariances::Full(c) => {
                let pooled = self.pooled_covariance() * rho;
                Covariances::Full(each(c, |c| &c * (1.0 - rho) + &pooled))
            }
            Covariances::Tied(c) => Covariances::Tied(c.clone()),
            Covariances::LowRank { loadings, noise } => {
                Covariances::LowRank { loadings: loadings * (1.0 - rho).sqrt(), noise: noise * (1.0 - rho) + rho * self.pooled_variance() }
            }
        };
        Mixture::new(w.to_owned(), self.means().to_owned(), covariances)
    }

    /// The same mixture with C_k <- (1 - `rho`) C_k + `rho` C for a covariance C, [d, d], of the caller's
    /// choice. Tied covariances stay tied; others become full.
    ///
    /// # Errors
    /// `Invalid` unless 0 <= rho <= 1; `Shape` for a matrix of another size; `NotPositiveDefinite`.
    pub fn floored_toward(&self, rho: f64, covariance: ArrayView2<f64>) -> Result<Mixture> {
        if !(0.0..=1.0).contains(&rho) {
            return Err(Error::invalid("mixture floor", "between 0 and 1", rho));
        }
        let d = self.dim();
        if covariance.dim() != (d, d) {
            return Err(Error::shape("mixture floor", format!("a covariance of {d} coordinates"), &[covariance.shape()]));
        }
        let mixed = |c: ArrayView2<f64>| &c * (1.0 - rho) + &covariance * rho;
        let covariances = match self.covariances() {
            Covariances::Tied(c) => Covariances::Tied(mixed(c.view())),
            _ => {
                let mut all = Array3::zeros((self.components(), d, d));
                for (k, mut c) in all.outer_iter_mut().enumerate() {
                    c.assign(&mixed(self.covariance(k).view()));
                }
                Covariances::Full(all)
            }
        };
        Mixture::new(self.weights().to_owned(), self.means().to_owned(), covariances)
    }

    /// The same components with other weights, `[k]`.
    ///
    /// # Errors
    /// As [`Mixture::new`] for the weights.
    pub fn with_weights(&self, weights: Array1<f64>) -> Result<Mixture> {
        Mixture::new(weights, self.means().to_owned(), self.covariances().clone())
    }
}

/// The c of A A^T = c I, if there is one.
fn conformal(a: ArrayView2<f64>) -> Option<f64> {
    let square = a.dot(&a.t());
    let c = square[[0, 0]];
    square.indexed_iter().all(|((i, j), v)| (v - if i == j { c } else { 0.0 }).abs() <= 1e-12 * c).then_some(c)
}

/// `f` of every matrix of a stack.
fn each(stack: &Array3<f64>, f: impl Fn(ArrayView2<f64>) -> Array2<f64>) -> Array3<f64> {
    let mut out = stack.clone();
    for mut c in out.axis_iter_mut(Axis(0)) {
        let image = f(c.view());
        c.assign(&image);
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;
    use ndarray::array;

    #[test]
    fn bad_maps_are_refused() {
        let m = Mixture::new(array![1.0], array![[0.0, 1.0]], Covariances::Spherical(array![2.0])).unwrap();
        let refused = |r: Result<Mixture>| r.map(|_| ()).unwrap_err().to_string();
        assert!(refused(m.marginal(0.0, 0.0)).contains("must not both be 0"));
        assert!(refused(m.marginal(1.0, -1.0)).contains("variance: must be >= 0 and finite, got -1"));
        assert!(refused(m.marginal(f64::NAN, 1.0)).contains("alpha: must be finite"));
        assert!(refused(m.floored(1.5)).contains("between 0 and 1, got 1.5"));
        assert!(refused(m.affine(array![[1.0, 1.0], [2.0, 2.0]].view(), array![0.0, 0.0].view())).contains("positive definite"));
        assert!(refused(m.affine(array![[1.0]].view(), array![0.0].view())).contains("A with 2 columns"));
        assert!(refused(m.with_weights(array![0.5, 0.5])).contains("as many weights"));
        let line = m.affine(array![[1.0, 2.0]].view(), array![1.0].view()).unwrap();
        assert_eq!((line.means().to_owned(), line.covariance(0)), (array![[3.0]], array![[10.0]]));
    }

    #[test]
    fn low_rank_stays_under_similarities_and_only_there() {
        let loadings = array![[[1.0, 2.0, 0.5]], [[0.0, -1.0, 1.0]]];
        let low = Covariances::LowRank { loadings, noise: array![0.5, 0.2] };
        let m = Mixture::new(array![0.3, 0.7], array![[0.0, 1.0, 2.0], [1.0, 1.0, -1.0]], low).unwrap();
        let (c, s) = (0.6, 0.8);
        let turn = array![[c, -s, 0.0], [s, c, 0.0], [0.0, 0.0, 1.0]] * 2.0;
        let shear = array![[1.0, 0.5, 0.0], [0.0, 1.0, 0.0], [0.0, 0.0, 1.0]];
        for (a, kind) in [(turn, CovarianceKind::LowRank(1)), (shear, CovarianceKind::Full)] {
            let image = m.affine(a.view(), array![1.0, 0.0, 0.0].view()).unwrap();
            assert_eq!(image.kind(), kind);
            for k in 0..2 {
                let exact = a.dot(&m.covariance(k)).dot(&a.t());
                assert!((image.covariance(k) - exact).iter().all(|e| e.abs() <= 1e-13));
            }
        }
        let f = m.floored(0.2).unwrap();
        let exact = m.covariance(1) * 0.8 + Array2::<f64>::eye(3) * (0.2 * m.pooled_covariance().diag().sum() / 3.0);
        assert!(f.kind() == m.kind() && (f.covariance(1) - exact).iter().all(|e| e.abs() <= 1e-14));
        assert!((f.pooled_variance() - m.pooled_variance()).abs() <= 1e-14);
        let spectrum = m.spectrum(1).unwrap();
        assert!(spectrum.iter().zip([2.2, 0.2, 0.2]).all(|(a, b)| (a - b).abs() <= 1e-14), "{spectrum:?}");
    }

    #[test]
    fn the_floor_keeps_the_pooled_covariance() {
        let c = array![[[1.0, 0.5], [0.5, 2.0]], [[9.0, 0.0], [0.0, 0.01]]];
        let m = Mixture::new(array![0.3, 0.7], array![[0.0, 1.0], [1.0, 1.0]], Covariances::Full(c)).unwrap();
        let f = m.floored(0.1).unwrap();
        assert!((f.pooled_covariance() - m.pooled_covariance()).iter().all(|e| e.abs() <= 1e-14));
        let exact = m.covariance(1) * 0.9 + m.pooled_covariance() * 0.1;
        assert!((f.covariance(1) - exact).iter().all(|e| e.abs() <= 1e-14));
        let toward = m.floored_toward(0.1, m.pooled_covariance().view()).unwrap();
        assert!((0..2).all(|k| (toward.covariance(k) - f.covariance(k)).iter().all(|e| e.abs() <= 1e-14)));
        assert!(m.floored_toward(0.1, array![[1.0]].view()).is_err() && m.floored_toward(-0.1, m.pooled_covariance().view()).is_err());
        assert!((m.floored(1.0).unwrap().covariance(0) - m.pooled_covariance()).iter().all(|e| e.abs() <= 1e-14));
    }
}
