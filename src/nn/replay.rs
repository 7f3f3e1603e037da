//! Evaluation of networks on images: a tape without a backward pass, replayed for a few rows at a time.

use crate::par;
use crate::tape::{Program, Recorder, Var, Workspace};
use crate::{Error, Real, Result};

/// Rows of a replay: their weights are brought into the order of the products once. What is left of the rows
/// goes one by one.
const ROWS: usize = 8;

/// Two recordings of a network, of [`ROWS`] rows and of one, and the memory of each thread. A row has one
/// value, in whatever company.
pub(crate) struct Replay<R> {
    inputs: usize,
    outputs: usize,
    several: Recorded<R>,
    one: Recorded<R>,
    params: Vec<R>,
    threads: Vec<[Workspace<R>; 2]>,
}

/// Records a network for so many rows: its input and its value.
type Record<'a, R> = &'a dyn Fn(&mut Recorder<R>, usize) -> Result<(Var, Var)>;

struct Recorded<R> {
    program: Program<R>,
    x: Var,
    y: Var,
}

impl<R: Real> Recorded<R> {
    /// Also the numbers of a row of x and of y.
    fn new(record: Record<'_, R>, rows: usize) -> Result<(Self, [usize; 2])> {
        let mut r = Recorder::new();
        let (x, y) = record(&mut r, rows)?;
        let sizes = [r.shape(x)?.iter().product::<usize>() / rows, r.shape(y)?.iter().product::<usize>() / rows];
        Ok((Recorded { program: r.finish_forward(), x, y }, sizes))
    }

    fn run(&self, params: &[R], ws: &mut Workspace<R>, rows: &[R], out: &mut [R]) -> Result<()> {
        ws.input_mut(self.x)?.copy_from_slice(rows);
        self.program.forward(params, ws)?;
        out.copy_from_slice(ws.value(self.y)?);
        Ok(())
    }
}

impl<R: Real> Replay<R> {
    /// The network that `record` records, with the parameters `params`.
    ///
    /// # Errors
    /// Those of `record`; parameters of another network.
    pub fn new(record: Record<'_, R>, params: &[R]) -> Result<Self> {
        let ((several, _), (one, [inputs, outputs])) = (Recorded::new(record, ROWS)?, Recorded::new(record, 1)?);
        let mut replay = Replay { inputs, outputs, several, one, params: vec![], threads: vec![] };
        replay.load(params)?;
        Ok(replay)
    }

    /// Takes other parameters.
    ///
    /// # Errors
    /// If their number is wrong.
    pub fn load(&mut self, params: &[R]) -> Result<()> {
        let count = self.one.program.parameter_count();
        if params.len() != count {
            return Err(Error::invalid("inference: parameters", format!("{count} numbers long"), params.len()));
        }
        params.clone_into(&mut self.params);
        Ok(())
    }

    /// The value at `rows` [n, inputs] into `out` [n, outputs].
    ///
    /// # Errors
    /// Lengths that do not belong to one n; memory that cannot be had.
    pub fn run(&mut self, rows: &[R], out: &mut [R]) -> Result<()> {
        let (inputs, outputs) = (self.inputs, self.outputs);
        let n = rows.len() / inputs;
        if n * inputs != rows.len() || n * outputs != out.len() {
            let place = format!("rows of {inputs} numbers and place for {outputs}");
            return Err(Error::shape("inference", place, &[&[rows.len()], &[out.len()]]));
        }
        let spans = rayon::current_num_threads().min(n.div_ceil(ROWS)).max(1);
        while self.threads.len() < spans {
            self.threads.push([self.several.program.workspace()?, self.one.program.workspace()?]);
        }
        let (several, one, params) = (&self.several, &self.one, &self.params[..]);
        let span = n.div_ceil(spans).next_multiple_of(ROWS);
        let work = (par::chunks(rows, span * inputs), par::chunks_mut(out, span * outputs), par::chunks_mut(&mut self.threads, 1));
        par::try_each(work, |_, (rows, out, memory)| {
            let [many, single] = &mut memory[0];
            let whole = rows.len() / inputs / ROWS * ROWS;
            let ((rows, rest), (out, left)) = (rows.split_at(whole * inputs), out.split_at_mut(whole * outputs));
            for (rows, out) in rows.chunks_exact(ROWS * inputs).zip(out.chunks_exact_mut(ROWS * outputs)) {
                several.run(params, many, rows, out)?;
            }
            for (row, out) in rest.chunks_exact(inputs).zip(left.chunks_exact_mut(outputs)) {
                one.run(params, single, row, out)?;
            }
            Ok(())
        })
    }
}
