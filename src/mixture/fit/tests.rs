//! What a fit must find, and what it must say where there is nothing to find.

use super::*;
use crate::data::law::{self, Law};
use crate::linalg::symmetric_eigen;
use crate::mixture::{Draw, Group};
use approx::assert_abs_diff_eq;
use ndarray::{Array3, array};

fn options(kind: CovarianceKind, components: Count) -> FitOptions {
    FitOptions { kind, components, ..FitOptions::default() }
}

fn four_modes(n: usize, seed: u64) -> Array2<f64> {
    let means = array![[4.0, 4.0], [4.0, -4.0], [-4.0, 4.0], [-4.0, -4.0]];
    let law = Mixture::new(array![0.4, 0.3, 0.2, 0.1], means, Covariances::Spherical(Array1::from_elem(4, 0.25))).unwrap();
    law.sample(n, seed, Purpose::Data, Draw::Independent).unwrap().0
}

/// The component of `found` whose mean is nearest to `mean`.
fn nearest(found: &Mixture, mean: ndarray::ArrayView1<f64>) -> usize {
    let distance = |k: usize| (&found.means().row(k) - &mean).mapv(|v| v * v).sum();
    (0..found.components()).min_by(|a, b| distance(*a).total_cmp(&distance(*b))).unwrap()
}

#[test]
fn bic_finds_four_modes() {
    for kind in CovarianceKind::ALL {
        for seed in 0..3 {
            let x = four_modes(1000, seed);
            let found = fit(x.view(), &options(kind, Count::Auto { max: 12 })).unwrap();
            assert_eq!(found.mixture.components(), 4, "{} {seed}: {:?}", kind.name(), found.tried);
            assert!(found.tried.len() == 7 && found.converged && found.notes.is_empty());
            assert!(found.tried.iter().all(|t| t.bic >= found.bic));
            // Weights within four standard errors (0.0155 each) of .4 .3 .2 .1.
            let mut w = found.mixture.weights().to_vec();
            w.sort_by(f64::total_cmp);
            assert!(w.iter().zip([0.1, 0.2, 0.3, 0.4]).all(|(w, e)| (w - e).abs() <= 0.062), "{w:?}");
        }
    }
}

/// BIC = p ln n - 2 n (mean log-likelihood) with p counted by hand: for k = 2 components in d = 3 dimensions
/// a weight, six means, and the covariances' own numbers.
#[test]
fn bic_counts_each_parameter_once() {
    let (n, d) = (1000, 3);
    let mut x = vec![0.0; n * d];
    Stream::new(4, Purpose::Test, 0, 0).fill_normal(&mut x);
    let x = Array2::from_shape_fn((n, d), |(i, j)| x[i * d + j] + if i % 3 == 0 { 3.0 } else { 0.0 });
    for (kind, own) in [
        (CovarianceKind::Spherical, 2),
        (CovarianceKind::Diagonal, 2 * 3),
        (CovarianceKind::Full, 2 * 6),
        (CovarianceKind::Tied, 6),
        (CovarianceKind::LowRank(1), 2 * (3 + 1)),
        // Two loadings may be turned in their plane: 6 numbers, one of them free to choose.
        (CovarianceKind::LowRank(2), 2 * (6 - 1 + 1)),
    ] {
        let found = fit(x.view(), &options(kind, Count::Fixed(2))).unwrap();
        let log_likelihood = found.mixture.log_density(x.view()).unwrap().sum();
        let parameters = (found.bic + 2.0 * log_likelihood) / (n as f64).ln();
        assert_abs_diff_eq!(parameters, f64::from(1 + 6 + own), epsilon = 1e-6);
    }
}

