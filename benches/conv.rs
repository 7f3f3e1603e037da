//! Convolutions of a U-Net on images of 28 x 28, batch 64, one thread: forward pass, gradient of the input,
//! gradient of the weights, and a square matrix product to compare with. Criterion's "elements" are
//! floating-point operations.

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use ndsm::rng::{Purpose, Stream};
use ndsm::tape::{Conv2d, Recorder};

const BATCH: usize = 64;
/// Size of the image, channels before and after, kernel, stride.
const LAYERS: [[usize; 5]; 12] = [
    [28, 1, 32, 3, 1],
    [28, 32, 32, 3, 1],
    [28, 32, 32, 3, 2],
    [14, 32, 64, 1, 1],
    [14, 32, 64, 3, 1],
    [14, 64, 64, 3, 1],
    [14, 64, 64, 3, 2],
    [7, 64, 64, 3, 1],
    [7, 128, 64, 3, 1],
    [28, 96, 32, 1, 1],
    [28, 96, 32, 3, 1],
    [28, 32, 1, 3, 1],
];

fn fill(x: &mut [f32], chunk: u32) {
    Stream::new(0, Purpose::Test, 0, chunk).fill_normal(x);
}

fn matrices(c: &mut Criterion) {
    let mut r = Recorder::<f32>::new();
    let (a, b) = (r.input("a", &[1024, 1024]).unwrap(), r.input("b", &[1024, 1024]).unwrap());
    r.matmul(a, b).unwrap();
    let program = r.finish();
    let mut ws = program.workspace().unwrap();
    fill(ws.input_mut(a).unwrap(), 0);
    fill(ws.input_mut(b).unwrap(), 1);
    let mut group = c.benchmark_group("matmul");
    group.throughput(Throughput::Elements(2 << 30));
    group.bench_function("1024x1024x1024", |bencher| bencher.iter(|| program.forward(&[], &mut ws).unwrap()));
}

fn convolutions(c: &mut Criterion) {
    for [size, from, to, kernel, stride] in LAYERS {
        let mut group = c.benchmark_group(format!("conv-{size}x{size}-{from}-{to}-{kernel}x{kernel}-stride-{stride}"));
        for pass in ["forward", "input-gradient", "weight-gradient"] {
            let mut r = Recorder::<f32>::new();
            let mut leaf = |name: &str, shape: &[usize], wanted: bool| {
                if wanted { r.input_with_gradient(name, shape) } else { r.input(name, shape) }.unwrap()
            };
            let x = leaf("x", &[BATCH, size, size, from], pass == "input-gradient");
            let w = leaf("w", &[kernel, kernel, from, to], pass == "weight-gradient");
            let b = leaf("b", &[to], false);
            let padding = [kernel / 2; 2];
            let y = r.conv2d_bias(x, w, b, Conv2d { stride: [stride; 2], padding, groups: 1 }).unwrap();
            let n = r.shape(y).unwrap().iter().product::<usize>();
            let program = r.finish();
            let mut ws = program.workspace().unwrap();
            let mut dy = vec![0.0; n];
            fill(ws.input_mut(x).unwrap(), 0);
            fill(ws.input_mut(w).unwrap(), 1);
            fill(&mut dy, 2);
            program.forward(&[], &mut ws).unwrap();
            group.throughput(Throughput::Elements(2 * (n * kernel * kernel * from) as u64));
            group.bench_function(pass, |bencher| {
                bencher.iter(|| match pass {
                    "forward" => program.forward(&[], &mut ws).unwrap(),
                    _ => program.backward(&[], &mut ws, &[(y, &dy)], &mut []).unwrap(),
                });
            });
        }
        group.finish();
    }
}

criterion_group!(benches, matrices, convolutions);
criterion_main!(benches);
