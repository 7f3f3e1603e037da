//! Stochastic Runge-Kutta methods as tables of coefficients, and the one step that runs them all.
//!
//! A method has stages z_0, z_1, ..., and the next state is written like one more stage:
//!
//! z_i = x + h sum_j a_ij f(t + c_j h, z_j) + sum_j sigma(t + c_j h, z_j) beta_ij,
//!
//! where beta_ij is a [`Mix`] of functionals of the Brownian path over the step: W, H, and for Ito methods
//! h^(1/2), I11/h^(1/2) = (W^2 - h)/(2 h^(1/2)) and I111/h = (W^3 - 3 h W)/(6 h). Coefficients are exact
//! ([`Surd`]).

use super::surd::Surd;
use super::{Increment, Method, Needs, Sde, Step};
use crate::Real;
use crate::simd::W;

/// Coefficients of the functionals that multiply one sigma(z_j).
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Mix {
    /// Of W.
    pub w: Surd,
    /// Of H.
    pub h: Surd,
    /// Of h^(1/2).
    pub root: Surd,
    /// Of I11 / h^(1/2).
    pub i11: Surd,
    /// Of I111 / h.
    pub i111: Surd,
}

impl Mix {
    /// Nothing.
    pub const NONE: Mix = Mix { w: Surd::ZERO, h: Surd::ZERO, root: Surd::ZERO, i11: Surd::ZERO, i111: Surd::ZERO };

    /// w W + h H.
    pub const fn wh(w: Surd, h: Surd) -> Mix {
        Mix { w, h, ..Mix::NONE }
    }
    /// c W.
    pub const fn w(c: Surd) -> Mix {
        Mix::wh(c, Surd::ZERO)
    }
    /// c H.
    pub const fn h(c: Surd) -> Mix {
        Mix::wh(Surd::ZERO, c)
    }
    /// c I10 / h, I10 / h = W/2 + H the time average of the path over the step.
    pub const fn i10(c: Surd) -> Mix {
        Mix::wh(c.times(Surd::new(1, 2)), c)
    }
    /// c h^(1/2).
    pub const fn root(c: Surd) -> Mix {
        Mix { root: c, ..Mix::NONE }
    }
    /// beta1 W + beta2 I11/h^(1/2) + beta3 I10/h + beta4 I111/h: a column of Roessler's tables.
    pub const fn ito(beta1: Surd, beta2: Surd, beta3: Surd, beta4: Surd) -> Mix {
        let i10 = Mix::i10(beta3);
        Mix { w: beta1.plus(i10.w), h: i10.h, i11: beta2, i111: beta4, ..Mix::NONE }
    }

