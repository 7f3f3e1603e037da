//! Calibration of a trained network by regression (20).
//!
//! net* = c_1(t) net + c_2(t) sbar u + c_3(t) sbar g(u), u the whitened point, g the guide's score (of a velocity 1
//! stands for sbar); c is
//! piecewise linear in ln t and chosen by least squares of the target on the three regressors over noised
//! held-out points. The uncalibrated network, c = (1, 0, 0), and none at all, c = 0, are among the
//! candidates: over the draws of the fit the gain (19) of net* is not above that of either, but for the
//! ridge; and what is left of the target is orthogonal to u, so that the samples' variance is right to first
//! order. Few coefficients need few points. Whether they are an improvement is decided on points that they
//! were not fitted to, fold by fold with the coefficients of the other folds, and by more than chance: what
//! generates has a gain below 0 by two standard errors of its own, the corrected network where it is also
//! better than the plain one by one; otherwise the guide does, c = 0.

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
/// Standard errors by which a gain must be below that of no network, and an improvement below no improvement.
const SURE: f64 = 2.0;
const BETTER: f64 = 1.0;
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
    /// Whether it leaves the network as it is: no coefficients were better on points that they were not
    /// fitted to.
    pub fn is_identity(&self) -> bool {
        self.coefficients.iter().all(|c| *c == [1.0, 0.0, 0.0])
    }

    /// Whether it leaves the network out: the guide alone generates.
    pub fn is_guide(&self) -> bool {
        self.coefficients.iter().all(|c| *c == [0.0; 3])
    }

    /// c_1, c_2, c_3 at time `t`: linear in ln t between the knots, constant beyond them.
    pub fn at(&self, t: f64) -> [f64; 3] {
        let hats = Hats::new(&self.times, t);
        std::array::from_fn(|j| hats.0.iter().map(|(knot, weight)| weight * self.coefficients[*knot][j]).sum())
    }

    /// What the network adds at the points of `held_out`, corrected.
    pub(super) fn applied<R: Real>(&self, system: &System<R>, held_out: &HeldOut<R>, added: &[R]) -> Vec<R> {
        apply(held_out, added, |_, t| self.at(t), |t| system.regression.unit(system.model.scale, t))
    }

    /// Fits the coefficients of the network with the parameters `params` to the rows of `u` [m, d], whitened
    /// held-out points, with their labels if there are any, noised by `seed`.
    ///
    /// # Errors
    /// As the noising; parameters of another network.
    pub(super) fn fit<R: Real>(system: &System<R>, (u, labels): (ArrayView2<f64>, &[u32]), params: &[R], seed: u64) -> Result<Self> {
        let draws = (NUMBERS / (2 * u.ncols().max(1))).clamp(1, DRAWS);
        let mut held_out = HeldOut::new(system, u, labels, draws, (seed, 2))?;
        let added = held_out.added(params)?;
        let times = knots(&held_out.times);
        let folds = u.nrows().min(FOLDS);
        let mut forms: Vec<Form> = (0..folds).map(|_| Form::default()).collect();
        let d = system.model.dim();
        for (i, t) in held_out.times.iter().enumerate() {
            let (hats, unit) = (Hats::new(&times, *t), system.regression.unit(system.model.scale, *t));
            let form = &mut forms[held_out.owners[i] % folds];
            for at in [2 * i, 2 * i + 1].map(|row| row * d..(row + 1) * d) {
                let rows = [&added[at.clone()], &held_out.points[at.clone()], &held_out.guide[at.clone()]];
                form.add(&hats, rows, unit, &held_out.targets[at]);
            }
        }
        let plain = held_out.gain(&added).whole;
        let all = Form::sum(&forms);
        let others: Vec<Form> = forms.iter().map(|form| all.less(form)).collect();
        let constant =
            |c: [f64; 3], calibrated| Calibration { times: times.clone(), coefficients: vec![c; times.len()], plain, calibrated };
        let guide = constant([0.0; 3], Mean { value: 0.0, error: 0.0 });
        let mut best = if below(plain, SURE) { constant([1.0, 0.0, 0.0], plain) } else { guide };
        if folds < 2 {
            return Ok(best);
        }
        let mut tried: Vec<(f64, f64, Vec<Array1<f64>>)> = Vec::new();
        for ridge in RIDGES {
            let fitted: Vec<Array1<f64>> = others.iter().map(|form| form.solve(ridge)).collect::<Result<_>>()?;
            tried.push((forms.iter().zip(&fitted).map(|(form, c)| form.gain(c.view())).sum(), ridge, fitted));
        }
        if let Some((_, ridge, fitted)) = tried.into_iter().min_by(|a, b| a.0.total_cmp(&b.0)) {
            // Knots beyond the last belong to no draw.
            let of = |c: &Array1<f64>| (0..times.len()).map(|k| std::array::from_fn(|j| c[k * TERMS + j])).collect::<Vec<_>>();
            let each: Vec<Calibration> = fitted.iter().map(|c| Calibration { coefficients: of(c), ..best.clone() }).collect();
            let whole = apply(&held_out, &added, |owner, t| each[owner % folds].at(t), |t| system.regression.unit(system.model.scale, t));
            let calibrated = held_out.gain(&whole).whole;
            if corrected(plain, calibrated, held_out.difference(&whole, &added)) {
                best = Calibration { coefficients: of(&all.solve(ridge)?), calibrated, ..best };
            }
        }
        Ok(best)
    }
}

