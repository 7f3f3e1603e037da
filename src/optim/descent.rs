//! Descent over minibatches: how the small networks beside the score network are trained.

use super::{Adam, Decay, Schedule, State};
use crate::rng::{Purpose, Stream};
use crate::tape::{Blocks, Program, Var, Workspace};
use crate::{Error, Result};

/// Blocks of a minibatch. Their number is part of the result, because gradients are added block by block; that
/// of the threads is not.
const BLOCKS: usize = 8;
/// Of the mean over the blocks' losses each.
const SEED: [f32; 1] = [1.0 / BLOCKS as f32];

/// Steps of [`Adam`] over minibatches, with a rate that falls to zero like half a cosine after a twentieth of
/// warm-up, the gradient clipped to norm 1, and the parameters averaged.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Descent {
    /// Steps.
    pub steps: usize,
    /// Rows of a step, rounded up to a multiple of eight.
    pub batch: usize,
    /// The learning rate.
    pub rate: f64,
    /// Decoupled weight decay.
    pub weight_decay: f64,
    /// Decay of the average, in [0, 1).
    pub ema: f64,
    /// Names the order of the rows.
    pub seed: u64,
}

/// A block of a minibatch: what a replay of the loss gets.
#[derive(Debug, Clone, Copy)]
pub struct Minibatch<'a> {
    /// The step, from 0.
    pub step: u64,
    /// The number of the block's first row in the step.
    pub first: usize,
    /// The data's rows.
    pub rows: &'a [usize],
}

