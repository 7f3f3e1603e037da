//! One iteration of expectation-maximisation (Dempster, Laird, Rubin 1977) as one pass over the data:
//! responsibilities of a block of points, then at once its share of the sums that the new parameters are made
//! of.

use super::super::{CovarianceKind, Covariances, Mixture};
use super::blocks::Blocks;
use super::statistics::{Pass, Posterior, Statistics, second_len};
use super::{Symmetry, low_rank_step};
use crate::par;
use crate::simd::dispatch;
use crate::{Error, Result};
use ndarray::{Array1, Array2, ArrayView1, ArrayView2, Axis};
use std::sync::OnceLock;

/// A component that explains less than this many points is empty.
pub const EMPTY: f64 = 1e-3;

/// Data prepared for repeated iterations; [`em_step`] is one iteration without it. An iteration,
/// [`Em::step`], is [`Em::e_step`] and [`Em::m_step`], which can be taken one by one.
pub struct Em {
    pub(super) blocks: Blocks,
    moments: OnceLock<(Array1<f64>, Array2<f64>)>,
}

impl Em {
    /// # Errors
    /// `Shape` if `x`, [n, d], is empty; `Invalid` for the first number that is not finite.
    pub fn new(x: ArrayView2<f64>) -> Result<Self> {
        Ok(Self::from_blocks(Blocks::new(x)?))
    }

    /// Data that are in blocks already.
    pub(super) fn from_blocks(blocks: Blocks) -> Self {
        Em { blocks, moments: OnceLock::new() }
    }

    /// Mean, `[d]`, and covariance (about it, divided by n), [d, d], of the data. Tied covariances and starts
    /// need them.
    pub fn moments(&self) -> &(Array1<f64>, Array2<f64>) {
        self.moments.get_or_init(|| self.blocks.moments())
    }

    /// One iteration from `mixture`: the new mixture, and the mean log-likelihood ln pi(x_i) of the *old*
    /// one. `floor` >= 0 is added to every variance, that is to the diagonals (scikit-learn's `reg_covar`). A
    /// component that explains less than a thousandth of a point keeps its mean and covariance.
    ///
    /// # Errors
    /// `Shape` if the dimensions differ; `Invalid` for a bad floor; `NotPositiveDefinite` if a component
    /// collapses and the floor is too small to hold it.
    pub fn step(&self, mixture: &Mixture, floor: f64) -> Result<(Mixture, f64)> {
        let statistics = self.e_step(mixture)?;
        let next = self.m_step(&statistics, mixture, &vec![floor; self.blocks.d])?;
        Ok((next, statistics.log_likelihood()))
    }

    /// The first half of [`Em::step`]: the statistics of all points under `mixture`.
    ///
    /// # Errors
    /// `Shape` if the dimensions differ; loadings whose principal directions are not found.
    ///
    /// ```
    /// use ndsm::data::{Request, load};
    /// use ndsm::mixture::{Count, Em, FitOptions, fit};
    /// let x = load(&Request { name: "moons".into(), n: Some(500), ..Request::default() })?.points;
    /// let components = Count::Fixed(4);
    /// let base = FitOptions { components, restarts: 1, tolerance: 0.0, ..FitOptions::default() };
    /// let options = |max_iterations| FitOptions { max_iterations, ..base.clone() };
    /// let (two, three) = (fit(x.view(), &options(2))?, fit(x.view(), &options(3))?);
    /// // The third iteration by hand: the same bits.
    /// let em = Em::new(x.view())?;
    /// let floor: Vec<f64> = em.moments().1.diag().iter().map(|v| options(3).floor * v).collect();
    /// let statistics = em.e_step(&two.mixture)?;
    /// let next = em.m_step(&statistics, &two.mixture, &floor)?;
    /// assert_eq!(statistics.log_likelihood(), two.log_likelihood[2]);
    /// assert_eq!((next.means(), next.covariances()), (three.mixture.means(), three.mixture.covariances()));
    /// // What the step is made of: the new weights and means.
    /// assert!((statistics.mass()[1] / x.nrows() as f64 - next.weights()[1]).abs() < 1e-14);
    /// let moved = &statistics.first(1) / statistics.mass()[1];
    /// assert_eq!(&two.mixture.means().row(1) + &moved, next.means().row(1));
    /// # Ok::<(), ndsm::Error>(())
    /// ```
    pub fn e_step(&self, mixture: &Mixture) -> Result<Statistics> {
        if mixture.dim() != self.blocks.d {
            return Err(Error::shape(
                "expectation-maximisation",
                "data and mixture of one dimension",
                &[&[self.blocks.n, self.blocks.d], mixture.means().shape()],
            ));
        }
        self.expect(mixture, None)
    }

