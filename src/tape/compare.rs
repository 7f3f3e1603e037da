//! Where rounding enters: the same program in f32 and in f64, node by node.
//!
//! ```
//! use ndsm::tape::{Record, Recorder, Var, compare};
//! use ndsm::{Real, Result};
//! // x + 1 - 1 loses what 1 covers up of a small x.
//! struct Cancels;
//! impl Record for Cancels {
//!     fn record<R: Real>(&self, r: &mut Recorder<R>) -> Result<Var> {
//!         let x = r.parameter("x", &[2])?;
//!         let up = r.shift(x, 1.0)?;
//!         r.shift(up, -1.0)
//!     }
//! }
//! let rows = compare(&Cancels, &[1e-4, 3e-4], &[])?.rows;
//! // Relative errors in units of 2^-24: below one before, thousands after.
//! assert!(rows[1].value.unwrap() < 1.0 && rows[2].value.unwrap() > 1000.0);
//! # Ok::<(), ndsm::Error>(())
//! ```

use super::Recorder;
use super::hvp::{Record, length};
use crate::kernels::memory::zeros;
use crate::{Error, Real, Result};
use std::fmt;

/// Half the distance from 1 to the next f32: the largest relative error of one rounding.
const UNIT: f64 = f32::EPSILON as f64 / 2.0;

/// What [`compare`] found. Prints itself as a table.
#[derive(Debug, Clone)]
pub struct Comparison {
    /// In the order of evaluation; what has neither a value nor an adjoint to compare is left out.
    pub rows: Vec<Rounding>,
}

/// How far f32 is from f64 at one node: max |narrow - wide| / max |wide|, in units of 2^-24, the largest
/// relative error of one rounding in f32. 0 where both are 0; NaN where one is no number and the other one
/// is.
#[derive(Debug, Clone)]
pub struct Rounding {
    /// The node's place in the program.
    pub index: usize,
    /// The operation with its attributes, or `input NAME`, `parameter NAME`.
    pub op: String,
    /// The nodes that it reads.
    pub inputs: Vec<usize>,
    /// Its shape.
    pub shape: Vec<usize>,
    /// Of its value; None for a leaf, which is the same number in both.
    pub value: Option<f64>,
    /// Of its adjoint, where the backward pass comes by.
    pub adjoint: Option<f64>,
}

/// Records `what` in both precisions and replays it, forward and backward (the result's adjoint is 1
/// everywhere), for the same numbers: `params` and the named `inputs`, rounded to f32 before both. An input
/// that is not named is zero. Nothing is fused, so that every operation has its row.
///
/// # Errors
/// Those of the recording; a length that differs; a name that no input has; memory that cannot be had; a
/// `what` that records another program in f32 than in f64.
pub fn compare(what: &impl Record, params: &[f64], inputs: &[(&str, &[f64])]) -> Result<Comparison> {
    let (wide, narrow) = (replay::<f64>(what, params, inputs)?, replay::<f32>(what, params, inputs)?);
    let same = |(a, b): (&Seen, &Seen)| a.op == b.op && a.inputs == b.inputs && a.shape == b.shape;
    if wide.len() != narrow.len() || !wide.iter().zip(&narrow).all(same) {
        return Err(Error::refused("compare", "the program recorded in f32 is another one than in f64"));
    }
    let rows = wide.into_iter().zip(narrow).enumerate().map(|(index, (wide, narrow))| Rounding {
        index,
        value: wide.value.as_ref().zip(narrow.value.as_ref()).map(|(w, n)| error(w, n)),
        adjoint: wide.adjoint.as_ref().zip(narrow.adjoint.as_ref()).map(|(w, n)| error(w, n)),
        op: wide.op,
        inputs: wide.inputs,
        shape: wide.shape,
    });
    Ok(Comparison { rows: rows.filter(|row| row.value.is_some() || row.adjoint.is_some()).collect() })
}

/// A node after a replay, in f64.
struct Seen {
    op: String,
    inputs: Vec<usize>,
    shape: Vec<usize>,
    value: Option<Vec<f64>>,
    adjoint: Option<Vec<f64>>,
}

fn replay<R: Real>(what: &impl Record, params: &[f64], inputs: &[(&str, &[f64])]) -> Result<Vec<Seen>> {
    let mut r = Recorder::<R>::new();
    let y = what.record(&mut r)?;
    let size = r.shape(y)?.iter().product::<usize>();
    // Every operation by itself, so that each can be seen.
    let program = r.finish_plain();
    let mut ws = program.workspace()?;
    let rounded = |x: f64| R::of(f64::from(x as f32));
    for (name, values) in inputs {
        let x = ws.input_mut(program.input(name)?)?;
        length(&format!("input {name}"), x.len(), values.len())?;
        x.iter_mut().zip(*values).for_each(|(x, v)| *x = rounded(*v));
    }
    let params: Vec<R> = params.iter().map(|p| rounded(*p)).collect();
    let numbers = |x: &[R]| Some(x.iter().map(|x| x.f64()).collect::<Vec<f64>>());

    let nodes = &program.inner.nodes;
    let rows = program.table().rows.into_iter();
    let mut seen: Vec<Seen> =
        rows.map(|row| Seen { op: row.op, inputs: row.inputs, shape: row.shape, value: None, adjoint: None }).collect();
    // An adjoint may be used up by its operation: it is taken when it is complete.
    program.forward_seen(&params, &mut ws, |index, value| seen[index].value = numbers(value))?;
    if nodes[y.index].needs_gradient && nodes[y.index].parameter.is_none() {
        let mut grad = zeros(params.len())?;
        let ones = vec![R::one(); size];
        program.backward_seen(&params, &mut ws, &[(y, &ones)], &mut grad, |index, dy| seen[index].adjoint = numbers(dy))?;
        for (node, seen) in nodes.iter().zip(&mut seen) {
            if let Some(at) = &node.parameter {
                seen.adjoint = numbers(&grad[at.clone()]);
            }
        }
    }
    Ok(seen)
}

