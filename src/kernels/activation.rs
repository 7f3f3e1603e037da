//! Activations: functions of single elements, and those that a layer and a normalisation compute in the same
//! pass.

use super::lanes;
use super::map::functions;

/// What follows an affine map.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Activation {
    /// Nothing.
    Identity,
    /// x/(1 + e^-x).
    Silu,
    /// tanh x.
    Tanh,
}

impl Activation {
    /// All of them.
    pub(crate) const ALL: [Activation; 3] = [Activation::Identity, Activation::Silu, Activation::Tanh];

    /// What the name of an operation is followed by.
    pub(crate) fn suffix(self) -> &'static str {
        match self {
            Activation::Identity => "",
            Activation::Silu => " silu",
            Activation::Tanh => " tanh",
        }
    }
}

functions! {
    /// tanh x.
    struct Tanh = "tanh", flops 5, reads Inputs {
        value(self, x) = lanes::tanh::<R, FMA>(x).0;
        derivative(self, x, _y) = lanes::tanh::<R, FMA>(x).1;
        const ACTIVATION: Option<Activation> = Some(Activation::Tanh);
    }

    /// 1/(1 + e^-x).
    struct Sigmoid = "sigmoid", flops 3, reads Inputs {
        value(self, x) = lanes::sigmoid::<R, FMA>(x).0;
        derivative(self, x, _y) = lanes::sigmoid::<R, FMA>(x).1;
    }

    /// x/(1 + e^-x).
    struct Silu = "silu", flops 4, reads Inputs {
        value(self, x) = lanes::silu::<R, FMA>(x).0;
        derivative(self, x, _y) = lanes::silu::<R, FMA>(x).1;
        const ACTIVATION: Option<Activation> = Some(Activation::Silu);
    }

    /// ln(1 + e^x), whose derivative is the sigmoid.
    struct Softplus = "softplus", flops 4, reads Inputs {
        value(self, x) = lanes::softplus::<R, FMA>(x);
        derivative(self, x, _y) = lanes::sigmoid::<R, FMA>(x).0;
    }

    /// x Phi(x), Phi the normal law's distribution function (Hendrycks and Gimpel 2016).
    struct Gelu = "gelu", flops 3, reads Inputs {
        value(self, x) = lanes::gelu::<R, FMA>(x).0;
        derivative(self, x, _y) = lanes::gelu::<R, FMA>(x).1;
    }

    /// x (1 + tanh(sqrt(2/pi) (x + 0.044715 x^3)))/2.
    struct GeluTanh = "gelu_tanh", flops 8, reads Inputs {
        value(self, x) = lanes::gelu_tanh::<R, FMA>(x).0;
        derivative(self, x, _y) = lanes::gelu_tanh::<R, FMA>(x).1;
    }

    /// max(x, 0); the derivative at 0 is 0. NaN stays NaN.
    struct Relu = "relu", flops 1, reads Result {
        value(self, x) = if x < R::zero() { R::zero() } else { x };
        derivative(self, _x, y) = if y > R::zero() { R::one() } else { R::zero() };
    }
}
