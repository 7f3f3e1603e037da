//! The score of the training points themselves, in closed form and smoothed.

use super::{check_count, check_points};
use crate::metrics::{energy_distance, nearest};
use crate::par;
use crate::rng::{Purpose, Stream};
use crate::simd::{self, Kernel, W, dispatch};
use crate::{Error, Real, Result};
use ndarray::linalg::general_mat_mul;
use ndarray::{Array1, Array2, ArrayView2, ArrayViewMut2, s};

/// Noise over signal, (1 - t)/t, at the start and before the last step, in units of sigma: the perturbations
/// are nothing beside the noise, and the noise is nothing beside them.
const NOISE: [f64; 2] = [4.0, 0.05];
/// Steps between the two.
const STEPS: usize = 12;
/// Perturbations M of a sample. More of them average over more points: less of the variance is left.
const PERTURBATIONS: usize = 2;
/// Samples that are moved together.
const ROWS: usize = 16;
/// Candidates for sigma, in units of r/sqrt(d), r the root mean square of the distances from a held-out point
/// to its nearest training point: a perturbation sigma u is then as long as such a gap.
const SIGMAS: [f64; 5] = [4.0, 2.0, 1.0, 0.5, 0.25];

/// Samples whose energy distance to held-out points judges a sigma.
const JUDGED: usize = 1000;

/// A smoothed closed-form diffusion model, sigma-CFDM (Scarvelis, Borde and Solomon, arXiv:2310.12395). On
/// the straight paths z_t = t x + (1 - t) eps from noise eps ~ N(0, I) to a training point x, t in [0, 1],
/// the law of z_t is the mixture of the N(t x_i, (1 - t)^2 I). Its score and the velocity that carries it are
///
/// s_t(z) = (t m_t(z) - z)/(1 - t)^2,   v_t(z) = (z + (1 - t) s_t(z))/t = (m_t(z) - z)/(1 - t),
/// m_t(z) = sum_i softmax_i( -|z - t x_i|^2 / 2 (1 - t)^2 ) x_i.
///
/// This flow ends at training points. With the score averaged over M perturbations of z,
///
/// m_t(z) <- (1/M) sum_j m_t(z + sigma u_j),   u_j ~ N(0, I), a sample's own all the way,
///
/// it ends at barycentres: z = (1/M) sum_j x_i(j), x_i(j) the training point that is nearest to z + sigma
/// u_j. The larger sigma, the farther apart are the points that are joined; 0 copies. Here M = 2.
///
/// While (1 - t)/t is large beside sigma the perturbations change nothing, so that the flow starts at
/// (1 - t)/t = 4 sigma with the law that the points have there, each as often as the others. Steps go down by
/// equal factors of (1 - t)/t; with m held fixed, Euler's step in t is exact,
///
/// z' = m + (1 - t')/(1 - t) (z - m),
///
/// and m extrapolated over half a step from the one before makes it one of second order. The last step goes
/// from (1 - t)/t = sigma/20 to t = 1.
///
/// ```
/// use ndarray::array;
/// use ndsm::train::ClosedForm;
/// let points = array![[0.0, 0.0], [0.0, 2.0], [2.0, 0.0]];
/// // Unsmoothed: training points, each a third of the time.
/// let copies = ClosedForm::new(points.view(), 0.0)?.sample(99, 1)?;
/// assert_eq!(copies.rows().into_iter().filter(|x| x[0] == 2.0).count(), 33);
/// // Smoothed: the middles of two training points, too.
/// let new = ClosedForm::new(points.view(), 1.5)?.sample(99, 1)?;
/// assert!(new.rows().into_iter().any(|x| (x[0] - 1.0).abs() < 1e-9 && (x[1] - 1.0).abs() < 1e-9));
/// # Ok::<(), ndsm::Error>(())
/// ```
#[derive(Debug, Clone)]
pub struct ClosedForm {
    /// Up to a multiple of [`W`] points, the first again.
    points: Array2<f64>,
    /// |x_i|^2, infinite for those: they have no share.
    squares: Array1<f64>,
    /// Points without them.
    n: usize,
    sigma: f64,
    perturbations: usize,
}

