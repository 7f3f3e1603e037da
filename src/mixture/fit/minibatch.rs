//! Expectation-maximisation on minibatches (Cappe and Moulines 2009, "online EM"): after batch t the
//! sufficient statistics are (1 - g_t) of what they were and g_t of the batch's, g_t = (t + 2)^(-0.7).
//!
//! A mixture *is* its sufficient statistics (weight, weight x mean, weight x second moment), so the average
//! is taken of mixtures: it is what matches the moments of the two, component by component.

use super::blocks::Blocks;
use super::em::Em;
use crate::Result;
use crate::mixture::low_rank::truncated;
use crate::mixture::{Covariances, Mixture};
use ndarray::{Array1, Array2, Axis, concatenate};

/// Passes over the data before those over all of them at once.
const PASSES: usize = 2;
/// Data of fewer batches are not cut.
const FEWEST: usize = 8;
/// Batches that starts are looked for in.
const SEEDS: usize = 4;
/// Exponent of the step sizes: between 1/2 and 1 for convergence.
const FORGETTING: f64 = 0.7;

/// How data are cut: batch b holds the groups b, b + B, b + 2 B, ... of [`W`](crate::simd::W) points, so that
/// sorted data give batches like the whole.
#[derive(Clone, Copy)]
pub struct Batches {
    count: usize,
}

impl Batches {
    /// For `n` points in batches of about `size`; `None` where there are too few.
    pub fn new(n: usize, size: usize) -> Option<Self> {
        (size > 0 && n / size >= FEWEST).then(|| Batches { count: n / size })
    }

    /// Every so many rows a start looks at.
    pub fn stride(self) -> usize {
        (self.count / SEEDS).max(1)
    }

    /// Batch `b` of the points of `em`.
    fn batch(self, em: &Em, b: usize) -> Em {
        let d = em.blocks.d;
        // The last group may not be full, and is left to the passes over everything.
        let whole = em.blocks.n / crate::simd::W;
        let groups: Vec<_> = (b..whole).step_by(self.count).flat_map(|g| em.blocks.groups[g * d..(g + 1) * d].iter().copied()).collect();
        Em::from_blocks(Blocks { n: groups.len() / d * crate::simd::W, d, groups })
    }

    /// Two passes from `mixture`.
    ///
    /// # Errors
    /// As [`Em::maximise`].
    pub fn climb(self, em: &Em, mut mixture: Mixture, floor: &[f64]) -> Result<Mixture> {
        for t in 0..PASSES * self.count {
            let batch = self.batch(em, t % self.count);
            let next = batch.maximise(&batch.expect(&mixture, None)?, &mixture, floor)?;
            mixture = blend(&mixture, &next, (t as f64 + 2.0).powf(-FORGETTING))?;
        }
        Ok(mixture)
    }
}

