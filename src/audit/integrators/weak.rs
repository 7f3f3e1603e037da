//! Weak orders: E phi(x_N) - E phi(X_1), without randomness.

use super::backward::{Line, expectation};
use super::paths::{Walker, show};
use super::problem::{Growth, Solved, Tanh};
use super::{Effort, measured};
use crate::Result;
use crate::audit::{Curve, Measured, Row, Slope};
use crate::sde::kinds::Scalar;
use crate::sde::method::{self, Visitor};
use crate::sde::{Calculus, CalculusKind, Claims, DoubleWell, Integrator, Ito, Orders, Sde, Stratonovich};
use std::marker::PhantomData;

/// A row for each method: its weak order, and for noise that depends on the state, its mean.
///
/// # Errors
/// As [`expectation`].
pub fn rows(effort: Effort) -> Result<Vec<Row>> {
    let powers: &[i32] = if effort == Effort::Quick { &[7, 6, 5] } else { &[8, 7, 6, 5] };
    let mut rows = vec![];
    // phi = x^3 from 0.2: the error's leading term does not change its sign nearby, as it does for phi = x^2
    // from 0.5.
    let (sigma, start) = (0.8, 0.2);
    let well = DoubleWell::new(1, sigma)?;
    let (phi, line) = (|x: f64| x.powi(3), Line::new(-4.0, 4.0, 1601));
    let exact = kolmogorov(|x| x - x.powi(3), sigma, phi, start, 3.0);
    let weak = Weak { name: "double well", line, start, phi: &phi, exact, powers, rows: &mut rows };
    let mut on = On { sde: &well, weak };
    method::additive(&mut on);
    method::smooth(&mut on);
    method::semilinear(&mut on);

    let phi = |x: f64| x + x.powi(2);
    let line = Line::new(-1.6, 1.6, 1601);
    let (ito, stratonovich) = (Tanh::<Ito, Scalar>::one(), Tanh::<Stratonovich, Scalar>::one());
    let exact = tanh_mean(phi);
    let name = Tanh::<Ito, Scalar>::NAME;
    let mut on = On { sde: &ito, weak: Weak { name, line, start: 0.1, phi: &phi, exact, powers, rows: &mut rows } };
    method::diagonal(&mut on);
    method::scalar(&mut on);
    let name = Tanh::<Stratonovich, Scalar>::NAME;
    let weak = Weak { name, line, start: 0.1, phi: &phi, exact, powers, rows: &mut rows };
    method::commutative(&mut On { sde: &stratonovich, weak });

    let mut on = Mean { sde: &Growth::<Ito>(PhantomData), rows: &mut rows };
    method::diagonal(&mut on);
    method::scalar(&mut on);
    method::commutative(&mut Mean { sde: &Growth::<Stratonovich>(PhantomData), rows: &mut rows });
    rows.into_iter().collect()
}

/// What is measured, on one equation.
struct On<'a, S> {
    sde: &'a S,
    weak: Weak<'a>,
}

impl<S: Sde<f64>> Visitor<f64, S> for On<'_, S> {
    fn visit<I: Integrator<f64, S>>(&mut self, method: &I) {
        show(method, self.sde, &mut |on| self.weak.measure(on));
    }
}

struct Weak<'a> {
    name: &'static str,
    line: Line,
    start: f64,
    phi: &'a dyn Fn(f64) -> f64,
    exact: f64,
    powers: &'a [i32],
    rows: &'a mut Vec<Result<Row>>,
}

impl Weak<'_> {
    fn measure(&mut self, on: &dyn Walker) {
        let claims = on.claims();
        let Some(orders) = claims.for_noise(on.noise()) else { return };
        let mean = |k: i32| expectation(on, 1 << k, self.line, self.start, self.phi);
        self.rows.push(order(&claims, orders, self.name, self.powers, self.exact, &mean));
    }
}

/// A row for the weak order on the problem `name`, from the expectations `mean`(k) that steps of length 2^-k
/// give, k in `powers`.
///
/// # Errors
/// Those of `mean`.
pub(super) fn order(
    claims: &Claims,
    orders: Orders,
    name: &str,
    powers: &[i32],
    exact: f64,
    mean: &dyn Fn(i32) -> Result<f64>,
) -> Result<Row> {
    let error = powers.iter().map(|k| Ok((mean(*k)? - exact).abs())).collect::<Result<Vec<f64>>>()?;
    let slope = Curve { h: powers.iter().map(|k| 0.5f64.powi(*k)).collect(), error }.limit(orders.weak);
    let right = (slope.measured - orders.weak).abs() <= 0.1;
    Ok(measured(claims, format!("weak, {}: {name}", orders.noise), slope, "expectation", right))
}

impl Curve {
    /// The order at h -> 0: slopes s_1, s_2 of neighbouring errors, the finest first, differ from it by O(h),
    /// which 2 s_1 - s_2 does not have; what that moved them is the uncertainty.
    pub(super) fn limit(self, claim: f64) -> Slope {
        let slope = |i: usize| (self.error[i + 1] / self.error[i]).ln() / (self.h[i + 1] / self.h[i]).ln();
        let (fine, coarse) = (slope(0), slope(1));
        Slope { claim, measured: 2.0 * fine - coarse, error: (fine - coarse).abs(), curve: Some(self) }
    }
}

