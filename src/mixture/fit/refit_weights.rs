//! Expectation-maximisation on the weights alone.

use super::super::Mixture;
use crate::par;
use crate::{Error, Result};
use ndarray::{Array1, ArrayView2};

/// Points of a parallel chunk.
const CHUNK: usize = 4096;
/// Iterations at most.
const ITERATIONS: usize = 2000;
/// The largest change of a weight at which they count as found.
const TOLERANCE: f64 = 1e-10;

/// `mixture` with the weights that make the rows of `x`, [n, d], most likely, means and covariances as they
/// are. At the maximum every weight is the mean of its component's responsibilities, which the component flow
/// (method.md, eq. 18) needs and which [`Mixture::floored`] destroys. The likelihood is concave in the
/// weights: there is one maximum. The iteration ends when no weight changes by more than 1e-10, or after
/// 2,000 rounds.
///
/// # Errors
/// `Shape` if the dimensions differ or there is no point; `Invalid` if a number is not finite.
pub fn refit_weights(x: ArrayView2<f64>, mixture: &Mixture) -> Result<Mixture> {
    let (n, k) = (x.nrows(), mixture.components());
    if n == 0 {
        return Err(Error::shape("refit_weights", "at least one point", &[x.shape()]));
    }
    if let Some(((i, j), v)) = x.indexed_iter().find(|(_, v)| !v.is_finite()) {
        return Err(Error::invalid("refit_weights: data", "finite", format!("{v} in row {i}, column {j}")));
    }
    // r_k(x) = w_k q_k / sum_l w_l q_l with q the responsibilities at the first weights, divided by them.
    let first = mixture.weights().to_vec();
    let q: Vec<f64> = mixture.responsibilities(x)?.iter().copied().collect();
    let mut ratio = vec![1.0; k];
    for _ in 0..ITERATIONS {
        let parts = par::map(n.div_ceil(CHUNK), |i| sum_responsibilities(&q[i * CHUNK * k..q.len().min((i + 1) * CHUNK * k)], &ratio));
        let mut next = vec![0.0; k];
        parts.iter().for_each(|part| next.iter_mut().zip(part).for_each(|(s, p)| *s += p / n as f64));
        let mut change = 0f64;
        for ((next, ratio), first) in next.iter().zip(&mut ratio).zip(&first) {
            change = change.max((next - *ratio * first).abs());
            *ratio = if *first > 0.0 { next / first } else { 0.0 };
        }
        if change <= TOLERANCE {
            break;
        }
    }
    let weights: Array1<f64> = first.iter().zip(&ratio).map(|(w, r)| w * r).collect();
    mixture.with_weights(&weights / weights.sum())
}

/// sum over rows of ratio_k q_k / sum_l ratio_l q_l.
fn sum_responsibilities(q: &[f64], ratio: &[f64]) -> Vec<f64> {
    let mut sums = vec![0.0; ratio.len()];
    for row in q.chunks_exact(ratio.len()) {
        let total: f64 = row.iter().zip(ratio).map(|(q, r)| q * r).sum();
        // A row whose components have all faded away counts for none.
        let inverse = if total > 0.0 { 1.0 / total } else { 0.0 };
        for ((s, q), r) in sums.iter_mut().zip(row).zip(ratio) {
            *s += q * r * inverse;
        }
    }
    sums
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::mixture::{Covariances, Draw};
    use crate::rng::Purpose;
    use ndarray::{Axis, array};

    #[test]
    fn weights_become_the_mean_responsibilities() {
        let law = Mixture::new(array![0.6, 0.3, 0.1], array![[0.0], [2.0], [5.0]], Covariances::Spherical(array![1.0, 0.5, 2.0])).unwrap();
        let (x, _) = law.sample(20_000, 3, Purpose::Test, Draw::Independent).unwrap();
        let wrong = law.with_weights(array![0.2, 0.2, 0.6]).unwrap();
        let found = refit_weights(x.view(), &wrong).unwrap();
        let mean = found.responsibilities(x.view()).unwrap().mean_axis(Axis(0)).unwrap();
        for (k, w) in found.weights().iter().enumerate() {
            assert!((w - mean[k]).abs() <= 1e-9, "component {k}: {w} against {}", mean[k]);
            // 20,000 points, overlapping components: within .02 of the truth, more than five standard errors.
            assert!((w - law.weights()[k]).abs() <= 0.02, "component {k}: {w}");
        }
        let e = refit_weights(array![[f64::NAN]].view(), &law).map(|_| ()).unwrap_err();
        assert_eq!(e.to_string(), "refit_weights: data: must be finite, got NaN in row 0, column 0");
    }
}
