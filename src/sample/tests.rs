//! One step of each sampler against its formula, with the same normals.

use super::*;
use crate::Result;
use crate::config::Spacing;
use crate::mixture::{Covariances, Mixture};
use crate::rng::Purpose;
use crate::sde::ode::Explicit;
use crate::sde::{ComponentStep, NoiseScale, Paths};
use approx::assert_relative_eq;
use ndarray::array;

const PATHS: Paths = Paths { seed: 3, purpose: Purpose::Reverse, step: 0 };

/// The first `n` normals of the stream of these paths, n <= 16.
fn normals(n: usize) -> Vec<f64> {
    let mut z = [0.0; 64];
    PATHS.stream(0).fill_normal(&mut z);
    z[..n].to_vec()
}

/// Reverse SDE toward N(m, c) (eq. 15, 16): with y = u + beta h r, the drift of what the score has beyond the
/// reference's, u' = m + a (y - m) + (c (1 - a^2))^(1/2) z, a = e^(-beta h/2c); the corrector has half that
/// drift.
#[test]
fn a_step_of_the_reverse_sde_is_ancestral_for_the_reference() {
    let (m, c, beta, h) = (0.7f64, 0.4f64, 1.3f64, 0.3f64);
    let pi = Mixture::new(array![1.0], array![[m]], Covariances::Spherical(array![c])).unwrap();
    let reverse = ReverseLangevin(ComponentStep::<f64>::new(&pi, beta).unwrap());
    let (u, r) = ([-2.0, -0.5, 0.0, 0.7, 1.5], [1.0, -2.0, 0.5, 0.0, 3.0]);
    let a = (-beta * h / (2.0 * c)).exp();
    for (share, correct) in [(1.0, false), (0.5, true)] {
        let mut got = u;
        let step = if correct { Reverse::correct } else { Reverse::reverse_step };
        step(&reverse, 1.0, h, &r, &mut got, PATHS).unwrap();
        let expected = |((u, r), z): ((&f64, &f64), f64)| m + a * (u + share * beta * h * r - m) + (c * (1.0 - a * a)).sqrt() * z;
        let expected: Vec<f64> = u.iter().zip(&r).zip(normals(5)).map(expected).collect();
        assert_relative_eq!(got[..], expected[..], max_relative = 1e-13);
    }
}

/// The mean of an ancestral step, as the difference of two with the same noise: by Tweedie's formula (x + v
/// s)/alpha, alpha = alpha_t/alpha_s, v = sbar_t^2 - alpha^2 sbar_s^2, s = r - x/(alpha_t^2 + sbar_t^2) the
/// score.
#[test]
fn an_ancestral_step_has_the_mean_of_tweedie() {
    let others = [NoiseScale::Exploding { beta: 0.8 }, NoiseScale::Preserving { beta: 0.8 }, NoiseScale::SubPreserving { beta: 0.8 }];
    for (scale, t, h) in others.map(|scale| (scale, 1.1f64, 0.4f64)).into_iter().chain([(NoiseScale::Straight, 0.9, 0.4)]) {
        let (alpha, sbar) = ([t, t - h].map(|t| scale.alpha(t)), [t, t - h].map(|t| scale.sbar(t)));
        let ratio = alpha[0] / alpha[1];
        let v = sbar[0].powi(2) - (ratio * sbar[1]).powi(2);
        let reverse = ReverseIsotropic::new(1, scale);
        let run = |u: f64, r: f64| {
            let mut u = [u];
            reverse.reverse_step(t, h, &[r], &mut u, PATHS).unwrap();
            u[0]
        };
        let mean = |u: f64, r: f64| (u + v * (r - u / (alpha[0].powi(2) + sbar[0].powi(2)))) / ratio;
        for (u, r) in [(1.0, 0.0), (-2.0, 0.7), (0.0, 1.0)] {
            assert_relative_eq!(run(u, r) - run(0.0, 0.0), mean(u, r), max_relative = 1e-12);
        }
        if scale == NoiseScale::Straight {
            continue;
        }
        // The corrector: x + sigma^2 h s/2 + sigma h^(1/2) z.
        let variance = scale.diffusion(t).powi(2) * h;
        let mut u = [1.5, -0.5];
        reverse.correct(t, h, &[0.3, 2.0], &mut u, PATHS).unwrap();
        let exact = |x: f64, r: f64, z: f64| x + 0.5 * variance * (r - x / (alpha[0].powi(2) + sbar[0].powi(2))) + variance.sqrt() * z;
        let z = normals(2);
        assert_relative_eq!(u[..], [exact(1.5, 0.3, z[0]), exact(-0.5, 2.0, z[1])][..], max_relative = 1e-12);
    }
}

/// A residual that is far from 0, and changes with t and u.
struct Bent;

impl Field<f64> for Bent {
    fn residual(&mut self, t: f64, u: &[f64], out: &mut [f64]) -> Result<()> {
        out.iter_mut().zip(u).for_each(|(o, u)| *o = (u + t).sin() - 2.0);
        Ok(())
    }
}

/// Every method ends with one Euler step of the flow (eq. 16) from t_min to 0: u - t_min v(u, t_min), v =
/// -(beta/2) r.
#[test]
fn generation_ends_with_a_step_of_the_flow_to_time_zero() {
    let pi = Mixture::new(array![0.5, 0.5], array![[-1.0], [1.0]], Covariances::Spherical(array![0.3, 0.5])).unwrap();
    let (beta, t_min) = (1.4, 0.05);
    let reverse = ReverseLangevin(ComponentStep::<f64>::new(&pi, beta).unwrap());
    for method in [Method::Ode, Method::Sde, Method::Pc] {
        let mut seen: Vec<(f64, Vec<f64>)> = Vec::new();
        let mut u = vec![-1.5, 0.2, 0.9];
        let how = Generation { method, flow: Explicit::HEUN, steps: 4, horizon: 1.0, t_min, spacing: Spacing::Karras, seed: 1, block: 0 };
        generate(&reverse, &mut Bent, how, &mut u, &mut |t, u| seen.push((t, u.to_vec()))).unwrap();
        let [.., (before, at), (end, last)] = &seen[..] else { panic!("{method:?}: two points at least") };
        assert!(seen.len() == 6 && *end == 0.0 && *last == u, "{method:?}");
        assert_relative_eq!(*before, t_min, max_relative = 1e-12);
        let expected: Vec<f64> = at.iter().map(|x| x + t_min * beta / 2.0 * ((x + t_min).sin() - 2.0)).collect();
        assert_relative_eq!(u[..], expected[..], max_relative = 1e-12);
    }
}
