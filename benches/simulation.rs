//! Simulation on one thread: normals, Brownian paths, Langevin dynamics in the plane, and one step in 16
//! dimensions by (15) and by Euler.
//!
//! A path-step in the plane with 8 components is 8 exponentials, 2 normals and about 130 operations.

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use ndarray::{Array1, Array2, Array3};
use ndsm::Real;
use ndsm::mixture::{Covariances, Mixture};
use ndsm::rng::{Purpose, Stream};
use ndsm::sde::brownian::{Cursor, Tree};
use ndsm::sde::{ComponentStep, EulerMaruyama, Langevin, Paths, simulate};
use ndsm::simd::{Kernel, W, dispatch};

const PATHS: Paths = Paths { seed: 0, purpose: Purpose::Test, step: 0 };

fn normal<R: Real>(n: usize, scale: f64) -> Vec<R> {
    let mut x = vec![R::zero(); n];
    Stream::new(1, Purpose::Test, 0, 0).fill_normal(&mut x);
    x.into_iter().map(|x| R::of(scale) * x).collect()
}

fn normals(c: &mut Criterion) {
    fn run<R: Real>(c: &mut Criterion) {
        const N: usize = 1 << 14; // fits the second-level cache
        let mut out = vec![R::zero(); N];
        let mut group = c.benchmark_group("normals");
        group.throughput(Throughput::Elements(N as u64));
        group.bench_function(R::NAME, |b| b.iter(|| Stream::new(0, Purpose::Test, 0, 0).fill_normal(&mut out)));
        group.finish();
    }
    run::<f32>(c);
    run::<f64>(c);
}

/// 8 spherical components on a circle of radius 4; 100,000 paths of 100 steps.
fn langevin(c: &mut Criterion) {
    const N: usize = 100_000;
    const STEPS: usize = 100;
    let means = Array2::from_shape_fn((8, 2), |(k, j)| {
        let angle = k as f64 * std::f64::consts::FRAC_PI_4;
        4.0 * if j == 0 { angle.cos() } else { angle.sin() }
    });
    let variances = Array1::linspace(0.4, 0.75, 8).mapv(|s| s * s);
    let pi = Mixture::new(Array1::linspace(1.0, 8.0, 8) / 36.0, means, Covariances::Spherical(variances)).expect("a mixture");
    let sde = Langevin::<f32>::new(&pi, 1.0).expect("a process");
    let grid: Vec<f64> = (0..=STEPS).map(|i| i as f64 / STEPS as f64).collect();
    let start: Vec<f32> = normal(2 * N, 4.0);
    let mut x = start.clone();
    let mut group = c.benchmark_group("langevin d=2 k=8");
    group.throughput(Throughput::Elements((N * STEPS) as u64)).sample_size(10);
    group.bench_function("100000 paths x 100 steps", |b| {
        b.iter(|| {
            x.copy_from_slice(&start);
            simulate(&EulerMaruyama, &sde, &grid, &mut x, PATHS)
        });
    });
    group.finish();
}

