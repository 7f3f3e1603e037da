//! Finding a mixture from data.

mod blocks;
mod em;
mod kmeans;
mod metric;
mod scatter;
#[cfg(test)]
mod tests;
mod weights;

pub use em::{Em, em_step};
pub use weights::refit_weights;

use super::{CovarianceKind, Covariances, Mixture};
use crate::linalg::Cholesky;
use crate::rng::{Purpose, Stream};
use crate::{Error, Result};
use blocks::{Blocks, distinct};
use em::EMPTY;
use ndarray::{Array1, Array2, ArrayView1, ArrayView2, Axis};

/// How many components a fit has.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Count {
    /// As many.
    Fixed(usize),
    /// The number from 1 to `max` with the least BIC; the search ends early when three numbers in a row brought no lower one.
    Auto {
        /// The largest number tried.
        max: usize,
    },
}

/// What [`fit()`] is free to choose and what not.
#[derive(Debug, Clone, PartialEq)]
pub struct FitOptions {
    /// What the covariances have in common.
    pub kind: CovarianceKind,
    /// How many components.
    pub components: Count,
    /// Independent starts, of which the one that ends with the highest likelihood is kept. The likelihood has many local
    /// maxima: one start is a lottery.
    pub restarts: usize,
    /// Iterations end when the mean log-likelihood changes by no more than this.
    pub tolerance: f64,
    /// Iterations of a start at most.
    pub max_iterations: usize,
    /// Variance floor: this times the data's variance of a column is added to every component's variance along it, so that a
    /// component that shrinks onto a point keeps a density. A constant column gets the mean variance's.
    pub floor: f64,
    /// Seed of the starts.
    pub seed: u64,
}

impl Default for FitOptions {
    /// Full covariances, the number of components by BIC up to 20, 4 starts, tolerance 1e-5, 300 iterations, floor 1e-6.
    fn default() -> Self {
        FitOptions {
            kind: CovarianceKind::Full,
            components: Count::Auto { max: 20 },
            restarts: 4,
            tolerance: 1e-5,
            max_iterations: 300,
            floor: 1e-6,
            seed: 0,
        }
    }
}

