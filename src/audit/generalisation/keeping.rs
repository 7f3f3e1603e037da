//! What is kept of a run, and that dropout ends with training.

use super::calibration::overfitting;
use super::{Case, gaussian, modes, settle};
use crate::audit::Row;
use crate::audit::transitions::row;
use crate::config::Value;
use crate::sample::Method;
use crate::train::{Best, Generator, Trainer};
use crate::{Error, Result};

/// A row for each.
///
/// # Errors
/// None that was ever seen.
pub fn rows() -> Result<Vec<Row>> {
    Ok(vec![keep()?, dropout()?])
}

/// What `trainer` keeps.
fn best(trainer: &Trainer<f32>) -> Result<Best<f32>> {
    trainer.state().best.clone().ok_or_else(|| Error::refused("audit", "the run keeps nothing"))
}

fn keep() -> Result<Row> {
    let mut case = overfitting()?;
    let settings: [(&str, Value); 4] = [
        ("sde.kind", "vp".into()),
        ("train.steps", 600usize.into()),
        ("train.evaluate_every", 25usize.into()),
        ("train.averages", false.into()),
    ];
    case.config = settle(&settings, &case.reference, case.x.nrows())?;
    let mut trainer = case.trainer()?;
    let first = best(&trainer)?.gain.value;
    let mut gains = vec![(0, first)];
    for _ in 0..case.config.train.steps {
        let report = trainer.step()?;
        gains.extend(report.gains.map(|gains| (report.step, gains.held_out.whole.value)));
    }
    let kept = best(&trainer)?;
    let (step, least) = gains.iter().copied().fold((0, f64::INFINITY), |m, g| if g.1 < m.1 { g } else { m });
    let last = gains[gains.len() - 1].1;
    // Their gain once more, from the parameters that generate.
    let again = best(&case.with(&case.config, trainer.state().generating())?)?.gain.value;
    let inside = 0 < kept.step && kept.step < case.config.train.steps as u64 && kept.step == step;
    let tried = format!(
        "{} evaluations: gain {first:.2} at first, {last:.2} at last, {least:.2} after {step} steps; kept {:.2} of step {}",
        gains.len(),
        kept.gain.value,
        kept.step
    );
    let errors = [
        ("the least", (kept.gain.value - least).abs(), 0.0),
        ("the kept parameters' gain", (again - kept.gain.value).abs(), 0.0),
        ("neither first nor last", if inside { 0.0 } else { 1.0 }, 0.0),
        ("the first's and the last's", if least < first.min(last) { 0.0 } else { 1.0 }, 0.0),
    ];
    Ok(row("keep", &tried, &errors))
}

fn dropout() -> Result<Row> {
    let law = modes(2)?;
    let config = |dropout: f64| [("sde.kind", "vp".into()), ("train.steps", 40usize.into()), ("network.dropout", Value::from(dropout))];
    let case = Case::new(&law, &gaussian(&law)?, (500, 300), &config(0.5))?;
    let plain = settle(&config(0.0), &case.reference, case.x.nrows())?;
    let mut dropped = case.trainer()?;
    let mut without = Trainer::<f32>::new(&plain, &case.reference, case.x.view())?;
    for _ in 0..40 {
        dropped.step()?;
        without.step()?;
    }
    let params = dropped.state().params.clone();
    let measure = |config: &crate::train::Settled| -> Result<Vec<f64>> {
        let trainer = case.with(config, &params)?;
        let mut generator = Generator::new(config, &case.reference, trainer.state())?;
        let mut numbers = vec![best(&trainer)?.gain.value];
        numbers.extend(generator.score(0.3, case.held_out.view())?);
        numbers.extend(generator.sample(200, 0, Method::Ode, None)?);
        Ok(numbers)
    };
    let (one, again, off) = (measure(&case.config)?, measure(&case.config)?, measure(&plain)?);
    let apart = |a: &[f64], b: &[f64]| a.iter().zip(b).map(|(a, b)| (a - b).abs()).fold(0.0, |m: f64, v| if v <= m { m } else { v });
    // In training it is there.
    let trained = if params == without.state().params { 1.0 } else { 0.0 };
    let errors = [
        ("the same without dropout", apart(&one, &off), 0.0),
        ("itself again", apart(&one, &again), 0.0),
        ("training without dropout", trained, 0.0),
    ];
    Ok(row("dropout", &format!("gain {:.3}, 300 scores, 200 samples", one[0]), &errors))
}
