//! Loops of two-operand operations: broadcasting, and its reverse, summing over what was broadcast.

#[cfg(test)]
mod tests;

use super::sums::{LEAF, LEAF_ROWS, Tree};
use crate::Real;
use crate::simd::{self, Kernel, W, dispatch};

/// What is computed from the elements of up to four tensors: plain arithmetic of up to four numbers.
pub trait Term: Copy {
    /// Whether `own` is read.
    const OWN: bool = true;
    /// Whether it may have to be added to what is there.
    const ADDS: bool = true;
    /// The number.
    fn at<R: Real, const FMA: bool>(self, own: R, other: R, y: R, dy: R) -> R;
}

/// The operand itself.
#[derive(Clone, Copy)]
pub struct Own;
impl Term for Own {
    #[inline(always)]
    fn at<R: Real, const FMA: bool>(self, own: R, _: R, _: R, _: R) -> R {
        own
    }
}

/// The adjoint, times a constant.
#[derive(Clone, Copy)]
pub struct Incoming(pub f64);
impl Term for Incoming {
    const OWN: bool = false;
    #[inline(always)]
    fn at<R: Real, const FMA: bool>(self, _: R, _: R, _: R, dy: R) -> R {
        R::of(self.0) * dy
    }
}

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

/// y = f(a, b) as up to three outer loops over rows of `inner` elements. A stride is 0 where the operand is broadcast. The sum
/// over what was broadcast is the same loops with the result's role taken by an operand.
#[derive(Clone, Copy)]
pub struct Plan {
    outer: [usize; 3],
    inner: usize,
    /// Of a, of b, of y, per outer axis.
    strides: [[usize; 3]; 3],
    /// Of a, of b, inside a row: 0 or 1.
    step: [usize; 2],
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
            Plan { outer: [1; 3], inner: axes[0].0, strides: [[0; 3]; 3], step: [usize::from(axes[0].1), usize::from(axes[0].2)] };
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

    /// y = term(a, b, c, d), or added to y unless it is `fresh`; c and d are shaped like a.
    pub fn map<T: Term, R: Real>(&self, term: T, fresh: bool, [a, c, d]: [&[R]; 3], b: &[R], y: &mut [R]) {
        dispatch(Map { plan: *self, term, fresh, a, b, c, d, y });
    }

    /// dx = sum of term(own, other, y, dy) over the elements of y that the operand `which` (0: a, 1: b) was broadcast to, or
    /// added to dx unless it is `fresh`. own and dx are shaped like that operand, other like the other one, y and dy like y.
    /// y's shape is that of f(a, b). The sums are trees over rows or over contiguous numbers.
    pub fn sum<T: Term, R: Real>(&self, which: usize, term: T, fresh: bool, [own, other, y, dy]: [&[R]; 4], dx: &mut [R]) {
        let (mut kept, mut summed) = ([1; 3], [1; 3]);
        for axis in 0..3 {
            if self.strides[which][axis] > 0 { kept[axis] = self.outer[axis] } else { summed[axis] = self.outer[axis] }
        }
        if self.step[which] > 0 && summed == [1; 3] {
            // Nothing to sum: own, y and dy have one shape.
            let plan = if which == 0 { *self } else { self.exchanged() };
            plan.map(term, fresh, [if T::OWN { own } else { dy }, y, dy], other, dx);
        } else {
            dispatch(Sum { plan: *self, which, term, fresh, own, other, y, dy, dx, kept, summed });
        }
    }

    /// The same loops with a and b exchanged.
    fn exchanged(&self) -> Self {
        let ([a, b, y], [i, j]) = (self.strides, self.step);
        Plan { strides: [b, a, y], step: [j, i], ..*self }
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
        Rows::new(self.outer, self.strides, [0; 3])
    }
}

/// The rows of three nested loops, in order.
pub struct Rows {
    sizes: [usize; 3],
    strides: [[usize; 3]; 3],
    index: [usize; 3],
    row: Row,
    left: usize,
}

