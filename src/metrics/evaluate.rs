//! All metrics of a set of samples, each beside its floor, and with an interval where one is asked for.

use super::pair_halves::{Members, discrepancies};
use super::{
    check_pair, frechet, median_distance, memorisation_ratio, mmd2_to_mixture, mode_weights, negative_log_likelihood, outlier_radius,
    outlier_share, sinkhorn_divergence, sliced_w2, subset, support, total_variation, w2_exact,
};
use crate::data::Dataset;
use crate::mixture::Mixture;
use crate::{Error, Result};
use ndarray::{ArrayView2, Axis, CowArray, Ix2, s};
use std::time::Instant;

/// Directions of the sliced W_2.
pub const DIRECTIONS: usize = 128;
/// Points of each set that enter the metrics over pairs.
pub const PAIR_POINTS: usize = 5_000;
/// Points of each set whose supports are compared.
pub(super) const SUPPORT_POINTS: usize = 2_000;
/// Neighbour that the balls of a support reach to.
pub(super) const NEIGHBOUR: usize = 5;
/// Points of each set that are transported onto each other.
const TRANSPORT_POINTS: usize = 500;
/// Epsilon of the Sinkhorn divergence in squared median distances.
const SINKHORN: f64 = 0.2;
/// Held-out points that set the bandwidth of MMD.
const BANDWIDTH_POINTS: usize = 1_000;
/// First draw of the half-samples; those below belong to the subsets.
const HALVES: u64 = 1 << 32;
/// 97.5 % of a standard normal lie below.
const NORMAL_975: f64 = 1.959_963_984_540_054;

/// One metric.
#[derive(Debug, Clone, PartialEq)]
pub struct Measure {
    /// Its name in the JSON of `ndsm eval`.
    pub name: &'static str,
    /// Its value. `None` where it is not defined: the law or its modes are unknown, or the points are too
    /// few.
    pub value: Option<f64>,
    /// The same of the training points against the held-out points, or of the held-out points against the
    /// exact law: samples as good as the data themselves score like that, up to the sizes of the sets.
    pub floor: Option<f64>,
    /// 95 % interval of the value over draws of samples and held-out points, where it was asked for.
    pub interval: Option<[f64; 2]>,
    /// What it measures, in a line.
    pub meaning: &'static str,
}

/// What `ndsm eval` reports.
#[derive(Debug, Clone, PartialEq)]
pub struct Metrics {
    /// Samples that were evaluated.
    pub n: usize,
    /// Seed of the directions and subsets.
    pub seed: u64,
    /// Every metric, in the order of the report.
    pub measures: Vec<Measure>,
    /// Wall time of the evaluation.
    pub seconds: f64,
}

impl Metrics {
    /// The metric of that name.
    pub fn get(&self, name: &str) -> Option<&Measure> {
        self.measures.iter().find(|m| m.name == name)
    }

    /// Its value, if there is such a metric and it is defined.
    pub fn value(&self, name: &str) -> Option<f64> {
        self.get(name)?.value
    }

    /// Its floor.
    pub fn floor(&self, name: &str) -> Option<f64> {
        self.get(name)?.floor
    }
}

/// Modes that samples are counted by, and the samples in the mixture's own coordinates.
#[derive(Debug, Clone, Copy)]
pub struct ModeSpace<'a> {
    /// A mixture fitted to the training points.
    pub mixture: &'a Mixture,
    /// The samples where the mixture lives (a latent space, say), [n, its dimension].
    pub samples: ArrayView2<'a, f64>,
}

/// All metrics of `samples`: [n, d], n >= 2, against `data`.
///
/// Weights are counted by the law's own modes if `data.law` is a mixture; otherwise by those of `fitted`, if
/// given, which then stands for the law. Outliers ([`outlier_radius`]) are counted only where the law is a
/// mixture: a fitted mixture's modes are no truth about the data. Larger sets enter the metrics over pairs as
/// random subsets of [`PAIR_POINTS`] points, supports as 2,000 and transport plans as 500.
///
/// With `resamples` > 0 every metric is computed again on so many random halves of samples and held-out
/// points, and the interval is its value +- 1.96 standard deviations over the halves: the bootstrap with
/// weights 0 and 2 (Praestgaard and Wellner 1993), which, unlike that with repeated points, puts no pair at
/// distance 0. It says how much the value owes to the draw, and nothing about a bias that a finite sample has
/// by itself; that the floor shares. Intervals end where the metric's range does; a value at that end has
/// none, because halves that all have it say nothing.
///
/// # Errors
/// [`Error::Shape`] if the widths differ or a set has fewer than 2 points; [`Error::Invalid`] if a sample is
/// NaN or infinite.
pub fn evaluate<'a>(
    samples: ArrayView2<'a, f64>,
    data: &'a Dataset,
    fitted: Option<ModeSpace<'a>>,
    seed: u64,
    resamples: usize,
) -> Result<Metrics> {
    run(samples, data, fitted, Resampling { seed, count: resamples, floors: true })
}

