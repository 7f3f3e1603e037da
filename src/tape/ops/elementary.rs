//! Algebraic and elementary functions, element by element. One block each: value, derivative, samples.

use super::map::{Domain, Function, KINKED, Map, POSITIVE, WIDE};
use crate::Real;
use crate::tape::op::Reads;
use crate::tape::recorder::methods;

methods! {
    /// -x.
    neg(x) = Map(Neg);
    /// c x for a constant c.
    scale(x; c: f64) = Map(Scale(c));
    /// x + c for a constant c.
    shift(x; c: f64) = Map(Shift(c));
    /// x^2.
    square(x) = Map(Square);
    /// The square root.
    sqrt(x) = Map(Sqrt);
    /// e^x.
    exp(x) = Map(Exp);
    /// The natural logarithm.
    log(x) = Map(Log);
    /// Sine.
    sin(x) = Map(Sin);
    /// Cosine.
    cos(x) = Map(Cos);
    /// x^c for a constant c: x > 0, x = 0 (by the limit), and x < 0 for integer c; NaN elsewhere.
    pow(x; c: f64) = Map(Pow(c));
    /// |x|; the derivative at 0 is 0.
    abs(x) = Map(Abs);
    /// Its numbers brought into `[range.0, range.1]`; the derivative is 1 there, ends included, and 0 outside.
    clamp(x; range: (f64, f64)) = Map(Clamp { lo: range.0, hi: range.1 });
    /// The error function.
    erf(x) = Map(Erf);
}

/// Angles on both sides of [`Real::TRIG_LIMIT`].
const ANGLES: &[f64] = &[-4e6, -1.1e6, -800.0, -30.0, -1.0, 0.0, 1e-3, 1.0, 30.0, 800.0, 4e4];

/// -x.
#[derive(Clone, Copy)]
pub struct Neg;
impl Function for Neg {
    const NAME: &'static str = "neg";
    const FLOPS: u64 = 1;
    const READS: Reads = Reads::Nothing;
    #[inline(always)]
    fn value<R: Real, const FMA: bool>(self, x: R) -> R {
        -x
    }
    #[inline(always)]
    fn derivative<R: Real, const FMA: bool>(self, _x: R, _y: R) -> R {
        -R::one()
    }
    fn samples() -> Vec<(Self, Domain, &'static [f64])> {
        vec![(Neg, Domain::Line, WIDE)]
    }
}

/// c x.
#[derive(Clone, Copy)]
pub struct Scale(pub f64);
impl Function for Scale {
    const NAME: &'static str = "scale";
    const FLOPS: u64 = 1;
    const READS: Reads = Reads::Nothing;
    fn attributes(self) -> String {
        format!(" {}", self.0)
    }
    #[inline(always)]
    fn value<R: Real, const FMA: bool>(self, x: R) -> R {
        R::of(self.0) * x
    }
    #[inline(always)]
    fn derivative<R: Real, const FMA: bool>(self, _x: R, _y: R) -> R {
        R::of(self.0)
    }
    fn samples() -> Vec<(Self, Domain, &'static [f64])> {
        vec![(Scale(-1.75), Domain::Line, WIDE)]
    }
}

/// x + c.
#[derive(Clone, Copy)]
pub struct Shift(pub f64);
impl Function for Shift {
    const NAME: &'static str = "shift";
    const FLOPS: u64 = 1;
    const READS: Reads = Reads::Nothing;
    fn attributes(self) -> String {
        format!(" {}", self.0)
    }
    #[inline(always)]
    fn value<R: Real, const FMA: bool>(self, x: R) -> R {
        x + R::of(self.0)
    }
    #[inline(always)]
    fn derivative<R: Real, const FMA: bool>(self, _x: R, _y: R) -> R {
        R::one()
    }
    fn samples() -> Vec<(Self, Domain, &'static [f64])> {
        vec![(Shift(0.3), Domain::Line, WIDE)]
    }
}

/// x^2.
#[derive(Clone, Copy)]
pub struct Square;
impl Function for Square {
    const NAME: &'static str = "square";
    const FLOPS: u64 = 1;
    const READS: Reads = Reads::Inputs;
    #[inline(always)]
    fn value<R: Real, const FMA: bool>(self, x: R) -> R {
        x * x
    }
    #[inline(always)]
    fn derivative<R: Real, const FMA: bool>(self, x: R, _y: R) -> R {
        x + x
    }
    fn samples() -> Vec<(Self, Domain, &'static [f64])> {
        vec![(Square, Domain::Line, WIDE)]
    }
}

/// The square root, x >= 0; its derivative 1/(2 y) is infinite at 0.
#[derive(Clone, Copy)]
pub struct Sqrt;
impl Function for Sqrt {
    const NAME: &'static str = "sqrt";
    const FLOPS: u64 = 1;
    const READS: Reads = Reads::Result;
    #[inline(always)]
    fn value<R: Real, const FMA: bool>(self, x: R) -> R {
        x.sqrt()
    }
    #[inline(always)]
    fn derivative<R: Real, const FMA: bool>(self, _x: R, y: R) -> R {
        R::one() / (y + y)
    }
    fn samples() -> Vec<(Self, Domain, &'static [f64])> {
        vec![(Sqrt, Domain::Positive, POSITIVE)]
    }
}