impl Rows {
    #[inline(always)]
    fn new(sizes: [usize; 3], strides: [[usize; 3]; 3], start: Row) -> Self {
        Rows { sizes, strides, index: [0; 3], row: start, left: sizes[0] * sizes[1] * sizes[2] }
    }
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

struct Map<'a, T, R> {
    plan: Plan,
    term: T,
    fresh: bool,
    a: &'a [R],
    b: &'a [R],
    c: &'a [R],
    d: &'a [R],
    y: &'a mut [R],
}

impl<T: Term, R: Real> Kernel for Map<'_, T, R> {
    const VECTORS: bool = R::VECTORS;
    type Output = ();
    #[inline(always)]
    fn run<const FMA: bool>(self) {
        match self.plan.step {
            [1, 1] => self.rows::<true, true, FMA>(),
            [1, _] => self.rows::<true, false, FMA>(),
            [_, 1] => self.rows::<false, true, FMA>(),
            _ => self.rows::<false, false, FMA>(),
        }
    }
}

impl<T: Term, R: Real> Map<'_, T, R> {
    /// A, B: whether the operand varies inside a row.
    #[inline(always)]
    fn rows<const A: bool, const B: bool, const FMA: bool>(self) {
        let n = self.plan.inner;
        let (na, nb) = (if A { n } else { 1 }, if B { n } else { 1 });
        for [ia, ib, iy] in self.plan.rows() {
            let y = &mut self.y[iy..][..n];
            let (a, b, c, d) = (&self.a[ia..][..na], &self.b[ib..][..nb], &self.c[ia..][..na], &self.d[ia..][..na]);
            row::<T, R, A, B, FMA>(self.term, self.fresh, a, b, c, d, y);
        }
    }
}

/// One row. Its slices are arguments so that the compiler knows that `y` is nobody else's.
#[inline(always)]
fn row<T: Term, R: Real, const A: bool, const B: bool, const FMA: bool>(
    term: T,
    fresh: bool,
    a: &[R],
    b: &[R],
    c: &[R],
    d: &[R],
    y: &mut [R],
) {
    let n = y.len();
    let (na, nb) = (if A { n } else { 1 }, if B { n } else { 1 });
    let (a, b, c, d) = (&a[..na], &b[..nb], &c[..na], &d[..na]);
    if fresh || !T::ADDS {
        for j in 0..n {
            let (i, k) = (if A { j } else { 0 }, if B { j } else { 0 });
            y[j] = term.at::<R, FMA>(a[i], b[k], c[i], d[i]);
        }
    } else {
        for j in 0..n {
            let (i, k) = (if A { j } else { 0 }, if B { j } else { 0 });
            y[j] += term.at::<R, FMA>(a[i], b[k], c[i], d[i]);
        }
    }
}

struct Sum<'a, T, R> {
    plan: Plan,
    which: usize,
    term: T,
    fresh: bool,
    own: &'a [R],
    other: &'a [R],
    y: &'a [R],
    dy: &'a [R],
    dx: &'a mut [R],
    /// The outer axes that dx has, and those that are summed over; 1 in the place of the others.
    kept: [usize; 3],
    summed: [usize; 3],
}

/// Columns that are summed side by side: two chains of additions in flight where a vector is longest.
const WIDE: usize = 2 * W;

impl<T: Term, R: Real> Kernel for Sum<'_, T, R> {
    const VECTORS: bool = R::VECTORS;
    type Output = ();
    #[inline(always)]
    fn run<const FMA: bool>(self) {
        if self.plan.step[self.which] == 0 { self.contiguous::<FMA>() } else { self.strided::<FMA>() }
    }
}

