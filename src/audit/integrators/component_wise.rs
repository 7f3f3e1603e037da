//! The component-wise exact step (15): its weak order and its invariant law, without randomness.
//!
//! The law of a step is a mixture: H picks the component, and given the component the step is linear in W. So
//! quadrature over H is a sum over components, with two nodes for each, just inside of the ends of the part
//! of (0, 1) that belongs to it: a responsibility that is off by more than 1e-13 takes the wrong component
//! there.

use super::backward::{Line, Node, Transfer, gauss_hermite, steps};
use super::paths::Pair;
use super::weak::{kolmogorov, order};
use super::{Effort, Measured, Slope};
use crate::Result;
use crate::audit::Row;
use crate::audit::transitions::three_modes;
use crate::mixture::Mixture;
use crate::sde::{ComponentWise, Langevin, Method};
use crate::transition::normal_quantile;
use ndarray::{Array2, array};

/// Rows for the step toward three modes.
///
/// # Errors
/// Those of the mixture.
pub fn rows(effort: Effort) -> Result<Vec<Row>> {
    let pi = three_modes()?;
    let sde = Langevin::new(&pi, 1.0)?;
    let method = ComponentWise::new(&sde)?;
    Ok(vec![weak(&method, &pi, effort)?, invariant(&method, &pi)?])
}

/// E X_1^3 of Langevin dynamics with beta = 1 toward `pi`.
fn weak(method: &ComponentWise<f64>, pi: &Mixture, effort: Effort) -> Result<Row> {
    let claims = <ComponentWise<f64> as Method>::CLAIMS;
    let powers: &[i32] = if effort == Effort::Quick { &[7, 6, 5] } else { &[8, 7, 6, 5] };
    let (start, phi) = (START, |x: f64| x.powi(3));
    let drift = |x: f64| pi.score(array![[x]].view()).map_or(f64::NAN, |s| 0.5 * s[[0, 0]]);
    let exact = kolmogorov(drift, 1.0, phi, start, 6.0);
    let (sde, nodes) = (Langevin::new(pi, 1.0)?, Nodes::new(pi)?);
    let line = Line::new(-6.0, 6.0, 2401);
    let on = Pair { method, sde: &sde };
    let mean = |k: i32| Ok(Transfer::with(&on, (0.0, 0.5f64.powi(k)), line, &|x| nodes.at(x))?.expectation(1 << k, start, &phi));
    order(&claims, claims.orders[0], "three modes", powers, exact, &mean)
}

/// Where its paths start, between two modes.
const START: f64 = 0.9;

/// E X'^k - E X^k for X ~ pi and one step of any length, k = 1..4, over E |X|^k: by the trapezoidal rule over
/// X and the nodes, both exact to rounding.
fn invariant(method: &ComponentWise<f64>, pi: &Mixture) -> Result<Row> {
    let (sde, nodes) = (Langevin::new(pi, 1.0)?, Nodes::new(pi)?);
    let points = Line::new(-8.0, 8.0, 1601).points();
    let x = Array2::from_shape_fn((points.len(), 1), |(i, _)| points[i]);
    let p = pi.log_density(x.view())?.mapv(f64::exp);
    let moment = |k: i32, of: &dyn Fn(f64) -> f64| p.iter().zip(&points).map(|(p, x)| p * of(*x).powi(k)).sum::<f64>();
    let mut worst = 0.0;
    for h in [1e-3, 0.1, 1.0, 10.0, 1e3] {
        let mut moved = [0.0; 4];
        steps(&Pair { method, sde: &sde }, (0.0, h), &points, &|x| nodes.at(x), &mut |i, node, next, _| {
            (1..).zip(&mut moved).for_each(|(k, sum)| *sum += p[i] * node[2] * next.powi(k));
        })?;
        for (k, moved) in (1..).zip(moved) {
            let error = (moved - moment(k, &|x| x)).abs() / moment(k, &f64::abs);
            worst = if error <= worst { worst } else { error };
        }
    }
    let claims = <ComponentWise<f64> as Method>::CLAIMS;
    let errors = vec![Measured { reference: "Gibbs law", error: worst, bound: 1e-13 }];
    let pass = worst <= 1e-13 && claims.invariant == Some(f64::INFINITY);
    let slope = Some(Slope { claim: f64::INFINITY, measured: f64::INFINITY, error: 0.0, curve: None });
    let tried = vec!["invariant law: three modes, h = 0.001 to 1000".to_owned()];
    Ok(Row { name: claims.name.to_owned(), tried, errors, pass, slope: slope.filter(|_| pass), ..Row::default() })
}

/// The nodes of a step.
struct Nodes<'a> {
    pi: &'a Mixture,
    /// For W.
    gauss: Vec<[f64; 2]>,
}

/// How far the nodes lie inside of a component's part of (0, 1).
const INSIDE: f64 = 1e-13;

impl<'a> Nodes<'a> {
    fn new(pi: &'a Mixture) -> Result<Self> {
        Ok(Nodes { pi, gauss: gauss_hermite(12)? })
    }

    /// From `x`, with the responsibilities of the mixture itself. The step takes Phi((12/h)^(1/2) H) for its
    /// uniform number.
    fn at(&self, x: f64) -> Result<Vec<Node>> {
        let (mut nodes, mut low) = (vec![], 0.0);
        for r in &self.pi.responsibilities(array![[x]].view())? {
            let (high, inside) = (low + r, INSIDE.min(0.5 * r));
            for u in [low + inside, high - inside] {
                let area = normal_quantile(u.clamp(f64::MIN_POSITIVE, 1.0 - f64::EPSILON)) / 12f64.sqrt();
                nodes.extend(self.gauss.iter().map(|[z, weight]| [*z, area, 0.5 * r * weight]));
            }
            low = high;
        }
        Ok(nodes)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::mixture::Covariances;

    /// Three modes with the first weight and the first variance off by these factors.
    fn other(weight: f64, variance: f64) -> Mixture {
        let weights = array![0.5 * weight, 0.3, 0.2];
        let (total, means) = (weights.sum(), array![[-2.0], [0.3], [2.2]]);
        Mixture::new(weights / total, means, Covariances::Spherical(array![0.35 * variance, 0.5, 0.3])).unwrap()
    }

    #[test]
    fn a_wrong_step_is_seen() {
        let pi = three_modes().unwrap();
        let step = |law: &Mixture, beta: f64| ComponentWise::new(&Langevin::new(law, beta).unwrap()).unwrap();
        let right = step(&other(1.0, 1.0), 1.0);
        assert!(invariant(&right, &pi).unwrap().pass && weak(&right, &pi, Effort::Quick).unwrap().pass);
        // Responsibilities or a component's law that are slightly off.
        assert!(!invariant(&step(&other(1.0 + 1e-9, 1.0), 1.0), &pi).unwrap().pass);
        assert!(!invariant(&step(&other(1.0, 1.0 + 1e-9), 1.0), &pi).unwrap().pass);
        // Another speed has the same invariant law, but not the same equation.
        let fast = step(&pi, 1.05);
        assert!(invariant(&fast, &pi).unwrap().pass && !weak(&fast, &pi, Effort::Quick).unwrap().pass);
    }
}
