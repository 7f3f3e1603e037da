//! Double-double arithmetic and the elementary functions in it: what the lane functions' errors are measured
//! against.

use super::Real;
use std::ops::{Add, Div, Mul, Neg, Sub};

/// The unevaluated sum of two numbers, about 106 bits.
#[derive(Clone, Copy, Debug)]
pub struct Dd(pub f64, pub f64);

fn two_sum(a: f64, b: f64) -> Dd {
    let s = a + b;
    let t = s - a;
    Dd(s, (a - (s - t)) + (b - t))
}
fn two_prod(a: f64, b: f64) -> Dd {
    let p = a * b;
    Dd(p, a.mul_add(b, -p))
}
impl From<f64> for Dd {
    fn from(x: f64) -> Self {
        Dd(x, 0.0)
    }
}
impl Add for Dd {
    type Output = Dd;
    fn add(self, b: Dd) -> Dd {
        let (s, t) = (two_sum(self.0, b.0), two_sum(self.1, b.1));
        let u = two_sum(s.0, s.1 + t.0);
        two_sum(u.0, u.1 + t.1)
    }
}
impl Neg for Dd {
    type Output = Dd;
    fn neg(self) -> Dd {
        Dd(-self.0, -self.1)
    }
}
impl Sub for Dd {
    type Output = Dd;
    fn sub(self, b: Dd) -> Dd {
        self + -b
    }
}
impl Mul for Dd {
    type Output = Dd;
    fn mul(self, b: Dd) -> Dd {
        let p = two_prod(self.0, b.0);
        two_sum(p.0, p.1 + (self.0 * b.1 + self.1 * b.0))
    }
}
impl Div for Dd {
    type Output = Dd;
    fn div(self, b: Dd) -> Dd {
        let q = Dd::from(self.0 / b.0);
        let r = self - q * b;
        let q2 = Dd::from(r.0 / b.0);
        let r = r - q2 * b;
        q + q2 + Dd::from(r.0 / b.0)
    }
}

const ONE: Dd = Dd(1.0, 0.0);
const LN2: Dd = Dd(std::f64::consts::LN_2, 2.3190468138462996e-17);

/// sum_{k >= 1} x^k/k!, |x| < 1/2.
fn exp_m1_series(x: Dd) -> Dd {
    let (mut term, mut sum) = (x, x);
    for k in 2..30 {
        term = term * x / Dd::from(f64::from(k));
        sum = sum + term;
    }
    sum
}
fn power_of_two(n: i32) -> f64 {
    2f64.powi(n / 2) * 2f64.powi(n - n / 2)
}
fn scaled(x: Dd, by: f64) -> Dd {
    Dd(x.0 * by, x.1 * by)
}
pub fn exp(x: Dd) -> Dd {
    let n = (x.0 / LN2.0).round();
    scaled(ONE + exp_m1_series(x - LN2 * n.into()), power_of_two(n as i32))
}
pub fn exp_m1(x: Dd) -> Dd {
    if x.0.abs() < 0.4 { exp_m1_series(x) } else { exp(x) - ONE }
}
pub fn ln(x: f64) -> Dd {
    // 2^e m, m near 1: 2 atanh((m - 1)/(m + 1)).
    let (x, mut e) = if x < f64::MIN_POSITIVE { (x * 2f64.powi(54), -54) } else { (x, 0) };
    let shift = (x.log2()).round() as i32;
    let mut m = x / power_of_two(shift);
    e += shift;
    if !(0.7..1.5).contains(&m) {
        (m, e) = if m < 1.0 { (m * 2.0, e - 1) } else { (m / 2.0, e + 1) };
    }
    let s = (Dd::from(m) - ONE) / (Dd::from(m) + ONE);
    let q = s * s;
    let mut sum = Dd::from(0.0);
    for k in (0..25).rev() {
        sum = sum * q + ONE / Dd::from(f64::from(2 * k + 1));
    }
    LN2 * f64::from(e).into() + scaled(s * sum, 2.0)
}
/// (sin x, cos x), |x| <= 10^6.
pub fn sin_cos(x: f64) -> (Dd, Dd) {
    // pi/2 in pieces of 33 bits: their products with n are exact.
    const PIECES: [f64; 4] = [1.5707963267341256, 6.077100506303966e-11, 2.0222662487111665e-21, 8.4784276603689e-32];
    let n = (x / std::f64::consts::FRAC_PI_2).round();
    let r = PIECES.iter().fold(Dd::from(x), |r, p| r - two_prod(n, *p));
    let y = r * r;
    let (mut s, mut c, mut term) = (r, ONE, ONE);
    for k in 1..16 {
        term = -(term * y) / Dd::from(f64::from(2 * k * (2 * k - 1)));
        c = c + term;
        s = s + term * r / Dd::from(f64::from(2 * k + 1));
    }
    match (n as i64).rem_euclid(4) {
        0 => (s, c),
        1 => (c, -s),
        2 => (-s, -c),
        _ => (-c, s),
    }
}
pub fn tanh(x: f64) -> Dd {
    let m = exp_m1(Dd::from(-2.0 * x.abs()));
    let y = -m / (Dd::from(2.0) + m);
    if x < 0.0 { -y } else { y }
}
const SQRT_PI_HALF: Dd = Dd(0.886226925452758, -3.8332932499128993e-17);
/// erf x, x >= 0, x < 3.
fn erf_series(x: Dd) -> Dd {
    // x e^(-x^2) 2/sqrt(pi) sum_n (2 x^2)^n/(2n + 1)!!: no cancellation.
    let y = x * x;
    let (mut term, mut sum) = (ONE, ONE);
    for n in 1..160 {
        term = term * scaled(y, 2.0) / Dd::from(f64::from(2 * n + 1));
        sum = sum + term;
    }
    x * exp(-y) * sum / SQRT_PI_HALF
}
/// erfc x, x >= 1.5, by its continued fraction 1/(x + (1/2)/(x + (2/2)/(x + ...))).
fn erfc_fraction(x: Dd) -> Dd {
    let mut f = x;
    for k in (1..500).rev() {
        f = x + Dd::from(0.5 * f64::from(k)) / f;
    }
    scaled(exp(-(x * x)) / f, 0.5) / SQRT_PI_HALF
}
pub fn erf(x: f64) -> Dd {
    let t = Dd::from(x.abs());
    let y = if t.0 < 2.0 { erf_series(t) } else { ONE - erfc_fraction(t) };
    if x < 0.0 { -y } else { y }
}
/// The normal law's distribution function and density.
pub fn normal_law(x: f64) -> (Dd, Dd) {
    const SQRT_HALF: Dd = Dd(std::f64::consts::FRAC_1_SQRT_2, -4.833646656726457e-17);
    let t = Dd::from(x.abs()) * SQRT_HALF;
    let tail = scaled(if t.0 < 1.5 { ONE - erf_series(t) } else { erfc_fraction(t) }, 0.5);
    let density = exp(scaled(Dd::from(-x) * Dd::from(x), 0.5)) * scaled(SQRT_HALF, 0.5) / SQRT_PI_HALF;
    (if x < 0.0 { tail } else { ONE - tail }, density)
}

