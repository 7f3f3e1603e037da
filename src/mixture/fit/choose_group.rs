//! Which group of symmetries the data support, and how strongly.

use super::orbit::Symmetry;
use super::{Fit, FitOptions, fit};
use crate::linalg::Cholesky;
use crate::mixture::Group;
use crate::par;
use crate::rng::{Purpose, Stream};
use crate::{Error, Result};
use ndarray::{Array1, Array2, ArrayView2, Axis};
use std::fmt;

/// Points that the permutation tests look at, at most.
const POINTS: usize = 2_000;
/// Permutations of a test: the least P value is 1/1000.
const PERMUTATIONS: usize = 999;
/// A geometry whose P value is lower is rejected: it may still be the best that the data can tell, and is
/// then said to be approximate.
const LEVEL: f64 = 0.01;
/// Dimensions up to which the test looks at all second moments; beyond, at the variances along the principal
/// axes alone.
const FULL_MOMENTS: usize = 16;
/// First chunk of the streams of the tests: those below belong to the starts of the fit.
const STREAM: u64 = 1 << 50;

/// What one candidate group came to.
#[derive(Debug, Clone)]
pub struct GroupTrial {
    /// Name of the group.
    pub name: String,
    /// Number of its elements.
    pub order: usize,
    /// Orbits of the best fit that is tied along them.
    pub orbits: usize,
    /// Mean log-likelihood of that fit.
    pub log_likelihood: f64,
    /// Its BIC; e^(-BIC/2) is proportional to the probability of the group given the data, up to terms of
    /// order 1.
    pub bic: f64,
    /// P value of the hypothesis that the orbits' components are images of each other, their weights aside. 1
    /// of the trivial group, for which it holds by definition.
    pub geometry: f64,
    /// P value of the hypothesis that the weights along orbits are equal too: that the law is invariant.
    pub invariance: f64,
    /// Total weight of each element over all orbits, in descending order: which element of a group an orbit
    /// starts from is arbitrary.
    pub weights: Vec<f64>,
}

/// One sentence for a report.
impl fmt::Display for GroupTrial {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "group {}: {} orbits of {}, BIC {:.1}", self.name, self.orbits, self.order, self.bic)?;
        if self.order > 1 {
            let weights: Vec<String> = self.weights.iter().take(8).map(|w| format!("{w:.3}")).collect();
            let more = if self.order > 8 { " ..." } else { "" };
            write!(
                f,
                ", P of the geometry {:.3}, of equal weights {:.3}, weights {}{more}",
                self.geometry,
                self.invariance,
                weights.join(" ")
            )?;
        }
        Ok(())
    }
}

/// The fit with the group that the data support best, and what all candidates came to.
#[derive(Debug, Clone)]
pub struct GroupFit {
    /// The fit with the chosen group.
    pub fit: Fit,
    /// The chosen group, as [`FitOptions::symmetry`] takes it.
    pub symmetry: Symmetry,
    /// Every candidate, in the order given; the trivial group first.
    pub trials: Vec<GroupTrial>,
    /// Which of them was chosen.
    pub chosen: usize,
}

impl GroupFit {
    /// BIC of the fit without symmetry less that of the chosen one: twice the logarithm of the Bayes factor,
    /// about; above 10 is commonly called very strong (Kass and Raftery 1995).
    pub fn evidence(&self) -> f64 {
        self.trials[0].bic - self.trials[self.chosen].bic
    }

    /// The choice and how strongly the data support it, in one sentence.
    pub fn verdict(&self) -> String {
        let best = &self.trials[self.chosen];
        if self.chosen == 0 {
            return "chosen: no group, of least BIC".to_owned();
        }
        let geometry = if best.geometry < LEVEL { "rejected: it holds only approximately" } else { "not rejected" };
        let weights = if best.invariance < LEVEL { "the weights along orbits differ" } else { "equal weights are not rejected" };
        format!(
            "chosen: group {}, BIC {:.1} below that without a group; its geometry is {geometry}, {weights} (1 % level)",
            best.name,
            self.evidence()
        )
    }
}

