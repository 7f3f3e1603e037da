//! Matrix products, one or a batch.

use super::Linear;
use crate::Real;
use crate::kernels::Activation;
use crate::kernels::broadcast;
use crate::kernels::gemm::{Matrix, gemm, scratch};
use crate::tape::op::{Adjoints, Checked, Op, Operands, Output, Point, Reads, Sample};
use crate::tape::recorder::methods;

methods! {
    /// Matrix product of `[.., m, k]` and `[.., k, n]`; the leading axes, a batch, broadcast (sizes equal or 1).
    matmul(a, b) = MatMul { transpose_a: false, transpose_b: false };
    /// Matrix product whose operands are read transposed where the flags say so (no copy): a is `[.., k, m]`, b is
    /// `[.., n, k]` then.
    matmul_transposed(a, b; transpose: (bool, bool)) = MatMul { transpose_a: transpose.0, transpose_b: transpose.1 };
}

/// C = A B with A `[.., m, k]`, B `[.., k, n]`; an operand whose flag is set is given transposed and read so, not copied. The
/// leading axes broadcast: aligned at the last of them, sizes equal or 1.
///
/// Where B is the same for a whole axis of the batch and A is not transposed, the products along that axis are one product of
/// a taller A: `[b, m, k]` times `[k, n]` is `[b m, k]` times `[k, n]`. The adjoint of an operand that is broadcast is summed
/// over the batch in order.
#[derive(Clone, Copy)]
pub struct MatMul {
    /// A is given as `[.., k, m]`.
    pub transpose_a: bool,
    /// B is given as `[.., n, k]`.
    pub transpose_b: bool,
}

/// The products of one replay: two nested loops over products of equal sizes.
#[derive(Clone, Copy)]
struct Plan {
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

impl MatMul {
    /// (m, k, k of B, n), or None if an operand is no matrix.
    fn sizes(self, x: &[&[usize]]) -> Option<(usize, usize, usize, usize)> {
        let &[&[.., a0, a1], &[.., b0, b1]] = x else { return None };
        let (m, k) = if self.transpose_a { (a1, a0) } else { (a0, a1) };
        let (kb, n) = if self.transpose_b { (b1, b0) } else { (b0, b1) };
        Some((m, k, kb, n))
    }

    /// For shapes that the shape rule accepted.
    fn plan(self, x: &[&[usize]]) -> Option<Plan> {
        let (m, k, _, n) = self.sizes(x)?;
        let mut plan = Plan { m, k, n, outer: [1; 2], varies: [[false; 2]; 2], strides: [[0; 2]; 2] };
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
            if !self.transpose_a && !plan.varies[1][axis] && inner_is_one {
                plan.m = plan.m.saturating_mul(plan.outer[axis]);
                plan.outer[axis] = 1;
                plan.varies[0][axis] = false;
                plan.strides[0][axis] = 0;
            }
        }
        Some(plan)
    }

    fn plan_of<R: Real>(self, x: Operands<'_, R>) -> Option<Plan> {
        self.plan(&[x.shape(0), x.shape(1)])
    }
}

impl Plan {
    fn products(self) -> impl Iterator<Item = Product> {
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
    fn a<'a, R: Real>(&self, op: MatMul, x: Operands<'a, R>, p: &Product) -> Matrix<'a, R> {
        view(&x.value(0)[p.at[0]..][..self.m * self.k], self.m, self.k, op.transpose_a)
    }
    /// B of the product.
    fn b<'a, R: Real>(&self, op: MatMul, x: Operands<'a, R>, p: &Product) -> Matrix<'a, R> {
        view(&x.value(1)[p.at[1]..][..self.k * self.n], self.k, self.n, op.transpose_b)
    }
    /// dC of the product.
    fn c<'a, R: Real>(&self, dy: &'a [R], p: &Product) -> Matrix<'a, R> {
        Matrix::new(&dy[p.c..][..self.m * self.n], self.m, self.n)
    }
}

