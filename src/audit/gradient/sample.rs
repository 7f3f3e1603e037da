//! Everything that is looked at on one sample.

use super::case::Case;
use super::{Kinds, SampleRow, derivative};
use crate::Result;
use crate::tape::Sample;

/// Largest difference between f32 and f64, relative to the largest element.
const BOUND_F32: f64 = 2e-5;

/// Checks sample `index`.
pub fn check(kinds: &Kinds, index: usize) -> SampleRow {
    let (op, samples) = (kinds.wide.samples)().swap_remove(index);
    let shapes = samples.iter().map(|s| s.shape.clone()).collect();
    let mut problems = vec![];
    let errors = try_check(kinds, index, &samples, &mut problems).unwrap_or_else(|e| {
        problems.push(e.to_string());
        [f64::NAN; 3]
    });
    SampleRow { label: op.label(), shapes, errors, problems }
}

fn try_check(kinds: &Kinds, index: usize, samples: &[Sample], problems: &mut Vec<String>) -> Result<[f64; 3]> {
    let mut expect = |ok: bool, what: &str| {
        if !ok {
            problems.push(what.to_string());
        }
    };
    let mut case = Case::new(kinds.wide, index, false)?;
    let y = case.forward()?;
    expect(y.len() == case.shape.iter().product::<usize>() && y.iter().all(|y| !y.is_nan()), "the result is not fully written");
    let dy = Sample::normal(&case.shape, 99).values;
    let dx = case.backward(&dy, 0.0)?;
    case.ws.poison_unread();
    expect(bits(&dx, &case.backward(&dy, 0.0)?), "the backward pass reads a value that it does not state");
    case.fill(samples, |v| v)?;
    case.forward()?;
    expect(bits(&dx, &case.backward(&dy, 0.0)?), "a second backward pass differs");
    case.ws.poison();
    case.fill(samples, |v| v)?;
    expect(bits(&y, &case.forward()?) && bits(&dx, &case.backward(&dy, 0.0)?), "a second replay differs");

    let mut of_parameters = Case::new(kinds.wide, index, true)?;
    expect(bits(&y, &of_parameters.forward()?), "parameters give another result");
    // == and not bits: 0 + (-0) is 0.
    expect(of_parameters.backward(&dy, 0.0)? == dx, "parameters give another gradient");
    let added = of_parameters.backward(&dy, 3.0)?;
    let close = |(a, d): (&f64, &f64)| (a - (3.0 + d)).abs() <= 1e-12 * (3.0 + d.abs() + dy.iter().map(|d| d.abs()).sum::<f64>());
    expect(added.iter().zip(&dx).all(close), "the gradient is not added to what is there");

    // The same numbers in both precisions.
    let mut narrow = Case::new(kinds.narrow, index, false)?;
    case.fill(samples, |v| f64::from(v as f32))?;
    let (y64, y32) = (case.forward()?, narrow.forward()?);
    let dy32: Vec<f32> = dy.iter().map(|d| *d as f32).collect();
    let (dx64, dx32) = (case.backward(&dy32.iter().map(|d| f64::from(*d)).collect::<Vec<_>>(), 0.0)?, narrow.backward(&dy32, 0.0)?);
    expect(agree(&y64, &y32) && agree(&dx64, &dx32), "f32 differs from f64");

    let duals = derivative::duals(kinds.dual, index, samples, &dy)?;
    let differences = derivative::differences(&mut case, samples, &dy)?;
    let second = derivative::second(kinds.dual, index, &mut case, samples, &dy, &duals)?;
    Ok([duals.error(&dx), differences.error(&dx), second])
}

fn bits(a: &[f64], b: &[f64]) -> bool {
    a.len() == b.len() && a.iter().zip(b).all(|(a, b)| a.to_bits() == b.to_bits())
}

/// Whether f32 follows f64, where f32 can hold the number.
fn agree(wide: &[f64], narrow: &[f32]) -> bool {
    let inside = |v: &&f64| v.abs() < 1e37;
    let size = wide.iter().filter(inside).fold(1.0, |m: f64, v| m.max(v.abs()));
    wide.len() == narrow.len()
        && wide.iter().zip(narrow).filter(|(w, _)| inside(w)).all(|(w, n)| (w - f64::from(*n)).abs() <= BOUND_F32 * size)
}
