//! Finding a mixture from data.

mod blocks;
mod checks;
mod choose_group;
mod em;
mod kmeans;
mod low_rank_step;
mod minibatch;
mod options;
mod orbit;
mod refit_weights;
mod scatter;
mod statistics;
#[cfg(test)]
mod tests;
mod wide;
mod within_cluster;

pub use choose_group::{GroupFit, GroupTrial, fit_group};
pub use em::{Em, em_step};
pub use options::{Count, Criterion, FitOptions};
pub use orbit::Symmetry;
pub use refit_weights::refit_weights;
pub use statistics::Statistics;

use super::{CovarianceKind, Covariances, Mixture};
use crate::linalg::Cholesky;
use crate::rng::{Purpose, Stream};
use crate::{Error, Result, par};
use blocks::Blocks;
use checks::{enough, floor, starved};
use em::EMPTY;
use minibatch::Batches;
use ndarray::{Array1, Array2, ArrayView1, ArrayView2, Axis};

/// Numbers of components that are tried side by side where points are few, and after how many without a
/// better value the search ends.
const TOGETHER: usize = 2;
const IN_VAIN: usize = 3;

/// What one number of components came to.
#[derive(Debug, Clone, PartialEq)]
pub struct Trial {
    /// Number of components, or of orbits.
    pub components: usize,
    /// Mean log-likelihood of the best start.
    pub log_likelihood: f64,
    /// BIC = p ln n - 2 n (mean log-likelihood), p the free parameters: the lower the better.
    pub bic: f64,
    /// ICL = BIC + 2 n (mean entropy of the responsibilities), the lower the better.
    pub icl: f64,
}

impl Trial {
    /// The value that `criterion` goes by.
    pub fn value(&self, criterion: Criterion) -> f64 {
        match criterion {
            Criterion::Bic => self.bic,
            Criterion::Icl => self.icl,
        }
    }
}

/// How far a fit is.
#[derive(Debug, Clone, PartialEq)]
pub struct Progress {
    /// Number of components of the mixture that is at hand.
    pub components: usize,
    /// Iterations that it has behind it.
    pub iteration: usize,
    /// Mean log-likelihood of the data under it.
    pub log_likelihood: f64,
}

impl std::fmt::Display for Progress {
    fn fmt(&self, f: &mut std::fmt::Formatter) -> std::fmt::Result {
        let Progress { components, iteration, log_likelihood } = self;
        let plural = if *components == 1 { "" } else { "s" };
        write!(f, "{components} component{plural}, iteration {iteration}, mean log-likelihood {log_likelihood:.3}")
    }
}

/// A fitted mixture and how it was found.
#[derive(Debug, Clone)]
pub struct Fit {
    /// The best mixture.
    pub mixture: Mixture,
    /// Mean log-likelihood of the data before each iteration of the best start, and after the last.
    pub log_likelihood: Vec<f64>,
    /// BIC of the best mixture.
    pub bic: f64,
    /// Iterations of the best start.
    pub iterations: usize,
    /// Whether it reached the tolerance, or was stopped by the limit of iterations.
    pub converged: bool,
    /// Every number of components that was tried.
    pub tried: Vec<Trial>,
    /// What a reader of the result should know, a sentence each.
    pub notes: Vec<String>,
}

/// Fits a mixture to the rows of `x`, [n, d]: from each of several k-means clusterings,
/// expectation-maximisation up to a local maximum of the likelihood; the highest is kept. The result is a
/// function of the data and the options.
///
/// # Errors
/// `Shape` for empty data; `Invalid` for numbers that are not finite, for options out of range, for more
/// components than different points, for data without any variance.
pub fn fit(x: ArrayView2<f64>, options: &FitOptions) -> Result<Fit> {
    fit_watched(x, options, &|_| {})
}

