//! Data parallelism: one program, several blocks of rows, gradients added in a fixed order.

use super::program::Program;
use super::workspace::{Workspace, zeros};
use crate::{Error, Real, Result};
use rayon::prelude::*;

/// Several workspaces of one program, each with its own gradient.
///
/// A batch is cut into a fixed number of blocks of equal shape, the program is recorded for one block, and the blocks are
/// replayed on as many threads as there are. The gradients are added in the order of the blocks, pairwise: the result depends on
/// the number of blocks, not on the number of threads.
///
/// ```
/// use ndsm::tape::{Blocks, Recorder};
/// // d/dw sum (w x)^2 over 6 rows, in 3 blocks of 2.
/// let mut r = Recorder::<f64>::new();
/// let (x, w) = (r.input("x", &[2])?, r.parameter("w", &[1])?);
/// let y = r.mul(x, w)?;
/// let y2 = r.square(y)?;
/// let loss = r.sum(y2)?;
/// let program = r.finish();
/// let rows = [1.0, 2.0, 3.0, 4.0, 5.0, 6.0];
/// let (params, mut grad) = ([0.5], [0.0]);
/// let mut blocks = Blocks::new(&program, 3)?;
/// blocks.run(&params, &mut grad, |block, params, ws, grad| {
///     ws.input_mut(x)?.copy_from_slice(&rows[2 * block..2 * block + 2]);
///     program.forward(params, ws)?;
///     program.backward(params, ws, &[(loss, &[1.0])], grad)
/// })?;
/// assert_eq!(grad, [91.0]); // 2 w sum x^2
/// # Ok::<(), ndsm::Error>(())
/// ```
pub struct Blocks<R> {
    blocks: Vec<Block<R>>,
}

struct Block<R> {
    ws: Workspace<R>,
    /// Unused if it is the only block: the work then goes to the caller's gradient.
    grad: Vec<R>,
    result: Result<()>,
}

impl<R: Real> Blocks<R> {
    /// Memory for `count` >= 1 blocks.
    ///
    /// # Errors
    /// If `count` is 0 or memory does not suffice.
    pub fn new(program: &Program<R>, count: usize) -> Result<Self> {
        if count == 0 {
            return Err(Error::invalid("blocks", ">= 1", count));
        }
        let grad = if count > 1 { program.parameter_count() } else { 0 };
        let block = |_| Ok(Block { ws: program.workspace()?, grad: zeros(grad)?, result: Ok(()) });
        Ok(Blocks { blocks: (0..count).map(block).collect::<Result<Vec<_>>>()? })
    }

    /// Calls `work(block, params, workspace, gradient)` for every block, which adds its gradient to `gradient` (zero at first);
    /// then overwrites `grad` by the sum. With one block or one thread it is a plain loop that allocates nothing.
    ///
    /// # Errors
    /// The first block's that has one; or if the length of `grad` is not the program's number of parameters.
    pub fn run<F>(&mut self, params: &[R], grad: &mut [R], work: F) -> Result<()>
    where
        F: Fn(usize, &[R], &mut Workspace<R>, &mut [R]) -> Result<()> + Sync,
    {
        let expected = self.blocks[0].ws.program.parameter_count;
        if grad.len() != expected {
            return Err(Error::invalid("blocks: gradient", format!("{expected} numbers long"), grad.len()));
        }
        if let [only] = &mut self.blocks[..] {
            grad.fill(R::zero());
            return work(0, params, &mut only.ws, grad);
        }
        let one = |(i, block): (usize, &mut Block<R>)| {
            block.grad.fill(R::zero());
            block.result = work(i, params, &mut block.ws, &mut block.grad);
        };
        if rayon::current_num_threads() == 1 {
            self.blocks.iter_mut().enumerate().for_each(one);
        } else {
            self.blocks.par_iter_mut().enumerate().for_each(one);
        }
        for block in &mut self.blocks {
            std::mem::replace(&mut block.result, Ok(()))?;
        }
        // Blocks 0 and 1, 2 and 3, ..., then the pairs, ...: in place.
        let mut apart = 1;
        while apart < self.blocks.len() {
            for pair in self.blocks.chunks_mut(2 * apart) {
                if let Some((left, right)) = pair.split_at_mut_checked(apart) {
                    if let (Some(left), Some(right)) = (left.first_mut(), right.first()) {
                        left.grad.iter_mut().zip(&right.grad).for_each(|(l, r)| *l += *r);
                    }
                }
            }
            apart *= 2;
        }
        grad.copy_from_slice(&self.blocks[0].grad);
        Ok(())
    }

    /// How many blocks there are.
    pub fn count(&self) -> usize {
        self.blocks.len()
    }

    /// The workspaces, in the order of the blocks: to read results.
    pub fn workspaces(&self) -> impl ExactSizeIterator<Item = &Workspace<R>> {
        self.blocks.iter().map(|b| &b.ws)
    }
}
