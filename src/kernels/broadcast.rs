//! Loops of two-operand operations: broadcasting, and its reverse, summing over what was broadcast.
//!
//! The terms themselves are computed by [flat loops](term::Fill) over blocks of at most [`LEAF`] elements,
//! for which the operands are laid out first. So the loops over broadcast axes are compiled once, not once
//! per term.

mod sum;
mod term;
#[cfg(test)]
mod tests;

use super::sums::{LEAF, LEAF_ROWS};
use crate::Real;
use crate::simd::dispatch;
use std::ops::Range;
use sum::Sum;
pub use term::{Fill, Term, Times};

/// The shape of f(a, b): axes aligned at the last one, sizes equal or one of them 1.
pub fn shape(a: &[usize], b: &[usize]) -> Option<Vec<usize>> {
    let rank = a.len().max(b.len());
    let size = |s: &[usize], axis: usize| (axis + s.len()).checked_sub(rank).map_or(1, |i| s[i]);
    (0..rank)
        .map(|axis| match (size(a, axis), size(b, axis)) {
            (m, n) if m == n => Some(m),
            (1, n) | (n, 1) => Some(n),
            _ => None,
        })
        .collect()
}

/// y = f(a, b) as up to three outer loops over rows of `inner` elements. A stride is 0 where the operand is
/// broadcast. The sum over what was broadcast is the same loops with the result's role taken by an operand.
#[derive(Clone, Copy)]
pub struct Plan {
    outer: [usize; 3],
    inner: usize,
    /// Of a, of b, of y, per outer axis.
    strides: [[usize; 3]; 3],
    /// Of a, of b, of y, inside a row: 0 or 1.
    step: [usize; 3],
}

/// A row: where it starts in a, b and y.
type Row = [usize; 3];

impl Plan {
    /// For shapes that [`shape`] accepted. Adjacent axes that are broadcast alike become one.
    pub fn new(a: &[usize], b: &[usize], y: &[usize]) -> Self {
        let varies = |s: &[usize], axis: usize| (axis + s.len()).checked_sub(y.len()).is_some_and(|i| s[i] != 1);
        // (size, whether a varies, whether b varies), from the last axis on.
        let mut axes = [(1, true, true); 4];
        let mut used = 0;
        for axis in (0..y.len()).rev().filter(|axis| y[*axis] != 1) {
            let next = (y[axis], varies(a, axis), varies(b, axis));
            if used > 0 && (axes[used - 1].1, axes[used - 1].2) == (next.1, next.2) {
                axes[used - 1].0 *= next.0;
            } else {
                axes[used] = next;
                used += 1;
            }
        }
        let mut plan =
            Plan { outer: [1; 3], inner: axes[0].0, strides: [[0; 3]; 3], step: [usize::from(axes[0].1), usize::from(axes[0].2), 1] };
        let mut stride = [if axes[0].1 { axes[0].0 } else { 1 }, if axes[0].2 { axes[0].0 } else { 1 }, axes[0].0];
        for (slot, (size, va, vb)) in axes[1..].iter().enumerate() {
            let i = 2 - slot;
            plan.outer[i] = *size;
            for (operand, varies) in [*va, *vb, true].into_iter().enumerate() {
                if varies {
                    plan.strides[operand][i] = stride[operand];
                    stride[operand] *= *size;
                }
            }
        }
        plan
    }

    /// y = term(a, b, c), or added to y unless it is `fresh`; c is shaped like a. b and c may be empty if the
    /// term does not read them.
    pub fn map<R: Real>(&self, term: &dyn Fill<R>, fresh: bool, [a, b, c]: [&[R]; 3], y: &mut [R]) {
        if (self.outer, self.step) == ([1; 3], [1; 3]) {
            let given = |x| if <[R]>::is_empty(x) { a } else { x };
            return term.fill([a, given(b), given(c)], y, fresh);
        }
        if y.is_empty() {
            return;
        }
        let (mut laid, mut blocks) = ([[R::zero(); LEAF]; 3], Blocks::new(self, 0..self.inner));
        while blocks.advance() {
            let x = blocks.lay(self.step, [0, 1, 0], [a, b, c], &mut laid);
            term.fill(x, &mut y[blocks.rows()[0][2] + blocks.columns.start..][..blocks.len()], fresh);
        }
    }

    /// dx = the sum of the terms over the elements of y that the operand `which` (0: a, 1: b) was broadcast
    /// to, or added to dx unless it is `fresh`. dx is shaped like that operand; y's shape is that of f(a, b).
    /// The sums are trees over rows or over contiguous numbers.
    pub fn sum<R: Real>(&self, which: usize, terms: Terms<'_, R>, fresh: bool, dx: &mut [R]) {
        // The axes that dx has, then those that are summed over.
        let (mut axes, mut plan) = ([0, 1, 2], *self);
        axes.sort_by_key(|axis| self.strides[which][*axis] == 0);
        for (to, from) in axes.into_iter().enumerate() {
            plan.outer[to] = self.outer[from];
            (0..3).for_each(|operand| plan.strides[operand][to] = self.strides[operand][from]);
        }
        let summed: usize = (0..3).map(|axis| if plan.strides[which][axis] == 0 { plan.outer[axis] } else { 1 }).product();
        if summed * self.inner == 0 {
            if fresh {
                dx.fill(R::zero());
            }
        } else if self.step[which] > 0 && summed == 1 {
            // Nothing to sum: dx is shaped like y.
            match terms {
                Terms::Times(c, x) => Times(c).fill([x; 3], dx, fresh),
                Terms::Of(term, x) => (if which == 0 { *self } else { self.exchanged() }).map(term, fresh, x, dx),
            }
        } else {
            dispatch(Sum { plan, which, terms, fresh, summed, dx });
        }
    }

