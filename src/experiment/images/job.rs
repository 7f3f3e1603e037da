//! One training on images, and its samples, judged.

use super::material::{self, Material, Store};
use super::record::{IMAGE_METRICS, ImageKey, ImageRecord};
use super::search::Candidate;
use super::variant::Variant;
use super::{ImageCase, ImageSpace, ImageStudy};
use crate::config::Config;
use crate::data::{Dataset, Encoder, FILE_HELD_OUT, ImageShape, stratified};
use crate::metrics::{nearest, sliced_w2};
use crate::mixture::{Covariances, Draw, Mixture};
use crate::rng::Purpose;
use crate::sample;
use crate::train::{DataMoments, Prepared, Reference, Settled, Trainer, together};
use crate::{Error, Result};
use ndarray::{Array2, Axis, s};
use std::sync::Arc;
use std::time::Instant;

/// Most points that a method holds out for itself: enough for the few numbers of a calibration. What a reference
/// does not see costs it more.
const MOST_HELD_OUT: usize = 250;
/// The same of a U-Net, which is slow to look at them; and the fresh points on which its gain is measured.
const MOST_IMAGES: usize = 100;
const FRESH_IMAGES: usize = 250;
/// Samples that are shown, and the solver's steps from which on they are.
const SHOWN: usize = 16;
const ENOUGH: usize = 8;
/// Directions of the sliced W_2.
const DIRECTIONS: usize = 128;
/// What is left of a variance that is taken away.
const RESIDUAL: f64 = 1e-6;
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
        let mut solvers = vec![self.settings(study, 0).solver];
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
        if let Some(variant) = self.variant.bare(study.space) {
            keys.extend((0..draws).map(|draw| ImageKey { variant: variant.clone(), ..key(0, draw) }));
        }
        // The training images go with the reference.
        if !self.variant.method.network {
            keys.push(ImageKey { variant: DATA.to_owned(), ..key(0, 0) });
        }
        keys
    }

    /// What it is, for `n` points.
    fn settings(&self, study: &ImageStudy, n: usize) -> Candidate {
        self.variant.settings(study, n, &self.case, self.seed, self.candidate)
    }

    /// Whether its samples are shown.
    fn is_shown(&self, study: &ImageStudy) -> bool {
        let most = if self.case.group == "full" { Some(&study.middle) } else { study.larger.last() };
        ["full", "larger"].contains(&self.case.group) && Some(&self.case.steps) == most && self.seed == 0
    }
}

/// What a job found.
pub struct Judged {
    /// The figures of all draws.
    pub records: Vec<ImageRecord>,
    /// Samples of one job of each variant.
    pub shown: Option<Shown>,
}

/// Samples, what they look like.
pub struct Shown {
    /// Images, [m, pixels].
    pub samples: Array2<f64>,
    /// The training image nearest to each.
    pub nearest: Array2<f64>,
    /// Of both.
    pub shape: ImageShape,
}

/// Trains, draws samples with every key, and judges them. A training that diverges is on record with infinite
/// figures.
///
/// # Errors
/// Settings that cannot work; images that are too few.
pub(super) fn run(job: &ImageJob, study: &ImageStudy, store: &Store) -> Result<Judged> {
    let place = || format!("{}, {}, settings {}, seed {}", job.case.name, job.variant.name(), job.candidate, job.seed);
    work(job, study, store).map_err(|e| e.within(place()))
}

