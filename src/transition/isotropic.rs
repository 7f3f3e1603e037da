//! The exact kernel of the linear processes that treat all coordinates alike.

use super::TimeLaw;
use super::draws::{DrawMut, Draws, FIELDS, Noising, Starts, check_finish, check_start};
use crate::par;
use crate::sde::{NoiseScale, Paths};
use crate::simd::W;
use crate::{Real, Result};

/// X_t = alpha(t) x_0 + sbar(t) z: variance-exploding, preserving and sub-preserving processes.
#[derive(Debug, Clone)]
pub struct IsotropicKernel {
    scale: NoiseScale,
    dim: usize,
    times: TimeLaw,
}

impl IsotropicKernel {
    /// The kernel of the process with the noise level `scale`, in `dim` dimensions, at times drawn from
    /// `times`.
    pub fn new(scale: NoiseScale, dim: usize, times: TimeLaw) -> Self {
        IsotropicKernel { scale, dim, times }
    }
}

impl<R: Real> Noising<R> for IsotropicKernel {
    fn dim(&self) -> usize {
        self.dim
    }

    fn importance(&self, t: f64) -> f64 {
        self.times.importance(t)
    }

    fn step_length(&self, t: f64) -> f64 {
        t
    }

    fn draws_per_path(&self) -> usize {
        1
    }

    fn start(&self, x0: &[R], u: &[f64], _paths: Paths, out: &mut Starts<R>) -> Result<()> {
        check_start("isotropic kernel", self, x0, u, out)?;
        out.set_starts(x0, u, &self.times);
        Ok(())
    }

    fn finish(&self, starts: &Starts<R>, paths: Paths, out: &mut Draws<R>) -> Result<()> {
        check_finish("isotropic kernel", self, starts, out)?;
        let d = self.dim;
        let ((rows, spans), (values, times)) = (starts.parts(), out.parts_mut());
        times.iter_mut().zip(spans).for_each(|(t, [_, to])| *t = *to);
        par::each(
            (par::chunks_mut(values, W * FIELDS * d), par::chunks(rows, W * d), par::chunks(times, W)),
            |chunk, (values, rows, times)| {
                let mut normals = paths.stream(chunk);
                for (i, (row, t)) in rows.chunks_exact(d).zip(times).enumerate() {
                    let draw = DrawMut::of(values, i, d);
                    let (alpha, sd) = (R::of(self.scale.alpha(*t)), R::of(self.scale.sbar(*t)));
                    normals.fill_normal(draw.target_plus);
                    for j in 0..d {
                        let z = draw.target_plus[j];
                        draw.mean[j] = alpha * row[j];
                        draw.plus[j] = draw.mean[j] + sd * z;
                        draw.minus[j] = draw.mean[j] - sd * z;
                        draw.target_plus[j] = -z / sd;
                        draw.target_minus[j] = z / sd;
                    }
                }
            },
        );
        Ok(())
    }
}
