//! The invariant law of Langevin dynamics, as a method with a fixed step has it, without drawing paths.

use super::backward::{Line, Transfer};
use super::paths::walk;
use super::problem::Linear;
use super::{Effort, measured};
use crate::Result;
use crate::audit::{Curve, Row, Slope};
use crate::sde::method::{self, Visitor};
use crate::sde::{DoubleWell, Integrator};
use crate::simd::W;

/// Below this, an error is rounding.
const EXACT: f64 = 1e-12;

/// A row for each method that claims an order for the invariant law, and each of two potentials.
///
/// # Errors
/// As [`Transfer::new`].
pub fn rows(effort: Effort) -> Result<Vec<Row>> {
    let mut rows = vec![];
    method::additive(&mut Variance { rows: &mut rows });
    let steps: &[f64] = if effort == Effort::Quick { &[0.0125, 0.025, 0.05] } else { &[0.00625, 0.0125, 0.025, 0.05] };
    method::additive(&mut Well { sde: DoubleWell::new(1, SIGMA)?, steps, rows: &mut rows });
    rows.into_iter().collect()
}

struct Variance<'a> {
    rows: &'a mut Vec<Result<Row>>,
}

impl Visitor<f64, Linear> for Variance<'_> {
    fn visit<I: Integrator<f64, Linear>>(&mut self, method: &I) {
        let Some(claim) = I::CLAIMS.invariant else { return };
        let h = vec![0.05, 0.1, 0.2, 0.4];
        let Some(errors) = h.iter().map(|h| variance(method, *h).map(|v| (v - 0.5).abs())).collect() else { return };
        self.rows.push(Ok(row(&I::CLAIMS, claim, "Ornstein-Uhlenbeck", Curve { h, error: errors })));
    }
}

/// The stationary variance of a method that is linear on a linear equation; nothing if it is not.
///
/// x' = alpha x + beta W + gamma H has the variance v = (beta^2 h + gamma^2 h/12) / (1 - alpha^2), and what is reported, rho x + omega W,
/// rho^2 v + omega^2 h. The coefficients are those of unit inputs.
fn variance<I: Integrator<f64, Linear>>(method: &I, h: f64) -> Option<f64> {
    let inputs = |values: [f64; 5]| {
        let mut lanes = [0.0; W];
        lanes[..5].copy_from_slice(&values);
        [lanes]
    };
    let (x, w, area) = (inputs([0.0, 1.0, 2.0, 0.0, 0.0]), inputs([0.0, 0.0, 0.0, 1.0, 0.0]), inputs([0.0, 0.0, 0.0, 0.0, 1.0]));
    let [mut next, mut seen] = [x; 2];
    walk(method, &Linear, h, 1, false, (&w, &area), &mut next);
    walk(method, &Linear, h, 0, true, (&w, &area), &mut seen);
    let [[origin, alpha, twice, beta, gamma, ..], [_, rho, _, omega, ..]] = [next[0], seen[0]];
    if origin != 0.0 || (twice - 2.0 * alpha).abs() > 1e-14 {
        return None;
    }
    let v = (beta * beta * h + gamma * gamma * h / 12.0) / (1.0 - alpha * alpha);
    Some(rho * rho * v + omega * omega * h)
}

/// Noise of the double well.
const SIGMA: f64 = 0.8;

struct Well<'a> {
    sde: DoubleWell,
    steps: &'a [f64],
    rows: &'a mut Vec<Result<Row>>,
}

impl Visitor<f64, DoubleWell> for Well<'_> {
    fn visit<I: Integrator<f64, DoubleWell>>(&mut self, method: &I) {
        let Some(claim) = I::CLAIMS.invariant else { return };
        let exact = gibbs_square();
        let error = |h: &f64| stationary_square(method, &self.sde, *h).map(|square| (square - exact).abs());
        let curve = self.steps.iter().map(error).collect::<Result<_>>().map(|error| Curve { h: self.steps.to_vec(), error });
        self.rows.push(curve.map(|curve| row(&I::CLAIMS, claim, "double well", curve)));
    }
}

/// E x^2 under the stationary law of the method: the constant to which the backward iteration tends.
fn stationary_square<I: Integrator<f64, DoubleWell>>(method: &I, sde: &DoubleWell, h: f64) -> Result<f64> {
    let transfer = Transfer::new(method, sde, h, Line::new(-4.0, 4.0, 1601))?;
    // Even functions relax at a rate of about 2: e^(-2 . 15) = 1e-13.
    let u = (0..(15.0 / h) as usize).fold(transfer.end(|x| x * x), |u, _| transfer.apply(&u));
    Ok(transfer.at(&u, 0.5))
}

/// int x^2 p / int p with p = exp(-2 U/sigma^2), U = x^4/4 - x^2/2.
fn gibbs_square() -> f64 {
    let moment = |k: i32| {
        (-4000..=4000)
            .map(|i| 1e-3 * f64::from(i))
            .map(|x| x.powi(k) * (-2.0 * (x.powi(4) / 4.0 - x * x / 2.0) / SIGMA.powi(2)).exp())
            .sum::<f64>()
    };
    moment(2) / moment(0)
}

fn row(claims: &crate::sde::Claims, claim: f64, potential: &str, curve: Curve) -> Row {
    let exact = curve.error.iter().all(|e| *e <= EXACT);
    let slope = if exact { Slope { claim, measured: f64::INFINITY, error: 0.0, curve: Some(curve) } } else { curve.limit(claim) };
    let right = exact || (slope.measured - claim).abs() <= 0.1;
    measured(claims, format!("invariant law: {potential}"), slope, "Gibbs law", right)
}
