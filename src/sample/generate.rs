//! The three samplers.

use super::reverse::{Reverse, paths};
use crate::rng::Purpose;
use crate::sde::check_rows;
use crate::{Error, Real, Result};
use rayon::prelude::*;

/// The residual r(u, t) = s(u, t) - g(u, t) of a score over its guide.
pub trait Field<R: Real> {
    /// `out` = r at the rows of `u` [n, d], all at time `t`.
    ///
    /// # Errors
    /// Shapes that do not fit.
    fn residual(&mut self, t: f64, u: &[R], out: &mut [R]) -> Result<()>;
}

/// How samples are made.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Method {
    /// Probability flow (4), (16).
    #[default]
    Ode,
    /// Reverse SDE (3).
    Sde,
    /// Reverse SDE with a corrector.
    Pc,
}

/// Order of the probability flow's integrator.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Heun {
    /// Explicit Euler: one evaluation a step, order 1.
    No,
    /// Heun's method: two evaluations a step, order 2.
    #[default]
    Yes,
}

/// Times and noise of a generation.
#[derive(Debug, Clone, Copy)]
pub struct Generation {
    /// The method.
    pub method: Method,
    /// The integrator of `ode`.
    pub heun: Heun,
    /// Steps from `horizon` to `t_min`.
    pub steps: usize,
    /// Where it starts.
    pub horizon: f64,
    /// Where the last step to 0 begins.
    pub t_min: f64,
    /// Seed of the noise.
    pub seed: u64,
}

/// Moves `u` [n, d], drawn from the law at the horizon, back to data, in place. `seen(t, u)` sees the points at the start, after each
/// step and at the end, t = 0.
///
/// # Errors
/// Steps or times out of range; shapes that do not fit; `NonFinite` with the step at which a point became NaN or infinite.
pub fn generate<R: Real>(
    process: &dyn Reverse<R>,
    field: &mut dyn Field<R>,
    how: Generation,
    u: &mut [R],
    seen: &mut dyn FnMut(f64, &[R]),
) -> Result<()> {
    check_rows("generate", u, process.dim())?;
    if how.steps == 0 || how.steps > 1_000_000 {
        return Err(Error::invalid("generate: steps", "in 1..=1,000,000", how.steps));
    }
    if !(how.t_min > 0.0 && how.t_min < how.horizon && how.horizon.is_finite()) {
        return Err(Error::invalid("generate: t_min", format!("in (0, horizon = {})", how.horizon), how.t_min));
    }
    let times = process.scale().generation_times(how.horizon, how.t_min, how.steps);
    let mut memory = Memory { first: vec![R::zero(); u.len()], second: vec![R::zero(); u.len()], moved: u.to_vec() };
    seen(how.horizon, u);
    for (i, t) in times.windows(2).enumerate() {
        let (t, h) = (t[0], t[0] - t[1]);
        match how.method {
            Method::Ode => flow_step(process, field, how.heun, t, h, u, &mut memory)?,
            Method::Sde | Method::Pc => {
                field.residual(t, u, &mut memory.first)?;
                process.reverse_step(t, h, &memory.first, u, paths(how.seed, Purpose::Reverse, i))?;
                if how.method == Method::Pc {
                    // As long as the step it corrects, but no longer than the time that is left: the field changes with it.
                    let h = h.min(t - h);
                    field.residual(t - h, u, &mut memory.first)?;
                    process.correct(t - h, h, &memory.first, u, paths(how.seed, Purpose::Corrector, i))?;
                }
            }
        }
        finite(u, process.dim(), i)?;
        seen(t - h, u);
    }
    flow_step(process, field, Heun::No, how.t_min, how.t_min, u, &mut memory)?;
    finite(u, process.dim(), how.steps)?;
    seen(0.0, u);
    Ok(())
}

struct Memory<R> {
    first: Vec<R>,
    second: Vec<R>,
    moved: Vec<R>,
}

/// One step of the probability flow from `t` to `t - h`.
fn flow_step<R: Real>(
    process: &dyn Reverse<R>,
    field: &mut dyn Field<R>,
    heun: Heun,
    t: f64,
    h: f64,
    u: &mut [R],
    m: &mut Memory<R>,
) -> Result<()> {
    field.residual(t, u, &mut m.first)?;
    process.velocity(t, u, &mut m.first);
    let step = R::of(h);
    if heun == Heun::No {
        u.par_iter_mut().with_min_len(4096).zip(&m.first).for_each(|(u, v)| *u += step * *v);
        return Ok(());
    }
    m.moved.par_iter_mut().with_min_len(4096).zip(&*u).zip(&m.first).for_each(|((w, u), v)| *w = *u + step * *v);
    field.residual(t - h, &m.moved, &mut m.second)?;
    process.velocity(t - h, &m.moved, &mut m.second);
    let half = R::of(0.5 * h);
    u.par_iter_mut().with_min_len(4096).zip(&m.first).zip(&m.second).for_each(|((u, a), b)| *u += half * (*a + *b));
    Ok(())
}

fn finite<R: Real>(u: &[R], d: usize, step: usize) -> Result<()> {
    match u.par_iter().position_first(|v| !v.is_finite()) {
        None => Ok(()),
        Some(i) => Err(Error::NonFinite {
            place: format!("generated point {}", i / d),
            step,
            remedy: "take more steps, or train the model for longer".into(),
        }),
    }
}
