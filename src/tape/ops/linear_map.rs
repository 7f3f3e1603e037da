//! A product with a matrix that is known at recording.

use crate::Real;
use crate::kernels::gemm::{Matrix, gemm, scratch};
use crate::tape::op::{Adjoints, Op, Operands, Output, Point, Reads};
use crate::tape::recorder::methods;
use crate::tape::sample::{Checked, Refusal, Sample};
use std::sync::Arc;

methods! {
    /// x M for every row of x `[n, i]` -> `[n, o]`, M a constant.
    linear_map(x; map: &LinearMap<R>) = map.clone();
}

/// y = x M, M `[i, o]` a constant of the operation: no parameter, no input, and no adjoint of it. Copies share
/// the matrix.
#[derive(Debug, Clone)]
pub struct LinearMap<R> {
    i: usize,
    o: usize,
    matrix: Arc<[R]>,
}

impl<R: Real> LinearMap<R> {
    /// From the elements of M, row by row; `None` if they are not i o numbers.
    pub fn new(i: usize, o: usize, matrix: impl IntoIterator<Item = R>) -> Option<Self> {
        let matrix: Arc<[R]> = matrix.into_iter().collect();
        (Some(matrix.len()) == i.checked_mul(o)).then_some(LinearMap { i, o, matrix })
    }
    fn matrix(&self) -> Matrix<'_, R> {
        Matrix::new(&self.matrix, self.i, self.o)
    }
}

impl<R: Real> Op<R> for LinearMap<R> {
    fn name(&self) -> &'static str {
        "linear_map"
    }
    fn label(&self) -> String {
        format!("linear_map {}x{}", self.i, self.o)
    }
    fn shape(&self, x: &[&[usize]]) -> Result<Vec<usize>, String> {
        match x {
            [[n, i]] if *i == self.i => Ok(vec![*n, self.o]),
            _ => Err(format!("x [n, {}]", self.i)),
        }
    }
    fn scratch(&self, _x: &[&[usize]]) -> usize {
        scratch::<R>(false, self.i, self.o).max(scratch::<R>(false, self.o, self.i))
    }
    fn reads(&self) -> Reads {
        Reads::Nothing
    }
    fn flops(&self, _x: &[&[usize]], y: &[usize]) -> u64 {
        2 * self.i as u64 * y.iter().product::<usize>() as u64
    }
    fn forward(&self, x: Operands<'_, R>, out: Output<'_, R>) {
        let rows = Matrix::new(x.value(0), x.shape(0)[0], self.i);
        gemm(rows, self.matrix(), out.y, false, out.scratch);
    }
    fn vjp(&self, x: Operands<'_, R>, at: Point<'_, R>, dx: &mut Adjoints<'_, R>) {
        if let Some((dx, fresh)) = dx.slot(0) {
            let dy = Matrix::new(at.dy, x.shape(0)[0], self.o);
            gemm(dy, self.matrix().t(), dx, !fresh, at.scratch);
        }
    }
}

impl<R: Real> Checked for LinearMap<R> {
    fn samples() -> Vec<(Self, Vec<Sample>)> {
        let numbers = |n: usize| (0..n).map(|k| R::of(((7 * k + 3) % 11) as f64 / 4.0 - 1.0));
        let op = |i: usize, o: usize| LinearMap { i, o, matrix: numbers(i * o).collect() };
        let sizes = [(3, 5, 2), (1, 1, 1), (7, 2, 17), (30, 1, 3), (2, 3, 67), (0, 3, 2)];
        let mut all: Vec<_> = sizes.into_iter().map(|(n, i, o)| (op(i, o), vec![Sample::normal(&[n, i], 1)])).collect();
        let large = LinearMap { i: 2, o: 1, matrix: [1.0, 799.0].map(R::of).into() };
        all.push((large, vec![Sample::of(&[1, 2], &[800.0, -800.0])]));
        all
    }
    fn refusals() -> Vec<Refusal<Self>> {
        let op = || LinearMap { i: 2, o: 1, matrix: [R::one(); 2].into() };
        vec![(op(), vec![vec![3, 3]], "x [n, 2]"), (op(), vec![vec![2]], "x [n, 2]"), (op(), vec![vec![1, 2], vec![1, 2]], "x [n, 2]")]
    }
}
