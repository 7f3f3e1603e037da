use super::prelude::*;

/// Leimkuhler and Matthews' method for Langevin dynamics with additive noise, in its Markov form (Vilmart
/// 2015):
///
/// y' = y + h f(y + sigma W/2) + sigma W, and x = y + sigma W/2 is what is reported, W that of the next step.
///
/// One evaluation of the drift a step, and the invariant law is met to second order (exactly, if it is
/// Gaussian). A single path is off by sigma W/2: use it for laws.
#[derive(Debug, Clone, Copy)]
pub struct LeimkuhlerMatthews;

enter!([LeimkuhlerMatthews] additive);

impl Method for LeimkuhlerMatthews {
    const CLAIMS: Claims = Claims {
        name: "leimkuhler-matthews",
        calculus: CalculusKind::Either,
        needs: Needs::W,
        orders: &[Orders::of(NoiseKind::Additive, 0.5, 1.0)],
        invariant: Some(2.0),
        drifts: 1,
        source: "Leimkuhler and Matthews 2013; Vilmart 2015",
    };
}

impl<R: Real, S: Sde<R, Noise = Additive, Calculus = Either>> Integrator<R, S> for LeimkuhlerMatthews {
    type Memory = Vectors<R>;
    fn memory(&self, sde: &S) -> Vectors<R> {
        Vectors::new(sde)
    }
    #[inline(always)]
    fn step<const FMA: bool>(
        &self,
        sde: &S,
        step: &Step,
        path: Increment<'_, R>,
        x: &mut [[R; W]],
        memory: &mut Vectors<R>,
        scratch: &mut S::Scratch,
    ) {
        let Vectors { f, g, z } = memory;
        let h: [R; W] = step.size(|h| h);
        let half = R::of(0.5);
        sde.diffuse::<FMA>(step.start(), x, path.w, g, scratch);
        for ((z, x), g) in z.iter_mut().zip(&*x).zip(&*g) {
            for i in 0..W {
                z[i] = g[i].fma::<FMA>(half, x[i]);
            }
        }
        sde.drift::<FMA>(step.start(), z, f, scratch);
        for ((x, f), g) in x.iter_mut().zip(&*f).zip(&*g) {
            for i in 0..W {
                x[i] = f[i].fma::<FMA>(h[i], x[i]) + g[i];
            }
        }
    }
    #[inline(always)]
    fn report<const FMA: bool>(
        &self,
        sde: &S,
        step: &Step,
        path: Increment<'_, R>,
        x: &mut [[R; W]],
        memory: &mut Vectors<R>,
        scratch: &mut S::Scratch,
    ) {
        sde.diffuse::<FMA>(step.start(), x, path.w, &mut memory.g, scratch);
        let half = R::of(0.5);
        for (x, g) in x.iter_mut().zip(&memory.g) {
            for i in 0..W {
                x[i] = g[i].fma::<FMA>(half, x[i]);
            }
        }
    }
    fn reports(&self) -> bool {
        true
    }
}
