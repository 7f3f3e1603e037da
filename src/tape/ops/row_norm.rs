//! Euclidean norms of rows.

use crate::Real;
use crate::kernels::row_norm::{backward, forward};
use crate::tape::op::{Adjoints, Op, Operands, Output, Point, Reads, elements, one, row_len};
use crate::tape::recorder::methods;
use crate::tape::sample::{Checked, Refusal, Sample};

methods! {
    /// Euclidean norm of every row (last axis): `[.., m]` -> `[..]`. Its gradient at a zero row is 0.
    row_norm(x) = RowNorm;
}

/// y = sqrt(sum_j x_j^2) over the last axis, which disappears. dy/dx_j = x_j/y; where y = 0, the subgradient
/// 0. No square over- or underflows where the norm itself does not.
#[derive(Clone, Copy)]
pub struct RowNorm;

impl<R: Real> Op<R> for RowNorm {
    fn name(&self) -> &'static str {
        "row_norm"
    }
    fn shape(&self, x: &[&[usize]]) -> Result<Vec<usize>, String> {
        match one(x)? {
            [rows @ .., _] => Ok(rows.to_vec()),
            [] => Err("at least one axis".to_string()),
        }
    }
    fn reads(&self) -> Reads {
        Reads::All
    }
    fn flops(&self, x: &[&[usize]], y: &[usize]) -> u64 {
        (2 * elements(x[0]) + elements(y)) as u64
    }
    fn forward(&self, x: Operands<'_, R>, out: Output<'_, R>) {
        forward(row_len(x.shape(0)), x.value(0), out.y);
    }
    fn vjp(&self, x: Operands<'_, R>, at: Point<'_, R>, dx: &mut Adjoints<'_, R>) {
        if let Some((dx, fresh)) = dx.slot(0) {
            backward(row_len(x.shape(0)), [x.value(0), at.y, at.dy], dx, fresh);
        }
    }
}

impl Checked for RowNorm {
    fn samples() -> Vec<(Self, Vec<Sample>)> {
        let shapes: [&[usize]; 7] = [&[3, 5], &[5], &[4, 1], &[1, 35], &[2, 3, 2], &[0, 3], &[3, 0]];
        let mut all: Vec<_> = shapes.iter().map(|s| (RowNorm, vec![Sample::away_from_zero(s, 1)])).collect();
        all.push((RowNorm, vec![Sample::points(&[-800.0, 300.0, 1e-3])]));
        // The middle row's differences vanish by symmetry: the subgradient.
        all.push((RowNorm, vec![Sample::of(&[3, 2], &[3.0, 4.0, 0.0, 0.0, -1.0, 1.0])]));
        // f32 squares overflow, f64 ones do not.
        all.push((RowNorm, vec![Sample::points(&[3e30, -4e30])]));
        all
    }
    fn refusals() -> Vec<Refusal<Self>> {
        vec![(RowNorm, vec![vec![]], "at least one axis"), (RowNorm, vec![vec![2], vec![2]], "one input")]
    }
}
