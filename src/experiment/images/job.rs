//! One training on images, and its samples, judged.

use super::material::{Material, Store};
use super::record::{IMAGE_METRICS, ImageKey, ImageRecord};
use super::variant::Variant;
use super::{ImageCase, ImageStudy};
use crate::config::Config;
use crate::data::{Dataset, Encoder, FILE_HELD_OUT};
use crate::metrics::sliced_w2;
use crate::mixture::Draw;
use crate::rng::Purpose;
use crate::sample;
use crate::train::{DataMoments, Prepared, Reference, Settled, Trainer};
use crate::{Error, Result};
use ndarray::{Array2, ArrayView2, Axis, s};
use std::sync::Arc;
use std::time::Instant;

/// Directions of the sliced W_2.
const DIRECTIONS: usize = 128;
/// The name under which the training images stand beside the variants.
pub(super) const DATA: &str = "training images";
/// The first of the seeds that settings are chosen on.
pub const TUNING: u64 = 1000;

/// One training of a case.
#[derive(Debug, Clone, PartialEq)]
pub struct ImageJob {
    /// What is learned.
    pub case: ImageCase,
    /// How.
    pub variant: Variant,
    /// With which settings of the search.
    pub candidate: usize,
    /// Seed of data, encoder, fit and training.
    pub seed: u64,
    /// Steps of the solver that samples are also drawn with.
    pub sweep: Vec<usize>,
}

impl ImageJob {
    /// The keys of its records: for each number of solver steps the draws of the study.
    pub fn keys(&self, study: &ImageStudy) -> Vec<ImageKey> {
        let mut solvers = vec![self.settings(study, 0).1];
        solvers.extend(&self.sweep);
        solvers.sort_unstable();
        solvers.dedup();
        if !self.variant.method.network {
            solvers = vec![0];
        }
        let draws = if self.seed < TUNING { study.draws } else { study.tuning_draws };
        let key = |solver: usize, draw: u64| ImageKey {
            case: self.case.name.clone(),
            variant: self.variant.name(),
            candidate: self.candidate,
            solver,
            seed: self.seed,
            draw,
        };
        let mut keys: Vec<ImageKey> = solvers.iter().flat_map(|solver| (0..draws).map(|draw| key(*solver, draw))).collect();
        // The training images go with the reference.
        if !self.variant.method.network {
            keys.push(ImageKey { variant: DATA.to_owned(), ..key(0, 0) });
        }
        keys
    }

    /// Its settings for `n` points, and the solver's steps.
    pub fn settings(&self, study: &ImageStudy, n: usize) -> (Vec<crate::config::Setting>, usize) {
        self.variant.settings(study, n, self.case.steps, self.seed, self.candidate)
    }
}

/// Trains, draws samples with every key, and judges them. A training that diverges is on record with infinite
/// figures.
///
/// # Errors
/// Settings that cannot work; images that are too few.
pub(super) fn run(job: &ImageJob, study: &ImageStudy, store: &Store) -> Result<Vec<ImageRecord>> {
    let place = || format!("{}, {}, settings {}, seed {}", job.case.name, job.variant.name(), job.candidate, job.seed);
    work(job, study, store).map_err(|e| e.within(place()))
}

