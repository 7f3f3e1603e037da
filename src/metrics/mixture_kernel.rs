//! The maximum mean discrepancy where one side, or both, are Gaussian mixtures: the kernel's means are
//! Gaussian integrals.
//!
//! With k(x, y) = e^(-|x - y|^2 / 2 h^2) = (2 pi h^2)^(d/2) N(x; y, h^2 I) and Y ~ sum_l w_l N(m_l, C_l),
//!
//! E k(x, Y) = (2 pi h^2)^(d/2) sum_l w_l N(x; m_l, C_l + h^2 I),
//! E k(X, Y) = (2 pi h^2)^(d/2) sum_kl w_k w_l N(m_k; m_l, C_k + C_l + h^2 I).

use super::pairs::{check_bandwidth, kernel_within};
use crate::mixture::{Covariances, Mixture};
use crate::{Error, Result};
use ndarray::{Array3, ArrayView2};

/// Squared maximum mean discrepancy between two mixtures, exact.
///
/// # Errors
/// `Shape` if the dimensions differ; `Invalid` for a bandwidth that is not positive.
pub fn mmd2_mixtures(p: &Mixture, q: &Mixture, bandwidth: f64) -> Result<f64> {
    check(p.dim(), q, bandwidth)?;
    Ok(mean(p, p, bandwidth)? + mean(q, q, bandwidth)? - 2.0 * mean(p, q, bandwidth)?)
}

/// Squared maximum mean discrepancy between the rows of `x`, [n, d], and a mixture: [`mmd2`](super::mmd2)
/// with infinitely many points on the other side. Unbiased, may be slightly negative.
///
/// # Errors
/// `Shape` for fewer than 2 points or another dimension; `Invalid` for a bandwidth that is not positive.
///
/// ```
/// use ndarray::array;
/// use ndsm::metrics::mmd2_to_mixture;
/// use ndsm::mixture::{Covariances, Mixture};
/// let law = Mixture::new(array![1.0], array![[0.0]], Covariances::Spherical(array![1.0]))?;
/// // Two points at 0 and h = 1: 1 + 1/sqrt(3) - 2/sqrt(2).
/// let mmd2 = mmd2_to_mixture(array![[0.0], [0.0]].view(), &law, 1.0)?;
/// assert!((mmd2 - (1.0 + 3f64.sqrt().recip() - 2f64.sqrt())).abs() < 1e-14);
/// # Ok::<(), ndsm::Error>(())
/// ```
pub fn mmd2_to_mixture(x: ArrayView2<f64>, law: &Mixture, bandwidth: f64) -> Result<f64> {
    check(x.ncols(), law, bandwidth)?;
    let within = kernel_within(x, bandwidth)?;
    let blurred = law.marginal(1.0, bandwidth * bandwidth)?.log_density(x)?;
    let scale = scale(law.dim(), bandwidth);
    let between = blurred.iter().map(|l| (l + scale).exp()).sum::<f64>() / x.nrows() as f64;
    Ok(within + mean(law, law, bandwidth)? - 2.0 * between)
}

/// ln (2 pi h^2)^(d/2).
fn scale(d: usize, h: f64) -> f64 {
    0.5 * d as f64 * (std::f64::consts::TAU * h * h).ln()
}

fn check(d: usize, law: &Mixture, bandwidth: f64) -> Result<()> {
    check_bandwidth(bandwidth)?;
    if d != law.dim() {
        return Err(Error::shape("mmd2", "points and mixture of one dimension", &[&[d], &[law.dim()]]));
    }
    Ok(())
}

/// E k(X, Y).
fn mean(p: &Mixture, q: &Mixture, h: f64) -> Result<f64> {
    let (d, l) = (p.dim(), q.components());
    let all: Vec<_> = (0..l).map(|l| q.covariance(l)).collect();
    let mut sum = 0.0;
    for (k, w) in p.weights().iter().enumerate().filter(|(_, w)| **w > 0.0) {
        // The law of Y + (X - m_k) + h Z given that X is of component k.
        let own = p.covariance(k);
        let blurred = Array3::from_shape_fn((l, d, d), |(l, i, j)| all[l][[i, j]] + own[[i, j]] + if i == j { h * h } else { 0.0 });
        let law = Mixture::new(q.weights().to_owned(), q.means().to_owned(), Covariances::Full(blurred))?;
        let at = p.means().row(k).insert_axis(ndarray::Axis(0)).to_owned();
        sum += w * (law.log_density(at.view())?[0] + scale(d, h)).exp();
    }
    Ok(sum)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::metrics::mmd2;
    use crate::mixture::Draw;
    use crate::rng::Purpose;
    use ndarray::{Array1, array};

    fn laws() -> (Mixture, Mixture) {
        let c = array![[[1.0, 0.4], [0.4, 0.5]], [[0.3, -0.1], [-0.1, 0.8]]];
        let p = Mixture::new(array![0.6, 0.4], array![[0.0, 0.0], [2.0, 1.0]], Covariances::Full(c)).unwrap();
        let q = Mixture::new(array![1.0], array![[0.5, 0.2]], Covariances::Spherical(array![1.5])).unwrap();
        (p, q)
    }

    /// Over 40 draws the mean of the estimate from samples, on one side and on both, is the exact value:
    /// 99.99 % confidence each.
    #[test]
    fn the_estimates_have_the_exact_value_as_their_mean() {
        let ((p, q), h) = (laws(), 0.8);
        let exact = mmd2_mixtures(&p, &q, h).unwrap();
        assert!(exact > 0.01, "{exact}");
        let draw = |law: &Mixture, seed: u64| law.sample(300, seed, Purpose::Test, Draw::Independent).unwrap().0;
        let check = |values: Array1<f64>| {
            let error = values.std(1.0) / (values.len() as f64).sqrt();
            let mean = values.mean().unwrap();
            assert!((mean - exact).abs() <= 3.89 * error && error <= 0.05 * exact, "{mean} +- {error}, exact {exact}");
        };
        check(Array1::from_shape_fn(40, |i| mmd2_to_mixture(draw(&p, i as u64).view(), &q, h).unwrap()));
        check(Array1::from_shape_fn(40, |i| mmd2(draw(&p, i as u64).view(), draw(&q, 1000 + i as u64).view(), h).unwrap()));
    }

    #[test]
    fn a_law_has_no_distance_from_itself_however_it_is_written() {
        let (p, q) = laws();
        let split = Mixture::new(array![0.5, 0.5], array![[0.5, 0.2], [0.5, 0.2]], Covariances::Diagonal(array![[1.5, 1.5], [1.5, 1.5]]));
        assert!(mmd2_mixtures(&q, &split.unwrap(), 0.7).unwrap().abs() <= 1e-15);
        assert!(mmd2_mixtures(&p, &p, 0.7).unwrap().abs() <= 1e-15);
        let line = Mixture::new(array![1.0], array![[0.0]], Covariances::Spherical(array![1.0])).unwrap();
        assert!(mmd2_mixtures(&p, &line, 0.7).is_err() && mmd2_mixtures(&p, &q, 0.0).is_err());
        assert!(mmd2_to_mixture(array![[0.0, 0.0]].view(), &p, 1.0).is_err());
    }
}
