//! Loops of two-operand operations: broadcasting, and its reverse, summing over what was broadcast.

use super::sums::{LEAF_ROWS, Tree, sum_of};
use crate::Real;
use crate::simd::W;

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

/// y = f(a, b) as up to three outer loops over rows of `inner` elements. A stride is 0 where the operand is broadcast.
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

    #[inline(always)]
    fn row(&self, i: [usize; 3], start: Row) -> Row {
        let mut row = start;
        for (at, stride) in row.iter_mut().zip(self.strides) {
            *at += i[0] * stride[0] + i[1] * stride[1] + i[2] * stride[2];
        }
        row
    }

    /// y = f(a, b). For use inside kernels.
    #[inline(always)]
    pub fn map<R: Real>(&self, a: &[R], b: &[R], y: &mut [R], f: impl Fn(R, R) -> R) {
        let n = self.inner;
        each(self.outer, |i| {
            let [ia, ib, iy] = self.row(i, [0; 3]);
            let (a, b, y) = (&a[ia..], &b[ib..], &mut y[iy..iy + n]);
            match self.step {
                [1, 1] => y.iter_mut().zip(a).zip(b).for_each(|((y, a), b)| *y = f(*a, *b)),
                [1, _] => y.iter_mut().zip(a).for_each(|(y, a)| *y = f(*a, b[0])),
                [_, 1] => y.iter_mut().zip(b).for_each(|(y, b)| *y = f(a[0], *b)),
                _ => y.iter_mut().for_each(|y| *y = f(a[0], b[0])),
            }
        });
    }

    /// Adds to the adjoint of operand `which` (0: a, 1: b) the terms of the elements of y that it was broadcast to.
    /// `term(ia, ib, iy)` is one element's term; the sums are trees over rows or over contiguous numbers. For use inside kernels.
    #[inline(always)]
    pub fn reduce<R: Real>(&self, which: usize, dx: &mut [R], term: impl Fn(usize, usize, usize) -> R) {
        let (mut kept, mut summed) = ([1; 3], [1; 3]);
        for axis in 0..3 {
            if self.strides[which][axis] > 0 { kept[axis] = self.outer[axis] } else { summed[axis] = self.outer[axis] }
        }
        let [sa, sb] = self.step;
        let (n, rows) = (self.inner, summed.iter().product::<usize>());
        each(kept, |i| {
            let start = self.row(i, [0; 3]);
            if self.step[which] == 0 {
                let mut tree = Tree::<R, 1>::new();
                each(summed, |r| {
                    let [a, b, y] = self.row(r, start);
                    tree.push([sum_of(n, |j| term(a + sa * j, b + sb * j, y + j))]);
                });
                dx[start[which]] += tree.total()[0];
            } else if rows == 1 {
                let [a, b, y] = start;
                for (j, dx) in dx[start[which]..][..n].iter_mut().enumerate() {
                    *dx += term(a + sa * j, b + sb * j, y + j);
                }
            } else {
                for j0 in (0..n).step_by(W) {
                    let width = W.min(n - j0);
                    let mut tree = Tree::<R, W>::new();
                    let (mut leaf, mut count) = ([R::zero(); W], 0);
                    each(summed, |r| {
                        let [a, b, y] = self.row(r, start);
                        for (j, leaf) in leaf[..width].iter_mut().enumerate() {
                            *leaf += term(a + sa * (j0 + j), b + sb * (j0 + j), y + j0 + j);
                        }
                        count += 1;
                        if count == LEAF_ROWS {
                            tree.push(std::mem::replace(&mut leaf, [R::zero(); W]));
                            count = 0;
                        }
                    });
                    if count > 0 {
                        tree.push(leaf);
                    }
                    for (dx, sum) in dx[start[which] + j0..][..width].iter_mut().zip(tree.total()) {
                        *dx += sum;
                    }
                }
            }
        });
    }
}

#[inline(always)]
fn each(n: [usize; 3], mut f: impl FnMut([usize; 3])) {
    for i in 0..n[0] {
        for j in 0..n[1] {
            for k in 0..n[2] {
                f([i, j, k]);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shapes_follow_the_rule() {
        assert_eq!(shape(&[3, 1, 5], &[4, 1]), Some(vec![3, 4, 5]));
        assert_eq!(shape(&[], &[2]), Some(vec![2]));
        assert_eq!(shape(&[0, 3], &[1, 3]), Some(vec![0, 3]));
        assert_eq!(shape(&[2], &[3]), None);
        assert_eq!(shape(&[0], &[2]), None);
    }

    #[test]
    fn axes_broadcast_alike_become_one() {
        let p = Plan::new(&[4, 3, 2], &[4, 3, 2], &[4, 3, 2]);
        assert_eq!((p.outer, p.inner, p.step), ([1; 3], 24, [1, 1]));
        let p = Plan::new(&[4, 3, 2], &[2], &[4, 3, 2]);
        assert_eq!((p.outer, p.inner, p.step), ([1, 1, 12], 2, [1, 1]));
        let p = Plan::new(&[4, 3], &[4, 1], &[4, 3]);
        assert_eq!((p.outer, p.inner, p.step), ([1, 1, 4], 3, [1, 0]));
    }
}
