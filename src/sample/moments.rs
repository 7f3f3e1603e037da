//! Moments of the noised law, and the affine maps that give them to generated points (eq. 21).
//!
//! Whatever error a score has, and however few steps a sampler takes, the mean and the covariance of the law
//! that it should have at time t are known from the data. After each step an affine map brings them about:
//! the shortest one between the Gaussians with the moments that the sampler has and those that it should
//! have. The former are measured once, on many points; from then on the maps are fixed, so a point's way does
//! not depend on the others that are made with it.
//!
//! ```
//! use ndarray::array;
//! use ndsm::sample::{AffineMap, Gaussian, MomentKind};
//! let (has, wants) = (Gaussian { mean: array![1.0], covariance: array![[4.0]] }, Gaussian { mean: array![0.0], covariance: array![[9.0]] });
//! let map = AffineMap::between(MomentKind::Full, &has, &wants)?;
//! let mut x = [1.0, 3.0];
//! map.apply(&mut x);
//! assert_eq!(x, [0.0, 3.0]);
//! # Ok::<(), ndsm::Error>(())
//! ```

use crate::kernels::Activation;
use crate::kernels::gemm::{Matrix, pack, packed_len};
use crate::kernels::linear::linear_rows;
use crate::linalg::symmetric_eigen;
use crate::par;
use crate::sde::NoiseScale;
use crate::{Error, Real, Result};
use ndarray::{Array1, Array2, Array3, ArrayView2, Axis, s};

/// Which moments a map mends; the mean is always one of them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum MomentKind {
    /// None: no map.
    #[default]
    None,
    /// The total variance: A = (tr C / tr C_gen)^(1/2).
    Scalar,
    /// The variance of each coordinate: A = diag (C_jj / C_gen,jj)^(1/2).
    Diagonal,
    /// The covariance: A = C_gen^(-1/2) (C_gen^(1/2) C C_gen^(1/2))^(1/2) C_gen^(-1/2).
    Full,
}

/// A mean `[d]` and a covariance [d, d].
#[derive(Debug, Clone, PartialEq)]
pub struct Gaussian {
    /// The mean.
    pub mean: Array1<f64>,
    /// The covariance.
    pub covariance: Array2<f64>,
}

/// Rows of a sum: its terms are added in this order whatever the number of rows.
const ROWS: usize = 512;

impl Gaussian {
    /// Mean and covariance, over n, of the rows of `x` [n, d].
    ///
    /// # Errors
    /// No rows.
    pub fn of(x: ArrayView2<f64>) -> Result<Self> {
        let mut sums = Sums::new(x.ncols());
        x.axis_chunks_iter(Axis(0), ROWS).for_each(|rows| sums.add(rows));
        sums.moments()
    }

    /// The same of the rows of `u` [n, d] in any precision.
    pub(crate) fn of_rows<R: Real>(u: &[R], d: usize) -> Result<Self> {
        let mut sums = Sums::new(d);
        for rows in u.chunks(ROWS * d) {
            sums.add(Array2::from_shape_fn((rows.len() / d, d), |(i, j)| rows[i * d + j].f64()).view());
        }
        sums.moments()
    }

    /// E ln N(x; mean, covariance) over a law of x with the moments `of`; -infinity where the covariance is
    /// not positive definite.
    ///
    /// # Errors
    /// Shapes that do not fit.
    pub fn mean_log_density(&self, of: &Gaussian) -> Result<f64> {
        let (Ok(c), apart) = (crate::linalg::Cholesky::new(self.covariance.view()), &of.mean - &self.mean) else {
            return Ok(f64::NEG_INFINITY);
        };
        let spread = c.solve(of.covariance.view())?.diag().sum() + apart.dot(&c.solve_vec(apart.view())?);
        Ok(-0.5 * (spread + c.log_det() + self.mean.len() as f64 * std::f64::consts::TAU.ln()))
    }
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

    pub fn add(&mut self, rows: ArrayView2<f64>) {
        let mean = || rows.mean_axis(Axis(0)).unwrap_or_else(|| Array1::zeros(rows.ncols()));
        let x = &rows - &*self.origin.get_or_insert_with(mean);
        self.n += rows.nrows() as f64;
        self.first += &x.sum_axis(Axis(0));
        self.second += &x.t().dot(&x);
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
    pub fn means(&self) -> ndarray::ArrayView2<'_, f64> {
        self.means.view()
    }

