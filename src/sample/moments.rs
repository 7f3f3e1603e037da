//! Mean and covariance of the noised law over time (eq. 21).

use crate::linalg::Cholesky;
use crate::sde::NoiseScale;
use crate::{Error, Real, Result};
use ndarray::{Array1, Array2, Array3, ArrayView1, ArrayView2, ArrayView3, Axis, s};

/// A mean `[d]` and a covariance [d, d].
#[derive(Debug, Clone, PartialEq)]
pub struct Gaussian {
    /// The mean.
    pub mean: Array1<f64>,
    /// The covariance.
    pub covariance: Array2<f64>,
}

/// Rows of a sum: its terms are added in this order whatever the number of rows.
pub(super) const ROWS: usize = 512;

impl Gaussian {
    /// Mean and covariance, over n, of the rows of `x` [n, d].
    ///
    /// # Errors
    /// No rows.
    pub fn of(x: ArrayView2<f64>) -> Result<Self> {
        let mut sums = Sums::new(x.ncols());
        sums.add_all(x);
        sums.moments()
    }

    /// The same of the rows of `u` [n, d] in any precision.
    pub(crate) fn of_rows<R: Real>(u: &[R], d: usize) -> Result<Self> {
        let mut sums = Sums::new(d);
        blocks(u, d).for_each(|rows| sums.add(rows.view()));
        sums.moments()
    }

    /// E ln N(x; mean, covariance) over a law of x with the moments `of`; -infinity where the covariance is
    /// not positive definite.
    ///
    /// # Errors
    /// Shapes that do not fit.
    pub fn mean_log_density(&self, of: &Gaussian) -> Result<f64> {
        let (Ok(c), apart) = (Cholesky::new(self.covariance.view()), &of.mean - &self.mean) else {
            return Ok(f64::NEG_INFINITY);
        };
        let spread = c.solve(of.covariance.view())?.diag().sum() + apart.dot(&c.solve_vec(apart.view())?);
        Ok(-0.5 * (spread + c.log_det() + self.mean.len() as f64 * std::f64::consts::TAU.ln()))
    }
}

/// The rows of `u` [n, d] in any precision, as many at a time as are added to sums together.
pub(super) fn blocks<R: Real>(u: &[R], d: usize) -> impl Iterator<Item = Array2<f64>> {
    u.chunks(ROWS * d).map(move |rows| Array2::from_shape_fn((rows.len() / d, d), |(i, j)| rows[i * d + j].f64()))
}

/// Sums of points and of their products about the mean of the first rows.
pub(crate) struct Sums {
    n: f64,
    origin: Option<Array1<f64>>,
    first: Array1<f64>,
    second: Array2<f64>,
}

impl Sums {
    pub fn new(d: usize) -> Self {
        Sums { n: 0.0, origin: None, first: Array1::zeros(d), second: Array2::zeros((d, d)) }
    }

    /// Adds the rows of `x` [n, d], in pieces.
    pub fn add_all(&mut self, x: ArrayView2<f64>) {
        x.axis_chunks_iter(Axis(0), ROWS).for_each(|rows| self.add(rows));
    }

    pub fn add(&mut self, rows: ArrayView2<f64>) {
        self.add_weighted(rows, None);
    }

    /// The same, row i counting `weights[i]` times: without weights once.
    pub fn add_weighted(&mut self, rows: ArrayView2<f64>, weights: Option<ArrayView1<f64>>) {
        let mean = || rows.mean_axis(Axis(0)).unwrap_or_else(|| Array1::zeros(rows.ncols()));
        let x = &rows - &*self.origin.get_or_insert_with(mean);
        let Some(weights) = weights else {
            self.n += rows.nrows() as f64;
            self.first += &x.sum_axis(Axis(0));
            self.second += &x.t().dot(&x);
            return;
        };
        let weighted = &x * &weights.insert_axis(Axis(1));
        self.n += weights.sum();
        self.first += &weighted.sum_axis(Axis(0));
        self.second += &weighted.t().dot(&x);
    }

    /// How many points there are, by their weights.
    pub fn points(&self) -> f64 {
        self.n
    }

