//! What a network is regressed on, and in which units: three numbers for each time.

use crate::config::Parametrisation;
use crate::sde::NoiseScale;

/// What is regressed on: S, of order one at every time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Regression {
    /// The score s itself, S = sbar s.
    Score,
    /// The residual S = net alone, net/sbar in the units of a score: the component flow (18).
    Residual,
    /// The velocity of the probability flow of a linear process, S = v: flow matching (23).
    Velocity,
}

impl Regression {
    /// S over what a draw's target is: sbar of a score, 1 of a velocity.
    pub(crate) fn unit(self, scale: NoiseScale, t: f64) -> f64 {
        match self {
            Regression::Score | Regression::Residual => scale.sbar(t),
            Regression::Velocity => 1.0,
        }
    }

    /// S_0 = unit share g, g the guide's score: what of S the guide has. The velocity of N(0, I) data is
    /// (V'/2V) u = -(V'/2) g with V = alpha^2 + sbar^2; the component flow's target has no part of the guide.
    pub(crate) fn share(self, scale: NoiseScale, t: f64) -> f64 {
        match self {
            Regression::Score => 1.0,
            Regression::Residual => 0.0,
            Regression::Velocity => -0.5 * scale.total_rate(t),
        }
    }

    /// r = s - g over (S - S_0)/unit. Of a velocity -2/sigma^2, by v = f - (sigma^2/2) s (eq. 4).
    pub(crate) fn score(self, scale: NoiseScale, t: f64) -> f64 {
        match self {
            Regression::Score | Regression::Residual => 1.0,
            Regression::Velocity => -2.0 / scale.diffusion(t).powi(2),
        }
    }

    /// p: what the network's output is multiplied with to be S, or S - S_0.
    ///
    /// Preconditioned it is the standard deviation of the target less S_0 on data N(0, I) (22): alpha/V^(1/2) of a score,
    /// and sigma^2 alpha/(2 sbar V^(1/2)) of a velocity.
    #[inline]
    pub(crate) fn factor(self, parametrisation: Parametrisation, scale: NoiseScale, t: f64) -> f64 {
        match parametrisation {
            Parametrisation::Plain => self.unit(scale, t),
            Parametrisation::Residual | Parametrisation::Scaled => 1.0,
            Parametrisation::Preconditioned => {
                let (alpha, sbar) = (scale.alpha(t), scale.sbar(t));
                let score = alpha / alpha.hypot(sbar);
                match self {
                    Regression::Score | Regression::Residual => score,
                    Regression::Velocity => 0.5 * scale.diffusion(t).powi(2) / sbar * score,
                }
            }
        }
    }

    /// Whether the network is the whole of S, from which S_0 is to be taken for what it adds.
    pub(crate) fn is_whole(self, parametrisation: Parametrisation) -> bool {
        self != Regression::Residual && !parametrisation.adds_to_guide()
    }

    /// Whether S_0 is added to the network.
    pub(crate) fn is_guided(self, parametrisation: Parametrisation) -> bool {
        self != Regression::Residual && parametrisation.adds_to_guide()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rng::{Purpose, Stream};

    /// On data N(0, 1) the preconditioned network's target, (Y - S_0)/p, has variance 1 and no correlation with
    /// the point at every time: the constants of EDM (its appendix B.6) and the velocity's. Second moments of
    /// 40,000 draws: within 4.4 standard errors, 99.999 % of each.
    #[test]
    fn preconditioned_targets_have_variance_one() {
        let (beta, n) = (0.9, 40_000);
        let (vp, ve) = (NoiseScale::Preserving { beta }, NoiseScale::Exploding { beta });
        let cases = [(Regression::Score, vp, 0.7), (Regression::Score, ve, 0.004), (Regression::Score, ve, 3.0)];
        let straight = [0.03, 0.5, 0.97].map(|t| (Regression::Velocity, NoiseScale::Straight, t));
        let score = [0.03, 0.97].map(|t| (Regression::Score, NoiseScale::Straight, t));
        for (regression, scale, t) in cases.into_iter().chain(straight).chain(score) {
            let p = regression.factor(Parametrisation::Preconditioned, scale, t);
            let mut stream = Stream::new(1, Purpose::Test, 0, 0);
            let (mut squares, mut products) = (0.0, 0.0);
            for _ in 0..n {
                let (x0, z) = (stream.normal::<f64>(), stream.normal::<f64>());
                let u = scale.alpha(t) * x0 + scale.sbar(t) * z;
                let y = if regression == Regression::Velocity { z - x0 } else { -z / scale.sbar(t) };
                let guide = -u / scale.total(t);
                let net = regression.unit(scale, t) * (y - regression.share(scale, t) * guide) / p;
                squares += net * net / n as f64;
                products += net * u / scale.total(t).sqrt() / n as f64;
            }
            let error = 4.4 / (n as f64).sqrt();
            assert!((squares - 1.0).abs() <= 2f64.sqrt() * error, "{regression:?}, {scale:?} at {t}: {squares}");
            assert!(products.abs() <= error, "{regression:?}, {scale:?} at {t}: {products}");
        }
    }

    /// From the velocity of a Gaussian to its score and back.
    #[test]
    fn velocities_and_scores_are_each_others() {
        let (m, c, u, v) = (0.8, 0.3, 1.4, Regression::Velocity);
        for t in [0.002, 0.4, 0.9] {
            let scale = NoiseScale::Straight;
            // X_t of data N(m, c): E[z - x0 | X_t = u] by the covariances, score -(u - (1 - t) m)/var.
            let variance = (1.0 - t) * (1.0 - t) * c + t * t;
            let velocity = -m + (t - (1.0 - t) * c) / variance * (u - (1.0 - t) * m);
            let score = -(u - (1.0 - t) * m) / variance;
            let guide = -u / scale.total(t);
            let residual = v.score(scale, t) * (velocity / v.unit(scale, t) - v.share(scale, t) * guide);
            assert!((residual + guide - score).abs() <= 1e-10 * score.abs().max(1.0 / t), "{t}: {} {score}", residual + guide);
        }
    }
}