fn work(job: &ImageJob, study: &ImageStudy, store: &Store) -> Result<Judged> {
    let material = store.get(study, &job.case, job.seed)?;
    let n = material.points.nrows();
    let chosen = job.settings(study, n);
    let config = Config::resolve(&[chosen.settings, material::together(job.case.coding, job.case.steps)].concat())?;
    let (most, fresh) = match study.space {
        ImageSpace::Latent(_) => (MOST_HELD_OUT, material.fresh.nrows()),
        ImageSpace::Pixels => (MOST_IMAGES, material.fresh.nrows().min(FRESH_IMAGES)),
    };
    let held = if chosen.holds_out { ((n as f64 * FILE_HELD_OUT) as usize).min(most) } else { 0 };
    // The classes keep their shares, as where `data.held_out` splits.
    let (held, rest) = stratified(&(0..n).collect::<Vec<usize>>(), &material.labels, held);
    let points = material.points.select(Axis(0), &rest);
    let (reference, fit_seconds) = store.reference(&job.case, &config, &material, &points)?;
    let keys = job.keys(study);
    if !job.variant.method.network {
        let law = reference.in_data_units()?;
        let (bare, name) = (without_residual(&law)?, job.variant.bare(study.space));
        let draw = |key: &ImageKey| {
            if key.variant == DATA {
                // As many as there are samples: the distance of finite sets is a matter of their sizes.
                return Ok(material.points.slice(s![..n.min(study.samples), ..]).to_owned());
            }
            let law = if Some(&key.variant) == name.as_ref() { &bare } else { &law };
            Ok(law.sample(study.samples, key.draw, Purpose::Start, Draw::Systematic)?.0)
        };
        return Judge { material: &material, study, shows: job.is_shown(study) }.all(keys, draw, [f64::NAN, fit_seconds, 0.0]);
    }
    let failed = |keys: Vec<ImageKey>| {
        let records = keys.into_iter().map(|key| ImageRecord { key, values: [f64::INFINITY; IMAGE_METRICS.len()] });
        Ok(Judged { records: records.collect(), shown: None })
    };
    let config = Settled::new(&config, &reference, rest.len())?;
    let (material, prepared, trainer, mut train_seconds) = match trained(&material, config, reference, [&rest, &held]) {
        Err(Error::NonFinite { .. } | Error::Diverged { .. }) => return failed(keys),
        trained => trained?,
    };
    if job.case.group == "joint" {
        train_seconds += material.encoder_seconds;
    }
    let gain = trainer.final_gain(&prepared.reference, material.fresh.slice(s![..fresh, ..]))?.value;
    let mut generator = prepared.generator(&trainer)?;
    let draw = |key: &ImageKey| generator.sample(study.samples, key.draw, sample::Method::Ode, Some(key.solver));
    let judge = Judge { material: &material, study, shows: job.is_shown(study) };
    match judge.all(keys.clone(), draw, [gain, fit_seconds, train_seconds]) {
        Err(Error::NonFinite { .. }) => failed(keys),
        judged => judged,
    }
}

/// A mixture of low rank whose components have hardly any variance across their directions; another as it is.
fn without_residual(law: &Mixture) -> Result<Mixture> {
    let Covariances::LowRank { loadings, noise } = law.covariances() else { return Ok(law.clone()) };
    let covariances = Covariances::LowRank { loadings: loadings.clone(), noise: noise * RESIDUAL };
    Mixture::new(law.weights().to_owned(), law.means().to_owned(), covariances)
}

