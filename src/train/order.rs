//! Which data points a training step takes.

use crate::Result;
use crate::config::Sampling;
use crate::control::{Kronecker, space_filling};
use crate::mixture::Mixture;
use crate::rng::{Purpose, Stream};
use ndarray::{ArrayView2, Axis};

/// DataOrder of the data for every step: named by the step alone, so that a run goes on where it was.
#[derive(Debug, Clone)]
pub enum DataOrder {
    /// Epochs, each a fresh random order of all rows.
    Shuffled {
        /// The epoch that `rows` are in the order of.
        epoch: u64,
        /// All rows.
        rows: Vec<usize>,
    },
    /// Point i of a step is the row at the place (shift + i phi) mod 1 of `order`, phi the golden ratio's
    /// fraction and the shift the step's own. Point i also has the i-th of the strata of time: together they
    /// are a rotated lattice over (data, time), even in both and in their plane. Each point is uniform over
    /// the rows, so that the gradient's mean is what it was; its variance is not.
    Lattice {
        /// All rows, component by component and near rows together.
        order: Vec<usize>,
    },
}

impl DataOrder {
    /// For the rows of `u` [n, d], whitened, whose reference is `pi`.
    ///
    /// # Errors
    /// Dimensions that differ.
    pub fn new(sampling: Sampling, u: ArrayView2<f64>, pi: &Mixture) -> Result<Self> {
        if sampling == Sampling::Shuffled {
            return Ok(DataOrder::Shuffled { epoch: u64::MAX, rows: (0..u.nrows()).collect() });
        }
        let r = pi.responsibilities(u)?;
        let component = |row: &usize| (0..pi.components()).fold(0, |best, k| if r[[*row, k]] > r[[*row, best]] { k } else { best });
        let mut order = Vec::with_capacity(u.nrows());
        for k in 0..pi.components() {
            let rows: Vec<usize> = (0..u.nrows()).filter(|row| component(row) == k).collect();
            order.extend(space_filling(u.select(Axis(0), &rows).view()).into_iter().map(|i| rows[i]));
        }
        Ok(DataOrder::Lattice { order })
    }

    /// The rows of the points of batch number `step`, into `out`.
    ///
    /// # Errors
    /// None that a trainer can meet.
    pub fn rows(&mut self, seed: u64, step: u64, out: &mut [usize]) -> Result<()> {
        match self {
            DataOrder::Lattice { order } => {
                let lattice = Kronecker::new(1, &mut Stream::new(seed, Purpose::Batch, step, 0))?;
                let n = order.len();
                for (i, row) in out.iter_mut().enumerate() {
                    *row = order[((lattice.at(i, 0) * n as f64) as usize).min(n - 1)];
                }
            }
            DataOrder::Shuffled { epoch, rows } => {
                let n = rows.len() as u64;
                let first = step * out.len() as u64;
                for (i, row) in out.iter_mut().enumerate() {
                    let at = first + i as u64;
                    if *epoch != at / n {
                        *epoch = at / n;
                        rows.sort_unstable();
                        Stream::new(seed, Purpose::Batch, *epoch, 0).shuffle(rows);
                    }
                    *row = rows[(at % n) as usize];
                }
            }
        }
        Ok(())
    }
}
