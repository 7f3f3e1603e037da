//! Random mixtures of every kind against what they must satisfy; every case is fixed by its seed.

use ndarray::{Array1, Array2, Array3, ArrayView1, Axis};
use ndsm::Real;
use ndsm::mixture::{CovarianceKind, Covariances, Draw, Em, Evaluator, Mixture};
use ndsm::rng::{Purpose, Stream};
use ndsm::simd::{Kernel, Level, W, dispatch_at};
use proptest::prelude::*;
use proptest::test_runner::RngSeed;

fn config(cases: u32) -> ProptestConfig {
    ProptestConfig { cases, rng_seed: RngSeed::Fixed(405), failure_persistence: None, ..ProptestConfig::default() }
}

fn normals(stream: &mut Stream, rows: usize, columns: usize, scale: f64) -> Array2<f64> {
    Array2::from_shape_simple_fn((rows, columns), || scale * stream.normal::<f64>())
}

/// A mixture with means of size 2, standard deviations of about 0.5 to 2, and weights above 1/(5 k).
fn mixture(kind: CovarianceKind, d: usize, k: usize, seed: u64) -> Mixture {
    let mut s = Stream::new(seed, Purpose::Test, 0, 0);
    let weights = Array1::from_shape_simple_fn(k, || 0.25 + s.uniform::<f64>());
    let means = normals(&mut s, k, d, 2.0);
    let matrix = |s: &mut Stream| {
        let a = normals(s, d, d, 0.5) + Array2::<f64>::eye(d) * 0.8;
        a.dot(&a.t()) + Array2::<f64>::eye(d) * 0.1
    };
    let covariances = match kind {
        CovarianceKind::Full => {
            let mut all = Array3::zeros((k, d, d));
            all.outer_iter_mut().for_each(|mut c| c.assign(&matrix(&mut s)));
            Covariances::Full(all)
        }
        CovarianceKind::Tied => Covariances::Tied(matrix(&mut s)),
        CovarianceKind::Diagonal => Covariances::Diagonal(Array2::from_shape_simple_fn((k, d), || 0.3 + 2.0 * s.uniform::<f64>())),
        CovarianceKind::LowRank(q) => {
            let mut loadings = Array3::zeros((k, q, d));
            loadings.outer_iter_mut().for_each(|mut l| l.assign(&normals(&mut s, q, d, 1.0)));
            Covariances::LowRank { loadings, noise: Array1::from_shape_simple_fn(k, || 0.2 + s.uniform::<f64>()) }
        }
        CovarianceKind::Spherical => Covariances::Spherical(Array1::from_shape_simple_fn(k, || 0.3 + 2.0 * s.uniform::<f64>())),
    };
    Mixture::new(&weights / weights.sum(), means, covariances).unwrap()
}

fn any_mixture() -> impl Strategy<Value = Mixture> {
    (0..5usize, 1..6usize, 1..7usize, 1..4usize, any::<u64>()).prop_map(|(kind, d, k, q, seed)| {
        let kind = CovarianceKind::ALL[kind];
        mixture(if matches!(kind, CovarianceKind::LowRank(_)) { CovarianceKind::LowRank(q.min(d)) } else { kind }, d, k, seed)
    })
}

/// Points where the mixture lives, and some a little outside.
fn points(law: &Mixture, n: usize, seed: u64) -> Array2<f64> {
    let mut x = law.sample(n, seed, Purpose::Data, Draw::Independent).unwrap().0;
    x.rows_mut().into_iter().step_by(3).for_each(|mut x| x *= 1.5);
    x
}

/// ln pi(x) by its definition: matrices inverted by elimination, nothing shared with the library.
fn log_density(law: &Mixture, x: ArrayView1<f64>) -> f64 {
    let logs: Vec<f64> = (0..law.components())
        .map(|k| {
            let v = &x - &law.means().row(k);
            let (solution, log_det) = eliminate(law.covariance(k), v.clone());
            law.weights()[k].ln() - 0.5 * (v.dot(&solution) + log_det + law.dim() as f64 * std::f64::consts::TAU.ln())
        })
        .collect();
    let top = logs.iter().fold(f64::NEG_INFINITY, |m, l| m.max(*l));
    top + logs.iter().map(|l| (l - top).exp()).sum::<f64>().ln()
}