/// What one number of components came to.
#[derive(Debug, Clone, PartialEq)]
pub struct Trial {
    /// Number of components.
    pub components: usize,
    /// Mean log-likelihood of the best start.
    pub log_likelihood: f64,
    /// BIC = p ln n - 2 n (mean log-likelihood), p the free parameters: the lower the better.
    pub bic: f64,
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

/// Fits a mixture to the rows of `x`, [n, d]: from each of several k-means clusterings, expectation-maximisation up to a local
/// maximum of the likelihood; the highest is kept. The result is a function of the data and the options.
///
/// # Errors
/// `Shape` for empty data; `Invalid` for numbers that are not finite, for options out of range, for more components than
/// different points, for data without any variance.
pub fn fit(x: ArrayView2<f64>, options: &FitOptions) -> Result<Fit> {
    let fitter = Fitter::new(x, options)?;
    let best = match options.components {
        Count::Fixed(k) => {
            let best = fitter.best_of(k)?;
            let tried = vec![fitter.trial(&best)];
            (best, tried)
        }
        Count::Auto { max } => fitter.by_bic(max)?,
    };
    let (best, tried) = best;
    let mut notes = fitter.notes.clone();
    notes.extend(best.notes.iter().cloned());
    if !best.converged {
        notes.push(format!("the limit of {} iterations came before the tolerance of {:e}", options.max_iterations, options.tolerance));
    }
    let bic = fitter.trial(&best).bic;
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
    em: Em,
    /// The data in coordinates in which their covariance is the identity (only its diagonal, where components have no more);
    /// none where only the given coordinates make sense.
    whitened: Option<Array2<f64>>,
    floor: Vec<f64>,
    distinct: usize,
    notes: Vec<String>,
}

impl<'a> Fitter<'a> {
    fn new(x: ArrayView2<f64>, options: &'a FitOptions) -> Result<Self> {
        let n = x.nrows();
        let (name, k) = match options.components {
            Count::Fixed(k) => ("components", k),
            Count::Auto { max } => ("largest number of components", max),
        };
        let whole = [(name, k), ("restarts", options.restarts), ("max_iterations", options.max_iterations)];
        if let Some((name, _)) = whole.iter().find(|(_, v)| *v == 0) {
            return Err(Error::invalid(format!("mixture fit: {name}"), ">= 1", 0));
        }
        if !(options.tolerance >= 0.0 && options.tolerance.is_finite()) {
            return Err(Error::invalid("mixture fit: tolerance", ">= 0 and finite", options.tolerance));
        }
        if !(options.floor > 0.0 && options.floor <= 1.0) {
            return Err(Error::invalid("mixture fit: floor", "> 0 and at most 1", options.floor));
        }
        let em = Em::new(x)?;
        let (mean, covariance) = em.moments();
        if let Some(j) = covariance.diag().iter().position(|v| !v.is_finite()) {
            return Err(Error::refused("mixture fit: data", format!("the numbers of column {j} are too large to be squared")));
        }
        let distinct = distinct(x);
        if let Count::Fixed(k) = options.components
            && k > distinct
        {
            let points = if distinct == n { format!("{n} points") } else { format!("{n} points of which {distinct} are different") };
            return Err(Error::refused("mixture fit", format!("{k} components need at least as many different points, got {points}")));
        }
        let mut notes = Vec::new();
        let floor = floor(covariance, x, options.floor, &mut notes)?;
        let whitened = match options.kind {
            CovarianceKind::Spherical => None,
            CovarianceKind::Diagonal => {
                let scale: Array1<f64> = covariance.diag().iter().zip(&floor).map(|(v, f)| (v + f).sqrt()).collect();
                Some(&x / &scale)
            }
            CovarianceKind::Full | CovarianceKind::Tied => {
                let total = covariance + &Array2::from_diag(&ArrayView1::from(&floor));
                let w = Cholesky::new(total.view())?.inverse_lower();
                Some((&x - mean).dot(&w.t()))
            }
        };
        Ok(Fitter { options, em, whitened, floor, distinct, notes })
    }

    /// The best of several starts with `k` components, each from the clusters of a k-means run: their own weights, means and
    /// covariances. A tied covariance above all must start from what is within clusters; from anything near the data's total
    /// covariance all responsibilities are alike, the means fall together, and they stay together.
    ///
    /// k-means finds round clusters. Every other start sees the data in coordinates in which clusters that are long and side
    /// by side are round, too.
    fn best_of(&self, k: usize) -> Result<Run> {
        // One component has one maximum, and every start finds it.
        let restarts = if k == 1 { 1 } else { self.options.restarts };
        let stream = |restart: usize| Stream::new(self.options.seed, Purpose::Fit, ((k as u64) << 24) | restart as u64, 0);
        let rounded = self.whitened.as_ref().filter(|_| restarts > 1).map(|x| self.rounded(x, k, &mut stream(restarts))).transpose()?;
        let mut best: Option<Run> = None;
        for restart in 0..restarts {
            let blocks = rounded.as_ref().filter(|_| restart % 2 == 1).unwrap_or(&self.em.blocks);
            let labels = kmeans::kmeans(blocks, k, &mut stream(restart));
            let run = self.climb(self.em.start(&labels, k, self.options.kind, &self.floor)?)?;
            if best.as_ref().is_none_or(|b| run.last() > b.last()) {
                best = Some(run);
            }
        }
        best.ok_or_else(|| Error::invalid("mixture fit: restarts", ">= 1", 0))
    }

    /// The whitened data in the coordinates of [`metric::within`], where components may turn.
    fn rounded(&self, whitened: &Array2<f64>, k: usize, stream: &mut Stream) -> Result<Blocks> {
        match self.options.kind {
            CovarianceKind::Full | CovarianceKind::Tied => {
                let a = metric::within(whitened.view(), k, stream);
                Blocks::new(whitened.dot(&a.t()).view())
            }
            CovarianceKind::Spherical | CovarianceKind::Diagonal => Blocks::new(whitened.view()),
        }
    }

