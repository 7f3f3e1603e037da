//! The optimiser's loop, one step at a time.

use super::augment::Augmented;
use super::averages;
use super::bank::Bank;
use super::batches::Batches;
use super::choice::{AT, BATCHES, CANDIDATES, Prices};
use super::classes::PointLabels;
use super::diagnosis::{Diagnosis, Group, due, micro};
use super::divergence::{at, diverged, has_diverged, non_finite};
use super::order::DataOrder;
use super::watch::{Gains, Watch};
use super::{DataMoments, Generator, Reference, Settled, State, System, classes};
use crate::config::{Config, Control, ObjectiveKind, Schedule as ScheduleKey};
use crate::data::{Dataset, Encoder};
use crate::objective::{Batch, ControlState, Divergence, Implicit, Label, Loss, Objective, Out, Seen, Weights, points_per_draw};
use crate::optim::{Adam, Decay, Schedule};
use crate::rng::{Purpose, Stream};
use crate::sde::Paths;
use crate::transition::{Draws, Starts, stratified};
use crate::{Error, Real, Result};
use ndarray::{Array2, ArrayView2};
use std::sync::Arc;
use std::time::{Duration, Instant};

/// What one step came to.
#[derive(Debug, Clone, PartialEq)]
pub struct StepReport {
    /// Optimiser steps done, this one included.
    pub step: u64,
    /// Mean of the per-draw losses (a constant is missing: it may be negative).
    pub loss: f64,
    /// Their standard deviation.
    pub deviation: f64,
    /// Norm of the gradient before clipping.
    pub gradient: f64,
    /// Learning rate.
    pub rate: f64,
    /// With `train.diagnose`, at about 40 steps of a run: what the control is worth at each time.
    pub groups: Vec<Group>,
    /// Every `train.evaluate_every` steps, where there are held-out points: the held-out gain (19) of the
    /// averaged parameters.
    pub gains: Option<Gains>,
}

/// A model in training.
pub struct Trainer<R: Real> {
    pub(super) config: Settled,
    pub(super) system: System<R>,
    pub(super) state: State<R>,
    adam: Adam,
    loss: Objective<R>,
    weights: Weights,
    pub(super) points: Batches<R>,
    pub(super) labels: PointLabels,
    bank: Bank<R>,
    batch: Buffers<R>,
    pub(super) watch: Option<Watch<R>>,
    /// Spent on draws, on whole steps, and on held-out points.
    pub(super) spent: [Duration; 3],
}

/// Buffers of a step, made once.
struct Buffers<R> {
    rows: Vec<usize>,
    labels: Vec<Label>,
    starts: Vec<R>,
    u: Vec<f64>,
    draws: Draws<R>,
    values: Vec<R>,
    grad: Vec<R>,
}

impl<R: Real> Buffers<R> {
    /// Runs the paths of batch number `batch`, from its data points, to its times.
    fn simulate(&mut self, system: &System<R>, points: &mut Batches<R>, noise: Paths, batch: u64, out: &mut Starts<R>) -> Result<()> {
        points.take(noise.seed, batch, &mut self.rows, system.paths_per_point, &mut self.starts)?;
        let per_point = self.u.len() / self.rows.len();
        stratified(&mut Stream::new(noise.seed, Purpose::Time, batch, 0), per_point, &mut self.u);
        system.noising.start(&self.starts, &self.u, Paths { purpose: Purpose::Path, step: batch, ..noise }, out)
    }
}

