//! The engine that is this library: data, latent space, reference, training and samples joined for the
//! commands.

mod pictures;

use super::args::Method as MethodArg;
use super::engine::{Engine, Model, Sampling};
use super::film::Film;
use super::metrics_log::Step;
use super::plot::Figure;
use super::progress::Phase;
use super::summary::{Metric, beside};
use super::{image_metrics, likelihood};
use crate::config::{Config, Precision};
use crate::data::{self, Dataset, Encoder};
use crate::metrics::{self, Measure, ModeSpace};
use crate::mixture::Mixture;
use crate::nn::onnx;
use crate::sample::Method;
use crate::train::{
    Checkpoint, ClassGain, Classes, DataMoments, Generator, Likelihood, Mean, Prepared, Reference, Rival, Settled, State, Trainer,
    last_whole, network, prepare_watched, read_data,
};
use crate::{Error, Real, Result};
use ndarray::{Array2, ArrayView2};
use std::cell::OnceCell;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// Training points that rivals know, and held-out points that judge their parameters.
const RIVAL_POINTS: [usize; 2] = [10_000, 1000];
/// Points that a checkpoint must be able to generate.
const PROBE: usize = 8;
/// Points that tell how much the numbers of a file lose.
const LIKE: usize = 256;

/// Makes models of the precision that the configuration asks for.
pub struct Library;

impl Engine for Library {
    fn begin(&self, config: &Config) -> Result<Box<dyn Model>> {
        Ok(match config.train.precision {
            Precision::F32 => Box::new(Run::<f32>::begin(config)?),
            Precision::F64 => Box::new(Run::<f64>::begin(config)?),
        })
    }

    fn checkpoint(&self, dir: &Path) -> Result<Option<(PathBuf, Option<String>)>> {
        last_whole(dir)
    }

    fn load(&self, config: &Config, checkpoint: &Path) -> Result<Box<dyn Model>> {
        Ok(match config.train.precision {
            Precision::F32 => Box::new(Run::<f32>::load(config, checkpoint)?),
            Precision::F64 => Box::new(Run::<f64>::load(config, checkpoint)?),
        })
    }

    fn resume(&self, config: &Config, checkpoint: &Path) -> Result<Box<dyn Model>> {
        Ok(match config.train.precision {
            Precision::F32 => Box::new(Run::<f32>::load(config, checkpoint)?.trainable()?),
            Precision::F64 => Box::new(Run::<f64>::load(config, checkpoint)?.trainable()?),
        })
    }
}

/// A run in precision `R`. Data are read when they are needed: generating from a checkpoint needs none.
struct Run<R: Real> {
    /// With horizon and steps chosen.
    config: Settled,
    encoder: Encoder,
    reference: Reference,
    /// The state that was loaded; unused once there is a trainer.
    state: Option<State<R>>,
    trainer: Option<Trainer<R>>,
    data: OnceCell<Dataset>,
    /// Hash of the data of the checkpoint.
    hash: Option<u64>,
    moments: Option<Arc<DataMoments>>,
    classes: Option<Arc<Classes>>,
    /// What images were judged by in features.
    judge: OnceCell<String>,
}

impl<R: Real> Run<R> {
    fn begin(config: &Config) -> Result<Self> {
        let phase = Phase::begin("data and reference");
        let prepared = prepare_watched(config, &|stage| phase.stage(stage))?;
        phase.tell("network");
        let trainer = Some(prepared.trainer()?);
        let Prepared { config, data, encoder, reference, moments, classes, .. } = prepared;
        let (hash, data, judge) = (Some(data.hash()), OnceCell::from(data), OnceCell::new());
        Ok(Run { config, encoder, reference, state: None, trainer, data, hash, moments, classes, judge })
    }

    fn load(config: &Config, checkpoint: &Path) -> Result<Self> {
        let Checkpoint { config, state, reference, encoder, data, moments, classes } = Checkpoint::read(checkpoint, config)?;
        let (state, hash, data, judge) = (Some(state), Some(data), OnceCell::new(), OnceCell::new());
        let run = Run { config, encoder, reference, state, trainer: None, data, hash, moments, classes, judge };
        run.generator()?; // what does not fit the configuration is refused now
        Ok(run)
    }

