//! Rows of a table, by number.

use super::index::index;
use crate::Real;
use crate::simd::{Kernel, W, dispatch};

/// Indices that are sorted at once.
const BLOCK: usize = 256;

/// y_i = row number `indices_i` of `table`, which has `v` rows of `d` numbers; a row of NaN where there is
/// none.
pub fn forward<R: Real>(v: usize, d: usize, table: &[R], indices: &[R], y: &mut [R]) {
    // Sizes of an empty tensor need not have a product.
    if y.is_empty() {
        return;
    }
    for (y, number) in y.chunks_exact_mut(d).zip(indices) {
        match index(*number, v) {
            Some(i) => y.copy_from_slice(&table[i * d..][..d]),
            None => y.fill(R::nan()),
        }
    }
}

/// Adds each row of dy to its row of `dtable`: in blocks of 256 indices, inside a block in order, then the
/// blocks in order.
pub fn backward<R: Real>(v: usize, d: usize, indices: &[R], dy: &[R], dtable: &mut [R]) {
    if dy.is_empty() {
        return;
    }
    for (indices, dy) in indices.chunks(BLOCK).zip(dy.chunks(BLOCK * d)) {
        let (mut order, mut count) = ([(0, 0); BLOCK], 0);
        for (k, number) in indices.iter().enumerate() {
            if let Some(i) = index(*number, v) {
                order[count] = (i, k);
                count += 1;
            }
        }
        order[..count].sort_unstable();
        dispatch(AddRows { order: &order[..count], d, dy, dtable: &mut *dtable });
    }
}

/// dtable[i] += sum of dy[k] over the (i, k) in `order`, which is sorted.
struct AddRows<'a, R> {
    order: &'a [(usize, usize)],
    d: usize,
    dy: &'a [R],
    dtable: &'a mut [R],
}

impl<R: Real> Kernel for AddRows<'_, R> {
    const VECTORS: bool = R::VECTORS;
    type Output = ();
    #[inline(always)]
    fn run<const FMA: bool>(self) {
        let AddRows { order, d, dy, dtable } = self;
        for same in order.chunk_by(|a, b| a.0 == b.0) {
            let dtable = &mut dtable[same[0].0 * d..][..d];
            for (block, dtable) in dtable.chunks_mut(W).enumerate() {
                let mut sum = [R::zero(); W];
                for (_, k) in same {
                    let dy = &dy[k * d + block * W..][..dtable.len()];
                    for (sum, dy) in sum.iter_mut().zip(dy) {
                        *sum += *dy;
                    }
                }
                for (dtable, sum) in dtable.iter_mut().zip(sum) {
                    *dtable += sum;
                }
            }
        }
    }
}
