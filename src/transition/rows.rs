//! One-step laws for whole batches, row by row: mean, covariance, score, log-density, draws.
//!
//! Every function takes the step [`from`, `to`] and starts `x` [n, d]; `y` [n, d] are ends.
//!
//! ```
//! use ndarray::array;
//! use ndsm::sde::DoubleWell;
//! use ndsm::transition::{Euler, ItoTaylor, LocalLinear, rows};
//! let sde = DoubleWell::new(1, 0.8)?;
//! let (x, y) = (array![[0.5f64], [-1.0]], array![[0.6], [-1.2]]);
//! // The bottom of a well is at -1: the drift vanishes there, but not its curvature.
//! let euler = rows::mean(&Euler(sde), 0.0, 0.1, x.view())?;
//! let taylor = rows::mean(&ItoTaylor(sde), 0.0, 0.1, x.view())?;
//! assert!(euler[[1, 0]] == -1.0 && (taylor[[1, 0]] + 1.0 - 0.5 * 0.01 * 3.0 * 0.64).abs() < 1e-15);
//! let score = rows::score(&LocalLinear(sde), 0.0, 0.1, x.view(), y.view())?;
//! assert!(score[[1, 0]] > 0.0); // back to the mean
//! # Ok::<(), ndsm::Error>(())
//! ```

use super::law::{Evaluate, Factor, OneStep};
use crate::real::Dual;
use crate::sde::{Paths, Step, check_rows};
use crate::simd::{Kernel, W, dispatch, load, nested};
use crate::{Error, Real, Result};
use ndarray::{Array1, Array2, Array3, ArrayView2};

/// m(x), [n, d].
///
/// # Errors
/// `Shape` if `x` has no d columns; a step that does not end after it starts.
pub fn mean<R: Real>(law: &dyn RowLaw<R>, from: f64, to: f64, x: ArrayView2<R>) -> Result<Array2<R>> {
    Ok(moments(law, from, to, x)?.0)
}

/// C(x), [n, d, d].
///
/// # Errors
/// As [`mean`].
pub fn covariance<R: Real>(law: &dyn RowLaw<R>, from: f64, to: f64, x: ArrayView2<R>) -> Result<Array3<R>> {
    Ok(moments(law, from, to, x)?.1)
}

/// [`mean`] and [`covariance`] by one evaluation of the law.
///
/// # Errors
/// As [`mean`].
pub fn moments<R: Real>(law: &dyn RowLaw<R>, from: f64, to: f64, x: ArrayView2<R>) -> Result<(Array2<R>, Array3<R>)> {
    let (n, d) = x.dim();
    let (mut mean, mut covariance) = (Array2::from_elem((n, d), R::zero()), Array3::from_elem((n, d, d), R::zero()));
    let (mut unit, mut column) = (vec![[R::zero(); W]; d], vec![[R::zero(); W]; d]);
    each(law, from, to, x, x, &mut |block, rows| {
        for (i, row) in rows.clone().enumerate() {
            (0..d).for_each(|j| mean[[row, j]] = block.mean[j][i]);
        }
        // Column by column of L: C = sum_k l_k l_k^T.
        for k in 0..d {
            unit.fill([R::zero(); W]);
            unit[k] = [R::one(); W];
            block.factor.apply(&unit, &mut column);
            for (i, row) in rows.clone().enumerate() {
                for a in 0..d {
                    for b in 0..d {
                        covariance[[row, a, b]] += column[a][i] * column[b][i];
                    }
                }
            }
        }
    })?;
    Ok((mean, covariance))
}

