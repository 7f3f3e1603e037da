use super::prelude::*;

/// Tamed Euler, Ito (Hutzenthaler, Jentzen and Kloeden 2012): x' = x + h f / (1 + h |f|) + sigma W, |f| the
/// Euclidean norm.
///
/// A step of the drift is never longer than 1, so a drift that grows faster than linearly cannot blow up.
#[derive(Debug, Clone, Copy)]
pub struct TamedEuler;

enter!([TamedEuler] additive, diagonal);

impl Method for TamedEuler {
    const CLAIMS: Claims = Claims {
        name: "tamed-euler",
        calculus: CalculusKind::Ito,
        needs: Needs::W,
        orders: EULER_ORDERS,
        invariant: Some(1.0),
        drifts: 1,
        source: "Hutzenthaler, Jentzen, Kloeden 2012",
    };
}

impl<R: Real, S: Sde<R>> Integrator<R, S> for TamedEuler
where
    S::Calculus: ReadsAs<Ito>,
{
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
        let Vectors { f, g, .. } = memory;
        sde.drift::<FMA>(step.start(), x, f, scratch);
        sde.diffuse::<FMA>(step.start(), x, path.w, g, scratch);
        let h = tamed::<R, FMA>(step, f);
        for ((x, f), g) in x.iter_mut().zip(&*f).zip(&*g) {
            for i in 0..W {
                x[i] = f[i].fma::<FMA>(h[i], x[i]) + g[i];
            }
        }
    }
}

/// h / (1 + h |f|).
#[inline(always)]
pub(super) fn tamed<R: Real, const FMA: bool>(step: &Step, f: &[[R; W]]) -> [R; W] {
    let (mut square, mut h) = ([R::zero(); W], step.size::<R>(|h| h));
    for f in f {
        for i in 0..W {
            square[i] = f[i].fma::<FMA>(f[i], square[i]);
        }
    }
    for i in 0..W {
        h[i] = h[i] / (R::one() + h[i] * square[i].sqrt());
    }
    h
}
