//! Time grids 0 = t_0 < t_1 < ... < t_N = T.

use super::positive;
use crate::{Error, Result};

/// Ratio between neighbouring times of a geometric grid; 2.5 with N = 4 was measured best for the per-path
/// grids of (15).
const RATIO: f64 = 2.5;

/// How the times of a chain are spaced.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Grid {
    /// t_n = T n / N.
    Uniform,
    /// t_n = T (n / N)^2: short steps near the data.
    Quadratic,
    /// t_n = T q^(n - N) for n >= 1, t_0 = 0, as the grids of single paths (15) have it, with q = 2.5,
    /// lowered so that the first step is never below T / 10,000.
    Geometric,
}

impl Grid {
    /// The N + 1 times.
    ///
    /// # Errors
    /// `horizon` not positive, or no step.
    pub fn times(self, horizon: f64, steps: usize) -> Result<Vec<f64>> {
        positive("horizon", horizon)?;
        if steps == 0 || steps > 1_000_000 {
            return Err(Error::invalid("steps", "in 1..=1,000,000", steps));
        }
        let n = steps as f64;
        let q = if steps > 1 { RATIO.min(1e4f64.powf(1.0 / (n - 1.0))) } else { RATIO };
        Ok((0..=steps)
            .map(|i| {
                let s = i as f64 / n;
                match self {
                    _ if i == steps => horizon,
                    Grid::Uniform => horizon * s,
                    Grid::Quadratic => horizon * s * s,
                    Grid::Geometric => {
                        if i == 0 {
                            0.0
                        } else {
                            horizon * q.powi(i as i32 - steps as i32)
                        }
                    }
                }
            })
            .collect())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn grids_rise_from_zero_to_the_horizon() {
        for grid in [Grid::Uniform, Grid::Quadratic, Grid::Geometric] {
            for steps in [1, 2, 4, 200] {
                let t = grid.times(3.0, steps).unwrap();
                assert!(t.len() == steps + 1 && t[0] == 0.0 && t[steps] == 3.0, "{grid:?} {t:?}");
                assert!(t.windows(2).all(|w| w[1] > w[0]));
            }
        }
        let t = Grid::Geometric.times(1.0, 4).unwrap();
        assert!(t.windows(2).skip(1).all(|w| (w[1] / w[0] - RATIO).abs() < 1e-14), "{t:?}");
    }

    #[test]
    fn nonsense_is_refused() {
        assert!(Grid::Uniform.times(f64::NAN, 3).is_err());
        assert!(Grid::Uniform.times(1.0, 0).is_err());
        assert!(Grid::Geometric.times(1.0, usize::MAX).is_err());
    }
}
