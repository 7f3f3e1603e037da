//! Euclidean norms of rows.
//!
//! No square over- or underflows where the norm itself does not: rows whose sum of squares leaves the safe range are scaled
//! by their largest element.

use super::sums::sum_of;
use crate::Real;
use crate::simd::{Kernel, dispatch};

/// y = sqrt(sum_j x_j^2) of every row of `n` numbers; 0 for rows of none.
pub fn forward<R: Real>(n: usize, x: &[R], y: &mut [R]) {
    if n == 0 {
        return y.fill(R::zero());
    }
    dispatch(Norms { n, x, y });
}

/// dx += dy x/y row by row, or dx = ... if it is `fresh`; where y = 0, the subgradient 0.
pub fn backward<R: Real>(n: usize, [x, y, dy]: [&[R]; 3], dx: &mut [R], fresh: bool) {
    if n > 0 {
        dispatch(PullBack { n, x, y, dy, dx, fresh });
    }
}

struct Norms<'a, R> {
    n: usize,
    x: &'a [R],
    y: &'a mut [R],
}
impl<R: Real> Kernel for Norms<'_, R> {
    const VECTORS: bool = R::VECTORS;
    type Output = ();
    #[inline(always)]
    fn run<const FMA: bool>(self) {
        let n = self.n;
        for (x, y) in self.x.chunks_exact(n).zip(self.y) {
            let sum = sum_of(n, |j| x[j] * x[j]);
            // Squares that underflow are off by less than the smallest subnormal each, epsilon^2 of such a sum.
            let safe = sum >= R::min_positive_value() / R::epsilon() && sum <= R::max_value();
            *y = if safe { sum.sqrt() } else { scaled(x, sum) };
        }
    }
}

/// The norm of a row of which `sum`, the sum of squares, is 0, tiny, infinite or NaN.
#[cold]
fn scaled<R: Real>(x: &[R], sum: R) -> R {
    let largest = x.iter().fold(R::zero(), |m, x| m.max(x.abs()));
    if largest == R::zero() || !largest.is_finite() || sum.is_nan() {
        return sum;
    }
    largest
        * sum_of(x.len(), |j| {
            let ratio = x[j] / largest;
            ratio * ratio
        })
        .sqrt()
}

struct PullBack<'a, R> {
    n: usize,
    x: &'a [R],
    y: &'a [R],
    dy: &'a [R],
    dx: &'a mut [R],
    fresh: bool,
}
impl<R: Real> Kernel for PullBack<'_, R> {
    const VECTORS: bool = R::VECTORS;
    type Output = ();
    #[inline(always)]
    fn run<const FMA: bool>(self) {
        let PullBack { n, x, y, dy, dx, fresh } = self;
        for (((x, dx), y), dy) in x.chunks_exact(n).zip(dx.chunks_exact_mut(n)).zip(y).zip(dy) {
            if *y == R::zero() {
                if fresh {
                    dx.fill(R::zero());
                }
                continue;
            }
            // The ratio first: neither 1/y nor dy/y need be a number where it is one.
            if fresh {
                for (dx, x) in dx.iter_mut().zip(x) {
                    *dx = *x / *y * *dy;
                }
            } else {
                for (dx, x) in dx.iter_mut().zip(x) {
                    *dx += *x / *y * *dy;
                }
            }
        }
    }
}
