//! Derivatives of the drift: what methods of higher order and local linearisation need.

use super::kinds::Additive;
use super::{Sde, Time};
use crate::Real;
use crate::linalg::lanes::{self, PhiMemory};
use crate::real::Dual;
use crate::simd::W;

/// An equation whose drift can be differentiated: J = Df(x), and the drift of the drift beside it,
///
/// M = (1/2) tr(a D^2 f) + df/dt,   a = sigma sigma^T   (eq. 13).
pub trait Smooth<R: Real>: Sde<R> {
    /// Working memory of one block of paths.
    type Derivatives: Send;
    /// Makes it.
    fn derivatives_memory(&self) -> Self::Derivatives;
    /// `f` `[d]`, `jacobian` `[d, d]` row-major (row i: the gradient of f_i) and `m` `[d]` at `x`, all paths
    /// last.
    fn derivatives<const FMA: bool>(
        &self,
        t: &Time,
        x: &[[R; W]],
        f: &mut [[R; W]],
        jacobian: &mut [[R; W]],
        m: &mut [[R; W]],
        memory: &mut Self::Derivatives,
    );
}

/// f, J and M at the start of a step.
#[derive(Debug)]
pub struct Expansion<R, D> {
    /// f, `[d]`.
    pub f: Vec<[R; W]>,
    /// J, [d, d].
    pub jacobian: Vec<[R; W]>,
    /// M, `[d]`.
    pub m: Vec<[R; W]>,
    derivatives: D,
}

impl<R: Real, D> Expansion<R, D> {
    /// Room for those of `sde`.
    pub fn new<S: Smooth<R, Derivatives = D>>(sde: &S) -> Self {
        let (d, zero) = (sde.dim(), |n| vec![[R::zero(); W]; n]);
        Expansion { f: zero(d), jacobian: zero(d * d), m: zero(d), derivatives: sde.derivatives_memory() }
    }

    /// Those of `sde` at `x` and time `t`.
    #[inline(always)]
    pub fn evaluate<S: Smooth<R, Derivatives = D>, const FMA: bool>(&mut self, sde: &S, t: &Time, x: &[[R; W]]) {
        sde.derivatives::<FMA>(t, x, &mut self.f, &mut self.jacobian, &mut self.m, &mut self.derivatives);
    }

    /// `mean` += h phi_1(hJ) f + h^2 phi_2(hJ) M: the drift's part of a step of local linearisation. `u`:
    /// room for d numbers.
    #[inline(always)]
    pub fn add_linearised<const FMA: bool>(&self, h: &[R; W], phi: &mut PhiMemory<R>, u: &mut [[R; W]], mean: &mut [[R; W]]) {
        phi.evaluate::<FMA>(h, &self.jacobian, mean.len());
        lanes::apply::<R, FMA>(&phi.phi1, &self.f, u);
        for (m, u) in mean.iter_mut().zip(&*u) {
            for i in 0..W {
                m[i] = u[i].fma::<FMA>(h[i], m[i]);
            }
        }
        lanes::apply::<R, FMA>(&phi.phi2, &self.m, u);
        for (m, u) in mean.iter_mut().zip(&*u) {
            for i in 0..W {
                m[i] = u[i].fma::<FMA>(h[i] * h[i], m[i]);
            }
        }
    }
}

/// Numbers with a first, and with two independent first derivatives.
pub type Second<R> = Dual<Dual<R>>;

/// Working memory of [`by_duals`].
#[derive(Debug)]
pub struct DualMemory<R, A, B> {
    x: Vec<[Dual<R>; W]>,
    y: Vec<[Dual<R>; W]>,
    xx: Vec<[Second<R>; W]>,
    yy: Vec<[Second<R>; W]>,
    unit: Vec<[R; W]>,
    sigma: Vec<[R; W]>,
    first: A,
    second: B,
}

/// The equation's own code run on dual numbers: derivatives of an autonomous drift with additive noise,
/// without a formula for them. d evaluations on duals for J, m on duals of duals for M.
pub trait ByDuals<R: Real>: Sde<R, Noise = Additive> + Sde<Dual<R>> + Sde<Second<R>> {}

impl<R: Real, S: Sde<R, Noise = Additive> + Sde<Dual<R>> + Sde<Second<R>>> ByDuals<R> for S {}

