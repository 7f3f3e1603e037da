//! Networks trained on fine chains, against the chains' own scores, time bin by time bin.

use crate::audit::transitions::{row, three_modes};
use crate::audit::{Effort, Row};
use crate::config::{Control, Parametrisation, Weighting};
use crate::mixture::{Covariances, Draw, Evaluator, Mixture};
use crate::nn::{Inference, ScoreNet};
use crate::objective::{Batch, GaussianChain, Guide, Loss, Out, Regression, ScoreModel, Seen, Weights, points_per_draw};
use crate::optim::{Adam, Decay, Schedule};
use crate::rng::{Purpose, Stream};
use crate::sde::{DoubleWell, Grid, Isotropic, Langevin, NoiseScale, Paths};
use crate::transition::{ChapmanKolmogorov, Draws, Euler, Line, Noising, OneStep, TimeLaw, stratified};
use crate::{Error, Result};
use ndarray::array;
use std::time::Instant;

/// Steps of the chains, on [0, 1].
const STEPS: usize = 200;
/// Bins of time.
const BINS: usize = 10;
/// Paths of a batch, and draws of each.
const PATHS: usize = 512;
const PER_PATH: usize = 2;
/// Points of the line, on [-6, 6].
const POINTS: usize = 601;

/// A row for each law.
///
/// # Errors
/// None that was ever seen.
pub fn rows(effort: Effort) -> Result<Vec<Row>> {
    let data = Mixture::new(array![0.3, 0.5, 0.2], array![[-1.8], [0.1], [2.4]], Covariances::Spherical(array![0.4, 0.6, 0.4]))?;
    let pi = three_modes()?;
    let (well, well_exact) = (Euler(DoubleWell::new(1, 0.8)?), Euler(DoubleWell::new(1, 0.8)?));
    let (modes, modes_exact) = (Euler(Langevin::<f32>::new(&pi, 1.0)?), Euler(Langevin::<f64>::new(&pi, 1.0)?));
    let guide = Guide::Reference(Evaluator::new(&pi));
    Ok(vec![
        one("double well", well, &well_exact, &narrow()?, Guide::Standard, effort)?,
        one("three modes", modes, &modes_exact, &data, guide, effort)?,
    ])
}

fn narrow() -> Result<Mixture> {
    Mixture::new(array![1.0], array![[0.3]], Covariances::Spherical(array![0.25]))
}

/// The mean of the bins' errors after so many evaluations of the network with `control`: double well.
///
/// # Errors
/// None that was ever seen.
pub fn by_control(control: Control, evaluations: u64) -> Result<f64> {
    let (well, exact) = (Euler(DoubleWell::new(1, 0.8)?), Euler(DoubleWell::new(1, 0.8)?));
    let model = model(&exact, Guide::Standard)?;
    let steps = evaluations / (PATHS * PER_PATH * points_per_draw(control)) as u64;
    let params = train(&model, well, &narrow()?, control, steps)?;
    Ok(errors(&model, &params, &exact, &narrow()?)?.iter().sum::<f64>() / BINS as f64)
}

fn model<E: Isotropic<f64>>(exact: &Euler<E>, guide: Guide<f32>) -> Result<ScoreModel<f32>> {
    let scale = NoiseScale::Preserving { beta: exact.0.sigma(0.0).powi(2) };
    ScoreModel::new(ScoreNet::new(1, 64, 3, 6)?, Parametrisation::Residual, scale, guide, &[1.0])
}

/// The chain of `law`, and of the same law in f64, from `data`.
fn one<T, E>(name: &str, law: T, exact: &Euler<E>, data: &Mixture, guide: Guide<f32>, effort: Effort) -> Result<Row>
where
    T: OneStep<f32> + Send + 'static,
    E: Isotropic<f64>,
{
    let (steps, bound) = if effort == Effort::Quick { (500, 0.25) } else { (20_000, 0.03) };
    let model = model(exact, guide)?;
    let began = Instant::now();
    let params = train(&model, law, data, Control::Antithetic, steps)?;
    let seconds = began.elapsed().as_secs_f64();
    let errors = errors(&model, &params, exact, data)?;
    let worst = errors.iter().copied().fold(0.0, f64::max);
    let mean = errors.iter().sum::<f64>() / BINS as f64;
    let tried = format!("{name}, N = {STEPS}, {steps} steps in {seconds:.0} s; relative L2(p), the bins' mean {mean:.4}");
    Ok(row("trained", &tried, &[("chain's score, worst of 10 time bins", if worst.is_nan() { f64::INFINITY } else { worst }, bound)]))
}

