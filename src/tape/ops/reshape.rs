//! The same numbers in another shape.

use super::moves::Moves;
use crate::Real;
use crate::kernels::copy::copy_or_add;
use crate::tape::recorder::methods;
use crate::tape::sample::{Checked, Refusal, Sample};

methods! {
    /// The same numbers, in their row-major order, in another shape with as many elements.
    reshape(x; shape: &[usize]) = Reshape { shape: shape.to_vec() };
}

/// The same numbers, in their row-major order, in another shape.
#[derive(Clone)]
pub struct Reshape {
    /// The shape of the result.
    pub shape: Vec<usize>,
}

/// Number of elements, if it can be counted.
fn count(shape: &[usize]) -> Option<usize> {
    shape.iter().try_fold(1usize, |n, s| n.checked_mul(*s))
}

impl Moves for Reshape {
    const NAME: &'static str = "reshape";
    fn shape(&self, x: &[usize]) -> Result<Vec<usize>, String> {
        match count(&self.shape) {
            Some(n) if count(x) == Some(n) => Ok(self.shape.clone()),
            _ => Err(format!("as many elements as {:?} has", self.shape)),
        }
    }
    fn apply<R: Real>(&self, _shapes: [&[usize]; 2], x: &[R], y: &mut [R]) {
        y.copy_from_slice(x);
    }
    fn adjoint<R: Real>(&self, _shapes: [&[usize]; 2], dy: &[R], dx: &mut [R], add: bool) {
        copy_or_add(dy, dx, add);
    }
}

impl Checked for Reshape {
    fn samples() -> Vec<(Self, Vec<Sample>)> {
        let shapes: [(&[usize], &[usize]); 5] =
            [(&[3, 5], &[5, 1, 3]), (&[2, 3, 2, 1], &[12]), (&[1, 1], &[]), (&[], &[1]), (&[0, 3], &[2, 0, 5])];
        let mut all: Vec<_> = shapes.iter().map(|(x, y)| (Reshape { shape: y.to_vec() }, vec![Sample::normal(x, 0)])).collect();
        all.push((Reshape { shape: vec![2, 2] }, vec![Sample::points(&[800.0, -800.0, 1e-3, 0.0])]));
        all
    }
    fn refusals() -> Vec<Refusal<Self>> {
        let op = |shape: &[usize]| Reshape { shape: shape.to_vec() };
        vec![
            (op(&[4, 2]), vec![vec![3, 3]], "as many elements as [4, 2]"),
            (op(&[usize::MAX, 2]), vec![vec![2]], "as many elements"),
            (op(&[2]), vec![vec![1], vec![1]], "one input"),
        ]
    }
}
