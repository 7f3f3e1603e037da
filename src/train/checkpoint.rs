//! Checkpoints: everything a run needs to go on, or to generate, in one safetensors file beside its
//! configuration.
//!
//! [`guide::files`](crate::guide::files) has every tensor and every entry of the metadata. Random numbers need none: they
//! are named by the step.
//!
//! The checkpoint before the last stays beside it as `checkpoint.previous.safetensors`.

use super::identity::{different, identity};
use super::kept::{CHECKPOINT, CONFIG, check_run, previous, whole};
use super::system::noise_scale;
use super::tensors::{Reader, Tensors, bytes};
use super::{Classes, DataMoments, Generator, Prepared, Reference, Settled, State, Trainer, network};
use crate::config::{Config, MomentMatching, file};
use crate::data::{Encoder, write_after, write_whole};
use crate::{Error, Real, Result};
use ndarray::Array2;
use std::path::Path;
use std::sync::Arc;

/// A model with all that it needs to generate, or to be trained further: what a run leaves.
///
/// ```
/// use ndsm::config::{Config, Setting};
/// use ndsm::sample::Method;
/// use ndsm::train::{Checkpoint, Generator, prepare};
/// let config = Config::resolve(&[
///     Setting::new("data.name", "moons"), Setting::new("data.n", 300usize),
///     Setting::new("reference.components", 3usize), Setting::new("network.kind", "residual"),
///     Setting::new("train.steps", 5usize), Setting::new("network.width", 16usize),
/// ])?;
/// let prepared = prepare(&config)?;
/// let mut trainer = prepared.trainer::<f32>()?;
/// trainer.step()?;
/// let dir = std::env::temp_dir().join(format!("ndsm-{}", std::process::id()));
/// Checkpoint::of(&prepared, &trainer).save(&dir)?;
/// let mut generator = Generator::<f32>::load(&dir)?;
/// let same = prepared.generator(&trainer)?.sample(10, 0, Method::Ode, None)?;
/// assert_eq!(generator.sample(10, 0, Method::Ode, None)?, same);
/// # std::fs::remove_dir_all(&dir).ok();
/// # Ok::<(), ndsm::Error>(())
/// ```
pub struct Checkpoint<R> {
    /// The configuration that the model was made with.
    pub config: Settled,
    /// Parameters and optimiser.
    pub state: State<R>,
    /// The fitted reference.
    pub reference: Reference,
    /// The latent space.
    pub encoder: Encoder,
    /// [Hash](crate::data::Dataset::hash) of the data that it was trained on.
    pub data: u64,
    /// The moments that samples are to have, where `calibration.moments` asks for them.
    pub moments: Option<Arc<DataMoments>>,
    /// What the labels say about the components, where `network.classes` asks for it.
    pub classes: Option<Arc<Classes>>,
}

impl<R: Real> Checkpoint<R> {
    /// What `trainer`, made by [`Prepared::trainer`], has come to.
    pub fn of(prepared: &Prepared, trainer: &Trainer<R>) -> Self {
        let (config, state) = (prepared.config.clone(), trainer.state().clone());
        let (reference, encoder) = (prepared.reference.clone(), prepared.encoder.clone());
        let (moments, classes) = (prepared.moments.clone(), prepared.classes.clone());
        Checkpoint { config, state, reference, encoder, data: prepared.data.hash(), moments, classes }
    }

    /// Writes configuration and checkpoint into the directory `dir`, made where it is not there: what
    /// [`Generator::load`], `ndsm sample` and `ndsm train --resume` read.
    ///
    /// # Errors
    /// `File` where writing fails.
    pub fn save(&self, dir: &Path) -> Result<()> {
        let written = std::fs::create_dir_all(dir).and_then(|()| write_whole(&dir.join(CONFIG), file::write(&self.config).as_bytes()));
        written.map_err(|e| Error::io(dir, "cannot be written", &e))?;
        self.write(&dir.join(CHECKPOINT))
    }

