//! Gaussian mixtures: the cheap model of the data that the noising dynamics takes its structure from
//! (method.md, "Structure from the data").
//!
//! [`Mixture`] is the law pi(x) = sum_k w_k N(x; m_k, C_k): density, score, Hessian, responsibilities, exact
//! images under linear maps and linear SDEs, samples. [`Evaluator`] is its form for hot loops, in f32 or f64,
//! sixteen points at a time. [`fit()`] finds a mixture from data: k-means++, expectation-maximisation, the
//! number of components by BIC.
//!
//! ```
//! use ndarray::{Array1, array};
//! use ndsm::mixture::{Count, CovarianceKind, Covariances, Draw, FitOptions, Mixture, fit};
//! use ndsm::rng::Purpose;
//! let (means, variances) = (array![[-2.0, 0.0], [2.0, 1.0]], array![0.5, 0.25]);
//! let law = Mixture::new(array![0.7, 0.3], means, Covariances::Spherical(variances))?;
//! let (x, _) = law.sample(2000, 1, Purpose::Data, Draw::Independent)?;
//! let components = Count::Auto { max: 5 };
//! let options = FitOptions { kind: CovarianceKind::Spherical, components, ..FitOptions::default() };
//! let found = fit(x.view(), &options)?;
//! assert_eq!(found.mixture.components(), 2);
//! let score = found.mixture.score(array![[0.0, 0.0]].view())?;
//! assert_eq!(score.dim(), (1, 2));
//! # Ok::<(), ndsm::Error>(())
//! ```

// Lanes are indexed: `for i in 0..W` over several arrays at once is the form that vectorises.
#![allow(clippy::needless_range_loop)]

mod curvature;
mod density;
mod evaluate_rows;
mod evaluator;
mod fit;
mod group;
mod isometry;
mod low_rank;
mod sampling;
mod separable;
mod softmax;
mod transform;
mod union;
mod whitening;

pub use curvature::{Curvature, CurvatureMemory};
pub use density::Mixture;
pub use evaluate_rows::RowMemory;
pub use evaluator::Evaluator;
pub use fit::{
    Count, Criterion, Em, Fit, FitOptions, GroupFit, GroupTrial, Progress, Statistics, Symmetry, Trial, em_step, fit, fit_group,
    fit_watched, refit_weights,
};
pub use group::{Group, MOST_ELEMENTS};
pub use isometry::Isometry;
pub(crate) use sampling::CHUNK;
pub use sampling::Draw;

use crate::Result;
use ndarray::{Array1, Array2, Array3, ArrayView2};

/// What the covariances of the components have in common. The names are scikit-learn's, but for `diagonal`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum CovarianceKind {
    /// C_k = v_k I.
    Spherical,
    /// C_k = diag(v_k1, ..., v_kd).
    Diagonal,
    /// C_k any positive definite matrix.
    Full,
    /// One positive definite matrix for all components.
    Tied,
    /// C_k = sum_j l_kj l_kj^T + v_k I with so many loadings l_kj: a mixture of probabilistic principal
    /// component analysers (Tipping and Bishop 1999). No matrix of d x d numbers is formed of it, let alone
    /// inverted.
    LowRank(usize),
}

impl CovarianceKind {
    /// All kinds, in the order in which they are documented; low rank with one loading.
    pub const ALL: [CovarianceKind; 5] = [Self::Spherical, Self::Diagonal, Self::Full, Self::Tied, Self::LowRank(1)];

    /// The name in configuration files.
    pub fn name(self) -> &'static str {
        match self {
            Self::Spherical => "spherical",
            Self::Diagonal => "diagonal",
            Self::Full => "full",
            Self::Tied => "tied",
            Self::LowRank(_) => "low-rank",
        }
    }

    /// Free parameters of a mixture of `k` components in `d` dimensions: weights, means, covariances.
    pub fn parameters(self, k: usize, d: usize) -> usize {
        let matrix = d * (d + 1) / 2;
        let covariances = match self {
            Self::Spherical => k,
            Self::Diagonal => k * d,
            Self::Full => k * matrix,
            Self::Tied => matrix,
            // Turning the loadings among each other changes nothing: q (q - 1)/2 fewer than their entries.
            Self::LowRank(q) => k * (1 + q * d - q.min(d) * q.min(d).saturating_sub(1) / 2),
        };
        k.saturating_sub(1) + k * d + covariances
    }
}

