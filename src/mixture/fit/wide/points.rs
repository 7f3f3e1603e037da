//! The data of a fit in many dimensions: rows, as matrix products read them.

use super::super::blocks::{self, Blocks};
use crate::{Error, Result};
use ndarray::{Array1, ArrayView2, Axis};

/// n points in d dimensions about their mean.
pub struct Points {
    pub d: usize,
    /// x - mean, [n, d].
    rows: Vec<f64>,
    /// |x - mean|^2, `[n]`.
    square: Vec<f64>,
}

impl Points {
    /// The rows of `x`, [n, d], and their mean, `[d]`.
    ///
    /// # Errors
    /// `Shape` if there is no point or no coordinate; `Invalid` for the first number that is not finite.
    pub fn new(x: ArrayView2<f64>) -> Result<(Self, Array1<f64>)> {
        blocks::check(x)?;
        let (n, d) = x.dim();
        let mean = x.sum_axis(Axis(0)) / n as f64;
        let mut rows = Vec::with_capacity(n * d);
        x.outer_iter().for_each(|x| rows.extend(x.iter().zip(&mean).map(|(x, m)| x - m)));
        Ok((Self::from_rows(rows, d), mean))
    }

    fn from_rows(rows: Vec<f64>, d: usize) -> Self {
        let square = rows.chunks_exact(d).map(|x| x.iter().map(|x| x * x).sum()).collect();
        Points { d, rows, square }
    }

    /// Some of the points, about the same origin.
    pub fn select(&self, which: impl Iterator<Item = usize>) -> Self {
        Self::from_rows(which.flat_map(|i| self.row(i).iter().copied()).collect(), self.d)
    }

    /// Number n of points.
    pub fn count(&self) -> usize {
        self.square.len()
    }

    /// All rows, [n, d].
    pub fn rows(&self) -> &[f64] {
        &self.rows
    }

    /// Point `i`, `[d]`.
    pub fn row(&self, i: usize) -> &[f64] {
        &self.rows[i * self.d..][..self.d]
    }

    /// |x_i|^2, `[n]`.
    pub fn square(&self) -> &[f64] {
        &self.square
    }

    /// Mean square of each coordinate, `[d]`: of all points their variances.
    pub fn variances(&self) -> Array1<f64> {
        let mut sum = Array1::<f64>::zeros(self.d);
        for row in self.rows.chunks_exact(self.d) {
            sum.iter_mut().zip(row).for_each(|(s, x)| *s += x * x);
        }
        sum / self.count() as f64
    }

    /// The points as k-means reads them.
    ///
    /// # Errors
    /// None that points which were made can meet.
    pub fn blocks(&self) -> Result<Blocks> {
        let x = ArrayView2::from_shape((self.count(), self.d), &self.rows);
        Blocks::new(x.map_err(|e| Error::refused("mixture fit: data", e.to_string()))?)
    }
}
