//! Calibration of a trained network by regression (20).
//!
//! net* = c_1(t) net + c_2(t) sbar u + c_3(t) sbar g(u), u the whitened point, g the guide's score; c is
//! piecewise linear in ln t and chosen by least squares of the target on the three regressors over noised
//! held-out points. The uncalibrated network, c = (1, 0, 0), and none at all, c = 0, are among the candidates:
//! over the draws of the fit the gain (19) of net* is not above that of either, but for the ridge; and what is
//! left of the target is orthogonal to u, so that the samples' variance is right to first order. Few
//! coefficients need few points. Whether they are an improvement is decided on points that they were not
//! fitted to: fold by fold, the coefficients of the other folds.

use super::System;
use super::held_out::{HeldOut, Mean};
use crate::linalg::Cholesky;
use crate::{Error, Real, Result};
use ndarray::{Array1, Array2, ArrayView1, ArrayView2};

/// Knots of the coefficients, at times that as many draws lie between.
const KNOTS: usize = 8;
/// Regressors.
const TERMS: usize = 3;
const SIZE: usize = KNOTS * TERMS;
/// Most folds of the held-out points.
const FOLDS: usize = 10;
/// Draws, each a pair, and the most numbers that their points have.
const DRAWS: usize = 16_384;
const NUMBERS: usize = 1 << 22;
/// Ridges that are tried, in units of each regressor's mean square.
const RIDGES: [f64; 4] = [1e-4, 1e-3, 1e-2, 1e-1];

/// The coefficients of (20), and what they are worth on held-out points.
#[derive(Debug, Clone, PartialEq)]
pub struct Calibration {
    /// Increasing times.
    pub times: Vec<f64>,
    /// c_1, c_2, c_3 at each of them.
    pub coefficients: Vec<[f64; 3]>,
    /// The held-out gain (19) without the calibration.
    pub plain: Mean,
    /// And with it, each point by the coefficients of the folds that it is not in.
    pub calibrated: Mean,
}

impl Calibration {
    /// Whether it leaves the network as it is: no coefficients were better on points that they were not fitted
    /// to.
    pub fn is_identity(&self) -> bool {
        self.coefficients.iter().all(|c| *c == [1.0, 0.0, 0.0])
    }

    /// c_1, c_2, c_3 at time `t`: linear in ln t between the knots, constant beyond them.
    pub fn at(&self, t: f64) -> [f64; 3] {
        let hats = Hats::new(&self.times, t);
        std::array::from_fn(|j| hats.0.iter().map(|(knot, weight)| weight * self.coefficients[*knot][j]).sum())
    }

    /// Fits the coefficients of the network with the parameters `params` to the rows of `u` [m, d], whitened
    /// held-out points, noised by `seed`.
    ///
    /// # Errors
    /// As the noising; parameters of another network.
    pub(super) fn fit<R: Real>(system: &System<R>, u: ArrayView2<f64>, params: &[R], seed: u64) -> Result<Self> {
        let draws = (NUMBERS / (2 * u.ncols().max(1))).clamp(1, DRAWS);
        let mut held_out = HeldOut::new(system, u, draws, (seed, 2))?;
        let added = held_out.added(params)?;
        let times = knots(&held_out.times);
        let folds = u.nrows().min(FOLDS);
        let mut forms: Vec<Form> = (0..folds).map(|_| Form::default()).collect();
        let d = system.model.dim();
        for (i, t) in held_out.times.iter().enumerate() {
            let (hats, sbar) = (Hats::new(&times, *t), system.model.scale.sbar(*t));
            let form = &mut forms[held_out.owners[i] % folds];
            for at in [2 * i, 2 * i + 1].map(|row| row * d..(row + 1) * d) {
                let rows = [&added[at.clone()], &held_out.points[at.clone()], &held_out.guide[at.clone()]];
                form.add(&hats, rows, sbar, &held_out.targets[at]);
            }
        }
        let plain = held_out.gain(&added).whole;
        let all = Form::sum(&forms);
        let others: Vec<Form> = forms.iter().map(|form| all.less(form)).collect();
        let unchanged = Calibration { coefficients: vec![[1.0, 0.0, 0.0]; times.len()], times, plain, calibrated: plain };
        if folds < 2 {
            return Ok(unchanged);
        }
        let mut best = unchanged;
        for ridge in RIDGES {
            let fitted: Vec<Array1<f64>> = others.iter().map(|form| form.solve(ridge)).collect::<Result<_>>()?;
            let gain = |form: &Form, c: &Array1<f64>| form.gain(c.view());
            let total: f64 = forms.iter().zip(&fitted).map(|(form, c)| gain(form, c)).sum();
            if total / (2 * held_out.times.len()) as f64 <= best.calibrated.value - 1e-12 {
                // Knots beyond the last belong to no draw.
                let knots = best.times.len();
                let of = |c: &Array1<f64>| (0..knots).map(|k| std::array::from_fn(|j| c[k * TERMS + j])).collect::<Vec<_>>();
                let fold = |i: usize| Calibration { coefficients: of(&fitted[i]), ..best.clone() };
                let each: Vec<Calibration> = (0..folds).map(fold).collect();
                let whole = apply(&held_out, &added, d, |owner, t| each[owner % folds].at(t), |t| system.model.scale.sbar(t));
                best.calibrated = held_out.gain(&whole).whole;
                best.coefficients = of(&all.solve(ridge)?);
            }
        }
        Ok(best)
    }
}