/// Whether a mean is below 0 by more than so many standard errors.
fn below(mean: Mean, errors: f64) -> bool {
    mean.value + errors * mean.error < 0.0
}

/// Whether the corrected network generates, by its gain, that of the plain network, and the difference. From
/// few points a correction can look better than a network that is hardly better than none, and be worse than
/// none: it must be sure by itself.
fn corrected(plain: Mean, calibrated: Mean, difference: Mean) -> bool {
    below(calibrated, SURE) && (!below(plain, SURE) || below(difference, BETTER))
}

/// net* times the unit of S at the points of `held_out`, with the coefficients `c(owner, t)`.
fn apply<R: Real>(held_out: &HeldOut<R>, added: &[R], c: impl Fn(usize, f64) -> [f64; 3], unit: impl Fn(f64) -> f64) -> Vec<R> {
    let mut out = added.to_vec();
    // Both points of a pair.
    let size = 2 * held_out.dim;
    let rows = out.chunks_exact_mut(size).zip(held_out.points.chunks_exact(size).zip(held_out.guide.chunks_exact(size)));
    for ((out, (u, g)), (owner, t)) in rows.zip(held_out.owners.iter().zip(&held_out.times)) {
        let [c1, c2, c3] = c(*owner, *t);
        correct([c1, c2 * unit(*t), c3], out, u, g);
    }
    out
}

