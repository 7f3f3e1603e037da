//! Samples from a trained model.

mod maps;

use super::field::{Labels, ScoreField};
use super::system::start_std;
use super::{Classes, DataMoments, Reference, Settled, State, System};
use crate::config::SdeKind;
use crate::data::Encoder;
use crate::mixture::{CHUNK, Draw, Evaluator, Mixture};
use crate::rng::Purpose;
use crate::sample::{BLOCK, Field, Generation, Maps, Method, Reverse, generate};
use crate::sde::Whitening;
use crate::sde::ode::Explicit;
use crate::{Error, Real, Result};
use ndarray::{Array2, ArrayView1, ArrayView2};
use std::sync::Arc;

/// Heun steps when none are asked for: mixture references were done at 4; linear processes need more.
const STEPS_MIXTURE: usize = 16;
const STEPS_LINEAR: usize = 32;
/// A network on images takes so many times fewer: there a sample costs more than a hundred perceptrons.
const DEARER: usize = 2;
/// Steps of the stochastic methods when none are asked for: they are of order one.
const STEPS_STOCHASTIC: usize = 100;
/// A score model, its parameters, and the way from its coordinates to the data's.
pub struct Generator<R: Real> {
    config: Settled,
    encoder: Encoder,
    whitening: Whitening,
    start: Mixture,
    reverse: Box<dyn Reverse<R>>,
    field: ScoreField<R>,
    /// Whitened points and the residual of their score: memory of [`Generator::score_into`].
    whitened: [Vec<R>; 2],
    moments: Option<Arc<DataMoments>>,
    classes: Option<Arc<Classes>>,
    /// The class that is asked for.
    class: Option<u32>,
    /// The maps of each method and number of steps that was asked for.
    maps: Vec<((Method, usize), Arc<Maps>)>,
}

#[cfg(feature = "files")]
impl<R: Real> Generator<R> {
    /// The generator of the run in `dir`, as `ndsm train` or
    /// [`Checkpoint::save`](super::Checkpoint::save) left it.
    ///
    /// # Errors
    /// As [`Checkpoint::load`](super::Checkpoint::load).
    pub fn load(dir: impl AsRef<std::path::Path>) -> Result<Self> {
        super::Checkpoint::load(dir.as_ref())?.generator()
    }
}

impl<R: Real> Generator<R> {
    /// The generator of `state`: the parameters that [`State::generating`] names.
    ///
    /// # Errors
    /// A state of another network than the configuration's.
    pub fn new(config: &Settled, reference: &Reference, state: &State<R>) -> Result<Self> {
        let system = System::<R>::new(config, reference)?;
        let field = ScoreField::new(system.model, system.regression, state.generating(), state.calibration.as_ref())?;
        let (config, whitening, start) = (config.clone(), reference.whitening.clone(), reference.mixture.clone());
        let (reverse, encoder, whitened, maps) = (system.reverse, Encoder::Identity, Default::default(), Vec::new());
        let (moments, classes, class) = (None, None, None);
        Ok(Generator { config, encoder, whitening, start, reverse, field, whitened, moments, classes, class, maps })
    }

    /// The same with what the labels of the training points say about its components: of a model with
    /// `network.classes`, whose samples without a class of their own have all classes, each its share.
    pub fn knowing(mut self, classes: Option<Arc<Classes>>) -> Self {
        self.classes = classes;
        self
    }

    /// The same for one class alone: samples, score and reference are those of the class. Samples then keep
    /// no moments (21), which are those of all classes together.
    ///
    /// # Errors
    /// A model without `network.classes`; a class without training points.
    pub fn of_class(mut self, class: u32) -> Result<Self> {
        let without = || Error::refused("class", "the model was trained without network.classes and knows none");
        let classes = self.classes.as_ref().ok_or_else(without)?;
        self.start = classes.start(class, &self.start)?;
        self.class = Some(class);
        Ok(self)
    }

