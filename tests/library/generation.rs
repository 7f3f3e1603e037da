//! The samplers with fields that are known exactly: what is left is their own error.

use crate::common::ks_ratio;
use ndarray::{Array2, ArrayView2, array};
use ndsm::Result;
use ndsm::config::{Config, Setting, Spacing};
use ndsm::metrics::w2_to_quantile;
use ndsm::mixture::{Covariances, Draw, Mixture};
use ndsm::rng::Purpose;
use ndsm::sample::{Field, Generation, Method, Reverse, ReverseIsotropic, ReverseLangevin, generate};
use ndsm::sde::ode::Explicit;
use ndsm::sde::{ComponentStep, NoiseScale};
use ndsm::train::Reference;

/// The exact residual of a linear process: data are a mixture, so p_t is one too.
struct ExactLinear {
    data: Mixture,
    scale: NoiseScale,
}

impl Field<f64> for ExactLinear {
    fn residual(&mut self, t: f64, u: &[f64], out: &mut [f64]) -> Result<()> {
        let x = ArrayView2::from_shape((u.len(), 1), u).unwrap();
        let (alpha, sbar) = (self.scale.alpha(t), self.scale.sbar(t));
        // The residual beside the score of N(0, I) data.
        let precision = 1.0 / (alpha * alpha + sbar * sbar);
        let s = self.data.marginal(alpha, sbar * sbar)?.score(x)?;
        out.iter_mut().zip(&s).zip(u).for_each(|((o, s), u)| *o = s + precision * u);
        Ok(())
    }
}

fn two_modes() -> Mixture {
    Mixture::new(array![0.3, 0.7], array![[-1.4], [0.6]], Covariances::Spherical(array![0.05, 0.1])).unwrap()
}

/// The KS ratio between generated points and data.
fn distance(reverse: &dyn Reverse<f64>, horizon: f64, how: (Method, Explicit, usize)) -> f64 {
    let data = two_modes();
    let n = 20_000;
    let wide = Mixture::new(array![1.0], array![[0.0]], Covariances::Spherical(array![1.0])).unwrap();
    let scale = reverse.scale().total_std(1.0, horizon);
    let mut u: Vec<f64> = wide.sample(n, 1, Purpose::Start, Draw::Independent).unwrap().0.iter().map(|v| scale * v).collect();
    let how = Generation { method: how.0, flow: how.1, steps: how.2, horizon, t_min: 1e-3, spacing: Spacing::Karras, seed: 5, block: 0 };
    generate(reverse, &mut ExactLinear { data: data.clone(), scale: reverse.scale() }, how, &mut u, &mut |_, _| {}).unwrap();
    let exact: Vec<f64> = data.sample(n, 2, Purpose::Test, Draw::Independent).unwrap().0.iter().copied().collect();
    ks_ratio(&u, &exact)
}

/// Reverse equation (eq. 3) and probability flow (eq. 4) with exact scores end in the law of the data.
#[test]
fn all_methods_bring_linear_noise_back_to_the_data() {
    let standard = Mixture::new(array![1.0], array![[0.0]], Covariances::Spherical(array![1.0])).unwrap();
    let vp = ReverseLangevin(ComponentStep::<f64>::new(&standard, 1.0).unwrap());
    let ve = ReverseIsotropic::new(1, NoiseScale::Exploding { beta: 1.0 });
    let sub = ReverseIsotropic::new(1, NoiseScale::SubPreserving { beta: 1.0 });
    let straight = ReverseIsotropic::new(1, NoiseScale::Straight);
    for (method, flow, steps) in [(Method::Ode, Explicit::HEUN, 100), (Method::Sde, Explicit::HEUN, 600), (Method::Pc, Explicit::HEUN, 400)]
    {
        let ks = distance(&vp, 12.0, (method, flow, steps));
        assert!(ks <= 1.0, "vp {method:?}: {ks} of the critical value");
        let ks = distance(&ve, 60.0, (method, flow, steps));
        assert!(ks <= 1.0, "ve {method:?}: {ks} of the critical value");
        let ks = distance(&sub, 12.0, (method, flow, steps));
        assert!(ks <= 1.0, "sub-vp {method:?}: {ks} of the critical value");
        let ks = distance(&straight, 0.998, (method, flow, steps));
        assert!(ks <= 1.0, "straight {method:?}: {ks} of the critical value");
    }
    // Too few steps are seen.
    assert!(distance(&vp, 12.0, (Method::Sde, Explicit::HEUN, 6)) > 1.0);
}