struct Mean<'a, S> {
    sde: &'a S,
    rows: &'a mut Vec<Result<Row>>,
}

/// E X_1 = e^mu tells the calculus: read in the other, the equation has a mean that is s^2/2 = 8 % off.
impl<C: Calculus> Visitor<f64, Growth<C>> for Mean<'_, Growth<C>> {
    fn visit<I: Integrator<f64, Growth<C>>>(&mut self, method: &I) {
        show(method, self.sde, &mut |on| self.measure(on));
    }
}

impl<C: Calculus> Mean<'_, Growth<C>> {
    fn measure(&mut self, on: &dyn Walker) {
        let half = Growth::<C>::S.powi(2) / 2.0;
        let rate = Growth::<C>::MU + if C::KIND == CalculusKind::Ito { 0.0 } else { half };
        let mean = expectation(on, 64, Line::new(-1.0, 40.0, 1601), 1.0, &|x| x);
        self.rows.push(mean.map(|mean| {
            let off = Measured { reference: "expectation", error: (mean.ln() - rate).abs(), bound: half / 20.0 };
            let (tried, pass) = (vec![format!("mean, {}: geometric Brownian motion", C::KIND)], off.error <= off.bound);
            Row { name: on.claims().name.to_owned(), tried, errors: vec![off], pass, ..Row::default() }
        }));
    }
}

/// E phi(X_1) of the tanh equation: an integral over B_1, by the trapezoidal rule, which for a Gaussian is
/// exact to rounding.
fn tanh_mean(phi: impl Fn(f64) -> f64) -> f64 {
    let sde = Tanh::<Ito, Scalar>::one();
    let (gap, density) = (0.05, |z: f64| (-0.5 * z * z).exp() / std::f64::consts::TAU.sqrt());
    (-240..=240).map(|i| gap * f64::from(i)).map(|z| gap * density(z) * phi(sde.at(0, 0.7 * z))).sum()
}

/// E phi(X_1) of dX = f dt + sigma dB from `start`, from Kolmogorov's backward equation u_s = f u_x +
/// (sigma^2/2) u_xx, u(0) = phi: differences of sixth order on [-end, end], where paths stay, and the
/// classical Runge-Kutta method in time. It knows nothing of paths.
pub(super) fn kolmogorov(f: impl Fn(f64) -> f64, sigma: f64, phi: impl Fn(f64) -> f64, start: f64, end: f64) -> f64 {
    let gap = 0.025;
    let n = (2.0 * end / gap).round() as usize + 1;
    // The fastest mode decays at the rate 3.02 (sigma/gap)^2, of which the method takes 2.78 per step.
    let steps = (2.0 * (sigma / gap).powi(2)).ceil() as usize;
    let x = |i: usize| i as f64 * gap - end;
    let drift: Vec<f64> = (0..n).map(|i| f(x(i))).collect();
    let rate = |u: &[f64]| -> Vec<f64> {
        // Three points behind each end, extrapolated linearly.
        let at = |i: isize| {
            let last = n as isize - 1;
            match i {
                i if i < 0 => u[0] + i as f64 * (u[1] - u[0]),
                i if i > last => u[n - 1] + (i - last) as f64 * (u[n - 1] - u[n - 2]),
                i => u[i as usize],
            }
        };
        let one = |i: isize| {
            let (p, q, r) = (at(i + 1), at(i + 2), at(i + 3));
            let (a, b, c) = (at(i - 1), at(i - 2), at(i - 3));
            let first = (45.0 * (p - a) - 9.0 * (q - b) + (r - c)) / (60.0 * gap);
            let second = (270.0 * (p + a) - 27.0 * (q + b) + 2.0 * (r + c) - 490.0 * at(i)) / (180.0 * gap * gap);
            drift[i as usize] * first + 0.5 * sigma * sigma * second
        };
        (0..n as isize).map(one).collect()
    };
    let h = 1.0 / steps as f64;
    let moved = |u: &[f64], k: &[f64], c: f64| -> Vec<f64> { u.iter().zip(k).map(|(u, k)| u + c * k).collect() };
    let mut u: Vec<f64> = (0..n).map(|i| phi(x(i))).collect();
    for _ in 0..steps {
        let k1 = rate(&u);
        let k2 = rate(&moved(&u, &k1, h / 2.0));
        let k3 = rate(&moved(&u, &k2, h / 2.0));
        let k4 = rate(&moved(&u, &k3, h));
        for i in 0..n {
            u[i] += h / 6.0 * (k1[i] + 2.0 * (k2[i] + k3[i]) + k4[i]);
        }
    }
    u[((start + end) / gap).round() as usize]
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Where moments are known: dX = -X dt + sigma dB from 1/2, E X^3 = m^3 + 3 m v.
    #[test]
    fn the_backward_equation_has_the_moments_of_a_gaussian() {
        let (m, v) = (0.5 * (-1f64).exp(), 0.5 * 0.36 * (1.0 - (-2f64).exp()));
        let mean = kolmogorov(|x| -x, 0.6, |x| x.powi(3), 0.5, 3.0);
        assert!((mean - (m.powi(3) + 3.0 * m * v)).abs() <= 1e-10, "{mean}");
    }
}
