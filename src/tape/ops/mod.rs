//! The operations, and the list of them.

mod activations;
mod elementary;
mod layout;
mod linear;
mod map;
mod matmul;
mod reduce;
mod zip;

pub use activations::{Gelu, GeluTanh, Relu, Sigmoid, Silu, Softplus, Tanh};
pub use elementary::{Abs, Clamp, Copied, Cos, Erf, Exp, Log, Neg, Pow, Scale, Shift, Sin, Sqrt, Square};
pub use layout::{Concat, Rows};
pub use linear::{Activation, Linear, linear_rows};
pub use map::Map;
pub use matmul::MatMul;
pub use reduce::{Reduce, RowDot};
pub use zip::{Add, Div, Max, Min, Mul, Sub, Zip};

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
    Map<Copied>,
    Reduce,
    RowDot,
    MatMul,
    Linear,
    Concat,
    Rows,
];
