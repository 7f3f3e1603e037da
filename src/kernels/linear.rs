//! A layer in one pass: matrix product, bias, activation and its derivative.

use super::activation::Activation;
use super::gemm::{Packed, multiply};
use super::lanes;
use super::sums::{LEAF_ROWS, Tree};
use crate::Real;
use crate::simd::{Kernel, W, dispatch};

/// Rows whose product is still in the cache when bias and activation pass over it.
const BAND: usize = 64;
/// Rows of the backward pass: their dz is still in the second-level cache for both products. Whole leaves of the sum over rows,
/// a power of two of them, so that the sums of the bands add up to the tree over all rows; the terms of a block of a product.
pub const BACK: usize = 4 * LEAF_ROWS;

/// y = activation(x w + b) for as many rows as `y` has; `kept`, if not empty, gets the derivative of the activation. The one
/// kernel of training and inference: equal bits.
pub fn linear_rows<R: Real>(activation: Activation, x: &[R], w: Packed<'_, R>, i: usize, b: &[R], y: &mut [R], kept: &mut [R]) {
    let o = w.columns();
    let mut kept = kept;
    for (band, y) in y.chunks_mut((BAND * o).max(1)).enumerate() {
        multiply(&x[band * BAND * i..], w, y, false);
        let here = kept.len().min(y.len());
        let (now, later) = kept.split_at_mut(here);
        dispatch(Activate { activation, b, y, kept: now });
        kept = later;
    }
}

struct Activate<'a, R> {
    activation: Activation,
    b: &'a [R],
    y: &'a mut [R],
    kept: &'a mut [R],
}

impl<R: Real> Kernel for Activate<'_, R> {
    const VECTORS: bool = R::VECTORS;
    type Output = ();
    #[inline(always)]
    fn run<const FMA: bool>(self) {
        let Activate { activation, b, y, kept } = self;
        match activation {
            Activation::Identity => y.chunks_exact_mut(b.len().max(1)).for_each(|y| y.iter_mut().zip(b).for_each(|(y, b)| *y += *b)),
            Activation::Silu => activate(b, y, kept, |z| lanes::silu::<R, FMA>(z)),
            Activation::Tanh => activate(b, y, kept, |z| lanes::tanh::<R, FMA>(z)),
        }
    }
}

#[inline(always)]
fn activate<R: Real>(b: &[R], y: &mut [R], kept: &mut [R], f: impl Fn(R) -> (R, R)) {
    let n = b.len().max(1);
    if kept.is_empty() {
        for y in y.chunks_exact_mut(n) {
            for (y, b) in y.iter_mut().zip(b) {
                *y = f(*y + *b).0;
            }
        }
    } else {
        for (y, kept) in y.chunks_exact_mut(n).zip(kept.chunks_exact_mut(n)) {
            for ((y, kept), b) in y.iter_mut().zip(kept).zip(b) {
                (*y, *kept) = f(*y + *b);
            }
        }
    }
}

/// dz = dy kept, in place, and its sum over rows: a tree of leaves of `leaf` rows.
struct PullBack<'a, R> {
    dy: &'a mut [R],
    /// The derivative of the activation; empty where it is 1.
    kept: &'a [R],
    leaf: usize,
    /// As long as a row, which is not empty.
    sum: &'a mut [R],
    /// Whether the sum is added to what is there.
    add: bool,
}

impl<R: Real> Kernel for PullBack<'_, R> {
    const VECTORS: bool = R::VECTORS;
    type Output = ();
    #[inline(always)]
    fn run<const FMA: bool>(mut self) {
        let n = self.sum.len();
        let mut j = 0;
        while j + 4 * W <= n {
            self.columns::<{ 4 * W }>(j, 4 * W);
            j += 4 * W;
        }
        while j + W <= n {
            self.columns::<W>(j, W);
            j += W;
        }
        if j < n {
            self.columns::<W>(j, n - j);
        }
    }
}

/// dz = dy kept, in place, and `sum`, which is not empty, its sum over rows; `kept` is empty where the derivative is 1.
pub fn pull_back<R: Real>(dy: &mut [R], kept: &[R], sum: &mut [R]) {
    dispatch(PullBack { dy, kept, leaf: LEAF_ROWS, sum, add: false });
}

/// db += the pairwise sum of rows as long as it; `total` is as long too, working memory.
pub fn add_rows<R: Real>(rows: &mut [R], total: &mut [R], db: &mut [R]) {
    dispatch(PullBack { dy: rows, kept: &[], leaf: 1, sum: &mut *total, add: false });
    db.iter_mut().zip(total).for_each(|(db, s)| *db += *s);
}

/// db += sum over rows of dy, whose rows are as long as `db`.
pub fn add_row_sums<R: Real>(dy: &mut [R], db: &mut [R]) {
    let n = db.len();
    if n > 0 {
        dispatch(PullBack { dy, kept: &[], leaf: LEAF_ROWS, sum: db, add: true });
    }
}

impl<R: Real> PullBack<'_, R> {
    /// Columns j..j + width, width <= N.
    #[inline(always)]
    fn columns<const N: usize>(&mut self, j: usize, width: usize) {
        let n = self.sum.len();
        let mut tree = Tree::<R, N>::new();
        for (leaf, rows) in self.dy.chunks_mut(self.leaf * n).enumerate() {
            let mut sum = [R::zero(); N];
            let kept = if self.kept.is_empty() { self.kept } else { &self.kept[leaf * self.leaf * n..][..rows.len()] };
            for (r, row) in rows.chunks_exact_mut(n).enumerate() {
                let row = &mut row[j..][..width];
                if !kept.is_empty() {
                    row.iter_mut().zip(&kept[r * n + j..][..width]).for_each(|(dy, k)| *dy *= *k);
                }
                sum[..width].iter_mut().zip(row.iter()).for_each(|(s, dy)| *s += *dy);
            }
            tree.push(sum);
        }
        for (sum, total) in self.sum[j..][..width].iter_mut().zip(tree.total()) {
            *sum = if self.add { *sum + total } else { total };
        }
    }
}
