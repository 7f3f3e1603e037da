//! The kernel distance of features.

use super::check_pair;
use crate::Result;
use crate::par;
use ndarray::{ArrayView1, ArrayView2};

/// Rows of a parallel chunk.
const ROWS: usize = 32;

/// The kernel distance of Binkowski, Sutherland, Arbel and Gretton (ICLR 2018; "KID" where the features are
/// Inception's): the unbiased estimate of MMD^2 with the kernel k(a, b) = (a . b/d + 1)^3. `x`: [n, d], `y`:
/// [m, d], features; dimensionless. Of samples of the same law it is 0 on average, whatever n and m, and may be
/// below; it tells apart what differs in its first three moments.
///
/// # Errors
/// [`crate::Error::Shape`] if the widths differ or a sample has fewer than 2 points.
pub fn kernel_distance(x: ArrayView2<f64>, y: ArrayView2<f64>) -> Result<f64> {
    check_pair("kernel distance", x, y, 2)?;
    let (n, m) = (x.nrows() as f64, y.nrows() as f64);
    let own = |x: ArrayView2<f64>| {
        let diagonal: f64 = x.outer_iter().map(|row| kernel(row, row)).sum();
        let n = x.nrows() as f64;
        (sum(x, x) - diagonal) / (n * (n - 1.0))
    };
    Ok(own(x) + own(y) - 2.0 * sum(x, y) / (n * m))
}

fn kernel(a: ArrayView1<f64>, b: ArrayView1<f64>) -> f64 {
    (a.dot(&b) / a.len() as f64 + 1.0).powi(3)
}

/// The sum of the kernel over all pairs, chunk by chunk in order.
fn sum(x: ArrayView2<f64>, y: ArrayView2<f64>) -> f64 {
    let mut rows = vec![0.0; x.nrows()];
    let d = x.ncols() as f64;
    par::each(par::chunks_mut(&mut rows, ROWS), |chunk, out| {
        let from = chunk * ROWS;
        let products = x.slice(ndarray::s![from..from + out.len(), ..]).dot(&y.t());
        for (out, row) in out.iter_mut().zip(products.outer_iter()) {
            *out = row.iter().map(|p| (p / d + 1.0).powi(3)).sum();
        }
    });
    rows.iter().sum()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::metrics::tests::normals;
    use ndarray::array;

    /// By hand: x = 0, 1; y = 2, 3 in one dimension.
    #[test]
    fn hand_computed() {
        let (x, y) = (array![[0.0], [1.0]], array![[2.0], [3.0]]);
        // k(0, 1) = 1; k(2, 3) = 343; k(0, .) = 1, k(1, 2) = 27, k(1, 3) = 64.
        let expected = 1.0 + 343.0 - 2.0 * (1.0 + 1.0 + 27.0 + 64.0) / 4.0;
        assert!((kernel_distance(x.view(), y.view()).unwrap() - expected).abs() <= 1e-12);
        assert!(kernel_distance(x.view(), array![[1.0]].view()).is_err());
    }

    /// Of one law it is 0 within its spread, of a shifted one it is not; and no bit depends on the threads.
    #[test]
    fn equal_laws_have_none() {
        let distance =
            |shift: f64, seed: u64| kernel_distance(normals(300, 4, seed).view(), (normals(200, 4, seed + 50) + shift).view()).unwrap();
        let null: Vec<f64> = (0..40).map(|seed| distance(0.0, seed)).collect();
        let mean = null.iter().sum::<f64>() / 40.0;
        let std = (null.iter().map(|v| (v - mean).powi(2)).sum::<f64>() / 39.0).sqrt();
        // Unbiased: the mean of 40 within 3.3 of its deviations (99.9 %); a biased one is off by far more.
        assert!(mean.abs() <= 3.3 * std / 40f64.sqrt(), "{mean} {std}");
        assert!(null.iter().any(|v| *v < 0.0) && distance(0.5, 0) > 10.0 * std);
        let pool = rayon::ThreadPoolBuilder::new().num_threads(3).build().unwrap();
        assert_eq!(pool.install(|| distance(0.0, 0)), null[0]);
    }
}
