//! Dormand and Prince's pair of orders 5 and 4, with adaptive steps and dense output.

use super::explicit::{Explicit, Stages, q, values};
use super::{CHUNK, Steps, Velocity, check, combine, not_finite};
use crate::par;
use crate::sde::surd::Surd;
use crate::{Error, Real, Result};
use std::ops::{Add, Mul, Sub};
use std::sync::atomic::{AtomicU64, Ordering};

const METHOD: Explicit = Explicit::DORMAND_PRINCE;

/// b minus the weights of the embedded method of order 4.
pub(super) const ERROR: [Surd; 7] = [q(71, 57600), q(0, 1), q(-71, 16695), q(71, 1920), q(-17253, 339_200), q(22, 525), q(-1, 40)];

/// What Shampine's (1986) continuous extension of order 4 has beyond Hermite's cubic; in this form by Hairer,
/// Norsett and Wanner (1993, II.6).
pub(super) const DENSE: [Surd; 7] = [
    q(-12_715_105_075, 11_282_082_432),
    q(0, 1),
    q(87_487_479_700, 32_700_410_799),
    q(-10_690_763_975, 1_880_347_072),
    q(701_980_252_875, 199_316_789_632),
    q(-1_453_857_185, 822_651_844),
    q(69_997_945, 29_380_423),
];

/// The weights b_i(s), with x(t + s h) = x + h sum_i b_i(s) k_i, in the numbers of `s`: b_i(s) = s (b_i +
/// (1 - s)(e_i - b_i + s (2 b_i - e_i - l_i + (1 - s) d_i))), e_i of the first and l_i of the last stage 1,
/// of others 0.
pub(super) fn dense<T>(s: T, of: impl Fn(Surd) -> T) -> [T; 7]
where
    T: Copy + Add<Output = T> + Sub<Output = T> + Mul<Output = T>,
{
    let rest = of(Surd::ONE) - s;
    std::array::from_fn(|i| {
        let unit = |j| of(if i == j { Surd::ONE } else { Surd::ZERO });
        let (b, first, last) = (of(METHOD.b[i]), unit(0), unit(6));
        s * (b + rest * (first - b + s * (b + b - first - last + rest * of(DENSE[i]))))
    })
}

/// The adaptive solver. A step is accepted if every row's estimated error is: with e the difference of orders
/// 5 and 4,
///
/// max over rows of ((1/d) sum_j (e_j / (absolute + relative max(|x_j|, |x'_j|)))^2)^(1/2) <= 1,
///
/// so a row is no less accurate in company than alone (a mean over rows would let many easy rows pay for a
/// hard one). The steps are common to all rows; the next size follows from this error and that of the step
/// before (PI control, Gustafsson 1991).
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct DormandPrince {
    relative: f64,
    absolute: f64,
    max_steps: usize,
}

/// The next step's factor is SAFETY err^-ALPHA before^BETA within SHRINK and GROW (Hairer, Norsett and Wanner
/// 1993, II.4 and IV.2).
const SAFETY: f64 = 0.9;
const BETA: f64 = 0.04;
const ALPHA: f64 = 0.2 - 0.75 * BETA;
const SHRINK: f64 = 0.2;
const GROW: f64 = 10.0;

impl DormandPrince {
    /// The solver with these tolerances, and 100,000 steps at most.
    ///
    /// # Errors
    /// A tolerance that is not positive.
    pub fn new(relative: f64, absolute: f64) -> Result<Self> {
        let relative = crate::sde::positive("dormand-prince: relative tolerance", relative)?;
        Ok(DormandPrince { relative, absolute: crate::sde::positive("dormand-prince: absolute tolerance", absolute)?, max_steps: 100_000 })
    }

    /// The same with at most `n` steps, accepted and rejected.
    pub fn max_steps(self, n: usize) -> Self {
        DormandPrince { max_steps: n, ..self }
    }

