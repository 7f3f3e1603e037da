//! The invariant law of Langevin dynamics, as a method with a fixed step has it, without drawing paths.

use super::backward::{Line, Transfer};
use super::paths::{Walker, show};
use super::{Effort, order_of_law};
use crate::Result;
use crate::audit::{Curve, Row};
use crate::sde::method::{self, Visitor};
use crate::sde::{DoubleWell, Integrator};

/// A row for each method that claims an order for the invariant law, in the double well.
///
/// # Errors
/// As [`Transfer::new`].
pub fn rows(effort: Effort) -> Result<Vec<Row>> {
    let mut rows = vec![];
    let steps: &[f64] = if effort == Effort::Quick { &[0.0125, 0.025, 0.05] } else { &[0.00625, 0.0125, 0.025, 0.05] };
    let sde = DoubleWell::new(1, SIGMA)?;
    let mut on = Well { sde: &sde, steps, rows: &mut rows };
    method::additive(&mut on);
    method::smooth(&mut on);
    method::semilinear(&mut on);
    rows.into_iter().collect()
}

/// Noise of the double well.
const SIGMA: f64 = 0.8;

struct Well<'a> {
    sde: &'a DoubleWell,
    steps: &'a [f64],
    rows: &'a mut Vec<Result<Row>>,
}

impl Visitor<f64, DoubleWell> for Well<'_> {
    fn visit<I: Integrator<f64, DoubleWell>>(&mut self, method: &I) {
        show(method, self.sde, &mut |on| self.measure(on));
    }
}

impl Well<'_> {
    fn measure(&mut self, on: &dyn Walker) {
        let Some(claim) = on.claims().invariant else { return };
        // The root mean square of both moments' errors: that of one alone may change its sign at a step size.
        let error = |h: &f64| -> Result<f64> {
            let [square, fourth] = stationary(on, *h)?;
            Ok((square - gibbs(2)).hypot(fourth - gibbs(4)) / 2f64.sqrt())
        };
        let curve = self.steps.iter().map(error).collect::<Result<_>>().map(|error| Curve { h: self.steps.to_vec(), error });
        self.rows.push(curve.map(|curve| order_of_law(&on.claims(), claim, "double well", curve)));
    }
}

/// E x^2 and E x^4 under the stationary law of the method: the constants to which the backward iteration
/// tends.
fn stationary(on: &dyn Walker, h: f64) -> Result<[f64; 2]> {
    let transfer = Transfer::new(on, (0.0, h), Line::new(-4.0, 4.0, 1601))?;
    // Even functions relax at a rate of about 2: e^(-2 . 15) = 1e-13.
    let limit = |power: i32| (0..(15.0 / h) as usize).fold(transfer.end(&|x| x.powi(power)), |u, _| transfer.apply(&u));
    Ok([2, 4].map(|power| transfer.at(&limit(power), 0.5)))
}

/// int x^k p / int p with p = exp(-2 U/sigma^2), U = x^4/4 - x^2/2.
fn gibbs(k: i32) -> f64 {
    let p = |x: f64| (-2.0 * (x.powi(4) / 4.0 - x * x / 2.0) / SIGMA.powi(2)).exp();
    let integral = |k: i32| (-4000..=4000).map(|i| 1e-3 * f64::from(i)).map(|x| x.powi(k) * p(x)).sum::<f64>();
    integral(k) / integral(0)
}
