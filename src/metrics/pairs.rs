//! Discrepancies that average over pairs of points: energy distance and maximum mean discrepancy.

use super::check_pair;
use crate::par;
use crate::simd::{Kernel, W, dispatch};
use crate::{Error, Result};
use ndarray::{ArrayView1, ArrayView2, Axis};

/// Rows of the first sample whose distances to the whole second sample are held at once.
pub(super) const ROWS: usize = 32;

/// The dimension up to which coordinates are subtracted one by one: `cargo bench --bench metrics` has both
/// sides of it.
const DIRECT: usize = 32;

/// A product form that is smaller than this share of |x|^2 + |y|^2 has lost half of its digits.
const CANCELLED: f64 = 1.0 / (1 << 26) as f64;

/// `f(i, d2)` for each row i of `x`, in order; `d2[j]` = |x_i - y_j|^2 for all rows of `y`.
///
/// In few dimensions each is [`squared_distance`]. In more than [`DIRECT`] they come of matrix products as
/// |x|^2 + |y|^2 - 2 x . y, after moving the origin to the mean of `y`: the error is a few epsilon
/// (|x|^2 + |y|^2). What cancels further than to [`CANCELLED`] is [`squared_distance`] there, too, so that
/// equal points have distance 0 and a cluster far from the mean keeps its distances.
pub(super) fn per_row<T: Send>(x: ArrayView2<f64>, y: ArrayView2<f64>, f: impl Fn(usize, &mut [f64]) -> T + Sync) -> Vec<T> {
    per_row_bounded(x, y, |i, d2, _| f(i, d2))
}

/// [`per_row`], `f(i, d2, slack)`, for those who compare: `d2[j]` differs from [`squared_distance`] by at
/// most `slack`. Two distances that are nearer to each other must be compared in that form, which does not
/// depend on the other points.
pub(super) fn per_row_bounded<T: Send>(x: ArrayView2<f64>, y: ArrayView2<f64>, f: impl Fn(usize, &mut [f64], f64) -> T + Sync) -> Vec<T> {
    if y.ncols() <= DIRECT {
        return per_row_direct(x, y, f);
    }
    let Some(origin) = y.mean_axis(Axis(0)) else { return Vec::new() };
    let centred = &y - &origin;
    let y2 = centred.map_axis(Axis(1), |y| y.dot(&y));
    let farthest = y2.iter().copied().fold(0.0, f64::max);
    // In units of epsilon/2, d = 2 n: the sums of n products in |x|^2, |y|^2 and 2 x . y may be off by
    // 2 n (|x|^2 + |y|^2), centring by 4 and adding up by 6 of it; the sum of n squares by n + 2 of a
    // |x - y|^2 <= 2 (|x|^2 + |y|^2).
    let relative = (2 * y.ncols() + 8) as f64 * f64::EPSILON;
    let blocks: Vec<Vec<T>> = par::map(x.nrows().div_ceil(ROWS), |block| {
        let x = x.slice(ndarray::s![block * ROWS..x.nrows().min((block + 1) * ROWS), ..]);
        let near = &x - &origin;
        // `row` is a slice whatever memory order the product chooses for its result.
        let mut row = vec![0.0; y.nrows()];
        let products = near.dot(&centred.t());
        let rows = products.rows().into_iter().zip(near.rows()).enumerate();
        rows.map(|(i, (products, near))| {
            let x2 = near.dot(&near);
            for ((d2, product), y2) in row.iter_mut().zip(products).zip(&y2) {
                *d2 = (x2 + y2 - 2.0 * product).max(0.0);
            }
            for (j, (d2, y2)) in row.iter_mut().zip(&y2).enumerate() {
                let size = x2 + y2;
                // What is not a number shall not be hidden.
                if *d2 <= CANCELLED * size || size.is_nan() {
                    *d2 = squared_distance(x.row(i), y.row(j));
                }
            }
            f(block * ROWS + i, &mut row, relative * (x2 + farthest))
        })
        .collect()
    });
    blocks.into_iter().flatten().collect()
}

