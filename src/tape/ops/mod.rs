//! The operations, and the list of them.

mod conv;
mod conv_transpose;
mod layout;
mod linear;
mod map;
mod matmul;
mod pool;
mod reduce;
mod zip;

pub use conv::Conv2d;
pub use conv_transpose::ConvTranspose2d;
pub use layout::{Concat, Rows};
pub use linear::{Activation, Linear, linear_rows};
pub use map::{Cos, Exp, Log, Map, Neg, Scale, Shift, Sigmoid, Silu, Sin, Softplus, Sqrt, Square, Tanh};
pub use matmul::MatMul;
pub use pool::{AveragePool, UpsampleNearest};
pub use reduce::{Reduce, RowDot};
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
    Concat,
    Rows,
    Conv2d,
    ConvTranspose2d,
    AveragePool,
    UpsampleNearest,
];
