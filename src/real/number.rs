//! Arithmetic and the standard library's functions: what a [`Real`](super::Real) has before vectors come in.

use std::fmt::{Debug, Display, LowerExp};
use std::iter::Sum;
use std::ops::{Add, AddAssign, Div, DivAssign, Mul, MulAssign, Neg, Sub, SubAssign};

/// A number that can be computed with: f32, f64, and pairs (value, tangent) of them. Exactly what the crate's
/// generic code uses and no more, so that a further kind of number (say, an interval) has to supply only this
/// and [`Real`](super::Real).
pub trait Number:
    Copy
    + Default
    + PartialEq
    + PartialOrd
    + Debug
    + Display
    + LowerExp
    + Send
    + Sync
    + 'static
    + Neg<Output = Self>
    + Add<Output = Self>
    + Sub<Output = Self>
    + Mul<Output = Self>
    + Div<Output = Self>
    + AddAssign
    + SubAssign
    + MulAssign
    + DivAssign
    + Sum
{
    /// 0.
    fn zero() -> Self;
    /// 1.
    fn one() -> Self;
    /// Not a number.
    fn nan() -> Self;
    /// Positive infinity.
    fn infinity() -> Self;
    /// The distance from 1 to the next larger number.
    fn epsilon() -> Self;
    /// The lowest finite number.
    fn min_value() -> Self;
    /// The largest finite number.
    fn max_value() -> Self;
    /// The smallest positive number of full precision.
    fn min_positive_value() -> Self;
    /// Whether it is not a number.
    fn is_nan(self) -> bool;
    /// Whether it is neither infinite nor NaN.
    fn is_finite(self) -> bool;
    /// |x|.
    fn abs(self) -> Self;
    /// The larger one; the other one if one is NaN.
    fn max(self, other: Self) -> Self;
    /// The smaller one; the other one if one is NaN.
    fn min(self, other: Self) -> Self;
    /// x^(1/2).
    fn sqrt(self) -> Self;
    /// e^x.
    fn exp(self) -> Self;
    /// ln x.
    fn ln(self) -> Self;
    /// sin x.
    fn sin(self) -> Self;
    /// cos x.
    fn cos(self) -> Self;
    /// x^n.
    fn powi(self, n: i32) -> Self;
    /// x^p.
    fn powf(self, p: Self) -> Self;
}

macro_rules! number {
    ($t:ident: $($f:ident($($arg:ident: $of:ty),*) -> $out:ty;)+) => {
        impl Number for $t {
            #[inline(always)]
            fn zero() -> Self {
                0.0
            }
            #[inline(always)]
            fn one() -> Self {
                1.0
            }
            #[inline(always)]
            fn nan() -> Self {
                $t::NAN
            }
            #[inline(always)]
            fn infinity() -> Self {
                $t::INFINITY
            }
            #[inline(always)]
            fn epsilon() -> Self {
                $t::EPSILON
            }
            #[inline(always)]
            fn min_value() -> Self {
                $t::MIN
            }
            #[inline(always)]
            fn max_value() -> Self {
                $t::MAX
            }
            #[inline(always)]
            fn min_positive_value() -> Self {
                $t::MIN_POSITIVE
            }
            $(#[inline(always)]
            fn $f(self $(, $arg: $of)*) -> $out {
                // The type's own function, which goes before the trait's.
                $t::$f(self $(, $arg)*)
            })+
        }
    };
    ($($t:ident)+) => {
        $(number! { $t:
            is_nan() -> bool;
            is_finite() -> bool;
            abs() -> Self;
            max(other: Self) -> Self;
            min(other: Self) -> Self;
            sqrt() -> Self;
            exp() -> Self;
            ln() -> Self;
            sin() -> Self;
            cos() -> Self;
            powi(n: i32) -> Self;
            powf(p: Self) -> Self;
        })+
    };
}

number! { f32 f64 }
