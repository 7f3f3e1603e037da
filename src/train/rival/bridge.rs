//! The light Schroedinger bridge from noise to the training points.

use super::{check_count, check_points};
use crate::metrics::energy_distance;
use crate::mixture::{Count, CovarianceKind, FitOptions, fit};
use crate::optim::{Adam, Decay, Schedule};
use crate::par;
use crate::rng::{Purpose, Stream};
use crate::{Error, Result};
use ndarray::{Array1, Array2, ArrayView2, Axis, concatenate, s};
use std::f64::consts::TAU;

/// Steps of Adam, its largest rate, and the points of a minibatch.
const STEPS: u64 = 1000;
const RATE: f64 = 0.02;
const BATCH: usize = 256;
/// Iterations of expectation-maximisation behind k-means: only a start.
const ITERATIONS: usize = 5;
/// Samples of a stream.
const ROWS: usize = 1024;
/// Candidates for epsilon, in units of the root mean square of the points' coordinates, as x . y is.
const EPSILONS: [f64; 5] = [0.1, 0.3, 1.0, 3.0, 10.0];
/// Samples whose energy distance to held-out points judges an epsilon.
const JUDGED: usize = 4000;

/// A light Schroedinger bridge (Korotin, Gushchin and Burnaev, arXiv:2310.01174) from x ~ N(0, I) to points
/// y. The plan of entropic optimal transport, which minimises E|x - y|^2/2 less epsilon times the entropy
/// of y given x, has the form pi(y|x) = exp(x . y/epsilon) v(y)/c(x). With an adjusted potential that is a
/// mixture,
///
/// v(y) = sum_k alpha_k N(y; r_k, epsilon S_k),   S_k diagonal,
/// c(x) = sum_k alpha_k exp( (x . S_k x + 2 r_k . x)/2 epsilon ),
///
/// the plan is a mixture, too, whose weights depend on x: with alpha_k(x) the terms of c(x),
///
/// pi(y|x) = (1/c(x)) sum_k alpha_k(x) N(y; r_k + S_k x, epsilon S_k).
///
/// Of all plans of this form the nearest to the right one, in the Kullback-Leibler divergence, minimises
///
/// L = E_x ln c(x) - E_y ln v(y),
///
/// y the training points, by 1,000 steps of Adam on minibatches. It starts with the clusters of the points,
/// at S_k^2 + epsilon S_k = C_k: then component k has mean m_k and covariance C_k where all x are its own.
///
/// ```
/// use ndarray::{Axis, array};
/// use ndsm::train::Bridge;
/// let points = array![[-3.0], [-2.0], [2.0], [3.0]];
/// let bridge = Bridge::new(points.view(), 1.0, 2, 0)?;
/// let y = bridge.sample(1000, 1)?;
/// assert!(y.mean_axis(Axis(0)).unwrap()[0].abs() < 0.4);
/// assert!(y.iter().filter(|y| y.abs() < 1.0).count() < 100);
/// # Ok::<(), ndsm::Error>(())
/// ```
#[derive(Debug, Clone)]
pub struct Bridge {
    potential: Potential,
}

