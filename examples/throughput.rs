//! One kind of work, timed: a line to lay beside those of other libraries.
//!
//! ```text
//! cargo run --release --example throughput -- WORK [--threads N] [--inputs DIR] [--json]
//! ```
//! | work | what one unit is |
//! |---|---|
//! | `mlp-small` | a step of Adam: MLP 14-128-128-128-2 with SiLU, batch 1,024, mean of \|sigma net(x) + z\|^2, f32 |
//! | `mlp-large` | the same, 64-512-512-512-64, batch 512 |
//! | `langevin` | Euler-Maruyama, h = .01, toward 8 spherical components in the plane, 100,000 paths x 100 steps, f32 |
//! | `sample` | the reverse SDE with the network of `mlp-small`, 10,000 samples x 100 steps, f32 |
//! | `gmm-em` | an iteration of EM, full covariances, n = 100,000, d = 16, k = 10, f64 |
//! | `gemm-MxKxN` | a matrix product M x K by K x N on the tape, f32 |
//!
//! The inputs are drawn from fixed seeds; `--inputs` reads those that have two axes from `DIR/NAME.npy` instead (w0, w1, ..., x, z,
//! sigma; x0; x, m0), so that the numbers in `extra` can be compared with those of a program that was given the same.

use ndarray::{Array1, Array2, Array3, ArrayView2};
use ndsm::mixture::{Covariances, Em, Mixture};
use ndsm::nn::{Inference, ScoreNet};
use ndsm::optim::{Adam, Decay, Schedule};
use ndsm::rng::{Purpose, Stream};
use ndsm::sde::{Langevin, Paths, euler_maruyama};
use ndsm::tape::{Blocks, Recorder};
use ndsm::{Error, Real, Result};
use rayon::prelude::*;
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Instant;