/// A model after its last step, corrected where its tools say so, of the training images `rest` with `held` held out;
/// with the images where they are modelled then, and the seconds that it took.
fn trained(
    material: &Arc<Material>,
    config: Settled,
    reference: Reference,
    [rest, held]: [&[usize]; 2],
) -> Result<(Arc<Material>, Prepared, Trainer<f32>, f64)> {
    let (mut began, mut seconds) = (Instant::now(), 0.0);
    let (mut material, mut start) = (Arc::clone(material), None);
    if let (true, Encoder::Network(encoder)) = (config.encoder.joint > 0, &material.encoder) {
        let both = together(&config, &reference, &material.dataset(rest, held), (**encoder).clone(), &|_| {})?;
        seconds = began.elapsed().as_secs_f64();
        start = Some(both.params);
        material = Arc::new(material.through(Encoder::Network(Box::new(both.encoder)))?);
        began = Instant::now();
    }
    let [x, held_out] = [rest, held].map(|rows| material.points.select(Axis(0), rows));
    let kept = held_out.nrows() > 0;
    let moments = DataMoments::new(&config, &reference, x.view(), kept.then_some(held_out.view()))?.map(Arc::new);
    let (labels, held_out_labels) = (None, None);
    let data =
        Dataset { name: "images".into(), points: x.clone(), held_out, images: None, notes: Vec::new(), labels, held_out_labels, law: None };
    let prepared = Prepared { config, encoder: Encoder::Identity, x, reference, moments, classes: None, data, start };
    let mut trainer = if kept { prepared.trainer::<f32>()? } else { prepared.unwatched::<f32>()? };
    (0..prepared.config.train.steps).try_for_each(|_| trainer.step().map(drop))?;
    trainer.calibrate()?;
    Ok((material, prepared, trainer, seconds + began.elapsed().as_secs_f64()))
}

/// What judges samples.
struct Judge<'a> {
    material: &'a Material,
    study: &'a ImageStudy,
    shows: bool,
}

impl Judge<'_> {
    /// The records of all keys, whose points `draw` draws; `last` are the last figures of each.
    fn all(&self, keys: Vec<ImageKey>, mut draw: impl FnMut(&ImageKey) -> Result<Array2<f64>>, last: [f64; 3]) -> Result<Judged> {
        let (mut records, mut shown) = (Vec::new(), None);
        for key in keys {
            let points = draw(&key)?;
            let latent = self.latent(&points)?;
            let images = self.material.encoder.decode(points)?;
            // Of the first number of solver steps that is enough.
            if self.shows && shown.is_none() && key.draw == 0 && (key.solver == 0 || key.solver >= ENOUGH) && key.variant != DATA {
                shown = Some(self.shown(&images)?);
            }
            let values = self.figures(&images, latent, key.draw, last)?;
            records.push(ImageRecord { key, values });
        }
        Ok(Judged { records, shown })
    }

    /// The variance of points over that of fresh ones, and their sliced W_2, where they are modelled.
    fn latent(&self, points: &Array2<f64>) -> Result<[f64; 2]> {
        let fresh = &self.material.fresh;
        let variance = points.var_axis(Axis(0), 1.0).sum() / fresh.var_axis(Axis(0), 1.0).sum();
        Ok([variance, sliced_w2(points.view(), fresh.view(), DIRECTIONS.min(self.study.samples), 0)?])
    }

    /// The first images, each beside the nearest training image.
    fn shown(&self, images: &Array2<f64>) -> Result<Shown> {
        let (samples, training) = (images.slice(s![..SHOWN.min(images.nrows()), ..]).to_owned(), &self.material.images);
        let rows: Vec<usize> = nearest(samples.view(), training.view())?.into_iter().map(|(row, _)| row).collect();
        Ok(Shown { samples, nearest: training.select(Axis(0), &rows), shape: self.material.shape })
    }

    fn figures(&self, images: &Array2<f64>, [variance, sliced]: [f64; 2], draw: u64, last: [f64; 3]) -> Result<[f64; IMAGE_METRICS.len()]> {
        let m = self.material;
        let found = m.judge.judge(images.view(), (draw == 0).then_some(0))?;
        let raw = if m.encoder == Encoder::Identity { found.frechet } else { m.raw.judge(images.view(), None)?.frechet };
        let pairs =
            found.pairs.map_or([f64::NAN; 6], |p| [p.kernel_distance, p.precision, p.recall, p.density, p.coverage, p.memorisation]);
        let first = [found.frechet, raw, found.class_tv, found.rarest, found.variance, variance, sliced];
        let all: Vec<f64> = first.into_iter().chain(pairs).chain(last).collect();
        all.try_into().map_err(|_| Error::refused("reproduce", "a record has the wrong number of figures"))
    }
}