/// The mixture whose component k has the weight and the first two moments of (1 - `g`) component k of
/// `old` + `g` component k of `new`; of low rank as near to that as the rank allows.
fn blend(old: &Mixture, new: &Mixture, g: f64) -> Result<Mixture> {
    let (k, d) = (old.components(), old.dim());
    let weights = &old.weights() * (1.0 - g) + &new.weights() * g;
    // Shares of the two in component k; of one that both have lost, half each.
    let a: Array1<f64> = weights.iter().zip(old.weights()).map(|(w, o)| if *w > 0.0 { (1.0 - g) * o / w } else { 0.5 }).collect();
    let column = |v: &Array1<f64>| v.clone().insert_axis(Axis(1));
    let b = 1.0 - &a;
    let means = &old.means() * &column(&a) + &new.means() * &column(&b);
    let apart = &new.means() - &old.means();
    // The covariance between the two means.
    let between = |k: usize, i: usize, j: usize| a[k] * b[k] * apart[[k, i]] * apart[[k, j]];
    let covariances = match (old.covariances(), new.covariances()) {
        (Covariances::Spherical(u), Covariances::Spherical(v)) => Covariances::Spherical(Array1::from_shape_fn(k, |k| {
            a[k] * u[k] + b[k] * v[k] + (0..d).map(|i| between(k, i, i)).sum::<f64>() / d as f64
        })),
        (Covariances::Diagonal(u), Covariances::Diagonal(v)) => {
            let mut out = u * &column(&a) + v * &column(&b);
            out.indexed_iter_mut().for_each(|((k, i), c)| *c += between(k, i, i));
            Covariances::Diagonal(out)
        }
        (Covariances::Full(u), Covariances::Full(v)) => {
            let mut out = u.clone();
            out.indexed_iter_mut().for_each(|((k, i, j), c)| *c = a[k] * *c + b[k] * v[[k, i, j]] + between(k, i, j));
            Covariances::Full(out)
        }
        (Covariances::Tied(u), Covariances::Tied(v)) => {
            let mean = Array2::from_shape_fn((d, d), |(i, j)| (0..k).map(|k| weights[k] * between(k, i, j)).sum::<f64>());
            Covariances::Tied(u * (1.0 - g) + v * g + mean)
        }
        (Covariances::LowRank { loadings: l, noise: u }, Covariances::LowRank { loadings: m, noise: v }) => {
            let (mut loadings, mut noise) = (l.clone(), u.clone());
            for (c, mut to) in loadings.outer_iter_mut().enumerate() {
                let rows = [&l.index_axis(Axis(0), c) * a[c].sqrt(), &m.index_axis(Axis(0), c) * b[c].sqrt()];
                let step = (&apart.row(c) * (a[c] * b[c]).sqrt()).insert_axis(Axis(0));
                let all = concatenate![Axis(0), rows[0], rows[1], step];
                let (rows, rest) = truncated(all.view(), a[c] * u[c] + b[c] * v[c], to.nrows())?;
                to.assign(&rows);
                noise[c] = rest;
            }
            Covariances::LowRank { loadings, noise }
        }
        // A step keeps the kind.
        (_, covariances) => covariances.clone(),
    };
    Mixture::new(&weights / weights.sum(), means, covariances)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::mixture::{Count, CovarianceKind, Draw, FitOptions, fit};
    use crate::rng::Purpose;
    use ndarray::array;

    /// Weight, mean and second moment of every component, [k, 1 + d + d d].
    fn statistics(m: &Mixture) -> Vec<f64> {
        let each = (0..m.components()).flat_map(|k| {
            let (w, mean, c) = (m.weights()[k], m.means().row(k).to_owned(), m.covariance(k));
            let second = Array2::from_shape_fn(c.dim(), |(i, j)| w * (c[[i, j]] + mean[i] * mean[j]));
            std::iter::once(w).chain(mean.mapv(|v| w * v)).chain(second)
        });
        each.collect()
    }

    #[test]
    fn a_blend_averages_the_sufficient_statistics() {
        let (old, new) = (array![[0.0, 1.0], [3.0, -1.0]], array![[0.5, 0.5], [2.0, 0.0]]);
        let c = [array![[1.0, 0.3], [0.3, 2.0]], array![[0.5, -0.1], [-0.1, 0.7]]];
        let full = |s: f64| Covariances::Full(ndarray::stack![Axis(0), &c[0] * s, c[1].clone()]);
        let old = Mixture::new(array![0.4, 0.6], old, full(1.0)).unwrap();
        let new = Mixture::new(array![0.7, 0.3], new, full(2.0)).unwrap();
        let (a, b, mixed) = (statistics(&old), statistics(&new), statistics(&blend(&old, &new, 0.3).unwrap()));
        for (i, m) in mixed.iter().enumerate() {
            assert!((0.7 * a[i] + 0.3 * b[i] - m).abs() <= 1e-14, "{i}");
        }
        // The other kinds keep what they can hold of the same: the traces.
        let trace = |m: &Mixture| m.total_covariance().diag().sum();
        for kind in CovarianceKind::ALL {
            let of = |m: &Mixture| {
                let means = m.means().to_owned();
                Mixture::new(m.weights().to_owned(), means, Covariances::alike(kind, 2, c[0].view()).unwrap()).unwrap()
            };
            let (a, b) = (of(&old), of(&new));
            let mixed = blend(&a, &b, 0.3).unwrap();
            assert_eq!(mixed.kind(), kind);
            let second = |m: &Mixture| trace(m) + m.total_mean().dot(&m.total_mean());
            assert!((0.7 * second(&a) + 0.3 * second(&b) - second(&mixed)).abs() <= 1e-13, "{}", kind.name());
            assert_eq!(blend(&a, &b, 0.0).unwrap().means(), a.means());
        }
    }

    /// Sorted data in minibatches end where whole passes end, after fewer of them.
    #[test]
    fn minibatches_reach_the_same_likelihood() {
        let means = array![[4.0, 4.0, 0.0], [4.0, -4.0, 1.0], [-3.0, 2.0, 2.0], [-2.0, -3.0, -1.0]];
        for kind in CovarianceKind::ALL {
            let c = Covariances::alike(kind, 4, array![[1.5, 0.4, 0.0], [0.4, 1.0, 0.2], [0.0, 0.2, 0.8]].view()).unwrap();
            let law = Mixture::new(array![0.4, 0.3, 0.2, 0.1], means.clone(), c).unwrap();
            let (x, labels) = law.sample(6000, 4, Purpose::Data, Draw::Independent).unwrap();
            let mut order: Vec<usize> = (0..6000).collect();
            order.sort_by_key(|i| labels[*i]);
            let x = x.select(Axis(0), &order);
            let options =
                FitOptions { kind, components: Count::Fixed(4), tolerance: 1e-9, max_iterations: 2000, batch: 0, ..FitOptions::default() };
            let whole = fit(x.view(), &options).unwrap();
            let cut = fit(x.view(), &FitOptions { batch: 500, ..options }).unwrap();
            let last = |f: &crate::mixture::Fit| *f.log_likelihood.last().unwrap();
            assert!((last(&whole) - last(&cut)).abs() <= 1e-6, "{}: {} {}", kind.name(), last(&whole), last(&cut));
            assert!(cut.iterations <= whole.iterations + 5, "{}: {} {}", kind.name(), cut.iterations, whole.iterations);
        }
        assert!(Batches::new(4000, 500).is_some_and(|b| b.count == 8) && Batches::new(3999, 500).is_none() && Batches::new(9, 0).is_none());
    }
}
