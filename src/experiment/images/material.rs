//! What the trainings of a case and a seed share: the images, their latent space, the judge.

use super::case::{Coding, ImageCase, Shape};
use super::{ImageSpace, ImageStudy};
use crate::config::{Config, Setting, keyed};
use crate::data::{Dataset, Encoder, EncoderTraining, FILE_HELD_OUT, ImageShape, NetworkEncoder, Request, load};
use crate::metrics::{ImageClassifier, ImageJudge};
use crate::train::Reference;
use crate::{Error, Result};
use ndarray::{Array1, Array2, Axis, s};
use std::collections::HashMap;
use std::hash::Hash;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Instant;

/// Share of all images that none of the methods sees.
const HELD_OUT: f64 = 0.5;
/// Channels behind the first convolution of the autoencoder, images of a step and learning rate.
const CHANNELS: usize = 16;
const BATCH: usize = 128;
const RATE: f64 = 2e-3;
/// Weight of the divergence of a variational one.
const KL: f64 = 1e-4;

/// Images where they are modelled, and what samples are compared with.
#[derive(Clone)]
pub(super) struct Material {
    /// Points to learn from: all, and of a method that holds points out so many of them with the rest.
    pub points: Array2<f64>,
    /// Fresh points, in the same space.
    pub fresh: Array2<f64>,
    /// The training images as they are, their labels, and their shape.
    pub images: Array2<f64>,
    pub labels: Vec<u32>,
    pub shape: ImageShape,
    pub encoder: Encoder,
    /// Against the held-out images as the encoder and decoder leave them, and against themselves.
    pub judge: ImageJudge,
    pub raw: ImageJudge,
    /// Shares of the classes that are right, where they are not those of the data.
    shares: Option<Array1<f64>>,
    /// Of the encoder's training.
    pub encoder_seconds: f64,
    /// The held-out images as they are.
    held_out: Array2<f64>,
}

/// How an autoencoder is trained, that of `latent` numbers.
fn encoder_training(study: &ImageStudy, latent: usize, coding: Coding, seed: u64) -> EncoderTraining {
    let together = if let Coding::Joint(steps) = coding { steps } else { 0 };
    let kl = (coding != Coding::Autoencoder).then_some(KL);
    let steps = study.encoder_steps.saturating_sub(together).max(1);
    EncoderTraining { latent, channels: CHANNELS, kl, steps, batch: BATCH, rate: RATE, seed }
}

/// The settings of training together with the score, of which the network alone takes what is left of `steps`.
pub(super) fn together(coding: Coding, steps: usize) -> Vec<Setting> {
    let Coding::Joint(joint) = coding else { return Vec::new() };
    let rest = steps.saturating_sub(joint).max(1);
    vec![
        Setting::new("encoder.kind", "vae"),
        Setting::new("encoder.kl", KL),
        Setting::new("encoder.lr", RATE),
        Setting::new("encoder.joint", joint),
        Setting::new("train.steps", rest),
    ]
}

impl Material {
    fn new(study: &ImageStudy, case: &ImageCase, seed: u64) -> Result<Self> {
        let whole = images(study, case.side, seed)?;
        let sides = whole.images.ok_or_else(|| Error::refused("reproduce", "needs images"))?;
        let image = [sides.height, sides.width, sides.channels];
        let shaped = case.shape.of(&whole, seed)?;
        let (lessons, labels) = &shaped.lessons;
        let classifier = ImageClassifier::with(lessons.view(), labels, image, seed, study.judge_steps)?;
        let data = shaped.data;
        let began = Instant::now();
        let encoder = match study.space {
            ImageSpace::Pixels => Encoder::Identity,
            ImageSpace::Latent(latent) => {
                // Its own held-out images come from those that it may see.
                let cut = data.points.nrows() - (data.points.nrows() as f64 * FILE_HELD_OUT) as usize;
                let own = Dataset { held_out: data.points.slice(s![cut.., ..]).to_owned(), ..data.clone() };
                let how = encoder_training(study, latent, case.coding, seed);
                Encoder::Network(Box::new(NetworkEncoder::fit(&own, how, &mut |_| {})?))
            }
        };
        let encoder_seconds = began.elapsed().as_secs_f64();
        let raw = ImageJudge::new(classifier, data.points.view(), data.held_out.view(), shaped.shares.clone())?;
        let (labels, none) = (data.labels.unwrap_or_default(), Array2::zeros((0, 0)));
        let (points, fresh, judge) = (none.clone(), none, raw.clone());
        let (images, held_out, shares) = (data.points, data.held_out, shaped.shares);
        let pixels = Material {
            points,
            fresh,
            images,
            labels,
            shape: sides,
            encoder: Encoder::Identity,
            judge,
            raw,
            shares,
            encoder_seconds,
            held_out,
        };
        pixels.through(encoder)
    }

    /// The same images through `encoder`.
    pub fn through(&self, encoder: Encoder) -> Result<Self> {
        let [points, fresh] = [&self.images, &self.held_out].map(|x| encoder.encode(x.view()));
        let (points, fresh) = (points?, fresh?);
        let judge = match encoder {
            Encoder::Identity => self.raw.clone(),
            _ => {
                let [seen, unseen] = [&points, &fresh].map(|z| encoder.decode(z.clone()));
                ImageJudge::new(self.raw.classifier().clone(), seen?.view(), unseen?.view(), self.shares.clone())?
            }
        };
        Ok(Material { points, fresh, encoder, judge, ..self.clone() })
    }

