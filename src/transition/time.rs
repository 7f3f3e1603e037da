//! Laws of the training times (method.md, eq. 17), sampled by stratified inversion.

use crate::rng::Stream;
use crate::sde::NoiseScale;
use crate::{Error, Real, Result};

/// The law of the time at which the score is learned.
#[derive(Debug, Clone, Copy)]
pub struct TimeLaw {
    scale: NoiseScale,
    t_min: f64,
    horizon: f64,
    /// Mean and standard deviation of ln(noise / signal); none: uniform in time.
    logit: Option<(f64, f64)>,
}

impl TimeLaw {
    /// Times uniform on [t_min, horizon].
    ///
    /// # Errors
    /// Unless 0 <= t_min < horizon.
    pub fn uniform(scale: NoiseScale, t_min: f64, horizon: f64) -> Result<Self> {
        if t_min >= 0.0 && t_min < horizon && horizon.is_finite() {
            return Ok(TimeLaw { scale, t_min, horizon, logit: None });
        }
        Err(Error::invalid("t_min", format!("in [0, horizon = {horizon})"), t_min))
    }

    /// ln(sbar / sqrt(1 - sbar^2)) ~ N(mu, sigma^2), clipped to [t_min, horizon] (eq. 17).
    ///
    /// # Errors
    /// As [`TimeLaw::uniform`]; `sigma` not positive.
    pub fn logit_normal(scale: NoiseScale, t_min: f64, horizon: f64, mu: f64, sigma: f64) -> Result<Self> {
        if !(mu.is_finite() && sigma > 0.0 && sigma.is_finite()) {
            return Err(Error::invalid("logit-normal times", "a finite mean and a standard deviation > 0", format!("{mu} and {sigma}")));
        }
        Ok(TimeLaw { logit: Some((mu, sigma)), ..TimeLaw::uniform(scale, t_min, horizon)? })
    }

    /// The latest time.
    pub fn horizon(&self) -> f64 {
        self.horizon
    }

    /// The time below which a share `u` of the law lies.
    pub fn quantile(&self, u: f64) -> f64 {
        match self.logit {
            None => self.t_min + (self.horizon - self.t_min) * u,
            Some((mu, sigma)) => self.scale.time(2.0 * (mu + sigma * normal_quantile(u))).clamp(self.t_min, self.horizon),
        }
    }

    /// The density of the law at time `t`; 0 where it is clipped, at the ends.
    pub fn density(&self, t: f64) -> f64 {
        match self.logit {
            _ if !(t >= self.t_min && t <= self.horizon) => 0.0,
            None => 1.0 / (self.horizon - self.t_min),
            Some(_) if t == self.t_min || t == self.horizon => 0.0,
            Some((mu, sigma)) => {
                let z = (0.5 * self.scale.log_ratio(t) - mu) / sigma;
                z.normal_law_lane::<false>().1 / sigma * 0.5 * self.scale.log_ratio_rate(t)
            }
        }
    }

    /// 1/(T q(t)): what a function of the time is multiplied with so that its mean over the law is that over
    /// [0, T]. 0 at the ends where the law is clipped, which are no interval.
    pub fn importance(&self, t: f64) -> f64 {
        let q = self.density(t);
        if q > 0.0 { 1.0 / (self.horizon * q) } else { 0.0 }
    }

    /// The probability that [`TimeLaw::step`] is `n`.
    pub fn probability(&self, n: usize, times: &[f64]) -> f64 {
        let steps = times.len() - 1;
        let Some((mu, sigma)) = self.logit else { return 1.0 / steps as f64 };
        let ell = |t: f64| self.scale.log_ratio(t);
        let (least, most) = (ell(self.t_min), ell(self.horizon));
        // The share below the middle between the ends of two steps.
        let below = |n: usize| match n {
            0 => 0.0,
            _ if n == steps => 1.0,
            _ => match 0.5 * (ell(times[n]) + ell(times[n + 1])) {
                middle if middle <= least => 0.0,
                middle if middle > most => 1.0,
                middle => ((0.5 * middle - mu) / sigma).normal_law_lane::<false>().0,
            },
        };
        below(n + 1) - below(n)
    }

