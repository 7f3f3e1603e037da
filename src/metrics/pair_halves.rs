//! Energy distance and maximum mean discrepancy of two samples and of many of their halves, from one pass over all
//! pairs.
//!
//! The pairs of a half are among those of the whole: with V the block of a function of the distances, A and B the
//! tables whose columns are 1 at the members of each half, all the halves' sums are the column sums of A * (V B), a
//! product of matrices, where each half by itself would find its distances again.

use super::pairs::{ROWS, check_bandwidth, exp_of, per_row, sqrt_of};
use super::{check_pair, subset_rows};
use crate::{Result, par};
use ndarray::{Array1, Array2, ArrayView2, Axis, s};

/// A sample, and which of its points each of several subsets has: the first has all.
pub(super) struct Members<'a> {
    points: ArrayView2<'a, f64>,
    /// 1 or 0, [n, subsets].
    table: Array2<f64>,
}

impl<'a> Members<'a> {
    /// `points` [n, d] and `count` halves, number b that of [`subset_rows`] with `which(b)`.
    pub fn new(points: ArrayView2<'a, f64>, count: usize, seed: u64, which: impl Fn(u64) -> u64) -> Self {
        let n = points.nrows();
        let mut table = Array2::zeros((n, 1 + count));
        table.column_mut(0).fill(1.0);
        for b in 0..count {
            for row in subset_rows(n, n / 2, seed, which(b as u64)) {
                table[[row, 1 + b]] = 1.0;
            }
        }
        Members { points, table }
    }
}

/// Of the whole samples, and of each half: energy distance and squared maximum mean discrepancy with the bandwidth `h`,
/// [`energy_distance`](super::energy_distance) and [`mmd2`](super::mmd2).
///
/// # Errors
/// As those.
pub(super) fn discrepancies(x: &Members, y: &Members, h: f64) -> Result<Vec<[f64; 2]>> {
    check_pair("energy_distance", x.points, y.points, 2)?;
    check_bandwidth(h)?;
    let (between, first, second) = (means(x, y, h, false), means(x, x, h, true), means(y, y, h, true));
    let subsets = between.into_iter().zip(first.into_iter().zip(second));
    Ok(subsets.map(|(xy, (xx, yy))| [2.0 * xy[0] - xx[0] - yy[0], xx[1] + yy[1] - 2.0 * xy[1]]).collect())
}

/// Means of distance and kernel over the pairs of each subset, over those of different points if `within`.
fn means(x: &Members, y: &Members, h: f64, within: bool) -> Vec<[f64; 2]> {
    let ((n, count), rate) = (x.table.dim(), -0.5 / (h * h));
    let sums = par::map(n.div_ceil(ROWS), |block| {
        let rows = block * ROWS..n.min((block + 1) * ROWS);
        let d2 = per_row(x.points.slice(s![rows.clone(), ..]), y.points, |_, d2| d2.to_vec()).concat();
        let mut sums = [Array1::<f64>::zeros(count), Array1::zeros(count)];
        for (sums, f) in sums.iter_mut().zip([&sqrt_of as &dyn Fn(&mut [f64]), &|d2| exp_of(d2, rate)]) {
            let mut values = d2.clone();
            values.chunks_exact_mut(y.points.nrows()).for_each(f);
            // A point is no pair with itself.
            if within {
                rows.clone().enumerate().for_each(|(i, row)| values[i * y.points.nrows() + row] = 0.0);
            }
            let members = x.table.slice(s![rows.clone(), ..]);
            if let Ok(values) = ArrayView2::from_shape((rows.len(), y.points.nrows()), &values[..]) {
                *sums = (&members * &values.dot(&y.table)).sum_axis(Axis(0));
            }
        }
        sums
    });
    let sizes = |members: &Members| members.table.sum_axis(Axis(0));
    let (own, other) = (sizes(x), sizes(y));
    let pairs = |b: usize| own[b] * (other[b] - if within { 1.0 } else { 0.0 });
    (0..count).map(|b| [0, 1].map(|f| sums.iter().map(|block| block[f][b]).sum::<f64>() / pairs(b))).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::metrics::tests::normals;
    use crate::metrics::{energy_distance, mmd2, subset};

    /// What one pass finds for the whole and for every half is what each finds by itself.
    #[test]
    fn halves_have_the_values_that_they_have_alone() {
        for (n, m, d) in [(90, 71, 3), (65, 200, 40)] {
            let (x, y) = (normals(n, d, 1), normals(m, d, 2) * 1.2 + 0.1);
            let members = [(&x, 0), (&y, 1)].map(|(x, which)| Members::new(x.view(), 5, 9, move |b| 100 + 2 * b + which));
            let all = discrepancies(&members[0], &members[1], 2.0).unwrap();
            assert_eq!(all.len(), 6);
            for (b, got) in all.iter().enumerate() {
                let half =
                    |x: &Array2<f64>, which| if b == 0 { x.clone() } else { subset(x.view(), x.nrows() / 2, 9, 98 + 2 * b as u64 + which) };
                let (x, y) = (half(&x, 0), half(&y, 1));
                let alone = [energy_distance(x.view(), y.view()).unwrap(), mmd2(x.view(), y.view(), 2.0).unwrap()];
                assert!(got.iter().zip(alone).all(|(a, b)| (a - b).abs() <= 1e-12), "{b}: {got:?} {alone:?}");
            }
        }
        let x = normals(10, 2, 0);
        let members = || Members::new(x.view(), 0, 0, |b| b);
        assert!(discrepancies(&members(), &members(), 0.0).is_err());
    }
}
