//! One coordinate of a block of paths, walked from left to right.
//!
//! In front of a position x of its cell lie, not yet entered, the largest nodes that tile [x, end of the cell]. Their sizes are
//! the binary digits of what is left: at most one of each size 2^b, the smallest first. So they fit in one slot per digit, and a
//! walk pops the smallest; if it is too long, it is split, the right half waits in the slot below, and so on with the left half.
//! Each node of the tree is made once by a walk through all.
//!
//! A node of size 2^b at x splits with three normals. Two have the address of its middle, (cell, 2 (x + 2^(b-1))); the third, y,
//! comes in one pair with its sibling's, at the address (cell, 2 p + 1), p the middle of their parent. Without y the halves have all of W
//! and H: it is drawn only if a half's K is asked for or needed for splitting that half, which in a uniform walk spares the last level.

use super::tree::{DEPTH, Position, Tree, WHOLE};
use super::triple::{Parts, Triple};
use crate::Real;
use crate::rng::Field;

/// First column for cells: W, H, K of cells 2 r and 2 r + 1 are the pairs at (r, CELLS), (r, CELLS + 1), (r, CELLS + 2).
const CELLS: u64 = 1 << 59;

/// The state of a walk that all coordinates share.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Place {
    pub at: Position,
    /// Bit b: the K of slot b still lacks its parent's y.
    open: u64,
    /// Bit b: the y of the node of size 2^b that is, or was last, in slot b is there.
    known: u64,
    /// The cell after the last one that was drawn, and its parts, if the same pair of normals gave them.
    next: Option<(usize, Parts)>,
}

/// A node in waiting, and its y.
#[derive(Debug, Clone, Copy)]
struct Slot<R, const N: usize> {
    node: Triple<R, N>,
    y: [R; N],
}

/// One coordinate of N paths.
#[derive(Debug, Clone)]
pub(super) struct Coordinate<R, const N: usize> {
    field: Field,
    /// The first of the N lanes.
    lane: usize,
    slots: [Slot<R, N>; DEPTH as usize + 1],
    next: Triple<R, N>,
}

/// What has been walked: its triple and its length.
struct Walked<R, const N: usize> {
    sum: Triple<R, N>,
    length: f64,
    parts: Parts,
}

impl<R: Real, const N: usize> Walked<R, N> {
    #[inline(always)]
    fn append<const FMA: bool>(&mut self, node: &Triple<R, N>, length: f64) {
        if self.length == 0.0 {
            self.sum = *node;
        } else {
            self.sum.append::<FMA>(node, self.length, length, self.parts);
        }
        self.length += length;
    }
}

impl<R: Real, const N: usize> Coordinate<R, N> {
    pub fn new(field: Field, lane: usize) -> Self {
        let zero = Triple::new(R::zero());
        Coordinate { field, lane, slots: [Slot { node: zero, y: zero.w }; DEPTH as usize + 1], next: zero }
    }

    /// Walks from `place` to `to`, which isn't before it.
    #[inline(always)]
    pub fn walk<const FMA: bool>(&mut self, tree: &Tree, place: &mut Place, to: Position, parts: Parts) -> Triple<R, N> {
        let mut walked = Walked { sum: Triple::new(R::zero()), length: 0.0, parts };
        while place.at < to {
            let Position { cell, x } = place.at;
            let end = if cell < to.cell { WHOLE } else { to.x };
            if x == 0 && end == WHOLE {
                walked.append::<FMA>(&self.cell::<FMA>(tree, place, parts), tree.width(cell));
            } else {
                if x == 0 {
                    self.slots[DEPTH as usize].node = self.cell::<FMA>(tree, place, Parts::Whk);
                    (place.open, place.known) = (0, 0);
                }
                self.inside::<FMA>(tree, place, end, &mut walked);
            }
            place.at = if end == WHOLE { Position { cell: cell + 1, x: 0 } } else { Position { cell, x: end } };
        }
        walked.sum
    }