    /// The covariances, [k, d, d].
    pub fn covariances(&self) -> ndarray::ArrayView3<'_, f64> {
        self.covariances.view()
    }

    /// Mean and covariance at time `t`, between the table's times on a line in [`coordinate`]; after the last
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
/// of the exploding one, lines again.
fn coordinate(scale: NoiseScale, t: f64) -> f64 {
    match scale {
        NoiseScale::Preserving { .. } | NoiseScale::Exploding { .. } => scale.sbar(t).powi(2),
        NoiseScale::SubPreserving { .. } => scale.sbar(t),
    }
}

/// x -> to + A (x - from), A symmetric and positive definite.
#[derive(Debug, Clone, PartialEq)]
pub struct AffineMap {
    from: Array1<f64>,
    to: Array1<f64>,
    linear: Linear,
}

/// A, or what there is of it.
#[derive(Debug, Clone, PartialEq)]
enum Linear {
    /// Along each coordinate.
    Diagonal(Array1<f64>),
    Full(Array2<f64>),
}

/// Variances over the largest one below which points count as having none.
const FLAT: f64 = 1e-10;
/// The least stretch of a map squared, over the largest one.
const LEAST: f64 = 1e-14;

impl AffineMap {
    /// The map of the given kind that takes the moments `has` to `wants`: all of them where it is full, the
    /// variances along the coordinates where it is diagonal, and their sum where it is scalar.
    ///
    /// Directions along which there is no variance to be stretched, less than 1e-10 of the largest, are left
    /// as they are: all but n - 1 of them where the moments are those of n points. Where too little is wanted
    /// a map still keeps 1e-7 of its largest stretch, so that it can be inverted.
    ///
    /// # Errors
    /// Shapes that do not fit; covariances that are not finite.
    pub fn between(kind: MomentKind, has: &Gaussian, wants: &Gaussian) -> Result<Self> {
        let d = has.mean.len();
        if wants.mean.len() != d || has.covariance.dim() != (d, d) || wants.covariance.dim() != (d, d) {
            let shapes = [has.mean.shape(), has.covariance.shape(), wants.mean.shape(), wants.covariance.shape()];
            return Err(Error::shape("affine map", "two means [d] and covariances [d, d]", &shapes));
        }
        let (c_gen, c) = (has.covariance.diag(), wants.covariance.diag());
        let linear = match kind {
            MomentKind::None => return Ok(AffineMap::identity(d)),
            MomentKind::Scalar => Linear::Diagonal(Array1::from_elem(d, stretches(&[c_gen.sum()], &[c.sum()])[0])),
            MomentKind::Diagonal => Linear::Diagonal(stretches(&c_gen.to_vec(), &c.to_vec()).into()),
            MomentKind::Full => Linear::Full(optimal(has.covariance.view(), wants.covariance.view())?),
        };
        Ok(AffineMap { from: has.mean.clone(), to: wants.mean.clone(), linear })
    }

    /// The map that changes nothing, in `d` dimensions.
    pub fn identity(d: usize) -> Self {
        AffineMap { from: Array1::zeros(d), to: Array1::zeros(d), linear: Linear::Diagonal(Array1::ones(d)) }
    }

    /// A [d, d].
    pub fn linear(&self) -> Array2<f64> {
        match &self.linear {
            Linear::Diagonal(a) => Array2::from_diag(a),
            Linear::Full(a) => a.clone(),
        }
    }

    /// Moves the rows of `u` [n, d], each by itself: what becomes of one depends on no other.
    pub fn apply<R: Real>(&self, u: &mut [R]) {
        let d = self.from.len();
        let cast = |v: &Array1<f64>| v.iter().map(|v| R::of(*v)).collect::<Vec<R>>();
        match &self.linear {
            Linear::Diagonal(a) => {
                let (a, b) = (cast(a), cast(&(&self.to - a * &self.from)));
                par::each(par::chunks_mut(u, ROWS * d), |_, u| {
                    for u in u.chunks_exact_mut(d) {
                        u.iter_mut().zip(&a).zip(&b).for_each(|((u, a), b)| *u = *a * *u + *b);
                    }
                });
            }
            Linear::Full(a) => {
                let (b, a) = (cast(&(&self.to - a.dot(&self.from))), a.iter().map(|v| R::of(*v)).collect::<Vec<R>>());
                let mut panels = vec![R::zero(); packed_len::<R>(d, d)];
                let packed = pack(Matrix::new(&a, d, d), &mut panels); // A is symmetric
                par::each(par::chunks_mut(u, ROWS * d), |_, u| {
                    linear_rows(Activation::Identity, &u.to_vec(), packed, d, &b, u, &mut []);
                });
            }
        }
    }