/// a^-1 b and ln det a by Gauss's elimination (a is positive definite: no pivoting).
fn eliminate(mut a: Array2<f64>, mut b: Array1<f64>) -> (Array1<f64>, f64) {
    let n = b.len();
    let mut log_det = 0.0;
    for p in 0..n {
        log_det += a[[p, p]].ln();
        for i in (0..n).filter(|i| *i != p) {
            let f = a[[i, p]] / a[[p, p]];
            for j in p..n {
                a[[i, j]] -= f * a[[p, j]];
            }
            b[i] -= f * b[p];
        }
    }
    (Array1::from_shape_fn(n, |i| b[i] / a[[i, i]]), log_det)
}

/// f'(0) by central differences of fourth order.
fn derivative(f: impl Fn(f64) -> f64) -> f64 {
    let h = 1e-3;
    (8.0 * (f(h) - f(-h)) - (f(2.0 * h) - f(-2.0 * h))) / (12.0 * h)
}

fn close(a: f64, b: f64, tol: f64) -> bool {
    (a - b).abs() <= tol * (1.0 + b.abs())
}

proptest! {
    #![proptest_config(config(200))]

    #[test]
    fn density_is_its_definition_and_the_score_its_gradient(law in any_mixture(), seed in any::<u64>()) {
        let x = points(&law, 5, seed);
        let (density, score) = (law.log_density(x.view()).unwrap(), law.score(x.view()).unwrap());
        for (i, x) in x.outer_iter().enumerate() {
            prop_assert!(close(density[i], log_density(&law, x), 1e-12));
            let norm = score.row(i).dot(&score.row(i)).sqrt();
            for j in 0..law.dim() {
                let moved = |t: f64| {
                    let mut y = x.to_owned();
                    y[j] += t;
                    log_density(&law, y.view())
                };
                prop_assert!((derivative(moved) - score[[i, j]]).abs() <= 1e-6 * norm.max(0.01), "{} {}", derivative(moved), score[[i, j]]);
            }
        }
    }

    #[test]
    fn the_hessian_is_the_gradient_of_the_score(law in any_mixture(), seed in any::<u64>()) {
        let x = points(&law, 3, seed);
        let hessians = law.hessians(x.view()).unwrap();
        for (x, hessian) in x.outer_iter().zip(hessians.outer_iter()) {
            prop_assert_eq!(&law.hessian(x).unwrap(), &hessian);
            let norm = hessian.iter().map(|h| h * h).sum::<f64>().sqrt();
            for ((i, j), h) in hessian.indexed_iter() {
                let moved = |t: f64| {
                    let mut y = x.to_owned();
                    y[j] += t;
                    law.score(y.insert_axis(Axis(0)).view()).unwrap()[[0, i]]
                };
                prop_assert!((derivative(moved) - h).abs() <= 1e-6 * norm, "{} {h}", derivative(moved));
            }
        }
    }

    #[test]
    fn responsibilities_sum_to_one_in_the_far_tails(law in any_mixture(), seed in any::<u64>()) {
        let mut x = normals(&mut Stream::new(seed, Purpose::Test, 1, 0), 40, law.dim(), 1.0);
        for mut x in x.rows_mut() {
            let norm = x.dot(&x).sqrt();
            x *= 1e3 / norm;
        }
        let r = law.responsibilities(x.view()).unwrap();
        for r in r.outer_iter() {
            prop_assert!((r.sum() - 1.0).abs() <= 4.0 * f64::EPSILON && r.iter().all(|r| (0.0..=1.0).contains(r)));
        }
        prop_assert!(law.log_density(x.view()).unwrap().iter().all(|l| l.is_finite()));
        prop_assert!(law.score(x.view()).unwrap().iter().all(|s| s.is_finite()));
        let narrow = Evaluator::<f32>::new(&law);
        let x: Vec<f32> = x.iter().map(|x| *x as f32).collect();
        let mut r = vec![0f32; 40 * law.components()];
        narrow.responsibilities(&x, &mut r).unwrap();
        for r in r.chunks_exact(law.components()) {
            prop_assert!((r.iter().sum::<f32>() - 1.0).abs() <= 4.0 * f32::EPSILON);
        }
    }

    /// Affine maps by the change of variables; marginals against affine maps and against themselves in two
    /// steps; the floor by its definition.
    #[test]
    fn images_of_a_mixture(
        law in any_mixture(), seed in any::<u64>(), alpha in 0.1..1.5f64, variance in 0.0..2.0f64, rho in 0.0..1.0f64
    ) {
        let d = law.dim();
        let eye = Array2::<f64>::eye(d);
        let mut s = Stream::new(seed, Purpose::Test, 2, 0);
        let a = normals(&mut s, d, d, 0.2) + &eye;
        let b = normals(&mut s, 1, d, 1.0).row(0).to_owned();
        // ln |det A| is half of that of A A^T.
        let log_det = 0.5 * eliminate(a.dot(&a.t()), b.clone()).1;
        let x = points(&law, 6, seed);
        let image = law.affine(a.view(), b.view()).unwrap();
        let (before, after) = (law.log_density(x.view()).unwrap(), image.log_density((x.dot(&a.t()) + &b).view()).unwrap());
        for (before, after) in before.iter().zip(&after) {
            prop_assert!(close(before - log_det, *after, 1e-7), "{before} {after} {log_det}");
        }
        let noiseless = law.marginal(alpha, 0.0).unwrap();
        let mapped = law.affine((&eye * alpha).view(), Array1::zeros(d).view()).unwrap();
        let twice = law.marginal(alpha, variance).unwrap().marginal(0.7, 0.3).unwrap();
        let once = law.marginal(0.7 * alpha, 0.49 * variance + 0.3).unwrap();
        for (one, two) in [(noiseless, mapped), (twice, once)] {
            let (one, two) = (one.log_density(x.view()).unwrap(), two.log_density(x.view()).unwrap());
            prop_assert!(one.iter().zip(&two).all(|(a, b)| close(*a, *b, 1e-10)));
        }
        let expected = law.total_covariance() * (alpha * alpha) + &eye * variance;
        let noised = law.marginal(alpha, variance).unwrap();
        prop_assert_eq!(noised.kind(), law.kind());
        prop_assert!((noised.total_covariance() - expected).iter().all(|e| e.abs() <= 1e-11));
        let floored = law.floored(rho).unwrap();
        prop_assert_eq!(floored.kind(), law.kind());
        // Of low rank: what the kind can hold of C_bar beside the loadings.
        let pooled = match law.kind() {
            CovarianceKind::LowRank(_) => &eye * law.pooled_variance(),
            _ => law.pooled_covariance(),
        };
        prop_assert!(close(law.pooled_variance(), law.pooled_covariance().diag().sum() / d as f64, 1e-13));
        for k in 0..law.components() {
            let expected = law.covariance(k) * (1.0 - rho) + &pooled * rho;
            prop_assert!((floored.covariance(k) - expected).iter().all(|e| e.abs() <= 1e-12));
        }
    }

    /// The evaluator in both precisions, at every level, as blocks and as rows.
    #[test]
    fn evaluators_agree_with_the_mixture(law in any_mixture(), seed in any::<u64>()) {
        let x = points(&law, 37, seed);
        check_evaluator::<f64>(&law, &x, 1e-12)?;
        check_evaluator::<f32>(&law, &x, 2e-4)?;
    }

    /// An iteration of EM never lowers the likelihood (beyond what its floor of 1e-9 costs).
    #[test]
    fn em_climbs(kind in 0..5usize, d in 1..5usize, k in 1..5usize, seed in any::<u64>()) {
        let kind = CovarianceKind::ALL[kind];
        let (x, _) = mixture(kind, d, k, seed).sample(400, seed, Purpose::Data, Draw::Independent).unwrap();
        let em = Em::new(x.view()).unwrap();
        let mut law = mixture(kind, d, k + 1, seed.wrapping_add(1));
        let mut last = f64::NEG_INFINITY;
        for _ in 0..15 {
            let (next, mean) = em.step(&law, 1e-9).unwrap();
            prop_assert!(mean >= last - 1e-7, "{mean} after {last}");
            (law, last) = (next, mean);
        }
    }
}

