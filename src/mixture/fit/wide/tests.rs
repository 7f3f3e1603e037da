//! Against the passes by reflections, on problems of 70 dimensions.

use super::super::{Criterion, Em};
use super::*;
use crate::mixture::{Covariances, Draw, Mixture};
use ndarray::{Array2, Array3, array};

/// Three clusters of low rank in 70 dimensions, two of them near each other.
fn law() -> Mixture {
    let (d, mut stream) = (70, Stream::new(5, Purpose::Test, 0, 0));
    let loadings = Array3::from_shape_simple_fn((3, 2, d), || stream.normal::<f64>());
    let means = Array2::from_shape_fn((3, d), |(k, j)| [0.0, 0.25, 3.0][k] + 0.1 * j as f64);
    Mixture::new(array![0.5, 0.3, 0.2], means, Covariances::LowRank { loadings, noise: array![0.5, 1.0, 0.2] }).unwrap()
}

fn sample(n: usize) -> Array2<f64> {
    law().sample(n, 3, Purpose::Test, Draw::Independent).unwrap().0
}

fn options(components: Count) -> FitOptions {
    FitOptions { kind: CovarianceKind::LowRank(2), components, ..FitOptions::default() }
}

/// The law about the mean of the points, with orthogonal loadings.
fn centred(mixture: &Mixture, mean: &Array1<f64>) -> Law {
    let mut law = Law::alike(mixture.covariances().clone()).unwrap();
    law.weights = mixture.weights().to_owned();
    law.means = &mixture.means() - mean;
    law
}

fn dense(shares: &Shares) -> Array2<f64> {
    let mut r = Array2::zeros((shares.n, shares.of.len()));
    for (c, of) in shares.of.iter().enumerate() {
        of.iter().for_each(|(i, share)| r[[*i as usize, c]] = *share);
    }
    r
}

fn near(a: &Array2<f64>, b: &Array2<f64>, tolerance: f64) -> bool {
    a.dim() == b.dim() && a.iter().zip(b).all(|(a, b)| (a - b).abs() <= tolerance)
}

/// Responsibilities, likelihood and entropy by products, over near components alone and by reflections.
#[test]
fn products_give_what_reflections_give() {
    let (x, law) = (sample(1500), law());
    let (points, mean) = Points::new(x.view()).unwrap();
    let exact = law.responsibilities(x.view()).unwrap();
    let log_density = law.log_density(x.view()).unwrap();
    let entropy: f64 = exact.iter().filter(|r| **r > 0.0).map(|r| -r * r.ln()).sum();
    assert!(entropy > 0.3, "no point is shared: {entropy}");
    let mut all = Near::default();
    let shares = expect(&points, &centred(&law, &mean), Some(&mut all)).unwrap();
    let again = all.expect(&points, &centred(&law, &mean)).unwrap();
    for shares in [shares, again] {
        assert!(near(&dense(&shares), &exact, 1e-10));
        assert!((shares.log_likelihood() - log_density.mean().unwrap()).abs() <= 1e-10);
        assert!((shares.entropy - entropy).abs() <= 1e-8);
        let worst = (0..1500).fold(0, |best, i| if log_density[i] < log_density[best] { i } else { best });
        assert_eq!(shares.worst.1, worst);
    }
    // A noise that products would drown goes by reflections: the mean of the densities is theirs.
    let mut thin = law.clone();
    for noise in [1e-9, 1e-12] {
        let Covariances::LowRank { loadings, .. } = law.covariances() else { unreachable!() };
        let covariances = Covariances::LowRank { loadings: loadings.clone(), noise: Array1::from_elem(3, noise) };
        thin = Mixture::new(law.weights().to_owned(), law.means().to_owned(), covariances).unwrap();
        assert!(expect::Form::new(&points, &centred(&thin, &mean)).is_none());
        let got = expect(&points, &centred(&thin, &mean), None).unwrap().log_likelihood();
        let exact = thin.log_density(x.view()).unwrap().mean().unwrap();
        assert!((got / exact - 1.0).abs() <= 1e-9, "{got} {exact}");
    }
    assert_eq!(thin.components(), 3);
}

/// An M step of one round is that of `Em`, from the same mixture, to the rounding of the sums.
#[test]
fn one_round_is_the_step_of_em() {
    let (x, law) = (sample(1500), law());
    let (points, mean) = Points::new(x.view()).unwrap();
    let start = Mixture::new(law.weights().to_owned(), &law.means() + 0.1, law.covariances().clone()).unwrap();
    let em = Em::new(x.view()).unwrap();
    let exact = em.m_step(&em.e_step(&start).unwrap(), &start, &[1e-6; 70]).unwrap();
    let from = centred(&start, &mean);
    let shares = expect(&points, &from, None).unwrap();
    let next = maximise(&points, &shares, &from, 1e-6, 1).unwrap().mixture(mean.view()).unwrap();
    assert!(next.weights().iter().zip(exact.weights()).all(|(a, b)| (a - b).abs() <= 1e-12));
    assert!(near(&next.means().to_owned(), &exact.means().to_owned(), 1e-10));
    for c in 0..3 {
        assert!(near(&next.covariance(c), &exact.covariance(c), 1e-8), "component {c}");
    }
    // More rounds are more likely.
    let likely = |rounds| {
        let law = maximise(&points, &shares, &from, 1e-6, rounds).unwrap();
        expect(&points, &law, None).unwrap().log_likelihood()
    };
    assert!(likely(4) > likely(1));
}

