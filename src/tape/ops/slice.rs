//! A part of a tensor.

use super::moves::Moves;
use crate::Real;
use crate::kernels::copy::Region;
use crate::tape::recorder::methods;
use crate::tape::sample::{Checked, Refusal, Sample};
use crate::tape::{Recorder, Var};
use std::ops::Range;
use std::panic::Location;

methods! {
    /// Entries `range` of the first axis.
    rows(x; range: Range<usize>) = Slice { axis: 0, start: range.start, end: range.end };
}

impl<R: Real> Recorder<R> {
    /// Entries `range` of one axis.
    ///
    /// # Errors
    /// If the axis does not hold them, or x is another recorder's.
    #[track_caller]
    pub fn slice(&mut self, x: Var, axis: usize, range: Range<usize>) -> crate::Result<Var> {
        self.apply(Slice { axis, start: range.start, end: range.end }, &[x])
    }

    /// Cuts x on one axis into parts of the given sizes: the inverse of [`Self::concat_axis`].
    ///
    /// # Errors
    /// If the sizes do not sum to the axis's, or x is another recorder's.
    #[track_caller]
    pub fn split(&mut self, x: Var, axis: usize, sizes: &[usize]) -> crate::Result<Vec<Var>> {
        let shape = self.shape(x)?;
        let total = sizes.iter().try_fold(0usize, |n, s| n.checked_add(*s));
        if total.is_none() || shape.get(axis).copied() != total {
            let location = Location::caller();
            let place = format!("split, recorded at {}:{}", location.file(), location.line());
            return Err(crate::Error::shape(place, format!("an axis {axis} whose size is the sum of {sizes:?}"), &[shape]));
        }
        let mut parts = vec![];
        let mut start = 0;
        for size in sizes {
            parts.push(self.apply(Slice { axis, start, end: start + size }, &[x])?);
            start += size;
        }
        Ok(parts)
    }
}

/// Entries start..end of one axis.
#[derive(Clone, Copy)]
pub struct Slice {
    /// The axis.
    pub axis: usize,
    /// The first entry.
    pub start: usize,
    /// One past the last.
    pub end: usize,
}

impl Slice {
    fn region(self, x: &[usize], y: &[usize]) -> Region {
        Region::new(x, y, |axis| if axis == self.axis { self.start } else { 0 })
    }
}

impl Moves for Slice {
    const NAME: &'static str = "slice";
    fn attributes(&self) -> String {
        format!(" axis {} {}..{}", self.axis, self.start, self.end)
    }
    fn shape(&self, x: &[usize]) -> Result<Vec<usize>, String> {
        let mut y = x.to_vec();
        match y.get_mut(self.axis) {
            Some(n) if self.start <= self.end && self.end <= *n => *n = self.end - self.start,
            _ => return Err(format!("an axis {} that holds {}..{}", self.axis, self.start, self.end)),
        }
        Ok(y)
    }
    fn apply<R: Real>(&self, [large, small]: [&[usize]; 2], x: &[R], y: &mut [R]) {
        self.region(large, small).read(x, y, false);
    }
    fn adjoint<R: Real>(&self, [large, small]: [&[usize]; 2], dy: &[R], dx: &mut [R], add: bool) {
        if !add {
            dx.fill(R::zero());
        }
        self.region(large, small).write(dy, dx, true);
    }
}

impl Checked for Slice {
    fn samples() -> Vec<(Self, Vec<Sample>)> {
        let op = |axis, start, end| Slice { axis, start, end };
        vec![
            (op(0, 1, 3), vec![Sample::normal(&[5, 3], 0)]),
            (op(0, 0, 1), vec![Sample::normal(&[1, 2, 3], 0)]),
            (op(0, 2, 2), vec![Sample::normal(&[3, 2], 0)]),
            (op(0, 0, 1), vec![Sample::normal(&[2, 0], 0)]),
            (op(1, 2, 5), vec![Sample::normal(&[3, 5], 0)]),
            (op(1, 1, 2), vec![Sample::normal(&[2, 3, 1, 3], 0)]),
            (op(2, 0, 2), vec![Sample::normal(&[2, 1, 3, 2], 0)]),
            (op(3, 1, 3), vec![Sample::normal(&[2, 1, 2, 3], 0)]),
            (op(0, 1, 3), vec![Sample::points(&[1.0, -800.0, 800.0])]),
        ]
    }
    fn refusals() -> Vec<Refusal<Self>> {
        let op = |axis, start, end| Slice { axis, start, end };
        vec![
            (op(0, 1, 4), vec![vec![3, 2]], "holds 1..4"),
            (op(0, 2, 1), vec![vec![3]], "holds 2..1"),
            (op(1, 0, 0), vec![vec![3]], "an axis 1"),
            (op(0, 0, 0), vec![vec![]], "an axis 0"),
            (op(0, 0, 0), vec![], "one input"),
        ]
    }
}
