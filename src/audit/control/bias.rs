//! Means of control terms and of gradients, by pairing with the loss without control on the same draws.

use crate::audit::transitions::row;
use crate::audit::{Effort, Row};
use crate::config::{Control, Coupling, Parametrisation};
use crate::mixture::{Covariances, Evaluator, Mixture};
use crate::nn::ScoreNet;
use crate::objective::{
    Batch, ComponentChain, ControlState, Divergence, GaussianChain, Guide, Implicit, Loss, Objective, Out, Regression, ScoreModel,
};
use crate::rng::{Purpose, Stream};
use crate::sde::{ComponentStep, Grid, Langevin, NoiseScale, Paths};
use crate::transition::{
    ComponentKernel, Draws, Euler, IsotropicKernel, ItoTaylor, LocalLinear, Noising, StraightKernel, Target, TimeLaw, stratified,
};
use crate::{Error, Result};
use ndarray::array;

/// Draws of a batch.
const BATCH: usize = 2048;
/// Directions in which gradients are compared.
const DIRECTIONS: usize = 8;
/// Standard errors that nine numbers may reach.
const BOUND: f64 = 4.4;

/// A row for each control and source of draws.
///
/// # Errors
/// None that was ever seen.
pub fn rows(effort: Effort) -> Result<Vec<Row>> {
    let batches = if effort == Effort::Quick { 50 } else { 500 };
    let controls = Control::ALL.iter().copied().filter(|c| !matches!(c, Control::Auto | Control::None)).map(Rival::Control);
    let implicit = [Divergence::Exact, Divergence::Hutchinson, Divergence::Sliced].map(Rival::Implicit);
    let all: Vec<Rival> = controls.chain(implicit).collect();
    let mut rows = vec![];
    for source in sources()? {
        // A flow is no score: it has controls alone. Where the noise depends on the data none has mean 0, and there
        // are pairs.
        let pairs = Rival::Control(Control::Antithetic);
        let fits = |r: &Rival| matches!(r, Rival::Control(_)) || source.regression == Regression::Score;
        let rivals: Vec<Rival> = all.iter().copied().filter(|r| fits(r) && (!source.paired || *r == pairs)).collect();
        let found = deviations(&source, &rivals, batches, &|_| {})?;
        rows.extend(
            rivals.iter().zip(found).map(|(rival, z)| row("bias", &format!("{}, {}", rival.name(), source.name), &[("0", z, BOUND)])),
        );
    }
    Ok(rows)
}

/// What has the mean of the loss without control, or, without a target, that of its gradient.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Rival {
    Control(Control),
    Implicit(Divergence),
}

impl Rival {
    fn name(self) -> String {
        match self {
            Rival::Control(control) => control.name().to_owned(),
            Rival::Implicit(divergence) => format!("implicit ({divergence:?})").to_lowercase(),
        }
    }

    fn objective(self, source: &Source) -> Result<Objective<f64>> {
        Ok(match self {
            Rival::Control(control) => Objective::Regression(Box::new(Loss::new(&source.model, source.regression, control, BATCH)?)),
            Rival::Implicit(divergence) => {
                Objective::Implicit(Box::new(Implicit::new(&source.model, source.regression, divergence, BATCH)?))
            }
        })
    }
}

/// Draws, and the model that learns from them.
pub(super) struct Source {
    name: &'static str,
    noising: Box<dyn Noising<f64>>,
    model: ScoreModel<f64>,
    regression: Regression,
    /// Whether the noise was dealt out to the data.
    paired: bool,
}

