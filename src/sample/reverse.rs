//! Processes run backwards: what one step does with the residual of a score.

use crate::par;
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
    /// One step of Langevin dynamics toward p_t, over time `h` of the noising process, given the residual at
    /// (u, t).
    ///
    /// # Errors
    /// As the underlying step.
    fn correct(&self, t: f64, h: f64, residual: &[R], u: &mut [R], paths: Paths) -> Result<()>;
}

/// Langevin dynamics toward a mixture, or with one component the variance-preserving process. g = grad log
/// pi.
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

/// A linear process that treats all coordinates alike, X_t = alpha X_0 + sbar Z. g = -u / (alpha^2 + sbar^2),
/// the score of data N(0, I).
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
            NoiseScale::Straight => 1.0 / (1.0 - t),
        };
        (decay, self.scale.diffusion(t).powi(2))
    }

    /// g(u, t) / u, so that s = r + g: the score of data N(0, I).
    fn guide(self, t: f64) -> f64 {
        -1.0 / self.scale.total(t)
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
        let (decay, noise) = self.rates(t);
        // Of straight paths both terms of the guide's velocity grow without bound toward t = 1; their sum, V'/(2V) u,
        // does not.
        let (decay, guide) = match self.scale {
            NoiseScale::Straight => (0.5 * self.scale.total_rate(t) / self.scale.total(t), 0.0),
            _ => (-decay, self.guide(t)),
        };
        let [decay, half, guide] = [decay, -0.5 * noise, guide].map(R::of);
        par::each((par::chunks_mut(residual, NUMBERS), par::chunks(u, NUMBERS)), |_, (v, u)| {
            v.iter_mut().zip(u).for_each(|(v, u)| *v = decay * *u + half * (*v + guide * *u));
        });
    }

    /// Ancestral sampling of X_s, s = t - h, given X_t = x. With a = alpha_t/alpha_s and v = sbar_t^2 - a^2
    /// sbar_s^2 the variance of X_t given X_s, the mean is (x + v score)/a for any data (Tweedie).
    ///
    /// The variance is v V_s/V_t, V = alpha^2 + sbar^2, that of data N(0, I), as the guide is: from
    /// X_s ~ N(0, V_s) and X_t = a X_s + sqrt(v) Z follow V_t = a^2 V_s + v and 1/Var(X_s given
    /// X_t) = 1/V_s + a^2/v. On data of variance 1 a step of any length then keeps the variance; that of a
    /// single point, v sbar_s^2/sbar_t^2, would lose some in every step.
    fn reverse_step(&self, t: f64, h: f64, residual: &[R], u: &mut [R], paths: Paths) -> Result<()> {
        let s = t - h;
        let a = self.scale.alpha(t) / self.scale.alpha(s);
        let v = self.scale.sbar(t).powi(2) - (a * self.scale.sbar(s)).powi(2);
        self.move_by(t, [1.0 / a, v, v * self.scale.total(s) / self.scale.total(t)], residual, u, paths);
        Ok(())
    }

    fn correct(&self, t: f64, h: f64, residual: &[R], u: &mut [R], paths: Paths) -> Result<()> {
        let variance = self.rates(t).1 * h;
        let form = if self.scale == NoiseScale::Straight {
            // The noise of the equation grows without bound toward t = 1: the exact step toward N(0, V).
            let (total, kept) = (self.scale.total(t), -0.5 * variance / self.scale.total(t));
            [1.0, -kept.exp_m1() * total, -(2.0 * kept).exp_m1() * total]
        } else {
            [1.0, variance / 2.0, variance]
        };
        self.move_by(t, form, residual, u, paths);
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rng::Purpose;

    fn paths(seed: u64, purpose: Purpose, step: u64) -> Paths {
        Paths { seed, purpose, step }
    }

    /// One step maps x to a x + b z: both, from x = 1 and x = 0 with one draw z, of data N(0, 1), whose
    /// residual is 0.
    fn step(process: &ReverseIsotropic, t: f64, h: f64) -> (f64, f64) {
        let paths = paths(3, Purpose::Test, 0);
        let mut z = [0f64; 1];
        paths.stream(0).fill_normal(&mut z);
        let at = |x: f64| {
            let mut u = [x];
            process.reverse_step(t, h, &[0.0], &mut u, paths).unwrap();
            u[0]
        };
        (at(1.0) - at(0.0), at(0.0) / z[0])
    }

    /// Of data N(0, 1) all is Gaussian, and a step is the exact conditional law: from Var
    /// X_t = alpha_t^2 + sbar_t^2 to that of X_s, however long it is. Down to t_min and by Tweedie's mean to
    /// 0, samples have the variance alpha^2/(alpha^2 + sbar^2).
    #[test]
    fn the_variance_of_standard_normal_data_is_kept() {
        let (t_min, steps) = (0.02, 100);
        let (ve, sub, vp) =
            (NoiseScale::Exploding { beta: 1.0 }, NoiseScale::SubPreserving { beta: 1.0 }, NoiseScale::Preserving { beta: 1.0 });
        for (scale, horizon) in [(ve, 10.0), (sub, 10.0), (vp, 10.0), (NoiseScale::Straight, 0.998)] {
            let process = ReverseIsotropic::new(1, scale);
            let total = |t: f64| scale.alpha(t).powi(2) + scale.sbar(t).powi(2);
            let mut variance = total(horizon);
            for pair in scale.generation_times(horizon, t_min, steps).windows(2) {
                let (a, b) = step(&process, pair[0], pair[0] - pair[1]);
                variance = a * a * variance + b * b;
                let error = variance / total(pair[1]) - 1.0;
                assert!(error.abs() <= 1e-10, "{scale:?} at {}: {error}", pair[1]);
            }
            // The last step is of the mean alone: (x + sbar^2 score)/alpha.
            let mean = (1.0 - scale.sbar(t_min).powi(2) / total(t_min)) / scale.alpha(t_min);
            let end = mean * mean * variance;
            assert!((end - scale.alpha(t_min).powi(2) / total(t_min)).abs() <= 1e-10, "{scale:?}: {end}");
        }
    }

    /// Straight paths of data N(0, 1): the corrector leaves N(0, V) as it is however long its step, and moves by the
    /// residual as the mean of its Ornstein-Uhlenbeck process does. The flow takes x to (V_s/V_t)^(1/2) x, at rates
    /// that stay bounded where those of the equation do not.
    #[test]
    fn straight_paths_have_bounded_steps() {
        let (scale, mut z) = (NoiseScale::Straight, [0f64; 1]);
        let process = ReverseIsotropic::new(1, scale);
        let paths = paths(3, Purpose::Test, 0);
        paths.stream(0).fill_normal(&mut z);
        for (t, h) in [(0.998, 0.03), (0.5, 0.2), (0.01, 0.005)] {
            let at = |u: f64, r: f64| {
                let mut u = [u];
                process.correct(t, h, &[r], &mut u, paths).unwrap();
                u[0]
            };
            let (total, a, b) = (scale.total(t), at(1.0, 0.0) - at(0.0, 0.0), at(0.0, 0.0) / z[0]);
            assert!((a * a * total + b * b - total).abs() <= 1e-12 * total, "{t}: {a} {b}");
            let exact = (-0.5 * scale.diffusion(t).powi(2) * h / total).exp();
            let moved = at(0.0, 1.0) - at(0.0, 0.0);
            assert!((a - exact).abs() <= 1e-12 && (moved - (1.0 - exact) * total).abs() <= 1e-12, "{t}: {a} {moved}");
            let mut v = [0.7f64];
            process.velocity(t, &[1.3], &mut v);
            let rate = (2.0 * t - 1.0) / (1.0 - 2.0 * t + 2.0 * t * t);
            assert!((v[0] - (rate * 1.3 - t / (1.0 - t) * 0.7)).abs() <= 1e-12 / (1.0 - t), "{t}: {}", v[0]);
        }
    }

    /// Karras's clock, beta = 1: X_s given X_t has the variance v (1 + s^2)/(1 + t^2), v = t^2 - s^2.
    #[test]
    fn the_exploding_step_has_its_closed_form() {
        let process = ReverseIsotropic::new(1, NoiseScale::Exploding { beta: 1.0 });
        for (t, s) in [(3.0f64, 1.0f64), (1.0, 0.9), (0.5, 0.0)] {
            let (a, b) = step(&process, t, t - s);
            let ratio = (1.0 + s * s) / (1.0 + t * t);
            assert!((a - ratio).abs() <= 1e-14 && (b * b - (t * t - s * s) * ratio).abs() <= 1e-14, "{t} {s}: {a} {}", b * b);
        }
    }
}
