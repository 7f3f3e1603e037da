//! Reverse-mode automatic differentiation: recorded once, replayed many times.
//!
//! The program of a training step never changes, so a [`Recorder`] writes it down once, as a list of nodes in
//! order of evaluation (a Wengert list). [`Program::forward`] evaluates the list for new inputs and
//! parameters, [`Program::backward`] runs it in reverse and adds the gradient to one flat vector. All memory
//! lies in a [`Workspace`]: a replay allocates nothing.
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
//! * *Fusion.* An operation takes over the one whose result it alone reads: a matrix product, a bias and an
//!   activation become one layer; a bias goes into the convolution before it, an activation into the
//!   normalisation; functions of single elements become one pass over memory. The program prints the node
//!   that a line went to.
//! * *Memory.* Every buffer gets its place from how long it is needed. What no vector-Jacobian product
//!   [reads](Op::reads) lives only until its last reader, an adjoint from the first that adds to it until its
//!   own turn. [`Program::memory`] tells the peak, and what a buffer for each node would take.
//!
//! Therefore only results can be read after a replay: what nothing on the tape reads, and what
//! [`Recorder::keep`] named. [`Program::trace`] replays and takes statistics of *every* value and adjoint at
//! the moment it is complete, and [`Recorder::finish_plain`] ends a recording without either.
//!
//! # Derivatives
//! One backward pass pulls any seeds back, and several may follow one forward pass: a Jacobian row by row, an
//! exact divergence. Second derivatives come from running the same recording on
//! [dual numbers](crate::real::Dual): [`SecondOrder`] gives Jacobian-vector and Hessian-vector products
//! without a second set of formulas.
//!
//! # Rounding
//! Every sum has an order that is a function of the shapes alone ([`kernels`](crate::kernels)): replays are
//! equal to the last bit on a given [level](crate::simd::Level), on any number of threads.
//!
//! # Noise
//! [Dropout](Recorder::dropout) is the one operation whose value is random. A replay's masks have a name,
//! the [`Noise`] that the workspace carries: the same name gives the same masks in every kind of numbers,
//! forward and backward, on any number of threads and however a batch is cut into blocks. Without a name
//! nothing is dropped.
//!
//! # An operation
//! is one struct in one file under `ops/`: what shapes it takes, which loops of the [kernels](crate::kernels)
//! compute its value and its vector-Jacobian product, the samples that it is checked on, and a method of the
//! [`Recorder`]; and a word in the registry in `ops/mod.rs`. What is not on that list does not compile as an
//! operation, and what is on it is put through [a check](crate::audit::gradient) by the tests and by
//! `ndsm audit tape`. Two operations that can be computed in one pass say so themselves ([`Op::fuse`]).
//!
//! # All operations
#![doc = include_str!("operations.md")]

mod blocks;
mod compare;
mod fuse;
mod hvp;
mod noise;
mod op;
mod ops;
mod plan;
mod program;
mod recorder;
mod sample;
mod table;
mod workspace;

pub use crate::kernels::Activation;
pub use blocks::Blocks;
pub use compare::{Comparison, Rounding, compare};
pub use hvp::{Record, SecondOrder};
pub use noise::Noise;
pub use op::{Adjoints, MAX_RANK, Op, Operands, Output, Point, Reads, Registered};
#[cfg(test)]
pub(crate) use ops::ops;
pub use ops::{AveragePool, Conv2d, ConvTranspose2d, LinearMap, registry};
pub use plan::Memory;
pub use program::Program;
pub use recorder::Recorder;
pub use sample::{Checked, Entry, Refusal, Sample};
pub use table::{Row, Statistics, Table};
pub use workspace::Workspace;

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
