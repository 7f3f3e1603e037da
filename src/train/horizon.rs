//! The horizon and the number of steps, where the configuration leaves them open: chosen from the reference.
//!
//! Inside a mode of variance v the dynamics forget where they started like e^(-beta t / 2v): the relaxation
//! time is 2 v / beta. Toward a mixture 1.5 of them are enough, because the modes, their weights and their
//! shapes are those of the data from the start and only what the mixture does not know must be forgotten; a
//! linear process must forget the modes themselves and takes 3.5; an exploding variance must drown the data,
//! and grows to 100 of their standard deviations (measured: method.md, "Measured figures"). Explicit steps
//! must also stay below 2 v_min / beta, v_min the least variance of any mode along any direction: as many
//! steps are taken as make the longest half of that, at least 200.

use super::Reference;
use super::network::choose;
use crate::config::{Config, Grid as GridKey, SdeKind, Transition};
use crate::sde::Grid;
use crate::{Error, Result};
use std::ops::Deref;

/// Relaxation times of a horizon.
const TOWARD_A_MIXTURE: f64 = 1.5;
const LINEAR: f64 = 3.5;
/// Standard deviations of the data that an exploding variance grows to.
const EXPLODING: f64 = 100.0;
/// Steps of a path that has its own grid, and fewest steps of a common grid.
const OWN_GRID: usize = 4;
const COMMON_GRID: usize = 200;
/// Most steps that are chosen: more must be asked for.
const MOST: usize = 100_000;
/// The longest step over the limit of stability.
const SAFETY: f64 = 0.5;

/// A configuration in which nothing is left open: `sde.horizon` and `sde.steps` are chosen where they were 0,
/// and the network's kind, width and learning rate where they were left to the number of points. It reads
/// like the [`Config`] that it is.
///
/// ```
/// use ndsm::config::{Config, Setting};
/// use ndsm::mixture::{Covariances, Mixture};
/// use ndsm::train::{Reference, Settled};
/// let variance = Covariances::Spherical(ndarray::array![4.0]);
/// let pi = Mixture::new(ndarray::array![1.0], ndarray::array![[3.0]], variance)?;
/// let config = Config::resolve(&[Setting::new("sde.beta", 2.0)])?;
/// let settled = Settled::new(&config, &Reference::from_mixture(&pi, 0.0)?, 500)?;
/// assert_eq!((settled.sde.horizon, settled.sde.steps, settled.network.kind.name()), (1.5, 4, "mlp"));
/// # Ok::<(), ndsm::Error>(())
/// ```
#[derive(Debug, Clone, PartialEq)]
pub struct Settled {
    config: Config,
    points: usize,
    choices: Vec<String>,
}

impl Settled {
    /// `config` with what it leaves open chosen from `reference` and the number of training `points`.
    ///
    /// # Errors
    /// As [`Config::validate`], before and after; explicit steps that no number up to 100,000 makes stable,
    /// with what would work.
    pub fn new(config: &Config, reference: &Reference, points: usize) -> Result<Self> {
        config.validate()?;
        let (config, choices) = settle(config, reference, points)?;
        Ok(Settled { config, points, choices })
    }

    /// The number of training points that it was settled for; 0 where a checkpoint of an earlier version did not
    /// record them.
    pub fn points(&self) -> usize {
        self.points
    }

    /// What was chosen and why, a sentence each.
    pub fn choices(&self) -> &[String] {
        &self.choices
    }
}

impl Deref for Settled {
    type Target = Config;
    fn deref(&self) -> &Config {
        &self.config
    }
}

fn settle(config: &Config, reference: &Reference, points: usize) -> Result<(Config, Vec<String>)> {
    let (mut settled, mut why) = (config.clone(), Vec::new());
    let beta = config.sde.beta;
    if config.sde.horizon == 0.0 {
        let (horizon, because) = match config.sde.kind {
            SdeKind::Ve => {
                let std = reference.std.iter().fold(0f64, |m, s| m.max(*s));
                (EXPLODING * std / beta.sqrt(), format!("where the noise is {EXPLODING} standard deviations of the data"))
            }
            kind => {
                let times = if kind == SdeKind::Langevin { TOWARD_A_MIXTURE } else { LINEAR };
                let relaxation = 2.0 * reference.mixture.pooled_variance() / beta;
                let slowest = slowest(reference)?;
                let kept = |horizon: f64| (100.0 * (-0.5 * beta * horizon / slowest).exp()).round();
                let horizon = times * relaxation;
                let inside = if kind == SdeKind::Langevin { "inside the modes" } else { "of the process" };
                let times =
                    format!("{times} relaxation times 2 v / beta {inside}, v = {:.3} on average", reference.mixture.pooled_variance());
                (horizon, format!("{times}; along the widest direction {} % of a deviation are left", kept(horizon)))
            }
        };
        settled.sde.horizon = rounded(horizon);
        why.push(format!("sde.horizon = {}, {because}", settled.sde.horizon));
    }
    if config.sde.steps == 0 {
        let (steps, because) = steps(&settled, reference)?;
        settled.sde.steps = steps;
        if config.has_chain() {
            why.push(format!("sde.steps = {steps}, {because}"));
        }
    }
    why.extend(choose(&mut settled, points, reference.whitening.dim(), reference.image));
    settled.validate()?;
    Ok((settled, why))
}

