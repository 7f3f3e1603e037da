//! Cholesky factor of a positive definite matrix, and what follows from it.

use super::check_square;
use super::vector::{add_scaled, dot};
use crate::simd::{Kernel, dispatch};
use crate::{Error, Result};
use ndarray::{Array1, Array2, ArrayView1, ArrayView2, Axis};

/// A = L L^T, L lower triangular with a positive diagonal.
#[derive(Debug, Clone, PartialEq)]
pub struct Cholesky {
    lower: Array2<f64>,
}

impl Cholesky {
    /// Factors the symmetric matrix `a`, [n, n], of which it reads the lower triangle.
    ///
    /// # Errors
    /// `Shape` if `a` is not square, `Invalid` if an entry is not finite, `NotPositiveDefinite` with the
    /// first row whose pivot is not positive.
    pub fn new(a: ArrayView2<f64>) -> Result<Self> {
        check_square("Cholesky", a)?;
        #[cfg(feature = "lapack")]
        if let Some(lower) = super::lapack::cholesky(a) {
            return Ok(Cholesky { lower });
        }
        // LAPACK names no pivot: a matrix it refuses is factored again here, for the error's sake.
        Self::by_rows(a)
    }

    /// Row by row: L_ij = (A_ij - L_i . L_j) / L_jj over the columns left of j, so that all inner products
    /// are contiguous.
    pub(super) fn by_rows(a: ArrayView2<f64>) -> Result<Self> {
        let n = a.nrows();
        let mut lower = a.iter().copied().collect::<Vec<_>>();
        dispatch(Factor { a: &mut lower, n }).map_err(|(row, pivot)| Error::NotPositiveDefinite {
            place: "Cholesky".into(),
            row,
            pivot,
        })?;
        Ok(Cholesky { lower: square(n, lower) })
    }

    /// Size n of the matrix.
    pub fn dim(&self) -> usize {
        self.lower.nrows()
    }

    /// L, [n, n]; zero above the diagonal.
    pub fn lower(&self) -> ArrayView2<'_, f64> {
        self.lower.view()
    }

    /// ln det A.
    pub fn log_det(&self) -> f64 {
        2.0 * self.lower.diag().iter().map(|l| l.ln()).sum::<f64>()
    }

    /// A^-1 b for the columns of `b`, [n, m].
    ///
    /// # Errors
    /// `Shape` if `b` does not have n rows.
    pub fn solve(&self, b: ArrayView2<f64>) -> Result<Array2<f64>> {
        let mut x = self.solve_lower(b)?;
        self.back_substitute(&mut x);
        Ok(x)
    }

    /// A^-1 b for one vector, `[n]`.
    ///
    /// # Errors
    /// `Shape` if `b` does not have length n.
    pub fn solve_vec(&self, b: ArrayView1<f64>) -> Result<Array1<f64>> {
        Ok(self.solve(b.insert_axis(Axis(1)))?.index_axis_move(Axis(1), 0))
    }

    /// L^-1 b for the columns of `b`, [n, m].
    ///
    /// # Errors
    /// `Shape` if `b` does not have n rows.
    pub fn solve_lower(&self, b: ArrayView2<f64>) -> Result<Array2<f64>> {
        let mut x = self.right_side(b)?;
        let m = x.ncols();
        if let Some(x) = x.as_slice_mut() {
            dispatch(Substitute { lower: &self.lower, x, m });
        }
        Ok(x)
    }

    /// L^-T b for the columns of `b`, [n, m].
    ///
    /// # Errors
    /// `Shape` if `b` does not have n rows.
    pub fn solve_lower_transposed(&self, b: ArrayView2<f64>) -> Result<Array2<f64>> {
        let mut x = self.right_side(b)?;
        self.back_substitute(&mut x);
        Ok(x)
    }

    /// L^-1, [n, n], lower triangular: it whitens, L^-1 A L^-T = I.
    pub fn inverse_lower(&self) -> Array2<f64> {
        let n = self.dim();
        let mut x = Array2::eye(n);
        if let Some(x) = x.as_slice_mut() {
            dispatch(Substitute { lower: &self.lower, x, m: n });
        }
        x
    }

    /// A^-1 = L^-T L^-1, [n, n].
    pub fn inverse(&self) -> Array2<f64> {
        let w = self.inverse_lower();
        w.t().dot(&w)
    }

    fn right_side(&self, b: ArrayView2<f64>) -> Result<Array2<f64>> {
        if b.nrows() != self.dim() {
            return Err(Error::shape("Cholesky solve", "as many rows on the right as the matrix has", &[self.lower.shape(), b.shape()]));
        }
        Ok(b.as_standard_layout().into_owned())
    }

    /// x <- L^-T x, a row at a time from the last on.
    fn back_substitute(&self, x: &mut Array2<f64>) {
        let m = x.ncols();
        if let Some(x) = x.as_slice_mut() {
            dispatch(BackSubstitute { lower: &self.lower, x, m });
        }
    }
}

/// The square matrix that holds these n^2 numbers row by row.
pub(super) fn square(n: usize, entries: Vec<f64>) -> Array2<f64> {
    Array2::from_shape_fn((n, n), |(i, j)| entries[i * n + j])
}

