//! The gradient's variance over the number of steps of the chain.

use super::of_the_gradient;
use crate::Result;
use crate::audit::transitions::{order, row};
use crate::audit::{Curve, Effort, Row};
use crate::config::{Config, Control, Setting, Value};
use crate::data::law::{self, four_modes};
use crate::data::{Law, Request};
use crate::train::{Reference, Settled, State, Trainer};
use ndarray::ArrayView2;

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
    for control in of_the_gradient() {
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
    for data in ["four-modes", "moons"] {
        rows.push(lattice(data, 2 * batches)?);
    }
    Ok(rows)
}

/// The trace of the gradient's covariance over batches of 64 paths with 4 draws, at parameters that do not
/// depend on the control: those after 100 steps with pairs.
fn trace(control: Control, steps: usize, batches: u64) -> Result<f64> {
    let config = |control: Control, steps: usize| {
        configuration(&[
            ("data.name", "four-modes".into()),
            ("objective.transition", "euler".into()),
            ("sde.grid", "uniform".into()),
            ("sde.horizon", 1.0.into()),
            ("sde.steps", steps.into()),
            ("objective.control", control.name().into()),
            ("train.times_per_path", 4usize.into()),
            ("train.batch", 64usize.into()),
        ])
    };
    let x = four_modes()?.sample(1000, 0, law::TRAINING);
    let first = config(Control::Antithetic, 100)?;
    let reference = Reference::fit(x.view(), &first)?;
    let trained = train(&first, &reference, x.view(), 100)?;
    // What learns, learns for 200 steps; then the score's parameters are put in place.
    let learn = if matches!(control, Control::Gated | Control::Regression) { 200 } else { 0 };
    let second = config(control, steps)?;
    let mut state = train(&second, &reference, x.view(), learn)?;
    state.params = trained.params;
    covariance(&second, &reference, x.view(), state, batches)
}

/// The variance with the lattice over data and times as a share of that with random orders of the data and
/// stratified times; pairs and component-wise steps, after 300 steps.
fn lattice(data: &str, batches: u64) -> Result<Row> {
    let config = |sampling: &str| {
        configuration(&[
            ("data.name", data.into()),
            ("reference.components", if data == "moons" { 8usize } else { 4 }.into()),
            ("objective.control", "antithetic".into()),
            ("train.sampling", sampling.into()),
        ])
    };
    let x = crate::data::load(&Request { name: data.to_owned(), n: Some(1000), ..Request::default() })?.points;
    let both = ["shuffled", "lattice"].map(config);
    let [shuffled, lattice] = [both[0].clone()?, both[1].clone()?];
    let reference = Reference::fit(x.view(), &shuffled)?;
    let state = train(&shuffled, &reference, x.view(), 300)?;
    let [before, after] =
        [covariance(&shuffled, &reference, x.view(), state.clone(), batches)?, covariance(&lattice, &reference, x.view(), state, batches)?];
    Ok(row("variance", &format!("antithetic, lattice over shuffled, {data}"), &[("the share asked for", after / before, 1.0 / 1.15)]))
}

fn configuration(set: &[(&str, Value)]) -> Result<Config> {
    let common = [("reference.components", 4usize.into()), ("network.width", 64usize.into()), ("network.depth", 2usize.into())];
    let all: Vec<Setting> = common.iter().chain(set).map(|(key, value)| Setting::new(key, value.clone())).collect();
    Config::resolve(&all)
}

/// The state after `steps` steps.
fn train(config: &Config, reference: &Reference, x: ArrayView2<f64>, steps: usize) -> Result<State<f64>> {
    let mut trainer = Trainer::<f64>::new(&Settled::new(config, reference, x.nrows())?, reference, x)?;
    for _ in 0..steps {
        trainer.step()?;
    }
    Ok(trainer.state().clone())
}

/// The trace of the gradient's covariance at `state`.
fn covariance(config: &Config, reference: &Reference, x: ArrayView2<f64>, state: State<f64>, batches: u64) -> Result<f64> {
    let (mut mean, mut square) = (vec![0.0; state.params.len()], 0.0);
    let mut trainer = Trainer::resume(&Settled::new(config, reference, x.nrows())?, reference, x, state)?;
    for batch in 0..batches {
        let gradient = trainer.gradient(100_000 + batch)?;
        for (mean, g) in mean.iter_mut().zip(gradient) {
            *mean += g / batches as f64;
            square += g * g / batches as f64;
        }
    }
    Ok((square - mean.iter().map(|m| m * m).sum::<f64>()) * batches as f64 / (batches - 1) as f64)
}
