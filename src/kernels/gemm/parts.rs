//! Products of dual numbers: (A + A' e)(B + B' e) = A B + (A' B + A B') e, three products of plain numbers at
//! their full speed.

use super::{Matrix, gemm, scratch};
use crate::Real;
use crate::real::Number;

/// C = A B, or C += A B if `accumulate`. Takes its memory anew every time: no training step comes here.
pub fn gemm_of_parts<R: Real>(a: Matrix<'_, R>, b: Matrix<'_, R>, c: &mut [R], accumulate: bool) {
    let ((av, at), (bv, bt)) = (split(a.data), split(b.data));
    let (mut value, mut tangent) = (vec![R::Part::zero(); c.len()], vec![R::Part::zero(); c.len()]);
    let mut memory = vec![R::Part::zero(); scratch::<R::Part>(a.transposed, a.cols, b.cols)];
    gemm(with(a, &av), with(b, &bv), &mut value, false, &mut memory);
    gemm(with(a, &at), with(b, &bv), &mut tangent, false, &mut memory);
    gemm(with(a, &av), with(b, &bt), &mut tangent, true, &mut memory);
    for (c, (value, tangent)) in c.iter_mut().zip(value.into_iter().zip(tangent)) {
        let product = R::join(value, tangent);
        *c = if accumulate { *c + product } else { product };
    }
}

fn split<R: Real>(x: &[R]) -> (Vec<R::Part>, Vec<R::Part>) {
    x.iter().map(|x| x.split()).unzip()
}

/// A matrix of the same shape.
fn with<'a, R, P>(m: Matrix<'_, R>, data: &'a [P]) -> Matrix<'a, P> {
    Matrix { data, rows: m.rows, cols: m.cols, transposed: m.transposed }
}
