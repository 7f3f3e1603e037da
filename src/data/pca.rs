//! Principal components: the linear latent space of the image runs.

use crate::linalg::symmetric_eigen;
use crate::{Error, Result};
use ndarray::linalg::general_mat_mul;
use ndarray::{Array1, Array2, ArrayView2, Axis, s};

/// Rows whose centred copy is held at once.
const ROWS: usize = 4096;
/// Largest matrix whose eigenvectors are taken, which takes minutes: of covariances, or of wider data of inner products.
const MAX_WIDTH: usize = 4096;

/// x = mean + z V + (what is left out), V: [r, d] with orthonormal rows; the coordinates z have variances
/// `variance`.
///
/// ```
/// # fn main() -> ndsm::Result<()> {
/// use ndsm::data::{Pca, Request, load};
/// let digits = load(&Request { name: "digits".into(), ..Request::default() })?;
/// let pca = Pca::fit(digits.points.view(), 16)?;
/// let latent = pca.encode(digits.points.view())?;
/// assert_eq!(latent.dim(), (1438, 16));
/// assert!(pca.explained() > 0.8);
/// # Ok(())
/// # }
/// ```
#[derive(Debug, Clone, PartialEq)]
pub struct Pca {
    /// Mean of the data, `[d]`.
    pub mean: Array1<f64>,
    /// Components, orthonormal rows by falling variance, [r, d]; of each the entry of largest size (the first
    /// of equals) is positive.
    pub components: Array2<f64>,
    /// Variance along each component, divisor n - 1, `[r]`.
    pub variance: Array1<f64>,
    /// Sum of the variances of all d columns.
    pub total_variance: f64,
}

impl Pca {
    /// The `components` leading eigenvectors of the covariance of `x`: [n, d]. Constant columns do no harm:
    /// they have entry 0 in every component of positive variance. Costs n d^2 + 9 d^3 operations, of data wider than
    /// 4,096 columns n^2 d + 9 n^3.
    ///
    /// # Errors
    /// [`Error::Invalid`] unless 1 <= `components` <= d, d or n is at most 4096, and `x` is finite; of wide data for more
    /// components than have a variance; [`Error::Shape`] for fewer than 2 rows.
    pub fn fit(x: ArrayView2<f64>, components: usize) -> Result<Self> {
        let (n, d) = x.dim();
        if n < 2 {
            return Err(Error::shape("Pca::fit", "at least 2 rows", &[x.shape()]));
        }
        if d.min(n) > MAX_WIDTH {
            return Err(Error::invalid("principal components: columns or rows of the data", format!("at most {MAX_WIDTH}"), d.min(n)));
        }
        if components == 0 || components > d {
            return Err(Error::invalid("Pca::fit: components", format!("from 1 to {d}"), components));
        }
        if d > MAX_WIDTH { Self::of_wide(x, components) } else { Self::of_covariance(x, components) }
    }

    fn of_covariance(x: ArrayView2<f64>, components: usize) -> Result<Self> {
        let (n, d) = x.dim();
        let mean = x.sum_axis(Axis(0)) / n as f64;
        let mut covariance = Array2::zeros((d, d));
        for rows in x.axis_chunks_iter(Axis(0), ROWS) {
            let centred = &rows - &mean;
            general_mat_mul(1.0 / (n - 1) as f64, &centred.t(), &centred, 1.0, &mut covariance);
        }
        let total_variance = covariance.diag().sum();
        let eigen = symmetric_eigen(covariance.view()).map_err(|e| e.within("Pca::fit"))?;
        // Eigenvalues rise; rounding may leave those of a singular covariance a little below 0.
        let variance = eigen.values.slice(s![d - components..;-1]).mapv(|v| v.max(0.0));
        let components = eigen.vectors.slice(s![.., d - components..;-1]).t().as_standard_layout().into_owned();
        Ok(Pca { mean, components, variance, total_variance })
    }

