//! The exact kernel of the variance-exploding process.

use super::TimeLaw;
use super::draws::{DrawMut, Draws, FIELDS, Noising, check};
use crate::sde::{Paths, VarianceExploding};
use crate::simd::W;
use crate::{Real, Result};
use rayon::prelude::*;

/// X_t = x_0 + sbar(t) z.
#[derive(Debug, Clone)]
pub struct ExplodingKernel {
    sde: VarianceExploding,
    dim: usize,
    times: TimeLaw,
}

impl ExplodingKernel {
    /// The kernel of `sde` in `dim` dimensions, at times drawn from `times`.
    pub fn new(sde: VarianceExploding, dim: usize, times: TimeLaw) -> Self {
        ExplodingKernel { sde, dim, times }
    }
}

impl<R: Real> Noising<R> for ExplodingKernel {
    fn dim(&self) -> usize {
        self.dim
    }

    fn draws_per_path(&self) -> usize {
        1
    }

    fn draw(&self, x0: &[R], u: &[f64], paths: Paths, out: &mut Draws<R>) -> Result<()> {
        check("variance-exploding kernel", self, x0, u, out)?;
        let d = self.dim;
        let (values, times) = out.parts_mut();
        times.iter_mut().zip(u).for_each(|(t, u)| *t = self.times.quantile(*u));
        (values.par_chunks_mut(W * FIELDS * d), x0.par_chunks(W * d), times.par_chunks(W)).into_par_iter().enumerate().for_each(
            |(chunk, (values, rows, times))| {
                let mut normals = paths.stream(chunk);
                for (i, (row, t)) in rows.chunks_exact(d).zip(times).enumerate() {
                    let draw = DrawMut::of(values, i, d);
                    let sd = R::of(self.sde.sbar(*t));
                    normals.fill_normal(draw.target_plus);
                    for j in 0..d {
                        let z = draw.target_plus[j];
                        draw.mean[j] = row[j];
                        draw.plus[j] = row[j] + sd * z;
                        draw.minus[j] = row[j] - sd * z;
                        draw.target_plus[j] = -z / sd;
                        draw.target_minus[j] = z / sd;
                    }
                }
            },
        );
        Ok(())
    }
}
