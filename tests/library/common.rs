//! Two-sample and moment tests shared by the statistical tests. Fixed seeds; levels are per comparison.

use ndarray::array;
use ndsm::mixture::{Covariances, Draw, Mixture};
use ndsm::rng::Purpose;

/// Kolmogorov and Smirnov's two-sample statistic over its critical value at level 1e-5: above 1 the laws
/// differ.
pub fn ks_ratio(a: &[f64], b: &[f64]) -> f64 {
    let sorted = |x: &[f64]| {
        let mut x = x.to_vec();
        x.sort_by(f64::total_cmp);
        x
    };
    let (a, b) = (sorted(a), sorted(b));
    let (mut i, mut j, mut d) = (0, 0, 0f64);
    while i < a.len() && j < b.len() {
        if a[i] <= b[j] {
            i += 1
        } else {
            j += 1
        }
        d = d.max((i as f64 / a.len() as f64 - j as f64 / b.len() as f64).abs());
    }
    let (n, m) = (a.len() as f64, b.len() as f64);
    let critical = (-(0.5e-5f64).ln() / 2.0).sqrt() * ((n + m) / (n * m)).sqrt();
    d / critical
}

/// The largest [`ks_ratio`] over the coordinates and the two diagonals of points in the plane.
pub fn plane_ratio(a: &[f64], b: &[f64]) -> f64 {
    let along = |x: &[f64], p: f64, q: f64| x.chunks_exact(2).map(|r| p * r[0] + q * r[1]).collect::<Vec<f64>>();
    [(1.0, 0.0), (0.0, 1.0), (1.0, 1.0), (1.0, -1.0)]
        .iter()
        .map(|(p, q)| ks_ratio(&along(a, *p, *q), &along(b, *p, *q)))
        .fold(0.0, f64::max)
}

/// Three unlike components in the plane.
pub fn three_modes() -> Mixture {
    let covariances = array![[[1.0, 0.5], [0.5, 0.6]], [[0.3, 0.0], [0.0, 2.0]], [[0.7, -0.4], [-0.4, 0.8]]];
    Mixture::new(array![0.5, 0.2, 0.3], array![[-2.0, 0.0], [2.5, 1.0], [0.5, -3.0]], Covariances::Full(covariances)).unwrap()
}

/// Points of a mixture, row-major.
pub fn points(pi: &Mixture, n: usize, seed: u64) -> Vec<f64> {
    pi.sample(n, seed, Purpose::Test, Draw::Independent).unwrap().0.iter().copied().collect()
}
