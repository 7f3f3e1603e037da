//! Works with networks: training steps, inference, the reverse SDE.

use super::inputs::Inputs;
use super::training::{self, Training};
use super::{Timing, time};
use ndarray::Array1;
use ndsm::Result;
use ndsm::nn::{Inference, ScoreNet};
use ndsm::rng::{Purpose, Stream};
use ndsm::tape::Parameter;
use rayon::prelude::*;

/// Row blocks, one per thread, rounded up to a power of two, which divides every batch here; at least `least`
/// rows each.
fn blocks(batch: usize, least: usize) -> usize {
    rayon::current_num_threads().next_power_of_two().min(batch / least)
}

/// Some steps first, for the loss that others can compare theirs with; then timed calls of `units` steps.
fn steps(mut training: Training, first: usize, name: &'static str, units: usize) -> Result<Timing> {
    let mut loss = f64::NAN;
    for _ in 0..first {
        loss = training.step()?;
    }
    let ms = time(units, || (0..units).try_for_each(|_| training.step().map(drop)).map(|()| None))?;
    let [shared, unshared] = training.mebibytes();
    Ok(Timing {
        ms,
        rate: ("gflops", 3.0 * training.flops() / 1e9),
        extra: vec![(name, loss), ("workspace_mib", shared), ("unshared_mib", unshared)],
    })
}

/// A perceptron's parameters, flat: uniform in +-1/sqrt(inputs); biases zero.
fn parameters(net: &ScoreNet, inputs: &Inputs) -> Result<Vec<f32>> {
    let mut params = vec![0.0; net.parameter_count()];
    for (layer, p) in net.parameters().iter().step_by(2).enumerate() {
        let bound = (p.shape[0] as f64).powf(-0.5);
        params[p.range()].copy_from_slice(&inputs.uniform(&format!("w{layer}"), &p.shape, -bound, bound)?);
    }
    Ok(params)
}

pub fn mlp(net: ScoreNet, batch: usize, inputs: &Inputs) -> Result<Timing> {
    let params = parameters(&net, inputs)?;
    let rows = vec![
        inputs.normal("x", &[batch, net.inputs()], 1.0)?,
        inputs.uniform("sigma", &[batch, 1], 0.1, 1.0)?,
        inputs.normal("z", &[batch, net.dim()], 1.0)?,
    ];
    let blocks = blocks(batch, 64);
    let training = Training::new(training::mlp(&net, batch / blocks)?, rows, blocks, params, training::adam()?)?;
    steps(training, 20, "loss_20", 10)
}

pub fn unet(inputs: &Inputs) -> Result<Timing> {
    const BATCH: usize = 64;
    const WIDTH: usize = 32;
    let net = training::unet([28, 28, 1], WIDTH, &[1, 2, 2])?;
    let mut params = vec![0.0; net.parameter_count()];
    for p in net.parameters() {
        params[p.range()].copy_from_slice(&weights(&p, inputs)?);
    }
    // One channel: channels first and channels last are the same.
    let image = |name| inputs.normal::<f32>(name, &[BATCH, 1, 28, 28], 1.0);
    let (x, t) = (image("x")?, inputs.uniform::<f32>("t", &[BATCH], 0.0, 1.0)?);
    let mut rows = Vec::with_capacity(BATCH * net.inputs());
    for (x, t) in x.chunks_exact(net.dim()).zip(t) {
        // sin and cos of 1,000 t 10,000^(-k/16), k = 0..16.
        let half = WIDTH / 2;
        let angle = |k: usize| 1000.0 * f64::from(t) * 1e4f64.powf(-(k as f64) / half as f64);
        rows.extend_from_slice(x);
        rows.extend((0..half).map(|k| angle(k).sin() as f32).chain((0..half).map(|k| angle(k).cos() as f32)));
    }
    let blocks = blocks(BATCH, 1);
    let recorded = training::regression(&net, BATCH / blocks)?;
    let training = Training::new(recorded, vec![rows, image("z")?], blocks, params, training::adam()?)?;
    steps(training, 5, "loss_5", 1)
}

/// A parameter of the U-Net: weights uniform in +-1/sqrt(inputs), scales 1, the rest 0. In files the outputs
/// come first and the places of a convolution last, and names are short: `p.d0.c0.w` [o, i, kh, kw].
fn weights(p: &Parameter, inputs: &Inputs) -> Result<Vec<f32>> {
    let (layer, what) = p.name.rsplit_once('.').unwrap_or_default();
    let short = match what {
        "weight" => "w",
        "scale" => "g",
        _ => "b",
    };
    let name = format!("p.{layer}.{short}");
    // The file's shape, and where each of our axes lies in it.
    let (shape, axes) = match p.shape[..] {
        [kh, kw, i, o] => (vec![o, i, kh, kw], vec![2, 3, 1, 0]),
        [i, o] => (vec![o, i], vec![1, 0]),
        _ => (p.shape.clone(), vec![0]),
    };
    if let Some(file) = inputs.file(&name, &shape)? {
        return Ok(file.permuted_axes(axes).iter().map(|v| *v as f32).collect());
    }
    let bound = (p.shape.iter().rev().skip(1).product::<usize>() as f64).powf(-0.5);
    match short {
        "w" => inputs.uniform(&name, &p.shape, -bound, bound),
        "g" => Ok(vec![1.0; p.shape[0]]),
        _ => Ok(vec![0.0; p.shape[0]]),
    }
}

/// The network of `mlp-small` on `batch` rows.
pub fn infer(batch: usize, inputs: &Inputs) -> Result<Timing> {
    let net = ScoreNet::new(2, 128, 3, 6)?;
    let mut inference = Inference::new(&net, &parameters(&net, inputs)?)?;
    // One set of rows for every batch: that of `mlp-small`, again and again.
    let all: Vec<f32> = inputs.normal("x", &[1024, net.inputs()], 1.0)?;
    let rows: Vec<f32> = all.iter().copied().cycle().take(batch * net.inputs()).collect();
    let mut out = vec![0f32; batch * net.dim()];
    let units = (4096 / batch).max(10);
    let ms = time(units, || (0..units).try_for_each(|_| inference.run(&rows, &mut out)).map(|()| None))?;
    let flops: f64 = net.parameters().iter().step_by(2).map(|p| 2.0 * (p.shape[0] * p.shape[1]) as f64).sum();
    let mean = out.iter().map(|o| f64::from(*o)).sum::<f64>() / out.len() as f64;
    Ok(Timing { ms, rate: ("gflops", flops * batch as f64 / 1e9), extra: vec![("first", f64::from(out[0])), ("mean", mean)] })
}

pub fn sample(inputs: &Inputs) -> Result<Timing> {
    const SAMPLES: usize = 10_000;
    const STEPS: usize = 100;
    const CHUNK: usize = 256;
    let net = ScoreNet::new(2, 128, 3, 6)?;
    let mut inference = Inference::new(&net, &parameters(&net, inputs)?)?;
    let start: Vec<f32> = inputs.normal("x", &[SAMPLES, 2], 1.0)?;
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
