use super::matrix::Matrix;
use super::{Force, scaled};
use crate::linalg::Cholesky;
use crate::sde::kinds::{Additive, Either};
use crate::sde::{Sde, Time, positive};
use crate::simd::W;
use crate::{Error, Real, Result};
use ndarray::ArrayView2;

/// Langevin dynamics with a constant mobility M, positive definite: dX = (beta/2) M grad log pi(X) dt +
/// sqrt(beta) L dB, L L^T = M. pi is invariant for every M; with M near the covariance of pi all directions
/// relax at the same speed. beta M: square of X / time.
#[derive(Debug, Clone)]
pub struct Preconditioned<F> {
    score: F,
    beta: f64,
    mobility: Matrix,
    factor: Matrix,
}

impl<F> Preconditioned<F> {
    /// Dynamics at speed `beta` toward the law whose score is `score`, with the mobility matrix `mobility`
    /// [d, d]; L is its Cholesky factor.
    ///
    /// # Errors
    /// `beta` not positive; `Shape` if the mobility is not [d, d]; `NotPositiveDefinite`.
    pub fn new<R: Real>(score: F, beta: f64, mobility: ArrayView2<f64>) -> Result<Self>
    where
        F: Force<R>,
    {
        let d = score.dim();
        if mobility.dim() != (d, d) {
            return Err(Error::shape("preconditioned Langevin", format!("a mobility [{d}, {d}]"), &[mobility.shape()]));
        }
        let cholesky = Cholesky::new(mobility).map_err(|e| e.within("preconditioned Langevin: mobility"))?;
        let beta = positive("preconditioned Langevin: beta", beta)?;
        // Cholesky reads the lower triangle; the drift must use the same matrix.
        let lower = cholesky.lower();
        Ok(Preconditioned { score, beta, mobility: Matrix::new(lower.dot(&lower.t()).view()), factor: Matrix::new(lower) })
    }
}

impl<R: Real, F: Force<R>> Sde<R> for Preconditioned<F> {
    type Noise = Additive;
    type Calculus = Either;
    /// That of the score, and a vector.
    type Scratch = (F::Scratch, Vec<[R; W]>);
    fn dim(&self) -> usize {
        self.score.dim()
    }
    fn scratch(&self) -> Self::Scratch {
        (self.score.scratch(), vec![[R::zero(); W]; self.score.dim()])
    }
    #[inline(always)]
    fn drift<const FMA: bool>(&self, t: &Time, x: &[[R; W]], f: &mut [[R; W]], (scratch, s): &mut Self::Scratch) {
        self.score.force::<FMA>(t, x, f, scratch);
        scaled([R::of(self.beta / 2.0); W], f, s);
        self.mobility.times::<R, FMA>(s, f);
    }
    #[inline(always)]
    fn diffuse<const FMA: bool>(&self, _t: &Time, _x: &[[R; W]], w: &[[R; W]], g: &mut [[R; W]], (_, s): &mut Self::Scratch) {
        scaled([R::of(self.beta.sqrt()); W], w, s);
        self.factor.times::<R, FMA>(s, g);
    }
}
