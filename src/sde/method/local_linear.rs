use super::prelude::*;

/// Local linearisation (Ozaki 1992; Shoji and Ozaki 1998), pathwise, for additive noise:
///
/// x' = x + h phi_1(hJ) f + h^2 phi_2(hJ) M + int sigma dB + h J sigma (W/2 + H).
///
/// Exact in the mean where the drift is linear. Where J has large negative eigenvalues the noise, which
/// enters to first order only, is the explicit part.
#[derive(Debug, Clone, Copy)]
pub struct LocalLinear;

enter!([LocalLinear] smooth);

impl Method for LocalLinear {
    const CLAIMS: Claims = Claims {
        name: "local-linear",
        calculus: CalculusKind::Either,
        needs: Needs::Wh,
        orders: &[Orders::of(NoiseKind::Additive, 1.5, 2.0)],
        invariant: Some(2.0),
        drifts: 1,
        source: "Ozaki 1992; Shoji and Ozaki 1998",
    };
}

impl<R: Real, S: Smooth<R, Noise = Additive, Calculus = Either>> Integrator<R, S> for LocalLinear {
    type Memory = (SmoothVectors<R, S::Derivatives>, lanes::PhiMemory<R>);
    fn memory(&self, sde: &S) -> Self::Memory {
        (SmoothVectors::new(sde), lanes::PhiMemory::new(sde.dim()))
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
        let (v, phi) = memory;
        v.evaluate::<S, FMA>(sde, step, path, x, scratch);
        let h: [R; W] = step.size(|h| h);
        v.at.add_linearised::<FMA>(&h, phi, &mut v.u, x);
        lanes::apply::<R, FMA>(&v.at.jacobian, &v.area, &mut v.ju);
        for ((x, ju), noise) in x.iter_mut().zip(&v.ju).zip(&v.noise) {
            for i in 0..W {
                x[i] = ju[i].fma::<FMA>(h[i], x[i]) + noise[i];
            }
        }
    }
}
