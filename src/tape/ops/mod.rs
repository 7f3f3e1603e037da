//! The operations, and the list of them.

mod broadcast_to;
mod concat;
mod conv;
mod conv_transpose;
mod gather;
mod linear;
mod map;
mod matmul;
mod norm;
mod normalise;
mod outer;
mod pad;
mod permute;
mod pool;
mod reduce;
mod reshape;
mod slice;
mod window;
mod zip;

pub use broadcast_to::BroadcastTo;
pub use concat::Concat;
pub use conv::Conv2d;
pub use conv_transpose::ConvTranspose2d;
pub use gather::Gather;
pub use linear::{Activation, Linear, linear_rows};
pub use map::{Cos, Exp, Log, Map, Neg, Scale, Shift, Sigmoid, Silu, Sin, Softplus, Sqrt, Square, Tanh};
pub use matmul::MatMul;
pub use norm::RowNorm;
pub use normalise::{GroupNorm, LayerNorm};
pub use outer::Outer;
pub use pad::Pad;
pub use permute::Permute;
pub use pool::{AveragePool, UpsampleNearest};
pub use reduce::{Reduce, RowDot};
pub use reshape::Reshape;
pub use slice::Slice;
pub use zip::{Add, Div, Mul, Sub, Zip};

/// The registry: what is named here is an operation and is checked, what is not does not compile as one.
macro_rules! ops {
    ($($op:ty),+ $(,)?) => {
        $(impl $crate::tape::op::Registered for $op {})+
        /// Every operation with its samples and refusals, for [`check`](crate::tape::check).
        pub fn registry<R: $crate::Real>() -> Vec<$crate::tape::check::Entry<R>> {
            vec![$($crate::tape::check::Entry::of::<$op>(stringify!($op))),+]
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
    Reduce,
    RowDot,
    MatMul,
    Linear,
    GroupNorm,
    LayerNorm,
    Outer,
    RowNorm,
    Concat,
    Slice,
    Pad,
    Reshape,
    Permute,
    BroadcastTo,
    Gather,
    Conv2d,
    ConvTranspose2d,
    AveragePool,
    UpsampleNearest,
];