/// Fits the rows of `x`, [n, d], with each candidate group and with none, weights free along the orbits, and
/// keeps the fit of least BIC: a Bayesian's choice, which takes a symmetry that does not quite hold where the
/// points are too few to show more. The P values say whether it does.
///
/// The tests draw each point's component from its responsibilities and carry the point back to its orbit's
/// first component. If the orbit's components are images of each other, these residuals do not depend on the
/// element: the sum over elements of n_g |mean of (first and second moments)|^2, whitened by the orbit's
/// covariance, is compared with its values when the elements are shuffled among the points of an orbit. Equal
/// weights are tested by the likelihood ratio of the elements' counts against counts drawn with equal
/// probabilities. Both P values are those of Monte Carlo tests with 999 draws; the parameters that residuals
/// are formed with are estimated from the same points.
///
/// # Errors
/// Those of [`fit`]; `Shape` or `Invalid` for a group that does not fit the points.
pub fn fit_group(x: ArrayView2<f64>, options: &FitOptions, candidates: &[Group]) -> Result<GroupFit> {
    let trivial = Group::trivial(x.ncols())?;
    let groups: Vec<&Group> = std::iter::once(&trivial).chain(candidates.iter().filter(|g| g.order() > 1)).collect();
    let mut trials = Vec::with_capacity(groups.len());
    let mut best: Option<(usize, Fit)> = None;
    for (i, group) in groups.iter().enumerate() {
        let symmetry = Symmetry { group: (*group).clone(), exact: false };
        let tied = (i > 0).then(|| symmetry.clone());
        let fitted =
            fit(x, &FitOptions { symmetry: tied, ..options.clone() }).map_err(|e| e.within(format!("group \"{}\"", group.name())))?;
        let trial = trial(x, &fitted, &symmetry, options.seed)?;
        let least = best.as_ref().map_or(f64::INFINITY, |(_, b)| b.bic);
        if fitted.bic < least {
            best = Some((i, fitted));
        }
        trials.push(trial);
    }
    let Some((chosen, fit)) = best else { return Err(Error::refused("mixture fit", "no group could be fitted")) };
    let symmetry = Symmetry { group: groups[chosen].clone(), exact: false };
    Ok(GroupFit { fit, symmetry, trials, chosen })
}

fn trial(x: ArrayView2<f64>, fit: &Fit, symmetry: &Symmetry, seed: u64) -> Result<GroupTrial> {
    let (group, m) = (&symmetry.group, &fit.mixture);
    let order = group.order();
    let mut weights: Vec<f64> = (0..order).map(|g| m.weights().iter().skip(g).step_by(order).sum()).collect();
    weights.sort_by(|a, b| b.total_cmp(a));
    let (geometry, invariance) = if order == 1 { (1.0, 1.0) } else { tests(x, fit, symmetry, seed)? };
    Ok(GroupTrial {
        name: group.name().to_owned(),
        order,
        orbits: m.components() / order,
        log_likelihood: fit.log_likelihood.last().copied().unwrap_or(f64::NEG_INFINITY),
        bic: fit.bic,
        geometry,
        invariance,
        weights,
    })
}

/// The P values of geometry and invariance.
fn tests(x: ArrayView2<f64>, fit: &Fit, symmetry: &Symmetry, seed: u64) -> Result<(f64, f64)> {
    let m = &fit.mixture;
    let order = symmetry.group.order();
    let orbits = m.components() / order;
    let mut rows: Vec<usize> = (0..x.nrows()).collect();
    Stream::new(seed, Purpose::Fit, STREAM, 0).shuffle(&mut rows);
    rows.truncate(POINTS);
    let x = x.select(Axis(0), &rows);

    let free = draw(&m.responsibilities(x.view())?, Stream::new(seed, Purpose::Fit, STREAM, 1));
    let geometry = geometry(&x, &free, fit, symmetry, seed)?;

    let tied = m.with_weights(Symmetry { exact: true, ..symmetry.clone() }.tied_weights(m.weights().to_owned()))?;
    let drawn = draw(&tied.responsibilities(x.view())?, Stream::new(seed, Purpose::Fit, STREAM, 2));
    let count = |labels: &[usize]| {
        let mut counts = vec![0usize; orbits * order];
        labels.iter().for_each(|l| counts[*l] += 1);
        counts
    };
    let observed = count(&drawn);
    let per_orbit: Vec<usize> = observed.chunks(order).map(|c| c.iter().sum()).collect();
    // 2 sum n ln(n |G| / n_orbit), up to what does not depend on the split.
    let ratio = |counts: &[usize]| counts.iter().filter(|n| **n > 0).map(|n| *n as f64 * (*n as f64).ln()).sum::<f64>();
    let at_least = exceeding(PERMUTATIONS, ratio(&observed), |i| {
        let mut stream = Stream::new(seed, Purpose::Fit, STREAM + 1, i as u32);
        let labels: Vec<usize> =
            per_orbit.iter().enumerate().flat_map(|(k, n)| std::iter::repeat_n(k, *n)).map(|k| k * order + stream.below(order)).collect();
        ratio(&count(&labels))
    });
    Ok((geometry, at_least))
}

/// One component a row, drawn with the probabilities of the row.
fn draw(probabilities: &Array2<f64>, mut stream: Stream) -> Vec<usize> {
    probabilities.outer_iter().map(|r| stream.weighted(&r.to_vec())).collect()
}

