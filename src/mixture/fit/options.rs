//! What a fit is asked for.

use super::Symmetry;
use crate::mixture::CovarianceKind;

/// How many components a fit has.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Count {
    /// As many.
    Fixed(usize),
    /// The number from 1 to `max` with the least [`Criterion`]; the search ends early when three numbers in a
    /// row brought no lower one.
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
    /// Iterations end when the mean log-likelihood changes by no more than this.
    pub tolerance: f64,
    /// Iterations of a start at most.
    pub max_iterations: usize,
    /// Variance floor: this times the data's variance of a column is added to every component's variance
    /// along it, so that a component that shrinks onto a point keeps a density. A constant column gets the
    /// mean variance's.
    pub floor: f64,
    /// Points of a minibatch, 0 for none: data of eight batches or more begin with two passes over
    /// minibatches, and look for clusters in four of them; what follows are whole passes up to the tolerance
    /// as ever. Not with a symmetry.
    pub batch: usize,
    /// Seed of the starts.
    pub seed: u64,
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
