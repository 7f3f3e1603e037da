//! The moments of the noised law, from the training points (eq. 21): noised as training noises them, with
//! every kind of chain and kernel, to some thirty times.

use super::{Reference, Settled, System};
use crate::config::MomentMatching;
use crate::mixture::Mixture;
use crate::rng::{Purpose, Stream};
use crate::sample::{Gaussian, MomentKind, Moments, Share, ShareSums, Sums};
use crate::sde::Paths;
use crate::transition::Draws;
use crate::{Error, Result};
use ndarray::{Array2, Array3, ArrayView1, ArrayView2};

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
    /// Those of the shares of the reference's components, where maps by component are asked for.
    pub components: Vec<Moments>,
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
    /// As [`System::new`]; points that do not fit the reference; moments by component in more than 128
    /// dimensions.
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
            MomentMatching::Component if u.ncols() > MOST => {
                let problem =
                    format!("\"component\" keeps thirty covariances a component, in at most {MOST} dimensions, got {}", u.ncols());
                return Err(Error::refused("calibration.moments", problem));
            }
            _ => {}
        }
        let shared = (config.calibration.moments == MomentMatching::Component).then_some(&reference.mixture);
        let (noised, components) = noised(&System::new(config, reference)?, u, seed(config.train.seed, 0), shared)?;
        let held_out = held_out.filter(|u| u.nrows() > 0).map(|u| Gaussian::of(u.view())).transpose()?;
        Ok(Some(DataMoments { noised, components, held_out, points: u.nrows() }))
    }

    /// The moments of the components' shares at time `t`, each of so many training points as its weight in
    /// `weights` says; none where no maps by component are asked for.
    pub(super) fn shares(&self, t: f64, weights: ArrayView1<f64>) -> Vec<Share> {
        let share = |(table, weight): (&Moments, &f64)| Share { points: self.points as f64 * weight, moments: Some(table.at(t)) };
        self.components.iter().zip(weights).map(share).collect()
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
            (MomentMatching::Full | MomentMatching::Component, _) => Ok(MomentKind::Full),
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
///
/// The same of the shares of the components of `shared`, one table each.
fn noised(system: &System<f64>, u: ArrayView2<f64>, seed: u64, shared: Option<&Mixture>) -> Result<(Moments, Vec<Moments>)> {
    let (n, d) = u.dim();
    let rows = rows(n, seed);
    // Draws of one path, at different levels.
    let per_path = system.noising.draws_per_path();
    let batch = (NUMBERS / (d * per_path)).clamp(1, rows.len());
    let mut bins: Vec<Bin> = Vec::new();
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
                if one.times().iter().all(|t| bins.iter().any(|bin| bin.time == *t)) {
                    break;
                }
            }
            system.noising.draw(&x0, &levels.repeat(rows.len()), paths, &mut draws)?;
            add(&mut bins, &draws, shared)?;
        }
    }
    bins.sort_by(|a, b| a.time.total_cmp(&b.time));
    let mut zero = Bin::new(0.0, d, shared);
    zero.add(u, shared)?;
    bins.retain(|bin| bin.time > 0.0);
    bins.insert(0, zero);
    let times: Vec<f64> = bins.iter().map(|bin| bin.time).collect();
    let (mut laws, mut shares) = (Vec::new(), Vec::new());
    for bin in bins {
        laws.push(bin.all.moments()?);
        shares.push(bin.shares.shares());
    }
    let table = |laws: &[Gaussian]| {
        let means = Array2::from_shape_fn((times.len(), d), |(k, j)| laws[k].mean[j]);
        let covariances = Array3::from_shape_fn((times.len(), d, d), |(k, i, j)| laws[k].covariance[[i, j]]);
        Moments::new(system.model.scale, times.clone(), means, covariances)
    };
    let share = |k: usize| {
        // A component without any point has the moments of all.
        let own = shares.iter().zip(&laws).map(|(at, law)| at[k].moments.clone().unwrap_or_else(|| law.clone()));
        table(&own.collect::<Vec<_>>())
    };
    Ok((table(&laws)?, (0..shared.map_or(0, Mixture::components)).map(share).collect::<Result<_>>()?))
}

/// Sums of the points at one time.
struct Bin {
    time: f64,
    all: Sums,
    shares: ShareSums,
}

impl Bin {
    fn new(time: f64, d: usize, shared: Option<&Mixture>) -> Self {
        Bin { time, all: Sums::new(d), shares: ShareSums::new(shared.map_or(0, Mixture::components), d) }
    }

    fn add(&mut self, points: ArrayView2<f64>, shared: Option<&Mixture>) -> Result<()> {
        self.all.add_all(points);
        shared.map_or(Ok(()), |law| self.shares.add(law, points))
    }
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
fn add(bins: &mut Vec<Bin>, draws: &Draws<f64>, shared: Option<&Mixture>) -> Result<()> {
    let d = draws.dim();
    let mut times: Vec<f64> = draws.times().to_vec();
    times.sort_by(f64::total_cmp);
    times.dedup();
    for t in times {
        let at: Vec<usize> = (0..draws.len()).filter(|i| draws.times()[*i] == t).collect();
        let points: Vec<f64> = at.iter().flat_map(|i| [draws.draw(*i).plus, draws.draw(*i).minus].concat()).collect();
        let points = Array2::from_shape_vec((2 * at.len(), d), points).map_err(|e| Error::refused("moments", e.to_string()))?;
        let bin = match bins.iter().position(|bin| bin.time == t) {
            Some(bin) => bin,
            None => {
                bins.push(Bin::new(t, d, shared));
                bins.len() - 1
            }
        };
        bins[bin].add(points.view(), shared)?;
    }
    Ok(())
}