/// NDSM with `control`, lambda = 1, more draws at early times.
fn train<T: OneStep<f32> + Send + 'static>(
    model: &ScoreModel<f32>,
    law: T,
    data: &Mixture,
    control: Control,
    steps: u64,
) -> Result<Vec<f32>> {
    let times = TimeLaw::logit_normal(model.scale, 0.5 / STEPS as f64, 1.0, -1.1, 1.6)?;
    let noising = GaussianChain::fixed(law, Grid::Uniform.times(1.0, STEPS)?, times, PER_PATH)?;
    let n = PATHS * PER_PATH;
    let mut loss = Loss::new(model, Regression::Score, control, n)?;
    let mut learned = loss.start(0)?;
    let mut weights = Weights::new(Weighting::Uniform, model.scale, n);
    let adam = Adam { ema: Some(0.999), ..Adam::new(Schedule::new(5e-3, 100, steps, Decay::Cosine)?) };
    let mut params = model.net.init::<f32>(0);
    let mut state = adam.start(&params)?;
    let (mut draws, mut values, mut grad, mut u) = (Draws::new(n, 1), vec![0.0; n], vec![0.0; params.len()], vec![0.0; n]);
    for step in 0..steps {
        let x0: Vec<f32> = data.sample(PATHS, step, Purpose::Data, Draw::Systematic)?.0.iter().map(|x| *x as f32).collect();
        stratified(&mut Stream::new(0, Purpose::Time, step, 0), PER_PATH, &mut u);
        let noise = Paths { seed: 0, purpose: Purpose::Noise, step };
        noising.draw(&x0, &u, noise, &mut draws)?;
        let batch = Batch { draws: &draws, weights: weights.at(draws.times(), &noising, &Seen::default()), labels: &[], noise };
        loss.run(model, &params, &learned, &batch, Out { values: &mut values, grad: &mut grad })?;
        loss.learn(model, &mut learned, &draws, &values)?;
        if !adam.step(&mut params, &grad, &mut state)?.norm.is_finite() {
            return Err(Error::NonFinite { place: "the gradient".into(), step: step as usize, remedy: "it should be finite".into() });
        }
    }
    Ok(state.ema)
}

/// The relative error in L2(p) of each bin of time.
fn errors<E: Isotropic<f64>>(model: &ScoreModel<f32>, params: &[f32], exact: &Euler<E>, data: &Mixture) -> Result<[f64; BINS]> {
    let density = |x: f64| data.log_density(array![[x]].view()).map_or(f64::NAN, |l| l[0].exp());
    let mut chain = ChapmanKolmogorov::new(Line::new(-6.0, 6.0, POINTS, density)?);
    let (grid, inputs) = (Grid::Uniform.times(1.0, STEPS)?, model.net.inputs());
    let mut inference = Inference::new(&model.net, params)?;
    let x: Vec<f32> = (0..POINTS).map(|i| chain.law().x(i) as f32).collect();
    let (mut rows, mut out, mut guide) = (vec![0.0; POINTS * inputs], vec![0.0; POINTS], vec![0.0; POINTS]);
    let mut sums = [[0.0; 2]; BINS];
    for n in 0..STEPS {
        let t = grid[n + 1];
        chain.step(exact, grid[n], t)?;
        for (row, x) in rows.chunks_mut(inputs).zip(&x) {
            model.input(t, &[*x], row)?;
        }
        inference.run(&rows, &mut out)?;
        model.guide(&vec![t; POINTS], &x, &mut guide)?;
        let [top, bottom] = &mut sums[n * BINS / STEPS];
        for (i, (p, s)) in chain.law().density().iter().zip(chain.score()).enumerate().filter(|(_, (p, _))| **p > 1e-9) {
            let learned = f64::from(guide[i]) + f64::from(out[i]) / model.scale.sbar(t);
            *top += p * (learned - s).powi(2);
            *bottom += p * s * s;
        }
    }
    Ok(sums.map(|[top, bottom]| (top / bottom).sqrt()))
}
