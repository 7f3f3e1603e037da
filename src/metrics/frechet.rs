//! Samples compared by mean and covariance alone.

use super::check_pair;
use crate::Result;
use crate::linalg::symmetric_eigen;
use ndarray::{Array1, Array2, ArrayView1, ArrayView2, Axis};

/// W_2^2 between N(m, A) and N(n, B): |m - n|^2 + tr(A + B - 2 (A^(1/2) B A^(1/2))^(1/2)) (Dowson and Landau 1982). Means `[d]`,
/// covariances [d, d], positive semidefinite; the square of their unit.
///
/// # Errors
/// `Shape` if they do not fit; an eigendecomposition that does not converge.
///
/// ```
/// use ndarray::array;
/// use ndsm::metrics::gaussian_w2;
/// // Standard deviations 1 and 3, means 0 and 2: 2^2 + (3 - 1)^2.
/// let w2 = gaussian_w2(array![0.0].view(), array![[1.0]].view(), array![2.0].view(), array![[9.0]].view())?;
/// assert!((w2 - 8.0).abs() < 1e-14);
/// # Ok::<(), ndsm::Error>(())
/// ```
pub fn gaussian_w2(m: ArrayView1<f64>, a: ArrayView2<f64>, n: ArrayView1<f64>, b: ArrayView2<f64>) -> Result<f64> {
    let d = m.len();
    if n.len() != d || a.dim() != (d, d) || b.dim() != (d, d) {
        let expected = "two means [d] and covariances [d, d]";
        return Err(crate::Error::shape("gaussian_w2", expected, &[m.shape(), a.shape(), n.shape(), b.shape()]));
    }
    // What rounding has made negative is 0.
    let root = symmetric_eigen(a)?.map(|v| v.max(0.0).sqrt());
    let inner = root.dot(&b).dot(&root);
    let cross: f64 = symmetric_eigen(((&inner + &inner.t()) * 0.5).view())?.values.iter().map(|v| v.max(0.0).sqrt()).sum();
    let apart = &m - &n;
    Ok((apart.dot(&apart) + a.diag().sum() + b.diag().sum() - 2.0 * cross).max(0.0))
}

/// The Frechet distance of two samples: [`gaussian_w2`] of their means and covariances, the latter over n - 1. Of features of a
/// network this is the FID (Heusel et al. 2017); here it is taken of the points themselves. `x`: [n, d], `y`: [m, d]; the square of
/// their unit. What has the same mean and covariance it does not tell apart.
///
/// # Errors
/// [`crate::Error::Shape`] if the widths differ or a sample has fewer than 2 points.
pub fn frechet(x: ArrayView2<f64>, y: ArrayView2<f64>) -> Result<f64> {
    check_pair("frechet", x, y, 2)?;
    let ((m, a), (n, b)) = (moments(x), moments(y));
    gaussian_w2(m.view(), a.view(), n.view(), b.view())
}

fn moments(x: ArrayView2<f64>) -> (Array1<f64>, Array2<f64>) {
    let mean = x.mean_axis(Axis(0)).unwrap_or_else(|| Array1::zeros(x.ncols()));
    let centred = &x - &mean;
    let covariance = centred.t().dot(&centred) / (x.nrows() as f64 - 1.0);
    (mean, covariance)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::metrics::tests::normals;
    use ndarray::array;

    /// Pairs of points: variances (x - y)^2/2 over n - 1 = 1, a half of that over n.
    #[test]
    fn covariances_are_over_n_less_one() {
        // Means 1 and 2; variances 2 and 8, standard deviations 2^(1/2) apart.
        let (x, y) = (array![[0.0], [2.0]], array![[0.0], [4.0]]);
        let got = frechet(x.view(), y.view()).unwrap();
        assert!((got - 3.0).abs() <= 1e-14, "{got}");
    }

    #[test]
    fn commuting_covariances_have_a_closed_form_and_others_that_of_2_by_2() {
        // In a common eigenbasis: the sum of (s_i - t_i)^2.
        let (c, s) = (0.6, 0.8);
        let q = array![[c, -s], [s, c]];
        let of = |u: f64, v: f64| q.dot(&Array2::from_diag(&array![u * u, v * v])).dot(&q.t());
        let (zero, m) = (array![0.0, 0.0], array![1.0, -2.0]);
        let got = gaussian_w2(zero.view(), of(1.0, 3.0).view(), m.view(), of(2.0, 0.5).view()).unwrap();
        assert!((got - (5.0 + 1.0 + 6.25)).abs() <= 1e-13, "{got}");
        // tr (A B)^(1/2) of 2 x 2 matrices: sqrt(tr AB + 2 sqrt(det A det B)).
        let (a, b) = (array![[2.0, 0.7], [0.7, 1.0]], array![[0.5, -0.3], [-0.3, 3.0]]);
        let det = |m: &Array2<f64>| m[[0, 0]] * m[[1, 1]] - m[[0, 1]] * m[[1, 0]];
        let cross = (a.dot(&b).diag().sum() + 2.0 * (det(&a) * det(&b)).sqrt()).sqrt();
        let got = gaussian_w2(zero.view(), a.view(), zero.view(), b.view()).unwrap();
        assert!((got - (a.diag().sum() + b.diag().sum() - 2.0 * cross)).abs() <= 1e-13);
        assert!(gaussian_w2(zero.view(), a.view(), array![1.0].view(), b.view()).is_err());
    }

    #[test]
    fn a_shift_is_its_length_and_a_singular_covariance_is_no_harm() {
        let x = normals(50, 3, 1);
        assert!((frechet(x.view(), (&x + &array![1.0, 2.0, 2.0]).view()).unwrap() - 9.0).abs() <= 1e-12);
        let mut flat = x.clone();
        flat.column_mut(2).fill(1.0);
        assert!(frechet(flat.view(), flat.view()).unwrap() <= 1e-12);
        assert!(frechet(x.view(), normals(50, 2, 1).view()).is_err());
    }
}
