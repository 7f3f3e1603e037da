//! The moments of the noised law, from the training points (eq. 21): noised as training noises them, with
//! every kind of chain and kernel, to some thirty times.

use super::{Reference, Settled, System};
use crate::config::MomentMatching;
use crate::rng::{Purpose, Stream};
use crate::sample::{Gaussian, MomentKind, Moments, Sums};
use crate::sde::Paths;
use crate::transition::Draws;
use crate::{Error, Result};
use ndarray::{Array2, Array3, ArrayView2, Axis};

/// Times that points are noised to, even in the probability of the training times.
const LEVELS: usize = 30;
/// Points that are noised to each time: at least so many, all training points equally often, and at most so
/// many where there are more.
const POINTS: [usize; 2] = [4096, 32_768];
/// Numbers of a batch of points.
const NUMBERS: usize = 1 << 18;
/// Most dimensions in which "auto" matches moments: thirty covariances are kept, and a map takes two
/// eigendecompositions.
pub(super) const MOST: usize = 128;
/// Training points a dimension from which a covariance is trusted where nothing is held out.
const TRUSTED: usize = 10;

/// What the data say about the moments of samples, in whitened coordinates.
#[derive(Debug, Clone, PartialEq)]
pub struct DataMoments {
    /// Those of the noised law.
    pub noised: Moments,
    /// Those of points that were held out.
    pub held_out: Option<Gaussian>,
    /// How many training points there are.
    pub points: usize,
}

impl DataMoments {
    /// From the training points `x` [n, d] and those held out, in the units of the reference; nothing where
    /// `calibration.moments` is "none", or "auto" in more than 128 dimensions. A function of the
    /// configuration, the reference and the points.
    ///
    /// # Errors
    /// As [`System::new`]; points that do not fit the reference.
    pub fn new(config: &Settled, reference: &Reference, x: ArrayView2<f64>, held_out: Option<ArrayView2<f64>>) -> Result<Option<Self>> {
        let whiten = |x| reference.whitening.whiten(x);
        Self::of_whitened(config, reference, whiten(x)?.view(), held_out.map(whiten).transpose()?)
    }

    /// The same from whitened points.
    pub(super) fn of_whitened(
        config: &Settled,
        reference: &Reference,
        u: ArrayView2<f64>,
        held_out: Option<Array2<f64>>,
    ) -> Result<Option<Self>> {
        match config.calibration.moments {
            MomentMatching::None => return Ok(None),
            MomentMatching::Auto if u.ncols() > MOST => return Ok(None),
            _ => {}
        }
        let noised = noised(&System::new(config, reference)?, u, seed(config.train.seed, 0))?;
        let held_out = held_out.filter(|u| u.nrows() > 0).map(|u| Gaussian::of(u.view())).transpose()?;
        Ok(Some(DataMoments { noised, held_out, points: u.nrows() }))
    }

    /// The kind of maps that `matching` asks for. "auto" asks for the one with which a Gaussian, with the
    /// moments that samples then have, makes the points held out likeliest; `has` are those without maps.
    ///
    /// # Errors
    /// Shapes that do not fit.
    pub fn kind(&self, matching: MomentMatching, has: impl FnOnce() -> Result<Gaussian>) -> Result<MomentKind> {
        let d = self.noised.means().ncols();
        match (matching, &self.held_out) {
            (MomentMatching::None, _) => Ok(MomentKind::None),
            (MomentMatching::Scalar, _) => Ok(MomentKind::Scalar),
            (MomentMatching::Diagonal, _) => Ok(MomentKind::Diagonal),
            (MomentMatching::Full, _) => Ok(MomentKind::Full),
            (MomentMatching::Auto, None) => Ok(if self.points < TRUSTED * d { MomentKind::Diagonal } else { MomentKind::Full }),
            (MomentMatching::Auto, Some(held_out)) => {
                let (has, wants) = (has()?, self.noised.at(0.0));
                let mut best = (MomentKind::None, has.mean_log_density(held_out)?);
                for kind in [MomentKind::Scalar, MomentKind::Diagonal, MomentKind::Full] {
                    let value = crate::sample::AffineMap::between(kind, &has, &wants)?.moments(&has).mean_log_density(held_out)?;
                    if value > best.1 {
                        best = (kind, value);
                    }
                }
                Ok(best.0)
            }
        }
    }
}

