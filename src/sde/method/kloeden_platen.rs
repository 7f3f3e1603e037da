use super::prelude::*;

/// Kloeden and Platen's strong Taylor scheme of order 1.5 for additive noise (1992, eq. 10.4.10), the
/// pathwise form of the Ito-Taylor row of (13):
///
/// x' = x + h f + (h^2/2) (J f + M) + int sigma dB + h J sigma (W/2 + H),
///
/// with int sigma dB from sigma(t) and sigma(t + h) as in the Runge-Kutta methods.
#[derive(Debug, Clone, Copy)]
pub struct KloedenPlaten;

enter!([KloedenPlaten] smooth);

impl Method for KloedenPlaten {
    const CLAIMS: Claims = Claims {
        name: "kloeden-platen-1.5",
        calculus: CalculusKind::Either,
        needs: Needs::Wh,
        orders: &[Orders::of(NoiseKind::Additive, 1.5, 2.0)],
        invariant: Some(2.0),
        drifts: 1,
        source: "Kloeden and Platen 1992, eq. 10.4.10",
    };
}

impl<R: Real, S: Smooth<R, Noise = Additive, Calculus = Either>> Integrator<R, S> for KloedenPlaten {
    type Memory = SmoothVectors<R, S::Derivatives>;
    fn memory(&self, sde: &S) -> Self::Memory {
        SmoothVectors::new(sde)
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
        let v = memory;
        v.evaluate::<S, FMA>(sde, step, path, x, scratch);
        let (h, half): ([R; W], _) = (step.size(|h| h), R::of(0.5));
        // J (h f/2 + sigma (W/2 + H)) h: the drift changes along the path's mean.
        for ((u, f), area) in v.u.iter_mut().zip(&v.at.f).zip(&v.area) {
            for i in 0..W {
                u[i] = (half * h[i]).fma::<FMA>(f[i], area[i]);
            }
        }
        lanes::apply::<R, FMA>(&v.at.jacobian, &v.u, &mut v.ju);
        for (j, x) in x.iter_mut().enumerate() {
            let (f, ju, m, noise) = (&v.at.f[j], &v.ju[j], &v.at.m[j], &v.noise[j]);
            for i in 0..W {
                let drift = f[i] + ju[i] + half * h[i] * m[i];
                x[i] = drift.fma::<FMA>(h[i], x[i]) + noise[i];
            }
        }
    }
}