    /// The moments of points that have the moments `of` before the map.
    pub fn moments(&self, of: &Gaussian) -> Gaussian {
        let a = self.linear();
        Gaussian { mean: &self.to + &a.dot(&(&of.mean - &self.from)), covariance: a.dot(&of.covariance).dot(&a) }
    }

    /// The map that takes every point back, and ln |det A|.
    ///
    /// # Errors
    /// An eigendecomposition that does not converge.
    pub fn inverse(&self) -> Result<(Self, f64)> {
        let (linear, log_det) = match &self.linear {
            Linear::Diagonal(a) => (Linear::Diagonal(a.mapv(f64::recip)), a.mapv(f64::ln).sum()),
            Linear::Full(a) => {
                let eigen = symmetric_eigen(a.view())?;
                (Linear::Full(eigen.map(f64::recip)), eigen.values.mapv(f64::ln).sum())
            }
        };
        Ok((AffineMap { from: self.to.clone(), to: self.from.clone(), linear }, log_det))
    }
}

/// (c / c_gen)^(1/2), 1 where nothing varies.
fn stretches(c_gen: &[f64], c: &[f64]) -> Vec<f64> {
    let least = FLAT * c_gen.iter().fold(0f64, |m, v| m.max(*v));
    let squares: Vec<f64> = c_gen.iter().zip(c).map(|(g, c)| if *g > least { c.max(0.0) / g } else { 1.0 }).collect();
    let low = LEAST * squares.iter().fold(0f64, |m, v| m.max(*v));
    squares.iter().map(|s| if *s > 0.0 || low > 0.0 { s.max(low).sqrt() } else { 1.0 }).collect()
}

/// The optimal map between N(0, C_gen) and N(0, C), in the eigenbasis V diag(s^2) V^T of C_gen, of which only
/// the columns with a variance are taken: A = V s^-1 (s V^T C V s)^(1/2) s^-1 V^T + (1 - V V^T).
fn optimal(c_gen: ArrayView2<f64>, c: ArrayView2<f64>) -> Result<Array2<f64>> {
    let d = c_gen.nrows();
    let eigen = symmetric_eigen(c_gen)?;
    let largest = eigen.values.iter().fold(0f64, |m, v| m.max(*v));
    let first = eigen.values.iter().position(|v| *v > FLAT * largest && *v > 0.0).unwrap_or(d);
    if first == d {
        return Ok(Array2::eye(d));
    }
    let (v, s) = (eigen.vectors.slice(s![.., first..]), eigen.values.slice(s![first..]).mapv(f64::sqrt));
    let vs = &v * &s;
    let inner = vs.t().dot(&c).dot(&vs);
    let inner = symmetric_eigen(((&inner + &inner.t()) * 0.5).view())?;
    let low = LEAST * inner.values.iter().fold(f64::MIN_POSITIVE, |m, v| m.max(*v));
    let over = &v / &s;
    let mut a = over.dot(&inner.map(|x| x.max(low).sqrt())).dot(&over.t());
    if first > 0 {
        a += &(Array2::<f64>::eye(d) - v.dot(&v.t()));
    }
    Ok((&a + &a.t()) * 0.5)
}

/// The maps of a generation: one for its start, one after each step, one at its end.
#[derive(Debug, Clone, PartialEq)]
pub struct Maps {
    steps: Vec<(f64, AffineMap)>,
}

impl Maps {
    /// No maps yet; [`Maps::learn`] adds them in the order of the generation.
    pub(crate) fn none() -> Self {
        Maps { steps: Vec::new() }
    }

    /// The map to the moments `wants` from those of the points `u` at time `t`, applied to them.
    pub(crate) fn learn<R: Real>(&mut self, kind: MomentKind, t: f64, wants: &Gaussian, u: &mut [R]) -> Result<()> {
        let map = AffineMap::between(kind, &Gaussian::of_rows(u, wants.mean.len())?, wants)?;
        map.apply(u);
        self.steps.push((t, map));
        Ok(())
    }

