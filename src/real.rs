//! The number types: f32 for speed, f64 for audits, [`Dual`] for derivatives; and the elementary functions
//! that hot loops call on their lanes.

mod dual;
mod erf;
#[cfg(test)]
pub(crate) mod exact;
mod number;
#[cfg(test)]
mod tests;
mod trig;

pub use dual::Dual;
pub use number::Number;

/// f32, f64, or a [`Dual`] of one of them. Everything numerical in the crate is generic over it, so that the
/// code that is audited in f64, and differentiated by duals, is the code that runs in f32.
///
/// The `*_lane` functions have no branch, no table and no call, so that a loop over them vectorises inside a
/// [`crate::simd::Kernel`]; NaN stays NaN. Their errors against double-double arithmetic, in units in the
/// last place of the exact result, measured by this module's tests at every [level](crate::simd::Level):
///
/// | | f32 | f64 |
/// |---|---|---|
/// | `exp_lane`, over its whole range, `exp_neg_lane` | 1.5 | 1.5 |
/// | `exp_m1_lane`, x <= 0 | 1.5 | 1.5 |
/// | `ln_lane`, `ln_normal_lane` | 1 | 1.5 |
/// | `sin_lane`, `cos_lane`, abs(x) <= [`Real::TRIG_LIMIT`] | 0.8 | 0.8 |
/// | `erf_lane` | 2 | 2 |
/// | `normal_law_lane` | 6 | 6 |
///
/// `sin_cos_turns` is right to 2 units of epsilon, absolute.
pub trait Real: Number {
    /// The name in configuration files: `f32` or `f64`.
    const NAME: &'static str;
    /// Bytes of one number.
    const BYTES: usize;
    /// Whether its arithmetic is that of f32: a short polynomial will do.
    const SINGLE: bool;
    /// Whether loops over these numbers are compiled for every [level](crate::simd::Level).
    const VECTORS: bool;
    /// The type of the two parts of a [`Dual`] number; a plain number's own.
    type Part: Real;
    /// Value and tangent; a plain number's tangent is 0.
    fn split(self) -> (Self::Part, Self::Part);
    /// The number of this value and this tangent; a plain number has no place for the second.
    fn join(value: Self::Part, tangent: Self::Part) -> Self;
    /// The nearest number of this type.
    fn of(x: f64) -> Self;
    /// The same number in f64 (exact).
    fn f64(self) -> f64;
    /// Little-endian bytes, appended to `out`.
    fn put_le(self, out: &mut Vec<u8>);
    /// The number whose little-endian bytes start `bytes`; `bytes` must hold at least [`Real::BYTES`].
    fn take_le(bytes: &[u8]) -> Self;
    /// `self * a + b`, fused where the level has the instruction (`FMA`), in two roundings where it has not
    /// (a library call would be twenty times slower).
    fn fma<const FMA: bool>(self, a: Self, b: Self) -> Self;
    /// e^x. Overflows to infinity, underflows to 0 through the subnormals.
    fn exp_lane<const FMA: bool>(self) -> Self;
    /// e^x for x <= 0, with three operations fewer than [`Real::exp_lane`]: 0 where that is below half the
    /// smallest normal number.
    fn exp_neg_lane<const FMA: bool>(self) -> Self;
    /// (e^x, e^x - 1), the second without cancellation, x <= 0.
    fn exp_pair_lane<const FMA: bool>(self) -> (Self, Self);
    /// e^x - 1 without cancellation, x <= 0.
    #[inline(always)]
    fn exp_m1_lane<const FMA: bool>(self) -> Self {
        self.exp_pair_lane::<FMA>().1
    }
    /// ln x: -infinity at 0, NaN below; right for subnormal numbers too.
    fn ln_lane<const FMA: bool>(self) -> Self;
    /// ln x for normal positive x: two thirds of the work.
    fn ln_normal_lane<const FMA: bool>(self) -> Self;
    /// The largest abs(x) that [`Real::sin_lane`] and [`Real::cos_lane`] take.
    const TRIG_LIMIT: f64 = 1e6;
    /// sin x, abs(x) <= [`Real::TRIG_LIMIT`].
    fn sin_lane<const FMA: bool>(self) -> Self;
    /// cos x, abs(x) <= [`Real::TRIG_LIMIT`].
    fn cos_lane<const FMA: bool>(self) -> Self;
    /// The error function.
    fn erf_lane<const FMA: bool>(self) -> Self;
    /// The standard normal law: its distribution function Phi(x) and its density phi(x), both accurate
    /// relative to themselves also where they are small, as long as phi is a normal number (abs(x) < 13.2 in
    /// f32, 37.6 in f64); beyond, Phi is 0 or 1.
    fn normal_law_lane<const FMA: bool>(self) -> (Self, Self);
    /// (sin 2 pi u, cos 2 pi u) for u in [0, 1].
    fn sin_cos_turns<const FMA: bool>(self) -> (Self, Self);
    /// A number uniform in (0, 1), never 0 and never 1 in f64, from 64 random bits. f32 looks only at the
    /// upper 31 and gives the rounding of what f64 gives, so that both precisions follow the same random
    /// path.
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

/// A polynomial of degree N - 1 for e^r, |r| <= h = ln 2 / 2: the series up to r^N/N!, with r^N replaced by
/// the polynomial of lower degree nearest to it, r^N - h^N T_N(r/h)/2^(N-1), T_N Chebyshev's: the error is
/// 2^(N-1) times smaller than r^N/N!.
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

/// e^x = (1 + r q) scale[0] scale[1].
struct ExpParts<T> {
    q: T,
    r: T,
    scale: [T; 2],
}

macro_rules! exp_parts {
    ($t:ident, $bits:ident, $int:ident, $mantissa:expr, $bias:expr, $exp:expr, $lo:expr, $hi:expr, $ln2_hi:expr, $fma:ident, $x:expr) => {{
        // x = n ln 2 + r, |r| <= ln 2 / 2: e^x = 2^n (1 + r + r^2/2! + ...). n is rounded by adding 1.5
        // 2^mantissa, whose low bits then hold n; ln 2 is split into a short head and its rest, so that n
        // head is exact (Cody and Waite).
        const MAGIC: $t = 1.5 * (1u64 << $mantissa) as $t;
        const HEAD: $t = $ln2_hi;
        const REST: $t = (std::f64::consts::LN_2 - HEAD as f64) as $t + LN2_BEYOND as $t;
        const C: [f64; $exp] = inverse_factorials::<$exp>();
        let x = if $x < $lo { $lo } else { $x };
        let x = if x > $hi { $hi } else { x };
        let shifted = x.fma::<$fma>(std::f64::consts::LOG2_E as $t, MAGIC);
        let n = shifted - MAGIC;
        let r = n.fma::<$fma>(-HEAD, x);
        let r = n.fma::<$fma>(-REST, r);
        let mut q = C[$exp - 1] as $t;
        let mut i = $exp - 1;
        while i > 1 {
            i -= 1;
            q = q.fma::<$fma>(r, C[i] as $t);
        }
        // 2^n in two halves, so that the ends of the range go through the subnormals and to infinity.
        let n = shifted.to_bits().wrapping_sub(MAGIC.to_bits()) as $int;
        let half = n >> 1;
        let two = |k: $int| <$t>::from_bits(((k + $bias) as $bits) << $mantissa);
        ExpParts { q, r, scale: [two(half), two(n - half)] }
    }};
}

/// ln x - `halvings` ln 2 for normal positive x.
macro_rules! ln {
    ($t:ident, $bits:ident, $int:ident, $mantissa:expr, $ln:expr, $ln2_hi:expr, $fma:ident, $x:expr, $halvings:expr) => {{
        // x = 2^e m, sqrt(1/2) <= m < sqrt 2, s = (m - 1)/(m + 1): ln m = 2 (s + s^3/3 + s^5/5 + ...).
        const MAGIC: $t = 1.5 * (1u64 << $mantissa) as $t;
        const HEAD: $t = $ln2_hi;
        const REST: $t = (std::f64::consts::LN_2 - HEAD as f64) as $t;
        let bits = $x.to_bits() as $int;
        let e = (bits - (std::f64::consts::FRAC_1_SQRT_2 as $t).to_bits() as $int) >> $mantissa;
        let m = <$t>::from_bits((bits - (e << $mantissa)) as $bits);
        // e as a number: through the low bits of 1.5 2^mantissa, because not every level converts 64-bit
        // integers.
        let e = <$t>::from_bits(MAGIC.to_bits().wrapping_add(e as $bits)) - MAGIC - $halvings;
        let s = (m - 1.0) / (m + 1.0);
        let q = s * s;
        let mut p = (1.0 / (2.0 * $ln as f64 + 1.0)) as $t;
        let mut i = $ln;
        while i > 1 {
            i -= 1;
            p = p.fma::<$fma>(q, (1.0 / (2.0 * i as f64 + 1.0)) as $t);
        }
        // 2 s = (m - 1) - s (m - 1): the rounding of s does not enter at first order.
        let f = m - 1.0;
        let tail = (s + s).fma::<$fma>(q * p, e * REST) - s * f;
        e.fma::<$fma>(HEAD, f + tail)
    }};
}

macro_rules! real {
    ($t:ident, $bits:ident, $int:ident, $mantissa:expr, $bias:expr, exp: $exp:expr, ln: $ln:expr, sin: $sin:expr, $lo:expr, $hi:expr, $ln2_hi:expr, $uniform:expr) => {
        impl Real for $t {
            const NAME: &'static str = stringify!($t);
            const BYTES: usize = size_of::<$t>();
            const VECTORS: bool = true;
            type Part = Self;
            #[inline(always)]
            fn split(self) -> (Self, Self) {
                (self, 0.0)
            }
            #[inline(always)]
            fn join(value: Self, _tangent: Self) -> Self {
                value
            }
            const SINGLE: bool = $mantissa < 24;
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
                let ExpParts { q, r, scale } = exp_parts!($t, $bits, $int, $mantissa, $bias, $exp, $lo, $hi, $ln2_hi, FMA, self);
                q.fma::<FMA>(r, 1.0) * scale[0] * scale[1]
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
            fn exp_pair_lane<const FMA: bool>(self) -> (Self, Self) {
                // e^x - 1 = 2^n (e^r - 1) + (2^n - 1), and n = 0 for small x.
                let ExpParts { q, r, scale } = exp_parts!($t, $bits, $int, $mantissa, $bias, $exp, $lo, $hi, $ln2_hi, FMA, self);
                let power = scale[0] * scale[1];
                (q.fma::<FMA>(r, 1.0) * scale[0] * scale[1], power.fma::<FMA>(q * r, power - 1.0))
            }
            #[inline(always)]
            fn ln_lane<const FMA: bool>(self) -> Self {
                const STEPS: $t = (1u64 << ($mantissa + 2)) as $t;
                let tiny = self < <$t>::MIN_POSITIVE;
                let x = if tiny { self * STEPS } else { self };
                let y = ln!($t, $bits, $int, $mantissa, $ln, $ln2_hi, FMA, x, if tiny { ($mantissa + 2) as $t } else { 0.0 });
                let y = if self == 0.0 { <$t>::NEG_INFINITY } else { y };
                let y = if self < 0.0 { <$t>::NAN } else { y };
                if self < <$t>::INFINITY { y } else { self }
            }
            #[inline(always)]
            fn ln_normal_lane<const FMA: bool>(self) -> Self {
                ln!($t, $bits, $int, $mantissa, $ln, $ln2_hi, FMA, self, 0.0)
            }
            #[inline(always)]
            fn sin_lane<const FMA: bool>(self) -> Self {
                trig::sin::<Self, FMA>(self)
            }
            #[inline(always)]
            fn cos_lane<const FMA: bool>(self) -> Self {
                trig::cos::<Self, FMA>(self)
            }
            #[inline(always)]
            fn erf_lane<const FMA: bool>(self) -> Self {
                erf::erf::<Self, FMA>(self)
            }
            #[inline(always)]
            fn normal_law_lane<const FMA: bool>(self) -> (Self, Self) {
                erf::normal_law::<Self, FMA>(self)
            }
            #[inline(always)]
            fn sin_cos_turns<const FMA: bool>(self) -> (Self, Self) {
                // 2 pi u = q pi/2 + x, |x| <= pi/4: Taylor's series of sine and cosine in x, then a quarter
                // turn q times.
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