/// A matrix of `rows` x `cols`, stored as it stands or transposed.
fn view<R: Real>(data: &[R], rows: usize, cols: usize, transposed: bool) -> Matrix<'_, R> {
    if transposed { Matrix::new(data, cols, rows).t() } else { Matrix::new(data, rows, cols) }
}

impl<R: Real> Op<R> for MatMul {
    fn name(&self) -> &'static str {
        "matmul"
    }
    fn label(&self) -> String {
        let t = |flag| if flag { "^T" } else { "" };
        format!("matmul A{} B{}", t(self.transpose_a), t(self.transpose_b))
    }
    fn shape(&self, x: &[&[usize]]) -> Result<Vec<usize>, String> {
        let Some((m, k, kb, n)) = self.sizes(x) else { return Err("two matrices, or batches of matrices".to_string()) };
        if k != kb {
            return Err(format!("equal inner sizes ({k} against {kb}; transpose an operand?)"));
        }
        let leading = |s: &[usize]| s[..s.len() - 2].to_vec();
        let batch = broadcast::shape(&leading(x[0]), &leading(x[1]));
        let batch = batch.ok_or("batches that broadcast (leading axes aligned at the last of them, sizes equal or 1)")?;
        Ok([&batch[..], &[m, n]].concat())
    }
    fn scratch(&self, x: &[&[usize]]) -> usize {
        let Some(Plan { m, k, n, .. }) = self.plan(x) else { return 0 };
        let (ta, tb) = (self.transpose_a, self.transpose_b);
        let da = if ta { scratch::<R>(tb, n, m) } else { scratch::<R>(false, n, k) };
        let db = if tb { scratch::<R>(true, m, k) } else { scratch::<R>(!ta, m, n) };
        scratch::<R>(ta, k, n).max(da).max(db)
    }
    fn reads(&self) -> Reads {
        Reads::Inputs
    }
    fn with_bias(&self) -> Option<Box<dyn Op<R>>> {
        let plain = !self.transpose_a && !self.transpose_b;
        plain.then(|| Box::new(Linear { activation: Activation::Identity }) as Box<dyn Op<R>>)
    }
    fn flops(&self, x: &[&[usize]], y: &[usize]) -> u64 {
        let k = self.sizes(x).map_or(0, |(_, k, ..)| k);
        2 * k as u64 * y.iter().product::<usize>() as u64
    }
    fn forward(&self, x: Operands<'_, R>, out: Output<'_, R>) {
        let Some(plan) = self.plan_of(x) else { return };
        for p in plan.products() {
            let c = &mut out.y[p.c..][..plan.m * plan.n];
            gemm(plan.a(*self, x, &p), plan.b(*self, x, &p), c, false, out.scratch);
        }
    }
    /// dA = dC B^T, dB = A^T dC; for an operand given transposed the transposes of these.
    fn vjp(&self, x: Operands<'_, R>, at: Point<'_, R>, dx: &mut Adjoints<'_, R>) {
        let Some(plan) = self.plan_of(x) else { return };
        if let Some((da, fresh)) = dx.slot(0) {
            if plan.empty() && fresh {
                da.fill(R::zero());
            }
            for p in plan.products() {
                let (b, dc) = (plan.b(*self, x, &p), plan.c(at.dy, &p));
                let (left, right) = if self.transpose_a { (b, dc.t()) } else { (dc, b.t()) };
                let da = &mut da[p.at[0]..][..plan.m * plan.k];
                gemm(left, right, da, !(fresh && p.first[0]), at.scratch);
            }
        }
        if let Some((db, fresh)) = dx.slot(1) {
            if plan.empty() && fresh {
                db.fill(R::zero());
            }
            for p in plan.products() {
                let (a, dc) = (plan.a(*self, x, &p), plan.c(at.dy, &p));
                let (left, right) = if self.transpose_b { (dc.t(), a) } else { (a.t(), dc) };
                let db = &mut db[p.at[1]..][..plan.k * plan.n];
                gemm(left, right, db, !(fresh && p.first[1]), at.scratch);
            }
        }
    }
}

