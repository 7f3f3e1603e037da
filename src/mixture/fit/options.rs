//! What a fit is asked for.

use super::Symmetry;
use crate::mixture::CovarianceKind;
use crate::{Error, Result};

/// How many components a fit has.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Count {
    /// As many.
    Fixed(usize),
    /// The number from 1 to `max` with the least [`Criterion`]; the search ends early when three numbers in a
    /// row brought no lower one. Wide fits ([`FitOptions`]) search by splitting, then among the neighbours of
    /// what that finds.
    Auto {
        /// The largest number tried.
        max: usize,
    },
}

/// By what the number of components is chosen, the lower the better.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Criterion {
    /// The Bayesian information criterion: as many components as the density needs.
    #[default]
    Bic,
    /// The integrated completed likelihood (Biernacki, Celeux and Govaert 2000): BIC plus twice the entropy
    /// of the responsibilities, as many components as there are clusters apart from each other.
    Icl,
}

/// What [`fit()`](super::fit()) is free to choose and what not.
///
/// A fit of low rank in 64 and more dimensions without a symmetry is *wide*: starts are tried on some 8,000
/// of the points, the best of them alone goes on with all, and the number of components is looked for by
/// splitting those that there are.
#[derive(Debug, Clone, PartialEq)]
pub struct FitOptions {
    /// What the covariances have in common.
    pub kind: CovarianceKind,
    /// How many components; of a fit with a symmetry, how many orbits.
    pub components: Count,
    /// What chooses their number.
    pub criterion: Criterion,
    /// Components tied along the orbits of a group.
    pub symmetry: Option<Symmetry>,
    /// Independent starts, of which the one that ends with the highest likelihood is kept. The likelihood has
    /// many local maxima: one start is a lottery.
    pub restarts: usize,
    /// Iterations end when the mean log-likelihood changes by no more than this; in wide fits, by this for
    /// each coordinate.
    pub tolerance: f64,
    /// Iterations of a start at most.
    pub max_iterations: usize,
    /// Variance floor: this times the data's variance of a column is added to every component's variance
    /// along it, so that a component that shrinks onto a point keeps a density. A constant column gets the
    /// mean variance's.
    pub floor: f64,
    /// Points of a minibatch, 0 for none: data of eight batches or more begin with two passes over
    /// minibatches, and look for clusters in four of them; what follows are whole passes up to the tolerance
    /// as ever. Not with a symmetry, and not in wide fits.
    pub batch: usize,
    /// Seed of the starts.
    pub seed: u64,
}

impl FitOptions {
    /// # Errors
    /// `Invalid` for what is out of range for points of `d` coordinates.
    pub(super) fn check(&self, d: usize) -> Result<()> {
        let (name, k) = match self.components {
            Count::Fixed(k) => ("components", k),
            Count::Auto { max } => ("largest number of components", max),
        };
        let whole = [(name, k), ("restarts", self.restarts), ("max_iterations", self.max_iterations)];
        if let Some((name, _)) = whole.iter().find(|(_, v)| *v == 0) {
            return Err(Error::invalid(format!("mixture fit: {name}"), ">= 1", 0));
        }
        if !(self.tolerance >= 0.0 && self.tolerance.is_finite()) {
            return Err(Error::invalid("mixture fit: tolerance", ">= 0 and finite", self.tolerance));
        }
        if !(self.floor > 0.0 && self.floor <= 1.0) {
            return Err(Error::invalid("mixture fit: floor", "> 0 and at most 1", self.floor));
        }
        match self.kind {
            CovarianceKind::LowRank(0) => Err(Error::invalid("mixture fit: rank", ">= 1", 0)),
            CovarianceKind::LowRank(q) if q >= d => Err(Error::invalid("mixture fit: rank", format!("< {d}, the dimension"), q)),
            _ => Ok(()),
        }
    }

    /// The note on a fit that has not come to the tolerance.
    pub(super) fn stopped(&self) -> String {
        format!("the limit of {} iterations came before the tolerance of {:e}", self.max_iterations, self.tolerance)
    }
}

impl Default for FitOptions {
    /// Full covariances, the number of components by BIC up to 20, 4 starts, tolerance 1e-5, 300 iterations,
    /// floor 1e-6, minibatches of 8,192.
    fn default() -> Self {
        FitOptions {
            kind: CovarianceKind::Full,
            components: Count::Auto { max: 20 },
            criterion: Criterion::Bic,
            symmetry: None,
            restarts: 4,
            tolerance: 1e-5,
            max_iterations: 300,
            floor: 1e-6,
            batch: 8192,
            seed: 0,
        }
    }
}