/// The error of `got` in units in the last place of the exact result.
pub fn ulps<R: Real>(got: R, exact: Dd) -> f64 {
    let size = exact.0.abs().max(R::min_positive_value().f64());
    // The power of two below it.
    let binade = f64::from_bits(size.to_bits() & (0x7ff << 52));
    ((got.f64() - exact.0) - exact.1).abs() / R::epsilon().f64() / binade
}

/// A lane function over a slice.
macro_rules! lane {
    ($name:ident($x:ident, $fma:ident) = $y:expr) => {
        struct $name<'a, R>(&'a [R], &'a mut [R]);
        impl<R: $crate::Real> $crate::simd::Kernel for $name<'_, R> {
            const VECTORS: bool = R::VECTORS;
            type Output = ();
            #[inline(always)]
            fn run<const $fma: bool>(self) {
                for (y, $x) in self.1.iter_mut().zip(self.0) {
                    *y = $y;
                }
            }
        }
    };
}
pub(crate) use lane;

/// The largest error of `$lane` over `$x` on any level, which must not exceed `$bound` units in the last
/// place.
macro_rules! within {
    ($bound:expr, $lane:ident, $x:expr, $exact:expr) => {{
        let x: &[R] = &$x;
        let exact: Vec<$crate::real::exact::Dd> = x.iter().map(|x| $exact(x.f64())).collect();
        use $crate::simd::Level;
        for level in [Level::Baseline, Level::Avx2, Level::Avx512] {
            let mut y = vec![R::zero(); x.len()];
            $crate::simd::dispatch_at(level, $lane(x, &mut y));
            let mut worst = (0.0, R::zero());
            for ((x, y), exact) in x.iter().zip(&y).zip(&exact) {
                let error = $crate::real::exact::ulps(*y, *exact);
                // A NaN replaces everything and is replaced by nothing.
                worst = if error <= worst.0 || worst.0.is_nan() { worst } else { (error, *x) };
            }
            assert!(worst.0 <= $bound, "{} {} {}: {} ulp at {:e}", R::NAME, stringify!($lane), level.name(), worst.0, worst.1);
        }
    }};
}
pub(crate) use within;

/// `n` numbers between `lo` and `hi`.
pub fn between<R: Real>(n: u32, lo: f64, hi: f64) -> Vec<R> {
    (0..=n).map(|i| R::of(lo + (hi - lo) * f64::from(i) / f64::from(n))).collect()
}
/// Numbers of both signs with exponents between `lo` and `hi` (powers of two).
pub fn scales<R: Real>(n: u32, lo: f64, hi: f64) -> Vec<R> {
    let sign = |i: u32| if i & 1 == 0 { 1.0 } else { -1.0 };
    (0..=n).map(|i| R::of(sign(i) * (lo + (hi - lo) * f64::from(i) / f64::from(n)).exp2())).collect()
}
#[test]
fn the_reference_knows_identities_and_constants() {
    let close = |a: Dd, b: Dd| assert!(((a.0 - b.0) + (a.1 - b.1)).abs() <= 1e-29 * b.0.abs(), "{a:?} {b:?}");
    close(exp(Dd(1.0, 0.0)), Dd(std::f64::consts::E, 1.4456468917292502e-16));
    close(exp(ln(1.3e-310)), 1.3e-310.into());
    close(ln(3.7), Dd(1.308332819650179, -8.256475934401426e-17));
    let (s, c) = sin_cos(812345.75);
    close(s * s + c * c, ONE);
    // sin of the nearest number to pi is what it lacks of pi.
    close(sin_cos(std::f64::consts::PI).0, Dd(1.2246467991473532e-16, -2.99476980971834e-33));
    close(erf(0.5), Dd(0.5204998778130465, 1.900077467916287e-17));
    close(normal_law(-8.0).0, Dd(6.220960574271784e-16, 2.491586890683703e-32));
    for x in [1.5, 2.0, 2.5] {
        close(erf_series(x.into()), ONE - erfc_fraction(x.into()));
    }
}