/// The covariances of `k` components in `d` dimensions, in as many numbers as their kind needs.
#[derive(Debug, Clone, PartialEq)]
pub enum Covariances {
    /// Variances, `[k]`.
    Spherical(Array1<f64>),
    /// Variances along the axes, [k, d].
    Diagonal(Array2<f64>),
    /// Matrices, [k, d, d].
    Full(Array3<f64>),
    /// The common matrix, [d, d].
    Tied(Array2<f64>),
    /// C_k = sum_j l_kj l_kj^T + v_k I.
    LowRank {
        /// l_kj, [k, q, d].
        loadings: Array3<f64>,
        /// v_k, `[k]`.
        noise: Array1<f64>,
    },
}

impl Covariances {
    /// `k` components with one covariance, [d, d], reduced to what `kind` can hold: its diagonal, or the mean
    /// of that, or its probabilistic principal components.
    ///
    /// # Errors
    /// An eigendecomposition that does not converge.
    pub fn alike(kind: CovarianceKind, k: usize, covariance: ArrayView2<f64>) -> Result<Self> {
        let d = covariance.nrows();
        Ok(match kind {
            CovarianceKind::Spherical => Self::Spherical(Array1::from_elem(k, covariance.diag().sum() / d.max(1) as f64)),
            CovarianceKind::Diagonal => Self::Diagonal(Array2::from_shape_fn((k, d), |(_, j)| covariance[[j, j]])),
            CovarianceKind::Full => Self::Full(Array3::from_shape_fn((k, d, d), |(_, i, j)| covariance[[i, j]])),
            CovarianceKind::Tied => Self::Tied(covariance.to_owned()),
            CovarianceKind::LowRank(q) => {
                let (loadings, noise) = low_rank::principal(covariance, q)?;
                let loadings = Array3::from_shape_fn((k, loadings.nrows(), d), |(_, i, j)| loadings[[i, j]]);
                Self::LowRank { loadings, noise: Array1::from_elem(k, noise) }
            }
        })
    }

    /// Which kind these are.
    pub fn kind(&self) -> CovarianceKind {
        match self {
            Self::Spherical(_) => CovarianceKind::Spherical,
            Self::Diagonal(_) => CovarianceKind::Diagonal,
            Self::Full(_) => CovarianceKind::Full,
            Self::Tied(_) => CovarianceKind::Tied,
            Self::LowRank { loadings, .. } => CovarianceKind::LowRank(loadings.dim().1),
        }
    }

    /// The shapes of the arrays inside.
    fn shapes(&self) -> Vec<&[usize]> {
        match self {
            Self::Spherical(v) => vec![v.shape()],
            Self::Diagonal(v) => vec![v.shape()],
            Self::Full(c) => vec![c.shape()],
            Self::Tied(c) => vec![c.shape()],
            Self::LowRank { loadings, noise } => vec![loadings.shape(), noise.shape()],
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn kinds_have_names_and_count_their_parameters() {
        let counts = [2 + 12 + 3, 2 + 12 + 12, 2 + 12 + 30, 2 + 12 + 10, 2 + 12 + 15];
        assert_eq!(CovarianceKind::ALL.map(|kind| kind.parameters(3, 4)), counts);
        // All but one direction free: as many as a full matrix has.
        assert_eq!(CovarianceKind::LowRank(3).parameters(1, 4), CovarianceKind::Full.parameters(1, 4));
        for kind in CovarianceKind::ALL {
            assert_eq!(Covariances::alike(kind, 3, Array2::eye(4).view()).unwrap().kind(), kind);
        }
    }
}