impl<R: Real> Trainer<R> {
    /// A model before its first step. `x`: the training points [n, d] in the units of the reference.
    ///
    /// # Errors
    /// As [`System::new`]; points that do not fit the reference.
    pub fn new(config: &Settled, reference: &Reference, x: ArrayView2<f64>) -> Result<Self> {
        let system = System::<R>::new(config, reference)?;
        if x.nrows() == 0 {
            return Err(Error::shape("training points", "at least one row", &[x.shape()]));
        }
        let whitened = reference.whitening.whiten(x)?;
        let order = DataOrder::new(config.train.sampling, whitened.view(), &reference.mixture)?;
        let points = Batches::new(&whitened, order);
        let (t, d) = (&config.train, system.model.dim());
        let paths = t.batch * system.paths_per_point;
        let n = paths * system.noising.draws_per_path();
        let control = if config.objective.control == Control::Auto { CANDIDATES[0] } else { config.objective.control };
        let loss = objective(config, &system, control, n)?;
        let adam = adam(config)?;
        let params = system.model.net.init::<R>(t.seed);
        let batch = Buffers {
            rows: vec![0; t.batch],
            labels: Vec::new(),
            starts: vec![R::zero(); paths * d],
            u: vec![0.0; n],
            draws: Draws::new(n, d),
            values: vec![R::zero(); n],
            grad: vec![R::zero(); params.len()],
        };
        let weighting = config.objective.weighting;
        let weights = Weights::new(weighting, system.model.scale, n).of(system.regression, system.model.parametrisation);
        let state = State {
            optimiser: adam.start(&params)?,
            control: loss.start(t.seed)?,
            weights: Seen::start(weighting),
            averages: t.averages.then(|| averages::start(&params)),
            params,
            prices: None,
            best: None,
            calibration: None,
        };
        let bank = Bank::new(n, d, t.reuse);
        let spent = Default::default();
        let labels = PointLabels::default();
        Ok(Trainer { adam, config: config.clone(), system, state, loss, weights, points, labels, bank, batch, watch: None, spent })
    }

    /// A model as `state` left it.
    ///
    /// # Errors
    /// As [`Trainer::new`]; a state of another network, or of another control variate.
    pub fn resume(config: &Settled, reference: &Reference, x: ArrayView2<f64>, state: State<R>) -> Result<Self> {
        let fresh = Self::new(config, reference, x)?;
        let expected = fresh.state.params.len();
        if state.params.len() != expected || state.optimiser.m.len() != expected || state.optimiser.v.len() != expected {
            return Err(Error::shape("training state", format!("{expected} parameters and moments"), &[&[state.params.len()]]));
        }
        if state.weights.numbers().len() != fresh.state.weights.numbers().len() {
            return Err(Error::refused("training state", "the weights' state is not that of objective.weighting"));
        }
        let averages = |state: &State<R>| state.averages.as_ref().map(|all| all.each_ref().map(Vec::len));
        if averages(&state) != averages(&fresh.state) {
            return Err(Error::refused("training state", "the averages are not those of train.averages"));
        }
        if !state.control.fits(&fresh.state.control) {
            return Err(Error::refused("training state", "the control variate's state is not that of objective.control"));
        }
        let mut trainer = Trainer { state, ..fresh };
        trainer.loss = trainer.loss(trainer.control())?;
        Ok(trainer)
    }

    /// The same, changing the images of `data` as `train.augment` says: those that the trainer has the points
    /// of, in the latent space of `encoder`. Until this is called none are changed.
    ///
    /// # Errors
    /// Data that are no images, or not the trainer's; an encoder of other data.
    pub fn changing(mut self, data: &Dataset, encoder: &Encoder, reference: &Reference) -> Result<Self> {
        let n = self.points.len();
        if data.points.nrows() != n {
            return Err(Error::shape("training images", format!("{n} rows, as many as points"), &[data.points.shape()]));
        }
        self.points.changes = Augmented::new(&self.config, data, encoder, &reference.whitening)?;
        Ok(self)
    }

    /// The same, telling the network the labels of `data`, those that the trainer has the points of, where it has
    /// `network.classes`; such a network takes no step before this is called.
    ///
    /// # Errors
    /// Data without labels, or not the trainer's; a label that is no class.
    pub fn labelled(mut self, data: &Dataset) -> Result<Self> {
        if self.config.network.classes == 0 {
            return Ok(self);
        }
        classes::check(&self.config, data)?;
        let [training, held_out] = [&data.labels, &data.held_out_labels].map(|labels| labels.clone().unwrap_or_default());
        if training.len() != self.points.len() {
            return Err(Error::shape("labels", format!("{}, one for each training point", self.points.len()), &[&[training.len()]]));
        }
        self.labels = PointLabels { training, held_out };
        Ok(self)
    }