/// [`fit`], telling `watch` how far it is: after every number of components that was tried, in wide fits
/// ([`FitOptions`]) after every iteration on all points.
///
/// # Errors
/// As [`fit`].
pub fn fit_watched(x: ArrayView2<f64>, options: &FitOptions, watch: &(dyn Fn(&Progress) + Sync)) -> Result<Fit> {
    options.check(x.ncols())?;
    if wide::applies(options, x.ncols()) {
        return wide::fit(x, options, watch);
    }
    let fitter = Fitter::new(x, options, watch)?;
    let best = match options.components {
        Count::Fixed(k) => {
            let best = fitter.best_of(k)?;
            let tried = vec![fitter.trial(&best)?];
            (best, tried)
        }
        Count::Auto { max } => fitter.by_criterion(max)?,
    };
    let (best, tried) = best;
    let mut notes = fitter.notes.clone();
    notes.extend(best.notes.iter().cloned());
    notes.extend(starved(&best.mixture, options, x.nrows()));
    if !best.converged {
        notes.push(options.stopped());
    }
    let bic = fitter.trial(&best)?.bic;
    let iterations = best.log_likelihood.len() - 1;
    Ok(Fit { mixture: best.mixture, log_likelihood: best.log_likelihood, bic, iterations, converged: best.converged, tried, notes })
}

/// One start, run to its end.
struct Run {
    mixture: Mixture,
    log_likelihood: Vec<f64>,
    converged: bool,
    notes: Vec<String>,
}

impl Run {
    fn last(&self) -> f64 {
        self.log_likelihood.last().copied().unwrap_or(f64::NEG_INFINITY)
    }
}

struct Fitter<'a> {
    options: &'a FitOptions,
    x: ArrayView2<'a, f64>,
    em: Em,
    batches: Option<Batches>,
    /// The part of the data that starts are looked for in, where that is not all.
    seeds: Option<(Array2<f64>, Em)>,
    /// The seeds' points in coordinates in which their covariance is the identity (only its diagonal, where
    /// components have no more); none where only the given coordinates make sense.
    whitened: Option<Array2<f64>>,
    floor: Vec<f64>,
    distinct: usize,
    notes: Vec<String>,
    watch: &'a (dyn Fn(&Progress) + Sync),
}

impl<'a> Fitter<'a> {
    fn new(x: ArrayView2<'a, f64>, options: &'a FitOptions, watch: &'a (dyn Fn(&Progress) + Sync)) -> Result<Self> {
        let em = Em::new(x)?;
        let (mean, covariance) = em.moments();
        let distinct = enough(x, covariance.diag(), options.components)?;
        let mut notes = Vec::new();
        let mut floor = floor(covariance.diag(), x, options.floor, &mut notes)?;
        if let Some(symmetry) = &options.symmetry {
            symmetry.check(options.kind, x.ncols())?;
            floor = symmetry.group.average(Array2::from_diag(&ArrayView1::from(&floor)).view()).diag().to_vec();
        }
        let batches = Batches::new(x.nrows(), options.batch).filter(|_| options.symmetry.is_none());
        let seeds = batches.map(|b| x.slice(ndarray::s![..;b.stride(), ..]).to_owned()).map(|x| Em::new(x.view()).map(|em| (x, em)));
        let seeds = seeds.transpose()?;
        let points = seeds.as_ref().map_or(x, |(x, _)| x.view());
        let whitened = match options.kind {
            CovarianceKind::Spherical | CovarianceKind::LowRank(_) => None,
            CovarianceKind::Diagonal => {
                let scale: Array1<f64> = covariance.diag().iter().zip(&floor).map(|(v, f)| (v + f).sqrt()).collect();
                Some(&points / &scale)
            }
            CovarianceKind::Full | CovarianceKind::Tied => {
                let total = covariance + &Array2::from_diag(&ArrayView1::from(&floor));
                let w = Cholesky::new(total.view())?.inverse_lower();
                Some((&points - mean).dot(&w.t()))
            }
        };
        Ok(Fitter { options, x, em, batches, seeds, whitened, floor, distinct, notes, watch })
    }