    /// Its coefficients, with the names of the functionals.
    pub fn terms(&self) -> [(&'static str, Surd); 5] {
        [("W", self.w), ("H", self.h), ("sqrt h", self.root), ("I11", self.i11), ("I111", self.i111)]
    }
}

/// A stage: where it lies in time and the terms of its value.
#[derive(Debug, Clone, Copy)]
pub struct Stage {
    /// c: it stands at time t + c h.
    pub c: Surd,
    /// (j, a_ij): earlier stages whose drift it adds.
    pub drift: &'static [(usize, Surd)],
    /// (j, beta_ij): earlier stages whose diffusion it adds.
    pub noise: &'static [(usize, Mix)],
}

/// A method.
#[derive(Debug, Clone, Copy)]
pub struct Tableau {
    /// z_0, z_1, ...: each uses only earlier ones.
    pub stages: &'static [Stage],
    /// The next state.
    pub next: Stage,
    /// The difference between the next state and an embedded one of lower order, where there is one.
    pub error: Option<Stage>,
}

/// A method that is a tableau.
pub trait RungeKutta: Method {
    /// Its coefficients.
    const TABLEAU: Tableau;
}

/// Working memory of [`step`].
#[derive(Debug, Clone)]
pub struct Stages<R> {
    z: Vec<[R; W]>,
    f: Vec<[R; W]>,
    mixed: Vec<[R; W]>,
    g: Vec<[R; W]>,
}

impl<R: Real> Stages<R> {
    /// Room for the stages of `tableau`.
    pub fn new<S: Sde<R>>(tableau: &Tableau, sde: &S) -> Self {
        let lanes = |n| vec![[R::zero(); W]; n];
        let (d, s) = (sde.dim(), tableau.stages.len());
        Stages { z: lanes(s * d), f: lanes(s * d), mixed: lanes(sde.noises()), g: lanes(d) }
    }
}

/// One step of the method `tableau`.
#[inline(always)]
pub fn step<R: Real, S: Sde<R>, const FMA: bool>(
    tableau: &Tableau,
    sde: &S,
    step: &Step,
    path: Increment<'_, R>,
    x: &mut [[R; W]],
    memory: &mut Stages<R>,
    scratch: &mut S::Scratch,
) {
    let d = x.len();
    for (i, stage) in tableau.stages.iter().enumerate() {
        let (before, z) = memory.z.split_at_mut(i * d);
        let z = &mut z[..d];
        z.copy_from_slice(x);
        let terms = Terms { sde, tableau, step, path, z: before, f: &memory.f };
        terms.add::<FMA>(stage, z, &mut memory.mixed, &mut memory.g, scratch);
        if tableau.asks_drift(i) {
            sde.drift::<FMA>(&step.at(stage.c.f64()), z, &mut memory.f[i * d..][..d], scratch);
        }
    }
    let terms = Terms { sde, tableau, step, path, z: &memory.z, f: &memory.f };
    terms.add::<FMA>(&tableau.next, x, &mut memory.mixed, &mut memory.g, scratch);
}

/// The embedded error of the step just taken: next state minus that of lower order, in `out`.
#[inline(always)]
pub fn error<R: Real, S: Sde<R>, const FMA: bool>(
    tableau: &Tableau,
    sde: &S,
    step: &Step,
    path: Increment<'_, R>,
    out: &mut [[R; W]],
    memory: &mut Stages<R>,
    scratch: &mut S::Scratch,
) {
    out.fill([R::zero(); W]);
    if let Some(error) = &tableau.error {
        let terms = Terms { sde, tableau, step, path, z: &memory.z, f: &memory.f };
        terms.add::<FMA>(error, out, &mut memory.mixed, &mut memory.g, scratch);
    }
}

impl Tableau {
    /// Whether some later stage, the next state or the error uses the drift of stage `i`.
    pub const fn asks_drift(&self, i: usize) -> bool {
        let mut k = 0;
        while k < self.stages.len() {
            if mentions(self.stages[k].drift, i) {
                return true;
            }
            k += 1;
        }
        mentions(self.next.drift, i)
    }

    /// Evaluations of the drift in a step.
    pub const fn drifts(&self) -> usize {
        let (mut n, mut i) = (0, 0);
        while i < self.stages.len() {
            n += self.asks_drift(i) as usize;
            i += 1;
        }
        n
    }

    /// What the method needs of the path.
    pub const fn needs(&self) -> Needs {
        let mut i = 0;
        while i < self.stages.len() {
            if self.stages[i].asks_area() {
                return Needs::Wh;
            }
            i += 1;
        }
        if self.next.asks_area() { Needs::Wh } else { Needs::W }
    }
}

impl Stage {
    const fn asks_area(&self) -> bool {
        let mut k = 0;
        while k < self.noise.len() {
            if !self.noise[k].1.h.is_zero() {
                return true;
            }
            k += 1;
        }
        false
    }
}

const fn mentions(terms: &[(usize, Surd)], j: usize) -> bool {
    let mut k = 0;
    while k < terms.len() {
        if terms[k].0 == j {
            return true;
        }
        k += 1;
    }
    false
}

/// What the terms of a stage are made of.
struct Terms<'a, R, S> {
    sde: &'a S,
    tableau: &'a Tableau,
    step: &'a Step,
    path: Increment<'a, R>,
    z: &'a [[R; W]],
    f: &'a [[R; W]],
}

