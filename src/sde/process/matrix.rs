//! Dense matrices times [`W`] vectors at once.

use crate::Real;
use crate::simd::W;
use ndarray::{Array2, ArrayView2};

/// A [rows, columns] with at least one column, row-major, in f64: a process serves every precision.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Matrix {
    columns: usize,
    a: Vec<f64>,
}

impl Matrix {
    pub fn new(a: ArrayView2<f64>) -> Self {
        Matrix { columns: a.ncols().max(1), a: a.iter().copied().collect() }
    }

    pub fn columns(&self) -> usize {
        self.columns
    }

    pub fn rows(&self) -> usize {
        self.a.len() / self.columns
    }

    pub fn array(&self) -> Array2<f64> {
        Array2::from_shape_fn((self.rows(), self.columns), |(i, j)| self.a[i * self.columns + j])
    }

    /// y = A x. `x`: columns blocks, `y`: rows blocks, paths last.
    #[inline(always)]
    pub fn times<R: Real, const FMA: bool>(&self, x: &[[R; W]], y: &mut [[R; W]]) {
        for (row, y) in self.a.chunks_exact(self.columns).zip(y) {
            let mut sum = [R::zero(); W];
            for (a, x) in row.iter().zip(x) {
                let a = R::of(*a);
                for i in 0..W {
                    sum[i] = x[i].fma::<FMA>(a, sum[i]);
                }
            }
            *y = sum;
        }
    }
}
