//! The component kernel and the component flow (method.md, eq. 15 taken in one step, and eq. 18).

use super::TimeLaw;
use super::draws::{DrawMut, Draws, FIELDS, Noising, Starts, check_finish, check_start};
use crate::par;
use crate::sde::component_step::{ComponentMemory, Random, begin, lane};
use crate::sde::{ComponentLaw, ComponentStep, Paths};
use crate::simd::{Kernel, W, dispatch, load};
use crate::{Real, Result};

/// What a draw's target is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Target {
    /// The conditional score -L^-T z.
    Score,
    /// The component flow's (18): the conditional score plus C_k^-1 (x_t - m_k), in a form without
    /// cancellation.
    Flow,
}

/// k ~ r(. | x_0) once, then the exact Ornstein-Uhlenbeck law of component k from x_0 to any t: conditionally
/// linear, no simulation.
#[derive(Debug, Clone)]
pub struct ComponentKernel<R: Real> {
    step: ComponentStep<R>,
    times: TimeLaw,
    target: Target,
}

impl<R: Real> ComponentKernel<R> {
    /// The kernel of `step`'s mixture, at times drawn from `times`.
    pub fn new(step: ComponentStep<R>, times: TimeLaw, target: Target) -> Self {
        ComponentKernel { step, times, target }
    }
}

impl<R: Real> Noising<R> for ComponentKernel<R> {
    fn dim(&self) -> usize {
        self.step.dim()
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
        check_start("component kernel", self, x0, u, out)?;
        out.set_starts(x0, u, &self.times);
        Ok(())
    }

    fn finish(&self, starts: &Starts<R>, paths: Paths, out: &mut Draws<R>) -> Result<()> {
        check_finish("component kernel", self, starts, out)?;
        let d = self.dim();
        let ((rows, spans), (values, times)) = (starts.parts(), out.parts_mut());
        times.iter_mut().zip(spans).for_each(|(t, [_, to])| *t = *to);
        par::each_with(
            (par::chunks_mut(values, W * FIELDS * d), par::chunks(rows, W * d), par::chunks(times, W)),
            || ComponentMemory::new(&self.step),
            |block, chunk, (values, rows, times)| {
                load(rows, &mut block.x);
                dispatch(KernelDraws { kernel: self, block, random: Random::new(paths, chunk), values, times });
            },
        );
        Ok(())
    }
}

/// A block of draws.
struct KernelDraws<'a, R: Real> {
    kernel: &'a ComponentKernel<R>,
    block: &'a mut ComponentMemory<R>,
    random: Random<R>,
    values: &'a mut [R],
    times: &'a [f64],
}

impl<R: Real> Kernel for KernelDraws<'_, R> {
    const VECTORS: bool = R::VECTORS;
    type Output = ();
    #[inline(always)]
    fn run<const FMA: bool>(mut self) {
        let (step, b, d) = (&self.kernel.step, self.block, self.kernel.step.dim());
        let k = begin::<R, FMA>(step, b, &mut self.random);
        for (i, t) in self.times.iter().enumerate() {
            lane::<R, FMA>(step, b, k[i], i, R::of(*t));
            write_pair::<R, FMA>(step, &b.law, &b.noise, &mut b.moved, self.kernel.target, DrawMut::of(self.values, i, d));
        }
    }
}

/// Writes the pair m + Q (a y +- sd z) of one component law and its targets. `tmp`: d numbers.
#[inline(always)]
pub(crate) fn write_pair<R: Real, const FMA: bool>(
    step: &ComponentStep<R>,
    law: &ComponentLaw<R>,
    z: &[R],
    tmp: &mut [R],
    target: Target,
    out: DrawMut<R>,
) {
    let k = law.k;
    for ((w, a), y) in tmp.iter_mut().zip(&law.decay).zip(&law.start) {
        *w = *a * *y;
    }
    step.point::<FMA>(k, tmp, out.mean);
    for ((w, sd), z) in tmp.iter_mut().zip(&law.sd).zip(z) {
        *w = *sd * *z;
    }
    step.direction::<FMA>(k, tmp, out.plus);
    for ((p, m), mean) in out.plus.iter_mut().zip(out.minus.iter_mut()).zip(&*out.mean) {
        (*p, *m) = (*mean + *p, *mean - *p);
    }
    match target {
        Target::Score => {
            for ((w, sd), z) in tmp.iter_mut().zip(&law.sd).zip(z) {
                *w = -*z / *sd;
            }
            step.direction::<FMA>(k, tmp, out.target_plus);
            out.target_minus.iter_mut().zip(&*out.target_plus).for_each(|(m, p)| *m = -*p);
        }
        Target::Flow => {
            // (a/v) y -+ (a^2/sd) z: both halves, then their sum and difference.
            for (((w, a), v), y) in tmp.iter_mut().zip(&law.decay).zip(step.variances(k)).zip(&law.start) {
                *w = *a / *v * *y;
            }
            step.direction::<FMA>(k, tmp, out.target_plus);
            for (((w, a), sd), z) in tmp.iter_mut().zip(&law.decay).zip(&law.sd).zip(z) {
                *w = *a * *a / *sd * *z;
            }
            step.direction::<FMA>(k, tmp, out.target_minus);
            for (p, m) in out.target_plus.iter_mut().zip(out.target_minus.iter_mut()) {
                (*p, *m) = (*p - *m, *p + *m);
            }
        }
    }
}
