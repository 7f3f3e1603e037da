//! Optimal transport between two sets of as many points each: an assignment.

use super::check_pair;
use super::pairs::per_row;
use crate::{Error, Result};
use ndarray::{Array2, ArrayView2};

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
    let cost = Array2::from_shape_vec((n, n), cost).map_err(|e| Error::refused("w2_exact", e.to_string()))?;
    let assigned = assignment(cost.view());
    // Anew from the differences: equal points are at distance 0, not at a rounding.
    let sum: f64 =
        assigned.iter().enumerate().map(|(i, j)| x.row(i).iter().zip(y.row(*j)).map(|(x, y)| (x - y) * (x - y)).sum::<f64>()).sum();
    Ok((sum / n as f64).sqrt())
}

/// The permutation p with the least sum of cost[i, p(i)]: shortest augmenting paths with potentials (Jonker
/// and Volgenant 1987, without their first phases).
fn assignment(cost: ArrayView2<f64>) -> Vec<usize> {
    let n = cost.nrows();
    // Column n is where a path begins; row_of[j] is the row that column j is assigned to.
    let (mut row_potential, mut column_potential) = (vec![0.0; n], vec![0.0; n + 1]);
    let mut row_of = vec![usize::MAX; n + 1];
    let mut before = vec![n; n];
    for row in 0..n {
        row_of[n] = row;
        let mut column = n;
        let (mut distance, mut reached) = (vec![f64::INFINITY; n], vec![false; n + 1]);
        while row_of[column] != usize::MAX {
            reached[column] = true;
            let i = row_of[column];
            let (mut least, mut next) = (f64::INFINITY, n);
            for j in (0..n).filter(|j| !reached[*j]) {
                let reduced = cost[[i, j]] - row_potential[i] - column_potential[j];
                if reduced < distance[j] {
                    (distance[j], before[j]) = (reduced, column);
                }
                if distance[j] < least {
                    (least, next) = (distance[j], j);
                }
            }
            for j in 0..=n {
                if reached[j] {
                    row_potential[row_of[j]] += least;
                    column_potential[j] -= least;
                } else {
                    distance[j] -= least;
                }
            }
            column = next;
        }
        while column != n {
            let from = before[column];
            row_of[column] = row_of[from];
            column = from;
        }
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
    use ndarray::array;

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
            let sum: f64 = assignment(cost.view()).iter().enumerate().map(|(i, j)| cost[[i, *j]]).sum();
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
