//! Steps that adapt to each path: their law, their accuracy, and that a path does not depend on those beside
//! it.

use ndsm::Real;
use ndsm::rng::Purpose;
use ndsm::sde::brownian::Tree;
use ndsm::sde::kinds::{Additive, Either};
use ndsm::sde::{DoubleWell, Paths, Sde, Sra1, Time, Tolerance, adaptive, simulate};

/// dX = -X^3 dt + dB: the drift of what adaptive steps are for.
struct Cubic;

impl<R: Real> Sde<R> for Cubic {
    type Calculus = Either;
    type Noise = Additive;
    type Scratch = ();
    fn dim(&self) -> usize {
        2
    }
    fn noises(&self) -> usize {
        1
    }
    fn scratch(&self) {}
    /// The second coordinate is the Brownian path itself.
    fn drift<const FMA: bool>(&self, t: &Time, x: &[[R; 16]], f: &mut [[R; 16]], (): &mut ()) {
        for i in 0..16 {
            assert!((0.0..=4.0).contains(&t.of(i)), "the drift was asked at {}", t.of(i));
            f[0][i] = -x[0][i] * x[0][i] * x[0][i];
        }
        f[1] = [R::zero(); 16];
    }
    fn diffuse<const FMA: bool>(&self, _t: &Time, _x: &[[R; 16]], w: &[[R; 16]], g: &mut [[R; 16]], (): &mut ()) {
        g[0] = w[0];
        g[1] = w[0];
    }
}

fn paths(step: u64) -> Paths {
    Paths { seed: 3, purpose: Purpose::Test, step }
}

#[test]
fn rejections_do_not_bias_the_law() {
    // Steps as usual, and steps that are tried although they are likely to be rejected.
    law_with_rejections(Tolerance { absolute: 0.1, relative: 0.0, ..Tolerance::default() }, 0.05);
    law_with_rejections(Tolerance { absolute: 0.003, relative: 0.0, safety: 100.0 }, 0.3);
}

/// The law of the paths, of which at least `least` of the steps are rejected.
fn law_with_rejections(tolerance: Tolerance, least: f64) {
    const N: usize = 100_000;
    let mut x = vec![0.0f64; 2 * N];
    let counts = adaptive(&Sra1, &Cubic, 0.0, 4.0, &mut x, tolerance, paths(0)).unwrap();
    let share = counts.rejected as f64 / (counts.accepted + counts.rejected) as f64;
    assert!(share >= least, "{share}");
    let mean = |f: &dyn Fn(&[f64]) -> f64| x.chunks(2).map(f).sum::<f64>() / N as f64;
    // 99.99 % intervals: 3.89 standard errors. Var W^2 = 2.
    let variance = mean(&|x| x[1] * x[1] / 4.0);
    assert!((variance - 1.0).abs() <= 3.89 * (2.0 / N as f64).sqrt(), "{variance}");
    let (square, fourth) = (mean(&|x| x[0] * x[0]), mean(&|x| x[0].powi(4)));
    let error = ((fourth - square * square) / N as f64).sqrt();
    // The invariant density e^(-x^4/2) has E X^2 = 2^(1/2) Gamma(3/4)/Gamma(1/4).
    assert!((square - 0.477_988_8).abs() <= 3.89 * error, "{square} +- {error}");
    // W against N(0, 1), X against its invariant law, whose integral is summed on a fine grid (error 1e-7).
    let w = smirnov(x.chunks(2).map(|x| x[1] / 2.0), |w| w.normal_law_lane::<false>().0);
    let cells = 8000;
    let at = |i: usize| 8.0 * i as f64 / cells as f64 - 4.0;
    let mut below = vec![0.0; cells + 1];
    (0..cells).for_each(|i| below[i + 1] = below[i] + 0.5 * ((-0.5 * at(i).powi(4)).exp() + (-0.5 * at(i + 1).powi(4)).exp()));
    let law = |x: f64| {
        let place = ((x + 4.0) / 8.0 * cells as f64).clamp(0.0, cells as f64 - 1e-9);
        let (i, share) = (place as usize, place.fract());
        (below[i] + share * (below[i + 1] - below[i])) / below[cells]
    };
    let x = smirnov(x.chunks(2).map(|x| x[0]), law);
    assert!(w <= 1.0 && x <= 1.0, "{w} {x}");
}

/// The distance of Kolmogorov and Smirnov over its 99.9 % value, 1.95 / sqrt n.
fn smirnov(x: impl Iterator<Item = f64>, law: impl Fn(f64) -> f64) -> f64 {
    let mut x: Vec<f64> = x.collect();
    x.sort_by(f64::total_cmp);
    let n = x.len() as f64;
    let distance = x.iter().enumerate().map(|(i, x)| (law(*x) - (i as f64 + 0.5) / n).abs()).fold(0.0, f64::max);
    distance * n.sqrt() / 1.95
}

