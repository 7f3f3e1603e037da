//! The gradient's variance over the number of steps of the chain.

use crate::Result;
use crate::audit::transitions::{order, row};
use crate::audit::{Curve, Effort, Row};
use crate::config::{Config, Control, Setting};
use crate::data::Law;
use crate::data::law::{self, four_modes};
use crate::train::{Reference, Trainer};

/// A row for the growth without control, one for each control's constancy, and one for the ratio.
///
/// # Errors
/// None that was ever seen.
pub fn rows(effort: Effort) -> Result<Vec<Row>> {
    let (counts, batches): (&[usize], u64) =
        if effort == Effort::Quick { (&[20, 200, 1000], 60) } else { (&[20, 50, 100, 200, 500, 1000], 400) };
    let over = |control: Control| counts.iter().map(|n| trace(control, *n, batches)).collect::<Result<Vec<f64>>>();
    let none = over(Control::None)?;
    // Orders are in h = 1/N: a growth like N is the order -1.
    let curve = Curve { h: counts.iter().rev().map(|n| 1.0 / *n as f64).collect(), error: none.iter().rev().copied().collect() };
    let mut rows = vec![order("variance", "none, over h = 1/N", -1.0, 0.1, curve)];
    for control in [Control::SelfControl, Control::Gated, Control::Regression, Control::Antithetic] {
        let traces = over(control)?;
        let largest = traces.iter().copied().fold(0.0, f64::max) / traces[0];
        rows.push(row("variance", &format!("{}, N up to 1,000", control.name()), &[("that at N = 20", largest, 1.5)]));
        if control == Control::SelfControl {
            for (n, least) in [(20, 2.0), (200, 15.0), (1000, 60.0)] {
                let at = counts.iter().position(|c| *c == n).unwrap_or(0);
                // As a share, so that smaller is better.
                let share = traces[at] / none[at];
                rows.push(row("variance", &format!("self over none at N = {n}"), &[("the share asked for", share, 1.0 / least)]));
            }
        }
    }
    Ok(rows)
}

/// The trace of the gradient's covariance over batches of 64 paths with 4 draws, at parameters that do not depend on the control: those after 100
/// steps with pairs.
fn trace(control: Control, steps: usize, batches: u64) -> Result<f64> {
    let config = |control: Control| {
        Config::resolve(&[
            Setting::new("data.name", "four-modes"),
            Setting::new("reference.components", 4usize),
            Setting::new("objective.transition", "euler"),
            Setting::new("sde.grid", "uniform"),
            Setting::new("sde.horizon", 1.0),
            Setting::new("sde.steps", steps),
            Setting::new("objective.control", control.name()),
            Setting::new("network.width", 64usize),
            Setting::new("network.depth", 2usize),
            Setting::new("train.times_per_path", 4usize),
            Setting::new("train.batch", 64usize),
        ])
    };
    let x = four_modes()?.sample(1000, 0, law::TRAINING);
    let first = config(Control::Antithetic)?;
    let reference = Reference::fit(x.view(), &first)?;
    let mut trained =
        Trainer::<f64>::new(&Config { sde: crate::config::SdeConfig { steps: 100, ..first.sde.clone() }, ..first }, &reference, x.view())?;
    for _ in 0..100 {
        trained.step()?;
    }
    let second = config(control)?;
    let mut trainer = Trainer::<f64>::new(&second, &reference, x.view())?;
    // What learns, learns for 200 steps; then the score's parameters are put in place.
    for _ in 0..if matches!(control, Control::Gated | Control::Regression) { 200 } else { 0 } {
        trainer.step()?;
    }
    let mut state = trainer.state().clone();
    state.params.clone_from(&trained.state().params);
    let mut trainer = Trainer::resume(&second, &reference, x.view(), state)?;
    let (mut mean, mut square) = (vec![0.0; trained.state().params.len()], 0.0);
    for batch in 0..batches {
        let gradient = trainer.gradient(100_000 + batch)?;
        for (mean, g) in mean.iter_mut().zip(gradient) {
            *mean += g / batches as f64;
            square += g * g / batches as f64;
        }
    }
    Ok((square - mean.iter().map(|m| m * m).sum::<f64>()) * batches as f64 / (batches - 1) as f64)
}