    /// Applies map number `i`.
    pub(crate) fn apply<R: Real>(&self, i: usize, u: &mut [R]) {
        if let Some((_, map)) = self.steps.get(i) {
            map.apply(u);
        }
    }

    /// The times, falling from the horizon to 0, each with its map.
    pub fn steps(&self) -> &[(f64, AffineMap)] {
        &self.steps
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::linalg::{Cholesky, symmetric_eigen};
    use crate::rng::{Purpose, Stream};
    use ndarray::array;

    /// A positive definite matrix of random numbers.
    fn positive(d: usize, seed: u64) -> Array2<f64> {
        let mut stream = Stream::new(seed, Purpose::Test, 0, 0);
        let a = Array2::from_shape_fn((d, d), |_| stream.normal::<f64>());
        a.dot(&a.t()) / d as f64 + Array2::<f64>::eye(d) * 0.05
    }

    fn law(d: usize, seed: u64) -> Gaussian {
        Gaussian { mean: positive(d, seed + 100).row(0).to_owned(), covariance: positive(d, seed) }
    }

    fn apart(a: &Array2<f64>, b: &Array2<f64>) -> f64 {
        (a - b).iter().fold(0.0, |m, v| if v.abs() <= m { m } else { v.abs() })
    }

    /// (eq. 21) A C_gen A = C, A symmetric and positive definite: the only such matrix, so the optimal map.
    /// The diagonal map has the variances, the scalar one their sum.
    #[test]
    fn each_map_has_the_moments_that_it_should() {
        for d in [1, 2, 7, 24] {
            let (has, wants) = (law(d, 1), law(d, 2));
            let full = AffineMap::between(MomentKind::Full, &has, &wants).unwrap();
            let got = full.moments(&has);
            assert!(apart(&got.covariance, &wants.covariance) <= 1e-10, "{d}: {}", apart(&got.covariance, &wants.covariance));
            let a = full.linear();
            assert!(apart(&a, &a.t().to_owned()) == 0.0 && symmetric_eigen(a.view()).unwrap().values[0] > 0.0);
            let diagonal = AffineMap::between(MomentKind::Diagonal, &has, &wants).unwrap().moments(&has);
            let scalar = AffineMap::between(MomentKind::Scalar, &has, &wants).unwrap().moments(&has);
            for j in 0..d {
                assert!((diagonal.covariance[[j, j]] - wants.covariance[[j, j]]).abs() <= 1e-12);
            }
            assert!((scalar.covariance.diag().sum() - wants.covariance.diag().sum()).abs() <= 1e-12);
            for map in [got, diagonal, scalar] {
                assert!((&map.mean - &wants.mean).iter().all(|e| e.abs() <= 1e-12));
            }
            // Points go there and back.
            let (back, log_det) = full.inverse().unwrap();
            assert!((log_det - Cholesky::new(a.view()).unwrap().log_det()).abs() <= 1e-10, "{d}: {log_det}");
            let start: Vec<f64> = (0..3 * d).map(|i| 0.3 * i as f64 - 1.0).collect();
            let mut x = start.clone();
            full.apply(&mut x);
            let exact = &wants.mean + &a.dot(&(&Array1::from(start[..d].to_vec()) - &has.mean));
            assert!(x[..d].iter().zip(&exact).all(|(x, e)| (x - e).abs() <= 1e-11));
            back.apply(&mut x);
            assert!(x.iter().zip(&start).all(|(x, s)| (x - s).abs() <= 1e-9));
        }
    }

    /// Equal covariances: the identity. A common eigenbasis: the ratios of the standard deviations.
    #[test]
    fn equal_and_commuting_covariances_have_their_closed_forms() {
        let has = law(5, 3);
        for kind in [MomentKind::Scalar, MomentKind::Diagonal, MomentKind::Full] {
            let a = AffineMap::between(kind, &has, &has).unwrap().linear();
            assert!(apart(&a, &Array2::eye(5)) <= 1e-12, "{kind:?}: {a}");
        }
        let q = array![[0.6, -0.8], [0.8, 0.6]];
        let of = |u: f64, v: f64| q.dot(&Array2::from_diag(&array![u, v])).dot(&q.t());
        let gaussian = |u, v| Gaussian { mean: array![0.0, 0.0], covariance: of(u, v) };
        let a = AffineMap::between(MomentKind::Full, &gaussian(4.0, 0.25), &gaussian(1.0, 9.0)).unwrap().linear();
        assert!(apart(&a, &of(0.5, 6.0)) <= 1e-13, "{a}");
        assert_eq!(AffineMap::between(MomentKind::None, &has, &law(5, 4)).unwrap(), AffineMap::identity(5));
    }

    /// Directions without variance are left alone, and what has it gets what is wanted there.
    #[test]
    fn flat_directions_are_left_as_they_are() {
        let wants = law(4, 5);
        let mut x = Array2::from_shape_fn((3, 4), |(i, j)| ((i * 5 + j * 3) % 7) as f64);
        x.column_mut(3).fill(2.0);
        let has = Gaussian::of(x.view()).unwrap();
        for kind in [MomentKind::Scalar, MomentKind::Diagonal, MomentKind::Full] {
            let map = AffineMap::between(kind, &has, &wants).unwrap();
            let values = symmetric_eigen(map.linear().view()).unwrap().values;
            assert!(values[0] > 0.0 && values[3] < 10.0, "{kind:?}: {values}");
            assert!(map.inverse().unwrap().1.is_finite());
        }
        // The plane that three points span: there the covariance is that of `wants`.
        let map = AffineMap::between(MomentKind::Full, &has, &wants).unwrap();
        let eigen = symmetric_eigen(has.covariance.view()).unwrap();
        let v = eigen.vectors.slice(s![.., 2..]);
        let inside = |c: &Array2<f64>| v.t().dot(c).dot(&v);
        assert!(apart(&inside(&map.moments(&has).covariance), &inside(&wants.covariance)) <= 1e-10);
        let point = Gaussian { mean: has.mean.clone(), covariance: Array2::zeros((4, 4)) };
        assert!(apart(&AffineMap::between(MomentKind::Full, &point, &wants).unwrap().linear(), &Array2::eye(4)) == 0.0);
        let shrunk = AffineMap::between(MomentKind::Full, &wants, &point).unwrap();
        assert!(shrunk.inverse().unwrap().1.is_finite());
    }

    /// Between the table's times: exact for linear processes that preserve or explode the variance, of second
    /// order otherwise.
    #[test]
    fn moments_between_the_times_are_of_second_order() {
        let data = law(3, 6);
        let scales = [NoiseScale::Preserving { beta: 1.3 }, NoiseScale::SubPreserving { beta: 1.3 }, NoiseScale::Exploding { beta: 1.3 }];
        for scale in scales {
            let exact = |t: f64| Gaussian {
                mean: &data.mean * scale.alpha(t),
                covariance: &data.covariance * scale.alpha(t).powi(2) + Array2::<f64>::eye(3) * scale.sbar(t).powi(2),
            };
            let error = |k: usize| {
                let times: Vec<f64> = (0..=k).map(|i| 2.0 * i as f64 / k as f64).collect();
                let laws: Vec<Gaussian> = times.iter().map(|t| exact(*t)).collect();
                let means = Array2::from_shape_fn((k + 1, 3), |(i, j)| laws[i].mean[j]);
                let covariances = Array3::from_shape_fn((k + 1, 3, 3), |(i, j, l)| laws[i].covariance[[j, l]]);
                let table = Moments::new(scale, times, means, covariances).unwrap();
                assert!(apart(&table.at(0.0).covariance, &data.covariance) == 0.0 && table.at(9.0) == table.at(2.0));
                let worst = |t: f64| {
                    let (got, exact) = (table.at(t), exact(t));
                    let mean = (&got.mean - &exact.mean).iter().fold(0f64, |m, v| m.max(v.abs()));
                    [mean, apart(&got.covariance, &exact.covariance)]
                };
                (0..400).map(|i| worst(i as f64 / 200.0)).fold([0f64; 2], |m, e| [m[0].max(e[0]), m[1].max(e[1])])
            };
            let ([mean, covariance], [half, quarter]) = (error(20), error(40));
            assert!(half <= 0.3 * mean + 1e-14 && quarter <= 0.3 * covariance + 1e-14, "{scale:?}: {mean} {half}, {covariance} {quarter}");
            if !matches!(scale, NoiseScale::SubPreserving { .. }) {
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
