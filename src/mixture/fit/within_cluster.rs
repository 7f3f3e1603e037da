//! Coordinates in which clusters are round although they are not known yet: the covariance within clusters
//! estimated from pairs of near points, most of which lie in one cluster (Art, Gnanadesikan, Kettenring,
//! "Data-based metrics for cluster analysis", Utilitas Mathematica 21A, 1982). What is near is judged in the
//! metric found so far, a few times over.

use crate::linalg::Cholesky;
use crate::rng::Stream;
use ndarray::{Array2, ArrayView2, Axis};

/// Points that are looked at: their 10^5 pairs say enough.
const POINTS: usize = 500;
const ROUNDS: usize = 10;
/// One in `SHARE` of the pairs expected within clusters counts as near.
const SHARE: usize = 10;

/// A matrix A, [d, d], such that the rows of `x`, [n, d], have clusters of about one and the same round shape
/// in the coordinates A x. `x` must have a covariance near the identity; `k` is the number of clusters
/// expected.
pub fn coordinates(x: ArrayView2<f64>, k: usize, stream: &mut Stream) -> Array2<f64> {
    let d = x.ncols();
    let mut rows: Vec<usize> = (0..x.nrows()).collect();
    stream.shuffle(&mut rows);
    rows.truncate(POINTS);
    let x = x.select(Axis(0), &rows);
    let mut a = Array2::<f64>::eye(d);
    for _ in 0..ROUNDS {
        let y: Vec<f64> = x.dot(&a.t()).iter().copied().collect();
        let mut pairs = Vec::with_capacity(rows.len() * rows.len() / 2);
        for (i, p) in y.chunks_exact(d).enumerate() {
            for (j, q) in y.chunks_exact(d).enumerate().take(i) {
                let d2: f64 = p.iter().zip(q).map(|(p, q)| (p - q) * (p - q)).sum();
                // Copies of one point say nothing of the shape.
                if d2 > 0.0 {
                    pairs.push((d2, i, j));
                }
            }
        }
        // Of k equal clusters one pair in k lies within one. A ball that reaches other clusters shows no
        // shape, one that is much smaller than a cluster is filled evenly and shows none either: shares of
        // 1/5 to 1/40 worked alike.
        let near = pairs.len() / (SHARE * k);
        if near < 2 * d {
            break;
        }
        pairs.select_nth_unstable_by(near, |p, q| p.partial_cmp(q).unwrap_or(std::cmp::Ordering::Equal));
        pairs.truncate(near);
        // In one order, whatever the selection left: sums are then the same on every machine.
        pairs.sort_unstable_by_key(|(_, i, j)| (*i, *j));
        let mut difference = Array2::zeros((near, d));
        for ((_, i, j), mut v) in pairs.into_iter().zip(difference.outer_iter_mut()) {
            v.assign(&(&x.row(i) - &x.row(j)));
        }
        let scatter = difference.t().dot(&difference) / (2 * near) as f64;
        let ridge = 1e-6 * scatter.diag().sum() / d as f64;
        match Cholesky::new((scatter + Array2::<f64>::eye(d) * ridge).view()) {
            Ok(c) => a = c.inverse_lower(),
            Err(_) => break,
        }
    }
    a
}