/// With more components than there are, over iterations that look at all components and at near ones: the
/// likelihood does not fall, and where it ends no iteration of `Em` finds more.
#[test]
fn the_likelihood_does_not_fall() {
    let x = sample(1200);
    let options = FitOptions { tolerance: 1e-12, floor: 1e-9, max_iterations: 2000, ..options(Count::Fixed(9)) };
    let found = fit(x.view(), &options, &|_| {}).unwrap();
    assert!(found.iterations > 2 * EVERY && found.converged, "{} iterations", found.iterations);
    for (i, pair) in found.log_likelihood.windows(2).enumerate() {
        assert!(pair[1] >= pair[0] - 1e-9, "iteration {i}: {} after {}", pair[1], pair[0]);
    }
    let em = Em::new(x.view()).unwrap();
    let (next, last) = em.step(&found.mixture, 0.0).unwrap();
    assert!((last - found.log_likelihood.last().unwrap()).abs() <= 1e-9);
    assert!(em.e_step(&next).unwrap().log_likelihood() - last <= 1e-6);
}

/// The law is found again: three components, whether the number is given or looked for, and a likelihood no
/// less than its own.
#[test]
fn the_number_of_components_is_found_by_splitting() {
    let x = sample(3000);
    let truth = law().log_density(x.view()).unwrap().mean().unwrap();
    for criterion in [Criterion::Bic, Criterion::Icl] {
        let found = fit(x.view(), &FitOptions { criterion, ..options(Count::Auto { max: 8 }) }, &|_| {}).unwrap();
        assert_eq!(found.mixture.components(), 3, "{:?}", found.tried);
        assert!(*found.log_likelihood.last().unwrap() >= truth);
        let counts: Vec<usize> = found.tried.iter().map(|t| t.components).collect();
        assert!(counts.iter().enumerate().all(|(i, k)| i + 1 == *k) && counts.len() >= 4, "{counts:?}");
        let least = found.tried.iter().min_by(|a, b| a.value(criterion).total_cmp(&b.value(criterion))).unwrap();
        assert!(least.components == 3 && (least.bic - found.bic).abs() <= 1e-6, "{} {}", least.bic, found.bic);
    }
}

/// More points than starts are looked for in, on 1, 2 and 3 threads: the same bits.
#[test]
fn threads_change_nothing() {
    let x = sample(2 * START_POINTS + 77);
    let on = |threads: usize| {
        let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
        let told = std::sync::Mutex::new(Vec::new());
        let watch = |p: &Progress| told.lock().unwrap().push(p.clone());
        let found = pool.install(|| fit(x.view(), &options(Count::Auto { max: 3 }), &watch)).unwrap();
        (found, told.into_inner().unwrap())
    };
    let (one, told) = on(1);
    assert!(told.iter().any(|p| p.to_string().starts_with("3 components, iteration 1, mean log-likelihood -")), "{told:?}");
    for threads in [2, 3] {
        let (other, said) = on(threads);
        assert_eq!((&one.log_likelihood, one.mixture.means(), &one.tried), (&other.log_likelihood, other.mixture.means(), &other.tried));
        assert_eq!((one.mixture.covariances(), &told), (other.mixture.covariances(), &said));
    }
}

/// Bad input meets the sentences that it meets elsewhere, and constant columns are noted.
#[test]
fn what_cannot_be_fitted_is_refused() {
    let refused = |x: &Array2<f64>, components| super::super::fit(x.view(), &options(components)).map(|_| ()).unwrap_err().to_string();
    let mut x = sample(6);
    assert!(refused(&x, Count::Fixed(7)).contains("7 components need at least as many different points, got 6 points"));
    assert!(refused(&Array2::zeros((5, 70)), Count::Fixed(1)).contains("all points are the same"));
    x[[2, 3]] = f64::NAN;
    assert!(refused(&x, Count::Fixed(1)).contains("NaN in row 2, column 3"));
    x[[2, 3]] = 1e300;
    assert!(refused(&x, Count::Fixed(1)).contains("too large to be squared"));
    let mut x = sample(40);
    x.column_mut(9).fill(2.0);
    // Copies of a few points: components collapse onto the floor, and nothing breaks.
    let copies = ndarray::concatenate(ndarray::Axis(0), &[x.view(), x.view(), x.view()]).unwrap();
    let found = super::super::fit(copies.view(), &options(Count::Fixed(12))).unwrap();
    assert!(found.notes.iter().any(|note| note.contains("column 9 is constant")));
    assert!(found.log_likelihood.iter().all(|l| l.is_finite()));
}