    /// The index of the step whose end the law picks on a fixed grid `times` = t_0..t_N: uniform over the
    /// steps, or the step whose end is nearest in ln(noise / signal).
    pub fn step(&self, u: f64, times: &[f64]) -> usize {
        let steps = times.len() - 1;
        let n = match self.logit {
            None => (u * steps as f64) as usize,
            Some(_) => {
                let ell = self.scale.log_ratio(self.quantile(u));
                let after = times[1..].partition_point(|t| self.scale.log_ratio(*t) < ell);
                let near = |n: usize| (self.scale.log_ratio(times[n + 1]) - ell).abs();
                if after > 0 && (after == steps || near(after - 1) <= near(after)) { after - 1 } else { after }
            }
        };
        n.min(steps - 1)
    }
}

/// `n` stratified uniform numbers: one in each [i/n, (i+1)/n), written so that the `per_path` numbers of one
/// path lie n/per_path strata apart.
pub fn stratified(stream: &mut Stream, per_path: usize, out: &mut [f64]) {
    let n = out.len();
    let paths = n / per_path.max(1);
    for (i, u) in out.iter_mut().enumerate() {
        let stratum = (i % per_path) * paths + i / per_path;
        *u = (stratum as f64 + stream.uniform::<f64>()) / n as f64;
    }
}

/// The draws with these times, in their order.
pub(crate) fn by_time(times: &[f64]) -> Vec<usize> {
    let mut order: Vec<usize> = (0..times.len()).collect();
    order.sort_by(|a, b| times[*a].total_cmp(&times[*b]));
    order
}

/// The quantile function of N(0, 1), u in (0, 1): algorithm AS 241 (Wichura 1988), relative error about
/// 1e-16.
pub fn normal_quantile(u: f64) -> f64 {
    let ratio = |x: f64, num: &[f64; 8], den: &[f64; 8]| {
        let horner = |c: &[f64; 8]| c.iter().rev().fold(0.0, |p, c| p * x + c);
        horner(num) / horner(den)
    };
    let q = u - 0.5;
    if q.abs() <= 0.425 {
        return q * ratio(0.180_625 - q * q, &CENTRE.0, &CENTRE.1);
    }
    let r = (-u.min(1.0 - u).ln()).sqrt();
    let z = if r <= 5.0 { ratio(r - 1.6, &MIDDLE.0, &MIDDLE.1) } else { ratio(r - 5.0, &TAIL.0, &TAIL.1) };
    z.copysign(q)
}