/// The values of [`evaluate`] alone, without floors and intervals: of other samples, to stand beside.
///
/// # Errors
/// As [`evaluate`].
pub fn evaluate_beside<'a>(samples: ArrayView2<'a, f64>, data: &'a Dataset, fitted: Option<ModeSpace<'a>>, seed: u64) -> Result<Metrics> {
    run(samples, data, fitted, Resampling { seed, count: 0, floors: false })
}

fn run<'a>(samples: ArrayView2<'a, f64>, data: &'a Dataset, fitted: Option<ModeSpace<'a>>, how: Resampling) -> Result<Metrics> {
    let seed = how.seed;
    let start = Instant::now();
    if let Some(((row, column), x)) = samples.indexed_iter().find(|(_, x)| !x.is_finite()) {
        return Err(Error::invalid(format!("evaluate: sample {row}, coordinate {column}"), "finite", x));
    }
    let (held_out, training) = (data.held_out.view(), data.points.view());
    check_pair("evaluate", samples, held_out, 2)?;
    check_pair("evaluate", training, held_out, 2)?;
    let sets = |size: usize| Sets::new([samples, held_out, training], size, seed);
    let (all, pairs, supports, transported) = (sets(usize::MAX), sets(PAIR_POINTS), sets(SUPPORT_POINTS), sets(TRANSPORT_POINTS));
    // Sizes are checked above; what can fail is a median of 0.
    let bandwidth = median_distance(subset(held_out, BANDWIDTH_POINTS, seed, 1).view()).ok();
    let law = data.law.as_deref();
    let own = law.and_then(|law| law.mixture()).map(|mixture| ModeSpace { mixture, samples });
    let modes = own.or(fitted);
    let h = bandwidth.unwrap_or(1.0);
    let mut of_pairs = how.pairs(&[ENERGY, MMD], &pairs, h)?;
    if bandwidth.is_none() {
        of_pairs.iter_mut().skip(1).for_each(|mmd| (mmd.value, mmd.floor, mmd.interval) = (None, None, None));
    }
    let mut measures = Vec::new();
    let mut add = |names: &[Named], sets: Option<&Sets>, f: Function<'_>| -> Result<()> {
        match sets {
            Some(sets) => measures.extend(how.measure(names, sets, f)?),
            None => {
                measures.extend(names.iter().map(|(name, _, meaning)| Measure { name, value: None, floor: None, interval: None, meaning }));
            }
        }
        Ok(())
    };
    // What compares with the law has the held-out points as its floor.
    let against_law = Sets { floor: Some(held_out.into()), ..sets(usize::MAX) };
    let counted = modes.map(|m| Sets { samples: m.samples.into(), floor: own.map(|_| held_out.into()), ..sets(usize::MAX) });
    // What is not known is not asked for: its place has no sets.
    let unknown = || Ok(f64::NAN);
    add(&[MODE_WEIGHTS], counted.as_ref(), &|x, _| {
        let off = |m: ModeSpace| Ok(total_variation(mode_weights(x, m.mixture)?.view(), m.mixture.weights()));
        Ok(vec![modes.map_or_else(unknown, off)?])
    })?;
    add(&[SLICED], Some(&all), &|x, y| Ok(vec![sliced_w2(x, y, DIRECTIONS, seed)?]))?;
    add(&[OUTLIERS], own.map(|_| &against_law), &|x, _| {
        Ok(vec![own.map_or_else(unknown, |m| outlier_share(x, m.mixture, outlier_radius(x.ncols())))?])
    })?;
    add(&[NLL], law.map(|_| &against_law), &|x, _| Ok(vec![law.map_or_else(unknown, |law| negative_log_likelihood(x, law))?]))?;
    let few_against_law = Sets { floor: Some(pairs.held_out.view().into()), ..sets(PAIR_POINTS) };
    add(&[MMD_EXACT], own.and(bandwidth).map(|_| &few_against_law), &|x, _| {
        Ok(vec![own.map_or_else(unknown, |m| mmd2_to_mixture(x, m.mixture, h))?])
    })?;
    add(&[FRECHET], Some(&all), &|x, y| Ok(vec![frechet(x, y)?]))?;
    add(&[SINKHORN_DIVERGENCE], bandwidth.map(|_| &transported), &|x, y| match sinkhorn_divergence(x, y, SINKHORN * h * h) {
        // Clusters too far apart for their masses to be levelled: not defined, rather than the end of all
        // others.
        Err(Error::NoConvergence { .. }) => Ok(vec![f64::NAN]),
        value => Ok(vec![value?]),
    })?;
    let equal = transported.of_equal_size();
    add(&[W2], Some(&equal), &|x, y| Ok(vec![w2_exact(x, y)?]))?;
    let enough = Some(&supports).filter(|s| s.samples.nrows().min(s.held_out.nrows()) > 2 * NEIGHBOUR);
    add(&SUPPORT, enough, &|x, y| {
        let s = support(x, y, NEIGHBOUR)?;
        Ok(vec![s.precision, s.recall, s.density, s.coverage])
    })?;
    let spread = |x: ArrayView2<f64>| x.var_axis(Axis(0), 1.0).sum();
    let (whole, against_training) = (spread(training), Sets { floor: Some(held_out.into()), ..sets(usize::MAX) });
    add(&[VARIANCE], (whole > 0.0).then_some(&against_training), &|x, _| Ok(vec![spread(x) / whole]))?;
    let few_training = subset(training, PAIR_POINTS, seed, 2);
    let alone = Sets { floor: None, ..sets(PAIR_POINTS) };
    add(&[MEMORISATION], Some(&alone), &|x, y| Ok(vec![memorisation_ratio(x, few_training.view(), y, seed)?]))?;
    let behind = measures.iter().position(|m| m.name == SLICED.0).map_or(0, |at| at + 1);
    measures.splice(behind..behind, of_pairs);
    Ok(Metrics { n: samples.nrows(), seed, measures, seconds: start.elapsed().as_secs_f64() })
}