/// Processes and one-step laws.
pub(super) fn sources() -> Result<Vec<Source>> {
    let covariances = array![[[1.0, 0.3], [0.3, 0.6]], [[0.8, 0.0], [0.0, 1.5]]];
    let pi = Mixture::new(array![0.4, 0.6], array![[-2.0, 0.5], [2.0, -0.5]], Covariances::Full(covariances))?;
    let one = Mixture::new(array![1.0], array![[0.0, 0.0]], Covariances::Full(array![[[1.2, 0.3], [0.3, 0.8]]]))?;
    let (scale, exploding) = (NoiseScale::Preserving { beta: 1.0 }, NoiseScale::Exploding { beta: 1.0 });
    let (uniform, normal) = (TimeLaw::uniform(scale, 0.02, 1.0)?, TimeLaw::logit_normal(scale, 0.02, 3.0, -0.6, 1.2)?);
    let grid = || Grid::Uniform.times(1.0, 20);
    let langevin = || Langevin::<f64>::new(&pi, 1.0);
    let step = || ComponentStep::<f64>::new(&pi, 1.0);
    let net = ScoreNet::new(2, 16, 1, 3)?;
    let model = |scale, guide, pi: &Mixture| {
        let guide = if guide { Guide::Reference(Evaluator::new(pi)) } else { Guide::Standard };
        ScoreModel::new(net.clone(), Parametrisation::Residual, scale, guide, &[2.0, 1.5])
    };
    let source = |name, noising: Box<dyn Noising<f64>>, regression| {
        Ok::<_, Error>(Source { name, noising, model: model(scale, true, &pi)?, regression, paired: false })
    };
    let times = TimeLaw::uniform(exploding, 0.02, 3.0)?;
    let straight = |name, coupling| {
        let noising = StraightKernel::new(2, TimeLaw::uniform(NoiseScale::Straight, 0.002, 0.998)?, coupling);
        let model = model(NoiseScale::Straight, false, &one)?;
        let paired = coupling == Coupling::OptimalTransport;
        Ok::<_, Error>(Source { name, noising: Box::new(noising), model, regression: Regression::Velocity, paired })
    };
    let exact = Box::new(ComponentChain::fixed(ComponentStep::<f64>::new(&one, 1.0)?, grid()?, uniform, 2)?);
    Ok(vec![
        source("langevin, euler", Box::new(GaussianChain::fixed(Euler(langevin()?), grid()?, uniform, 2)?), Regression::Score)?,
        source("langevin, ito-taylor", Box::new(GaussianChain::fixed(ItoTaylor(langevin()?), grid()?, uniform, 2)?), Regression::Score)?,
        source(
            "langevin, local-linear",
            Box::new(GaussianChain::fixed(LocalLinear(langevin()?), grid()?, uniform, 2)?),
            Regression::Score,
        )?,
        source("langevin, component", Box::new(ComponentChain::per_path(step()?, 4, normal)?), Regression::Score)?,
        Source { name: "vp, exact", noising: exact, model: model(scale, true, &one)?, regression: Regression::Score, paired: false },
        source("langevin, component kernel", Box::new(ComponentKernel::new(step()?, normal, Target::Score)), Regression::Score)?,
        source("langevin, component flow", Box::new(ComponentKernel::new(step()?, normal, Target::Flow)), Regression::Residual)?,
        Source {
            name: "ve, exact",
            noising: Box::new(IsotropicKernel::new(exploding, 2, times)),
            model: model(exploding, false, &one)?,
            regression: Regression::Score,
            paired: false,
        },
        straight("straight, flow matching", Coupling::Independent)?,
        straight("straight, flow matching, optimal transport", Coupling::OptimalTransport)?,
    ])
}

