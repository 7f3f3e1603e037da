//! One coordinate of a block of paths: its nodes in waiting, and the node in hand.

use super::tree::DEPTH;
use super::triple::{Parts, Triple};
use crate::Real;
use crate::rng::Field;

/// First column for cells: W, H, K of cells 2 r and 2 r + 1 are the pairs at (r, CELLS), (r, CELLS + 1), (r,
/// CELLS + 2).
const CELLS: u64 = 1 << 59;

/// Where the third normal y of a node's split is.
#[derive(Debug, Clone, Copy)]
pub(super) enum Third {
    /// In this slot.
    Kept(usize),
    /// The node is a left half, or a cell: first of the pair at this address. Its sibling's goes to this
    /// slot.
    Left([u64; 2], usize),
    /// The node is a right half: second of the pair at this address.
    Right([u64; 2]),
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
    /// The node in hand.
    node: Triple<R, N>,
    /// What was walked.
    pub sum: Triple<R, N>,
    /// Normals for W, H, K of the pair of cells that was drawn last.
    cells: [[[R; N]; 2]; 3],
}

impl<R: Real, const N: usize> Coordinate<R, N> {
    pub fn new(field: Field, lane: usize) -> Self {
        let zero = Triple::new(R::zero());
        let slots = [Slot { node: zero, y: zero.w }; DEPTH as usize + 1];
        Coordinate { field, lane, slots, node: zero, sum: zero, cells: [[zero.w; 2]; 3] }
    }

    /// Appends the node in hand, of length `r`, to the sum, of length `l`.
    #[inline(always)]
    pub fn append<const FMA: bool>(&mut self, l: f64, r: f64, parts: Parts) {
        if l == 0.0 {
            self.sum.copy(&self.node, parts);
        } else {
            self.sum.append::<FMA>(&self.node, l, r, parts);
        }
    }

    /// Draws normals for the pair of cells 2 `row` and 2 `row` + 1.
    #[inline(always)]
    pub fn draw<const FMA: bool>(&mut self, row: usize, parts: Parts) {
        for part in 0..=parts as usize {
            self.cells[part] = self.pair::<FMA>([row as u64, CELLS + part as u64]);
        }
    }

    /// The first or second of the cells that were drawn comes in hand, with these standard deviations.
    #[inline(always)]
    pub fn take_cell(&mut self, which: usize, sd: [f64; 3], parts: Parts) {
        let node = [&mut self.node.w, &mut self.node.h, &mut self.node.k];
        for (part, x) in node.into_iter().enumerate().take(parts as usize + 1) {
            let sd = R::of(sd[part]);
            for i in 0..N {
                x[i] = sd * self.cells[part][which][i];
            }
        }
    }

    /// A node that waited comes in hand.
    #[inline(always)]
    pub fn take(&mut self, slot: usize) {
        self.node.copy(&self.slots[slot].node, Parts::Whk);
    }

    /// The node in hand is a right half without its parent's y: K gets it.
    #[inline(always)]
    pub fn close<const FMA: bool>(&mut self, parents: Third, sd: f64) {
        let y = self.third::<FMA>(parents);
        self.node.add_k::<FMA>(&y, R::of(-sd));
    }

    /// The left half of the node comes in hand, the right one waits in `slot`. Without y, both lack it.
    #[inline(always)]
    pub fn halve<const FMA: bool>(&mut self, address: [u64; 2], y: Option<Third>, sd: [f64; 3], slot: usize) {
        let y = y.map(|y| self.third::<FMA>(y));
        let [z, x] = self.pair::<FMA>(address);
        let right = &mut self.slots[slot].node;
        self.node.halve::<FMA>(right, &z, &x, [R::of(sd[0]), R::of(sd[1])]);
        if let Some(y) = y {
            self.node.add_k::<FMA>(&y, R::of(sd[2]));
            right.add_k::<FMA>(&y, R::of(-sd[2]));
        }
    }

    #[inline(always)]
    fn third<const FMA: bool>(&mut self, y: Third) -> [R; N] {
        let address = match y {
            Third::Kept(slot) => return self.slots[slot].y,
            Third::Left(address, _) | Third::Right(address) => address,
        };
        let [left, right] = self.pair::<FMA>(address);
        match y {
            Third::Left(_, slot) => {
                self.slots[slot].y = right;
                left
            }
            _ => right,
        }
    }

    #[inline(always)]
    fn pair<const FMA: bool>(&self, [row, column]: [u64; 2]) -> [[R; N]; 2] {
        self.field.pair::<R, N, FMA>(self.lane, row as u32, column)
    }
}