impl<T: Term, R: Real> Sum<'_, T, R> {
    /// The operand is one number in a row, and the other one varies.
    #[inline(always)]
    fn contiguous<const FMA: bool>(self) {
        let (n, w, o) = (self.plan.inner, self.which, 1 - self.which);
        let (mut tree, mut row) = (Tree::<R, 1>::new(), Tree::<R, 1>::new());
        for start in Rows::new(self.kept, self.plan.strides, [0; 3]) {
            let own = if T::OWN { self.own[start[w]] } else { R::zero() };
            let dx = &mut self.dx[start[w]];
            if n <= LEAF && self.summed == [1; 3] {
                // One leaf, without the tree: rows may be short and many.
                let (other, y, dy) = (&self.other[start[o]..][..n], &self.y[start[2]..][..n], &self.dy[start[2]..][..n]);
                let total = leaf_sum::<T, R, FMA>(self.term, own, other, y, dy);
                *dx = if self.fresh { total } else { *dx + total };
                continue;
            }
            tree.clear();
            for at in Rows::new(self.summed, self.plan.strides, start) {
                let (other, y, dy) = (&self.other[at[o]..][..n], &self.y[at[2]..][..n], &self.dy[at[2]..][..n]);
                row.clear();
                for ((other, y), dy) in other.chunks(LEAF).zip(y.chunks(LEAF)).zip(dy.chunks(LEAF)) {
                    row.push([leaf_sum::<T, R, FMA>(self.term, own, other, y, dy)]);
                }
                tree.push(row.total());
            }
            let total = tree.total()[0];
            *dx = if self.fresh { total } else { *dx + total };
        }
    }

    /// The operand varies in a row: sums of columns, leaves of LEAF_ROWS rows in order, joined by the tree.
    #[inline(always)]
    fn strided<const FMA: bool>(self) {
        let (n, w, o) = (self.plan.inner, self.which, 1 - self.which);
        let mut tree = Tree::<R, WIDE>::new();
        for start in Rows::new(self.kept, self.plan.strides, [0; 3]) {
            for j in (0..n).step_by(WIDE) {
                let own = if T::OWN { load(self.own, start[w] + j) } else { [R::zero(); WIDE] };
                tree.clear();
                let mut rows = Rows::new(self.summed, self.plan.strides, start);
                while rows.left > 0 {
                    let mut leaf = [R::zero(); WIDE];
                    for _ in 0..LEAF_ROWS.min(rows.left) {
                        let Some(at) = rows.next() else { break };
                        let other = if self.plan.step[o] == 0 { [self.other[at[o]]; WIDE] } else { load(self.other, at[o] + j) };
                        let (y, dy) = (load(self.y, at[2] + j), load(self.dy, at[2] + j));
                        for i in 0..WIDE {
                            leaf[i] += self.term.at::<R, FMA>(own[i], other[i], y[i], dy[i]);
                        }
                    }
                    tree.push(leaf);
                }
                let dx = &mut self.dx[start[w] + j..][..WIDE.min(n - j)];
                for (dx, sum) in dx.iter_mut().zip(tree.total()) {
                    *dx = if self.fresh { sum } else { *dx + sum };
                }
            }
        }
    }
}

/// WIDE numbers from x[at] on. Where a row has fewer, what comes behind it comes along, and nobody looks at its sums.
#[inline(always)]
fn load<R: Real>(x: &[R], at: usize) -> [R; WIDE] {
    let mut lanes = [R::zero(); WIDE];
    let x = &x[at..];
    if x.len() >= WIDE {
        lanes.copy_from_slice(&x[..WIDE]);
    } else {
        lanes[..x.len()].copy_from_slice(x);
    }
    lanes
}

/// At most LEAF terms: W interleaved running sums, folded in halves.
#[inline(always)]
fn leaf_sum<T: Term, R: Real, const FMA: bool>(term: T, own: R, other: &[R], y: &[R], dy: &[R]) -> R {
    let mut lanes = [R::zero(); W];
    let ((other, last_other), (y, last_y), (dy, last_dy)) = (other.as_chunks::<W>(), y.as_chunks::<W>(), dy.as_chunks::<W>());
    for ((other, y), dy) in other.iter().zip(y).zip(dy) {
        for i in 0..W {
            lanes[i] += term.at::<R, FMA>(own, other[i], y[i], dy[i]);
        }
    }
    for (lane, ((other, y), dy)) in lanes.iter_mut().zip(last_other.iter().zip(last_y).zip(last_dy)) {
        *lane += term.at::<R, FMA>(own, *other, *y, *dy);
    }
    simd::sum(lanes)
}
