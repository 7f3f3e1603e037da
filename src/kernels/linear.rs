//! A layer in one pass: matrix product, bias, activation and its derivative.

use super::gemm::{Matrix, Packed, gemm, multiply, pack, packed_len, scratch as gemm_scratch};
use super::sums::{LEAF_ROWS, Tree};
use super::{Activation, Gradients, lanes};
use crate::Real;
use crate::simd::{Kernel, W, dispatch};

/// Rows whose product is still in the cache when bias and activation pass over it.
const BAND: usize = 64;
/// Rows of the backward pass: their dz is still in the second-level cache for both products. Whole leaves of
/// the sum over rows, a power of two of them, so that the sums of the bands add up to the tree over all rows;
/// the terms of a block of a product.
const BACK: usize = 4 * LEAF_ROWS;

/// x `[n, i]`, w `[i, o]`.
#[derive(Clone, Copy)]
pub struct Sizes {
    pub n: usize,
    pub i: usize,
    pub o: usize,
}

/// Numbers of working memory of [`forward`] and [`backward`].
pub fn scratch<R: Real>(Sizes { n, i, o }: Sizes) -> usize {
    let sums = (n.div_ceil(BACK) + 1).saturating_mul(o);
    let backward = sums.saturating_add(packed_len::<R>(o, i)).saturating_add(gemm_scratch::<R>(true, BACK.min(n), o));
    packed_len::<R>(i, o).max(backward)
}

/// y = activation(x w + b). `kept` gets the derivative of the activation; it is empty where that is 1.
pub fn forward<R: Real>(at: Sizes, activation: Activation, [x, w, b]: [&[R]; 3], y: &mut [R], kept: &mut [R], scratch: &mut [R]) {
    let Sizes { i, o, .. } = at;
    let w = pack(Matrix::new(w, i, o), &mut scratch[..packed_len::<R>(i, o)]);
    linear_rows(activation, x, w, i, b, y, kept);
}

/// dz = dy kept, in the place of dy; db += sum over rows of dz, dw += x^T dz, dx += dz w^T: the gradients of
/// b, w and x, inputs 2, 1, 0.
pub fn backward<R: Real>(at: Sizes, [x, w]: [&[R]; 2], kept: &[R], dy: &mut [R], dx: &mut impl Gradients<R>, scratch: &mut [R]) {
    let Sizes { n, i, o } = at;
    let (sums, rest) = scratch.split_at_mut(n.div_ceil(BACK) * o);
    let (total, rest) = rest.split_at_mut(o);
    let (panels, tmp) = rest.split_at_mut(packed_len::<R>(o, i));
    let wt = pack(Matrix::new(w, i, o).t(), panels);
    // Whether the adjoints of x and w have to be overwritten: the first band is told.
    let (mut fresh_x, mut fresh_w) = (false, false);
    for (band, from) in (0..n).step_by(BACK).enumerate() {
        let rows = BACK.min(n - from);
        let dz = &mut dy[from * o..][..rows * o];
        if o > 0 {
            let kept = if kept.is_empty() { kept } else { &kept[from * o..][..rows * o] };
            dispatch(PullBack { dy: &mut *dz, kept, leaf: LEAF_ROWS, sum: &mut sums[band * o..][..o], add: false });
        }
        // dw before dx: if x and w are one variable the fresh one is overwritten as a whole.
        if let Some((dw, fresh)) = dx.slot(1) {
            fresh_w |= fresh;
            let x = Matrix::new(&x[from * i..][..rows * i], rows, i);
            gemm(x.t(), Matrix::new(dz, rows, o), dw, band > 0 || !fresh_w, tmp);
        }
        if let Some((dx, fresh)) = dx.slot(0) {
            fresh_x |= fresh;
            multiply(dz, wt, &mut dx[from * i..][..rows * i], !fresh_x);
        }
    }
    if n == 0 {
        // No rows: zeros, if nobody has written them.
        dx.add_to(1);
    }
    if o > 0
        && let Some(db) = dx.add_to(2)
    {
        dispatch(PullBack { dy: sums, kept: &[], leaf: 1, sum: &mut *total, add: false });
        db.iter_mut().zip(total).for_each(|(db, s)| *db += *s);
    }
}

/// y = activation(x w + b) for as many rows as `y` has; `kept`, if not empty, gets the derivative of the
/// activation. The one kernel of training and inference: equal bits.
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
