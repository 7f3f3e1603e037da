//! Whether samples and data have the same support, by balls around points that reach to their k-th neighbour.

use super::check_pair;
use super::pairs::{per_row_bounded, squared_distance};
use crate::{Error, Result};
use ndarray::ArrayView2;

/// Fidelity and variety of samples. Of samples with the law of the data, the density is 1 and the coverage
/// [`expected_coverage`], whatever the law is; precision and recall depend on it.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Support {
    /// Share of the samples that lie in the ball of some data point (Kynkaanniemi et al. 2019).
    pub precision: f64,
    /// Share of the data points that lie in the ball of some sample.
    pub recall: f64,
    /// Mean number of data points' balls that a sample lies in, over k (Naeem et al. 2020): 1 is right, more
    /// is too many samples in dense places.
    pub density: f64,
    /// Share of the data points in whose ball some sample lies.
    pub coverage: f64,
}

/// Precision, recall, density and coverage of `samples` [n, d] against `data` [m, d], with balls that reach
/// to the `k`-th nearest neighbour of their centre among the other points of its own set, and hold what is as
/// far as that. Costs O((n + m)^2 d).
///
/// Distances are compared as sums of squared differences, so that ties are ties: equal points are equally far
/// from any other, and two points as far from each other as the other way round. Points that are copies of
/// each other count one by one.
///
/// # Errors
/// [`Error::Shape`] if the widths differ; [`Error::Invalid`] unless 1 <= k < n, m.
pub fn support(samples: ArrayView2<f64>, data: ArrayView2<f64>, k: usize) -> Result<Support> {
    check_pair("support", samples, data, 2)?;
    let (n, m) = (samples.nrows(), data.nrows());
    if k == 0 || k >= n.min(m) {
        return Err(Error::invalid("support: k", format!("in 1..={}, below the number of points", n.min(m) - 1), k));
    }
    let (around_samples, around_data) = (radii(samples, k), radii(data, k));
    // Of each sample: in how many balls of data points it lies.
    let inside = per_row_bounded(samples, data, |i, d2, slack| {
        let within = |(j, d2): (usize, &f64)| reaches(around_data[j], *d2, slack, || squared_distance(samples.row(i), data.row(j)));
        d2.iter().enumerate().filter(|pair| within(*pair)).count()
    });
    // Of each data point: whether a sample lies in its ball, and whether it lies in the ball of a sample.
    let met = per_row_bounded(data, samples, |i, d2, slack| {
        let any = |radius: &dyn Fn(usize) -> f64| {
            d2.iter().enumerate().any(|(j, d2)| reaches(radius(j), *d2, slack, || squared_distance(data.row(i), samples.row(j))))
        };
        [any(&|_| around_data[i]), any(&|j| around_samples[j])]
    });
    let share = |count: usize, of: usize| count as f64 / of as f64;
    Ok(Support {
        precision: share(inside.iter().filter(|c| **c > 0).count(), n),
        recall: share(met.iter().filter(|m| m[1]).count(), m),
        density: share(inside.iter().sum(), n) / k as f64,
        coverage: share(met.iter().filter(|m| m[0]).count(), m),
    })
}

/// The coverage to expect of `n` samples of the law of the `m` data points themselves, with distances that do
/// not coincide: 1 less the probability that the k points nearest to a data point, among the m - 1 others and
/// the n samples, are all data (Naeem et al. 2020, appendix A).
pub fn expected_coverage(n: usize, m: usize, k: usize) -> f64 {
    1.0 - (0..k).map(|i| (m - 1).saturating_sub(i) as f64 / ((n + m - 1) as f64 - i as f64)).product::<f64>()
}

/// Whether a ball of squared radius `r2` reaches as far as `d2`, which may be off by `slack`; `exact` where
/// that matters.
fn reaches(r2: f64, d2: f64, slack: f64, exact: impl Fn() -> f64) -> bool {
    if (d2 - r2).abs() > slack { d2 < r2 } else { exact() <= r2 }
}