impl Bridge {
    /// To the points `points` [n, d], of the regularisation `epsilon` > 0, their unit times that of x, with
    /// so many components. A function of these and of `seed`.
    ///
    /// # Errors
    /// No points, or points that are not finite, or all equal; another epsilon; no components, or more than
    /// different points; a gradient that overflows.
    pub fn new(points: ArrayView2<f64>, epsilon: f64, components: usize, seed: u64) -> Result<Self> {
        check_points("bridge", points)?;
        if !(epsilon > 0.0 && epsilon.is_finite()) {
            return Err(Error::invalid("bridge: epsilon", "finite and > 0", epsilon));
        }
        let mut potential = Potential::start(points, epsilon, components, seed)?;
        let adam = Adam::new(Schedule::new(RATE, STEPS / 20, STEPS, Decay::Cosine)?);
        let mut state = adam.start(potential.params.as_slice().unwrap_or(&[]))?;
        for step in 0..STEPS {
            let stream = |chunk| Stream::new(seed, Purpose::BridgeBatch, step, chunk);
            let mut x = Array2::zeros((BATCH, points.ncols()));
            stream(0).fill_normal(x.as_slice_mut().unwrap_or(&mut []));
            let mut rows = stream(1);
            let rows: Vec<usize> = (0..BATCH).map(|_| rows.below(points.nrows())).collect();
            let (_, gradient) = potential.loss(x.view(), points.select(Axis(0), &rows).view());
            let params = potential.params.as_slice_mut().unwrap_or(&mut []);
            if !adam.step(params, gradient.as_slice().unwrap_or(&[]), &mut state)?.norm.is_finite() {
                let remedy = "give it points of order 1, or a larger epsilon".to_owned();
                return Err(Error::NonFinite { place: "bridge: gradient".to_owned(), step: step as usize, remedy });
            }
        }
        Ok(Bridge { potential })
    }

    /// With the epsilon whose samples have the least energy distance to the points `held_out` [m, d], m >= 2,
    /// of five around the points' size. Losses of different epsilon cannot be compared.
    ///
    /// # Errors
    /// As [`Bridge::new`]; widths that differ; fewer than two held-out points.
    pub fn fit(points: ArrayView2<f64>, held_out: ArrayView2<f64>, components: usize, seed: u64) -> Result<Self> {
        check_points("bridge", points)?;
        check_points("bridge: held out", held_out)?;
        let size = (points.iter().map(|y| y * y).sum::<f64>() / points.len() as f64).sqrt();
        let judged = |epsilon: f64| -> Result<(f64, Self)> {
            let made = Self::new(points, epsilon * size, components, seed)?;
            Ok((energy_distance(made.sample(JUDGED, seed)?.view(), held_out)?, made))
        };
        let all = par::map(EPSILONS.len(), |i| Some(judged(EPSILONS[i])));
        let all: Vec<(f64, Self)> = all.into_iter().flatten().collect::<Result<_>>()?;
        let best = all.into_iter().min_by(|a, b| a.0.total_cmp(&b.0));
        best.map(|(_, made)| made).ok_or_else(|| Error::refused("bridge", "has no candidates"))
    }

    /// The regularisation.
    pub fn epsilon(&self) -> f64 {
        self.potential.epsilon
    }

    /// `n` samples y [n, d], a function of `seed` and of nothing else: x ~ N(0, I), then y ~ pi(.|x).
    ///
    /// # Errors
    /// More samples than can be numbered.
    pub fn sample(&self, n: usize, seed: u64) -> Result<Array2<f64>> {
        let Potential { epsilon, params } = &self.potential;
        let (a, r, s) = self.potential.parts();
        let d = params.nrows() / 2;
        check_count("bridge", n, d, ROWS)?;
        let mut y = vec![0.0; n * d];
        par::each(par::chunks_mut(&mut y, ROWS * d), |chunk, y| {
            let mut stream = Stream::new(seed, Purpose::Bridge, 0, chunk as u32);
            let (mut normals, mut weights) = (vec![0.0; 2 * d], vec![0.0; a.len()]);
            for y in y.chunks_exact_mut(d) {
                stream.fill_normal(&mut normals);
                let (x, z) = normals.split_at(d);
                for (k, w) in weights.iter_mut().enumerate() {
                    *w = a[k] + x.iter().enumerate().map(|(j, x)| x * (0.5 * s[[j, k]] * x + r[[j, k]])).sum::<f64>() / epsilon;
                }
                let top = weights.iter().copied().fold(f64::NEG_INFINITY, f64::max);
                weights.iter_mut().for_each(|w| *w = (*w - top).exp());
                let k = stream.weighted(&weights);
                for (j, y) in y.iter_mut().enumerate() {
                    *y = r[[j, k]] + s[[j, k]] * x[j] + (epsilon * s[[j, k]]).sqrt() * z[j];
                }
            }
        });
        Array2::from_shape_vec((n, d), y).map_err(|e| Error::refused("bridge", e.to_string()))
    }
}

