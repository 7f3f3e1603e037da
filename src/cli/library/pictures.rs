//! What a run shows of its model: samples, score, paths, and the frames of both directions of time.

use super::Run;
use crate::cli::film::Film;
use crate::cli::plot::{self, Figure};
use crate::config::SdeKind;
use crate::data::{Dataset, Encoder, ImageShape};
use crate::metrics::{self, nearest};
use crate::rng::Purpose;
use crate::sample::Method;
use crate::sde::{Clock, ComponentStep, Linear, LinearLaw, Paths, Straight, SubVariancePreserving, VarianceExploding};
use crate::tape::{Recorder, Row};
use crate::train::network;
use crate::{Error, Real, Result};
use ndarray::{Array2, Array3, ArrayView2, Axis, concatenate, s};

/// Images shown, and pairs a row.
const IMAGES: usize = 40;
const COLUMNS: usize = 8;
/// Classes shown.
const CLASSES: usize = 20;
/// Paths shown, and the steps they are shown at.
const PATHS: usize = 60;
const STEPS: usize = 60;
/// Points, or images, of the frames, and frames of each direction of time.
const FRAME_POINTS: usize = 300;
const FRAME_IMAGES: usize = 12;
const FRAMES: usize = 20;
/// Arrows a side.
const ARROWS: usize = 26;

impl<R: Real> Run<R> {
    pub(super) fn all_pictures(&self, samples: ArrayView2<f64>) -> Result<Vec<(&'static str, Figure)>> {
        let data = self.data()?;
        if let Some(shape) = data.images {
            let samples = ("samples", self.images(samples, data, shape)?);
            return Ok([samples].into_iter().chain(self.each_class(data, shape)?).chain(self.encoder_curve()).collect());
        }
        if data.dim() < 2 {
            return Ok(Vec::new());
        }
        let shown = metrics::subset(samples, data.points.nrows(), self.config.train.seed, 8);
        let mut pictures = vec![("samples", plot::samples_beside_data(data.points.view(), shown.view()))];
        if data.dim() == 2 && self.encoder == Encoder::Identity {
            if self.config.velocity_alone().is_none() {
                pictures.push(("score", self.score_field(samples, data)?));
            }
            let [forward, backward] = [self.noised(data, PATHS, STEPS)?.1, self.denoised(PATHS, STEPS)?];
            pictures.push(("paths", plot::trajectories(forward.view(), backward.view())));
        }
        Ok(pictures)
    }

    /// Noising and denoising in turn: of images, and of points in the plane.
    pub(super) fn frames(&self) -> Result<Option<Film>> {
        let data = self.data()?;
        let n = if data.images.is_some() { FRAME_IMAGES } else { FRAME_POINTS };
        if data.images.is_none() && data.dim() != 2 {
            return Ok(None);
        }
        let (times, forward) = self.noised(data, n.min(data.points.nrows()), FRAMES)?;
        let backward = self.denoised(forward.dim().1, FRAMES)?;
        let last = backward.dim().0 - 1;
        let mut labels: Vec<String> = times.iter().map(|t| format!("noising, t = {t:.2}")).collect();
        labels.extend((0..=last).map(|k| format!("denoising, step {k} of {last}")));
        let all = concatenate![Axis(0), forward, backward];
        Ok(Some(match data.images {
            Some(shape) => Film::images(labels, all.view(), shape),
            None => Film::points(labels, all.view(), plot::window(data.points.view())),
        }))
    }

    fn images(&self, samples: ArrayView2<f64>, data: &Dataset, shape: ImageShape) -> Result<Figure> {
        self.pairs(samples.slice(s![..IMAGES.min(samples.nrows()), ..]), data, shape)
    }

    /// Each of `shown` beside the nearest training image.
    fn pairs(&self, shown: ArrayView2<f64>, data: &Dataset, shape: ImageShape) -> Result<Figure> {
        let rows: Vec<usize> = nearest(shown, data.points.view())?.iter().map(|(row, _)| *row).collect();
        Ok(plot::image_grid(shown, data.points.select(Axis(0), &rows).view(), shape, COLUMNS))
    }

    /// A row of samples of each of the first classes, where the network knows classes.
    fn each_class(&self, data: &Dataset, shape: ImageShape) -> Result<Option<(&'static str, Figure)>> {
        let Some(classes) = &self.classes else { return Ok(None) };
        let shares = classes.shares();
        let mut all = Vec::new();
        for class in (0..shares.len()).filter(|class| shares[*class] > 0.0).take(CLASSES) {
            let mut generator = self.generator()?.of_class(class as u32)?;
            all.push(generator.sample(COLUMNS, self.config.train.seed, Method::Ode, None)?);
        }
        let views: Vec<_> = all.iter().map(|x| x.view()).collect();
        let samples = concatenate(Axis(0), &views).map_err(|e| Error::refused("classes", e.to_string()))?;
        Ok(Some(("classes", self.pairs(samples.view(), data, shape)?)))
    }