/// The memory of [`by_duals`] for `S`.
pub type DualMemoryOf<R, S> = DualMemory<R, <S as Sde<Dual<R>>>::Scratch, <S as Sde<Second<R>>>::Scratch>;

/// Makes the memory of [`by_duals`].
pub fn dual_memory<R: Real, S: ByDuals<R>>(sde: &S) -> DualMemoryOf<R, S> {
    let (d, m) = (Sde::<R>::dim(sde), Sde::<R>::noises(sde));
    let zero = R::zero();
    DualMemory {
        x: vec![[Dual::constant(zero); W]; d],
        y: vec![[Dual::constant(zero); W]; d],
        xx: vec![[Dual::constant(Dual::constant(zero)); W]; d],
        yy: vec![[Dual::constant(Dual::constant(zero)); W]; d],
        unit: vec![[zero; W]; m],
        sigma: vec![[zero; W]; d],
        first: Sde::<Dual<R>>::scratch(sde),
        second: Sde::<Second<R>>::scratch(sde),
    }
}

/// [`Smooth::derivatives`] by dual numbers.
#[allow(clippy::too_many_arguments)] // those of the method, and the two memories
pub fn by_duals<R: Real, S: ByDuals<R>, const FMA: bool>(
    sde: &S,
    t: &Time,
    x: &[[R; W]],
    f: &mut [[R; W]],
    jacobian: &mut [[R; W]],
    m: &mut [[R; W]],
    memory: &mut DualMemoryOf<R, S>,
    scratch: &mut <S as Sde<R>>::Scratch,
) {
    let d = x.len();
    let mem = memory;
    for j in 0..d {
        for (k, (dual, x)) in mem.x.iter_mut().zip(x).enumerate() {
            let tangent = if k == j { R::one() } else { R::zero() };
            for i in 0..W {
                dual[i] = Dual::new(x[i], tangent);
            }
        }
        Sde::<Dual<R>>::drift::<FMA>(sde, t, &mem.x, &mut mem.y, &mut mem.first);
        for (row, y) in mem.y.iter().enumerate() {
            for i in 0..W {
                f[row][i] = y[i].value;
                jacobian[row * d + j][i] = y[i].tangent;
            }
        }
    }
    m.fill([R::zero(); W]);
    for k in 0..mem.unit.len() {
        mem.unit.fill([R::zero(); W]);
        mem.unit[k] = [R::one(); W];
        Sde::<R>::diffuse::<FMA>(sde, t, x, &mem.unit, &mut mem.sigma, scratch);
        for ((dual, x), s) in mem.xx.iter_mut().zip(x).zip(&mem.sigma) {
            for i in 0..W {
                dual[i] = Dual::new(Dual::new(x[i], s[i]), Dual::new(s[i], R::zero()));
            }
        }
        Sde::<Second<R>>::drift::<FMA>(sde, t, &mem.xx, &mut mem.yy, &mut mem.second);
        for (m, y) in m.iter_mut().zip(&mem.yy) {
            for i in 0..W {
                m[i] += R::of(0.5) * y[i].tangent.tangent;
            }
        }
    }
}

/// `Smooth` by dual numbers, for equations with additive noise and a drift that does not depend on time.
macro_rules! smooth_by_duals {
    ($($Process:ty),+) => {$(
        impl<R: crate::Real> crate::sde::Smooth<R> for $Process {
            type Derivatives = (crate::sde::smooth::DualMemoryOf<R, Self>, <Self as crate::sde::Sde<R>>::Scratch);
            fn derivatives_memory(&self) -> Self::Derivatives {
                (crate::sde::smooth::dual_memory::<R, Self>(self), crate::sde::Sde::<R>::scratch(self))
            }
            #[inline(always)]
            fn derivatives<const FMA: bool>(
                &self,
                t: &crate::sde::Time,
                x: &[[R; crate::simd::W]],
                f: &mut [[R; crate::simd::W]],
                jacobian: &mut [[R; crate::simd::W]],
                m: &mut [[R; crate::simd::W]],
                (memory, scratch): &mut Self::Derivatives,
            ) {
                crate::sde::smooth::by_duals::<R, Self, FMA>(self, t, x, f, jacobian, m, memory, scratch);
            }
        }
    )+};
}
pub(crate) use smooth_by_duals;