/// The number of steps, and why.
fn steps(config: &Config, reference: &Reference) -> Result<(usize, String)> {
    let Some(grid) = common(config.sde.grid) else {
        return Ok((OWN_GRID, "measured best for paths with grids of their own".to_owned()));
    };
    let Some(limit) = stability(config, reference)? else {
        return Ok((COMMON_GRID, "the usual number of a common grid: every step is stable".to_owned()));
    };
    let longest = |steps: usize| Ok(longest(&grid.times(config.sde.horizon, steps)?));
    let mut steps = COMMON_GRID;
    while longest(steps)? > SAFETY * limit {
        // On grids whose steps grow by a factor more of them do not make the longest shorter.
        if steps >= MOST || (grid == Grid::Geometric && steps > COMMON_GRID) {
            return Err(unstable(config, steps, longest(steps)?, limit));
        }
        steps = (steps + steps.div_ceil(4)).min(MOST);
    }
    Ok((steps, format!("the longest step is {:.3}, explicit steps are stable below 2 v_min / beta = {limit:.3}", longest(steps)?)))
}

/// The grid that all paths have in common, if they do.
pub(super) fn common(grid: GridKey) -> Option<Grid> {
    match grid {
        GridKey::PerPath => None,
        GridKey::Uniform => Some(Grid::Uniform),
        GridKey::Quadratic => Some(Grid::Quadratic),
        GridKey::Geometric => Some(Grid::Geometric),
    }
}

/// The longest step of a grid.
pub(super) fn longest(times: &[f64]) -> f64 {
    times.windows(2).map(|w| w[1] - w[0]).fold(0.0, f64::max)
}

/// Explicit steps need h < 2 / rate (the real interval of stability of the Taylor polynomials of degree 1 and
/// 2 is [-2, 0]); the rate is beta / v_min, v_min the least variance of a component along any direction of u,
/// and beta / 2 of "sub-vp". `None` where the steps are stable whatever their length.
pub(super) fn stability(config: &Config, reference: &Reference) -> Result<Option<f64>> {
    let s = &config.sde;
    let explicit = matches!(config.objective.transition, Transition::Euler | Transition::ItoTaylor);
    // Without a drift there is nothing to be unstable.
    if !explicit || s.kind == SdeKind::Ve {
        return Ok(None);
    }
    let mut least = if s.kind == SdeKind::SubVp { 2.0 } else { f64::INFINITY };
    if s.kind != SdeKind::SubVp {
        for k in 0..reference.mixture.components() {
            least = reference.mixture.spectrum(k)?.last().copied().unwrap_or(least).min(least);
        }
    }
    Ok(Some(2.0 * least / s.beta))
}

/// The sentence that refuses steps which are unstable.
pub(super) fn unstable(config: &Config, steps: usize, longest: f64, limit: f64) -> Error {
    let remedy = match config.sde.grid {
        GridKey::Uniform => format!("more than {:.0} steps", (steps as f64 * longest / limit).ceil()),
        _ => "sde.grid = \"uniform\" and more steps".to_owned(),
    };
    Error::refused(
        "sde.steps",
        format!(
            "{steps} explicit steps are unstable: the longest is {longest:.3}, and the drift allows less than {limit:.3}; use {remedy}, \
             or objective.transition = \"{}\", which is stable for every step",
            if config.sde.kind.is_linear() { "exact" } else { "component" }
        ),
    )
}

/// The largest variance of a component along any direction of u.
fn slowest(reference: &Reference) -> Result<f64> {
    (0..reference.mixture.components()).try_fold(0f64, |m, k| Ok(m.max(reference.mixture.spectrum(k)?[0])))
}