/// max |narrow - wide| / max |wide| in units of the rounding; infinite numbers that agree are equal, and so
/// are two NaN.
fn error(wide: &[f64], narrow: &[f64]) -> f64 {
    let (mut difference, mut size) = (0.0, 0.0);
    for (w, n) in wide.iter().zip(narrow) {
        if w == n || (w.is_nan() && n.is_nan()) {
            size = f64::max(size, if w.is_finite() { w.abs() } else { 0.0 });
            continue;
        }
        let d = (n - w).abs();
        if d.is_nan() {
            return f64::NAN;
        }
        difference = f64::max(difference, d);
        size = f64::max(size, w.abs());
    }
    if difference == 0.0 { 0.0 } else { difference / size / UNIT }
}

impl fmt::Display for Comparison {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let number = |x: Option<f64>| x.map_or(String::new(), |x| if x < 1e4 { format!("{x:.2}") } else { format!("{x:.2e}") });
        let mut cells = vec![["", "operation", "inputs", "shape", "value", "adjoint"].map(str::to_string)];
        cells.extend(self.rows.iter().map(|row| {
            let inputs = row.inputs.iter().map(|i| format!("%{i}")).collect::<Vec<_>>().join(" ");
            [format!("%{}", row.index), row.op.clone(), inputs, format!("{:?}", row.shape), number(row.value), number(row.adjoint)]
        }));
        let widths: Vec<usize> = (0..6).map(|j| cells.iter().map(|c| c[j].len()).max().unwrap_or(0)).collect();
        for line in &cells {
            // Numbers to the right.
            let padded = line.iter().zip(&widths).enumerate();
            let padded: Vec<String> =
                padded.map(|(j, (cell, &w))| if j < 4 { format!("{cell:<w$}") } else { format!("{cell:>w$}") }).collect();
            writeln!(f, "{}", padded.join("  ").trim_end())?;
        }
        writeln!(f, "f32 against f64: largest difference over largest element, in units of 2^-24")
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rng::{Purpose, Stream};
    use crate::tape::{Activation, Var};

    fn draw(n: usize, chunk: u32) -> Vec<f64> {
        let mut x = vec![0.0; n];
        Stream::new(12, Purpose::Test, 0, chunk).fill_normal(&mut x);
        x
    }

    struct Mlp;
    impl Record for Mlp {
        fn record<R: Real>(&self, r: &mut Recorder<R>) -> Result<Var> {
            let (x, w, b) = (r.input("x", &[9, 40])?, r.parameter("w", &[40, 5])?, r.parameter("b", &[5])?);
            let y = r.linear(x, w, b, Activation::Silu)?;
            let up = r.shift(y, 1e4)?;
            let down = r.shift(up, -1e4)?;
            let square = r.square(down)?;
            r.mean(square)
        }
    }

    #[test]
    fn the_row_where_digits_are_lost_stands_out() {
        let (params, x) = (draw(205, 0), draw(360, 1));
        let table = compare(&Mlp, &params, &[("x", &x)]).unwrap();
        let rows = &table.rows;
        let ops: Vec<&str> = rows.iter().map(|r| r.op.as_str()).collect();
        assert_eq!(ops, ["parameter w", "parameter b", "linear silu", "shift 10000", "shift -10000", "square", "mean"]);
        let value = |i: usize| rows[i].value.unwrap();
        // Sums of 40 terms; one rounding; 10^4/|y| roundings; twice that.
        assert!(rows[0].value.is_none() && value(2) > 0.0 && value(2) <= 40.0 && value(3) <= 1.5, "{table}");
        assert!(value(4) > 100.0 && value(4) <= 1e4 && value(5) > value(4) && value(6) > 0.0, "{table}");
        // The adjoints: exact at the end, with the lost digits from the square on.
        let adjoint = |i: usize| rows[i].adjoint.unwrap();
        assert!(adjoint(6) == 0.0 && adjoint(5) <= 1.0 && adjoint(4) > 100.0 && adjoint(0) > 10.0, "{table}");
        let text = table.to_string();
        assert!(text.contains("linear silu") && text.lines().count() == rows.len() + 2, "{text}");
    }

    #[test]
    fn wrong_use_is_an_error_and_strange_numbers_are_compared() {
        let x = draw(360, 1);
        for (result, words) in [
            (compare(&Mlp, &[0.0; 3], &[]), "parameters: must be 205 numbers long, got 3"),
            (compare(&Mlp, &[0.0; 205], &[("y", &x)]), "got \"y\""),
            (compare(&Mlp, &[0.0; 205], &[("x", &x[1..])]), "input x: must be 360 numbers long, got 359"),
        ] {
            let e = result.unwrap_err().to_string();
            assert!(e.contains(words), "{e}");
        }
        let inf = f64::INFINITY;
        assert_eq!(error(&[0.0, 1.0], &[0.0, 1.0 + UNIT]), 1.0);
        assert_eq!(error(&[0.0], &[0.0]), 0.0);
        assert_eq!(error(&[inf, f64::NAN, 2.0], &[inf, f64::NAN, 2.0 + 2.0 * UNIT]), 1.0);
        assert!(error(&[1.0], &[f64::NAN]).is_nan() && error(&[f64::NAN, 1.0], &[0.0, 1.0]).is_nan());
        assert_eq!(error(&[1e300], &[inf]), inf);
    }
}
