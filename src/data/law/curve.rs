//! Curves blurred by Gaussian noise: two moons, the Swiss roll.

use super::{Named, Plane};
use crate::rng::Stream;
use std::f64::consts::{PI, TAU};
use std::sync::{Arc, OnceLock};

pub(super) const NAMED: &[Named] = &[
    Named { name: "moons", make: || Ok(Arc::new(Curve::moons())) },
    Named { name: "swiss-roll", make: || Ok(Arc::new(Curve::swiss_roll())) },
];

/// x = c(U) + s z, U uniform on [0, 1], z ~ N(0, I): a continuous Gaussian mixture,
///
/// p(x) = int_0^1 N(x; c(u), s^2 I) du.
///
/// The integral is taken by Gauss-Legendre quadrature on panels about one s long, which within 6 s of the
/// curve is exact to ten digits (a test doubles the panels); the score is the gradient of the same sum.
#[derive(Debug)]
pub struct Curve {
    name: &'static str,
    /// c: [0, 1] -> R^2.
    centre: fn(f64) -> [f64; 2],
    /// The noise s.
    std: f64,
    /// Panels of the quadrature; a multiple of the number of pieces of the curve.
    panels: usize,
    /// The window is [-reach, reach].
    reach: f64,
    /// The nodes, made on first use.
    nodes: OnceLock<Vec<Node>>,
}

fn moons(u: f64) -> [f64; 2] {
    let (sin, cos) = (TAU * u).sin_cos();
    let first = |sin: f64, cos: f64| [2.0 * (cos - 0.5), 2.0 * (sin - 0.25)];
    // The second half of [0, 1] runs over the first moon once more, and is turned.
    if u < 0.5 { first(sin, cos) } else { first(-sin, -cos).map(|x| -x) }
}

fn spiral(u: f64) -> [f64; 2] {
    let t = 1.5 * PI * (1.0 + 2.0 * u);
    let (sin, cos) = t.sin_cos();
    [t * cos / 5.0, t * sin / 5.0]
}

/// A point of the curve and the logarithm of its quadrature weight.
#[derive(Debug, Clone, Copy)]
struct Node {
    at: [f64; 2],
    log_weight: f64,
}

impl Curve {
    /// Two half circles of radius 2 that interlock, noise 0.2: the second is the first turned by 180 degrees
    /// about the origin.
    pub fn moons() -> Self {
        Curve { name: "moons", centre: moons, std: 0.2, panels: 64, reach: 4.5, nodes: OnceLock::new() }
    }

    /// The plane section of the Swiss roll: a spiral of one turn and a half, noise 0.2 (the scale of
    /// Grathwohl et al., "FFJORD", ICLR 2019).
    pub fn swiss_roll() -> Self {
        Curve { name: "swiss-roll", centre: spiral, std: 0.2, panels: 128, reach: 4.5, nodes: OnceLock::new() }
    }

    fn nodes(&self) -> &[Node] {
        self.nodes.get_or_init(|| {
            let rule = gauss_legendre();
            let panel = |p: usize| rule.map(|(x, w)| ((p as f64 + x) / self.panels as f64, w / self.panels as f64));
            (0..self.panels).flat_map(panel).map(|(u, w)| Node { at: (self.centre)(u), log_weight: w.ln() }).collect()
        })
    }
}

impl Plane for Curve {
    fn name(&self) -> &'static str {
        self.name
    }

    fn window(&self) -> [f64; 2] {
        [-self.reach, self.reach]
    }

    fn draw(&self, stream: &mut Stream) -> [f64; 2] {
        (self.centre)(stream.uniform()).map(|c| c + self.std * stream.normal::<f64>())
    }

    fn log_density_and_score(&self, x: [f64; 2]) -> (f64, [f64; 2]) {
        let precision = 1.0 / (self.std * self.std);
        let term = |node: &Node| {
            let d = [node.at[0] - x[0], node.at[1] - x[1]];
            (node.log_weight - 0.5 * precision * (d[0] * d[0] + d[1] * d[1]), d)
        };
        let top = self.nodes().iter().map(|node| term(node).0).fold(f64::NEG_INFINITY, f64::max);
        let (mut sum, mut pull) = (0.0, [0.0; 2]);
        for (log_term, d) in self.nodes().iter().map(term) {
            let w = (log_term - top).exp();
            sum += w;
            pull = [pull[0] + w * d[0], pull[1] + w * d[1]];
        }
        (top + sum.ln() + (precision / TAU).ln(), pull.map(|p| precision * p / sum))
    }
}

/// Points per panel: exact for polynomials of degree 15.
const POINTS: usize = 8;

/// Nodes and weights of Gauss and Legendre on [0, 1]: the zeros of the Legendre polynomial by Newton's
/// method.
pub(crate) fn gauss_legendre() -> [(f64, f64); POINTS] {
    let n = POINTS as f64;
    std::array::from_fn(|i| {
        let mut x = (PI * (i as f64 + 0.75) / (n + 0.5)).cos();
        let mut slope = 1.0;
        // From this start Newton's method is at rounding after four rounds.
        for _ in 0..8 {
            let (mut p, mut before) = (1.0, 0.0);
            for k in 0..POINTS {
                let k = k as f64;
                (p, before) = (((2.0 * k + 1.0) * x * p - k * before) / (k + 1.0), p);
            }
            slope = n * (x * p - before) / (x * x - 1.0);
            x -= p / slope;
        }
        (0.5 * (1.0 - x), 1.0 / ((1.0 - x * x) * slope * slope))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_quadrature_is_exact_for_degree_15() {
        for degree in 0..2 * POINTS as i32 {
            let got: f64 = gauss_legendre().iter().map(|(x, w)| w * x.powi(degree)).sum();
            assert!((got - 1.0 / f64::from(degree + 1)).abs() <= 1e-15, "degree {degree}: {got}");
        }
    }

    #[test]
    fn doubling_the_panels_changes_nothing() {
        for curve in [Curve::moons(), Curve::swiss_roll()] {
            let finer = Curve { panels: 2 * curve.panels, nodes: OnceLock::new(), ..curve };
            for i in 0..40 {
                // Points up to 6 s off the curve, in every direction, the ends of the curve included.
                let at = (curve.centre)(f64::from(i) / 39.0);
                let (sin, cos) = f64::from(i * i).sin_cos();
                let x = [at[0] + 6.0 * curve.std * cos, at[1] + 6.0 * curve.std * sin];
                let (p, s) = curve.log_density_and_score(x);
                let (q, r) = finer.log_density_and_score(x);
                assert!((p - q).abs() <= 1e-10, "{} {i}: {p} {q}", curve.name);
                assert!((s[0] - r[0]).hypot(s[1] - r[1]) <= 1e-8, "{} {i}: {s:?} {r:?}", curve.name);
            }
        }
    }
}
