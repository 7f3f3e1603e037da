//! Overdamped Langevin dynamics toward a Gaussian mixture: the nonlinear noising process.

use super::scaled;
use crate::mixture::{Curvature, CurvatureMemory, Evaluator, Mixture};
use crate::sde::kinds::{Additive, Either};
use crate::sde::{Isotropic, Sde, Semilinear, Smooth, Time, positive};
use crate::simd::W;
use crate::{Real, Result};

/// dX = (beta/2) grad log pi(X) dt + sqrt(beta) dB (eq. 2). pi is invariant, and X_T ~ pi once every mode has forgotten where
/// its paths came from; the modes and their weights need not be crossed, because pi has them already.
#[derive(Debug, Clone)]
pub struct Langevin<R: Real> {
    mixture: Mixture,
    pi: Evaluator<R>,
    beta: f64,
}

impl<R: Real> Langevin<R> {
    /// Langevin dynamics toward `pi` at speed `beta` (1 / time).
    ///
    /// # Errors
    /// `beta` not positive.
    pub fn new(pi: &Mixture, beta: f64) -> Result<Self> {
        let beta = positive("beta", beta)?;
        Ok(Langevin { mixture: pi.clone(), pi: Evaluator::new(pi), beta })
    }

    /// The reference law pi.
    pub fn mixture(&self) -> &Mixture {
        &self.mixture
    }

    /// The reference law, in the form for hot loops.
    pub fn reference(&self) -> &Evaluator<R> {
        &self.pi
    }

    /// beta.
    pub fn beta(&self) -> f64 {
        self.beta
    }
}

impl<R: Real> Sde<R> for Langevin<R> {
    type Noise = Additive;
    type Calculus = Either;
    type Scratch = Vec<[R; W]>;
    fn dim(&self) -> usize {
        self.pi.dim()
    }
    fn scratch(&self) -> Vec<[R; W]> {
        self.pi.scratch()
    }
    #[inline(always)]
    fn drift<const FMA: bool>(&self, _t: &Time, x: &[[R; W]], f: &mut [[R; W]], scratch: &mut Vec<[R; W]>) {
        self.pi.score_block::<FMA>(x, f, scratch);
        let half = R::of(self.beta / 2.0);
        f.as_flattened_mut().iter_mut().for_each(|v| *v *= half);
    }
    #[inline(always)]
    fn diffuse<const FMA: bool>(&self, _t: &Time, _x: &[[R; W]], w: &[[R; W]], g: &mut [[R; W]], _scratch: &mut Vec<[R; W]>) {
        scaled([R::of(self.beta.sqrt()); W], w, g);
    }
}

impl<R: Real> Isotropic<R> for Langevin<R> {
    fn sigma(&self, _t: f64) -> f64 {
        self.beta.sqrt()
    }
}

/// J = (beta/2) H, M = (1/2) tr(beta D^2 f) = (beta/2)^2 grad tr H, H the Hessian of ln pi.
impl<R: Real> Smooth<R> for Langevin<R> {
    type Derivatives = (Curvature<R>, CurvatureMemory<R>);
    fn derivatives_memory(&self) -> Self::Derivatives {
        let curvature = Curvature::new(&self.mixture);
        let memory = curvature.memory();
        (curvature, memory)
    }
    #[inline(always)]
    fn derivatives<const FMA: bool>(
        &self,
        _t: &Time,
        x: &[[R; W]],
        f: &mut [[R; W]],
        jacobian: &mut [[R; W]],
        m: &mut [[R; W]],
        (curvature, memory): &mut Self::Derivatives,
    ) {
        curvature.block::<FMA>(x, f, jacobian, m, memory);
        let half = R::of(self.beta / 2.0);
        for (out, factor) in [(f, half), (jacobian, half), (m, half * half)] {
            out.as_flattened_mut().iter_mut().for_each(|v| *v *= factor);
        }
    }
}

/// The linear part of the standard normal law, -(beta/2) x: what is left is bounded where pi has that law's scale.
impl<R: Real> Semilinear<R> for Langevin<R> {
    fn rate(&self, _j: usize) -> f64 {
        self.beta / 2.0
    }
}