impl ClosedForm {
    /// Of the points `points` [n, d], with perturbations of the width `sigma` >= 0 on each coordinate, in
    /// their unit.
    ///
    /// # Errors
    /// No points, or points that are not finite; another sigma.
    pub fn new(points: ArrayView2<f64>, sigma: f64) -> Result<Self> {
        Self::perturbed(points, sigma, PERTURBATIONS)
    }

    fn perturbed(points: ArrayView2<f64>, sigma: f64, perturbations: usize) -> Result<Self> {
        check_points("closed-form diffusion", points)?;
        if !(sigma >= 0.0 && sigma.is_finite()) {
            return Err(Error::invalid("closed-form diffusion: sigma", "finite and >= 0", sigma));
        }
        let (n, d) = points.dim();
        let points = Array2::from_shape_fn((n.next_multiple_of(W), d), |(i, j)| points[[if i < n { i } else { 0 }, j]]);
        let mut squares: Array1<f64> = points.rows().into_iter().map(|x| x.dot(&x)).collect();
        squares.slice_mut(s![n..]).fill(f64::INFINITY);
        Ok(ClosedForm { points, squares, n, sigma, perturbations })
    }

    /// With the largest sigma, of five around the gaps between the points, whose samples have an energy
    /// distance to the points `held_out` [m, d], m >= 2, that is not above 0, the mean of its unbiased
    /// estimate for fresh points of the same law; or else the one with the least. The least of all would not
    /// do: copies of the training points have it.
    ///
    /// # Errors
    /// As [`ClosedForm::new`]; widths that differ; fewer than two held-out points.
    pub fn fit(points: ArrayView2<f64>, held_out: ArrayView2<f64>, seed: u64) -> Result<Self> {
        check_points("closed-form diffusion", points)?;
        check_points("closed-form diffusion: held out", held_out)?;
        let gaps = nearest(held_out, points)?;
        let gap = (gaps.iter().map(|(_, r)| r * r).sum::<f64>() / (gaps.len() * points.ncols()) as f64).sqrt();
        let mut best = (f64::INFINITY, Self::new(points, 0.0)?);
        for sigma in SIGMAS {
            let made = Self::new(points, sigma * gap)?;
            let energy = energy_distance(made.sample(JUDGED, seed)?.view(), held_out)?;
            if energy <= 0.0 {
                return Ok(made);
            }
            if energy < best.0 {
                best = (energy, made);
            }
        }
        Ok(best.1)
    }

    /// The width of the perturbations.
    pub fn sigma(&self) -> f64 {
        self.sigma
    }

    /// `n` samples [n, d], a function of `seed` and of nothing else. Each takes training points x
    /// perturbations x steps exponentials.
    ///
    /// # Errors
    /// More samples than can be numbered.
    pub fn sample(&self, n: usize, seed: u64) -> Result<Array2<f64>> {
        let d = self.points.ncols();
        check_count("closed-form diffusion", n, d, ROWS)?;
        let mut starts: Vec<usize> = (0..self.n).collect();
        Stream::new(seed, Purpose::ClosedForm, 0, 0).shuffle(&mut starts);
        let mut z = vec![0.0; n * d];
        par::try_each(par::chunks_mut(&mut z, ROWS * d), |chunk, z| {
            let mut z = ArrayViewMut2::from_shape((z.len() / d, d), z).map_err(shape)?;
            for (row, mut z) in z.rows_mut().into_iter().enumerate() {
                z.assign(&self.points.row(starts[(chunk * ROWS + row) % self.n]));
            }
            // Without perturbations the points are where the flow ends.
            if self.sigma > 0.0 { self.flow(seed, chunk as u32, z) } else { Ok(()) }
        })?;
        Array2::from_shape_vec((n, d), z).map_err(shape)
    }

