//! The check that every operation has to pass; `ndsm audit tape` prints its rows.
//!
//! For each sample of each registered operation and one random cotangent dy:
//! * the recorded shape is the shape rule's, and every element of result and adjoints gets written (all memory is NaN before);
//! * dx = (dy/dx)^T dy agrees, element by element, with sum_i dy_i D_j y_i, where D is the five-point central difference
//!   (8 [f(x+h) - f(x-h)] - [f(x+2h) - f(x-2h)])/12h in f64. The error is relative to sum_i |dy_i| (|D_j y_i| + c |y_i|), c = 1
//!   for the elements that x_j moves and 1e-4 for the others: the second term is what the difference itself is certain to;
//! * a second replay, and a second backward pass after one forward pass, give the same bits; the same tensors as parameters
//!   give the same gradient, added to what the gradient held;
//! * f32 agrees with f64 to its own rounding.
//!
//! Shapes that must be refused are, with the words that the sentence must have. An operation whose samples leave out odd sizes,
//! axes of size 1, empty axes or large values fails.

use super::op::{Checked, Op, Sample};
use super::{Program, Recorder, Var, Workspace, registry};
use crate::Real;

/// Largest relative error of a gradient.
const BOUND: f64 = 1e-8;
/// Largest difference between f32 and f64, relative to the largest element.
const BOUND_F32: f64 = 2e-5;
/// Step of the differences: its fourth power and epsilon/h are both far below the bound.
const STEP: f64 = 1.0 / 2048.0;

/// Weight of the elements that an input does not move: their derivatives are below epsilon/h, a ten-thousandth of the bound.
const UNMOVED: f64 = 1e-4;

/// One operation on a list.
pub struct Entry<R> {
    name: &'static str,
    samples: fn() -> Vec<Boxed<R, Sample>>,
    refusals: fn() -> Vec<Refusal<R>>,
}