    /// The best of several starts with `k` components, each from the clusters of a k-means run: their own
    /// weights, means and covariances. A tied covariance above all must start from what is within clusters;
    /// from anything near the data's total covariance all responsibilities are alike, the means fall
    /// together, and they stay together.
    ///
    /// k-means finds round clusters. Every other start sees the data in coordinates in which clusters that
    /// are long and side by side are round, too.
    ///
    /// Orbits start from k-means with the distance between orbits, which only the given coordinates have.
    fn best_of(&self, k: usize) -> Result<Run> {
        let symmetry = self.options.symmetry.as_ref();
        // One component has one maximum, and every start finds it.
        let restarts = if k == 1 && symmetry.is_none() { 1 } else { self.options.restarts };
        let stream = |restart: usize| Stream::new(self.options.seed, Purpose::Fit, ((k as u64) << 24) | restart as u64, 0);
        let turned = self.whitened.as_ref().filter(|_| restarts > 1 && symmetry.is_none());
        let rounded = turned.map(|x| self.rounded(x, k, &mut stream(restarts))).transpose()?;
        let run = |restart: usize| {
            let start = match symmetry {
                Some(symmetry) => {
                    let labels = orbit::kmeans(self.x, k, symmetry, &mut stream(restart));
                    self.em.start_orbits(&labels, k, self.options.kind, symmetry, &self.floor)?
                }
                None => {
                    let em = self.seeds.as_ref().map_or(&self.em, |(_, em)| em);
                    let blocks = rounded.as_ref().filter(|_| restart % 2 == 1).unwrap_or(&em.blocks);
                    let labels = kmeans::kmeans(blocks, k, &mut stream(restart));
                    em.start(&labels, k, self.options.kind, &self.floor)?
                }
            };
            let start = match self.batches {
                Some(batches) => batches.climb(&self.em, start, &self.floor)?,
                None => start,
            };
            self.climb(start)
        };
        let mut best: Option<Run> = None;
        for run in self.runs(restarts, run) {
            let run = run?;
            if best.as_ref().is_none_or(|b| run.last() > b.last()) {
                best = Some(run);
            }
        }
        let best = best.ok_or_else(|| Error::invalid("mixture fit: restarts", ">= 1", 0))?;
        let (components, iteration) = (best.mixture.components(), best.log_likelihood.len() - 1);
        (self.watch)(&Progress { components, iteration, log_likelihood: best.last() });
        Ok(best)
    }

    /// `run(0)`, ..., `run(n - 1)`: side by side, because a pass over few points is too short to share; one
    /// after the other where a pass has work, and sums, for all threads.
    fn runs(&self, n: usize, run: impl Fn(usize) -> Result<Run> + Sync) -> Vec<Result<Run>> {
        match self.batches {
            None => par::map(n, |i| Some(run(i))).into_iter().flatten().collect(),
            Some(_) => (0..n).map(run).collect(),
        }
    }

    /// The whitened data in the coordinates of [`within_cluster::coordinates`], where components may turn.
    fn rounded(&self, whitened: &Array2<f64>, k: usize, stream: &mut Stream) -> Result<Blocks> {
        match self.options.kind {
            CovarianceKind::Full | CovarianceKind::Tied => {
                let a = within_cluster::coordinates(whitened.view(), k, stream);
                Blocks::new(whitened.dot(&a.t()).view())
            }
            _ => Blocks::new(whitened.view()),
        }
    }

    /// Expectation-maximisation from `mixture` up to a local maximum.
    fn climb(&self, mut mixture: Mixture) -> Result<Run> {
        let k = mixture.components();
        let mut run = Run { mixture: mixture.clone(), log_likelihood: Vec::new(), converged: false, notes: Vec::new() };
        let mut revivals = 0;
        for iteration in 0..=self.options.max_iterations {
            let sums = self.em.expect(&mixture, self.options.symmetry.as_ref())?;
            let mean = sums.log_likelihood();
            let change = (mean - run.last()).abs();
            run.log_likelihood.push(mean);
            run.mixture = mixture;
            // An element of an orbit may well be empty: that is its weight.
            let free = self.options.symmetry.is_none() && revivals < k;
            let empty = sums.mass.iter().position(|m| *m <= EMPTY).filter(|_| free);
            if change <= self.options.tolerance && empty.is_none() {
                run.converged = true;
                break;
            }
            if iteration == self.options.max_iterations {
                break;
            }
            mixture = match &self.options.symmetry {
                Some(symmetry) => self.em.maximise_orbits(&sums, &run.mixture, symmetry, &self.floor)?,
                None => self.em.maximise(&sums, &run.mixture, &self.floor)?,
            };
            if let Some(c) = empty {
                revivals += 1;
                let place = Array1::from(self.em.blocks.point(sums.worst.1));
                mixture = revived(&mixture, c, place.view(), self.em.blocks.n)?;
                run.notes.push(format!("component {c} was empty and was restarted at the worst-explained point, row {}", sums.worst.1));
            }
        }
        Ok(run)
    }

