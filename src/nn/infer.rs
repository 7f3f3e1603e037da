//! Evaluation without a tape: for sampling, where nothing has to be kept.

use super::ScoreNet;
use super::plan::{Memory, Plan, ROWS, Weights};
use super::replay::Replay;
use crate::kernels::gemm::{Matrix, pack, packed_len};
use crate::kernels::memory::zeros;
use crate::par;
use crate::tape::Recorder;
use crate::{Error, Real, Result};

/// A network with its weights packed for evaluation, and the working memory of each thread.
///
/// Uses the tape's kernels: the result has the bits of the tape's forward pass, for any number of rows and
/// threads. A call allocates nothing on one thread after the first one, and nothing that grows with the
/// number of rows on several.
///
/// ```
/// use ndsm::nn::{Inference, ScoreNet};
/// let net = ScoreNet::new(1, 16, 2, 3)?;
/// let mut inference = Inference::new(&net, &net.init::<f32>(0))?;
/// let mut row = [0.5; 7];
/// net.features(-2.0, &mut row[1..])?;
/// let mut out = [1.0];
/// inference.run(&row, &mut out)?;
/// assert_eq!(out, [0.0]); // the last layer starts at zero
/// # Ok::<(), ndsm::Error>(())
/// ```
pub struct Inference<R> {
    inputs: usize,
    outputs: usize,
    /// Parameters of the network.
    count: usize,
    engine: Engine<R>,
}

/// How the formula is evaluated.
enum Engine<R> {
    Rows(Packed<R>),
    Images(Replay<R>),
}

/// The steps of a formula on rows, with the weights as they read them.
struct Packed<R> {
    plan: Plan,
    /// The panels of each weight matrix.
    panels: Vec<Vec<R>>,
    /// Biases, scales and shifts.
    vectors: Vec<Vec<R>>,
    threads: Vec<Memory<R>>,
}

impl<R: Real> Inference<R> {
    /// Packs the parameters of `net`.
    ///
    /// # Errors
    /// If their number is wrong, memory does not suffice, or the formula of `net` does not fit its layers.
    pub fn new(net: &ScoreNet, params: &[R]) -> Result<Self> {
        let (inputs, outputs, count) = (net.inputs(), net.dim(), net.parameter_count());
        let record = |r: &mut Recorder<R>, rows: usize| {
            let x = r.input("x", &[rows, inputs])?;
            Ok((x, net.record(r, x)?))
        };
        let engine = if net.architecture().on_images() {
            Engine::Images(Replay::new(&record, params)?)
        } else {
            Engine::Rows(Packed::new(Plan::new(net)?)?)
        };
        let mut inference = Inference { inputs, outputs, count, engine };
        inference.load(params)?;
        Ok(inference)
    }

    /// Takes other parameters of the same network.
    ///
    /// # Errors
    /// If their number is wrong.
    pub fn load(&mut self, params: &[R]) -> Result<()> {
        if params.len() != self.count {
            return Err(Error::invalid("inference: parameters", format!("{} numbers long", self.count), params.len()));
        }
        match &mut self.engine {
            Engine::Rows(packed) => packed.load(params),
            Engine::Images(replay) => replay.load(params)?,
        }
        Ok(())
    }

    /// The network's value: `rows` [n, inputs] -> `out` [n, dim].
    ///
    /// # Errors
    /// If the lengths do not belong to the same n, or memory for the working memory of the threads cannot be
    /// had.
    pub fn run(&mut self, rows: &[R], out: &mut [R]) -> Result<()> {
        let (i, o) = (self.inputs, self.outputs);
        let n = rows.len() / i;
        if n * i != rows.len() || n * o != out.len() {
            return Err(Error::refused(
                "inference",
                format!("must get rows of {i} numbers and place for {o} numbers a row, got {} and {}", rows.len(), out.len()),
            ));
        }
        match &mut self.engine {
            Engine::Rows(packed) => packed.run([i, o], rows, out),
            Engine::Images(replay) => replay.run(rows, out),
        }
    }
}

impl<R: Real> Packed<R> {
    /// Without the parameters.
    fn new(plan: Plan) -> Result<Self> {
        let panels = plan.weights.iter().map(|w| zeros(packed_len::<R>(w.shape[0], w.shape[1]))).collect::<Result<_>>()?;
        let vectors = plan.vectors.iter().map(|v| zeros(v.range().len())).collect::<Result<_>>()?;
        Ok(Packed { plan, panels, vectors, threads: vec![] })
    }

    fn load(&mut self, params: &[R]) {
        for (w, panels) in self.plan.weights.iter().zip(&mut self.panels) {
            pack(Matrix::new(&params[w.range()], w.shape[0], w.shape[1]), panels);
        }
        for (v, copy) in self.plan.vectors.iter().zip(&mut self.vectors) {
            copy.copy_from_slice(&params[v.range()]);
        }
    }

    fn run(&mut self, [i, o]: [usize; 2], rows: &[R], out: &mut [R]) -> Result<()> {
        let n = rows.len() / i;
        let spans = rayon::current_num_threads().min(n.div_ceil(ROWS)).max(1);
        while self.threads.len() < spans {
            let slots = self.plan.slots.iter().map(|width| zeros(ROWS * width)).collect::<Result<_>>()?;
            self.threads.push(Memory { slots, room: zeros(self.plan.room)? });
        }
        let weights = Weights { panels: &self.panels, vectors: &self.vectors };
        let plan = &self.plan;
        let span = n.div_ceil(spans).next_multiple_of(ROWS);
        let work = (par::chunks(rows, span * i), par::chunks_mut(out, span * o), par::chunks_mut(&mut self.threads, 1));
        par::each(work, |_, (rows, out, memory)| plan.run(weights, rows, out, &mut memory[0]));
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn wrong_lengths_are_refused() {
        let net = ScoreNet::new(2, 8, 1, 1).unwrap();
        let params = net.init::<f32>(0);
        assert!(Inference::new(&net, &params[1..]).is_err());
        let mut inference = Inference::new(&net, &params).unwrap();
        let e = inference.run(&[0.0; 9], &mut [0.0; 4]).unwrap_err();
        assert!(e.to_string().contains("rows of 4 numbers"), "{e}");
        assert!(inference.run(&[0.0; 8], &mut [0.0; 5]).is_err());
    }
}
