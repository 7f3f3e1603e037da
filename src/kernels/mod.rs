//! Loops over slices: what the operations of the [tape](crate::tape) and the evaluation of networks compute with.

pub(crate) mod activation;
pub(crate) mod broadcast;
pub(crate) mod conv;
pub(crate) mod gemm;
pub(crate) mod index;
pub(crate) mod lanes;
pub(crate) mod linear;
pub(crate) mod memory;
pub(crate) mod moments;
pub(crate) mod sums;
pub(crate) mod window;

pub use activation::Activation;
