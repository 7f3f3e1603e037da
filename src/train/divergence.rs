//! Trainings that cannot go on: what is said of them.

use crate::nn::ScoreNet;
use crate::{Error, Real};

/// Loss of a coordinate beyond which a training has left every scale: the mean square of a score at noise of variance
/// 1e-15, which f32 does not tell from none.
const LARGEST: f64 = 1e15;

/// Whether a loss has left its range, in `dim` dimensions.
pub(super) fn has_diverged(loss: f64, dim: usize) -> bool {
    loss.abs() > LARGEST * dim as f64
}

/// A step that came to no number.
pub(super) fn non_finite(place: &str, step: u64) -> Error {
    let remedy = "lower train.lr or set train.clip".into();
    Error::NonFinite { place: place.into(), step: step as usize + 1, remedy }
}

/// The loss as it left its range, and the tensor of the network that grew most.
pub(super) fn diverged<R: Real>(loss: f64, params: &[R], net: &ScoreNet, step: u64) -> Error {
    let largest = |range: std::ops::Range<usize>| params[range].iter().map(|v| v.f64().abs()).fold(0.0, f64::max);
    let all = net.parameters().into_iter().map(|p| (largest(p.range()), p.name));
    let (size, name) = all.max_by(|a, b| a.0.total_cmp(&b.0)).unwrap_or_default();
    let place = format!("the training diverges, with a loss of {loss:.1e} and parameters of `{name}` up to {size:.1e}");
    Error::Diverged { place, step: step as usize + 1, remedy: "lower train.lr or set train.clip".into() }
}

/// The same error, met at optimiser step `step`.
pub(super) fn at(e: Error, now: u64) -> Error {
    match e {
        Error::NonFinite { place, remedy, .. } => Error::NonFinite { place, step: now as usize + 1, remedy },
        other => other,
    }
}
