//! The operations, and the list of them.

mod broadcast_to;
mod chain;
mod concat;
mod conv;
mod cross_entropy;
mod dropout;
mod flip;
mod gather;
mod linear;
mod linear_map;
mod map;
mod matmul;
mod moves;
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
mod upsample;
mod zip;

use crate::kernels::activation::{Gelu, GeluTanh, Relu, Sigmoid, Silu, Softplus, Tanh};
use crate::kernels::chain::Chain;
use crate::kernels::elementary::{Abs, Clamp, Cos, Erf, Exp, Log, Neg, Pow, Scale, Shift, Sin, Sqrt, Square};
use crate::kernels::map::Map;
use crate::kernels::zip::{Add, Div, Max, Min, Mul, Sub, Zip};
pub use conv::{Conv2d, ConvTranspose2d};
use linear::Linear;
pub use linear_map::LinearMap;
use matmul::MatMul;
use normalise::Normalise;
pub use pool::AveragePool;

/// The registry: what is named here is an operation and is checked, what is not does not compile as one.
macro_rules! ops {
    ($($op:ty),+ $(; $($generic:ident<R>),+)? $(,)?) => {
        $(impl $crate::tape::Registered for $op {})+
        $($(impl<R: $crate::Real> $crate::tape::Registered for $generic<R> {})+)?
        /// Every operation with its samples and refusals, for [the check](crate::audit::gradient).
        pub fn registry<R: $crate::Real>() -> Vec<$crate::tape::Entry<R>> {
            vec![
                $($crate::tape::Entry::of::<$op>(stringify!($op)),)+
                $($($crate::tape::Entry::of::<$generic<R>>(stringify!($generic))),+)?
            ]
        }
    };
}
#[cfg(test)]
pub(crate) use ops;

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
    stop::Stop,
    dropout::Dropout,
    reduce::Reduce,
    row_dot::RowDot,
    softmax::Softmax,
    cross_entropy::CrossEntropy,
    cross_entropy::SoftCrossEntropy,
    MatMul,
    Linear,
    Normalise,
    outer::Outer,
    row_norm::RowNorm,
    concat::Concat,
    slice::Slice,
    pad::Pad,
    reshape::Reshape,
    permute::Permute,
    flip::Flip,
    broadcast_to::BroadcastTo,
    gather::Gather,
    conv::Convolve,
    AveragePool,
    upsample::UpsampleNearest;
    Chain<R>, LinearMap<R>
];

#[cfg(test)]
mod tests {
    use super::registry;
    use std::path::Path;

    /// `operations.md` names what the registry has, in its order, and files that have these names.
    #[test]
    fn the_printed_table_is_the_registry() {
        let mut registered: Vec<&str> = vec![];
        for (op, _) in registry::<f64>().iter().flat_map(|entry| (entry.samples)()) {
            if !registered.contains(&op.name()) {
                registered.push(op.name());
            }
        }
        let rows = include_str!("../operations.md").lines().filter(|line| line.starts_with("| `"));
        let rows: Vec<Vec<&str>> = rows.map(|row| row.split('|').map(|cell| cell.trim().trim_matches(['`', '[', ']'])).collect()).collect();
        assert_eq!(rows.iter().map(|row| row[1]).collect::<Vec<_>>(), registered);
        let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
        for row in rows {
            let files =
                [source.join("tape").join(row[3]), source.join(row[4])].map(|file| std::fs::read_to_string(file).unwrap_or_default());
            let name = format!("\"{}\"", row[1]);
            assert!(files.iter().all(|f| !f.is_empty()) && files.iter().any(|f| f.contains(&name)), "{row:?}");
        }
    }
}
