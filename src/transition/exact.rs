//! The first row of (13): the laws of linear equations, in closed form.

use super::law::{Factor, Full, OneStep, Scalar};
use crate::Real;
use crate::linalg::Cholesky;
use crate::sde::{Linear, LinearLaw, MatrixLaw, ScalarLaw, Sde, Step, Time};
use crate::simd::W;
use std::ops::Range;

/// The law of a linear equation itself, m = E x + c and C = Q, for a step of any length: no error but
/// rounding.
///
/// Noise that reaches only some of the coordinates, as that of [`crate::sde::Underdamped`] the velocities,
/// reaches the others through the drift: over h > 0 the covariance has full rank. Where the drift does not
/// carry it there, there is no density, and scores and densities are NaN.
///
/// ```
/// use ndarray::array;
/// use ndsm::sde::Underdamped;
/// use ndsm::transition::{Exact, rows};
/// // Position and velocity of a critically damped spring; after a long time both are N(0, 1), independent.
/// let law = Exact(Underdamped::critically_damped(1, 1.0, 1.0)?);
/// let (x, y) = (array![[2.0, 0.0]], array![[0.5, -1.0]]);
/// let score: ndarray::Array2<f64> = rows::score(&law, 0.0, 50.0, x.view(), y.view())?;
/// assert!((score[[0, 0]] + 0.5).abs() < 1e-12 && (score[[0, 1]] - 1.0).abs() < 1e-12);
/// # Ok::<(), ndsm::Error>(())
/// ```
#[derive(Debug, Clone, Copy)]
pub struct Exact<S>(pub S);

/// A Gaussian law whose covariance has a [`Factor`].
pub trait Factored: LinearLaw + Send {
    /// How L is stored.
    type Factor<R: Real>: Factor<R>;
    /// Writes L for the paths `lanes`: in f64 for every precision, because the variances of positions and
    /// velocities are powers of the step apart. NaN where C is not positive definite.
    fn factor<R: Real>(&self, lanes: Range<usize>, out: &mut Self::Factor<R>);
}

impl Factored for ScalarLaw {
    type Factor<R: Real> = Scalar<R>;
    fn factor<R: Real>(&self, lanes: Range<usize>, out: &mut Scalar<R>) {
        out.s[lanes].fill(R::of(if self.sd() > 0.0 { self.sd() } else { f64::NAN }));
    }
}

impl Factored for MatrixLaw {
    type Factor<R: Real> = Full<R>;
    fn factor<R: Real>(&self, lanes: Range<usize>, out: &mut Full<R>) {
        match Cholesky::new(self.covariance().view()) {
            Ok(c) => out.l.iter_mut().zip(c.lower()).for_each(|(out, l)| out[lanes.clone()].fill(R::of(*l))),
            Err(_) => out.l.iter_mut().for_each(|out| out[lanes.clone()].fill(R::of(f64::NAN))),
        }
    }
}

/// The laws of the last step, kept for the next block of paths: one if all paths share it, else one for each.
#[derive(Debug)]
pub struct Laws<L, R> {
    step: Option<Step>,
    /// None where there is no law.
    laws: Vec<Option<L>>,
    mean: Vec<[R; W]>,
}

impl<R, S> OneStep<R> for Exact<S>
where
    R: Real,
    S: Linear<Transition: Factored> + Sde<R>,
{
    type Factor = <S::Transition as Factored>::Factor<R>;
    type Memory = Laws<S::Transition, R>;
    fn dim(&self) -> usize {
        self.0.dim()
    }
    fn memory(&self) -> Self::Memory {
        Laws { step: None, laws: Vec::new(), mean: vec![[R::zero(); W]; self.0.dim()] }
    }
    #[inline(always)]
    fn law<const FMA: bool>(&self, step: &Step, x: &[[R; W]], mean: &mut [[R; W]], factor: &mut Self::Factor, memory: &mut Self::Memory) {
        let common = matches!((step.start(), step.end()), (Time::Common(_), Time::Common(_)));
        if memory.step != Some(*step) {
            let paths = if common { 1 } else { W };
            memory.laws = (0..paths).map(|i| self.0.law(step.start().of(i), step.end().of(i)).ok()).collect();
            memory.step = Some(*step);
        }
        for (i, law) in memory.laws.iter().enumerate() {
            let lanes = if common { 0..W } else { i..i + 1 };
            let Some(law) = law else {
                mean.iter_mut().for_each(|m| m[lanes.clone()].fill(R::of(f64::NAN)));
                continue;
            };
            law.factor(lanes.clone(), factor);
            law.mean::<R, FMA>(x, &mut memory.mean);
            for (to, from) in mean.iter_mut().zip(&memory.mean) {
                to[lanes.clone()].copy_from_slice(&from[lanes.clone()]);
            }
        }
    }
}
