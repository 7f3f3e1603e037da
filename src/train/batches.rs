//! The training points, and those of a batch.

use super::augment::Augmented;
use super::order::DataOrder;
use crate::{Real, Result};
use ndarray::Array2;

/// Data in whitened coordinates, in the order in which batches take them, as each changes them.
pub(super) struct Batches<R> {
    /// Row-major.
    data: Vec<R>,
    dim: usize,
    order: DataOrder,
    pub changes: Option<Augmented<R>>,
    /// Points that a batch takes in their place, as many as it has rows.
    pub given: Option<Vec<R>>,
}

impl<R: Real> Batches<R> {
    /// The rows of `u` [n, d] in the order `order`.
    pub fn new(u: &Array2<f64>, order: DataOrder) -> Self {
        Batches { data: u.iter().map(|v| R::of(*v)).collect(), dim: u.ncols(), order, changes: None, given: None }
    }

    /// How many points there are.
    pub fn len(&self) -> usize {
        self.data.len() / self.dim
    }

    /// All points as they are, [n, d].
    pub fn all(&self) -> Array2<f64> {
        Array2::from_shape_fn((self.len(), self.dim), |(i, j)| self.data[i * self.dim + j].f64())
    }

    /// The rows in the data of the points of batch number `batch`, as many as there are `rows`.
    ///
    /// # Errors
    /// None that a trainer can meet.
    pub fn rows(&mut self, seed: u64, batch: u64, rows: &mut [usize]) -> Result<()> {
        self.order.rows(seed, batch, rows)
    }

    /// The points of batch number `batch`: as many as there are `rows`, which become their rows in the data,
    /// each `copies` times over, into `out`.
    ///
    /// # Errors
    /// None that a trainer can meet.
    pub fn take(&mut self, seed: u64, batch: u64, rows: &mut [usize], copies: usize, out: &mut [R]) -> Result<()> {
        let d = self.dim;
        self.order.rows(seed, batch, rows)?;
        for (i, (row, own)) in rows.iter().zip(out.chunks_exact_mut(copies * d)).enumerate() {
            let (first, others) = own.split_at_mut(d);
            match &self.given {
                Some(given) => first.copy_from_slice(&given[i * d..][..d]),
                None => first.copy_from_slice(&self.data[row * d..][..d]),
            }
            if let Some(changes) = &mut self.changes {
                changes.change(seed, batch, i, *row, first);
            }
            others.chunks_exact_mut(d).for_each(|copy| copy.copy_from_slice(first));
        }
        Ok(())
    }
}
