//! Loops over slices: what the operations of the [tape](crate::tape) and the evaluation of networks compute with.

pub(crate) mod activation;
pub(crate) mod broadcast;
pub(crate) mod chain;
pub(crate) mod conv;
pub(crate) mod cross_entropy;
pub(crate) mod elementary;
pub(crate) mod gather;
pub(crate) mod gemm;
mod gradients;
mod index;
pub(crate) mod lanes;
pub(crate) mod linear;
pub(crate) mod map;
pub(crate) mod matmul;
pub(crate) mod memory;
pub(crate) mod moments;
pub(crate) mod permute;
pub(crate) mod pool;
pub(crate) mod reduce;
pub(crate) mod row_norm;
pub(crate) mod rows;
pub(crate) mod softmax;
mod sums;
pub(crate) mod window;
pub(crate) mod zip;

pub use activation::Activation;
pub use gradients::{Gradients, Reads};