struct Blocks<'a, R> {
    evaluator: &'a Evaluator<R>,
    x: &'a [[R; W]],
}

impl<R: Real> Kernel for Blocks<'_, R> {
    type Output = (Vec<[R; W]>, Vec<[R; W]>, [R; W], [R; W]);
    #[inline(always)]
    fn run<const FMA: bool>(self) -> Self::Output {
        let mut scratch = self.evaluator.scratch();
        let mut score = vec![[R::zero(); W]; self.evaluator.dim()];
        let mut r = vec![[R::zero(); W]; self.evaluator.components()];
        self.evaluator.score_block::<FMA>(self.x, &mut score, &mut scratch);
        let first = self.evaluator.responsibilities_block::<FMA>(self.x, &mut r, &mut scratch);
        let second = self.evaluator.log_density_block::<FMA>(self.x, &mut scratch);
        (score, r, first, second)
    }
}

fn check_evaluator<R: Real>(law: &Mixture, x: &Array2<f64>, tol: f64) -> Result<(), TestCaseError> {
    let (n, d, k) = (x.nrows(), law.dim(), law.components());
    let evaluator = Evaluator::<R>::new(law);
    let flat: Vec<R> = x.iter().map(|x| R::of(*x)).collect();
    // The points as rounded to R: the mixture must be asked at the same ones.
    let rounded = Array2::from_shape_fn((n, d), |(i, j)| flat[i * d + j].f64());
    let (density, score) = (law.log_density(rounded.view()).unwrap(), law.score(rounded.view()).unwrap());
    let r = law.responsibilities(rounded.view()).unwrap();
    let mut rows = (vec![R::zero(); n], vec![R::zero(); n * d], vec![R::zero(); n * k]);
    evaluator.log_density(&flat, &mut rows.0).unwrap();
    evaluator.score(&flat, &mut rows.1).unwrap();
    evaluator.responsibilities(&flat, &mut rows.2).unwrap();
    for (got, exact) in [(&rows.0, density.iter().collect::<Vec<_>>()), (&rows.1, score.iter().collect()), (&rows.2, r.iter().collect())] {
        for (got, exact) in got.iter().zip(exact) {
            prop_assert!(close(got.f64(), *exact, tol), "{got} {exact}");
        }
    }
    let lanes: Vec<[R; W]> = (0..d).map(|j| std::array::from_fn(|i| flat[i * d + j])).collect();
    for level in [Level::Baseline, Level::Avx2, Level::Avx512] {
        let block = dispatch_at(level, Blocks { evaluator: &evaluator, x: &lanes });
        for i in 0..W {
            prop_assert!((0..d).all(|j| close(block.0[j][i].f64(), score[[i, j]], tol)));
            prop_assert!((0..k).all(|c| close(block.1[c][i].f64(), r[[i, c]], tol)));
            prop_assert!(close(block.2[i].f64(), density[i], tol) && close(block.3[i].f64(), density[i], tol));
        }
    }
    prop_assert!(evaluator.score(&flat[1..], &mut rows.1).is_err() && evaluator.log_density(&flat, &mut rows.0[1..]).is_err());
    Ok(())
}

