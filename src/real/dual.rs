//! Dual numbers: forward-mode differentiation as a number type.

use super::{Number, Real};
use std::fmt::{self, Display, LowerExp};
use std::iter::Sum;
use std::ops::{Add, AddAssign, Div, DivAssign, Mul, MulAssign, Neg, Sub, SubAssign};

/// x + x' e with e^2 = 0: a value and its derivative along one direction. f(x + x' e) = f(x) + f'(x) x' e, so
/// generic code run on it computes, beside every value, the exact derivative of that value (Griewank and
/// Walther, *Evaluating Derivatives*, ch. 3).
///
/// Comparisons look at values only: a branch is taken as it would be without tangents.
///
/// ```
/// use ndsm::real::{Dual, Number};
/// // d/dx x^2 sin x = 2 x sin x + x^2 cos x.
/// let x = Dual::new(1.5, 1.0);
/// let y = x * x * x.sin();
/// assert!((y.tangent - (3.0 * 1.5f64.sin() + 2.25 * 1.5f64.cos())).abs() < 1e-15);
/// ```
#[derive(Debug, Clone, Copy, Default)]
pub struct Dual<R> {
    /// x.
    pub value: R,
    /// x', the derivative of x along the direction that was chosen at the inputs.
    pub tangent: R,
}

impl<R: Real> Dual<R> {
    /// x + x' e.
    #[inline(always)]
    pub fn new(value: R, tangent: R) -> Self {
        Dual { value, tangent }
    }
    /// A number that does not depend on the inputs.
    #[inline(always)]
    pub fn constant(value: R) -> Self {
        Dual { value, tangent: R::zero() }
    }
    /// f(x) with the chain rule, from y = f(x) and f'(x).
    #[inline(always)]
    fn chain(self, y: R, slope: R) -> Self {
        Dual { value: y, tangent: slope * self.tangent }
    }
}

impl<R: Real> PartialEq for Dual<R> {
    #[inline(always)]
    fn eq(&self, other: &Self) -> bool {
        self.value == other.value
    }
}
impl<R: Real> PartialOrd for Dual<R> {
    #[inline(always)]
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        self.value.partial_cmp(&other.value)
    }
}

/// As the value is shown.
impl<R: Real> Display for Dual<R> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        Display::fmt(&self.value, f)
    }
}
impl<R: Real> LowerExp for Dual<R> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        LowerExp::fmt(&self.value, f)
    }
}

impl<R: Real> Neg for Dual<R> {
    type Output = Self;
    #[inline(always)]
    fn neg(self) -> Self {
        Dual { value: -self.value, tangent: -self.tangent }
    }
}

macro_rules! arithmetic {
    ($($Trait:ident $f:ident $Assign:ident $g:ident: ($a:ident, $b:ident) => $result:expr;)+) => {
        $(impl<R: Real> $Trait for Dual<R> {
            type Output = Self;
            #[inline(always)]
            fn $f(self, other: Self) -> Self {
                let ($a, $b) = (self, other);
                $result
            }
        }
        impl<R: Real> $Assign for Dual<R> {
            #[inline(always)]
            fn $g(&mut self, other: Self) {
                *self = $Trait::$f(*self, other);
            }
        })+
    };
}

arithmetic! {
    Add add AddAssign add_assign: (a, b) => Dual { value: a.value + b.value, tangent: a.tangent + b.tangent };
    Sub sub SubAssign sub_assign: (a, b) => Dual { value: a.value - b.value, tangent: a.tangent - b.tangent };
    Mul mul MulAssign mul_assign: (a, b) => Dual { value: a.value * b.value, tangent: a.tangent * b.value + a.value * b.tangent };
    Div div DivAssign div_assign: (a, b) => {
        let y = a.value / b.value;
        Dual { value: y, tangent: (a.tangent - y * b.tangent) / b.value }
    };
}

impl<R: Real> Sum for Dual<R> {
    fn sum<I: Iterator<Item = Self>>(terms: I) -> Self {
        terms.fold(Self::default(), Add::add)
    }
}

