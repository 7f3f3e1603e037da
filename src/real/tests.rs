//! Errors of the lane functions, at every level, against double-double arithmetic.

use super::exact::{self, Dd, between, lane, scales, within};
use super::*;

lane!(Exp(x, FMA) = x.exp_lane::<FMA>());
lane!(ExpNeg(x, FMA) = x.exp_neg_lane::<FMA>());
lane!(ExpM1(x, FMA) = x.exp_m1_lane::<FMA>());
lane!(Ln(x, FMA) = x.ln_lane::<FMA>());
lane!(LnNormal(x, FMA) = x.ln_normal_lane::<FMA>());
lane!(Sin(x, FMA) = x.sin_lane::<FMA>());
lane!(Cos(x, FMA) = x.cos_lane::<FMA>());
lane!(Erf(x, FMA) = x.erf_lane::<FMA>());
lane!(Cdf(x, FMA) = x.normal_law_lane::<FMA>().0);
lane!(Density(x, FMA) = x.normal_law_lane::<FMA>().1);

/// The numbers nearest to multiples of pi/2, where one of sine and cosine nearly vanishes.
fn near_zeros<R: Real>() -> Vec<R> {
    (1..636_000).step_by(7).map(|n| R::of(f64::from(n) * std::f64::consts::FRAC_PI_2)).collect()
}
/// The smallest exponent of a normal number, and the largest argument of an exponential that is finite.
fn ends<R: Real>() -> (f64, f64) {
    (R::min_positive_value().f64().log2(), R::max_value().f64().ln() * 0.999)
}

fn exponentials<R: Real>(exp: f64, m1: f64, ln: f64) {
    let (small, large) = ends::<R>();
    within!(exp, Exp, between::<R>(40_000, -1.05 * large, large), |x| exact::exp(Dd::from(x)));
    within!(exp, ExpNeg, between::<R>(40_000, -0.98 * large, 0.0), |x| exact::exp(Dd::from(x)));
    within!(m1, ExpM1, between::<R>(40_000, -40.0, 0.0), |x| exact::exp_m1(Dd::from(x)));
    let tiny: Vec<R> = scales::<R>(20_000, small, 0.0).into_iter().map(|x| -x.abs()).collect();
    within!(m1, ExpM1, tiny, |x| exact::exp_m1(Dd::from(x)));
    let positive: Vec<R> = scales::<R>(40_000, small, -small).into_iter().map(|x| x.abs()).collect();
    within!(ln, LnNormal, positive, exact::ln);
    let positive: Vec<R> = scales::<R>(40_000, small - 20.0, -small).into_iter().map(|x| x.abs()).collect();
    within!(ln, Ln, positive, exact::ln);
    within!(ln, Ln, between::<R>(40_000, 0.5, 2.0), exact::ln);
}

#[test]
fn exponential_and_logarithm() {
    exponentials::<f32>(1.5, 1.5, 1.0);
    exponentials::<f64>(1.5, 1.5, 1.5);
}

fn angles<R: Real>(bound: f64) {
    let limit = R::TRIG_LIMIT;
    for x in [between::<R>(40_000, -8.0, 8.0), between(40_000, -limit, limit), scales(40_000, -40.0, 19.9), near_zeros()] {
        within!(bound, Sin, x, |x| exact::sin_cos(x).0);
        within!(bound, Cos, x, |x| exact::sin_cos(x).1);
    }
}

#[test]
fn sine_and_cosine() {
    angles::<f32>(0.8);
    angles::<f64>(0.8);
    for x in [0.0f64, -0.0] {
        assert_eq!(x.sin_lane::<true>().to_bits(), x.to_bits());
        assert_eq!((x as f32).sin_lane::<false>().to_bits(), (x as f32).to_bits());
    }
    assert!(f64::NAN.sin_lane::<true>().is_nan() && f32::NAN.cos_lane::<false>().is_nan());
}

fn errors<R: Real>(erf: f64, cdf: f64) {
    within!(erf, Erf, between::<R>(20_000, -7.0, 7.0), exact::erf);
    within!(erf, Erf, scales::<R>(20_000, -60.0, 2.0), exact::erf);
    // As long as the density is a normal number.
    let end = (2.0 * 0.98 * ends::<R>().1).sqrt();
    within!(cdf, Cdf, between::<R>(20_000, -end, end), |x| exact::normal_law(x).0);
    within!(cdf, Density, between::<R>(20_000, -end, end), |x| exact::normal_law(x).1);
}

#[test]
fn error_function_and_normal_law() {
    errors::<f32>(2.0, 6.0);
    errors::<f64>(2.0, 6.0);
    for x in [7.0f32, 1e30, f32::INFINITY] {
        assert_eq!((erf::erf::<f32, true>(x), erf::erf::<f32, false>(-x)), (1.0, -1.0));
    }
    for x in [40.0f64, 1e300, f64::INFINITY] {
        assert_eq!((erf::normal_law::<f64, true>(x), erf::normal_law::<f64, false>(-x)), ((1.0, 0.0), (0.0, 0.0)));
    }
    assert!(erf::erf::<f64, true>(f64::NAN).is_nan() && erf::normal_law::<f32, false>(f32::NAN).0.is_nan());
    assert_eq!(erf::erf::<f64, true>(-0.0).to_bits(), (-0f64).to_bits());
}

