//! What an integrator is: its claims, as data, and one step.

use super::{CalculusKind, NoiseKind, Sde, Step, Tableau};
use crate::Real;
use crate::simd::W;

/// Which functionals of the Brownian path over a step a method needs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Needs {
    /// Nothing: an ordinary differential equation.
    Nothing,
    /// The increment W.
    W,
    /// W and the space-time Levy area H.
    Wh,
}

/// Orders of convergence for one kind of noise, as the step goes to 0.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Orders {
    /// The kind of noise.
    pub noise: NoiseKind,
    /// Strong order: (E|X_T - x_N|^2)^(1/2) = O(h^strong).
    pub strong: f64,
    /// Weak order: E phi(X_T) - E phi(x_N) = O(h^weak) for smooth phi.
    pub weak: f64,
}

impl Orders {
    /// The orders `strong` and `weak` for `noise`.
    pub const fn of(noise: NoiseKind, strong: f64, weak: f64) -> Self {
        Orders { noise, strong, weak }
    }
}

/// What a method says of itself. The [table of methods](super::method::table) is printed from it, and
/// `ndsm audit integrators` measures it.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Claims {
    /// The name in tables and audits.
    pub name: &'static str,
    /// The calculus whose solution it converges to.
    pub calculus: CalculusKind,
    /// What it needs of the Brownian path.
    pub needs: Needs,
    /// The kinds of noise that it is for, each with its orders.
    pub orders: &'static [Orders],
    /// Order at which the invariant law of Langevin dynamics is met; infinite if exactly.
    pub invariant: Option<f64>,
    /// Evaluations of the drift in a step.
    pub drifts: usize,
    /// Where it comes from.
    pub source: &'static str,
}

impl Claims {
    /// The orders for `noise`, if the method is for it.
    pub fn for_noise(&self, noise: NoiseKind) -> Option<Orders> {
        self.orders.iter().copied().find(|o| o.noise == noise)
    }
}

/// What a method claims.
pub trait Method: Sync {
    /// The claims.
    const CLAIMS: Claims;
}

/// The Brownian path over one step, for [`W`] paths. H = (1/h) int (B_s - B_t - (s - t)/h W) ds ~ N(0, h/12),
/// independent of W ~ N(0, h): what the path does inside of the step, seen from its mean.
#[derive(Debug, Clone, Copy)]
pub struct Increment<'a, R> {
    /// W: m blocks, paths last.
    pub w: &'a [[R; W]],
    /// H, or nothing where the method does not need it.
    pub h: &'a [[R; W]],
}

/// One step of a method for the equations `S`.
pub trait Integrator<R: Real, S: Sde<R>>: Method {
    /// Its coefficients, where it is a tableau and nothing else: [`tableau::step`](super::tableau::step) is then its step.
    const COEFFICIENTS: Option<Tableau> = None;
    /// Working memory for a block of paths; made once per thread, so that a step allocates nothing.
    type Memory: Send;
    /// Makes it.
    fn memory(&self, sde: &S) -> Self::Memory;
    /// Moves `x` (d blocks, paths last) over `step`.
    fn step<const FMA: bool>(
        &self,
        sde: &S,
        step: &Step,
        path: Increment<'_, R>,
        x: &mut [[R; W]],
        memory: &mut Self::Memory,
        scratch: &mut S::Scratch,
    );
    /// What is reported for the state `x`, where that is not `x` itself; `path` is the one of the step that
    /// would follow.
    #[inline(always)]
    fn report<const FMA: bool>(
        &self,
        _sde: &S,
        _step: &Step,
        _path: Increment<'_, R>,
        _x: &mut [[R; W]],
        _memory: &mut Self::Memory,
        _scratch: &mut S::Scratch,
    ) {
    }
    /// Whether [`Integrator::report`] does anything.
    fn reports(&self) -> bool {
        false
    }
}