/// The transition score grad_y ln p(y | x) = -C^-1 (y - m), [n, d].
///
/// # Errors
/// As [`mean`]; `y` of another shape than `x`.
pub fn score<R: Real>(law: &dyn RowLaw<R>, from: f64, to: f64, x: ArrayView2<R>, y: ArrayView2<R>) -> Result<Array2<R>> {
    let mut out = Array2::from_elem(x.dim(), R::zero());
    let mut result = vec![[R::zero(); W]; x.ncols()];
    each(law, from, to, x, y, &mut |block, rows| {
        block.factor.solve_transposed(block.whitened, &mut result);
        for (i, row) in rows.enumerate() {
            (0..result.len()).for_each(|j| out[[row, j]] = -result[j][i]);
        }
    })?;
    Ok(out)
}

/// ln p(y | x), `[n]`.
///
/// # Errors
/// As [`score`].
pub fn log_density<R: Real>(law: &dyn RowLaw<R>, from: f64, to: f64, x: ArrayView2<R>, y: ArrayView2<R>) -> Result<Array1<R>> {
    let mut out = Array1::from_elem(x.nrows(), R::zero());
    let normal = R::of(x.ncols() as f64 * std::f64::consts::TAU.ln());
    each(law, from, to, x, y, &mut |block, rows| {
        let log_det = block.factor.log_det();
        for (i, row) in rows.enumerate() {
            let square: R = block.whitened.iter().map(|v| v[i] * v[i]).sum();
            out[row] = R::of(-0.5) * (square + log_det[i] + normal);
        }
    })?;
    Ok(out)
}

/// The score with respect to the start, grad_x ln p(y | x), [n, d]: the density's own code run on dual
/// numbers.
///
/// # Errors
/// As [`score`].
pub fn start_score<R: Real>(law: &dyn RowLaw<Dual<R>>, from: f64, to: f64, x: ArrayView2<R>, y: ArrayView2<R>) -> Result<Array2<R>> {
    let y = y.mapv(Dual::constant);
    let mut out = Array2::from_elem(x.dim(), R::zero());
    for j in 0..x.ncols() {
        let mut seeded = x.mapv(Dual::constant);
        seeded.column_mut(j).mapv_inplace(|v| Dual::new(v.value, R::one()));
        let log_p = log_density(law, from, to, seeded.view(), y.view())?;
        out.column_mut(j).assign(&log_p.mapv(|p| p.tangent));
    }
    Ok(out)
}

/// A draw for each row, m(x) + L z, [n, d]; block c of [`W`] rows takes its normals from stream c of `paths`.
///
/// # Errors
/// As [`mean`].
pub fn sample<R: Real>(law: &dyn RowLaw<R>, from: f64, to: f64, x: ArrayView2<R>, paths: Paths) -> Result<Array2<R>> {
    let mut out = Array2::from_elem(x.dim(), R::zero());
    let d = x.ncols();
    let (mut z, mut noise, mut row) = (vec![[R::zero(); W]; d], vec![[R::zero(); W]; d], vec![R::zero(); W * d]);
    let mut chunk = 0;
    each(law, from, to, x, x, &mut |block, rows| {
        let mut stream = paths.stream(chunk);
        chunk += 1;
        stream.fill_normal(&mut row);
        load(&row, &mut z);
        block.factor.apply(&z, &mut noise);
        for (i, at) in rows.enumerate() {
            (0..d).for_each(|j| out[[at, j]] = block.mean[j][i] + noise[j][i]);
        }
    })?;
    Ok(out)
}

