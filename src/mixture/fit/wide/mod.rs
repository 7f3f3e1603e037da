//! Mixtures of low rank in many dimensions, images say: the same maximum of the same likelihood as elsewhere,
//! by ways that have the cost of matrix products.
//!
//! * The E step is one product ([`expect`]); nearly every point belongs to one component, and the M step
//!   looks at no other ([`maximise`]).
//! * Starts are tried on a part of the points, and the best one alone goes on with all of them.
//! * The number of components is found by splitting ([`split`]): k + 1 components start from k, not anew.
//!
//! Everything here has its origin at the mean of the data.

mod expect;
mod law;
mod maximise;
mod near;
mod points;
mod split;
#[cfg(test)]
mod tests;

use super::checks::{enough, floor, starved};
use super::em::EMPTY;
use super::{Count, Fit, FitOptions, Progress, Trial, kmeans, low_rank_step};
use crate::Result;
use crate::mixture::CovarianceKind;
use crate::rng::{Purpose, Stream};
use expect::{Shares, expect};
use law::Law;
use maximise::maximise;
use ndarray::{Array1, ArrayView1, ArrayView2};
use near::Near;
use points::Points;

/// Dimensions from which on all this pays, and below which fits are what they have always been.
const WIDE: usize = 64;
/// Points that starts are looked for in.
const START_POINTS: usize = 8192;
/// Iterations of a start on them.
const START_ITERATIONS: usize = 10;
/// Steps for the loadings of one iteration: an E step costs as much as several.
const ROUNDS: usize = 4;

/// One iteration in so many looks at all components, the others at those that were near a point then; and so
/// does every one after which the mean log-likelihood changed by more than so much.
const EVERY: usize = 10;
const RESTLESS: f64 = 5.0;

/// Whether a fit of points in `d` dimensions goes this way.
pub fn applies(options: &FitOptions, d: usize) -> bool {
    matches!(options.kind, CovarianceKind::LowRank(_)) && options.symmetry.is_none() && d >= WIDE
}

/// [`fit`](super::fit()) of such a mixture.
///
/// # Errors
/// As [`fit`](super::fit()).
pub fn fit(x: ArrayView2<f64>, options: &FitOptions, watch: &(dyn Fn(&Progress) + Sync)) -> Result<Fit> {
    let (points, mean) = Points::new(x)?;
    let variances = points.variances();
    let distinct = enough(x, variances.view(), options.components)?;
    let mut notes = Vec::new();
    let floor = ArrayView1::from(&floor(variances.view(), x, options.floor, &mut notes)?).mean().unwrap_or(0.0);
    let stride = points.count() / START_POINTS;
    let part = (stride > 1).then(|| points.select((0..points.count()).step_by(stride)));
    let fitter = Wide { options, part, points, variances, floor, watch };
    let (best, tried) = match options.components {
        Count::Fixed(k) => {
            let best = fitter.best_of(k)?;
            let tried = vec![fitter.trial(&best)];
            (best, tried)
        }
        Count::Auto { max } => fitter.by_splitting(max.min(distinct))?,
    };
    let bic = fitter.trial(&best).bic;
    notes.extend(best.notes.iter().cloned());
    let mixture = best.law.mixture(mean.view())?;
    notes.extend(starved(&mixture, options, x.nrows()));
    if !best.converged {
        notes.push(options.stopped());
    }
    let iterations = best.log_likelihood.len() - 1;
    Ok(Fit { mixture, log_likelihood: best.log_likelihood, bic, iterations, converged: best.converged, tried, notes })
}

/// One climb, run to its end.
struct Climbed {
    law: Law,
    /// Mean log-likelihood before each iteration, and after the last.
    log_likelihood: Vec<f64>,
    /// Of the responsibilities at the end, summed.
    entropy: f64,
    converged: bool,
    notes: Vec<String>,
}

impl Climbed {
    fn last(&self) -> f64 {
        self.log_likelihood.last().copied().unwrap_or(f64::NEG_INFINITY)
    }
}

