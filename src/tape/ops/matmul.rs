//! Matrix products, one or a batch.

use crate::Real;
use crate::kernels::broadcast;
use crate::kernels::matmul::{Plan, sizes};
use crate::tape::op::{Adjoints, Op, Operands, Output, Point, Reads};
use crate::tape::recorder::methods;
use crate::tape::sample::{Checked, Refusal, Sample};

methods! {
    /// Matrix product of `[.., m, k]` and `[.., k, n]`; the leading axes, a batch, broadcast (sizes equal or
    /// 1).
    matmul(a, b) = MatMul { transposed: [false, false] };
    /// Matrix product whose operands are read transposed where the flags say so (no copy): a is `[.., k, m]`,
    /// b is `[.., n, k]` then.
    matmul_transposed(a, b; transpose: (bool, bool)) = MatMul { transposed: transpose.into() };
}

/// C = A B with A `[.., m, k]`, B `[.., k, n]`; an operand whose flag is set is given transposed and read so,
/// not copied. The leading axes broadcast: aligned at the last of them, sizes equal or 1. The adjoint of an
/// operand that is broadcast is summed over the batch in order.
#[derive(Clone, Copy)]
pub struct MatMul {
    /// Whether A is given as `[.., k, m]`, and B as `[.., n, k]`.
    pub transposed: [bool; 2],
}

impl<R: Real> Op<R> for MatMul {
    fn name(&self) -> &'static str {
        "matmul"
    }
    fn label(&self) -> String {
        let [a, b] = self.transposed.map(|flag| if flag { "^T" } else { "" });
        format!("matmul A{a} B{b}")
    }
    fn shape(&self, x: &[&[usize]]) -> Result<Vec<usize>, String> {
        let Some([m, k, kb, n]) = sizes(self.transposed, x) else { return Err("two matrices, or batches of matrices".to_string()) };
        if k != kb {
            return Err(format!("equal inner sizes ({k} against {kb}; transpose an operand?)"));
        }
        let leading = |s: &[usize]| s[..s.len() - 2].to_vec();
        let batch = broadcast::shape(&leading(x[0]), &leading(x[1]));
        let batch = batch.ok_or("batches that broadcast (leading axes aligned at the last of them, sizes equal or 1)")?;
        Ok([&batch[..], &[m, n]].concat())
    }
    fn scratch(&self, x: &[&[usize]]) -> usize {
        Plan::new(self.transposed, x).map_or(0, |plan| plan.scratch::<R>())
    }
    fn reads(&self) -> Reads {
        Reads::Inputs
    }
    fn flops(&self, x: &[&[usize]], y: &[usize]) -> u64 {
        let k = sizes(self.transposed, x).map_or(0, |[_, k, ..]| k);
        2 * k as u64 * y.iter().product::<usize>() as u64
    }
    fn forward(&self, x: Operands<'_, R>, out: Output<'_, R>) {
        let Some(plan) = Plan::new(self.transposed, &[x.shape(0), x.shape(1)]) else { return };
        plan.forward(x.value(0), x.value(1), out.y, out.scratch);
    }
    fn vjp(&self, x: Operands<'_, R>, at: Point<'_, R>, dx: &mut Adjoints<'_, R>) {
        let Some(plan) = Plan::new(self.transposed, &[x.shape(0), x.shape(1)]) else { return };
        plan.backward([x.value(0), x.value(1), at.dy], dx, at.scratch);
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
        for op in (0..4).map(|i| MatMul { transposed: [i & 1 > 0, i & 2 > 0] }) {
            let mut push = |a: &[usize], b: &[usize], (m, k, n): (usize, usize, usize)| {
                let last_a = if op.transposed[0] { [k, m] } else { [m, k] };
                let last_b = if op.transposed[1] { [n, k] } else { [k, n] };
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
        let row = Sample::of(&[1, 2], &[800.0, -800.0]);
        let column = Sample::of(&[2, 1], &[1.0, 799.0]);
        all.push((MatMul { transposed: [false, false] }, vec![row, column]));
        all
    }
    fn refusals() -> Vec<Refusal<Self>> {
        let op = |a, b| MatMul { transposed: [a, b] };
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
