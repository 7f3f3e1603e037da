//! Functions of one tensor, element by element. One block each: value, derivative, samples.

use super::{Activation, Chain};
use crate::Real;
use crate::simd::{Kernel, dispatch};
use crate::tape::lanes;
use crate::tape::op::{Adjoints, Checked, Op, Operands, Output, Point, Reads, Registered, Sample};

/// y = f(x).
pub trait Function: Copy + Send + Sync + 'static {
    /// Its name.
    const NAME: &'static str;
    /// Operations an element.
    const FLOPS: u64;
    /// Whether the derivative is computed from x, from y, or is constant.
    const READS: Reads;
    /// The activation of a layer that it is, if it is one: then it is fused into the layer.
    const ACTIVATION: Option<Activation> = None;
    /// Its attribute, if it has one.
    fn constant(self) -> Option<f64> {
        None
    }
    /// f(x).
    fn value<R: Real, const FMA: bool>(self, x: R) -> R;
    /// f'(x); `y` = f(x).
    fn derivative<R: Real, const FMA: bool>(self, x: R, y: R) -> R;
    /// The function with an attribute, for the check, and its points: ordinary, and the largest sensible.
    fn sample() -> (Self, &'static [f64]);
}

/// A [`Function`] as an operation.
#[derive(Clone, Copy)]
pub struct Map<F>(pub F);

const WIDE: &[f64] = &[-800.0, -30.0, -1.0, -1e-3, 0.0, 1e-3, 1.0, 30.0, 800.0];
const POSITIVE: &[f64] = &[0.1, 0.5, 1.0, 3.0, 800.0];

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
    fn sample() -> (Self, &'static [f64]) {
        (Neg, WIDE)
    }
}

/// c x.
#[derive(Clone, Copy)]
pub struct Scale(pub f64);
impl Function for Scale {
    const NAME: &'static str = "scale";
    const FLOPS: u64 = 1;
    const READS: Reads = Reads::Nothing;
    fn constant(self) -> Option<f64> {
        Some(self.0)
    }
    #[inline(always)]
    fn value<R: Real, const FMA: bool>(self, x: R) -> R {
        R::of(self.0) * x
    }
    #[inline(always)]
    fn derivative<R: Real, const FMA: bool>(self, _x: R, _y: R) -> R {
        R::of(self.0)
    }
    fn sample() -> (Self, &'static [f64]) {
        (Scale(-1.75), WIDE)
    }
}

