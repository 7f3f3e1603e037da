//! What the reductions compute of single elements, and the loops that are no sums.

use crate::Real;
use crate::kernels::broadcast::{Plan, Term};
use crate::kernels::zip::larger;
use crate::simd::{Kernel, W};

/// (x - m)^2.
#[derive(Clone, Copy)]
pub struct SquaredDeviation;
impl Term for SquaredDeviation {
    #[inline(always)]
    fn at<R: Real, const FMA: bool>(self, mean: R, x: R, _: R) -> R {
        let d = x - mean;
        d * d
    }
}

/// c (x - m) dy.
#[derive(Clone, Copy)]
pub struct Deviation(pub f64);
impl Term for Deviation {
    #[inline(always)]
    fn at<R: Real, const FMA: bool>(self, mean: R, x: R, dy: R) -> R {
        R::of(self.0) * (x - mean) * dy
    }
}

/// 1 where x is the largest.
#[derive(Clone, Copy)]
pub struct Largest;
impl Term for Largest {
    #[inline(always)]
    fn at<R: Real, const FMA: bool>(self, max: R, x: R, _: R) -> R {
        if x == max { R::one() } else { R::zero() }
    }
}

/// dy where x is the largest.
#[derive(Clone, Copy)]
pub struct ToLargest;
impl Term for ToLargest {
    #[inline(always)]
    fn at<R: Real, const FMA: bool>(self, max: R, x: R, dy: R) -> R {
        if x == max { dy } else { R::zero() }
    }
}

/// e^(x - m).
#[derive(Clone, Copy)]
pub struct Exponential;
impl Term for Exponential {
    #[inline(always)]
    fn at<R: Real, const FMA: bool>(self, shift: R, x: R, _: R) -> R {
        (x - shift).exp_neg_lane::<FMA>()
    }
}

/// e^(x - m) dy.
#[derive(Clone, Copy)]
pub struct Weight;
impl Term for Weight {
    #[inline(always)]
    fn at<R: Real, const FMA: bool>(self, shift: R, x: R, dy: R) -> R {
        (x - shift).exp_neg_lane::<FMA>() * dy
    }
}

/// y = the largest x along the axes, -infinity for none.
pub struct Maximum<'a, R> {
    pub plan: Plan,
    pub x: &'a [R],
    pub y: &'a mut [R],
}

impl<R: Real> Kernel for Maximum<'_, R> {
    const VECTORS: bool = R::VECTORS;
    type Output = ();
    #[inline(always)]
    fn run<const FMA: bool>(self) {
        let Maximum { plan, x, y } = self;
        let n = plan.inner();
        y.fill(-R::infinity());
        for [iy, ix, _] in plan.rows() {
            let x = &x[ix..][..n];
            if plan.varies(0) {
                for (y, x) in y[iy..][..n].iter_mut().zip(x) {
                    *y = larger(*y, *x);
                }
            } else {
                y[iy] = larger(y[iy], row_max(x));
            }
        }
    }
}

/// The largest number, -infinity for none, NaN if one is. For use inside kernels.
#[inline(always)]
pub fn row_max<R: Real>(x: &[R]) -> R {
    let mut lanes = [-R::infinity(); W];
    let (blocks, last) = x.as_chunks::<W>();
    for x in blocks {
        for i in 0..W {
            lanes[i] = larger(lanes[i], x[i]);
        }
    }
    for (lane, x) in lanes.iter_mut().zip(last) {
        *lane = larger(*lane, *x);
    }
    let mut half = W / 2;
    while half > 0 {
        for i in 0..half {
            lanes[i] = larger(lanes[i], lanes[i + half]);
        }
        half /= 2;
    }
    lanes[0]
}

/// Of s = sum e^(x - m): y = m + ln s, and what the weights e^(x - m) are divided by: s, or 1 where s = 0, so
/// that they are 0 there.
pub struct Logarithms<'a, R> {
    pub shift: &'a [R],
    pub sums: &'a mut [R],
    pub y: &'a mut [R],
}

impl<R: Real> Kernel for Logarithms<'_, R> {
    const VECTORS: bool = R::VECTORS;
    type Output = ();
    #[inline(always)]
    fn run<const FMA: bool>(self) {
        for ((shift, sum), y) in self.shift.iter().zip(self.sums).zip(self.y) {
            *sum = if *y == R::zero() { R::one() } else { *y };
            *y = *shift + y.ln_lane::<FMA>();
        }
    }
}