/// Squared distance of each point to its k-th nearest other.
fn radii(x: ArrayView2<f64>, k: usize) -> Vec<f64> {
    per_row_bounded(x, x, |i, d2, slack| {
        let others = || d2.iter().copied().enumerate().filter(|(j, _)| *j != i);
        let mut sorted: Vec<f64> = others().map(|(_, d2)| d2).collect();
        // The k-th differs from this by no more than the error, and what is nearer than it is within that of
        // this.
        let reach = *sorted.select_nth_unstable_by(k - 1, f64::total_cmp).1 + 2.0 * slack;
        let near = others().filter(|(_, d2)| *d2 <= reach || reach.is_nan());
        let mut exact: Vec<f64> = near.map(|(j, _)| squared_distance(x.row(i), x.row(j))).collect();
        *exact.select_nth_unstable_by(k - 1, f64::total_cmp).1
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::metrics::tests::{normals, shuffled};
    use crate::rng::{Purpose, Stream};
    use ndarray::{Array2, ArrayView1, Axis, array, s};

    #[test]
    fn hand_computed() {
        // Balls of radius 1 around 0 and 1, of radius 9 around 10; samples with balls of radius 1, 1 and 98.
        let (data, samples) = (array![[0.0], [1.0], [10.0]], array![[1.5], [2.5], [100.5]]);
        let found = support(samples.view(), data.view(), 1).unwrap();
        // 1.5 is in the balls of 1 and of 10, 2.5 in that of 10, 100.5 in none.
        assert_eq!(found, Support { precision: 2.0 / 3.0, recall: 2.0 / 3.0, density: 1.0, coverage: 2.0 / 3.0 });
        for k in [0, 3] {
            assert!(support(samples.view(), data.view(), k).unwrap_err().to_string().contains("in 1..=2"));
        }
    }

    /// Samples within reach of the data, but too close together to reach them: precise, and without variety.
    #[test]
    fn precision_is_the_samples_share_and_recall_the_datas() {
        let (data, samples) = (array![[0.0], [1.0], [10.0], [11.0]], array![[0.5], [0.625], [0.75]]);
        let found = support(samples.view(), data.view(), 1).unwrap();
        // All samples are in the balls of 0 and 1, of radius 1; those of the samples, of radius 1/8, hold no
        // data point.
        assert_eq!(found, Support { precision: 1.0, recall: 0.0, density: 2.0, coverage: 0.5 });
    }

    #[test]
    fn points_of_one_law_have_the_expected_coverage() {
        let (x, y) = (normals(2000, 3, 1), normals(2000, 3, 2));
        let found = support(x.view(), y.view(), 5).unwrap();
        assert!((expected_coverage(2000, 2000, 5) - 0.969).abs() <= 5e-4);
        // Neighbouring balls are dependent: four times the standard error of independent ones, .0039.
        assert!((found.coverage - 0.969).abs() <= 0.0155, "{found:?}");
        assert!((found.density - 1.0).abs() <= 0.05 && found.precision > 0.9 && found.recall > 0.9, "{found:?}");
        // A lost half is missed in recall and coverage, noise far away in precision and density.
        let half: Vec<usize> = (0..2000).filter(|i| x[[*i, 0]] > 0.0).collect();
        let half = x.select(ndarray::Axis(0), &half);
        let lost = support(half.view(), y.view(), 5).unwrap();
        assert!(lost.coverage < 0.6 && lost.recall < 0.7 && lost.precision > 0.9, "{lost:?}");
        let mut far = x.clone();
        far.slice_mut(s![..1000, ..]).mapv_inplace(|v| 50.0 + 10.0 * v);
        let far = support(far.view(), y.view(), 5).unwrap();
        assert!(far.precision < 0.55 && far.density < 0.6, "{far:?}");
    }

    /// By definition, in integers.
    fn counted(samples: &Array2<f64>, data: &Array2<f64>, k: usize) -> Support {
        let d2 = |x: ArrayView1<f64>, y: ArrayView1<f64>| -> i64 { x.iter().zip(y).map(|(x, y)| ((x - y) as i64).pow(2)).sum() };
        let radius = |set: &Array2<f64>, i: usize| {
            let mut all: Vec<i64> = (0..set.nrows()).filter(|j| *j != i).map(|j| d2(set.row(i), set.row(j))).collect();
            all.sort_unstable();
            all[k - 1]
        };
        let radii = |set: &Array2<f64>| (0..set.nrows()).map(|i| radius(set, i)).collect::<Vec<i64>>();
        let (around_samples, around_data, n, m) = (radii(samples), radii(data), samples.nrows(), data.nrows());
        let meets = |i: usize, j: usize, radius: i64| d2(samples.row(i), data.row(j)) <= radius;
        let inside = |i: usize| (0..m).filter(|j| meets(i, *j, around_data[*j])).count();
        let share = |count: usize, of: usize| count as f64 / of as f64;
        Support {
            precision: share((0..n).filter(|i| inside(*i) > 0).count(), n),
            recall: share((0..m).filter(|j| (0..n).any(|i| meets(i, *j, around_samples[i]))).count(), m),
            density: share((0..n).map(inside).sum(), n) / k as f64,
            coverage: share((0..m).filter(|j| (0..n).any(|i| meets(i, *j, around_data[*j]))).count(), m),
        }
    }

    #[test]
    fn ties_are_decided_by_the_points_and_not_by_rounding() {
        // Every number of these is an integer, so that every distance is exact.
        let (samples, data) = (array![[1.0, 1.0], [1.0, 2.0], [1.0, 1.0]], array![[0.0, 1.0], [0.0, 1.0], [1.0, 1.0]]);
        let third = 1.0 / 3.0;
        let right = Support { precision: 1.0, recall: third, density: 1.0, coverage: third };
        assert_eq!(support(samples.view(), data.view(), 1).unwrap(), right, "three points");
        let same = Array2::from_elem((12, 2), 1.0);
        let right = Support { precision: 1.0, recall: 1.0, density: 4.0, coverage: 1.0 };
        assert_eq!(support(same.view(), same.view(), 3).unwrap(), right, "all equal");
        let mut stream = Stream::new(3, Purpose::Test, 0, 0);
        // Twenty places ten times each, sixteen of them five times each: what is elsewhere is not met.
        let places = Array2::from_shape_simple_fn((20, 2), || stream.below(1000) as f64);
        let copies = |count: usize, of: usize| places.select(Axis(0), &(0..count * of).map(|i| i / count).collect::<Vec<_>>());
        let found = support(copies(5, 16).view(), copies(10, 20).view(), 3).unwrap();
        assert_eq!(found, Support { precision: 1.0, recall: 0.8, density: 10.0 / 3.0, coverage: 0.8 }, "ten-fold duplicates");
        for (d, sides, n, m) in [(2, 10, 120, 120), (2, 6, 300, 300), (3, 6, 120, 150), (8, 4, 120, 90), (64, 3, 60, 60)] {
            let mut lattice = |n: usize| Array2::from_shape_simple_fn((n, d), || stream.below(sides) as f64);
            let (samples, data) = (lattice(n), lattice(m));
            let right = counted(&samples, &data, 5);
            assert_eq!(support(samples.view(), data.view(), 5).unwrap(), right, "lattice of {sides}, d = {d}");
        }
    }

    /// Pixels are sixteenths: the density of the digits' training points against those held out, in integers.
    #[test]
    fn digits_have_their_exact_density() {
        let digits = crate::data::load(&crate::data::Request { name: "digits".into(), ..crate::data::Request::default() }).unwrap();
        let integers = |x: ArrayView2<f64>| x.map(|x| (16.0 * x).round() as i64);
        let (samples, data) = (integers(digits.points.view()), integers(digits.held_out.view()));
        assert!(samples.iter().zip(&digits.points).all(|(i, x)| *i as f64 == 16.0 * x));
        let square = |a: ArrayView1<i64>, b: ArrayView1<i64>| a.iter().zip(b).map(|(a, b)| (a - b) * (a - b)).sum::<i64>();
        let mut inside = 0;
        for (i, x) in data.outer_iter().enumerate() {
            let mut all: Vec<i64> = data.outer_iter().enumerate().filter(|(j, _)| *j != i).map(|(_, y)| square(x, y)).collect();
            all.sort_unstable();
            inside += samples.outer_iter().filter(|y| square(x, *y) <= all[4]).count();
        }
        let exact = inside as f64 / (5 * samples.nrows()) as f64;
        let found = support(digits.points.view(), digits.held_out.view(), 5).unwrap();
        assert!((found.density - exact).abs() <= 1e-12, "{found:?} {exact}");
    }

    /// The same pair has the same distance from either side, so that a set has all of itself in its balls,
    /// whatever its place.
    #[test]
    fn a_set_against_itself_is_covered_wherever_it_lies() {
        for place in [0.0, 0.1, 1e3 + 0.1, 1e8] {
            let x = normals(200, 5, 1) + place;
            let found = support(x.view(), shuffled(&x).view(), 4).unwrap();
            // Each ball holds its centre and exactly k others.
            assert_eq!(found, Support { precision: 1.0, recall: 1.0, density: 1.25, coverage: 1.0 }, "at {place}");
        }
    }
}
