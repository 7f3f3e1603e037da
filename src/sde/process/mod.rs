//! Processes: an equation, its units and its coefficients, one to a file.

mod double_well;
mod exploding;
mod geometric;
mod langevin;

pub use double_well::DoubleWell;
pub use exploding::VarianceExploding;
pub use geometric::GeometricBrownian;
pub use langevin::Langevin;

use crate::Real;
use crate::simd::W;

/// g = sigma w for a scalar sigma.
#[inline(always)]
pub(crate) fn scaled<R: Real>(sigma: [R; W], w: &[[R; W]], g: &mut [[R; W]]) {
    for (g, w) in g.iter_mut().zip(w) {
        for i in 0..W {
            g[i] = sigma[i] * w[i];
        }
    }
}
