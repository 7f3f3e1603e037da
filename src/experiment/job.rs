//! One training and its samples, measured.

use super::less_data::GROUP as LESS_DATA;
use super::record::{GAIN, KL, Key, METRICS, Record};
use super::search::candidate;
use super::{Case, Experiment, Method, TUNING};
use crate::config::{Config, Setting};
use crate::data::{Dataset, Encoder, FILE_HELD_OUT, Law};
use crate::metrics::{
    energy_distance, memorisation_ratio, mode_weights, negative_log_likelihood, outlier_radius, outlier_share, sliced_w2, subset,
    total_variation,
};
use crate::mixture::{Draw, Mixture};
use crate::rng::Purpose;
use crate::sample;
use crate::train::{DataMoments, Likelihood, Prepared, Reference, Rival, Settled, Trainer};
use crate::{Error, Result};
use ndarray::{Array2, ArrayView2, s};
use std::sync::Arc;
use std::time::Instant;

/// Directions of the sliced W_2.
const DIRECTIONS: usize = 128;
/// Points of the sets whose pairs are looked at.
const PAIRS: usize = 1500;
/// Hidden units and layers of every network.
const WIDTH: usize = 128;
const DEPTH: usize = 3;
/// Numbers of the fresh points that a flow's likelihood is taken of, at most a point for so many samples, and
/// the steps that it takes.
const FLOW_NUMBERS: usize = 4800;
const FLOW_SHARE: usize = 6;
const FLOW_STEPS: usize = 16;

/// One training of a case.
#[derive(Debug, Clone)]
pub struct Job {
    /// What is learned.
    pub case: Case,
    /// How.
    pub method: Method,
    /// With which settings of the search.
    pub candidate: usize,
    /// Seed of data, fit and training.
    pub seed: u64,
    /// Whether samples are also drawn with every number of solver steps of the case.
    pub sweep: bool,
}

impl Job {
    /// The keys of its records.
    pub fn keys(&self) -> Vec<Key> {
        let key = |solver: usize, sweep: bool| Key {
            case: self.case.name.clone(),
            method: self.method.name.to_owned(),
            candidate: self.candidate,
            solver,
            sweep,
            seed: self.seed,
        };
        if !self.method.network {
            return vec![key(0, false)];
        }
        let swept = self.case.sampling.iter().filter(|_| self.sweep).map(|steps| key(*steps, true));
        std::iter::once(key(self.settings().1, false)).chain(swept).collect()
    }

    /// Whether the likelihood of fresh points is taken, which takes longer than a training: of methods with a
    /// search of their own and a score, and in a search where it decides.
    fn has_likelihood(&self) -> bool {
        let score = self.method.name != Method::FLOW.name;
        score && self.method.tuned_as == Some(self.method.name) && (self.seed < TUNING || self.case.group == LESS_DATA)
    }

    /// Its settings, and the solver's steps.
    pub fn settings(&self) -> (Vec<Setting>, usize) {
        let leader = Method::LEADERS.into_iter().find(|m| Some(m.name) == self.method.tuned_as);
        let (searched, solver) = leader.and_then(|m| m.space).map_or((Vec::new(), 16), |space| candidate(space, self.candidate));
        // The points are given: what stands here of data sets defaults alone.
        let data = if self.case.latent > 0 { "digits" } else { "four-modes" };
        let mut settings = vec![
            Setting::new("data.name", data),
            Setting::new("data.n", self.case.request.n.unwrap_or(2)),
            Setting::new("data.latent", self.case.latent),
            Setting::new("network.kind", "mlp"),
            Setting::new("network.width", WIDTH),
            Setting::new("network.depth", DEPTH),
            Setting::new("train.steps", self.case.steps),
            Setting::new("train.seed", self.seed),
            // Where no search says otherwise.
            Setting::new("train.lr", 3e-3),
            Setting::new("reference.covariance", "full"),
        ];
        if !self.method.kept {
            settings.push(Setting::new("calibration.moments", "none"));
            settings.extend(["network.dropout", "train.weight_decay"].map(|key| Setting::new(key, 0.0)));
        }
        settings.extend(self.method.settings());
        if self.method.has_mixture() {
            settings.extend(self.case.settings.iter().cloned());
        }
        let wanted = |s: &Setting| match s.key.as_str() {
            "sde.steps" => self.method.has_chain(),
            // A likelihood is that of the law at t_min, and every direction counts in it.
            "sde.t_min" | "reference.covariance" => self.case.group == LESS_DATA && !self.method.sets(&s.key),
            _ => true,
        };
        settings.extend(searched.into_iter().filter(wanted));
        (settings, solver)
    }
}

