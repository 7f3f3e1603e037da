//! Times of a sampler from eigenvalues (method.md, "Sampling times").

use super::NoiseScale;
use crate::{Error, Result};

/// Intervals of ln t on which the density of the times is integrated.
const INTERVALS: usize = 2048;
/// Eigenvalues of a spectrum without a scale.
const EIGENVALUES: usize = 16;

impl NoiseScale {
    /// Times from `horizon` down to `t_min`, `steps` steps of Heun's method along the probability flow of
    /// Gaussian data whose covariance has these `eigenvalues`: the density of the times is G^(1/3), and
    /// G(t) = (sum_j g_j(t)^2)^(1/2) has the local errors h^3 g_j of the logarithm of each eigen-direction's
    /// standard deviation. Of all densities it minimises the bound (int G h^2 dt)^2 on the sum of their
    /// squared errors, the Kullback-Leibler divergence to the data's law in leading order.
    ///
    /// With a multiple of the steps the times are among the new ones. The idea of a schedule from the
    /// covariance's eigenvalues is that of arXiv:2601.13602.
    ///
    /// ```
    /// use ndsm::sde::NoiseScale;
    /// let times = NoiseScale::Preserving { beta: 1.0 }.spectral_times(&[0.5, 0.1], 6.0, 0.02, 4)?;
    /// assert_eq!((times[0], times[4]), (6.0, 0.02));
    /// assert!(times.windows(2).all(|t| t[1] < t[0]));
    /// # Ok::<(), ndsm::Error>(())
    /// ```
    ///
    /// # Errors
    /// Times that do not fall, no step, an eigenvalue that is not positive; a flow on which Heun's method has
    /// no error, as that of variances that the process preserves.
    pub fn spectral_times(self, eigenvalues: &[f64], horizon: f64, t_min: f64, steps: usize) -> Result<Vec<f64>> {
        if !(t_min > 0.0 && t_min < horizon && horizon.is_finite()) {
            return Err(Error::invalid("spectral times: t_min", format!("in (0, horizon = {horizon})"), t_min));
        }
        if steps == 0 || steps > 1_000_000 {
            return Err(Error::invalid("spectral times: steps", "in 1..=1,000,000", steps));
        }
        if let Some(v) = eigenvalues.iter().find(|v| !(**v > 0.0 && v.is_finite())) {
            return Err(Error::invalid("spectral times: eigenvalues", "finite and > 0", v));
        }
        let width = (horizon / t_min).ln() / INTERVALS as f64;
        let time = |i: f64| t_min * (i * width).exp();
        // The density in ln t.
        let density = |i: usize| {
            let t = time(i as f64);
            t * eigenvalues.iter().map(|v| self.heun_error(*v, t).powi(2)).sum::<f64>().powf(1.0 / 6.0)
        };
        let mut below = vec![0.0];
        let (mut sum, mut left) = (0.0, density(0));
        for i in 1..=INTERVALS {
            let right = density(i);
            sum += 0.5 * (left + right);
            left = right;
            below.push(sum);
        }
        if !(sum > 0.0 && sum.is_finite()) {
            return Err(Error::refused("spectral times", "the flow of data with these eigenvalues has no error to be divided"));
        }
        let inner = (1..steps).map(|n| {
            let share = sum * (steps - n) as f64 / steps as f64;
            let i = below.partition_point(|b| *b < share).max(1) - 1;
            time(i as f64 + (share - below[i]) / (below[i + 1] - below[i]))
        });
        Ok([horizon].into_iter().chain(inner).chain([t_min]).collect())
    }

    /// Eigenvalues for [`NoiseScale::spectral_times`] where nothing is known of them: evenly spaced in their
    /// logarithm, from a sixteenth of the noise's variance at `t_min`, where a direction is a point at all
    /// times, to the variance of whitened data, 1.
    pub fn scale_free_spectrum(self, t_min: f64) -> Vec<f64> {
        let low = (self.sbar(t_min).powi(2) / 16.0).min(0.5);
        (0..EIGENVALUES).map(|k| low.powf(k as f64 / (EIGENVALUES - 1) as f64)).collect()
    }

    /// g = a^3/6 - a''/12 with a = v'/(2v): a step h of Heun's method on x' = a x misses h^3 g of ln x.
    fn heun_error(self, eigenvalue: f64, t: f64) -> f64 {
        let [v, v1, v2, v3] = self.variances(eigenvalue, t);
        let [r1, r2, r3] = [v1 / v, v2 / v, v3 / v];
        (6.0 * r1 * r2 - 3.0 * r1.powi(3) - 2.0 * r3) / 48.0
    }

