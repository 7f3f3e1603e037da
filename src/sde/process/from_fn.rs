//! Equations made of closures.

use super::{Force, Rowwise, force_fn, scaled};
use crate::sde::kinds::{Additive, Diagonal, Either, Ito};
use crate::sde::{Isotropic, Sde, Time, positive};
use crate::simd::W;
use crate::{Real, Result};

/// An equation with the drift F, any [`Force`], and the noise N: see [`from_fn`] and [`from_fn_diagonal`].
#[derive(Debug, Clone, Copy)]
pub struct FromFn<F, N> {
    drift: F,
    noise: N,
}

/// Isotropic noise.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Sigma(f64);

/// dX = f(X, t) dt + sigma dB, where the closure `drift`(t, x, f) writes the drift at one point x; both
/// slices have `dim` numbers. NaN or infinity ends a simulation with the error that names path and step.
///
/// ```
/// use ndsm::rng::Purpose;
/// use ndsm::sde::{Grid, Paths, Sra1, from_fn, simulate};
/// let pendulum = from_fn(2, |_t, x, f| (f[0], f[1]) = (x[1], -f64::sin(x[0])), 0.1)?;
/// let (mut x, paths) = ([1.0, 0.0], Paths { seed: 0, purpose: Purpose::Test, step: 0 });
/// simulate(&Sra1, &pendulum, &Grid::Uniform.times(1.0, 100)?, &mut x, paths)?;
/// # Ok::<(), ndsm::Error>(())
/// ```
///
/// # Errors
/// No dimension; `sigma` not positive.
pub fn from_fn<R, F>(dim: usize, drift: F, sigma: f64) -> Result<FromFn<Rowwise<R, F>, Sigma>>
where
    R: Real,
    F: Fn(f64, &[R], &mut [R]) + Sync,
{
    Ok(FromFn { drift: force_fn(dim, drift)?, noise: Sigma(positive("sigma", sigma)?) })
}

/// dX_j = f_j(X, t) dt + s_j(X_j, t) dB_j, Ito. The closure `noise`(t, x, s) writes the coefficients s; s_j
/// may depend on no other coordinate than x_j, which is what methods for diagonal noise rest on.
///
/// # Errors
/// No dimension.
pub fn from_fn_diagonal<R, F, G>(dim: usize, drift: F, noise: G) -> Result<FromFn<Rowwise<R, F>, Rowwise<R, G>>>
where
    R: Real,
    F: Fn(f64, &[R], &mut [R]) + Sync,
    G: Fn(f64, &[R], &mut [R]) + Sync,
{
    Ok(FromFn { drift: force_fn(dim, drift)?, noise: force_fn(dim, noise)? })
}

impl<R: Real, F: Force<R>> Sde<R> for FromFn<F, Sigma> {
    type Noise = Additive;
    type Calculus = Either;
    type Scratch = F::Scratch;
    fn dim(&self) -> usize {
        self.drift.dim()
    }
    fn scratch(&self) -> F::Scratch {
        self.drift.scratch()
    }
    #[inline(always)]
    fn drift<const FMA: bool>(&self, t: &Time, x: &[[R; W]], f: &mut [[R; W]], scratch: &mut F::Scratch) {
        self.drift.force::<FMA>(t, x, f, scratch);
    }
    #[inline(always)]
    fn diffuse<const FMA: bool>(&self, _t: &Time, _x: &[[R; W]], w: &[[R; W]], g: &mut [[R; W]], _scratch: &mut F::Scratch) {
        scaled([R::of(self.noise.0); W], w, g);
    }
}

impl<R: Real, F: Force<R>> Isotropic<R> for FromFn<F, Sigma> {
    fn sigma(&self, _t: f64) -> f64 {
        self.noise.0
    }
}

impl<R, F, G> Sde<R> for FromFn<F, Rowwise<R, G>>
where
    R: Real,
    F: Force<R>,
    G: Fn(f64, &[R], &mut [R]) + Sync,
{
    type Noise = Diagonal;
    type Calculus = Ito;
    type Scratch = (F::Scratch, [Vec<R>; 2]);
    fn dim(&self) -> usize {
        self.drift.dim()
    }
    fn scratch(&self) -> Self::Scratch {
        (self.drift.scratch(), self.noise.scratch())
    }
    #[inline(always)]
    fn drift<const FMA: bool>(&self, t: &Time, x: &[[R; W]], f: &mut [[R; W]], (scratch, _): &mut Self::Scratch) {
        self.drift.force::<FMA>(t, x, f, scratch);
    }
    #[inline(always)]
    fn diffuse<const FMA: bool>(&self, t: &Time, x: &[[R; W]], w: &[[R; W]], g: &mut [[R; W]], (_, scratch): &mut Self::Scratch) {
        self.noise.force::<FMA>(t, x, g, scratch);
        for (g, w) in g.iter_mut().zip(w) {
            for i in 0..W {
                g[i] *= w[i];
            }
        }
    }
}