    /// The second half of [`Em::step`]: the mixture of the highest expected likelihood given the `statistics`
    /// of these points under the mixture `old`. `floor`, `[d]`, >= 0, is added to the variances of the
    /// coordinates, its mean to those that several coordinates share; [`fit`](super::fit) takes
    /// [`FitOptions::floor`](super::FitOptions::floor) of the data's own.
    ///
    /// # Errors
    /// `Shape` if statistics, mixture and floor do not fit each other; `Invalid` for a bad floor;
    /// `NotPositiveDefinite` if a component collapses and the floor is too small to hold it.
    pub fn m_step(&self, statistics: &Statistics, old: &Mixture, floor: &[f64]) -> Result<Mixture> {
        let (k, d) = old.means().dim();
        if (statistics.components(), statistics.d, statistics.n) != (k, d, self.blocks.n)
            || statistics.kind != old.kind()
            || floor.len() != d
        {
            let expected = format!("statistics of {} points under the mixture, and a floor of each coordinate", self.blocks.n);
            let (given, length) = ([statistics.n, statistics.components(), statistics.d], [floor.len()]);
            return Err(Error::shape("expectation-maximisation", expected, &[&given, old.means().shape(), &length]));
        }
        if let Some(floor) = floor.iter().find(|floor| !(**floor >= 0.0 && floor.is_finite())) {
            return Err(Error::invalid("expectation-maximisation: variance floor", ">= 0 and finite", floor));
        }
        self.maximise(statistics, old, floor)
    }

    /// [`Em::e_step`] of a mixture of this dimension; one that is tied along orbits has directions that are,
    /// too.
    pub(super) fn expect(&self, mixture: &Mixture, symmetry: Option<&Symmetry>) -> Result<Statistics> {
        self.pass(Posterior::Model(mixture.evaluator()), mixture, symmetry)
    }

    /// The mixture of `kind` that the clusters of k-means make: `labels`, `[n]`, below `k`.
    pub(super) fn start(&self, labels: &[u32], k: usize, kind: CovarianceKind, floor: &[f64]) -> Result<Mixture> {
        // One component a cluster, all alike: the sums are taken about the mean of the data.
        let (mean, covariance) = self.moments();
        let means = mean.broadcast((k, self.blocks.d)).map(|m| m.to_owned()).unwrap_or_default();
        let total = covariance + &Array2::from_diag(&ArrayView1::from(floor));
        let (alike, rounds) = low_rank_step::beginning(kind, k, total.view())?;
        let mut mixture = Mixture::new(Array1::from_elem(k, 1.0 / k as f64), means, alike)?;
        for _ in 0..rounds {
            mixture = self.maximise(&self.label(labels, &mixture, None)?, &mixture, floor)?;
        }
        Ok(mixture)
    }

    /// The statistics where each point belongs to the component of its label, `[n]`, about the means of
    /// `mixture`.
    pub(super) fn label(&self, labels: &[u32], mixture: &Mixture, symmetry: Option<&Symmetry>) -> Result<Statistics> {
        self.pass(Posterior::Labels(labels), mixture, symmetry)
    }

    fn pass(&self, posterior: Posterior, mixture: &Mixture, symmetry: Option<&Symmetry>) -> Result<Statistics> {
        let (shift, kind) = (mixture.means(), mixture.kind());
        let directions = low_rank_step::directions(mixture, symmetry)?;
        let along = directions.as_slice().unwrap_or(&[]);
        let (k, d) = shift.dim();
        let shift: Vec<f64> = shift.iter().copied().collect();
        let points = self.blocks.chunk_points(k * (1 + d + second_len(kind, d)));
        let chunks = self.blocks.chunks(points);
        let part = |i| Some(dispatch(Pass { chunk: chunks[i], d, posterior, shift: &shift, directions: along, kind }));
        // In the order of the chunks, whoever finished first.
        let mut parts = par::map(chunks.len(), part).into_iter().flatten();
        let mut sums = parts.next().unwrap_or_else(|| Statistics::new(k, d, kind));
        parts.for_each(|part| sums.add(&part));
        Ok(Statistics { n: self.blocks.n, directions, ..sums })
    }

