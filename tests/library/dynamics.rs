//! The noising processes against laws that are known: invariance, limits, exact kernels.

use crate::common::{plane_ratio, points, three_modes};
use approx::assert_relative_eq;
use ndarray::{ArrayView2, array};
use ndsm::mixture::{Covariances, Mixture};
use ndsm::objective::{ComponentChain, GaussianChain};
use ndsm::rng::{Purpose, Stream};
use ndsm::sde::{ComponentStep, EulerMaruyama, Grid, Langevin, NoiseScale, Paths, VarianceExploding, simulate};
use ndsm::transition::{ComponentKernel, Draws, Euler, IsotropicKernel, Noising, Target, TimeLaw, stratified};

const N: usize = 40_000;

fn paths(step: u64) -> Paths {
    Paths { seed: 7, purpose: Purpose::Path, step }
}

/// Largest deviation, in standard errors, of the moments of order 1 and 2 and of the components' weights from
/// the law's.
fn moment_deviation(x: &[f64], pi: &Mixture) -> f64 {
    let n = x.len() / 2;
    let view = ArrayView2::from_shape((n, 2), x).unwrap();
    let (mean, covariance, r) = (pi.total_mean(), pi.total_covariance(), pi.responsibilities(view).unwrap());
    let mut worst = 0f64;
    let mut check = |values: Vec<f64>, expected: f64| {
        let m = values.iter().sum::<f64>() / n as f64;
        let variance = values.iter().map(|v| (v - m).powi(2)).sum::<f64>() / n as f64;
        worst = worst.max((m - expected).abs() / (variance / n as f64).sqrt());
    };
    for i in 0..2 {
        check(view.column(i).to_vec(), mean[i]);
        for j in 0..=i {
            check(view.rows().into_iter().map(|x| (x[i] - mean[i]) * (x[j] - mean[j])).collect(), covariance[[i, j]]);
        }
    }
    for k in 0..pi.components() {
        check(r.column(k).to_vec(), pi.weights()[k]);
    }
    worst
}

/// 99.999 % of a standard normal lies within.
const SIGMAS: f64 = 4.42;

/// The component-wise step (eq. 15) is a Gibbs sweep.
#[test]
fn component_step_leaves_the_mixture_invariant_for_every_step_size() {
    let pi = three_modes();
    let step = ComponentStep::<f64>::new(&pi, 1.0).unwrap();
    let fresh = points(&pi, N, 1);
    for (h, steps) in [(0.01, 20), (1.0, 5), (100.0, 2)] {
        let mut x = points(&pi, N, 2);
        for i in 0..steps {
            step.step(h, &mut x, paths(i)).unwrap();
        }
        let (ks, moments) = (plane_ratio(&x, &fresh), moment_deviation(&x, &pi));
        assert!(ks <= 1.0 && moments <= SIGMAS, "h = {h}: {ks} of the critical value, moments {moments} standard errors away");
    }
}

#[test]
fn the_invariance_test_sees_a_step_that_is_not_invariant() {
    // One explicit Euler step of h = 0.5 per time unit: biased, though stable.
    let pi = three_modes();
    let (fresh, mut x) = (points(&pi, N, 1), points(&pi, N, 2));
    let grid: Vec<f64> = (0..=8).map(|i| 0.3 * f64::from(i)).collect();
    simulate(&EulerMaruyama, &Langevin::<f64>::new(&pi, 1.0).unwrap(), &grid, &mut x, paths(0)).unwrap();
    assert!(plane_ratio(&x, &fresh) > 1.0 || moment_deviation(&x, &pi) > SIGMAS);
}

/// As h -> 0 the component-wise step (eq. 15) is Langevin dynamics (eq. 2).
#[test]
fn refined_component_steps_agree_with_fine_euler_steps() {
    let pi = three_modes();
    let start = || [0.4, -0.8].repeat(N);
    let horizon = 0.8;
    let mut fine = start();
    let grid = Grid::Uniform.times(horizon, 800).unwrap();
    simulate(&EulerMaruyama, &Langevin::<f64>::new(&pi, 1.0).unwrap(), &grid, &mut fine, paths(0)).unwrap();
    let step = ComponentStep::<f64>::new(&pi, 1.0).unwrap();
    let distance = |steps: u64| {
        let mut x = start();
        for i in 0..steps {
            step.step(horizon / steps as f64, &mut x, paths(1 + i)).unwrap();
        }
        plane_ratio(&x, &fine)
    };
    let (one, many) = (distance(1), distance(100));
    assert!(many <= 1.0, "100 steps: {many} of the critical value");
    assert!(one > 1.5, "a single step is another law, and the test can tell: {one}");
}

