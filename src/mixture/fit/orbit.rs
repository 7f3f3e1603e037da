//! Orbit-tied expectation-maximisation (method.md, eq. 14): the components come in orbits g m_k, g C_k g^T of
//! a finite group, each orbit with one mean and one covariance to be found, and a weight for every element,
//! or one for all.

use super::super::{CovarianceKind, Covariances, Group, Mixture};
use super::em::{EMPTY, Em};
use super::low_rank_step;
use super::statistics::Statistics;
use crate::par;
use crate::rng::Stream;
use crate::{Error, Result};
use ndarray::{Array1, Array2, Array3, ArrayView1, ArrayView2, Axis};

/// Rounds of Lloyd's iteration at most.
const ROUNDS: usize = 60;

/// Components tied along the orbits of a group. Component k |G| + g of such a mixture is the image of orbit k
/// under element g.
#[derive(Debug, Clone, PartialEq)]
pub struct Symmetry {
    /// The group.
    pub group: Group,
    /// Whether the elements of an orbit have one weight (the law is invariant) or each its own (only its
    /// geometry is).
    pub exact: bool,
}

impl Symmetry {
    /// Free parameters of `k` orbits in `d` dimensions: means and covariances of one component each, and the
    /// weights.
    pub fn parameters(&self, kind: CovarianceKind, k: usize, d: usize) -> usize {
        kind.parameters(k, d) - self.averaged_away(kind) + if self.exact { 0 } else { k * self.group.order() - k }
    }

    /// Numbers of the covariance that are not free: a tied one is its average over the group, and has as many
    /// as commute with it. That of an orbit belongs to its first component alone and takes any value; the
    /// others' are its images.
    pub(super) fn averaged_away(&self, kind: CovarianceKind) -> usize {
        let d = self.group.dim();
        if kind == CovarianceKind::Tied { d * (d + 1) / 2 - self.group.invariant_dimension() } else { 0 }
    }

    /// # Errors
    /// `Shape` if the group acts on points of another dimension than `d`; `Invalid` for diagonal covariances
    /// and a group that turns their axes.
    pub(super) fn check(&self, kind: CovarianceKind, d: usize) -> Result<()> {
        if self.group.dim() != d {
            return Err(Error::shape("mixture fit: group", format!("one of {d} coordinates"), &[&[self.group.dim()]]));
        }
        if kind == CovarianceKind::Diagonal && !self.group.elements().iter().all(|g| g.keeps_axes()) {
            let name = self.group.name();
            return Err(Error::refused("mixture fit", format!("group \"{name}\" turns the axes of diagonal covariances; use full ones")));
        }
        Ok(())
    }

    /// The mixture whose orbits have these means, [k, d], and covariances, and whose components have these
    /// weights, [k |G|].
    pub(super) fn expand(&self, weights: Array1<f64>, means: ArrayView2<f64>, covariances: &Covariances) -> Result<Mixture> {
        let (elements, (k, d)) = (self.group.elements(), means.dim());
        let order = elements.len();
        let each = || (0..k).flat_map(|k| elements.iter().map(move |g| (k, g))).enumerate();
        let mut all = Array2::zeros((k * order, d));
        for (i, (k, g)) in each() {
            all.row_mut(i).assign(&g.apply(means.row(k)));
        }
        let covariances = match covariances {
            Covariances::Spherical(v) => Covariances::Spherical(Array1::from_shape_fn(k * order, |i| v[i / order])),
            Covariances::Diagonal(v) => {
                let mut all = Array2::zeros((k * order, d));
                for (i, (k, g)) in each() {
                    all.row_mut(i).assign(&g.conjugate(Array2::from_diag(&v.row(k)).view()).diag());
                }
                Covariances::Diagonal(all)
            }
            Covariances::Full(c) => {
                let mut all = Array3::zeros((k * order, d, d));
                for (i, (k, g)) in each() {
                    let image = g.conjugate(c.index_axis(Axis(0), k));
                    all.index_axis_mut(Axis(0), i).assign(&((&image + &image.t()) * 0.5));
                }
                Covariances::Full(all)
            }
            Covariances::Tied(c) => Covariances::Tied(c.clone()),
            Covariances::LowRank { loadings, noise } => {
                let mut all = Array3::zeros((k * order, loadings.dim().1, d));
                for (i, (k, g)) in each() {
                    all.index_axis_mut(Axis(0), i).assign(&g.rows(loadings.index_axis(Axis(0), k)));
                }
                Covariances::LowRank { loadings: all, noise: Array1::from_shape_fn(k * order, |i| noise[i / order]) }
            }
        };
        Mixture::new(weights, all, covariances)
    }

