//! How much noise there is at time t: what networks, weights and time sampling are scaled by.

/// The noise level of a process in whitened coordinates, where the data's scale is 1.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum NoiseScale {
    /// Langevin dynamics, Ornstein-Uhlenbeck, variance-preserving: sbar^2(t) = 1 - e^(-beta t).
    Preserving {
        /// Speed, 1 / time.
        beta: f64,
    },
    /// Sub-variance-preserving: sbar(t) = 1 - e^(-beta t), the square of the former.
    SubPreserving {
        /// Speed, 1 / time.
        beta: f64,
    },
    /// Variance-exploding: sbar(t) = sqrt(beta) t.
    Exploding {
        /// Squared growth of the standard deviation per time.
        beta: f64,
    },
    /// Straight paths, alpha = 1 - t and sbar = t, before t = 1.
    Straight,
}

impl NoiseScale {
    /// alpha(t): what is left of the data at time t in a linear process, X_t = alpha X_0 + sbar Z.
    pub fn alpha(self, t: f64) -> f64 {
        match self {
            NoiseScale::Preserving { beta } | NoiseScale::SubPreserving { beta } => (-0.5 * beta * t).exp(),
            NoiseScale::Exploding { .. } => 1.0,
            NoiseScale::Straight => 1.0 - t,
        }
    }

    /// sbar(t): the standard deviation of the noise at time t.
    pub fn sbar(self, t: f64) -> f64 {
        match self {
            NoiseScale::Preserving { beta } => (-(-beta * t).exp_m1()).sqrt(),
            NoiseScale::SubPreserving { beta } => -(-beta * t).exp_m1(),
            NoiseScale::Exploding { beta } => beta.sqrt() * t,
            NoiseScale::Straight => t,
        }
    }

    /// sigma(t): the coefficient of the noise in the equation.
    pub fn diffusion(self, t: f64) -> f64 {
        match self {
            NoiseScale::Preserving { beta } => beta.sqrt(),
            NoiseScale::SubPreserving { beta } => (-beta * (-2.0 * beta * t).exp_m1()).sqrt(),
            NoiseScale::Exploding { beta } => (2.0 * beta * t).sqrt(),
            NoiseScale::Straight => (2.0 * t / (1.0 - t)).sqrt(),
        }
    }

    /// d ell / dt, for [`NoiseScale::log_ratio`].
    pub fn log_ratio_rate(self, t: f64) -> f64 {
        match self {
            NoiseScale::Preserving { beta } => -beta / (-beta * t).exp_m1(),
            NoiseScale::SubPreserving { beta } => beta / (0.5 * beta * t).tanh(),
            NoiseScale::Exploding { .. } => 2.0 / t,
            NoiseScale::Straight => 2.0 / (t * (1.0 - t)),
        }
    }

    /// ell(t) = ln(noise variance / remaining signal variance) = ln(sbar^2 / alpha^2).
    pub fn log_ratio(self, t: f64) -> f64 {
        match self {
            NoiseScale::Preserving { beta } => (beta * t).exp_m1().ln(),
            NoiseScale::SubPreserving { beta } => 2.0 * (2.0 * (0.5 * beta * t).sinh()).ln(),
            NoiseScale::Exploding { beta } => (beta * t * t).ln(),
            NoiseScale::Straight => 2.0 * (t / (1.0 - t)).ln(),
        }
    }

    /// The time whose [`NoiseScale::log_ratio`] is `ell`.
    pub fn time(self, ell: f64) -> f64 {
        match self {
            NoiseScale::Preserving { beta } => (ell.max(0.0) + (-ell.abs()).exp().ln_1p()) / beta,
            NoiseScale::SubPreserving { beta } => 2.0 * (0.5 * (0.5 * ell).exp()).asinh() / beta,
            NoiseScale::Exploding { beta } => (0.5 * ell).exp() / beta.sqrt(),
            NoiseScale::Straight => 1.0 / (1.0 + (-0.5 * ell).exp()),
        }
    }

