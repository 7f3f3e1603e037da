//! The three references that a vector-Jacobian product is held against.

use super::{case::Case, worse};
use crate::Result;
use crate::real::Dual;
use crate::tape::{Entry, Sample};

/// Step of the differences of values: its fourth power and epsilon/h are both far below the bound.
pub const STEP: f64 = 1.0 / 2048.0;
/// Step of the differences of gradients, along a direction in which all inputs move at once.
const STEP_SECOND: f64 = 1.0 / 16384.0;
/// Weight of the elements that an input does not move: their derivatives are below epsilon/h, a
/// ten-thousandth of the bound.
const UNMOVED: f64 = 1e-4;

/// sum_i dy_i J_ij for every element j of every input, and the size of its terms.
pub struct Pullback {
    sums: Vec<f64>,
    sizes: Vec<f64>,
}

impl Pullback {
    /// The worst |dx_j - sum_j| / size_j; NaN if there are not as many dx.
    pub fn error(&self, dx: &[f64]) -> f64 {
        if dx.len() != self.sums.len() {
            return f64::NAN;
        }
        let terms = dx.iter().zip(&self.sums).zip(&self.sizes);
        terms.map(|((dx, sum), size)| relative(*dx, *sum, *size)).fold(0.0, worse)
    }
}

/// |a - b|/size; 0 where both are equal.
pub fn relative(a: f64, b: f64, size: f64) -> f64 {
    // Subnormal numbers have no relative accuracy.
    if a == b { 0.0 } else { (a - b).abs() / (size + f64::MIN_POSITIVE) }
}

/// A derivative by (8 [f(x+h) - f(x-h)] - [f(x+2h) - f(x-2h)])/12h, h = [`STEP`]; `f` is given multiples of
/// h.
pub fn slope(mut f: impl FnMut(f64) -> Result<f64>) -> Result<f64> {
    let (p1, m1, p2, m2) = (f(1.0)?, f(-1.0)?, f(2.0)?, f(-2.0)?);
    Ok(quotient([p1, m1, p2, m2]))
}

fn quotient([p1, m1, p2, m2]: [f64; 4]) -> f64 {
    (8.0 * (p1 - m1) - (p2 - m2)) / (12.0 * STEP)
}

/// Column j of J: the forward pass with tangent 1 at element j. The size of a term is |dy_i| (|J_ij| + |y_i|
/// / max(1, |x_j|)) where J_ij is not exactly zero: the second part is what rounding in y_i is worth, which
/// remains where larger terms cancel in J_ij.
pub fn duals(entry: &Entry<Dual<f64>>, index: usize, samples: &[Sample], dy: &[f64]) -> Result<Pullback> {
    let mut case = Case::new(entry, index, false)?;
    let (mut sums, mut sizes) = (vec![], vec![]);
    for (sample, var) in samples.iter().zip(case.x.clone()) {
        for (j, x) in sample.values.iter().enumerate() {
            case.ws.input_mut(var)?[j].tangent = 1.0;
            let y = case.forward()?;
            case.ws.input_mut(var)?[j].tangent = 0.0;
            let (mut sum, mut size) = (0.0, 0.0);
            for (y, dy) in y.iter().zip(dy).filter(|(y, _)| y.tangent != 0.0) {
                sum += dy * y.tangent;
                size += dy.abs() * (y.tangent.abs() + y.value.abs() / x.abs().max(1.0));
            }
            sums.push(sum);
            sizes.push(size);
        }
    }
    Ok(Pullback { sums, sizes })
}

/// J by five-point differences. The size of a term is |dy_i| (|J_ij| + c |y_i|), c = 1 for the elements that
/// x_j moves and 1e-4 for the others: the second part is what the difference itself is certain to.
pub fn differences(case: &mut Case<f64>, samples: &[Sample], dy: &[f64]) -> Result<Pullback> {
    case.fill(samples, |v| v)?;
    let y = case.forward()?;
    let (mut sums, mut sizes) = (vec![], vec![]);
    for (sample, var) in samples.iter().zip(case.x.clone()) {
        for j in 0..sample.values.len() {
            let mut f = |shift: f64| {
                case.ws.input_mut(var)?[j] = sample.values[j] + shift * STEP;
                let y = case.forward()?;
                case.ws.input_mut(var)?[j] = sample.values[j];
                Result::Ok(y)
            };
            let (p1, m1, p2, m2) = (f(1.0)?, f(-1.0)?, f(2.0)?, f(-2.0)?);
            let (mut sum, mut size) = (0.0, 0.0);
            for i in 0..dy.len() {
                let d = quotient([p1[i], m1[i], p2[i], m2[i]]);
                sum += dy[i] * d;
                size += dy[i].abs() * (d.abs() + if p1[i] == m1[i] { UNMOVED } else { 1.0 } * y[i].abs());
            }
            sums.push(sum);
            sizes.push(size);
        }
    }
    Ok(Pullback { sums, sizes })
}

/// The worst error of d/ds dx(x + s v), v random signs, by the vector-Jacobian product on dual numbers,
/// against the five-point difference of dx. It is relative to itself plus the size of the terms of dx, as
/// `duals` has it. Where dx jumps there is no second derivative, and nothing is compared.
pub fn second(
    entry: &Entry<Dual<f64>>,
    index: usize,
    case: &mut Case<f64>,
    samples: &[Sample],
    dy: &[f64],
    first: &Pullback,
) -> Result<f64> {
    let directions: Vec<Vec<f64>> =
        samples.iter().zip(50..).map(|(s, salt)| Sample::normal(&s.shape, salt).values.iter().map(|v| v.signum()).collect()).collect();
    let mut dual = Case::new(entry, index, false)?;
    for (var, v) in dual.x.clone().into_iter().zip(&directions) {
        dual.ws.input_mut(var)?.iter_mut().zip(v).for_each(|(x, v)| x.tangent = *v);
    }
    dual.forward()?;
    let seed: Vec<Dual<f64>> = dy.iter().map(|d| Dual::constant(*d)).collect();
    let hv = dual.backward(&seed, Dual::default())?;
    let mut f = |shift: f64| {
        for ((var, sample), v) in case.x.clone().into_iter().zip(samples).zip(&directions) {
            let moved = sample.values.iter().zip(v).map(|(x, v)| x + shift * STEP_SECOND * v);
            case.ws.input_mut(var)?.iter_mut().zip(moved).for_each(|(x, moved)| *x = moved);
        }
        case.forward()?;
        case.backward(dy, 0.0)
    };
    let (p1, m1, p2, m2) = (f(1.0)?, f(-1.0)?, f(2.0)?, f(-2.0)?);
    let error = |j: usize| {
        let (near, far) = ((p1[j] - m1[j]) / (2.0 * STEP_SECOND), (p2[j] - m2[j]) / (4.0 * STEP_SECOND));
        // The quotients of a jump fall like 1/h, and are larger than all terms by that factor.
        let apart = (near - far).abs();
        if apart > 0.1 * near.abs().max(far.abs()) && apart > first.sizes[j] {
            return 0.0;
        }
        let d = (4.0 * near - far) / 3.0;
        relative(hv[j].tangent, d, d.abs() + first.sizes[j])
    };
    Ok((0..hv.len()).map(error).fold(0.0, worse))
}