    /// Moves the rows of `x` [n, dim] from the first to the last of `times`, rising or falling, in place.
    /// `seen(i, x)` sees the points at times\[i\], first and last too: those between are interpolated to
    /// order 4, and do not bind the steps.
    ///
    /// # Errors
    /// Points that are not whole finite rows; times that are less than two or do not run one way; a relative
    /// tolerance below ten roundings; what the velocity returns; `NonFinite` where the velocity stays NaN or
    /// infinite however short the step; `NoConvergence` after too many steps, or where steps fall below
    /// rounding, as they do before a singularity.
    pub fn solve<R: Real, V: Velocity<R> + ?Sized>(
        &self,
        velocity: &mut V,
        dim: usize,
        x: &mut [R],
        times: &[f64],
        seen: &mut dyn FnMut(usize, &[R]),
    ) -> Result<Steps> {
        let name = METHOD.name();
        check(name, dim, x, times)?;
        if self.relative < 10.0 * R::epsilon().f64() {
            return Err(Error::invalid(
                format!("{name}: relative tolerance"),
                format!(">= {:e} in {}", 10.0 * R::epsilon().f64(), R::NAME),
                self.relative,
            ));
        }
        let (mut t, end) = (times[0], times[times.len() - 1]);
        let mut stages = Stages::new(&METHOD, x.len());
        let mut between = vec![R::zero(); x.len()];
        velocity.velocity(t, x, &mut stages.k[0])?;
        if let Some(i) = not_finite(&stages.k[0]) {
            return Err(non_finite(i / dim, 0, t));
        }
        let mut h = self.first_step(velocity, dim, x, (t, end), &mut stages)?;
        let mut steps = Steps { evaluations: 2, ..Steps::default() };
        let (mut before, mut next, mut grow) = (1e-4f64, 1, GROW);
        seen(0, x);
        while next < times.len() {
            let tried = steps.accepted + steps.rejected;
            // A last step a little longer is better than one that is next to nothing.
            let to = if (t + 1.01 * h - end) * h >= 0.0 { end } else { t + h };
            if to == t || tried == self.max_steps {
                return Err(given_up(if to == t { "steps fell below rounding" } else { "too many steps" }, tried, t));
            }
            h = to - t;
            stages.rest(&METHOD, velocity, (t, to), x)?;
            steps.evaluations += METHOD.b.len() - 1;
            let error = self.error(dim, h, x, &stages);
            let control = SAFETY * error.powf(-ALPHA);
            if error <= 1.0 {
                steps.accepted += 1;
                while next < times.len() && (times[next] - to) * h <= 0.0 {
                    if times[next] == to {
                        seen(next, &stages.z);
                    } else {
                        combine(&mut between, x, h, &dense((times[next] - t) / h, Surd::f64), &stages.k);
                        seen(next, &between);
                    }
                    next += 1;
                }
                x.copy_from_slice(&stages.z);
                stages.k.swap(0, 6);
                t = to;
                h *= (control * before.powf(BETA)).clamp(SHRINK, grow);
                (before, grow) = (error.max(1e-4), GROW);
            } else {
                steps.rejected += 1;
                (h, grow) = (h * control.clamp(SHRINK, 1.0), 1.0); // behind a rejection steps do not grow at once
                if h.abs() <= 4.0 * f64::EPSILON * t.abs() {
                    let bad = stages.k.iter().chain([&stages.z]).find_map(|k| not_finite(k));
                    return Err(bad.map_or_else(|| given_up("steps fell below rounding", tried, t), |i| non_finite(i / dim, tried, t)));
                }
            }
        }
        Ok(steps)
    }

    /// The norm of the estimated error of the step just tried.
    fn error<R: Real>(&self, dim: usize, h: f64, x: &[R], stages: &Stages<R>) -> f64 {
        let weights = values(&ERROR);
        let (k, z) = (&stages.k, &stages.z);
        norm(dim, x.len(), |i| {
            let e: f64 = weights.iter().zip(k).map(|(w, k)| w * k[i].f64()).sum();
            h * e / self.scale(x[i].f64().abs().max(z[i].f64().abs()))
        })
    }

    fn scale(&self, size: f64) -> f64 {
        self.absolute + self.relative * size
    }

    /// A first step of the right order of magnitude (Hairer, Norsett and Wanner 1993, II.4), from x, v and
    /// one more evaluation.
    fn first_step<R: Real, V: Velocity<R> + ?Sized>(
        &self,
        velocity: &mut V,
        dim: usize,
        x: &[R],
        (t, end): (f64, f64),
        stages: &mut Stages<R>,
    ) -> Result<f64> {
        let scale = |i: usize| self.scale(x[i].f64().abs());
        let size = norm(dim, x.len(), |i| x[i].f64() / scale(i));
        let speed = norm(dim, x.len(), |i| stages.k[0][i].f64() / scale(i));
        let guess = if size < 1e-5 || speed < 1e-5 { 1e-6 } else { 0.01 * size / speed };
        let guess = guess.min((end - t).abs());
        let direction = (end - t).signum();
        let Stages { k, z } = stages;
        combine(z, x, direction * guess, &[1.0], k);
        let (first, later) = k.split_at_mut(1);
        velocity.velocity(t + direction * guess, z, &mut later[0])?;
        let bend = norm(dim, x.len(), |i| (later[0][i] - first[0][i]).f64() / scale(i)) / guess;
        let largest = speed.max(bend);
        let h = if largest <= 1e-15 { (1e-3 * guess).max(1e-6) } else { (0.01 / largest).powf(0.2) };
        Ok(direction * h.max(1e-3 * guess).min(100.0 * guess).min((end - t).abs()))
    }
}

/// max over rows of the root of the mean square of e(i); infinite where something is NaN.
fn norm(dim: usize, len: usize, e: impl Fn(usize) -> f64 + Sync) -> f64 {
    let row = |r: usize| {
        let mean = (r * dim..(r + 1) * dim).map(|i| e(i).powi(2)).sum::<f64>() / dim as f64;
        if mean.is_nan() { f64::INFINITY } else { mean.sqrt() }
    };
    let (rows, at_once) = (len / dim, CHUNK.div_ceil(dim));
    // Numbers that are not negative have the order of their bits.
    let largest = AtomicU64::new(0);
    par::each(0..rows.div_ceil(at_once), |_, i| {
        let here = (i * at_once..rows.min((i + 1) * at_once)).map(row).fold(0.0, f64::max);
        largest.fetch_max(here.to_bits(), Ordering::Relaxed);
    });
    f64::from_bits(largest.into_inner())
}

fn given_up(why: &str, tried: usize, t: f64) -> Error {
    Error::NoConvergence { place: format!("{}: {why} at time {t}", METHOD.name()), iterations: tried }
}

fn non_finite(row: usize, step: usize, t: f64) -> Error {
    Error::NonFinite {
        place: format!("the velocity of row {row} by the method {}, at time {t}", METHOD.name()),
        step,
        remedy: "shorter steps do not help: look at the velocity there".into(),
    }
}
