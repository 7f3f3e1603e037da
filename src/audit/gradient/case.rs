//! One sample, recorded and ready to be replayed.

use crate::tape::{Entry, Noise, Program, Recorder, Sample, Var, Workspace};
use crate::{Real, Result};

/// One sample recorded: the program, its inputs and its result. All memory but the inputs' is NaN; the noise
/// is on, with a first row in the midst of those that share a mask.
pub struct Case<R: Real> {
    pub program: Program<R>,
    pub ws: Workspace<R>,
    pub x: Vec<Var>,
    pub y: Var,
    pub shape: Vec<usize>,
    pub params: Vec<R>,
}

impl<R: Real> Case<R> {
    /// Sample `index`, its tensors as inputs with gradient or as parameters.
    pub fn new(entry: &Entry<R>, index: usize, parameters: bool) -> Result<Self> {
        let (op, samples) = (entry.samples)().swap_remove(index);
        let mut r = Recorder::<R>::new();
        let x = samples
            .iter()
            .enumerate()
            .map(|(k, s)| if parameters { r.parameter(&k.to_string(), &s.shape) } else { r.input_with_gradient(&k.to_string(), &s.shape) })
            .collect::<Result<Vec<Var>>>()?;
        let y = r.apply_boxed(op, &x)?;
        let shape = r.shape(y)?.to_vec();
        let program = r.finish();
        let mut ws = program.workspace()?;
        ws.poison();
        ws.set_noise(Some(Noise { seed: 7, step: 5, first: 3, share: 2 }))?;
        let mut case = Case { program, ws, x, y, shape, params: vec![] };
        if parameters {
            case.params = samples.iter().flat_map(|s| s.values.iter().map(|v| R::of(*v))).collect();
        } else {
            case.fill(&samples, R::of)?;
        }
        Ok(case)
    }

    /// Sets the inputs to f(sample).
    pub fn fill(&mut self, samples: &[Sample], f: impl Fn(f64) -> R) -> Result<()> {
        for (x, s) in self.x.iter().zip(samples) {
            self.ws.input_mut(*x)?.iter_mut().zip(&s.values).for_each(|(x, v)| *x = f(*v));
        }
        Ok(())
    }

    /// The result.
    pub fn forward(&mut self) -> Result<Vec<R>> {
        self.program.forward(&self.params, &mut self.ws)?;
        Ok(self.ws.value(self.y)?.to_vec())
    }

    /// The adjoints of all inputs, one after another; the gradient if they are parameters, added to `start`.
    pub fn backward(&mut self, dy: &[R], start: R) -> Result<Vec<R>> {
        let mut grad = vec![start; self.params.len()];
        self.program.backward(&self.params, &mut self.ws, &[(self.y, dy)], &mut grad)?;
        if self.params.is_empty() {
            for x in &self.x {
                if let Ok(dx) = self.ws.adjoint(*x) {
                    grad.extend_from_slice(dx);
                }
            }
        }
        Ok(grad)
    }
}
