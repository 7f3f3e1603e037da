//! Process, objective and score model, built from the configuration.

use super::horizon::{common, longest, stability, unstable};
use super::network::input_std;
use super::{Reference, Settled, network};
use crate::config::{Config, ObjectiveKind, SdeKind, TimeSampling, Transition};
use crate::mixture::Evaluator;
use crate::objective::{ComponentChain, GaussianChain, Guide, Regression, ScoreModel};
use crate::sample::{Reverse, ReverseIsotropic, ReverseLangevin};
use crate::sde::{Clock, ComponentStep, Grid, Langevin, NoiseScale, Straight, SubVariancePreserving, VarianceExploding};
use crate::transition::{
    ComponentKernel, Euler, Exact, IsotropicKernel, ItoTaylor, LocalLinear, Noising, OneStep, StraightKernel, Target, TimeLaw,
};
use crate::{Real, Result};

/// Everything that a configuration and a reference determine.
pub struct System<R: Real> {
    /// The network and how its output becomes a score.
    pub model: ScoreModel<R>,
    /// How training points are made.
    pub noising: Box<dyn Noising<R>>,
    /// What the network is regressed on.
    pub regression: Regression,
    /// The process run backwards.
    pub reverse: Box<dyn Reverse<R>>,
    /// Paths per optimiser step and data points per step: a per-path grid and an exact kernel take a path for
    /// each time.
    pub paths_per_point: usize,
}

impl<R: Real> System<R> {
    /// Builds the system.
    ///
    /// # Errors
    /// A time grid on which explicit steps are unstable; sizes out of range.
    pub fn new(config: &Settled, reference: &Reference) -> Result<Self> {
        let (s, o, d) = (&config.sde, &config.objective, reference.whitening.dim());
        let (model, reverse) = model(config, reference)?;
        let scale = model.scale;
        let times = match o.time_sampling {
            TimeSampling::Grid => TimeLaw::uniform(scale, s.t_min, s.horizon)?,
            TimeSampling::LogitNormal => TimeLaw::logit_normal(scale, s.t_min, s.horizon, o.time_mean, o.time_spread)?,
        };
        let m = config.train.times_per_path;
        let (noising, paths_per_point): (Box<dyn Noising<R>>, usize) = match o.kind {
            _ if config.has_chain() => chain(config, reference, times)?,
            ObjectiveKind::ComponentFlow => {
                (Box::new(ComponentKernel::new(ComponentStep::new(&reference.mixture, s.beta)?, times, Target::Flow)), m)
            }
            ObjectiveKind::FlowMatching => (Box::new(StraightKernel::new(d, times, o.coupling)), m),
            _ if is_isotropic(s.kind) => (Box::new(IsotropicKernel::new(scale, d, times)), m),
            _ => (Box::new(ComponentKernel::new(ComponentStep::new(&reference.mixture, s.beta)?, times, Target::Score)), m),
        };
        let regression = regression(config);
        Ok(System { model, noising, regression, reverse, paths_per_point })
    }
}

/// Whether the process treats all coordinates of whitened data alike, whatever the reference.
pub(super) fn is_isotropic(kind: SdeKind) -> bool {
    matches!(kind, SdeKind::Ve | SdeKind::SubVp | SdeKind::Straight)
}

/// What the network is regressed on.
pub(super) fn regression(config: &Config) -> Regression {
    match config.objective.kind {
        ObjectiveKind::ComponentFlow => Regression::Residual,
        ObjectiveKind::FlowMatching => Regression::Velocity,
        _ => Regression::Score,
    }
}

/// The score model, and the process run backwards.
///
/// # Errors
/// Sizes out of range.
pub(super) fn model<R: Real>(config: &Settled, reference: &Reference) -> Result<(ScoreModel<R>, Box<dyn Reverse<R>>)> {
    let (s, d) = (&config.sde, reference.whitening.dim());
    let scale = noise_scale(config);
    let (guide, reverse): (_, Box<dyn Reverse<R>>) = match s.kind {
        SdeKind::Langevin | SdeKind::Vp => {
            let step = ComponentStep::new(&reference.mixture, s.beta)?;
            (Guide::Reference(Evaluator::new(&reference.mixture)), Box::new(ReverseLangevin(step)))
        }
        SdeKind::Ve | SdeKind::SubVp | SdeKind::Straight => (Guide::Standard, Box::new(ReverseIsotropic::new(d, scale))),
    };
    let (net, std) = (network(config, reference)?, input_std(config, reference));
    Ok((ScoreModel::new(net, config.network.parametrisation, scale, guide, &std)?, reverse))
}

