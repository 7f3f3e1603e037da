//! Works without a network: simulation, expectation-maximisation, matrix products.

use super::inputs::{Inputs, stream};
use super::{Timing, time};
use ndarray::{Array1, Array2, Array3, ArrayView2};
use ndsm::Result;
use ndsm::mixture::{Covariances, Em, Mixture};
use ndsm::rng::Purpose;
use ndsm::sde::{EulerMaruyama, Langevin, Paths, simulate};
use ndsm::tape::Recorder;
use std::time::Instant;

pub fn langevin(inputs: &Inputs) -> Result<Timing> {
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
    let x0: Vec<f32> = inputs.normal("x0", &[PATHS, 2], 4.0)?;
    let mut x = x0.clone();
    let ms = time(1, || {
        x.copy_from_slice(&x0);
        simulate(&EulerMaruyama, &sde, &grid, &mut x, Paths { seed: 0, purpose: Purpose::Test, step: 0 }).map(|()| None)
    })?;
    let ends = Array2::from_shape_fn((PATHS, 2), |(i, j)| f64::from(x[2 * i + j]));
    let log_pi = pi.log_density(ends.view())?.sum() / PATHS as f64;
    Ok(Timing { ms, rate: ("path_steps_per_s", (PATHS * STEPS) as f64), extra: vec![("mean_log_pi", log_pi)] })
}

pub fn gmm_em(inputs: &Inputs) -> Result<Timing> {
    const N: usize = 100_000;
    const D: usize = 16;
    const K: usize = 10;
    const ITERATIONS: usize = 5;
    let centres: Vec<f64> = {
        let mut m = vec![0.0; K * D];
        stream("m").fill_normal(&mut m);
        m.into_iter().map(|m| 3.0 * m).collect()
    };
    let x: Vec<f64> = inputs.get("x", &[N, D], |x| {
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
    let means = inputs.get("m0", &[K, D], |m| {
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

pub fn gemm(m: usize, k: usize, n: usize, inputs: &Inputs) -> Result<Timing> {
    let mut r = Recorder::<f32>::new();
    let (a, b) = (r.input("a", &[m, k])?, r.input("b", &[k, n])?);
    let c = r.matmul(a, b)?;
    let program = r.finish();
    let mut ws = program.workspace()?;
    ws.input_mut(a)?.copy_from_slice(&inputs.normal("a", &[m, k], 1.0)?);
    ws.input_mut(b)?.copy_from_slice(&inputs.normal("b", &[k, n], 1.0)?);
    let units = (2_000_000_000 / (2 * m * k * n)).max(1);
    let ms = time(units, || (0..units).try_for_each(|_| program.forward(&[], &mut ws)).map(|()| None))?;
    let first = f64::from(ws.value(c)?[0]);
    Ok(Timing { ms, rate: ("gflops", 2.0 * (m * k * n) as f64 / 1e9), extra: vec![("first", first)] })
}