/// What a work's units are called, and how many of them one timed unit is.
type Rate = (&'static str, f64);

/// The outcome of a work.
struct Timing {
    /// Milliseconds per unit.
    ms: Vec<f64>,
    rate: Rate,
    /// Results by which a reader sees that the right thing was computed.
    extra: Vec<(&'static str, f64)>,
}

/// Where inputs come from.
struct Inputs(Option<PathBuf>);

impl Inputs {
    /// The array `name`, row-major [rows, columns]: from its file, or made by `draw`.
    fn get<R: Real>(&self, name: &str, shape: (usize, usize), draw: impl FnOnce(&mut [R])) -> Result<Vec<R>> {
        let mut x = vec![R::zero(); shape.0 * shape.1];
        let Some(folder) = &self.0 else {
            draw(&mut x);
            return Ok(x);
        };
        let values = ndsm::data::npy::read(&folder.join(format!("{name}.npy")))?.values;
        if values.dim() != shape {
            return Err(Error::shape(name, format!("{} x {} numbers", shape.0, shape.1), &[values.shape()]));
        }
        x.iter_mut().zip(&values).for_each(|(x, v)| *x = R::of(*v));
        Ok(x)
    }

    fn normal<R: Real>(&self, name: &str, shape: (usize, usize), scale: f64) -> Result<Vec<R>> {
        self.get(name, shape, |x| {
            stream(name).fill_normal(x);
            x.iter_mut().for_each(|x| *x *= R::of(scale));
        })
    }

    fn uniform<R: Real>(&self, name: &str, shape: (usize, usize), low: f64, high: f64) -> Result<Vec<R>> {
        self.get(name, shape, |x: &mut [R]| {
            stream(name).fill_uniform(x);
            x.iter_mut().for_each(|x| *x = R::of(low + (high - low) * x.f64()));
        })
    }
}

/// Random numbers of the input `name`.
fn stream(name: &str) -> Stream {
    let key = name.bytes().fold(0, |key, b| key * 256 + u64::from(b));
    Stream::new(key, Purpose::Test, 0, 0)
}

/// One call unmeasured, then at least three and 0.3 seconds of them. `call` does `units` units of work and may return its own
/// milliseconds per unit.
fn time(units: usize, mut call: impl FnMut() -> Result<Option<f64>>) -> Result<Vec<f64>> {
    let mut timed = || {
        let start = Instant::now();
        let own = call()?;
        Ok(own.unwrap_or(start.elapsed().as_secs_f64() * 1e3 / units as f64))
    };
    timed()?;
    let (start, mut ms) = (Instant::now(), vec![]);
    while ms.len() < 3 || start.elapsed().as_secs_f64() < 0.3 {
        ms.push(timed()?);
    }
    Ok(ms)
}

/// A network's parameters, flat: uniform in +-1/sqrt(inputs); biases zero.
fn parameters(net: ScoreNet, inputs: &Inputs) -> Result<Vec<f32>> {
    let mut params = vec![0.0; net.parameter_count()];
    for (layer, p) in net.parameters().iter().step_by(2).enumerate() {
        let (i, o) = (p.shape[0], p.shape[1]);
        let bound = (i as f64).powf(-0.5);
        params[p.range()].copy_from_slice(&inputs.uniform(&format!("w{layer}"), (i, o), -bound, bound)?);
    }
    Ok(params)
}

/// Floating-point operations of the network's products for one row.
fn flops(net: ScoreNet) -> f64 {
    net.parameters().iter().step_by(2).map(|p| 2.0 * (p.shape[0] * p.shape[1]) as f64).sum()
}

fn mlp(net: ScoreNet, batch: usize, inputs: &Inputs) -> Result<Timing> {
    let (m, d) = (net.inputs(), net.dim());
    let mut params = parameters(net, inputs)?;
    let (rows, noise) = (inputs.normal("x", (batch, m), 1.0)?, inputs.normal("z", (batch, d), 1.0)?);
    let sigmas = inputs.uniform("sigma", (batch, 1), 0.1, 1.0)?;

    // A row block per thread, rounded up to a power of two, which divides both batches.
    let blocks = rayon::current_num_threads().next_power_of_two().min(batch / 64);
    let n = batch / blocks;
    let mut r = Recorder::<f32>::new();
    let x = r.input("x", &[n, m])?;
    let (sigma, z) = (r.input("sigma", &[n, 1])?, r.input("z", &[n, d])?);
    let y = net.record(&mut r, x)?;
    let scaled = r.mul(y, sigma)?;
    let off = r.add(scaled, z)?;
    let per_row = r.row_dot(off, off)?;
    let loss = r.mean(per_row)?;
    let program = r.finish();

    let mut blocks = Blocks::new(&program, blocks)?;
    let adam = Adam::new(Schedule::new(1e-3, 0, 1, Decay::Constant)?);
    let mut state = adam.start(&params)?;
    let mut grad = vec![0.0; params.len()];
    let seed = [1.0 / blocks.count() as f32];
    let mut step = || {
        blocks.run(&params, &mut grad, |block, params, ws, grad| {
            let rows_of = |a: &[f32], width: usize, to: &mut [f32]| to.copy_from_slice(&a[block * n * width..][..n * width]);
            rows_of(&rows, m, ws.input_mut(x)?);
            rows_of(&noise, d, ws.input_mut(z)?);
            rows_of(&sigmas, 1, ws.input_mut(sigma)?);
            program.forward(params, ws)?;
            program.backward(params, ws, &[(loss, &seed)], grad)
        })?;
        if !adam.step(&mut params, &grad, &mut state)?.norm.is_finite() {
            return Err(Error::refused("training step", "the gradient is not finite"));
        }
        let sum = blocks.workspaces().map(|ws| ws.value(loss).map(|l| f64::from(l[0]))).sum::<Result<f64>>()?;
        Ok(sum / blocks.count() as f64)
    };
    let mut loss_20 = f64::NAN;
    for _ in 0..20 {
        loss_20 = step()?;
    }
    let ms = time(10, || (0..10).try_for_each(|_| step().map(drop)).map(|()| None))?;
    Ok(Timing { ms, rate: ("gflops", 3.0 * flops(net) * batch as f64 / 1e9), extra: vec![("loss_20", loss_20)] })
}

fn langevin(inputs: &Inputs) -> Result<Timing> {
    const PATHS: usize = 100_000;
    const STEPS: usize = 100;
    let means = Array2::from_shape_fn((8, 2), |(k, j)| {
        let angle = k as f64 * std::f64::consts::FRAC_PI_4;
        4.0 * if j == 0 { angle.cos() } else { angle.sin() }
    });
    let variances = Array1::linspace(0.4, 0.75, 8).mapv(|s| s * s);
    let pi = Mixture::new(Array1::linspace(1.0, 8.0, 8) / 36.0, means, Covariances::Spherical(variances))?;
    let sde = Langevin::<f32>::new(&pi, 1.0)?;
    let grid: Vec<f64> = (0..=STEPS).map(|i| i as f64 / STEPS as f64).collect();
    let x0: Vec<f32> = inputs.normal("x0", (PATHS, 2), 4.0)?;
    let mut x = x0.clone();
    let ms = time(1, || {
        x.copy_from_slice(&x0);
        euler_maruyama(&sde, &grid, &mut x, Paths { seed: 0, purpose: Purpose::Test, step: 0 }).map(|()| None)
    })?;
    let ends = Array2::from_shape_fn((PATHS, 2), |(i, j)| f64::from(x[2 * i + j]));
    let log_pi = pi.log_density(ends.view())?.sum() / PATHS as f64;
    Ok(Timing { ms, rate: ("path_steps_per_s", (PATHS * STEPS) as f64), extra: vec![("mean_log_pi", log_pi)] })
}

fn sample(inputs: &Inputs) -> Result<Timing> {
    const SAMPLES: usize = 10_000;
    const STEPS: usize = 100;
    const CHUNK: usize = 256;
    let net = ScoreNet::new(2, 128, 3, 6)?;
    let mut inference = Inference::new(net, &parameters(net, inputs)?)?;
    let start: Vec<f32> = inputs.normal("x", (SAMPLES, 2), 1.0)?;
    let (mut y, mut score) = (start.clone(), vec![0f32; 2 * SAMPLES]);
    let mut rows = vec![0f32; net.inputs() * SAMPLES];
    let (h, sd) = (1.0 / STEPS as f32, (1.0 / STEPS as f32).sqrt());
    // dY = (Y/2 + s(Y, t)) dt + dB, from t = 1 to 0.
    let ms = time(1, || {
        y.copy_from_slice(&start);
        for n in 0..STEPS {
            let angle = |k: usize| std::f32::consts::PI * (1.0 - n as f32 * h) * (k + 1) as f32;
            let features: [f32; 12] = std::array::from_fn(|k| if k < 6 { angle(k).sin() } else { angle(k - 6).cos() });
            rows.par_chunks_mut(14 * CHUNK).zip(y.par_chunks(2 * CHUNK)).for_each(|(rows, y)| {
                for (row, y) in rows.chunks_exact_mut(14).zip(y.chunks_exact(2)) {
                    row[..2].copy_from_slice(y);
                    row[2..].copy_from_slice(&features);
                }
            });
            inference.run(&rows, &mut score)?;
            y.par_chunks_mut(2 * CHUNK).zip(score.par_chunks(2 * CHUNK)).enumerate().for_each(|(chunk, (y, s))| {
                let mut z = [0f32; 2 * CHUNK];
                Stream::new(0, Purpose::Test, n as u64, chunk as u32).fill_normal(&mut z[..y.len()]);
                for ((y, s), z) in y.iter_mut().zip(s).zip(&z) {
                    *y += (0.5 * *y + s) * h + sd * z;
                }
            });
        }
        Ok(None)
    })?;
    let std = Array1::from_iter(y.iter().map(|y| f64::from(*y))).std(0.0);
    Ok(Timing { ms, rate: ("sample_steps_per_s", (SAMPLES * STEPS) as f64), extra: vec![("std", std)] })
}

fn gmm_em(inputs: &Inputs) -> Result<Timing> {
    const N: usize = 100_000;
    const D: usize = 16;
    const K: usize = 10;
    const ITERATIONS: usize = 5;
    let centres: Vec<f64> = {
        let mut m = vec![0.0; K * D];
        stream("m").fill_normal(&mut m);
        m.into_iter().map(|m| 3.0 * m).collect()
    };
    let x: Vec<f64> = inputs.get("x", (N, D), |x| {
        // Component k: centre plus A z, A = .7 I + normals/4.
        let mut a = vec![0.0; K * D * D];
        stream("a").fill_normal(&mut a);
        let a = Array3::from_shape_fn((K, D, D), |(k, i, j)| a[(k * D + i) * D + j] / 4.0 + if i == j { 0.7 } else { 0.0 });
        let (mut which, mut normals) = (stream("k"), stream("x"));
        for x in x.chunks_exact_mut(D) {
            let k = which.below(K);
            let mut z = vec![0.0; D];
            normals.fill_normal(&mut z);
            let moved = a.index_axis(ndarray::Axis(0), k).dot(&Array1::from(z));
            x.iter_mut().zip(&centres[k * D..]).zip(&moved).for_each(|((x, m), v)| *x = m + v);
        }
    })?;
    let means = inputs.get("m0", (K, D), |m| {
        stream("m0").fill_normal(m);
        m.iter_mut().zip(&centres).for_each(|(m, c)| *m += c);
    })?;
    let x = matrix((N, D), &x);
    let eye = Array3::from_shape_fn((K, D, D), |(_, i, j)| if i == j { 4.0 } else { 0.0 });
    let start = Mixture::new(Array1::from_elem(K, 1.0 / K as f64), matrix((K, D), &means).to_owned(), Covariances::Full(eye))?;
    let began = Instant::now();
    let em = Em::new(x)?;
    let prepare_ms = began.elapsed().as_secs_f64() * 1e3;
    let mut end = start.clone();
    let ms = time(1, || {
        end = em.step(&start, 1e-6)?.0;
        let began = Instant::now();
        for _ in 0..ITERATIONS {
            end = em.step(&end, 1e-6)?.0;
        }
        Ok(Some(began.elapsed().as_secs_f64() * 1e3 / ITERATIONS as f64))
    })?;
    let loglik = end.log_density(x)?.sum() / N as f64;
    Ok(Timing { ms, rate: ("iters_per_s", 1.0), extra: vec![("loglik", loglik), ("prepare_ms", prepare_ms)] })
}

fn matrix(shape: (usize, usize), x: &[f64]) -> ArrayView2<'_, f64> {
    ArrayView2::from_shape(shape, x).expect("a slice made for this shape")
}

fn gemm(m: usize, k: usize, n: usize, inputs: &Inputs) -> Result<Timing> {
    let mut r = Recorder::<f32>::new();
    let (a, b) = (r.input("a", &[m, k])?, r.input("b", &[k, n])?);
    let c = r.matmul(a, b)?;
    let program = r.finish();
    let mut ws = program.workspace()?;
    ws.input_mut(a)?.copy_from_slice(&inputs.normal("a", (m, k), 1.0)?);
    ws.input_mut(b)?.copy_from_slice(&inputs.normal("b", (k, n), 1.0)?);
    let units = (2_000_000_000 / (2 * m * k * n)).max(1);
    let ms = time(units, || (0..units).try_for_each(|_| program.forward(&[], &mut ws)).map(|()| None))?;
    let first = f64::from(ws.value(c)?[0]);
    Ok(Timing { ms, rate: ("gflops", 2.0 * (m * k * n) as f64 / 1e9), extra: vec![("first", first)] })
}

/// The M, K, N of `gemm-MxKxN`, each in 1..=65,536.
fn gemm_sizes(work: &str) -> Option<[usize; 3]> {
    let sizes: Vec<usize> = work.strip_prefix("gemm-")?.split('x').map(|s| s.parse().ok()).collect::<Option<_>>()?;
    <[usize; 3]>::try_from(sizes).ok().filter(|s| s.iter().all(|s| (1..=65_536).contains(s)))
}

fn run(work: &str, inputs: &Inputs) -> Result<Timing> {
    match work {
        "mlp-small" => mlp(ScoreNet::new(2, 128, 3, 6)?, 1024, inputs),
        "mlp-large" => mlp(ScoreNet::new(64, 512, 3, 0)?, 512, inputs),
        "langevin" => langevin(inputs),
        "sample" => sample(inputs),
        "gmm-em" => gmm_em(inputs),
        _ => match gemm_sizes(work) {
            Some([m, k, n]) => gemm(m, k, n, inputs),
            None => Err(Error::invalid("WORK", "mlp-small, mlp-large, langevin, sample, gmm-em or gemm-MxKxN", format!("\"{work}\""))),
        },
    }
}

struct Arguments {
    work: String,
    threads: usize,
    inputs: Inputs,
    json: bool,
}

fn arguments(mut args: impl Iterator<Item = String>) -> Result<Arguments> {
    let (mut work, mut threads, mut inputs, mut json) = (None, 0, None, false);
    while let Some(arg) = args.next() {
        let mut value = || args.next().ok_or_else(|| Error::refused(&*arg, "needs a value"));
        match &*arg {
            "--json" => json = true,
            "--inputs" => inputs = Some(value()?.into()),
            "--threads" => {
                let n = value()?;
                let parsed = n.parse().ok().filter(|n| (1..=1024).contains(n));
                threads = parsed.ok_or_else(|| Error::invalid("--threads", "an integer in 1..=1024", format!("\"{n}\"")))?;
            }
            _ if arg.starts_with('-') || work.is_some() => {
                return Err(Error::invalid("argument", "WORK, --threads N, --inputs DIR or --json", format!("\"{arg}\"")));
            }
            _ => work = Some(arg),
        }
    }
    let work = work.ok_or_else(|| Error::refused("WORK", "is missing: throughput WORK [--threads N] [--inputs DIR] [--json]"))?;
    Ok(Arguments { work, threads, inputs: Inputs(inputs), json })
}

fn print(a: &Arguments, mut timing: Timing) {
    let ms = &mut timing.ms;
    ms.sort_by(f64::total_cmp);
    let (median, least, runs) = (0.5 * (ms[(ms.len() - 1) / 2] + ms[ms.len() / 2]), ms[0], ms.len());
    let extra = std::iter::once((timing.rate.0, timing.rate.1 / median * 1e3)).chain(timing.extra);
    let quote = if a.json { "\"" } else { "" };
    let extra: Vec<String> = extra.map(|(name, v)| format!("{quote}{name}{quote}: {}", (v * 1e6).round() / 1e6)).collect();
    let (work, threads, extra) = (&a.work, rayon::current_num_threads(), extra.join(", "));
    if a.json {
        let version = env!("CARGO_PKG_VERSION");
        println!(
            "{{\"work\": \"{work}\", \"peer\": \"ndsm\", \"ms_median\": {median:.4}, \"ms_min\": {least:.4}, \"runs\": {runs}, \"extra\": \
             {{{extra}, \"threads\": {threads}, \"simd\": \"{}\", \"version\": \"ndsm {version}\"}}}}",
            ndsm::simd::level().name()
        );
    } else {
        println!("{work}, {threads} threads: {median:.4} ms (least of {runs}: {least:.4}); {extra}");
    }
}

fn main() -> ExitCode {
    let done = arguments(std::env::args().skip(1)).and_then(|a| {
        let pool = rayon::ThreadPoolBuilder::new().num_threads(a.threads).build();
        let pool = pool.map_err(|e| Error::refused("--threads", format!("the threads cannot be started: {e}")))?;
        pool.install(|| run(&a.work, &a.inputs).map(|timing| print(&a, timing)))
    });
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(e) => {
            eprintln!("throughput: {e}");
            ExitCode::from(2)
        }
    }
}
