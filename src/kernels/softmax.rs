//! Softmax and its logarithm, row by row.

use super::reduce::row_max;
use super::sums::sum_of;
use crate::Real;
use crate::simd::{Kernel, W, dispatch};

/// What is taken away from the numbers of a row before they are exponentiated: the largest, but 0 if that is
/// -infinity.
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

/// y_j = e^x_j/sum_k e^x_k in rows of `n`, or x_j - ln sum_k e^x_k if `log`.
pub fn forward<R: Real>(log: bool, n: usize, x: &[R], y: &mut [R]) {
    if !y.is_empty() {
        dispatch(Forward { log, n, x, y });
    }
}

/// dx += y (dy - sum y dy), or dy - e^y sum dy if `log`, in rows of `n`; `scratch` has n numbers then.
pub fn backward<R: Real>(log: bool, n: usize, [y, dy]: [&[R]; 2], dx: &mut [R], scratch: &mut [R]) {
    if !dx.is_empty() {
        dispatch(Backward { log, n, y, dy, dx, scratch });
    }
}

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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hidden_entries_have_no_weight_and_rows_of_them_no_gradient() {
        let none = f32::NEG_INFINITY;
        let x = [none, none, none, 1e30, f32::INFINITY, 0.0];
        let (mut y, mut log, mut scratch) = ([0.5; 6], [0.5; 6], [f32::NAN; 2]);
        forward(false, 2, &x, &mut y);
        forward(true, 2, &x, &mut log);
        assert_eq!(y[..4], [0.0, 0.0, 0.0, 1.0]);
        assert_eq!(log[..4], [none, none, none, 0.0]);
        assert!(y[4..].iter().chain(&log[4..]).all(|y| y.is_nan()));
        let (dy, mut dx, mut of_log) = ([1.0, 2.0, 3.0, 4.0, 0.0, 0.0], [0.0; 6], [0.0; 6]);
        backward(false, 2, [&y, &dy], &mut dx, &mut scratch);
        assert_eq!(dx[..4], [0.0; 4]);
        backward(true, 2, [&log, &dy], &mut of_log, &mut scratch);
        assert_eq!(of_log[..4], [1.0, 2.0, 3.0, -3.0]);
    }
}