    /// Some of the training images, and others held out of them.
    pub fn dataset(&self, rest: &[usize], held: &[usize]) -> Dataset {
        let [points, held_out] = [rest, held].map(|rows| self.images.select(Axis(0), rows));
        Dataset {
            name: "images".into(),
            points,
            held_out,
            images: Some(self.shape),
            notes: Vec::new(),
            labels: None,
            held_out_labels: None,
            law: None,
        }
    }

    /// Height and width of the points, where they are modelled in pixels.
    pub fn pixels(&self) -> Option<(usize, usize)> {
        (self.encoder == Encoder::Identity).then_some((self.shape.height, self.shape.width))
    }
}

/// The images of a study, their sides at most `side`: those of its folder, or the embedded digits.
fn images(study: &ImageStudy, side: usize, seed: u64) -> Result<Dataset> {
    let (name, path) = match &study.data {
        Some((name, path)) => (name.name(), Some(path.clone())),
        None => ("digits", None),
    };
    let mut data = load(&Request { name: name.to_owned(), path, held_out: Some(HELD_OUT), seed, ..Request::default() })?;
    while let Some(shape) = data.images.filter(|s| s.height.max(s.width) > side && s.height % 2 == 0 && s.width % 2 == 0) {
        data.points = halved(&data.points, shape);
        data.held_out = halved(&data.held_out, shape);
        data.images = Some(ImageShape { height: shape.height / 2, width: shape.width / 2, levels: None, ..shape });
    }
    Ok(data)
}

/// Images of half the sides: squares of four pixels averaged.
fn halved(x: &Array2<f64>, shape: ImageShape) -> Array2<f64> {
    let ImageShape { height, width, channels, .. } = shape;
    let row = |i: usize| i * width * channels;
    Array2::from_shape_fn((x.nrows(), height * width * channels / 4), |(n, place)| {
        let (i, rest) = (place / (width / 2 * channels), place % (width / 2 * channels));
        let (j, c) = (rest / channels, rest % channels);
        let at = |di: usize, dj: usize| x[[n, row(2 * i + di) + (2 * j + dj) * channels + c]];
        0.25 * (at(0, 0) + at(0, 1) + at(1, 0) + at(1, 1))
    })
}

/// What several trainings need, made when it is first asked for.
#[derive(Default)]
pub(super) struct Store {
    materials: Places<Name, Arc<Material>>,
    /// By the points and by what is asked of a fit; with the seconds that it took.
    references: Places<(Name, usize, Asked), (Reference, f64)>,
}

/// Keys of a configuration with their values.
type Asked = Vec<(&'static str, String)>;

/// What the images of a case and a seed depend on.
type Name = (Shape, Coding, usize, u64);

/// Where each thing will lie; locked while it is made.
type Places<K, V> = Mutex<HashMap<K, Arc<Mutex<Option<V>>>>>;

/// The thing of this name; who comes second waits for who makes it.
fn shared<K: Eq + Hash, V: Clone>(places: &Places<K, V>, key: K, make: impl FnOnce() -> Result<V>) -> Result<V> {
    let place = Arc::clone(places.lock().unwrap_or_else(PoisonError::into_inner).entry(key).or_default());
    let mut place = place.lock().unwrap_or_else(PoisonError::into_inner);
    match &*place {
        Some(thing) => Ok(thing.clone()),
        None => Ok(place.insert(make()?).clone()),
    }
}

fn name(case: &ImageCase, seed: u64) -> Name {
    (case.shape, case.coding, case.side, seed)
}

impl Store {
    /// The material of a case and a seed.
    pub fn get(&self, study: &ImageStudy, case: &ImageCase, seed: u64) -> Result<Arc<Material>> {
        shared(&self.materials, name(case, seed), || Ok(Arc::new(Material::new(study, case, seed)?)))
    }

    /// The reference of a configuration, fitted to these points of a material: methods that have one in common share
    /// it. With the seconds of the fit.
    pub fn reference(&self, case: &ImageCase, config: &Config, of: &Material, points: &Array2<f64>) -> Result<(Reference, f64)> {
        let asked = keyed(config).filter(|(key, _)| key.starts_with("reference.") || *key == "sde.isotropy");
        shared(&self.references, (name(case, config.train.seed), points.nrows(), asked.collect()), || {
            let began = Instant::now();
            let reference = Reference::fit_images(points.view(), of.pixels(), config)?;
            Ok((reference, began.elapsed().as_secs_f64()))
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn squares_are_averaged() {
        // Two images of 2 x 4 pixels in two colours.
        let x = Array2::from_shape_fn((2, 16), |(n, k)| (100 * n + k) as f64);
        let half = halved(&x, ImageShape { height: 2, width: 4, channels: 2, range: [0.0, 1.0], levels: None });
        // Of colour c at column j: places 4 j + c, + 2, and a row, 8, below.
        let exact = Array2::from_shape_fn((2, 4), |(n, k)| (100 * n + 4 * (k / 2) + k % 2) as f64 + 5.0);
        assert_eq!(half, exact);
        let study = ImageStudy::pixels();
        let (small, whole) = (images(&study, 4, 0).unwrap(), images(&study, 14, 0).unwrap());
        assert_eq!((small.dim(), whole.dim(), small.images.map(|s| s.height)), (16, 64, Some(4)));
        assert!((small.points.row(3).sum() * 4.0 - whole.points.row(3).sum()).abs() <= 1e-12);
    }
}
