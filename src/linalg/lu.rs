//! Gaussian elimination for the small general systems of the matrix exponential.

use ndarray::Array2;

/// A^-1 B by elimination with partial pivoting, [n, n] and [n, m]; NaN or infinity where A is singular.
pub(super) fn solve(mut a: Array2<f64>, mut b: Array2<f64>) -> Array2<f64> {
    let (n, m) = (a.nrows(), b.ncols());
    for k in 0..n {
        let pivot = (k..n).fold(k, |p, i| if a[[i, k]].abs() > a[[p, k]].abs() { i } else { p });
        for j in 0..n {
            a.swap([k, j], [pivot, j]);
        }
        for j in 0..m {
            b.swap([k, j], [pivot, j]);
        }
        for i in k + 1..n {
            let factor = a[[i, k]] / a[[k, k]];
            for j in k + 1..n {
                a[[i, j]] -= factor * a[[k, j]];
            }
            for j in 0..m {
                b[[i, j]] -= factor * b[[k, j]];
            }
        }
    }
    for i in (0..n).rev() {
        for j in 0..m {
            let known = (i + 1..n).map(|k| a[[i, k]] * b[[k, j]]).sum::<f64>();
            b[[i, j]] = (b[[i, j]] - known) / a[[i, i]];
        }
    }
    b
}

#[cfg(test)]
mod tests {
    use super::super::tests::{largest, normal};
    use super::*;
    use ndarray::array;

    #[test]
    fn solves_with_a_zero_pivot() {
        let a = array![[0.0, 2.0, 1.0], [1.0, 0.0, 0.0], [3.0, 1.0, 0.0]];
        let x = normal(3, 1);
        assert!(largest(&(solve(a.clone(), a.dot(&x)) - x)) <= 1e-14);
    }
}