    /// The run with its trainer, on the data of the checkpoint.
    fn trainable(mut self) -> Result<Self> {
        let x = self.encoder.encode(self.data()?.points.view())?;
        let state = self.current()?.clone();
        let held_out = self.encoder.encode(self.data()?.held_out.view())?;
        // The hash of the data is one of their points.
        let classes = Classes::new(&self.config, &self.reference, x.view(), self.data()?.labels.as_deref())?;
        if classes.as_ref() != self.classes.as_deref() {
            return Err(Error::refused(
                "data.label",
                "the labels differ from those that the checkpoint was trained on; start a new run with them",
            ));
        }
        let trainer = Trainer::resume(&self.config, &self.reference, x.view(), state)?;
        let trainer = trainer.labelled(self.data()?)?.changing(self.data()?, &self.encoder, &self.reference)?;
        self.trainer = Some(trainer.watching(&self.reference, held_out.view())?);
        self.state = None;
        Ok(self)
    }

    fn data(&self) -> Result<&Dataset> {
        if let Some(data) = self.data.get() {
            return Ok(data);
        }
        let data = read_data(&self.config)?;
        if self.hash.is_some_and(|h| h != data.hash()) {
            return Err(Error::refused("data", "differ from those that the checkpoint was trained on; start a new run with them"));
        }
        Ok(self.data.get_or_init(|| data))
    }

    fn current(&self) -> Result<&State<R>> {
        let trained = self.trainer.as_ref().map(Trainer::state).or(self.state.as_ref());
        trained.ok_or_else(|| Error::refused("model", "has neither a trainer nor a checkpoint"))
    }

    fn generator(&self) -> Result<Generator<R>> {
        let generator = Generator::new(&self.config, &self.reference, self.current()?)?;
        Ok(generator.keeping(self.moments.clone()).through(self.encoder.clone()).knowing(self.classes.clone()))
    }

    /// `n` samples of each [`Rival`], in the units of the data. They are made in
    /// whitened coordinates; the bridge has as many components as the reference.
    fn rivals(&self, generator: &Generator<R>, n: usize, seed: u64) -> Result<Vec<Array2<f64>>> {
        let (data, Reference { whitening, mixture, .. }) = (self.data()?, &self.reference);
        let whitened = |x: ArrayView2<f64>, most, which| -> Result<Array2<f64>> {
            whitening.whiten(self.encoder.encode(metrics::subset(x, most, seed, which).view())?.view())
        };
        let [most, judges] = RIVAL_POINTS;
        let (points, held_out) = (whitened(data.points.view(), most, 3)?, whitened(data.held_out.view(), judges, 4)?);
        let draw = |rival: Rival| rival.fit(points.view(), held_out.view(), mixture.components(), seed)?.sample(n, seed);
        Rival::ALL.into_iter().map(|rival| generator.unwhitened(draw(rival)?.view())).collect()
    }
}

impl<R: Real> Model for Run<R> {
    fn done(&self) -> usize {
        self.current().map_or(0, |s| s.optimiser.step as usize)
    }

    fn step(&mut self) -> Result<Step> {
        let trainer = self.trainer.as_mut().ok_or_else(|| Error::refused("model", "was loaded to generate, not to be trained"))?;
        let r = trainer.step()?;
        let more = vec![("deviation", r.deviation), ("gradient", r.gradient), ("rate", r.rate)];
        Ok(Step { step: r.step as usize, loss: r.loss, more, groups: r.groups, gains: r.gains })
    }

    fn exhausted(&self) -> bool {
        self.trainer.as_ref().is_some_and(Trainer::exhausted)
    }

    fn complete(&mut self) -> Result<()> {
        self.trainer.as_mut().map_or(Ok(()), |trainer| trainer.calibrate().map(|_| ()))
    }

    fn save(&self, checkpoint: &Path) -> Result<()> {
        // What cannot generate is no checkpoint to go by.
        let probe = Generator::new(&self.config, &self.reference, self.current()?)?.sample(PROBE, 0, Method::Ode, None);
        probe.map_err(|e| match e {
            Error::NonFinite { place, .. } => {
                let (step, remedy) = (self.done(), "lower train.lr or set train.clip".to_owned());
                Error::Diverged { place: format!("the model cannot generate, for NaN or infinity in {place}"), step, remedy }
            }
            other => other,
        })?;
        let data = match self.hash {
            Some(hash) => hash,
            None => self.data()?.hash(),
        };
        let (config, state) = (self.config.clone(), self.current()?.clone());
        let (reference, encoder) = (self.reference.clone(), self.encoder.clone());
        let (moments, classes) = (self.moments.clone(), self.classes.clone());
        Checkpoint { config, state, reference, encoder, data, moments, classes }.write(checkpoint)
    }

    fn columns(&self) -> usize {
        self.encoder.data_dim(self.reference.whitening.dim())
    }

