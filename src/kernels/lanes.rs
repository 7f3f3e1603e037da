//! The activation functions and their derivatives, branch-free: one exponential and one or two divisions for
//! both.
//!
//! All go through an exponential of a negative number, so nothing overflows and no derivative suffers
//! cancellation, save where that of SiLU and GELU crosses zero: there it is right to epsilon, absolute. NaN
//! stays NaN.

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

/// y = tanh x = -m/(2 + m) and dy/dx = 1 - y^2 = 4 e/(1 + e)^2 with e = e^-2|x|, m = e - 1: both keep their
/// digits for tiny x and for large x.
#[inline(always)]
pub fn tanh<R: Real, const FMA: bool>(x: R) -> (R, R) {
    let t = x.abs();
    let (e, m) = (-(t + t)).exp_pair_lane::<FMA>();
    let r = R::one() / (R::of(2.0) + m);
    let y = -m * r;
    let y = if x < R::zero() { -y } else { y };
    // The zero of x with its sign.
    (if x == R::zero() { x } else { y }, R::of(4.0) * e * r * r)
}

/// y = x Phi(x), Phi the normal law's distribution function, and dy/dx = Phi + x phi: the GELU (Hendrycks and
/// Gimpel 2016). y is right to 8 units in the last place, 6 of which are those of Phi.
#[inline(always)]
pub fn gelu<R: Real, const FMA: bool>(x: R) -> (R, R) {
    let (cdf, density) = x.normal_law_lane::<FMA>();
    // Phi(-40) is 0 in either precision; -infinity times it would be NaN.
    let x = if x < R::of(-40.0) { R::of(-40.0) } else { x };
    let z = if x > R::of(40.0) { R::of(40.0) } else { x };
    (x * cdf, z.fma::<FMA>(density, cdf))
}

/// The approximation of the GELU by y = x (1 + tanh u)/2 = x s(2 u), u = sqrt(2/pi) (x + 0.044715 x^3), s the
/// sigmoid, and its derivative s + x s' 2 du/dx.
#[inline(always)]
pub fn gelu_tanh<R: Real, const FMA: bool>(x: R) -> (R, R) {
    const CUBIC: f64 = 0.044715;
    // 2 sqrt(2/pi).
    const SLOPE: f64 = 2.0 * std::f64::consts::FRAC_2_SQRT_PI * std::f64::consts::FRAC_1_SQRT_2;
    // Beyond, s is 0 or 1, and the powers would overflow.
    let x = if x < R::of(-32.0) { R::of(-32.0) } else { x };
    let z = if x > R::of(32.0) { R::of(32.0) } else { x };
    let q = R::of(SLOPE * CUBIC) * (z * z);
    let (s, ds) = sigmoid::<R, FMA>(z * (q + R::of(SLOPE)));
    (x * s, (z * ds).fma::<FMA>(R::of(3.0).fma::<FMA>(q, R::of(SLOPE)), s))
}

/// ln(1 + e^x) = max(x, 0) + ln(1 + e). With u = fl(1 + e), ln(1 + e) = ln u + (e - (u - 1))/u: exact to
/// rounding.
#[inline(always)]
pub fn softplus<R: Real, const FMA: bool>(x: R) -> R {
    let (e, r) = parts::<R, FMA>(x);
    let u = R::one() + e;
    let positive = if x < R::zero() { R::zero() } else { x };
    positive + u.ln_normal_lane::<FMA>() + (e - (u - R::one())) * r
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::real::exact::{self, between, lane, scales, within};

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
            let (_, d) = tanh::<f64, true>(x);
            check("tanh'", d, 1.0 / x.cosh().powi(2), 16.0);
            check("softplus", softplus::<f64, true>(x), x.max(0.0) + e.ln_1p(), 8.0);
        }
    }

    lane!(Tanh(x, FMA) = tanh::<R, FMA>(*x).0);
    lane!(Gelu(x, FMA) = gelu::<R, FMA>(*x).0);

    fn errors<R: Real>() {
        for x in [between::<R>(20_000, -20.0, 20.0), scales(20_000, -100.0, 5.0)] {
            within!(3.5, Tanh, x, exact::tanh);
        }
        // Where Phi is a normal number.
        let end = if R::BYTES == 4 { 13.0 } else { 37.0 };
        for x in [between::<R>(20_000, -end, end), scales(20_000, -100.0, 3.5)] {
            within!(8.0, Gelu, x, |x: f64| exact::normal_law(x).0 * x.into());
        }
    }

    #[test]
    fn tanh_and_gelu_keep_their_digits() {
        errors::<f32>();
        errors::<f64>();
    }

    #[test]
    fn the_derivatives_of_gelu_are_right() {
        let eps = f64::EPSILON;
        for i in -3000..=3000 {
            let x = f64::from(i) * 0.0043;
            let (cdf, density) = exact::normal_law(x);
            let want = cdf + density * x.into();
            assert!((gelu::<f64, true>(x).1 - want.0).abs() <= 4.0 * eps, "{x}");
            assert!((gelu::<f64, false>(x).1 - want.0).abs() <= 4.0 * eps, "{x}");
            // The definition, by other functions.
            let c = (2.0 / std::f64::consts::PI).sqrt();
            let t = (c * (x + 0.044715 * x.powi(3))).tanh();
            let slope = c * (1.0 + 3.0 * 0.044715 * x * x);
            let (y, dy) = gelu_tanh::<f64, true>(x);
            assert!((y - 0.5 * x * (1.0 + t)).abs() <= 8.0 * eps * (1.0 + x.abs()), "{x}");
            assert!((dy - 0.5 * (1.0 + t) - 0.5 * x * (1.0 - t * t) * slope).abs() <= 8.0 * eps * (1.0 + x.abs()), "{x}");
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
            assert_eq!(gelu::<f32, false>(x), if positive { (x, 1.0) } else { (-0.0, 0.0) });
            assert_eq!(gelu_tanh::<f32, true>(x), if positive { (x, 1.0) } else { (-0.0, 0.0) });
        }
        assert_eq!((gelu::<f64, true>(f64::NEG_INFINITY), gelu_tanh::<f64, true>(f64::INFINITY)), ((-0.0, 0.0), (f64::INFINITY, 1.0)));
        let nan = f32::NAN;
        assert!(gelu::<f32, true>(nan).0.is_nan() && gelu::<f32, true>(nan).1.is_nan());
        assert!(gelu_tanh::<f32, true>(nan).0.is_nan() && gelu_tanh::<f32, true>(nan).1.is_nan());
        assert!(sigmoid::<f32, true>(nan).0.is_nan() && silu::<f32, true>(nan).1.is_nan());
        assert!(tanh::<f32, true>(nan).0.is_nan() && softplus::<f32, true>(nan).is_nan());
    }
}