    /// The same with the parameters `params` before the first step.
    ///
    /// # Errors
    /// Parameters of another network.
    pub fn starting(mut self, params: &[f64]) -> Result<Self> {
        let expected = self.state.params.len();
        if params.len() != expected {
            return Err(Error::shape("parameters to start from", format!("{expected} numbers"), &[&[params.len()]]));
        }
        self.state.params = params.iter().map(|p| R::of(*p)).collect();
        self.state.optimiser = self.adam.start(&self.state.params)?;
        self.state.averages = self.config.train.averages.then(|| averages::start(&self.state.params));
        Ok(self)
    }

    /// What training changes.
    pub fn state(&self) -> &State<R> {
        &self.state
    }

    /// Process, objective and score model.
    pub fn system(&self) -> &System<R> {
        &self.system
    }

    /// Share of the time of the steps so far that noising the data took: paths and the steps that are drawn
    /// from. NaN before the first step.
    pub fn simulation_share(&self) -> f64 {
        self.spent[0].as_secs_f64() / self.spent[1].as_secs_f64()
    }

    /// Share of the steps whose paths were simulated for an earlier one, and the memory of these paths in
    /// bytes.
    pub fn bank(&self) -> (f64, usize) {
        (self.bank.hits(), self.bank.bytes())
    }

    /// The loss with `control` on this trainer's batches.
    fn loss(&self, control: Control) -> Result<Objective<R>> {
        objective(&self.config, &self.system, control, self.batch.values.len())
    }

    /// The streams of step `step`.
    fn noise(&self, step: u64) -> Paths {
        Paths { seed: self.config.train.seed, purpose: Purpose::Noise, step }
    }

    /// Measures the controls that `auto` chooses from, on batches that no step takes, and takes the cheapest.
    fn choose(&mut self) -> Result<()> {
        let mut prices = [0.0; CANDIDATES.len()];
        for (price, control) in prices.iter_mut().zip(CANDIDATES) {
            let mut loss = self.loss(control)?;
            let (mut mean, mut square) = (vec![0.0; self.state.params.len()], 0.0);
            for batch in 0..BATCHES {
                // Steps of a run end far below 2^40.
                let noise = self.noise((1 << 40) + batch);
                self.draw_alone(noise)?;
                let b = &mut self.batch;
                let weights = self.weights.at(b.draws.times(), self.system.noising.as_ref(), &self.state.weights);
                let (batch, out) =
                    (Batch { draws: &b.draws, weights, labels: &b.labels, noise }, Out { values: &mut b.values, grad: &mut b.grad });
                loss.run(&self.system.model, &self.state.params, &ControlState::Nothing, &batch, out)?;
                for (mean, g) in mean.iter_mut().zip(&b.grad) {
                    *mean += g.f64() / BATCHES as f64;
                    square += g.f64() * g.f64() / BATCHES as f64;
                }
            }
            *price = (square - mean.iter().map(|m| m * m).sum::<f64>()) * points_per_draw(control) as f64;
        }
        let prices = Prices(prices);
        self.loss = self.loss(prices.choice())?;
        self.state.prices = Some(prices);
        Ok(())
    }