    /// The same with what the label changes in the network's value times `weight`: 1 is the law of the class
    /// as it was learned, more exaggerates what tells it from the others, 0 leaves the label out. With any
    /// other weight than 1 samples keep no moments (21).
    ///
    /// # Errors
    /// A weight outside of [0, 100]; a model without `network.classes`, or one that was never trained
    /// without the label.
    pub fn guided(mut self, weight: f64) -> Result<Self> {
        if !(0.0..=100.0).contains(&weight) {
            return Err(Error::invalid("guidance", "in [0, 100]", weight));
        }
        if weight != 1.0 && self.classes.is_none() {
            return Err(Error::refused("guidance", "the model was trained without network.classes, and has no labels to be guided by"));
        }
        if weight != 1.0 && self.config.network.label_dropout == 0.0 {
            return Err(Error::refused("guidance", "the network was trained with network.label_dropout = 0, never without a label"));
        }
        self.field.guidance = weight;
        Ok(self)
    }

    /// The same, whose samples have the moments of the noised law that `calibration.moments` names at every
    /// step (21).
    pub fn keeping(mut self, moments: Option<Arc<DataMoments>>) -> Self {
        self.moments = moments;
        self.maps.clear();
        self
    }

    /// The same in the latent space of `encoder`: what it generates is decoded.
    pub fn through(mut self, encoder: Encoder) -> Self {
        self.encoder = encoder;
        self
    }

    /// The same at a temperature: samples of modes that lie apart, or of a Gaussian, with `temperature` times
    /// the covariance and the weights that they had, by a factor on the score. The maps of (21) stay those of
    /// temperature 1. 1 changes nothing.
    ///
    /// # Errors
    /// A temperature outside (0, 100]; a velocity without a score, [`Config::velocity_alone`](crate::config::Config::velocity_alone).
    pub fn at_temperature(mut self, temperature: f64) -> Result<Self> {
        if !(temperature > 0.0 && temperature <= 100.0) {
            return Err(Error::invalid("temperature", "in (0, 100]", temperature));
        }
        if temperature != 1.0 {
            self.has_score("temperature", "")?;
        }
        self.field.temperature = temperature;
        Ok(self)
    }

    /// The way from the data to the space of the model.
    pub fn encoder(&self) -> &Encoder {
        &self.encoder
    }

    /// `n` samples [n, d] in the units of the data. `steps`: `None` for the default of method and process. Sample i of
    /// a seed has the same bits for every n and every number of threads.
    ///
    /// # Errors
    /// A stochastic method with a velocity that has no score; points that become NaN or infinite.
    pub fn sample(&mut self, n: usize, seed: u64, method: Method, steps: Option<usize>) -> Result<Array2<f64>> {
        let columns = self.encoder.data_dim(self.whitening.dim());
        let all = n.checked_mul(columns).ok_or_else(|| Error::invalid("sample: n", "as many as can be addressed", n))?;
        let mut values = Vec::new();
        values.try_reserve_exact(all).map_err(|_| Error::invalid("sample: n", "as many as fit the memory", n))?;
        self.sample_blocks(n, seed, method, steps, &mut |block| {
            values.extend(block);
            Ok(())
        })?;
        array(values, n, columns)
    }

    /// The same, handed over block by block as they are made: in constant memory for any `n`.
    ///
    /// # Errors
    /// As [`Generator::sample`]; what `take` refuses.
    pub fn sample_blocks(
        &mut self,
        n: usize,
        seed: u64,
        method: Method,
        steps: Option<usize>,
        take: &mut dyn FnMut(Array2<f64>) -> Result<()>,
    ) -> Result<()> {
        if method != Method::Ode {
            self.has_score("--method", "; use ode")?;
        }
        for block in 0..n.div_ceil(BLOCK) {
            let rows = BLOCK.min(n - block * BLOCK);
            let mut u = self.start(block, rows, seed)?;
            self.generate((method, self.steps(method, steps)), (seed, block), &mut u, &mut |_| {})?;
            take(self.in_data_units(&u, rows, self.whitening.dim())?)?;
        }
        Ok(())
    }

    /// Refuses what takes a score where a velocity alone is learned.
    fn has_score(&self, place: &str, remedy: &str) -> Result<()> {
        match self.config.velocity_alone() {
            None => Ok(()),
            Some(setting) => Err(Error::refused(place, format!("{setting} learns a velocity, not a score{remedy}"))),
        }
    }

    fn steps(&self, method: Method, steps: Option<usize>) -> usize {
        let on_images = self.config.network.kind.architecture().is_some_and(|kind| kind.images);
        let deterministic = |steps: usize| if on_images { steps / DEARER } else { steps };
        steps.unwrap_or(match (method, self.config.sde.kind) {
            (Method::Ode, SdeKind::Langevin) => deterministic(STEPS_MIXTURE),
            (Method::Ode, _) => deterministic(STEPS_LINEAR),
            _ => STEPS_STOCHASTIC,
        })
    }