impl<R: Real, S: Sde<R>> Terms<'_, R, S> {
    /// `out` += h sum_j a_j f_j + sum_j sigma_j beta_j.
    #[inline(always)]
    fn add<const FMA: bool>(&self, stage: &Stage, out: &mut [[R; W]], mixed: &mut [[R; W]], g: &mut [[R; W]], scratch: &mut S::Scratch) {
        let d = out.len();
        let h: [R; W] = self.step.size(|h| h);
        for (j, a) in stage.drift {
            let a = R::of(a.f64());
            for (o, f) in out.iter_mut().zip(&self.f[j * d..][..d]) {
                // By value: slices that might overlap are not vectorised.
                let (f, mut y) = (*f, *o);
                for i in 0..W {
                    y[i] = f[i].fma::<FMA>(a * h[i], y[i]);
                }
                *o = y;
            }
        }
        for (j, mix) in stage.noise {
            self.mix::<FMA>(mix, mixed);
            let t = self.step.at(self.tableau.stages[*j].c.f64());
            self.sde.diffuse::<FMA>(&t, &self.z[j * d..][..d], mixed, g, scratch);
            for (o, g) in out.iter_mut().zip(&*g) {
                let (g, mut y) = (*g, *o);
                for i in 0..W {
                    y[i] += g[i];
                }
                *o = y;
            }
        }
    }

    /// The functionals of the path, mixed, for each Brownian motion.
    #[inline(always)]
    fn mix<const FMA: bool>(&self, mix: &Mix, out: &mut [[R; W]]) {
        let [cw, ch] = [mix.w, mix.h].map(|c| R::of(c.f64()));
        if mix.h.is_zero() {
            for (o, w) in out.iter_mut().zip(self.path.w) {
                let (w, mut y) = (*w, [R::zero(); W]);
                for i in 0..W {
                    y[i] = cw * w[i];
                }
                *o = y;
            }
        } else {
            for ((o, w), area) in out.iter_mut().zip(self.path.w).zip(self.path.h) {
                let (w, area, mut y) = (*w, *area, [R::zero(); W]);
                for i in 0..W {
                    y[i] = area[i].fma::<FMA>(ch, cw * w[i]);
                }
                *o = y;
            }
        }
        if mix.root.is_zero() && mix.i11.is_zero() && mix.i111.is_zero() {
            return;
        }
        let [root, i11, i111] = [mix.root, mix.i11, mix.i111].map(|c| R::of(c.f64()));
        let (h, sqrt): ([R; W], [R; W]) = (self.step.size(|h| h), self.step.size(f64::sqrt));
        let (half, sixth, three) = (R::of(0.5), R::of(1.0 / 6.0), R::of(3.0));
        for (o, w) in out.iter_mut().zip(self.path.w) {
            for i in 0..W {
                let square = w[i] * w[i];
                o[i] += root * sqrt[i] + i11 * half * (square - h[i]) / sqrt[i] + i111 * sixth * w[i] * (square - three * h[i]) / h[i];
            }
        }
    }
}

/// A tableau is an integrator of the equations that the method's file names; an `embedded` one estimates its
/// error.
macro_rules! runge_kutta {
    ($Method:ident for $Calculus:ident, $Noise:ident, embedded) => {
        crate::sde::tableau::runge_kutta!($Method for $Calculus, $Noise);
        impl<R: crate::Real, S: crate::sde::Sde<R>> crate::sde::Embedded<R, S> for $Method
        where
            S::Calculus: crate::sde::ReadsAs<crate::sde::$Calculus>,
            S::Noise: crate::sde::Within<crate::sde::kinds::$Noise>,
        {
            #[inline(always)]
            fn error<const FMA: bool>(
                &self,
                sde: &S,
                step: &crate::sde::Step,
                path: crate::sde::Increment<'_, R>,
                out: &mut [[R; crate::simd::W]],
                memory: &mut Self::Memory,
                scratch: &mut S::Scratch,
            ) {
                crate::sde::tableau::error::<R, S, FMA>(&<Self as crate::sde::RungeKutta>::TABLEAU, sde, step, path, out, memory, scratch);
            }
        }
    };
    ($Method:ident for $Calculus:ident, $Noise:ident) => {
        impl<R: crate::Real, S: crate::sde::Sde<R>> crate::sde::Integrator<R, S> for $Method
        where
            S::Calculus: crate::sde::ReadsAs<crate::sde::$Calculus>,
            S::Noise: crate::sde::Within<crate::sde::kinds::$Noise>,
        {
            const COEFFICIENTS: Option<crate::sde::Tableau> = Some(<Self as crate::sde::RungeKutta>::TABLEAU);
            type Memory = crate::sde::tableau::Stages<R>;
            fn memory(&self, sde: &S) -> Self::Memory {
                crate::sde::tableau::Stages::new(&<Self as crate::sde::RungeKutta>::TABLEAU, sde)
            }
            #[inline(always)]
            fn step<const FMA: bool>(
                &self,
                sde: &S,
                step: &crate::sde::Step,
                path: crate::sde::Increment<'_, R>,
                x: &mut [[R; crate::simd::W]],
                memory: &mut Self::Memory,
                scratch: &mut S::Scratch,
            ) {
                crate::sde::tableau::step::<R, S, FMA>(&<Self as crate::sde::RungeKutta>::TABLEAU, sde, step, path, x, memory, scratch);
            }
        }
    };
}
pub(crate) use runge_kutta;