/// The adjusted potential ln v as a function of what is learned.
#[derive(Debug, Clone)]
struct Potential {
    epsilon: f64,
    /// min(1, epsilon) ln alpha_k, r_k and ln S_k, below each other, [1 + 2 d, k]: ln alpha is of the order
    /// of 1/epsilon, and Adam's steps are of one size.
    params: Array2<f64>,
}

impl Potential {
    /// From a few iterations of expectation-maximisation. A component is to have the x that are nearest to
    /// its mean: alpha_k = w_k exp( -|r_k|^2/2 epsilon ).
    fn start(points: ArrayView2<f64>, epsilon: f64, components: usize, seed: u64) -> Result<Self> {
        let (kind, components) = (CovarianceKind::Diagonal, Count::Fixed(components));
        let options = FitOptions { kind, components, restarts: 1, max_iterations: ITERATIONS, seed, ..FitOptions::default() };
        let law = fit(points, &options).map_err(|e| e.within("bridge"))?.mixture;
        let (d, means) = (points.ncols(), law.means());
        let params = Array2::from_shape_fn((1 + 2 * d, law.components()), |(i, k)| match i {
            0 => epsilon.min(1.0) * (law.weights()[k].max(f64::MIN_POSITIVE).ln() - 0.5 * means.row(k).dot(&means.row(k)) / epsilon),
            i if i <= d => means[[k, i - 1]],
            i => {
                let v = law.covariance(k)[[i - d - 1, i - d - 1]];
                // The positive root of S^2 + epsilon S = v, without cancellation.
                (2.0 * v / (epsilon + (epsilon * epsilon + 4.0 * v).sqrt())).ln()
            }
        });
        Ok(Potential { epsilon, params })
    }

    /// ln alpha, `[k]`, r and S, [d, k].
    fn parts(&self) -> (Array1<f64>, ArrayView2<'_, f64>, Array2<f64>) {
        let d = self.params.nrows() / 2;
        let (r, log_s) = (self.params.slice(s![1..=d, ..]), self.params.slice(s![d + 1.., ..]));
        (&self.params.row(0) / self.epsilon.min(1.0), r, log_s.mapv(f64::exp))
    }

    /// L of the points `x` and `y`, [n, d], and its gradient, shaped as the parameters. With p_k(x) the
    /// shares of the terms of c, q_k(y) those of v, and means over the points:
    ///
    /// dL/d ln alpha_k = E p_k - E q_k,
    /// dL/d r_k = E p_k x/epsilon - E q_k (y - r_k)/epsilon S_k,
    /// dL/d ln S_k = E p_k S_k x^2/2 epsilon - E q_k ( (y - r_k)^2/2 epsilon S_k - 1/2 ).
    fn loss(&self, x: ArrayView2<f64>, y: ArrayView2<f64>) -> (f64, Array2<f64>) {
        let ((a, r, s), epsilon) = (self.parts(), self.epsilon);
        let (d, v) = (r.nrows(), &s * epsilon);
        let (ln_c, p, px) = shares(x, a.clone(), concatenate![Axis(0), &r / epsilon, &s / (2.0 * epsilon)]);
        let constants = a - (&r * &r / &v + v.mapv(|v| (TAU * v).ln())).sum_axis(Axis(0)) * 0.5;
        let (ln_v, q, qy) = shares(y, constants, concatenate![Axis(0), &r / &v, v.mapv(|v| -0.5 / v)]);
        let gradient = Array2::from_shape_fn(self.params.dim(), |(i, k)| {
            if i == 0 {
                return (p[k] - q[k]) / epsilon.min(1.0);
            }
            let j = (i - 1) % d;
            let (r, s, v) = (r[[j, k]], s[[j, k]], v[[j, k]]);
            if i <= d {
                px[[j, k]] / epsilon - (qy[[j, k]] - q[k] * r) / v
            } else {
                0.5 * (px[[d + j, k]] * s / epsilon - (qy[[d + j, k]] - 2.0 * r * qy[[j, k]] + r * r * q[k]) / v + q[k])
            }
        });
        (ln_c - ln_v, gradient)
    }
}