#[test]
fn a_path_alone_is_the_path_in_a_crowd() {
    let run = |n: usize, threads: usize| {
        let mut x: Vec<f32> = (0..2 * n).map(|i| (i as f32).sin() * 3.0).collect();
        let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
        let tolerance = Tolerance::default();
        pool.install(|| adaptive(&Sra1, &DoubleWell::new(2, 1.0).unwrap(), 0.0, 1.0, &mut x, tolerance, paths(1))).unwrap();
        x
    };
    let crowd = run(200, 2);
    assert_eq!(run(200, 1), crowd);
    for few in [1, 15, 17, 33] {
        assert_eq!(run(few, 1), crowd[..2 * few]);
    }
}

#[test]
fn the_error_follows_the_tolerance() {
    const N: usize = 512;
    let sde = DoubleWell::new(1, 0.8).unwrap();
    let start = vec![0.2f64; N];
    // The same Brownian paths in 2^14 steps, cell by cell of the tree that the adaptive steps use.
    let exact = {
        let (mut x, steps) = (start.clone(), 1 << 14);
        let tree = Tree::new(paths(2), &[0.0, 1.0]).unwrap();
        for (chunk, x) in x.chunks_mut(16).enumerate() {
            let mut cursor = tree.cursor::<f64>(chunk, 1);
            let (mut w, mut h) = ([[0.0; 16]], [[0.0; 16]]);
            let dt = 1.0 / f64::from(steps);
            for n in 0..steps {
                cursor.query(f64::from(n) * dt, f64::from(n + 1) * dt, &mut w, &mut h, &mut []).unwrap();
                for i in 0..16 {
                    // SRA1, by hand.
                    let f = |x: f64| x - x * x * x;
                    let z = x[i] + 0.75 * dt * f(x[i]) + 1.5 * 0.8 * (0.5 * w[0][i] + h[0][i]);
                    x[i] += dt * (f(x[i]) + 2.0 * f(z)) / 3.0 + 0.8 * w[0][i];
                }
            }
        }
        x
    };
    let mut ratios = Vec::new();
    for tolerance in [1e-2, 1e-3, 1e-4, 1e-5] {
        let mut x = start.clone();
        adaptive(&Sra1, &sde, 0.0, 1.0, &mut x, Tolerance { absolute: tolerance, relative: 0.0, ..Tolerance::default() }, paths(2))
            .unwrap();
        let square: f64 = x.iter().zip(&exact).map(|(a, b)| (a - b) * (a - b)).sum();
        ratios.push((square / N as f64).sqrt() / tolerance);
    }
    let (least, most) = (ratios.iter().copied().fold(f64::MAX, f64::min), ratios.iter().copied().fold(0.0, f64::max));
    assert!(most <= 10.0 * least && most <= 10.0 && least >= 0.01, "{ratios:?}");
}

#[test]
fn superlinear_drifts_are_survived_or_reported() {
    let (n, grid): (usize, Vec<f64>) = (2000, (0..=200).map(|i| 0.25 * f64::from(i)).collect());
    let sde = DoubleWell::new(1, 2f64.sqrt()).unwrap();
    let start = vec![3.0f64; n];
    let e = simulate(&ndsm::sde::EulerMaruyama, &sde, &grid, &mut start.clone(), paths(3)).unwrap_err();
    let sentence = e.to_string();
    assert!(sentence.contains("path ") && sentence.contains("at time ") && sentence.contains("tamed-euler"), "{sentence}");
    let mut x = start.clone();
    simulate(&ndsm::sde::TamedEuler, &sde, &grid, &mut x, paths(3)).unwrap();
    assert!(x.iter().all(|x| x.abs() < 10.0));
    let mut x = start;
    adaptive(&Sra1, &sde, 0.0, 50.0, &mut x, Tolerance { absolute: 1e-2, relative: 1e-2, ..Tolerance::default() }, paths(3)).unwrap();
    assert!(x.iter().all(|x| x.abs() < 10.0));
    // A drift that is not a number is not the integrator's fault, and is said.
    let mut x = vec![f64::MAX; 3];
    let e =
        adaptive(&Sra1, &sde, 0.0, 1.0, &mut x, Tolerance { absolute: 1e-2, relative: 0.0, ..Tolerance::default() }, paths(3)).unwrap_err();
    assert!(e.to_string().contains("path 0") && e.to_string().contains("no step is short enough"), "{e}");
}
