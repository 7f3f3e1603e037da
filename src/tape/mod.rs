//! Reverse-mode automatic differentiation: recorded once, replayed many times.
//!
//! The program of a training step never changes, so a [`Recorder`] writes it down once, as a list of nodes in order of
//! evaluation (a Wengert list). [`Program::forward`] evaluates the list for new inputs and parameters, [`Program::backward`]
//! runs it in reverse and adds the gradient to one flat vector. All memory lies in a [`Workspace`]: a replay allocates nothing.
//!
//! ```
//! use ndsm::tape::Recorder;
//! // L = mean (x w)^2 for x = (1, 2; 3, 4), w = (1, -1): x w = (-1, -1), dL/dw = 2/2 x^T x w = (-4, -6).
//! let mut r = Recorder::<f64>::new();
//! let x = r.input("x", &[2, 2])?;
//! let w = r.parameter("w", &[2, 1])?;
//! let y = r.matmul(x, w)?;
//! let y2 = r.square(y)?;
//! let loss = r.mean(y2)?;
//! let program = r.finish();
//!
//! let mut ws = program.workspace()?;
//! ws.input_mut(x)?.copy_from_slice(&[1.0, 2.0, 3.0, 4.0]);
//! let (params, mut grad) = ([1.0, -1.0], [0.0; 2]);
//! program.forward(&params, &mut ws)?;
//! program.backward(&params, &mut ws, &[(loss, &[1.0])], &mut grad)?;
//! assert_eq!(ws.value(loss)?, [1.0]);
//! assert_eq!(grad, [-4.0, -6.0]);
//! # Ok::<(), ndsm::Error>(())
//! ```
//!
//! # From a recording to a program
//! [`Recorder::finish`] does two things, both visible in the table that a program [prints](Program::table):
//! * *Fusion.* An operation takes over the one whose result it alone reads: a matrix product, a bias and an activation become one
//!   layer; a bias goes into the convolution before it, an activation into the normalisation; functions of single elements become
//!   one pass over memory. The program prints the node that a line went to.
//! * *Memory.* Every buffer gets its place from how long it is needed. What no vector-Jacobian product
//!   [reads](Op::reads) lives only until its last reader, an adjoint from the first that adds to it until its own turn.
//!   [`Program::memory`] tells the peak, and what a buffer for each node would take.
//!
//! Therefore only results can be read after a replay: what nothing on the tape reads, and what [`Recorder::keep`] named.
//! [`Program::trace`] replays and takes statistics of *every* value and adjoint at the moment it is complete, and
//! [`Recorder::finish_plain`] ends a recording without either.
//!
//! # Derivatives
//! One backward pass pulls any seeds back, and several may follow one forward pass: a Jacobian row by row, an exact divergence.
//! Second derivatives come from running the same recording on [dual numbers](crate::real::Dual): [`SecondOrder`] gives
//! Jacobian-vector and Hessian-vector products without a second set of formulas.
//!
//! # An operation
//! is one struct in one file under `ops/`: what shapes it takes, its value, its vector-Jacobian product, the samples that it is
//! checked on, and a method of the [`Recorder`]; and a line in the registry in `ops/mod.rs`. What is not on that list does not
//! compile as an operation, and what is on it is put through [`check`] by the tests and by `ndsm audit tape`.
//!
//! # Rounding
//! A long sum is a tree, whose error grows like the logarithm of the number of terms (Higham, *Accuracy and Stability of
//! Numerical Algorithms*, 4.2). Sums over contiguous numbers: leaves of 512, inside a leaf 16 interleaved running sums folded in
//! halves. Sums over rows (bias gradients, broadcasting): leaves of 64 rows in order. Leaves are joined pairwise from the left.
//! Matrix products add up blocks of 256 terms in order, then the blocks in order, also where the product is added to what is
//! there; where the result has at most four columns and the left operand is not transposed, the terms of a block are 16
//! interleaved running sums, folded in halves. Convolutions add up blocks of at most 288 terms in order (weights' gradients: of
//! 128 pixels), then the blocks in order; with at most four output channels a group, 16 interleaved running sums folded in halves.
//! Every order is a function of the shapes alone, so replays are equal to the last bit on a given
//! [level](crate::simd::Level), on any number of threads.

mod blocks;
mod broadcast;
pub mod check;
mod compare;
mod conv;
mod fuse;
mod gemm;
mod hvp;
mod lanes;
mod moments;
mod op;
mod ops;
mod plan;
#[cfg(test)]
mod planted;
mod program;
mod recorder;
mod sums;
mod table;
mod workspace;

pub use blocks::Blocks;
pub use compare::{Comparison, Rounding, compare};
pub use hvp::{Record, SecondOrder};
pub use op::{Adjoints, Checked, MAX_RANK, Op, Operands, Output, Point, Reads, Registered, Sample};
pub use ops::{Activation, AveragePool, Chain, Conv2d, ConvTranspose2d, UpsampleNearest, registry};
pub use plan::Memory;
pub use program::Program;
pub use recorder::Recorder;
pub use table::{Row, Statistics, Table};
pub use workspace::Workspace;

pub(crate) use gemm::{Matrix, Packed, pack, packed_len};
pub(crate) use ops::{layer_norm_room, layer_norm_rows, linear_rows};
pub(crate) use workspace::zeros;

/// A tensor on a tape: an index, free to copy.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Var {
    tape: u64,
    index: usize,
}

/// A parameter's place in the flat vector of parameters.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Parameter {
    /// Its name, unique in its program.
    pub name: String,
    /// Its shape.
    pub shape: Vec<usize>,
    /// Index of its first element.
    pub offset: usize,
}

impl Parameter {
    /// Where its elements lie.
    pub fn range(&self) -> std::ops::Range<usize> {
        self.offset..self.offset + self.shape.iter().product::<usize>()
    }
}