    /// Weights, [k |G|], that are equal along orbits if they must be.
    pub fn tied_weights(&self, mut weights: Array1<f64>) -> Array1<f64> {
        if self.exact {
            weights.as_slice_mut().into_iter().flat_map(|w| w.chunks_mut(self.group.order())).for_each(|orbit| {
                let mean = orbit.iter().sum::<f64>() / orbit.len() as f64;
                orbit.fill(mean);
            });
        }
        weights
    }
}

impl Em {
    /// The new parameters of a mixture that is tied along orbits: what [`Em::maximise`] does with the sums of
    /// a component is done with those of an orbit, each carried back by g^-1.
    pub(super) fn maximise_orbits(&self, sums: &Statistics, old: &Mixture, symmetry: &Symmetry, floor: &[f64]) -> Result<Mixture> {
        let (d, order) = (old.dim(), symmetry.group.order());
        let orbits = old.components() / order;
        let back: Vec<_> = symmetry.group.elements().iter().map(|g| g.inverse()).collect();
        let base = |k: usize| k * order;
        let mass: Vec<f64> = (0..orbits).map(|k| sums.mass[base(k)..base(k + 1)].iter().sum()).collect();
        let kept = |k: usize| mass[k] <= EMPTY;
        // E (y - m) and E (y - m)(y - m)^T of the points y = g^-1 x of an orbit, m its old mean.
        let mut moved = Array2::<f64>::zeros((orbits, d));
        for (k, mut moved) in moved.outer_iter_mut().enumerate().filter(|(k, _)| !kept(*k)) {
            for (g, back) in back.iter().enumerate() {
                moved += &back.apply(sums.first(base(k) + g));
            }
            moved /= mass[k];
        }
        let second = |k: usize| {
            let sum = back.iter().enumerate().fold(Array2::<f64>::zeros((d, d)), |sum, (g, back)| {
                let of = sums.second(base(k) + g);
                sum + back.conjugate(of.view())
            });
            let m = moved.row(k);
            Array2::from_shape_fn((d, d), |(i, j)| sum[[i, j]] / mass[k] - m[i] * m[j])
        };
        let means = Array2::from_shape_fn((orbits, d), |(k, j)| old.means()[[base(k), j]] + moved[[k, j]]);
        let weights: Array1<f64> = sums.mass.iter().copied().collect();
        let weights = symmetry.tied_weights(&weights / weights.sum());
        let mean_floor = floor.iter().sum::<f64>() / d as f64;
        let covariances = match old.covariances() {
            Covariances::Spherical(v) => Covariances::Spherical(Array1::from_shape_fn(orbits, |k| {
                let m = moved.row(k);
                let sum: f64 = (base(k)..base(k + 1)).map(|i| sums.second(i)[[0, 0]]).sum();
                if kept(k) { v[base(k)] } else { ((sum / mass[k] - m.dot(&m)) / d as f64).max(0.0) + mean_floor }
            })),
            Covariances::Diagonal(v) => {
                let mut out = Array2::zeros((orbits, d));
                for (k, mut row) in out.outer_iter_mut().enumerate() {
                    if kept(k) {
                        row.assign(&v.row(base(k)));
                    } else {
                        row.iter_mut().zip(second(k).diag()).zip(floor).for_each(|((to, v), f)| *to = v.max(0.0) + f);
                    }
                }
                Covariances::Diagonal(out)
            }
            Covariances::Full(c) => {
                let mut out = Array3::zeros((orbits, d, d));
                for (k, mut to) in out.outer_iter_mut().enumerate() {
                    if kept(k) {
                        to.assign(&c.index_axis(Axis(0), base(k)));
                    } else {
                        to.assign(&second(k));
                        to.diag_mut().iter_mut().zip(floor).for_each(|(c, f)| *c += f);
                    }
                }
                Covariances::Full(out)
            }
            Covariances::Tied(c) => {
                // What is within the components, in the mean over the group: the one covariance must be every
                // element's own.
                let all = symmetry.expand(weights.clone(), means.view(), &Covariances::Tied(c.clone()))?;
                let (mean, total) = self.moments();
                // sum_i E r_i (x - m_i)(x - m_i)^T about the mean of the data; the mean of a tied component
                // is not that of its own points.
                let n = self.blocks.n as f64;
                let share: Array1<f64> = sums.mass.iter().map(|m| m / n).collect();
                let v = &all.means() - mean;
                let first = Array2::from_shape_fn(v.dim(), |(i, j)| sums.first(i)[j] / n + share[i] * old.means()[[i, j]]);
                let centred = &first - &(mean * &share.view().insert_axis(Axis(1)));
                let cross = centred.t().dot(&v);
                let between = v.t().dot(&(&v * &share.view().insert_axis(Axis(1))));
                let within = total - &cross - cross.t() + &between;
                let mut within = symmetry.group.average(within.view());
                within.diag_mut().iter_mut().zip(floor).for_each(|(c, f)| *c += f);
                Covariances::Tied(within)
            }
            Covariances::LowRank { loadings, noise } => {
                let q = loadings.dim().1;
                let mut out = Array3::zeros((orbits, q, d));
                let mut noises = Array1::zeros(orbits);
                for (k, mut to) in out.outer_iter_mut().enumerate() {
                    let l = loadings.index_axis(Axis(0), base(k));
                    noises[k] = noise[base(k)];
                    to.assign(&l);
                    if kept(k) {
                        continue;
                    }
                    // g^-1 carries (g P v) v^T back as it does v.
                    let (mut product, mut square) = (Array2::<f64>::zeros((q, d)), 0.0);
                    for (g, back) in back.iter().enumerate() {
                        let (of, length) = sums.along(base(k) + g);
                        product += &back.rows(of.view());
                        square += length;
                    }
                    let of = (product / mass[k], square / mass[k]);
                    let (next, v) = low_rank_step::step(
                        of.0.view(),
                        of.1,
                        moved.row(k),
                        sums.directions.index_axis(Axis(0), base(k)),
                        noises[k],
                        mean_floor,
                    )?;
                    to.assign(&next);
                    noises[k] = v;
                }
                Covariances::LowRank { loadings: out, noise: noises }
            }
        };
        symmetry.expand(weights, means.view(), &covariances)
    }

