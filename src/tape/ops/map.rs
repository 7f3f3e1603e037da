//! Functions of one tensor, element by element; what they compute is in `kernels/elementary.rs` and
//! `kernels/activation.rs`.

use super::{Linear, Normalise, chain};
use crate::Real;
use crate::kernels::Activation;
use crate::kernels::activation::{Gelu, GeluTanh, Relu, Sigmoid, Silu, Softplus, Tanh};
use crate::kernels::chain::Chain;
use crate::kernels::elementary::{Abs, Clamp, Cos, Erf, Exp, Log, Neg, Pow, Scale, Shift, Sin, Sqrt, Square};
use crate::kernels::map::{Function, Map, backward, forward, title};
use crate::tape::op::{Adjoints, Op, Operands, Output, Point, Reads, Registered, one};
use crate::tape::recorder::methods;
use crate::tape::sample::{Checked, Refusal, Sample};
use std::any::Any;

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
    /// Its numbers brought into `[range.0, range.1]`; the derivative is 1 there, ends included, and 0
    /// outside.
    clamp(x; range: (f64, f64)) = Map(Clamp(range.0, range.1));
    /// The error function.
    erf(x) = Map(Erf);
    /// Hyperbolic tangent.
    tanh(x) = Map(Tanh);
    /// 1/(1 + e^-x).
    sigmoid(x) = Map(Sigmoid);
    /// x/(1 + e^-x).
    silu(x) = Map(Silu);
    /// ln(1 + e^x).
    softplus(x) = Map(Softplus);
    /// max(x, 0); the derivative at 0 is 0.
    relu(x) = Map(Relu);
    /// x Phi(x), Phi the standard normal law's distribution function.
    gelu(x) = Map(Gelu);
    /// x (1 + tanh(sqrt(2/pi) (x + 0.044715 x^3)))/2, an approximation of [`Self::gelu`].
    gelu_tanh(x) = Map(GeluTanh);
}

impl<R: Real, F: Function> Op<R> for Map<F>
where
    Map<F>: Registered,
{
    fn name(&self) -> &'static str {
        F::NAME
    }
    fn label(&self) -> String {
        title(self.0)
    }
    fn shape(&self, x: &[&[usize]]) -> Result<Vec<usize>, String> {
        self.0.refuse()?;
        Ok(one(x)?.to_vec())
    }
    fn reads(&self) -> Reads {
        F::READS
    }
    fn fuse(&self, at: usize, producer: &dyn Op<R>) -> Option<Box<dyn Op<R>>> {
        let activated = F::ACTIVATION.and_then(|activation| activated(producer, activation));
        activated.or_else(|| chain::behind(Chain::one(*self, 1), at, producer))
    }
    fn flops(&self, _x: &[&[usize]], y: &[usize]) -> u64 {
        F::FLOPS * y.iter().product::<usize>() as u64
    }
    fn forward(&self, x: Operands<'_, R>, out: Output<'_, R>) {
        forward(self.0, x.value(0), out.y);
    }
    fn vjp(&self, x: Operands<'_, R>, at: Point<'_, R>, dx: &mut Adjoints<'_, R>) {
        if let Some((dx, fresh)) = dx.slot(0) {
            backward(self.0, [x.value(0), at.y, at.dy], dx, fresh);
        }
    }
}

/// A layer or a normalisation followed by an activation, in one pass.
fn activated<R: Real>(producer: &dyn Op<R>, activation: Activation) -> Option<Box<dyn Op<R>>> {
    let producer: &dyn Any = producer;
    if let Some(layer) = producer.downcast_ref::<Linear>() {
        return (layer.activation == Activation::Identity).then(|| Box::new(Linear { activation }) as Box<dyn Op<R>>);
    }
    let norm = producer.downcast_ref::<Normalise>().filter(|norm| norm.activation == Activation::Identity)?;
    Some(Box::new(Normalise { activation, ..*norm }))
}

/// Where a function is checked on random numbers.
#[derive(Clone, Copy)]
pub enum Domain {
    /// Normal numbers.
    Line,
    /// Of either sign, away from zero.
    Nonzero,
    /// Positive, away from zero.
    Positive,
}