    /// The same from the inner products of the points, X X^T u = (n - 1) lambda u: then X^T u is the component, up to
    /// its length. No matrix is larger than the data.
    fn of_wide(x: ArrayView2<f64>, components: usize) -> Result<Self> {
        let n = x.nrows();
        let mean = x.sum_axis(Axis(0)) / n as f64;
        let centred = &x - &mean;
        let products = centred.dot(&centred.t()) / (n - 1) as f64;
        let total_variance = products.diag().sum();
        let eigen = symmetric_eigen(products.view()).map_err(|e| e.within("principal components"))?;
        let leading = components.min(n);
        let variance = eigen.values.slice(s![n - leading..;-1]).to_owned();
        // What rounding leaves of the directions that have none.
        let least = f64::EPSILON * n as f64 * total_variance;
        if leading < components || variance.iter().any(|v| *v <= least) {
            let some = variance.iter().filter(|v| **v > least).count();
            return Err(Error::invalid("principal components", format!("at most {some}, that many have a variance"), components));
        }
        let mut components = eigen.vectors.slice(s![.., n - leading..;-1]).t().dot(&centred);
        for mut v in components.rows_mut() {
            let largest = v.iter().fold(0.0f64, |most, e| if e.abs() > most.abs() { *e } else { most });
            let length = v.dot(&v).sqrt().copysign(largest);
            v.mapv_inplace(|e| e / length);
        }
        Ok(Pca { mean, components, variance, total_variance })
    }

    /// Coordinates z = (x - mean) V^T. `x`: [n, d] -> [n, r].
    ///
    /// # Errors
    /// [`Error::Shape`] if `x` does not have d columns.
    pub fn encode(&self, x: ArrayView2<f64>) -> Result<Array2<f64>> {
        check_width("Pca::encode", x, self.mean.len())?;
        Ok((&x - &self.mean).dot(&self.components.t()))
    }

    /// mean + z V. `z`: [n, r] -> [n, d].
    ///
    /// # Errors
    /// [`Error::Shape`] if `z` does not have r columns.
    pub fn decode(&self, z: ArrayView2<f64>) -> Result<Array2<f64>> {
        check_width("Pca::decode", z, self.variance.len())?;
        Ok(z.dot(&self.components) + &self.mean)
    }

    /// Share of the total variance that the components carry, in [0, 1]; 1 for constant data.
    pub fn explained(&self) -> f64 {
        if self.total_variance > 0.0 { (self.variance.sum() / self.total_variance).min(1.0) } else { 1.0 }
    }
}

