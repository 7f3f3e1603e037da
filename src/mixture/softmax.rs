//! Logarithms of weighted densities, their largest, sum and softmax, over rows of [`W`] lanes.

use crate::Real;
use crate::simd::W;

/// l = constant - q/2, and the largest so far.
#[inline(always)]
pub fn finish<R: Real, const FMA: bool>(constant: R, q: &[R; W], l: &mut [R; W], top: &mut [R; W]) {
    for i in 0..W {
        l[i] = R::of(-0.5).fma::<FMA>(q[i], constant);
        top[i] = if l[i] > top[i] { l[i] } else { top[i] };
    }
}

/// e^x, x <= 0; 0 where that is so small (1.8e-35 in f32, 1e-304 in f64) that products with it may be
/// subnormal. Beside a sum that is at least 1 it is nothing, but one subnormal lane makes the arithmetic of
/// all of them several times slower.
#[inline(always)]
pub fn share<R: Real, const FMA: bool>(x: R) -> R {
    let least = R::of(if R::BYTES == 4 { -80.0 } else { -700.0 });
    let e = (if x < least { least } else { x }).exp_lane::<FMA>();
    if x < least { R::zero() } else { e }
}

/// l <- e^(l - top); returns the sum, which is at least 1.
#[inline(always)]
pub fn softmax<R: Real, const FMA: bool>(logits: &mut [[R; W]], top: &[R; W]) -> [R; W] {
    let mut total = [R::zero(); W];
    for l in logits {
        for i in 0..W {
            l[i] = share::<R, FMA>(l[i] - top[i]);
            total[i] += l[i];
        }
    }
    total
}

/// Every row of `x` times `by`, lane by lane.
#[inline(always)]
pub fn scale<R: Real>(x: &mut [[R; W]], by: &[R; W]) {
    for x in x {
        row_by_row();
        for i in 0..W {
            x[i] *= by[i];
        }
    }
}

/// top + ln total.
#[inline(always)]
pub fn log_sum<R: Real, const FMA: bool>(top: &[R; W], total: &[R; W]) -> [R; W] {
    let mut out = [R::zero(); W];
    for i in 0..W {
        out[i] = top[i] + total[i].ln_normal_lane::<FMA>();
    }
    out
}

/// In a loop over rows of lanes: keeps the compiler from vectorising across the rows, which it does by
/// gathers and scatters, at a third of the speed. Loops that carry sums from row to row do not need it.
#[inline(always)]
pub fn row_by_row() {
    std::hint::black_box(());
}
