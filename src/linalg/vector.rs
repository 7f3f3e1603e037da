//! Inner loops over contiguous rows, inlined into the kernels that use them.

use crate::Real;
use crate::simd::W;

/// a . b, in [`W`] partial sums.
#[inline(always)]
pub fn dot<const FMA: bool>(a: &[f64], b: &[f64]) -> f64 {
    let mut sums = [0.0; W];
    let ((a, a_rest), (b, b_rest)) = (a.as_chunks::<W>(), b.as_chunks::<W>());
    for (a, b) in a.iter().zip(b) {
        for i in 0..W {
            sums[i] = a[i].fma::<FMA>(b[i], sums[i]);
        }
    }
    let mut rest = 0.0;
    for (a, b) in a_rest.iter().zip(b_rest) {
        rest = a.fma::<FMA>(*b, rest);
    }
    let mut half = W / 2;
    while half > 0 {
        for i in 0..half {
            sums[i] += sums[i + half];
        }
        half /= 2;
    }
    sums[0] + rest
}

/// y += a x.
#[inline(always)]
pub fn add_scaled<const FMA: bool>(y: &mut [f64], a: f64, x: &[f64]) {
    for (y, x) in y.iter_mut().zip(x) {
        *y = a.fma::<FMA>(*x, *y);
    }
}