/// (1 + number of draws that reach `observed`)/(1 + number of draws).
fn exceeding(draws: usize, observed: f64, statistic: impl Fn(usize) -> f64 + Sync) -> f64 {
    // What is equal but for rounding counts as reaching.
    let reached: usize = par::map(draws, |i| usize::from(statistic(i) >= observed - 1e-9 * observed.abs())).iter().sum();
    (1 + reached) as f64 / (1 + draws) as f64
}

/// The permutation test of the geometry, each point with its drawn component.
fn geometry(x: &Array2<f64>, labels: &[usize], fit: &Fit, symmetry: &Symmetry, seed: u64) -> Result<f64> {
    let (m, order) = (&fit.mixture, symmetry.group.order());
    let back: Vec<_> = symmetry.group.elements().iter().map(|g| g.inverse()).collect();
    // Moments of the residuals of each orbit, and the element that each point belongs to.
    let mut orbits: Vec<(Array2<f64>, Vec<usize>)> = Vec::new();
    for k in 0..m.components() / order {
        let rows: Vec<usize> = (0..labels.len()).filter(|i| labels[*i] / order == k).collect();
        if rows.len() < 2 {
            continue;
        }
        let mut residuals = Array2::zeros((rows.len(), x.ncols()));
        for (mut to, i) in residuals.outer_iter_mut().zip(&rows) {
            to.assign(&back[labels[*i] % order].apply(x.row(*i)));
        }
        // About their own mean and covariance, which no shuffling changes.
        let mean = residuals.mean_axis(Axis(0)).unwrap_or_default();
        residuals -= &mean;
        let mut covariance = residuals.t().dot(&residuals) / rows.len() as f64;
        let ridge = 1e-9 * covariance.diag().sum() / x.ncols() as f64 + f64::MIN_POSITIVE;
        covariance.diag_mut().mapv_inplace(|v| v + ridge);
        // Fewer points than dimensions leave the covariance singular: then by the fit's own.
        let root = Cholesky::new(covariance.view()).or_else(|_| Cholesky::new(m.covariance(k * order).view()))?;
        let white = residuals.dot(&root.inverse_lower().t());
        orbits.push((moments(&white), rows.iter().map(|i| labels[*i] % order).collect()));
    }
    let statistic = |elements: &dyn Fn(usize) -> Vec<usize>| -> f64 {
        orbits.iter().enumerate().map(|(k, (moments, _))| between(moments, &elements(k), order)).sum()
    };
    let observed = statistic(&|k| orbits[k].1.clone());
    Ok(exceeding(PERMUTATIONS, observed, |i| {
        statistic(&|k| {
            let mut elements = orbits[k].1.clone();
            Stream::new(seed, Purpose::Fit, STREAM + 2 + k as u64, i as u32).shuffle(&mut elements);
            elements
        })
    }))
}

/// First and second moments of each white residual z, scaled to variance 1 for a normal z: z_j,
/// (z_j^2 - 1)/sqrt 2, z_i z_j.
fn moments(white: &Array2<f64>) -> Array2<f64> {
    let (n, d) = white.dim();
    let pairs: Vec<(usize, usize)> =
        if d <= FULL_MOMENTS { (0..d).flat_map(|i| (0..i).map(move |j| (i, j))).collect() } else { Vec::new() };
    let mut out = Array2::zeros((n, 2 * d + pairs.len()));
    for (mut to, z) in out.outer_iter_mut().zip(white.outer_iter()) {
        for j in 0..d {
            to[j] = z[j];
            to[d + j] = (z[j] * z[j] - 1.0) / std::f64::consts::SQRT_2;
        }
        for (p, (i, j)) in pairs.iter().enumerate() {
            to[2 * d + p] = z[*i] * z[*j];
        }
    }
    out
}