/// For each rival, the largest of |mean|/standard error of the differences in loss and gradient to no
/// control. `plant` may spoil the draws that the controls see, for tests of this function.
pub(super) fn deviations(source: &Source, rivals: &[Rival], batches: u64, plant: &dyn Fn(&mut Draws<f64>)) -> Result<Vec<f64>> {
    let (model, per_path) = (&source.model, source.noising.draws_per_path());
    let normals = |n: usize, chunk: u32, scale: f64| {
        let mut v = vec![0.0; n];
        Stream::new(21, Purpose::Test, 0, chunk).fill_normal(&mut v);
        v.iter_mut().for_each(|v| *v *= scale);
        v
    };
    let params = normals(model.net.parameter_count(), 0, 0.3);
    let directions: Vec<Vec<f64>> = (0..DIRECTIONS).map(|j| normals(params.len(), 1 + j as u32, 1.0)).collect();
    let mut losses = vec![];
    for rival in [Rival::Control(Control::None)].iter().chain(rivals) {
        let loss = rival.objective(source)?;
        let mut learned = loss.start(0)?;
        if let ControlState::Network { params, .. } = &mut learned {
            *params = normals(params.len(), 100, 0.3);
        }
        losses.push((loss, learned));
    }
    let starts: Vec<f64> = [0.5, -0.3, -1.0, 1.2].repeat(BATCH / per_path / 2);
    let (mut u, mut draws) = (vec![0.0; BATCH], Draws::new(BATCH, 2));
    let weights = vec![1.0; BATCH];
    let (mut plain, mut values) = (vec![0.0; BATCH], vec![0.0; BATCH]);
    let (mut plain_grad, mut grad) = (vec![0.0; params.len()], vec![0.0; params.len()]);
    let mut sums = vec![[[0.0f64; 2]; DIRECTIONS + 1]; rivals.len()];
    // The first batch is for coefficients to be learned from.
    for batch in 0..=batches {
        stratified(&mut Stream::new(22, Purpose::Time, batch, 0), per_path, &mut u);
        source.noising.draw(&starts, &u, Paths { seed: 22, purpose: Purpose::Noise, step: batch }, &mut draws)?;
        let [(none, nothing), rest @ ..] = &mut losses[..] else { return Ok(vec![]) };
        let probes = Paths { seed: 22, purpose: Purpose::Probe, step: batch };
        let seen = Batch { draws: &draws, weights: &weights, labels: &[], noise: probes };
        none.run(model, &params, nothing, &seen, Out { values: &mut plain, grad: &mut plain_grad })?;
        plant(&mut draws);
        for (((loss, learned), sums), rival) in rest.iter_mut().zip(&mut sums).zip(rivals) {
            let seen = Batch { draws: &draws, weights: &weights, labels: &[], noise: probes };
            loss.run(model, &params, learned, &seen, Out { values: &mut values, grad: &mut grad })?;
            if batch == 0 {
                if matches!(learned, ControlState::Regression(_)) {
                    loss.learn(model, learned, &draws, &values)?;
                }
                continue;
            }
            let along = |v: &Vec<f64>| v.iter().zip(grad.iter().zip(&plain_grad)).map(|(v, (g, p))| v * (g - p)).sum::<f64>();
            let value = match rival {
                Rival::Control(_) => values.iter().zip(&plain).map(|(a, b)| a - b).sum::<f64>() / BATCH as f64,
                // Its values are those of the loss up to a constant.
                Rival::Implicit(_) => 0.0,
            };
            for (sum, x) in sums.iter_mut().zip([value].into_iter().chain(directions.iter().map(along))) {
                *sum = [sum[0] + x, sum[1] + x * x];
            }
        }
    }
    let n = batches as f64;
    // A difference that is always 0 has no error, and is none.
    let z = |[sum, square]: &[f64; 2]| {
        let (mean, variance) = (sum / n, (square / n - (sum / n).powi(2)).max(0.0) / (n - 1.0));
        if mean == 0.0 { 0.0 } else { mean.abs() / variance.sqrt() }
    };
    Ok(sums.iter().map(|sums| sums.iter().map(z).fold(0.0, f64::max)).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// With X_{n+1} in the place of mu_n the network is no control: the term has a mean.
    #[test]
    fn a_control_at_the_wrong_point_is_seen() {
        let sources = sources().unwrap();
        let wrong = |draws: &mut Draws<f64>| {
            let d = draws.dim();
            for draw in draws.parts_mut().0.chunks_exact_mut(5 * d) {
                draw.copy_within(d..2 * d, 0);
            }
        };
        let controls = [Control::SelfControl, Control::Gated, Control::Regression, Control::Blend].map(Rival::Control);
        for source in sources.iter().filter(|s| ["langevin, euler", "langevin, component"].contains(&s.name)) {
            let z = deviations(source, &controls, 40, &wrong).unwrap();
            assert!(z.iter().all(|z| *z > 2.0 * BOUND), "{}: {z:?}", source.name);
            let z = deviations(source, &controls, 40, &|_| {}).unwrap();
            assert!(z.iter().all(|z| *z <= BOUND), "{}: {z:?}", source.name);
        }
    }
}
