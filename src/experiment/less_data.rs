//! How many points a likelihood takes: the same law learned from more and more of them, by the method and by
//! linear processes, and the number of points with which the one is where the other is.

use super::record::KL;
use super::statistics::{Interval, median, percentile_interval};
use super::{Case, Method, Record, TUNING};
use crate::data::Request;
use crate::rng::{Purpose, Stream};
use std::path::Path;

/// The name of the group.
pub const GROUP: &str = "less-data";
/// Resamples of the bootstrap.
const RESAMPLES: usize = 1_000;
/// Seeds that are reported.
pub const SEEDS: u64 = 5;
/// Points of the case whose search chooses the settings for all numbers of points.
const TUNED: usize = 500;
/// Principal components of digits and images.
const DIGITS: usize = 24;
const IMAGES: usize = 32;

/// The cases: two laws with clusters, the digits' principal components, and those of the images at `data`.
pub fn cases(quick: bool, data: Option<&Path>) -> Vec<Case> {
    let mut all = Vec::new();
    let most: &[usize] = &[100, 200, 500, 1000, 5000];
    let mut sets = vec![("four-modes", 0, most, None), ("pinwheel", 0, most, None), ("digits", DIGITS, &most[..4], None)];
    sets.extend(data.map(|path| ("idx", IMAGES, most, Some(path.to_owned()))));
    for (name, latent, numbers, path) in sets.into_iter().take(if quick { 1 } else { usize::MAX }) {
        let named = |n: usize| format!("{name}, {n} points");
        let (numbers, tuned) = if quick { (&most[..2], most[0]) } else { (numbers, TUNED) };
        all.extend(numbers.iter().map(|n| Case {
            group: GROUP,
            name: named(*n),
            at: *n as f64,
            request: Request { name: name.to_owned(), n: Some(*n), path: path.clone(), ..Request::default() },
            latent,
            steps: if quick { 60 } else { 500 },
            sampling: Vec::new(),
            settings: Vec::new(),
            shift: 0.0,
            methods: METHODS.to_vec(),
            tuned_on: Some(named(tuned)),
        }));
    }
    all
}

/// Each process as published, and with all that held-out points allow.
const METHODS: [Method; 11] = [
    Method::LINEAR,
    Method::COLOURED,
    Method::REFERENCE,
    Method::SMOOTHED,
    Method::CLOSED_FORM,
    Method::BRIDGE,
    Method::NDSM,
    Method::LINEAR_KEPT,
    Method::COLOURED_KEPT,
    Method::NDSM_KEPT,
    Method::WHITE_KEPT,
];

/// How many times the points a linear process needs for the likelihood of the method.
#[derive(Debug, Clone, PartialEq)]
pub struct Factor {
    /// The data, as the names of the cases begin.
    pub data: String,
    /// The points that the method learned from.
    pub n: f64,
    /// The factor; infinite where no number of points that was tried is enough.
    pub factor: Interval,
    /// The most that could have been found: the largest number of points over `n`.
    pub most: f64,
}

/// The factors of every data set and number of points, between methods with the same corrections, each with
/// the better of white and coloured noise at each number: `ndsm-white-kept` and `ndsm-kept` against
/// `linear-kept` and `coloured-kept`. Medians over the seeds, linear in ln n between the numbers; the
/// intervals hold 95 % of the factors when the seeds are drawn anew.
pub fn factors(cases: &[Case], records: &[Record]) -> Vec<Factor> {
    let mut all = Vec::new();
    let own: Vec<&Case> = cases.iter().filter(|c| c.group == GROUP).collect();
    for cases in own.chunk_by(|a, b| a.request.name == b.request.name) {
        // What each method came to: a row for each number of points, a column for each seed.
        let of = |method: &Method| -> Vec<Vec<(u64, f64)>> {
            let fits = |case: &Case, r: &&Record| r.key.case == case.name && r.key.method == method.name && r.key.seed < TUNING;
            cases.iter().map(|case| records.iter().filter(|r| fits(case, r)).map(|r| (r.key.seed, r.values[KL])).collect()).collect()
        };
        let ours = [Method::WHITE_KEPT, Method::NDSM_KEPT].map(|m| of(&m));
        let linear = [Method::LINEAR_KEPT, Method::COLOURED_KEPT].map(|m| of(&m));
        let mut seeds: Vec<u64> = ours.iter().flatten().flatten().map(|(seed, _)| *seed).collect();
        seeds.sort_unstable();
        seeds.dedup();
        if seeds.is_empty() || linear.iter().any(|rows| rows.iter().all(Vec::is_empty)) {
            continue;
        }
        let numbers: Vec<f64> = cases.iter().map(|c| c.at).collect();
        let medians = |rows: &[Vec<(u64, f64)>], seeds: &[u64]| -> Vec<f64> {
            let value = |row: &[(u64, f64)], seed: u64| row.iter().find(|(s, _)| *s == seed).map_or(f64::NAN, |(_, v)| *v);
            rows.iter().map(|row| median(&seeds.iter().map(|s| value(row, *s)).collect::<Vec<_>>())).collect()
        };
        let at = |seeds: &[u64]| -> Vec<f64> {
            let better = |[white, coloured]: &[Vec<Vec<(u64, f64)>>; 2]| -> Vec<f64> {
                medians(white, seeds).iter().zip(medians(coloured, seeds)).map(|(a, b)| a.min(b)).collect()
            };
            let (ours, linear) = (better(&ours), better(&linear));
            numbers.iter().zip(ours).map(|(n, target)| needed(&numbers, &linear, target) / n).collect()
        };
        let whole = at(&seeds);
        let mut stream = Stream::new(0, Purpose::Metric, 1 << 40, 2);
        let mut draw = || at(&(0..seeds.len()).map(|_| seeds[stream.below(seeds.len())]).collect::<Vec<_>>());
        let resampled: Vec<Vec<f64>> = (0..RESAMPLES).map(|_| draw()).collect();
        for (i, n) in numbers.iter().enumerate() {
            all.push(Factor {
                data: cases[0].request.name.clone(),
                n: *n,
                factor: percentile_interval(whole[i], resampled.iter().map(|r| r[i]).collect()),
                most: numbers.last().map_or(f64::NAN, |last| last / n),
            });
        }
    }
    all
}

