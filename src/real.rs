//! The two number types, f32 for speed and f64 for audits, and the elementary functions that hot loops call on their lanes.

use ndarray::NdFloat;

/// f32 or f64. Everything numerical in the crate is generic over it, so that the code that is audited in f64 is the code
/// that runs in f32.
///
/// The `*_lane` functions have no branch, no table and no call, so that a loop over them vectorises inside a
/// [`crate::simd::Kernel`]; NaN stays NaN. Their errors, over the whole range and measured by this module's tests, are
/// below 1.5 ulp (f32) and 2 ulp (f64) for `exp_lane`, `exp_neg_lane`, `ln_lane`; 2 units of epsilon, absolute, for `sin_cos_turns`.
pub trait Real: NdFloat + std::iter::Sum + Default {
    /// The name in configuration files: `f32` or `f64`.
    const NAME: &'static str;
    /// Bytes of one number.
    const BYTES: usize;
    /// The nearest number of this type.
    fn of(x: f64) -> Self;
    /// The same number in f64 (exact).
    fn f64(self) -> f64;
    /// Little-endian bytes, appended to `out`.
    fn put_le(self, out: &mut Vec<u8>);
    /// The number whose little-endian bytes start `bytes`; `bytes` must hold at least [`Real::BYTES`].
    fn take_le(bytes: &[u8]) -> Self;
    /// `self * a + b`, fused where the level has the instruction (`FMA`), in two roundings where it has not (a library call
    /// would be twenty times slower).
    fn fma<const FMA: bool>(self, a: Self, b: Self) -> Self;
    /// e^x. Overflows to infinity, underflows to 0 through the subnormals.
    fn exp_lane<const FMA: bool>(self) -> Self;
    /// e^x for x <= 0, with three operations fewer than [`Real::exp_lane`]: 0 where that is below half the smallest normal number.
    fn exp_neg_lane<const FMA: bool>(self) -> Self;
    /// e^x - 1 without cancellation, x <= 0 (Kahan: what the rounding of u = e^x did to u - 1, it did to ln u too).
    #[inline(always)]
    fn exp_m1_lane<const FMA: bool>(self) -> Self {
        let u = self.exp_lane::<FMA>();
        let d = u - Self::one();
        let ratio = d * (self / u.ln_lane::<FMA>());
        let small = if d == Self::zero() { self } else { ratio };
        if d == -Self::one() { d } else { small }
    }
    /// ln x for normal positive x.
    fn ln_lane<const FMA: bool>(self) -> Self;
    /// (sin 2 pi u, cos 2 pi u) for u in [0, 1].
    fn sin_cos_turns<const FMA: bool>(self) -> (Self, Self);
    /// A number uniform in (0, 1), never 0 and never 1 in f64, from 64 random bits. f32 looks only at the upper 31 and gives
    /// the rounding of what f64 gives, so that both precisions follow the same random path.
    fn uniform(hi: u32, lo: u32) -> Self;
}

/// What f64 lacks of ln 2 (zero once rounded into f32's rest).
const LN2_BEYOND: f64 = 2.319_046_813_846_299_6e-17;

/// 1/n!, n = 0..N.
const fn inverse_factorials<const N: usize>() -> [f64; N] {
    let mut c = [1.0; N];
    let mut n = 1;
    while n < N {
        c[n] = c[n - 1] / n as f64;
        n += 1;
    }
    c
}

/// A polynomial of degree N - 1 for e^r, |r| <= h = ln 2 / 2: the series up to r^N/N!, with r^N replaced by the polynomial of
/// lower degree nearest to it, r^N - h^N T_N(r/h)/2^(N-1), T_N Chebyshev's: the error is 2^(N-1) times smaller than r^N/N!.
const fn economised<const N: usize>() -> [f64; N] {
    // Coefficients of T_(n-1) and T_n; T_(n+1) = 2 x T_n - T_(n-1). N < 16.
    let (mut before, mut t) = ([0.0; 16], [0.0; 16]);
    (before[0], t[1]) = (1.0, 1.0);
    let (mut n, mut factorial) = (1, 1.0);
    while n < N {
        let mut next = [0.0; 16];
        let mut k = 0;
        while k < 16 {
            next[k] = if k > 0 { 2.0 * t[k - 1] } else { 0.0 } - before[k];
            k += 1;
        }
        (before, t) = (t, next);
        n += 1;
        factorial *= n as f64;
    }
    let mut c = inverse_factorials::<N>();
    let (mut k, mut h) = (N, 1.0);
    while k > 0 {
        k -= 1;
        h *= 0.5 * std::f64::consts::LN_2;
        c[k] -= h * t[k] / (factorial * t[N]);
    }
    c
}