const CENTRE: ([f64; 8], [f64; 8]) = (
    [
        3.387_132_872_796_366_5,
        133.141_667_891_784_38,
        1_971.590_950_306_551_3,
        13_731.693_765_509_46,
        45_921.953_931_549_87,
        67_265.770_927_008_7,
        33_430.575_583_588_13,
        2_509.080_928_730_122_7,
    ],
    [
        1.0,
        42.313_330_701_600_91,
        687.187_007_492_057_9,
        5_394.196_021_424_751,
        21_213.794_301_586_597,
        39_307.895_800_092_71,
        28_729.085_735_721_943,
        5_226.495_278_852_854,
    ],
);
const MIDDLE: ([f64; 8], [f64; 8]) = (
    [
        1.423_437_110_749_683_5,
        4.630_337_846_156_546,
        5.769_497_221_460_691,
        3.647_848_324_763_204_5,
        1.270_458_252_452_368_4,
        0.241_780_725_177_450_6,
        0.022_723_844_989_269_184,
        7.745_450_142_783_414e-4,
    ],
    [
        1.0,
        2.053_191_626_637_759,
        1.676_384_830_183_803_8,
        0.689_767_334_985_1,
        0.148_103_976_427_480_08,
        0.015_198_666_563_616_457,
        5.475_938_084_995_345e-4,
        1.050_750_071_644_416_9e-9,
    ],
);
const TAIL: ([f64; 8], [f64; 8]) = (
    [
        6.657_904_643_501_103,
        5.463_784_911_164_114,
        1.784_826_539_917_291_3,
        0.296_560_571_828_504_87,
        0.026_532_189_526_576_124,
        0.001_242_660_947_388_078_4,
        2.711_555_568_743_487_6e-5,
        2.010_334_399_292_288_1e-7,
    ],
    [
        1.0,
        0.599_832_206_555_887_9,
        0.136_929_880_922_735_8,
        0.014_875_361_290_850_615,
        7.868_691_311_456_133e-4,
        1.846_318_317_510_054_8e-5,
        1.421_511_758_316_446e-7,
        2.044_263_103_389_939_8e-15,
    ],
);

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rng::Purpose;

    #[test]
    fn quantiles_invert_the_integral_of_the_density() {
        // The distribution function by Simpson's rule from 0 in steps of 1/1000: error below 1e-13.
        let phi = |x: f64| (-0.5 * x * x).exp() / std::f64::consts::TAU.sqrt();
        let mut cdf = 0.5;
        for i in 0..6000 {
            let (a, b) = (f64::from(i) / 1000.0, f64::from(i + 1) / 1000.0);
            cdf += (phi(a) + 4.0 * phi(0.5 * (a + b)) + phi(b)) / 6000.0;
            if i % 100 == 99 {
                assert!((normal_quantile(cdf) - b).abs() <= 1e-12 / phi(b) + 1e-12, "{b}: {}", normal_quantile(cdf));
                assert!((normal_quantile(1.0 - cdf) + normal_quantile(cdf)).abs() <= 1e-12 / phi(b));
            }
        }
        assert!((normal_quantile(1e-15) + 7.941_345_326_170_998).abs() <= 1e-12);
    }

    /// A time is uniform within its stratum: the distance of Kolmogorov and Smirnov below its 99.99 % value,
    /// 2.225/sqrt n. In the centre, or with one shift for all strata, it is .5 or more.
    #[test]
    fn numbers_are_uniform_within_their_strata() {
        let n = 10_000;
        let mut u = vec![0.0; n];
        stratified(&mut Stream::new(1, Purpose::Test, 0, 0), 5, &mut u);
        let mut within: Vec<f64> = u.iter().map(|u| (u * n as f64).fract()).collect();
        within.sort_by(f64::total_cmp);
        let distance = within.iter().enumerate().map(|(i, x)| (x - (i as f64 + 0.5) / n as f64).abs()).fold(0.0, f64::max);
        assert!(distance <= 2.225 / (n as f64).sqrt(), "{distance}");
    }

    /// The law of the times (eq. 17), stratified, with its densities and probabilities.
    #[test]
    fn times_stay_inside_and_strata_are_all_met() {
        let scale = NoiseScale::Preserving { beta: 1.0 };
        let law = TimeLaw::logit_normal(scale, 0.02, 3.0, -0.6, 1.2).unwrap();
        let mut u = vec![0.0; 40];
        stratified(&mut Stream::new(0, Purpose::Test, 0, 0), 4, &mut u);
        let mut strata: Vec<usize> = u.iter().map(|u| (u * 40.0) as usize).collect();
        assert!(u.chunks(4).all(|path| path.windows(2).all(|w| w[1] - w[0] > 0.2)), "times of a path lie apart");
        strata.sort_unstable();
        assert!(strata.into_iter().eq(0..40));
        assert!(u.iter().all(|u| (0.02..=3.0).contains(&law.quantile(*u))));
        let grid = crate::sde::Grid::Uniform.times(3.0, 10).unwrap();
        let uniform = TimeLaw::uniform(scale, 0.0, 3.0).unwrap();
        assert!((0..10).all(|n| uniform.step((n as f64 + 0.5) / 10.0, &grid) == n));
        assert!(law.step(1e-9, &grid) == 0 && law.step(1.0 - 1e-9, &grid) == 9);
        // Densities and probabilities: of f(t) = t^2, the mean over [t_min, T] by draws, and on the grid by
        // steps.
        for (law, low) in [(law, 0.02f64), (uniform, 0.0)] {
            let n = 400_000;
            let sum: f64 = (0..n).map(|i| law.quantile((i as f64 + 0.5) / n as f64)).map(|t| t * t * law.importance(t)).sum();
            let exact = (27.0 - low.powi(3)) / 9.0;
            assert!((sum / n as f64 - exact).abs() <= 1e-4 * exact, "{} {exact}", sum / n as f64);
            let mut counts = [0.0; 10];
            (0..n).for_each(|i| counts[law.step((i as f64 + 0.5) / n as f64, &grid)] += 1.0 / n as f64);
            for (step, count) in counts.iter().enumerate() {
                assert!((law.probability(step, &grid) - count).abs() <= 1e-5, "{step}: {count}");
            }
        }
        assert!(law.density(3.0) == 0.0 && law.density(4.0) == 0.0 && uniform.density(3.0) == 1.0 / 3.0);
        assert!(TimeLaw::uniform(scale, 3.0, 3.0).is_err() && TimeLaw::logit_normal(scale, 0.0, 1.0, 0.0, 0.0).is_err());
    }
}
