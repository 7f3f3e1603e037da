//! The operations, and the list of them.

mod activations;
mod broadcast_to;
mod chain;
mod concat;
mod conv;
mod conv_transpose;
mod cross_entropy;
mod elementary;
mod flip;
mod function;
mod gather;
mod index;
mod linear;
mod map;
mod matmul;
mod normalise;
mod outer;
mod pad;
mod permute;
mod pool;
mod reduce;
mod reshape;
mod row_dot;
mod row_norm;
mod slice;
mod softmax;
mod stop;
mod window;
mod zip;

pub use activations::{Gelu, GeluTanh, Relu, Sigmoid, Silu, Softplus, Tanh};
pub use broadcast_to::BroadcastTo;
pub use chain::Chain;
pub use concat::Concat;
pub use conv::Conv2d;
pub use conv_transpose::ConvTranspose2d;
pub use cross_entropy::{CrossEntropy, SoftCrossEntropy};
pub use elementary::{Abs, Clamp, Cos, Erf, Exp, Log, Neg, Pow, Scale, Shift, Sin, Sqrt, Square};
pub use gather::Gather;
pub use linear::{Activation, Linear, linear_rows};
pub use map::Map;
pub use matmul::MatMul;
pub use normalise::{Normalise, layer_norm_room, layer_norm_rows};
pub use outer::Outer;
pub use pad::Pad;
pub use permute::Permute;
pub use pool::{AveragePool, UpsampleNearest};
pub use reduce::Reduce;
pub use reshape::Reshape;
pub use row_dot::RowDot;
pub use row_norm::RowNorm;
pub use slice::Slice;
pub use softmax::Softmax;
pub use stop::Stop;
pub use zip::{Add, Div, Max, Min, Mul, Sub, Zip};

/// The registry: what is named here is an operation and is checked, what is not does not compile as one.
macro_rules! ops {
    ($($op:ty),+ $(; $($generic:ident<R>),+)? $(,)?) => {
        $(impl $crate::tape::op::Registered for $op {})+
        $($(impl<R: $crate::Real> $crate::tape::op::Registered for $generic<R> {})+)?
        /// Every operation with its samples and refusals, for [`check`](crate::tape::check).
        pub fn registry<R: $crate::Real>() -> Vec<$crate::tape::check::Entry<R>> {
            vec![
                $($crate::tape::check::Entry::of::<$op>(stringify!($op)),)+
                $($($crate::tape::check::Entry::of::<$generic<R>>(stringify!($generic))),+)?
            ]
        }
    };
}
#[cfg(test)]
pub(super) use ops;

ops![
    Zip<Add>,
    Zip<Sub>,
    Zip<Mul>,
    Zip<Div>,
    Zip<Max>,
    Zip<Min>,
    Map<Neg>,
    Map<Scale>,
    Map<Shift>,
    Map<Square>,
    Map<Sqrt>,
    Map<Exp>,
    Map<Log>,
    Map<Sin>,
    Map<Cos>,
    Map<Tanh>,
    Map<Sigmoid>,
    Map<Silu>,
    Map<Softplus>,
    Map<Pow>,
    Map<Abs>,
    Map<Clamp>,
    Map<Erf>,
    Map<Relu>,
    Map<Gelu>,
    Map<GeluTanh>,
    Stop,
    Reduce,
    RowDot,
    Softmax,
    CrossEntropy,
    SoftCrossEntropy,
    MatMul,
    Linear,
    Normalise,
    Outer,
    RowNorm,
    Concat,
    Slice,
    Pad,
    Reshape,
    Permute,
    flip::Flip,
    BroadcastTo,
    Gather,
    Conv2d,
    ConvTranspose2d,
    AveragePool,
    UpsampleNearest;
    Chain<R>
];
