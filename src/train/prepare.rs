//! What comes before training: the data, their latent space, the reference, and the choices that follow from
//! it.

use super::joint::{Together, together};
use super::{Classes, DataMoments, Generator, Reference, Settled, Trainer};
use crate::config::{Config, DataName, EncoderKind, ReferenceKind};
use crate::data::{self, Dataset, Encoder, EncoderLook, EncoderTraining, NetworkEncoder, Request};
use crate::mixture::{Covariances, Mixture, Progress};
use crate::{Error, Real, Result};
use ndarray::{Array1, Array2};
use std::path::Path;
use std::sync::Arc;

/// Everything that a run knows before its first step.
///
/// ```
/// use ndsm::config::{Config, Setting};
/// use ndsm::sample::Method;
/// use ndsm::train::prepare;
/// // Digits of 64 pixels, modelled in 8 principal components.
/// let config = Config::resolve(&[
///     Setting::new("data.latent", 8usize), Setting::new("reference.components", 3usize),
///     Setting::new("network.width", 16usize), Setting::new("train.steps", 5usize),
/// ])?;
/// let prepared = prepare(&config)?;
/// assert_eq!((prepared.x.dim(), prepared.data.points.dim()), ((1438, 8), (1438, 64)));
/// let mut trainer = prepared.trainer::<f32>()?;
/// for _ in 0..config.train.steps {
///     trainer.step()?;
/// }
/// let samples = prepared.generator(&trainer)?.sample(10, 0, Method::Ode, None)?;
/// assert_eq!(samples.dim(), (10, 64));
/// # Ok::<(), ndsm::Error>(())
/// ```
pub struct Prepared {
    /// The configuration with horizon and steps chosen.
    pub config: Settled,
    /// The data.
    pub data: Dataset,
    /// The latent space.
    pub encoder: Encoder,
    /// The training points where the reference lives, [n, d].
    pub x: Array2<f64>,
    /// The reference.
    pub reference: Reference,
    /// The moments that samples are to have, where `calibration.moments` asks for them.
    pub moments: Option<Arc<DataMoments>>,
    /// What the labels say about the components, where `network.classes` asks for it.
    pub classes: Option<Arc<Classes>>,
    /// The network's parameters before the first step, where `encoder.joint` steps came before.
    pub start: Option<Vec<f64>>,
}

/// How far a preparation is.
#[derive(Debug, Clone, Copy)]
pub enum Stage<'a> {
    /// What was seen of an autoencoder.
    Encoder(EncoderLook),
    /// The fit of the reference.
    Reference(&'a Progress),
    /// Steps of encoder and score together.
    Joint(usize),
}

impl Prepared {
    /// A model before its first step.
    ///
    /// # Errors
    /// As [`Trainer::new`].
    pub fn trainer<R: Real>(&self) -> Result<Trainer<R>> {
        self.unwatched()?.changing(&self.data, &self.encoder, &self.reference)?.watching(&self.reference, self.held_out()?.view())
    }

    /// The same of unchanged points alone, without an eye on those that are held out.
    pub(crate) fn unwatched<R: Real>(&self) -> Result<Trainer<R>> {
        let trainer = Trainer::new(&self.config, &self.reference, self.x.view())?.labelled(&self.data)?;
        if let Some(start) = &self.start { trainer.starting(start) } else { Ok(trainer) }
    }

    /// The held-out points where the reference lives, [m, d].
    ///
    /// # Errors
    /// None that prepared data can meet.
    pub fn held_out(&self) -> Result<Array2<f64>> {
        self.encoder.encode(self.data.held_out.view())
    }

    /// The generator of what `trainer` has come to, in the units of the data.
    ///
    /// # Errors
    /// A trainer of another configuration.
    pub fn generator<R: Real>(&self, trainer: &Trainer<R>) -> Result<Generator<R>> {
        let generator = trainer.uncalibrated(&self.reference)?.keeping(self.moments.clone()).through(self.encoder.clone());
        Ok(generator.knowing(self.classes.clone()))
    }

