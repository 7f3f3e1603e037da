//! Linear equations with additive noise, on which a step is a linear map of the state and the path: moments
//! of any order of the method follow from its coefficients, which are those of unit inputs. Nothing is drawn.

use super::paths::{Walker, show};
use super::{measured, order_of_law};
use crate::Result;
use crate::audit::{Curve, Row};
use crate::sde::method::{self, Visitor};
use crate::sde::{Claims, Harmonic, Integrator, Linear, LinearLaw, Sde, Underdamped};
use crate::simd::W;
use ndarray::{Array1, Array2};

/// x' = A x + B (W, H), and what is reported of x, R x + O (W, H).
struct Map {
    step: [Array2<f64>; 2],
    report: [Array2<f64>; 2],
    /// The variances of (W, H).
    noise: Array2<f64>,
}

impl Map {
    /// Of the method `on` its equation with steps of length `h`; nothing if its step is not linear.
    fn new(on: &dyn Walker, h: f64) -> Option<Self> {
        let [d, m] = on.sizes();
        // Lane i < d + 2 m has the unit input i; the next twice all of them together, the last none.
        let inputs = d + 2 * m;
        let unit = |row: usize| {
            let mut lanes = [0.0; W];
            (lanes[row], lanes[inputs]) = (1.0, 2.0);
            lanes
        };
        let rows = |range: std::ops::Range<usize>| range.map(unit).collect::<Vec<_>>();
        let (w, area) = (rows(d..d + m), rows(d + m..inputs));
        let [mut next, mut seen] = [rows(0..d), rows(0..d)];
        on.walk((0.0, h), 1, false, (&w, &area), &mut next);
        on.walk((0.0, h), 0, true, (&w, &area), &mut seen);
        let linear = |x: &[f64; W]| (2.0 * x[..inputs].iter().sum::<f64>() - x[inputs]).abs() <= 1e-13 && x[inputs + 1] == 0.0;
        if !next.iter().chain(&seen).all(linear) {
            return None;
        }
        let part = |x: &[[f64; W]], from: usize, count: usize| Array2::from_shape_fn((d, count), |(i, j)| x[i][from + j]);
        let split = |x: &[[f64; W]]| [part(x, 0, d), part(x, d, 2 * m)];
        let noise = Array2::from_diag(&Array1::from_shape_fn(2 * m, |j| if j < m { h } else { h / 12.0 }));
        Some(Map { step: split(&next), report: split(&seen), noise })
    }

    fn moved(&self, [a, b]: &[Array2<f64>; 2], covariance: &Array2<f64>) -> Array2<f64> {
        a.dot(covariance).dot(&a.t()) + b.dot(&self.noise).dot(&b.t())
    }

    /// Mean and covariance of what is reported after `count` steps from `start`.
    fn moments(&self, start: &Array1<f64>, count: usize) -> (Array1<f64>, Array2<f64>) {
        let zero = Array2::zeros((start.len(), start.len()));
        let mean = (0..count).fold(start.clone(), |mean, _| self.step[0].dot(&mean));
        let covariance = (0..count).fold(zero, |covariance, _| self.moved(&self.step, &covariance));
        (self.report[0].dot(&mean), self.moved(&self.report, &covariance))
    }
}

/// Rows for the equations of [`super::problem::Relaxation`] and of a damped spring: of both the stationary
/// covariance for each method that claims an order for the invariant law, of the spring also the law at
/// time 1.
///
/// # Errors
/// None for these equations.
pub fn rows() -> Result<Vec<Row>> {
    let mut rows = vec![];
    let relaxation = super::problem::Relaxation;
    let stationary = Array2::from_elem((1, 1), 0.5);
    let mut on = On { sde: &relaxation, moments: Moments { name: "Ornstein-Uhlenbeck", stationary, end: None, rows: &mut rows } };
    method::additive(&mut on);
    method::semilinear(&mut on);
    let spring = Underdamped::<Harmonic>::critically_damped(1, 1.0, 1.0)?;
    let law = spring.law(0.0, 1.0)?;
    let start = Array1::from(vec![1.0, 0.0]);
    let end = Some((start.clone(), law.map().dot(&start), law.covariance()));
    let moments = Moments { name: "damped spring", stationary: Array2::eye(2), end, rows: &mut rows };
    method::kinetic(&mut On { sde: &spring, moments });
    Ok(rows)
}

/// What is measured, on one equation.
struct On<'a, S> {
    sde: &'a S,
    moments: Moments<'a>,
}

impl<S: Sde<f64>> Visitor<f64, S> for On<'_, S> {
    fn visit<I: Integrator<f64, S>>(&mut self, method: &I) {
        show(method, self.sde, &mut |on| self.moments.measure(on));
    }
}

struct Moments<'a> {
    name: &'static str,
    stationary: Array2<f64>,
    /// Start, and mean and covariance at time 1.
    end: Option<(Array1<f64>, Array1<f64>, Array2<f64>)>,
    rows: &'a mut Vec<Row>,
}

impl Moments<'_> {
    fn measure(&mut self, on: &dyn Walker) {
        let claims = on.claims();
        let h: Vec<f64> = vec![0.0125, 0.025, 0.05, 0.1];
        let errors = |error: &dyn Fn(&Map, f64) -> f64| -> Option<Curve> {
            let error = h.iter().map(|h| Some(error(&Map::new(on, *h)?, *h))).collect::<Option<Vec<f64>>>()?;
            Some(Curve { h: h.clone(), error })
        };
        if let Some((start, mean, covariance)) = &self.end {
            let error = |map: &Map, h: f64| {
                let (m, c) = map.moments(start, (1.0 / h).round() as usize);
                largest((m - mean).iter().chain((c - covariance).iter()))
            };
            self.rows.extend(errors(&error).and_then(|curve| weak(&claims, self.name, curve)));
        }
        // Both relax at a rate of 1, their covariances at twice that.
        let zero = Array1::zeros(on.sizes()[0]);
        let error = |map: &Map, h: f64| largest((map.moments(&zero, (20.0 / h) as usize).1 - &self.stationary).iter());
        let Some(claim) = claims.invariant else { return };
        self.rows.extend(errors(&error).map(|curve| order_of_law(&claims, claim, self.name, curve)));
    }
}

fn weak(claims: &Claims, problem: &str, curve: Curve) -> Option<Row> {
    let orders = claims.for_noise(crate::sde::NoiseKind::Additive)?;
    let slope = curve.limit(orders.weak);
    let right = (slope.measured - orders.weak).abs() <= 0.1;
    Some(measured(claims, format!("weak, {}: {problem}", orders.noise), slope, "moments", right))
}

fn largest<'a>(entries: impl Iterator<Item = &'a f64>) -> f64 {
    entries.fold(0.0, |m, v| if v.abs() <= m { m } else { v.abs() })
}