    /// The triple of the cell that `place` is in.
    #[inline(always)]
    fn cell<const FMA: bool>(&mut self, tree: &Tree, place: &mut Place, parts: Parts) -> Triple<R, N> {
        let cell = place.at.cell;
        let normals = match place.next {
            Some((next, has)) if next == cell && has >= parts => self.next,
            _ => {
                let mut pair = [Triple::new(R::zero()); 2];
                let row = (cell / 2) as u32;
                let [a, b] = self.field.pair::<R, N, FMA>(self.lane, row, CELLS);
                (pair[0].w, pair[1].w) = (a, b);
                if parts >= Parts::Wh {
                    let [a, b] = self.field.pair::<R, N, FMA>(self.lane, row, CELLS + 1);
                    (pair[0].h, pair[1].h) = (a, b);
                }
                if parts >= Parts::Whk {
                    let [a, b] = self.field.pair::<R, N, FMA>(self.lane, row, CELLS + 2);
                    (pair[0].k, pair[1].k) = (a, b);
                }
                if cell % 2 == 0 {
                    self.next = pair[1];
                    place.next = Some((cell + 1, parts));
                }
                pair[cell % 2]
            }
        };
        let root = tree.width(cell).sqrt();
        let [w, h, k] = tree.law.map(|sd| R::of(root * sd));
        let mut triple = normals;
        for i in 0..N {
            triple.w[i] *= w;
            triple.h[i] *= h;
            triple.k[i] *= k;
        }
        triple
    }

    /// Walks to `end` in the cell that `place` is in.
    #[inline(always)]
    fn inside<const FMA: bool>(&mut self, tree: &Tree, place: &mut Place, end: u64, walked: &mut Walked<R, N>) {
        let Position { cell, mut x } = place.at;
        let unit = tree.width(cell) / WHOLE as f64;
        while x < end {
            let mut b = (WHOLE - x).trailing_zeros();
            let mut node = self.slots[b as usize].node;
            let fits = |b: u32| 1 << b <= end - x;
            // A node in waiting is a right half, or a whole cell.
            if place.open >> b & 1 == 1 && (walked.parts == Parts::Whk || !fits(b)) {
                let parent = 2.0 * unit * (1u64 << b) as f64;
                let y = self.third::<FMA>(place, cell, x - (1 << b), b + 1);
                node.add_k::<FMA>(&y, R::of(-(parent.sqrt() * tree.innovations[2])));
            }
            while !fits(b) {
                let root = (unit * (1u64 << b) as f64).sqrt();
                let [sd_z, sd_x, sd_y] = tree.innovations.map(|sd| R::of(root * sd));
                let middle = x + (1 << (b - 1));
                let [z, zx] = self.field.pair::<R, N, FMA>(self.lane, cell as u32, 2 * middle);
                let [mut left, mut right] = node.halves::<FMA>(&z, &zx, [sd_z, sd_x]);
                let open = fits(b - 1) && walked.parts < Parts::Whk;
                if !open {
                    let y = self.third::<FMA>(place, cell, x, b);
                    left.add_k::<FMA>(&y, sd_y);
                    right.add_k::<FMA>(&y, -sd_y);
                }
                b -= 1;
                place.open = place.open & !(1 << b) | u64::from(open) << b;
                place.known &= !(1 << b);
                self.slots[b as usize].node = right;
                node = left;
            }
            walked.append::<FMA>(&node, unit * (1u64 << b) as f64);
            x += 1 << b;
        }
    }

    /// y of the node of size 2^b at `x`, which holds the place of the walk or lies just behind it. If it is a left half, its sibling
    /// waits in slot b, and gets its own.
    #[inline(always)]
    fn third<const FMA: bool>(&mut self, place: &mut Place, cell: usize, x: u64, b: u32) -> [R; N] {
        let right = b < DEPTH && x >> b & 1 == 1;
        if right && place.known >> b & 1 == 1 {
            return self.slots[b as usize].y;
        }
        // The whole cell has no parent: 0 is the middle of no node.
        let middle = if b == DEPTH { 0 } else { (x >> b | 1) << b };
        let [l, r] = self.field.pair::<R, N, FMA>(self.lane, cell as u32, 2 * middle + 1);
        if right {
            return r;
        }
        self.slots[b as usize].y = r;
        place.known |= 1 << b;
        l
    }
}