/// x + c.
#[derive(Clone, Copy)]
pub struct Shift(pub f64);
impl Function for Shift {
    const NAME: &'static str = "shift";
    const FLOPS: u64 = 1;
    const READS: Reads = Reads::Nothing;
    fn constant(self) -> Option<f64> {
        Some(self.0)
    }
    #[inline(always)]
    fn value<R: Real, const FMA: bool>(self, x: R) -> R {
        x + R::of(self.0)
    }
    #[inline(always)]
    fn derivative<R: Real, const FMA: bool>(self, _x: R, _y: R) -> R {
        R::one()
    }
    fn sample() -> (Self, &'static [f64]) {
        (Shift(0.3), WIDE)
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
    fn sample() -> (Self, &'static [f64]) {
        (Square, WIDE)
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
    fn sample() -> (Self, &'static [f64]) {
        (Sqrt, POSITIVE)
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
    fn sample() -> (Self, &'static [f64]) {
        (Exp, &[-700.0, -30.0, -1.0, 0.0, 1.0, 30.0, 700.0])
    }
}

/// ln x, by the standard library: right for zero, negative and subnormal numbers too.
#[derive(Clone, Copy)]
pub struct Log;
impl Function for Log {
    const NAME: &'static str = "log";
    const FLOPS: u64 = 1;
    const READS: Reads = Reads::Inputs;
    #[inline(always)]
    fn value<R: Real, const FMA: bool>(self, x: R) -> R {
        x.ln()
    }
    #[inline(always)]
    fn derivative<R: Real, const FMA: bool>(self, x: R, _y: R) -> R {
        R::one() / x
    }
    fn sample() -> (Self, &'static [f64]) {
        (Log, POSITIVE)
    }
}

/// sin x, by the standard library: right for every angle.
#[derive(Clone, Copy)]
pub struct Sin;
impl Function for Sin {
    const NAME: &'static str = "sin";
    const FLOPS: u64 = 1;
    const READS: Reads = Reads::Inputs;
    #[inline(always)]
    fn value<R: Real, const FMA: bool>(self, x: R) -> R {
        x.sin()
    }
    #[inline(always)]
    fn derivative<R: Real, const FMA: bool>(self, x: R, _y: R) -> R {
        x.cos()
    }
    fn sample() -> (Self, &'static [f64]) {
        (Sin, WIDE)
    }
}

/// cos x, by the standard library: right for every angle.
#[derive(Clone, Copy)]
pub struct Cos;
impl Function for Cos {
    const NAME: &'static str = "cos";
    const FLOPS: u64 = 1;
    const READS: Reads = Reads::Inputs;
    #[inline(always)]
    fn value<R: Real, const FMA: bool>(self, x: R) -> R {
        x.cos()
    }
    #[inline(always)]
    fn derivative<R: Real, const FMA: bool>(self, x: R, _y: R) -> R {
        -x.sin()
    }
    fn sample() -> (Self, &'static [f64]) {
        (Cos, WIDE)
    }
}

/// tanh x.
#[derive(Clone, Copy)]
pub struct Tanh;
impl Function for Tanh {
    const NAME: &'static str = "tanh";
    const FLOPS: u64 = 5;
    const READS: Reads = Reads::Inputs;
    const ACTIVATION: Option<Activation> = Some(Activation::Tanh);
    #[inline(always)]
    fn value<R: Real, const FMA: bool>(self, x: R) -> R {
        lanes::tanh::<R, FMA>(x).0
    }
    #[inline(always)]
    fn derivative<R: Real, const FMA: bool>(self, x: R, _y: R) -> R {
        lanes::tanh::<R, FMA>(x).1
    }
    fn sample() -> (Self, &'static [f64]) {
        (Tanh, WIDE)
    }
}

/// 1/(1 + e^-x).
#[derive(Clone, Copy)]
pub struct Sigmoid;
impl Function for Sigmoid {
    const NAME: &'static str = "sigmoid";
    const FLOPS: u64 = 3;
    const READS: Reads = Reads::Inputs;
    #[inline(always)]
    fn value<R: Real, const FMA: bool>(self, x: R) -> R {
        lanes::sigmoid::<R, FMA>(x).0
    }
    #[inline(always)]
    fn derivative<R: Real, const FMA: bool>(self, x: R, _y: R) -> R {
        lanes::sigmoid::<R, FMA>(x).1
    }
    fn sample() -> (Self, &'static [f64]) {
        (Sigmoid, WIDE)
    }
}

/// x/(1 + e^-x).
#[derive(Clone, Copy)]
pub struct Silu;
impl Function for Silu {
    const NAME: &'static str = "silu";
    const FLOPS: u64 = 4;
    const READS: Reads = Reads::Inputs;
    const ACTIVATION: Option<Activation> = Some(Activation::Silu);
    #[inline(always)]
    fn value<R: Real, const FMA: bool>(self, x: R) -> R {
        lanes::silu::<R, FMA>(x).0
    }
    #[inline(always)]
    fn derivative<R: Real, const FMA: bool>(self, x: R, _y: R) -> R {
        lanes::silu::<R, FMA>(x).1
    }
    fn sample() -> (Self, &'static [f64]) {
        (Silu, WIDE)
    }
}

/// ln(1 + e^x), whose derivative is the sigmoid.
#[derive(Clone, Copy)]
pub struct Softplus;
impl Function for Softplus {
    const NAME: &'static str = "softplus";
    const FLOPS: u64 = 4;
    const READS: Reads = Reads::Inputs;
    #[inline(always)]
    fn value<R: Real, const FMA: bool>(self, x: R) -> R {
        lanes::softplus::<R, FMA>(x)
    }
    #[inline(always)]
    fn derivative<R: Real, const FMA: bool>(self, x: R, _y: R) -> R {
        lanes::sigmoid::<R, FMA>(x).0
    }
    fn sample() -> (Self, &'static [f64]) {
        (Softplus, WIDE)
    }
}

struct Forward<'a, F, R>(F, &'a [R], &'a mut [R]);
impl<F: Function, R: Real> Kernel for Forward<'_, F, R> {
    type Output = ();
    #[inline(always)]
    fn run<const FMA: bool>(self) {
        for (y, x) in self.2.iter_mut().zip(self.1) {
            *y = self.0.value::<R, FMA>(*x);
        }
    }
}

struct Backward<'a, F, R> {
    f: F,
    x: &'a [R],
    y: &'a [R],
    dy: &'a [R],
    dx: &'a mut [R],
    fresh: bool,
}
impl<F: Function, R: Real> Kernel for Backward<'_, F, R> {
    type Output = ();
    #[inline(always)]
    fn run<const FMA: bool>(self) {
        let Backward { f, x, y, dy, dx, fresh } = self;
        let terms = x.iter().zip(y).zip(dy);
        if fresh {
            for (dx, ((x, y), dy)) in dx.iter_mut().zip(terms) {
                *dx = *dy * f.derivative::<R, FMA>(*x, *y);
            }
        } else {
            for (dx, ((x, y), dy)) in dx.iter_mut().zip(terms) {
                *dx += *dy * f.derivative::<R, FMA>(*x, *y);
            }
        }
    }
}