/// net* times sbar at the points of `held_out`, with the coefficients `c(owner, t)`.
fn apply<R: Real>(held_out: &HeldOut<R>, added: &[R], d: usize, c: impl Fn(usize, f64) -> [f64; 3], sbar: impl Fn(f64) -> f64) -> Vec<R> {
    let mut out = added.to_vec();
    for (i, (owner, t)) in held_out.owners.iter().zip(&held_out.times).enumerate() {
        let [c1, c2, c3] = c(*owner, *t);
        let [c1, c2, c3] = [c1, c2 * sbar(*t), c3].map(R::of);
        for j in 2 * i * d..2 * (i + 1) * d {
            out[j] = c1 * added[j] + c2 * held_out.points[j] + c3 * held_out.guide[j];
        }
    }
    out
}

/// Times that as many draws lie between, the first and the last in the middle of their share; fewer where
/// draws have few times.
fn knots(times: &[f64]) -> Vec<f64> {
    let mut sorted = times.to_vec();
    sorted.sort_by(f64::total_cmp);
    let mut knots: Vec<f64> = (0..KNOTS).map(|k| sorted[(2 * k + 1) * sorted.len() / (2 * KNOTS)]).collect();
    knots.dedup();
    knots
}

/// The two hat functions in ln t that are not 0 at a time, and their values.
struct Hats([(usize, f64); 2]);

impl Hats {
    fn new(times: &[f64], t: f64) -> Self {
        let after = times.partition_point(|knot| *knot <= t);
        if after == 0 || after == times.len() {
            let end = after.min(times.len() - 1);
            return Hats([(end, 1.0), (end, 0.0)]);
        }
        let (low, high) = (times[after - 1], times[after]);
        let share = (t / low).ln() / (high / low).ln();
        Hats([(after - 1, 1.0 - share), (after, share)])
    }
}

/// Sum of |r*|^2 - 2 r* . y over rows as a quadratic form c A c - 2 b c in the coefficients, knot by knot.
#[derive(Clone)]
struct Form {
    a: Array2<f64>,
    b: Array1<f64>,
}

impl Default for Form {
    fn default() -> Self {
        Form { a: Array2::zeros((SIZE, SIZE)), b: Array1::zeros(SIZE) }
    }
}

impl Form {
    /// A row: what the network adds, u before it is multiplied with `sbar`, and the guide; and its target.
    fn add<R: Real>(&mut self, hats: &Hats, rows: [&[R]; TERMS], sbar: f64, y: &[R]) {
        let scale = [1.0, sbar, 1.0];
        let dot = |x: &[R], y: &[R]| x.iter().zip(y).map(|(x, y)| x.f64() * y.f64()).sum::<f64>();
        for p in 0..TERMS {
            let product = scale[p] * dot(rows[p], y);
            hats.0.iter().for_each(|(k, w)| self.b[k * TERMS + p] += w * product);
            for q in 0..=p {
                let product = scale[p] * scale[q] * dot(rows[p], rows[q]);
                for (k, wk) in hats.0 {
                    for (l, wl) in hats.0 {
                        self.a[[k * TERMS + p, l * TERMS + q]] += wk * wl * product;
                        if p != q {
                            self.a[[l * TERMS + q, k * TERMS + p]] += wk * wl * product;
                        }
                    }
                }
            }
        }
    }

    fn sum(forms: &[Form]) -> Form {
        forms.iter().fold(Form::default(), |sum, form| Form { a: sum.a + &form.a, b: sum.b + &form.b })
    }

    fn less(&self, part: &Form) -> Form {
        Form { a: &self.a - &part.a, b: &self.b - &part.b }
    }

    fn gain(&self, c: ArrayView1<f64>) -> f64 {
        c.dot(&self.a.dot(&c)) - 2.0 * self.b.dot(&c)
    }

    /// The minimum with a ridge toward (1, 0, 0) at every knot.
    fn solve(&self, ridge: f64) -> Result<Array1<f64>> {
        let start = Array1::from_shape_fn(SIZE, |i| if i % TERMS == 0 { 1.0 } else { 0.0 });
        let (mut a, mut b) = (self.a.clone(), self.b.clone());
        // A knot that no draw is near, or a network without an output, has no curvature of its own.
        let least = 1e-12 * self.a.diag().iter().fold(0.0, |m: f64, v| m.max(*v)) + f64::MIN_POSITIVE;
        for i in 0..SIZE {
            let penalty = ridge * self.a[[i, i]].max(least);
            a[[i, i]] += penalty;
            b[i] += penalty * start[i];
        }
        let factor = Cholesky::new(a.view()).map_err(|_| Error::refused("calibration", "the draws' moments are not finite"))?;
        factor.solve_vec(b.view())
    }
}
