//! Samples from a trained model.

use super::system::start_std;
use super::{Reference, Settled, State, System};
use crate::config::{ObjectiveKind, Parametrisation, SdeKind};
use crate::mixture::{Draw, Mixture};
use crate::nn::Inference;
use crate::objective::{Regression, ScoreModel};
use crate::rng::Purpose;
use crate::sample::{Field, Generation, Method, Reverse, generate};
use crate::sde::Whitening;
use crate::sde::ode::Explicit;
use crate::{Error, Real, Result};
use ndarray::{Array2, ArrayView2};
use rayon::prelude::*;

/// Heun steps when none are asked for: mixture references were done at 4; linear processes need more.
const STEPS_MIXTURE: usize = 16;
const STEPS_LINEAR: usize = 32;
/// Steps of the stochastic methods when none are asked for: they are of order one.
const STEPS_STOCHASTIC: usize = 100;
/// Rows of a parallel chunk.
const ROWS: usize = 512;

/// A score model, its parameters, and the way from its coordinates to the data's.
pub struct Generator<R: Real> {
    config: Settled,
    whitening: Whitening,
    start: Mixture,
    reverse: Box<dyn Reverse<R>>,
    field: Learned<R>,
}

/// The residual field of a trained network.
pub(super) struct Learned<R: Real> {
    model: ScoreModel<R>,
    regression: Regression,
    inference: Inference<R>,
    rows: Vec<R>,
    guide: Vec<R>,
}

impl<R: Real> Learned<R> {
    /// The field of a network that is a score.
    pub fn new(model: ScoreModel<R>, inference: Inference<R>) -> Self {
        Learned { model, regression: Regression::Score, inference, rows: Vec::new(), guide: Vec::new() }
    }
}

impl<R: Real> Generator<R> {
    /// The generator of `state`: its averaged parameters, or the last ones where there is no average.
    ///
    /// # Errors
    /// A state of another network than the configuration's.
    pub fn new(config: &Settled, reference: &Reference, state: &State<R>) -> Result<Self> {
        let system = System::<R>::new(config, reference)?;
        let inference = Inference::new(system.model.net, state.averaged())?;
        let field = Learned { regression: system.regression, ..Learned::new(system.model, inference) };
        let (whitening, start) = (reference.whitening.clone(), reference.mixture.clone());
        Ok(Generator { config: config.clone(), whitening, start, reverse: system.reverse, field })
    }

    /// `n` samples [n, d] in the units of the data. `steps`: `None` for the default of method and process.
    ///
    /// # Errors
    /// A stochastic method with the component flow, which has a velocity but no score; points that become NaN or infinite.
    pub fn sample(&mut self, n: usize, seed: u64, method: Method, steps: Option<usize>) -> Result<Array2<f64>> {
        if self.config.objective.kind == ObjectiveKind::ComponentFlow && method != Method::Ode {
            return Err(Error::refused("--method", "objective.kind = \"component-flow\" learns a velocity, not a score; use ode"));
        }
        let (d, sde) = (self.whitening.dim(), &self.config.sde);
        let mut u = self.start(n, seed)?;
        let steps = steps.unwrap_or(match (method, sde.kind) {
            (Method::Ode, SdeKind::Langevin) => STEPS_MIXTURE,
            (Method::Ode, _) => STEPS_LINEAR,
            _ => STEPS_STOCHASTIC,
        });
        let how = Generation { method, flow: Explicit::HEUN, steps, horizon: sde.horizon, t_min: sde.t_min, seed };
        generate(self.reverse.as_ref(), &mut self.field, how, &mut u, &mut |_, _| {})?;
        self.in_data_units(&u, n, d)
    }

    /// Samples straight from the reference law, without the network, [n, d] in the units of the data.
    ///
    /// # Errors
    /// More points than can be numbered.
    pub fn sample_reference(&self, n: usize, seed: u64) -> Result<Array2<f64>> {
        self.whitening.unwhiten(self.start.sample(n, seed, Purpose::Start, Draw::Systematic)?.0.view())
    }

