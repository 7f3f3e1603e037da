//! The three samplers.

use super::reverse::Reverse;
use crate::config::Spacing;
use crate::rng::Purpose;
use crate::sde::ode::{Explicit, Velocity};
use crate::sde::{NoiseScale, Paths, check_rows};
use crate::{Error, Real, Result};

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

/// Times and noise of a generation.
#[derive(Debug, Clone, Copy)]
pub struct Generation {
    /// The method.
    pub method: Method,
    /// The integrator of `ode`.
    pub flow: Explicit,
    /// Steps from `horizon` to `t_min`.
    pub steps: usize,
    /// Where it starts.
    pub horizon: f64,
    /// Where the last step to 0 begins.
    pub t_min: f64,
    /// How the times between them are placed.
    pub spacing: Spacing,
    /// Seed of the noise.
    pub seed: u64,
    /// Which [`BLOCK`] of a sample's points these are: it names their noise. Below 2^32.
    pub block: u64,
}

/// Points of a block. Long samples are made block by block, in as much memory as one takes.
pub const BLOCK: usize = 4096;

/// Moves `u` [n, d], drawn from the law at the horizon, back to data, in place. `seen(t, u)` sees the points
/// at the start, after each step and at the end, t = 0: steps + 2 times. What it changes there goes on so.
///
/// # Errors
/// Steps or times out of range; shapes that do not fit; `NonFinite` with the step at which a point became NaN
/// or infinite.
pub fn generate<R: Real>(
    process: &dyn Reverse<R>,
    field: &mut dyn Field<R>,
    how: Generation,
    u: &mut [R],
    seen: &mut dyn FnMut(f64, &mut [R]),
) -> Result<()> {
    check_rows("generate", u, process.dim())?;
    if how.block >= 1 << 32 {
        return Err(Error::invalid("generate: block", "below 2^32", how.block));
    }
    if how.steps == 0 || how.steps > 1_000_000 {
        return Err(Error::invalid("generate: steps", "in 1..=1,000,000", how.steps));
    }
    if !(how.t_min > 0.0 && how.t_min < how.horizon && how.horizon.is_finite()) {
        return Err(Error::invalid("generate: t_min", format!("in (0, horizon = {})", how.horizon), how.t_min));
    }
    let times = sampling_times(how.spacing, process.scale(), how.horizon, how.t_min, how.steps)?;
    let d = process.dim();
    seen(how.horizon, u);
    if how.method == Method::Ode {
        for (i, t) in times.windows(2).enumerate() {
            how.flow.solve(&mut Flow { process, field: &mut *field }, d, u, t, &mut |_, _| ()).map_err(|e| advise(e, i))?;
            seen(t[1], u);
        }
    } else {
        backward(process, field, how, &times, u, seen)?;
    }
    // Explicit Euler looks at the field only where the step begins.
    Explicit::EULER.solve(&mut Flow { process, field }, d, u, &[how.t_min, 0.0], &mut |_, _| ()).map_err(|e| advise(e, how.steps))?;
    seen(0.0, u);
    Ok(())
}

/// Times from the horizon down to t_min, `steps` steps; with a multiple of the steps they are among the new
/// ones.
///
/// # Errors
/// As [`NoiseScale::spectral_times`].
pub(crate) fn sampling_times(spacing: Spacing, scale: NoiseScale, horizon: f64, t_min: f64, steps: usize) -> Result<Vec<f64>> {
    match spacing {
        Spacing::Karras => Ok(scale.generation_times(horizon, t_min, steps)),
        Spacing::Uniform => Ok(evenly(horizon, t_min, steps)),
        Spacing::Spectral => scale.spectral_times(&scale.scale_free_spectrum(t_min), horizon, t_min, steps),
    }
}

/// Times from `horizon` down to `t_min` in equal steps.
fn evenly(horizon: f64, t_min: f64, steps: usize) -> Vec<f64> {
    (0..=steps)
        .map(|i| match i {
            0 => horizon,
            _ if i == steps => t_min,
            _ => horizon + (t_min - horizon) * i as f64 / steps as f64,
        })
        .collect()
}

/// dx/dt of the probability flow.
struct Flow<'a, R: Real> {
    process: &'a dyn Reverse<R>,
    field: &'a mut dyn Field<R>,
}

impl<R: Real> Velocity<R> for Flow<'_, R> {
    fn velocity(&mut self, t: f64, u: &[R], v: &mut [R]) -> Result<()> {
        self.field.residual(t, u, v)?;
        self.process.velocity(t, u, v);
        Ok(())
    }
}

/// The reverse SDE, with a corrector or without.
fn backward<R: Real>(
    process: &dyn Reverse<R>,
    field: &mut dyn Field<R>,
    how: Generation,
    times: &[f64],
    u: &mut [R],
    seen: &mut dyn FnMut(f64, &mut [R]),
) -> Result<()> {
    let mut residual = vec![R::zero(); u.len()];
    for (i, t) in times.windows(2).enumerate() {
        let (t, h) = (t[0], t[0] - t[1]);
        field.residual(t, u, &mut residual)?;
        process.reverse_step(t, h, &residual, u, paths(how, Purpose::Reverse, i))?;
        if how.method == Method::Pc {
            // As long as the step it corrects, but no longer than the time that is left: the field changes
            // with it.
            let h = h.min(t - h);
            field.residual(t - h, u, &mut residual)?;
            process.correct(t - h, h, &residual, u, paths(how, Purpose::Corrector, i))?;
        }
        if let Some(at) = u.iter().position(|v| !v.is_finite()) {
            return Err(Error::NonFinite {
                place: format!("generated point {}", how.block as usize * BLOCK + at / process.dim()),
                step: i,
                remedy: REMEDY.into(),
            });
        }
        seen(t - h, u);
    }
    Ok(())
}

/// The name of the noise of step `i`: at most a million steps, behind the block's number.
fn paths(how: Generation, purpose: Purpose, i: usize) -> Paths {
    Paths { seed: how.seed, purpose, step: how.block << 24 | i as u64 }
}

const REMEDY: &str = "take more steps, or train the model for longer";

/// What helps where the probability flow ended in a number that is not finite, `before` steps after the
/// start.
fn advise(e: Error, before: usize) -> Error {
    match e {
        Error::NonFinite { place, step, .. } => {
            Error::NonFinite { place: format!("generated points: {place}"), step: before + step, remedy: REMEDY.into() }
        }
        e => e,
    }
}
