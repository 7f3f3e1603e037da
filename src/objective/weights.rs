//! Weights lambda(t) of the times in a loss, as multiples of sbar^2: what a draw's |S - Y|^2, S = sbar s, is
//! multiplied with.
//!
//! | weighting | lambda |
//! |---|---|
//! | variance | sbar^2: each time's target has about the same size |
//! | uniform | 1 |
//! | likelihood | sigma^2(t) over T q(t), q the density of the times: the loss is then a bound on the negative log-likelihood of the data, up to a constant (Song, Durkan, Murray and Ermon 2021, Theorem 1), the integral of sigma^2 |s - grad log p_t|^2 / 2 over the times |
//! | network | sbar^2/p^2, p what the network's output is multiplied with to be S: |net - its target|^2 counts alike at every time, the published weight of EDM, 1/c_out^2 of an error of the denoiser, and of flow matching |
//! | inverse variance | sbar^2 over the running variance of the draws' values at about that time, scaled to a mean of 1 |

use super::Regression;
use crate::config::{Parametrisation, Weighting};
use crate::sde::NoiseScale;
use crate::transition::Noising;
use crate::{Error, Real, Result};

/// Groups of ell = ln(noise/signal)^2, and where the first ends.
const BINS: usize = 8;
const FIRST: f64 = -3.0;
/// Weight of a batch after each later one.
const FADE: f64 = 0.99;
/// Draws that a group must have seen, faded, before its variance counts.
const LEAST: f64 = 16.0;

/// The group of the time t of a process.
pub(super) fn bin(scale: NoiseScale, t: f64) -> usize {
    (scale.log_ratio(t) - FIRST + 1.0).clamp(0.0, (BINS - 1) as f64) as usize
}

/// How many groups there are.
pub(super) const fn bins() -> usize {
    BINS
}

/// For each group of times what was seen in it, older batches counting less: number of draws, sum and sum of
/// squares of their values at the weight 1. Part of a checkpoint; empty for weightings that do not learn.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Seen(Vec<[f64; 3]>);

impl Seen {
    /// Before the first step.
    pub fn start(weighting: Weighting) -> Self {
        Seen(if weighting == Weighting::InverseVariance { vec![[0.0; 3]; BINS] } else { Vec::new() })
    }

    /// [groups, 3], for checkpoints.
    pub fn numbers(&self) -> &[[f64; 3]] {
        &self.0
    }

    /// From [`Seen::numbers`].
    ///
    /// # Errors
    /// Another number of groups; numbers that no draws have.
    pub fn from_numbers(rows: Vec<[f64; 3]>) -> Result<Self> {
        let fit = rows.is_empty() || rows.len() == BINS;
        if !fit
            || rows.iter().any(|[n, sum, square]| !(n.is_finite() && sum.is_finite() && square.is_finite() && *n >= 0.0 && *square >= 0.0))
        {
            return Err(Error::refused("weights", format!("expected {BINS} rows of a number of draws and two finite sums")));
        }
        Ok(Seen(rows))
    }

    /// The weight of each group: the inverse of its variance, over the mean of that over the draws seen.
    fn weights(&self) -> [f64; BINS] {
        let mut inverse = [None; BINS];
        let (mut draws, mut sum) = (0.0, 0.0);
        for ([n, s, square], inverse) in self.0.iter().zip(&mut inverse) {
            let variance = square / n - (s / n) * (s / n);
            if *n >= LEAST && variance > 0.0 {
                *inverse = Some(1.0 / variance);
                (draws, sum) = (draws + n, sum + n / variance);
            }
        }
        // A group about which nothing is known has the mean's weight.
        inverse.map(|inverse| inverse.map_or(1.0, |inverse| inverse * draws / sum))
    }
}

/// The weights of a batch's draws.
#[derive(Debug, Clone)]
pub struct Weights {
    weighting: Weighting,
    scale: NoiseScale,
    /// What is regressed on, and what the network is of it.
    network: (Regression, Parametrisation),
    values: Vec<f64>,
}