    /// The mixture that the clusters of [`kmeans`] make.
    pub(super) fn start_orbits(
        &self,
        labels: &[u32],
        k: usize,
        kind: CovarianceKind,
        symmetry: &Symmetry,
        floor: &[f64],
    ) -> Result<Mixture> {
        let d = self.blocks.d;
        let (_, covariance) = self.moments();
        let total = symmetry.group.average((covariance + &Array2::from_diag(&ArrayView1::from(floor))).view());
        let count = k * symmetry.group.order();
        let weights = Array1::from_elem(count, 1.0 / count as f64);
        // The sums are taken about the origin, which every element leaves where it is.
        let (alike, rounds) = low_rank_step::beginning(kind, k, total.view())?;
        let mut mixture = symmetry.expand(weights, Array2::zeros((k, d)).view(), &alike)?;
        for _ in 0..rounds {
            mixture = self.maximise_orbits(&self.label(labels, &mixture, Some(symmetry))?, &mixture, symmetry, floor)?;
        }
        Ok(mixture)
    }
}

/// k-means on orbits: of each point the cluster k |G| + g, where g^-1 x is nearest to centre k. Seeding by
/// k-means++ with the distance between orbits.
pub(super) fn kmeans(x: ArrayView2<f64>, k: usize, symmetry: &Symmetry, stream: &mut Stream) -> Vec<u32> {
    let (n, d) = x.dim();
    let order = symmetry.group.order();
    // [|G|] of [n, d]: the points as each element sees them.
    let folded: Vec<Array2<f64>> = symmetry.group.elements().iter().map(|g| g.inverse().rows(x)).collect();
    let distance =
        |i: usize, g: usize, centre: &ArrayView1<f64>| -> f64 { folded[g].row(i).iter().zip(centre).map(|(x, c)| (x - c) * (x - c)).sum() };
    let nearest = |i: usize, centres: ArrayView2<f64>| {
        let mut best = (f64::INFINITY, 0u32);
        for (c, centre) in centres.outer_iter().enumerate() {
            for g in 0..order {
                let d2 = distance(i, g, &centre);
                if d2 < best.0 {
                    best = (d2, (c * order + g) as u32);
                }
            }
        }
        best
    };
    let mut centres = Array2::zeros((k, d));
    centres.row_mut(0).assign(&x.row(stream.below(n)));
    for c in 1..k {
        let left = par::map(n, |i| nearest(i, centres.slice(ndarray::s![..c, ..])).0);
        centres.row_mut(c).assign(&x.row(stream.weighted(&left)));
    }
    let mut labels = vec![u32::MAX; n];
    for _ in 0..ROUNDS {
        let next = par::map(n, |i| nearest(i, centres.view()).1);
        if next == labels {
            break;
        }
        labels = next;
        let mut sums = Array2::<f64>::zeros((k, d));
        let mut counts = vec![0.0; k];
        for (i, label) in labels.iter().enumerate() {
            let (c, g) = (*label as usize / order, *label as usize % order);
            sums.row_mut(c).scaled_add(1.0, &folded[g].row(i));
            counts[c] += 1.0;
        }
        // A cluster without points keeps its centre.
        for ((mut centre, sum), count) in centres.outer_iter_mut().zip(sums.outer_iter()).zip(&counts).filter(|(_, c)| **c > 0.0) {
            centre.assign(&(&sum / *count));
        }
    }
    labels
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::mixture::{Count, Draw, FitOptions, fit};
    use crate::rng::Purpose;
    use ndarray::array;

    fn symmetry(name: &str, exact: bool) -> Symmetry {
        Symmetry { group: Group::named(name, 2, None).unwrap(), exact }
    }

    fn near_c4(n: usize, seed: u64) -> (Mixture, Array2<f64>) {
        // One long mode, the quarter turns of which differ from its mirror images.
        let long = Covariances::Full(Array3::from_shape_fn((1, 2, 2), |(_, i, j)| [[0.8, 0.3], [0.3, 0.4]][i][j]));
        let weights = array![0.55, 0.25, 0.15, 0.05];
        let law = symmetry("c4", false).expand(weights, array![[4.0, 1.0]].view(), &long).unwrap();
        let x = law.sample(n, seed, Purpose::Data, Draw::Independent).unwrap().0;
        (law, x)
    }

    #[test]
    fn images_are_those_of_the_group() {
        let (law, _) = near_c4(1, 0);
        assert_eq!(law.means(), array![[4.0, 1.0], [-1.0, 4.0], [-4.0, -1.0], [1.0, -4.0]]);
        assert_eq!(law.covariance(1), array![[0.4, -0.3], [-0.3, 0.8]]);
        assert_eq!(law.covariance(2), law.covariance(0));
    }

    /// The likelihood never falls, the ties hold to rounding, and with the trivial group the steps are those
    /// of plain EM.
    #[test]
    fn the_likelihood_rises_and_the_ties_hold() {
        let (_, x) = near_c4(500, 1);
        for kind in CovarianceKind::ALL {
            for (name, exact) in [("c4", false), ("c4", true), ("c3", false), ("d4", false)] {
                if name == "c3" && kind == CovarianceKind::Diagonal {
                    continue;
                }
                let tie = symmetry(name, exact);
                let options = FitOptions { kind, components: Count::Fixed(2), symmetry: Some(tie.clone()), ..FitOptions::default() };
                let found = fit(x.view(), &options).unwrap();
                for pair in found.log_likelihood.windows(2) {
                    assert!(pair[1] >= pair[0] - 2e-6, "{name} {exact} {}: {pair:?}", kind.name());
                }
                let m = &found.mixture;
                let order = tie.group.order();
                assert_eq!(m.components(), 2 * order);
                for i in 0..m.components() {
                    let (base, g) = (i / order * order, &tie.group.elements()[i % order]);
                    assert!((g.apply(m.means().row(base)) - m.means().row(i)).iter().all(|e| e.abs() <= 1e-12));
                    assert!((g.conjugate(m.covariance(base).view()) - m.covariance(i)).iter().all(|e| e.abs() <= 1e-12));
                    assert!(!exact || m.weights()[i] == m.weights()[base]);
                }
            }
            let plain = FitOptions { kind, components: Count::Fixed(3), restarts: 1, ..FitOptions::default() };
            let em = Em::new(x.view()).unwrap();
            let start = fit(x.view(), &FitOptions { max_iterations: 2, ..plain }).unwrap().mixture;
            let sums = em.expect(&start, None).unwrap();
            let (a, b) = (
                em.maximise(&sums, &start, &[1e-6; 2]).unwrap(),
                em.maximise_orbits(&sums, &start, &symmetry("none", false), &[1e-6; 2]).unwrap(),
            );
            assert!((&a.means() - &b.means()).iter().chain(&(&a.weights() - &b.weights())).all(|e| e.abs() <= 1e-12));
            assert!((0..3).all(|k| (a.covariance(k) - b.covariance(k)).iter().all(|e| e.abs() <= 1e-12)), "{}", kind.name());
        }
    }

    /// From 100 points the tied fit is nearer to the truth than the untied one, and its weights are those of
    /// the data, where exact symmetry makes them equal.
    #[test]
    fn ties_make_up_for_few_points() {
        let mut better = 0;
        for seed in 0..10 {
            let (law, x) = near_c4(100, seed);
            let nll = |m: &Mixture| -> f64 {
                let y = law.sample(4000, 99, Purpose::Test, Draw::Systematic).unwrap().0;
                -m.log_density(y.view()).unwrap().mean().unwrap()
            };
            let with = |symmetry: Option<Symmetry>, k: usize| {
                fit(x.view(), &FitOptions { components: Count::Fixed(k), symmetry, ..FitOptions::default() }).unwrap().mixture
            };
            let (tied, exact, untied) = (with(Some(symmetry("c4", false)), 1), with(Some(symmetry("c4", true)), 1), with(None, 4));
            better += usize::from(nll(&tied) < nll(&untied) && nll(&tied) < nll(&exact));
            let mut w = tied.weights().to_vec();
            w.sort_by(|a, b| b.total_cmp(a));
            let tv: f64 = w.iter().zip([0.55, 0.25, 0.15, 0.05]).map(|(a, b)| (a - b).abs() / 2.0).sum();
            // Half the sum of four deviations of shares of 100 points, four standard errors each.
            assert!(tv <= 0.31 && exact.weights().iter().all(|w| (w - 0.25).abs() <= 1e-15), "{seed}: {tv}");
        }
        // Were both as good, 10 of 10 would be a chance of 1e-3.
        assert_eq!(better, 10);
    }
}