/// Of the logits l_k(x) = constants_k + sum_j (A_jk x_j + B_jk x_j^2), (A, B) = `coefficients` [2 d, k], with
/// w = softmax l: the means over the rows of `x` of ln sum_k e^l_k, of w, `[k]`, and of (x, x^2) w, [2 d, k].
fn shares(x: ArrayView2<f64>, constants: Array1<f64>, coefficients: Array2<f64>) -> (f64, Array1<f64>, Array2<f64>) {
    let features = concatenate![Axis(1), x, x.mapv(|x| x * x)];
    let (mut w, n, mut sum) = (features.dot(&coefficients) + &constants, x.nrows() as f64, 0.0);
    for mut l in w.rows_mut() {
        let top = l.iter().copied().fold(f64::NEG_INFINITY, f64::max);
        l.mapv_inplace(|l| (l - top).exp());
        let total = l.sum();
        l /= total;
        sum += top + total.ln();
    }
    (sum / n, w.sum_axis(Axis(0)) / n, features.t().dot(&w) / n)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::mixture::{Covariances, Mixture};
    use ndarray::array;

    fn normals(n: usize, d: usize, chunk: u32) -> Array2<f64> {
        let mut x = Array2::zeros((n, d));
        Stream::new(6, Purpose::Test, 0, chunk).fill_normal(x.as_slice_mut().unwrap());
        x
    }

    /// ln v is the log-density of a mixture, ln c the sum as it is written down, and the gradient that of
    /// central differences, on either side of epsilon = 1.
    #[test]
    fn the_loss_is_its_formula_and_has_its_gradient() {
        let (x, y) = (normals(7, 3, 0), normals(9, 3, 1));
        for epsilon in [0.3, 2.0] {
            let mut potential = Potential { epsilon, params: normals(7, 4, 2) * 0.5 };
            let (value, gradient) = potential.loss(x.view(), y.view());
            let (a, r, s) = potential.parts();
            let alpha = a.mapv(f64::exp);
            let law = Mixture::new(&alpha / alpha.sum(), r.t().to_owned(), Covariances::Diagonal(s.t().to_owned() * epsilon)).unwrap();
            let ln_v = law.log_density(y.view()).unwrap().mean().unwrap() + alpha.sum().ln();
            let term = |x: ndarray::ArrayView1<f64>, k: usize| {
                let q: f64 = (0..3).map(|j| x[j] * x[j] * s[[j, k]] + 2.0 * r[[j, k]] * x[j]).sum();
                alpha[k] * (q / (2.0 * epsilon)).exp()
            };
            let ln_c = x.rows().into_iter().map(|x| (0..4).map(|k| term(x, k)).sum::<f64>().ln()).sum::<f64>() / 7.0;
            assert!((value - (ln_c - ln_v)).abs() <= 1e-12 * (1.0 + value.abs()), "{value} against {}", ln_c - ln_v);
            for at in ndarray::indices(gradient.dim()) {
                let (here, h) = (potential.params[at], 1e-5);
                let mut beside = |p| {
                    potential.params[at] = p;
                    potential.loss(x.view(), y.view()).0
                };
                let slope = (beside(here + h) - beside(here - h)) / (2.0 * h);
                potential.params[at] = here;
                assert!((slope - gradient[at]).abs() <= 1e-7 * (1.0 + slope.abs()), "{at:?}: {slope} against {}", gradient[at]);
            }
        }
    }

    /// From N(0, I) to N(m, diag C) the plan of entropic transport is y | x ~ N(m + S x, epsilon S) with S
    /// the root of S^2 + epsilon S = C: there the gradient vanishes, on points that have just these moments,
    /// and learning gets there. Its samples have the mean and the variances of the points, within 4.5
    /// standard errors (99.99 % of six) and what learning leaves.
    #[test]
    fn between_gaussians_the_bridge_is_the_entropic_plan() {
        let corners = |scale: [f64; 3], shift: [f64; 3]| {
            Array2::from_shape_fn((8, 3), |(i, j)| shift[j] + scale[j] * (if i >> j & 1 == 1 { 1.0 } else { -1.0 }))
        };
        let (m, sd) = ([1.0, -2.0, 0.0], [0.5, 1.0, 2.0]);
        let (x, y) = (corners([1.0; 3], [0.0; 3]), corners(sd, m));
        for epsilon in [0.2f64, 3.0] {
            let s = sd.map(|sd| 0.5 * ((epsilon * epsilon + 4.0 * sd * sd).sqrt() - epsilon));
            let params = Array2::from_shape_fn((7, 1), |(i, _)| match i {
                0 => 0.7,
                i if i <= 3 => m[i - 1],
                i => s[i - 4].ln(),
            });
            let (_, gradient) = Potential { epsilon, params }.loss(x.view(), y.view());
            assert!(gradient.iter().all(|g| g.abs() <= 1e-12), "{gradient}");
            let bridge = Bridge::new(y.view(), epsilon, 1, 0).unwrap();
            let (_, r, learned) = bridge.potential.parts();
            for j in 0..3 {
                assert!((learned[[j, 0]] / s[j] - 1.0).abs() <= 0.02, "S {j}: {} against {}", learned[[j, 0]], s[j]);
                assert!((r[[j, 0]] - m[j]).abs() <= 0.02 * sd[j], "r {j}: {} against {}", r[[j, 0]], m[j]);
            }
            let (n, made) = (40_000, bridge.sample(40_000, 1).unwrap());
            for j in 0..3 {
                let (mean, variance) = (made.column(j).mean().unwrap(), made.column(j).var(1.0));
                assert!((mean - m[j]).abs() <= sd[j] * (4.5 / (n as f64).sqrt() + 0.02), "mean {j}: {mean}");
                assert!((variance / (sd[j] * sd[j]) - 1.0).abs() <= 4.5 * (2.0 / n as f64).sqrt() + 0.04, "variance {j}: {variance}");
            }
        }
    }

    /// Two clusters of unequal weights are reached with their weights; the same bits on any number of
    /// threads; nonsense is refused.
    #[test]
    fn clusters_keep_their_weights_and_bad_input_is_refused() {
        let law = Covariances::Spherical(array![0.3, 0.3]);
        let law = Mixture::new(array![0.25, 0.75], array![[-3.0, 0.0], [3.0, 1.0]], law).unwrap();
        let draw = |n, seed| law.sample(n, seed, Purpose::Test, crate::mixture::Draw::Systematic).unwrap().0;
        let (points, held_out) = (draw(400, 1), draw(200, 2));
        let fit = |threads| {
            let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
            pool.install(|| Bridge::fit(points.view(), held_out.view(), 2, 0)?.sample(4000, 1)).unwrap()
        };
        let made = fit(1);
        assert_eq!(made, fit(3));
        // A draw of 4,000 leaves .007 as the standard error.
        let share = made.rows().into_iter().filter(|y| y[0] < 0.0).count() as f64 / 4000.0;
        assert!((share - 0.25).abs() <= 0.05, "{share}");
        for epsilon in [0.0, -1.0, f64::NAN] {
            assert!(Bridge::new(points.view(), epsilon, 2, 0).is_err());
        }
        assert!(Bridge::new(points.view(), 1.0, 0, 0).is_err() && Bridge::new(points.slice(s![..3, ..]), 1.0, 4, 0).is_err());
        assert!(Bridge::new(array![[f64::NAN]].view(), 1.0, 1, 0).is_err());
        assert!(Bridge::fit(points.view(), normals(9, 3, 0).view(), 2, 0).is_err());
    }
}
