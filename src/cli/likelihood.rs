//! The likelihood of held-out points under a model, beside that under the reference alone.

use super::progress::Phase;
use super::summary::Metric;
use crate::Result;
use crate::data::{Dataset, Encoder};
use crate::metrics::subset;
use crate::mixture::Mixture;
use crate::train::{Likelihood, bits_per_dimension, dequantised};
use ndarray::{Array1, Array2};

/// Most points of each set whose likelihood is computed, and the steps it takes.
const POINTS: usize = 1000;
const STEPS: usize = 24;
/// 97.5 % of a standard normal lie below.
const NORMAL_975: f64 = 1.96;

/// What a set of points has under the model, one by one, and in the mean under the reference: -ln p.
struct Nll {
    each: Array1<f64>,
    alone: f64,
}

/// The mean of -ln p over held-out points and, as its floor, over training points, in nats; of images in
/// their own pixels in bits for each of their numbers, too. `law`: the reference.
///
/// # Errors
/// As [`Likelihood::log_density`].
pub fn metrics(model: &mut Likelihood, law: &Mixture, (data, encoder): (&Dataset, &Encoder), seed: u64) -> Result<Vec<Metric>> {
    // The floor takes no more than it is to be compared with.
    let held_out = subset(data.held_out.view(), POINTS, seed, 1);
    let training = subset(data.points.view(), held_out.nrows(), seed, 2);
    let sets = [held_out, training];
    let phase = Phase::begin("likelihood");
    let mut of = |x: &Array2<f64>, what: &str| -> Result<Nll> {
        phase.tell(format_args!("{} {what}", x.nrows()));
        let z = encoder.encode(x.view())?;
        Ok(Nll { each: -model.log_density(z.view(), STEPS)?, alone: -mean(&law.log_density(z.view())?) })
    };
    let meaning = "mean negative log-likelihood of held-out points under the model's flow; floor: of training points";
    let mut all = vec![metric("nll_held_out", meaning, [of(&sets[0], "held-out points")?, of(&sets[1], "training points")?], |nll| nll)];
    if let (Some((shape, step)), Encoder::Identity) = (data.images.and_then(|shape| Some((shape, shape.step()?))), encoder) {
        let cells = sets.map(|x| dequantised(x.view(), step, seed));
        let each = if shape.channels == 1 { "pixel" } else { "channel of a pixel" };
        let meaning = &format!("the same of pixels spread evenly over their cells, in bits for each {each}");
        let bits = |nll| bits_per_dimension(nll, data.dim(), step);
        all.push(metric(
            "bits_per_dim",
            meaning,
            [of(&cells[0], "held-out images in bits")?, of(&cells[1], "training images in bits")?],
            bits,
        ));
    }
    Ok(all)
}

fn mean(values: &Array1<f64>) -> f64 {
    values.mean().unwrap_or(f64::NAN)
}

fn metric(name: &str, meaning: &str, [held_out, training]: [Nll; 2], unit: impl Fn(f64) -> f64) -> Metric {
    let middle = mean(&held_out.each);
    let reach = NORMAL_975 * held_out.each.std(1.0) / (held_out.each.len() as f64).sqrt();
    Metric {
        name: name.to_owned(),
        value: Some(unit(middle)),
        reference: Some(unit(held_out.alone)),
        floor: Some(unit(mean(&training.each))),
        interval: Some([unit(middle - reach), unit(middle + reach)]),
        meaning: meaning.to_owned(),
        ..Metric::default()
    }
}