/// Trains, draws samples with every key of the experiment, and measures them. A training that diverges is on
/// record with infinite figures: it counts as the worst.
///
/// # Errors
/// Settings that cannot work.
pub fn run_job(job: &Job, experiment: &Experiment) -> Result<Vec<Record>> {
    let place = || format!("{}, {}, settings {}, seed {}", job.case.name, job.method.name, job.candidate, job.seed);
    let mut data = job.case.data(job.seed)?;
    let truth = Truth::new(&data)?;
    let fresh = std::mem::take(&mut data.held_out);
    if job.method.kept {
        hold_out(&mut data);
    }
    let config = Config::resolve(&job.settings().0).map_err(|e| e.within(place()))?;
    let mut reference = Reference::fit(data.points.view(), &config).map_err(|e| e.within(place()))?;
    if job.case.shift != 0.0 && job.method.has_mixture() {
        reference = shifted(&reference, job.case.shift)?;
    }
    let keys = job.keys();
    if let Some(rival) = job.method.rival {
        let values = against(rival, &data, &reference, experiment, &truth).map_err(|e| e.within(place()))?;
        return Ok(keys.into_iter().map(|key| Record { key, values }).collect());
    }
    if !job.method.network {
        let law = reference.in_data_units()?;
        let draw = |key: u64| Ok(law.sample(experiment.samples, key, Purpose::Start, Draw::Systematic)?.0);
        let mut values = truth.mean(experiment, 0.0, draw)?;
        values[KL] = truth.divergence(&law)?;
        return Ok(keys.into_iter().map(|key| Record { key, values }).collect());
    }
    let began = Instant::now();
    let trained = Settled::new(&config, &reference, data.points.nrows()).and_then(|config| trained(job, config, data, reference));
    let seconds = began.elapsed().as_secs_f64();
    let failed = |key: &Key| Record { key: key.clone(), values: [f64::INFINITY; METRICS.len()] };
    let (prepared, trainer) = match trained {
        Ok(trained) => trained,
        Err(Error::NonFinite { .. } | Error::Diverged { .. }) => return Ok(keys.iter().map(failed).collect()),
        Err(e) => return Err(e.within(place())),
    };
    let mut generator = prepared.generator(&trainer)?;
    let mut records = Vec::with_capacity(keys.len());
    for key in keys {
        let draw = |seed: u64| generator.sample(experiment.samples, seed, sample::Method::Ode, Some(key.solver));
        let mut values = match truth.mean(experiment, seconds, draw) {
            Ok(values) => values,
            Err(Error::NonFinite { .. }) => {
                records.push(failed(&key));
                continue;
            }
            Err(e) => return Err(e.within(place())),
        };
        if !key.sweep {
            let gain = trainer.final_gain(&prepared.reference, fresh.view())?;
            values[GAIN..=GAIN + 1].copy_from_slice(&[gain.value, gain.error]);
            if job.has_likelihood() {
                let maps = generator.maps(sample::Method::Ode, Some(key.solver))?;
                let flow =
                    Likelihood::new(&prepared.config, &prepared.reference, trainer.state()).and_then(|flow| flow.through(maps.as_deref()));
                values[KL] = match flow.and_then(|mut flow| truth.flow_divergence(&mut flow, experiment.samples / FLOW_SHARE)) {
                    Err(Error::NonFinite { .. }) => f64::INFINITY,
                    value => value.map_err(|e| e.within(place()))?,
                };
            }
        }
        records.push(Record { key, values });
    }
    Ok(records)
}

/// The figures of a rival, which works where the data are white: its parameter is one width for all
/// coordinates.
fn against(rival: Rival, data: &Dataset, reference: &Reference, e: &Experiment, truth: &Truth) -> Result<[f64; METRICS.len()]> {
    let whitening = &reference.whitening;
    let (x, judge) = (whitening.whiten(data.points.view())?, whitening.whiten(data.held_out.view())?);
    let fitted = rival.fit(x.view(), judge.view(), reference.mixture.components(), 0)?;
    let mut values = truth.mean(e, 0.0, |key| whitening.unwhiten(fitted.sample(e.samples, key)?.view()))?;
    if let Some(law) = fitted.law() {
        values[KL] = truth.divergence(&law.affine(whitening.factor(), whitening.mean())?)?;
    }
    Ok(values)
}