/// What a function is checked on.
pub trait Sampled: Function {
    /// The function with attributes, where it is differentiable, and points: ordinary, and the largest
    /// sensible.
    fn samples() -> Vec<(Self, Domain, &'static [f64])>;
    /// Attributes that must be refused, each with words of the sentence.
    fn refused() -> Vec<(Self, &'static str)> {
        vec![]
    }
}

impl<F: Sampled> Checked for Map<F> {
    fn samples() -> Vec<(Self, Vec<Sample>)> {
        let shapes: [&[usize]; 5] = [&[3, 5], &[2, 1, 7], &[37], &[0, 4], &[]];
        let mut all = vec![];
        for (f, domain, points) in F::samples() {
            let random = match domain {
                Domain::Line => Sample::normal,
                Domain::Nonzero => Sample::away_from_zero,
                Domain::Positive => Sample::positive,
            };
            all.extend(shapes.iter().map(|s| (Map(f), vec![random(s, 0)])));
            all.push((Map(f), vec![Sample::points(points)]));
        }
        all
    }
    fn refusals() -> Vec<Refusal<Self>> {
        let inputs = F::samples().into_iter().map(|(f, ..)| (Map(f), vec![vec![2], vec![2]], "one input"));
        inputs.chain(F::refused().into_iter().map(|(f, words)| (Map(f), vec![vec![2]], words))).collect()
    }
}

/// Points for functions that are smooth everywhere.
const WIDE: &[f64] = &[-800.0, -30.0, -1.0, -1e-3, 0.0, 1e-3, 1.0, 30.0, 800.0];
/// Points for functions with a kink at 0.
const KINKED: &[f64] = &[-800.0, -30.0, -1.0, -0.1, 0.1, 1.0, 30.0, 800.0];
/// Points for functions of positive numbers.
const POSITIVE: &[f64] = &[0.1, 0.5, 1.0, 3.0, 800.0];
/// Angles on both sides of [`Real::TRIG_LIMIT`].
const ANGLES: &[f64] = &[-4e6, -1.1e6, -800.0, -30.0, -1.0, 0.0, 1e-3, 1.0, 30.0, 800.0, 4e4];
/// Points on both sides of the ends that [`Clamp`] is checked with.
const ENDS: &[f64] = &[-800.0, -1.0, -0.2, 0.0, 0.1, 0.2, 1.0, 800.0];

/// What each function is checked on, and attributes that it refuses.
macro_rules! samples {
    ($($f:ident: $(($op:expr, $domain:ident, $points:expr)),+ $(, refuses $(($bad:expr, $words:literal)),+)?;)+) => {
        $(impl Sampled for $f {
            fn samples() -> Vec<(Self, Domain, &'static [f64])> {
                vec![$(($op, Domain::$domain, $points)),+]
            }
            $(fn refused() -> Vec<(Self, &'static str)> {
                vec![$(($bad, $words)),+]
            })?
        })+
    };
}

samples! {
    Neg: (Neg, Line, WIDE);
    Scale: (Scale(-1.75), Line, WIDE);
    Shift: (Shift(0.3), Line, WIDE);
    Square: (Square, Line, WIDE);
    Sqrt: (Sqrt, Positive, POSITIVE);
    Exp: (Exp, Line, &[-700.0, -30.0, -1.0, 0.0, 1.0, 30.0, 700.0]);
    Log: (Log, Positive, POSITIVE);
    Sin: (Sin, Line, ANGLES);
    Cos: (Cos, Line, ANGLES);
    Pow: (Pow(2.5), Positive, POSITIVE), (Pow(-0.7), Positive, POSITIVE), (Pow(3.0), Line, WIDE),
        (Pow(4.0), Line, &[-30.0, -1.0, 0.0, 1.0, 30.0]), (Pow(-3.0), Nonzero, &[-30.0, -1.0, 1.0, 30.0]), (Pow(0.0), Line, WIDE),
        refuses (Pow(f64::NAN), "finite exponent"), (Pow(f64::INFINITY), "finite exponent");
    Abs: (Abs, Nonzero, KINKED);
    Clamp: (Clamp(-0.25, 0.125), Nonzero, ENDS), (Clamp(f64::NEG_INFINITY, 0.125), Nonzero, ENDS),
        refuses (Clamp(1.0, 0.0), "lower end"), (Clamp(f64::NAN, 0.0), "lower end");
    Erf: (Erf, Line, WIDE);
    Tanh: (Tanh, Line, WIDE);
    Sigmoid: (Sigmoid, Line, WIDE);
    Silu: (Silu, Line, WIDE);
    Softplus: (Softplus, Line, WIDE);
    Gelu: (Gelu, Line, WIDE);
    GeluTanh: (GeluTanh, Line, WIDE);
    Relu: (Relu, Nonzero, KINKED);
}