/// 8,000 points of three overlapping components come back within the errors that such a sample leaves.
#[test]
fn a_known_mixture_is_recovered() {
    let means = array![[0.0, 0.0], [4.0, 1.0], [-1.0, 5.0]];
    for kind in CovarianceKind::ALL {
        let covariances = match kind {
            CovarianceKind::Full => {
                let c = [[[1.0, 0.6], [0.6, 1.0]], [[0.5, -0.3], [-0.3, 1.5]], [[2.0, 0.0], [0.0, 0.3]]];
                Covariances::Full(Array3::from_shape_fn((3, 2, 2), |(k, i, j)| c[k][i][j]))
            }
            CovarianceKind::Diagonal => Covariances::Diagonal(array![[1.0, 0.5], [0.3, 1.5], [2.0, 0.3]]),
            CovarianceKind::Spherical => Covariances::Spherical(array![1.0, 0.4, 0.8]),
            CovarianceKind::Tied => Covariances::Tied(array![[1.0, 0.5], [0.5, 0.8]]),
            CovarianceKind::LowRank(_) => {
                Covariances::LowRank { loadings: array![[[0.8, 0.6]], [[-0.3, 0.9]], [[1.2, 0.0]]], noise: array![0.4, 0.5, 0.3] }
            }
        };
        let law = Mixture::new(array![0.5, 0.3, 0.2], means.clone(), covariances).unwrap();
        let (x, _) = law.sample(8000, 5, Purpose::Data, Draw::Independent).unwrap();
        let found = fit(x.view(), &FitOptions { tolerance: 1e-8, ..options(kind, Count::Fixed(3)) }).unwrap();
        let truth = law.log_density(x.view()).unwrap().mean().unwrap();
        let last = *found.log_likelihood.last().unwrap();
        // The maximum is above the truth, by about p/(2 n).
        assert!(last >= truth && last <= truth + 3.0 * law.parameters() as f64 / 16_000.0, "{}: {last} {truth}", kind.name());
        assert_eq!(found.iterations + 1, found.log_likelihood.len());
        assert!(found.log_likelihood.windows(2).all(|w| w[1] >= w[0] - 1e-9), "monotone");
        for k in 0..3 {
            let c = nearest(&found.mixture, means.row(k));
            assert!((found.mixture.weights()[c] - law.weights()[k]).abs() <= 0.03);
            assert!((&found.mixture.means().row(c) - &means.row(k)).iter().all(|e| e.abs() <= 0.15), "{}", found.mixture.means());
            assert!((found.mixture.covariance(c) - law.covariance(k)).iter().all(|e| e.abs() <= 0.25), "{}", found.mixture.covariance(c));
        }
    }
}

/// Long clusters side by side, all alike: k-means on the data as they are cuts across them, and a start from
/// the data's total covariance loses all means in one point.
#[test]
fn a_tied_covariance_does_not_collapse() {
    for seed in 0..4 {
        let means = Array2::from_shape_fn((4, 3), |(k, j)| if j == 1 { 2.5 * k as f64 } else { 0.0 });
        let c = array![[9.0, 0.5, 0.0], [0.5, 0.2, 0.0], [0.0, 0.0, 4.0]];
        let law = Mixture::new(Array1::from_elem(4, 0.25), means, Covariances::Tied(c)).unwrap();
        let (x, _) = law.sample(2000, seed, Purpose::Data, Draw::Independent).unwrap();
        let found = fit(x.view(), &FitOptions { seed, ..options(CovarianceKind::Tied, Count::Fixed(4)) }).unwrap();
        let truth = law.log_density(x.view()).unwrap().mean().unwrap();
        assert!(*found.log_likelihood.last().unwrap() >= truth, "seed {seed}: {:?} {truth}", found.log_likelihood.last());
    }
}

#[test]
fn a_fit_does_not_depend_on_the_threads() {
    let x = four_modes(3000, 1);
    for kind in CovarianceKind::ALL {
        let fit_on = |threads| {
            let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
            let found = pool.install(|| fit(x.view(), &options(kind, Count::Fixed(5))).unwrap());
            (found.mixture.means().to_owned(), found.mixture.covariances().clone(), found.log_likelihood)
        };
        assert_eq!(fit_on(1), fit_on(3));
    }
}

/// Duplicates, constant columns, tiny and huge units, as many components as points: a finite mixture each
/// time.
#[test]
fn awkward_data_give_finite_mixtures() {
    let x = four_modes(60, 2);
    let mut constant = Array2::from_elem((60, 3), 0.1);
    constant.slice_mut(ndarray::s![.., ..2]).assign(&x);
    let mut twice = ndarray::concatenate(Axis(0), &[x.view(), x.view(), x.view()]).unwrap();
    twice.slice_mut(ndarray::s![..90, ..]).fill(1.0);
    let few = array![[0.0, 0.0], [0.0, 0.0], [0.0, 0.0], [1.0, 0.0], [1.0, 0.0], [5.0, 2.0]];
    let line = Array2::from_shape_fn((40, 3), |(i, j)| i as f64 * (j + 1) as f64);
    let mut scales = x.clone();
    scales.column_mut(0).mapv_inplace(|v| 1e8 * (v + 1e3));
    scales.column_mut(1).mapv_inplace(|v| 1e-8 * v);
    for kind in CovarianceKind::ALL {
        let cases = [(&constant, 4), (&twice, 5), (&few, 3), (&line, 4), (&scales, 4), (&x.slice(ndarray::s![..8, ..]).to_owned(), 8)];
        for (case, (data, k)) in cases.into_iter().enumerate() {
            let found = fit(data.view(), &options(kind, Count::Fixed(k))).unwrap_or_else(|e| panic!("{} {case}: {e}", kind.name()));
            let density = found.mixture.log_density(data.view()).unwrap();
            assert!(density.iter().all(|l| l.is_finite()) && found.bic.is_finite(), "{} {case}", kind.name());
            assert!(found.mixture.weights().iter().all(|w| *w >= 0.0));
            assert_eq!(found.notes.iter().any(|n| n.contains("column 2 is constant")), case == 0, "{:?}", found.notes);
        }
        let auto = fit(few.view(), &options(kind, Count::Auto { max: 10 })).unwrap();
        assert!(auto.tried.len() <= 3);
    }
}

