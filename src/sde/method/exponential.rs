use super::prelude::*;
use crate::linalg::phi1;

/// Exponential Euler for a drift that is linear and diagonal up to a rest, f(x, t) = -lambda x + n(x, t), and
/// additive noise (Lord and Rougemont 2004; Jentzen and Kloeden 2009), coordinate by coordinate:
///
/// x' = e^(-lambda h) x + h phi_1(-lambda h) n(x, t) + ((1 - e^(-2 lambda h))/(2 lambda h))^(1/2) sigma W.
///
/// Exact in law where n = 0, and stable for every lambda > 0, however stiff.
#[derive(Debug, Clone, Copy)]
pub struct ExponentialEuler;

enter!([ExponentialEuler] semilinear);

impl Method for ExponentialEuler {
    const CLAIMS: Claims = Claims {
        name: "exponential-euler",
        calculus: CalculusKind::Either,
        needs: Needs::W,
        orders: &[Orders::of(NoiseKind::Additive, 1.0, 1.0)],
        invariant: Some(1.0),
        drifts: 1,
        source: "Lord and Rougemont 2004",
    };
}

impl<R: Real, S: Semilinear<R, Noise = Additive, Calculus = Either>> Integrator<R, S> for ExponentialEuler {
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
        memory: &mut Self::Memory,
        scratch: &mut S::Scratch,
    ) {
        let Vectors { f, g, .. } = memory;
        sde.drift::<FMA>(step.start(), x, f, scratch);
        sde.diffuse::<FMA>(step.start(), x, path.w, g, scratch);
        for (j, x) in x.iter_mut().enumerate() {
            let lambda = sde.rate(j);
            let decay: [R; W] = step.size(|h| (-lambda * h).exp());
            let weight: [R; W] = step.size(|h| h * phi1(-lambda * h));
            let spread: [R; W] = step.size(|h| phi1(-2.0 * lambda * h).sqrt());
            let rate = R::of(lambda);
            for i in 0..W {
                let rest = rate.fma::<FMA>(x[i], f[j][i]);
                x[i] = decay[i] * x[i] + weight[i] * rest + spread[i] * g[j][i];
            }
        }
    }
}