/// Name, least and largest value, meaning.
pub(super) type Named = (&'static str, [f64; 2], &'static str);
pub(super) const REAL: [f64; 2] = [f64::NEG_INFINITY, f64::INFINITY];
pub(super) const POSITIVE: [f64; 2] = [0.0, f64::INFINITY];
pub(super) const SHARE: [f64; 2] = [0.0, 1.0];
const MODE_WEIGHTS: Named = ("mode_weight_tv", SHARE, "total variation between the modes' weights and the law's (or the reference's)");
const SLICED: Named = ("sliced_w2", POSITIVE, "sliced Wasserstein-2 distance to held-out data");
const ENERGY: Named = ("energy_distance", REAL, "energy distance to held-out data, unbiased");
const MMD: Named = ("mmd2", REAL, "squared maximum mean discrepancy to held-out data, unbiased");
const OUTLIERS: Named = (
    "outlier_share",
    SHARE,
    "share outside the balls that hold all but e^-8 of each mode (in the plane 4 standard deviations), where the law is a known mixture",
);
const NLL: Named = ("nll_exact", REAL, "mean negative log-density under the exact law, where it is known");
const MMD_EXACT: Named = ("mmd2_exact", REAL, "squared maximum mean discrepancy to the exact law, where it is a known mixture");
const FRECHET: Named = ("frechet", POSITIVE, "squared Wasserstein-2 distance between the Gaussians of samples and held-out data");
const SINKHORN_DIVERGENCE: Named = ("sinkhorn", REAL, "Sinkhorn divergence to held-out data, 500 points");
const W2: Named = ("w2", POSITIVE, "exact Wasserstein-2 distance to held-out data, 500 points");
const SUPPORT: [Named; 4] = [
    ("precision", SHARE, "share of the samples within reach of the data, 2,000 points"),
    ("recall", SHARE, "share of the held-out data within reach of the samples"),
    ("density", POSITIVE, "samples within reach of a held-out point, over the number expected; 1: as in the data"),
    ("coverage", SHARE, "share of the held-out data that have a sample in reach"),
];
const VARIANCE: Named = ("variance_ratio", POSITIVE, "total variance of the samples over that of the training points; 1: none lost");
const MEMORISATION: Named =
    ("memorisation_ratio", POSITIVE, "distance to the nearest training point over that to the nearest held-out point; 1: none");

/// Values of (samples, held-out points).
pub(super) type Function<'f> = &'f dyn Fn(ArrayView2<f64>, ArrayView2<f64>) -> Result<Vec<f64>>;

