//! Equations whose coordinates go their own ways.

use crate::Real;
use crate::sde::kinds::General;
use crate::sde::{Calculus, Sde, Time, Within};
use crate::simd::W;

/// An autonomous equation without coupling, dX_j = f_j(X_j) dt + s_j(X_j) dB_j, by its two formulas: for any
/// kind of number, dual numbers too, from which methods take derivatives. It is an [`Sde`] by them.
///
/// ```
/// use ndsm::rng::Purpose;
/// use ndsm::sde::kinds::Scalar;
/// use ndsm::sde::{Grid, Ito, Milstein, Paths, Pointwise, simulate};
/// use ndsm::Real;
///
/// /// Logistic growth with noise, Ito: dX = X (1 - X) dt + X/4 dB.
/// struct Logistic;
/// impl Pointwise for Logistic {
///     type Noise = Scalar;
///     type Calculus = Ito;
///     fn dim(&self) -> usize {
///         1
///     }
///     fn drift<R: Real>(&self, _j: usize, x: R) -> R {
///         x * (R::one() - x)
///     }
///     fn sigma<R: Real>(&self, _j: usize, x: R) -> R {
///         R::of(0.25) * x
///     }
/// }
/// let mut x = vec![0.1; 1000];
/// let paths = Paths { seed: 0, purpose: Purpose::Test, step: 0 };
/// simulate(&Milstein, &Logistic, &Grid::Uniform.times(20.0, 200)?, &mut x, paths)?;
/// // In the stationary law E X = 1 - (1/4)^2/2.
/// assert!((x.iter().sum::<f64>() / 1000.0 - 0.969).abs() < 0.02);
/// # Ok::<(), ndsm::Error>(())
/// ```
pub trait Pointwise: Sync {
    /// [`Sde::Noise`].
    type Noise: Within<General>;
    /// [`Sde::Calculus`].
    type Calculus: Calculus;
    /// The dimension d.
    fn dim(&self) -> usize;
    /// f_j(x). Write `#[inline(always)]` before it, so that it is compiled for the vectors of the machine.
    fn drift<R: Real>(&self, j: usize, x: R) -> R;
    /// s_j(x); where the noise is additive it does not look at `x`. `#[inline(always)]`, too.
    fn sigma<R: Real>(&self, j: usize, x: R) -> R;
}

impl<R: Real, P: Pointwise> Sde<R> for P {
    type Noise = P::Noise;
    type Calculus = P::Calculus;
    type Scratch = ();
    fn dim(&self) -> usize {
        Pointwise::dim(self)
    }
    fn scratch(&self) {}
    #[inline(always)]
    fn drift<const FMA: bool>(&self, _t: &Time, x: &[[R; W]], f: &mut [[R; W]], (): &mut ()) {
        for (j, (f, x)) in f.iter_mut().zip(x).enumerate() {
            // By value: slices that might overlap are not vectorised.
            let (x, mut y) = (*x, [R::zero(); W]);
            for i in 0..W {
                y[i] = Pointwise::drift(self, j, x[i]);
            }
            *f = y;
        }
    }
    #[inline(always)]
    fn diffuse<const FMA: bool>(&self, _t: &Time, x: &[[R; W]], w: &[[R; W]], g: &mut [[R; W]], (): &mut ()) {
        for (j, ((g, x), w)) in g.iter_mut().zip(x).zip(w).enumerate() {
            let (x, w, mut y) = (*x, *w, [R::zero(); W]);
            for i in 0..W {
                y[i] = self.sigma(j, x[i]) * w[i];
            }
            *g = y;
        }
    }
}
