//! Integrators: what each claims, beside what is measured.

mod backward;
mod component_wise;
mod conditions;
mod invariant;
mod iterated_integrals;
mod linear;
mod paths;
mod poly;
mod problem;
mod reverse;
mod strong;
mod tree;
mod weak;

use super::{Curve, Effort, Measured, Part, Row, Slope};
use crate::sde::kinds::Scalar;
use crate::sde::method::{self, Visitor};
use crate::sde::{Claims, Integrator, Ito, NoiseKind, Sde, Stratonovich, Tableau};
use conditions::Residuals;
use problem::{LogVerhulst, Tanh};

pub(super) const HOW: &str = "\
The order that each method claims, and the one that it has, for each kind of noise:
order conditions  coefficients of tableaus in the field Q(sqrt 3): nothing is rounded. For one Brownian motion
strong            root mean square error at t = 1 on paths of which the solution is known; +- a standard error of the slope
weak              error of an expectation, by backward iteration with Gauss-Hermite quadrature: no sampling; the slope at h -> 0, +- how
                  far it is from that at the finest steps
mean              whether the limit is the Ito or the Stratonovich solution, whose means are 8 % apart
reverse time      weak order for the reverse equation (3) with the exact score, by the same iteration; and the law of samples after
                  512 steps (Kolmogorov-Smirnov distance over its 1 % critical value). The drift must not be asked outside of [0, 1]
invariant law     error of the stationary variance, from the coefficients of the step if the drift is linear, else by backward iteration;
                  of the component-wise step, moments of one step from the law itself, by quadrature
A row fails if the order is off by more than 0.1 (or three standard errors), and if the error at the finest step, which stands beside
its bound 2 h^order, exceeds that. Not measured: orders for noise that does not commute, weak orders for more than one Brownian motion.";

/// Checks all methods of the registry.
pub(super) const PARTS: &[Part] = &[
    ("order conditions", |_| Ok(by_conditions())),
    ("strong orders", strong::rows),
    ("weak orders", weak::rows),
    ("linear equations", |_| linear::rows()),
    ("invariant laws", invariant::rows),
    ("component-wise steps", component_wise::rows),
    ("reverse equations", reverse::rows),
];

/// The orders of the tableaus for one Brownian motion, from their coefficients.
fn by_conditions() -> Vec<Row> {
    let mut rows = vec![];
    for (claims, tableau) in tableaus() {
        for orders in [NoiseKind::Additive, NoiseKind::Scalar].into_iter().filter_map(|noise| claims.for_noise(noise)) {
            let residuals = Residuals::new(&tableau, claims.calculus, orders.noise == NoiseKind::Additive);
            let unmet = residuals.unmet(orders.strong, orders.weak);
            for (kind, claim, measured) in [("strong", orders.strong, residuals.strong()), ("weak", orders.weak, residuals.weak())] {
                rows.push(Row {
                    name: claims.name.to_owned(),
                    tried: vec![format!("{kind}, {}: order conditions", orders.noise)],
                    pass: unmet.is_empty() && measured == claim,
                    note: unmet.join("; "),
                    slope: Some(Slope { claim, measured, error: 0.0, curve: None }),
                    ..Row::default()
                });
            }
        }
    }
    rows
}

/// The tableaus of the registry, each once.
fn tableaus() -> Vec<(Claims, Tableau)> {
    struct All(Vec<(Claims, Tableau)>);
    impl<S: Sde<f64>> Visitor<f64, S> for All {
        fn visit<I: Integrator<f64, S>>(&mut self, _method: &I) {
            if self.0.iter().all(|(claims, _)| claims.name != I::CLAIMS.name) {
                self.0.extend(I::COEFFICIENTS.map(|tableau| (I::CLAIMS, tableau)));
            }
        }
    }
    let mut all = All(vec![]);
    method::additive::<f64, LogVerhulst, _>(&mut all);
    method::diagonal::<f64, Tanh<Ito, Scalar>, _>(&mut all);
    method::commutative::<f64, Tanh<Stratonovich, Scalar>, _>(&mut all);
    all.0
}

/// A row for a measured order. It passes if `right`, and if the limit is too: at the shortest step the error
/// must be below 2 h^order.
fn measured(claims: &Claims, what: String, slope: Slope, against: &'static str, right: bool) -> Row {
    let errors = slope.curve.iter().map(|c| Measured { reference: against, error: c.error[0], bound: 2.0 * c.h[0].powf(slope.claim) });
    let errors: Vec<Measured> = errors.collect();
    let pass = right && errors.iter().all(|e| e.error <= e.bound);
    Row { name: claims.name.to_owned(), tried: vec![what], errors, pass, slope: Some(slope), ..Row::default() }
}

/// A row for the order at which an invariant law is met; errors that are rounding make it exact.
fn order_of_law(claims: &Claims, claim: f64, potential: &str, curve: Curve) -> Row {
    let exact = curve.error.iter().all(|e| *e <= 1e-12);
    let slope = if exact { Slope { claim, measured: f64::INFINITY, error: 0.0, curve: Some(curve) } } else { curve.limit(claim) };
    let right = exact || (slope.measured - claim).abs() <= 0.1;
    measured(claims, format!("invariant law: {potential}"), slope, "Gibbs law", right)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::audit::{Effort, Subject, table};
    use crate::sde::method::claims;

    /// Every method has its row for each of its orders that the audit has an equation for.
    #[test]
    fn all_methods_are_right_about_themselves() {
        let table = table(Subject::Integrators, Effort::Quick, &mut |_| {});
        let failed: Vec<&Row> = table.rows.iter().filter(|row| !row.pass).collect();
        assert!(failed.is_empty(), "{failed:#?}");
        for claims in claims() {
            let rows: Vec<&str> = table.rows.iter().filter(|r| r.name == claims.name).flat_map(|r| &r.tried).map(String::as_str).collect();
            let strong = claims.orders.iter().any(|o| o.strong > 0.0);
            for kind in ["strong, ", "weak, "].into_iter().filter(|kind| strong || *kind == "weak, ") {
                assert!(rows.iter().any(|tried| tried.starts_with(kind) && !tried.ends_with("conditions")), "{}: {rows:?}", claims.name);
            }
            assert!(claims.invariant.is_none() || rows.iter().any(|tried| tried.starts_with("invariant")), "{}", claims.name);
        }
    }
}
