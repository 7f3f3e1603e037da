//! Gaussian mixtures: the cheap model of the data that the noising dynamics takes its structure from (method.md, "Structure
//! from the data").
//!
//! [`Mixture`] is the law pi(x) = sum_k w_k N(x; m_k, C_k): density, score, Hessian, responsibilities, exact images under
//! linear maps and linear SDEs, samples. [`Evaluator`] is its form for hot loops, in f32 or f64, sixteen points at a time.
//! [`fit()`] finds a mixture from data: k-means++, expectation-maximisation, the number of components by BIC.
//!
//! ```
//! use ndarray::{Array1, array};
//! use ndsm::mixture::{Count, CovarianceKind, Covariances, Draw, FitOptions, Mixture, fit};
//! use ndsm::rng::Purpose;
//! let law = Mixture::new(array![0.7, 0.3], array![[-2.0, 0.0], [2.0, 1.0]], Covariances::Spherical(array![0.5, 0.25]))?;
//! let (x, _) = law.sample(2000, 1, Purpose::Data, Draw::Independent)?;
//! let options = FitOptions { kind: CovarianceKind::Spherical, components: Count::Auto { max: 5 }, ..FitOptions::default() };
//! let found = fit(x.view(), &options)?;
//! assert_eq!(found.mixture.components(), 2);
//! let score = found.mixture.score(array![[0.0, 0.0]].view())?;
//! assert_eq!(score.dim(), (1, 2));
//! # Ok::<(), ndsm::Error>(())
//! ```

// Lanes are indexed: `for i in 0..W` over several arrays at once is the form that vectorises.
#![allow(clippy::needless_range_loop)]

mod curvature;
mod evaluator;
mod fit;
mod group;
mod isometry;
mod lanes;
mod law;
mod rows;
mod sampling;
mod transform;
mod whitening;

pub use curvature::{Curvature, CurvatureMemory};
pub use evaluator::Evaluator;
pub use fit::{Count, Criterion, Em, Fit, FitOptions, GroupFit, GroupTrial, Symmetry, Trial, em_step, fit, fit_group, refit_weights};
pub use group::{Group, MOST_ELEMENTS};
pub use isometry::Isometry;
pub use law::Mixture;
pub use sampling::Draw;

use crate::{Error, Result};
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
}

impl CovarianceKind {
    /// All kinds, in the order in which they are documented.
    pub const ALL: [CovarianceKind; 4] = [Self::Spherical, Self::Diagonal, Self::Full, Self::Tied];

    /// The name in configuration files.
    pub fn name(self) -> &'static str {
        match self {
            Self::Spherical => "spherical",
            Self::Diagonal => "diagonal",
            Self::Full => "full",
            Self::Tied => "tied",
        }
    }

    /// The kind of that name.
    ///
    /// # Errors
    /// `Invalid`, with all names, if there is none.
    pub fn parse(name: &str) -> Result<Self> {
        let found = Self::ALL.into_iter().find(|kind| kind.name() == name);
        found.ok_or_else(|| Error::invalid("covariance", "spherical, diagonal, full or tied", format!("\"{name}\"")))
    }

    /// Free parameters of a mixture of `k` components in `d` dimensions: weights, means, covariances.
    pub fn parameters(self, k: usize, d: usize) -> usize {
        let matrix = d * (d + 1) / 2;
        let covariances = match self {
            Self::Spherical => k,
            Self::Diagonal => k * d,
            Self::Full => k * matrix,
            Self::Tied => matrix,
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
}

impl Covariances {
    /// `k` components with one covariance, [d, d], reduced to what `kind` can hold: its diagonal, or the mean of that.
    pub fn alike(kind: CovarianceKind, k: usize, covariance: ArrayView2<f64>) -> Self {
        let d = covariance.nrows();
        match kind {
            CovarianceKind::Spherical => Self::Spherical(Array1::from_elem(k, covariance.diag().sum() / d.max(1) as f64)),
            CovarianceKind::Diagonal => Self::Diagonal(Array2::from_shape_fn((k, d), |(_, j)| covariance[[j, j]])),
            CovarianceKind::Full => Self::Full(Array3::from_shape_fn((k, d, d), |(_, i, j)| covariance[[i, j]])),
            CovarianceKind::Tied => Self::Tied(covariance.to_owned()),
        }
    }

    /// Which kind these are.
    pub fn kind(&self) -> CovarianceKind {
        match self {
            Self::Spherical(_) => CovarianceKind::Spherical,
            Self::Diagonal(_) => CovarianceKind::Diagonal,
            Self::Full(_) => CovarianceKind::Full,
            Self::Tied(_) => CovarianceKind::Tied,
        }
    }

    /// The shape of the array inside.
    fn shape(&self) -> &[usize] {
        match self {
            Self::Spherical(v) => v.shape(),
            Self::Diagonal(v) => v.shape(),
            Self::Full(c) => c.shape(),
            Self::Tied(c) => c.shape(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn kinds_have_names_and_count_their_parameters() {
        for kind in CovarianceKind::ALL {
            assert_eq!(CovarianceKind::parse(kind.name()), Ok(kind));
        }
        let e = CovarianceKind::parse("diag").unwrap_err().to_string();
        assert_eq!(e, "covariance: must be spherical, diagonal, full or tied, got \"diag\"");
        assert_eq!(CovarianceKind::ALL.map(|kind| kind.parameters(3, 4)), [2 + 12 + 3, 2 + 12 + 12, 2 + 12 + 30, 2 + 12 + 10]);
    }
}
