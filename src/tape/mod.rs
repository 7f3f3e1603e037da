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
//! # Rounding
//! A long sum is a tree, whose error grows like the logarithm of the number of terms (Higham, *Accuracy and Stability of
//! Numerical Algorithms*, 4.2). Sums over contiguous numbers: leaves of 512, inside a leaf 16 interleaved running sums folded in
//! halves. Sums over rows (bias gradients, broadcasting): leaves of 64 rows in order. Leaves are joined pairwise from the left.
//! Matrix products add up blocks of 256 terms in order, then the blocks in order, also where the product is added to what is
//! there. Convolutions add up blocks of at most 288 terms in order (weights' gradients: of 128 pixels), then the blocks in order;
//! with at most four output channels a group, 16 interleaved running sums folded in halves. Every order is a function of the shapes alone, so replays are equal to the last bit on a given
//! [level](crate::simd::Level), on any number of threads.

mod blocks;
mod broadcast;
pub mod check;
mod conv;
mod gemm;
mod lanes;
mod op;
mod ops;
#[cfg(test)]
mod planted;
mod program;
mod recorder;
mod sums;
mod table;
mod workspace;

pub use blocks::Blocks;
pub use op::{Adjoints, Checked, MAX_RANK, Op, Operands, Output, Point, Reads, Registered, Sample};
pub use ops::{Activation, AveragePool, Conv2d, ConvTranspose2d, UpsampleNearest, registry};
pub use program::Program;
pub use recorder::Recorder;
pub use table::{Row, Statistics};
pub use workspace::Workspace;

pub(crate) use gemm::{Matrix, Packed, pack, packed_len};
pub(crate) use ops::linear_rows;
pub(crate) use sums::sum_of;
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