/// VP marginals against Monte Carlo: alpha X_0 + sqrt(1 - alpha^2) Z has the moments, and the density, of
/// `marginal`. Five standard errors for each of at most 21 numbers of 10 mixtures: a right library fails with
/// probability below 1e-4.
#[test]
fn vp_marginals_have_the_law_of_simulated_points() {
    let n = 40_000;
    for (case, kind) in CovarianceKind::ALL.into_iter().cycle().take(10).enumerate() {
        let law = mixture(kind, 1 + case % 5, 1 + case % 6, case as u64);
        let d = law.dim();
        let alpha = (-0.5 * (0.2 + 0.3 * case as f64)).exp();
        let variance = 1.0 - alpha * alpha;
        let exact = law.marginal(alpha, variance).unwrap();
        let (x, _) = law.sample(n, 11, Purpose::Data, Draw::Independent).unwrap();
        let z = normals(&mut Stream::new(11, Purpose::Noise, 0, 0), n, d, variance.sqrt());
        let y = x * alpha + z;
        let (mean, covariance) = (exact.total_mean(), exact.total_covariance());
        for i in 0..d {
            let error = (y.column(i).mean().unwrap() - mean[i]).abs();
            assert!(error <= 5.0 * (covariance[[i, i]] / n as f64).sqrt(), "case {case}: mean {i} is off by {error}");
            for j in 0..=i {
                let products = (&y.column(i) - mean[i]) * (&y.column(j) - mean[j]);
                let error = (products.mean().unwrap() - covariance[[i, j]]).abs();
                assert!(error <= 5.0 * products.std(1.0) / (n as f64).sqrt(), "case {case}: covariance {i} {j} is off by {error}");
            }
        }
        // The mean of N(m; y, s I) is the density at m of the law with s more variance.
        let s = 0.5;
        let m = exact.means().row(0).to_owned();
        let kernel = y.map_axis(Axis(1), |y| (-0.5 * (&y - &m).mapv(|v| v * v).sum() / s).exp());
        let blurred = exact.marginal(1.0, s).unwrap().log_density(m.insert_axis(Axis(0)).view()).unwrap()[0];
        let expected = (blurred + 0.5 * d as f64 * (std::f64::consts::TAU * s).ln()).exp();
        let error = (kernel.mean().unwrap() - expected).abs();
        assert!(error <= 5.0 * kernel.std(1.0) / (n as f64).sqrt(), "case {case}: {expected} is off by {error}");
    }
}
