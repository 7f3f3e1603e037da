//! Algebraic and elementary functions, element by element.

use super::map::functions;
use crate::Real;

functions! {
    /// -x.
    struct Neg = "neg", flops 1, reads Nothing {
        value(self, x) = -x;
        derivative(self, _x, _y) = -R::one();
    }

    /// c x.
    struct Scale(f64) = "scale", flops 1, reads Nothing {
        value(self, x) = R::of(self.0) * x;
        derivative(self, _x, _y) = R::of(self.0);
        fn attributes(self) -> String {
            format!(" {}", self.0)
        }
    }

    /// x + c.
    struct Shift(f64) = "shift", flops 1, reads Nothing {
        value(self, x) = x + R::of(self.0);
        derivative(self, _x, _y) = R::one();
        fn attributes(self) -> String {
            format!(" {}", self.0)
        }
    }

    /// x^2.
    struct Square = "square", flops 1, reads Inputs {
        value(self, x) = x * x;
        derivative(self, x, _y) = x + x;
    }

    /// The square root, x >= 0; its derivative 1/(2 y) is infinite at 0.
    struct Sqrt = "sqrt", flops 1, reads Result {
        value(self, x) = x.sqrt();
        derivative(self, _x, y) = R::one() / (y + y);
    }

    /// e^x.
    struct Exp = "exp", flops 1, reads Result {
        value(self, x) = x.exp_lane::<FMA>();
        derivative(self, _x, y) = y;
    }

    /// ln x: -infinity at 0, NaN below.
    struct Log = "log", flops 1, reads Inputs {
        value(self, x) = x.ln_lane::<FMA>();
        derivative(self, x, _y) = R::one() / x;
    }

    /// sin x. Right for every angle: beyond [`Real::TRIG_LIMIT`] by the standard library.
    struct Sin = "sin", flops 1, reads Inputs {
        value(self, x) = if self.within(x) { x.sin_lane::<FMA>() } else { x.sin() };
        derivative(self, x, _y) = if self.within(x) { x.cos_lane::<FMA>() } else { x.cos() };
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

    /// x^c. Defined for x > 0, for x = 0 (0, 1 or infinity as the limit is) and, for integer c, for x < 0;
    /// NaN elsewhere. Its derivative is c x^(c - 1), and zero for c = 0.
    struct Pow(f64) = "pow", flops 1, reads Inputs {
        value(self, x) = power(x, self.0);
        derivative(self, x, _y) = if self.0 == 0.0 { R::zero() } else { R::of(self.0) * power(x, self.0 - 1.0) };
        fn attributes(self) -> String {
            format!(" {}", self.0)
        }
        fn refuse(self) -> Result<(), String> {
            if self.0.is_finite() { Ok(()) } else { Err("a finite exponent".to_string()) }
        }
    }

    /// |x|; the derivative at 0 is 0.
    struct Abs = "abs", flops 1, reads Inputs {
        value(self, x) = x.abs();
        derivative(self, x, _y) = {
            let below = if x < R::zero() { -R::one() } else { R::zero() };
            if x > R::zero() { R::one() } else { below }
        };
    }

    /// min(max(x, lo), hi) of the ends lo and hi, which may be infinite; the derivative is 1 where lo <= x <=
    /// hi, ends included, and 0 elsewhere. NaN stays NaN.
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
        fn attributes(self) -> String {
            format!(" {} {}", self.0, self.1)
        }
        fn refuse(self) -> Result<(), String> {
            if self.0 <= self.1 { Ok(()) } else { Err("a lower end that does not lie above the upper end".to_string()) }
        }
    }

    /// The error function 2/sqrt(pi) int_0^x e^(-t^2) dt.
    struct Erf = "erf", flops 1, reads Inputs {
        value(self, x) = x.erf_lane::<FMA>();
        derivative(self, x, _y) = R::of(std::f64::consts::FRAC_2_SQRT_PI) * (-(x * x)).exp_lane::<FMA>();
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
