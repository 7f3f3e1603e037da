//! How far samples are from data: discrepancies between two samples, and against an exact law.
//!
//! All in f64, exact up to rounding for the points they are given, and equal for every number of threads:
//! work is cut into fixed blocks whose results are added in order. [`evaluate`] bounds the cost by random
//! subsets and collects the [`Metrics`] that `ndsm eval` prints.
//!
//! A figure means little alone: each two-sample metric comes with its *floor*, the same metric between the
//! training points and the held-out points. Samples as good as the data themselves score like the floor, up
//! to the sizes of the sets.

mod assignment;
mod evaluate;
mod frechet;
mod image_classifier;
mod image_evaluate;
mod image_judge;
mod kernel_distance;
mod mixture_kernel;
mod modes;
mod neighbours;
mod pair_halves;
mod pairs;
mod sinkhorn;
mod support;
mod transport;

pub(crate) use assignment::assignment;
pub use assignment::w2_exact;
pub use evaluate::{DIRECTIONS, Measure, Metrics, ModeSpace, PAIR_POINTS, evaluate, evaluate_beside};
pub use frechet::{frechet, gaussian_w2};
pub use image_classifier::ImageClassifier;
pub use image_evaluate::ImageFeatures;
pub use image_judge::{ImageFigures, ImageJudge, PairFigures};
pub use kernel_distance::kernel_distance;
pub use mixture_kernel::{mmd2_mixtures, mmd2_to_mixture};
pub use modes::{mode_weights, negative_log_likelihood, outlier_radius, outlier_share, total_variation};
pub use neighbours::{memorisation_ratio, nearest};
pub use pairs::{energy_distance, median_distance, mmd2};
pub use sinkhorn::{Plan, sinkhorn_divergence, sinkhorn_plan};
pub use support::{Support, expected_coverage, support};
pub use transport::{sliced_w2, sliced_w2_directions, w2_1d, w2_quantiles, w2_to_quantile};

use crate::rng::{Purpose, Stream};
use crate::{Error, Result};
use ndarray::{Array2, ArrayView2, Axis};

/// `size` rows of `x` drawn without replacement, or all of them in their order if there are no more. A draw,
/// not the first rows: samples may be ordered. Each (`seed`, `which`) names a draw.
pub fn subset(x: ArrayView2<f64>, size: usize, seed: u64, which: u64) -> Array2<f64> {
    x.select(Axis(0), &subset_rows(x.nrows(), size, seed, which))
}

/// The rows of [`subset`] among `n`.
fn subset_rows(n: usize, size: usize, seed: u64, which: u64) -> Vec<usize> {
    let mut rows: Vec<usize> = (0..n).collect();
    if n > size {
        Stream::new(seed, Purpose::Metric, 1 + which, 0).shuffle(&mut rows);
        rows.truncate(size);
    }
    rows
}

/// That two samples have the same width, at least 1, and at least `rows` points each.
fn check_pair(place: &str, x: ArrayView2<f64>, y: ArrayView2<f64>, rows: usize) -> Result<()> {
    if x.ncols() == y.ncols() && x.ncols() > 0 && x.nrows() >= rows && y.nrows() >= rows {
        return Ok(());
    }
    Err(Error::shape(place, format!("two samples of equal width and at least {rows} rows each"), &[x.shape(), y.shape()]))
}

#[cfg(test)]
mod stored;
#[cfg(test)]
mod tests;
