//! Outer products of rows.

use super::row_dot::Dots;
use crate::Real;
use crate::kernels::sums::{LEAF_ROWS, Tree};
use crate::simd::{Kernel, W, dispatch};
use crate::tape::op::{Adjoints, Checked, Op, Operands, Output, Point, Reads, Sample, elements, row_len, two};
use crate::tape::recorder::methods;

methods! {
    /// Products a_i b_j of every row (last axis) of a with that of b: `[.., m]`, `[.., n]` -> `[.., m, n]`.
    outer(a, b) = Outer;
}

/// y_ij = a_i b_j for every row of a `[.., m]` and the same row of b `[.., n]`: y `[.., m, n]`.
#[derive(Clone, Copy)]
pub struct Outer;

impl<R: Real> Op<R> for Outer {
    fn name(&self) -> &'static str {
        "outer"
    }
    fn shape(&self, x: &[&[usize]]) -> Result<Vec<usize>, String> {
        match two(x)? {
            [[a @ .., m], [b @ .., n]] if a == b => Ok([a, &[*m, *n]].concat()),
            _ => Err("shapes with at least one axis, equal but for the last".to_string()),
        }
    }
    fn reads(&self) -> Reads {
        Reads::Inputs
    }
    fn flops(&self, _x: &[&[usize]], y: &[usize]) -> u64 {
        elements(y) as u64
    }
    fn forward(&self, x: Operands<'_, R>, out: Output<'_, R>) {
        let [m, n] = [0, 1].map(|k| row_len(x.shape(k)));
        if !out.y.is_empty() {
            dispatch(Products { m, n, a: x.value(0), b: x.value(1), y: out.y });
        }
    }
    /// da_i = sum_j dy_ij b_j, db_j = sum_i dy_ij a_i.
    fn vjp(&self, x: Operands<'_, R>, at: Point<'_, R>, dx: &mut Adjoints<'_, R>) {
        let [m, n] = [0, 1].map(|k| row_len(x.shape(k)));
        let empty = at.dy.is_empty();
        if let Some(da) = dx.add_to(0).filter(|_| !empty) {
            dispatch(Dots { m, n, a: at.dy, b: x.value(1), y: da, add: true });
        }
        if let Some(db) = dx.add_to(1).filter(|_| !empty) {
            dispatch(OverRows { m, n, dy: at.dy, a: x.value(0), db });
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

impl Checked for Outer {
    fn samples() -> Vec<(Self, Vec<Sample>)> {
        let cases: [(&[usize], &[usize]); 8] = [
            (&[3, 5], &[3, 2]),
            (&[3], &[1]),
            (&[1, 1], &[1, 19]),
            (&[2, 3, 2], &[2, 3, 3]),
            (&[1, 70], &[1, 3]),
            (&[0, 3], &[0, 2]),
            (&[2, 0], &[2, 3]),
            (&[2, 3], &[2, 0]),
        ];
        let mut all: Vec<_> = cases.iter().map(|(a, b)| (Outer, vec![Sample::normal(a, 1), Sample::normal(b, 2)])).collect();
        all.push((Outer, vec![Sample::points(&[-800.0, 800.0, 3.0]), Sample::points(&[1.0, 800.0])]));
        all
    }
    fn refusals() -> Vec<(Self, Vec<Vec<usize>>, &'static str)> {
        vec![
            (Outer, vec![vec![2, 3], vec![3, 3]], "equal but for the last"),
            (Outer, vec![vec![2, 3], vec![3]], "equal but for the last"),
            (Outer, vec![vec![], vec![]], "at least one axis"),
            (Outer, vec![vec![1, 1, 1, 2], vec![1, 1, 1, 2]], "at most 4 axes"),
            (Outer, vec![vec![2]], "two inputs"),
        ]
    }
}
