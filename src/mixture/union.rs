//! Several mixtures as one.

use super::{CovarianceKind, Covariances, Mixture};
use crate::{Error, Result};
use ndarray::{Array1, Array3, ArrayBase, Axis, Data, Dimension, RemoveAxis, concatenate};

impl Mixture {
    /// The law that is each of `parts` with the probability beside it: their components, one part after the
    /// other. A covariance that is tied within its part becomes its components' own; parts of several kinds
    /// have full covariances.
    ///
    /// ```
    /// use ndarray::array;
    /// use ndsm::mixture::{Covariances, Mixture};
    /// let one = |mean: f64| Mixture::new(array![1.0], array![[mean]], Covariances::Spherical(array![1.0]));
    /// let both = Mixture::union(&[(0.25, &one(-1.0)?), (0.75, &one(3.0)?)])?;
    /// assert_eq!((both.components(), both.total_mean()[0]), (2, 2.0));
    /// # Ok::<(), ndsm::Error>(())
    /// ```
    ///
    /// # Errors
    /// No part; parts of several dimensions; probabilities that are none.
    pub fn union(parts: &[(f64, &Mixture)]) -> Result<Mixture> {
        let Some((_, first)) = parts.first() else {
            return Err(Error::refused("mixture union", "needs at least one part"));
        };
        let kind = match first.kind() {
            // Each part would have one of its own.
            CovarianceKind::Tied => CovarianceKind::Full,
            kind if parts.iter().all(|(_, part)| part.kind() == kind) => kind,
            _ => CovarianceKind::Full,
        };
        let weights = parts.iter().flat_map(|(p, part)| part.weights().iter().map(move |w| p * w).collect::<Vec<_>>());
        let means = joined(parts.iter().map(|(_, part)| part.means().to_owned()))?;
        let own = || parts.iter().map(|(_, part)| part.covariances());
        let covariances = match kind {
            CovarianceKind::Spherical => {
                Covariances::Spherical(joined(own().filter_map(|c| if let Covariances::Spherical(v) = c { Some(v) } else { None }))?)
            }
            CovarianceKind::Diagonal => {
                Covariances::Diagonal(joined(own().filter_map(|c| if let Covariances::Diagonal(v) = c { Some(v) } else { None }))?)
            }
            CovarianceKind::LowRank(_) => {
                let both =
                    own().filter_map(|c| if let Covariances::LowRank { loadings, noise } = c { Some((loadings, noise)) } else { None });
                let (loadings, noise): (Vec<_>, Vec<_>) = both.unzip();
                Covariances::LowRank { loadings: joined(loadings.into_iter())?, noise: joined(noise.into_iter())? }
            }
            CovarianceKind::Full | CovarianceKind::Tied => Covariances::Full(joined(parts.iter().map(|(_, part)| full(part)))?),
        };
        Mixture::new(Array1::from_iter(weights), means, covariances)
    }
}

/// The covariances of all components, [k, d, d].
fn full(mixture: &Mixture) -> Array3<f64> {
    let (k, d) = (mixture.components(), mixture.dim());
    let mut all = Array3::zeros((k, d, d));
    all.outer_iter_mut().enumerate().for_each(|(k, mut c)| c.assign(&mixture.covariance(k)));
    all
}

/// Arrays one after the other along their first axis.
fn joined<S: Data<Elem = f64>, B: std::borrow::Borrow<ArrayBase<S, D>>, D: Dimension + RemoveAxis>(
    all: impl Iterator<Item = B>,
) -> Result<ndarray::Array<f64, D>> {
    let all: Vec<B> = all.collect();
    let views: Vec<_> = all.iter().map(|a| a.borrow().view()).collect();
    concatenate(Axis(0), &views).map_err(|e| Error::refused("mixture union", e.to_string()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use ndarray::{Array2, array};

    /// The density of a union is the mean of its parts', of every pair of kinds.
    #[test]
    fn the_density_is_the_mean_of_the_parts() {
        let means = || array![[0.0, 1.0, -1.0], [2.0, 0.5, 0.0]];
        let shape = array![[1.0, 0.3, 0.0], [0.3, 2.0, -0.4], [0.0, -0.4, 0.7]];
        let kinds =
            [CovarianceKind::Spherical, CovarianceKind::Diagonal, CovarianceKind::Full, CovarianceKind::Tied, CovarianceKind::LowRank(1)];
        let part = |kind: CovarianceKind, scale: f64| {
            let covariances = Covariances::alike(kind, 2, (&shape * scale).view()).unwrap();
            Mixture::new(array![0.3, 0.7], means() * scale, covariances).unwrap()
        };
        let x = Array2::from_shape_fn((20, 3), |(i, j)| ((7 * i + 3 * j) % 11) as f64 / 3.0 - 1.5);
        for a in kinds {
            for b in kinds {
                let (first, second) = (part(a, 1.0), part(b, 1.7));
                let both = Mixture::union(&[(0.4, &first), (0.6, &second)]).unwrap();
                let kept = a == b && a != CovarianceKind::Tied;
                assert_eq!(both.kind(), if kept { a } else { CovarianceKind::Full });
                let [p, q, all] = [&first, &second, &both].map(|m| m.log_density(x.view()).unwrap().mapv(f64::exp));
                assert!((p * 0.4 + q * 0.6 - &all).iter().zip(&all).all(|(e, p)| e.abs() <= 1e-12 * p), "{a:?} {b:?}");
            }
        }
        assert!(Mixture::union(&[]).is_err());
        let line = Mixture::new(array![1.0], array![[0.0]], Covariances::Spherical(array![1.0])).unwrap();
        assert!(Mixture::union(&[(0.5, &line), (0.5, &part(CovarianceKind::Spherical, 1.0))]).is_err());
    }
}