/// [`per_row_bounded`] in few dimensions, without rounding to allow for.
fn per_row_direct<T: Send>(x: ArrayView2<f64>, y: ArrayView2<f64>, f: impl Fn(usize, &mut [f64], f64) -> T + Sync) -> Vec<T> {
    // One coordinate of all points of `y` after the other.
    let columns: Vec<f64> = y.columns().into_iter().flatten().copied().collect();
    let blocks: Vec<Vec<T>> = par::map(x.nrows().div_ceil(ROWS), |block| {
        let rows = block * ROWS..x.nrows().min((block + 1) * ROWS);
        let (mut point, mut d2) = (vec![0.0; x.ncols()], vec![0.0; y.nrows()]);
        rows.map(|i| {
            point.iter_mut().zip(x.row(i)).for_each(|(p, x)| *p = *x);
            dispatch(Distances { point: &point, columns: &columns, d2: &mut d2 });
            f(i, &mut d2, 0.0)
        })
        .collect()
    });
    blocks.into_iter().flatten().collect()
}

/// [`squared_distance`] of `point` to all points, whose coordinate k stands in `columns[k m..(k + 1) m]`, to
/// the bit: added up in the same order and never fused.
struct Distances<'a> {
    point: &'a [f64],
    columns: &'a [f64],
    d2: &'a mut [f64],
}
impl Kernel for Distances<'_> {
    type Output = ();
    #[inline(always)]
    fn run<const FMA: bool>(self) {
        let m = self.d2.len();
        let (blocks, rest) = self.d2.as_chunks_mut::<W>();
        let tail = W * blocks.len();
        for (b, d2) in blocks.iter_mut().enumerate() {
            let mut sum = [0.0; W];
            for (k, x) in self.point.iter().enumerate() {
                let y = &self.columns[k * m + b * W..][..W];
                for i in 0..W {
                    sum[i] += (x - y[i]) * (x - y[i]);
                }
            }
            *d2 = sum;
        }
        for (i, d2) in rest.iter_mut().enumerate() {
            *d2 = self.point.iter().enumerate().map(|(k, x)| (x - self.columns[k * m + tail + i]).powi(2)).sum();
        }
    }
}

/// The sum of squared differences |x - y|^2: 0 of equal points, the same from either side, and the same for
/// the same two points wherever they stand among others. Exact for whole numbers that differ by less than
/// 2^26/sqrt d.
pub(super) fn squared_distance(x: ArrayView1<f64>, y: ArrayView1<f64>) -> f64 {
    x.iter().zip(y).map(|(x, y)| (x - y) * (x - y)).sum()
}

/// Mean over pairs of a function of the squared distance, whose sum over a slice is `sum` and whose value at
/// 0 is `at_zero`: over all (x_i, y_j), or over i != j if `within`.
fn mean(x: ArrayView2<f64>, y: ArrayView2<f64>, within: bool, at_zero: f64, sum: impl Fn(&[f64]) -> f64 + Sync) -> f64 {
    let rows = per_row(x, y, |i, d2| {
        if within {
            d2[i] = 0.0;
        }
        sum(d2) - if within { at_zero } else { 0.0 }
    });
    let partners = y.nrows() - usize::from(within);
    rows.iter().map(|row| row / partners as f64).sum::<f64>() / x.nrows() as f64
}

/// Energy distance (Szekely and Rizzo, J. Stat. Plan. Inference 143, 2013):
/// 2 E|X - Y| - E|X - X'| - E|Y - Y'|, zero only for equal laws; the unbiased estimate over all pairs i != j,
/// which may be slightly negative. `x`: [n, d], `y`: [m, d]; the unit is theirs. Costs O((n + m)^2 d);
/// [`super::subset`] bounds that.
///
/// # Errors
/// [`Error::Shape`] if the widths differ or a sample has fewer than 2 points.
pub fn energy_distance(x: ArrayView2<f64>, y: ArrayView2<f64>) -> Result<f64> {
    check_pair("energy_distance", x, y, 2)?;
    let e = |x, y, within| mean(x, y, within, 0.0, |d2| dispatch(SumSqrt(d2)));
    Ok(2.0 * e(x, y, false) - e(x, x, true) - e(y, y, true))
}

/// Squared maximum mean discrepancy with the kernel k(x, y) = exp(-|x - y|^2 / 2 h^2) (Gretton et al., JMLR
/// 13, 2012, eq. 3): E k(X, X') + E k(Y, Y') - 2 E k(X, Y); the unbiased estimate, which may be slightly
/// negative. `x`: [n, d], `y`: [m, d]; `bandwidth` h > 0 in their unit, see [`median_distance`].
///
/// # Errors
/// [`Error::Shape`] if the widths differ or a sample has fewer than 2 points; [`Error::Invalid`] for another
/// bandwidth.
pub fn mmd2(x: ArrayView2<f64>, y: ArrayView2<f64>, bandwidth: f64) -> Result<f64> {
    check_pair("mmd2", x, y, 2)?;
    check_bandwidth(bandwidth)?;
    Ok(kernel(x, x, true, bandwidth) + kernel(y, y, true, bandwidth) - 2.0 * kernel(x, y, false, bandwidth))
}