macro_rules! real {
    ($t:ident, $bits:ident, $int:ident, $mantissa:expr, $bias:expr, exp: $exp:expr, ln: $ln:expr, sin: $sin:expr, $lo:expr, $hi:expr, $ln2_hi:expr, $uniform:expr) => {
        impl Real for $t {
            const NAME: &'static str = stringify!($t);
            const BYTES: usize = size_of::<$t>();
            #[inline(always)]
            fn of(x: f64) -> Self {
                x as $t
            }
            #[inline(always)]
            fn f64(self) -> f64 {
                self as f64
            }
            fn put_le(self, out: &mut Vec<u8>) {
                out.extend_from_slice(&self.to_le_bytes());
            }
            fn take_le(bytes: &[u8]) -> Self {
                let mut b = [0; size_of::<$t>()];
                b.copy_from_slice(&bytes[..size_of::<$t>()]);
                <$t>::from_le_bytes(b)
            }
            #[inline(always)]
            fn fma<const FMA: bool>(self, a: Self, b: Self) -> Self {
                if FMA { self.mul_add(a, b) } else { self * a + b }
            }
            #[inline(always)]
            fn exp_lane<const FMA: bool>(self) -> Self {
                // x = n ln 2 + r, |r| <= ln 2 / 2: e^x = 2^n (1 + r + r^2/2! + ...). n is rounded by adding 1.5 2^mantissa, whose
                // low bits then hold n; ln 2 is split into a short head and its rest, so that n head is exact (Cody and Waite).
                const MAGIC: $t = 1.5 * (1u64 << $mantissa) as $t;
                const HEAD: $t = $ln2_hi;
                const REST: $t = (std::f64::consts::LN_2 - HEAD as f64) as $t + LN2_BEYOND as $t;
                const C: [f64; $exp] = inverse_factorials::<$exp>();
                let x = if self < $lo { $lo } else { self };
                let x = if x > $hi { $hi } else { x };
                let shifted = x.fma::<FMA>(std::f64::consts::LOG2_E as $t, MAGIC);
                let n = shifted - MAGIC;
                let r = n.fma::<FMA>(-HEAD, x);
                let r = n.fma::<FMA>(-REST, r);
                let mut p = C[$exp - 1] as $t;
                let mut i = $exp - 1;
                while i > 0 {
                    i -= 1;
                    p = p.fma::<FMA>(r, C[i] as $t);
                }
                // 2^n in two halves, so that the ends of the range go through the subnormals and to infinity.
                let n = shifted.to_bits().wrapping_sub(MAGIC.to_bits()) as $int;
                let half = n >> 1;
                let two = |k: $int| <$t>::from_bits(((k + $bias) as $bits) << $mantissa);
                p * two(half) * two(n - half)
            }
            #[inline(always)]
            fn exp_neg_lane<const FMA: bool>(self) -> Self {
                // As above. With n >= -bias one factor 2^n does; its bits for n = -bias are those of 0.
                const MAGIC: $t = 1.5 * (1u64 << $mantissa) as $t;
                const HEAD: $t = $ln2_hi;
                const REST: $t = (std::f64::consts::LN_2 - HEAD as f64) as $t + LN2_BEYOND as $t;
                const C: [f64; $exp - 1] = economised::<{ $exp - 1 }>();
                const LEAST: $t = (-$bias as f64 * std::f64::consts::LN_2) as $t;
                let x = if self < LEAST { LEAST } else { self };
                let shifted = x.fma::<FMA>(std::f64::consts::LOG2_E as $t, MAGIC);
                let n = shifted - MAGIC;
                let r = n.fma::<FMA>(-HEAD, x);
                let r = n.fma::<FMA>(-REST, r);
                let mut p = C[$exp - 2] as $t;
                let mut i = $exp - 2;
                while i > 0 {
                    i -= 1;
                    p = p.fma::<FMA>(r, C[i] as $t);
                }
                // A product, not a sum of exponents, so that NaN stays NaN.
                p * <$t>::from_bits((shifted.to_bits() << $mantissa).wrapping_add((1.0 as $t).to_bits()))
            }
            #[inline(always)]
            fn ln_lane<const FMA: bool>(self) -> Self {
                // x = 2^e m, sqrt(1/2) <= m < sqrt 2, s = (m - 1)/(m + 1): ln m = 2 (s + s^3/3 + s^5/5 + ...).
                const HEAD: $t = $ln2_hi;
                const REST: $t = (std::f64::consts::LN_2 - HEAD as f64) as $t;
                let bits = self.to_bits() as $int;
                let e = (bits - (std::f64::consts::FRAC_1_SQRT_2 as $t).to_bits() as $int) >> $mantissa;
                let m = <$t>::from_bits((bits - (e << $mantissa)) as $bits);
                let e = e as $t;
                let s = (m - 1.0) / (m + 1.0);
                let q = s * s;
                let mut p = (1.0 / (2.0 * $ln as f64 + 1.0)) as $t;
                let mut i = $ln;
                while i > 1 {
                    i -= 1;
                    p = p.fma::<FMA>(q, (1.0 / (2.0 * i as f64 + 1.0)) as $t);
                }
                // 2 s = (m - 1) - s (m - 1): the rounding of s does not enter at first order.
                let f = m - 1.0;
                let tail = (s + s).fma::<FMA>(q * p, e * REST) - s * f;
                e.fma::<FMA>(HEAD, f + tail)
            }
            #[inline(always)]
            fn sin_cos_turns<const FMA: bool>(self) -> (Self, Self) {
                // 2 pi u = q pi/2 + x, |x| <= pi/4: Taylor's series of sine and cosine in x, then a quarter turn q times.
                const MAGIC: $t = 1.5 * (1u64 << $mantissa) as $t;
                const C: [f64; 2 * $sin + 1] = inverse_factorials::<{ 2 * $sin + 1 }>();
                let shifted = self.fma::<FMA>(4.0, MAGIC);
                let x = (self - 0.25 * (shifted - MAGIC)) * std::f64::consts::TAU as $t;
                let q = shifted.to_bits();
                let y = x * x;
                let mut s = C[2 * $sin - 1] as $t;
                let mut c = C[2 * $sin] as $t;
                let mut i = $sin;
                while i > 1 {
                    i -= 1;
                    s = s.fma::<FMA>(-y, C[2 * i - 1] as $t);
                    c = c.fma::<FMA>(-y, C[2 * i] as $t);
                }
                s *= x;
                c = c.fma::<FMA>(-y, 1.0);
                let odd = q & 1 != 0;
                let (a, b) = if odd { (c, s) } else { (s, c) };
                let sign = |bit: $bits, v: $t| <$t>::from_bits(v.to_bits() ^ ((bit & 1) << (8 * size_of::<$t>() - 1)));
                (sign(q >> 1, a), sign((q >> 1) ^ q, b))
            }
            #[inline(always)]
            fn uniform(hi: u32, lo: u32) -> Self {
                $uniform(hi, lo)
            }
        }
    };
}