    /// The number of components with the least criterion, from 1 up.
    fn by_criterion(&self, max: usize) -> Result<(Run, Vec<Trial>)> {
        let mut tried: Vec<Trial> = Vec::new();
        let mut best: Option<(f64, Run)> = None;
        let (mut in_vain, most) = (0, max.min(self.distinct));
        let together = if self.batches.is_some() { 1 } else { TOGETHER };
        'search: for first in (1..=most).step_by(together) {
            for run in self.runs(together.min(most + 1 - first), |i| self.best_of(first + i)) {
                let run = run?;
                let trial = self.trial(&run)?;
                let value = trial.value(self.options.criterion);
                in_vain += 1;
                if best.as_ref().is_none_or(|(least, _)| value < *least) {
                    best = Some((value, run));
                    in_vain = 0;
                }
                tried.push(trial);
                if in_vain == IN_VAIN {
                    break 'search;
                }
            }
        }
        match best {
            Some((_, run)) => Ok((run, tried)),
            None => Err(Error::refused("mixture fit", "no number of components could be tried")),
        }
    }

    fn trial(&self, run: &Run) -> Result<Trial> {
        let n = self.em.blocks.n as f64;
        let (kind, d) = (self.options.kind, self.em.blocks.d);
        let (components, parameters) = match &self.options.symmetry {
            Some(symmetry) => {
                let orbits = run.mixture.components() / symmetry.group.order();
                (orbits, symmetry.parameters(kind, orbits, d))
            }
            None => (run.mixture.components(), run.mixture.parameters()),
        };
        let bic = parameters as f64 * n.ln() - 2.0 * n * run.last();
        // r ln r is 0 where r is 0.
        let entropy: f64 = run.mixture.responsibilities(self.x)?.iter().filter(|r| **r > 0.0).map(|r| -r * r.ln()).sum();
        Ok(Trial { components, log_likelihood: run.last(), bic, icl: bic + 2.0 * entropy })
    }
}

/// Component `c` of `mixture` anew: at `place`, the point that is explained worst of `n`, as wide as the
/// average component, with the weight of one point.
fn revived(mixture: &Mixture, c: usize, place: ArrayView1<f64>, n: usize) -> Result<Mixture> {
    let mut means = mixture.means().to_owned();
    means.row_mut(c).assign(&place);
    let mut weights = mixture.weights().to_owned();
    weights[c] = 1.0 / n as f64;
    let w = mixture.weights();
    let covariances = match mixture.covariances() {
        Covariances::Spherical(v) => {
            let mut v = v.clone();
            v[c] = w.dot(&v);
            Covariances::Spherical(v)
        }
        Covariances::Diagonal(v) => {
            let mut v = v.clone();
            let pooled = w.dot(&v);
            v.row_mut(c).assign(&pooled);
            Covariances::Diagonal(v)
        }
        Covariances::Full(v) => {
            let mut v = v.clone();
            v.index_axis_mut(Axis(0), c).assign(&mixture.pooled_covariance());
            Covariances::Full(v)
        }
        Covariances::Tied(v) => Covariances::Tied(v.clone()),
        Covariances::LowRank { loadings, noise } => {
            // The directions of the heaviest component, which are nearer than any that have no meaning.
            let heaviest = (0..w.len()).fold(0, |best, k| if w[k] > w[best] { k } else { best });
            let (mut loadings, mut noise) = (loadings.clone(), noise.clone());
            let directions = loadings.index_axis(Axis(0), heaviest).to_owned();
            loadings.index_axis_mut(Axis(0), c).assign(&directions);
            noise[c] = w.dot(&noise);
            Covariances::LowRank { loadings, noise }
        }
    };
    Mixture::new(&weights / weights.sum(), means, covariances)
}
