//! The check that every operation of the tape has to pass, and that any program can be put through
//! ([`Program::check_gradient`](crate::tape::Program::check_gradient)); `ndsm audit tape` prints its rows.
//!
//! For each sample of each registered operation and one random cotangent dy, dx = (dy/dx)^T dy is compared,
//! element by element, with what does not know the vector-Jacobian product:
//! * [`Reference::Dual`]: sum_i dy_i J_ij, where column j of J comes from the operation's own forward pass on
//!   [`Dual`] numbers;
//! * [`Reference::Difference`]: the same sum with J from five-point central differences of the forward pass
//!   in f64, which does not trust the dual numbers either;
//! * [`Reference::Second`]: the derivative of dx along a random direction of +-1, by the vector-Jacobian
//!   product on dual numbers against central differences of dx: what
//!   [Hessian-vector products](crate::tape::SecondOrder) are made of.
//!
//! Besides, for each sample:
//! * the recorded shape is the shape rule's, and every element of result and adjoints gets written (all
//!   memory is NaN before);
//! * the backward pass reads no value that the operation does not [state](crate::tape::Op::reads);
//! * a second replay, and a second backward pass after one forward pass, give the same bits; the same tensors
//!   as parameters give the same gradient, added to what the gradient held;
//! * f32 agrees with f64 to its own rounding.
//!
//! Shapes that must be refused are, with the words that the sentence must have. An operation whose samples
//! leave out odd sizes, axes of size 1, empty axes or large values fails, and so does one without samples.

mod case;
mod derivative;
#[cfg(test)]
mod planted;
mod program;
mod sample;

use crate::real::Dual;
use crate::tape::{Entry, Recorder, Var, registry};
pub use program::{Derivative, GradientCheck};

/// What a derivative is compared with.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Reference {
    /// The forward pass on dual numbers.
    Dual,
    /// Central differences of the forward pass.
    Difference,
    /// Central differences of the gradient, for the derivative of the vector-Jacobian product.
    Second,
}

impl Reference {
    /// All three, the sharpest first.
    pub const ALL: [Reference; 3] = [Reference::Dual, Reference::Difference, Reference::Second];

    /// The name in tables.
    pub fn name(self) -> &'static str {
        match self {
            Reference::Dual => "dual",
            Reference::Difference => "central difference",
            Reference::Second => "second derivative",
        }
    }

    /// The largest error that passes. It is relative to the sizes of the terms that make up the derivative:
    /// sum_i |dy_i| (|J_ij| + |y_i| / max(1, |x_j|)), y_i only where x_j moves it, for [`Reference::Dual`];
    /// `derivative.rs` has the other two.
    pub fn bound(self) -> f64 {
        match self {
            Reference::Dual => 1e-12,
            Reference::Difference | Reference::Second => 1e-8,
        }
    }
}

/// One operation in all kinds of numbers that it is checked in.
pub struct Kinds<'a> {
    /// What is audited.
    pub wide: &'a Entry<f64>,
    /// What trains.
    pub narrow: &'a Entry<f32>,
    /// What differentiates it.
    pub dual: &'a Entry<Dual<f64>>,
}

/// One line of the check: an operation.
#[derive(Debug, Clone)]
pub struct Row {
    /// Its name.
    pub op: String,
    /// What it was checked on.
    pub samples: Vec<SampleRow>,
    /// What is wrong with its list of samples or with what it refuses.
    pub problems: Vec<String>,
}

/// One sample of an operation.
#[derive(Debug, Clone)]
pub struct SampleRow {
    /// The operation with its attributes.
    pub label: String,
    /// Shapes of the inputs.
    pub shapes: Vec<Vec<usize>>,
    /// Relative errors in the order of [`Reference::ALL`].
    pub errors: [f64; 3],
    /// What is not as it must be.
    pub problems: Vec<String>,
}

impl Row {
    /// The worst error against one reference; 0 without samples.
    pub fn worst(&self, reference: Reference) -> f64 {
        self.samples.iter().map(|s| s.errors[reference as usize]).fold(0.0, worse)
    }

    /// What the row is judged by: the sharpest reference, or the first that the operation fails.
    pub fn reference(&self) -> Reference {
        let failed = |r: &Reference| !within(self.worst(*r), *r);
        Reference::ALL.into_iter().find(failed).unwrap_or(Reference::Dual)
    }

    /// Whether everything is as it must be.
    pub fn pass(&self) -> bool {
        self.problems.is_empty()
            && self.samples.iter().all(|s| s.problems.is_empty() && Reference::ALL.iter().all(|r| within(s.errors[*r as usize], *r)))
    }

    /// All that is not, in one line.
    pub fn note(&self) -> String {
        let mut notes = self.problems.clone();
        for s in &self.samples {
            let errors = Reference::ALL.iter().filter(|r| !within(s.errors[**r as usize], **r));
            let errors = errors.map(|r| format!("{} off by {:.1e}", r.name(), s.errors[*r as usize]));
            notes.extend(errors.chain(s.problems.iter().cloned()).map(|what| format!("{} of {:?}: {what}", s.label, s.shapes)));
        }
        notes.join("; ")
    }
}

