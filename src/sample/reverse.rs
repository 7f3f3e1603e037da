//! Processes run backwards: what one step does with the residual of a score.

use crate::par;
use crate::rng::Purpose;
use crate::sde::{ComponentStep, NoiseScale, Paths};
use crate::{Real, Result};

/// A noising process, as the samplers need it. `u`, `residual`: row-major [n, d].
pub trait Reverse<R: Real>: Sync {
    /// The dimension d.
    fn dim(&self) -> usize;
    /// The noise level over time.
    fn scale(&self) -> NoiseScale;
    /// dx/dt of the probability flow (4), from the residual r = s - g, in place.
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
        let half = R::of(-self.0.beta() / 2.0);
        par::each(par::chunks_mut(residual, NUMBERS), |_, v| v.iter_mut().for_each(|v| *v *= half));
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

/// A linear process that treats all coordinates alike, X_t = alpha X_0 + sbar Z. g = -u / (alpha^2 + sbar^2), the score of N(0, I) data.
#[derive(Debug, Clone, Copy)]
pub struct ReverseIsotropic {
    scale: NoiseScale,
    dim: usize,
}

impl ReverseIsotropic {
    /// The reverse of the process with the noise level `scale`, in `dim` dimensions.
    pub fn new(dim: usize, scale: NoiseScale) -> Self {
        ReverseIsotropic { scale, dim }
    }

    /// -(d/dt) ln alpha, and sigma^2.
    fn rates(self, t: f64) -> (f64, f64) {
        let decay = match self.scale {
            NoiseScale::Preserving { beta } | NoiseScale::SubPreserving { beta } => 0.5 * beta,
            NoiseScale::Exploding { .. } => 0.0,
        };
        (decay, self.scale.diffusion(t).powi(2))
    }

    /// g(u, t) / u, so that s = r + g: the score of data N(0, I).
    fn guide(self, t: f64) -> f64 {
        -1.0 / (self.scale.alpha(t).powi(2) + self.scale.sbar(t).powi(2))
    }

    /// u = scale (u + step s) + sqrt(variance) z.
    fn move_by<R: Real>(self, t: f64, [scale, step, variance]: [f64; 3], residual: &[R], u: &mut [R], paths: Paths) {
        const ROWS: usize = 256;
        let [scale, step, sd, guide] = [scale, step, variance.sqrt(), self.guide(t)].map(R::of);
        let size = ROWS * self.dim;
        par::each((par::chunks_mut(u, size), par::chunks(residual, size)), |chunk, (u, r)| {
            let mut z = vec![R::zero(); u.len()];
            paths.stream(chunk).fill_normal(&mut z);
            for ((u, r), z) in u.iter_mut().zip(r).zip(&z) {
                *u = scale * (*u + step * (*r + guide * *u)) + sd * *z;
            }
        });
    }
}

impl<R: Real> Reverse<R> for ReverseIsotropic {
    fn dim(&self) -> usize {
        self.dim
    }

    fn scale(&self) -> NoiseScale {
        self.scale
    }

    fn velocity(&self, t: f64, u: &[R], residual: &mut [R]) {
        let (decay, half) = (R::of(-self.rates(t).0), R::of(-0.5 * self.rates(t).1));
        let guide = R::of(self.guide(t));
        par::each((par::chunks_mut(residual, NUMBERS), par::chunks(u, NUMBERS)), |_, (v, u)| {
            v.iter_mut().zip(u).for_each(|(v, u)| *v = decay * *u + half * (*v + guide * *u));
        });
    }

    /// Ancestral sampling: given X_t and the mean of X_0 that the score implies (Tweedie), X_s, s = t - h, is Gaussian. With a = alpha_t/alpha_s and
    /// v = sbar_t^2 - a^2 sbar_s^2 the variance of X_t given X_s: mean (x + v score)/a, variance v sbar_s^2/sbar_t^2.
    fn reverse_step(&self, t: f64, h: f64, residual: &[R], u: &mut [R], paths: Paths) -> Result<()> {
        let (a, from, to) = (self.scale.alpha(t) / self.scale.alpha(t - h), self.scale.sbar(t), self.scale.sbar(t - h));
        let v = from.powi(2) - (a * to).powi(2);
        self.move_by(t, [1.0 / a, v, v * (to / from).powi(2)], residual, u, paths);
        Ok(())
    }

    fn correct(&self, t: f64, h: f64, residual: &[R], u: &mut [R], paths: Paths) -> Result<()> {
        let variance = self.rates(t).1 * h;
        self.move_by(t, [1.0, variance / 2.0, variance], residual, u, paths);
        Ok(())
    }
}

/// Numbers that are worth a thread's turn.
const NUMBERS: usize = 4096;

fn add_scaled<R: Real>(u: &mut [R], a: R, r: &[R]) {
    par::each((par::chunks_mut(u, NUMBERS), par::chunks(r, NUMBERS)), |_, (u, r)| {
        u.iter_mut().zip(r).for_each(|(u, r)| *u += a * *r);
    });
}

/// The purposes of the two kinds of steps.
pub(super) fn paths(seed: u64, purpose: Purpose, step: usize) -> Paths {
    Paths { seed, purpose, step: step as u64 }
}