    /// V(t) = alpha^2 + sbar^2: the variance of X_t of data N(0, I).
    pub fn total(self, t: f64) -> f64 {
        self.alpha(t).powi(2) + self.sbar(t).powi(2)
    }

    /// dV/dt.
    pub fn total_rate(self, t: f64) -> f64 {
        match self {
            NoiseScale::Preserving { .. } => 0.0,
            NoiseScale::SubPreserving { beta } => beta * (-beta * t).exp() * (1.0 - 2.0 * (-beta * t).exp()),
            NoiseScale::Exploding { beta } => 2.0 * beta * t,
            NoiseScale::Straight => 4.0 * t - 2.0,
        }
    }

    /// Standard deviation of a coordinate of X_t whose data have standard deviation `data`.
    pub fn total_std(self, data: f64, t: f64) -> f64 {
        match self {
            NoiseScale::Preserving { .. } => data,
            NoiseScale::SubPreserving { .. } | NoiseScale::Exploding { .. } | NoiseScale::Straight => {
                (self.alpha(t) * data).hypot(self.sbar(t))
            }
        }
    }

    /// Times from `horizon` down to `t_min`, `steps` steps, evenly spaced in (noise / signal)^(1/7) (Karras
    /// et al. 2022, their rho = 7).
    pub fn generation_times(self, horizon: f64, t_min: f64, steps: usize) -> Vec<f64> {
        let warped = |t: f64| (self.log_ratio(t) / 14.0).exp();
        let (high, low) = (warped(horizon), warped(t_min));
        (0..=steps)
            .map(|i| match i {
                0 => horizon,
                _ if i == steps => t_min,
                _ => self.time(14.0 * (high + (low - high) * i as f64 / steps as f64).ln()),
            })
            .collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The noise level sbar(t) of each process (eq. 17), and the inverse of its logarithm.
    #[test]
    fn time_inverts_log_ratio_and_sbar_agrees() {
        let scales = [
            NoiseScale::Preserving { beta: 0.7 },
            NoiseScale::SubPreserving { beta: 0.7 },
            NoiseScale::Exploding { beta: 2.0 },
            NoiseScale::Straight,
        ];
        for scale in scales {
            let end = if scale == NoiseScale::Straight { 0.8 } else { 8.0 };
            for t in [1e-6, 1e-3, 0.1, 0.125 * end, end] {
                let ell = scale.log_ratio(t);
                assert!((scale.time(ell) - t).abs() <= 1e-9 * t, "{scale:?} {t}");
                let ratio = (scale.sbar(t) / scale.alpha(t)).powi(2);
                assert!((ratio.ln() - ell).abs() <= 1e-6, "{scale:?} {t}");
                let h = 1e-4 * t;
                let rate = (scale.log_ratio(t + h) - scale.log_ratio(t - h)) / (2.0 * h);
                assert!((rate - scale.log_ratio_rate(t)).abs() <= 1e-6 * rate, "{scale:?} {t}");
                let rate = (scale.total(t + h) - scale.total(t - h)) / (2.0 * h);
                assert!((rate - scale.total_rate(t)).abs() <= 1e-5 * (1.0 + rate.abs()), "{scale:?} {t}: {rate}");
                // V' = 2 (alpha'/alpha) V + sigma^2.
                let decay = (scale.alpha(t + h).ln() - scale.alpha(t - h).ln()) / (2.0 * h);
                let noise = scale.total_rate(t) - 2.0 * decay * scale.total(t);
                assert!((noise - scale.diffusion(t).powi(2)).abs() <= 1e-5 * (1.0 + noise), "{scale:?} {t}: {noise}");
            }
            let last = 0.375 * end;
            let times = scale.generation_times(last, 0.02, 16);
            assert!(times[0] == last && times[16] == 0.02 && times.windows(2).all(|w| w[1] < w[0]));
        }
    }
}
