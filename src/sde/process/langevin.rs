//! Overdamped Langevin dynamics: the nonlinear noising process.

use super::{Force, scaled};
use crate::mixture::{Curvature, CurvatureMemory, Evaluator, Mixture};
use crate::sde::kinds::{Additive, Either};
use crate::sde::{Isotropic, Sde, Semilinear, Smooth, Time, positive};
use crate::simd::W;
use crate::{Real, Result};

/// dX = (beta/2) grad log pi(X) dt + sqrt(beta) dB (eq. 2), toward any law pi whose score is a [`Force`]. pi
/// is invariant. beta: 1 / time in the units of the square of X.
#[derive(Debug, Clone, Copy)]
pub struct Overdamped<F> {
    score: F,
    beta: f64,
}

/// The same toward a Gaussian mixture. X_T ~ pi once every mode has forgotten where its paths came from; the
/// modes and their weights need not be crossed, because pi has them already.
pub type Langevin<R> = Overdamped<MixtureScore<R>>;

/// The score of a Gaussian mixture, with the mixture.
#[derive(Debug, Clone)]
pub struct MixtureScore<R: Real> {
    mixture: Mixture,
    pi: Evaluator<R>,
}

impl<R: Real> Force<R> for MixtureScore<R> {
    type Scratch = Vec<[R; W]>;
    fn dim(&self) -> usize {
        self.pi.dim()
    }
    fn scratch(&self) -> Vec<[R; W]> {
        self.pi.scratch()
    }
    #[inline(always)]
    fn force<const FMA: bool>(&self, _t: &Time, x: &[[R; W]], f: &mut [[R; W]], scratch: &mut Vec<[R; W]>) {
        self.pi.score_block::<FMA>(x, f, scratch);
    }
}

impl<R: Real> Langevin<R> {
    /// Langevin dynamics toward `pi` at speed `beta` (1 / time).
    ///
    /// # Errors
    /// `beta` not positive.
    pub fn new(pi: &Mixture, beta: f64) -> Result<Self> {
        Overdamped::toward(MixtureScore { mixture: pi.clone(), pi: Evaluator::new(pi) }, beta)
    }

    /// The reference law pi.
    pub fn mixture(&self) -> &Mixture {
        &self.score.mixture
    }

    /// The reference law, in the form for hot loops.
    pub fn reference(&self) -> &Evaluator<R> {
        &self.score.pi
    }
}

impl<F> Overdamped<F> {
    /// Langevin dynamics at speed `beta` toward the law whose score is `score`.
    ///
    /// # Errors
    /// `beta` not positive.
    pub fn toward(score: F, beta: f64) -> Result<Self> {
        Ok(Overdamped { score, beta: positive("beta", beta)? })
    }

    /// beta.
    pub fn beta(&self) -> f64 {
        self.beta
    }
}

impl<R: Real, F: Force<R>> Sde<R> for Overdamped<F> {
    type Noise = Additive;
    type Calculus = Either;
    type Scratch = F::Scratch;
    fn dim(&self) -> usize {
        self.score.dim()
    }
    fn scratch(&self) -> F::Scratch {
        self.score.scratch()
    }
    #[inline(always)]
    fn drift<const FMA: bool>(&self, t: &Time, x: &[[R; W]], f: &mut [[R; W]], scratch: &mut F::Scratch) {
        self.score.force::<FMA>(t, x, f, scratch);
        let half = R::of(self.beta / 2.0);
        f.as_flattened_mut().iter_mut().for_each(|v| *v *= half);
    }
    #[inline(always)]
    fn diffuse<const FMA: bool>(&self, _t: &Time, _x: &[[R; W]], w: &[[R; W]], g: &mut [[R; W]], _scratch: &mut F::Scratch) {
        scaled([R::of(self.beta.sqrt()); W], w, g);
    }
}

impl<R: Real, F: Force<R>> Isotropic<R> for Overdamped<F> {
    fn sigma(&self, _t: f64) -> f64 {
        self.beta.sqrt()
    }
}

/// J = (beta/2) H, M = (1/2) tr(beta D^2 f) = (beta/2)^2 grad tr H, H the Hessian of ln pi.
impl<R: Real> Smooth<R> for Langevin<R> {
    type Derivatives = (Curvature<R>, CurvatureMemory<R>);
    fn derivatives_memory(&self) -> Self::Derivatives {
        let curvature = Curvature::new(self.mixture());
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

/// The linear part of the standard normal law, -(beta/2) x: what is left is bounded where pi has that law's
/// scale.
impl<R: Real> Semilinear<R> for Langevin<R> {
    fn rate(&self, _j: usize) -> f64 {
        self.beta / 2.0
    }
}