    fn how(&self, (method, steps): (Method, usize), (seed, block): (u64, usize)) -> Generation {
        let sde = &self.config.sde;
        let (flow, block) = (Explicit::HEUN, block as u64);
        Generation { method, flow, steps, horizon: sde.horizon, t_min: sde.t_min, spacing: sde.spacing, seed, block }
    }

    /// Moves `u`, of the seed and block `name`, from its start to data by the maps, if there are any; `seen` sees it
    /// where they change it.
    fn generate(&mut self, key: (Method, usize), name: (u64, usize), u: &mut [R], seen: &mut dyn FnMut(&[R])) -> Result<()> {
        let (maps, how, mut at, mut failed) = (self.maps(key.0, Some(key.1))?, self.how(key, name), 0, None);
        let law = maps.as_ref().filter(|maps| maps.by_component()).map(|_| Evaluator::new(&self.start));
        generate(self.reverse.as_ref(), &mut self.field, how, u, &mut |_, u| {
            if let Some(maps) = &maps {
                failed = failed.take().or(maps.apply(at, law.as_ref(), u).err());
            }
            at += 1;
            seen(u);
        })?;
        failed.map_or(Ok(()), Err)
    }

    /// Samples straight from the reference law, without the network, [n, d] in the units of the data.
    ///
    /// # Errors
    /// More points than can be numbered.
    pub fn sample_reference(&self, n: usize, seed: u64) -> Result<Array2<f64>> {
        self.unwhitened(self.start.sample(n, seed, Purpose::Start, Draw::Blocks)?.0.view())
    }

    /// Points in whitened coordinates, wherever they come from, in the units of the data.
    pub(crate) fn unwhitened(&self, u: ArrayView2<f64>) -> Result<Array2<f64>> {
        self.encoder.decode(self.whitening.unwhiten(u)?)
    }

    /// The learned score in the units of the data, s_x = A^-T s_u, at the rows of `x` [n, d] and time `t`. Of
    /// a model in a latent space `x` and the score are in that space; of one with classes it is that of all of
    /// them, or of [`Generator::of_class`].
    ///
    /// # Errors
    /// A velocity without a score; shapes that do not fit.
    pub fn score(&mut self, t: f64, x: ArrayView2<f64>) -> Result<Array2<f64>> {
        let d = self.whitening.dim();
        if x.ncols() != d {
            return Err(Error::shape("score", format!("points [n, {d}]"), &[x.shape()]));
        }
        let x: Vec<f64> = x.iter().copied().collect();
        let mut score = vec![0.0; x.len()];
        self.score_into(t, &x, &mut score)?;
        array(score, x.len() / d, d)
    }

    /// [`Generator::score`] of one point or several, row-major, into `out` of the same length: allocates
    /// nothing after the first call of at most 512 points.
    ///
    /// ```
    /// use ndsm::config::{Config, Setting};
    /// use ndsm::train::prepare;
    /// let config = Config::resolve(&[
    ///     Setting::new("data.name", "four-modes"), Setting::new("data.n", 300usize),
    ///     Setting::new("reference.components", 4usize),
    /// ])?;
    /// let prepared = prepare(&config)?;
    /// let mut generator = prepared.generator(&prepared.trainer::<f32>()?)?;
    /// let mut score = [0.0; 2];
    /// generator.score_into(0.1, &[4.0, 3.0], &mut score)?;
    /// assert!(score[1] > 0.0); // up, to the mode at (4, 4)
    /// # Ok::<(), ndsm::Error>(())
    /// ```
    ///
    /// # Errors
    /// As [`Generator::score`].
    pub fn score_into(&mut self, t: f64, x: &[f64], out: &mut [f64]) -> Result<()> {
        self.has_score("score", "")?;
        let d = self.whitening.dim();
        if !x.len().is_multiple_of(d) || out.len() != x.len() {
            return Err(Error::shape("score", format!("points of {d} numbers and as much place"), &[&[x.len()], &[out.len()]]));
        }
        let (mean, inverse) = (self.whitening.mean(), self.whitening.inverse());
        let [u, s] = &mut self.whitened;
        u.clear();
        for x in x.chunks_exact(d) {
            let whiten = |row: ArrayView1<f64>| row.iter().zip(x.iter().zip(mean)).map(|(a, (x, m))| a * (x - m)).sum::<f64>();
            u.extend(inverse.rows().into_iter().map(|row| R::of(whiten(row))));
        }
        s.resize(u.len(), R::zero());
        self.field.labels = self.class.map_or(Labels::None, Labels::All);
        self.field.residual(t, u, s)?;
        self.field.evaluate_guide(t, u)?;
        for (out, (s, guide)) in out.chunks_exact_mut(d).zip(s.chunks_exact(d).zip(self.field.guide.chunks_exact(d))) {
            out.fill(0.0);
            for ((s, g), row) in s.iter().zip(guide).zip(inverse.rows()) {
                out.iter_mut().zip(row).for_each(|(out, a)| *out += a * (*s + *g).f64());
            }
        }
        Ok(())
    }

