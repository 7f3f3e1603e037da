//! Mixtures: expectation-maximisation, and the score in few dimensions.
//!
//! One iteration of EM: n = 100,000, d = 16, k = 10, f64. `RAYON_NUM_THREADS=1` for one thread.
//!
//! Floor with full covariances: 1e6 pairs (point, component) of 136 multiply-adds each for the whitening and
//! for the scatter matrices, 0.54 GFLOP in all.
//!
//! A whole fit of low rank in as many dimensions as images have, a wide one (see `FitOptions`): k = 10, rank
//! 10, d = 784, n = 2,000. `NDSM_BENCH_POINTS=60000` makes it the size of MNIST.

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use ndarray::{Array1, Array2, Array3};
use ndsm::mixture::{Count, CovarianceKind, Covariances, Draw, Em, Evaluator, FitOptions, Mixture, em_step, fit};
use ndsm::rng::{Purpose, Stream};
use ndsm::simd::{Kernel, W, dispatch};
use std::hint::black_box;

const N: usize = 100_000;
const D: usize = 16;
const K: usize = 10;

/// Components three standard deviations of a normal apart, with covariances A A^T, A = 0.7 I + normals/4.
fn law() -> Mixture {
    let mut stream = Stream::new(0, Purpose::Test, 0, 0);
    let mut normal = |rows: usize, scale: f64| {
        let mut z = vec![0.0; rows * D];
        stream.fill_normal(&mut z);
        Array2::from_shape_fn((rows, D), |(i, j)| scale * z[i * D + j])
    };
    let means = normal(K, 3.0);
    let mut covariances = Array3::zeros((K, D, D));
    for mut c in covariances.outer_iter_mut() {
        let a = normal(D, 0.25) + Array2::<f64>::eye(D) * 0.7;
        c.assign(&a.dot(&a.t()));
    }
    Mixture::new(Array1::from_elem(K, 0.1), means, Covariances::Full(covariances)).expect("positive definite")
}

fn em(c: &mut Criterion) {
    let law = law();
    let (x, _) = law.sample(N, 1, Purpose::Data, Draw::Independent).expect("a sample");
    let eye = Array2::<f64>::eye(D) * 4.0;
    let mut group = c.benchmark_group("em n=100000 d=16 k=10");
    group.sample_size(20);
    let em = Em::new(x.view()).expect("finite data");
    for kind in
        [CovarianceKind::Spherical, CovarianceKind::Diagonal, CovarianceKind::Full, CovarianceKind::Tied, CovarianceKind::LowRank(4)]
    {
        let covariances = match kind {
            CovarianceKind::Spherical => Covariances::Spherical(Array1::from_elem(K, 4.0)),
            CovarianceKind::Diagonal => Covariances::Diagonal(Array2::from_elem((K, D), 4.0)),
            CovarianceKind::Full => Covariances::Full(Array3::from_shape_fn((K, D, D), |(_, i, j)| eye[[i, j]])),
            CovarianceKind::Tied => Covariances::Tied(eye.clone()),
            CovarianceKind::LowRank(_) => Covariances::alike(kind, K, law.total_covariance().view()).expect("an eigendecomposition"),
        };
        let start = Mixture::new(Array1::from_elem(K, 0.1), law.means().to_owned() + 0.5, covariances).expect("a start");
        group.bench_function(kind.name(), |b| b.iter(|| black_box(em.step(&start, 1e-6))));
        if kind == CovarianceKind::Full {
            group.bench_function("full, data prepared anew", |b| b.iter(|| black_box(em_step(x.view(), &start, 1e-6))));
        }
    }
    group.finish();
}

/// Clusters of low rank, with two directions more than the fit has.
fn wide(c: &mut Criterion) {
    let (k, q, d) = (10, 10, 784);
    let n = std::env::var("NDSM_BENCH_POINTS").ok().and_then(|n| n.parse().ok()).unwrap_or(2000);
    let mut stream = Stream::new(0, Purpose::Test, 1, 0);
    let means = Array2::from_shape_simple_fn((k, d), || 0.2 * stream.normal::<f64>());
    let loadings = Array3::from_shape_fn((k, q + 2, d), |(_, i, _)| 0.3 / (1.0 + i as f64) * stream.normal::<f64>());
    let law = Mixture::new(Array1::from_elem(k, 0.1), means, Covariances::LowRank { loadings, noise: Array1::from_elem(k, 0.02) });
    let x = law.expect("a mixture").sample(n, 1, Purpose::Data, Draw::Independent).expect("a sample").0;
    let options = FitOptions { kind: CovarianceKind::LowRank(q), components: Count::Fixed(k), ..FitOptions::default() };
    let mut group = c.benchmark_group("fit d=784 k=10");
    group.sample_size(10);
    group.bench_function(format!("low rank 10, n={n}"), |b| b.iter(|| black_box(fit(x.view(), &options))));
    group.finish();
}

/// The score alone, d = 2, k = 8, spherical, f32, in registers: what a step of Langevin dynamics costs
/// besides its normals. Floor: 8 exponentials a point.
struct Drift<'a> {
    evaluator: &'a Evaluator<f32>,
    x: &'a mut [[[f32; W]; 2]],
}

const STEPS: usize = 100;

impl Kernel for Drift<'_> {
    type Output = ();
    #[inline(always)]
    fn run<const FMA: bool>(self) {
        let mut scratch = self.evaluator.scratch();
        for x in self.x {
            for _ in 0..STEPS {
                let mut score = [[0f32; W]; 2];
                self.evaluator.score_block::<FMA>(&x[..], &mut score, &mut scratch);
                for j in 0..2 {
                    for i in 0..W {
                        x[j][i] += 0.005 * score[j][i];
                    }
                }
            }
        }
    }
}

fn score(c: &mut Criterion) {
    let angle = |k: usize| std::f64::consts::FRAC_PI_4 * k as f64;
    let means = Array2::from_shape_fn((8, 2), |(k, j)| 4.0 * if j == 0 { angle(k).cos() } else { angle(k).sin() });
    let variances = Array1::from_shape_fn(8, |k| (0.4 + 0.05 * k as f64).powi(2));
    let weights = Array1::from_shape_fn(8, |k| (k + 1) as f64 / 36.0);
    let law = Mixture::new(weights, means, Covariances::Spherical(variances)).expect("a mixture");
    let evaluator = Evaluator::<f32>::new(&law);
    let mut x = vec![[[0f32; W]; 2]; 64];
    Stream::new(1, Purpose::Start, 0, 0).fill_normal(x.as_flattened_mut().as_flattened_mut());
    let mut group = c.benchmark_group("score d=2 k=8 spherical f32");
    group.throughput(Throughput::Elements((64 * W * STEPS) as u64));
    group.bench_function("drift step", |b| b.iter(|| dispatch(Drift { evaluator: &evaluator, x: &mut x })));
    group.finish();
}

criterion_group!(benches, em, wide, score);
criterion_main!(benches);
