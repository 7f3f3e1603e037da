//! Activation functions, element by element.

use super::function::functions;
use super::map::Domain::{Line, Nonzero};
use super::map::{KINKED, Map, WIDE};
use crate::kernels::Activation;
use crate::kernels::lanes;
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

functions! {
    /// tanh x.
    struct Tanh = "tanh", flops 5, reads Inputs {
        value(self, x) = lanes::tanh::<R, FMA>(x).0;
        derivative(self, x, _y) = lanes::tanh::<R, FMA>(x).1;
        samples = [(Tanh, Line, WIDE)];
        const ACTIVATION: Option<Activation> = Some(Activation::Tanh);
    }

    /// 1/(1 + e^-x).
    struct Sigmoid = "sigmoid", flops 3, reads Inputs {
        value(self, x) = lanes::sigmoid::<R, FMA>(x).0;
        derivative(self, x, _y) = lanes::sigmoid::<R, FMA>(x).1;
        samples = [(Sigmoid, Line, WIDE)];
    }

    /// x/(1 + e^-x).
    struct Silu = "silu", flops 4, reads Inputs {
        value(self, x) = lanes::silu::<R, FMA>(x).0;
        derivative(self, x, _y) = lanes::silu::<R, FMA>(x).1;
        samples = [(Silu, Line, WIDE)];
        const ACTIVATION: Option<Activation> = Some(Activation::Silu);
    }

    /// ln(1 + e^x), whose derivative is the sigmoid.
    struct Softplus = "softplus", flops 4, reads Inputs {
        value(self, x) = lanes::softplus::<R, FMA>(x);
        derivative(self, x, _y) = lanes::sigmoid::<R, FMA>(x).0;
        samples = [(Softplus, Line, WIDE)];
    }

    /// x Phi(x), Phi the normal law's distribution function (Hendrycks and Gimpel 2016).
    struct Gelu = "gelu", flops 3, reads Inputs {
        value(self, x) = lanes::gelu::<R, FMA>(x).0;
        derivative(self, x, _y) = lanes::gelu::<R, FMA>(x).1;
        samples = [(Gelu, Line, WIDE)];
    }

    /// x (1 + tanh(sqrt(2/pi) (x + 0.044715 x^3)))/2.
    struct GeluTanh = "gelu_tanh", flops 8, reads Inputs {
        value(self, x) = lanes::gelu_tanh::<R, FMA>(x).0;
        derivative(self, x, _y) = lanes::gelu_tanh::<R, FMA>(x).1;
        samples = [(GeluTanh, Line, WIDE)];
    }

    /// max(x, 0); the derivative at 0 is 0. NaN stays NaN.
    struct Relu = "relu", flops 1, reads Result {
        value(self, x) = if x < R::zero() { R::zero() } else { x };
        derivative(self, _x, y) = if y > R::zero() { R::one() } else { R::zero() };
        samples = [(Relu, Nonzero, KINKED)];
    }
}