#[test]
fn f32_follows_f64_and_threads_do_not_matter() {
    let pi = three_modes();
    let x = points(&pi, 333, 3);
    let grid = Grid::Uniform.times(1.0, 50).unwrap();
    let run = |threads: usize| {
        let (mut euler, mut exact) = (x.clone(), x.clone());
        let mut euler32: Vec<f32> = x.iter().map(|v| *v as f32).collect();
        rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap().install(|| {
            simulate(&EulerMaruyama, &Langevin::<f64>::new(&pi, 1.0).unwrap(), &grid, &mut euler, paths(0)).unwrap();
            simulate(&EulerMaruyama, &Langevin::<f32>::new(&pi, 1.0).unwrap(), &grid, &mut euler32, paths(0)).unwrap();
            ComponentStep::<f64>::new(&pi, 1.0).unwrap().step(0.5, &mut exact, paths(0)).unwrap();
        });
        (euler, exact, euler32)
    };
    let one = run(1);
    assert!(one == run(2) && one == run(4));
    let mean = one.0.iter().zip(&one.2).map(|(a, b)| (a - f64::from(*b)).abs()).sum::<f64>() / one.0.len() as f64;
    assert!(mean <= 1e-4, "f32 leaves the path of f64 by {mean}");
}

#[test]
fn explicit_euler_reports_its_divergence() {
    let pi = Mixture::new(array![1.0], array![[0.0]], Covariances::Spherical(array![1e-6])).unwrap();
    let grid = Grid::Uniform.times(100.0, 100).unwrap();
    let e = simulate(&EulerMaruyama, &Langevin::<f64>::new(&pi, 1.0).unwrap(), &grid, &mut [1.0; 5], paths(0)).unwrap_err();
    assert!(e.to_string().contains("path 0"), "{e}");
}

/// Draws of `noising` from the same start everywhere.
fn draws(noising: &dyn Noising<f64>, x0: &[f64], n: usize) -> Draws<f64> {
    let m = noising.draws_per_path();
    let mut u = vec![0.0; n * m];
    stratified(&mut Stream::new(3, Purpose::Time, 0, 0), m, &mut u);
    let mut out = Draws::new(n * m, noising.dim());
    noising.draw(&x0.repeat(n), &u, paths(5), &mut out).unwrap();
    out
}

/// Chains (eq. 5, 15) and kernels toward one Gaussian have its exact law (eq. 13).
#[test]
fn with_one_component_all_chains_are_the_exact_linear_process() {
    // pi = N(0, I), beta = 1: X_t = e^(-t/2) x_0 + sqrt(1 - e^-t) Z, tested by standardised residuals at
    // random t.
    let pi = Mixture::new(array![1.0], array![[0.0, 0.0]], Covariances::Spherical(array![1.0])).unwrap();
    let scale = NoiseScale::Preserving { beta: 1.0 };
    let times = TimeLaw::logit_normal(scale, 0.02, 3.0, -0.6, 1.2).unwrap();
    let uniform = TimeLaw::uniform(scale, 0.0, 3.0).unwrap();
    let step = || ComponentStep::<f64>::new(&pi, 1.0).unwrap();
    let grid = Grid::Uniform.times(3.0, 3000).unwrap();
    let euler = GaussianChain::fixed(Euler(Langevin::<f64>::new(&pi, 1.0).unwrap()), grid.clone(), uniform, 4).unwrap();
    let kinds: [(&str, Box<dyn Noising<f64>>); 4] = [
        ("kernel", Box::new(ComponentKernel::new(step(), times, Target::Score))),
        ("per-path chain", Box::new(ComponentChain::per_path(step(), 4, times).unwrap())),
        ("fixed chain", Box::new(ComponentChain::fixed(step(), grid[..=300].to_vec(), uniform, 4).unwrap())),
        ("Euler chain", Box::new(euler)),
    ];
    let x0 = [1.5, -0.5];
    for (name, noising) in kinds {
        let out = draws(noising.as_ref(), &x0, 20_000 / noising.draws_per_path());
        let mut z = [Vec::new(), Vec::new()];
        for (i, t) in out.times().iter().enumerate() {
            let (a, sd) = ((-t / 2.0).exp(), scale.sbar(*t));
            for (z, points) in z.iter_mut().zip([out.draw(i).plus, out.draw(i).minus]) {
                z.extend(points.iter().zip(&x0).map(|(x, x0)| (x - a * x0) / sd));
            }
        }
        for z in z {
            // Draws of one path are dependent: 4 of them weigh as much as at least one independent.
            let n = z.len() as f64 / noising.draws_per_path() as f64;
            let (m1, m2) = (z.iter().sum::<f64>() / z.len() as f64, z.iter().map(|z| z * z).sum::<f64>() / z.len() as f64);
            assert!(m1.abs() <= SIGMAS / n.sqrt(), "{name}: mean {m1}");
            assert!((m2 - 1.0).abs() <= SIGMAS * (2.0 / n).sqrt() + 1e-3, "{name}: second moment {m2}");
        }
    }
}