pub(super) fn check_bandwidth(bandwidth: f64) -> Result<()> {
    if bandwidth > 0.0 && bandwidth.is_finite() { Ok(()) } else { Err(Error::invalid("mmd2: bandwidth", "finite and > 0", bandwidth)) }
}

/// Mean of [`mmd2`]'s kernel over pairs.
fn kernel(x: ArrayView2<f64>, y: ArrayView2<f64>, within: bool, bandwidth: f64) -> f64 {
    let rate = -0.5 / (bandwidth * bandwidth);
    mean(x, y, within, 1.0, |d2| dispatch(SumExp { d2, rate }))
}

/// Mean of the kernel over pairs of different rows of one sample.
pub(super) fn kernel_within(x: ArrayView2<f64>, bandwidth: f64) -> Result<f64> {
    check_pair("mmd2", x, x, 2)?;
    Ok(kernel(x, x, true, bandwidth))
}

/// The median distance between two points of `x`: [n, d], the usual bandwidth of [`mmd2`]; of an even number
/// of pairs the mean of the middle two. Holds n^2/2 numbers.
///
/// # Errors
/// [`Error::Shape`] for fewer than 2 points; [`Error::Invalid`] if the median is 0: more than half of all
/// pairs coincide.
pub fn median_distance(x: ArrayView2<f64>) -> Result<f64> {
    check_pair("median_distance", x, x, 2)?;
    let mut all: Vec<f64> = per_row(x, x, |i, d2| d2[..i].to_vec()).into_iter().flatten().collect();
    let (even, middle) = (all.len().is_multiple_of(2), all.len() / 2);
    let (below, upper, _) = all.select_nth_unstable_by(middle, f64::total_cmp);
    let lower = if even { below.iter().copied().fold(0.0, f64::max) } else { *upper };
    let median = 0.5 * (lower.sqrt() + upper.sqrt());
    if median > 0.0 { Ok(median) } else { Err(Error::refused("median_distance", "more than half of all pairs of points coincide")) }
}

/// sum_j sqrt(d2_j), in 16 lanes.
struct SumSqrt<'a>(&'a [f64]);
impl Kernel for SumSqrt<'_> {
    type Output = f64;
    #[inline(always)]
    fn run<const FMA: bool>(self) -> f64 {
        lanes(self.0, |d2| d2.sqrt())
    }
}

/// sum_j e^(rate d2_j), in 16 lanes.
struct SumExp<'a> {
    d2: &'a [f64],
    rate: f64,
}
impl Kernel for SumExp<'_> {
    type Output = f64;
    #[inline(always)]
    fn run<const FMA: bool>(self) -> f64 {
        use crate::Real;
        lanes(self.d2, |d2| (self.rate * d2).exp_lane::<FMA>())
    }
}

/// The square roots of `d2`, in place.
pub(super) fn sqrt_of(d2: &mut [f64]) {
    d2.iter_mut().for_each(|d2| *d2 = d2.sqrt());
}

/// e^(rate d2) of `d2`, in place.
pub(super) fn exp_of(d2: &mut [f64], rate: f64) {
    dispatch(Exp { d2, rate });
}

struct Exp<'a> {
    d2: &'a mut [f64],
    rate: f64,
}
impl Kernel for Exp<'_> {
    type Output = ();
    #[inline(always)]
    fn run<const FMA: bool>(self) {
        use crate::Real;
        let (blocks, rest) = self.d2.as_chunks_mut::<W>();
        for block in blocks {
            for d2 in block {
                *d2 = (self.rate * *d2).exp_lane::<FMA>();
            }
        }
        rest.iter_mut().for_each(|d2| *d2 = (self.rate * *d2).exp_lane::<FMA>());
    }
}