    /// The learned score in the units of the data, s_x = A^-T s_u, at the rows of `x` [n, d] and time `t`.
    ///
    /// # Errors
    /// The component flow, which has none; shapes that do not fit.
    pub fn score(&mut self, t: f64, x: ArrayView2<f64>) -> Result<Array2<f64>> {
        if self.field.regression == Regression::Residual {
            return Err(Error::refused("score", "objective.kind = \"component-flow\" learns a velocity, not a score"));
        }
        let u: Vec<R> = self.whitening.whiten(x)?.iter().map(|v| R::of(*v)).collect();
        let (mut s, mut guide) = (vec![R::zero(); u.len()], vec![R::zero(); u.len()]);
        self.field.residual(t, &u, &mut s)?;
        self.field.model.guide(&vec![t; x.nrows()], &u, &mut guide)?;
        let s: Vec<f64> = s.iter().zip(&guide).map(|(s, g)| (*s + *g).f64()).collect();
        Ok(array(s, x.nrows(), x.ncols())?.dot(&self.whitening.inverse()))
    }

    /// The positions of `n` points at the times of a generation with `steps` steps, from the start on: in the units of the data. For
    /// pictures: by the reverse SDE, whose paths move even where data and reference agree (the component flow has only its flow).
    ///
    /// # Errors
    /// As [`Generator::sample`].
    pub fn trajectories(&mut self, n: usize, seed: u64, steps: usize) -> Result<Vec<Array2<f64>>> {
        let sde = &self.config.sde;
        let mut u = self.start(n, seed)?;
        let method = if self.config.objective.kind == ObjectiveKind::ComponentFlow { Method::Ode } else { Method::Sde };
        let how = Generation { method, flow: Explicit::HEUN, steps, horizon: sde.horizon, t_min: sde.t_min, seed };
        let mut positions = Vec::with_capacity(steps + 2);
        generate(self.reverse.as_ref(), &mut self.field, how, &mut u, &mut |_, u| positions.push(u.to_vec()))?;
        positions.iter().map(|u| self.in_data_units(u, n, self.whitening.dim())).collect()
    }

    /// Starting points in whitened coordinates: the reference, or the wide Gaussian of variance-exploding noise.
    fn start(&self, n: usize, seed: u64) -> Result<Vec<R>> {
        let z = self.start.sample(n, seed, Purpose::Start, Draw::Systematic)?.0;
        let widen = start_std(&self.config, self.reverse.as_ref());
        Ok(z.iter().map(|v| R::of(*v * widen)).collect())
    }

    fn in_data_units(&self, u: &[R], n: usize, d: usize) -> Result<Array2<f64>> {
        self.whitening.unwhiten(array(u.iter().map(|v| v.f64()).collect(), n, d)?.view())
    }
}

fn array(values: Vec<f64>, n: usize, d: usize) -> Result<Array2<f64>> {
    let len = values.len();
    Array2::from_shape_vec((n, d), values).map_err(|_| Error::shape("points", format!("{n} x {d} numbers"), &[&[len]]))
}

impl<R: Real> Field<R> for Learned<R> {
    fn residual(&mut self, t: f64, u: &[R], out: &mut [R]) -> Result<()> {
        let (model, d, inputs) = (&self.model, self.model.dim(), self.model.net.inputs());
        let n = u.len() / d;
        self.rows.resize(n * inputs, R::zero());
        self.rows
            .par_chunks_mut(ROWS * inputs)
            .zip(u.par_chunks(ROWS * d))
            .map(|(rows, u)| rows.chunks_exact_mut(inputs).zip(u.chunks_exact(d)).try_for_each(|(row, u)| model.input(t, u, row)))
            .collect::<Result<Vec<()>>>()?;
        self.inference.run(&self.rows, out)?;
        let form = model.parametrisation;
        if form != Parametrisation::Plain {
            let inverse = R::of(1.0 / model.scale.sbar(t));
            out.iter_mut().for_each(|o| *o *= inverse);
        }
        if self.regression == Regression::Score && form != Parametrisation::Residual {
            // The network is the whole score: the residual is what it adds to the guide.
            self.guide.resize(u.len(), R::zero());
            model.guide(&vec![t; n], u, &mut self.guide)?;
            out.iter_mut().zip(&self.guide).for_each(|(o, g)| *o -= *g);
        }
        Ok(())
    }
}
