//! Local errors of the moments of one-step laws, against the series of the generator.

use super::order;
use crate::Result;
use crate::audit::{Curve, Row};
use crate::transition::rows::{self as law, RowLaw};
use ndarray::Array2;
use std::collections::BTreeMap;

/// Coefficients of a polynomial in D coordinates, by their powers.
type Polynomial<const D: usize> = BTreeMap<[u32; D], f64>;

/// dX = f dt + sigma dB in R^D with a polynomial drift, and a start: expectations follow from the generator,
/// no step is needed.
pub struct Equation<const D: usize> {
    /// What it is called in the table.
    pub name: &'static str,
    /// f_j: terms of a coefficient and powers.
    pub drift: [Vec<(f64, [u32; D])>; D],
    /// sigma.
    pub sigma: f64,
    /// X_0.
    pub start: [f64; D],
}

/// dX = (X - X^3) dt + 0.8 dB.
pub fn double_well() -> Equation<1> {
    Equation { name: "double well", drift: [vec![(1.0, [1]), (-1.0, [3])]], sigma: 0.8, start: [0.5] }
}

/// Lorenz's parameters, in a range where all terms of the drift weigh about the same.
pub const LORENZ: [f64; 3] = [1.0, 2.0, 0.5];

/// Lorenz's equations: a drift that is no gradient, whose J is not symmetric.
pub fn lorenz() -> Equation<3> {
    let [s, rho, beta] = LORENZ;
    let drift = [
        vec![(s, [0, 1, 0]), (-s, [1, 0, 0])],
        vec![(rho, [1, 0, 0]), (-1.0, [1, 0, 1]), (-1.0, [0, 1, 0])],
        vec![(1.0, [1, 1, 0]), (-beta, [0, 0, 1])],
    ];
    Equation { name: "Lorenz", drift, sigma: 0.8, start: [0.9, -0.4, 0.7] }
}

/// Terms of the series. It diverges in the end; at the steps used here the last term is below 1e-12.
const TERMS: usize = 10;

impl<const D: usize> Equation<D> {
    /// L phi = f . grad phi + (sigma^2/2) tr D^2 phi.
    fn generator(&self, phi: &Polynomial<D>) -> Polynomial<D> {
        let mut out = Polynomial::new();
        for (powers, c) in phi {
            for j in (0..D).filter(|j| powers[*j] > 0) {
                let (mut lower, n) = (*powers, f64::from(powers[j]));
                lower[j] -= 1;
                for (f, q) in &self.drift[j] {
                    *out.entry(std::array::from_fn(|k| lower[k] + q[k])).or_insert(0.0) += n * c * f;
                }
                if lower[j] > 0 {
                    lower[j] -= 1;
                    *out.entry(lower).or_insert(0.0) += 0.5 * self.sigma * self.sigma * n * (n - 1.0) * c;
                }
            }
        }
        out
    }

    /// L^n phi (X_0)/n! for phi = the product of the coordinates `of`: E phi(X_h) is the sum of those times
    /// h^n.
    fn series(&self, of: &[usize]) -> [f64; TERMS + 1] {
        let mut powers = [0; D];
        of.iter().for_each(|j| powers[*j] += 1);
        let (mut phi, mut weight) = (Polynomial::from([(powers, 1.0)]), 1.0);
        std::array::from_fn(|n| {
            if n > 0 {
                (phi, weight) = (self.generator(&phi), weight / n as f64);
            }
            let at = |powers: &[u32; D]| powers.iter().zip(&self.start).map(|(n, x)| x.powi(*n as i32)).product::<f64>();
            weight * phi.iter().map(|(powers, c)| c * at(powers)).sum::<f64>()
        })
    }
}

/// Mean and second moments of one step: their local errors fall like h^(p + 1), p the weak order.
///
/// # Errors
/// Those of the law.
pub fn local<const D: usize>(name: &str, one: &dyn RowLaw<f64>, equation: &Equation<D>, claim: f64) -> Result<Vec<Row>> {
    let steps: Vec<f64> = (0..5).map(|k| 0.5f64.powi(10 - k)).collect();
    let x = Array2::from_shape_fn((1, D), |(_, j)| equation.start[j]);
    let first: [_; D] = std::array::from_fn(|a| equation.series(&[a]));
    let second: [[_; D]; D] = std::array::from_fn(|a| std::array::from_fn(|b| equation.series(&[a, b])));
    let mut curves = [(); 2].map(|()| Curve { h: steps.clone(), error: Vec::new() });
    for h in &steps {
        let exact = |series: &[f64]| series.iter().rev().fold(0.0, |sum, c| sum * h + c);
        let (m, c) = (law::mean(one, 0.0, *h, x.view())?, law::covariance(one, 0.0, *h, x.view())?);
        let (mut mean, mut moment) = (0.0, 0.0);
        for a in 0..D {
            mean += (m[[0, a]] - exact(&first[a])).powi(2);
            for b in 0..D {
                moment += (c[[0, a, b]] + m[[0, a]] * m[[0, b]] - exact(&second[a][b])).powi(2);
            }
        }
        curves[0].error.push(mean.sqrt());
        curves[1].error.push(moment.sqrt());
    }
    let what = ["mean", "second moment"].map(|what| format!("{what}, {}", equation.name));
    Ok(what.iter().zip(curves).map(|(what, curve)| order(name, &format!("{what}, local error"), claim, 0.1, curve)).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// dX = -X dt + sigma dB: E X_h = e^-h X_0, E X_h^2 = e^-2h X_0^2 + sigma^2 (1 - e^-2h)/2.
    #[test]
    fn the_series_has_the_moments_of_a_gaussian() {
        let equation = Equation { name: "", drift: [vec![(-1.0, [1])]], sigma: 0.6, start: [0.7] };
        let h = 0.01f64;
        let sum = |of: &[usize]| equation.series(of).iter().rev().fold(0.0, |sum, c| sum * h + c);
        assert!((sum(&[0]) - 0.7 * (-h).exp()).abs() <= 1e-15);
        assert!((sum(&[0, 0]) - 0.49 * (-2.0 * h).exp() + 0.18 * (-2.0 * h).exp_m1()).abs() <= 1e-15);
    }
}