/// Without a drift Euler's chain (eq. 5) is exact.
#[test]
fn the_exploding_chain_is_the_exact_kernel() {
    let sde = VarianceExploding::new(1, 2.0).unwrap();
    let times = TimeLaw::uniform(NoiseScale::Exploding { beta: 2.0 }, 0.0, 3.0).unwrap();
    let chain = GaussianChain::fixed(Euler(sde), Grid::Uniform.times(3.0, 6).unwrap(), times, 2).unwrap();
    let out = draws(&chain, &[0.7], 20_000);
    let z: Vec<f64> = out.times().iter().enumerate().map(|(i, t)| (out.draw(i).plus[0] - 0.7) / (2f64.sqrt() * t)).collect();
    let second = z.iter().map(|z| z * z).sum::<f64>() / z.len() as f64;
    assert!((second - 1.0).abs() <= SIGMAS * (2.0 / 20_000f64).sqrt(), "{second}");
}

/// Targets -L^-T Z (eq. 6) of pairs (eq. 11), and the mean 0 of controls (eq. 8).
#[test]
fn targets_are_conditional_scores_with_mean_zero_controls() {
    let pi = three_modes();
    let scale = NoiseScale::Preserving { beta: 1.0 };
    let times = TimeLaw::logit_normal(scale, 0.05, 3.0, -0.6, 1.2).unwrap();
    let uniform = TimeLaw::uniform(scale, 0.0, 1.0).unwrap();
    let step = || ComponentStep::<f64>::new(&pi, 1.0).unwrap();
    let grid = Grid::Uniform.times(1.0, 20).unwrap();
    let kinds: [(&str, Box<dyn Noising<f64>>); 4] = [
        ("kernel", Box::new(ComponentKernel::new(step(), times, Target::Score))),
        ("per-path chain", Box::new(ComponentChain::per_path(step(), 4, times).unwrap())),
        ("Euler chain", Box::new(GaussianChain::fixed(Euler(Langevin::<f64>::new(&pi, 1.0).unwrap()), grid, uniform, 1).unwrap())),
        ("exploding kernel", Box::new(IsotropicKernel::new(NoiseScale::Exploding { beta: 1.0 }, 2, times))),
    ];
    for (name, noising) in kinds {
        let out = draws(noising.as_ref(), &[0.5, -1.0], 40_000);
        // (8): E psi(mean) . target = 0 for psi = (sin m_0, m_1); and by Stein's identity E target . (plus -
        // mean) = -d.
        let (mut control, mut stein) = (Vec::new(), Vec::new());
        for i in 0..out.len() {
            let d = out.draw(i);
            let psi = [d.mean[0].sin(), d.mean[1]];
            control.push(psi[0] * d.target_plus[0] + psi[1] * d.target_plus[1]);
            stein.push((0..2).map(|j| d.target_plus[j] * (d.plus[j] - d.mean[j])).sum::<f64>() + 2.0);
            for j in 0..2 {
                assert!((d.plus[j] + d.minus[j] - 2.0 * d.mean[j]).abs() <= 1e-12 && d.target_plus[j] == -d.target_minus[j], "{name}");
            }
        }
        for values in [control, stein] {
            let n = values.len() as f64;
            let m = values.iter().sum::<f64>() / n;
            let se = (values.iter().map(|v| (v - m).powi(2)).sum::<f64>() / n / n).sqrt();
            assert!(m.abs() <= SIGMAS * se, "{name}: {m} with standard error {se}");
        }
    }
}

/// The component flow's target (eq. 18).
#[test]
fn flow_target_is_the_conditional_score_plus_the_component_drift() {
    // (eq. 18): target = zeta + C_k^-1 (x_t - m_k). One component, so that k is known.
    let c = array![[1.2, 0.5], [0.5, 0.6]];
    let pi = Mixture::new(array![1.0], array![[0.3, -1.0]], Covariances::Full(c.clone().insert_axis(ndarray::Axis(0)))).unwrap();
    let inverse = array![[0.6, -0.5], [-0.5, 1.2]] / (1.2 * 0.6 - 0.25);
    let times = TimeLaw::uniform(NoiseScale::Preserving { beta: 1.0 }, 0.05, 3.0).unwrap();
    let kernel = |target| ComponentKernel::new(ComponentStep::<f64>::new(&pi, 1.0).unwrap(), times, target);
    let (score, flow) = (draws(&kernel(Target::Score), &[2.0, 0.7], 500), draws(&kernel(Target::Flow), &[2.0, 0.7], 500));
    for i in 0..500 {
        let (s, f) = (score.draw(i), flow.draw(i));
        assert_eq!(s.plus, f.plus);
        for (x, zeta, target) in [(s.plus, s.target_plus, f.target_plus), (s.minus, s.target_minus, f.target_minus)] {
            for j in 0..2 {
                let drift = inverse[[j, 0]] * (x[0] - 0.3) + inverse[[j, 1]] * (x[1] + 1.0);
                assert_relative_eq!(target[j] - drift, zeta[j], epsilon = 1e-9, max_relative = 1e-9);
            }
        }
    }
}
