//! A Hessian-vector product beside the gradient of the same loss: `cargo bench --bench second_order`.

use criterion::{Criterion, criterion_group, criterion_main};
use ndsm::nn::ScoreNet;
use ndsm::rng::{Purpose, Stream};
use ndsm::tape::{Record, Recorder, SecondOrder, Var};
use ndsm::{Real, Result};

/// The mean square of the 14-128-128-128-2 network over 256 rows.
struct Loss(ScoreNet);
const ROWS: usize = 256;

impl Record for Loss {
    fn record<R: Real>(&self, r: &mut Recorder<R>) -> Result<Var> {
        let x = r.input("x", &[ROWS, self.0.inputs()])?;
        let s = self.0.record(r, x)?;
        let square = r.square(s)?;
        r.mean(square)
    }
}

fn both<R: Real>(c: &mut Criterion) {
    let loss = Loss(ScoreNet::new(2, 128, 3, 6).expect("a network"));
    let draw = |n: usize, chunk: u32| {
        let mut x = vec![R::zero(); n];
        Stream::new(1, Purpose::Test, 0, chunk).fill_normal(&mut x);
        x
    };
    let x = draw(ROWS * loss.0.inputs(), 0);
    let params: Vec<R> = draw(loss.0.parameter_count(), 1).into_iter().map(|p| p * R::of(0.1)).collect();
    let v = draw(params.len(), 2);
    let mut group = c.benchmark_group(format!("second order {}", R::NAME));

    let mut r = Recorder::<R>::new();
    let y = loss.record(&mut r).expect("a program");
    let program = r.finish();
    let mut ws = program.workspace().expect("memory");
    ws.input_mut(program.input("x").expect("x")).expect("x").copy_from_slice(&x);
    let mut grad = vec![R::zero(); params.len()];
    group.bench_function("gradient", |b| {
        b.iter(|| {
            grad.fill(R::zero());
            program.forward(&params, &mut ws).expect("a forward pass");
            program.backward(&params, &mut ws, &[(y, &[R::one()])], &mut grad).expect("a backward pass");
        });
    });

    let mut dual = SecondOrder::new(&loss).expect("a program");
    dual.set_input("x", &x).expect("x");
    let mut hv = vec![R::zero(); params.len()];
    group.bench_function("hessian_vector", |b| b.iter(|| dual.hessian_vector(&params, &v, &mut grad, &mut hv).expect("a product")));
    group.finish();
}

fn all(c: &mut Criterion) {
    both::<f32>(c);
    both::<f64>(c);
}

criterion_group!(benches, all);
criterion_main!(benches);
