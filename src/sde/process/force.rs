//! Forces and scores: vector fields that Langevin dynamics follow.

use crate::mixture::Evaluator;
use crate::sde::{Sde, Time, positive};
use crate::simd::W;
use crate::{Real, Result};
use std::marker::PhantomData;

/// A force F(x, t), minus the gradient of a potential U. The score grad log pi of a law is the force of
/// U = -log pi.
///
/// A mixture's [`Evaluator`] is its score, and [`DriftOf`] takes the drift of any [`Sde`]. Closures become
/// forces by [`force_fn`] and [`force_blocks`].
pub trait Force<R: Real>: Sync {
    /// Working memory of one block of paths.
    type Scratch: Send;
    /// The dimension d.
    fn dim(&self) -> usize;
    /// Working memory for [`Force::force`].
    fn scratch(&self) -> Self::Scratch;
    /// `f` = F(x, t) of [`W`] points. `x`, `f`: d blocks, paths last.
    fn force<const FMA: bool>(&self, t: &Time, x: &[[R; W]], f: &mut [[R; W]], scratch: &mut Self::Scratch);
}

impl<R: Real> Force<R> for Evaluator<R> {
    type Scratch = Vec<[R; W]>;
    fn dim(&self) -> usize {
        Evaluator::dim(self)
    }
    fn scratch(&self) -> Vec<[R; W]> {
        Evaluator::scratch(self)
    }
    #[inline(always)]
    fn force<const FMA: bool>(&self, _t: &Time, x: &[[R; W]], f: &mut [[R; W]], scratch: &mut Vec<[R; W]>) {
        self.score_block::<FMA>(x, f, scratch);
    }
}

/// The drift of an equation as a force: that of [`DoubleWell`](super::DoubleWell), say, for a particle with a
/// velocity.
#[derive(Debug, Clone, Copy)]
pub struct DriftOf<S>(pub S);

impl<R: Real, S: Sde<R>> Force<R> for DriftOf<S> {
    type Scratch = S::Scratch;
    fn dim(&self) -> usize {
        self.0.dim()
    }
    fn scratch(&self) -> S::Scratch {
        self.0.scratch()
    }
    #[inline(always)]
    fn force<const FMA: bool>(&self, t: &Time, x: &[[R; W]], f: &mut [[R; W]], scratch: &mut S::Scratch) {
        self.0.drift::<FMA>(t, x, f, scratch);
    }
}

/// The spring F = -omega^2 x, U = omega^2 |x|^2 / 2.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Harmonic {
    dim: usize,
    omega: f64,
}

impl Harmonic {
    /// A spring of angular frequency `omega` (1 / time) in `dim` dimensions.
    ///
    /// # Errors
    /// No dimension; `omega` not positive.
    pub fn new(dim: usize, omega: f64) -> Result<Self> {
        Ok(Harmonic { dim: super::dimension("harmonic force", dim)?, omega: positive("harmonic force: omega", omega)? })
    }

    /// omega.
    pub fn omega(&self) -> f64 {
        self.omega
    }
}

impl<R: Real> Force<R> for Harmonic {
    type Scratch = ();
    fn dim(&self) -> usize {
        self.dim
    }
    fn scratch(&self) {}
    #[inline(always)]
    fn force<const FMA: bool>(&self, _t: &Time, x: &[[R; W]], f: &mut [[R; W]], (): &mut ()) {
        super::scaled([R::of(-self.omega * self.omega); W], x, f);
    }
}

/// A closure (t, x, out) over one row: see [`force_fn`].
#[derive(Debug, Clone, Copy)]
pub struct Rowwise<R, F> {
    dim: usize,
    f: F,
    number: PhantomData<fn(R)>,
}

