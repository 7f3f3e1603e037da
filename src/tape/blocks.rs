//! Data parallelism: one program, several blocks of rows, gradients added in a fixed order.

use super::program::Program;
use super::workspace::Workspace;
use crate::kernels::memory::zeros;
use crate::par;
use crate::{Error, Real, Result};

/// Numbers of the gradient that are added up at a time.
const CHUNK: usize = 1024;
/// Numbers of the gradient below which the threads are not called for the sum: it takes less time than waking
/// them.
const PARALLEL: usize = 1 << 16;

/// What is done with a block: its number, the parameters, its workspace, its gradient.
type Work<'a, R> = &'a (dyn Fn(usize, &[R], &mut Workspace<R>, &mut [R]) -> Result<()> + Sync);

/// Several workspaces of one program, each with its own gradient.
///
/// A batch is cut into a fixed number of blocks of equal shape, the program is recorded for one block, and
/// the blocks are replayed on as many threads as there are. The gradients are added in the order of the
/// blocks, pairwise: the result depends on the number of blocks, not on the number of threads.
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

    /// Calls `work(block, params, workspace, gradient)` for every block, which adds its gradient to
    /// `gradient` (zero at first); then overwrites `grad` by the sum. With one block or one thread it is a
    /// plain loop that allocates nothing.
    ///
    /// # Errors
    /// The first block's that has one; or if the length of `grad` is not the program's number of parameters.
    pub fn run<F>(&mut self, params: &[R], grad: &mut [R], work: F) -> Result<()>
    where
        F: Fn(usize, &[R], &mut Workspace<R>, &mut [R]) -> Result<()> + Sync,
    {
        self.share(params, grad, &work)
    }

    /// [`Self::run`], compiled once for all kinds of work.
    fn share(&mut self, params: &[R], grad: &mut [R], work: Work<'_, R>) -> Result<()> {
        let expected = self.blocks[0].ws.program.parameter_count;
        if grad.len() != expected {
            return Err(Error::invalid("blocks: gradient", format!("{expected} numbers long"), grad.len()));
        }
        if let [only] = &mut self.blocks[..] {
            grad.fill(R::zero());
            return work(0, params, &mut only.ws, grad);
        }
        par::each(par::chunks_mut(&mut self.blocks, 1), |i, block| {
            let Block { ws, grad, result } = &mut block[0];
            grad.fill(R::zero());
            *result = work(i, params, ws, grad);
        });
        for block in &mut self.blocks {
            std::mem::replace(&mut block.result, Ok(()))?;
        }
        let blocks = &self.blocks;
        if grad.len() < PARALLEL {
            grad.chunks_mut(CHUNK).enumerate().for_each(|(chunk, to)| total(blocks, chunk * CHUNK, to));
        } else {
            par::each(par::chunks_mut(grad, CHUNK), |chunk, to| total(blocks, chunk * CHUNK, to));
        }
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

/// The sum of the blocks' gradients from number `from` on, at most CHUNK numbers, pairwise: the first half (a
/// power of two of blocks) plus the second.
fn total<R: Real>(blocks: &[Block<R>], from: usize, to: &mut [R]) {
    if let [only] = blocks {
        return to.copy_from_slice(&only.grad[from..][..to.len()]);
    }
    let (left, right) = blocks.split_at(blocks.len().next_power_of_two() / 2);
    total(left, from, to);
    if let [right] = right {
        return to.iter_mut().zip(&right.grad[from..]).for_each(|(l, r)| *l += *r);
    }
    let mut sum = [R::zero(); CHUNK];
    let sum = &mut sum[..to.len()];
    total(right, from, sum);
    to.iter_mut().zip(sum).for_each(|(l, r)| *l += *r);
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tape::{Activation, Recorder};

    #[test]
    fn the_gradient_does_not_depend_on_the_number_of_threads() {
        let (n, blocks) = (33, 5);
        let mut r = Recorder::<f32>::new();
        let x = r.input("x", &[n, 3]).unwrap();
        let (w, b) = (r.parameter("w", &[3, 7]).unwrap(), r.parameter("b", &[7]).unwrap());
        let y = r.linear(x, w, b, Activation::Tanh).unwrap();
        let loss = r.mean(y).unwrap();
        let program = r.finish();
        let draw = |len: usize, chunk: usize| {
            let mut v = vec![0f32; len];
            crate::rng::Stream::new(3, crate::rng::Purpose::Test, 0, chunk as u32).fill_normal(&mut v);
            v
        };
        let params = draw(28, 100);
        let run = |threads| {
            let mut all = Blocks::new(&program, blocks).unwrap();
            let mut grad = vec![f32::NAN; 28];
            let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
            let work = |i: usize, params: &[f32], ws: &mut Workspace<f32>, grad: &mut [f32]| {
                ws.input_mut(x)?.copy_from_slice(&draw(n * 3, i));
                program.forward(params, ws)?;
                program.backward(params, ws, &[(loss, &[1.0])], grad)
            };
            pool.install(|| all.run(&params, &mut grad, work)).unwrap();
            assert!(all.count() == blocks && all.workspaces().all(|ws| ws.value(loss).unwrap()[0] != 0.0));
            grad
        };
        let one = run(1);
        assert!(one.iter().all(|g| g.is_finite() && *g != 0.0));
        assert_eq!(one, run(2));
        assert_eq!(one, run(4));
    }

    #[test]
    fn all_blocks_are_added_for_any_count_and_errors_come_out() {
        let mut r = Recorder::<f64>::new();
        r.parameter("p", &[1]).unwrap();
        let program = r.finish();
        for count in 1..12 {
            let (mut blocks, mut grad) = (Blocks::new(&program, count).unwrap(), [f64::NAN]);
            for _ in 0..2 {
                let add = |i: usize, _: &[f64], _: &mut Workspace<f64>, g: &mut [f64]| {
                    g[0] += (i + 1) as f64;
                    Ok(())
                };
                blocks.run(&[0.0], &mut grad, add).unwrap();
                assert_eq!(grad, [(count * (count + 1) / 2) as f64]);
            }
            let fail = |i: usize, _: &[f64], _: &mut Workspace<f64>, _: &mut [f64]| {
                if i + 1 == count { Err(Error::refused("here", "no")) } else { Ok(()) }
            };
            assert_eq!(blocks.run(&[0.0], &mut grad, fail).unwrap_err().to_string(), "here: no");
        }
        assert!(Blocks::new(&program, 0).is_err());
        assert!(Blocks::new(&program, 1).unwrap().run(&[0.0], &mut [], |_, _, _, _| Ok(())).is_err());
    }
}
