//! The walk from left to right, which all coordinates share.
//!
//! In front of a position x of its cell lie, not yet entered, the largest nodes that tile [x, end of the
//! cell]. Their sizes are the binary digits of what is left: at most one of each size 2^b, the smallest
//! first. So they fit in one slot per digit, and a walk takes the smallest; if it is too long, it is split,
//! the right half waits in the slot below, and so on with the left half. A walk through a whole cell makes
//! every node on its way once.
//!
//! A node of size 2^b at x splits with three normals. Two have the address of its middle, (cell, 2 (x +
//! 2^(b-1))); the third, y, comes in one pair with its sibling's, at the address (cell, 2 p + 1), p the
//! middle of their parent. Without y the halves have all of W and H: it is drawn only if a half's K is asked
//! for or needed for splitting that half, which in a uniform walk spares the last level.

use super::coordinate::{Coordinate, Third};
use super::tree::{DEPTH, Position, Tree, WHOLE};
use super::triple::Parts;
use crate::Real;

/// How far a walk has come, and what is in the coordinates' slots.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Walk {
    pub at: Position,
    /// Length of the sum.
    length: f64,
    /// Bit b: the K of slot b still lacks its parent's y.
    open: u64,
    /// Bit b: the y of the node that is, or was last, in slot b is there.
    known: u64,
    /// The pair of cells that was drawn last, as half of the first one's number, and its parts.
    drawn: Option<(usize, Parts)>,
}

impl Walk {
    /// Goes to `from` and on to `to`; then the coordinates' sums are the triples of [from, to].
    #[inline(always)]
    pub fn go<R: Real, const N: usize, const FMA: bool>(
        &mut self,
        tree: &Tree,
        coordinates: &mut [Coordinate<R, N>],
        from: Position,
        to: Position,
        parts: Parts,
    ) {
        // Forward inside of a cell nothing is lost by walking; everything else starts from the cell.
        if from.cell != self.at.cell || from < self.at {
            self.at = Position { cell: from.cell, x: 0 };
        }
        // In one loop, so that the code for drawing, which is long, is there once.
        while self.at < to {
            if self.at == from {
                self.length = 0.0;
            }
            let Position { cell, x } = self.at;
            let goal = if self.at < from { from } else { to };
            let end = if cell < goal.cell { WHOLE } else { goal.x };
            let whole = x == 0 && end == WHOLE;
            if x == 0 {
                self.take_cell::<R, N, FMA>(tree, coordinates, if whole { parts } else { Parts::Whk });
            }
            if whole {
                self.append::<R, N, FMA>(coordinates, tree.width(cell), parts);
            } else {
                self.inside::<R, N, FMA>(tree, coordinates, end, parts);
            }
            self.at = if end == WHOLE { Position { cell: cell + 1, x: 0 } } else { Position { cell, x: end } };
        }
    }

    #[inline(always)]
    fn append<R: Real, const N: usize, const FMA: bool>(&mut self, coordinates: &mut [Coordinate<R, N>], length: f64, parts: Parts) {
        for c in coordinates {
            c.append::<FMA>(self.length, length, parts);
        }
        self.length += length;
    }

    /// The cell comes in hand.
    #[inline(always)]
    fn take_cell<R: Real, const N: usize, const FMA: bool>(&mut self, tree: &Tree, coordinates: &mut [Coordinate<R, N>], parts: Parts) {
        let (row, which) = (self.at.cell / 2, self.at.cell % 2);
        if self.drawn.is_none_or(|(drawn, has)| drawn != row || has < parts) {
            for c in &mut *coordinates {
                c.draw::<FMA>(row, parts);
            }
            self.drawn = Some((row, parts));
        }
        let root = tree.width(self.at.cell).sqrt();
        for c in coordinates {
            c.take_cell(which, tree.law.map(|sd| root * sd), parts);
        }
    }

    /// Goes to `end` in this cell; at its start, the cell is in hand.
    #[inline(always)]
    fn inside<R: Real, const N: usize, const FMA: bool>(
        &mut self,
        tree: &Tree,
        coordinates: &mut [Coordinate<R, N>],
        end: u64,
        parts: Parts,
    ) {
        let unit = tree.width(self.at.cell) / WHOLE as f64;
        let length = |b: u32| unit * (1u64 << b) as f64;
        let sd = |b: u32| tree.innovations.map(|sd| length(b).sqrt() * sd);
        while self.at.x < end {
            let x = self.at.x;
            let mut b = (WHOLE - x).trailing_zeros();
            let fits = |b: u32| 1 << b <= end - x;
            if x > 0 {
                for c in &mut *coordinates {
                    c.take(b as usize);
                }
                if self.open >> b & 1 == 1 && (parts == Parts::Whk || !fits(b)) {
                    let y = self.third(x - (1 << b), b + 1);
                    for c in &mut *coordinates {
                        c.close::<FMA>(y, sd(b + 1)[2]);
                    }
                }
            }
            while !fits(b) {
                let open = parts < Parts::Whk && fits(b - 1);
                let y = if open { None } else { Some(self.third(x, b)) };
                let (sd, address) = (sd(b), [self.at.cell as u64, 2 * (x + (1 << (b - 1)))]);
                b -= 1;
                for c in &mut *coordinates {
                    c.halve::<FMA>(address, y, sd, b as usize);
                }
                self.open = self.open & !(1 << b) | u64::from(open) << b;
                self.known &= !(1 << b);
            }
            self.append::<R, N, FMA>(coordinates, length(b), parts);
            self.at.x += 1 << b;
        }
    }

    /// y of the node of size 2^b at `x`, which holds the place of the walk or lies just behind it. If it is a
    /// left half, its sibling waits in slot b, and gets its own.
    #[inline(always)]
    fn third(&mut self, x: u64, b: u32) -> Third {
        let right = b < DEPTH && x >> b & 1 == 1;
        if right && self.known >> b & 1 == 1 {
            return Third::Kept(b as usize);
        }
        // The whole cell has no parent: 0 is the middle of no node.
        let middle = if b == DEPTH { 0 } else { (x >> b | 1) << b };
        let address = [self.at.cell as u64, 2 * middle + 1];
        if right {
            return Third::Right(address);
        }
        self.known |= 1 << b;
        Third::Left(address, b as usize)
    }
}