    /// The positions of `n` points at the times of a generation with `steps` steps, from the start on: in the
    /// units of the data. For pictures: by the reverse SDE, whose paths move even where data and reference
    /// agree (by the flow where there is no score).
    ///
    /// # Errors
    /// As [`Generator::sample`].
    pub fn trajectories(&mut self, n: usize, seed: u64, steps: usize) -> Result<Vec<Array2<f64>>> {
        let mut u = self.start(0, n, seed)?;
        let method = if self.config.velocity_alone().is_some() { Method::Ode } else { Method::Sde };
        let mut positions = Vec::with_capacity(steps + 2);
        self.generate((method, steps), (seed, 0), &mut u, &mut |u| positions.push(u.to_vec()))?;
        positions.iter().map(|u| self.in_data_units(u, n, self.whitening.dim())).collect()
    }

    /// What the field is told of the points of a block that start in these components.
    fn labels(&self, components: &[usize], name: (u64, u64)) -> Labels {
        match (&self.classes, self.class) {
            (Some(_), Some(class)) => Labels::All(class),
            (Some(classes), None) => Labels::Rows(classes.draw(components, name)),
            (None, _) => Labels::None,
        }
    }

    /// Starting points of a block in whitened coordinates: the reference, or the wide Gaussian of variance-exploding
    /// noise. The field is told their labels.
    fn start(&mut self, block: usize, n: usize, seed: u64) -> Result<Vec<R>> {
        let (z, components) = self.start.sample_from(block * BLOCK / CHUNK, n, seed, Purpose::Start, Draw::Blocks)?;
        self.field.labels = self.labels(&components, (seed, block as u64));
        let widen = start_std(&self.config, self.reverse.as_ref());
        Ok(z.iter().map(|v| R::of(*v * widen)).collect())
    }

    fn in_data_units(&self, u: &[R], n: usize, d: usize) -> Result<Array2<f64>> {
        self.unwhitened(array(u.iter().map(|v| v.f64()).collect(), n, d)?.view())
    }
}

fn array(values: Vec<f64>, n: usize, d: usize) -> Result<Array2<f64>> {
    let len = values.len();
    Array2::from_shape_vec((n, d), values).map_err(|_| Error::shape("points", format!("{n} x {d} numbers"), &[&[len]]))
}

#[cfg(test)]
mod tests {
    use crate::config::{Config, Setting};
    use crate::mixture::Evaluator;
    use crate::mixture::{Covariances, Mixture};
    use crate::train::{Reference, Settled, Trainer, prepare};
    use ndarray::{Array1, Array2, array};