/// Puts a block's rows into the inputs of the program.
pub type Fill<'a> = &'a (dyn Fn(Minibatch<'_>, &mut Workspace<f32>) -> Result<()> + Sync);
/// Sees a step's number, from 1, its loss, and the averaged parameters.
pub type After<'a> = &'a mut dyn FnMut(usize, f64, &[f32]) -> Result<()>;

impl Descent {
    /// Rows of a block: what the loss is recorded for, as a mean over them.
    pub fn block(&self) -> usize {
        self.batch.div_ceil(BLOCKS).max(1)
    }

    /// From `start`, over `n` rows of data in shuffled epochs. `fill` puts a block's rows into the inputs of
    /// `program`, whose result `loss` is one number. `after` sees every step's number, from 1, its loss, and the
    /// averaged parameters. Returns these after the last step.
    ///
    /// # Errors
    /// As [`Descending`]; those of `fill` and `after`.
    pub fn run(
        &self,
        (program, loss): (&Program<f32>, Var),
        start: Vec<f32>,
        n: usize,
        fill: Fill<'_>,
        after: After<'_>,
    ) -> Result<Vec<f32>> {
        let mut descending = Descending::new(*self, (program, loss), start, n)?;
        for step in 1..=self.steps {
            let value = descending.step(fill)?;
            after(step, value, descending.averaged())?;
        }
        Ok(descending.state.ema)
    }
}

/// A descent, step by step.
pub struct Descending {
    how: Descent,
    program: Program<f32>,
    loss: Var,
    adam: Adam,
    params: Vec<f32>,
    state: State<f32>,
    grad: Vec<f32>,
    blocks: Blocks<f32>,
    order: Order,
    rows: Vec<usize>,
    /// Steps done.
    step: usize,
}

impl Descending {
    /// Before the first step, from `start`: [`Descent::run`] says of what.
    ///
    /// # Errors
    /// Settings out of range, no rows.
    pub fn new(how: Descent, (program, loss): (&Program<f32>, Var), start: Vec<f32>, n: usize) -> Result<Self> {
        if n == 0 {
            return Err(Error::refused("descent", "needs at least one row of data"));
        }
        let schedule = Schedule::new(how.rate, (how.steps / 20) as u64, how.steps as u64, Decay::Cosine)?;
        let adam = Adam { weight_decay: how.weight_decay, clip: Some(1.0), ema: Some(how.ema), ..Adam::new(schedule) };
        let (state, grad) = (adam.start(&start)?, vec![0.0; start.len()]);
        let (blocks, rows) = (Blocks::new(program, BLOCKS)?, vec![0; how.block() * BLOCKS]);
        let (program, order) = (program.clone(), Order::new(how.seed, n));
        Ok(Descending { how, program, loss, adam, params: start, state, grad, blocks, order, rows, step: 0 })
    }

    /// One step; its loss.
    ///
    /// # Errors
    /// A loss or gradient that is not finite; those of `fill`.
    pub fn step(&mut self, fill: Fill<'_>) -> Result<f64> {
        self.order.take(self.step, &mut self.rows);
        let (step, block, rows) = (self.step as u64, self.how.block(), &self.rows);
        let (program, loss) = (&self.program, self.loss);
        self.blocks.run(&self.params, &mut self.grad, |index, params, ws, grad| {
            let first = index * block;
            fill(Minibatch { step, first, rows: &rows[first..first + block] }, ws)?;
            program.forward(params, ws)?;
            program.backward(params, ws, &[(loss, &SEED)], grad)
        })?;
        self.descend()
    }

    /// The first half of a step that something has to be done in the midst of: the values of `of` [rows, width],
    /// which the program keeps, at the step's rows, into `out`.
    ///
    /// # Errors
    /// Those of `fill`; a value that is not kept, or of another size.
    pub fn forward(&mut self, fill: Fill<'_>, of: Var, out: &mut [f32]) -> Result<()> {
        self.order.take(self.step, &mut self.rows);
        let (step, block, rows, program) = (self.step as u64, self.how.block(), &self.rows, &self.program);
        self.blocks.run(&self.params, &mut self.grad, |index, params, ws, _| {
            let first = index * block;
            fill(Minibatch { step, first, rows: &rows[first..first + block] }, ws)?;
            program.forward(params, ws)
        })?;
        let size = out.len() / BLOCKS;
        for (ws, out) in self.blocks.workspaces().zip(out.chunks_exact_mut(size)) {
            let values = ws.value(of)?;
            if values.len() != size {
                return Err(Error::invalid("descent", format!("{} numbers of a step", values.len() * BLOCKS), size * BLOCKS));
            }
            out.copy_from_slice(values);
        }
        Ok(())
    }

    /// The second: down the loss and down sum(`pull` * `of`)/rows, `pull` as long as what [`Self::forward`] gave.
    /// The loss.
    ///
    /// # Errors
    /// A loss or gradient that is not finite; a `pull` of another size.
    pub fn backward(&mut self, of: Var, pull: &[f32]) -> Result<f64> {
        let share = 1.0 / self.rows.len() as f32;
        let pull: Vec<f32> = pull.iter().map(|p| p * share).collect();
        let (program, loss, size) = (&self.program, self.loss, pull.len() / BLOCKS);
        self.blocks.run(&self.params, &mut self.grad, |index, params, ws, grad| {
            program.backward(params, ws, &[(loss, &SEED), (of, &pull[index * size..][..size])], grad)
        })?;
        self.descend()
    }

    /// Adam's step along the gradient.
    fn descend(&mut self) -> Result<f64> {
        let losses = self.blocks.workspaces().map(|ws| Ok(f64::from(ws.value(self.loss)?[0])));
        let value = losses.sum::<Result<f64>>()? / BLOCKS as f64;
        let norm = self.adam.step(&mut self.params, &self.grad, &mut self.state)?.norm;
        self.step += 1;
        if !value.is_finite() || !norm.is_finite() {
            let place = if value.is_finite() { "the gradient" } else { "the loss" };
            return Err(Error::NonFinite { place: place.into(), step: self.step, remedy: "lower the learning rate".into() });
        }
        Ok(value)
    }

    /// Rows of a step.
    pub fn rows(&self) -> usize {
        self.rows.len()
    }

    /// The averaged parameters.
    pub fn averaged(&self) -> &[f32] {
        &self.state.ema
    }
}

/// Rows in random orders, epoch after epoch.
struct Order {
    seed: u64,
    epoch: usize,
    rows: Vec<usize>,
}

impl Order {
    fn new(seed: u64, n: usize) -> Self {
        Order { seed, epoch: usize::MAX, rows: (0..n).collect() }
    }

    /// The rows of step `step`.
    fn take(&mut self, step: usize, batch: &mut [usize]) {
        let (n, size) = (self.rows.len(), batch.len());
        for (i, row) in batch.iter_mut().enumerate() {
            let place = step * size + i;
            if place / n != self.epoch {
                self.epoch = place / n;
                self.rows.iter_mut().enumerate().for_each(|(i, row)| *row = i);
                Stream::new(self.seed, Purpose::Descent, self.epoch as u64, 0).shuffle(&mut self.rows);
            }
            *row = self.rows[place % n];
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tape::Recorder;

    const DESCENT: Descent = Descent { steps: 400, batch: 16, rate: 0.05, weight_decay: 0.0, ema: 0.9, seed: 3 };

    /// Least squares y = w x + b from 30 points on a line, with any number of threads.
    fn line(descent: Descent) -> Result<(Vec<f32>, Vec<f64>)> {
        let mut r = Recorder::<f32>::new();
        let n = descent.block();
        let (x, y) = (r.input("x", &[n])?, r.input("y", &[n])?);
        let (w, b) = (r.parameter("w", &[1])?, r.parameter("b", &[1])?);
        let product = r.mul(x, w)?;
        let line = r.add(product, b)?;
        let off = r.sub(line, y)?;
        let square = r.square(off)?;
        let loss = r.mean(square)?;
        let program = r.finish();
        let mut losses = vec![];
        let at = |row: usize| row as f32 / 15.0 - 1.0;
        let params = descent.run(
            (&program, loss),
            vec![0.0; 2],
            30,
            &|batch, ws| {
                ws.input_mut(x)?.iter_mut().zip(batch.rows).for_each(|(x, row)| *x = at(*row));
                ws.input_mut(y)?.iter_mut().zip(batch.rows).for_each(|(y, row)| *y = 2.0 * at(*row) - 0.5);
                Ok(())
            },
            &mut |_, loss, _| {
                losses.push(loss);
                Ok(())
            },
        )?;
        Ok((params, losses))
    }

    #[test]
    fn a_line_is_found_whatever_the_threads() {
        let run = |threads: usize| {
            let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
            pool.install(|| line(DESCENT)).unwrap()
        };
        let (params, losses) = run(1);
        assert!((params[0] - 2.0).abs() <= 1e-3 && (params[1] + 0.5).abs() <= 1e-3, "{params:?}");
        assert!(losses.len() == 400 && losses[399] <= 1e-6 * losses[0]);
        assert_eq!(run(3), (params.clone(), losses));
        assert_ne!(line(Descent { seed: 4, ..DESCENT }).unwrap().0, params);
    }

    #[test]
    fn an_epoch_has_every_row_once() {
        let (mut order, mut seen) = (Order::new(0, 12), vec![]);
        for step in 0..6 {
            let mut batch = [0; 8];
            order.take(step, &mut batch);
            seen.extend(batch);
        }
        let mut epochs: Vec<Vec<usize>> = seen.chunks(12).map(<[usize]>::to_vec).collect();
        assert_ne!(epochs[0], epochs[1]);
        epochs.iter_mut().for_each(|epoch| epoch.sort_unstable());
        assert!(epochs.iter().all(|epoch| epoch.iter().copied().eq(0..12)), "{epochs:?}");
        // A step's rows do not depend on those before it.
        let mut batch = [0; 8];
        Order::new(0, 12).take(4, &mut batch);
        assert_eq!(batch, seen[32..40]);
    }

    #[test]
    fn divergence_is_an_error() {
        let e = line(Descent { rate: 1e38, ..DESCENT }).unwrap_err().to_string();
        assert!(e.contains("lower the learning rate"), "{e}");
    }
}
