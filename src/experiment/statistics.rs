//! Medians with intervals, and paired comparisons.

use crate::rng::{Purpose, Stream};

/// Resamples of the bootstrap.
const RESAMPLES: usize = 2_000;
/// Pairs up to which all assignments of signs are gone through; beyond, as many are drawn as `DRAWS`.
const EXACT: usize = 16;
const DRAWS: usize = 20_000;

/// A median with its 95 % interval.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Interval {
    /// Median of the values.
    pub median: f64,
    /// Lower end.
    pub low: f64,
    /// Upper end.
    pub high: f64,
}

/// The median of the values that are not NaN: the mean of the two middle ones if their number is even, NaN
/// without any.
pub fn median(values: &[f64]) -> f64 {
    let mut all: Vec<f64> = values.iter().copied().filter(|v| !v.is_nan()).collect();
    all.sort_by(f64::total_cmp);
    match all.len() {
        0 => f64::NAN,
        n if n % 2 == 1 => all[n / 2],
        // Two infinities have no mean, but are their median.
        n if all[n / 2 - 1] == all[n / 2] => all[n / 2],
        n => 0.5 * (all[n / 2 - 1] + all[n / 2]),
    }
}

/// The median and its 95 % interval by the percentile bootstrap (Efron 1979), 2,000 resamples.
pub fn median_interval(values: &[f64]) -> Interval {
    let all: Vec<f64> = values.iter().copied().filter(|v| !v.is_nan()).collect();
    if all.is_empty() {
        return Interval { median: f64::NAN, low: f64::NAN, high: f64::NAN };
    }
    let mut stream = Stream::new(0, Purpose::Metric, 1 << 40, 0);
    let medians = (0..RESAMPLES)
        .map(|_| {
            let resample: Vec<f64> = (0..all.len()).map(|_| all[stream.below(all.len())]).collect();
            median(&resample)
        })
        .collect();
    percentile_interval(median(&all), medians)
}

/// `median` with the 95 % of `resampled`, at least one value, that lie in the middle.
pub(super) fn percentile_interval(median: f64, mut resampled: Vec<f64>) -> Interval {
    resampled.sort_by(f64::total_cmp);
    let n = resampled.len();
    let at = |share: f64| resampled[((share * n as f64) as usize).min(n - 1)];
    Interval { median, low: at(0.025), high: at(0.975) }
}

/// The median of the paired differences a_i - b_i with its interval, and the two-sided P value of the
/// hypothesis that they are as often positive as negative, size for size (Fisher's sign-flip test of the
/// mean; exact up to 16 pairs). Pairs that are not finite are left out.
pub fn paired(a: &[f64], b: &[f64]) -> (Interval, f64) {
    let d: Vec<f64> = a.iter().zip(b).map(|(a, b)| a - b).filter(|d| d.is_finite()).collect();
    let observed = d.iter().sum::<f64>().abs();
    // What is equal but for rounding counts as reaching.
    let reaches = |sum: f64| sum.abs() >= observed * (1.0 - 1e-12);
    let n = d.len();
    let p = if n == 0 {
        f64::NAN
    } else if n <= EXACT {
        let sum = |signs: u32| d.iter().enumerate().map(|(i, d)| if signs >> i & 1 == 1 { -d } else { *d }).sum::<f64>();
        (0..1u32 << n).filter(|signs| reaches(sum(*signs))).count() as f64 / f64::from(1u32 << n)
    } else {
        let mut stream = Stream::new(0, Purpose::Metric, 1 << 40, 1);
        let mut sum = || d.iter().map(|d| if stream.below(2) == 1 { -d } else { *d }).sum::<f64>();
        (1 + (0..DRAWS).filter(|_| reaches(sum())).count()) as f64 / (1 + DRAWS) as f64
    };
    (median_interval(&d), p)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn medians_of_few() {
        assert_eq!(median(&[3.0, 1.0, f64::NAN, 2.0]), 2.0);
        assert_eq!(median(&[4.0, 1.0, 2.0, 3.0]), 2.5);
        assert!(median(&[]).is_nan() && median(&[f64::INFINITY; 4]) == f64::INFINITY);
        let same = median_interval(&[2.0; 5]);
        assert_eq!((same.median, same.low, same.high), (2.0, 2.0, 2.0));
    }

    #[test]
    fn sign_flips_by_hand() {
        // Of the 8 sums of +-1 +-2 +-3 two are as large as 6.
        assert_eq!(paired(&[1.0, 2.0, 3.0], &[0.0; 3]).1, 0.25);
        // 1 + 2 - 3 = 0: every sum reaches it.
        assert_eq!(paired(&[1.0, 2.0, 0.0], &[0.0, 0.0, 3.0]).1, 1.0);
        // Ten differences of one sign: 2 of 1,024.
        assert_eq!(paired(&[1.0; 10], &[0.0; 10]).1, 2.0 / 1024.0);
        assert!(paired(&[], &[]).1.is_nan());
        // Many pairs: drawn, and still sure.
        assert!(paired(&[1.0; 30], &[0.0; 30]).1 <= 1e-4);
    }

    /// The interval of 10 normals holds the median 0 in about 95 % of 400 trials; 3.9 standard errors of .011
    /// and the bootstrap's own error at n = 10, a few percent, are allowed.
    #[test]
    fn intervals_cover() {
        let mut stream = Stream::new(3, Purpose::Test, 0, 0);
        let mut held = 0;
        for _ in 0..400 {
            let x: Vec<f64> = (0..10).map(|_| stream.normal()).collect();
            let i = median_interval(&x);
            held += usize::from(i.low <= 0.0 && 0.0 <= i.high);
        }
        assert!((360..=396).contains(&held), "{held}");
    }

    /// P values of a true hypothesis are uniform: 5 % below .05 in 400 trials, within 3.9 standard errors.
    #[test]
    fn the_level_is_kept() {
        let mut stream = Stream::new(4, Purpose::Test, 0, 0);
        let mut low = 0;
        for _ in 0..400 {
            let mut x = || (0..8).map(|_| stream.normal()).collect::<Vec<f64>>();
            low += usize::from(paired(&x(), &x()).1 <= 0.05);
        }
        assert!(low <= 37, "{low}");
    }
}
