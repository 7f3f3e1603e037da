//! The law itself: parameters, moments, density and its derivatives.

use super::{CovarianceKind, Covariances, Evaluator};
use crate::linalg::symmetric_eigen;
use crate::{Error, Result};
use ndarray::{Array1, Array2, Array3, ArrayView1, ArrayView2, Axis};

/// pi(x) = sum_k w_k N(x; m_k, C_k), parameters in f64, checked and factored once.
#[derive(Debug, Clone)]
pub struct Mixture {
    weights: Array1<f64>,
    means: Array2<f64>,
    covariances: Covariances,
    evaluator: Evaluator<f64>,
}

impl Mixture {
    /// A mixture from weights `[k]`, means [k, d] and covariances. Weights may be 0; they must sum to 1
    /// within 1e-6 and are then divided by their sum.
    ///
    /// # Errors
    /// `Shape` if the shapes do not fit; `Invalid` for a number that is not finite, weights that are negative
    /// or do not sum to 1, a variance that is not positive, a matrix that is not symmetric to 1e-8 of its
    /// size; `NotPositiveDefinite`.
    pub fn new(weights: Array1<f64>, means: Array2<f64>, covariances: Covariances) -> Result<Self> {
        let (k, d) = means.dim();
        if k == 0 || d == 0 {
            return Err(Error::shape("mixture: means", "at least one component and one dimension", &[means.shape()]));
        }
        if weights.len() != k {
            return Err(Error::shape("mixture", "as many weights as means", &[weights.shape(), means.shape()]));
        }
        let expected: Vec<Vec<usize>> = match covariances.kind() {
            CovarianceKind::Spherical => vec![vec![k]],
            CovarianceKind::Diagonal => vec![vec![k, d]],
            CovarianceKind::Full => vec![vec![k, d, d]],
            CovarianceKind::Tied => vec![vec![d, d]],
            CovarianceKind::LowRank(q) => vec![vec![k, q.min(d), d], vec![k]],
        };
        if covariances.shapes() != expected {
            let shapes: Vec<String> = expected.iter().map(|s| format!("{s:?}")).collect();
            let words = format!("{} covariances of shape {}", covariances.kind().name(), shapes.join(" and "));
            return Err(Error::shape("mixture", words, &covariances.shapes()));
        }
        if let Some((i, w)) = weights.iter().enumerate().find(|(_, w)| !(**w >= 0.0 && w.is_finite())) {
            return Err(Error::invalid(format!("mixture: weight of component {i}"), ">= 0 and finite", w));
        }
        let sum = weights.sum();
        if (sum - 1.0).abs() > 1e-6 {
            return Err(Error::invalid("mixture: sum of the weights", "1", sum));
        }
        if let Some(((i, j), m)) = means.indexed_iter().find(|(_, m)| !m.is_finite()) {
            return Err(Error::invalid(format!("mixture: mean of component {i}, coordinate {j}"), "finite", m));
        }
        check_covariances(&covariances)?;
        let weights = weights / sum;
        let evaluator = Evaluator::factor(&weights, &means, &covariances)?;
        Ok(Mixture { weights, means, covariances, evaluator })
    }

    /// Dimension d of the points.
    pub fn dim(&self) -> usize {
        self.means.ncols()
    }

    /// Number k of components.
    pub fn components(&self) -> usize {
        self.means.nrows()
    }

