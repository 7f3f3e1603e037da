//! One training step of the MLP 14-128-128-128-2, batch 1,024: mean of |sigma net(x) + z|^2, its gradient, Adam. One block on
//! one thread, and two blocks on two.

use criterion::{Criterion, criterion_group, criterion_main};
use ndsm::nn::ScoreNet;
use ndsm::optim::{Adam, Decay, Schedule};
use ndsm::rng::{Purpose, Stream};
use ndsm::tape::{Blocks, Recorder};

const BATCH: usize = 1024;

fn train_step(c: &mut Criterion) {
    let mut group = c.benchmark_group("train-step");
    for threads in [1, 2] {
        let net = ScoreNet::new(2, 128, 3, 6).unwrap();
        let n = BATCH / threads;
        let mut r = Recorder::<f32>::new();
        let x = r.input("x", &[n, net.inputs()]).unwrap();
        let (sigma, z) = (r.input("sigma", &[n, 1]).unwrap(), r.input("z", &[n, 2]).unwrap());
        let s = net.record(&mut r, x).unwrap();
        let scaled = r.mul(s, sigma).unwrap();
        let off = r.add(scaled, z).unwrap();
        let per_row = r.row_dot(off, off).unwrap();
        let loss = r.mean(per_row).unwrap();
        let program = r.finish();

        let draw = |len: usize, chunk: u32| {
            let mut v = vec![0f32; len];
            Stream::new(0, Purpose::Test, 0, chunk).fill_normal(&mut v);
            v
        };
        let (rows, noise, sigmas) = (draw(BATCH * net.inputs(), 0), draw(BATCH * 2, 1), vec![0.7f32; n]);
        let mut params = net.init::<f32>(0);
        let mut grad = vec![0.0; params.len()];
        let mut blocks = Blocks::new(&program, threads).unwrap();
        let adam = Adam::new(Schedule::new(1e-3, 0, 1, Decay::Constant).unwrap());
        let mut state = adam.start(&params).unwrap();
        let seed = [1.0 / threads as f32];
        let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
        group.bench_function(format!("mlp-14-128x3-2/batch-1024/threads-{threads}"), |b| {
            pool.install(|| {
                b.iter(|| {
                    let work = |block: usize, params: &[f32], ws: &mut ndsm::tape::Workspace<f32>, grad: &mut [f32]| {
                        let width = n * net.inputs();
                        ws.input_mut(x)?.copy_from_slice(&rows[block * width..][..width]);
                        ws.input_mut(z)?.copy_from_slice(&noise[block * n * 2..][..n * 2]);
                        ws.input_mut(sigma)?.copy_from_slice(&sigmas);
                        program.forward(params, ws)?;
                        program.backward(params, ws, &[(loss, &seed)], grad)
                    };
                    blocks.run(&params, &mut grad, work).unwrap();
                    adam.step(&mut params, &grad, &mut state).unwrap()
                });
            });
        });
    }
    group.finish();
}

criterion_group!(benches, train_step);
criterion_main!(benches);