struct Wide<'a> {
    options: &'a FitOptions,
    points: Points,
    /// Every so many of the points, where there are many.
    part: Option<Points>,
    variances: Array1<f64>,
    floor: f64,
    watch: &'a (dyn Fn(&Progress) + Sync),
}

impl Wide<'_> {
    fn rank(&self) -> usize {
        if let CovarianceKind::LowRank(q) = self.options.kind { q } else { 0 }
    }

    /// The best of several starts with `k` components.
    fn best_of(&self, k: usize) -> Result<Climbed> {
        let restarts = if k == 1 { 1 } else { self.options.restarts };
        let few = self.part.as_ref().unwrap_or(&self.points);
        let blocks = few.blocks()?;
        let mut best: Option<Climbed> = None;
        for restart in 0..restarts {
            let mut stream = Stream::new(self.options.seed, Purpose::Fit, ((k as u64) << 24) | restart as u64, 0);
            let labels = kmeans::kmeans(&blocks, k, &mut stream);
            let start = self.start(few, &labels, k)?;
            let limit = START_ITERATIONS.min(self.options.max_iterations);
            let climbed = self.climb(few, start, limit)?;
            if best.as_ref().is_none_or(|b| climbed.last() > b.last()) {
                best = Some(climbed);
            }
        }
        let best = best.ok_or_else(|| crate::Error::invalid("mixture fit: restarts", ">= 1", 0))?;
        self.climb(&self.points, best.law, self.options.max_iterations)
    }

    /// The mixture that clusters make: `labels`, `[n]`, below `k`.
    fn start(&self, points: &Points, labels: &[u32], k: usize) -> Result<Law> {
        let alike = Law::alike(low_rank_step::rough(k, self.rank(), &self.variances.to_vec()))?;
        maximise(points, &Shares::of_labels(labels, k), &alike, self.floor, low_rank_step::ROUNDS)
    }

    /// Expectation-maximisation on `points` from `law` up to a local maximum, or for `limit` iterations.
    fn climb(&self, points: &Points, law: Law, limit: usize) -> Result<Climbed> {
        let (k, tolerance) = (law.components(), self.options.tolerance * points.d as f64);
        let mut climbed = Climbed { law, log_likelihood: Vec::new(), entropy: 0.0, converged: false, notes: Vec::new() };
        let mut revivals = 0;
        let (mut near, mut change) = (Near::default(), f64::INFINITY);
        for iteration in 0..=limit {
            // A step that may be the last one looks at all components.
            let last = iteration == limit || change <= tolerance;
            let all = last || change > RESTLESS || iteration % EVERY == 0;
            let shares = match (all, near.expect(points, &climbed.law)) {
                (false, Some(shares)) => shares,
                _ => expect(points, &climbed.law, Some(&mut near))?,
            };
            let mean = shares.log_likelihood();
            change = (mean - climbed.last()).abs();
            climbed.log_likelihood.push(mean);
            climbed.entropy = shares.entropy;
            if std::ptr::eq(points, &self.points) {
                (self.watch)(&Progress { components: k, iteration, log_likelihood: mean });
            }
            let empty = shares.mass().iter().position(|m| *m <= EMPTY).filter(|_| revivals < k);
            if all && change <= tolerance && empty.is_none() {
                climbed.converged = true;
                break;
            }
            if iteration == limit {
                break;
            }
            climbed.law = maximise(points, &shares, &climbed.law, self.floor, ROUNDS)?;
            if let Some(c) = empty {
                revivals += 1;
                let worst = shares.worst.1;
                climbed.law = climbed.law.revived(c, points.row(worst), points.count());
                climbed.notes.push(format!("component {c} was empty and was restarted at the worst-explained point, row {worst}"));
            }
        }
        Ok(climbed)
    }

    fn trial(&self, climbed: &Climbed) -> Trial {
        let n = self.points.count() as f64;
        let (components, log_likelihood) = (climbed.law.components(), climbed.last());
        let parameters = self.options.kind.parameters(components, self.points.d);
        let bic = parameters as f64 * n.ln() - 2.0 * n * log_likelihood;
        Trial { components, log_likelihood, bic, icl: bic + 2.0 * climbed.entropy }
    }
}