    /// Weights w_k, `[k]`.
    pub fn weights(&self) -> ArrayView1<'_, f64> {
        self.weights.view()
    }

    /// Means m_k, [k, d].
    pub fn means(&self) -> ArrayView2<'_, f64> {
        self.means.view()
    }

    /// Covariances in the form they were given.
    pub fn covariances(&self) -> &Covariances {
        &self.covariances
    }

    /// What the covariances have in common.
    pub fn kind(&self) -> CovarianceKind {
        self.covariances.kind()
    }

    /// How many numbers a fit of this kind and size is free to choose.
    pub fn parameters(&self) -> usize {
        self.kind().parameters(self.components(), self.dim())
    }

    /// The precomputed form in f64; [`Evaluator::new`] makes the one in f32.
    pub fn evaluator(&self) -> &Evaluator<f64> {
        &self.evaluator
    }

    /// C_k as a matrix, [d, d]; `k` < [`Mixture::components`], or it panics as an index does.
    pub fn covariance(&self, k: usize) -> Array2<f64> {
        assert!(k < self.components(), "component {k} of {}", self.components());
        match &self.covariances {
            Covariances::Spherical(v) => Array2::from_diag(&Array1::from_elem(self.dim(), v[k])),
            Covariances::Diagonal(v) => Array2::from_diag(&v.row(k)),
            Covariances::Full(c) => c.index_axis(Axis(0), k).to_owned(),
            Covariances::Tied(c) => c.clone(),
            Covariances::LowRank { loadings, noise } => {
                let l = loadings.index_axis(Axis(0), k);
                l.t().dot(&l) + Array2::<f64>::eye(self.dim()) * noise[k]
            }
        }
    }

    /// The eigenvalues of C_k, `[d]`, in descending order; `k` < [`Mixture::components`], or it panics as an
    /// index does.
    ///
    /// # Errors
    /// An eigendecomposition that does not converge.
    pub fn spectrum(&self, k: usize) -> Result<Vec<f64>> {
        assert!(k < self.components(), "component {k} of {}", self.components());
        let mut values = match &self.covariances {
            Covariances::Spherical(v) => vec![v[k]; self.dim()],
            Covariances::Diagonal(v) => v.row(k).to_vec(),
            Covariances::Full(c) => symmetric_eigen(c.index_axis(Axis(0), k))?.values.to_vec(),
            Covariances::Tied(c) => symmetric_eigen(c.view())?.values.to_vec(),
            Covariances::LowRank { .. } => self.evaluator.low_rank().map_or_else(Vec::new, |all| all[k].spectrum(self.dim())),
        };
        values.sort_by(|a, b| b.total_cmp(a));
        Ok(values)
    }

    /// E X = sum_k w_k m_k, `[d]`.
    pub fn total_mean(&self) -> Array1<f64> {
        self.weights.dot(&self.means)
    }

    /// Cov X = sum_k w_k (C_k + (m_k - E X)(m_k - E X)^T), [d, d].
    pub fn total_covariance(&self) -> Array2<f64> {
        let v = &self.means - &self.total_mean();
        let weighted = &v * &self.weights.view().insert_axis(Axis(1));
        self.pooled_covariance() + weighted.t().dot(&v)
    }

    /// C_bar = sum_k w_k C_k, [d, d]: the covariance within components.
    pub fn pooled_covariance(&self) -> Array2<f64> {
        match &self.covariances {
            Covariances::Spherical(v) => Array2::from_diag(&Array1::from_elem(self.dim(), self.weights.dot(v))),
            Covariances::Diagonal(v) => Array2::from_diag(&self.weights.dot(v)),
            Covariances::Full(c) => {
                c.outer_iter().zip(&self.weights).fold(Array2::zeros((self.dim(), self.dim())), |sum, (c, w)| sum + &c * *w)
            }
            Covariances::Tied(c) => c.clone(),
            Covariances::LowRank { loadings, noise } => {
                let mut sum = Array2::from_diag(&Array1::from_elem(self.dim(), self.weights.dot(noise)));
                for (l, w) in loadings.outer_iter().zip(&self.weights) {
                    ndarray::linalg::general_mat_mul(*w, &l.t(), &l, 1.0, &mut sum);
                }
                sum
            }
        }
    }

    /// v_bar = tr C_bar / d: the mean variance within components.
    pub fn pooled_variance(&self) -> f64 {
        let d = self.dim() as f64;
        match &self.covariances {
            Covariances::Spherical(v) => self.weights.dot(v),
            Covariances::LowRank { loadings, noise } => {
                let traces = loadings.outer_iter().zip(noise).map(|(l, v)| v + l.iter().map(|l| l * l).sum::<f64>() / d);
                traces.zip(&self.weights).map(|(v, w)| v * w).sum()
            }
            _ => self.pooled_covariance().diag().sum() / d,
        }
    }

    /// ln pi of the rows of `x`, [n, d] -> `[n]`.
    ///
    /// # Errors
    /// `Shape` if the rows do not have length d; so for all functions of points here.
    pub fn log_density(&self, x: ArrayView2<f64>) -> Result<Array1<f64>> {
        let mut out = vec![0.0; x.nrows()];
        self.evaluator.log_density(&self.points(x)?, &mut out)?;
        Ok(Array1::from(out))
    }

    /// grad ln pi(x) = -sum_k r_k(x) C_k^-1 (x - m_k) of the rows of `x`, [n, d] -> [n, d].
    ///
    /// # Errors
    /// See [`Mixture::log_density`].
    pub fn score(&self, x: ArrayView2<f64>) -> Result<Array2<f64>> {
        let mut out = vec![0.0; x.len()];
        self.evaluator.score(&self.points(x)?, &mut out)?;
        Ok(matrix(x.nrows(), self.dim(), &out))
    }

    /// r_k(x) = w_k N(x; m_k, C_k)/pi(x) of the rows of `x`, [n, d] -> [n, k]; every row sums to 1.
    ///
    /// # Errors
    /// See [`Mixture::log_density`].
    pub fn responsibilities(&self, x: ArrayView2<f64>) -> Result<Array2<f64>> {
        let mut out = vec![0.0; x.nrows() * self.components()];
        self.evaluator.responsibilities(&self.points(x)?, &mut out)?;
        Ok(matrix(x.nrows(), self.components(), &out))
    }

    /// Hessian of ln pi at one point, `[d]` -> [d, d]; see [`Mixture::hessians`].
    ///
    /// # Errors
    /// See [`Mixture::log_density`].
    pub fn hessian(&self, x: ArrayView1<f64>) -> Result<Array2<f64>> {
        Ok(self.hessians(x.insert_axis(Axis(0)))?.index_axis_move(Axis(0), 0))
    }

    /// Hessians of ln pi at the rows of `x`, [n, d] -> [n, d, d]:
    /// -sum_k r_k C_k^-1 + Cov_r(g),   g_k = C_k^-1 (x - m_k).
    ///
    /// # Errors
    /// See [`Mixture::log_density`].
    pub fn hessians(&self, x: ArrayView2<f64>) -> Result<Array3<f64>> {
        let (n, d) = (x.nrows(), self.dim());
        let r = self.responsibilities(x)?;
        let precisions: Vec<Array2<f64>> = (0..self.components()).map(|k| self.evaluator.precision(k)).collect();
        let mut out = Array3::zeros((n, d, d));
        for ((x, r), mut h) in x.outer_iter().zip(r.outer_iter()).zip(out.outer_iter_mut()) {
            let g: Vec<Array1<f64>> = precisions.iter().zip(self.means.outer_iter()).map(|(p, m)| p.dot(&(&x - &m))).collect();
            // About its mean, so that the covariance of the g_k keeps its digits where they are all large.
            let mean = g.iter().zip(r).fold(Array1::<f64>::zeros(d), |sum, (g, r)| sum + g * *r);
            for ((p, g), r) in precisions.iter().zip(&g).zip(r) {
                let v = g - &mean;
                for ((i, j), h) in h.indexed_iter_mut() {
                    *h += r * (v[i] * v[j] - p[[i, j]]);
                }
            }
        }
        Ok(out)
    }

    /// The points row by row, of the right length.
    fn points(&self, x: ArrayView2<f64>) -> Result<Vec<f64>> {
        if x.ncols() != self.dim() {
            return Err(Error::shape("mixture", format!("points of length {}", self.dim()), &[x.shape()]));
        }
        Ok(x.iter().copied().collect())
    }
}