    pub fn moments(self) -> Result<Gaussian> {
        let Some(origin) = self.origin.filter(|_| self.n > 0.0) else {
            return Err(Error::refused("moments", "must be of at least one point"));
        };
        let (shift, second) = (self.first / self.n, self.second / self.n);
        let column = shift.view().insert_axis(Axis(1));
        let covariance = second - column.dot(&column.t());
        Ok(Gaussian { mean: origin + shift, covariance: (&covariance + &covariance.t()) * 0.5 })
    }
}

/// Mean and covariance of the noised law at some times, 0 the first of them.
#[derive(Debug, Clone, PartialEq)]
pub struct Moments {
    scale: NoiseScale,
    times: Vec<f64>,
    means: Array2<f64>,
    covariances: Array3<f64>,
}

impl Moments {
    /// The table of `means` [k, d] and `covariances` [k, d, d] at k rising `times` from 0 on, for a process
    /// with the noise level `scale`.
    ///
    /// # Errors
    /// Shapes that do not fit; times that do not rise from 0; numbers that are not finite.
    pub fn new(scale: NoiseScale, times: Vec<f64>, means: Array2<f64>, covariances: Array3<f64>) -> Result<Self> {
        let (k, d) = means.dim();
        if k == 0 || d == 0 || times.len() != k || covariances.dim() != (k, d, d) {
            let expected = "k times, means [k, d], covariances [k, d, d]";
            return Err(Error::shape("moments", expected, &[&[times.len()], means.shape(), covariances.shape()]));
        }
        if times[0] != 0.0 || !times.windows(2).all(|t| t[0] < t[1]) || !times[k - 1].is_finite() {
            return Err(Error::refused("moments: times", "must rise from 0"));
        }
        if means.iter().chain(&covariances).any(|v| !v.is_finite()) {
            return Err(Error::refused("moments", "must be finite"));
        }
        Ok(Moments { scale, times, means, covariances })
    }

    /// The times.
    pub fn times(&self) -> &[f64] {
        &self.times
    }

    /// The means, [k, d].
    pub fn means(&self) -> ArrayView2<'_, f64> {
        self.means.view()
    }

    /// The covariances, [k, d, d].
    pub fn covariances(&self) -> ArrayView3<'_, f64> {
        self.covariances.view()
    }

    /// Mean and covariance at time `t`, between the table's times on a line in `coordinate`; after the last
    /// time they are those of the last.
    pub fn at(&self, t: f64) -> Gaussian {
        let last = self.times.len() - 1;
        let above = self.times.partition_point(|known| *known < t).min(last);
        let below = above.saturating_sub(1);
        let [c, low, high] = [t, self.times[below], self.times[above]].map(|t| coordinate(self.scale, t));
        let share = if high > low { ((c - low) / (high - low)).clamp(0.0, 1.0) } else { 1.0 };
        let [left, right] = [1.0 - share, share];
        Gaussian {
            mean: &self.means.row(below) * left + &self.means.row(above) * right,
            covariance: &self.covariances.slice(s![below, .., ..]) * left + &self.covariances.slice(s![above, .., ..]) * right,
        }
    }
}

