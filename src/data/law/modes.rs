//! Gaussian mixtures as laws.

use super::{Law, Named};
use crate::Result;
use crate::linalg::Cholesky;
use crate::mixture::{Covariances, Mixture};
use crate::rng::Stream;
use ndarray::{Array1, Array2, Array3, ArrayView2, ArrayViewMut2, array};
use std::sync::Arc;

pub(super) const NAMED: &[Named] = &[
    Named { name: "four-modes", make: || Ok(Arc::new(four_modes()?)) },
    Named { name: "near-c2", make: || Ok(Arc::new(near_c2()?)) },
    Named { name: "near-c4", make: || Ok(Arc::new(near_c4()?)) },
];

/// A Gaussian mixture that data are drawn from: p(x) = sum_k w_k N(x; m_k, C_k), C_k = L_k L_k^T.
#[derive(Debug, Clone)]
pub struct Modes {
    name: &'static str,
    mixture: Mixture,
    roots: Vec<Cholesky>,
    window: [f64; 2],
}

impl Modes {
    /// The law of `mixture` under a name.
    ///
    /// # Errors
    /// [`crate::Error::NotPositiveDefinite`] if a covariance cannot be factored.
    pub fn new(name: &'static str, mixture: Mixture) -> Result<Self> {
        let (mut low, mut high) = (f64::INFINITY, f64::NEG_INFINITY);
        let mut roots = Vec::with_capacity(mixture.components());
        for (k, mean) in mixture.means().rows().into_iter().enumerate() {
            let covariance = mixture.covariance(k);
            for (m, v) in mean.iter().zip(covariance.diag()) {
                low = low.min(m - 6.0 * v.sqrt());
                high = high.max(m + 6.0 * v.sqrt());
            }
            roots.push(Cholesky::new(covariance.view()).map_err(|e| e.within(format!("{name}: covariance of component {k}")))?);
        }
        Ok(Modes { name, mixture, roots, window: [low, high] })
    }
}

/// Four modes of standard deviation 0.5 at (+-4, +-4), weights 0.4, 0.3, 0.2, 0.1, counter-clockwise from the
/// upper right: sixteen standard deviations apart, so that no path goes from mode to mode by chance.
///
/// # Errors
/// None: the parameters are valid.
pub fn four_modes() -> Result<Modes> {
    let weights = array![0.4, 0.3, 0.2, 0.1];
    let means = array![[4.0, 4.0], [-4.0, 4.0], [-4.0, -4.0], [4.0, -4.0]];
    let covariances = Covariances::Spherical(Array1::from_elem(4, 0.25));
    Modes::new("four-modes", Mixture::new(weights, means, covariances)?)
}

/// Nearly unchanged by half a turn: two pairs of modes, each the other's image, with weights .5 and .2, .2
/// and .1.
///
/// # Errors
/// None: the parameters are valid.
pub fn near_c2() -> Result<Modes> {
    let (long, round) = ([[1.0, 0.4], [0.4, 0.3]], [[0.2, 0.0], [0.0, 0.2]]);
    let covariances = Array3::from_shape_fn((4, 2, 2), |(k, i, j)| if k < 2 { long[i][j] } else { round[i][j] });
    let means = array![[4.0, 1.0], [-4.0, -1.0], [-2.0, 4.0], [2.0, -4.0]];
    Modes::new("near-c2", Mixture::new(array![0.5, 0.2, 0.2, 0.1], means, Covariances::Full(covariances))?)
}

/// Nearly unchanged by a quarter turn: four round modes of standard deviation .5 on a cross of radius 4,
/// weights .55, .25, .15, .05 counter-clockwise.
///
/// # Errors
/// None: the parameters are valid.
pub fn near_c4() -> Result<Modes> {
    let means = array![[4.0, 0.0], [0.0, 4.0], [-4.0, 0.0], [0.0, -4.0]];
    let covariances = Covariances::Spherical(Array1::from_elem(4, 0.25));
    Modes::new("near-c4", Mixture::new(array![0.55, 0.25, 0.15, 0.05], means, covariances)?)
}

impl Law for Modes {
    fn name(&self) -> &'static str {
        self.name
    }

    fn dim(&self) -> usize {
        self.mixture.dim()
    }

    fn window(&self) -> [f64; 2] {
        self.window
    }

    /// m_k + L_k z, the component drawn by its weight.
    fn fill(&self, stream: &mut Stream, mut x: ArrayViewMut2<f64>) {
        let weights = self.mixture.weights().to_vec();
        let components: Vec<usize> = (0..x.nrows()).map(|_| stream.weighted(&weights)).collect();
        let mut z = Array1::zeros(self.dim());
        for (mut x, k) in x.rows_mut().into_iter().zip(components) {
            z.mapv_inplace(|_: f64| stream.normal());
            x.assign(&(self.roots[k].lower().dot(&z) + self.mixture.means().row(k)));
        }
    }

    fn log_density(&self, x: ArrayView2<f64>) -> Result<Array1<f64>> {
        self.mixture.log_density(x)
    }

    fn score(&self, x: ArrayView2<f64>) -> Result<Array2<f64>> {
        self.mixture.score(x)
    }

    fn mixture(&self) -> Option<&Mixture> {
        Some(&self.mixture)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::data::law::TRAINING;

    /// Mean, covariance and window of a correlated mixture in three dimensions, at 99.99 % confidence.
    #[test]
    fn samples_have_the_mixture_s_moments() {
        let c = array![[[2.0, 0.8, 0.0], [0.8, 1.0, -0.3], [0.0, -0.3, 0.5]], [[0.5, 0.0, 0.2], [0.0, 0.4, 0.0], [0.2, 0.0, 0.3]]];
        let mixture = Mixture::new(array![0.3, 0.7], array![[3.0, 0.0, 1.0], [-1.0, 2.0, 0.0]], Covariances::Full(c)).unwrap();
        let (mean, covariance) = (mixture.total_mean(), mixture.total_covariance());
        let law = Modes::new("mixture", mixture).unwrap();
        let n = 50_000;
        let x = law.sample(n, 1, TRAINING) - &mean;
        for i in 0..3 {
            let error = x.column(i).mean().unwrap();
            assert!(error.abs() <= 3.89 * (covariance[[i, i]] / n as f64).sqrt(), "mean {i}: {error}");
            for j in 0..=i {
                let product = &x.column(i) * &x.column(j);
                let error = product.mean().unwrap() - covariance[[i, j]];
                assert!(error.abs() <= 3.89 * product.std(1.0) / (n as f64).sqrt(), "covariance {i}, {j}: {error}");
            }
        }
        // The lowest edge is that of the first mode's second coordinate.
        assert_eq!(law.window(), [-6.0, 3.0 + 6.0 * 2f64.sqrt()]);
    }
}
