//! Algebraic and elementary functions, element by element.

use super::function::functions;
use super::map::Domain::{Line, Nonzero, Positive};
use super::map::{KINKED, Map, POSITIVE, WIDE};
use crate::Real;
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
    clamp(x; range: (f64, f64)) = Map(Clamp(range.0, range.1));
    /// The error function.
    erf(x) = Map(Erf);
}

/// Angles on both sides of [`Real::TRIG_LIMIT`].
const ANGLES: &[f64] = &[-4e6, -1.1e6, -800.0, -30.0, -1.0, 0.0, 1e-3, 1.0, 30.0, 800.0, 4e4];
/// Points on both sides of the ends that [`Clamp`] is checked with.
const ENDS: &[f64] = &[-800.0, -1.0, -0.2, 0.0, 0.1, 0.2, 1.0, 800.0];

functions! {
    /// -x.
    struct Neg = "neg", flops 1, reads Nothing {
        value(self, x) = -x;
        derivative(self, _x, _y) = -R::one();
        samples = [(Neg, Line, WIDE)];
    }

    /// c x.
    struct Scale(f64) = "scale", flops 1, reads Nothing {
        value(self, x) = R::of(self.0) * x;
        derivative(self, _x, _y) = R::of(self.0);
        samples = [(Scale(-1.75), Line, WIDE)];
        fn attributes(self) -> String {
            format!(" {}", self.0)
        }
    }

    /// x + c.
    struct Shift(f64) = "shift", flops 1, reads Nothing {
        value(self, x) = x + R::of(self.0);
        derivative(self, _x, _y) = R::one();
        samples = [(Shift(0.3), Line, WIDE)];
        fn attributes(self) -> String {
            format!(" {}", self.0)
        }
    }

    /// x^2.
    struct Square = "square", flops 1, reads Inputs {
        value(self, x) = x * x;
        derivative(self, x, _y) = x + x;
        samples = [(Square, Line, WIDE)];
    }

    /// The square root, x >= 0; its derivative 1/(2 y) is infinite at 0.
    struct Sqrt = "sqrt", flops 1, reads Result {
        value(self, x) = x.sqrt();
        derivative(self, _x, y) = R::one() / (y + y);
        samples = [(Sqrt, Positive, POSITIVE)];
    }

    /// e^x.
    struct Exp = "exp", flops 1, reads Result {
        value(self, x) = x.exp_lane::<FMA>();
        derivative(self, _x, y) = y;
        samples = [(Exp, Line, &[-700.0, -30.0, -1.0, 0.0, 1.0, 30.0, 700.0])];
    }

    /// ln x: -infinity at 0, NaN below.
    struct Log = "log", flops 1, reads Inputs {
        value(self, x) = x.ln_lane::<FMA>();
        derivative(self, x, _y) = R::one() / x;
        samples = [(Log, Positive, POSITIVE)];
    }

    /// sin x. Right for every angle: beyond [`Real::TRIG_LIMIT`] by the standard library.
    struct Sin = "sin", flops 1, reads Inputs {
        value(self, x) = if self.within(x) { x.sin_lane::<FMA>() } else { x.sin() };
        derivative(self, x, _y) = if self.within(x) { x.cos_lane::<FMA>() } else { x.cos() };
        samples = [(Sin, Line, ANGLES)];
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
    }

    /// cos x, as [`Sin`].
    struct Cos = "cos", flops 1, reads Inputs {
        value(self, x) = Sin.derivative::<R, FMA>(x, x);
        derivative(self, x, _y) = -Sin.value::<R, FMA>(x);
        samples = [(Cos, Line, ANGLES)];
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
    }

    /// x^c. Defined for x > 0, for x = 0 (0, 1 or infinity as the limit is) and, for integer c, for x < 0; NaN elsewhere. Its
    /// derivative is c x^(c - 1), and zero for c = 0.
    struct Pow(f64) = "pow", flops 1, reads Inputs {
        value(self, x) = power(x, self.0);
        derivative(self, x, _y) = if self.0 == 0.0 { R::zero() } else { R::of(self.0) * power(x, self.0 - 1.0) };
        samples = [
            (Pow(2.5), Positive, POSITIVE),
            (Pow(-0.7), Positive, POSITIVE),
            (Pow(3.0), Line, WIDE),
            (Pow(4.0), Line, &[-30.0, -1.0, 0.0, 1.0, 30.0]),
            (Pow(-3.0), Nonzero, &[-30.0, -1.0, 1.0, 30.0]),
            (Pow(0.0), Line, WIDE),
        ];
        fn attributes(self) -> String {
            format!(" {}", self.0)
        }
        fn refuse(self) -> Result<(), String> {
            if self.0.is_finite() { Ok(()) } else { Err("a finite exponent".to_string()) }
        }
        fn refused() -> Vec<(Self, &'static str)> {
            vec![(Pow(f64::NAN), "finite exponent"), (Pow(f64::INFINITY), "finite exponent")]
        }
    }

    /// |x|; the derivative at 0 is 0.
    struct Abs = "abs", flops 1, reads Inputs {
        value(self, x) = x.abs();
        derivative(self, x, _y) = {
            let below = if x < R::zero() { -R::one() } else { R::zero() };
            if x > R::zero() { R::one() } else { below }
        };
        samples = [(Abs, Nonzero, KINKED)];
    }

    /// min(max(x, lo), hi) of the ends lo and hi, which may be infinite; the derivative is 1 where lo <= x <= hi, ends included,
    /// and 0 elsewhere. NaN stays NaN.
    struct Clamp(f64, f64) = "clamp", flops 2, reads Inputs {
        value(self, x) = {
            let (lo, hi) = (R::of(self.0), R::of(self.1));
            let y = if x < lo { lo } else { x };
            if y > hi { hi } else { y }
        };
        derivative(self, x, _y) = {
            let one = if x < R::of(self.0) { R::zero() } else { R::one() };
            if x > R::of(self.1) { R::zero() } else { one }
        };
        samples = [(Clamp(-0.25, 0.125), Nonzero, ENDS), (Clamp(f64::NEG_INFINITY, 0.125), Nonzero, ENDS)];
        fn attributes(self) -> String {
            format!(" {} {}", self.0, self.1)
        }
        fn refuse(self) -> Result<(), String> {
            if self.0 <= self.1 { Ok(()) } else { Err("a lower end that does not lie above the upper end".to_string()) }
        }
        fn refused() -> Vec<(Self, &'static str)> {
            vec![(Clamp(1.0, 0.0), "lower end"), (Clamp(f64::NAN, 0.0), "lower end")]
        }
    }

    /// The error function 2/sqrt(pi) int_0^x e^(-t^2) dt.
    struct Erf = "erf", flops 1, reads Inputs {
        value(self, x) = x.erf_lane::<FMA>();
        derivative(self, x, _y) = R::of(std::f64::consts::FRAC_2_SQRT_PI) * (-(x * x)).exp_lane::<FMA>();
        samples = [(Erf, Line, WIDE)];
    }
}

/// x^c; the usual exponents without a call.
#[inline(always)]
fn power<R: Real>(x: R, c: f64) -> R {
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
