//! Works without a network: simulation, expectation-maximisation, matrix products.

use super::inputs::{Inputs, stream};
use super::{Timing, time};
use ndarray::{Array1, Array2, Array3, ArrayView2};
use ndsm::metrics::{sinkhorn_plan, sliced_w2};
use ndsm::mixture::{Covariances, Em, Mixture};
use ndsm::rng::Purpose;
use ndsm::sde::{DoubleWell, EulerMaruyama, Grid, Integrator, Langevin, Paths, Sde, simulate};
use ndsm::tape::Recorder;
use ndsm::{Real, Result};
use std::time::Instant;

/// 8 spherical components on a circle of radius 4.
pub fn langevin(inputs: &Inputs) -> Result<Timing> {
    const PATHS: usize = 100_000;
    let means = Array2::from_shape_fn((8, 2), |(k, j)| {
        let angle = k as f64 * std::f64::consts::FRAC_PI_4;
        4.0 * if j == 0 { angle.cos() } else { angle.sin() }
    });
    let variances = Array1::linspace(0.4, 0.75, 8).mapv(|s| s * s);
    let pi = Mixture::new(Array1::linspace(1.0, 8.0, 8) / 36.0, means, Covariances::Spherical(variances))?;
    simulated(&EulerMaruyama, &Langevin::<f32>::new(&pi, 1.0)?, (1.0, 100), &inputs.normal("x0", &[PATHS, 2], 4.0)?, Some(&pi))
}

/// 10 components with full covariances A A^T in 16 dimensions.
pub fn langevin_16(inputs: &Inputs) -> Result<Timing> {
    const PATHS: usize = 10_000;
    let means = Array2::from_shape_fn((10, 16), |(k, j)| 2.0 * (1.7 * k as f64 + 0.9 * j as f64).sin());
    let a = Array3::from_shape_fn((10, 16, 16), |(k, i, j)| {
        (1.3 * k as f64 + 0.7 * i as f64 + 1.1 * j as f64).cos() / 4.0 + if i == j { 0.7 } else { 0.0 }
    });
    let mut covariances = Array3::zeros(a.dim());
    covariances.outer_iter_mut().zip(a.outer_iter()).for_each(|(mut c, a)| c.assign(&a.dot(&a.t())));
    let pi = Mixture::new(Array1::from_elem(10, 0.1), means, Covariances::Full(covariances))?;
    simulated(&EulerMaruyama, &Langevin::<f32>::new(&pi, 1.0)?, (1.0, 100), &inputs.normal("x0", &[PATHS, 16], 4.0)?, Some(&pi))
}

/// The double well with noise 0.8, f64.
pub fn well<I: Integrator<f64, DoubleWell>>(method: &I) -> Result<Timing> {
    simulated(method, &DoubleWell::new(1, 0.8)?, (10.0, 1000), &[0.0; 100_000], None)
}

/// All paths from `x0` to a time in so many steps.
fn simulated<R: Real, S: Sde<R>, I: Integrator<R, S>>(
    method: &I,
    sde: &S,
    (horizon, steps): (f64, usize),
    x0: &[R],
    law: Option<&Mixture>,
) -> Result<Timing> {
    let grid = Grid::Uniform.times(horizon, steps)?;
    let (mut x, n) = (x0.to_vec(), x0.len() / sde.dim());
    let ms = time(1, || {
        x.copy_from_slice(x0);
        simulate(method, sde, &grid, &mut x, Paths { seed: 0, purpose: Purpose::Test, step: 0 }).map(|()| None)
    })?;
    let ends = Array2::from_shape_fn((n, sde.dim()), |(i, j)| x[i * sde.dim() + j].f64());
    let mut extra = vec![("mean_square", ends.iter().map(|x| x * x).sum::<f64>() / ends.len() as f64)];
    if let Some(pi) = law {
        extra.push(("mean_log_pi", pi.log_density(ends.view())?.sum() / n as f64));
    }
    Ok(Timing { ms, rate: ("path_steps_per_s", (n * steps) as f64), extra })
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

/// `n` points of a normal and `n` of two others, narrower and unequal in weight, in the plane.
fn two_sets(n: usize, inputs: &Inputs) -> Result<[Array2<f64>; 2]> {
    let x = inputs.normal("x", &[n, 2], 1.0)?;
    let y = inputs.get("y", &[n, 2], |y| {
        let mut s = stream("y");
        s.fill_normal(y);
        for y in y.chunks_exact_mut(2) {
            let centre = if s.uniform::<f64>() < 0.3 { 1.0 } else { -1.0 };
            y.iter_mut().for_each(|y| *y = 0.3 * *y + centre);
        }
    })?;
    Ok([x, y].map(|x| matrix((n, 2), &x).to_owned()))
}

pub fn sinkhorn(inputs: &Inputs) -> Result<Timing> {
    let [x, y] = two_sets(2_000, inputs)?;
    let mut plan = sinkhorn_plan(x.view(), y.view(), 0.1, 1)?;
    let ms = time(1, || {
        plan = sinkhorn_plan(x.view(), y.view(), 0.1, 100)?;
        Ok(None)
    })?;
    Ok(Timing { ms, rate: ("iters_per_s", 100.0), extra: vec![("value", plan.cost), ("error", plan.error)] })
}

pub fn sliced(inputs: &Inputs) -> Result<Timing> {
    let [x, y] = two_sets(10_000, inputs)?;
    let mut value = 0.0;
    let ms = time(1, || {
        value = sliced_w2(x.view(), y.view(), 256, 0)?;
        Ok(None)
    })?;
    Ok(Timing { ms, rate: ("projections_per_s", 256.0), extra: vec![("value", value)] })
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