impl<R: Real> Number for Dual<R> {
    #[inline(always)]
    fn zero() -> Self {
        Self::constant(R::zero())
    }
    #[inline(always)]
    fn one() -> Self {
        Self::constant(R::one())
    }
    /// NaN in both parts: what was not computed has no derivative either.
    #[inline(always)]
    fn nan() -> Self {
        Dual { value: R::nan(), tangent: R::nan() }
    }
    #[inline(always)]
    fn infinity() -> Self {
        Self::constant(R::infinity())
    }
    #[inline(always)]
    fn epsilon() -> Self {
        Self::constant(R::epsilon())
    }
    #[inline(always)]
    fn min_value() -> Self {
        Self::constant(R::min_value())
    }
    #[inline(always)]
    fn max_value() -> Self {
        Self::constant(R::max_value())
    }
    #[inline(always)]
    fn min_positive_value() -> Self {
        Self::constant(R::min_positive_value())
    }
    #[inline(always)]
    fn is_nan(self) -> bool {
        self.value.is_nan()
    }
    #[inline(always)]
    fn is_finite(self) -> bool {
        self.value.is_finite()
    }
    /// At 0 the derivative from the right, as in code that asks `x < 0`.
    #[inline(always)]
    fn abs(self) -> Self {
        self.chain(self.value.abs(), if self.value < R::zero() { -R::one() } else { R::one() })
    }
    #[inline(always)]
    fn max(self, other: Self) -> Self {
        let value = self.value.max(other.value);
        Dual { value, tangent: if self.value == value { self.tangent } else { other.tangent } }
    }
    #[inline(always)]
    fn min(self, other: Self) -> Self {
        let value = self.value.min(other.value);
        Dual { value, tangent: if self.value == value { self.tangent } else { other.tangent } }
    }
    #[inline(always)]
    fn sqrt(self) -> Self {
        let y = self.value.sqrt();
        self.chain(y, R::one() / (y + y))
    }
    #[inline(always)]
    fn exp(self) -> Self {
        let y = self.value.exp();
        self.chain(y, y)
    }
    #[inline(always)]
    fn ln(self) -> Self {
        self.chain(self.value.ln(), R::one() / self.value)
    }
    #[inline(always)]
    fn sin(self) -> Self {
        self.chain(self.value.sin(), self.value.cos())
    }
    #[inline(always)]
    fn cos(self) -> Self {
        self.chain(self.value.cos(), -self.value.sin())
    }
    #[inline(always)]
    fn powi(self, n: i32) -> Self {
        // A constant's derivative is 0, even at 0 where x^-1 is infinite.
        let slope = if n == 0 { R::zero() } else { R::of(f64::from(n)) * self.value.powi(n - 1) };
        self.chain(self.value.powi(n), slope)
    }
    /// p is a constant nearly always; then ln x, which is no number for x < 0, is left out.
    #[inline(always)]
    fn powf(self, p: Self) -> Self {
        let y = self.value.powf(p.value);
        let slope = if p.value == R::zero() { R::zero() } else { p.value * self.value.powf(p.value - R::one()) };
        let along_p = if p.tangent == R::zero() { R::zero() } else { y * self.value.ln() * p.tangent };
        Dual { value: y, tangent: slope * self.tangent + along_p }
    }
}

