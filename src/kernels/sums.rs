//! Sums in a fixed order: a binary tree over leaves, without recursion and without memory of its own.

use crate::Real;
use crate::simd::{self, W};

/// Terms of a leaf of a sum over contiguous numbers.
pub const LEAF: usize = 512;
/// Rows of a leaf of a sum over rows.
pub const LEAF_ROWS: usize = 64;
/// Enough for 2^40 leaves.
const DEPTH: usize = 40;

/// The pairwise sum of leaves pushed one after another, N sums side by side. Works like counting in binary:
/// leaf number b...b1000 closes three complete subtrees. The total is ((first half) + (second half)) with
/// complete halves from the left.
pub struct Tree<R, const N: usize> {
    stack: [[R; N]; DEPTH],
    top: usize,
    leaves: u64,
}

impl<R: Real, const N: usize> Tree<R, N> {
    /// No leaf yet.
    #[inline(always)]
    pub fn new() -> Self {
        Tree { stack: [[R::zero(); N]; DEPTH], top: 0, leaves: 0 }
    }
    /// No leaf any more; cheaper than a new tree.
    #[inline(always)]
    pub fn clear(&mut self) {
        (self.top, self.leaves) = (0, 0);
    }
    /// Adds a leaf.
    #[inline(always)]
    pub fn push(&mut self, mut leaf: [R; N]) {
        self.leaves += 1;
        for _ in 0..self.leaves.trailing_zeros() {
            self.top -= 1;
            leaf = plus(self.stack[self.top], leaf);
        }
        self.stack[self.top] = leaf;
        self.top += 1;
    }
    /// The sum, zero for no leaves.
    #[inline(always)]
    pub fn total(&self) -> [R; N] {
        let Some(last) = self.top.checked_sub(1) else { return [R::zero(); N] };
        self.stack[..last].iter().rev().fold(self.stack[last], |sum, left| plus(*left, sum))
    }
}

#[inline(always)]
fn plus<R: Real, const N: usize>(a: [R; N], b: [R; N]) -> [R; N] {
    let mut c = a;
    for i in 0..N {
        c[i] += b[i];
    }
    c
}

/// sum_i term(i), i < n, in the order of a sum over contiguous numbers. For use inside kernels.
#[inline(always)]
pub fn sum_of<R: Real>(n: usize, term: impl Fn(usize) -> R) -> R {
    if n <= W {
        // The general path with one partly filled block.
        let mut lanes = [R::zero(); W];
        for (i, lane) in lanes.iter_mut().enumerate().take(n) {
            *lane = term(i);
        }
        return simd::sum(lanes);
    }
    if n <= LEAF {
        return leaf(0, n, &term);
    }
    let mut tree = Tree::<R, 1>::new();
    let mut start = 0;
    while start < n {
        let end = n.min(start + LEAF);
        tree.push([leaf(start, end, &term)]);
        start = end;
    }
    tree.total()[0]
}

/// The sum of the terms `start..end` of one leaf.
#[inline(always)]
fn leaf<R: Real>(start: usize, end: usize, term: &impl Fn(usize) -> R) -> R {
    let mut lanes = [R::zero(); W];
    let mut at = start;
    while at + W <= end {
        for (i, lane) in lanes.iter_mut().enumerate() {
            *lane += term(at + i);
        }
        at += W;
    }
    for (i, lane) in lanes.iter_mut().enumerate().take(end - at) {
        *lane += term(at + i);
    }
    simd::sum(lanes)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::simd::{Kernel, dispatch};

    /// The sum of `x`.
    fn sum<R: Real>(x: &[R]) -> R {
        struct Sum<'a, R>(&'a [R]);
        impl<R: Real> Kernel for Sum<'_, R> {
            const VECTORS: bool = R::VECTORS;
            type Output = R;
            #[inline(always)]
            fn run<const FMA: bool>(self) -> R {
                sum_of(self.0.len(), |i| self.0[i])
            }
        }
        dispatch(Sum(x))
    }

    #[test]
    fn sums_are_right_for_every_length() {
        for n in (0..100).chain([511, 512, 513, 1024, 1025, 5000, 512 * 7 + 3]) {
            let x: Vec<f64> = (0..n).map(|i| f64::from(i) + 1.0).collect();
            assert_eq!(sum(&x), f64::from(n) * f64::from(n + 1) / 2.0);
        }
    }

    #[test]
    fn the_error_of_a_long_sum_stays_small() {
        // A running f32 sum of 2^25 ones stops at 2^24; of 0.1 it is wrong in the third digit.
        let x = vec![0.1f32; 1 << 25];
        let exact = f64::from(0.1f32) * f64::from(1 << 25);
        let err = (f64::from(sum(&x)) - exact).abs() / exact;
        assert!(err <= 32.0 * f64::from(f32::EPSILON) / 2.0, "{err}");
    }

    #[test]
    fn a_tree_adds_in_pairs() {
        // (1e16 + 1) + (-1e16 + 1): pairs first; a running sum would give 1.
        let mut t = Tree::<f64, 1>::new();
        for x in [1.0, 1e16, -1e16, 1.0] {
            t.push([x]);
        }
        assert_eq!(t.total(), [(1.0 + 1e16) + (-1e16 + 1.0)]);
        assert_eq!(Tree::<f64, 3>::new().total(), [0.0; 3]);
    }
}