/// What the covariances of linear processes are polynomials in: 1 - alpha^2 = sbar^2 of a process that
/// preserves the variance, in which they are lines, sbar = 1 - alpha^2 of the sub-preserving one, and sbar^2
/// of the exploding one, lines again, and sbar = t of straight paths.
fn coordinate(scale: NoiseScale, t: f64) -> f64 {
    match scale {
        NoiseScale::Preserving { .. } | NoiseScale::Exploding { .. } => scale.sbar(t).powi(2),
        NoiseScale::SubPreserving { .. } | NoiseScale::Straight => scale.sbar(t),
    }
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;
    use crate::rng::{Purpose, Stream};
    use ndarray::array;

    /// A positive definite matrix of random numbers.
    pub fn positive(d: usize, seed: u64) -> Array2<f64> {
        let mut stream = Stream::new(seed, Purpose::Test, 0, 0);
        let a = Array2::from_shape_fn((d, d), |_| stream.normal::<f64>());
        a.dot(&a.t()) / d as f64 + Array2::<f64>::eye(d) * 0.05
    }

    pub fn law(d: usize, seed: u64) -> Gaussian {
        Gaussian { mean: positive(d, seed + 100).row(0).to_owned(), covariance: positive(d, seed) }
    }

    pub fn apart(a: &Array2<f64>, b: &Array2<f64>) -> f64 {
        (a - b).iter().fold(0.0, |m, v| if v.abs() <= m { m } else { v.abs() })
    }

    /// Between the table's times: exact for linear processes that preserve or explode the variance, of second
    /// order otherwise.
    #[test]
    fn moments_between_the_times_are_of_second_order() {
        let data = law(3, 6);
        let scales = [
            NoiseScale::Preserving { beta: 1.3 },
            NoiseScale::SubPreserving { beta: 1.3 },
            NoiseScale::Exploding { beta: 1.3 },
            NoiseScale::Straight,
        ];
        for scale in scales {
            let end = if scale == NoiseScale::Straight { 0.99 } else { 2.0 };
            let exact = |t: f64| Gaussian {
                mean: &data.mean * scale.alpha(t),
                covariance: &data.covariance * scale.alpha(t).powi(2) + Array2::<f64>::eye(3) * scale.sbar(t).powi(2),
            };
            let error = |k: usize| {
                let times: Vec<f64> = (0..=k).map(|i| end * i as f64 / k as f64).collect();
                let laws: Vec<Gaussian> = times.iter().map(|t| exact(*t)).collect();
                let means = Array2::from_shape_fn((k + 1, 3), |(i, j)| laws[i].mean[j]);
                let covariances = Array3::from_shape_fn((k + 1, 3, 3), |(i, j, l)| laws[i].covariance[[j, l]]);
                let table = Moments::new(scale, times, means, covariances).unwrap();
                assert!(apart(&table.at(0.0).covariance, &data.covariance) == 0.0 && table.at(9.0) == table.at(end));
                let worst = |t: f64| {
                    let (got, exact) = (table.at(t), exact(t));
                    let mean = (&got.mean - &exact.mean).iter().fold(0f64, |m, v| m.max(v.abs()));
                    [mean, apart(&got.covariance, &exact.covariance)]
                };
                (0..400).map(|i| worst(end * i as f64 / 400.0)).fold([0f64; 2], |m, e| [m[0].max(e[0]), m[1].max(e[1])])
            };
            let ([mean, covariance], [half, quarter]) = (error(20), error(40));
            assert!(half <= 0.3 * mean + 1e-14 && quarter <= 0.3 * covariance + 1e-14, "{scale:?}: {mean} {half}, {covariance} {quarter}");
            if !matches!(scale, NoiseScale::SubPreserving { .. } | NoiseScale::Straight) {
                assert!(covariance <= 1e-13, "{scale:?}: {covariance}");
            }
        }
        let refused = |times: Vec<f64>| Moments::new(scales[0], times, Array2::zeros((2, 3)), Array3::zeros((2, 3, 3))).is_err();
        assert!(refused(vec![0.0]) && refused(vec![0.1, 1.0]) && refused(vec![0.0, 0.0]) && !refused(vec![0.0, 1.0]));
    }

    /// E ln N over a law with given moments, against the sum over points.
    #[test]
    fn the_gaussian_likelihood_needs_only_moments() {
        let x = array![[0.0, 1.0], [2.0, -1.0], [1.0, 3.0], [-1.0, 0.5]];
        let law = law(2, 7);
        let c = Cholesky::new(law.covariance.view()).unwrap();
        let one = |x: ndarray::ArrayView1<f64>| {
            let apart = &x - &law.mean;
            -0.5 * (apart.dot(&c.solve_vec(apart.view()).unwrap()) + c.log_det()) - std::f64::consts::TAU.ln()
        };
        let exact = x.outer_iter().map(one).sum::<f64>() / 4.0;
        let got = law.mean_log_density(&Gaussian::of(x.view()).unwrap()).unwrap();
        assert!((got - exact).abs() <= 1e-12, "{got} {exact}");
    }
}