#[inline(always)]
fn lanes(x: &[f64], f: impl Fn(f64) -> f64) -> f64 {
    let mut sum = [0.0; W];
    let (blocks, rest) = x.as_chunks::<W>();
    for block in blocks {
        for i in 0..W {
            sum[i] += f(block[i]);
        }
    }
    for (sum, x) in sum.iter_mut().zip(rest) {
        *sum += f(*x);
    }
    sum.iter().sum()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::metrics::tests::{normals, shuffled};
    use crate::rng::{Purpose, Stream};
    use ndarray::{Array2, array};

    #[test]
    fn hand_computed() {
        let (x, y) = (array![[0.0, 0.0], [3.0, 4.0]], array![[0.0, 0.0], [0.0, 4.0], [3.0, 0.0]]);
        // Distances x-y: 0, 4, 3 and 5, 3, 4; x-x: 5; y-y: 4, 3, 5.
        let energy = energy_distance(x.view(), y.view()).unwrap();
        assert!((energy - (2.0 * 19.0 / 6.0 - 5.0 - 4.0)).abs() <= 1e-7, "{energy}");
        let k = |d: f64| (-d * d / 8.0).exp();
        let exact = k(5.0) + (k(4.0) + k(3.0) + k(5.0)) / 3.0 - 2.0 * (1.0 + 2.0 * k(4.0) + 2.0 * k(3.0) + k(5.0)) / 6.0;
        let got = mmd2(x.view(), y.view(), 2.0).unwrap();
        assert!((got - exact).abs() <= 1e-13, "{got} {exact}");
        // Distances 3, 4, 5 in any order: the middle one.
        assert!((median_distance(y.view()).unwrap() - 4.0).abs() <= 1e-13);
    }

    /// That the mean of an unbiased estimate over 40 pairs of samples is `exact`: within 3.89 of its own
    /// standard errors (99.99 %), which must be below `resolution`.
    fn assert_mean(exact: f64, resolution: f64, estimate: impl Fn(u64) -> f64) {
        let all: Vec<f64> = (0..40).map(|s| estimate(2 * s)).collect();
        let mean = all.iter().sum::<f64>() / 40.0;
        let error = (all.iter().map(|e| (e - mean).powi(2)).sum::<f64>() / 39.0 / 40.0).sqrt();
        assert!((mean - exact).abs() <= 3.89 * error && error <= resolution, "{mean} +- {error}, exact {exact}");
    }

    /// E exp(-|X - Y|^2 / 2h^2) = (h^2/v)^(d/2) exp(-|m|^2 / 2v), v = h^2 + s^2 + t^2, for X ~ N(0, s^2 I),
    /// Y ~ N(m, t^2 I).
    #[test]
    fn mmd_between_gaussian_mixtures_is_the_closed_form() {
        let (d, h) = (3, 1.5);
        let k = |m2: f64, s2: f64, t2: f64| {
            let v = h * h + s2 + t2;
            (h * h / v).powf(d as f64 / 2.0) * (-m2 / (2.0 * v)).exp()
        };
        // X: half N(0, I), half N((2, 0, 0), 0.25 I). Y: N((1, 1, 0), 2.25 I).
        let xx = 0.25 * (k(0.0, 1.0, 1.0) + 2.0 * k(4.0, 1.0, 0.25) + k(0.0, 0.25, 0.25));
        let xy = 0.5 * (k(2.0, 1.0, 2.25) + k(2.0, 0.25, 2.25));
        let exact = xx + k(0.0, 2.25, 2.25) - 2.0 * xy;
        assert_mean(exact, 0.03 * exact, |draw| {
            let mut x = normals(300, d, draw);
            let mut coin = Stream::new(draw, Purpose::Test, 1, 0);
            for mut row in x.rows_mut() {
                if coin.below(2) == 1 {
                    row *= 0.5;
                    row[0] += 2.0;
                }
            }
            let y = normals(200, d, draw + 1) * 1.5 + &array![1.0, 1.0, 0.0];
            mmd2(x.view(), y.view(), h).unwrap()
        });
    }

    /// In one dimension E|X - Y| between normals of variances s^2, t^2 and equal means is
    /// sqrt(2 (s^2 + t^2) / pi).
    #[test]
    fn energy_between_normals_is_the_closed_form() {
        let e = |v: f64| (2.0 * v / std::f64::consts::PI).sqrt();
        let exact = 2.0 * e(10.0) - e(2.0) - e(18.0);
        assert_mean(exact, 0.03 * exact, |draw| {
            energy_distance(normals(300, 1, draw).view(), (normals(200, 1, draw + 1) * 3.0).view()).unwrap()
        });
    }

    #[test]
    fn equal_laws_have_mean_zero() {
        assert_mean(0.0, 0.01, |s| energy_distance(normals(60, 2, s).view(), normals(40, 2, s + 1).view()).unwrap());
        assert_mean(0.0, 0.005, |s| mmd2(normals(60, 2, s).view(), normals(40, 2, s + 1).view(), 1.0).unwrap());
    }

    #[test]
    fn order_and_common_translations_do_not_matter() {
        for d in [5, DIRECT + 1] {
            depend_on_differences_alone(d);
        }
    }

    fn depend_on_differences_alone(d: usize) {
        let (x, y) = (normals(150, d, 1), normals(70, d, 2));
        let both =
            |x: &Array2<f64>, y: &Array2<f64>| [energy_distance(x.view(), y.view()).unwrap(), mmd2(x.view(), y.view(), 2.0).unwrap()];
        let got = both(&x, &y);
        for other in [both(&shuffled(&x), &y), both(&(&x + 1e3), &(&y + 1e3)), both(&y, &x)] {
            assert!(got.iter().zip(other).all(|(a, b)| (a - b).abs() <= 1e-9), "{got:?} {other:?}");
        }
        let pool = rayon::ThreadPoolBuilder::new().num_threads(3).build().unwrap();
        assert_eq!(got, pool.install(|| both(&x, &y)));
    }

    #[test]
    fn bad_input_is_refused() {
        let x = normals(5, 2, 0);
        assert!(energy_distance(x.view(), normals(1, 2, 0).view()).is_err());
        for h in [0.0, -1.0, f64::NAN, f64::INFINITY] {
            assert!(mmd2(x.view(), x.view(), h).is_err());
        }
        assert!(median_distance(Array2::zeros((4, 2)).view()).is_err());
    }

    /// Of an even number of pairs, the mean of the middle two; of copies, 0 and not rounding.
    #[test]
    fn the_median_distance_is_the_middle_or_the_mean_of_the_middle_two() {
        // Distances 1, 2, 3, 4, 6, 7 on the line.
        let even = median_distance(array![[0.0], [1.0], [3.0], [7.0]].view()).unwrap();
        assert_eq!(even, 3.5);
        // Three pairs of six coincide: the middle two are 0 and 2.
        let half = median_distance(array![[0.1], [0.1], [0.1], [2.1]].view()).unwrap();
        assert!((half - 1.0).abs() <= 1e-15, "{half}");
        let copies = median_distance(array![[0.1, 0.7], [0.1, 0.7], [0.1, 0.7], [0.1, 0.7], [2.1, 0.3]].view());
        assert!(copies.is_err(), "{copies:?}");
    }

    /// Few dimensions to the bit, more within the slack, and in both equal points at distance 0.
    #[test]
    fn every_row_holds_squared_distances() {
        for d in [1, 2, 5, DIRECT, DIRECT + 1, 40] {
            for (n, m) in [(1, 1), (3, 15), (33, 16), (70, 45)] {
                let (x, mut y) = (normals(n, d, 1) + 3.0, normals(m, d, 2));
                y.row_mut(m - 1).assign(&x.row(n - 1));
                let seen = per_row_bounded(x.view(), y.view(), |i, d2, slack| {
                    assert!(d2.len() == m && (slack == 0.0 || d > DIRECT), "{d}");
                    for (d2, y) in d2.iter().zip(y.rows()) {
                        let exact = squared_distance(x.row(i), y);
                        assert!((d2 - exact).abs() <= slack, "{d} {n} {m}: {d2} {exact} {slack}");
                    }
                    assert!(i + 1 < n || d2[m - 1] == 0.0);
                    i
                });
                assert_eq!(seen, (0..n).collect::<Vec<_>>());
            }
        }
    }

    /// Clusters far apart: distances within one keep their digits.
    #[test]
    fn small_distances_keep_their_digits_far_from_the_mean() {
        for d in [2, DIRECT + 1] {
            digits_are_kept_in(d);
        }
    }

    fn digits_are_kept_in(d: usize) {
        let (x, far) = (normals(40, d, 1).mapv(|v| (v * 1024.0).round() / 1024.0), 2f64.powi(24));
        let mut apart = ndarray::concatenate![Axis(0), x, x];
        apart.slice_mut(ndarray::s![..40, ..]).mapv_inplace(|v| v + far);
        apart.slice_mut(ndarray::s![40.., ..]).mapv_inplace(|v| v - far);
        // Kernels between the clusters are 0; those within are those of one cluster: 2 * 40 * 39 of 80 * 79
        // pairs.
        let within = |x: &Array2<f64>| kernel(x.view(), x.view(), true, 0.25 * d as f64);
        let (one, two) = (within(&x), within(&apart));
        assert!((two - one * 39.0 / 79.0).abs() <= 1e-12 * one, "{two} {}", one * 39.0 / 79.0);
    }
}