/// To two significant digits: the rule is no finer, and a horizon should not change with the last digits of a
/// fit.
fn rounded(x: f64) -> f64 {
    format!("{x:.1e}").parse().unwrap_or(x)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::{Setting, Value};
    use crate::mixture::{Covariances, Mixture};
    use ndarray::array;

    /// Two modes: pooled variance 1 in u; the narrow one has the variance `narrow` there.
    fn reference(narrow: f64) -> Reference {
        let variances = array![2.0 - narrow, narrow];
        let pi = Mixture::new(array![0.5, 0.5], array![[-5.0], [5.0]], Covariances::Spherical(variances)).unwrap();
        Reference::from_mixture(&pi, 0.0).unwrap()
    }

    fn settled(settings: &[(&str, &str)], narrow: f64) -> Result<Settled> {
        let real = |v: &str| v.parse::<f64>().map_or_else(|_| Value::from(v), Value::from);
        let value = |v: &str| v.parse::<usize>().map_or_else(|_| real(v), Value::from);
        let settings: Vec<Setting> = settings.iter().map(|(k, v)| Setting::new(k, value(v))).collect();
        Settled::new(&Config::resolve(&settings)?, &reference(narrow), 500)
    }

    #[test]
    fn horizons_follow_the_relaxation_times() {
        for (kind, beta, horizon) in [("langevin", "1", 3.0), ("langevin", "4", 0.75), ("vp", "1", 7.0), ("sub-vp", "2", 3.5)] {
            let config = settled(&[("sde.kind", kind), ("sde.beta", beta)], 1.0).unwrap();
            let why = config.choices();
            assert_eq!((config.sde.horizon, config.sde.steps), (horizon, 4), "{kind}: {why:?}");
            assert!(why[0].starts_with(&format!("sde.horizon = {horizon}, ")), "{why:?}");
            assert_eq!(why.len(), if kind == "langevin" { 3 } else { 2 }, "{why:?}");
        }
        let pi = Mixture::new(array![1.0], array![[2.0]], Covariances::Spherical(array![9.0])).unwrap();
        let ve = Config::resolve(&[Setting::new("sde.kind", "ve"), Setting::new("sde.beta", 4.0)]).unwrap();
        assert_eq!(Settled::new(&ve, &Reference::from_mixture(&pi, 0.0).unwrap(), 500).unwrap().sde.horizon, 50.0);
        // What is given stays, and nothing is said of it.
        let network = [("network.kind", "mlp"), ("network.width", "64"), ("train.lr", "0.01")];
        let config = settled(&[&[("sde.horizon", "2.5"), ("objective.kind", "dsm")], &network[..]].concat(), 0.5).unwrap();
        assert_eq!((config.sde.horizon, config.choices().len()), (2.5, 0));
        assert_eq!(Settled::new(&config, &reference(0.5), 500).unwrap(), config, "settled for good");
    }

    #[test]
    fn explicit_steps_are_as_many_as_stability_asks_for() {
        for (narrow, transition, grid) in [(1.0, "euler", "uniform"), (0.01, "euler", "quadratic"), (0.003, "ito-taylor", "uniform")] {
            let config = settled(&[("objective.transition", transition), ("sde.grid", grid)], narrow).unwrap();
            let why = config.choices();
            let grid = if grid == "uniform" { Grid::Uniform } else { Grid::Quadratic };
            let longest = longest(&grid.times(3.0, config.sde.steps).unwrap());
            assert!(longest <= narrow && config.sde.steps >= 200, "{narrow}: {} steps, {longest}", config.sde.steps);
            assert_eq!(config.sde.steps == 200, narrow == 1.0, "{why:?}");
            assert!(why[1].contains("stable below 2 v_min / beta"), "{why:?}");
        }
        let euler = [("objective.transition", "euler"), ("sde.grid", "uniform")];
        let e = settled(&euler, 1e-6).unwrap_err();
        assert!(e.to_string().contains("100000 explicit steps are unstable") && e.exit_code() == 2, "{e}");
        let e = settled(&[("objective.transition", "euler"), ("sde.grid", "geometric")], 0.1).unwrap_err().to_string();
        assert!(e.contains("use sde.grid = \"uniform\" and more steps, or objective.transition = \"component\""), "{e}");
        let late = settled(&[("sde.t_min", "3")], 1.0).unwrap_err().to_string();
        assert!(late.contains("sde.t_min: must be < sde.horizon = 3"), "{late}");
        let many = settled(&[("train.times_per_path", "9")], 1.0).unwrap_err().to_string();
        assert!(many.contains("must be <= sde.steps = 4"), "{many}");
    }
}