    /// One optimiser step.
    ///
    /// # Errors
    /// `NonFinite` if the chain, the loss or the gradient is NaN or infinite, `Diverged` if the loss has left its range;
    /// the state is then that before the step.
    pub fn step(&mut self) -> Result<StepReport> {
        let (step, began) = (self.state.optimiser.step, Instant::now());
        if self.config.network.classes > 0 && self.labels.training.is_empty() {
            return Err(Error::refused("network.classes", "the trainer was told no labels (Trainer::labelled)"));
        }
        self.state.calibration = None;
        if step >= AT && self.config.objective.control == Control::Auto && self.state.prices.is_none() {
            self.choose().map_err(|e| at(e, step))?;
        }
        let drawing = Instant::now();
        self.draw(step).map_err(|e| at(e, step))?;
        self.spent[0] += drawing.elapsed();
        let noise = Paths { purpose: Purpose::Probe, ..self.noise(step) };
        let groups =
            if self.config.train.diagnose && due(step, self.config.train.steps as u64) { self.diagnose(noise)? } else { Vec::new() };
        let b = &mut self.batch;
        let State { params, control, weights: seen, .. } = &mut self.state;
        let weights = self.weights.at(b.draws.times(), self.system.noising.as_ref(), seen);
        let (batch, out) = (Batch { draws: &b.draws, weights, labels: &b.labels, noise }, Out { values: &mut b.values, grad: &mut b.grad });
        self.loss.run(&self.system.model, params, control, &batch, out)?;
        let n = b.values.len() as f64;
        let loss = b.values.iter().map(|v| v.f64()).sum::<f64>() / n;
        if !loss.is_finite() {
            return Err(non_finite("the loss", step));
        }
        if has_diverged(loss, self.system.model.dim()) {
            return Err(diverged(loss, &self.state.params, &self.system.model.net, step));
        }
        let deviation = (b.values.iter().map(|v| (v.f64() - loss).powi(2)).sum::<f64>() / n).sqrt();
        let report = self.adam.step(&mut self.state.params, &b.grad, &mut self.state.optimiser)?;
        if !report.norm.is_finite() {
            let net = &self.system.model.net;
            let bad = net.parameters().into_iter().find(|p| b.grad[p.range()].iter().any(|g| !g.is_finite()));
            return Err(non_finite(&format!("the gradient of {}", bad.map_or("the parameters".into(), |p| p.name)), step));
        }
        if let Some(averages) = &mut self.state.averages {
            averages::follow(averages, &self.state.params, step + 1);
        }
        self.loss.learn(&self.system.model, &mut self.state.control, &b.draws, &b.values)?;
        self.weights.learn(&mut self.state.weights, b.draws.times(), &b.values);
        let every = self.config.train.evaluate_every as u64;
        let last = self.config.train.steps as u64;
        let due = every > 0 && ((step + 1).is_multiple_of(every) || step + 1 == last);
        let gains = if due { self.evaluate()? } else { None };
        self.spent[1] += began.elapsed();
        Ok(StepReport { step: step + 1, loss, deviation, gradient: report.norm, rate: report.rate, groups, gains })
    }

    /// One step on the points `u` [batch, d], in whitened coordinates, in the place of its own.
    ///
    /// # Errors
    /// As [`Self::step`].
    pub(super) fn step_on(&mut self, u: &[R]) -> Result<StepReport> {
        self.points.given = Some(u.to_vec());
        let report = self.step();
        self.points.given = None;
        report
    }

    /// What the control is worth on the present draws, time by time.
    fn diagnose(&mut self, noise: Paths) -> Result<Vec<Group>> {
        let (draws, size) = (&self.batch.draws, micro(self.batch.draws.len()));
        let mut run = objective(&self.config, &self.system, self.control(), size)?;
        let mut plain = match run {
            Objective::Regression(_) => Some(objective(&self.config, &self.system, Control::None, size)?),
            Objective::Implicit(_) => None,
        };
        let noising = self.system.noising.as_ref();
        let weights = self.weights.at(draws.times(), noising, &self.state.weights);
        let labels = &self.batch.labels;
        let diagnosis = Diagnosis { model: &self.system.model, noising, params: &self.state.params, draws, weights, labels, noise };
        diagnosis.groups((&mut run, &self.state.control), plain.as_mut())
    }

    /// The control of the next step.
    fn control(&self) -> Control {
        match (self.config.objective.control, self.state.prices) {
            (Control::Auto, prices) => prices.map_or(CANDIDATES[0], |prices| prices.choice()),
            (control, _) => control,
        }
    }

    /// Makes the draws of optimiser step `step` without using them: for measurements.
    ///
    /// # Errors
    /// A chain that reaches NaN or infinity.
    pub fn draw(&mut self, step: u64) -> Result<&Draws<R>> {
        let noise = self.noise(step);
        let starts = self.bank.paths(step, |batch, out| self.batch.simulate(&self.system, &mut self.points, noise, batch, out))?;
        self.system.noising.finish(starts, noise, &mut self.batch.draws)?;
        self.tell(noise, self.bank.batch(step).1)?;
        Ok(&self.batch.draws)
    }

    /// The points that step `step` noises: their rows in the training data, and x_0 [batch, d] in whitened
    /// coordinates. The step's n draws come point by point, n / batch of each. Changes nothing.
    ///
    /// # Errors
    /// None that a trainer can meet.
    pub fn batch(&mut self, step: u64) -> Result<(Vec<usize>, Array2<R>)> {
        let (mut rows, d) = (vec![0; self.config.train.batch], self.system.model.dim());
        let mut x = Array2::from_elem((rows.len(), d), R::zero());
        if let Some(x) = x.as_slice_mut() {
            self.points.take(self.config.train.seed, self.bank.batch(step).1, &mut rows, 1, x)?;
        }
        Ok((rows, x))
    }