/// 20 components in 16 dimensions; 10,000 paths, one step.
fn component(c: &mut Criterion) {
    const N: usize = 10_000;
    const D: usize = 16;
    const K: usize = 20;
    let a = normal::<f64>(K * D * D, 0.25);
    let mut covariances = Array3::zeros((K, D, D));
    for (k, mut c) in covariances.outer_iter_mut().enumerate() {
        let a = Array2::from_shape_fn((D, D), |(i, j)| a[(k * D + i) * D + j] + if i == j { 0.7 } else { 0.0 });
        c.assign(&a.dot(&a.t()));
    }
    let m = normal::<f64>(K * D, 3.0);
    let means = Array2::from_shape_fn((K, D), |(i, j)| m[i * D + j]);
    let weights = Array1::from_elem(K, 1.0 / K as f64);
    let variances = Array1::from_elem(K, 0.6);
    let start: Vec<f32> = normal(N * D, 3.0);
    let mut x = start.clone();
    let mut group = c.benchmark_group("one step d=16 k=20");
    group.throughput(Throughput::Elements(N as u64)).sample_size(20);
    for (name, covariances) in [("full", Covariances::Full(covariances)), ("spherical", Covariances::Spherical(variances))] {
        let pi = Mixture::new(weights.clone(), means.clone(), covariances).expect("a mixture");
        let (sde, step) = (Langevin::<f32>::new(&pi, 1.0).expect("a process"), ComponentStep::<f32>::new(&pi, 1.0).expect("a step"));
        group.bench_function(format!("{name}, Euler"), |b| {
            b.iter(|| {
                x.copy_from_slice(&start);
                simulate(&EulerMaruyama, &sde, &[0.0, 1e-3], &mut x, PATHS)
            });
        });
        group.bench_function(format!("{name}, component-wise"), |b| {
            b.iter(|| {
                x.copy_from_slice(&start);
                step.step(1e-3, &mut x, PATHS)
            });
        });
    }
    group.finish();
}

/// Walks a Brownian path through `times`; what `fill_normal` takes for as many normals is the yardstick.
struct Walk<'c, 'a, R> {
    cursor: &'c mut Cursor<'a, R>,
    times: &'c [f64],
    /// Blocks of W, H and K.
    parts: [usize; 3],
}

impl<R: Real> Kernel for Walk<'_, '_, R> {
    const VECTORS: bool = R::VECTORS;
    type Output = R;
    #[inline(always)]
    fn run<const FMA: bool>(self) -> R {
        let [mut w, mut h, mut k] = [[[R::zero(); W]; 2]; 3];
        let mut sum = R::zero();
        for t in self.times.windows(2) {
            let (h, k) = (&mut h[..self.parts[1]], &mut k[..self.parts[2]]);
            self.cursor.increment::<FMA>(t[0], t[1], &mut w[..self.parts[0]], h, k).expect("times inside of the grid");
            sum += w[0][0];
        }
        sum
    }
}

/// 1,024 steps of 16 paths in two dimensions: on the cells of a tree, on the nodes of one cell, and at other
/// times.
fn brownian(c: &mut Criterion) {
    fn run<R: Real>(c: &mut Criterion) {
        const STEPS: usize = 1024;
        const D: usize = 2;
        let dyadic: Vec<f64> = (0..=STEPS).map(|n| n as f64 / STEPS as f64).collect();
        let other: Vec<f64> = (0..=STEPS).map(|n| n as f64 / (STEPS + 1) as f64).collect();
        let mut group = c.benchmark_group(format!("brownian {}", R::NAME));
        group.throughput(Throughput::Elements((STEPS * D * W) as u64));
        let mut out = vec![R::zero(); STEPS * D * W];
        group.bench_function("plain normals", |b| b.iter(|| Stream::new(0, Purpose::Test, 0, 0).fill_normal(&mut out)));
        for (name, grid, times) in
            [("cells", &dyadic[..], &dyadic), ("nodes", &[0.0, 1.0][..], &dyadic), ("other times", &[0.0, 1.0][..], &other)]
        {
            let tree = Tree::new(PATHS, grid).expect("a grid");
            let mut cursor = tree.cursor::<R>(0, D);
            for (parts, name_of_parts) in [([D, 0, 0], "W"), ([D, D, 0], "W, H"), ([D, D, D], "W, H, K")] {
                let walk = |b: &mut criterion::Bencher<'_>| b.iter(|| dispatch(Walk { cursor: &mut cursor, times, parts }));
                group.bench_function(format!("{name}: {name_of_parts}"), walk);
            }
        }
        group.finish();
    }
    run::<f32>(c);
    run::<f64>(c);
}

fn simulation(c: &mut Criterion) {
    rayon::ThreadPoolBuilder::new().num_threads(1).build_global().expect("the only pool");
    [normals, brownian, langevin, component].into_iter().for_each(|bench| bench(c));
}

criterion_group!(benches, simulation);
criterion_main!(benches);