#[test]
fn the_logarithm_has_the_right_ends() {
    fn check<R: Real, const FMA: bool>() {
        let ln = |x: R| x.ln_lane::<FMA>();
        assert_eq!(ln(R::zero()), -R::infinity());
        assert_eq!(ln(-R::zero()), -R::infinity());
        assert_eq!(ln(R::infinity()), R::infinity());
        assert_eq!(ln(R::one()), R::zero());
        for x in [-R::one(), -R::infinity(), R::nan(), -R::min_positive_value() * R::epsilon()] {
            assert!(ln(x).is_nan(), "{x}");
        }
    }
    check::<f32, false>();
    check::<f64, true>();
}

/// Of the circle in turns, in units of epsilon, absolute.
fn turns<R: Real, const FMA: bool>() -> f64 {
    let mut worst = 0f64;
    for i in 0..=200_000 {
        let x = R::of(f64::from(i) / 200_000.0);
        let (s, c) = x.sin_cos_turns::<FMA>();
        // The reference turns by whole quarters exactly too: 2 pi x would carry its own rounding of up to 3
        // units.
        let q = (4.0 * x.f64()).round();
        let (a, b) = (std::f64::consts::TAU * (x.f64() - q / 4.0)).sin_cos();
        let exact = [(a, b), (b, -a), (-a, -b), (-b, a), (a, b)][q as usize];
        let error = (s.f64() - exact.0).abs().max((c.f64() - exact.1).abs()) / R::epsilon().f64();
        worst = if error <= worst { worst } else { error };
    }
    worst
}

#[test]
fn turns_keep_their_error() {
    let worst = [turns::<f32, false>(), turns::<f32, true>(), turns::<f64, false>(), turns::<f64, true>()];
    assert!(worst.iter().all(|w| *w <= 2.0), "{worst:?}");
}

#[test]
fn exp_has_the_right_ends() {
    assert_eq!(f32::NEG_INFINITY.exp_lane::<false>(), 0.0);
    assert_eq!(f32::INFINITY.exp_lane::<false>(), f32::INFINITY);
    assert!(f32::NAN.exp_lane::<false>().is_nan());
    assert_eq!(0f32.exp_lane::<true>(), 1.0);
    assert_eq!(f64::NEG_INFINITY.exp_lane::<false>(), 0.0);
    assert_eq!(f64::INFINITY.exp_lane::<false>(), f64::INFINITY);
    assert!(f64::NAN.exp_lane::<true>().is_nan());
    for x in [-1e-20f64, -1e-9, -3e-4, -0.1, -1.0, -20.0, -300.0] {
        assert!((x.exp_m1_lane::<false>() - x.exp_m1()).abs() <= 8.0 * f64::EPSILON * x.exp_m1().abs(), "{x}");
        let x = x as f32;
        assert!((x.exp_m1_lane::<true>() - x.exp_m1()).abs() <= 8.0 * f32::EPSILON * x.exp_m1().abs(), "{x}");
    }
    assert!(((-100f32).exp_lane::<false>() - (-100f32).exp()).abs() <= f32::from_bits(1));
}

#[test]
fn exp_below_zero_has_the_right_ends() {
    fn check<R: Real>(least: f64) {
        for x in [least, 1.01 * least, 1e6 * least, f64::NEG_INFINITY].map(R::of) {
            assert!(x.exp_neg_lane::<true>() == R::zero() && x.exp_neg_lane::<false>() == R::zero(), "{x}");
        }
        for x in [0.0, -0.0] {
            assert_eq!(R::of(x).exp_neg_lane::<true>(), R::one());
        }
        assert!(R::of(0.995 * least).exp_neg_lane::<true>() > R::zero());
    }
    check::<f32>(-87.9);
    check::<f64>(-709.0);
    // Also a NaN whose low bits, shifted up, would change its exponent.
    assert!(f32::from_bits(0x7fc0_0080).exp_neg_lane::<true>().is_nan() && f64::NAN.exp_neg_lane::<false>().is_nan());
}

#[test]
fn uniforms_of_both_precisions_agree_and_stay_inside() {
    for (hi, lo) in [(0, 0), (u32::MAX, u32::MAX), (1, 7), (0x8000_0000, 0), (0x1234_5678, 0x9abc_def0)] {
        let (a, b) = (f32::uniform(hi, lo), f64::uniform(hi, lo));
        assert!(a > 0.0 && a <= 1.0 && b > 0.0 && b < 1.0, "{a} {b}");
        assert!((f64::from(a) - b).abs() <= 2f64.powi(-24), "{a} {b}");
    }
}
