//! What the commands ask of the numerics: the one seam between the command line and the training loop, so
//! that everything that the user touches is tested without training.

use super::args::Method;
use super::film::Film;
use super::metrics_log::Step;
use super::plot::Figure;
use super::summary::Metric;
use crate::Result;
use crate::config::Config;
use ndarray::{Array2, ArrayView2};
use std::path::{Path, PathBuf};

/// How samples are drawn.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Sampling {
    /// How many.
    pub n: usize,
    /// Seed of the starting points and of the noise.
    pub seed: u64,
    /// How time runs backwards.
    pub method: Method,
    /// Steps; `None`: what the process needs.
    pub steps: Option<usize>,
    /// Of the modes' covariances; 1: as they were learned.
    pub temperature: f64,
    /// The class of the samples; `None`: of all, each with its share.
    pub class: Option<u32>,
    /// Weight of what the label changes; 1: as it was learned.
    pub guidance: f64,
}

impl Sampling {
    /// So many samples of the model as it was learned.
    pub fn plain(n: usize, seed: u64, method: Method, steps: Option<usize>) -> Self {
        Sampling { n, seed, method, steps, temperature: 1.0, class: None, guidance: 1.0 }
    }
}

/// Makes models.
pub trait Engine {
    /// A model before its first step: reads the data, checks the configuration against them, fits the
    /// reference. Writes nothing.
    fn begin(&self, config: &Config) -> Result<Box<dyn Model>>;
    /// The last whole checkpoint of the run in `dir`, and what is to be said where that is not the last; nothing
    /// where there is none yet.
    fn checkpoint(&self, dir: &Path) -> Result<Option<(PathBuf, Option<String>)>>;
    /// A model as a checkpoint left it, to generate from.
    fn load(&self, config: &Config, checkpoint: &Path) -> Result<Box<dyn Model>>;
    /// The same, to be trained further: reads the data, too, and refuses others than those of the checkpoint.
    /// Writes nothing.
    fn resume(&self, config: &Config, checkpoint: &Path) -> Result<Box<dyn Model>>;
}

/// A model in training, or trained.
pub trait Model {
    /// Optimiser steps done.
    fn done(&self) -> usize;
    /// One optimiser step.
    fn step(&mut self) -> Result<Step>;
    /// Whether training ends here: `train.patience` steps have gone by without a better held-out gain.
    fn exhausted(&self) -> bool {
        false
    }
    /// What the end of training does: calibrates on held-out points.
    fn complete(&mut self) -> Result<()> {
        Ok(())
    }
    /// Writes a checkpoint, whole or not at all; a whole one that was there is kept beside it.
    fn save(&self, checkpoint: &Path) -> Result<()>;
    /// Numbers of a sample.
    fn columns(&self) -> usize;
    /// Why samples are kept in f64, nothing where f32 will do: empty where the whole run is in f64.
    fn double(&self) -> Result<Option<String>>;
    /// Samples in the units of the data, `[n, d]`, block by block.
    fn sample(&self, how: Sampling, take: &mut dyn FnMut(Array2<f64>) -> Result<()>) -> Result<()>;
    /// Samples against the data's law or held-out data; with intervals from so many half-samples.
    fn evaluate(&self, samples: ArrayView2<f64>, seed: u64, resamples: usize) -> Result<Vec<Metric>>;
    /// What images are judged by in features, where [`Self::evaluate`] did that.
    fn judge(&self) -> Option<String> {
        None
    }
    /// The mean negative log-likelihood of held-out points under the model, with its interval, beside that of
    /// the training points; of images in their own pixels in bits, too.
    fn likelihood(&self, seed: u64) -> Result<Vec<Metric>>;
    /// Whether the network is better than the reference alone, in words, where that was measured.
    fn verdict(&self) -> Option<String> {
        None
    }
    /// The pictures of the report, by name.
    fn pictures(&self, samples: ArrayView2<f64>) -> Result<Vec<(&'static str, Figure)>>;
    /// The frames of noising and denoising, where there is something to see.
    fn film(&self) -> Result<Option<Film>> {
        Ok(None)
    }
    /// The lines of [`Summary::tape`](super::summary::Summary::tape).
    fn tape(&self) -> Result<Vec<Vec<String>>> {
        Ok(Vec::new())
    }
    /// The network with the parameters that generate, as an ONNX model.
    fn onnx(&self) -> Result<Vec<u8>>;
    /// Facts for the report: data, dimension, components found, number of weights.
    fn facts(&self) -> Vec<(String, String)>;
}
