//! The random search: the same numbers of draws for every method, from spaces of the same width.

use super::Space;
use crate::config::{Setting, Value};
use crate::rng::{Purpose, Stream};

/// Candidate `index` of a space: its settings, and the solver's steps of generation. Number 0 is what larger
/// studies found best (method.md, last section); the others are drawn. The draw depends on the space and the
/// index alone: every case tries the same.
pub fn candidate(space: Space, index: usize) -> (Vec<Setting>, usize) {
    match space {
        Space::Preconditioned => return preconditioned(index),
        Space::Straight => return straight(index),
        Space::White | Space::Coloured | Space::Nonlinear => {}
    }
    let mut settings: Vec<Setting> = Vec::new();
    let mut set = |key: &str, value: Value| settings.push(Setting::new(key, value));
    let linear = space != Space::Nonlinear;
    if index == 0 {
        if space == Space::White {
            set("sde.kind", "vp".into());
        }
        return (settings, if linear { 24 } else { 16 });
    }
    let mut stream = Stream::new(0, Purpose::Split, 1 + space as u64, index as u32);
    let mut pick = |choices: &[&'static str]| Value::from(choices[stream.below(choices.len())]);
    let kind = if space == Space::White { pick(&["vp", "vp", "ve"]) } else { "".into() };
    let exploding = kind == Value::from("ve");
    if space == Space::White {
        set("sde.kind", kind);
    }
    let parametrisation = pick(&["residual", "scaled"]);
    if !exploding {
        set("network.parametrisation", parametrisation);
    }
    set("objective.weighting", pick(&["variance", "uniform", "likelihood"]));
    let times = pick(&["logit-normal", "logit-normal", "grid"]);
    if linear {
        set("objective.time_sampling", times);
    } else {
        set("sde.steps", [2usize, 4, 8][stream.below(3)].into());
    }
    let mut between = |low: f64, high: f64| low * (high / low).powf(stream.uniform::<f64>());
    // beta T alone matters where beta is constant: T is searched.
    set(
        "sde.horizon",
        if exploding {
            between(30.0, 300.0)
        } else if linear {
            between(4.0, 14.0)
        } else {
            between(1.0, 6.0)
        }
        .into(),
    );
    set("train.lr", between(7e-4, 1e-2).into());
    let solver = if linear { [8, 16, 32, 64] } else { [4, 8, 16, 32] }[stream.below(4)];
    // In units of the reference, which for a linear process are those of all modes together.
    let t_min = 10f64.powf(-1.5 - 2.0 * stream.uniform::<f64>());
    settings.push(Setting::new("sde.t_min", t_min));
    // The shape of the noise, which two spaces of linear processes differ in.
    let covariance = ["full", "diagonal", "spherical", "tied"][stream.below(4)];
    if space == Space::Nonlinear {
        settings.push(Setting::new("reference.covariance", covariance));
    }
    (settings, solver)
}

/// EDM's. Number 0 is as published: 18 steps of the solver, the last of them to 0.
fn preconditioned(index: usize) -> (Vec<Setting>, usize) {
    if index == 0 {
        return (Vec::new(), 17);
    }
    let mut stream = Stream::new(0, Purpose::Split, 1 + Space::Preconditioned as u64, index as u32);
    let mut even = |low: f64, high: f64| low + (high - low) * stream.uniform::<f64>();
    let settings = vec![
        Setting::new("objective.time_mean", even(-1.5, 0.3)),
        Setting::new("objective.time_spread", even(0.9, 1.6)),
        Setting::new("sde.horizon", even(30f64.ln(), 300f64.ln()).exp()),
        Setting::new("train.lr", even(7e-4f64.ln(), 1e-2f64.ln()).exp()),
    ];
    (settings, [8, 16, 32, 64][stream.below(4)])
}

/// Flow matching's. Number 0 is as published.
fn straight(index: usize) -> (Vec<Setting>, usize) {
    if index == 0 {
        return (Vec::new(), 32);
    }
    let mut stream = Stream::new(0, Purpose::Split, 1 + Space::Straight as u64, index as u32);
    let form = ["plain", "plain", "residual", "preconditioned"][stream.below(4)];
    let mut settings = vec![Setting::new("network.parametrisation", form)];
    // Uniform, or as of Esser et al. 2024.
    if stream.below(2) == 1 {
        settings.push(Setting::new("objective.time_sampling", "logit-normal"));
        settings.push(Setting::new("objective.time_mean", 1.5 * stream.uniform::<f64>() - 0.9));
    }
    let rate = 7e-4 * (1e-2f64 / 7e-4).powf(stream.uniform::<f64>());
    settings.push(Setting::new("train.lr", rate));
    (settings, [8, 16, 32, 64][stream.below(4)])
}