/// The noise level of the process.
pub(super) fn noise_scale(config: &Config) -> NoiseScale {
    let beta = config.sde.beta;
    match config.sde.kind {
        SdeKind::Langevin | SdeKind::Vp => NoiseScale::Preserving { beta },
        SdeKind::Ve => NoiseScale::Exploding { beta },
        SdeKind::SubVp => NoiseScale::SubPreserving { beta },
        SdeKind::Straight => NoiseScale::Straight,
    }
}

/// Standard deviations of the law that generation starts from, in those of the reference.
pub(super) fn start_std<R: Real>(config: &Settled, reverse: &dyn Reverse<R>) -> f64 {
    if is_isotropic(config.sde.kind) { reverse.scale().total_std(1.0, config.sde.horizon) } else { 1.0 }
}

/// The noising chain.
fn chain<R: Real>(config: &Settled, reference: &Reference, times: TimeLaw) -> Result<(Box<dyn Noising<R>>, usize)> {
    let (s, m, d) = (&config.sde, config.train.times_per_path, reference.whitening.dim());
    let kind = common(s.grid);
    // A path of its own grid is drawn from once, at its end: it takes m of them.
    let paths_per_point = if kind.is_none() { m } else { 1 };
    let grid = kind.map(|g| g.times(s.horizon, s.steps)).transpose()?;
    let langevin = || Langevin::<R>::new(&reference.mixture, s.beta);
    let along = Along { grid, steps: s.steps, per_path: m, times };
    let chain = match (s.kind, config.objective.transition) {
        // Without a drift Euler's step is exact.
        (SdeKind::Ve, _) => along.gaussian(Euler(VarianceExploding::new(d, s.beta)?))?,
        (SdeKind::Straight, _) => along.gaussian(Exact(Straight::new(d)?))?,
        (SdeKind::SubVp, transition) => {
            let process = SubVariancePreserving::new(d, Clock::constant(s.beta)?)?;
            if transition == Transition::Euler {
                check_stable(config, reference, along.longest(s.horizon)?)?;
                along.gaussian(Euler(process))?
            } else {
                along.gaussian(Exact(process))?
            }
        }
        (_, Transition::Euler) => {
            check_stable(config, reference, along.longest(s.horizon)?)?;
            along.gaussian(Euler(langevin()?))?
        }
        (_, Transition::ItoTaylor) => {
            check_stable(config, reference, along.longest(s.horizon)?)?;
            along.gaussian(ItoTaylor(langevin()?))?
        }
        (_, Transition::LocalLinear) => along.gaussian(LocalLinear(langevin()?))?,
        // With one component (15) is the exact step of the linear process.
        (_, Transition::Component | Transition::Exact) => {
            let step = ComponentStep::new(&reference.mixture, s.beta)?;
            match &along.grid {
                Some(grid) => Box::new(ComponentChain::fixed(step, grid.clone(), times, m)?),
                None => Box::new(ComponentChain::per_path(step, s.steps, times)?),
            }
        }
    };
    Ok((chain, paths_per_point))
}

/// When a chain's steps are: on a fixed grid, or on each path's own.
struct Along {
    grid: Option<Vec<f64>>,
    steps: usize,
    per_path: usize,
    times: TimeLaw,
}

impl Along {
    /// The chain of a Gaussian one-step law.
    fn gaussian<R: Real, T: OneStep<R> + Send + 'static>(&self, law: T) -> Result<Box<dyn Noising<R>>> {
        Ok(match &self.grid {
            Some(grid) => Box::new(GaussianChain::fixed(law, grid.clone(), self.times, self.per_path)?),
            None => Box::new(GaussianChain::per_path(law, self.steps, self.times)?),
        })
    }

    /// The longest step.
    fn longest(&self, horizon: f64) -> Result<f64> {
        let own = Grid::Geometric.times(horizon, self.steps)?;
        Ok(longest(self.grid.as_ref().unwrap_or(&own)))
    }
}

/// Refuses explicit steps that are unstable.
fn check_stable(config: &Settled, reference: &Reference, longest: f64) -> Result<()> {
    match stability(config, reference)? {
        Some(limit) if longest >= limit => Err(unstable(config, config.sde.steps, longest, limit)),
        _ => Ok(()),
    }
}