struct Factor<'a> {
    a: &'a mut [f64],
    n: usize,
}

impl Kernel for Factor<'_> {
    type Output = std::result::Result<(), (usize, f64)>;
    #[inline(always)]
    fn run<const FMA: bool>(self) -> Self::Output {
        let n = self.n;
        for i in 0..n {
            let (above, row) = self.a.split_at_mut(i * n);
            let row = &mut row[..n];
            for j in 0..i {
                let other = &above[j * n..j * n + n];
                row[j] = (row[j] - dot::<FMA>(&row[..j], &other[..j])) / other[j];
            }
            let pivot = row[i] - dot::<FMA>(&row[..i], &row[..i]);
            if !(pivot > 0.0 && pivot.is_finite()) {
                return Err((i, pivot));
            }
            row[i] = pivot.sqrt();
            row[i + 1..].fill(0.0);
        }
        Ok(())
    }
}

/// x <- L^-1 x: row i loses its multiples of the rows above it.
struct Substitute<'a> {
    lower: &'a Array2<f64>,
    x: &'a mut [f64],
    m: usize,
}

impl Kernel for Substitute<'_> {
    type Output = ();
    #[inline(always)]
    fn run<const FMA: bool>(self) {
        let m = self.m;
        for (i, l) in self.lower.rows().into_iter().enumerate() {
            let (above, row) = self.x.split_at_mut(i * m);
            let row = &mut row[..m];
            for j in 0..i {
                add_scaled::<FMA>(row, -l[j], &above[j * m..j * m + m]);
            }
            for x in row {
                *x /= l[i];
            }
        }
    }
}

/// x <- L^-T x: row i is done, then the rows above lose their multiples of it.
struct BackSubstitute<'a> {
    lower: &'a Array2<f64>,
    x: &'a mut [f64],
    m: usize,
}

impl Kernel for BackSubstitute<'_> {
    type Output = ();
    #[inline(always)]
    fn run<const FMA: bool>(self) {
        let m = self.m;
        for (i, l) in self.lower.rows().into_iter().enumerate().rev() {
            let (above, row) = self.x.split_at_mut(i * m);
            let row = &mut row[..m];
            for x in row.iter_mut() {
                *x /= l[i];
            }
            for j in 0..i {
                add_scaled::<FMA>(&mut above[j * m..j * m + m], -l[j], row);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::tests::{largest, normal, positive};
    use super::*;
    use ndarray::array;

    #[test]
    fn factor_and_solves_leave_no_residual() {
        for n in [1, 2, 5, 17, 40] {
            let a = positive(n, n as u64);
            let c = Cholesky::new(a.view()).unwrap();
            let eye = Array2::<f64>::eye(n);
            let tol = 1e-13 * n as f64;
            assert!(largest(&(c.lower.dot(&c.lower.t()) - &a)) <= tol);
            assert!(c.lower.indexed_iter().all(|((i, j), l)| i >= j || *l == 0.0));
            let b = normal(n, 9);
            assert!(largest(&(a.dot(&c.solve(b.view()).unwrap()) - &b)) <= 100.0 * tol);
            assert!(largest(&(c.lower.dot(&c.solve_lower(b.view()).unwrap()) - &b)) <= 100.0 * tol);
            assert!(largest(&(c.lower.t().dot(&c.solve_lower_transposed(b.view()).unwrap()) - &b)) <= 100.0 * tol);
            assert!(largest(&(c.inverse().dot(&a) - &eye)) <= 100.0 * tol);
            let whitened = c.inverse_lower().dot(&a).dot(&c.inverse_lower().t());
            assert!(largest(&(whitened - &eye)) <= 100.0 * tol);
            let x = c.solve_vec(b.column(0)).unwrap();
            assert!((a.dot(&x) - b.column(0)).iter().all(|e| e.abs() <= 100.0 * tol));
        }
    }

    #[test]
    fn log_det_of_a_known_matrix() {
        let c = Cholesky::new(array![[4.0, 2.0, 0.0], [2.0, 3.0, 0.0], [0.0, 0.0, 0.125]].view()).unwrap();
        assert!(c.log_det().abs() <= 1e-15);
    }

    #[test]
    fn the_failing_pivot_is_named() {
        let a = array![[1.0, 2.0, 0.0], [2.0, 1.0, 0.0], [0.0, 0.0, 1.0]];
        match Cholesky::new(a.view()) {
            Err(Error::NotPositiveDefinite { row, pivot, .. }) => assert!(row == 1 && (pivot + 3.0).abs() <= 1e-15),
            other => panic!("{other:?}"),
        }
        // A zero pivot, too.
        match Cholesky::new(Array2::ones((2, 2)).view()) {
            Err(Error::NotPositiveDefinite { row, pivot, .. }) => assert!(row == 1 && pivot == 0.0),
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn a_right_side_of_the_wrong_height_is_refused() {
        let c = Cholesky::new(positive(3, 1).view()).unwrap();
        assert!(c.solve(Array2::zeros((4, 1)).view()).unwrap_err().to_string().contains("[3, 3] and [4, 1]"));
    }
}
