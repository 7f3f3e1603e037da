//! Softmax and its logarithm over the last axis.

use super::reduce::row_max;
use crate::Real;
use crate::kernels::sums::sum_of;
use crate::simd::{Kernel, W, dispatch};
use crate::tape::op::{Adjoints, Checked, Op, Operands, Output, Point, Reads, Sample, elements, one, row_len};
use crate::tape::recorder::methods;

methods! {
    /// e^x_j/sum_k e^x_k over the last axis: `[.., n]` -> `[.., n]`. A row that is -infinity throughout gives zeros.
    softmax(x) = Softmax { log: false };
    /// x_j - ln sum_k e^x_k over the last axis: `[.., n]` -> `[.., n]`.
    log_softmax(x) = Softmax { log: true };
}

/// y_j = e^x_j / sum_k e^x_k over the last axis, or its logarithm x_j - ln sum_k e^x_k: x `[.., n]` -> y `[.., n]`.
///
/// Entries may be -infinity: they get the weight 0. A row of nothing else has no weight to give: y = 0, and no gradient; as a
/// logarithm it stays what it is, and its sum counts as constant, so that dx = dy. An entry infinity makes its row NaN.
#[derive(Clone, Copy)]
pub struct Softmax {
    /// Whether it is the logarithm.
    pub log: bool,
}

/// What is taken away from the numbers of a row before they are exponentiated: the largest, but 0 if that is -infinity.
#[inline(always)]
fn shift_of<R: Real>(x: &[R]) -> R {
    let max = row_max(x);
    if max == -R::infinity() { R::zero() } else { max }
}

/// y_j = e^((x_j - shift) - log), for numbers that are not above shift + log.
#[inline(always)]
pub fn exponentials<R: Real, const FMA: bool>(x: &[R], shift: R, log: R, y: &mut [R]) {
    let ((x, last_x), (y, last_y)) = (x.as_chunks::<W>(), y.as_chunks_mut::<W>());
    for (y, x) in y.iter_mut().zip(x) {
        *y = block::<R, FMA>(x, shift, log);
    }
    // The last ones, too, side by side.
    let mut lanes = [R::zero(); W];
    lanes[..last_x.len()].copy_from_slice(last_x);
    last_y.copy_from_slice(&block::<R, FMA>(&lanes, shift, log)[..last_y.len()]);
}

#[inline(always)]
fn block<R: Real, const FMA: bool>(x: &[R; W], shift: R, log: R) -> [R; W] {
    let mut y = [R::zero(); W];
    for i in 0..W {
        y[i] = ((x[i] - shift) - log).exp_neg_lane::<FMA>();
    }
    y
}

/// e_j = e^(x_j - m), and m and s = sum_j e_j: no term overflows, and the largest is 1.
#[inline(always)]
fn shifted<R: Real, const FMA: bool>(x: &[R], e: &mut [R]) -> (R, R) {
    let shift = shift_of(x);
    exponentials::<R, FMA>(x, shift, R::zero(), e);
    (shift, sum_of(e.len(), |j| e[j]))
}

/// m and l of ln sum_j e^x_j = m + l; l = 0 for a row of -infinity. `e` is working memory as long as x.
#[inline(always)]
pub fn log_sum<R: Real, const FMA: bool>(x: &[R], e: &mut [R]) -> (R, R) {
    let (shift, sum) = shifted::<R, FMA>(x, e);
    (shift, if sum == R::zero() { R::zero() } else { sum.ln_lane::<FMA>() })
}

/// Rows of `n` numbers each.
struct Forward<'a, R> {
    log: bool,
    n: usize,
    x: &'a [R],
    y: &'a mut [R],
}

impl<R: Real> Kernel for Forward<'_, R> {
    const VECTORS: bool = R::VECTORS;
    type Output = ();
    #[inline(always)]
    fn run<const FMA: bool>(self) {
        let Forward { log, n, x, y } = self;
        for (y, x) in y.chunks_exact_mut(n).zip(x.chunks_exact(n)) {
            if log {
                let (shift, log) = log_sum::<R, FMA>(x, y);
                for (y, x) in y.iter_mut().zip(x) {
                    *y = (*x - shift) - log;
                }
            } else {
                let (_, sum) = shifted::<R, FMA>(x, y);
                let scale = if sum == R::zero() { R::zero() } else { R::one() / sum };
                for y in y.iter_mut() {
                    *y *= scale;
                }
            }
        }
    }
}

struct Backward<'a, R> {
    log: bool,
    n: usize,
    y: &'a [R],
    dy: &'a [R],
    dx: &'a mut [R],
    scratch: &'a mut [R],
}