    /// Reads what [`Checkpoint::save`] or `ndsm train` left in `dir`: the last checkpoint.
    ///
    /// # Errors
    /// `File` for a directory without a run, or a checkpoint that is not whole, or not of this configuration
    /// and precision; [`Checkpoint::read`] takes the one before it.
    pub fn load(dir: &Path) -> Result<Self> {
        check_run(dir)?;
        let (config, checkpoint) = (Config::resolve(&file::read(&dir.join(CONFIG))?)?, dir.join(CHECKPOINT));
        if !checkpoint.is_file() {
            return Err(Error::bad_file(checkpoint, "is not there: the run has not come to its first checkpoint"));
        }
        Self::read(&checkpoint, &config)
    }

    /// The generator of the parameters that [`State::generating`] names.
    ///
    /// # Errors
    /// A state of another network than the configuration's.
    pub fn generator(self) -> Result<Generator<R>> {
        let generator = Generator::new(&self.config, &self.reference, &self.state)?;
        Ok(generator.keeping(self.moments).through(self.encoder).knowing(self.classes))
    }

    /// Writes the file, whole or not at all. A whole checkpoint that was there stays beside it, `.previous` in its
    /// name.
    ///
    /// # Errors
    /// `File` where writing fails.
    pub fn write(&self, path: &Path) -> Result<()> {
        let net = network(&self.config, &self.reference)?;
        let mut t = Tensors::default();
        self.state.put(&mut t, &net);
        t.reference(&self.reference);
        t.encoder(&self.encoder);
        t.moments(self.moments.as_deref());
        if let Some(classes) = &self.classes {
            t.array("classes.joint", &classes.joint());
        }
        t.fact("seed", self.config.train.seed);
        t.fact("data", self.data);
        t.fact("points", self.config.points());
        t.fact("config", identity(&self.config).join("\n"));
        let keep = || if whole(path).is_ok() { std::fs::rename(path, previous(path)) } else { Ok(()) };
        t.bytes().and_then(|bytes| write_after(path, &bytes, keep)).map_err(|e| Error::io(path, "cannot be written", &e))
    }

    /// Reads the file of a model of `config`.
    ///
    /// # Errors
    /// `File` (exit code 2) for a file that is not a whole checkpoint of this network and precision; `Invalid` with
    /// the first key that `config` has otherwise, of those that say what the model is; as [`Settled::new`].
    pub fn read(path: &Path, config: &Config) -> Result<Self> {
        let bytes = bytes(path)?;
        let file = Reader::new(&bytes, path, "checkpoint")?;
        file.check_whole()?;
        let reference = file.reference()?;
        let config = Settled::new(config, &reference, file.number("points")? as usize)?;
        let own: Vec<String> = file.fact("config")?.lines().map(str::to_owned).collect();
        if let Some((key, [new, own])) = different(&identity(&config), &own) {
            return Err(Error::invalid(key, format!("{own} as in {}", path.display()), new));
        }
        let net = network(&config, &reference)?;
        let state = State::read(&file, &config, &net)?;
        let moments = match config.calibration.moments {
            MomentMatching::None => None,
            MomentMatching::Auto if !file.has("moments.times") => None,
            _ => Some(Arc::new(file.moments(noise_scale(&config), reference.whitening.dim())?)),
        };
        let shares = moments.as_ref().map_or(0, |moments| moments.components.len());
        let wanted = if config.calibration.moments == MomentMatching::Component { reference.mixture.components() } else { 0 };
        if shares != wanted {
            return Err(file.bad(format!("holds moments of {shares} components, and calibration.moments asks for {wanted}")));
        }
        let classes = classes(&file, [config.network.classes, reference.mixture.components()])?;
        let (encoder, data) = (file.encoder()?, file.number("data")?);
        file.check_all_read()?;
        Ok(Checkpoint { config, state, reference, encoder, data, moments, classes })
    }
}