/// e^x.
#[derive(Clone, Copy)]
pub struct Exp;
impl Function for Exp {
    const NAME: &'static str = "exp";
    const FLOPS: u64 = 1;
    const READS: Reads = Reads::Result;
    #[inline(always)]
    fn value<R: Real, const FMA: bool>(self, x: R) -> R {
        x.exp_lane::<FMA>()
    }
    #[inline(always)]
    fn derivative<R: Real, const FMA: bool>(self, _x: R, y: R) -> R {
        y
    }
    fn samples() -> Vec<(Self, Domain, &'static [f64])> {
        vec![(Exp, Domain::Line, &[-700.0, -30.0, -1.0, 0.0, 1.0, 30.0, 700.0])]
    }
}

/// ln x: -infinity at 0, NaN below.
#[derive(Clone, Copy)]
pub struct Log;
impl Function for Log {
    const NAME: &'static str = "log";
    const FLOPS: u64 = 1;
    const READS: Reads = Reads::Inputs;
    #[inline(always)]
    fn value<R: Real, const FMA: bool>(self, x: R) -> R {
        x.ln_lane::<FMA>()
    }
    #[inline(always)]
    fn derivative<R: Real, const FMA: bool>(self, x: R, _y: R) -> R {
        R::one() / x
    }
    fn samples() -> Vec<(Self, Domain, &'static [f64])> {
        vec![(Log, Domain::Positive, POSITIVE)]
    }
}

/// sin x. Right for every angle: beyond [`Real::TRIG_LIMIT`] by the standard library.
#[derive(Clone, Copy)]
pub struct Sin;
impl Function for Sin {
    const NAME: &'static str = "sin";
    const FLOPS: u64 = 1;
    const READS: Reads = Reads::Inputs;
    const EVERYWHERE: bool = false;
    #[inline(always)]
    fn within<R: Real>(self, x: R) -> bool {
        x.abs() <= R::of(R::TRIG_LIMIT)
    }
    #[inline(always)]
    fn lane<R: Real, const FMA: bool>(self, x: R) -> R {
        x.sin_lane::<FMA>()
    }
    #[inline(always)]
    fn lane_derivative<R: Real, const FMA: bool>(self, x: R, _y: R) -> R {
        x.cos_lane::<FMA>()
    }
    #[inline(always)]
    fn value<R: Real, const FMA: bool>(self, x: R) -> R {
        if self.within(x) { x.sin_lane::<FMA>() } else { x.sin() }
    }
    #[inline(always)]
    fn derivative<R: Real, const FMA: bool>(self, x: R, _y: R) -> R {
        if self.within(x) { x.cos_lane::<FMA>() } else { x.cos() }
    }
    fn samples() -> Vec<(Self, Domain, &'static [f64])> {
        vec![(Sin, Domain::Line, ANGLES)]
    }
}

/// cos x, as [`Sin`].
#[derive(Clone, Copy)]
pub struct Cos;
impl Function for Cos {
    const NAME: &'static str = "cos";
    const FLOPS: u64 = 1;
    const READS: Reads = Reads::Inputs;
    const EVERYWHERE: bool = false;
    #[inline(always)]
    fn within<R: Real>(self, x: R) -> bool {
        Sin.within(x)
    }
    #[inline(always)]
    fn lane<R: Real, const FMA: bool>(self, x: R) -> R {
        x.cos_lane::<FMA>()
    }
    #[inline(always)]
    fn lane_derivative<R: Real, const FMA: bool>(self, x: R, _y: R) -> R {
        -x.sin_lane::<FMA>()
    }
    #[inline(always)]
    fn value<R: Real, const FMA: bool>(self, x: R) -> R {
        Sin.derivative::<R, FMA>(x, x)
    }
    #[inline(always)]
    fn derivative<R: Real, const FMA: bool>(self, x: R, _y: R) -> R {
        -Sin.value::<R, FMA>(x)
    }
    fn samples() -> Vec<(Self, Domain, &'static [f64])> {
        vec![(Cos, Domain::Line, ANGLES)]
    }
}