#[test]
fn many_constant_columns_are_one_note() {
    let mut x = Array2::from_shape_fn((30, 12), |(i, j)| ((i * (j + 3)) % 17) as f64);
    for j in 1..11 {
        x.column_mut(j).fill(3.0);
    }
    let found = fit(x.view(), &options(CovarianceKind::Diagonal, Count::Fixed(2))).unwrap();
    let said: Vec<&String> = found.notes.iter().filter(|note| note.contains("constant")).collect();
    assert!(said.len() == 1 && said[0].starts_with("10 columns are constant (1, 2, 3, 4, 5, 6, 7, 8, ...)"), "{said:?}");
}

/// Units do not matter: other scales of the columns give the same clusters.
#[test]
fn the_floor_follows_the_units() {
    let x = four_modes(300, 3);
    let scaled = &x * &array![1e6, 1e-6];
    for kind in [CovarianceKind::Diagonal, CovarianceKind::Full, CovarianceKind::Tied] {
        let o = FitOptions { restarts: 2, ..options(kind, Count::Fixed(4)) };
        let (a, b) = (fit(x.view(), &o).unwrap(), fit(scaled.view(), &o).unwrap());
        let (a, b) = (a.log_likelihood.last().unwrap().to_owned(), b.log_likelihood.last().unwrap().to_owned());
        assert!((a - b).abs() <= 1e-4, "{}: {a} {b}", kind.name());
    }
}

/// A component that explains nothing comes back to life at the point that is explained worst.
#[test]
fn an_empty_component_is_restarted() {
    let x = ndarray::concatenate![Axis(0), four_modes(200, 4), array![[40.0, 40.0]]];
    let options = options(CovarianceKind::Full, Count::Fixed(2));
    let fitter = Fitter::new(x.view(), &options, &|_| {}).unwrap();
    let start = Mixture::new(
        array![1.0, 0.0],
        array![[0.0, 0.0], [1.0, 1.0]],
        Covariances::alike(CovarianceKind::Full, 2, Array2::eye(2).view()).unwrap(),
    )
    .unwrap();
    let run = fitter.climb(start).unwrap();
    assert_eq!(run.notes, ["component 1 was empty and was restarted at the worst-explained point, row 200"]);
    assert!(run.mixture.weights()[1] > 0.0 && run.converged);
    assert!(run.last() > run.log_likelihood[0]);
}

#[test]
fn what_cannot_be_fitted_is_refused_in_a_sentence() {
    let x = four_modes(20, 1);
    let few = array![[0.0], [0.0], [1.0], [-0.0]];
    let base = options(CovarianceKind::Full, Count::Fixed(3));
    let mut nan = x.clone();
    nan[[7, 1]] = f64::NAN;
    let cases = [
        (
            few.clone(),
            base.clone(),
            "mixture fit: 3 components need at least as many different points, got 4 points of which 2 are different",
        ),
        (few, FitOptions { components: Count::Fixed(99_999_999_999), ..base.clone() }, "99999999999 components need at least"),
        (nan, base.clone(), "mixture fit: data: must be finite, got NaN in row 7, column 1"),
        (Array2::from_elem((9, 2), 0.3), FitOptions { components: Count::Fixed(1), ..base.clone() }, "all points are the same"),
        (Array2::zeros((0, 2)), base.clone(), "at least one point"),
        (Array2::zeros((2, 0)), base.clone(), "at least one coordinate"),
        (&x * 1e200, base.clone(), "column 0 are too large to be squared"),
        (x.clone(), FitOptions { components: Count::Fixed(0), ..base.clone() }, "components: must be >= 1, got 0"),
        (x.clone(), FitOptions { components: Count::Auto { max: 0 }, ..base.clone() }, "largest number of components: must be >= 1"),
        (x.clone(), FitOptions { restarts: 0, ..base.clone() }, "restarts: must be >= 1"),
        (x.clone(), FitOptions { max_iterations: 0, ..base.clone() }, "max_iterations: must be >= 1"),
        (x.clone(), FitOptions { tolerance: f64::NAN, ..base.clone() }, "tolerance: must be >= 0 and finite, got NaN"),
        (x.clone(), FitOptions { floor: 0.0, ..base.clone() }, "floor: must be > 0 and at most 1, got 0"),
    ];
    for (x, options, words) in cases {
        let e = fit(x.view(), &options).map(|_| ()).unwrap_err().to_string();
        assert!(e.contains(words), "{e:?} lacks {words:?}");
    }
    let one = Mixture::new(array![1.0], array![[0.0]], Covariances::Spherical(array![1.0])).unwrap();
    assert!(em_step(x.view(), &one, 0.0).is_err());
    assert!(em_step(x.slice(ndarray::s![.., ..1]), &one, -1.0).is_err());
    // A component on a single point without a floor.
    let point = Mixture::new(array![1.0], array![[0.0]], Covariances::Full(array![[[1.0]]])).unwrap();
    let e = em_step(array![[2.0], [2.0]].view(), &point, 0.0).map(|_| ()).unwrap_err().to_string();
    assert!(e.contains("must be positive definite"), "{e}");
}

