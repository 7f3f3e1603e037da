//! Processes run backwards: what one step does with the residual of a score.

use crate::rng::Purpose;
use crate::sde::{ComponentStep, NoiseScale, Paths, VarianceExploding};
use crate::{Real, Result};
use rayon::prelude::*;

/// A noising process, as the samplers need it. `u`, `residual`: row-major [n, d].
pub trait Reverse<R: Real>: Sync {
    /// The dimension d.
    fn dim(&self) -> usize;
    /// The noise level over time.
    fn scale(&self) -> NoiseScale;
    /// Velocity of the probability flow (4) in reverse time, from the residual r = s - g, in place.
    fn velocity(&self, t: f64, u: &[R], residual: &mut [R]);
    /// One step of the reverse SDE (3) from `t` to `t - h`, given the residual at (u, t).
    ///
    /// # Errors
    /// As the underlying step.
    fn reverse_step(&self, t: f64, h: f64, residual: &[R], u: &mut [R], paths: Paths) -> Result<()>;
    /// One step of Langevin dynamics toward p_t, over time `h` of the noising process, given the residual at (u, t).
    ///
    /// # Errors
    /// As the underlying step.
    fn correct(&self, t: f64, h: f64, residual: &[R], u: &mut [R], paths: Paths) -> Result<()>;
}

/// Langevin dynamics toward a mixture, or with one component the variance-preserving process. g = grad log pi.
#[derive(Debug, Clone)]
pub struct ReverseLangevin<R: Real>(pub ComponentStep<R>);

impl<R: Real> Reverse<R> for ReverseLangevin<R> {
    fn dim(&self) -> usize {
        self.0.dim()
    }

    fn scale(&self) -> NoiseScale {
        NoiseScale::Preserving { beta: self.0.beta() }
    }

    fn velocity(&self, _t: f64, _u: &[R], residual: &mut [R]) {
        let half = R::of(self.0.beta() / 2.0);
        residual.par_iter_mut().with_min_len(4096).for_each(|v| *v *= half);
    }

    fn reverse_step(&self, _t: f64, h: f64, residual: &[R], u: &mut [R], paths: Paths) -> Result<()> {
        add_scaled(u, R::of(self.0.beta() * h), residual);
        self.0.step(h, u, paths)
    }

    fn correct(&self, _t: f64, h: f64, residual: &[R], u: &mut [R], paths: Paths) -> Result<()> {
        add_scaled(u, R::of(self.0.beta() * h / 2.0), residual);
        self.0.step(h, u, paths)
    }
}

/// The variance-exploding process. g = -u / (1 + sbar^2), the score of N(0, I) data.
#[derive(Debug, Clone, Copy)]
pub struct ReverseExploding {
    sde: VarianceExploding,
    dim: usize,
    beta: f64,
}

impl ReverseExploding {
    /// The reverse of X_t = X_0 + sqrt(beta) t Z in `dim` dimensions.
    ///
    /// # Errors
    /// `beta` not positive.
    pub fn new(dim: usize, beta: f64) -> Result<Self> {
        Ok(ReverseExploding { sde: VarianceExploding::new(dim, beta)?, dim, beta })
    }

    /// s = r + g.
    fn score<R: Real>(self, t: f64, u: R, residual: R) -> R {
        residual - u * R::of(1.0 / (1.0 + self.sde.sbar(t).powi(2)))
    }

    /// u += step s + sqrt(variance) z.
    fn move_by<R: Real>(self, t: f64, step: f64, variance: f64, residual: &[R], u: &mut [R], paths: Paths) {
        const ROWS: usize = 256;
        let (step, sd) = (R::of(step), R::of(variance.sqrt()));
        u.par_chunks_mut(ROWS * self.dim).zip(residual.par_chunks(ROWS * self.dim)).enumerate().for_each(|(chunk, (u, r))| {
            let mut z = vec![R::zero(); u.len()];
            paths.stream(chunk).fill_normal(&mut z);
            for ((u, r), z) in u.iter_mut().zip(r).zip(&z) {
                *u += step * self.score(t, *u, *r) + sd * *z;
            }
        });
    }
}

impl<R: Real> Reverse<R> for ReverseExploding {
    fn dim(&self) -> usize {
        self.dim
    }

    fn scale(&self) -> NoiseScale {
        NoiseScale::Exploding { beta: self.beta }
    }

    fn velocity(&self, t: f64, u: &[R], residual: &mut [R]) {
        // f = 0 and sigma^2 = 2 beta t, so (4) is beta t s.
        let rate = R::of(self.beta * t);
        residual.par_iter_mut().with_min_len(4096).zip(u).for_each(|(v, u)| *v = rate * self.score(t, *u, *v));
    }

    fn reverse_step(&self, t: f64, h: f64, residual: &[R], u: &mut [R], paths: Paths) -> Result<()> {
        // The exact variance of the step, in place of h sigma^2(t): ancestral sampling.
        let variance = self.sde.sbar(t).powi(2) - self.sde.sbar(t - h).powi(2);
        self.move_by(t, variance, variance * (self.sde.sbar(t - h) / self.sde.sbar(t)).powi(2), residual, u, paths);
        Ok(())
    }

    fn correct(&self, t: f64, h: f64, residual: &[R], u: &mut [R], paths: Paths) -> Result<()> {
        let variance = 2.0 * self.beta * t * h;
        self.move_by(t, variance / 2.0, variance, residual, u, paths);
        Ok(())
    }
}

fn add_scaled<R: Real>(u: &mut [R], a: R, r: &[R]) {
    u.par_iter_mut().with_min_len(4096).zip(r).for_each(|(u, r)| *u += a * *r);
}

/// The purposes of the two kinds of steps.
pub(super) fn paths(seed: u64, purpose: Purpose, step: usize) -> Paths {
    Paths { seed, purpose, step: step as u64 }
}
