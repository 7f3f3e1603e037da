//! Scalar products of rows.

use crate::Real;
use crate::kernels::rows::{add_scaled, dot};
use crate::tape::op::{Adjoints, Op, Operands, Output, Point, Reads, elements, row_len, two};
use crate::tape::recorder::methods;
use crate::tape::sample::{Checked, Refusal, Sample};

methods! {
    /// Scalar product of every row (last axis) of a with that of b: equal shapes [.., m] -> [..].
    row_dot(a, b) = RowDot;
}

/// y_i = sum_j a_ij b_ij.
#[derive(Clone, Copy)]
pub struct RowDot;

impl<R: Real> Op<R> for RowDot {
    fn name(&self) -> &'static str {
        "row_dot"
    }
    fn shape(&self, x: &[&[usize]]) -> Result<Vec<usize>, String> {
        match two(x)? {
            [a @ [rows @ .., _], b] if a == b => Ok(rows.to_vec()),
            _ => Err("equal shapes with at least one axis".to_string()),
        }
    }
    fn reads(&self) -> Reads {
        Reads::Inputs
    }
    fn flops(&self, x: &[&[usize]], _y: &[usize]) -> u64 {
        2 * elements(x[0]) as u64
    }
    fn forward(&self, x: Operands<'_, R>, out: Output<'_, R>) {
        dot(row_len(x.shape(0)), x.value(0), x.value(1), out.y);
    }
    fn vjp(&self, x: Operands<'_, R>, at: Point<'_, R>, dx: &mut Adjoints<'_, R>) {
        for k in 0..2 {
            if let Some(dx) = dx.add_to(k) {
                add_scaled(row_len(x.shape(0)), x.value(1 - k), at.dy, dx);
            }
        }
    }
}

impl Checked for RowDot {
    fn samples() -> Vec<(Self, Vec<Sample>)> {
        let shapes: [&[usize]; 6] = [&[3, 5], &[4, 1], &[1, 35], &[2, 3, 2], &[0, 3], &[3, 0]];
        let mut all: Vec<_> = shapes.iter().map(|s| (RowDot, vec![Sample::normal(s, 1), Sample::normal(s, 2)])).collect();
        all.push((RowDot, vec![Sample::points(&[-800.0, 800.0, 3.0]), Sample::points(&[1.0, 800.0, 1e-3])]));
        all
    }
    fn refusals() -> Vec<Refusal<Self>> {
        vec![
            (RowDot, vec![vec![2, 3], vec![2, 2]], "equal shapes"),
            (RowDot, vec![vec![], vec![]], "at least one axis"),
            (RowDot, vec![vec![2]], "two inputs"),
        ]
    }
}
