//! A ring: one mode without a preferred direction.

use super::{Named, Plane};
use crate::rng::Stream;
use std::f64::consts::TAU;
use std::sync::Arc;

pub(super) const NAMED: &[Named] = &[Named { name: "ring", make: || Ok(Arc::new(Ring::default())) }];

/// x = R (cos phi, sin phi), phi uniform, R ~ N(r, s^2). |x| is the folded normal |R|, so with rho = |x|
///
/// p(x) = [N(rho; r, s^2) + N(-rho; r, s^2)] / (2 pi rho)
///      = exp(-(rho^2 + r^2) / 2 s^2) 2 cosh(r rho / s^2) / ((2 pi)^(3/2) s rho),
///
/// grad ln p = [(r tanh(r rho / s^2) - rho) / s^2 - 1/rho] x/rho.
///
/// The density is infinite at the origin, where the score is given as zero, the mean over directions.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Ring {
    /// Mean radius r.
    pub radius: f64,
    /// Standard deviation s > 0 of the radius.
    pub std: f64,
}

impl Default for Ring {
    fn default() -> Self {
        Ring { radius: 4.0, std: 0.3 }
    }
}

impl Plane for Ring {
    fn name(&self) -> &'static str {
        "ring"
    }

    fn window(&self) -> [f64; 2] {
        let reach = self.radius + 6.0 * self.std;
        [-reach, reach]
    }

    fn draw(&self, stream: &mut Stream) -> [f64; 2] {
        let radius = self.radius + self.std * stream.normal::<f64>();
        let (sin, cos) = (TAU * stream.uniform::<f64>()).sin_cos();
        [radius * cos, radius * sin]
    }

    fn log_density_and_score(&self, x: [f64; 2]) -> (f64, [f64; 2]) {
        let (r, s) = (self.radius, self.std);
        let rho = x[0].hypot(x[1]);
        let a = r * rho / (s * s);
        // The larger of the two normals plus ln(1 + e^-2|a|): cosh itself overflows.
        let log_density = -0.5 * ((rho - r.abs()) / s).powi(2) + (-2.0 * a.abs()).exp().ln_1p() - 1.5 * TAU.ln() - (s * rho).ln();
        if rho == 0.0 {
            return (log_density, [0.0; 2]);
        }
        let radial = (r * a.tanh() - rho) / (s * s) - 1.0 / rho;
        (log_density, x.map(|x| radial * x / rho))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Where the two folded normals overlap, the formula still is their sum.
    #[test]
    fn the_fold_is_counted() {
        let ring = Ring { radius: 0.5, std: 1.0 };
        for rho in [0.1f64, 1.0, 3.0] {
            let normal = |x: f64| (-0.5 * (x - 0.5) * (x - 0.5)).exp() / TAU.sqrt();
            let exact = ((normal(rho) + normal(-rho)) / (TAU * rho)).ln();
            let (got, _) = ring.log_density_and_score([0.6 * rho, -0.8 * rho]);
            assert!((got - exact).abs() <= 1e-14 * (1.0 + exact.abs()), "{got} {exact}");
        }
    }
}