    /// The same loops with a and b exchanged.
    fn exchanged(&self) -> Self {
        let ([a, b, y], [i, j, k]) = (self.strides, self.step);
        Plan { strides: [b, a, y], step: [j, i, k], ..*self }
    }

    /// Whether operand `which` varies inside a row.
    pub fn varies(&self, which: usize) -> bool {
        self.step[which] > 0
    }

    /// Elements of a row.
    pub fn inner(&self) -> usize {
        self.inner
    }

    /// All rows.
    #[inline(always)]
    pub fn rows(&self) -> Rows {
        let [i, j, k] = self.outer;
        Rows { sizes: self.outer, strides: self.strides, index: [0; 3], row: [0; 3], left: i * j * k }
    }
}

/// What is summed.
#[derive(Clone, Copy)]
pub enum Terms<'a, R> {
    /// A constant times the numbers of a tensor shaped like y.
    Times(f64, &'a [R]),
    /// term(own, other, dy): own is shaped like the operand that the sum belongs to, other like the other
    /// one, dy like y. Those that the term does not read may be empty.
    Of(&'a dyn Fill<R>, [&'a [R]; 3]),
}

/// The rows of three nested loops, in order.
pub struct Rows {
    sizes: [usize; 3],
    strides: [[usize; 3]; 3],
    index: [usize; 3],
    row: Row,
    left: usize,
}

impl Iterator for Rows {
    type Item = Row;
    #[inline(always)]
    fn next(&mut self) -> Option<Row> {
        self.left = self.left.checked_sub(1)?;
        let row = self.row;
        let mut axis = 2;
        self.index[2] += 1;
        self.advance(2, 1);
        // Carries, like a counter.
        while axis > 0 && self.index[axis] == self.sizes[axis] {
            self.index[axis] = 0;
            self.rewind(axis, self.sizes[axis]);
            axis -= 1;
            self.index[axis] += 1;
            self.advance(axis, 1);
        }
        Some(row)
    }
}

impl Rows {
    #[inline(always)]
    fn advance(&mut self, axis: usize, by: usize) {
        for operand in 0..3 {
            self.row[operand] += by * self.strides[operand][axis];
        }
    }
    #[inline(always)]
    fn rewind(&mut self, axis: usize, by: usize) {
        for operand in 0..3 {
            self.row[operand] -= by * self.strides[operand][axis];
        }
    }
}

/// The elements of some columns, of which there is at least one, in blocks of at most LEAF, in order: several
/// rows, or a piece of one.
struct Blocks {
    rows: Rows,
    /// Of all blocks.
    all: Range<usize>,
    /// Of this block.
    columns: Range<usize>,
    starts: [Row; LEAF_ROWS],
    count: usize,
}

impl Blocks {
    #[inline(always)]
    fn new(plan: &Plan, columns: Range<usize>) -> Self {
        Blocks { rows: plan.rows(), columns: columns.end..columns.end, all: columns, starts: [[0; 3]; LEAF_ROWS], count: 0 }
    }

    /// Goes to the next block, the first one at first; false behind the last one.
    #[inline(always)]
    fn advance(&mut self) -> bool {
        let Range { start, end } = self.all;
        if self.columns.end == end {
            let most = (LEAF / (end - start)).clamp(1, LEAF_ROWS);
            self.count = 0;
            for (slot, row) in self.starts[..most].iter_mut().zip(&mut self.rows) {
                *slot = row;
                self.count += 1;
            }
            self.columns.end = start;
        }
        self.columns = self.columns.end..end.min(self.columns.end + LEAF);
        self.count > 0
    }

    /// The block's rows.
    #[inline(always)]
    fn rows(&self) -> &[Row] {
        &self.starts[..self.count]
    }

    /// Elements of the block.
    #[inline(always)]
    fn len(&self) -> usize {
        self.count * self.columns.len()
    }

    /// Three tensors' numbers for the block's elements, one row behind the other: where they lie, or in
    /// `laid`. `x[i]` is shaped like operand `like[i]` of a, b, y; what is empty gives any numbers.
    #[inline(always)]
    fn lay<'a, R: Real>(&self, step: [usize; 3], like: [usize; 3], x: [&'a [R]; 3], laid: &'a mut [[R; LEAF]; 3]) -> [&'a [R]; 3] {
        let (from, width, n) = (self.columns.start, self.columns.len(), self.len());
        let mut slices: [&[R]; 3] = [&[]; 3];
        for (((slice, x), laid), k) in slices.iter_mut().zip(x).zip(laid).zip(like) {
            let laid = &mut laid[..n];
            let adjacent = step[k] > 0 && self.rows().windows(2).all(|pair| pair[1][k] == pair[0][k] + width);
            *slice = if adjacent && !x.is_empty() {
                &x[self.starts[0][k] + from..][..n]
            } else {
                if !x.is_empty() {
                    for (row, laid) in self.rows().iter().zip(laid.chunks_exact_mut(width)) {
                        if step[k] > 0 { laid.copy_from_slice(&x[row[k] + from..][..width]) } else { laid.fill(x[row[k]]) }
                    }
                }
                laid
            };
        }
        slices
    }
}