/// (20) in place: c_1 net + c_2 u + c_3 g.
pub(super) fn correct<R: Real>(c: [f64; 3], net: &mut [R], u: &[R], guide: &[R]) {
    let [c1, c2, c3] = c.map(R::of);
    net.iter_mut().zip(u).zip(guide).for_each(|((r, u), g)| *r = c1 * *r + c2 * *u + c3 * *g);
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
    /// A row: what the network adds, u before it is multiplied with `unit`, and the guide; and its target.
    fn add<R: Real>(&mut self, hats: &Hats, rows: [&[R]; TERMS], unit: f64, y: &[R]) {
        let scale = [1.0, unit, 1.0];
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rng::{Purpose, Stream};
    use crate::train::watch::tests::prepared;
    use ndarray::s;

    /// Linear in ln t between the knots, constant beyond.
    #[test]
    fn coefficients_are_interpolated() {
        let mean = Mean { value: 0.0, error: 0.0 };
        let coefficients = vec![[1.0, 0.0, 0.5], [0.0, 2.0, 0.5], [4.0, 0.0, 0.5]];
        let c = Calibration { times: vec![0.1, 1.0, 10.0], coefficients, plain: mean, calibrated: mean };
        let half = 10f64.sqrt();
        for (t, expected) in [(0.01, [1.0, 0.0]), (0.1, [1.0, 0.0]), (0.1 * half, [0.5, 1.0]), (half, [2.0, 1.0]), (50.0, [4.0, 0.0])] {
            let got = c.at(t);
            assert!((got[0] - expected[0]).abs() + (got[1] - expected[1]).abs() <= 1e-12 && got[2] == 0.5, "{t}: {got:?}");
        }
        assert!(!c.is_identity() && Calibration { coefficients: vec![[1.0, 0.0, 0.0]; 3], ..c }.is_identity());
    }

    /// Gains of a run on 20 held-out points (near-c2, 100 points) whose correction was .113 above 0 on fresh
    /// ones; and those of a run that is sure of both.
    #[test]
    fn a_correction_is_sure_by_itself() {
        let mean = |value, error| Mean { value, error };
        assert!(!corrected(mean(-0.0049, 0.0019), mean(-0.0991, 0.0547), mean(-0.0942, 0.0547)));
        let (plain, calibrated) = (mean(-2.26, 0.07), mean(-2.41, 0.07));
        assert!(corrected(plain, calibrated, mean(-0.15, 0.02)) && !corrected(plain, calibrated, mean(-0.15, 0.2)));
        // A network that is not sure itself may be mended.
        assert!(corrected(mean(0.3, 0.2), mean(-0.3, 0.1), mean(-0.6, 0.9)));
    }

    /// The quadratic form is the gain of what the coefficients make, row by row, and its minimum has no
    /// slope.
    #[test]
    fn the_form_is_the_gain() {
        let times = [0.1, 0.2, 0.4, 0.8, 1.6, 2.0, 3.0, 4.0];
        let (mut form, mut stream) = (Form::default(), Stream::new(1, Purpose::Test, 0, 0));
        let mut rows = Vec::new();
        for i in 0..200 {
            let mut row = [[0.0; 3]; 4];
            stream.fill_normal(row.as_flattened_mut());
            let (t, sbar) = (0.05 * 1.025f64.powi(i), 0.7);
            form.add(&Hats::new(&times, t), [&row[0], &row[1], &row[2]], sbar, &row[3]);
            rows.push((t, sbar, row));
        }
        let gain = |c: &Array1<f64>| -> f64 {
            let coefficients = (0..KNOTS).map(|k| std::array::from_fn(|j| c[3 * k + j])).collect();
            let mean = Mean { value: 0.0, error: 0.0 };
            let c = Calibration { times: times.to_vec(), coefficients, plain: mean, calibrated: mean };
            let of = |(t, sbar, row): &(f64, f64, [[f64; 3]; 4])| {
                let [c1, c2, c3] = c.at(*t);
                (0..3)
                    .map(|j| (c1 * row[0][j] + c2 * sbar * row[1][j] + c3 * row[2][j], row[3][j]))
                    .map(|(r, y)| r * (r - 2.0 * y))
                    .sum::<f64>()
            };
            rows.iter().map(of).sum()
        };
        let best = form.solve(0.0).unwrap();
        assert!((form.gain(best.view()) - gain(&best)).abs() <= 1e-9 * gain(&best).abs());
        for i in 0..SIZE {
            let moved = |h: f64| {
                let mut c = best.clone();
                c[i] += h;
                gain(&c)
            };
            assert!(moved(1e-3) > gain(&best) && (moved(1e-3) - moved(-1e-3)).abs() <= 1e-7 * gain(&best).abs(), "coefficient {i}");
        }
    }

    /// A network of pure noise ends as no network, one that is right stays as it is, and neither is made
    /// worse: over the draws of the fit never, and on other points not beyond three standard errors.
    #[test]
    fn noise_is_turned_off_and_a_right_network_stays() {
        let prepared = prepared(&[("data.n", "3000"), ("train.steps", "400"), ("network.width", "32")]);
        let mut trainer = prepared.trainer::<f64>().unwrap();
        (0..400).for_each(|_| drop(trainer.step().unwrap()));
        let u = prepared.reference.whitening.whiten(prepared.held_out().unwrap().slice(s![..2000, ..])).unwrap();
        let (first, second) = u.view().split_at(ndarray::Axis(0), 1000);
        let system = trainer.system();
        let mut noise = trainer.state().params.clone();
        Stream::new(4, Purpose::Test, 0, 0).fill_normal(&mut noise);
        let trained = trainer.state().generating().to_vec();
        for (params, is_noise) in [(&noise, true), (&trained, false)] {
            let c = Calibration::fit(system, (first, &[]), params, 5).unwrap();
            let (low, high) = c.coefficients.iter().fold((f64::MAX, f64::MIN), |(low, high), c| (low.min(c[0]), high.max(c[0])));
            assert!(c.calibrated.value <= c.plain.value && c.calibrated.value <= 3.0 * c.calibrated.error, "{c:?}");
            if is_noise {
                assert!(c.plain.value > 1.0 && c.is_guide() && low == high, "{c:?}");
            } else {
                let won = c.plain.value - c.calibrated.value;
                assert!(c.plain.value < -10.0 * c.plain.error && won <= -0.2 * c.plain.value, "{c:?}");
            }
            // On points that the fit has not seen.
            let mut other = HeldOut::new(system, second, &[], 4000, (6, 0)).unwrap();
            let added = other.added(params).unwrap();
            let calibrated = apply(&other, &added, |_, t| c.at(t), |t| system.regression.unit(system.model.scale, t));
            let (plain, calibrated) = (other.gain(&added).whole, other.gain(&calibrated).whole);
            assert!(calibrated.value <= plain.value.min(0.0) + 3.0 * calibrated.error, "{plain:?} {calibrated:?}");
        }
    }
}