    /// The learned score at the smallest time, on a grid over the data.
    fn score_field(&self, samples: ArrayView2<f64>, data: &Dataset) -> Result<Figure> {
        let window = plot::window(data.points.view());
        let at = |axis: usize, i: usize| {
            let [low, high] = window[axis];
            low + (high - low) * (i as f64 + 0.5) / ARROWS as f64
        };
        let grid = Array2::from_shape_fn((ARROWS * ARROWS, 2), |(i, axis)| at(axis, if axis == 0 { i % ARROWS } else { i / ARROWS }));
        // Half way in ln(noise / signal): late enough to be smooth, early enough to show the data.
        let t = (self.config.sde.t_min * self.config.sde.horizon).sqrt();
        let score = self.generator()?.score(t, grid.view())?;
        Ok(plot::score_field(window, samples, grid.view(), score.view(), &format!("Learned score at t = {t:.2}")))
    }

    /// `n` data on their way to noise, [steps + 1, n, d] in the units of the data, and the times.
    fn noised(&self, data: &Dataset, n: usize, steps: usize) -> Result<(Vec<f64>, Array3<f64>)> {
        let (c, d) = (&self.config, self.reference.whitening.dim());
        let generator = self.generator()?;
        let starts = self.encoder.encode(metrics::subset(data.points.view(), n, c.train.seed, 9).view())?;
        let mut u: Vec<f64> = self.reference.whitening.whiten(starts.view())?.iter().copied().collect();
        let step = ComponentStep::<f64>::new(&self.reference.mixture, c.sde.beta)?;
        let exploding = VarianceExploding::new(d, c.sde.beta)?;
        let sub_preserving = SubVariancePreserving::new(d, Clock::constant(c.sde.beta)?)?;
        let straight = Straight::new(d)?;
        // Later steps are longer: most of the way is gone early.
        let times: Vec<f64> = (0..=steps).map(|i| c.sde.horizon * (i as f64 / steps as f64).powi(2)).collect();
        let mut all = Vec::with_capacity(times.len());
        for (i, time) in times.iter().enumerate() {
            if i > 0 {
                let paths = Paths { seed: c.train.seed, purpose: Purpose::Picture, step: i as u64 };
                let before = times[i - 1];
                match c.sde.kind {
                    SdeKind::Ve => exploding.law(before, *time)?.step(&mut u, paths)?,
                    SdeKind::SubVp => sub_preserving.law(before, *time)?.step(&mut u, paths)?,
                    SdeKind::Straight => straight.law(before, *time)?.step(&mut u, paths)?,
                    SdeKind::Langevin | SdeKind::Vp => step.step(time - before, &mut u, paths)?,
                }
            }
            let points = Array2::from_shape_vec((starts.nrows(), d), u.clone()).map_err(|e| Error::refused("paths", e.to_string()))?;
            all.push(generator.unwhitened(points.view())?);
        }
        Ok((times, stacked(&all)?))
    }

    /// `n` paths from the reference to samples, [steps, n, d] in the units of the data.
    fn denoised(&self, n: usize, steps: usize) -> Result<Array3<f64>> {
        stacked(&self.generator()?.trajectories(n, self.config.train.seed, steps)?)
    }

    /// The network for a batch, as the tape has it: a line for each leaf and operation.
    pub(super) fn recorded(&self) -> Result<Vec<Vec<String>>> {
        let net = network(&self.config, &self.reference)?;
        let mut recorder = Recorder::<R>::new();
        let x = recorder.input("rows", &[self.config.train.batch, net.inputs()])?;
        net.record(&mut recorder, x)?;
        let line = |row: &Row| {
            let reads: Vec<String> = row.inputs.iter().map(usize::to_string).collect();
            let shape: Vec<String> = row.shape.iter().map(usize::to_string).collect();
            let (reads, shape) = (reads.join(" "), shape.join(" x "));
            vec![row.index.to_string(), row.op.clone(), reads, shape, row.flops.to_string(), row.bytes.to_string()]
        };
        Ok(recorder.finish_forward().table().rows.iter().map(line).collect())
    }

    /// What an encoder lost while it was trained.
    fn encoder_curve(&self) -> Option<(&'static str, Figure)> {
        let Encoder::Network(network) = &self.encoder else { return None };
        let points = network.looks.iter().map(|look| [look.step as f64, look.lost, look.lost, look.lost]).collect();
        let curve = plot::Curve { name: "held-out images".to_owned(), points };
        Some(("encoder", plot::sweep("What the codes lose", ["steps of the encoder", "share of the variance"], &[curve])))
    }
}

fn stacked(frames: &[Array2<f64>]) -> Result<Array3<f64>> {
    let views: Vec<_> = frames.iter().map(|f| f.view()).collect();
    ndarray::stack(Axis(0), &views).map_err(|e| Error::refused("paths", e.to_string()))
}