/// The number of points at which a curve, by the least of its values so far, comes down to `target`: linear
/// in ln n between `numbers`, the first of them where it is there already, infinite where it never is.
fn needed(numbers: &[f64], values: &[f64], target: f64) -> f64 {
    let mut least = f64::INFINITY;
    for (i, (n, value)) in numbers.iter().zip(values).enumerate() {
        if *value <= target {
            if i == 0 || !least.is_finite() {
                return *n;
            }
            let share = (least - target) / (least - value);
            return numbers[i - 1] * (n / numbers[i - 1]).powf(share);
        }
        least = least.min(*value);
    }
    f64::INFINITY
}

#[cfg(test)]
mod tests {
    use super::super::{Key, METRICS};
    use super::*;

    /// Curves by hand: a linear process that needs three times the points.
    #[test]
    fn the_factor_is_that_of_the_curves() {
        let cases: Vec<Case> = cases(false, None).into_iter().filter(|c| c.request.name == "pinwheel").collect();
        let mut records = Vec::new();
        for case in &cases {
            for seed in 0..5 {
                let off = 0.01 * (seed as f64 - 2.0);
                for (method, points) in [("ndsm-kept", 3.0 * case.at), ("linear-kept", case.at), ("coloured-kept", 0.5 * case.at)] {
                    let mut values = [f64::NAN; METRICS.len()];
                    values[KL] = 10.0 - points.ln() + off;
                    let key = Key { case: case.name.clone(), method: method.into(), candidate: 0, solver: 16, sweep: false, seed };
                    records.push(Record { key, values });
                }
            }
        }
        let all = factors(&cases, &records);
        assert_eq!(all.len(), 5);
        for f in &all {
            if f.most >= 3.0 {
                assert!((f.factor.median - 3.0).abs() <= 1e-9 && f.factor.low <= 3.0 + 1e-9 && f.factor.high >= 3.0 - 1e-9, "{f:?}");
                assert!(f.factor.low > 2.8 && f.factor.high < 3.2, "{f:?}");
            } else {
                assert!(f.factor.median == f64::INFINITY, "{f:?}");
            }
        }
        assert!(factors(&cases, &records[..3]).iter().all(|f| f.n == 100.0 || !f.factor.median.is_finite()));
    }

    /// More points of the digits are the same ones and others, in the same coordinates; what is held out of a
    /// case is fresh.
    #[test]
    fn numbers_of_points_share_their_coordinates() {
        let data = |n: usize| {
            let case = cases(false, None).into_iter().find(|c| c.name == format!("digits, {n} points")).unwrap();
            case.data(3).unwrap()
        };
        let (few, many) = (data(100), data(500));
        assert!(few.points == many.points.slice(ndarray::s![..100, ..]) && few.points.ncols() == DIGITS);
        assert!(few.held_out == many.held_out && few.held_out.nrows() == 359);
        assert!(many.points.rows().into_iter().all(|x| few.held_out.rows().into_iter().all(|y| x != y)));
    }

    #[test]
    fn curves_that_rise_or_start_low() {
        let n = [10.0, 100.0, 1000.0];
        assert_eq!(needed(&n, &[1.0, 0.5, 0.1], 2.0), 10.0);
        assert_eq!(needed(&n, &[1.0, 2.0, 0.0], 0.5), 100.0 * 10f64.sqrt());
        assert_eq!(needed(&n, &[f64::NAN, 2.0, f64::INFINITY], 3.0), 100.0);
        assert_eq!(needed(&n, &[1.0, 0.5, 0.1], 0.0), f64::INFINITY);
    }
}
