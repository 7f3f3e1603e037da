//! One training step of the MLP 14-128-128-128-2, batch 1,024, and of a U-Net on 28 x 28 images, batch 64:
//! loss, gradient, Adam. One block on one thread, and two blocks on two.

#[path = "../tests/common/training.rs"]
mod training;

use criterion::{BenchmarkGroup, Criterion, criterion_group, criterion_main, measurement::WallTime};
use ndsm::nn::ScoreNet;
use ndsm::rng::{Purpose, Stream};
use training::{Recorded, Training};

/// Normals for every input of a loss that was recorded for 1/`blocks` of the batch.
fn step(group: &mut BenchmarkGroup<WallTime>, name: &str, threads: usize, recorded: Recorded, params: Vec<f32>) {
    let ws = &mut recorded.program.workspace().unwrap();
    let draw = |(chunk, var)| {
        let mut v = vec![0f32; threads * ws.input_mut(var).unwrap().len()];
        Stream::new(0, Purpose::Test, 0, chunk).fill_normal(&mut v);
        v
    };
    let batch = (0..).zip(recorded.inputs.clone()).map(draw).collect();
    let mut training = Training::new(recorded, batch, threads, params, training::adam().unwrap()).unwrap();
    let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
    group.bench_function(format!("{name}/threads-{threads}"), |b| pool.install(|| b.iter(|| training.step().unwrap())));
}

fn train_step(c: &mut Criterion) {
    let mut group = c.benchmark_group("train-step");
    for threads in [1, 2] {
        let net = ScoreNet::new(2, 128, 3, 6).unwrap();
        step(&mut group, "mlp-14-128x3-2/batch-1024", threads, training::mlp(&net, 1024 / threads).unwrap(), net.init(0));
        let net = training::unet([28, 28, 1], 32, &[1, 2, 2]).unwrap();
        step(&mut group, "unet-32-64-64/batch-64", threads, training::regression(&net, 64 / threads).unwrap(), net.init(0));
    }
    group.finish();
}

criterion_group!(benches, train_step);
criterion_main!(benches);
