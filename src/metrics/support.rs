//! Whether samples and data have the same support, by balls around points that reach to their k-th neighbour.

use super::check_pair;
use super::pairs::per_row;
use crate::{Error, Result};
use ndarray::ArrayView2;

/// Fidelity and variety of samples. Of samples with the law of the data, the density is 1 and the coverage [`expected_coverage`], whatever the law is; precision
/// and recall depend on it.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Support {
    /// Share of the samples that lie in the ball of some data point (Kynkaanniemi et al. 2019).
    pub precision: f64,
    /// Share of the data points that lie in the ball of some sample.
    pub recall: f64,
    /// Mean number of data points' balls that a sample lies in, over k (Naeem et al. 2020): 1 is right, more is too many samples in dense places.
    pub density: f64,
    /// Share of the data points in whose ball some sample lies.
    pub coverage: f64,
}

/// Precision, recall, density and coverage of `samples` [n, d] against `data` [m, d], with balls that reach to the `k`-th nearest neighbour of their centre
/// among the other points of its own set. Costs O((n + m)^2 d).
///
/// # Errors
/// [`Error::Shape`] if the widths differ; [`Error::Invalid`] unless 1 <= k < n, m.
pub fn support(samples: ArrayView2<f64>, data: ArrayView2<f64>, k: usize) -> Result<Support> {
    check_pair("support", samples, data, 2)?;
    let (n, m) = (samples.nrows(), data.nrows());
    if k == 0 || k >= n.min(m) {
        return Err(Error::invalid("support: k", format!("in 1..={}, below the number of points", n.min(m) - 1), k));
    }
    let (around_samples, around_data) = (radii(samples, k), radii(data, k));
    // Of each sample: in how many balls of data points it lies.
    let inside = per_row(samples, data, |_, d2| d2.iter().zip(&around_data).filter(|(d2, r2)| *d2 <= *r2).count());
    // Of each data point: whether a sample lies in its ball, and whether it lies in the ball of a sample.
    let met = per_row(data, samples, |i, d2| {
        [d2.iter().any(|d2| *d2 <= around_data[i]), d2.iter().zip(&around_samples).any(|(d2, r2)| d2 <= r2)]
    });
    let share = |count: usize, of: usize| count as f64 / of as f64;
    Ok(Support {
        precision: share(inside.iter().filter(|c| **c > 0).count(), n),
        recall: share(met.iter().filter(|m| m[1]).count(), m),
        density: share(inside.iter().sum(), n) / k as f64,
        coverage: share(met.iter().filter(|m| m[0]).count(), m),
    })
}

/// The coverage to expect of `n` samples of the law of the `m` data points themselves, with distances that do not coincide: 1 less the probability that the k
/// points nearest to a data point, among the m - 1 others and the n samples, are all data (Naeem et al. 2020, appendix A).
pub fn expected_coverage(n: usize, m: usize, k: usize) -> f64 {
    1.0 - (0..k).map(|i| (m - 1).saturating_sub(i) as f64 / ((n + m - 1) as f64 - i as f64)).product::<f64>()
}

/// Squared distance of each point to its k-th nearest other.
fn radii(x: ArrayView2<f64>, k: usize) -> Vec<f64> {
    per_row(x, x, |i, d2| {
        d2[i] = f64::INFINITY;
        *d2.select_nth_unstable_by(k - 1, f64::total_cmp).1
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::metrics::tests::normals;
    use ndarray::{array, s};

    #[test]
    fn hand_computed() {
        // Balls of radius 1 around 0 and 1, of radius 9 around 10; samples with balls of radius 1, 1 and 98.
        let (data, samples) = (array![[0.0], [1.0], [10.0]], array![[1.5], [2.5], [100.5]]);
        let found = support(samples.view(), data.view(), 1).unwrap();
        // 1.5 is in the balls of 1 and of 10, 2.5 in that of 10, 100.5 in none.
        assert_eq!(found, Support { precision: 2.0 / 3.0, recall: 2.0 / 3.0, density: 1.0, coverage: 2.0 / 3.0 });
        for k in [0, 3] {
            assert!(support(samples.view(), data.view(), k).unwrap_err().to_string().contains("in 1..=2"));
        }
    }

    /// Samples within reach of the data, but too close together to reach them: precise, and without variety.
    #[test]
    fn precision_is_the_samples_share_and_recall_the_datas() {
        let (data, samples) = (array![[0.0], [1.0], [10.0], [11.0]], array![[0.5], [0.625], [0.75]]);
        let found = support(samples.view(), data.view(), 1).unwrap();
        // All samples are in the balls of 0 and 1, of radius 1; those of the samples, of radius 1/8, hold no
        // data point.
        assert_eq!(found, Support { precision: 1.0, recall: 0.0, density: 2.0, coverage: 0.5 });
    }

    #[test]
    fn points_of_one_law_have_the_expected_coverage() {
        let (x, y) = (normals(2000, 3, 1), normals(2000, 3, 2));
        let found = support(x.view(), y.view(), 5).unwrap();
        assert!((expected_coverage(2000, 2000, 5) - 0.969).abs() <= 5e-4);
        // Neighbouring balls are dependent: four times the standard error of independent ones, .0039.
        assert!((found.coverage - 0.969).abs() <= 0.0155, "{found:?}");
        assert!((found.density - 1.0).abs() <= 0.05 && found.precision > 0.9 && found.recall > 0.9, "{found:?}");
        // A lost half is missed in recall and coverage, noise far away in precision and density.
        let half: Vec<usize> = (0..2000).filter(|i| x[[*i, 0]] > 0.0).collect();
        let half = x.select(ndarray::Axis(0), &half);
        let lost = support(half.view(), y.view(), 5).unwrap();
        assert!(lost.coverage < 0.6 && lost.recall < 0.7 && lost.precision > 0.9, "{lost:?}");
        let mut far = x.clone();
        far.slice_mut(s![..1000, ..]).mapv_inplace(|v| 50.0 + 10.0 * v);
        let far = support(far.view(), y.view(), 5).unwrap();
        assert!(far.precision < 0.55 && far.density < 0.6, "{far:?}");
    }
}
