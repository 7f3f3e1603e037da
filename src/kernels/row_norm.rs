//! Euclidean norms of rows.
//!
//! No square over- or underflows where the norm itself does not: rows whose sum of squares leaves the safe
//! range are scaled by their largest element.

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
            // Squares that underflow are off by less than the smallest subnormal each, epsilon^2 of such a
            // sum.
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

#[cfg(test)]
mod tests {
    use super::*;

    /// Rows (3, 4) s: norm 5 s, gradient (0.6, 0.8), from the subnormals to the largest numbers.
    fn scales<R: Real>() {
        let scales = [
            R::min_positive_value() * R::of(1e-3),
            R::min_positive_value(),
            R::of(1e-20),
            R::one(),
            R::of(1e25),
            R::max_value() / R::of(6.0),
        ];
        let x: Vec<R> = scales.iter().flat_map(|s| [R::of(3.0) * *s, R::of(-4.0) * *s]).collect();
        let (mut norms, mut slopes) = ([R::nan(); 6], [R::nan(); 12]);
        forward(2, &x, &mut norms);
        backward(2, [&x, &norms, &[R::one(); 6]], &mut slopes, true);
        for (i, s) in scales.into_iter().enumerate() {
            // A subnormal has fewer digits.
            let eps = R::epsilon().f64().max(R::epsilon().f64() * R::min_positive_value().f64() / s.f64());
            let y = norms[i] / s;
            assert!((y.f64() - 5.0).abs() <= 20.0 * eps, "{} {s:e}: {y}", R::NAME);
            let dx = &slopes[2 * i..2 * i + 2];
            assert!((dx[0].f64() - 0.6).abs() <= 4.0 * eps && (dx[1].f64() + 0.8).abs() <= 4.0 * eps, "{} {s:e}: {dx:?}", R::NAME);
        }
    }

    #[test]
    fn the_norm_keeps_its_digits_at_every_scale() {
        scales::<f32>();
        scales::<f64>();
    }

    #[test]
    fn infinity_and_nan_are_passed_on() {
        let (inf, nan) = (f64::INFINITY, f64::NAN);
        let mut y = [0.0; 3];
        forward(2, &[-inf, 1.0, nan, 1.0, 1e300, nan], &mut y);
        assert!(y[0] == inf && y[1].is_nan() && y[2].is_nan(), "{y:?}");
    }
}