/// A model after its last step, corrected where the method says so.
fn trained(job: &Job, config: Settled, data: Dataset, reference: Reference) -> Result<(Prepared, Trainer<f32>)> {
    let x = data.points.clone();
    let held_out = job.method.kept.then(|| data.held_out.view());
    let moments = DataMoments::new(&config, &reference, x.view(), held_out)?.map(Arc::new);
    let prepared = Prepared { config, encoder: Encoder::Identity, x, reference, moments, classes: None, data, start: None };
    let mut trainer = if job.method.kept { prepared.trainer::<f32>()? } else { prepared.unwatched::<f32>()? };
    (0..job.case.steps).try_for_each(|_| trainer.step().map(drop))?;
    trainer.calibrate()?;
    Ok((prepared, trainer))
}

/// Takes the last rows of the training points for held-out points. Draws have no order.
fn hold_out(data: &mut Dataset) {
    let n = data.points.nrows();
    let train = n - ((n as f64 * FILE_HELD_OUT) as usize).clamp(2.min(n - 1), n);
    data.held_out = data.points.slice(s![train.., ..]).to_owned();
    data.points = data.points.slice(s![..train, ..]).to_owned();
}

/// The reference with its means moved along the first coordinate.
fn shifted(reference: &Reference, by: f64) -> Result<Reference> {
    let law = reference.in_data_units()?;
    let mut means = law.means().to_owned();
    means.column_mut(0).mapv_inplace(|m| m + by);
    Reference::from_mixture(&Mixture::new(law.weights().to_owned(), means, law.covariances().clone())?, 0.0)
}

/// What samples are measured against.
struct Truth {
    fresh: Array2<f64>,
    training: Array2<f64>,
    law: Option<Arc<dyn Law>>,
    /// Of the law, by the fresh points; 0 where it is not known.
    entropy: f64,
}

impl Truth {
    fn new(data: &Dataset) -> Result<Self> {
        let entropy = data.law.as_deref().map_or(Ok(0.0), |law| negative_log_likelihood(data.held_out.view(), law))?;
        Ok(Truth { fresh: data.held_out.clone(), training: data.points.clone(), law: data.law.clone(), entropy })
    }

    /// The figures, averaged over the experiment's keys.
    fn mean(&self, e: &Experiment, seconds: f64, mut draw: impl FnMut(u64) -> Result<Array2<f64>>) -> Result<[f64; METRICS.len()]> {
        let mut mean = [0.0; METRICS.len()];
        for key in 0..e.keys {
            let values = self.measure(draw(key)?.view(), seconds)?;
            mean.iter_mut().zip(values).for_each(|(m, v)| *m += v / e.keys as f64);
        }
        Ok(mean)
    }

    /// KL(p | q) of the law p to a mixture q, by the fresh points; without a known law the mean of -ln q.
    fn divergence(&self, q: &Mixture) -> Result<f64> {
        let under = q.log_density(self.fresh.view())?;
        Ok(-under.mean().unwrap_or(f64::NAN) - self.entropy)
    }

    /// The same of a flow, by fewer points.
    fn flow_divergence(&self, flow: &mut Likelihood, most: usize) -> Result<f64> {
        let (n, d) = self.fresh.dim();
        let x = self.fresh.slice(s![..n.min(most).min(FLOW_NUMBERS / d.max(1)).max(1), ..]);
        let under = flow.log_density(x, FLOW_STEPS)?.mean().unwrap_or(f64::NAN);
        let own = self.law.as_deref().map_or(Ok(0.0), |law| negative_log_likelihood(x, law))?;
        Ok(-under - own)
    }

    fn measure(&self, x: ArrayView2<f64>, seconds: f64) -> Result<[f64; METRICS.len()]> {
        let fresh = self.fresh.view();
        let few = |x: ArrayView2<f64>, which| subset(x, PAIRS, 0, which);
        let (own, other, training) = (few(x, 0), few(fresh, 1), few(self.training.view(), 2));
        let modes = self.law.as_deref().and_then(|law| law.mixture());
        let outliers = modes.map(|m| outlier_share(x, m, outlier_radius(x.ncols()))).transpose()?;
        let weights = modes.map(|m| Ok(total_variation(mode_weights(x, m)?.view(), m.weights()))).transpose()?;
        let excess = self.law.as_deref().map(|law| Ok(negative_log_likelihood(x, law)? - self.entropy)).transpose()?;
        Ok([
            sliced_w2(x, fresh, DIRECTIONS, 0)?,
            outliers.unwrap_or(f64::NAN),
            weights.unwrap_or(f64::NAN),
            excess.unwrap_or(f64::NAN),
            f64::NAN,
            energy_distance(own.view(), other.view())?,
            memorisation_ratio(own.view(), training.view(), other.view(), 0)?,
            seconds,
            f64::NAN,
            f64::NAN,
        ])
    }
}
