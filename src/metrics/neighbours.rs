//! Nearest neighbours: which training point a sample resembles, and whether samples are copies.

use super::pairs::{per_row_bounded, squared_distance};
use super::{check_pair, subset};
use crate::Result;
use ndarray::ArrayView2;

/// For each row of `x`: [n, d] the index of the nearest row of `y`: [m, d] (the first of equals) and the
/// distance to it, both by the differences of the coordinates: a copy has distance 0, however far from the
/// origin it is.
///
/// # Errors
/// [`crate::Error::Shape`] if the widths differ or a sample is empty.
pub fn nearest(x: ArrayView2<f64>, y: ArrayView2<f64>) -> Result<Vec<(usize, f64)>> {
    check_pair("nearest", x, y, 1)?;
    Ok(per_row_bounded(x, y, |i, d2, slack| {
        // The nearest is among those that are within the error of the least.
        let reach = d2.iter().copied().fold(f64::INFINITY, f64::min) + 2.0 * slack;
        let mut best: Option<(usize, f64)> = None;
        for (j, _) in d2.iter().enumerate().filter(|(_, d2)| **d2 <= reach || reach.is_nan()) {
            let exact = squared_distance(x.row(i), y.row(j));
            if best.is_none_or(|(_, least)| exact < least) {
                best = Some((j, exact));
            }
        }
        best.map_or((0, f64::NAN), |(j, d2)| (j, d2.sqrt()))
    }))
}

/// Mean distance of the samples to their nearest training point over the mean distance to their nearest
/// held-out point: near 1 for samples as new as the held-out points are, 0 for copies of the training points.
/// The larger of the two sets is cut to a random subset of the size of the smaller (by `seed`), because the
/// distance to the nearest of more points is less; copies of points that are cut away go unseen. NaN if both
/// means are 0.
///
/// # Errors
/// [`crate::Error::Shape`] if the widths differ or a sample is empty.
pub fn memorisation_ratio(samples: ArrayView2<f64>, training: ArrayView2<f64>, held_out: ArrayView2<f64>, seed: u64) -> Result<f64> {
    let size = training.nrows().min(held_out.nrows());
    let mean = |set: ArrayView2<f64>, which: u64| -> Result<f64> {
        let set = subset(set, size, seed, which);
        Ok(nearest(samples, set.view())?.iter().map(|(_, distance)| distance).sum::<f64>())
    };
    Ok(mean(training, 3)? / mean(held_out, 4)?)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::metrics::tests::{normals, shuffled};
    use ndarray::{Array2, array};

    #[test]
    fn hand_computed() {
        let (x, y) = (array![[0.0, 0.0], [10.0, 1.0]], array![[10.0, 4.0], [3.0, 4.0], [3.0, -4.0]]);
        assert_eq!(nearest(x.view(), y.view()).unwrap(), [(1, 5.0), (0, 3.0)]);
        // Training at distances 5 and 3, held-out at 1 and 1.
        let held_out = array![[1.0, 0.0], [10.0, 2.0], [50.0, 50.0]];
        assert_eq!(memorisation_ratio(x.view(), y.view(), held_out.view(), 0).unwrap(), 4.0);
    }

    #[test]
    fn copies_have_ratio_0_and_new_draws_ratio_1() {
        let (training, held_out, new) = (normals(400, 3, 1), normals(300, 3, 2), normals(1000, 3, 3));
        let copies = shuffled(&training);
        assert!(nearest(copies.view(), training.view()).unwrap().iter().all(|(_, distance)| *distance == 0.0));
        let ratio = |samples: &Array2<f64>, training: &Array2<f64>| {
            memorisation_ratio(samples.view(), training.view(), held_out.view(), 0).unwrap()
        };
        let same = ratio(&new, &training);
        assert!((same - 1.0).abs() <= 0.1, "{same}");
        // As many copies as held-out points, so that no training point is left out of the comparison.
        let seen = training.slice(ndarray::s![..300, ..]).to_owned();
        assert_eq!(ratio(&seen, &seen), 0.0);
    }

    /// Two clusters of unit size, far from each other and from the origin: the rows are those of the plain
    /// differences, and copies are found where they are.
    #[test]
    fn clusters_far_apart_keep_their_neighbours() {
        for far in [1e3, 1e7, 1e12] {
            let clusters = |draw: u64| {
                let mut x = normals(200, 2, draw);
                x.indexed_iter_mut().for_each(|((i, _), v)| *v += if i % 2 == 0 { far } else { -far });
                x
            };
            let (x, y) = (clusters(1), clusters(2));
            let by_difference = |i: usize| {
                let d2 = |j: usize| x.row(i).iter().zip(y.row(j)).map(|(x, y)| (x - y) * (x - y)).sum::<f64>();
                let j = (0..200).fold(0, |best, j| if d2(j) < d2(best) { j } else { best });
                (j, d2(j).sqrt())
            };
            let found = nearest(x.view(), y.view()).unwrap();
            let wrong = (0..200).filter(|i| found[*i] != by_difference(*i)).count();
            assert_eq!(wrong, 0, "at {far:e}: {wrong} of 200 are wrong");
            for (i, (j, distance)) in nearest(y.view(), y.view()).unwrap().into_iter().enumerate() {
                // Far out the grid of numbers is so coarse that points coincide: the first of equals.
                assert!(distance == 0.0 && j <= i && y.row(i) == y.row(j), "at {far:e}: {i} {j} {distance}");
            }
        }
    }
}