impl Weights {
    /// For batches of `draws` draws; "network" of a network that is regressed on the score and multiplied with
    /// 1/sbar.
    pub fn new(weighting: Weighting, scale: NoiseScale, draws: usize) -> Self {
        Weights { weighting, scale, network: (Regression::Score, Parametrisation::Residual), values: vec![1.0; draws] }
    }

    /// The same where the network is another thing.
    pub fn of(self, regression: Regression, parametrisation: Parametrisation) -> Self {
        Weights { network: (regression, parametrisation), ..self }
    }

    /// lambda / sbar^2 at the times of a batch of `noising`'s draws. Of more or fewer times than at the
    /// start, the first ones.
    pub fn at<R: Real>(&mut self, times: &[f64], noising: &dyn Noising<R>, seen: &Seen) -> &[f64] {
        let (scale, (regression, parametrisation), learned) = (self.scale, self.network, seen.weights());
        for (w, t) in self.values.iter_mut().zip(times) {
            let sbar = scale.sbar(*t);
            *w = match self.weighting {
                Weighting::Variance => 1.0,
                Weighting::Uniform => 1.0 / (sbar * sbar),
                Weighting::Likelihood => scale.diffusion(*t).powi(2) * noising.importance(*t) / (sbar * sbar),
                Weighting::InverseVariance => learned[bin(scale, *t)],
                Weighting::Network => regression.factor(parametrisation, scale, *t).powi(-2),
            };
        }
        &self.values
    }

