//! The data of a fit, turned once into groups of [`W`] points with the lanes last.

use crate::simd::{W, load};
use crate::{Error, Result};
use ndarray::{Array1, Array2, ArrayView2, Axis};

/// Groups of a block: what one round of a kernel works on between two reductions (256 points).
pub const BLOCK: usize = 16;
/// Points of a block.
pub const BLOCK_POINTS: usize = BLOCK * W;

/// n points in d dimensions: group g holds points 16 g .. 16 g + 15 as `[d][W]`. The lanes of the last group
/// beyond n repeat its first point; whoever sums over points leaves them out.
pub struct Blocks {
    pub n: usize,
    pub d: usize,
    pub groups: Vec<[f64; W]>,
}

impl Blocks {
    /// # Errors
    /// As [`check`].
    pub fn new(x: ArrayView2<f64>) -> Result<Self> {
        check(x)?;
        let (n, d) = x.dim();
        let rows = x.as_standard_layout();
        let rows = rows.as_slice().unwrap_or(&[]);
        let mut groups = vec![[0.0; W]; n.div_ceil(W) * d];
        for (rows, group) in rows.chunks(W * d).zip(groups.chunks_mut(d)) {
            load(rows, group);
        }
        Ok(Blocks { n, d, groups })
    }

    /// Point i, `[d]`.
    pub fn point(&self, i: usize) -> Vec<f64> {
        self.groups[i / W * self.d..(i / W + 1) * self.d].iter().map(|lane| lane[i % W]).collect()
    }

    /// Mean, `[d]`, and covariance (about it, divided by n), [d, d].
    pub fn moments(&self) -> (Array1<f64>, Array2<f64>) {
        let n = self.n as f64;
        let mut x = Array2::zeros((self.n, self.d));
        for (i, mut row) in x.outer_iter_mut().enumerate() {
            let group = &self.groups[i / W * self.d..(i / W + 1) * self.d];
            row.iter_mut().zip(group).for_each(|(x, lane)| *x = lane[i % W]);
        }
        let mean = x.sum_axis(Axis(0)) / n;
        x -= &mean;
        let covariance = x.t().dot(&x) / n;
        (mean, covariance)
    }

    /// Points of one parallel chunk, so that the accumulators of `width` numbers that each chunk keeps stay
    /// below 128 MiB in all: a multiple of a block that depends on the problem alone, never on the number of
    /// threads.
    pub fn chunk_points(&self, width: usize) -> usize {
        let chunks = (1 << 24) / width.max(1);
        self.n.div_ceil(chunks.max(1)).max(512).next_multiple_of(BLOCK_POINTS)
    }

    /// The chunks of `points` points, in order.
    pub fn chunks(&self, points: usize) -> Vec<Chunk<'_>> {
        let groups = self.groups.chunks(points / W * self.d);
        groups.enumerate().map(|(c, groups)| Chunk { first: c * points, n: (self.n - c * points).min(points), groups }).collect()
    }
}

/// A run of points.
#[derive(Clone, Copy)]
pub struct Chunk<'a> {
    /// Number of its first point.
    pub first: usize,
    /// How many points.
    pub n: usize,
    /// Their groups, see [`Blocks`].
    pub groups: &'a [[f64; W]],
}

/// # Errors
/// `Shape` if there is no point or no coordinate; `Invalid` for the first number that is not finite.
pub fn check(x: ArrayView2<f64>) -> Result<()> {
    let (n, d) = x.dim();
    if n == 0 || d == 0 {
        return Err(Error::shape("mixture fit", "at least one point of at least one coordinate", &[x.shape()]));
    }
    // The plain scan is several times faster than one that knows where it is.
    if !x.iter().all(|v| v.is_finite())
        && let Some(((i, j), v)) = x.indexed_iter().find(|(_, v)| !v.is_finite())
    {
        return Err(Error::invalid("mixture fit: data", "finite", format!("{v} in row {i}, column {j}")));
    }
    Ok(())
}

/// How many different rows `x` has.
pub fn distinct(x: ArrayView2<f64>) -> usize {
    let compare = |a: &usize, b: &usize| {
        let pairs = x.row(*a).into_iter().zip(x.row(*b));
        pairs.map(|(a, b)| (a + 0.0).total_cmp(&(b + 0.0))).find(|o| o.is_ne()).unwrap_or(std::cmp::Ordering::Equal)
    };
    let mut rows: Vec<usize> = (0..x.nrows()).collect();
    rows.sort_unstable_by(compare);
    rows.dedup_by(|a, b| compare(a, b).is_eq());
    rows.len()
}
