//! The integrators: a file for each, with its claims, and one line for each in the registry below.

mod euler;
mod heun;
mod leimkuhler_matthews;
mod sea;
mod shark;
mod slow_rk;
mod spark;
mod sra1;
mod sra3;
mod sriw1;
mod sriw2;
mod tamed_euler;

pub use euler::EulerMaruyama;
pub use heun::Heun;
pub use leimkuhler_matthews::LeimkuhlerMatthews;
pub use sea::Sea;
pub use shark::Shark;
pub use slow_rk::SlowRk;
pub use spark::Spark;
pub use sra1::Sra1;
pub use sra3::Sra3;
pub use sriw1::Sriw1;
pub use sriw2::Sriw2;
pub use tamed_euler::TamedEuler;

use super::kinds::{Additive, Commutative, Diagonal};
use super::{Claims, Either, Integrator, Ito, Method, ReadsAs, Sde, Stratonovich, Within};
use crate::Real;
use crate::simd::W;

/// What the files of the methods use.
mod prelude {
    pub(super) use super::super::kinds::{Additive, CalculusKind, Either, Ito, NoiseKind, ReadsAs};
    pub(super) use super::super::surd::Surd;
    pub(super) use super::super::tableau::{Mix, RungeKutta, Stage, Tableau, runge_kutta};
    pub(super) use super::super::{Claims, Increment, Integrator, Method, Needs, Orders, Sde, Step};
    pub(super) use super::Vectors;
    pub(super) use crate::Real;
    pub(super) use crate::simd::W;

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

/// Something done with every method for the equations `S`.
pub trait Visitor<R: Real, S: Sde<R>> {
    /// Does it with `method`.
    fn visit<I: Integrator<R, S>>(&mut self, method: &I);
}

/// A section of the registry: a function that shows each of its methods to a visitor, and their claims as data.
macro_rules! section {
    ($(#[$doc:meta])* $name:ident where [$($bound:tt)+]: $($M:ident),+ $(,)?) => {
        $(#[$doc])*
        pub fn $name<R: Real, S: Sde<R>, V: Visitor<R, S>>(visitor: &mut V)
        where
            $($bound)+
        {
            $(visitor.visit(&$M);)+
        }
    };
}

macro_rules! registry {
    ($($(#[$doc:meta])* $name:ident where [$($bound:tt)+]: $($M:ident),+;)+) => {
        $(section!($(#[$doc])* $name where [$($bound)+]: $($M),+);)+
        /// The claims of all methods, in the order of the registry; a method that stands in several sections comes once.
        pub fn claims() -> Vec<Claims> {
            let mut all: Vec<Claims> = Vec::new();
            for claims in [$($($M::CLAIMS),+),+] {
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
    additive where [S: Sde<R, Noise = Additive, Calculus = Either>]:
        EulerMaruyama, TamedEuler, LeimkuhlerMatthews, Heun, Sea, Sra1, Sra3, Shark, Spark;
    /// Ito methods for diagonal noise.
    diagonal where [S::Noise: Within<Diagonal>, S::Calculus: ReadsAs<Ito>]: EulerMaruyama, TamedEuler, Sriw1, Sriw2;
    /// Stratonovich methods for commutative noise.
    commutative where [S::Noise: Within<Commutative>, S::Calculus: ReadsAs<Stratonovich>]: Heun, Spark, SlowRk;
}
