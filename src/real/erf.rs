//! The error function and the standard normal law on lanes.
//!
//! Both go through g(t) = e^(t^2) erfc(t), t >= 0, which falls from 1 like 1/(sqrt(pi) t): with w = 3/(t + 3)
//! and u = 1 - 2 w in [-1, 1), g = w P(u) for a polynomial P that interpolates at the Chebyshev points of the
//! interval beyond whose end e^(-t^2) is zero (coefficients computed in 60 digits; the error of the
//! interpolation is 7e-9 for f32, 7e-18 for f64, and the coefficients' sizes sum up to 1.01, so that Horner's
//! rule is stable).

use super::Real;
use std::f64::consts::{FRAC_1_SQRT_2, FRAC_2_SQRT_PI};

const P32: [f64; 10] = [
    0.3580023018684968,
    -0.29446482195179286,
    0.19674282039601924,
    -0.10348881642552606,
    0.03984233260894235,
    -0.00894598610328956,
    -0.000405819042041302,
    0.0010268861548784024,
    -0.0001652583820282229,
    -0.00011088585626521691,
];
const P64: [f64; 24] = [
    0.3580023023627799,
    -0.2944648177232945,
    0.1967427857013668,
    -0.1034890873001899,
    0.03984258709579315,
    -0.008942411541473174,
    -0.000404138876445008,
    0.0010113540001332358,
    -0.00018276988867219384,
    -9.225927972276002e-5,
    3.585376924727538e-5,
    1.0132705235675591e-5,
    -5.823268789337646e-6,
    -1.582998974441337e-6,
    9.211219706482544e-7,
    3.327154025394933e-7,
    -1.348667004459444e-7,
    -7.730643455075821e-8,
    1.4249949731180686e-8,
    1.6147057659252512e-8,
    2.0972703150842297e-10,
    -2.2316104096367644e-9,
    -3.5370004873863734e-10,
    7.03981614910533e-11,
];

/// e^(t^2) erfc(t), t >= 0.
#[inline(always)]
fn scaled<R: Real, const FMA: bool>(t: R) -> R {
    let w = R::of(3.0) / (t + R::of(3.0));
    let u = R::one() - (w + w);
    let c: &[f64] = if R::SINGLE { &P32 } else { &P64 };
    let mut i = c.len() - 1;
    let mut p = R::of(c[i]);
    while i > 0 {
        i -= 1;
        p = p.fma::<FMA>(u, R::of(c[i]));
    }
    w * p
}

/// (-1)^n 2/sqrt(pi) / (n! (2n + 1)): erf x = sum_n c_n x^(2n+1). From c_0 one is taken away.
const SERIES: [f64; 16] = {
    let mut c = [FRAC_2_SQRT_PI; 16];
    let mut term = FRAC_2_SQRT_PI;
    let mut n = 1;
    while n < 16 {
        term /= -(n as f64);
        c[n] = term / (2 * n + 1) as f64;
        n += 1;
    }
    // FRAC_2_SQRT_PI - 1 without the last bits that it lost.
    c[0] = 0.1283791670955126;
    c
};

/// erf x.
#[inline(always)]
pub fn erf<R: Real, const FMA: bool>(x: R) -> R {
    let t = x.abs();
    let y = t * t;
    let mut i = if R::SINGLE { 9 } else { 15 };
    let mut p = R::of(SERIES[i]);
    while i > 0 {
        i -= 1;
        p = p.fma::<FMA>(y, R::of(SERIES[i]));
    }
    let near = x.fma::<FMA>(p, x);
    // erfc(7) is far below epsilon; the bound keeps t^2 finite.
    let t7 = if t > R::of(7.0) { R::of(7.0) } else { t };
    let far = R::one() - (-(t7 * t7)).exp_neg_lane::<FMA>() * scaled::<R, FMA>(t7);
    let far = if x < R::zero() { -far } else { far };
    if t < R::of(0.75) { near } else { far }
}

/// The standard normal law: its distribution function Phi(x) = erfc(-x/sqrt 2)/2 and its density phi(x), both
/// accurate relative to themselves also where they are small.
#[inline(always)]
pub fn normal_law<R: Real, const FMA: bool>(x: R) -> (R, R) {
    let z = x.abs();
    // e^(-z^2/2) is zero there.
    let z = if z > R::of(40.0) { R::of(40.0) } else { z };
    // z^2 = high + low exactly: a rounding error of z^2 would come out as a relative error z^2/2 times as
    // large.
    let high = z * z;
    let low = if FMA {
        z.fma::<FMA>(z, -high)
    } else {
        let c = z * R::of(if R::SINGLE { 4097.0 } else { 134_217_729.0 });
        let a = c - (c - z);
        let b = z - a;
        ((a * a - high) + (a + a) * b) + b * b
    };
    let e = (R::of(-0.5) * high).exp_neg_lane::<FMA>();
    let e = (-e).fma::<FMA>(R::of(0.5) * low, e);
    let tail = R::of(0.5) * e * scaled::<R, FMA>(z * R::of(FRAC_1_SQRT_2));
    let cdf = if x < R::zero() { tail } else { R::one() - tail };
    (cdf, e * R::of(0.5 * FRAC_1_SQRT_2 * FRAC_2_SQRT_PI))
}