/// The flow in its form toward a reference (eq. 16).
#[test]
fn the_flow_is_solved_at_the_order_of_its_method() {
    // The flow of one path is deterministic: errors against a fine solution fall by 2^order when the step is
    // halved.
    let standard = Mixture::new(array![1.0], array![[0.0]], Covariances::Spherical(array![1.0])).unwrap();
    let vp = ReverseLangevin(ComponentStep::<f64>::new(&standard, 1.0).unwrap());
    let end = |flow, steps| {
        let mut u = vec![-1.7, -0.6, 0.2, 0.9, 2.0];
        let how = Generation { method: Method::Ode, flow, steps, horizon: 6.0, t_min: 0.1, spacing: Spacing::Karras, seed: 0, block: 0 };
        generate(&vp, &mut ExactLinear { data: two_modes(), scale: NoiseScale::Preserving { beta: 1.0 } }, how, &mut u, &mut |_, _| {})
            .unwrap();
        u
    };
    let fine = end(Explicit::RK4, 4_000);
    let error = |flow, steps| end(flow, steps).iter().zip(&fine).map(|(a, b)| (a - b).powi(2)).sum::<f64>().sqrt();
    for flow in [Explicit::EULER, Explicit::HEUN, Explicit::RK4] {
        let slope = (error(flow, 400) / error(flow, 800)).log2();
        assert!((slope - flow.order() as f64).abs() <= 0.15, "{}: order {slope}", flow.name());
    }
}

/// The component flow's exact field (18) in one dimension, for data on equally likely points: conditional
/// means by sums over the points and the components, tabulated on a fine grid in u at each time.
struct ExactFlow {
    pi: Mixture,
    data: Vec<f64>,
    responsibilities: Array2<f64>,
}

const GRID: usize = 800;
const REACH: f64 = 6.0;

impl Field<f64> for ExactFlow {
    fn residual(&mut self, t: f64, u: &[f64], out: &mut [f64]) -> Result<()> {
        let table: Vec<f64> = (0..=GRID)
            .map(|i| {
                let x = REACH * (2.0 * i as f64 / GRID as f64 - 1.0);
                let (mut top, mut bottom) = (0.0, 1e-300);
                for k in 0..self.pi.components() {
                    let (m, v) = (self.pi.means()[[k, 0]], self.pi.covariance(k)[[0, 0]]);
                    let a = (-t / (2.0 * v)).exp();
                    let sd = (-v * (-t / v).exp_m1()).sqrt();
                    for (x0, r) in self.data.iter().zip(self.responsibilities.column(k)) {
                        let z = (x - m - a * (x0 - m)) / sd;
                        let weight = r * (-0.5 * z * z).exp() / sd;
                        top += weight * (a / v * (x0 - m) - a * a / sd * z);
                        bottom += weight;
                    }
                }
                top / bottom
            })
            .collect();
        for (o, u) in out.iter_mut().zip(u) {
            let at = ((u / REACH + 1.0) * 0.5 * GRID as f64).clamp(1.0, GRID as f64 - 2.001);
            let (i, f) = (at as usize, at.fract());
            // Cubic interpolation (Catmull-Rom).
            let [p, q, r, s] = [table[i - 1], table[i], table[i + 1], table[i + 2]];
            *o = q + 0.5 * f * (r - p + f * (2.0 * p - 5.0 * q + 4.0 * r - s + f * (3.0 * (q - r) + s - p)));
        }
        Ok(())
    }
}