/// sum over elements of n_g |mean of the moments of its points|^2.
fn between(moments: &Array2<f64>, elements: &[usize], order: usize) -> f64 {
    let mut sums = vec![(0.0, Array1::<f64>::zeros(moments.ncols())); order];
    for (row, g) in moments.outer_iter().zip(elements) {
        sums[*g].0 += 1.0;
        sums[*g].1 += &row;
    }
    sums.iter().filter(|(n, _)| *n > 0.0).map(|(n, s)| s.dot(s) / n).sum()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::data::law::{Law, near_c4};
    use crate::mixture::{Count, CovarianceKind, Covariances, Draw, Mixture};
    use ndarray::array;

    fn options(kind: CovarianceKind, most: usize) -> FitOptions {
        FitOptions { kind, components: Count::Auto { max: most }, ..FitOptions::default() }
    }

    fn groups(names: &[&str], d: usize) -> Vec<Group> {
        names.iter().map(|name| Group::named(name, d, None).unwrap()).collect()
    }

    #[test]
    fn a_hundred_points_show_four_turns_and_their_imbalance() {
        for seed in 0..8 {
            let x = near_c4().unwrap().sample(100, seed, 0);
            let found = fit_group(x.view(), &options(CovarianceKind::Full, 6), &groups(&["c2", "c3", "c4", "d4"], 2)).unwrap();
            let best = &found.trials[found.chosen];
            assert_eq!((best.name.as_str(), best.orbits), ("c4", 1), "{:#?}", found.trials);
            assert!(best.invariance <= 0.001 && found.evidence() > 10.0, "{best}");
            // One P value in a hundred is below the level: here that of seed 0.
            assert_eq!(best.geometry < LEVEL, seed == 0, "{best}");
            assert!(found.verdict().ends_with("the weights along orbits differ (1 % level)"), "{}", found.verdict());
            // Four standard errors of shares of 100 points.
            for (w, exact) in best.weights.iter().zip([0.55, 0.25, 0.15, 0.05]) {
                assert!((w - exact).abs() <= 4.0 * (exact * (1.0 - exact) / 100.0).sqrt(), "{best}");
            }
            assert!(best.to_string().starts_with("group c4: 1 orbits of 4, BIC "), "{best}");
        }
    }

    /// Levels and power, at sizes where four modes lie apart: the geometry is rejected where one mode is
    /// moved or turned, and invariance where weights differ, not otherwise.
    #[test]
    fn broken_symmetries_are_seen() {
        let mode = |turn: usize, x: f64, y: f64| match turn % 4 {
            0 => [x, y],
            1 => [-y, x],
            2 => [-x, -y],
            _ => [y, -x],
        };
        let law = |weights: [f64; 4], moved: f64, wide: f64| {
            let mut means = Array2::zeros((4, 2));
            for g in 0..4 {
                means.row_mut(g).assign(&Array1::from(mode(g, 4.0, 0.0).to_vec()));
            }
            means[[1, 0]] += moved;
            Mixture::new(Array1::from(weights.to_vec()), means, Covariances::Spherical(array![0.25, 0.25, 0.25 * wide, 0.25])).unwrap()
        };
        let c4 = Symmetry { group: Group::named("c4", 2, None).unwrap(), exact: false };
        let p = |law: Mixture, seed: u64| {
            let x = law.sample(400, seed, Purpose::Data, Draw::Independent).unwrap().0;
            let options = FitOptions { components: Count::Fixed(1), symmetry: Some(c4.clone()), ..FitOptions::default() };
            let fitted = fit(x.view(), &options).unwrap();
            tests(x.view(), &fitted, &c4, seed).unwrap()
        };
        let equal = [0.25; 4];
        // P values of true hypotheses are uniform: 20 of each, mean .5 within 3.9 standard errors of .065.
        let all: Vec<(f64, f64)> = (0..20).map(|seed| p(law(equal, 0.0, 1.0), seed)).collect();
        let mean = |f: fn(&(f64, f64)) -> f64| all.iter().map(f).sum::<f64>() / 20.0;
        assert!((mean(|p| p.0) - 0.5).abs() <= 0.25 && (mean(|p| p.1) - 0.5).abs() <= 0.25, "{all:?}");
        let (geometry, invariance) = p(law([0.4, 0.3, 0.2, 0.1], 0.0, 1.0), 1);
        assert!(geometry > LEVEL && invariance <= 0.001, "{geometry} {invariance}");
        for (moved, wide) in [(0.5, 1.0), (0.0, 2.5)] {
            let (geometry, _) = p(law(equal, moved, wide), 2);
            assert!(geometry <= LEVEL, "{moved} {wide}: {geometry}");
        }
    }

    #[test]
    fn without_symmetry_none_is_chosen() {
        let means = array![[3.0, 0.5], [-2.0, 4.0], [0.0, -3.0]];
        let law = Mixture::new(array![0.5, 0.3, 0.2], means, Covariances::Spherical(array![0.3, 0.6, 0.2])).unwrap();
        let x = law.sample(300, 4, Purpose::Data, Draw::Independent).unwrap().0;
        let found = fit_group(x.view(), &options(CovarianceKind::Full, 6), &groups(&["c2", "c3", "d2"], 2)).unwrap();
        assert_eq!(found.trials[found.chosen].name, "none", "{:#?}", found.trials);
        assert_eq!(found.evidence(), 0.0);
        assert!(
            fit_group(x.view(), &options(CovarianceKind::Diagonal, 3), &groups(&["c3"], 2))
                .unwrap_err()
                .to_string()
                .contains("turns the axes")
        );
        assert!(
            fit_group(x.view(), &options(CovarianceKind::Full, 3), &groups(&["c3"], 3))
                .unwrap_err()
                .to_string()
                .contains("one of 2 coordinates")
        );
    }
}
