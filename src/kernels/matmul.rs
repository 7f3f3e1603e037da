//! Matrix products of a batch.

use super::Gradients;
use super::gemm::{Matrix, gemm, scratch};
use crate::Real;

/// Which operands are given transposed: A as `[.., k, m]`, B as `[.., n, k]`.
pub type Transposed = [bool; 2];

/// m, k, k of B, n of C = A B; None if an operand is no matrix.
pub fn sizes([ta, tb]: Transposed, x: &[&[usize]]) -> Option<[usize; 4]> {
    let &[&[.., a0, a1], &[.., b0, b1]] = x else { return None };
    let (m, k) = if ta { (a1, a0) } else { (a0, a1) };
    let (kb, n) = if tb { (b1, b0) } else { (b0, b1) };
    Some([m, k, kb, n])
}

/// The products of one batch: two nested loops over products of equal sizes.
///
/// Where B is the same for a whole axis of the batch and A is not transposed, the products along that axis
/// are one product of a taller A: `[b, m, k]` times `[k, n]` is `[b m, k]` times `[k, n]`. The adjoint of an
/// operand that is broadcast is summed over the batch in order.
#[derive(Clone, Copy)]
pub struct Plan {
    transposed: Transposed,
    m: usize,
    k: usize,
    n: usize,
    outer: [usize; 2],
    /// Whether A, B differ from entry to entry of an outer axis.
    varies: [[bool; 2]; 2],
    /// Numbers from entry to entry in A, B; 0 where they do not differ.
    strides: [[usize; 2]; 2],
}

/// One product: where its matrices start in A, B and C, and whether it is the first that uses its A, its B.
struct Product {
    at: [usize; 2],
    c: usize,
    first: [bool; 2],
}

impl Plan {
    /// For shapes of matrices whose inner sizes agree and whose leading axes broadcast.
    pub fn new(transposed: Transposed, x: &[&[usize]]) -> Option<Plan> {
        let [m, k, _, n] = sizes(transposed, x)?;
        let mut plan = Plan { transposed, m, k, n, outer: [1; 2], varies: [[false; 2]; 2], strides: [[0; 2]; 2] };
        for (operand, matrix) in [m.saturating_mul(k), k.saturating_mul(n)].into_iter().enumerate() {
            // Sizes of an empty batch need not have a product.
            let mut stride = matrix;
            for (axis, size) in (0..2).rev().zip(x[operand].iter().rev().skip(2)) {
                if *size != 1 {
                    plan.outer[axis] = *size;
                    plan.varies[operand][axis] = true;
                    plan.strides[operand][axis] = stride;
                    stride = stride.saturating_mul(*size);
                }
            }
        }
        for axis in [1, 0] {
            let inner_is_one = axis == 1 || plan.outer[1] == 1;
            if !transposed[0] && !plan.varies[1][axis] && inner_is_one {
                plan.m = plan.m.saturating_mul(plan.outer[axis]);
                plan.outer[axis] = 1;
                plan.varies[0][axis] = false;
                plan.strides[0][axis] = 0;
            }
        }
        Some(plan)
    }

    /// Numbers of working memory of [`Self::forward`] and [`Self::backward`].
    pub fn scratch<R: Real>(&self) -> usize {
        let Plan { transposed: [ta, tb], m, k, n, .. } = *self;
        let da = if ta { scratch::<R>(tb, n, m) } else { scratch::<R>(false, n, k) };
        let db = if tb { scratch::<R>(true, m, k) } else { scratch::<R>(!ta, m, n) };
        scratch::<R>(ta, k, n).max(da).max(db)
    }

    /// C = A B.
    pub fn forward<R: Real>(&self, a: &[R], b: &[R], c: &mut [R], scratch: &mut [R]) {
        for p in self.products() {
            gemm(self.a(a, &p), self.b(b, &p), &mut c[p.c..][..self.m * self.n], false, scratch);
        }
    }

    /// dA += dC B^T, dB += A^T dC.
    pub fn backward<R: Real>(&self, [a, b, dc]: [&[R]; 3], dx: &mut impl Gradients<R>, scratch: &mut [R]) {
        let [ta, tb] = self.transposed;
        if let Some((da, fresh)) = dx.slot(0) {
            if self.empty() && fresh {
                da.fill(R::zero());
            }
            for p in self.products() {
                let (b, dc) = (self.b(b, &p), self.c(dc, &p));
                let (left, right) = if ta { (b, dc.t()) } else { (dc, b.t()) };
                let da = &mut da[p.at[0]..][..self.m * self.k];
                gemm(left, right, da, !(fresh && p.first[0]), scratch);
            }
        }
        if let Some((db, fresh)) = dx.slot(1) {
            if self.empty() && fresh {
                db.fill(R::zero());
            }
            for p in self.products() {
                let (a, dc) = (self.a(a, &p), self.c(dc, &p));
                let (left, right) = if tb { (dc.t(), a) } else { (a.t(), dc) };
                let db = &mut db[p.at[1]..][..self.k * self.n];
                gemm(left, right, db, !(fresh && p.first[1]), scratch);
            }
        }
    }

    fn products(&self) -> impl Iterator<Item = Product> + '_ {
        let [outer, inner] = self.outer;
        (0..outer).flat_map(move |i| (0..inner).map(move |j| self.product(i, j)))
    }
    fn product(&self, i: usize, j: usize) -> Product {
        let at = self.strides.map(|s| i * s[0] + j * s[1]);
        let first = self.varies.map(|varies| (i == 0 || varies[0]) && (j == 0 || varies[1]));
        Product { at, c: (i * self.outer[1] + j) * self.m * self.n, first }
    }
    fn empty(&self) -> bool {
        self.outer.contains(&0)
    }
    /// A of the product, as the formula has it.
    fn a<'a, R: Real>(&self, a: &'a [R], p: &Product) -> Matrix<'a, R> {
        view(&a[p.at[0]..][..self.m * self.k], self.m, self.k, self.transposed[0])
    }
    /// B of the product.
    fn b<'a, R: Real>(&self, b: &'a [R], p: &Product) -> Matrix<'a, R> {
        view(&b[p.at[1]..][..self.k * self.n], self.k, self.n, self.transposed[1])
    }
    /// dC of the product.
    fn c<'a, R: Real>(&self, dc: &'a [R], p: &Product) -> Matrix<'a, R> {
        Matrix::new(&dc[p.c..][..self.m * self.n], self.m, self.n)
    }
}

/// A matrix of `rows` x `cols`, stored as it stands or transposed.
fn view<R: Real>(data: &[R], rows: usize, cols: usize, transposed: bool) -> Matrix<'_, R> {
    if transposed { Matrix::new(data, cols, rows).t() } else { Matrix::new(data, rows, cols) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_shared_right_side_makes_one_product() {
        let plan = |a: &[usize], b: &[usize]| {
            let p = Plan::new([false, false], &[a, b]).unwrap();
            (p.outer, p.m)
        };
        assert_eq!(plan(&[4, 3, 2], &[2, 5]), ([1, 1], 12));
        assert_eq!(plan(&[6, 4, 3, 2], &[2, 5]), ([1, 1], 72));
        assert_eq!(plan(&[6, 4, 3, 2], &[6, 1, 2, 5]), ([6, 1], 12));
        assert_eq!(plan(&[6, 4, 3, 2], &[1, 4, 2, 5]), ([6, 4], 3));
        assert_eq!(plan(&[4, 3, 2], &[4, 2, 5]), ([1, 4], 3));
        assert_eq!(Plan::new([true, false], &[&[4, 2, 3], &[2, 5]]).unwrap().outer, [1, 4]);
    }
}