fn check_width(place: &str, x: ArrayView2<f64>, width: usize) -> Result<()> {
    if x.ncols() == width { Ok(()) } else { Err(Error::shape(place, format!("{width} columns"), &[x.shape()])) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rng::{Purpose, Stream};
    use approx::assert_abs_diff_eq;
    use ndarray::array;

    /// Points on (1, 2, 5) + a (3, 4, 0)/5 + b (0, 0, 1): means and variances by hand.
    #[test]
    fn recovers_a_plane() {
        let (a, b) = ([-2.0, 0.0, 2.0, 0.0], [0.0, -0.5, 0.0, 0.5]);
        let x = Array2::from_shape_fn((4, 3), |(i, j)| [1.0 + 0.6 * a[i], 2.0 + 0.8 * a[i], 5.0 + b[i]][j]);
        let pca = Pca::fit(x.view(), 2).unwrap();
        assert!((&pca.mean - &array![1.0, 2.0, 5.0]).iter().all(|e| e.abs() <= 1e-15));
        assert!((&pca.components - &array![[0.6, 0.8, 0.0], [0.0, 0.0, 1.0]]).iter().all(|e| e.abs() <= 1e-15), "{}", pca.components);
        assert!((&pca.variance - &array![8.0 / 3.0, 0.5 / 3.0]).iter().all(|e| e.abs() <= 1e-15));
        assert!((pca.explained() - 1.0).abs() <= 1e-15);
        let back = pca.decode(pca.encode(x.view()).unwrap().view()).unwrap();
        assert!((back - x).iter().all(|e| e.abs() <= 1e-15));
    }

    #[test]
    fn coordinates_are_uncorrelated_and_carry_the_variances() {
        let (n, d) = (5000, 12);
        let mut z = Array2::<f64>::zeros((n, d));
        if let Some(z) = z.as_slice_mut() {
            Stream::new(1, Purpose::Test, 0, 0).fill_normal(z);
        }
        let mix = Array2::from_shape_fn((d, d), |(i, j)| ((3 * i + 7 * j) % 11) as f64 / 5.0 - 1.0);
        let mut x = z.dot(&mix) + 40.0;
        x.column_mut(4).fill(7.0);
        let all = Pca::fit(x.view(), d).unwrap();
        let gram = all.components.dot(&all.components.t());
        assert!((gram - Array2::<f64>::eye(d)).iter().all(|e| e.abs() <= 1e-13));
        let code = all.encode(x.view()).unwrap();
        let covariance = code.t().dot(&code) / (n - 1) as f64;
        let scale = all.variance[0];
        assert!((covariance - Array2::from_diag(&all.variance)).iter().all(|e| e.abs() <= 1e-12 * scale));
        assert!((all.variance.sum() - all.total_variance).abs() <= 1e-12 * all.total_variance);
        assert!(all.variance.windows(2).into_iter().all(|v| v[0] >= v[1]) && all.variance[d - 1] <= 1e-12 * scale);
        // What r components leave out is the variance of the rest.
        let few = Pca::fit(x.view(), 3).unwrap();
        let left = &x - &few.decode(few.encode(x.view()).unwrap().view()).unwrap();
        let exact = all.variance.slice(s![3..]).sum();
        assert!((left.mapv(|v| v * v).sum() / (n - 1) as f64 - exact).abs() <= 1e-10 * exact);
    }

    /// Of fewer points than columns both ways find the same components; of a hundred thousand columns one way ends.
    #[test]
    fn wide_data_have_the_components_of_their_covariance() {
        let x = Array2::from_shape_fn((9, 40), |(i, j)| (((i * 37 + j * 11) * (i + 3)) % 23) as f64 - (j % 5) as f64);
        let [a, b] = [Pca::of_covariance(x.view(), 6).unwrap(), Pca::of_wide(x.view(), 6).unwrap()];
        let apart = |a: &Array1<f64>, b: &Array1<f64>| (a - b).iter().fold(0.0f64, |most, v| most.max(v.abs()));
        assert!(apart(&a.variance, &b.variance) <= 1e-11 * a.variance[0] && apart(&a.mean, &b.mean) == 0.0);
        assert!((a.total_variance - b.total_variance).abs() <= 1e-11 * a.total_variance);
        assert!((&a.components - &b.components).iter().all(|e| e.abs() <= 1e-9), "{}\n{}", a.components, b.components);
        let wide = Array2::from_shape_fn((10, 100_000), |(i, j)| ((i * 7919 + j * 104_729) % 1009) as f64);
        let pca = Pca::fit(wide.view(), 5).unwrap();
        let gram = pca.components.dot(&pca.components.t());
        assert!((gram - Array2::<f64>::eye(5)).iter().all(|e| e.abs() <= 1e-9));
        let e = Pca::fit(wide.view(), 10).unwrap_err().to_string();
        assert!(e.contains("principal components: must be at most 9"), "{e}");
    }

    /// A point has one code, in whatever company: held-out data are seen from the training data's mean, not
    /// their own.
    #[test]
    fn points_are_encoded_with_the_training_mean() {
        let training = array![[0.0, 0.0], [2.0, 0.0], [0.0, 1.0], [2.0, 1.0]];
        let pca = Pca::fit(training.view(), 2).unwrap();
        // Mean (1, 1/2), axes x and y.
        let code = pca.encode(array![[4.0, 2.5], [6.0, 2.5]].view()).unwrap();
        assert_abs_diff_eq!(code.as_slice().unwrap(), &[3.0, 2.0, 5.0, 2.0][..], epsilon = 1e-14);
        assert_eq!(pca.encode(array![[6.0, 2.5]].view()).unwrap().row(0), code.row(1));
    }

    #[test]
    fn bad_input_is_refused() {
        let x = array![[1.0, 2.0], [3.0, f64::NAN]];
        assert!(Pca::fit(x.view(), 1).is_err());
        let x = array![[1.0, 2.0], [3.0, 4.0]];
        assert!(Pca::fit(x.view(), 0).is_err() && Pca::fit(x.view(), 3).is_err() && Pca::fit(x.slice(s![..1, ..]), 1).is_err());
        let pca = Pca::fit(x.view(), 1).unwrap();
        assert!(pca.encode(array![[1.0]].view()).is_err() && pca.decode(x.view()).is_err());
        // Constant data: no variance, a full share of it.
        let flat = Pca::fit(Array2::ones((5, 3)).view(), 2).unwrap();
        assert!(flat.explained() == 1.0 && flat.variance.iter().all(|v| *v == 0.0));
    }
}
