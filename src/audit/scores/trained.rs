//! Networks trained on fine chains, against the chains' own scores, time bin by time bin.

use crate::Result;
use crate::audit::transitions::{row, three_modes};
use crate::audit::{Effort, Row};
use crate::config::{Control, Parametrisation, Weighting};
use crate::mixture::{Covariances, Draw, Evaluator, Mixture};
use crate::nn::{Inference, ScoreNet};
use crate::objective::{GaussianChain, Guide, Learned, Loss, Regression, ScoreModel, Seen, Weights};
use crate::optim::{Adam, Decay, Schedule};
use crate::rng::{Purpose, Stream};
use crate::sde::{DoubleWell, Grid, Langevin, NoiseScale, Paths};
use crate::transition::{ChapmanKolmogorov, Draws, Euler, Line, Noising, OneStep, TimeLaw, stratified};
use std::time::Instant;

/// Steps of the chains, on [0, 1].
const STEPS: usize = 200;
/// Bins of time.
const BINS: usize = 10;

/// A row for each law.
///
/// # Errors
/// None that was ever seen.
pub fn rows(effort: Effort) -> Result<Vec<Row>> {
    let (steps, bound) =
        if effort == Effort::Quick { (600, 0.15) } else { (std::env::var("ST").map_or(20_000, |s| s.parse().unwrap()), 0.03) };
    let narrow = Mixture::new(ndarray::array![1.0], ndarray::array![[0.3]], Covariances::Spherical(ndarray::array![0.25]))?;
    let data = Mixture::new(
        ndarray::array![0.3, 0.5, 0.2],
        ndarray::array![[-1.8], [0.1], [2.4]],
        Covariances::Spherical(ndarray::array![0.4, 0.6, 0.4]),
    )?;
    let pi = three_modes()?;
    let guide = || Guide::Reference(Evaluator::new(&pi));
    let (well, modes) = (Euler(DoubleWell::new(1, 0.8)?), Euler(Langevin::<f32>::new(&pi, 1.0)?));
    Ok(vec![
        one("double well", well.clone(), &Euler(DoubleWell::new(1, 0.8)?), &narrow, Guide::Standard, steps, bound)?,
        one("three modes", modes, &Euler(Langevin::<f64>::new(&pi, 1.0)?), &data, guide(), steps, bound)?,
    ])
}

fn one<T, E>(name: &str, law: T, exact: &E, data: &Mixture, guide: Guide<f32>, steps: u64, bound: f64) -> Result<Row>
where
    T: OneStep<f32> + Send + 'static,
    E: OneStep<f64>,
{
    let began = Instant::now();
    let scale = NoiseScale::Preserving { beta: 0.64 };
    let (width, batch, per_path) = (64, std::env::var("BA").map_or(256, |s| s.parse().unwrap()), 2);
    let e = |n: &str, d: f64| std::env::var(n).map_or(d, |s| s.parse().unwrap());
    let (width, depth) = (e("WI", width as f64) as usize, e("DE", 2.0) as usize);
    let net = ScoreNet::new(1, width, depth, e("FR", 6.0) as usize)?;
    let sd = 1.0;
    let model = ScoreModel::new(
        net,
        if std::env::var("PL").is_ok() { Parametrisation::Plain } else { Parametrisation::Residual },
        scale,
        guide,
        &[sd],
    )?;
    let times = if std::env::var("LN").is_ok() {
        TimeLaw::logit_normal(scale, 0.0025, 1.0, e("LN", -1.0), e("LS", 1.0))?
    } else {
        TimeLaw::uniform(scale, 0.0, 1.0)?
    };
    let grid = Grid::Uniform.times(1.0, STEPS)?;
    let noising = GaussianChain::fixed(law, grid.clone(), times, per_path)?;
    let n = batch * per_path;
    let mut loss = Loss::new(&model, Regression::Score, Control::Antithetic, n)?;
    let adam = Adam {
        ema: Some(0.999),
        ..Adam::new(Schedule::new(std::env::var("LR").map_or(2e-3, |s| s.parse().unwrap()), 100, steps, Decay::Cosine)?)
    };
    let mut params = net.init::<f32>(0);
    let mut state = adam.start(&params)?;
    let (mut draws, mut values, mut grad) = (Draws::new(n, 1), vec![0.0; n], vec![0.0; params.len()]);
    let mut u = vec![0.0; n];
    let mut weights = Weights::new(if std::env::var("UN").is_ok() { Weighting::Uniform } else { Weighting::Variance }, scale, n);
    for step in 0..steps {
        let x0: Vec<f32> = data.sample(batch, step, Purpose::Data, Draw::Systematic)?.0.iter().map(|x| *x as f32).collect();
        stratified(&mut Stream::new(0, Purpose::Time, step, 0), per_path, &mut u);
        noising.draw(&x0, &u, Paths { seed: 0, purpose: Purpose::Noise, step }, &mut draws)?;
        loss.run(
            &model,
            &params,
            &Learned::Nothing,
            &draws,
            weights.at(draws.times(), &noising, &Seen::default()),
            &mut values,
            &mut grad,
        )?;
        let _ = adam.step(&mut params, &grad, &mut state)?;
    }
    let seconds = began.elapsed().as_secs_f64();
    if !state.ema.is_empty() {
        params.copy_from_slice(&state.ema);
    }
    let density = |x: f64| data.log_density(ndarray::array![[x]].view()).map_or(f64::NAN, |l| l[0].exp());
    let mut chain = ChapmanKolmogorov::new(Line::new(-6.0, 6.0, 601, density)?);
    let mut inference = Inference::new(net, &params)?;
    let mut bins = [(0.0, 0.0); BINS];
    for k in 0..STEPS {
        chain.step(exact, grid[k], grid[k + 1])?;
        let t = grid[k + 1];
        let x: Vec<f32> = (0..601).map(|i| chain.law().x(i) as f32).collect();
        let mut rows = vec![0.0; 601 * net.inputs()];
        for (row, x) in rows.chunks_mut(net.inputs()).zip(&x) {
            model.input(t, &[*x], row)?;
        }
        let (mut out, mut guide) = (vec![0.0; 601], vec![0.0; 601]);
        inference.run(&rows, &mut out)?;
        model.guide(&vec![t; 601], &x, &mut guide)?;
        let sbar = scale.sbar(t);
        let mut here = (0.0, 0.0);
        for (i, (p, s)) in chain.law().density().iter().zip(chain.score()).enumerate().filter(|(_, (p, _))| **p > 1e-9) {
            let learned = if std::env::var("PL").is_ok() { f64::from(out[i]) } else { f64::from(guide[i]) + f64::from(out[i]) / sbar };
            let bin = &mut bins[k * BINS / STEPS];
            here = (here.0 + p * (learned - s).powi(2), here.1 + p * s * s);
            *bin = (bin.0 + p * (learned - s).powi(2), bin.1 + p * s * s);
        }
        if [0, 1, 2, 4, 8, 16, 30, 100].contains(&k) {
            eprint!("{k}:{:.4} ", (here.0 / here.1).sqrt());
        }
    }
    eprintln!();
    let errors: Vec<f64> = bins.iter().map(|(a, b)| (a / b).sqrt()).collect();
    eprintln!("{name}: {seconds:.1} s, {errors:.4?}");
    Ok(row("trained", name, &[("worst bin", errors.iter().copied().fold(0.0, f64::max), bound)]))
}