/// An operation and its inputs: tensors, or only their shapes.
type Boxed<R, X> = (Box<dyn Op<R>>, Vec<X>);
/// What must be refused, and words of the error.
type Refusal<R> = (Boxed<R, Vec<usize>>, &'static str);

impl<R: Real> Entry<R> {
    /// The entry of `O`, called `name`.
    pub fn of<O: Checked + Op<R>>(name: &'static str) -> Self {
        Entry {
            name,
            samples: || O::samples().into_iter().map(|(op, x)| (Box::new(op) as Box<dyn Op<R>>, x)).collect(),
            refusals: || O::refusals().into_iter().map(|(op, x, words)| ((Box::new(op) as Box<dyn Op<R>>, x), words)).collect(),
        }
    }

    /// The operation's own name, or that on the list if it has no samples to tell it.
    fn title(&self) -> String {
        (self.samples)().first().map_or(self.name, |(op, _)| op.name()).to_string()
    }
}

/// One line of the check.
#[derive(Debug, Clone)]
pub struct Row {
    /// The operation.
    pub op: String,
    /// Shapes of its inputs, or what else was looked at.
    pub shapes: String,
    /// Worst relative error of the gradient.
    pub error: f64,
    /// What it must not exceed.
    pub bound: f64,
    /// Whether everything is as it must be.
    pub pass: bool,
    /// What is not.
    pub note: String,
}

/// Checks all registered operations.
///
/// ```no_run
/// assert!(ndsm::tape::check::run().iter().all(|row| row.pass));
/// ```
pub fn run() -> Vec<Row> {
    check(&registry::<f64>(), &registry::<f32>())
}

/// Checks the operations of one list, given in both precisions.
pub fn check(list: &[Entry<f64>], list_f32: &[Entry<f32>]) -> Vec<Row> {
    let mut rows = vec![];
    for (entry, single) in list.iter().zip(list_f32) {
        let count = (entry.samples)().len();
        rows.extend((0..count).map(|i| sample(entry, single, i)));
        rows.push(coverage(entry));
        rows.push(refusals(entry));
    }
    rows
}

fn row(op: String, shapes: String, error: f64, problems: &[String]) -> Row {
    let pass = error <= BOUND && problems.is_empty();
    Row { op, shapes, error, bound: BOUND, pass, note: problems.join("; ") }
}

/// One sample recorded: the program, its inputs and its result.
struct Case<R> {
    program: Program<R>,
    ws: Workspace<R>,
    x: Vec<Var>,
    y: Var,
    shape: Vec<usize>,
    label: String,
    params: Vec<R>,
}

impl<R: Real> Case<R> {
    fn new(entry: &Entry<R>, index: usize, parameters: bool) -> crate::Result<Self> {
        let (op, samples) = (entry.samples)().swap_remove(index);
        let label = op.label();
        let mut r = Recorder::<R>::new();
        let x = samples
            .iter()
            .enumerate()
            .map(|(k, s)| if parameters { r.parameter(&k.to_string(), &s.shape) } else { r.input_with_gradient(&k.to_string(), &s.shape) })
            .collect::<crate::Result<Vec<Var>>>()?;
        let y = r.apply_boxed(op, &x)?;
        let shape = r.shape(y)?.to_vec();
        let program = r.finish();
        let mut ws = program.workspace()?;
        ws.poison();
        let mut params = vec![];
        for (x, s) in x.iter().zip(&samples) {
            let values = s.values.iter().map(|v| R::of(*v));
            if parameters { params.extend(values) } else { ws.input_mut(*x)?.iter_mut().zip(values).for_each(|(x, v)| *x = v) }
        }
        Ok(Case { program, ws, x, y, shape, label, params })
    }

    fn forward(&mut self) -> crate::Result<Vec<R>> {
        self.program.forward(&self.params, &mut self.ws)?;
        Ok(self.ws.value(self.y)?.to_vec())
    }

    /// The adjoints of all inputs, one after another; the gradient if they are parameters, added to `start`.
    fn backward(&mut self, dy: &[R], start: R) -> crate::Result<Vec<R>> {
        let mut grad = vec![start; self.params.len()];
        self.program.backward(&self.params, &mut self.ws, &[(self.y, dy)], &mut grad)?;
        if self.params.is_empty() {
            for x in &self.x {
                if let Ok(dx) = self.ws.adjoint(*x) {
                    grad.extend_from_slice(dx);
                }
            }
        }
        Ok(grad)
    }
}

fn sample(entry: &Entry<f64>, single: &Entry<f32>, index: usize) -> Row {
    match try_sample(entry, single, index) {
        Ok(row) => row,
        Err(e) => row(entry.title(), format!("sample {index}"), f64::NAN, &[e.to_string()]),
    }
}

fn try_sample(entry: &Entry<f64>, single: &Entry<f32>, index: usize) -> crate::Result<Row> {
    let samples = (entry.samples)().swap_remove(index).1;
    let mut problems = vec![];
    let mut expect = |ok: bool, what: &str| {
        if !ok {
            problems.push(what.to_string());
        }
    };
    let mut case = Case::new(entry, index, false)?;
    let y = case.forward()?;
    expect(y.len() == case.shape.iter().product::<usize>() && y.iter().all(|y| !y.is_nan()), "the result is not fully written");
    let dy = Sample::normal(&case.shape, 99).values;
    let dx = case.backward(&dy, 0.0)?;
    case.ws.poison_unread();
    expect(bits(&dx, &case.backward(&dy, 0.0)?), "the backward pass reads a value that it does not state");
    fill(&mut case, &samples)?;
    case.forward()?;
    expect(bits(&dx, &case.backward(&dy, 0.0)?), "a second backward pass differs");
    case.ws.poison();
    fill(&mut case, &samples)?;
    expect(bits(&y, &case.forward()?) && bits(&dx, &case.backward(&dy, 0.0)?), "a second replay differs");

    let mut of_parameters = Case::new(entry, index, true)?;
    expect(bits(&y, &of_parameters.forward()?), "parameters give another result");
    // == and not bits: 0 + (-0) is 0.
    expect(of_parameters.backward(&dy, 0.0)? == dx, "parameters give another gradient");
    let added = of_parameters.backward(&dy, 3.0)?;
    let close = |(a, d): (&f64, &f64)| (a - (3.0 + d)).abs() <= 1e-12 * (3.0 + d.abs() + dy.iter().map(|d| d.abs()).sum::<f64>());
    expect(added.iter().zip(&dx).all(close), "the gradient is not added to what is there");

    // The same numbers in both precisions.
    let mut half = Case::new(single, index, false)?;
    fill_with(&mut case, &samples, |v| f64::from(v as f32))?;
    let (y64, y32) = (case.forward()?, half.forward()?);
    let dy32: Vec<f32> = dy.iter().map(|d| *d as f32).collect();
    let (dx64, dx32) = (case.backward(&dy32.iter().map(|d| f64::from(*d)).collect::<Vec<_>>(), 0.0)?, half.backward(&dy32, 0.0)?);
    expect(agree(&y64, &y32) && agree(&dx64, &dx32), "f32 differs from f64");

    fill(&mut case, &samples)?;
    let mut worst = 0f64;
    let mut at = 0;
    for (sample, var) in samples.iter().zip(case.x.clone()) {
        for j in 0..sample.values.len() {
            let mut f = |shift: f64| {
                case.ws.input_mut(var)?[j] = sample.values[j] + shift * STEP;
                let y = case.forward()?;
                case.ws.input_mut(var)?[j] = sample.values[j];
                crate::Result::Ok(y)
            };
            let (p1, m1, p2, m2) = (f(1.0)?, f(-1.0)?, f(2.0)?, f(-2.0)?);
            let (mut difference, mut size) = (0.0, 0.0);
            for i in 0..dy.len() {
                let d = (8.0 * (p1[i] - m1[i]) - (p2[i] - m2[i])) / (12.0 * STEP);
                difference += dy[i] * d;
                size += dy[i].abs() * (d.abs() + if p1[i] == m1[i] { UNMOVED } else { 1.0 } * y[i].abs());
            }
            let error = if dx[at] == difference { 0.0 } else { (dx[at] - difference).abs() / size };
            // max() would drop a NaN.
            worst = if error <= worst { worst } else { error };
            at += 1;
        }
    }
    expect(at == dx.len(), "an input has no adjoint");
    let shapes = samples.iter().map(|s| format!("{:?}", s.shape)).collect::<Vec<_>>().join(" ");
    Ok(row(case.label, shapes, worst, &problems))
}

fn fill(case: &mut Case<f64>, samples: &[Sample]) -> crate::Result<()> {
    fill_with(case, samples, |v| v)
}

fn fill_with(case: &mut Case<f64>, samples: &[Sample], f: impl Fn(f64) -> f64) -> crate::Result<()> {
    for (x, s) in case.x.iter().zip(samples) {
        case.ws.input_mut(*x)?.iter_mut().zip(&s.values).for_each(|(x, v)| *x = f(*v));
    }
    Ok(())
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

fn coverage(entry: &Entry<f64>) -> Row {
    let samples = (entry.samples)();
    let refused = (entry.refusals)();
    let axis = |test: fn(usize) -> bool| samples.iter().any(|(_, x)| x.iter().any(|x| x.shape.iter().any(|n| test(*n))));
    let refused_empty = refused.iter().any(|((_, x), _)| x.iter().any(|x| x.contains(&0)));
    let large = samples.iter().any(|(_, x)| x.iter().any(|x| x.values.iter().any(|v| v.abs() >= 30.0)));
    let covered = [
        ("odd sizes", axis(|n| n > 1 && n % 2 == 1)),
        ("axes of size 1", axis(|n| n == 1)),
        ("empty axes", axis(|n| n == 0) || refused_empty),
        ("large values", large),
        ("refusals", !refused.is_empty()),
    ];
    let missing: Vec<String> = covered.iter().filter(|(_, ok)| !ok).map(|(what, _)| format!("no sample with {what}")).collect();
    row(entry.title(), "what the samples reach".to_string(), 0.0, &missing)
}

fn refusals(entry: &Entry<f64>) -> Row {
    let mut problems = vec![];
    for ((op, shapes), words) in (entry.refusals)() {
        let name = op.name();
        let mut r = Recorder::<f64>::new();
        let x: crate::Result<Vec<Var>> = shapes.iter().enumerate().map(|(k, s)| r.input(&k.to_string(), s)).collect();
        match x.and_then(|x| r.apply_boxed(op, &x)) {
            Ok(_) => problems.push(format!("{shapes:?} is not refused")),
            Err(e) => {
                let e = e.to_string();
                let expected = [name.to_string(), words.to_string(), "check.rs:".to_string()];
                let missing = expected.into_iter().chain(shapes.iter().map(|s| format!("{s:?}"))).find(|part| !e.contains(part));
                problems.extend(missing.map(|part| format!("'{e}' does not contain '{part}'")));
            }
        }
    }
    row(entry.title(), "refusals".to_string(), 0.0, &problems)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_registered_operation_passes() {
        let rows = run();
        let failed: Vec<&Row> = rows.iter().filter(|r| !r.pass).collect();
        assert!(failed.is_empty() && !rows.is_empty(), "{failed:#?}");
    }
}
