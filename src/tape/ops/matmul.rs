//! Matrix products.

use crate::Real;
use crate::tape::gemm::{Matrix, gemm, scratch};
use crate::tape::op::{Adjoints, Checked, Op, Operands, Output, Point, Reads, Sample};

/// C = A B with A [m, k], B [k, n]; an operand whose flag is set is given transposed and read so, not copied.
#[derive(Clone, Copy)]
pub struct MatMul {
    /// A is given as [k, m].
    pub transpose_a: bool,
    /// B is given as [n, k].
    pub transpose_b: bool,
}

impl MatMul {
    /// (m, k, k of B, n), or None if an operand is no matrix.
    fn sizes(self, x: &[&[usize]]) -> Option<(usize, usize, usize, usize)> {
        let &[&[a0, a1], &[b0, b1]] = x else { return None };
        let (m, k) = if self.transpose_a { (a1, a0) } else { (a0, a1) };
        let (kb, n) = if self.transpose_b { (b1, b0) } else { (b0, b1) };
        Some((m, k, kb, n))
    }
    fn operands<'a, R: Real>(self, x: Operands<'a, R>) -> (Matrix<'a, R>, Matrix<'a, R>) {
        let view = |k: usize, transposed: bool| {
            let stored = Matrix::new(x.value(k), x.shape(k)[0], x.shape(k)[1]);
            if transposed { stored.t() } else { stored }
        };
        (view(0, self.transpose_a), view(1, self.transpose_b))
    }
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
        match self.sizes(x) {
            Some((m, k, kb, n)) if k == kb => Ok(vec![m, n]),
            Some((_, k, kb, _)) => Err(format!("equal inner sizes ({k} against {kb}; transpose an operand?)")),
            None => Err("two matrices".to_string()),
        }
    }
    fn scratch(&self, x: &[&[usize]]) -> usize {
        let Some((m, k, _, n)) = self.sizes(x) else { return 0 };
        let (ta, tb) = (self.transpose_a, self.transpose_b);
        let da = if ta { scratch::<R>(tb, n, m) } else { scratch::<R>(false, n, k) };
        let db = if tb { scratch::<R>(true, m, k) } else { scratch::<R>(!ta, m, n) };
        scratch::<R>(ta, k, n).max(da).max(db)
    }
    fn reads(&self) -> Reads {
        Reads::Inputs
    }
    fn flops(&self, x: &[&[usize]], y: &[usize]) -> u64 {
        let k = if self.transpose_a { x[0][0] } else { x[0][1] };
        2 * k as u64 * y.iter().product::<usize>() as u64
    }
    fn forward(&self, x: Operands<'_, R>, out: Output<'_, R>) {
        let (a, b) = self.operands(x);
        gemm(a, b, out.y, false, out.scratch);
    }
    /// dA = dC B^T, dB = A^T dC; for an operand given transposed the transposes of these.
    fn vjp(&self, x: Operands<'_, R>, at: Point<'_, R>, dx: &mut Adjoints<'_, R>) {
        let (a, b) = self.operands(x);
        let dc = Matrix::new(&*at.dy, a.rows, b.cols);
        if let Some((da, fresh)) = dx.slot(0) {
            let (left, right) = if self.transpose_a { (b, dc.t()) } else { (dc, b.t()) };
            gemm(left, right, da, !fresh, at.scratch);
        }
        if let Some((db, fresh)) = dx.slot(1) {
            let (left, right) = if self.transpose_b { (dc.t(), a) } else { (a.t(), dc) };
            gemm(left, right, db, !fresh, at.scratch);
        }
    }
}

impl Checked for MatMul {
    fn samples() -> Vec<(Self, Vec<Sample>)> {
        let mut all = vec![];
        for op in (0..4).map(|i| MatMul { transpose_a: i & 1 > 0, transpose_b: i & 2 > 0 }) {
            for (m, k, n) in [(3, 5, 2), (1, 7, 1), (9, 1, 17), (0, 3, 2), (2, 0, 3), (4, 3, 0)] {
                let a = if op.transpose_a { [k, m] } else { [m, k] };
                let b = if op.transpose_b { [n, k] } else { [k, n] };
                all.push((op, vec![Sample::normal(&a, 1), Sample::normal(&b, 2)]));
            }
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
        ]
    }
}
