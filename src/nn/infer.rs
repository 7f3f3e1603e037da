//! Evaluation without a tape: for sampling, where nothing has to be kept.

use super::ScoreNet;
use crate::kernels::gemm::{Matrix, Packed, pack, packed_len};
use crate::kernels::linear::linear_rows;
use crate::kernels::memory::zeros;
use crate::par;
use crate::{Error, Real, Result};

/// Rows that go through all layers at once: their units stay in the second-level cache.
const ROWS: usize = 128;

/// A network with its weights packed for evaluation, and the working memory of each thread.
///
/// Uses the tape's kernel: the result has the bits of the tape's forward pass, for any number of rows and threads. A call
/// allocates nothing on one thread, and nothing that grows with the number of rows on several.
///
/// ```
/// use ndsm::nn::{Inference, ScoreNet};
/// let net = ScoreNet::new(1, 16, 2, 3)?;
/// let mut inference = Inference::new(net, &net.init::<f32>(0))?;
/// let mut row = [0.5; 7];
/// net.features(-2.0, &mut row[1..])?;
/// let mut out = [1.0];
/// inference.run(&row, &mut out)?;
/// assert_eq!(out, [0.0]); // the last layer starts at zero
/// # Ok::<(), ndsm::Error>(())
/// ```
pub struct Inference<R> {
    net: ScoreNet,
    packed: Vec<R>,
    biases: Vec<R>,
    threads: Vec<[Vec<R>; 2]>,
}

impl<R: Real> Inference<R> {
    /// Packs the parameters of `net`.
    ///
    /// # Errors
    /// If their number is wrong or memory does not suffice.
    pub fn new(net: ScoreNet, params: &[R]) -> Result<Self> {
        let packed = net.layers().map(|(i, o)| packed_len::<R>(i, o)).sum();
        let biases = net.layers().map(|(_, o)| o).sum();
        let mut inference = Inference { net, packed: zeros(packed)?, biases: zeros(biases)?, threads: vec![] };
        inference.load(params)?;
        Ok(inference)
    }

    /// Takes other parameters of the same network.
    ///
    /// # Errors
    /// If their number is wrong.
    pub fn load(&mut self, params: &[R]) -> Result<()> {
        if params.len() != self.net.parameter_count() {
            return Err(Error::invalid("inference: parameters", format!("{} numbers long", self.net.parameter_count()), params.len()));
        }
        let (mut packed, mut biases, mut params) = (&mut self.packed[..], &mut self.biases[..], params);
        for (i, o) in self.net.layers() {
            let (here, later) = packed.split_at_mut(packed_len::<R>(i, o));
            pack(Matrix::new(&params[..i * o], i, o), here);
            packed = later;
            let (here, later) = biases.split_at_mut(o);
            here.copy_from_slice(&params[i * o..][..o]);
            biases = later;
            params = &params[(i + 1) * o..];
        }
        Ok(())
    }

    /// The network's value: `rows` [n, inputs] -> `out` [n, dim].
    ///
    /// # Errors
    /// If the lengths do not belong to the same n, or memory for the working memory of the threads cannot be had.
    pub fn run(&mut self, rows: &[R], out: &mut [R]) -> Result<()> {
        let (i, o) = (self.net.inputs(), self.net.dim());
        let n = rows.len() / i;
        if n * i != rows.len() || n * o != out.len() {
            return Err(Error::refused(
                "inference",
                format!("must get rows of {i} numbers and place for {o} numbers a row, got {} and {}", rows.len(), out.len()),
            ));
        }
        let spans = rayon::current_num_threads().min(n.div_ceil(ROWS)).max(1);
        while self.threads.len() < spans {
            let units = ROWS * self.net.width();
            self.threads.push([zeros(units)?, zeros(units)?]);
        }
        let (net, packed, biases) = (self.net, &self.packed[..], &self.biases[..]);
        if let [only, ..] = &mut self.threads[..]
            && spans == 1
        {
            forward(net, packed, biases, rows, out, only);
            return Ok(());
        }
        let span = n.div_ceil(spans).next_multiple_of(ROWS);
        let work = (par::chunks(rows, span * i), par::chunks_mut(out, span * o), par::chunks_mut(&mut self.threads, 1));
        par::each(work, |_, (rows, out, tmp)| forward(net, packed, biases, rows, out, &mut tmp[0]));
        Ok(())
    }
}

