//! The same numbers in another shape.

use crate::Real;
use crate::kernels::window::copy_or_add;
use crate::tape::op::{Adjoints, Checked, Op, Operands, Output, Point, Reads, Sample, one};
use crate::tape::recorder::methods;

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

impl<R: Real> Op<R> for Reshape {
    fn name(&self) -> &'static str {
        "reshape"
    }
    fn shape(&self, x: &[&[usize]]) -> Result<Vec<usize>, String> {
        let x = one(x)?;
        match count(&self.shape) {
            Some(n) if count(x) == Some(n) => Ok(self.shape.clone()),
            _ => Err(format!("as many elements as {:?} has", self.shape)),
        }
    }
    fn reads(&self) -> Reads {
        Reads::Nothing
    }
    fn flops(&self, _x: &[&[usize]], _y: &[usize]) -> u64 {
        0
    }
    fn forward(&self, x: Operands<'_, R>, out: Output<'_, R>) {
        out.y.copy_from_slice(x.value(0));
    }
    fn vjp(&self, _x: Operands<'_, R>, at: Point<'_, R>, dx: &mut Adjoints<'_, R>) {
        if let Some((dx, fresh)) = dx.slot(0) {
            copy_or_add(at.dy, dx, !fresh);
        }
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
    fn refusals() -> Vec<(Self, Vec<Vec<usize>>, &'static str)> {
        let op = |shape: &[usize]| Reshape { shape: shape.to_vec() };
        vec![
            (op(&[4, 2]), vec![vec![3, 3]], "as many elements as [4, 2]"),
            (op(&[usize::MAX, 2]), vec![vec![2]], "as many elements"),
            (op(&[2]), vec![vec![1], vec![1]], "one input"),
        ]
    }
}
