//! The integrators: a file for each, with its claims, and one line for each in the registry below.

mod baoab;
mod component;
mod euler;
mod exponential;
mod heun;
mod kloeden_platen;
mod kloeden_platen_scalar;
mod leimkuhler_matthews;
mod local_linear;
mod milstein;
mod sea;
mod shark;
mod sk_srock;
mod slow_rk;
mod spark;
mod sra1;
mod sra3;
mod sriw1;
mod sriw2;
mod tamed_euler;

pub use baoab::Baoab;
pub use component::ComponentWise;
pub use euler::EulerMaruyama;
pub use exponential::ExponentialEuler;
pub use heun::Heun;
pub use kloeden_platen::KloedenPlaten;
pub use kloeden_platen_scalar::KloedenPlatenScalar;
pub use leimkuhler_matthews::LeimkuhlerMatthews;
pub use local_linear::LocalLinear;
pub use milstein::{Milstein, TamedMilstein};
pub use sea::Sea;
pub use shark::Shark;
pub use sk_srock::SkSrock;
pub use slow_rk::SlowRk;
pub use spark::Spark;
pub use sra1::Sra1;
pub use sra3::Sra3;
pub use sriw1::Sriw1;
pub use sriw2::Sriw2;
pub use tamed_euler::TamedEuler;

use super::kinds::{Additive, Commutative, Diagonal, Scalar};
use super::smooth::{Expansion, Second};
use super::{Claims, Either, Increment, Integrator, Ito, Kinetic, Method, ReadsAs, Sde, Semilinear, Smooth, Step, Stratonovich, Within};
use crate::Real;
use crate::real::Dual;
use crate::simd::W;

/// What the files of the methods use.
mod prelude {
    pub(super) use super::super::kinds::{Additive, CalculusKind, Commutative, Either, Ito, Noise, NoiseKind, ReadsAs, Scalar, Within};
    pub(super) use super::super::surd::Surd;
    pub(super) use super::super::tableau::{Mix, RungeKutta, Stage, Tableau, runge_kutta};
    pub(super) use super::super::{Claims, Increment, Integrator, Method, Needs, Orders, Sde, Semilinear, Smooth, Step};
    pub(super) use super::tamed_euler::tamed;
    pub(super) use super::{SmoothVectors, Vectors};
    pub(super) use crate::Real;
    pub(super) use crate::linalg::lanes;
    pub(super) use crate::simd::W;

    /// What Euler's method and its stabilised relatives have: order 1 where Milstein's correction is 0, else 1/2.
    pub(super) const EULER_ORDERS: &[Orders] = &[
        Orders::of(NoiseKind::Additive, 1.0, 1.0),
        Orders::of(NoiseKind::Scalar, 0.5, 1.0),
        Orders::of(NoiseKind::Diagonal, 0.5, 1.0),
        Orders::of(NoiseKind::Commutative, 0.5, 1.0),
    ];
    /// Roessler's strong methods of order 1.5: of weak order 2 for additive noise alone.
    pub(super) const SRIW_ORDERS: &[Orders] =
        &[Orders::of(NoiseKind::Additive, 1.5, 2.0), Orders::of(NoiseKind::Scalar, 1.5, 1.5), Orders::of(NoiseKind::Diagonal, 1.5, 1.5)];

    /// n / d.
    pub(super) const fn q(n: i64, d: i64) -> Surd {
        Surd::new(n, d)
    }
    /// A stage at t + c h.
    pub(super) const fn stage(c: Surd, drift: &'static [(usize, Surd)], noise: &'static [(usize, Mix)]) -> Stage {
        Stage { c, drift, noise }
    }
    /// int sigma dB over a step to strong order 1.5, from sigma(t) of stage 0 and sigma(t + h) of stage 2:
    /// sigma(t) (W/2 + H) + sigma(t + h) (W/2 - H).
    pub(super) const ADDITIVE_ENDS: &[(usize, Mix)] = &[(0, Mix::wh(q(1, 2), q(1, 1))), (2, Mix::wh(q(1, 2), q(-1, 1)))];
}

/// Drift, diffusion and a point between: the working memory of the methods that are not tableaus.
#[derive(Debug, Clone)]
pub struct Vectors<R> {
    f: Vec<[R; W]>,
    g: Vec<[R; W]>,
    z: Vec<[R; W]>,
}

impl<R: Real> Vectors<R> {
    fn new<S: Sde<R>>(sde: &S) -> Self {
        let zero = vec![[R::zero(); W]; sde.dim()];
        Vectors { f: zero.clone(), g: zero.clone(), z: zero }
    }
}

/// The working memory of the methods that differentiate the drift.
#[derive(Debug)]
pub struct SmoothVectors<R, D> {
    /// f, J and M.
    at: Expansion<R, D>,
    /// int sigma dB, and sigma (W/2 + H).
    noise: Vec<[R; W]>,
    area: Vec<[R; W]>,
    mixed: Vec<[R; W]>,
    /// A vector and J times it.
    u: Vec<[R; W]>,
    ju: Vec<[R; W]>,
}

