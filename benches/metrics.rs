//! Metrics over all pairs of 2,000 samples and 4,000 points: few dimensions subtract coordinates, more take matrix products.
//! `RAYON_NUM_THREADS=1` for one thread.

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use ndarray::Array2;
use ndsm::metrics::energy_distance;
use ndsm::rng::{Purpose, Stream};
use std::hint::black_box;

fn normals(n: usize, d: usize, seed: u64) -> Array2<f64> {
    let mut z = Array2::zeros((n, d));
    Stream::new(seed, Purpose::Test, 0, 0).fill_normal(z.as_slice_mut().expect("a new array"));
    z
}

fn pairs(c: &mut Criterion) {
    let mut group = c.benchmark_group("energy distance n=2000 m=4000");
    group.sample_size(20).throughput(Throughput::Elements(2000 * 4000 + 2000 * 2000 + 4000 * 4000));
    for d in [2, 8, 16, 32, 33, 64] {
        let (x, y) = (normals(2000, d, 1), normals(4000, d, 2));
        group.bench_function(format!("d={d}"), |b| {
            b.iter(|| energy_distance(black_box(x.view()), black_box(y.view())).expect("a distance"))
        });
    }
    group.finish();
}

criterion_group!(benches, pairs);
criterion_main!(benches);
