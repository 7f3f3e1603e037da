//! Generalisation: when memorising pays, and that what is done against it does what it says.

mod calibration;
mod keeping;
mod memorising;
mod moments;

use super::Part;
use crate::config::{Config, Setting, Value};
use crate::mixture::{Covariances, Draw, Mixture};
use crate::rng::{Purpose, Stream};
use crate::train::{Reference, Settled, State, Trainer};
use crate::{Error, Result};
use ndarray::{Array1, Array2, Array3, array};

pub(super) const HOW: &str = "\
memorising   mixture of four Gaussians in 50 dimensions, N points: the share M*/N at which the posterior-mean denoiser of M of them has the training loss
             of the true law's; mean of the data sets, +- its standard error, against the high-dimensional theory, where centres do not mix (t = 1/4) and
             in the mean over t uniform in (0, 1), x_t = (1 - t^2)^(1/2) x + t z, where it is to be about 4/5
calibration  (20): error of the score to that of the noised law at 4,000 fresh draws, with over without, for a network that overfits 150 points, and the
             largest increase in eight groups of times in its standard errors (3.3: one such group in 2,000); with 20,000 points the
             coefficients (1, 0, 0), as the part of the network that they change; a network of random numbers becomes none where the reference is the
             law, c_1 near 0 and the gain within 3.3 standard errors of 0, and the exact score where that is linear in the point
moments      (21): maps of an exact sampler against the identity, as displacements of the unit points; samples of a Gaussian law by networks of random
             numbers against its mean and covariance, in its standard deviations. 16,384 points have errors near .01, bounds are four and more
keep         held-out gains of a run that overfits: the kept parameters have the least of all, are neither the first nor the last, and have it again
dropout      held-out gains, scores and samples of one network with network.dropout = .5 against the same without, and against themselves: no bit differs";

/// Checks them all.
pub(super) const PARTS: &[Part] = &[
    ("memorising", memorising::rows),
    ("calibration", calibration::rows),
    ("moments", |_| moments::rows()),
    ("keep", |_| keeping::rows()),
];

/// A law, its points, and what is to be learned of it.
struct Case {
    config: Settled,
    reference: Reference,
    law: Mixture,
    x: Array2<f64>,
    held_out: Array2<f64>,
}

impl Case {
    /// `n` points of `law`, and as many held out as `held_out` says.
    fn new(law: &Mixture, reference: &Mixture, (n, held_out): (usize, usize), settings: &[(&str, Value)]) -> Result<Self> {
        let reference = Reference::from_mixture(reference, 0.0)?;
        let config = settle(settings, &reference, n)?;
        let sample = |n, seed| Ok::<_, Error>(law.sample(n, seed, Purpose::Data, Draw::Systematic)?.0);
        Ok(Case { config, reference, law: law.clone(), x: sample(n, 1)?, held_out: sample(held_out, 2)? })
    }

    fn trainer(&self) -> Result<Trainer<f32>> {
        Trainer::new(&self.config, &self.reference, self.x.view())?.watching(&self.reference, self.held_out.view())
    }

    /// A trainer by `config` whose parameters, averaged and not, are `params`, before its first step.
    fn with(&self, config: &Settled, params: &[f32]) -> Result<Trainer<f32>> {
        let fresh = Trainer::<f32>::new(config, &self.reference, self.x.view())?;
        let mut state: State<f32> = fresh.state().clone();
        state.params = params.to_vec();
        if !state.optimiser.ema.is_empty() {
            state.optimiser.ema = params.to_vec();
        }
        Trainer::resume(config, &self.reference, self.x.view(), state)?.watching(&self.reference, self.held_out.view())
    }
}

/// A configuration of a small network for `reference` and `n` points.
fn settle(settings: &[(&str, Value)], reference: &Reference, n: usize) -> Result<Settled> {
    let mut all = vec![
        Setting::new("data.name", "four-modes"),
        Setting::new("network.width", 64usize),
        Setting::new("network.depth", 2usize),
        Setting::new("train.batch", 128usize),
    ];
    all.extend(settings.iter().map(|(key, value)| Setting::new(key, value.clone())));
    Settled::new(&Config::resolve(&all)?, reference, n)
}

/// As many normal numbers times `scale` as the network of `case` has parameters.
fn noise_network(case: &Case, seed: u64, scale: f32) -> Result<Vec<f32>> {
    let mut params = vec![0.0; case.trainer()?.state().params.len()];
    Stream::new(seed, Purpose::Init, 0, 0).fill_normal(&mut params);
    params.iter_mut().for_each(|p| *p *= scale);
    Ok(params)
}

/// Four modes in `dim` dimensions, at random directions 3 from the origin.
fn modes(dim: usize) -> Result<Mixture> {
    let mut stream = Stream::new(4, Purpose::Data, 0, 0);
    let mut means = Array2::from_shape_fn((4, dim), |_| stream.normal::<f64>());
    for mut mean in means.outer_iter_mut() {
        let scale = 3.0 / mean.dot(&mean).sqrt();
        mean *= scale;
    }
    Mixture::new(array![0.4, 0.3, 0.2, 0.1], means, Covariances::Spherical(Array1::from_elem(4, 0.5)))
}

/// The Gaussian with the moments of `law`.
fn gaussian(law: &Mixture) -> Result<Mixture> {
    let (d, c) = (law.dim(), law.total_covariance());
    let mean = Array2::from_shape_fn((1, d), |(_, j)| law.total_mean()[j]);
    Mixture::new(array![1.0], mean, Covariances::Full(Array3::from_shape_fn((1, d, d), |(_, i, j)| c[[i, j]])))
}

#[cfg(test)]
mod tests {
    use crate::audit::Row;
    use crate::audit::{Effort, Subject, table};

    #[test]
    fn generalisation_is_what_it_should_be() {
        let table = table(Subject::Generalisation, Effort::Quick, &mut |_| {});
        let failed: Vec<&Row> = table.rows.iter().filter(|row| !row.pass).collect();
        assert!(failed.is_empty() && table.rows.len() == 15, "{} rows, of which {failed:#?}", table.rows.len());
    }
}
