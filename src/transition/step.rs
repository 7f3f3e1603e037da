//! The approximate rows of (13): Euler, Ito-Taylor 1.5 and local linearisation.

use super::law::{Full, OneStep, Scalar};
use crate::Real;
use crate::linalg::lanes::{self, GramianMemory, PhiMemory};
use crate::sde::smooth::Expansion;
use crate::sde::{Isotropic, Smooth, Step};
use crate::simd::W;

/// Euler: m = x + h f, C = (int sigma^2) I, which is h sigma^2 I where sigma is constant.
#[derive(Debug, Clone)]
pub struct Euler<S>(pub S);

impl<R: Real, S: Isotropic<R>> OneStep<R> for Euler<S> {
    type Factor = Scalar<R>;
    type Memory = (Vec<[R; W]>, S::Scratch);
    fn dim(&self) -> usize {
        self.0.dim()
    }
    fn memory(&self) -> Self::Memory {
        (vec![[R::zero(); W]; self.0.dim()], self.0.scratch())
    }
    #[inline(always)]
    fn law<const FMA: bool>(
        &self,
        step: &Step,
        x: &[[R; W]],
        mean: &mut [[R; W]],
        factor: &mut Scalar<R>,
        (f, scratch): &mut Self::Memory,
    ) {
        self.0.drift::<FMA>(step.start(), x, f, scratch);
        let h: [R; W] = step.size(|h| h);
        for ((m, x), f) in mean.iter_mut().zip(x).zip(&*f) {
            for i in 0..W {
                m[i] = f[i].fma::<FMA>(h[i], x[i]);
            }
        }
        factor.s = step.both(|t, h| self.0.noise(t, h));
    }
}

/// Ito-Taylor 1.5 (Kloeden and Platen 1992, ch. 10.4), with a = sigma^2 I at the middle of the step:
/// m = x + h f + (h^2/2) (J f + M),   C = h a + (h^2/2) (J a + a J^T) + (h^3/3) J a J^T = int_0^h (I + sJ) a (I + sJ)^T ds,
/// positive definite for every h.
#[derive(Debug, Clone)]
pub struct ItoTaylor<S>(pub S);

impl<R: Real, S: Isotropic<R> + Smooth<R>> OneStep<R> for ItoTaylor<S> {
    type Factor = Full<R>;
    type Memory = (Expansion<R, S::Derivatives>, Vec<[R; W]>);
    fn dim(&self) -> usize {
        self.0.dim()
    }
    fn memory(&self) -> Self::Memory {
        (Expansion::new(&self.0), vec![[R::zero(); W]; self.0.dim()])
    }
    #[inline(always)]
    fn law<const FMA: bool>(&self, step: &Step, x: &[[R; W]], mean: &mut [[R; W]], factor: &mut Full<R>, (v, u): &mut Self::Memory) {
        v.evaluate::<S, FMA>(&self.0, step.start(), x);
        let (d, h, half) = (x.len(), step.size::<R>(|h| h), R::of(0.5));
        lanes::apply::<R, FMA>(&v.jacobian, &v.f, u);
        for (j, m) in mean.iter_mut().enumerate() {
            for i in 0..W {
                let drift = (half * h[i]).fma::<FMA>(u[j][i] + v.m[j][i], v.f[j][i]);
                m[i] = drift.fma::<FMA>(h[i], x[j][i]);
            }
        }
        // C = s^2 (I + (h/2) (J + J^T) + (h^2/3) J J^T), s^2 = int sigma^2.
        let variance: [R; W] = step.both(|t, h| self.0.noise(t, h).powi(2));
        let third = R::of(1.0 / 3.0);
        for a in 0..d {
            for b in 0..=a {
                let mut gram = [R::zero(); W];
                for k in 0..d {
                    let (p, q) = (&v.jacobian[a * d + k], &v.jacobian[b * d + k]);
                    for i in 0..W {
                        gram[i] = p[i].fma::<FMA>(q[i], gram[i]);
                    }
                }
                let (p, q) = (&v.jacobian[a * d + b], &v.jacobian[b * d + a]);
                let one = if a == b { R::one() } else { R::zero() };
                for i in 0..W {
                    factor.l[a * d + b][i] = variance[i] * (one + h[i] * (half * (p[i] + q[i]) + third * h[i] * gram[i]));
                }
            }
        }
        factor.factorise::<FMA>();
    }
}

/// Local linearisation (Shoji and Ozaki 1998): m = x + h phi_1(hJ) f + h^2 phi_2(hJ) M, C = int_0^h e^(Js) a
/// e^(J^T s) ds, a = sigma^2 I averaged over the step. Exact where the drift is linear; never inverts J, and
/// stays positive where J is stiff.
#[derive(Debug, Clone)]
pub struct LocalLinear<S>(pub S);

impl<R: Real, S: Isotropic<R> + Smooth<R>> OneStep<R> for LocalLinear<S> {
    type Factor = Full<R>;
    type Memory = (Expansion<R, S::Derivatives>, PhiMemory<R>, GramianMemory<R>, Vec<[R; W]>);
    fn dim(&self) -> usize {
        self.0.dim()
    }
    fn memory(&self) -> Self::Memory {
        let d = self.0.dim();
        (Expansion::new(&self.0), PhiMemory::new(d), GramianMemory::new(d), vec![[R::zero(); W]; d])
    }
    #[inline(always)]
    fn law<const FMA: bool>(
        &self,
        step: &Step,
        x: &[[R; W]],
        mean: &mut [[R; W]],
        factor: &mut Full<R>,
        (v, phi, gramian, u): &mut Self::Memory,
    ) {
        v.evaluate::<S, FMA>(&self.0, step.start(), x);
        let (d, h) = (x.len(), step.size::<R>(|h| h));
        mean.copy_from_slice(x);
        v.add_linearised::<FMA>(&h, phi, u, mean);
        // With time in units of h: int_0^1 e^(hJs) e^(hJ^T s) ds, times int sigma^2.
        gramian.evaluate::<FMA>(&h, &v.jacobian, d, &mut factor.l);
        let variance: [R; W] = step.both(|t, h| self.0.noise(t, h).powi(2));
        for l in &mut factor.l {
            for i in 0..W {
                l[i] *= variance[i];
            }
        }
        factor.factorise::<FMA>();
    }
}