    /// Expectation-maximisation from `mixture` up to a local maximum.
    fn climb(&self, mut mixture: Mixture) -> Result<Run> {
        let k = mixture.components();
        let mut run = Run { mixture: mixture.clone(), log_likelihood: Vec::new(), converged: false, notes: Vec::new() };
        let mut revived = 0;
        for iteration in 0..=self.options.max_iterations {
            let sums = self.em.expect(&mixture);
            let mean = sums.log_likelihood / self.em.blocks.n as f64;
            let change = (mean - run.last()).abs();
            run.log_likelihood.push(mean);
            run.mixture = mixture;
            let empty = sums.mass.iter().position(|m| *m <= EMPTY).filter(|_| revived < k);
            if change <= self.options.tolerance && empty.is_none() {
                run.converged = true;
                break;
            }
            if iteration == self.options.max_iterations {
                break;
            }
            mixture = self.em.maximise(&sums, &run.mixture, &self.floor)?;
            if let Some(c) = empty {
                revived += 1;
                mixture = self.revive(&mixture, c, sums.worst.1)?;
                run.notes.push(format!("component {c} was empty and was restarted at the worst-explained point, row {}", sums.worst.1));
            }
        }
        Ok(run)
    }

    /// Component `c` anew: at the point that the mixture explains worst, as wide as the average component, with the weight of
    /// one point.
    fn revive(&self, mixture: &Mixture, c: usize, worst: usize) -> Result<Mixture> {
        let mut means = mixture.means().to_owned();
        means.row_mut(c).assign(&Array1::from(self.em.blocks.point(worst)));
        let mut weights = mixture.weights().to_owned();
        weights[c] = 1.0 / self.em.blocks.n as f64;
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
        };
        Mixture::new(&weights / weights.sum(), means, covariances)
    }

    /// The number of components with the least BIC, from 1 up.
    fn by_bic(&self, max: usize) -> Result<(Run, Vec<Trial>)> {
        let mut tried: Vec<Trial> = Vec::new();
        let mut best: Option<(f64, Run)> = None;
        let mut in_vain = 0;
        for k in 1..=max.min(self.distinct) {
            let run = self.best_of(k)?;
            let trial = self.trial(&run);
            in_vain += 1;
            if best.as_ref().is_none_or(|(bic, _)| trial.bic < *bic) {
                best = Some((trial.bic, run));
                in_vain = 0;
            }
            tried.push(trial);
            if in_vain == 3 {
                break;
            }
        }
        match best {
            Some((_, run)) => Ok((run, tried)),
            None => Err(Error::refused("mixture fit", "no number of components could be tried")),
        }
    }

    fn trial(&self, run: &Run) -> Trial {
        let n = self.em.blocks.n as f64;
        let bic = run.mixture.parameters() as f64 * n.ln() - 2.0 * n * run.last();
        Trial { components: run.mixture.components(), log_likelihood: run.last(), bic }
    }
}

/// The variance floor of each column, `[d]`.
fn floor(covariance: &Array2<f64>, x: ArrayView2<f64>, relative: f64, notes: &mut Vec<String>) -> Result<Vec<f64>> {
    // Below the rounding of the numbers themselves a variance says nothing.
    let varies: Vec<bool> = covariance
        .diag()
        .iter()
        .zip(x.columns())
        .map(|(v, column)| *v > (8.0 * f64::EPSILON * column.iter().fold(0f64, |m, x| m.max(x.abs()))).powi(2))
        .collect();
    let variances: Vec<f64> = covariance.diag().iter().zip(&varies).filter(|(_, varies)| **varies).map(|(v, _)| *v).collect();
    if variances.is_empty() {
        return Err(Error::refused("mixture fit", "all points are the same, so there is no variance to fit"));
    }
    let mean = variances.iter().sum::<f64>() / variances.len() as f64;
    for (j, _) in varies.iter().enumerate().filter(|(_, varies)| !**varies) {
        notes.push(format!("column {j} is constant: its variance is the floor, {:e}", relative * mean));
    }
    Ok(covariance.diag().iter().zip(&varies).map(|(v, varies)| relative * if *varies { *v } else { mean }).collect())
}
