//! The other way round along an axis: mirror images.

use super::moves::Moves;
use crate::Real;
use crate::kernels::copy::mirror;
use crate::tape::recorder::methods;
use crate::tape::sample::{Checked, Refusal, Sample};

methods! {
    /// x with the order of the entries of one axis reversed.
    flip(x; axis: usize) = Flip { axis };
}

/// y_.., i, .. = x_.., n - 1 - i, .. on one axis. Its own inverse, so also its own vector-Jacobian product.
#[derive(Clone, Copy)]
pub struct Flip {
    /// The axis.
    pub axis: usize,
}

impl Moves for Flip {
    const NAME: &'static str = "flip";
    fn attributes(&self) -> String {
        format!(" axis {}", self.axis)
    }
    fn shape(&self, x: &[usize]) -> Result<Vec<usize>, String> {
        if self.axis < x.len() { Ok(x.to_vec()) } else { Err(format!("an axis {}", self.axis)) }
    }
    fn apply<R: Real>(&self, [shape, _]: [&[usize]; 2], x: &[R], y: &mut [R]) {
        mirror(shape, self.axis, x, y, false);
    }
    fn adjoint<R: Real>(&self, [shape, _]: [&[usize]; 2], dy: &[R], dx: &mut [R], add: bool) {
        mirror(shape, self.axis, dy, dx, add);
    }
}

impl Checked for Flip {
    fn samples() -> Vec<(Self, Vec<Sample>)> {
        let shapes: [(&[usize], usize); 5] = [(&[3, 5], 0), (&[2, 3, 4], 1), (&[2, 1, 7], 2), (&[1, 2], 0), (&[0, 3], 1)];
        let mut all: Vec<_> = shapes.iter().map(|(s, axis)| (Flip { axis: *axis }, vec![Sample::normal(s, 0)])).collect();
        all.push((Flip { axis: 0 }, vec![Sample::points(&[-800.0, 1.0, 800.0])]));
        all
    }
    fn refusals() -> Vec<Refusal<Self>> {
        vec![(Flip { axis: 1 }, vec![vec![3]], "an axis 1"), (Flip { axis: 0 }, vec![], "one input")]
    }
}
