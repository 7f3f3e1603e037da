//! Sums over what was broadcast.

use super::{Blocks, Plan, Terms};
use crate::Real;
use crate::kernels::sums::{LEAF, LEAF_ROWS, Tree};
use crate::simd::{self, Kernel, W};

/// See [`Plan::sum`]. Every `summed` rows of the plan belong to one row, or one number, of dx.
pub struct Sum<'a, R> {
    pub plan: Plan,
    pub which: usize,
    pub terms: Terms<'a, R>,
    pub fresh: bool,
    pub summed: usize,
    pub dx: &'a mut [R],
}

/// Columns that are summed side by side: two chains of additions in flight where a vector is longest.
const WIDE: usize = 2 * W;

impl<R: Real> Kernel for Sum<'_, R> {
    const VECTORS: bool = R::VECTORS;
    type Output = ();
    #[inline(always)]
    fn run<const FMA: bool>(self) {
        let mut buffers = Buffers { laid: [[R::zero(); LEAF]; 3], terms: [R::zero(); LEAF] };
        if self.plan.step[self.which] == 0 { self.contiguous(&mut buffers) } else { self.strided(&mut buffers) }
    }
}

/// Room for a block's operands and terms.
struct Buffers<R> {
    laid: [[R; LEAF]; 3],
    terms: [R; LEAF],
}

impl<R: Real> Sum<'_, R> {
    /// The operand is one number in a row: pieces of rows are leaves.
    #[inline(always)]
    fn contiguous(mut self, buffers: &mut Buffers<R>) {
        let (mut tree, mut row, mut left) = (Tree::<R, 1>::new(), Tree::<R, 1>::new(), self.summed);
        let mut blocks = Blocks::new(&self.plan, 0..self.plan.inner);
        while blocks.advance() {
            self.compute(&blocks, buffers);
            for (r, start) in blocks.rows().iter().enumerate() {
                row.push([leaf(self.row(&blocks, r, buffers))]);
                if blocks.columns.end < self.plan.inner {
                    continue;
                }
                tree.push(row.total());
                row.clear();
                left -= 1;
                if left == 0 {
                    self.put(start[self.which], &tree.total());
                    tree.clear();
                    left = self.summed;
                }
            }
        }
    }

    /// The operand varies in a row: sums of columns, leaves of LEAF_ROWS rows in order, joined by the tree.
    #[inline(always)]
    fn strided(mut self, buffers: &mut Buffers<R>) {
        let (n, mut tree) = (self.plan.inner, Tree::<R, WIDE>::new());
        for j in (0..n).step_by(WIDE) {
            let width = WIDE.min(n - j);
            let (mut leaf, mut rows) = ([R::zero(); WIDE], 0);
            let mut blocks = Blocks::new(&self.plan, j..j + width);
            while blocks.advance() {
                self.compute(&blocks, buffers);
                for (r, start) in blocks.rows().iter().enumerate() {
                    add(&mut leaf, self.row(&blocks, r, buffers));
                    rows += 1;
                    if rows % LEAF_ROWS == 0 || rows == self.summed {
                        tree.push(leaf);
                        leaf = [R::zero(); WIDE];
                    }
                    if rows == self.summed {
                        self.put(start[self.which] + j, &tree.total()[..width]);
                        tree.clear();
                        rows = 0;
                    }
                }
            }
        }
    }

    /// Computes a block's terms, unless they lie in memory.
    #[inline(always)]
    fn compute(&self, blocks: &Blocks, buffers: &mut Buffers<R>) {
        if let Terms::Of(term, x) = self.terms {
            let x = blocks.lay(self.plan.step, [self.which, 1 - self.which, 2], x, &mut buffers.laid);
            term.fill(x, &mut buffers.terms[..blocks.len()], true);
        }
    }

    /// The terms of row `r` of a block.
    #[inline(always)]
    fn row<'b>(&'b self, blocks: &Blocks, r: usize, buffers: &'b Buffers<R>) -> &'b [R] {
        let width = blocks.columns.len();
        match self.terms {
            Terms::Times(_, x) => &x[blocks.rows()[r][2] + blocks.columns.start..][..width],
            Terms::Of(..) => &buffers.terms[r * width..][..width],
        }
    }

    #[inline(always)]
    fn put(&mut self, at: usize, sums: &[R]) {
        let c = if let Terms::Times(c, _) = self.terms { R::of(c) } else { R::one() };
        for (dx, sum) in self.dx[at..].iter_mut().zip(sums) {
            *dx = if self.fresh { c * *sum } else { *dx + c * *sum };
        }
    }
}

#[inline(always)]
fn add<R: Real>(leaf: &mut [R; WIDE], row: &[R]) {
    if let Ok(row) = <&[R; WIDE]>::try_from(row) {
        for i in 0..WIDE {
            leaf[i] += row[i];
        }
    } else {
        leaf.iter_mut().zip(row).for_each(|(sum, x)| *sum += *x);
    }
}

/// At most LEAF terms: W interleaved running sums, folded in halves.
#[inline(always)]
fn leaf<R: Real>(x: &[R]) -> R {
    let mut lanes = [R::zero(); W];
    let (blocks, last) = x.as_chunks::<W>();
    for x in blocks {
        for i in 0..W {
            lanes[i] += x[i];
        }
    }
    for (lane, x) in lanes.iter_mut().zip(last) {
        *lane += *x;
    }
    simd::sum(lanes)
}