impl<R: Real, D> SmoothVectors<R, D> {
    fn new<S: Smooth<R, Derivatives = D>>(sde: &S) -> Self {
        let zero = |n| vec![[R::zero(); W]; n];
        let (d, mixed) = (sde.dim(), zero(sde.noises()));
        SmoothVectors { at: Expansion::new(sde), noise: zero(d), area: zero(d), mixed, u: zero(d), ju: zero(d) }
    }

    /// f, J, M and both integrals of the noise at the start of a step.
    #[inline(always)]
    fn evaluate<S: Smooth<R, Derivatives = D>, const FMA: bool>(
        &mut self,
        sde: &S,
        step: &Step,
        path: Increment<'_, R>,
        x: &[[R; W]],
        scratch: &mut S::Scratch,
    ) {
        self.at.evaluate::<S, FMA>(sde, step.start(), x);
        let half = R::of(0.5);
        // sigma(t + h) (W/2 - H), then sigma(t) (W/2 + H).
        for (sign, t, out) in [(-R::one(), step.end(), &mut self.noise), (R::one(), step.start(), &mut self.area)] {
            for ((mixed, w), h) in self.mixed.iter_mut().zip(path.w).zip(path.h) {
                for i in 0..W {
                    mixed[i] = half.fma::<FMA>(w[i], sign * h[i]);
                }
            }
            sde.diffuse::<FMA>(t, x, &self.mixed, out, scratch);
        }
        for (noise, area) in self.noise.iter_mut().zip(&self.area) {
            for i in 0..W {
                noise[i] += area[i];
            }
        }
    }
}

/// Something done with every method for the equations `S`.
pub trait Visitor<R: Real, S: Sde<R>> {
    /// Does it with `method`.
    fn visit<I: Integrator<R, S>>(&mut self, method: &I);
}

/// The registry: its sections are functions that show each of their methods to a visitor, for the equations `S` that they are for.
macro_rules! registry {
    ($($(#[$doc:meta])* $name:ident [$($S:tt)+] where [$($bound:tt)*] { $($method:expr => $M:ty),+ $(,)? })+) => {
        $($(#[$doc])*
        pub fn $name<R: Real, S: $($S)+, V: Visitor<R, S>>(visitor: &mut V)
        where
            $($bound)*
        {
            $(visitor.visit(&$method);)+
        })+
        /// The claims of all methods, in the order of the registry; a method that stands in several sections comes once.
        pub fn claims() -> Vec<Claims> {
            let mut all: Vec<Claims> = Vec::new();
            for claims in [$($(<$M as Method>::CLAIMS),+),+, ComponentWise::<f64>::CLAIMS] {
                if all.iter().all(|c| c.name != claims.name) {
                    all.push(claims);
                }
            }
            all
        }
    };
}

registry! {
    /// Methods for additive noise.
    additive [Sde<R, Noise = Additive, Calculus = Either>] where [] {
        EulerMaruyama => EulerMaruyama,
        TamedEuler => TamedEuler,
        LeimkuhlerMatthews => LeimkuhlerMatthews,
        Heun => Heun,
        Sea => Sea,
        Sra1 => Sra1,
        Sra3 => Sra3,
        Shark => Shark,
        Spark => Spark,
        SkSrock::default() => SkSrock,
    }
    /// Methods for additive noise and a drift with derivatives.
    smooth [Smooth<R, Noise = Additive, Calculus = Either>] where [] {
        KloedenPlaten => KloedenPlaten,
        LocalLinear => LocalLinear,
    }
    /// Methods for additive noise and a drift with a linear part.
    semilinear [Semilinear<R, Noise = Additive, Calculus = Either>] where [] {
        ExponentialEuler => ExponentialEuler,
    }
    /// Methods for underdamped dynamics.
    kinetic [Kinetic<R>] where [] {
        Baoab => Baoab,
    }
    /// Ito methods for diagonal noise.
    diagonal [Sde<R> + Sde<Dual<R>>] where [<S as Sde<R>>::Noise: Within<Diagonal> + Within<Commutative>, <S as Sde<R>>::Calculus: ReadsAs<Ito>] {
        EulerMaruyama => EulerMaruyama,
        TamedEuler => TamedEuler,
        SkSrock::default() => SkSrock,
        Milstein => Milstein,
        TamedMilstein => TamedMilstein,
        Sriw1 => Sriw1,
        Sriw2 => Sriw2,
    }
    /// Ito methods for one equation with one Brownian motion.
    scalar [Sde<R, Noise = Scalar> + Sde<Second<R>>] where [<S as Sde<R>>::Calculus: ReadsAs<Ito>] {
        KloedenPlatenScalar => KloedenPlatenScalar,
    }
    /// Stratonovich methods for commutative noise.
    commutative [Sde<R>] where [S::Noise: Within<Commutative>, S::Calculus: ReadsAs<Stratonovich>] {
        Heun => Heun,
        Spark => Spark,
        SlowRk => SlowRk,
    }
}
