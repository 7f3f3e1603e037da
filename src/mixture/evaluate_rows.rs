//! The evaluator over row-major batches, in parallel.

use super::Evaluator;
use crate::simd::{Kernel, W, dispatch, load, store};
use crate::{Error, Real, Result};
use rayon::prelude::*;

/// Rows of a parallel chunk.
const CHUNK: usize = 1024;

#[derive(Clone, Copy)]
enum Quantity {
    LogDensity,
    Score,
    Responsibilities,
}

impl<R: Real> Evaluator<R> {
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
        let d = self.dim();
        if !x.len().is_multiple_of(d) || out.len() != x.len() / d * width {
            let expected = format!("points of length {d} and, for each, {width} numbers out");
            return Err(Error::shape("mixture", expected, &[&[x.len()], &[out.len()]]));
        }
        x.par_chunks(CHUNK * d)
            .zip(out.par_chunks_mut(CHUNK * width))
            .for_each(|(x, out)| dispatch(Rows { evaluator: self, what, x, out, width }));
        Ok(())
    }
}

struct Rows<'a, R> {
    evaluator: &'a Evaluator<R>,
    what: Quantity,
    x: &'a [R],
    out: &'a mut [R],
    width: usize,
}

impl<R: Real> Kernel for Rows<'_, R> {
    const VECTORS: bool = R::VECTORS;
    type Output = ();
    #[inline(always)]
    fn run<const FMA: bool>(self) {
        let (d, width) = (self.evaluator.dim(), self.width);
        let mut scratch = self.evaluator.scratch();
        let mut lanes = vec![[R::zero(); W]; d];
        let mut result = vec![[R::zero(); W]; width];
        for (x, out) in self.x.chunks(W * d).zip(self.out.chunks_mut(W * width)) {
            load(x, &mut lanes);
            match self.what {
                Quantity::LogDensity => result[0] = self.evaluator.log_density_block::<FMA>(&lanes, &mut scratch),
                Quantity::Score => self.evaluator.score_block::<FMA>(&lanes, &mut result, &mut scratch),
                Quantity::Responsibilities => {
                    self.evaluator.responsibilities_block::<FMA>(&lanes, &mut result, &mut scratch);
                }
            }
            store(&result, out);
        }
    }
}