    /// Draws with paths of their own, which the bank does not keep: independent of those of every other step.
    fn draw_alone(&mut self, noise: Paths) -> Result<()> {
        let mut starts = Starts::new(self.batch.u.len(), self.system.model.dim());
        self.batch.simulate(&self.system, &mut self.points, noise, noise.step, &mut starts)?;
        self.system.noising.finish(&starts, noise, &mut self.batch.draws)?;
        self.tell(noise, noise.step)
    }

    /// The labels of a step's draws, whose paths are those of batch number `batch`.
    fn tell(&mut self, noise: Paths, batch: u64) -> Result<()> {
        if self.labels.training.is_empty() {
            return Ok(());
        }
        let b = &mut self.batch;
        self.points.rows(noise.seed, batch, &mut b.rows)?;
        let dropout = self.config.network.label_dropout;
        self.labels.of_step(&b.rows, b.draws.len(), dropout, (noise.seed, noise.step), &mut b.labels);
        Ok(())
    }

    /// The gradient of the mean loss over the draws of step `step`, at the present parameters, which stay as
    /// they are: for measurements of its variance.
    ///
    /// # Errors
    /// As [`Trainer::draw`].
    pub fn gradient(&mut self, step: u64) -> Result<&[R]> {
        let noise = self.noise(step);
        self.draw_alone(noise)?;
        let noise = Paths { purpose: Purpose::Probe, ..noise };
        let b = &mut self.batch;
        let weights = self.weights.at(b.draws.times(), self.system.noising.as_ref(), &self.state.weights);
        let (batch, out) = (Batch { draws: &b.draws, weights, labels: &b.labels, noise }, Out { values: &mut b.values, grad: &mut b.grad });
        self.loss.run(&self.system.model, &self.state.params, &self.state.control, &batch, out)?;
        Ok(&b.grad)
    }

    /// A generator with the parameters that [`State::generating`] names, and with the moments of the noised
    /// law where `calibration.moments` asks for them.
    ///
    /// # Errors
    /// None that a trainer can meet.
    pub fn generator(&self, reference: &Reference) -> Result<Generator<R>> {
        let moments = DataMoments::of_whitened(&self.config, reference, self.points.all().view(), None)?;
        Ok(self.uncalibrated(reference)?.keeping(moments.map(Arc::new)))
    }

    /// The same without the moments.
    pub(super) fn uncalibrated(&self, reference: &Reference) -> Result<Generator<R>> {
        Generator::new(&self.config, reference, &self.state)
    }
}

/// What `draws` draws a step are made into, with `control`.
fn objective<R: Real>(config: &Config, system: &System<R>, control: Control, draws: usize) -> Result<Objective<R>> {
    let (model, regression) = (&system.model, system.regression);
    let divergence = match config.objective.kind {
        ObjectiveKind::Ndsm | ObjectiveKind::Dsm | ObjectiveKind::ComponentFlow | ObjectiveKind::FlowMatching => {
            return Ok(Objective::Regression(Box::new(Loss::new(model, regression, control, draws)?)));
        }
        ObjectiveKind::Implicit => Divergence::Exact,
        ObjectiveKind::Hutchinson => Divergence::Hutchinson,
        ObjectiveKind::Sliced => Divergence::Sliced,
    };
    Ok(Objective::Implicit(Box::new(Implicit::new(model, regression, divergence, draws)?)))
}

fn adam(config: &Config) -> Result<Adam> {
    let t = &config.train;
    let decay = match t.schedule {
        ScheduleKey::Cosine => Decay::Cosine,
        ScheduleKey::Constant => Decay::Constant,
    };
    let schedule = Schedule::new(t.lr, t.warmup.min(t.steps) as u64, t.steps as u64, decay)?;
    let positive = |x: f64| (x > 0.0).then_some(x);
    Ok(Adam { weight_decay: t.weight_decay, clip: positive(t.clip), ema: positive(t.ema), ..Adam::new(schedule) })
}
