//! Optimal transport between two sets of as many points each: an assignment.

use super::check_pair;
use super::pairs::per_row;
use crate::{Error, Result};
use ndarray::ArrayView2;

/// Most points of an assignment, whose cost grows like their cube.
const MOST: usize = 4096;

/// W_2 between two samples of as many points each, exact: the root of the least mean of |x_i - y_p(i)|^2 over
/// all permutations p. `x`, `y`: [n, d]; the unit is theirs. Costs O(n^3) and n^2 numbers.
///
/// # Errors
/// [`Error::Shape`] if the shapes differ or there is no point; [`Error::Invalid`] for more than 4,096.
pub fn w2_exact(x: ArrayView2<f64>, y: ArrayView2<f64>) -> Result<f64> {
    check_pair("w2_exact", x, y, 1)?;
    let n = x.nrows();
    if y.nrows() != n {
        return Err(Error::shape("w2_exact", "as many points in both samples", &[x.shape(), y.shape()]));
    }
    if n > MOST {
        return Err(Error::invalid("w2_exact: points", format!("at most {MOST}"), n));
    }
    let cost = per_row(x, y, |_, d2| d2.to_vec()).concat();
    let assigned = assignment(&cost);
    // Anew from the differences: equal points are at distance 0, not at a rounding.
    let sum: f64 =
        assigned.iter().enumerate().map(|(i, j)| x.row(i).iter().zip(y.row(*j)).map(|(x, y)| (x - y) * (x - y)).sum::<f64>()).sum();
    Ok((sum / n as f64).sqrt())
}

/// The permutation p with the least sum of cost\[i, p(i)\]: a shortest augmenting path for each row, by Dijkstra's
/// algorithm on costs that potentials keep from being negative (Jonker and Volgenant 1987, without their first
/// phases). `cost`: [n, n], row-major. Among several of the same sum it is always the same one.
pub(crate) fn assignment(cost: &[f64]) -> Vec<usize> {
    const NONE: usize = usize::MAX;
    let n = cost.len().isqrt();
    let (mut row_potential, mut column_potential) = (vec![0.0; n], vec![0.0; n]);
    // The row that a column is assigned to; the column before it on the shortest path.
    let (mut row_of, mut before) = (vec![NONE; n], vec![NONE; n]);
    let (mut distance, mut left, mut reached) = (vec![0.0; n], Vec::with_capacity(n), Vec::with_capacity(n));
    for row in 0..n {
        left.clear();
        left.extend(0..n);
        reached.clear();
        distance.fill(f64::INFINITY);
        before.fill(NONE);
        let (mut i, mut length, mut from) = (row, 0.0, NONE);
        let mut end = loop {
            let (costs, ahead) = (&cost[i * n..][..n], length - row_potential[i]);
            let (mut least, mut at) = (f64::INFINITY, 0);
            for (place, j) in left.iter().enumerate() {
                let d = costs[*j] - column_potential[*j] + ahead;
                if d < distance[*j] {
                    (distance[*j], before[*j]) = (d, from);
                }
                if distance[*j] < least {
                    (least, at) = (distance[*j], place);
                }
            }
            let j = left.swap_remove(at);
            length = least;
            if row_of[j] == NONE {
                break j;
            }
            reached.push(j);
            (i, from) = (row_of[j], j);
        };
        row_potential[row] += length;
        for j in &reached {
            row_potential[row_of[*j]] += length - distance[*j];
            column_potential[*j] -= length - distance[*j];
        }
        while before[end] != NONE {
            row_of[end] = row_of[before[end]];
            end = before[end];
        }
        row_of[end] = row;
    }
    let mut assigned = vec![0; n];
    (0..n).for_each(|j| assigned[row_of[j]] = j);
    assigned
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::metrics::tests::{normals, shuffled};
    use crate::metrics::w2_1d;
    use ndarray::{Array2, array};

    #[test]
    fn it_is_the_least_over_all_permutations() {
        fn least(cost: &Array2<f64>, row: usize, left: &mut Vec<usize>) -> f64 {
            if left.is_empty() {
                return 0.0;
            }
            (0..left.len())
                .map(|i| {
                    let j = left.remove(i);
                    let sum = cost[[row, j]] + least(cost, row + 1, left);
                    left.insert(i, j);
                    sum
                })
                .fold(f64::INFINITY, f64::min)
        }
        for seed in 0..20 {
            let cost = normals(7, 7, seed).mapv(|c| c * c);
            let sum: f64 = assignment(cost.as_slice().unwrap()).iter().enumerate().map(|(i, j)| cost[[i, *j]]).sum();
            assert!((sum - least(&cost, 0, &mut (0..7).collect())).abs() <= 1e-12);
        }
    }

    #[test]
    fn it_is_the_value_of_another_library() {
        let x = Array2::from_shape_fn((20, 2), |(i, j)| if j == 0 { (i as f64).sin() } else { (2.0 * i as f64).cos() });
        let y = Array2::from_shape_fn((20, 2), |(i, j)| if j == 0 { 0.5 + (3.0 * i as f64 + 1.0).sin() } else { 0.8 * (i as f64).cos() });
        // POT 0.9.7, the root of ot.emd2.
        assert!((w2_exact(x.view(), y.view()).unwrap() - 0.7105664211060011).abs() <= 1e-12);
    }

    #[test]
    fn on_the_line_it_is_the_sorted_distance_and_of_a_shift_its_length() {
        let (x, y) = (normals(300, 1, 1), normals(300, 1, 2));
        let line = |x: &Array2<f64>| x.column(0).to_vec();
        assert!((w2_exact(x.view(), y.view()).unwrap() - w2_1d(&line(&x), &line(&y))).abs() <= 1e-9);
        let x = normals(300, 4, 3);
        assert_eq!(w2_exact(x.view(), shuffled(&x).view()).unwrap(), 0.0);
        // No plan of a shift is better than the shift itself.
        let moved = shuffled(&(&x + &array![[3.0, 0.0, -4.0, 0.0]]));
        assert!((w2_exact(x.view(), moved.view()).unwrap() - 5.0).abs() <= 1e-9);
        assert!(w2_exact(x.view(), y.view()).is_err() && w2_exact(x.view(), normals(299, 4, 1).view()).is_err());
    }

    #[test]
    fn between_gaussians_it_nears_their_own_distance() {
        // W_2^2 = |m|^2 + tr(A + B - 2 (A B)^(1/2)) = 1 + (2 - 1)^2 + (1 - 1/2)^2 for diagonal covariances;
        // 1,000 points in the plane: bias about 0.05.
        let (x, mut y) = (normals(1000, 2, 5), normals(1000, 2, 6));
        y.rows_mut().into_iter().for_each(|mut y| (y[0], y[1]) = (1.0 + 2.0 * y[0], 0.5 * y[1]));
        let w2 = w2_exact(x.view(), y.view()).unwrap();
        assert!((w2 - 2.25f64.sqrt()).abs() <= 0.1, "{w2}");
    }
}
