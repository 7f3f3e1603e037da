//! Scalar products of rows.

use crate::Real;
use crate::simd::{Kernel, dispatch};
use crate::tape::op::{Adjoints, Checked, Op, Operands, Output, Point, Reads, Sample, elements};
use crate::tape::sums::sum_of;

/// y_i = sum_j a_(i n + j) b_(i n + j), j < n.
struct Products<'a, R> {
    n: usize,
    a: &'a [R],
    b: &'a [R],
    y: &'a mut [R],
}

impl<R: Real> Kernel for Products<'_, R> {
    const VECTORS: bool = R::VECTORS;
    type Output = ();
    #[inline(always)]
    fn run<const FMA: bool>(self) {
        let Products { n, a, b, y } = self;
        for (i, y) in y.iter_mut().enumerate() {
            let at = i * n..(i + 1) * n;
            let (a, b) = (&a[at.clone()], &b[at]);
            *y = sum_of(n, |j| a[j] * b[j]);
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
        match x {
            [a, b] if a == b && !a.is_empty() => Ok(a[..a.len() - 1].to_vec()),
            [_, _] => Err("equal shapes with at least one axis".to_string()),
            _ => Err("two inputs".to_string()),
        }
    }
    fn reads(&self) -> Reads {
        Reads::Inputs
    }
    fn flops(&self, x: &[&[usize]], _y: &[usize]) -> u64 {
        2 * elements(x[0]) as u64
    }
    fn forward(&self, x: Operands<'_, R>, out: Output<'_, R>) {
        let n = x.shape(0).last().copied().unwrap_or(1);
        dispatch(Products { n, a: x.value(0), b: x.value(1), y: out.y });
    }
    fn vjp(&self, x: Operands<'_, R>, at: Point<'_, R>, dx: &mut Adjoints<'_, R>) {
        let n = x.shape(0).last().copied().unwrap_or(1).max(1);
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