    /// The same after `encoder.joint` steps of encoder and score together.
    fn together(mut self, watch: &(dyn Fn(Stage<'_>) + Sync)) -> Result<Self> {
        let Encoder::Network(encoder) = self.encoder else {
            return Err(Error::refused("encoder.joint", "needs a variational autoencoder, and the file's latent space is none"));
        };
        let Together { encoder, params, reference } =
            together(&self.config, &self.reference, &self.data, *encoder, &|step| watch(Stage::Joint(step)))?;
        self.encoder = Encoder::Network(Box::new(encoder));
        self.x = self.encoder.encode(self.data.points.view())?;
        self.start = Some(params);
        self.reference = reference;
        Ok(self)
    }

    /// Writes the reference with its latent space, for `reference.kind = "file"`.
    ///
    /// # Errors
    /// `File` where writing fails.
    #[cfg(feature = "files")]
    pub fn write_reference(&self, path: &Path) -> Result<()> {
        let mut tensors = super::tensors::Tensors::default();
        tensors.reference(&self.reference);
        tensors.encoder(&self.encoder);
        tensors.fact("data", self.data.hash());
        tensors.write(path)
    }
}

/// Reads the data, finds their latent space, fits or reads the reference, and settles what the configuration
/// leaves open. Writes nothing.
///
/// # Errors
/// Data or a file that are not what they should be; a reference that does not fit the data; steps that would
/// be unstable.
pub fn prepare(config: &Config) -> Result<Prepared> {
    prepare_watched(config, &|_| {})
}

/// [`prepare`], telling `watch` how far it is.
///
/// # Errors
/// As [`prepare`].
pub fn prepare_watched(config: &Config, watch: &(dyn Fn(Stage<'_>) + Sync)) -> Result<Prepared> {
    let mut prepared = prepare_reference(config, watch)?;
    if config.encoder.joint > 0 {
        prepared = prepared.together(watch)?;
    }
    let held_out = prepared.held_out()?;
    let Prepared { config, x, reference, data, .. } = &prepared;
    let classes = Classes::new(config, reference, x.view(), data.labels.as_deref())?.map(Arc::new);
    prepared.moments = DataMoments::new(config, reference, x.view(), Some(held_out.view()))?.map(Arc::new);
    prepared.classes = classes;
    Ok(prepared)
}

/// The same before encoder and score are trained together, and without the moments, which only samples need.
pub(crate) fn prepare_reference(config: &Config, watch: &(dyn Fn(Stage<'_>) + Sync)) -> Result<Prepared> {
    let data = read_data(config)?;
    super::augment::check(config, &data)?;
    super::classes::check(config, &data)?;
    super::network::check(config, data.images.map(|i| [i.height, i.width, i.channels]))?;
    let (encoder, x, reference) = match (&config.reference.kind, &config.reference.path) {
        (ReferenceKind::File, Some(path)) => from_file(Path::new(path), config, &data, watch)?,
        _ => {
            let encoder = encoder(config, &data, watch)?;
            let x = encoder.encode(data.points.view())?;
            // A latent space has no pixels.
            let image = data.images.filter(|_| encoder == Encoder::Identity).map(|i| (i.height, i.width));
            let labels = data.labels.as_deref().filter(|_| config.reference.per_class);
            let reference = Reference::fit_labelled(x.view(), labels, image, config, &|progress| watch(Stage::Reference(progress)))?;
            (encoder, x, reference)
        }
    };
    let config = Settled::new(config, &reference, x.nrows())?;
    Ok(Prepared { config, data, encoder, x, reference, moments: None, classes: None, start: None })
}

/// The way to the latent space that the configuration asks for, fitted to the data.
fn encoder(config: &Config, data: &Dataset, watch: &(dyn Fn(Stage<'_>) + Sync)) -> Result<Encoder> {
    let e = &config.encoder;
    let kl = match e.kind {
        EncoderKind::None | EncoderKind::Pca => return Encoder::fit(data, config.data.latent),
        EncoderKind::Autoencoder => None,
        EncoderKind::Vae => Some(e.kl),
    };
    let how = EncoderTraining {
        latent: config.data.latent,
        channels: e.channels,
        kl,
        steps: e.steps,
        batch: e.batch,
        rate: e.lr,
        seed: config.train.seed,
    };
    let mut encoder = NetworkEncoder::fit(data, how, &mut |look| watch(Stage::Encoder(look)))?;
    // What is trained with the score, (24), has the law of these.
    encoder.draws = (e.joint > 0).then_some(config.train.seed);
    Ok(Encoder::Network(Box::new(encoder)))
}

/// The reference of a file, as [`Reference::read`]. A latent space comes with it where it has one.
#[cfg(feature = "files")]
fn from_file(
    path: &Path,
    config: &Config,
    data: &Dataset,
    watch: &(dyn Fn(Stage<'_>) + Sync),
) -> Result<(Encoder, Array2<f64>, Reference)> {
    let bytes = super::tensors::bytes(path)?;
    let file = super::tensors::Reader::new(&bytes, path, "reference")?;
    let latent = config.data.latent;
    let encoder = match file.encoder()? {
        Encoder::Identity => encoder(config, data, watch)?,
        known => {
            let sizes = |r: usize, d: usize| format!("{r} numbers of points of {d}");
            let (r, d) = (known.latent(latent), known.data_dim(data.dim()));
            if (r, d) != (latent, data.dim()) {
                let expected = format!("{}, as in {}", sizes(r, d), path.display());
                return Err(Error::invalid("data.latent", expected, sizes(latent, data.dim())));
            }
            known
        }
    };
    let x = encoder.encode(data.points.view())?;
    let mut reference = file.reference_or_law(config.reference.floor, config.sde.isotropy)?;
    if reference.whitening.dim() != x.ncols() {
        return Err(file.bad(format!("holds a law in {} dimensions, and the data have {}", reference.whitening.dim(), x.ncols())));
    }
    reference.image = data.images.filter(|_| encoder == Encoder::Identity).map(|i| [i.height, i.width, i.channels]);
    Ok((encoder, x, reference))
}

#[cfg(not(feature = "files"))]
fn from_file(path: &Path, _: &Config, _: &Dataset, _: &(dyn Fn(Stage<'_>) + Sync)) -> Result<(Encoder, Array2<f64>, Reference)> {
    let (what, why) = (format!("reading {}", path.display()), "a reference from a file needs the feature `files`".to_owned());
    Err(Error::Unavailable { what, why })
}

/// The data that the configuration names.
///
/// # Errors
/// As [`data::load`]; a law `mixture` that is none.
pub fn read_data(config: &Config) -> Result<Dataset> {
    let d = &config.data;
    let mixture = if d.name == DataName::Mixture { Some(mixture(config)?) } else { None };
    let (name, path) = (d.name.name().to_owned(), d.path.as_ref().map(Into::into));
    // A law's held-out points are a draw of their own.
    let held_out = (d.held_out > 0.0 && !d.name.is_law()).then_some(d.held_out);
    let (array, columns, label) = (d.array.clone(), d.columns.clone(), d.label.clone());
    data::load(&Request { name, path, n: Some(d.n), held_out, seed: d.seed, mixture, array, columns, label })
}

/// The law `mixture`: spherical components from `data.weights`, `data.means`, `data.std`.
fn mixture(config: &Config) -> Result<Mixture> {
    let d = &config.data;
    let (k, dim) = (d.means.len(), d.means.first().map_or(0, Vec::len));
    let total: f64 = d.weights.iter().sum();
    let weights = if d.weights.is_empty() { Array1::from_elem(k, 1.0 / k as f64) } else { d.weights.iter().map(|w| w / total).collect() };
    let means = Array2::from_shape_vec((k, dim), d.means.concat()).map_err(|e| Error::refused("data.means", e.to_string()))?;
    let variances = Array1::from_shape_fn(k, |i| d.std[if d.std.len() == 1 { 0 } else { i }].powi(2));
    Mixture::new(weights, means, Covariances::Spherical(variances)).map_err(|e| e.within("data"))
}
