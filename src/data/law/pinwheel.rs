//! A pinwheel: curved arms, unequal widths.

use super::{Named, Plane, log_normal};
use crate::rng::Stream;
use std::f64::consts::TAU;
use std::sync::Arc;

pub(super) const NAMED: &[Named] = &[Named { name: "pinwheel", make: || Ok(Arc::new(Pinwheel::default())) }];

/// A Gaussian arm u = (1 + a z_1, b z_2), scaled by c, turned by one of K equal angles, then twisted by an
/// angle that grows with the radius: x = R(2 pi k / K + tau e^|u|) c u, R(angle) the rotation, k uniform.
///
/// A rotation by an angle that depends on the radius alone keeps radius and area, so in polar coordinates (r,
/// psi) of x, with rho = r/c and phi = tau e^rho,
///
/// p(x) = (1 / K c^2) sum_k N(u_k; (1, 0), diag(a^2, b^2)),   u_k = rho (cos, sin)(psi - phi - 2 pi k / K).
///
/// The classic pinwheel (Johnson et al., "Composing graphical models with neural networks", NIPS 2016) twists
/// by e^(u_1), which looks the same but has no such density.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Pinwheel {
    /// Number K of arms.
    pub arms: usize,
    /// Standard deviation a along the arm.
    pub radial: f64,
    /// Standard deviation b across the arm.
    pub tangential: f64,
    /// The twist tau.
    pub twist: f64,
    /// The scale c.
    pub scale: f64,
}

impl Default for Pinwheel {
    fn default() -> Self {
        Pinwheel { arms: 5, radial: 0.3, tangential: 0.1, twist: 0.25, scale: 2.0 }
    }
}

impl Plane for Pinwheel {
    fn name(&self) -> &'static str {
        "pinwheel"
    }

    fn window(&self) -> [f64; 2] {
        let reach = self.scale * (1.0 + 6.0 * self.radial);
        [-reach, reach]
    }

    fn draw(&self, stream: &mut Stream) -> [f64; 2] {
        let k = stream.below(self.arms) as f64;
        let u = [1.0 + self.radial * stream.normal::<f64>(), self.tangential * stream.normal::<f64>()];
        let turn = TAU * k / self.arms as f64 + self.twist * u[0].hypot(u[1]).exp();
        let (sin, cos) = turn.sin_cos();
        [self.scale * (cos * u[0] - sin * u[1]), self.scale * (sin * u[0] + cos * u[1])]
    }

    fn log_density_and_score(&self, x: [f64; 2]) -> (f64, [f64; 2]) {
        let (a, b, c) = (self.radial, self.tangential, self.scale);
        let rho = x[0].hypot(x[1]) / c;
        let psi = x[1].atan2(x[0]);
        let phi = self.twist * rho.exp();
        // Each arm's ln N and its derivatives in rho and in the angle, joined by log-sum-exp about the
        // largest.
        let arm = |k: usize| {
            let (sin, cos) = (psi - phi - TAU * k as f64 / self.arms as f64).sin_cos();
            let u = [rho * cos, rho * sin];
            let g = [(1.0 - u[0]) / (a * a), -u[1] / (b * b)];
            (log_normal(u[0] - 1.0, a) + log_normal(u[1], b), g[0] * cos + g[1] * sin, g[1] * u[0] - g[0] * u[1])
        };
        let top = (0..self.arms).map(|k| arm(k).0).fold(f64::NEG_INFINITY, f64::max);
        let (mut sum, mut by_rho, mut by_angle) = (0.0, 0.0, 0.0);
        for (log_normal, d_rho, d_angle) in (0..self.arms).map(arm) {
            let w = (log_normal - top).exp();
            sum += w;
            by_rho += w * d_rho;
            by_angle += w * d_angle;
        }
        // The angle psi - phi(rho) moves with rho, too: d phi / d rho = phi. In units of x: d/dr = (1/c) d/d
        // rho.
        let (by_rho, by_angle) = (by_rho / sum, by_angle / sum);
        let radial = (by_rho - phi * by_angle) / c;
        // At the origin the angular derivative vanishes like rho; the direction is any.
        let angular = if rho > 0.0 { by_angle / (c * rho) } else { 0.0 };
        let (sin, cos) = psi.sin_cos();
        let log_density = top + sum.ln() - (self.arms as f64 * c * c).ln();
        (log_density, [radial * cos - angular * sin, radial * sin + angular * cos])
    }
}