    /// Takes a batch into account: the `values` of its draws with the weights of the last [`Weights::at`].
    pub fn learn<R: Real>(&self, seen: &mut Seen, times: &[f64], values: &[R]) {
        if seen.0.is_empty() {
            return;
        }
        seen.0.iter_mut().flatten().for_each(|x| *x *= FADE);
        for ((value, w), t) in values.iter().zip(&self.values).zip(times) {
            let value = value.f64() / w;
            let [n, sum, square] = &mut seen.0[bin(self.scale, *t)];
            (*n, *sum, *square) = (*n + 1.0, *sum + value, *square + value * value);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::mixture::{Covariances, Mixture};
    use crate::objective::GaussianChain;
    use crate::sde::{ComponentStep, DoubleWell, Grid};
    use crate::transition::{ComponentKernel, Euler, Target, TimeLaw};
    use ndarray::array;

    const SCALE: NoiseScale = NoiseScale::Preserving { beta: 0.8 };

    /// The weight sigma^2(t) over T times the density of the times (eq. 17), with which (eq. 7) bounds the
    /// likelihood.
    #[test]
    fn likelihood_weights_make_the_mean_over_draws_that_over_time() {
        // Of sbar^2 t: the mean of beta t over [0, 2] is 0.8; on a grid, the sum over the ends of its steps.
        let law = TimeLaw::logit_normal(SCALE, 1e-6, 2.0, -1.0, 1.5).unwrap();
        let pi = Mixture::new(array![1.0], array![[0.0]], Covariances::Spherical(array![1.0])).unwrap();
        let kernel = ComponentKernel::new(ComponentStep::<f64>::new(&pi, 0.8).unwrap(), law, Target::Score);
        let n = 200_000;
        let u = |i: usize| (i as f64 + 0.5) / n as f64;
        let mean = |noising: &dyn Noising<f64>, times: &[f64]| {
            let mut weights = Weights::new(Weighting::Likelihood, SCALE, n);
            let w = weights.at(times, noising, &Seen::default());
            w.iter().zip(times).map(|(w, t)| w * SCALE.sbar(*t).powi(2) * t).sum::<f64>() / n as f64
        };
        let times: Vec<f64> = (0..n).map(|i| law.quantile(u(i))).collect();
        assert!((mean(&kernel, &times) - 0.8).abs() <= 1e-3);
        let grid = Grid::Quadratic.times(2.0, 20).unwrap();
        let exact: f64 = grid.windows(2).map(|t| 0.8 * (t[1] - t[0]) * t[1] / 2.0).sum();
        for law in [law, TimeLaw::uniform(SCALE, 0.0, 2.0).unwrap()] {
            let chain = GaussianChain::fixed(Euler(DoubleWell::new(1, 0.8).unwrap()), grid.clone(), law, 1).unwrap();
            let times: Vec<f64> = (0..n).map(|i| grid[law.step(u(i), &grid) + 1]).collect();
            // The logit-normal law hardly sees the last step, which it is clipped to.
            assert!((mean(&chain, &times) - exact).abs() <= 1e-3, "{} {exact}", mean(&chain, &times));
        }
    }

    /// EDM's: the error of the denoiser D = u + sigma^2 s counts 1/c_out^2 = (1 + sigma^2)/sigma^2, and that of S = sigma s
    /// as much times sigma^2.
    #[test]
    fn preconditioned_networks_are_weighed_as_published() {
        let (scale, times) = (NoiseScale::Exploding { beta: 1.0 }, [0.004, 0.5, 1.0, 160.0]);
        let chain =
            GaussianChain::per_path(Euler(DoubleWell::new(1, 0.8).unwrap()), 4, TimeLaw::uniform(SCALE, 0.0, 3.0).unwrap()).unwrap();
        let with = |form| {
            Weights::new(Weighting::Network, scale, 4).of(Regression::Score, form).at::<f64>(&times, &chain, &Seen::default()).to_vec()
        };
        for (w, sigma) in with(Parametrisation::Preconditioned).iter().zip(times) {
            assert!((w / (1.0 + sigma * sigma) - 1.0).abs() <= 1e-12, "{sigma}: {w}");
        }
        assert!(with(Parametrisation::Scaled) == [1.0; 4]);
        assert!(with(Parametrisation::Plain).iter().zip(times).all(|(w, sigma)| (w * sigma * sigma - 1.0).abs() <= 1e-12));
    }

    #[test]
    fn inverse_variances_level_what_is_seen() {
        let times: Vec<f64> = (0..4000).map(|i| 0.01 + 2.99 * f64::from(i) / 4000.0).collect();
        // Values whose standard deviation is the time.
        let values: Vec<f64> = times.iter().enumerate().map(|(i, t)| 3.0 + if i % 2 == 0 { *t } else { -t }).collect();
        let (mut seen, mut weights) = (Seen::start(Weighting::InverseVariance), Weights::new(Weighting::InverseVariance, SCALE, 4000));
        let chain =
            GaussianChain::per_path(Euler(DoubleWell::new(1, 0.8).unwrap()), 4, TimeLaw::uniform(SCALE, 0.0, 3.0).unwrap()).unwrap();
        let ask = |weights: &mut Weights, seen: &Seen| weights.at::<f64>(&times, &chain, seen).to_vec();
        assert!(ask(&mut weights, &seen).iter().all(|w| *w == 1.0));
        for _ in 0..5 {
            let w = ask(&mut weights, &seen);
            let weighted: Vec<f64> = values.iter().zip(&w).map(|(v, w)| v * w).collect();
            weights.learn(&mut seen, &times, &weighted);
        }
        let w = ask(&mut weights, &seen);
        assert!((w.iter().sum::<f64>() / 4000.0 - 1.0).abs() <= 1e-9);
        for k in 0..bins() {
            let of = |i: &usize| bin(SCALE, times[*i]) == k;
            let (n, square) = (0..4000).filter(of).fold((0.0, 0.0), |(n, s), i| (n + 1.0, s + times[i] * times[i]));
            let products: Vec<f64> = (0..4000).filter(of).map(|i| w[i] * square / n).collect();
            assert!(products.iter().all(|p| (p / products[0] - 1.0).abs() <= 1e-9));
            assert!(products.is_empty() || (products[0] / (w[3999] * 7.5) - 1.0).abs() <= 0.2, "{k}: {}", products[0]);
        }
        let copy = Seen::from_numbers(seen.numbers().to_vec()).unwrap();
        assert!(
            copy == seen && Seen::from_numbers(vec![[1.0, 0.0, 1.0]]).is_err() && Seen::from_numbers(vec![[f64::NAN; 3]; bins()]).is_err()
        );
    }
}
