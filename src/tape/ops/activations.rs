//! Activation functions, element by element. One block each: value, derivative, samples.

use super::Activation;
use super::map::{Domain, Function, KINKED, Map, WIDE};
use crate::Real;
use crate::tape::lanes;
use crate::tape::op::Reads;
use crate::tape::recorder::methods;

methods! {
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
    fn samples() -> Vec<(Self, Domain, &'static [f64])> {
        vec![(Tanh, Domain::Line, WIDE)]
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
    fn samples() -> Vec<(Self, Domain, &'static [f64])> {
        vec![(Sigmoid, Domain::Line, WIDE)]
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
    fn samples() -> Vec<(Self, Domain, &'static [f64])> {
        vec![(Silu, Domain::Line, WIDE)]
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
    fn samples() -> Vec<(Self, Domain, &'static [f64])> {
        vec![(Softplus, Domain::Line, WIDE)]
    }
}

/// x Phi(x), Phi the normal law's distribution function (Hendrycks and Gimpel 2016).
#[derive(Clone, Copy)]
pub struct Gelu;
impl Function for Gelu {
    const NAME: &'static str = "gelu";
    const FLOPS: u64 = 3;
    const READS: Reads = Reads::Inputs;
    #[inline(always)]
    fn value<R: Real, const FMA: bool>(self, x: R) -> R {
        lanes::gelu::<R, FMA>(x).0
    }
    #[inline(always)]
    fn derivative<R: Real, const FMA: bool>(self, x: R, _y: R) -> R {
        lanes::gelu::<R, FMA>(x).1
    }
    fn samples() -> Vec<(Self, Domain, &'static [f64])> {
        vec![(Gelu, Domain::Line, WIDE)]
    }
}

/// x (1 + tanh(sqrt(2/pi) (x + 0.044715 x^3)))/2.
#[derive(Clone, Copy)]
pub struct GeluTanh;
impl Function for GeluTanh {
    const NAME: &'static str = "gelu_tanh";
    const FLOPS: u64 = 8;
    const READS: Reads = Reads::Inputs;
    #[inline(always)]
    fn value<R: Real, const FMA: bool>(self, x: R) -> R {
        lanes::gelu_tanh::<R, FMA>(x).0
    }
    #[inline(always)]
    fn derivative<R: Real, const FMA: bool>(self, x: R, _y: R) -> R {
        lanes::gelu_tanh::<R, FMA>(x).1
    }
    fn samples() -> Vec<(Self, Domain, &'static [f64])> {
        vec![(GeluTanh, Domain::Line, WIDE)]
    }
}

/// max(x, 0); the derivative at 0 is 0. NaN stays NaN.
#[derive(Clone, Copy)]
pub struct Relu;
impl Function for Relu {
    const NAME: &'static str = "relu";
    const FLOPS: u64 = 1;
    const READS: Reads = Reads::Result;
    #[inline(always)]
    fn value<R: Real, const FMA: bool>(self, x: R) -> R {
        if x < R::zero() { R::zero() } else { x }
    }
    #[inline(always)]
    fn derivative<R: Real, const FMA: bool>(self, _x: R, y: R) -> R {
        if y > R::zero() { R::one() } else { R::zero() }
    }
    fn samples() -> Vec<(Self, Domain, &'static [f64])> {
        vec![(Relu, Domain::Nonzero, KINKED)]
    }
}
