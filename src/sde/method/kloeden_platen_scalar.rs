use super::prelude::*;

use crate::real::Number;

/// Kloeden and Platen's strong Taylor scheme of order 1.5 for one equation with one Brownian motion, Ito
/// (1992, eq. 10.4.1):
///
/// x' = x + h f + g W + g g' I11 + g f' I10 + (h^2/2) (f f' + g^2 f''/2) + (f g' + g^2 g''/2) (h W - I10)
/// + g (g g'' + g'^2) I111,
///
/// I11 = (W^2 - h)/2, I10 = h (W/2 + H), I111 = (W^3 - 3 h W)/6. The derivatives are those of the equation's
/// own code, run once on numbers with two independent tangents. Drift and diffusion may not depend on time.
#[derive(Debug, Clone, Copy)]
pub struct KloedenPlatenScalar;

enter!([KloedenPlatenScalar] scalar);

impl Method for KloedenPlatenScalar {
    const CLAIMS: Claims = Claims {
        name: "kloeden-platen-1.5-scalar",
        calculus: CalculusKind::Ito,
        needs: Needs::Wh,
        orders: &[Orders::of(NoiseKind::Scalar, 1.5, 2.0)],
        invariant: None,
        drifts: 1,
        source: "Kloeden and Platen 1992, eq. 10.4.1",
    };
}

impl<R: Real, S: Sde<R, Noise = Scalar> + Sde<Second<R>>> Integrator<R, S> for KloedenPlatenScalar
where
    <S as Sde<R>>::Calculus: ReadsAs<Ito>,
{
    type Memory = <S as Sde<Second<R>>>::Scratch;
    fn memory(&self, sde: &S) -> Self::Memory {
        Sde::<Second<R>>::scratch(sde)
    }
    #[inline(always)]
    fn step<const FMA: bool>(
        &self,
        sde: &S,
        step: &Step,
        path: Increment<'_, R>,
        x: &mut [[R; W]],
        memory: &mut Self::Memory,
        _scratch: &mut <S as Sde<R>>::Scratch,
    ) {
        let (h, half): ([R; W], _) = (step.size(|h| h), R::of(0.5));
        let one = Dual::constant(R::one());
        let mut y = [Second::<R>::zero(); W];
        for i in 0..W {
            y[i] = Dual::new(Dual::new(x[0][i], R::one()), one);
        }
        let (mut drift, mut diffusion) = ([[Second::<R>::zero(); W]], [[Second::<R>::zero(); W]]);
        Sde::<Second<R>>::drift::<FMA>(sde, step.start(), &[y], &mut drift, memory);
        Sde::<Second<R>>::diffuse::<FMA>(sde, step.start(), &[y], &[[Dual::constant(one); W]], &mut diffusion, memory);
        for i in 0..W {
            let [(f, f1, f2), (g, g1, g2)] = [drift[0][i], diffusion[0][i]].map(|v| (v.value.value, v.value.tangent, v.tangent.tangent));
            let (h, w) = (h[i], path.w[0][i]);
            let i10 = h * (half * w + path.h[0][i]);
            let i11 = half * (w * w - h);
            let i111 = w * (w * w - R::of(3.0) * h) * R::of(1.0 / 6.0);
            x[0][i] += h * f
                + g * w
                + g * g1 * i11
                + g * f1 * i10
                + half * h * h * (f * f1 + half * g * g * f2)
                + (f * g1 + half * g * g * g2) * (h * w - i10)
                + g * (g * g2 + g1 * g1) * i111;
        }
    }
}