impl<R: Real, F: Function> Op<R> for Map<F>
where
    Map<F>: Registered,
{
    fn name(&self) -> &'static str {
        F::NAME
    }
    fn label(&self) -> String {
        self.0.constant().map_or_else(|| F::NAME.to_string(), |c| format!("{} {c}", F::NAME))
    }
    fn shape(&self, x: &[&[usize]]) -> Result<Vec<usize>, String> {
        match x {
            [x] => Ok(x.to_vec()),
            _ => Err("one input".to_string()),
        }
    }
    fn reads(&self) -> Reads {
        F::READS
    }
    fn absorb(&self, _at: usize, producer: &dyn Op<R>) -> Option<Box<dyn Op<R>>> {
        producer.with_activation(F::ACTIVATION?)
    }
    fn chain(&self) -> Option<Chain<R>> {
        Some(Chain::one(*self, 1))
    }
    fn flops(&self, _x: &[&[usize]], y: &[usize]) -> u64 {
        F::FLOPS * y.iter().product::<usize>() as u64
    }
    fn forward(&self, x: Operands<'_, R>, out: Output<'_, R>) {
        dispatch(Forward(self.0, x.value(0), out.y));
    }
    fn vjp(&self, x: Operands<'_, R>, at: Point<'_, R>, dx: &mut Adjoints<'_, R>) {
        if let Some((dx, fresh)) = dx.slot(0) {
            dispatch(Backward { f: self.0, x: x.value(0), y: at.y, dy: at.dy, dx, fresh });
        }
    }
}

impl<F: Function> Checked for Map<F> {
    fn samples() -> Vec<(Self, Vec<Sample>)> {
        let (f, points) = F::sample();
        let shapes: [&[usize]; 5] = [&[3, 5], &[2, 1, 7], &[37], &[0, 4], &[]];
        let positive = points.iter().all(|x| *x > 0.0);
        let ordinary = shapes.iter().map(|s| if positive { Sample::positive(s, 0) } else { Sample::normal(s, 0) });
        ordinary.chain([Sample::points(points)]).map(|s| (Map(f), vec![s])).collect()
    }
    fn refusals() -> Vec<(Self, Vec<Vec<usize>>, &'static str)> {
        vec![(Map(F::sample().0), vec![vec![2], vec![2]], "one input")]
    }
}