    /// Moves the samples of a chunk from training points to noise and on to their ends.
    fn flow(&self, seed: u64, chunk: u32, mut z: ArrayViewMut2<f64>) -> Result<()> {
        let ((rows, d), n, m) = (z.dim(), self.points.nrows(), self.perturbations);
        let normals = |step, count: usize| {
            let mut normals = vec![0.0; count * d];
            Stream::new(seed, Purpose::ClosedForm, step, chunk).fill_normal(&mut normals);
            Array2::from_shape_vec((count, d), normals).map_err(shape)
        };
        let noise = NOISE.map(|noise| noise * self.sigma);
        let time = |i: usize| 1.0 / (1.0 + noise[0] * (noise[1] / noise[0]).powf(i as f64 / STEPS as f64));
        z.zip_mut_with(&normals(1, rows)?, |z, eps| *z = time(0) * *z + (1.0 - time(0)) * eps);
        // sigma u_j . x_i stays what it is all the way.
        let mut shifts = Array2::zeros((rows * m, n));
        general_mat_mul(self.sigma, &normals(2, rows * m)?, &self.points.t(), 0.0, &mut shifts);
        let (mut products, mut shares) = (Array2::zeros((rows, n)), Array2::zeros((rows, n)));
        let (mut mean, mut before, mut memory) = (Array2::zeros((rows, d)), Array2::zeros((rows, d)), vec![[0.0; W]; n / W]);
        for i in 0..=STEPS {
            let (t, next) = (time(i), if i < STEPS { time(i + 1) } else { 1.0 });
            general_mat_mul(1.0, &z, &self.points.t(), 0.0, &mut products);
            shares.fill(0.0);
            for (row, (zx, mut shares)) in products.rows().into_iter().zip(shares.rows_mut()).enumerate() {
                for ux in shifts.slice(s![row * m..(row + 1) * m, ..]).rows() {
                    let (zx, ux) = (zx.to_slice().unwrap_or(&[]), ux.to_slice().unwrap_or(&[]));
                    let (x2, shares) = (self.squares.as_slice().unwrap_or(&[]), shares.as_slice_mut().unwrap_or(&mut []));
                    dispatch(AddShares { zx, ux, x2, t, memory: &mut memory, shares });
                }
            }
            std::mem::swap(&mut mean, &mut before);
            general_mat_mul(1.0 / m as f64, &shares, &self.points, 0.0, &mut mean);
            let (ahead, kept) = (if i > 0 && i < STEPS { 0.5 } else { 0.0 }, (1.0 - next) / (1.0 - t));
            ndarray::Zip::from(&mut z).and(&mean).and(&before).for_each(|z, mean, before| {
                let mean = mean + ahead * (mean - before);
                *z = mean + kept * (*z - mean);
            });
        }
        Ok(())
    }
}

fn shape(e: ndarray::ShapeError) -> Error {
    Error::refused("closed-form diffusion", e.to_string())
}

/// shares_i += softmax_i( (t (z + sigma u) . x_i - t^2 |x_i|^2/2)/(1 - t)^2 ), which is that of
/// -|z + sigma u - t x_i|^2 / 2 (1 - t)^2. The lengths are multiples of [`W`].
struct AddShares<'a> {
    zx: &'a [f64],
    ux: &'a [f64],
    x2: &'a [f64],
    t: f64,
    memory: &'a mut [[f64; W]],
    shares: &'a mut [f64],
}