/// The matrix that holds these numbers row by row.
fn matrix(rows: usize, columns: usize, entries: &[f64]) -> Array2<f64> {
    Array2::from_shape_fn((rows, columns), |(i, j)| entries[i * columns + j])
}

/// Variances positive and finite, matrices symmetric. Whether those are positive definite their factorisation
/// will say.
fn check_covariances(covariances: &Covariances) -> Result<()> {
    let variance = |place: String, v: f64| {
        if v > 0.0 && v.is_finite() { Ok(()) } else { Err(Error::invalid(place, "> 0 and finite", v)) }
    };
    let symmetric = |place: &str, c: ArrayView2<f64>| {
        for ((i, j), v) in c.indexed_iter() {
            if (v - c[[j, i]]).abs() > 1e-8 * (v.abs() + c[[j, i]].abs()) + 1e-12 * (c[[i, i]] * c[[j, j]]).abs().sqrt() {
                return Err(Error::invalid(place, "symmetric", format!("{v} in row {i}, column {j} against {}", c[[j, i]])));
            }
        }
        Ok(())
    };
    match covariances {
        Covariances::Spherical(v) => {
            v.iter().enumerate().try_for_each(|(i, v)| variance(format!("mixture: variance of component {i}"), *v))
        }
        Covariances::Diagonal(v) => {
            v.indexed_iter().try_for_each(|((i, j), v)| variance(format!("mixture: variance of component {i}, coordinate {j}"), *v))
        }
        Covariances::Full(c) => {
            c.outer_iter().enumerate().try_for_each(|(i, c)| symmetric(&format!("mixture: covariance of component {i}"), c))
        }
        Covariances::Tied(c) => symmetric("mixture: tied covariance", c.view()),
        Covariances::LowRank { loadings, noise } => {
            if let Some(((k, i, j), l)) = loadings.indexed_iter().find(|(_, l)| !l.is_finite()) {
                return Err(Error::invalid(format!("mixture: loading {i} of component {k}, coordinate {j}"), "finite", l));
            }
            noise.iter().enumerate().try_for_each(|(i, v)| variance(format!("mixture: noise of component {i}"), *v))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use ndarray::array;

    fn two() -> Mixture {
        Mixture::new(array![0.25, 0.75], array![[0.0, 0.0], [4.0, 0.0]], Covariances::Diagonal(array![[1.0, 2.0], [3.0, 4.0]])).unwrap()
    }

    #[test]
    fn moments_of_a_known_mixture() {
        let m = two();
        assert_eq!(m.total_mean(), array![3.0, 0.0]);
        assert_eq!(m.pooled_covariance(), array![[2.5, 0.0], [0.0, 3.5]]);
        assert_eq!(m.total_covariance(), array![[5.5, 0.0], [0.0, 3.5]]);
        assert_eq!(m.parameters(), 1 + 4 + 4);
    }

    #[test]
    fn density_of_a_standard_normal() {
        let m = Mixture::new(array![1.0], array![[0.0]], Covariances::Full(array![[[1.0]]])).unwrap();
        let x = array![[0.0], [2.0]];
        let exact = -0.5 * std::f64::consts::TAU.ln();
        let got = m.log_density(x.view()).unwrap();
        assert!((got[0] - exact).abs() <= 1e-15 && (got[1] - exact + 2.0).abs() <= 1e-15);
        assert_eq!(m.score(x.view()).unwrap(), array![[0.0], [-2.0]]);
        assert_eq!(m.hessian(x.row(1)).unwrap(), array![[-1.0]]);
    }

    #[test]
    fn a_component_of_weight_zero_is_as_if_it_were_not_there() {
        let with = two().with_weights(array![1.0, 0.0]).unwrap();
        let without = Mixture::new(array![1.0], array![[0.0, 0.0]], Covariances::Diagonal(array![[1.0, 2.0]])).unwrap();
        let x = array![[4.0, 0.0], [1e3, -1e3]];
        assert_eq!(with.log_density(x.view()).unwrap(), without.log_density(x.view()).unwrap());
        assert_eq!(with.score(x.view()).unwrap(), without.score(x.view()).unwrap());
        assert_eq!(with.responsibilities(x.view()).unwrap(), array![[1.0, 0.0], [1.0, 0.0]]);
        assert!(with.hessian(x.row(1)).unwrap().iter().all(|h| h.is_finite()));
    }

    #[test]
    fn every_bad_parameter_is_named() {
        let eye = Array2::<f64>::eye(2);
        let means = array![[0.0, 0.0], [1.0, 1.0]];
        let spherical = |v| Covariances::Spherical(v);
        let low_rank = |q, d, v| Covariances::LowRank { loadings: Array3::ones((2, q, d)), noise: array![v, 1.0] };
        let cases = [
            (array![0.5, 0.6], means.clone(), spherical(array![1.0, 1.0]), "sum of the weights: must be 1, got 1.1"),
            (array![1.5, -0.5], means.clone(), spherical(array![1.0, 1.0]), "weight of component 1: must be >= 0"),
            (array![f64::NAN, 0.5], means.clone(), spherical(array![1.0, 1.0]), "weight of component 0"),
            (array![1.0], means.clone(), spherical(array![1.0, 1.0]), "as many weights as means, got [1] and [2, 2]"),
            (array![0.5, 0.5], array![[0.0, 0.0], [0.0, f64::INFINITY]], spherical(array![1.0, 1.0]), "mean of component 1, coordinate 1"),
            (array![0.5, 0.5], means.clone(), spherical(array![1.0, 0.0]), "variance of component 1: must be > 0 and finite, got 0"),
            (array![0.5, 0.5], means.clone(), spherical(array![1.0]), "spherical covariances of shape [2], got [1]"),
            (array![0.5, 0.5], means.clone(), Covariances::Diagonal(array![[1.0, f64::NAN], [1.0, 1.0]]), "component 0, coordinate 1"),
            (array![0.5, 0.5], means.clone(), Covariances::Tied(array![[1.0, 0.5], [0.4, 1.0]]), "tied covariance: must be symmetric"),
            (array![0.5, 0.5], means.clone(), Covariances::Tied(eye.clone() - 1.0), "tied covariance: Cholesky: must be positive definite"),
            (array![0.5, 0.5], means, Covariances::Full(array![[[1.0, 0.0], [0.0, 1.0]], [[1.0, 2.0], [2.0, 1.0]]]), "row 1 is -3e0"),
            (array![], Array2::zeros((0, 2)), spherical(array![]), "at least one component"),
            (array![0.5, 0.5], array![[0.0], [1.0]], low_rank(1, 1, 0.0), "noise of component 0: must be > 0 and finite, got 0"),
            (array![0.5, 0.5], array![[0.0], [1.0]], low_rank(2, 1, 1.0), "low-rank covariances of shape [2, 1, 1] and [2], got [2, 2, 1]"),
            (array![0.5, 0.5], array![[0.0], [1.0]], low_rank(1, 2, 1.0), "got [2, 1, 2] and [2]"),
        ];
        for (weights, means, covariances, words) in cases {
            let e = Mixture::new(weights, means, covariances).map(|_| ()).unwrap_err().to_string();
            assert!(e.contains(words), "{e:?} lacks {words:?}");
        }
        let e = two().score(array![[1.0, 2.0, 3.0]].view()).unwrap_err();
        assert_eq!(e.to_string(), "mixture: expected points of length 2, got [1, 3]");
    }
}
