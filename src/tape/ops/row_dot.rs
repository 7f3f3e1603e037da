//! Scalar products of rows.

use crate::Real;
use crate::kernels::sums::sum_of;
use crate::simd::{Kernel, dispatch};
use crate::tape::op::{Adjoints, Checked, Op, Operands, Output, Point, Reads, Sample, elements, row_len, two};
use crate::tape::recorder::methods;

methods! {
    /// Scalar product of every row (last axis) of a with that of b: equal shapes [.., m] -> [..].
    row_dot(a, b) = RowDot;
}

/// y_i = sum_j a_ij b_j, or y_i += ... if `add`, for every matrix a `[m, n]` and its vector b `[n]`; m, n > 0.
pub struct Dots<'a, R> {
    pub m: usize,
    pub n: usize,
    pub a: &'a [R],
    pub b: &'a [R],
    pub y: &'a mut [R],
    pub add: bool,
}

impl<R: Real> Kernel for Dots<'_, R> {
    const VECTORS: bool = R::VECTORS;
    type Output = ();
    #[inline(always)]
    fn run<const FMA: bool>(self) {
        let Dots { m, n, a, b, y, add } = self;
        for ((a, b), y) in a.chunks_exact(m * n).zip(b.chunks_exact(n)).zip(y.chunks_exact_mut(m)) {
            for (a, y) in a.chunks_exact(n).zip(y) {
                let sum = sum_of(n, |j| a[j] * b[j]);
                *y = if add { *y + sum } else { sum };
            }
        }
    }
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
        let n = row_len(x.shape(0));
        if n == 0 {
            return out.y.fill(R::zero());
        }
        dispatch(Dots { m: 1, n, a: x.value(0), b: x.value(1), y: out.y, add: false });
    }
    fn vjp(&self, x: Operands<'_, R>, at: Point<'_, R>, dx: &mut Adjoints<'_, R>) {
        let n = row_len(x.shape(0)).max(1);
        for k in 0..2 {
            let Some(dx) = dx.add_to(k) else { continue };
            let rows = dx.chunks_exact_mut(n).zip(x.value(1 - k).chunks_exact(n)).zip(at.dy.iter());
            for ((dx, other), dy) in rows {
                dx.iter_mut().zip(other).for_each(|(dx, x)| *dx += *dy * *x);
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
    fn refusals() -> Vec<(Self, Vec<Vec<usize>>, &'static str)> {
        vec![
            (RowDot, vec![vec![2, 3], vec![2, 2]], "equal shapes"),
            (RowDot, vec![vec![], vec![]], "at least one axis"),
            (RowDot, vec![vec![2]], "two inputs"),
        ]
    }
}
