//! Sine and cosine on lanes: reduction to [-pi/4, pi/4] by Cody and Waite, then Taylor's series.

use super::{Real, inverse_factorials};

/// Heads of pi/2 of 33 bits each, so that a product with n < 2^20 is exact, and what is left: 152 bits in
/// all. Multiples of pi/2 up to 10^6 come as near as 2^-72 to a number, which takes that many.
const P: [f64; 4] = [1.5707963267341256, 6.077100506303966e-11, 2.0222662487111665e-21, 8.4784276603689e-32];
/// f32 is reduced in f64: its numbers stay farther away, 33 + 53 bits suffice.
const P2_F32: f64 = 6.077100506506192e-11;
const MAGIC: f64 = 1.5 * (1u64 << 52) as f64;

/// Reduction of an angle.
pub trait Reduce: Real {
    /// x = q pi/2 + (r + s), |r| <= pi/4, s below half a unit in the last place of r: r, s, whether q is odd,
    /// whether q mod 4 is 2 or 3.
    fn quarters<const FMA: bool>(self) -> (Self, Self, bool, bool);
}

impl Reduce for f32 {
    #[inline(always)]
    fn quarters<const FMA: bool>(self) -> (f32, f32, bool, bool) {
        let x = f64::from(self);
        let shifted = x.fma::<FMA>(std::f64::consts::FRAC_2_PI, MAGIC);
        let n = shifted - MAGIC;
        let r = (x - n * P[0]) - n * P2_F32;
        let head = r as f32;
        let q = shifted.to_bits() as u32;
        (head, (r - f64::from(head)) as f32, q & 1 != 0, q & 2 != 0)
    }
}

impl Reduce for f64 {
    #[inline(always)]
    fn quarters<const FMA: bool>(self) -> (f64, f64, bool, bool) {
        let x = self;
        let shifted = x.fma::<FMA>(std::f64::consts::FRAC_2_PI, MAGIC);
        let n = shifted - MAGIC;
        // Exact: both are near each other.
        let r = x - n * P[0];
        let (r, e1) = two_sum(r, -(n * P[1]));
        let (r, e2) = two_sum(r, -(n * P[2]));
        let tail = (e1 + e2) - n * P[3];
        let head = r + tail;
        let q = shifted.to_bits();
        (head, (r - head) + tail, q & 1 != 0, q & 2 != 0)
    }
}

/// a + b and its rounding error (Knuth).
#[inline(always)]
fn two_sum(a: f64, b: f64) -> (f64, f64) {
    let s = a + b;
    let t = s - a;
    (s, (a - (s - t)) + (b - t))
}

const C: [f64; 19] = inverse_factorials::<19>();

/// Highest odd power of the sine's series, of the cosine's one more.
const fn last<R: Real>() -> usize {
    if R::SINGLE { 9 } else { 17 }
}

/// sin(r + s).
#[inline(always)]
fn sine<R: Real, const FMA: bool>(r: R, s: R) -> R {
    let y = r * r;
    // sin r = r - r y p.
    let mut i = last::<R>();
    let mut p = R::of(C[i]);
    while i > 3 {
        i -= 2;
        p = p.fma::<FMA>(-y, R::of(C[i]));
    }
    let half = R::of(0.5) * y;
    r + (-(r * y)).fma::<FMA>(p, s - s * half)
}

/// cos(r + s).
#[inline(always)]
fn cosine<R: Real, const FMA: bool>(r: R, s: R) -> R {
    let y = r * r;
    let mut i = last::<R>() + 1;
    let mut p = R::of(C[i]);
    while i > 4 {
        i -= 2;
        p = p.fma::<FMA>(-y, R::of(C[i]));
    }
    // cos r = 1 - y/2 + y^2 p; the rounding of 1 - y/2 is known.
    let half = R::of(0.5) * y;
    let w = R::one() - half;
    w + (((R::one() - w) - half) + (y * y).fma::<FMA>(p, -(r * s)))
}

/// sin x.
#[inline(always)]
pub fn sin<R: Reduce, const FMA: bool>(x: R) -> R {
    let (r, s, odd, second) = x.quarters::<FMA>();
    let y = if odd { cosine::<R, FMA>(r, s) } else { sine::<R, FMA>(r, s) };
    let y = if second { -y } else { y };
    // The zero of x with its sign.
    if x == R::zero() { x } else { y }
}

/// cos x.
#[inline(always)]
pub fn cos<R: Reduce, const FMA: bool>(x: R) -> R {
    let (r, s, odd, second) = x.quarters::<FMA>();
    let y = if odd { sine::<R, FMA>(r, s) } else { cosine::<R, FMA>(r, s) };
    if odd != second { -y } else { y }
}
