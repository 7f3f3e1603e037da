//! The integrators: a file for each, with its claims and the sections of the registry that it belongs to.
//!
//! To add one, write its file and put the file's name into the registry below: from then on
//! `ndsm audit integrators` measures it against its claims. What they claim, as the claims print it
//! ([`table`]; strong and weak orders for each kind of noise, the order at which the invariant law of
//! Langevin dynamics is met, what is needed of the Brownian path, evaluations of the drift in a step; where
//! nothing stands nothing is claimed):
//!
#![doc = include_str!("claims.md")]

mod registry;
mod table;

pub use registry::Visitor;
pub use table::table;

use super::kinds::{Additive, Commutative, Diagonal, Scalar};
use super::smooth::{Expansion, Second};
use super::{Claims, Either, Increment, Ito, Kinetic, ReadsAs, Sde, Semilinear, Smooth, Step, Stratonovich, Within};
use crate::Real;
use crate::real::Dual;
use crate::simd::W;
use registry::{File, registry, section};

registry![
    euler,
    tamed_euler,
    leimkuhler_matthews,
    heun,
    sea,
    sra1,
    sra3,
    shark,
    spark,
    sk_srock,
    kloeden_platen,
    local_linear,
    exponential,
    baoab,
    milstein,
    sriw1,
    sriw2,
    kloeden_platen_scalar,
    slow_rk,
    component_wise,
];

/// What the files of the methods use.
mod prelude {
    pub(super) use super::super::kinds::{
        Additive, CalculusKind, Commutative, Diagonal, Either, Ito, Noise, NoiseKind, ReadsAs, Scalar, Stratonovich, Within,
    };
    pub(super) use super::super::smooth::Second;
    pub(super) use super::super::surd::Surd;
    pub(super) use super::super::tableau::{Mix, RungeKutta, Stage, Tableau, runge_kutta};
    pub(super) use super::super::{Claims, Increment, Integrator, Kinetic, Method, Needs, Orders, Sde, Semilinear, Smooth, Step};
    pub(super) use super::registry::{File, Visitor, enter, section};
    pub(super) use super::tamed_euler::tamed;
    pub(super) use super::{SmoothVectors, Vectors};
    pub(super) use crate::Real;
    pub(super) use crate::linalg::lanes;
    pub(super) use crate::real::Dual;
    pub(super) use crate::simd::W;

    /// What Euler's method and its stabilised relatives have: order 1 where Milstein's correction is 0, else
    /// 1/2.
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