fn work(job: &ImageJob, study: &ImageStudy, store: &Store) -> Result<Vec<ImageRecord>> {
    let material = store.get(study, job.case.shape, job.seed)?;
    let n = material.points.nrows();
    let config = Config::resolve(&job.settings(study, n).0)?;
    // Draws have no order: the last rows are as good as any.
    let train = if job.variant.holds_out() { n - (n as f64 * FILE_HELD_OUT) as usize } else { n };
    let (points, held_out) = (material.points.slice(s![..train, ..]), material.points.slice(s![train.., ..]));
    let began = Instant::now();
    let mut reference = Reference::fit(points, &config)?;
    reference.image = material.image;
    let fit_seconds = began.elapsed().as_secs_f64();
    let keys = job.keys(study);
    let judged = Judged { material: &material, study };
    if !job.variant.method.network {
        let law = reference.in_data_units()?;
        let draw = |key: &ImageKey| {
            if key.variant == DATA {
                return Ok(material.points.clone());
            }
            Ok(law.sample(study.samples, key.draw, Purpose::Start, Draw::Systematic)?.0)
        };
        return judged.all(keys, draw, [f64::NAN, fit_seconds, 0.0]);
    }
    let began = Instant::now();
    let trained = trained(job, &config, reference, points, held_out);
    let failed = |keys: Vec<ImageKey>| keys.into_iter().map(|key| ImageRecord { key, values: [f64::INFINITY; IMAGE_METRICS.len()] });
    let (prepared, trainer) = match trained {
        Err(Error::NonFinite { .. }) => return Ok(failed(keys).collect()),
        trained => trained?,
    };
    let train_seconds = began.elapsed().as_secs_f64();
    let gain = trainer.final_gain(&prepared.reference, material.fresh.view())?.value;
    let mut generator = prepared.generator(&trainer)?;
    let draw = |key: &ImageKey| generator.sample(study.samples, key.draw, sample::Method::Ode, Some(key.solver));
    match judged.all(keys.clone(), draw, [gain, fit_seconds, train_seconds]) {
        Err(Error::NonFinite { .. }) => Ok(failed(keys).collect()),
        records => records,
    }
}

/// A model after its last step, corrected where its tools say so.
fn trained(
    job: &ImageJob,
    config: &Config,
    reference: Reference,
    points: ArrayView2<f64>,
    held_out: ArrayView2<f64>,
) -> Result<(Prepared, Trainer<f32>)> {
    let (x, kept) = (points.to_owned(), job.variant.holds_out());
    let config = Settled::new(config, &reference, x.nrows())?;
    let moments = DataMoments::new(&config, &reference, x.view(), kept.then_some(held_out))?.map(Arc::new);
    let (labels, held_out_labels) = (None, None);
    let data = Dataset {
        name: "images".into(),
        points: x.clone(),
        held_out: held_out.to_owned(),
        images: None,
        labels,
        held_out_labels,
        law: None,
    };
    let prepared = Prepared { config, encoder: Encoder::Identity, x, reference, moments, data };
    let mut trainer =
        if kept { prepared.trainer::<f32>()? } else { Trainer::new(&prepared.config, &prepared.reference, prepared.x.view())? };
    (0..job.case.steps).try_for_each(|_| trainer.step().map(drop))?;
    trainer.calibrate()?;
    Ok((prepared, trainer))
}

/// What judges samples.
struct Judged<'a> {
    material: &'a Material,
    study: &'a ImageStudy,
}

impl Judged<'_> {
    /// The records of all keys, whose points `draw` draws; `last` are the last figures of each.
    fn all(&self, keys: Vec<ImageKey>, mut draw: impl FnMut(&ImageKey) -> Result<Array2<f64>>, last: [f64; 3]) -> Result<Vec<ImageRecord>> {
        let record = |key: ImageKey| {
            let values = self.figures(draw(&key)?, key.draw, last)?;
            Ok(ImageRecord { key, values })
        };
        keys.into_iter().map(record).collect()
    }

    fn figures(&self, points: Array2<f64>, draw: u64, last: [f64; 3]) -> Result<[f64; IMAGE_METRICS.len()]> {
        let m = self.material;
        let directions = DIRECTIONS.min(self.study.samples);
        let latent_variance = points.var_axis(Axis(0), 1.0).sum() / m.fresh.var_axis(Axis(0), 1.0).sum();
        let sliced = sliced_w2(points.view(), m.fresh.view(), directions, 0)?;
        let images = m.encoder.decode(points)?;
        let found = m.judge.judge(images.view(), (draw == 0).then_some(0))?;
        let raw = if m.encoder == Encoder::Identity { found.frechet } else { m.raw.judge(images.view(), None)?.frechet };
        let pairs =
            found.pairs.map_or([f64::NAN; 6], |p| [p.kernel_distance, p.precision, p.recall, p.density, p.coverage, p.memorisation]);
        let first = [found.frechet, raw, found.class_tv, found.rarest, found.variance, latent_variance, sliced];
        let all: Vec<f64> = first.into_iter().chain(pairs).chain(last).collect();
        all.try_into().map_err(|_| Error::refused("reproduce", "a record has the wrong number of figures"))
    }
}