/// The force that the closure `f`(t, x, out) writes to `out` for one point x; both have `dim` numbers. NaN or
/// infinity ends a simulation with the error that names path and step.
///
/// ```
/// use ndsm::rng::Purpose;
/// use ndsm::sde::{Grid, LeimkuhlerMatthews, Overdamped, Paths, force_fn, simulate};
/// // The score of the logistic law: log pi = -x - 2 log(1 + e^-x), so grad log pi = -tanh(x/2).
/// let score = force_fn(1, |_t, x: &[f64], s| s[0] = -(x[0] / 2.0).tanh())?;
/// let mut x = vec![0.0; 4000];
/// let paths = Paths { seed: 0, purpose: Purpose::Test, step: 0 };
/// let sde = Overdamped::toward(score, 1.0)?;
/// simulate(&LeimkuhlerMatthews, &sde, &Grid::Uniform.times(40.0, 200)?, &mut x, paths)?;
/// let variance = x.iter().map(|x| x * x).sum::<f64>() / 4000.0;
/// assert!((variance - std::f64::consts::PI.powi(2) / 3.0).abs() < 0.4, "{variance}");
/// # Ok::<(), ndsm::Error>(())
/// ```
///
/// # Errors
/// No dimension.
pub fn force_fn<R: Real, F: Fn(f64, &[R], &mut [R]) + Sync>(dim: usize, f: F) -> Result<Rowwise<R, F>> {
    Ok(Rowwise { dim: super::dimension("force", dim)?, f, number: PhantomData })
}

impl<R: Real, F: Fn(f64, &[R], &mut [R]) + Sync> Force<R> for Rowwise<R, F> {
    type Scratch = [Vec<R>; 2];
    fn dim(&self) -> usize {
        self.dim
    }
    fn scratch(&self) -> [Vec<R>; 2] {
        [vec![R::zero(); self.dim], vec![R::zero(); self.dim]]
    }
    #[inline(always)]
    fn force<const FMA: bool>(&self, t: &Time, x: &[[R; W]], f: &mut [[R; W]], [row, out]: &mut [Vec<R>; 2]) {
        for i in 0..W {
            row.iter_mut().zip(x).for_each(|(r, x)| *r = x[i]);
            (self.f)(t.of(i), row, out);
            f.iter_mut().zip(&*out).for_each(|(f, o)| f[i] = *o);
        }
    }
}

/// A closure over blocks of rows with a state of its own: see [`force_blocks`].
#[derive(Debug, Clone, Copy)]
pub struct Blockwise<R, M, F> {
    dim: usize,
    make: M,
    f: F,
    number: PhantomData<fn(R)>,
}

/// The force that the closure `f`(state, t, x, out) writes to `out` for [`W`] points at once, the rows of `x`
/// [W, dim]: for networks, which want many rows and working memory. `make` makes the state of each thread. A
/// closure that fails writes NaN, and the simulation ends with the error that names path and step.
///
/// # Errors
/// No dimension.
pub fn force_blocks<R, S, M, F>(dim: usize, make: M, f: F) -> Result<Blockwise<R, M, F>>
where
    R: Real,
    M: Fn() -> S + Sync,
    F: Fn(&mut S, &Time, &[R], &mut [R]) + Sync,
{
    Ok(Blockwise { dim: super::dimension("force", dim)?, make, f, number: PhantomData })
}

impl<R, S, M, F> Force<R> for Blockwise<R, M, F>
where
    R: Real,
    S: Send,
    M: Fn() -> S + Sync,
    F: Fn(&mut S, &Time, &[R], &mut [R]) + Sync,
{
    type Scratch = (S, [Vec<R>; 2]);
    fn dim(&self) -> usize {
        self.dim
    }
    fn scratch(&self) -> Self::Scratch {
        let rows = || vec![R::zero(); W * self.dim];
        ((self.make)(), [rows(), rows()])
    }
    #[inline(always)]
    fn force<const FMA: bool>(&self, t: &Time, x: &[[R; W]], f: &mut [[R; W]], (state, [rows, out]): &mut Self::Scratch) {
        crate::simd::store(x, rows);
        (self.f)(state, t, rows, out);
        crate::simd::load(out, f);
    }
}
