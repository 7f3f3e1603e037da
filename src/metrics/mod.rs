//! How far samples are from data: discrepancies between two samples, and against an exact law.
//!
//! All in f64, exact up to rounding for the points they are given, and equal for every number of threads: work is cut into
//! fixed blocks whose results are added in order. [`evaluate`] bounds the cost by random subsets and collects the [`Metrics`]
//! that `ndsm eval` prints.
//!
//! A figure means little alone: each two-sample metric comes with its *floor*, the same metric between the training points
//! and the held-out points. Samples as good as the data themselves score like the floor, up to the sizes of the sets.

mod assignment;
mod modes;
mod neighbours;
mod pairs;
mod sinkhorn;
mod support;
mod transport;

pub use assignment::w2_exact;
pub use modes::{mode_weights, negative_log_likelihood, outlier_share, total_variation};
pub use neighbours::{memorisation_ratio, nearest};
pub use pairs::{energy_distance, median_distance, mmd2};
pub use sinkhorn::sinkhorn_divergence;
pub use support::{Support, expected_coverage, support};
pub use transport::{sliced_w2, w2_1d, w2_quantiles, w2_to_quantile};

use crate::data::Dataset;
use crate::mixture::Mixture;
use crate::rng::{Purpose, Stream};
use crate::{Error, Result};
use ndarray::{Array2, ArrayView2, Axis};
use std::time::Instant;

/// Directions of the sliced W_2 of [`evaluate`].
pub const DIRECTIONS: usize = 128;
/// Points of each set that enter the metrics over pairs in [`evaluate`].
pub const PAIR_POINTS: usize = 5_000;
/// Held-out points that set the bandwidth of MMD.
const BANDWIDTH_POINTS: usize = 1_000;
/// A point is an outlier if it is farther than this many standard deviations from every mode.
pub const OUTLIER_STDS: f64 = 4.0;

/// What `ndsm eval` reports. `None` where the law, or its modes, are unknown.
#[derive(Debug, Clone, PartialEq)]
pub struct Metrics {
    /// Samples that were evaluated.
    pub n: usize,
    /// Seed of the directions and subsets.
    pub seed: u64,
    /// Total variation between the samples' weights of the modes and the mixture's ([`mode_weights`]).
    pub mode_weight_tv: Option<f64>,
    /// [`sliced_w2`] between samples and held-out points.
    pub sliced_w2: f64,
    /// [`energy_distance`] between samples and held-out points.
    pub energy_distance: f64,
    /// [`mmd2`] between samples and held-out points; the bandwidth is the median distance between held-out points. `None` where
    /// that is 0, because half of all pairs of them coincide.
    pub mmd2: Option<f64>,
    /// Share of samples farther than [`OUTLIER_STDS`] from every mode of the law ([`outlier_share`]). `None` unless the law is a
    /// mixture: a fitted mixture's modes are no truth about the data, and in many dimensions a distance of 4 is no longer rare (the
    /// median distance of a Gaussian from its own mean is about sqrt(d), 4.9 for d = 24).
    pub outlier_share: Option<f64>,
    /// Mean of -ln p over the samples, p the exact law's density; infinite if one sample lies where p = 0.
    pub nll_exact: Option<f64>,
    /// [`memorisation_ratio`] of the samples.
    pub memorisation_ratio: f64,
    /// `sliced_w2` between training and held-out points.
    pub sliced_w2_floor: f64,
    /// `energy_distance` between training and held-out points.
    pub energy_distance_floor: f64,
    /// `mmd2` between training and held-out points.
    pub mmd2_floor: Option<f64>,
    /// Mean of -ln p over the held-out points: the law's entropy, up to the error of the mean.
    pub nll_floor: Option<f64>,
    /// Wall time of the evaluation.
    pub seconds: f64,
}

/// Modes that samples are counted by, and the samples in the mixture's own coordinates.
#[derive(Debug, Clone, Copy)]
pub struct ModeSpace<'a> {
    /// A mixture fitted to the training points.
    pub mixture: &'a Mixture,
    /// The samples where the mixture lives (a latent space, say), [n, its dimension].
    pub samples: ArrayView2<'a, f64>,
}