    /// The new parameters. `old` gives the points about which the sums were taken, and what an empty
    /// component keeps.
    pub(super) fn maximise(&self, sums: &Statistics, old: &Mixture, floor: &[f64]) -> Result<Mixture> {
        let (k, d) = (old.components(), old.dim());
        let weights: Array1<f64> = sums.mass.iter().copied().collect();
        // Mean of x - m_old over the component; covariance about m_old less its square is the covariance
        // about the new mean.
        let mut moved = Array2::zeros((k, d));
        for (i, mut v) in moved.outer_iter_mut().enumerate() {
            if sums.mass[i] > EMPTY {
                v.iter_mut().zip(sums.first(i)).for_each(|(v, s)| *v = s / sums.mass[i]);
            }
        }
        let means = &old.means() + &moved;
        let kept = |i: usize| sums.mass[i] <= EMPTY;
        let mean_floor = floor.iter().sum::<f64>() / d as f64;
        let covariances = match old.covariances() {
            Covariances::Spherical(v) => Covariances::Spherical(Array1::from_shape_fn(k, |i| {
                let m = moved.row(i);
                if kept(i) { v[i] } else { ((sums.second[i] / sums.mass[i] - m.dot(&m)) / d as f64).max(0.0) + mean_floor }
            })),
            Covariances::Diagonal(v) => Covariances::Diagonal(Array2::from_shape_fn((k, d), |(i, j)| {
                if kept(i) { v[[i, j]] } else { (sums.second[i * d + j] / sums.mass[i] - moved[[i, j]].powi(2)).max(0.0) + floor[j] }
            })),
            Covariances::Full(c) => {
                let mut out = c.clone();
                for (i, mut c) in out.outer_iter_mut().enumerate().filter(|(i, _)| !kept(*i)) {
                    let m = moved.row(i);
                    let s = sums.second(i);
                    for ((a, b), c) in c.indexed_iter_mut() {
                        *c = s[[a, b]] / sums.mass[i] - m[a] * m[b] + if a == b { floor[a] } else { 0.0 };
                    }
                }
                Covariances::Full(out)
            }
            Covariances::Tied(_) => {
                // What is within the components is the data's covariance less what is between them.
                let (mean, covariance) = self.moments();
                let v = &means - mean;
                let share = &weights / self.blocks.n as f64;
                let between = v.t().dot(&(&v * &share.view().insert_axis(Axis(1))));
                let mut c = covariance - &between;
                c = (&c + &c.t()) * 0.5;
                c.diag_mut().iter_mut().zip(floor).for_each(|(c, f)| *c += f);
                Covariances::Tied(c)
            }
            Covariances::LowRank { loadings, noise } => {
                let (mut loadings, mut noise) = (loadings.clone(), noise.clone());
                for (i, mut l) in loadings.outer_iter_mut().enumerate().filter(|(i, _)| !kept(*i)) {
                    let (product, square) = sums.along(i);
                    let (next, v) = low_rank_step::step(
                        (product / sums.mass[i]).view(),
                        square / sums.mass[i],
                        moved.row(i),
                        sums.directions.index_axis(Axis(0), i),
                        noise[i],
                        mean_floor,
                    )?;
                    l.assign(&next);
                    noise[i] = v;
                }
                Covariances::LowRank { loadings, noise }
            }
        };
        Mixture::new(&weights / weights.sum(), means, covariances)
    }
}

/// One iteration of expectation-maximisation on the rows of `x`, [n, d]; see [`Em::step`].
///
/// # Errors
/// Those of [`Em::new`] and [`Em::step`].
pub fn em_step(x: ArrayView2<f64>, mixture: &Mixture, floor: f64) -> Result<(Mixture, f64)> {
    Em::new(x)?.step(mixture, floor)
}
