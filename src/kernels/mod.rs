//! Loops over slices: what the operations of the [tape](crate::tape) and the evaluation of networks compute
//! with.
//!
//! | files | what the loops compute |
//! |---|---|
//! | `sums`, `broadcast` | sums in a fixed order; tensors whose axes repeat, and sums over these |
//! | `gemm`, `matmul`, `linear` | matrix products, batches of them, layers in one pass |
//! | `conv`, `pool` | convolutions, their adjoints and gradients; means over windows, repetition |
//! | `lanes`, `activation`, `elementary`, `map` | functions of one number: on lanes, by name, on slices |
//! | `zip`, `chain` | functions of two numbers; several functions in one pass over memory |
//! | `reduce`, `moments` | statistics along axes; normalisation |
//! | `rows`, `row_norm`, `softmax`, `cross_entropy` | products, norms, weights and losses of rows |
//! | `copy`, `permute`, `gather`, `index` | numbers that are moved: boxes, axes, rows by number |
//! | `dropout` | numbers that are kept or dropped at random |
//! | `gradients`, `memory` | where gradients go and what they are computed from; memory |
//!
//! # How a loop is written
//! A loop knows slices, sizes and attributes, and not who calls it. What it computes stands in one line above
//! it; the gradient's loop stands below that of the value and adds to what is there, or overwrites it where
//! it is told that what lies there is stale (`fresh`): that saves a pass over memory. Where several inputs
//! have gradients, they go to a [`Gradients`]. Working memory comes from the caller: nothing is allocated.
//!
//! A loop that matters is a [`Kernel`](crate::simd::Kernel): a struct of its slices and a `run` that is
//! compiled for three vector levels, and so is everything inlined into it. A function that is a type
//! parameter of a kernel multiplies the copies: where the loop around is large it is told the function as
//! `dyn` (as `broadcast` is its terms), so that only the flat inner loop is compiled for each.
//!
//! # Rounding
//! A long sum is a tree, whose error grows like the logarithm of the number of terms (Higham, *Accuracy and
//! Stability of Numerical Algorithms*, 4.2). Sums over contiguous numbers: leaves of 512, inside a leaf 16
//! interleaved running sums folded in halves. Sums over rows (bias gradients, broadcasting): leaves of 64
//! rows in order. Leaves are joined pairwise from the left. Matrix products add up blocks of 256 terms in
//! order, then the blocks in order, also where the product is added to what is there; where the result has at
//! most four columns and the left operand is not transposed, the terms of a block are 16 interleaved running
//! sums, folded in halves. Convolutions add up blocks of at most 288 terms in order (weights' gradients: of
//! 128 pixels), then the blocks in order; with at most four output channels a group, 16 interleaved running
//! sums folded in halves. Every order is a function of the shapes alone, so results are equal to the last bit
//! on a given [level](crate::simd::Level), on any number of threads.

pub(crate) mod activation;
pub(crate) mod broadcast;
pub(crate) mod chain;
pub(crate) mod conv;
pub(crate) mod copy;
pub(crate) mod cross_entropy;
pub(crate) mod dropout;
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
pub(crate) mod zip;

pub use activation::Activation;
pub use gradients::{Gradients, Reads};
