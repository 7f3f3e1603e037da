//! The cells, and where a time lies in them.

use super::triple::{innovations, law};
use super::{Clocks, Cursor};
use crate::sde::Paths;
use crate::{Error, Real, Result};

/// Levels of the tree in a cell.
pub(super) const DEPTH: u32 = 48;
/// Length of a cell, in units of the smallest node.
pub(super) const WHOLE: u64 = 1 << DEPTH;

/// A point of time: `x` units into a cell, `x` < [`WHOLE`].
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Position {
    pub cell: usize,
    pub x: u64,
}

/// Brownian paths on [t_0, t_N]; see the [module](super).
#[derive(Debug, Clone)]
pub struct Tree {
    pub(super) paths: Paths,
    pub(super) grid: Vec<f64>,
    /// Standard deviations, per square root of length, of (W, H, K) and of what halves have beyond them.
    pub(super) law: [f64; 3],
    pub(super) innovations: [f64; 3],
}

impl Tree {
    /// The paths of this name, with the cells between the times `grid`.
    ///
    /// # Errors
    /// `grid` doesn't have two times at least and 2^32 at most, rising and finite.
    pub fn new(paths: Paths, grid: &[f64]) -> Result<Self> {
        if grid.len() < 2 || grid.len() as u64 > 1 << 32 {
            return Err(Error::invalid("Tree::new: times", "2 at least and 2^32 at most", grid.len()));
        }
        // Not finite, not rising, or too far apart: the difference is not a finite number > 0.
        if let Some(n) = grid.windows(2).position(|t| !(t[1] - t[0] > 0.0 && (t[1] - t[0]).is_finite())) {
            let problem = format!("times must rise, and be finite; number {n} is {}, the next {}", grid[n], grid[n + 1]);
            return Err(Error::refused("Tree::new", problem));
        }
        Ok(Tree { paths, grid: grid.to_vec(), law: law(), innovations: innovations() })
    }

    /// The times that bound the cells.
    pub fn grid(&self) -> &[f64] {
        &self.grid
    }

    /// A view of paths 16 `chunk`, ..., 16 `chunk` + 15, of `d` coordinates each.
    pub fn cursor<R: Real>(&self, chunk: usize, d: usize) -> Cursor<'_, R> {
        Cursor::new(self, chunk, 0, d)
    }

    /// The same paths, each with a clock of its own.
    pub fn clocks<R: Real>(&self, chunk: usize, d: usize) -> Clocks<'_, R> {
        Clocks::new(self, chunk, d)
    }

    /// Length of a cell.
    #[inline(always)]
    pub(super) fn width(&self, cell: usize) -> f64 {
        self.grid[cell + 1] - self.grid[cell]
    }

    /// Where the interval [s, u] starts and ends; `known`: a time and its position.
    #[inline(always)]
    pub(super) fn locate(&self, s: f64, u: f64, known: (f64, Position)) -> Result<(Position, Position)> {
        let last = self.grid.len() - 1;
        // In this form NaN is outside.
        if !(self.grid[0] <= s && s <= u && u <= self.grid[last]) {
            return Err(self.outside(s, u));
        }
        let from = if s == known.0 { known.1 } else { self.position(s, known.1.cell) };
        Ok((from, self.position(u, from.cell)))
    }

    /// Where t in [t_0, t_N] lies; `near`: a cell that is tried first.
    #[inline(always)]
    fn position(&self, t: f64, near: usize) -> Position {
        let last = self.grid.len() - 1;
        let here = |n: usize| n < last && self.grid[n] <= t && t < self.grid[n + 1];
        let cell = if here(near) {
            near
        } else if here(near + 1) {
            near + 1
        } else {
            self.grid.partition_point(|end| *end <= t) - 1
        };
        if t == self.grid[cell] {
            return Position { cell, x: 0 };
        }
        let x = ((t - self.grid[cell]) / self.width(cell) * WHOLE as f64 + 0.5) as u64;
        if x < WHOLE { Position { cell, x } } else { Position { cell: cell + 1, x: 0 } }
    }

    #[cold]
    fn outside(&self, s: f64, u: f64) -> Error {
        let (first, last) = (self.grid[0], self.grid[self.grid.len() - 1]);
        Error::refused("Brownian path", format!("[{s:?}, {u:?}] must be an interval, and inside of [{first:?}, {last:?}]"))
    }
}
