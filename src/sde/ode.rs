//! Ordinary differential equations dx/dt = v(x, t) for whole batches of points: the probability flow (4),
//! forward or backward in time.
//!
//! * [`Velocity`]: v on a batch, row-major [n, d]. It may fail, as a network may; closures are velocities,
//!   and [`ProbabilityFlow`] is the one that an [`Isotropic`](super::Isotropic) equation and a score make.
//! * [`Explicit`]: explicit Euler, Heun's method and the classical Runge-Kutta method, with the given times
//!   as steps.
//! * [`DormandPrince`]: order 5 with adaptive steps, and values in between to order 4.
//!
//! ```
//! use ndsm::sde::ode::DormandPrince;
//! // x'' = -x, a full turn, seen at three times.
//! let mut turn = |_t: f64, x: &[f64], v: &mut [f64]| {
//!     (v[0], v[1]) = (x[1], -x[0]);
//!     Ok(())
//! };
//! let mut x = [1.0, 0.0];
//! let times = [0.0, std::f64::consts::PI, std::f64::consts::TAU];
//! let steps = DormandPrince::new(1e-10, 1e-10)?.solve(&mut turn, 2, &mut x, &times, &mut |_, _| ())?;
//! assert!((x[0] - 1.0).abs() < 1e-8 && steps.accepted < 200);
//! # Ok::<(), ndsm::Error>(())
//! ```

mod dormand_prince;
mod explicit;
mod flow;
#[cfg(test)]
mod tests;

pub use dormand_prince::DormandPrince;
pub use explicit::Explicit;
pub use flow::ProbabilityFlow;

use super::check_rows;
use crate::par;
use crate::{Error, Real, Result};

/// A velocity field on batches.
pub trait Velocity<R: Real> {
    /// `v` = v(x, t) at the rows of `x` [n, d], all at time `t`. The methods ask only for times between the
    /// first and the last one given.
    ///
    /// # Errors
    /// Whatever it meets: the solution ends with it.
    fn velocity(&mut self, t: f64, x: &[R], v: &mut [R]) -> Result<()>;
}

impl<R: Real, F: FnMut(f64, &[R], &mut [R]) -> Result<()>> Velocity<R> for F {
    fn velocity(&mut self, t: f64, x: &[R], v: &mut [R]) -> Result<()> {
        self(t, x, v)
    }
}

/// What a solution took.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Steps {
    /// Steps taken.
    pub accepted: usize,
    /// Steps tried and thrown away.
    pub rejected: usize,
    /// Evaluations of the velocity.
    pub evaluations: usize,
}

/// Numbers that one thread adds up at a time: they stay in its first-level cache.
const CHUNK: usize = 2048;

/// `out` = x + h sum_j w_j k_j. The increments are added first: the sum with x rounds once.
fn combine<R: Real>(out: &mut [R], x: &[R], h: f64, weights: &[f64], k: &[Vec<R>]) {
    let h = R::of(h);
    par::each(par::chunks_mut(out, CHUNK), |chunk, out| {
        let range = chunk * CHUNK..chunk * CHUNK + out.len();
        out.fill(R::zero());
        for (w, k) in weights.iter().zip(k).filter(|(w, _)| **w != 0.0) {
            let w = R::of(*w);
            out.iter_mut().zip(&k[range.clone()]).for_each(|(o, k)| *o += w * *k);
        }
        out.iter_mut().zip(&x[range]).for_each(|(o, x)| *o = *x + h * *o);
    });
}

/// Refuses starts that are not whole finite rows, and times that do not run one way.
fn check<R: Real>(method: &str, dim: usize, x: &[R], times: &[f64]) -> Result<()> {
    check_rows(method, x, dim)?;
    if let Some(i) = not_finite(x) {
        return Err(Error::invalid(format!("{method}: start of row {}", i / dim), "a finite point", x[i]));
    }
    let [first, second, ..] = times else {
        return Err(Error::invalid(format!("{method}: times"), "at least 2", times.len()));
    };
    let forward = second > first;
    match times.windows(2).position(|t| !((t[1] > t[0]) == forward && t[1] != t[0] && t[0].is_finite() && t[1].is_finite())) {
        None => Ok(()),
        Some(i) => Err(Error::refused(
            format!("{method}: times"),
            format!("expected finite times that all rise or all fall, got {} after {}", times[i + 1], times[i]),
        )),
    }
}

fn not_finite<R: Real>(x: &[R]) -> Option<usize> {
    x.iter().position(|v| !v.is_finite())
}