/// Orbits in the plane, weights free.
fn along(name: &str) -> Symmetry {
    Symmetry { group: Group::named(name, 2, None).unwrap(), exact: false }
}

/// Free numbers of an averaged covariance, by brute force: the rank of the average over the group on
/// symmetric matrices.
fn rank_of_average(group: &Group) -> usize {
    let d = group.dim();
    let images: Vec<f64> = (0..d)
        .flat_map(|i| (0..=i).map(move |j| (i, j)))
        .flat_map(|(i, j)| {
            let mut unit = Array2::<f64>::zeros((d, d));
            unit[[i, j]] += 1.0;
            unit[[j, i]] += 1.0;
            group.average(unit.view())
        })
        .collect();
    let images = Array2::from_shape_vec((d * (d + 1) / 2, d * d), images).unwrap();
    symmetric_eigen(images.dot(&images.t()).view()).unwrap().values.iter().filter(|v| **v > 1e-9).count()
}

/// In the plane: a turn leaves multiples of the identity, a mirror two numbers. Beyond, what the rank
/// says.
#[test]
fn parameters_are_those_that_a_fit_can_move() {
    for (name, free) in [("none", 5), ("c2", 6), ("c3", 5), ("c4", 6), ("d2", 7), ("d4", 10), ("negation", 6)] {
        let parameters = along(name).parameters(CovarianceKind::Tied, 1, 2);
        assert_eq!(parameters, free, "{name}: {parameters} counted, {free} free");
    }
    // A mirror whose axis is no coordinate axis.
    let (s, c) = 0.7f64.sin_cos();
    let mirror = array![[c, s, 0.0], [s, -c, 0.0], [0.0, 0.0, 1.0]];
    let groups = [
        Group::named("c3", 3, None),
        Group::named("d5", 4, None),
        Group::named("signs", 3, None),
        Group::named("permutations", 4, None),
        Group::named("permutations+signs", 3, None),
        Group::named("shifts", 6, None),
        Group::named("quarter-turns", 9, Some((3, 3))),
        Group::named("mirror+quarter-turns", 9, Some((3, 3))),
        Group::named("translations", 6, Some((2, 3))),
        Group::from_matrices("tilted", 3, &[mirror.view()]),
    ];
    for group in groups.map(Result::unwrap) {
        let (d, free) = (group.dim(), rank_of_average(&group));
        let name = group.name().to_owned();
        let tie = Symmetry { group, exact: true };
        assert_eq!(tie.parameters(CovarianceKind::Tied, 2, d), 1 + 2 * d + free, "{name}");
        // What belongs to one orbit alone is not averaged: every number of it is free.
        for kind in CovarianceKind::ALL.into_iter().filter(|kind| *kind != CovarianceKind::Tied) {
            assert_eq!(tie.parameters(kind, 2, d), kind.parameters(2, d), "{name} {}", kind.name());
        }
    }
}

/// BIC counts what the fit can move; the warning of too few points counts what an orbit has for itself, its
/// mean.
#[test]
fn bic_counts_the_free_numbers_of_a_tied_covariance() {
    let x = law::near_c4().unwrap().sample(300, 1, 0);
    let options =
        FitOptions { kind: CovarianceKind::Tied, components: Count::Fixed(1), symmetry: Some(along("c4")), ..FitOptions::default() };
    let found = fit(x.view(), &options).unwrap();
    let counted = (found.bic + 600.0 * found.log_likelihood.last().unwrap()) / 300f64.ln();
    assert!((counted - 6.0).abs() <= 1e-9, "{counted} parameters");
    let few = |n: usize| fit(x.slice(ndarray::s![..n, ..]), &FitOptions { components: Count::Fixed(2), ..options.clone() }).unwrap();
    assert!(few(3).notes.iter().any(|n| n.contains("fewer points than their 2 parameters")), "{:?}", few(3).notes);
    assert!(few(40).notes.iter().all(|n| !n.contains("fewer points")), "{:?}", few(40).notes);
}
