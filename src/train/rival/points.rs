//! A rival without a network or a reference: the training points themselves, with noise.

use crate::mixture::{Covariances, Mixture};
use crate::{Error, Result};
use ndarray::{Array1, ArrayView2};

/// Widths that are tried: from and to, as natural logarithms, and how often the interval is narrowed.
const WIDTHS: [f64; 2] = [-7.0, 3.0];
const NARROWED: usize = 24;

/// The law of a training point, drawn at random from the rows of `x` [n, d], with noise N(0, h^2) on each
/// coordinate, of the width h with which the points `held_out` [m, d] are likeliest (a kernel density with
/// leave-out likelihood; Duin 1976). Whatever learns from points should be better than that: it generates, it
/// knows nothing, and what it gives is near a training point. Coordinates should have like scales.
///
/// ```
/// use ndarray::array;
/// let law = ndsm::train::smoothed_points(array![[0.0], [4.0]].view(), array![[0.5], [3.5]].view())?;
/// // Around each of two points that lie apart the likeliest width is the distance: .5.
/// assert!((law.covariance(0)[[0, 0]].sqrt() - 0.5).abs() < 1e-3);
/// # Ok::<(), ndsm::Error>(())
/// ```
///
/// # Errors
/// Widths that differ; no points; points that are not finite.
pub fn smoothed_points(x: ArrayView2<f64>, held_out: ArrayView2<f64>) -> Result<Mixture> {
    let (n, d) = x.dim();
    if n == 0 || held_out.nrows() == 0 || held_out.ncols() != d {
        return Err(Error::shape("smoothed points", "points [n, d] and held-out points [m, d]", &[x.shape(), held_out.shape()]));
    }
    let law = |width: f64| {
        let variances = Array1::from_elem(n, (2.0 * width).exp());
        Mixture::new(Array1::from_elem(n, 1.0 / n as f64), x.to_owned(), Covariances::Spherical(variances))
    };
    let likelihood = |width: f64| -> Result<f64> { Ok(law(width)?.log_density(held_out)?.mean().unwrap_or(f64::NEG_INFINITY)) };
    // Golden sections.
    let ratio = 0.5 * (5f64.sqrt() - 1.0);
    let [mut low, mut high] = WIDTHS;
    let [mut a, mut b] = [high - ratio * (high - low), low + ratio * (high - low)];
    let [mut at_a, mut at_b] = [likelihood(a)?, likelihood(b)?];
    for _ in 0..NARROWED {
        // Far too narrow a width has no likelihood at all.
        if at_a > at_b {
            (high, b, at_b) = (b, a, at_a);
            a = high - ratio * (high - low);
            at_a = likelihood(a)?;
        } else {
            (low, a, at_a) = (a, b, at_b);
            b = low + ratio * (high - low);
            at_b = likelihood(b)?;
        }
    }
    law(0.5 * (low + high))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::mixture::Draw;
    use crate::rng::Purpose;
    use ndarray::array;

    /// The width is that of the best likelihood, against widths all around, and nonsense is refused.
    #[test]
    fn the_width_is_the_likeliest() {
        let covariances = Covariances::Spherical(array![1.0, 0.2]);
        let law = Mixture::new(array![0.5, 0.5], array![[0.0, 0.0], [3.0, 1.0]], covariances).unwrap();
        let draw = |n, seed| law.sample(n, seed, Purpose::Test, Draw::Independent).unwrap().0;
        let (x, held_out) = (draw(200, 1), draw(300, 2));
        let best = smoothed_points(x.view(), held_out.view()).unwrap();
        let value = |m: &Mixture| m.log_density(held_out.view()).unwrap().mean().unwrap();
        let variance = best.covariance(0)[[0, 0]];
        for factor in [0.25, 0.8, 0.95, 1.05, 1.25, 4.0] {
            let other = Covariances::Spherical(Array1::from_elem(200, variance * factor));
            let other = Mixture::new(best.weights().to_owned(), x.clone(), other).unwrap();
            assert!(value(&other) < value(&best), "{factor}");
        }
        assert!(smoothed_points(x.view(), array![[1.0]].view()).is_err());
        assert!(smoothed_points(x.view(), ndarray::Array2::zeros((0, 2)).view()).is_err());
    }
}
