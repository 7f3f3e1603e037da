//! One iteration of expectation-maximisation: n = 100,000, d = 16, k = 10, f64. `RAYON_NUM_THREADS=1` for one thread.
//!
//! Floor with full covariances: 1e6 pairs (point, component) of 136 multiply-adds each for the whitening and for the
//! scatter matrices, 0.54 GFLOP in all.

use criterion::{Criterion, criterion_group, criterion_main};
use ndarray::{Array1, Array2, Array3};
use ndsm::mixture::{CovarianceKind, Covariances, Draw, Em, Mixture, em_step};
use ndsm::rng::{Purpose, Stream};
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
    for kind in CovarianceKind::ALL {
        let covariances = match kind {
            CovarianceKind::Spherical => Covariances::Spherical(Array1::from_elem(K, 4.0)),
            CovarianceKind::Diagonal => Covariances::Diagonal(Array2::from_elem((K, D), 4.0)),
            CovarianceKind::Full => Covariances::Full(Array3::from_shape_fn((K, D, D), |(_, i, j)| eye[[i, j]])),
            CovarianceKind::Tied => Covariances::Tied(eye.clone()),
        };
        let start = Mixture::new(Array1::from_elem(K, 0.1), law.means().to_owned() + 0.5, covariances).expect("a start");
        group.bench_function(kind.name(), |b| b.iter(|| black_box(em.step(&start, 1e-6))));
        if kind == CovarianceKind::Full {
            group.bench_function("full, data prepared anew", |b| b.iter(|| black_box(em_step(x.view(), &start, 1e-6))));
        }
    }
    group.finish();
}

criterion_group!(benches, em);
criterion_main!(benches);