    /// Before training the score of the residual form is that of the reference, whose components are
    /// correlated, in the units of the data: s_x = A^-T s_u. One point has the bits that it has among others,
    /// in a short call and in a long one.
    #[test]
    fn the_score_is_in_the_units_of_the_data_and_a_points_own() {
        for (kind, form) in [("mlp", "residual"), ("residual", "scaled")] {
            let settings = [("data.name", "moons"), ("network.kind", kind), ("network.parametrisation", form), ("train.precision", "f64")];
            let mut settings: Vec<Setting> = settings.iter().map(|(k, v)| Setting::new(k, *v)).collect();
            settings.extend([Setting::new("data.n", 300usize), Setting::new("reference.components", 3usize)]);
            let prepared = prepare(&Config::resolve(&settings).unwrap()).unwrap();
            let mut generator = prepared.generator(&prepared.trainer::<f64>().unwrap()).unwrap();
            let x = ndarray::concatenate![ndarray::Axis(0), prepared.data.points, prepared.data.points, prepared.data.points];
            let (all, mut exact) = (generator.score(0.3, x.view()).unwrap(), vec![0.0; 1800]);
            if form == "residual" {
                let points: Vec<f64> = x.iter().copied().collect();
                Evaluator::new(&prepared.reference.in_data_units().unwrap()).score(&points, &mut exact).unwrap();
            }
            for (i, ((x, s), exact)) in x.outer_iter().zip(all.outer_iter()).zip(exact.chunks_exact(2)).enumerate() {
                let mut one = [f64::NAN; 2];
                generator.score_into(0.3, &x.to_vec(), &mut one).unwrap();
                assert!(one[..] == s.to_vec(), "{kind}, point {i}: {one:?} alone, {s} among others");
                assert!(
                    one.iter().zip(exact).all(|(s, e)| (s - e).abs() <= 1e-9 * (1.0 + e.abs())),
                    "{kind}, point {i}: {one:?} {exact:?}"
                );
            }
            let e = generator.score_into(0.3, &[1.0; 3], &mut [0.0; 3]).unwrap_err().to_string();
            assert!(e.contains("points of 2 numbers"), "{e}");
            assert!(generator.score(0.3, ndarray::array![[1.0]].view()).is_err());
        }
    }

    /// The exact answer: a Gaussian law, and modes that lie apart, with the covariances times the temperature
    /// and the weights as they were. The least mode has 6,000 samples: their variance is right to 1.8 %, so
    /// 8 % are four of its errors.
    #[test]
    fn a_temperature_scales_the_covariance_of_every_mode() {
        for (kind, modes) in [("langevin", true), ("vp", false), ("ve", false), ("sub-vp", false), ("straight", false)] {
            let settings =
                [("data.name", "four-modes"), ("sde.kind", kind), ("network.parametrisation", "residual"), ("calibration.moments", "none")];
            let mut settings: Vec<Setting> = settings.iter().map(|(k, v)| Setting::new(k, *v)).collect();
            settings.push(Setting::new("network.width", 4usize));
            if modes {
                // The start is the reference, which is right where nothing is left of the data.
                settings.push(Setting::new("sde.horizon", 8.0));
            }
            let k = if modes { 2 } else { 1 };
            let means = Array2::from_shape_fn((k, 2), |(k, j)| 12.0 * (k * (1 - j)) as f64);
            let weights = if modes { array![0.3, 0.7] } else { array![1.0] };
            let law = Mixture::new(weights, means, Covariances::Spherical(Array1::from_elem(k, 1.5))).unwrap();
            let reference = Reference::from_mixture(&law, 0.0).unwrap();
            let config = Settled::new(&Config::resolve(&settings).unwrap(), &reference, 2).unwrap();
            // A network that adds nothing to the exact score.
            let trainer = Trainer::<f64>::new(&config, &reference, law.means()).unwrap();
            let generator = || trainer.generator(&reference).unwrap();
            for temperature in [0.25, 1.0, 2.0] {
                let mut generator = generator().at_temperature(temperature).unwrap();
                let x = generator.sample(20_000, 0, crate::sample::Method::Ode, Some(100)).unwrap();
                let owner = |row: ndarray::ArrayView1<f64>| usize::from(modes && row[0] > 6.0);
                for k in 0..if modes { 2 } else { 1 } {
                    let rows: Vec<usize> = (0..x.nrows()).filter(|i| owner(x.row(*i)) == k).collect();
                    let mode = x.select(ndarray::Axis(0), &rows);
                    for j in 0..2 {
                        let ratio = mode.column(j).var(1.0) / law.covariance(k)[[j, j]] / temperature;
                        assert!((ratio - 1.0).abs() <= 0.08, "{kind} at {temperature}, mode {k}, coordinate {j}: {ratio}");
                    }
                    let share = rows.len() as f64 / 20_000.0 - if modes { law.weights()[k] } else { 1.0 };
                    assert!(share.abs() <= 0.01, "{kind} at {temperature}: {share}");
                }
            }
            assert!(generator().at_temperature(0.0).is_err() && generator().at_temperature(f64::NAN).is_err());
        }
    }
}
