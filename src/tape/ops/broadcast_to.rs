//! A tensor repeated.

use super::moves::Moves;
use crate::Real;
use crate::kernels::broadcast::{Plan, Terms, Times, shape};
use crate::tape::recorder::methods;
use crate::tape::sample::{Checked, Refusal, Sample};

methods! {
    /// Axes of size 1, and leading axes that are missing, repeated up to `shape`.
    broadcast_to(x; shape: &[usize]) = BroadcastTo { shape: shape.to_vec() };
}

/// Axes of size 1, and leading axes that are missing, repeated up to a shape.
#[derive(Clone)]
pub struct BroadcastTo {
    /// The shape of the result.
    pub shape: Vec<usize>,
}

impl Moves for BroadcastTo {
    const NAME: &'static str = "broadcast_to";
    fn shape(&self, x: &[usize]) -> Result<Vec<usize>, String> {
        // y + 0 of that shape: the result must not grow beyond it.
        match shape(x, &self.shape) {
            Some(y) if y == self.shape => Ok(y),
            _ => Err(format!("a shape that broadcasts to {:?} (aligned at the last axis, sizes equal or 1)", self.shape)),
        }
    }
    fn apply<R: Real>(&self, [small, large]: [&[usize]; 2], x: &[R], y: &mut [R]) {
        Plan::new(small, &[], large).map(&Times(1.0), true, [x, &[], &[]], y);
    }
    fn adjoint<R: Real>(&self, [small, large]: [&[usize]; 2], dy: &[R], dx: &mut [R], add: bool) {
        Plan::new(small, large, large).sum(0, Terms::Times(1.0, dy), !add, dx);
    }
}

impl Checked for BroadcastTo {
    fn samples() -> Vec<(Self, Vec<Sample>)> {
        let cases: [(&[usize], &[usize]); 9] = [
            (&[3, 1], &[3, 5]),
            (&[1, 3], &[5, 3]),
            (&[3], &[2, 70, 3]),
            (&[2, 1, 3, 1], &[2, 3, 3, 2]),
            (&[], &[3, 3]),
            (&[3, 5], &[3, 5]),
            (&[1], &[1, 1]),
            (&[1, 3], &[0, 3]),
            (&[0, 1], &[0, 4]),
        ];
        let mut all: Vec<_> = cases.iter().map(|(x, y)| (BroadcastTo { shape: y.to_vec() }, vec![Sample::normal(x, 0)])).collect();
        all.push((BroadcastTo { shape: vec![3, 2] }, vec![Sample::points(&[800.0, -800.0])]));
        all
    }
    fn refusals() -> Vec<Refusal<Self>> {
        let op = |shape: &[usize]| BroadcastTo { shape: shape.to_vec() };
        vec![
            (op(&[3, 2]), vec![vec![3]], "broadcasts to [3, 2]"),
            (op(&[1]), vec![vec![3]], "broadcasts to [1]"),
            (op(&[3]), vec![vec![1, 3]], "broadcasts to [3]"),
            (op(&[3]), vec![], "one input"),
        ]
    }
}
