//! Images in the features of a classifier that is trained for `ndsm eval`.

use super::summary::{Metric, beside};
use crate::Result;
use crate::data::Dataset;
use crate::metrics::{ImageClassifier, ImageFeatures};
use ndarray::ArrayView2;
use std::collections::BTreeSet;

/// The classifier of labelled images; none of other data, or where all have one label.
///
/// # Errors
/// Images that are all the same.
pub fn classifier(data: &Dataset, seed: u64) -> Result<Option<ImageClassifier>> {
    let (Some(labels), Some(shape)) = (&data.labels, data.images) else { return Ok(None) };
    if labels.iter().collect::<BTreeSet<_>>().len() < 2 || data.held_out.nrows() < 2 {
        return Ok(None);
    }
    ImageClassifier::fit(data.points.view(), labels, [shape.height, shape.width, shape.channels], seed).map(Some)
}

/// What it is: figures in its features can be compared where this is the same.
///
/// # Errors
/// None that its own data can meet.
pub fn named(classifier: &ImageClassifier, data: &Dataset) -> Result<String> {
    let right = data.held_out_labels.as_ref().map(|labels| classifier.accuracy(data.held_out.view(), labels)).transpose()?;
    let right = right.map_or(String::new(), |share| format!(", right about {:.1} % of the held-out images", 100.0 * share));
    Ok(format!("features and classes: classifier of seed {}, hash {:016x}{right}", classifier.seed(), classifier.hash()))
}

/// The figures of the samples, `sets[0]`, beside those of the other sets, and of the `decoded` training images.
///
/// # Errors
/// As [`ImageFeatures`].
pub fn metrics(
    classifier: &ImageClassifier,
    sets: &[ArrayView2<f64>],
    decoded: Option<ArrayView2<f64>>,
    data: &Dataset,
    (seed, resamples): (u64, usize),
) -> Result<Vec<Metric>> {
    let features = ImageFeatures::new(classifier, data)?;
    let of = |(i, x): (usize, &ArrayView2<f64>)| match i {
        0 => features.evaluate(*x, seed, resamples),
        _ => features.evaluate_beside(*x, seed),
    };
    let mut all = beside(sets.iter().enumerate().map(of).collect::<Result<_>>()?);
    if let Some(decoded) = decoded {
        let decoded = features.evaluate_beside(decoded, seed)?;
        all.iter_mut().zip(decoded).for_each(|(metric, m)| metric.decoded = m.value);
    }
    Ok(all)
}