impl Kernel for AddShares<'_> {
    type Output = ();
    #[inline(always)]
    fn run<const FMA: bool>(self) {
        let (zx, ux, x2) = (self.zx.as_chunks::<W>().0, self.ux.as_chunks::<W>().0, self.x2.as_chunks::<W>().0);
        let a = self.t / ((1.0 - self.t) * (1.0 - self.t));
        let b = -0.5 * a * self.t;
        let mut top = [f64::NEG_INFINITY; W];
        for (((l, zx), ux), x2) in self.memory.iter_mut().zip(zx).zip(ux).zip(x2) {
            for i in 0..W {
                l[i] = a.fma::<FMA>(zx[i] + ux[i], b * x2[i]);
                top[i] = if l[i] > top[i] { l[i] } else { top[i] };
            }
        }
        let top = top.into_iter().fold(f64::NEG_INFINITY, f64::max);
        let mut total = [0.0; W];
        for l in self.memory.iter_mut() {
            for i in 0..W {
                l[i] = (l[i] - top).exp_neg_lane::<FMA>();
                total[i] += l[i];
            }
        }
        let scale = 1.0 / simd::sum(total);
        for (share, l) in self.shares.as_chunks_mut::<W>().0.iter_mut().zip(self.memory) {
            for i in 0..W {
                share[i] = l[i].fma::<FMA>(scale, share[i]);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::metrics::memorisation_ratio;
    use crate::mixture::{Covariances, Mixture};
    use ndarray::array;

    fn normals(n: usize, d: usize, chunk: u32) -> Array2<f64> {
        let mut x = Array2::zeros((n, d));
        Stream::new(5, Purpose::Test, 0, chunk).fill_normal(x.as_slice_mut().unwrap());
        x
    }

    /// (t m - z)/(1 - t)^2 is the score of the mixture of the N(t x_i, (1 - t)^2 I), and its mean over the
    /// perturbed points where there are any; 21 points, so that some lanes are empty.
    #[test]
    fn the_score_is_that_of_the_noised_points() {
        let (x, z, u) = (normals(21, 3, 0), normals(1, 3, 1), normals(2, 3, 2));
        let model = ClosedForm::new(x.view(), 0.7).unwrap();
        for t in [0.1, 0.5, 0.9] {
            let v = (1.0 - t) * (1.0 - t);
            let law = Mixture::new(Array1::from_elem(21, 1.0 / 21.0), &x * t, Covariances::Spherical(Array1::from_elem(21, v))).unwrap();
            // s(z + sigma u) less what the perturbation adds, -sigma u/(1 - t)^2, which has mean 0.
            let expected = (law.score((&z + &(&u * 0.7)).view()).unwrap() + &u * (0.7 / v)).mean_axis(ndarray::Axis(0)).unwrap();
            let (zx, ux, mut shares) = (z.dot(&model.points.t()), u.dot(&model.points.t()) * 0.7, vec![0.0; 32]);
            let (zx, x2) = (zx.row(0).to_vec(), model.squares.to_vec());
            for ux in ux.rows() {
                let (ux, memory) = (&ux.to_vec(), &mut [[0.0; W]; 2]);
                dispatch(AddShares { zx: &zx, ux, x2: &x2, t, memory, shares: &mut shares });
            }
            let mean = Array1::from(shares).dot(&model.points) / 2.0;
            for ((m, z), e) in mean.iter().zip(&z).zip(&expected) {
                let score = (t * m - z) / v;
                assert!((score - e).abs() <= 1e-11 * (1.0 + e.abs()), "t = {t}: {score} against {e}");
            }
        }
    }

    /// Copies without perturbations, and with those that are far smaller than the gaps; one point is where
    /// all ends.
    #[test]
    fn little_smoothing_copies() {
        let x = normals(40, 8, 3);
        for sigma in [0.0, 0.02] {
            let y = ClosedForm::new(x.view(), sigma).unwrap().sample(200, 1).unwrap();
            let ratio = memorisation_ratio(y.view(), x.view(), normals(40, 8, 4).view(), 0).unwrap();
            assert!(ratio <= 1e-12, "sigma = {sigma}: {ratio}");
        }
        let y = ClosedForm::new(array![[3.0, -1.0]].view(), 2.0).unwrap().sample(50, 1).unwrap();
        assert!(y.rows().into_iter().all(|y| (y[0] - 3.0).abs() <= 1e-12 && (y[1] + 1.0).abs() <= 1e-12));
    }

    /// Of the points -1 and 1 the flow ends at m = (1/M) sum_j sign(z + sigma u_j): for M = 2 at -1, 0 or 1.
    /// For large M that is erf(z/(sigma sqrt 2)), and the ends are where z is the same: at 0 alone if the slope
    /// there, sqrt(2/pi)/sigma, is below 1, and on either side else. What starts near 0 is slow to leave it, so
    /// that then the upper quartile of 400 ends is looked at, and all three otherwise; their standard errors
    /// are below .003 and .01.
    #[test]
    fn ends_are_barycentres() {
        let x = array![[-1.0], [1.0]];
        let y = ClosedForm::new(x.view(), 0.7).unwrap().sample(400, 2).unwrap();
        let near = |to: f64| y.iter().filter(|y| (*y - to).abs() <= 1e-6).count();
        let ends = [near(-1.0), near(0.0), near(1.0)];
        assert!(ends.iter().sum::<usize>() >= 395 && ends[1] >= 20, "{ends:?}");
        let ends = |sigma: f64, of: fn(f64) -> f64| {
            let y = ClosedForm::perturbed(x.view(), sigma, 1000).unwrap().sample(400, 3).unwrap();
            let mut ends: Vec<f64> = y.iter().map(|y| of(*y)).collect();
            ends.sort_by(f64::total_cmp);
            [ends[100], ends[200], ends[300]]
        };
        for sigma in [0.4f64, 0.5] {
            let fixed = (0..1000).fold(1.0f64, |z, _| (z / (sigma * 2f64.sqrt())).erf_lane::<false>());
            let upper = ends(sigma, f64::abs)[2];
            assert!((upper - fixed).abs() <= 0.01, "sigma = {sigma}: {upper} against {fixed}");
        }
        let quartiles = ends(2.0, |y| y);
        assert!(quartiles[1].abs() <= 0.03 && quartiles[0] >= -0.12 && quartiles[2] <= 0.12, "{quartiles:?}");
    }

    /// The same ways from the same starts with the same perturbations, by 2,000 steps of Euler's on the
    /// formulas as they are written down: among 64 points of a line the ends are all over it.
    #[test]
    fn steps_follow_the_flow() {
        let x = Array2::from_shape_fn((64, 1), |(i, _)| i as f64 / 32.0 - 1.0);
        let (model, n) = (ClosedForm::new(x.view(), 0.2).unwrap(), ROWS);
        let ends = model.sample(n, 4).unwrap();
        let (mut starts, mut eps, mut u): (Vec<usize>, _, _) = ((0..64).collect(), vec![0.0; n], vec![0.0; 2 * n]);
        Stream::new(4, Purpose::ClosedForm, 0, 0).shuffle(&mut starts);
        Stream::new(4, Purpose::ClosedForm, 1, 0).fill_normal(&mut eps);
        Stream::new(4, Purpose::ClosedForm, 2, 0).fill_normal(&mut u);
        let time = |i: usize| 1.0 / (1.0 + 0.8 * (0.01f64 / 0.8).powf(i as f64 / 2000.0));
        let mean = |z: f64, t: f64, u: f64| {
            let weights = x.mapv(|x| (-(z + 0.2 * u - t * x).powi(2) / (2.0 * (1.0 - t).powi(2))).exp());
            (&weights * &x).sum() / weights.sum()
        };
        for k in 0..n {
            let mut z = time(0) * x[[starts[k], 0]] + (1.0 - time(0)) * eps[k];
            for i in 0..=2000 {
                let (t, next) = (time(i), if i < 2000 { time(i + 1) } else { 1.0 });
                let m = 0.5 * (mean(z, t, u[2 * k]) + mean(z, t, u[2 * k + 1]));
                z += (next - t) * (m - z) / (1.0 - t);
            }
            assert!((ends[[k, 0]] - z).abs() <= 0.02, "{k}: {} against {z}", ends[[k, 0]]);
        }
    }

    /// The largest sigma whose samples are near enough: twice of it is too far. Where no held-out point is
    /// new there are copies.
    #[test]
    fn sigma_is_the_largest_that_is_near_enough() {
        let (x, held_out) = (normals(300, 2, 7), normals(200, 2, 8));
        let sigma = ClosedForm::fit(x.view(), held_out.view(), 0).unwrap().sigma();
        let energy = |sigma| {
            let y = ClosedForm::new(x.view(), sigma).unwrap().sample(JUDGED, 0).unwrap();
            energy_distance(y.view(), held_out.view()).unwrap()
        };
        let near = [energy(sigma), energy(2.0 * sigma)];
        assert!(near[0] <= 0.0 && near[1] > 0.0, "sigma = {sigma}: {near:?}");
        assert_eq!(ClosedForm::fit(x.view(), x.view(), 0).unwrap().sigma(), 0.0);
    }

    #[test]
    fn threads_change_nothing_and_bad_input_is_refused() {
        let x = normals(50, 3, 5);
        let model = ClosedForm::new(x.view(), 0.5).unwrap();
        let draw = |threads| {
            let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
            pool.install(|| model.sample(100, 7)).unwrap()
        };
        assert_eq!(draw(1), draw(3));
        for sigma in [-1.0, f64::NAN, f64::INFINITY] {
            assert!(ClosedForm::new(x.view(), sigma).is_err());
        }
        assert!(ClosedForm::new(array![[1.0, f64::NAN]].view(), 1.0).is_err() && ClosedForm::new(x.slice(s![..0, ..]), 1.0).is_err());
        assert!(
            ClosedForm::fit(x.view(), normals(9, 2, 6).view(), 0).is_err() && ClosedForm::fit(x.view(), x.slice(s![..1, ..]), 0).is_err()
        );
    }
}
