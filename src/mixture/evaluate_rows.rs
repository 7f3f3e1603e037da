//! The evaluator over row-major batches, in parallel.

use super::Evaluator;
use crate::par;
use crate::simd::{Kernel, W, dispatch, load, store};
use crate::{Error, Real, Result};

/// Rows of a parallel chunk.
const CHUNK: usize = 1024;

#[derive(Clone, Copy)]
enum Quantity {
    LogDensity,
    Score,
    Responsibilities,
}

/// Working memory for the rows of a batch on one thread.
#[derive(Debug, Clone)]
pub struct RowMemory<R> {
    scratch: Vec<[R; W]>,
    x: Vec<[R; W]>,
    result: Vec<[R; W]>,
}

impl<R: Real> Evaluator<R> {
    /// Memory for [`Evaluator::score_in`].
    pub fn row_memory(&self) -> RowMemory<R> {
        let (d, zero) = (self.dim(), [R::zero(); W]);
        RowMemory { scratch: self.scratch(), x: vec![zero; d], result: vec![zero; d.max(self.components())] }
    }

    /// [`Evaluator::score`] on this thread alone, with the same bits: allocates nothing.
    ///
    /// # Errors
    /// See [`Evaluator::log_density`].
    pub fn score_in(&self, x: &[R], out: &mut [R], memory: &mut RowMemory<R>) -> Result<()> {
        self.check(x, out, self.dim())?;
        dispatch(Rows { evaluator: self, what: Quantity::Score, x, out, width: self.dim(), memory });
        Ok(())
    }

    /// ln pi of n points. `x`: [n, d] row-major; `out`: `[n]`.
    ///
    /// # Errors
    /// `Shape` if the lengths do not fit the mixture or each other; so for the next two.
    pub fn log_density(&self, x: &[R], out: &mut [R]) -> Result<()> {
        self.rows(Quantity::LogDensity, x, out, 1)
    }

    /// grad ln pi of n points. `x`, `out`: [n, d] row-major.
    ///
    /// # Errors
    /// See [`Evaluator::log_density`].
    pub fn score(&self, x: &[R], out: &mut [R]) -> Result<()> {
        self.rows(Quantity::Score, x, out, self.dim())
    }

    /// r_k of n points. `x`: [n, d], `out`: [n, k], row-major.
    ///
    /// # Errors
    /// See [`Evaluator::log_density`].
    pub fn responsibilities(&self, x: &[R], out: &mut [R]) -> Result<()> {
        self.rows(Quantity::Responsibilities, x, out, self.components())
    }

    fn rows(&self, what: Quantity, x: &[R], out: &mut [R], width: usize) -> Result<()> {
        self.check(x, out, width)?;
        let work = (par::chunks(x, CHUNK * self.dim()), par::chunks_mut(out, CHUNK * width));
        let body =
            |memory: &mut RowMemory<R>, _, (x, out): (&[R], &mut [R])| dispatch(Rows { evaluator: self, what, x, out, width, memory });
        par::each_with(work, || self.row_memory(), body);
        Ok(())
    }

    fn check(&self, x: &[R], out: &[R], width: usize) -> Result<()> {
        let d = self.dim();
        if !x.len().is_multiple_of(d) || out.len() != x.len() / d * width {
            let expected = format!("points of length {d} and, for each, {width} numbers out");
            return Err(Error::shape("mixture", expected, &[&[x.len()], &[out.len()]]));
        }
        Ok(())
    }
}

struct Rows<'a, R> {
    evaluator: &'a Evaluator<R>,
    what: Quantity,
    x: &'a [R],
    out: &'a mut [R],
    width: usize,
    memory: &'a mut RowMemory<R>,
}

impl<R: Real> Kernel for Rows<'_, R> {
    const VECTORS: bool = R::VECTORS;
    type Output = ();
    #[inline(always)]
    fn run<const FMA: bool>(self) {
        let (d, width) = (self.evaluator.dim(), self.width);
        let RowMemory { scratch, x: lanes, result } = self.memory;
        let result = &mut result[..width];
        for (x, out) in self.x.chunks(W * d).zip(self.out.chunks_mut(W * width)) {
            load(x, lanes);
            match self.what {
                Quantity::LogDensity => result[0] = self.evaluator.log_density_block::<FMA>(lanes, scratch),
                Quantity::Score => self.evaluator.score_block::<FMA>(lanes, result, scratch),
                Quantity::Responsibilities => {
                    self.evaluator.responsibilities_block::<FMA>(lanes, result, scratch);
                }
            }
            store(result, out);
        }
    }
}