    fn double(&self) -> Result<Option<String>> {
        if self.config.train.precision == Precision::F64 {
            return Ok(Some(String::new()));
        }
        // Of the model alone, so that the samples' number does not decide.
        let like = self.generator()?.sample_reference(LIKE, 0)?;
        Ok(data::lost_in_single(like.view()).map(|(j, share)| {
            format!("samples are written in f64: in f32 coordinate {j} would lose {:.1} % of its standard deviation", 100.0 * share)
        }))
    }

    fn sample(&self, how: Sampling, take: &mut dyn FnMut(Array2<f64>) -> Result<()>) -> Result<()> {
        let method = match how.method {
            MethodArg::Ode => Method::Ode,
            MethodArg::Sde => Method::Sde,
            MethodArg::Pc => Method::Pc,
        };
        let mut generator = self.generator()?.at_temperature(how.temperature)?.guided(how.guidance)?;
        if let Some(class) = how.class {
            generator = generator.of_class(class)?;
        }
        generator.sample_blocks(how.n, how.seed, method, how.steps, take)
    }

    fn evaluate(&self, samples: ArrayView2<f64>, seed: u64, resamples: usize) -> Result<Vec<Metric>> {
        let (modes, data, n) = (self.reference.in_data_units()?, self.data()?, samples.nrows());
        let generator = self.generator()?;
        let reference = generator.sample_reference(n, seed)?;
        let phase = Phase::begin("metrics");
        // Where intervals are asked for time matters less.
        let rivals = if resamples > 0 {
            phase.tell("samples without a network");
            self.rivals(&generator, n, seed)?
        } else {
            Vec::new()
        };
        phase.tell("samples against held-out data");
        let sets: Vec<ArrayView2<f64>> = [samples, reference.view()].into_iter().chain(rivals.iter().map(|x| x.view())).collect();
        let inside: Vec<Array2<f64>> = sets.iter().map(|x| self.encoder.encode(*x)).collect::<Result<_>>()?;
        let table = |sets: &[ArrayView2<f64>], data: &Dataset, modes: Option<&Mixture>| -> Result<Vec<Metric>> {
            let measures = |(i, (x, inside)): (usize, (&ArrayView2<f64>, &Array2<f64>))| {
                let modes = modes.map(|mixture| ModeSpace { mixture, samples: inside.view() });
                let all = if i == 0 {
                    metrics::evaluate(x.view(), data, modes, seed, resamples)
                } else {
                    metrics::evaluate_beside(x.view(), data, modes, seed)
                };
                Ok(all?.measures)
            };
            let all: Vec<Vec<Measure>> = sets.iter().zip(&inside).enumerate().map(measures).collect::<Result<_>>()?;
            Ok(beside(all))
        };
        let mut all = table(&sets, data, Some(&modes))?;
        let encoded = (self.encoder != Encoder::Identity).then(|| self.encoder.encode(data.points.view())).transpose()?;
        let decoded = encoded.as_ref().map(|z| self.encoder.decode(z.clone())).transpose()?;
        if let Some(decoded) = &decoded {
            let decoded = metrics::evaluate_beside(decoded.view(), data, None, seed)?.measures;
            // Its modes are those of no data.
            all.iter_mut().zip(decoded).skip(1).for_each(|(metric, m)| metric.decoded = m.value);
        }
        // As the rivals.
        if resamples > 0 && data.labels.is_some() {
            phase.tell("a classifier of the images");
        }
        if let Some(classifier) = if resamples > 0 { image_metrics::classifier(data, seed)? } else { None } {
            phase.tell("images in the classifier's features");
            let decoded = decoded.as_ref().map(|x| x.view());
            all.extend(image_metrics::metrics(&classifier, &sets, decoded, data, (seed, resamples))?);
            let _ = self.judge.set(image_metrics::named(&classifier, data)?);
        }
        if let Some(points) = encoded {
            phase.tell("latent space");
            let held_out = self.encoder.encode(data.held_out.view())?;
            let data = Dataset {
                points,
                held_out,
                images: None,
                notes: Vec::new(),
                labels: None,
                held_out_labels: None,
                law: None,
                name: data.name.clone(),
            };
            let views: Vec<ArrayView2<f64>> = inside.iter().map(|x| x.view()).collect();
            all.extend(table(&views, &data, None)?.into_iter().filter(|m| m.value.is_some()).map(|m| Metric {
                name: format!("latent_{}", m.name),
                meaning: format!("in the latent space: {}", m.meaning),
                ..m
            }));
        }
        Ok(all)
    }

    fn judge(&self) -> Option<String> {
        self.judge.get().cloned()
    }