/// A one-step law behind a pointer: every [`OneStep`] is one. What is computed of it row by row is compiled
/// once, not for each law.
pub trait RowLaw<R: Real>: Sync {
    /// The dimension d.
    fn dim(&self) -> usize;
    /// Calls `seen` with the law of every block of [`W`] rows of `x` and with the block's number. `x`, `y`:
    /// whole rows, row-major.
    fn blocks(&self, step: &Step, x: &[R], y: &[R], seen: &mut dyn FnMut(&BlockLaw<'_, R>, usize));
}

/// The laws of one block, and L^-1 (y - m).
pub struct BlockLaw<'a, R: Real> {
    mean: &'a [[R; W]],
    factor: &'a dyn Factored<R>,
    whitened: &'a [[R; W]],
}

/// A [`Factor`] behind a pointer, at the baseline level.
trait Factored<R: Real> {
    fn apply(&self, z: &[[R; W]], out: &mut [[R; W]]);
    fn solve_transposed(&self, v: &[[R; W]], out: &mut [[R; W]]);
    fn log_det(&self) -> [R; W];
}

impl<R: Real, F: Factor<R>> Factored<R> for F {
    fn apply(&self, z: &[[R; W]], out: &mut [[R; W]]) {
        Factor::apply::<false>(self, z, out);
    }
    fn solve_transposed(&self, v: &[[R; W]], out: &mut [[R; W]]) {
        Factor::solve_transposed::<false>(self, v, out);
    }
    fn log_det(&self) -> [R; W] {
        Factor::log_det::<false>(self)
    }
}

impl<R: Real, T: OneStep<R>> RowLaw<R> for T {
    fn dim(&self) -> usize {
        OneStep::dim(self)
    }
    fn blocks(&self, step: &Step, x: &[R], y: &[R], seen: &mut dyn FnMut(&BlockLaw<'_, R>, usize)) {
        let d = OneStep::dim(self);
        let [mut starts, mut ends, mut mean, mut whitened] = std::array::from_fn(|_| vec![[R::zero(); W]; d]);
        let (mut factor, mut memory) = (T::Factor::new(d), self.memory());
        for (c, (x, y)) in x.chunks(W * d).zip(y.chunks(W * d)).enumerate() {
            load(x, &mut starts);
            load(y, &mut ends);
            let (y, factor) = (&mut ends[..], &mut factor);
            dispatch(Whiten { law: self, step, x: &starts, y, mean: &mut mean, factor, whitened: &mut whitened, memory: &mut memory });
            seen(&BlockLaw { mean: &mean, factor, whitened: &whitened }, c);
        }
    }
}

struct Whiten<'a, R: Real, T: OneStep<R>> {
    law: &'a T,
    step: &'a Step,
    x: &'a [[R; W]],
    y: &'a mut [[R; W]],
    mean: &'a mut [[R; W]],
    factor: &'a mut T::Factor,
    whitened: &'a mut [[R; W]],
    memory: &'a mut T::Memory,
}

impl<R: Real, T: OneStep<R>> Kernel for Whiten<'_, R, T> {
    const VECTORS: bool = R::VECTORS;
    type Output = ();
    #[inline(always)]
    fn run<const FMA: bool>(self) {
        let Whiten { law, step, x, y, mean, factor, whitened, memory } = self;
        nested::<FMA, _>(Evaluate { law, step, x, mean: &mut *mean, factor: &mut *factor, memory });
        for (y, m) in y.iter_mut().zip(&*mean) {
            for i in 0..W {
                y[i] -= m[i];
            }
        }
        factor.solve::<FMA>(y, whitened);
    }
}

/// Calls `seen` with the law of every block and the rows that it holds.
fn each<R: Real>(
    law: &dyn RowLaw<R>,
    from: f64,
    to: f64,
    x: ArrayView2<R>,
    y: ArrayView2<R>,
    seen: &mut dyn FnMut(&BlockLaw<'_, R>, std::ops::Range<usize>),
) -> Result<()> {
    let (n, d) = x.dim();
    if d != law.dim() || y.dim() != x.dim() {
        return Err(Error::shape("transition", format!("starts and ends [n, {}]", law.dim()), &[x.shape(), y.shape()]));
    }
    if !(to > from && from.is_finite() && to.is_finite()) {
        return Err(Error::invalid("transition: end of the step", format!("a finite time after its start {from}"), to));
    }
    let (x, y): (Vec<R>, Vec<R>) = (x.iter().copied().collect(), y.iter().copied().collect());
    check_rows("transition", &x, d)?;
    law.blocks(&Step::common(from, to), &x, &y, &mut |block, c| seen(block, c * W..(c * W + W).min(n)));
    Ok(())
}
