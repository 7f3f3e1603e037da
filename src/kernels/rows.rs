//! Scalar and outer products of rows.

use super::sums::{LEAF_ROWS, Tree, sum_of};
use crate::Real;
use crate::simd::{Kernel, W, dispatch};

/// y_i = sum_j a_ij b_ij for rows of `n` numbers; 0 for rows of none.
pub fn dot<R: Real>(n: usize, a: &[R], b: &[R], y: &mut [R]) {
    if n == 0 {
        return y.fill(R::zero());
    }
    dispatch(Dots { m: 1, n, a, b, y, add: false });
}

/// dx_ij += dy_i x_ij for rows of `n` numbers.
pub fn add_scaled<R: Real>(n: usize, x: &[R], dy: &[R], dx: &mut [R]) {
    let n = n.max(1);
    for ((dx, x), dy) in dx.chunks_exact_mut(n).zip(x.chunks_exact(n)).zip(dy) {
        dx.iter_mut().zip(x).for_each(|(dx, x)| *dx += *dy * *x);
    }
}

/// y_ij = a_i b_j for every row of a, `m` numbers, and the same row of b, `n` numbers.
pub fn outer<R: Real>([m, n]: [usize; 2], a: &[R], b: &[R], y: &mut [R]) {
    if !y.is_empty() {
        dispatch(Products { m, n, a, b, y });
    }
}

/// da_i += sum_j dy_ij b_j for every row.
pub fn outer_left<R: Real>([m, n]: [usize; 2], b: &[R], dy: &[R], da: &mut [R]) {
    if !dy.is_empty() {
        dispatch(Dots { m, n, a: dy, b, y: da, add: true });
    }
}

/// db_j += sum_i dy_ij a_i for every row.
pub fn outer_right<R: Real>([m, n]: [usize; 2], a: &[R], dy: &[R], db: &mut [R]) {
    if !dy.is_empty() {
        dispatch(OverRows { m, n, dy, a, db });
    }
}

/// y_i = sum_j a_ij b_j, or y_i += ... if `add`, for every matrix a `[m, n]` and its vector b `[n]`; m, n >
/// 0.
struct Dots<'a, R> {
    m: usize,
    n: usize,
    a: &'a [R],
    b: &'a [R],
    y: &'a mut [R],
    add: bool,
}

impl<R: Real> Kernel for Dots<'_, R> {
    const VECTORS: bool = R::VECTORS;
    type Output = ();
    #[inline(always)]
    fn run<const FMA: bool>(self) {
        let Dots { m, n, a, b, y, add } = self;
        for ((a, b), y) in a.chunks_exact(m * n).zip(b.chunks_exact(n)).zip(y.chunks_exact_mut(m)) {
            for (a, y) in a.chunks_exact(n).zip(y) {
                let sum = sum_of(n, |j| a[j] * b[j]);
                *y = if add { *y + sum } else { sum };
            }
        }
    }
}

struct Products<'a, R> {
    m: usize,
    n: usize,
    a: &'a [R],
    b: &'a [R],
    y: &'a mut [R],
}
impl<R: Real> Kernel for Products<'_, R> {
    const VECTORS: bool = R::VECTORS;
    type Output = ();
    #[inline(always)]
    fn run<const FMA: bool>(self) {
        let Products { m, n, a, b, y } = self;
        for ((a, b), y) in a.chunks_exact(m).zip(b.chunks_exact(n)).zip(y.chunks_exact_mut(m * n)) {
            for (a, y) in a.iter().zip(y.chunks_exact_mut(n)) {
                for (y, b) in y.iter_mut().zip(b) {
                    *y = *a * *b;
                }
            }
        }
    }
}

struct OverRows<'a, R> {
    m: usize,
    n: usize,
    dy: &'a [R],
    a: &'a [R],
    db: &'a mut [R],
}
impl<R: Real> Kernel for OverRows<'_, R> {
    const VECTORS: bool = R::VECTORS;
    type Output = ();
    #[inline(always)]
    fn run<const FMA: bool>(self) {
        let OverRows { m, n, dy, a, db } = self;
        for ((db, a), dy) in db.chunks_exact_mut(n).zip(a.chunks_exact(m)).zip(dy.chunks_exact(m * n)) {
            let whole = n / W * W;
            for j in (0..whole).step_by(W) {
                add_sum(a, dy, j, &mut db[j..][..W]);
            }
            add_sum(a, dy, whole, &mut db[whole..]);
        }
    }
}

/// db_j += sum_i a_i dy_ij for the up to [`W`] columns from `j` on that `db` has.
#[inline(always)]
fn add_sum<R: Real>(a: &[R], dy: &[R], j: usize, db: &mut [R]) {
    let n = dy.len() / a.len();
    let sum = if a.len() <= LEAF_ROWS {
        leaf(a, dy, n, j, db.len())
    } else {
        let mut tree = Tree::<R, W>::new();
        for (a, dy) in a.chunks(LEAF_ROWS).zip(dy.chunks(LEAF_ROWS * n)) {
            tree.push(leaf(a, dy, n, j, db.len()));
        }
        tree.total()
    };
    for (db, sum) in db.iter_mut().zip(sum) {
        *db += sum;
    }
}

#[inline(always)]
fn leaf<R: Real>(a: &[R], dy: &[R], n: usize, j: usize, width: usize) -> [R; W] {
    let mut sum = [R::zero(); W];
    for (a, dy) in a.iter().zip(dy.chunks_exact(n)) {
        for (sum, dy) in sum[..width].iter_mut().zip(&dy[j..][..width]) {
            *sum += *a * *dy;
        }
    }
    sum
}