impl Checked for MatMul {
    fn samples() -> Vec<(Self, Vec<Sample>)> {
        // The last line: A, B or both are the same for part of the batch.
        let batches: [(&[usize], &[usize]); 12] = [
            (&[3], &[3]),
            (&[2, 3], &[2, 3]),
            (&[1], &[]),
            (&[0], &[0]),
            (&[0], &[1]),
            (&[1, 1], &[2, 0]),
            (&[3], &[]),
            (&[], &[3]),
            (&[2, 1], &[3]),
            (&[2, 3], &[2, 1]),
            (&[2, 3], &[1, 3]),
            (&[1, 3], &[2, 1]),
        ];
        let mut all = vec![];
        for op in (0..4).map(|i| MatMul { transpose_a: i & 1 > 0, transpose_b: i & 2 > 0 }) {
            let mut push = |a: &[usize], b: &[usize], (m, k, n): (usize, usize, usize)| {
                let last_a = if op.transpose_a { [k, m] } else { [m, k] };
                let last_b = if op.transpose_b { [n, k] } else { [k, n] };
                let (a, b) = ([a, &last_a].concat(), [b, &last_b].concat());
                all.push((op, vec![Sample::normal(&a, 1), Sample::normal(&b, 2)]));
            };
            for sizes in [(3, 5, 2), (1, 7, 1), (9, 1, 17), (0, 3, 2), (2, 0, 3), (4, 3, 0)] {
                push(&[], &[], sizes);
            }
            for (a, b) in batches {
                push(a, b, (3, 2, 5));
            }
            push(&[3], &[], (2, 0, 3));
        }
        let row = Sample { shape: vec![1, 2], values: vec![800.0, -800.0] };
        let column = Sample { shape: vec![2, 1], values: vec![1.0, 799.0] };
        all.push((MatMul { transpose_a: false, transpose_b: false }, vec![row, column]));
        all
    }
    fn refusals() -> Vec<(Self, Vec<Vec<usize>>, &'static str)> {
        let op = |a, b| MatMul { transpose_a: a, transpose_b: b };
        vec![
            (op(false, false), vec![vec![32, 64], vec![10, 64]], "64 against 10"),
            (op(false, true), vec![vec![2, 3], vec![3, 2]], "3 against 2"),
            (op(true, false), vec![vec![2, 3], vec![3, 2]], "2 against 3"),
            (op(false, false), vec![vec![2, 3], vec![3]], "two matrices"),
            (op(false, false), vec![vec![2, 3, 4], vec![3, 4, 5]], "batches that broadcast"),
            (op(false, false), vec![vec![2, 3, 4]], "two matrices"),
        ]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_shared_right_side_makes_one_product() {
        let op = MatMul { transpose_a: false, transpose_b: false };
        let plan = |a: &[usize], b: &[usize]| {
            let p = op.plan(&[a, b]).unwrap();
            (p.outer, p.m)
        };
        assert_eq!(plan(&[4, 3, 2], &[2, 5]), ([1, 1], 12));
        assert_eq!(plan(&[6, 4, 3, 2], &[2, 5]), ([1, 1], 72));
        assert_eq!(plan(&[6, 4, 3, 2], &[6, 1, 2, 5]), ([6, 1], 12));
        assert_eq!(plan(&[6, 4, 3, 2], &[1, 4, 2, 5]), ([6, 4], 3));
        assert_eq!(plan(&[4, 3, 2], &[4, 2, 5]), ([1, 4], 3));
        let turned = MatMul { transpose_a: true, transpose_b: false };
        assert_eq!(turned.plan(&[&[4, 2, 3], &[2, 5]]).unwrap().outer, [1, 4]);
    }
}
