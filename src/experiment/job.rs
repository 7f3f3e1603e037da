//! One training and its samples, measured.

use super::record::{Key, METRICS, Record};
use super::search::candidate;
use super::{Case, Experiment, Method};
use crate::config::{Config, Setting};
use crate::data::{Dataset, load};
use crate::metrics::{
    energy_distance, memorisation_ratio, mode_weights, negative_log_likelihood, outlier_share, sliced_w2, subset, total_variation,
};
use crate::mixture::{Draw, Mixture};
use crate::rng::Purpose;
use crate::sample;
use crate::train::{Reference, Settled, Trainer};
use crate::{Error, Result};
use ndarray::{Array2, ArrayView2};
use std::time::Instant;

/// Directions of the sliced W_2.
const DIRECTIONS: usize = 128;
/// Points of the sets whose pairs are looked at.
const PAIRS: usize = 1500;
/// Hidden units and layers of every network.
const WIDTH: usize = 128;
const DEPTH: usize = 3;

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

    /// Its settings, and the solver's steps.
    pub fn settings(&self) -> (Vec<Setting>, usize) {
        let leader = [Method::LINEAR, Method::COLOURED, Method::NDSM].into_iter().find(|m| Some(m.name) == self.method.tuned_as);
        let (searched, solver) = leader.and_then(|m| m.space).map_or((Vec::new(), 16), |space| candidate(space, self.candidate));
        let mut settings = vec![
            Setting::new("data.name", "four-modes"),
            Setting::new("data.n", self.case.request.n.unwrap_or(2)),
            Setting::new("network.width", WIDTH),
            Setting::new("network.depth", DEPTH),
            Setting::new("train.steps", self.case.steps),
            Setting::new("train.seed", self.seed),
            // The methods as published: nothing is corrected after training.
            Setting::new("calibration.moments", "none"),
        ];
        settings.extend(self.method.settings());
        if self.method.tuned_as == Some("ndsm") || !self.method.network {
            settings.extend(self.case.settings.iter().cloned());
        }
        // A kernel takes no steps.
        let chain = !["kernel", "flow"].contains(&self.method.name);
        settings.extend(searched.into_iter().filter(|s| chain || s.key != "sde.steps"));
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
    let mut request = job.case.request.clone();
    request.seed = job.seed;
    let data = load(&request)?;
    let config = Config::resolve(&job.settings().0).map_err(|e| e.within(place()))?;
    let mut reference = Reference::fit(data.points.view(), &config).map_err(|e| e.within(place()))?;
    let has_mixture = job.method.tuned_as == Some("ndsm") || !job.method.network;
    if job.case.shift != 0.0 && has_mixture {
        reference = shifted(&reference, job.case.shift)?;
    }
    let truth = Truth::new(&data)?;
    let keys = job.keys();
    if !job.method.network {
        let law = reference.in_data_units()?;
        let draw = |key: u64| Ok(law.sample(experiment.samples, key, Purpose::Start, Draw::Systematic)?.0);
        let mut values = truth.mean(experiment, 0.0, draw)?;
        values[4] = truth.divergence(&law)?;
        return Ok(keys.into_iter().map(|key| Record { key, values }).collect());
    }
    let began = Instant::now();
    let settled = Settled::new(&config, &reference);
    let trained = settled.and_then(|config| Trainer::<f32>::new(&config, &reference, data.points.view())).and_then(|mut trainer| {
        (0..config.train.steps).try_for_each(|_| trainer.step().map(drop))?;
        Ok(trainer)
    });
    let seconds = began.elapsed().as_secs_f64();
    let failed = |key: &Key| Record { key: key.clone(), values: [f64::INFINITY; METRICS.len()] };
    let trainer = match trained {
        Ok(trainer) => trainer,
        Err(Error::NonFinite { .. }) => return Ok(keys.iter().map(failed).collect()),
        Err(e) => return Err(e.within(place())),
    };
    let mut generator = trainer.generator(&reference)?;
    let mut records = Vec::with_capacity(keys.len());
    for key in keys {
        let draw = |seed: u64| generator.sample(experiment.samples, seed, sample::Method::Ode, Some(key.solver));
        match truth.mean(experiment, seconds, draw) {
            Ok(values) => records.push(Record { key, values }),
            Err(Error::NonFinite { .. }) => records.push(failed(&key)),
            Err(e) => return Err(e.within(place())),
        }
    }
    Ok(records)
}

/// The reference with its means moved along the first coordinate.
fn shifted(reference: &Reference, by: f64) -> Result<Reference> {
    let law = reference.in_data_units()?;
    let mut means = law.means().to_owned();
    means.column_mut(0).mapv_inplace(|m| m + by);
    Reference::from_mixture(&Mixture::new(law.weights().to_owned(), means, law.covariances().clone())?, 0.0)
}

/// What samples are measured against.
struct Truth<'a> {
    data: &'a Dataset,
    entropy: f64,
}

impl<'a> Truth<'a> {
    fn new(data: &'a Dataset) -> Result<Self> {
        let law = data.law.as_deref().ok_or_else(|| Error::refused("experiment", "needs data whose law is known"))?;
        Ok(Truth { data, entropy: negative_log_likelihood(data.held_out.view(), law)? })
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

    /// KL(p | q) of the law p to a mixture q, by the fresh points.
    fn divergence(&self, q: &Mixture) -> Result<f64> {
        let under = q.log_density(self.data.held_out.view())?;
        Ok(-under.mean().unwrap_or(f64::NAN) - self.entropy)
    }

    fn measure(&self, x: ArrayView2<f64>, seconds: f64) -> Result<[f64; METRICS.len()]> {
        let (data, fresh) = (self.data, self.data.held_out.view());
        let law = data.law.as_deref().ok_or_else(|| Error::refused("experiment", "needs data whose law is known"))?;
        let few = |x: ArrayView2<f64>, which| subset(x, PAIRS, 0, which);
        let (own, other, training) = (few(x, 0), few(fresh, 1), few(data.points.view(), 2));
        let modes = law.mixture();
        let outliers = modes.map(|m| outlier_share(x, m, crate::metrics::OUTLIER_STDS)).transpose()?;
        let weights = modes.map(|m| Ok(total_variation(mode_weights(x, m)?.view(), m.weights()))).transpose()?;
        Ok([
            sliced_w2(x, fresh, DIRECTIONS, 0)?,
            outliers.unwrap_or(f64::NAN),
            weights.unwrap_or(f64::NAN),
            negative_log_likelihood(x, law)? - self.entropy,
            f64::NAN,
            energy_distance(own.view(), other.view())?,
            memorisation_ratio(own.view(), training.view(), other.view(), 0)?,
            seconds,
        ])
    }
}
