//! The activation functions and their derivatives, branch-free: one exponential and one division for both.
//!
//! All go through e = e^-|x| <= 1, so nothing overflows and no derivative suffers cancellation.

use crate::Real;

/// e^-|x|, 1/(1 + e^-|x|).
#[inline(always)]
fn parts<R: Real, const FMA: bool>(x: R) -> (R, R) {
    let e = (-x.abs()).exp_neg_lane::<FMA>();
    (e, R::one() / (R::one() + e))
}

/// s = 1/(1 + e^-x) and ds/dx = s (1 - s) = e/(1 + e)^2.
#[inline(always)]
pub fn sigmoid<R: Real, const FMA: bool>(x: R) -> (R, R) {
    let (e, r) = parts::<R, FMA>(x);
    let s = if x < R::zero() { e * r } else { r };
    (s, e * r * r)
}

/// y = x s(x) and dy/dx = s + x s'.
#[inline(always)]
pub fn silu<R: Real, const FMA: bool>(x: R) -> (R, R) {
    let (s, ds) = sigmoid::<R, FMA>(x);
    (x * s, x.fma::<FMA>(ds, s))
}

/// y = tanh x and dy/dx = 1 - y^2 = 4 e/(1 + e)^2 with e = e^-2|x|. The error of y is below 2 units of epsilon, absolute (for
/// tiny x, where y = x, it is not small relative to x).
#[inline(always)]
pub fn tanh<R: Real, const FMA: bool>(x: R) -> (R, R) {
    let (e, r) = parts::<R, FMA>(x + x);
    let y = (R::one() - e) * r;
    let y = if x < R::zero() { -y } else { y };
    (y, R::of(4.0) * e * r * r)
}

/// ln(1 + e^x) = max(x, 0) + ln(1 + e). With u = fl(1 + e), ln(1 + e) = ln u + (e - (u - 1))/u: exact to rounding.
#[inline(always)]
pub fn softplus<R: Real, const FMA: bool>(x: R) -> R {
    let (e, r) = parts::<R, FMA>(x);
    let u = R::one() + e;
    let positive = if x < R::zero() { R::zero() } else { x };
    positive + u.ln_lane::<FMA>() + (e - (u - R::one())) * r
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_and_derivatives_keep_their_errors() {
        let eps = f64::EPSILON;
        for i in -3000..=3000 {
            let x = f64::from(i) * 0.013;
            let s = 1.0 / (1.0 + (-x).exp());
            let check = |what: &str, got: f64, want: f64, units: f64| {
                assert!((got - want).abs() <= units * eps * want.abs(), "{what}({x}) = {got}, not {want}");
            };
            let (got, d) = sigmoid::<f64, true>(x);
            check("sigmoid", got, s, 8.0);
            let e = (-x.abs()).exp();
            check("sigmoid'", d, e / (1.0 + e).powi(2), 8.0);
            check("silu", silu::<f64, true>(x).0, x * s, 8.0);
            assert!((silu::<f64, true>(x).1 - (s + x * e / (1.0 + e).powi(2))).abs() <= 8.0 * eps);
            let (got, d) = tanh::<f64, true>(x);
            assert!((got - x.tanh()).abs() <= 2.0 * eps, "tanh({x})");
            check("tanh'", d, 1.0 / x.cosh().powi(2), 16.0);
            check("softplus", softplus::<f64, true>(x), x.max(0.0) + e.ln_1p(), 8.0);
        }
    }

    #[test]
    fn the_ends_are_finite_and_nan_stays_nan() {
        for x in [-1e30f32, -800.0, 800.0, 1e30] {
            let positive = x > 0.0;
            assert_eq!(sigmoid::<f32, true>(x), (f32::from(u8::from(positive)), 0.0));
            assert_eq!(silu::<f32, true>(x), if positive { (x, 1.0) } else { (-0.0, 0.0) });
            assert_eq!(tanh::<f32, false>(x), (x.signum(), 0.0));
            assert_eq!(softplus::<f32, false>(x), x.max(0.0));
        }
        let nan = f32::NAN;
        assert!(sigmoid::<f32, true>(nan).0.is_nan() && silu::<f32, true>(nan).1.is_nan());
        assert!(tanh::<f32, true>(nan).0.is_nan() && softplus::<f32, true>(nan).is_nan());
    }
}