    fn likelihood(&self, seed: u64) -> Result<Vec<Metric>> {
        let model = Likelihood::new(&self.config, &self.reference, self.current()?)?;
        let mut model = model.through(self.generator()?.maps(Method::Ode, None)?.as_deref())?;
        likelihood::metrics(&mut model, &self.reference.in_data_units()?, (self.data()?, &self.encoder), seed)
    }

    fn pictures(&self, samples: ArrayView2<f64>) -> Result<Vec<(&'static str, Figure)>> {
        self.all_pictures(samples)
    }

    fn film(&self) -> Result<Option<Film>> {
        self.frames()
    }

    fn tape(&self) -> Result<Vec<Vec<String>>> {
        self.recorded()
    }

    fn onnx(&self) -> Result<Vec<u8>> {
        onnx::model(&network(&self.config, &self.reference)?, self.current()?.generating())
    }

    fn verdict(&self) -> Option<String> {
        let state = self.current().ok()?;
        // Where the calibration leaves the network out its own gain says why.
        let left_out = state.calibration.as_ref().is_some_and(|c| c.is_guide());
        let calibrated = state.calibration.as_ref().map(|c| if left_out { c.plain } else { c.calibrated });
        let gain = calibrated.or(state.best.as_ref().map(|best| best.gain))?;
        let shown = format!("held-out gain {:.3} +- {:.3}", gain.value, 2.0 * gain.error);
        Some(if left_out {
            format!("the network is not better than its reference alone: {shown}; the reference generates, until there are more data")
        } else if gain.value + 2.0 * gain.error < 0.0 {
            format!("the network is better than its reference alone: {shown}")
        } else if gain.value - 2.0 * gain.error > 0.0 {
            format!("the network is worse than its reference alone: {shown}; keep the reference (ndsm fit), or train.keep = \"best\"")
        } else {
            format!("the network is not better than its reference alone: {shown}; keep the reference, or give it more data")
        })
    }

    fn facts(&self) -> Vec<(String, String)> {
        let mut facts = vec![
            ("dimension".to_owned(), self.reference.whitening.dim().to_string()),
            ("components of the reference".to_owned(), self.reference.mixture.components().to_string()),
            ("vector level".to_owned(), crate::simd::level().name().to_owned()),
        ];
        if let Some(trainer) = &self.trainer {
            facts.push(("parameters".to_owned(), trainer.state().params.len().to_string()));
            let (hits, bytes) = trainer.bank();
            if hits > 0.0 {
                facts.push((
                    "trajectory bank".to_owned(),
                    format!("{:.0} % of the steps take paths that are there, {:.1} MB", 100.0 * hits, bytes as f64 / 1e6),
                ));
            }
            if trainer.simulation_share().is_finite() {
                facts.push(("noising the data".to_owned(), format!("{:.0} % of the training time", 100.0 * trainer.simulation_share())));
            }
            if trainer.watching_share() > 0.0 {
                facts.push(("held-out gain".to_owned(), format!("{:.1} % of the training time", 100.0 * trainer.watching_share())));
            }
            facts.extend(trainer.state().calibration.iter().map(|c| {
                let [plain, calibrated] = [c.plain, c.calibrated].map(|g| format!("{:.3} +- {:.3}", g.value, g.error));
                ("calibration".to_owned(), format!("held-out gain {plain} without, {calibrated} with it"))
            }));
            let told = |gain: Mean| format!("{:.3} +- {:.3}", gain.value, 2.0 * gain.error);
            // Before the end they are neither known nor asked for.
            let over = self.done() >= self.config.train.steps || self.exhausted();
            let gains = if over { trainer.class_gains().unwrap_or_default() } else { Vec::new() };
            let classes: Vec<String> = gains
                .iter()
                .map(|ClassGain { class, told: with, untold }| {
                    format!("{class}: {} told the label, {} not told", told(*with), told(*untold))
                })
                .collect();
            if !classes.is_empty() {
                facts.push(("held-out gain by class".to_owned(), classes.join("; ")));
            }
            facts.extend(trainer.state().prices.map(|prices| ("control chosen".to_owned(), prices.to_string())));
        }
        if let Some(data) = self.data.get() {
            facts.push(("data".to_owned(), format!("{} for training, {} held out", data.points.nrows(), data.held_out.nrows())));
            facts.extend(data.notes.iter().map(|note| ("data".to_owned(), note.clone())));
        }
        facts.extend(self.encoder.summary().map(|summary| ("latent space".to_owned(), summary)));
        facts.extend(self.config.choices().iter().map(|n| ("chosen".to_owned(), n.clone())));
        facts.extend(self.reference.notes.iter().map(|n| ("reference".to_owned(), n.clone())));
        facts
    }
}
