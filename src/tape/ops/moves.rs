//! Operations that only move numbers: y = M x for a matrix M of zeros and ones.

use crate::Real;
use crate::tape::op::{Adjoints, Op, Operands, Output, Point, Reads, Registered, one};

/// What is said of such an operation; the rest of [`Op`] follows.
pub trait Moves: Registered + Send + Sync + 'static {
    /// Its name.
    const NAME: &'static str;
    /// Its attributes for tables, behind a space.
    fn attributes(&self) -> String {
        String::new()
    }
    /// The shape of y, or what was expected of x's.
    fn shape(&self, x: &[usize]) -> Result<Vec<usize>, String>;
    /// y = M x, given both shapes.
    fn apply<R: Real>(&self, shapes: [&[usize]; 2], x: &[R], y: &mut [R]);
    /// dx = M^T dy, or dx += M^T dy if `add`, given the shapes of x and y.
    fn adjoint<R: Real>(&self, shapes: [&[usize]; 2], dy: &[R], dx: &mut [R], add: bool);
}

impl<R: Real, M: Moves> Op<R> for M {
    fn name(&self) -> &'static str {
        M::NAME
    }
    fn label(&self) -> String {
        format!("{}{}", M::NAME, self.attributes())
    }
    fn shape(&self, x: &[&[usize]]) -> Result<Vec<usize>, String> {
        Moves::shape(self, one(x)?)
    }
    fn reads(&self) -> Reads {
        Reads::Nothing
    }
    fn flops(&self, _x: &[&[usize]], _y: &[usize]) -> u64 {
        0
    }
    fn forward(&self, x: Operands<'_, R>, out: Output<'_, R>) {
        self.apply([x.shape(0), x.out_shape()], x.value(0), out.y);
    }
    fn vjp(&self, x: Operands<'_, R>, at: Point<'_, R>, dx: &mut Adjoints<'_, R>) {
        if let Some((dx, fresh)) = dx.slot(0) {
            self.adjoint([x.shape(0), x.out_shape()], at.dy, dx, !fresh);
        }
    }
}