impl<R: Real> Kernel for Backward<'_, R> {
    const VECTORS: bool = R::VECTORS;
    type Output = ();
    #[inline(always)]
    fn run<const FMA: bool>(self) {
        let Backward { log, n, y, dy, dx, scratch } = self;
        for ((dx, dy), y) in dx.chunks_exact_mut(n).zip(dy.chunks_exact(n)).zip(y.chunks_exact(n)) {
            if log {
                // dx = dy - e^y sum dy.
                let e = &mut scratch[..n];
                exponentials::<R, FMA>(y, R::zero(), R::zero(), e);
                let sum = sum_of(n, |j| dy[j]);
                for ((dx, dy), e) in dx.iter_mut().zip(dy).zip(&*e) {
                    *dx += *dy - *e * sum;
                }
            } else {
                // dx = y (dy - sum y dy).
                let sum = sum_of(n, |j| y[j] * dy[j]);
                for ((dx, dy), y) in dx.iter_mut().zip(dy).zip(y) {
                    *dx += *y * (*dy - sum);
                }
            }
        }
    }
}

impl<R: Real> Op<R> for Softmax {
    fn name(&self) -> &'static str {
        if self.log { "log_softmax" } else { "softmax" }
    }
    fn shape(&self, x: &[&[usize]]) -> Result<Vec<usize>, String> {
        let x = one(x)?;
        if x.is_empty() { Err("at least one axis".to_string()) } else { Ok(x.to_vec()) }
    }
    fn scratch(&self, x: &[&[usize]]) -> usize {
        if self.log { row_len(x[0]) } else { 0 }
    }
    fn reads(&self) -> Reads {
        Reads::Result
    }
    fn flops(&self, _x: &[&[usize]], y: &[usize]) -> u64 {
        (if self.log { 6 } else { 5 }) * elements(y) as u64
    }
    fn forward(&self, x: Operands<'_, R>, out: Output<'_, R>) {
        if !out.y.is_empty() {
            dispatch(Forward { log: self.log, n: row_len(x.out_shape()), x: x.value(0), y: out.y });
        }
    }
    fn vjp(&self, x: Operands<'_, R>, at: Point<'_, R>, dx: &mut Adjoints<'_, R>) {
        if let Some(dx) = dx.add_to(0).filter(|dx| !dx.is_empty()) {
            dispatch(Backward { log: self.log, n: row_len(x.out_shape()), y: at.y, dy: at.dy, dx, scratch: at.scratch });
        }
    }
}

impl Checked for Softmax {
    fn samples() -> Vec<(Self, Vec<Sample>)> {
        let shapes: [&[usize]; 8] = [&[3, 5], &[4, 1], &[1, 3], &[2, 3, 17], &[16], &[601], &[0, 3], &[3, 0]];
        let mut all = vec![];
        for log in [false, true] {
            all.extend(shapes.iter().map(|s| (Softmax { log }, vec![Sample::normal(s, 0)])));
            all.push((Softmax { log }, vec![Sample::points(&[-800.0, 799.5, 800.0, 797.0])]));
        }
        let hidden = Sample { shape: vec![2, 3], values: vec![f64::NEG_INFINITY, 1.0, 0.5, 40.0, f64::NEG_INFINITY, 41.0] };
        all.push((Softmax { log: false }, vec![hidden]));
        all
    }
    fn refusals() -> Vec<(Self, Vec<Vec<usize>>, &'static str)> {
        let of = |log| [(Softmax { log }, vec![vec![]], "at least one axis"), (Softmax { log }, vec![vec![2], vec![2]], "one input")];
        [false, true].into_iter().flat_map(of).collect()
    }
}

#[cfg(test)]
mod tests {
    use crate::tape::Recorder;

    #[test]
    fn hidden_entries_have_no_weight_and_rows_of_them_no_gradient() {
        let none = f32::NEG_INFINITY;
        let mut r = Recorder::<f32>::new();
        let x = r.input_with_gradient("x", &[3, 2]).unwrap();
        let (y, log) = (r.softmax(x).unwrap(), r.log_softmax(x).unwrap());
        let program = r.finish();
        let mut ws = program.workspace().unwrap();
        ws.input_mut(x).unwrap().copy_from_slice(&[none, none, none, 1e30, f32::INFINITY, 0.0]);
        program.forward(&[], &mut ws).unwrap();
        assert_eq!(ws.value(y).unwrap()[..4], [0.0, 0.0, 0.0, 1.0]);
        assert_eq!(ws.value(log).unwrap()[..4], [none, none, none, 0.0]);
        assert!(ws.value(y).unwrap()[4..].iter().chain(&ws.value(log).unwrap()[4..]).all(|y| y.is_nan()));
        program.backward(&[], &mut ws, &[(y, &[1.0, 2.0, 3.0, 4.0, 0.0, 0.0])], &mut []).unwrap();
        assert_eq!(ws.adjoint(x).unwrap()[..4], [0.0; 4]);
        program.backward(&[], &mut ws, &[(log, &[1.0, 2.0, 3.0, 4.0, 0.0, 0.0])], &mut []).unwrap();
        assert_eq!(ws.adjoint(x).unwrap()[..4], [1.0, 2.0, 3.0, -3.0]);
    }
}