real!(f32, u32, i32, 23, 127, exp: 8, ln: 5, sin: 5, -104.0, 89.0, 0.693_359_4, |hi: u32, _lo: u32| {
    ((hi >> 1) as i32 as f32 + 0.5) * (1.0 / 2_147_483_648.0)
});
real!(f64, u64, i64, 52, 1023, exp: 14, ln: 11, sin: 9, -746.0, 710.0, 0.693_147_180_369_123_8, |hi: u32, lo: u32| {
    f64::from_bits((1023 << 52) | ((u64::from(hi) << 20) | u64::from(lo >> 12))) - (1.0 - 0.5 * f64::EPSILON)
});

#[cfg(test)]
mod tests {
    use super::*;

    /// Largest error of each function in units of epsilon: relative for exp and ln, absolute for sine and cosine.
    fn errors<R: Real, const FMA: bool>() -> [f64; 4] {
        let eps = R::epsilon().f64();
        let mut worst = [0f64; 4];
        for i in 1..200_000 {
            let u = f64::from(i) / 200_000.0;
            let x = R::of(170.0 * (u - 0.5));
            let exact = x.f64().exp();
            worst[0] = worst[0].max((x.exp_lane::<FMA>().f64() - exact).abs() / exact / eps);
            let x = R::of(-87.0 * u);
            let exact = x.f64().exp();
            worst[3] = worst[3].max((x.exp_neg_lane::<FMA>().f64() - exact).abs() / exact / eps);
            let x = R::of((80.0 * (u - 0.5)).exp());
            worst[1] = worst[1].max((x.ln_lane::<FMA>().f64() - x.f64().ln()).abs() / x.f64().ln().abs().max(1e-300) / eps);
            let x = R::of(u);
            let (s, c) = x.sin_cos_turns::<FMA>();
            // The reference turns by whole quarters exactly too: 2 pi x would carry its own rounding of up to 3 units.
            let q = (4.0 * x.f64()).round();
            let (a, b) = (std::f64::consts::TAU * (x.f64() - q / 4.0)).sin_cos();
            let exact = [(a, b), (b, -a), (-a, -b), (-b, a), (a, b)][q as usize];
            worst[2] = worst[2].max((s.f64() - exact.0).abs().max((c.f64() - exact.1).abs()) / eps);
        }
        worst
    }

    #[test]
    fn lane_functions_keep_their_stated_errors() {
        for [exp, ln, trig, neg] in [errors::<f32, false>(), errors::<f32, true>()] {
            assert!(exp <= 1.5 && neg <= 1.5 && ln <= 1.5 && trig <= 2.0, "f32: exp {exp}, {neg} below 0, ln {ln}, sin/cos {trig}");
        }
        for [exp, ln, trig, neg] in [errors::<f64, false>(), errors::<f64, true>()] {
            assert!(exp <= 2.0 && neg <= 2.0 && ln <= 2.0 && trig <= 2.0, "f64: exp {exp}, {neg} below 0, ln {ln}, sin/cos {trig}");
        }
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
}