/// False for NaN.
fn within(error: f64, reference: Reference) -> bool {
    error <= reference.bound()
}

/// The larger error, NaN being the largest; max() would drop it.
fn worse(a: f64, b: f64) -> f64 {
    if a.is_nan() || b <= a { a } else { b }
}

/// Checks all registered operations.
///
/// ```no_run
/// assert!(ndsm::audit::gradient::run().iter().all(|row| row.pass()));
/// ```
pub fn run() -> Vec<Row> {
    check(&registry(), &registry(), &registry())
}

/// Checks the operations of one list, given in all three kinds of numbers.
pub fn check(wide: &[Entry<f64>], narrow: &[Entry<f32>], dual: &[Entry<Dual<f64>>]) -> Vec<Row> {
    let kinds = wide.iter().zip(narrow).zip(dual).map(|((wide, narrow), dual)| Kinds { wide, narrow, dual });
    kinds.flat_map(|kinds| rows(&kinds)).collect()
}

/// One row for each name that the samples of an entry go by ("sum" and "mean" are one struct).
fn rows(kinds: &Kinds) -> Vec<Row> {
    let mut rows: Vec<Row> = vec![];
    for (index, (op, _)) in (kinds.wide.samples)().iter().enumerate() {
        let row = sample::check(kinds, index);
        match rows.iter_mut().find(|row| row.op == op.name()) {
            Some(same) => same.samples.push(row),
            None => rows.push(Row { op: op.name().to_string(), samples: vec![row], problems: vec![] }),
        }
    }
    if rows.is_empty() {
        rows.push(Row { op: kinds.wide.name.to_string(), samples: vec![], problems: vec!["no samples".to_string()] });
    }
    rows[0].problems.extend(uncovered(kinds.wide));
    for (op, problem) in admitted(kinds.wide) {
        let row = rows.iter().position(|row| row.op == op).unwrap_or(0);
        rows[row].problems.push(problem);
    }
    rows
}

/// What the samples do not reach.
fn uncovered(entry: &Entry<f64>) -> Vec<String> {
    let samples = (entry.samples)();
    let refused = (entry.refusals)();
    let axis = |test: fn(usize) -> bool| samples.iter().any(|(_, x)| x.iter().any(|x| x.shape.iter().any(|n| test(*n))));
    let refused_empty = refused.iter().any(|(_, x, _)| x.iter().any(|x| x.contains(&0)));
    let large = samples.iter().any(|(_, x)| x.iter().any(|x| x.values.iter().any(|v| v.abs() >= 30.0)));
    let covered = [
        ("odd sizes", axis(|n| n > 1 && n % 2 == 1)),
        ("axes of size 1", axis(|n| n == 1)),
        ("empty axes", axis(|n| n == 0) || refused_empty),
        ("large values", large),
        ("refusals", !refused.is_empty()),
    ];
    covered.iter().filter(|(_, ok)| !ok).map(|(what, _)| format!("no sample with {what}")).collect()
}

/// Operations with what they should have refused, or refused in other words.
fn admitted(entry: &Entry<f64>) -> Vec<(&'static str, String)> {
    let mut problems = vec![];
    for (op, shapes, words) in (entry.refusals)() {
        let name = op.name();
        let mut r = Recorder::<f64>::new();
        let x: crate::Result<Vec<Var>> = shapes.iter().enumerate().map(|(k, s)| r.input(&k.to_string(), s)).collect();
        match x.and_then(|x| r.apply_boxed(op, &x)) {
            Ok(_) => problems.push((name, format!("{shapes:?} is not refused"))),
            Err(e) => {
                let e = e.to_string();
                let expected = [name.to_string(), words.to_string(), "gradient.rs:".to_string()];
                let missing = expected.into_iter().chain(shapes.iter().map(|s| format!("{s:?}"))).find(|part| !e.contains(part));
                problems.extend(missing.map(|part| (name, format!("'{e}' does not contain '{part}'"))));
            }
        }
    }
    problems
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_registered_operation_passes() {
        let rows = run();
        let failed: Vec<String> = rows.iter().filter(|r| !r.pass()).map(|r| format!("{}: {}", r.op, r.note())).collect();
        assert!(failed.is_empty() && !rows.is_empty(), "{failed:#?}");
    }

    #[test]
    fn nan_fails() {
        let sample = SampleRow { label: "op".into(), shapes: vec![vec![2]], errors: [f64::NAN, 0.0, 0.0], problems: vec![] };
        let right = SampleRow { errors: [0.0; 3], ..sample.clone() };
        let row = Row { op: "op".into(), samples: vec![sample, right], problems: vec![] };
        assert!(!row.pass() && row.worst(Reference::Dual).is_nan() && row.note().contains("dual off by NaN"));
    }
}