/// What the labels say about the components, a table of this shape; nothing where there are no classes.
fn classes(file: &Reader, shape: [usize; 2]) -> Result<Option<Arc<Classes>>> {
    if shape[0] == 0 {
        return Ok(None);
    }
    let joint: Array2<f64> = file.of("classes.joint")?;
    if joint.shape() != shape {
        return Err(file.bad(format!("`classes.joint` must have the shape {shape:?} of this configuration, got {:?}", joint.shape())));
    }
    Classes::from_joint(joint).map(|classes| Some(Arc::new(classes))).map_err(|e| file.bad(format!("`classes.joint`: {e}")))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Setting;
    use crate::sample::Method;
    use crate::train::prepare;

    /// A model after three steps.
    fn trained<R: Real>(settings: &[(&str, &str)]) -> (Prepared, Trainer<R>) {
        let mut all = vec![Setting::new("data.n", 200usize), Setting::new("reference.components", 3usize)];
        all.extend([("network.width", 8usize), ("train.steps", 3), ("train.batch", 32)].map(|(key, value)| Setting::new(key, value)));
        all.extend([Setting::new("train.precision", R::NAME), Setting::new("objective.control", "gated")]);
        all.extend(settings.iter().map(|(key, value)| match value.parse::<usize>() {
            Ok(number) => Setting::new(key, number),
            Err(_) => Setting::new(key, *value),
        }));
        let prepared = prepare(&Config::resolve(&all).unwrap()).unwrap();
        let mut trainer = prepared.trainer::<R>().unwrap();
        (0..3).for_each(|_| drop(trainer.step().unwrap()));
        (prepared, trainer)
    }

    fn round_trip<R: Real>(settings: &[(&str, &str)], columns: usize) {
        let (prepared, mut trainer) = trained::<R>(settings);
        let dir = tempfile::tempdir().unwrap();
        Checkpoint::of(&prepared, &trainer).save(dir.path()).unwrap();
        let read = Checkpoint::<R>::load(dir.path()).unwrap();
        assert!(read.state == *trainer.state() && *read.config == *prepared.config, "{settings:?}");
        assert!(read.encoder == prepared.encoder && read.data == prepared.data.hash(), "{settings:?}");
        assert!(read.moments == prepared.moments && read.classes == prepared.classes, "{settings:?}");

        let written = prepared.generator(&trainer).unwrap().sample(20, 5, Method::Ode, None);
        let samples = Generator::<R>::load(dir.path()).unwrap().sample(20, 5, Method::Ode, None).unwrap();
        assert!(samples == written.unwrap() && samples.dim() == (20, columns), "{settings:?}");

        let x = read.encoder.encode(prepared.data.points.view()).unwrap();
        let resumed = Trainer::resume(&read.config, &read.reference, x.view(), read.state).unwrap();
        let resumed = resumed.labelled(&prepared.data).unwrap();
        let resumed = resumed.changing(&prepared.data, &read.encoder, &read.reference).unwrap();
        let held_out = read.encoder.encode(prepared.data.held_out.view()).unwrap();
        let mut resumed = resumed.watching(&read.reference, held_out.view()).unwrap();
        (0..3).for_each(|_| assert!(resumed.step().unwrap() == trainer.step().unwrap()));
        assert!(resumed.state() == trainer.state(), "{settings:?}");
    }

    #[test]
    fn a_saved_model_generates_and_goes_on_with_the_same_bits() {
        for kind in ["mlp", "residual"] {
            round_trip::<f32>(&[("data.name", "moons"), ("network.kind", kind)], 2);
            round_trip::<f64>(&[("data.latent", "5"), ("network.kind", kind)], 64);
        }
        round_trip::<f32>(&[("data.latent", "5"), ("train.augment", "mirror")], 64);
        round_trip::<f32>(&[("data.latent", "5"), ("network.classes", "10")], 64);
        for encoder in ["autoencoder", "vae"] {
            round_trip::<f32>(&[("data.latent", "5"), ("encoder.kind", encoder), ("encoder.steps", "5"), ("encoder.channels", "2")], 64);
        }
        let joint =
            [("data.latent", "5"), ("encoder.kind", "vae"), ("encoder.steps", "5"), ("encoder.joint", "5"), ("encoder.channels", "2")];
        round_trip::<f32>(&joint, 64);
        round_trip::<f32>(&[("data.latent", "0"), ("network.kind", "unet"), ("reference.covariance", "low-rank")], 64);
        for moments in ["full", "component", "auto"] {
            round_trip::<f32>(&[("data.name", "moons"), ("calibration.moments", moments)], 2);
        }
        let latent = [("data.latent", "5"), ("reference.components", "1"), ("calibration.moments", "auto")];
        round_trip::<f64>(&[&latent[..], &[("sde.kind", "ve"), ("network.parametrisation", "preconditioned")]].concat(), 64);
        round_trip::<f64>(&[&latent[..], &[("sde.kind", "straight")]].concat(), 64);
        let paired = [("sde.kind", "straight"), ("objective.coupling", "optimal-transport"), ("objective.control", "antithetic")];
        round_trip::<f32>(&[&latent[..], &paired].concat(), 64);
        round_trip::<f64>(&[("data.latent", "5"), ("sde.kind", "vp"), ("reference.components", "1"), ("calibration.moments", "auto")], 64);
    }

    /// A network that a configuration leaves to the number of points is that of the points on record.
    #[test]
    fn what_the_points_decided_they_decide_again() {
        let (prepared, trainer) = trained::<f32>(&[("data.latent", "20"), ("network.width", "0")]);
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join(CHECKPOINT);
        Checkpoint::of(&prepared, &trainer).write(&path).unwrap();
        let open = Config { network: Config::default().network, ..(*prepared.config).clone() };
        let read = Checkpoint::<f32>::read(&path, &open).unwrap();
        assert!(read.config.points() == 200 && read.config.network.width == 128 && *read.config == *prepared.config);
    }

    #[test]
    fn what_is_no_saved_model_is_refused_in_one_sentence() {
        let dir = tempfile::tempdir().unwrap();
        let (place, run) = (dir.path(), dir.path().join("run"));
        let refused = |words: &str| {
            let e = Generator::<f32>::load(&run).err().unwrap();
            let sentence = e.to_string();
            assert!(e.exit_code() == 2 && sentence.contains(words) && !sentence.contains('\n'), "{sentence}");
        };
        refused("run: no such run directory");
        std::fs::create_dir(&run).unwrap();
        refused("must be a run directory, but holds no config.toml");
        let moons = ("data.name", "moons");
        let (prepared, trainer) = trained::<f32>(&[moons]);
        Checkpoint::of(&prepared, &trainer).save(&run).unwrap();
        let (file, whole) = (run.join(CHECKPOINT), std::fs::read(run.join(CHECKPOINT)).unwrap());
        std::fs::remove_file(&file).unwrap();
        refused("checkpoint.safetensors: is not there");
        std::fs::write(&file, []).unwrap();
        refused("is empty");
        for len in [7, 1000, whole.len() - 1] {
            std::fs::write(&file, &whole[..len]).unwrap();
            refused("is not a whole checkpoint");
        }
        // The checkpoints of other models, beside this configuration.
        let other = place.join("other");
        let takes = |settings: &[(&str, &str)], words: &str| {
            let (prepared, trainer) = trained::<f32>(&[&[moons], settings].concat());
            Checkpoint::of(&prepared, &trainer).save(&other).unwrap();
            std::fs::copy(other.join(CHECKPOINT), &file).unwrap();
            refused(words);
        };
        takes(&[("network.kind", "residual")], "network.kind: must be \"residual\" as in ");
        takes(&[("network.width", "9")], "network.width: must be 9 as in ");
        takes(&[("network.depth", "2")], "network.depth: must be 2 as in ");
        takes(&[("objective.control", "self")], "objective.control: must be \"self\" as in ");
        let (prepared, trainer) = trained::<f64>(&[moons]);
        Checkpoint::of(&prepared, &trainer).write(&file).unwrap();
        refused("train.precision: must be \"f64\" as in ");
    }

    /// What was written so: whole files whose numbers cannot be.
    #[test]
    fn values_that_cannot_be_are_refused() {
        let dir = tempfile::tempdir().unwrap();
        let (prepared, trainer) = trained::<f32>(&[("data.name", "moons")]);
        let path = dir.path().join(CHECKPOINT);
        let refused = |change: &dyn Fn(&mut State<f32>), words: &str| {
            let mut checkpoint = Checkpoint::of(&prepared, &trainer);
            change(&mut checkpoint.state);
            checkpoint.write(&path).unwrap();
            let e = Checkpoint::<f32>::read(&path, &prepared.config).err().unwrap();
            assert!(e.exit_code() == 2 && e.to_string().contains(words), "{e}");
        };
        refused(&|state| state.optimiser.v[5] = -1e-9, "`adam.v.*` are second moments, and one is negative");
        refused(&|state| state.params[0] = f32::NAN, "`model.layers.0.weight` holds NaN or infinity");
        refused(&|state| state.optimiser.ema[3] = f32::INFINITY, "`ema.layers.0.weight` holds NaN or infinity");
    }
}