/// All layers for one block of rows after another.
fn forward<R: Real>(net: ScoreNet, packed: &[R], biases: &[R], rows: &[R], out: &mut [R], tmp: &mut [Vec<R>; 2]) {
    let [a, b] = tmp;
    for (rows, out) in rows.chunks(ROWS * net.inputs()).zip(out.chunks_mut(ROWS * net.dim())) {
        let n = rows.len() / net.inputs();
        let (mut x, mut y): (&mut [R], &mut [R]) = (a, b);
        let (mut packed, mut biases) = (packed, biases);
        for (layer, (i, o)) in net.layers().enumerate() {
            let w = Packed::of(&packed[..packed_len::<R>(i, o)], i, o);
            let from = if layer == 0 { rows } else { &x[..n * i] };
            let to = if layer == net.depth() { &mut *out } else { &mut y[..n * o] };
            linear_rows(net.activation(layer), from, w, i, &biases[..o], to, &mut []);
            (packed, biases) = (&packed[packed_len::<R>(i, o)..], &biases[o..]);
            std::mem::swap(&mut x, &mut y);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rng::{Purpose, Stream};
    use crate::tape::Recorder;

    fn check<R: Real>(net: ScoreNet, n: usize) {
        let mut params = vec![R::zero(); net.parameter_count()];
        Stream::new(1, Purpose::Test, 0, 0).fill_normal(&mut params);
        let mut rows = vec![R::zero(); n * net.inputs()];
        Stream::new(1, Purpose::Test, 0, 1).fill_normal(&mut rows);

        let mut r = Recorder::<R>::new();
        let x = r.input("x", &[n, net.inputs()]).unwrap();
        let y = net.record(&mut r, x).unwrap();
        let program = r.finish();
        let mut ws = program.workspace().unwrap();
        ws.input_mut(x).unwrap().copy_from_slice(&rows);
        program.forward(&params, &mut ws).unwrap();

        let mut inference = Inference::new(net, &net.init(0)).unwrap();
        inference.load(&params).unwrap();
        for threads in [1, 2, 3] {
            let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
            let mut out = vec![R::nan(); n * net.dim()];
            pool.install(|| inference.run(&rows, &mut out)).unwrap();
            assert!(out == ws.value(y).unwrap() && out.iter().all(|o| o.is_finite()), "{} rows, {threads} threads", n);
        }
    }

    #[test]
    fn inference_has_the_bits_of_the_tape() {
        check::<f32>(ScoreNet::new(2, 33, 3, 6).unwrap(), 1000);
        check::<f64>(ScoreNet::new(3, 20, 1, 0).unwrap(), 129);
        check::<f32>(ScoreNet::new(1, 300, 2, 1).unwrap(), 1);
        check::<f32>(ScoreNet::new(1, 1, 1, 1).unwrap(), 0);
    }

    #[test]
    fn wrong_lengths_are_refused() {
        let net = ScoreNet::new(2, 8, 1, 1).unwrap();
        let params = net.init::<f32>(0);
        assert!(Inference::new(net, &params[1..]).is_err());
        let mut inference = Inference::new(net, &params).unwrap();
        let e = inference.run(&[0.0; 9], &mut [0.0; 4]).unwrap_err();
        assert!(e.to_string().contains("rows of 4 numbers"), "{e}");
        assert!(inference.run(&[0.0; 8], &mut [0.0; 5]).is_err());
    }
}