/// What a metric is computed of.
pub(super) struct Sets<'a> {
    pub samples: Rows<'a>,
    pub held_out: Rows<'a>,
    /// What stands for the samples in the floor.
    pub floor: Option<Rows<'a>>,
}

/// A subset, or the whole set itself.
pub(super) type Rows<'a> = CowArray<'a, f64, Ix2>;

impl<'a> Sets<'a> {
    pub fn new([samples, held_out, training]: [ArrayView2<'a, f64>; 3], size: usize, seed: u64) -> Self {
        let few = |x: ArrayView2<'a, f64>, which| if x.nrows() <= size { x.into() } else { subset(x, size, seed, which).into() };
        Sets { samples: few(samples, 0), held_out: few(held_out, 1), floor: Some(few(training, 2)) }
    }

    /// The first rows of each, as many as the smallest has.
    fn of_equal_size(&self) -> Sets<'_> {
        let n = self.floor.iter().chain([&self.samples, &self.held_out]).map(|x| x.nrows()).min().unwrap_or(0);
        Sets {
            samples: self.samples.slice(s![..n, ..]).into(),
            held_out: self.held_out.slice(s![..n, ..]).into(),
            floor: self.floor.as_ref().map(|x| x.slice(s![..n, ..]).into()),
        }
    }
}

/// How metrics are computed again.
pub(super) struct Resampling {
    pub seed: u64,
    pub count: usize,
    pub floors: bool,
}

impl Resampling {
    pub fn measure(&self, names: &[Named], sets: &Sets, f: Function<'_>) -> Result<Vec<Measure>> {
        let values = f(sets.samples.view(), sets.held_out.view())?;
        let floors = sets.floor.as_ref().filter(|_| self.floors).map(|x| f(x.view(), sets.held_out.view())).transpose()?;
        let mut halves = Vec::new();
        for b in 0..self.halves(sets) as u64 {
            let half = |x: &Rows, which: u64| subset(x.view(), x.nrows() / 2, self.seed, HALVES + 2 * b + which);
            halves.push(f(half(&sets.samples, 0).view(), half(&sets.held_out, 1).view())?);
        }
        Ok(stated(names, &values, floors.as_deref(), &halves))
    }

    /// [`discrepancies`], whose halves take one pass together.
    fn pairs(&self, names: &[Named], sets: &Sets, h: f64) -> Result<Vec<Measure>> {
        let count = self.halves(sets);
        let held_out = self.members(sets.held_out.view(), count, 1);
        let found = discrepancies(&self.members(sets.samples.view(), count, 0), &held_out, h)?;
        let floor = sets.floor.as_ref().filter(|_| self.floors);
        let floor =
            floor.map(|x| discrepancies(&self.members(x.view(), 0, 0), &self.members(sets.held_out.view(), 0, 1), h)).transpose()?;
        let halves: Vec<Vec<f64>> = found[1..].iter().map(|half| half.to_vec()).collect();
        Ok(stated(names, &found[0], floor.as_ref().map(|floor| &floor[0][..]), &halves))
    }

    fn members<'a>(&self, x: ArrayView2<'a, f64>, count: usize, which: u64) -> Members<'a> {
        Members::new(x, count, self.seed, move |b| HALVES + 2 * b + which)
    }

    /// How many halves there are: with fewer points than a neighbour's number they say nothing.
    fn halves(&self, sets: &Sets) -> usize {
        if sets.samples.nrows().min(sets.held_out.nrows()) > 4 * NEIGHBOUR { self.count } else { 0 }
    }
}

/// Measures of these values, with intervals from those of halves.
fn stated(names: &[Named], values: &[f64], floors: Option<&[f64]>, halves: &[Vec<f64>]) -> Vec<Measure> {
    let interval = |i: usize| {
        let all: Vec<f64> = halves.iter().map(|h| h[i]).collect();
        let mean = all.iter().sum::<f64>() / all.len() as f64;
        let variance = all.iter().map(|v| (v - mean).powi(2)).sum::<f64>() / (all.len() as f64 - 1.0);
        let (reach, [least, most]) = (NORMAL_975 * variance.sqrt(), names[i].1);
        let inside = least < values[i] && values[i] < most;
        (all.len() > 1 && reach.is_finite() && inside).then(|| [(values[i] - reach).max(least), (values[i] + reach).min(most)])
    };
    let each = names.iter().enumerate().map(|(i, (name, _, meaning))| Measure {
        name,
        value: Some(values[i]).filter(|v| !v.is_nan()),
        floor: floors.map(|f| f[i]).filter(|v| !v.is_nan()),
        interval: interval(i),
        meaning,
    });
    each.collect()
}