/// The quantiles of a mixture on the line at (i + 1/2)/n: its distribution function by midpoint sums of the
/// density.
fn quantiles(pi: &Mixture, n: usize) -> Vec<f64> {
    let cells = 100_000;
    let width = 2.0 * REACH / cells as f64;
    let x = Array2::from_shape_fn((cells, 1), |(i, _)| -REACH + (i as f64 + 0.5) * width);
    let mass = pi.log_density(x.view()).unwrap().mapv(|l| l.exp() * width);
    let (mut sum, mut cell) = (0.0, 0);
    (0..n)
        .map(|i| {
            let u = (i as f64 + 0.5) / n as f64;
            while sum + mass[cell] < u {
                sum += mass[cell];
                cell += 1;
            }
            -REACH + width * (cell as f64 + (u - sum) / mass[cell])
        })
        .collect()
}

/// Data uniform, reference of three components fitted, floored, weights refitted or not: W2 of the flow's end
/// to the data.
fn flow_error(refit: bool) -> f64 {
    let n = 800;
    let x = Array2::from_shape_fn((n, 1), |(i, _)| 2.0 * (i as f64 + 0.5) / n as f64 - 1.0);
    let config = Config::resolve(&[
        Setting::new("data.name", "ring"),
        Setting::new("reference.components", 3usize),
        Setting::new("objective.kind", "component-flow"),
    ])
    .unwrap();
    let mut reference = Reference::fit(x.view(), &config).unwrap();
    if !refit {
        reference.mixture = reference.mixture.with_weights(array![0.25, 0.5, 0.25]).unwrap();
    }
    let u = reference.whitening.whiten(x.view()).unwrap();
    let pi = reference.mixture.clone();
    let responsibilities = pi.responsibilities(u.view()).unwrap();
    let mut field = ExactFlow { pi: pi.clone(), data: u.iter().copied().collect(), responsibilities };
    let reverse = ReverseLangevin(ComponentStep::<f64>::new(&pi, 1.0).unwrap());
    let mut y = quantiles(&pi, 2000);
    let how = Generation {
        method: Method::Ode,
        flow: Explicit::HEUN,
        steps: 120,
        horizon: 12.0,
        t_min: 2e-5,
        spacing: Spacing::Karras,
        seed: 0,
        block: 0,
    };
    generate(&reverse, &mut field, how, &mut y, &mut |_, _| {}).unwrap();
    let x = reference.whitening.unwhiten(Array2::from_shape_vec((y.len(), 1), y).unwrap().view()).unwrap();
    let x: Vec<f64> = x.iter().copied().collect();
    w2_to_quantile(&x, |u| 2.0 * u - 1.0)
}

/// The flow of (eq. 18), and the weights that it needs.
#[test]
fn the_component_flow_with_exact_fields_brings_the_reference_back_to_the_data() {
    let (exact, wrong) = (flow_error(true), flow_error(false));
    assert!(wrong > 0.005, "weights that are not the mean responsibilities are seen: {wrong}");
    assert!(exact <= 0.001, "W2 {exact}");
}

#[test]
fn nonsense_is_refused() {
    let pi = two_modes();
    let reverse = ReverseLangevin(ComponentStep::<f64>::new(&pi, 1.0).unwrap());
    let mut field = ExactLinear { data: pi, scale: NoiseScale::Preserving { beta: 1.0 } };
    let how = Generation {
        method: Method::Ode,
        flow: Explicit::HEUN,
        steps: 0,
        horizon: 1.0,
        t_min: 0.1,
        spacing: Spacing::Karras,
        seed: 0,
        block: 0,
    };
    let mut run = |how, u: &mut [f64]| generate(&reverse, &mut field, how, u, &mut |_, _| {});
    assert!(run(how, &mut [0.0]).unwrap_err().to_string().contains("steps"));
    assert!(run(Generation { steps: 5, t_min: 2.0, ..how }, &mut [0.0]).unwrap_err().to_string().contains("t_min"));
    assert!(run(Generation { steps: 5, ..how }, &mut [f64::NAN]).unwrap_err().to_string().contains("NaN"));
}