/// All metrics of `samples`: [n, d], n >= 2, against `data`.
///
/// Weights are counted by the law's own modes if `data.law` is a mixture; otherwise by those of `fitted`, if given, which then
/// stands for the law: `mode_weight_tv` compares with the fitted weights. Outliers are counted only where the law is a mixture. Sets larger than
/// [`PAIR_POINTS`] enter the energy distance, MMD and the memorisation ratio as random subsets of that size.
///
/// # Errors
/// [`Error::Shape`] if the widths differ or a set has fewer than 2 points; [`Error::Invalid`] if a sample is NaN or infinite.
pub fn evaluate<'a>(samples: ArrayView2<'a, f64>, data: &'a Dataset, fitted: Option<ModeSpace<'a>>, seed: u64) -> Result<Metrics> {
    let start = Instant::now();
    if let Some(((row, column), x)) = samples.indexed_iter().find(|(_, x)| !x.is_finite()) {
        return Err(Error::invalid(format!("evaluate: sample {row}, coordinate {column}"), "finite", x));
    }
    let (held_out, training) = (data.held_out.view(), data.points.view());
    check_pair("evaluate", samples, held_out, 2)?;
    check_pair("evaluate", training, held_out, 2)?;
    let (few, few_held_out, few_training) =
        (subset(samples, PAIR_POINTS, seed, 0), subset(held_out, PAIR_POINTS, seed, 1), subset(training, PAIR_POINTS, seed, 2));
    // Sizes are checked above; what can fail is a median of 0.
    let bandwidth = median_distance(subset(held_out, BANDWIDTH_POINTS, seed, 1).view()).ok();
    let own = data.law.as_ref().and_then(|law| law.mixture()).map(|mixture| ModeSpace { mixture, samples });
    let modes = own.or(fitted);
    let law = data.law.as_deref();
    Ok(Metrics {
        n: samples.nrows(),
        seed,
        mode_weight_tv: modes.map(|m| Ok(total_variation(mode_weights(m.samples, m.mixture)?.view(), m.mixture.weights()))).transpose()?,
        sliced_w2: sliced_w2(samples, held_out, DIRECTIONS, seed)?,
        energy_distance: energy_distance(few.view(), few_held_out.view())?,
        mmd2: bandwidth.map(|h| mmd2(few.view(), few_held_out.view(), h)).transpose()?,
        outlier_share: own.map(|m| outlier_share(m.samples, m.mixture, OUTLIER_STDS)).transpose()?,
        nll_exact: law.map(|law| negative_log_likelihood(samples, law)).transpose()?,
        memorisation_ratio: memorisation_ratio(few.view(), few_training.view(), few_held_out.view(), seed)?,
        sliced_w2_floor: sliced_w2(training, held_out, DIRECTIONS, seed)?,
        energy_distance_floor: energy_distance(few_training.view(), few_held_out.view())?,
        mmd2_floor: bandwidth.map(|h| mmd2(few_training.view(), few_held_out.view(), h)).transpose()?,
        nll_floor: law.map(|law| negative_log_likelihood(held_out, law)).transpose()?,
        seconds: start.elapsed().as_secs_f64(),
    })
}

/// `size` rows of `x` drawn without replacement, or all of them in their order if there are no more. A draw, not the first
/// rows: samples may be ordered. Each (`seed`, `which`) names a draw.
pub fn subset(x: ArrayView2<f64>, size: usize, seed: u64, which: u64) -> Array2<f64> {
    if x.nrows() <= size {
        return x.to_owned();
    }
    let mut rows: Vec<usize> = (0..x.nrows()).collect();
    Stream::new(seed, Purpose::Metric, 1 + which, 0).shuffle(&mut rows);
    x.select(Axis(0), &rows[..size])
}

/// That two samples have the same width, at least 1, and at least `rows` points each.
fn check_pair(place: &str, x: ArrayView2<f64>, y: ArrayView2<f64>, rows: usize) -> Result<()> {
    if x.ncols() == y.ncols() && x.ncols() > 0 && x.nrows() >= rows && y.nrows() >= rows {
        return Ok(());
    }
    Err(Error::shape(place, format!("two samples of equal width and at least {rows} rows each"), &[x.shape(), y.shape()]))
}

#[cfg(test)]
mod tests;