/// A seed of its own for the draws (0) and runs (1) of moments: they share no random number with a run or
/// with samples of the seed `seed`.
pub(super) fn seed(seed: u64, which: u64) -> u64 {
    let mut stream = Stream::new(seed, Purpose::Moments, which, 0);
    (stream.below(1 << 32) as u64) << 32 | stream.below(1 << 32) as u64
}

/// Mean and covariance of the points `u` [n, d], noised to some times.
///
/// Both points of each antithetic pair count, every training point as often as the others, and every time
/// has the same noise, so that the moments are smooth in time. At 0 they are those of the points.
fn noised(system: &System<f64>, u: ArrayView2<f64>, seed: u64) -> Result<Moments> {
    let (n, d) = u.dim();
    let rows = rows(n, seed);
    // Draws of one path, at different levels.
    let per_path = system.noising.draws_per_path();
    let batch = (NUMBERS / (d * per_path)).clamp(1, rows.len());
    let mut bins: Vec<(f64, Sums)> = Vec::new();
    for shift in 0..LEVELS.div_ceil(per_path) {
        let levels: Vec<f64> = (0..per_path).map(|j| level((shift * per_path + j) % LEVELS)).collect();
        for (i, rows) in rows.chunks(batch).enumerate() {
            let x0: Vec<f64> = rows.iter().flat_map(|row| u.row(*row).to_vec()).collect();
            let mut draws = Draws::new(rows.len() * per_path, d);
            let paths = Paths { seed, purpose: Purpose::Noise, step: i as u64 };
            // A first path tells the times: where the law of the times is clipped, levels share one.
            if i == 0 {
                let mut one = Draws::new(per_path, d);
                system.noising.draw(&x0[..d], &levels, paths, &mut one)?;
                if one.times().iter().all(|t| bins.iter().any(|(known, _)| known == t)) {
                    break;
                }
            }
            system.noising.draw(&x0, &levels.repeat(rows.len()), paths, &mut draws)?;
            add(&mut bins, &draws)?;
        }
    }
    bins.sort_by(|a, b| a.0.total_cmp(&b.0));
    let mut times = vec![0.0];
    let mut laws = vec![Gaussian::of(u)?];
    for (t, sums) in bins.into_iter().filter(|(t, _)| *t > 0.0) {
        times.push(t);
        laws.push(sums.moments()?);
    }
    let means = Array2::from_shape_fn((times.len(), d), |(k, j)| laws[k].mean[j]);
    let covariances = Array3::from_shape_fn((times.len(), d, d), |(k, i, j)| laws[k].covariance[[i, j]]);
    Moments::new(system.model.scale, times, means, covariances)
}

/// Level number `i` in (0, 1), the first and the last at the ends.
fn level(i: usize) -> f64 {
    const END: f64 = 1e-9;
    (i as f64 / (LEVELS - 1) as f64).clamp(END, 1.0 - END)
}

/// The training points that are noised to each time.
fn rows(n: usize, seed: u64) -> Vec<usize> {
    let [least, most] = POINTS;
    if n <= most {
        return (0..least.div_ceil(n).max(1) * n).map(|i| i % n).collect();
    }
    let mut rows: Vec<usize> = (0..n).collect();
    Stream::new(seed, Purpose::Moments, 0, 0).shuffle(&mut rows);
    rows.truncate(most);
    rows
}

/// Adds the pairs of `draws` to the sums of their times.
fn add(bins: &mut Vec<(f64, Sums)>, draws: &Draws<f64>) -> Result<()> {
    let d = draws.dim();
    let mut times: Vec<f64> = draws.times().to_vec();
    times.sort_by(f64::total_cmp);
    times.dedup();
    for t in times {
        let at: Vec<usize> = (0..draws.len()).filter(|i| draws.times()[*i] == t).collect();
        let points: Vec<f64> = at.iter().flat_map(|i| [draws.draw(*i).plus, draws.draw(*i).minus].concat()).collect();
        let points = Array2::from_shape_vec((2 * at.len(), d), points).map_err(|e| Error::refused("moments", e.to_string()))?;
        let bin = match bins.iter().position(|(known, _)| *known == t) {
            Some(bin) => bin,
            None => {
                bins.push((t, Sums::new(d)));
                bins.len() - 1
            }
        };
        points.axis_chunks_iter(Axis(0), 512).for_each(|rows| bins[bin].1.add(rows));
    }
    Ok(())
}
