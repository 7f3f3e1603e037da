//! The minimiser with and without control, for a score that is linear in its parameters: no network, no
//! optimiser, but the normal equations of least squares, A theta = b. Controls change b alone, and must not
//! change its mean.

use super::of_the_gradient;
use crate::audit::transitions::{row, three_modes};
use crate::audit::{Effort, Row};
use crate::config::Control;
use crate::linalg::Cholesky;
use crate::objective::{GaussianChain, terms};
use crate::rng::{Purpose, Stream};
use crate::sde::{DoubleWell, Grid, Langevin, NoiseScale, Paths};
use crate::transition::{ChapmanKolmogorov, Draw, Draws, Euler, Line, Noising, OneStep, TimeLaw};
use crate::{Error, Result};
use ndarray::{Array1, Array2};

/// Step of the chain, and the step whose score is learned.
const H: f64 = 0.05;
const STEP: usize = 9;
/// Draws of a batch.
const BATCH: usize = 4096;
/// Functions of x.
const M: usize = 6;

/// A row for each control and each equation.
///
/// # Errors
/// None that was ever seen.
pub fn rows(effort: Effort) -> Result<Vec<Row>> {
    let batches = if effort == Effort::Quick { 40 } else { 250 };
    let pi = three_modes()?;
    let mut rows = on("double well", Euler(DoubleWell::new(1, 0.8)?), batches)?;
    rows.extend(on("three modes", Euler(Langevin::<f64>::new(&pi, 1.0)?), batches)?);
    Ok(rows)
}

/// s(x) = sum_j theta_j f_j(x): 1, x and bumps.
fn functions(x: f64) -> [f64; M] {
    let bump = |m: f64| (-0.5 * (x - m) * (x - m)).exp();
    [1.0, x, bump(-2.0), bump(-0.7), bump(0.7), bump(2.0)]
}

/// The part of E |s|^2 - 2 E s y that is linear in theta, from one draw: f(X) y, less the control.
fn linear(control: Control, draw: &Draw<'_, f64>) -> [f64; M] {
    // A gate of mu alone, and a coefficient.
    let factor = |_| match control {
        Control::Gated => 0.5 + 0.4 * draw.mean[0].sin(),
        Control::Regression => 0.7,
        _ => 1.0,
    };
    // A guide that belongs to neither process: it may be any function.
    let g = |x: &[f64]| (1.5 * x[0]).cos() - x[0];
    let guide = |_| 0.5 * (g(draw.plus) - g(draw.minus));
    let mut sum = [0.0; M];
    for term in terms(control) {
        let y = term.w * term.b * term.target.scaled(draw, 0, 1.0, factor, guide);
        sum.iter_mut().zip(functions(term.point.of(draw)[0])).for_each(|(sum, f)| *sum += f * y);
    }
    sum
}

fn on<T: OneStep<f64> + Send + Clone>(name: &str, law: T, batches: u64) -> Result<Vec<Row>> {
    // The truth: the chain's own score at the end of that step, projected on the functions in L2(p).
    let start = |x: f64| (-2.0 * (x - 0.3) * (x - 0.3)).exp();
    let mut chain = ChapmanKolmogorov::new(Line::new(-6.0, 6.0, 1201, start)?);
    (0..=STEP).try_for_each(|n| chain.step(&law, n as f64 * H, (n + 1) as f64 * H))?;
    let (mut a, mut b) = (Array2::<f64>::zeros((M, M)), Array1::<f64>::zeros(M));
    for (i, (p, s)) in chain.law().density().iter().zip(chain.score()).enumerate().filter(|(_, (p, _))| **p > 1e-12) {
        let f = functions(chain.law().x(i));
        add(&mut a, &mut b, &f, &f.map(|f| f * s), p * chain.law().spacing());
    }
    let truth = solve(&a, &b)?;

    // Draws of that step alone: the law of times is a point.
    let grid = Grid::Uniform.times((STEP + 1) as f64 * H, STEP + 1)?;
    let scale = NoiseScale::Preserving { beta: 1.0 };
    let noising = GaussianChain::fixed(law, grid, TimeLaw::uniform(scale, 0.0, (STEP + 1) as f64 * H)?, 1)?;
    let u = vec![1.0 - 1e-9; BATCH];
    let controls: Vec<Control> = [Control::None].into_iter().chain(of_the_gradient()).collect();
    let mut fits = vec![Vec::with_capacity(batches as usize); controls.len()];
    let mut draws = Draws::new(BATCH, 1);
    let mut starts = vec![0.0; BATCH];
    for batch in 0..batches {
        Stream::new(31, Purpose::Test, batch, 0).fill_normal(&mut starts);
        starts.iter_mut().for_each(|x| *x = 0.3 + 0.5 * *x);
        noising.draw(&starts, &u, Paths { seed: 31, purpose: Purpose::Noise, step: batch }, &mut draws)?;
        for (control, fits) in controls.iter().zip(&mut fits) {
            let (mut a, mut b) = (Array2::<f64>::zeros((M, M)), Array1::<f64>::zeros(M));
            for i in 0..BATCH {
                let draw = draws.draw(i);
                let f = functions(draw.plus[0]);
                add(&mut a, &mut b, &f, &linear(*control, &draw), 1.0 / BATCH as f64);
            }
            fits.push(residual(&a, &b, &truth));
        }
    }
    let z = |of: &dyn Fn(usize) -> [f64; M]| {
        (0..M)
            .map(|j| {
                let (mut sum, mut square) = (0.0, 0.0);
                (0..fits[0].len()).map(|i| of(i)[j]).for_each(|x| (sum, square) = (sum + x, square + x * x));
                let n = fits[0].len() as f64;
                (sum / n).abs() / ((square / n - (sum / n).powi(2)) / (n - 1.0)).sqrt()
            })
            .fold(0.0, f64::max)
    };
    Ok(controls
        .iter()
        .enumerate()
        .map(|(c, control)| {
            let truth = z(&|i| fits[c][i]);
            let mut errors = vec![("chain's score", truth, 4.0)];
            if c > 0 {
                errors.push(("no control", z(&|i| std::array::from_fn(|j| fits[c][i][j] - fits[0][i][j])), 4.0));
            }
            row("minimiser", &format!("{}, {name}", control.name()), &errors)
        })
        .collect())
}

fn add(a: &mut Array2<f64>, b: &mut Array1<f64>, f: &[f64; M], y: &[f64; M], weight: f64) {
    for i in 0..M {
        b[i] += weight * y[i];
        for j in 0..M {
            a[[i, j]] += weight * f[i] * f[j];
        }
    }
}

/// A theta - b: half the gradient of the batch's loss at theta. Its mean is 0 at the minimiser and nowhere
/// else.
fn residual(a: &Array2<f64>, b: &Array1<f64>, theta: &Array1<f64>) -> [f64; M] {
    let r = a.dot(theta) - b;
    std::array::from_fn(|j| r[j])
}

fn solve(a: &Array2<f64>, b: &Array1<f64>) -> Result<Array1<f64>> {
    Cholesky::new(a.view()).map_err(|e: Error| e.within("minimiser"))?.solve_vec(b.view())
}