impl<R: Real> Real for Dual<R> {
    const NAME: &'static str = "dual";
    const BYTES: usize = 2 * R::BYTES;
    /// Pairs do not fill vectors, and the code of every kernel three times over takes long to compile.
    const VECTORS: bool = false;
    type Part = R;
    #[inline(always)]
    fn split(self) -> (R, R) {
        (self.value, self.tangent)
    }
    #[inline(always)]
    fn join(value: R, tangent: R) -> Self {
        Dual { value, tangent }
    }
    const SINGLE: bool = R::SINGLE;
    /// A constant.
    #[inline(always)]
    fn of(x: f64) -> Self {
        Self::constant(R::of(x))
    }
    /// The value.
    #[inline(always)]
    fn f64(self) -> f64 {
        self.value.f64()
    }
    fn put_le(self, out: &mut Vec<u8>) {
        self.value.put_le(out);
        self.tangent.put_le(out);
    }
    fn take_le(bytes: &[u8]) -> Self {
        Dual { value: R::take_le(bytes), tangent: R::take_le(&bytes[R::BYTES..]) }
    }
    #[inline(always)]
    fn fma<const FMA: bool>(self, a: Self, b: Self) -> Self {
        let tangent = self.tangent.fma::<FMA>(a.value, b.tangent);
        Dual { value: self.value.fma::<FMA>(a.value, b.value), tangent: self.value.fma::<FMA>(a.tangent, tangent) }
    }
    #[inline(always)]
    fn exp_lane<const FMA: bool>(self) -> Self {
        let y = self.value.exp_lane::<FMA>();
        self.chain(y, y)
    }
    #[inline(always)]
    fn exp_neg_lane<const FMA: bool>(self) -> Self {
        let y = self.value.exp_neg_lane::<FMA>();
        self.chain(y, y)
    }
    #[inline(always)]
    fn exp_pair_lane<const FMA: bool>(self) -> (Self, Self) {
        let (y, m) = self.value.exp_pair_lane::<FMA>();
        (self.chain(y, y), self.chain(m, y))
    }
    #[inline(always)]
    fn ln_lane<const FMA: bool>(self) -> Self {
        self.chain(self.value.ln_lane::<FMA>(), R::one() / self.value)
    }
    #[inline(always)]
    fn ln_normal_lane<const FMA: bool>(self) -> Self {
        self.chain(self.value.ln_normal_lane::<FMA>(), R::one() / self.value)
    }
    #[inline(always)]
    fn sin_lane<const FMA: bool>(self) -> Self {
        self.chain(self.value.sin_lane::<FMA>(), self.value.cos_lane::<FMA>())
    }
    #[inline(always)]
    fn cos_lane<const FMA: bool>(self) -> Self {
        self.chain(self.value.cos_lane::<FMA>(), -self.value.sin_lane::<FMA>())
    }
    #[inline(always)]
    fn erf_lane<const FMA: bool>(self) -> Self {
        let slope = R::of(std::f64::consts::FRAC_2_SQRT_PI) * (-(self.value * self.value)).exp_lane::<FMA>();
        self.chain(self.value.erf_lane::<FMA>(), slope)
    }
    #[inline(always)]
    fn normal_law_lane<const FMA: bool>(self) -> (Self, Self) {
        let (cdf, density) = self.value.normal_law_lane::<FMA>();
        // The density vanishes sooner than any x grows: 0 x is 0, also at infinity.
        let slope = if density == R::zero() { R::zero() } else { -self.value * density };
        (self.chain(cdf, density), self.chain(density, slope))
    }
    #[inline(always)]
    fn sin_cos_turns<const FMA: bool>(self) -> (Self, Self) {
        let (s, c) = self.value.sin_cos_turns::<FMA>();
        let turn = R::of(std::f64::consts::TAU);
        (self.chain(s, turn * c), self.chain(c, -turn * s))
    }
    /// A constant.
    fn uniform(hi: u32, lo: u32) -> Self {
        Self::constant(R::uniform(hi, lo))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// f at x in f64, and what f gives of a dual x whose tangent is 1: the value must be f64's to the last
    /// bit, the tangent the five-point difference.
    fn check(name: &str, points: &[f64], value: impl Fn(f64) -> f64, dual: impl Fn(Dual<f64>) -> Dual<f64>) {
        const H: f64 = 1.0 / 1024.0;
        for &x in points {
            let y = dual(Dual::new(x, 1.0));
            assert_eq!(y.value.to_bits(), value(x).to_bits(), "{name}({x})");
            let d = (8.0 * (value(x + H) - value(x - H)) - (value(x + 2.0 * H) - value(x - 2.0 * H))) / (12.0 * H);
            assert!((y.tangent - d).abs() <= 1e-10 * (1.0 + d.abs() + value(x).abs()), "{name}'({x}) = {}, not {d}", y.tangent);
            // Twice the direction, twice the derivative.
            assert!((dual(Dual::new(x, -2.0)).tangent + 2.0 * y.tangent).abs() <= 1e-14 * y.tangent.abs(), "{name}");
        }
    }

    #[test]
    fn every_function_has_its_derivative() {
        let (wide, positive, negative) = ([-3.0, -0.7, 0.4, 2.0], [0.4, 1.0, 2.5], [-8.0, -0.6, -0.2]);
        let two = |x: f64| (x, Dual::constant(x));
        let (c, dc) = two(1.75);
        // A second argument that depends on x as well.
        let g = |x: Dual<f64>| x * x + dc;
        check("add", &wide, |x| x + (x * x + c), |x| x + g(x));
        check("sub", &wide, |x| x - (x * x + c), |x| x - g(x));
        check("mul", &wide, |x| x * (x * x + c), |x| x * g(x));
        check("div", &wide, |x| x / (x * x + c), |x| x / g(x));
        check("fma", &wide, |x| x.mul_add(x * x + c, x), |x| x.fma::<true>(g(x), x));
        check("product and sum", &wide, |x| x * (x * x + c) + x, |x| x.fma::<false>(g(x), x));
        check("neg", &wide, |x| -x, |x| -x);
        check("abs", &wide, f64::abs, Dual::abs);
        check("max", &wide, |x| x.max(0.1), |x| x.max(Dual::constant(0.1)));
        check("min", &wide, |x| 0.1f64.min(x), |x| Dual::constant(0.1).min(x));
        check("sqrt", &positive, f64::sqrt, Dual::sqrt);
        check("exp", &wide, f64::exp, Dual::exp);
        check("ln", &positive, f64::ln, Dual::ln);
        check("sin", &wide, f64::sin, Dual::sin);
        check("cos", &wide, f64::cos, Dual::cos);
        check("powi", &wide, |x| x.powi(3), |x| x.powi(3));
        check("power of a constant", &wide, |x| x.powf(2.0), |x| x.powf(Dual::constant(2.0)));
        check("power", &[0.4, 1.0, 1.3], |x| x.powf(x * x + c), |x| x.powf(g(x)));
        check("exp_lane", &wide, |x| x.exp_lane::<true>(), |x| x.exp_lane::<true>());
        check("exp_m1_lane", &negative, |x| x.exp_m1_lane::<false>(), |x| x.exp_m1_lane::<false>());
        check("exp_neg_lane", &negative, |x| x.exp_neg_lane::<true>(), |x| x.exp_neg_lane::<true>());
        check("e^x of the pair", &negative, |x| x.exp_pair_lane::<true>().0, |x| x.exp_pair_lane::<true>().0);
        check("ln_lane", &positive, |x| x.ln_lane::<true>(), |x| x.ln_lane::<true>());
        check("ln_normal_lane", &positive, |x| x.ln_normal_lane::<true>(), |x| x.ln_normal_lane::<true>());
        check("sin_lane", &wide, |x| x.sin_lane::<true>(), |x| x.sin_lane::<true>());
        check("cos_lane", &wide, |x| x.cos_lane::<false>(), |x| x.cos_lane::<false>());
        check("erf_lane", &wide, |x| x.erf_lane::<true>(), |x| x.erf_lane::<true>());
        check("Phi", &wide, |x| x.normal_law_lane::<true>().0, |x| x.normal_law_lane::<true>().0);
        check("phi", &wide, |x| x.normal_law_lane::<false>().1, |x| x.normal_law_lane::<false>().1);
        check("sine", &[0.1, 0.3, 0.6, 0.9], |x| x.sin_cos_turns::<true>().0, |x| x.sin_cos_turns::<true>().0);
        check("cosine", &[0.1, 0.3, 0.6, 0.9], |x| x.sin_cos_turns::<true>().1, |x| x.sin_cos_turns::<true>().1);
    }

    #[test]
    fn the_ends_are_those_of_the_value() {
        let at = |x: f64| Dual::new(x, 1.0);
        assert_eq!(at(0.0).powi(0).tangent, 0.0);
        assert_eq!(at(0.0).powf(Dual::zero()).tangent, 0.0);
        assert_eq!((at(0.0).abs().tangent, at(-0.0).abs().tangent), (1.0, 1.0));
        assert_eq!((Dual::<f64>::nan().max(at(2.0)).tangent, at(2.0).min(Dual::nan()).tangent), (1.0, 1.0));
        assert!(at(1.0) == Dual::new(1.0, 5.0) && at(1.0) < at(2.0) && at(f64::NAN) != at(f64::NAN));
        assert!(at(f64::NAN).is_nan() && !at(f64::INFINITY).is_finite() && Dual::<f64>::nan().tangent.is_nan());
        assert_eq!(format!("{} {:.1e}", at(0.5), at(0.5)), "0.5 5.0e-1");
        assert_eq!([at(1.0), at(2.0)].into_iter().sum::<Dual<f64>>().tangent, 2.0);
        let mut bytes = vec![];
        Dual::new(1.5f32, -2.0).put_le(&mut bytes);
        let back = Dual::<f32>::take_le(&bytes);
        assert_eq!((bytes.len(), back.value, back.tangent, Dual::<f32>::BYTES), (8, 1.5, -2.0, 8));
    }

    #[test]
    fn duals_of_duals_are_second_derivatives() {
        // d2/dx2 x^3 e^x = (x^3 + 6 x^2 + 6 x) e^x.
        let x = Dual::new(Dual::new(0.8f64, 1.0), Dual::constant(1.0));
        let y = x.powi(3) * x.exp_lane::<true>();
        let want = (0.512 + 6.0 * 0.64 + 4.8) * 0.8f64.exp();
        assert!((y.tangent.tangent - want).abs() <= 1e-14 * want, "{}", y.tangent.tangent);
    }
}