/// x^c. Defined for x > 0, for x = 0 (0, 1 or infinity as the limit is) and, for integer c, for x < 0; NaN elsewhere. Its
/// derivative is c x^(c - 1), and zero for c = 0.
#[derive(Clone, Copy)]
pub struct Pow(pub f64);
impl Pow {
    /// x^c; the usual exponents without a call.
    #[inline(always)]
    fn of<R: Real>(c: f64, x: R) -> R {
        if c == 0.0 {
            R::one()
        } else if c == 1.0 {
            x
        } else if c == 2.0 {
            x * x
        } else if c == 3.0 {
            x * x * x
        } else if c == -1.0 {
            R::one() / x
        } else {
            x.powf(R::of(c))
        }
    }
}
impl Function for Pow {
    const NAME: &'static str = "pow";
    const FLOPS: u64 = 1;
    const READS: Reads = Reads::Inputs;
    fn attributes(self) -> String {
        format!(" {}", self.0)
    }
    fn refuse(self) -> Result<(), String> {
        if self.0.is_finite() { Ok(()) } else { Err("a finite exponent".to_string()) }
    }
    fn refused() -> Vec<(Self, &'static str)> {
        vec![(Pow(f64::NAN), "finite exponent"), (Pow(f64::INFINITY), "finite exponent")]
    }
    #[inline(always)]
    fn value<R: Real, const FMA: bool>(self, x: R) -> R {
        Pow::of(self.0, x)
    }
    #[inline(always)]
    fn derivative<R: Real, const FMA: bool>(self, x: R, _y: R) -> R {
        if self.0 == 0.0 { R::zero() } else { R::of(self.0) * Pow::of(self.0 - 1.0, x) }
    }
    fn samples() -> Vec<(Self, Domain, &'static [f64])> {
        vec![
            (Pow(2.5), Domain::Positive, POSITIVE),
            (Pow(-0.7), Domain::Positive, POSITIVE),
            (Pow(3.0), Domain::Line, WIDE),
            (Pow(4.0), Domain::Line, &[-30.0, -1.0, 0.0, 1.0, 30.0]),
            (Pow(-3.0), Domain::Nonzero, &[-30.0, -1.0, 1.0, 30.0]),
            (Pow(0.0), Domain::Line, WIDE),
        ]
    }
}

/// |x|; the derivative at 0 is 0.
#[derive(Clone, Copy)]
pub struct Abs;
impl Function for Abs {
    const NAME: &'static str = "abs";
    const FLOPS: u64 = 1;
    const READS: Reads = Reads::Inputs;
    #[inline(always)]
    fn value<R: Real, const FMA: bool>(self, x: R) -> R {
        x.abs()
    }
    #[inline(always)]
    fn derivative<R: Real, const FMA: bool>(self, x: R, _y: R) -> R {
        let below = if x < R::zero() { -R::one() } else { R::zero() };
        if x > R::zero() { R::one() } else { below }
    }
    fn samples() -> Vec<(Self, Domain, &'static [f64])> {
        vec![(Abs, Domain::Nonzero, KINKED)]
    }
}

/// min(max(x, lo), hi); the derivative is 1 where lo <= x <= hi, ends included, and 0 elsewhere. NaN stays NaN.
#[derive(Clone, Copy)]
pub struct Clamp {
    /// The lower end; may be -infinity.
    pub lo: f64,
    /// The upper end; may be infinity.
    pub hi: f64,
}
impl Function for Clamp {
    const NAME: &'static str = "clamp";
    const FLOPS: u64 = 2;
    const READS: Reads = Reads::Inputs;
    fn attributes(self) -> String {
        format!(" {} {}", self.lo, self.hi)
    }
    fn refuse(self) -> Result<(), String> {
        if self.lo <= self.hi { Ok(()) } else { Err("a lower end that does not lie above the upper end".to_string()) }
    }
    fn refused() -> Vec<(Self, &'static str)> {
        vec![(Clamp { lo: 1.0, hi: 0.0 }, "lower end"), (Clamp { lo: f64::NAN, hi: 0.0 }, "lower end")]
    }
    #[inline(always)]
    fn value<R: Real, const FMA: bool>(self, x: R) -> R {
        let y = if x < R::of(self.lo) { R::of(self.lo) } else { x };
        if y > R::of(self.hi) { R::of(self.hi) } else { y }
    }
    #[inline(always)]
    fn derivative<R: Real, const FMA: bool>(self, x: R, _y: R) -> R {
        let one = if x < R::of(self.lo) { R::zero() } else { R::one() };
        if x > R::of(self.hi) { R::zero() } else { one }
    }
    fn samples() -> Vec<(Self, Domain, &'static [f64])> {
        let points = &[-800.0, -1.0, -0.2, 0.0, 0.1, 0.2, 1.0, 800.0];
        vec![
            (Clamp { lo: -0.25, hi: 0.125 }, Domain::Nonzero, points),
            (Clamp { lo: f64::NEG_INFINITY, hi: 0.125 }, Domain::Nonzero, points),
        ]
    }
}

/// The error function 2/sqrt(pi) int_0^x e^(-t^2) dt.
#[derive(Clone, Copy)]
pub struct Erf;
impl Function for Erf {
    const NAME: &'static str = "erf";
    const FLOPS: u64 = 1;
    const READS: Reads = Reads::Inputs;
    #[inline(always)]
    fn value<R: Real, const FMA: bool>(self, x: R) -> R {
        x.erf_lane::<FMA>()
    }
    #[inline(always)]
    fn derivative<R: Real, const FMA: bool>(self, x: R, _y: R) -> R {
        R::of(std::f64::consts::FRAC_2_SQRT_PI) * (-(x * x)).exp_lane::<FMA>()
    }
    fn samples() -> Vec<(Self, Domain, &'static [f64])> {
        vec![(Erf, Domain::Line, WIDE)]
    }
}