    /// v = alpha^2 lambda + sbar^2 and its first three derivatives.
    fn variances(self, eigenvalue: f64, t: f64) -> [f64; 4] {
        match self {
            NoiseScale::Preserving { beta } => {
                let c = (eigenvalue - 1.0) * (-beta * t).exp();
                [1.0 + c, -beta * c, beta.powi(2) * c, -beta.powi(3) * c]
            }
            NoiseScale::SubPreserving { beta } => {
                let e = (-beta * t).exp();
                let (c, q) = ((eigenvalue - 2.0) * e, e * e);
                [1.0 + c + q, -beta * (c + 2.0 * q), beta.powi(2) * (c + 4.0 * q), -beta.powi(3) * (c + 8.0 * q)]
            }
            NoiseScale::Exploding { beta } => [eigenvalue + beta * t * t, 2.0 * beta * t, 2.0 * beta, 0.0],
            NoiseScale::Straight => {
                let alpha = 1.0 - t;
                [alpha * alpha * eigenvalue + t * t, 2.0 * (t - alpha * eigenvalue), 2.0 * (1.0 + eigenvalue), 0.0]
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sde::Grid;
    use crate::sde::ode::Explicit;

    const VP: NoiseScale = NoiseScale::Preserving { beta: 1.0 };

    /// The W2 distance to N(0, diag v(t_min)) of what Heun's method makes of N(0, diag v(horizon)): its map
    /// is linear, so that one point for each direction, started at a standard deviation, says all.
    fn w2(eigenvalues: &[f64], times: &[f64]) -> f64 {
        let v = |lambda: f64, t: f64| VP.alpha(t).powi(2) * lambda + VP.sbar(t).powi(2);
        let square = |lambda: &f64| {
            let mut x = [v(*lambda, times[0]).sqrt()];
            // The flow (4): -x/2 + x/(2v).
            let mut velocity = |t: f64, x: &[f64], out: &mut [f64]| {
                out[0] = 0.5 * (1.0 / v(*lambda, t) - 1.0) * x[0];
                Ok(())
            };
            Explicit::HEUN.solve(&mut velocity, 1, &mut x, times, &mut |_, _| ()).unwrap();
            (x[0] - v(*lambda, times[times.len() - 1]).sqrt()).powi(2)
        };
        eigenvalues.iter().map(square).sum::<f64>().sqrt()
    }

    #[test]
    fn spectral_times_have_the_least_error() {
        let (horizon, t_min, eigenvalues) = (6.0, 0.02, [0.5, 0.1]);
        let mut errors = vec![];
        for steps in [4, 8, 16, 32, 64, 128] {
            let error = w2(&eigenvalues, &VP.spectral_times(&eigenvalues, horizon, t_min, steps).unwrap());
            let rivals = [Grid::Uniform, Grid::Quadratic, Grid::Geometric].map(|grid| {
                let mut times: Vec<f64> = grid.times(horizon - t_min, steps).unwrap().iter().map(|t| t + t_min).collect();
                times.reverse();
                times
            });
            for times in rivals.iter().chain([&VP.generation_times(horizon, t_min, steps)]) {
                let rival = w2(&eigenvalues, times);
                assert!(error <= 0.8 * rival, "{steps} steps: {error}, a rival {rival}");
            }
            errors.push(error);
        }
        // Heun's method is of order 2.
        for pair in errors[2..].windows(2) {
            let order = (pair[0] / pair[1]).log2();
            assert!((order - 2.0).abs() <= 0.15, "{order}: {errors:?}");
        }
    }

    /// One step of each process misses h^3 g of ln x, by the step itself, and times of twice the steps have
    /// those of the steps among them.
    #[test]
    fn the_density_is_that_of_the_local_error() {
        for scale in [VP, NoiseScale::SubPreserving { beta: 1.0 }, NoiseScale::Exploding { beta: 1.0 }, NoiseScale::Straight] {
            let straight = scale == NoiseScale::Straight;
            for (lambda, t) in [(0.3, 0.2), (0.05, 0.5), (2.0, 1.0)] {
                let v = |t: f64| scale.alpha(t).powi(2) * lambda + scale.sbar(t).powi(2);
                // The flow (4): a = sigma^2/(2v) + (ln alpha)', the last the same at all times; of straight paths v'/(2v).
                let noise = |t: f64| 0.5 * scale.diffusion(t).powi(2) / v(t) + scale.alpha(1.0).ln();
                let rate = |t: f64| if straight { (t - (1.0 - t) * lambda) / v(t) } else { noise(t) };
                let h = 0.004 * t;
                let (from, to) = (t - 0.5 * h, t + 0.5 * h);
                let heun = 1.0 + 0.5 * h * (rate(from) + rate(to)) + 0.5 * h * h * rate(from) * rate(to);
                let missed = 0.5 * (v(to) / v(from)).ln() - heun.ln();
                let g = scale.heun_error(lambda, t) * h.powi(3);
                assert!((missed - g).abs() <= 0.1 * g.abs() + 1e-15, "{scale:?}, {lambda} at {t}: {missed} {g}");
            }
            let spectrum = scale.scale_free_spectrum(0.02);
            let horizon = if straight { 0.95 } else { 4.0 };
            let [few, many] = [5, 10].map(|n| scale.spectral_times(&spectrum, horizon, 0.02, n).unwrap());
            assert!(few.iter().zip(many.iter().step_by(2)).all(|(a, b)| (a - b).abs() <= 1e-12 * a), "{few:?} {many:?}");
        }
    }

    #[test]
    fn nonsense_is_refused() {
        for (eigenvalues, horizon, t_min, steps) in [
            (vec![0.5], 1.0, 2.0, 4),
            (vec![0.5], 1.0, f64::NAN, 4),
            (vec![0.5], 1.0, 0.1, 0),
            (vec![-0.5], 1.0, 0.1, 4),
            (vec![], 1.0, 0.1, 4),
            // Standard normal data stay what they are.
            (vec![1.0], 1.0, 0.1, 4),
        ] {
            assert!(VP.spectral_times(&eigenvalues, horizon, t_min, steps).is_err(), "{eigenvalues:?} {horizon} {t_min} {steps}");
        }
    }
}
