//! The axes of a tensor in another order.

use super::moves::Moves;
use crate::Real;
use crate::kernels::permute::{MAX_RANK, permute};
use crate::tape::recorder::methods;
use crate::tape::sample::{Checked, Refusal, Sample};
use crate::tape::{Recorder, Var};

methods! {
    /// Another order of the axes: axis i of the result is axis `order[i]` of x.
    permute(x; order: &[usize]) = Permute { order: order.to_vec() };
}

impl<R: Real> Recorder<R> {
    /// The last two axes exchanged: `[.., m, n]` -> `[.., n, m]`.
    ///
    /// # Errors
    /// If x has fewer than two axes, or is another recorder's.
    #[track_caller]
    pub fn transpose(&mut self, x: Var) -> crate::Result<Var> {
        let rank = self.shape(x)?.len().max(2);
        let order: Vec<usize> = (0..rank - 2).chain([rank - 1, rank - 2]).collect();
        self.apply(Permute { order }, &[x])
    }
}

/// Axis i of the result is axis `order[i]` of the input.
#[derive(Clone)]
pub struct Permute {
    /// Every axis once.
    pub order: Vec<usize>,
}

impl Permute {
    /// Axis i of the input is axis inverse[i] of the result.
    fn inverse(&self) -> [usize; MAX_RANK] {
        let mut inverse = [0; MAX_RANK];
        for (i, axis) in self.order.iter().enumerate() {
            inverse[*axis] = i;
        }
        inverse
    }
}

impl Moves for Permute {
    const NAME: &'static str = "permute";
    fn attributes(&self) -> String {
        format!(" {:?}", self.order)
    }
    fn shape(&self, x: &[usize]) -> Result<Vec<usize>, String> {
        if self.order.len() != x.len() || !(0..x.len()).all(|axis| self.order.contains(&axis)) {
            return Err(format!("an order that has every axis once, not {:?}", self.order));
        }
        Ok(self.order.iter().map(|axis| x[*axis]).collect())
    }
    fn apply<R: Real>(&self, [shape, _]: [&[usize]; 2], x: &[R], y: &mut [R]) {
        permute(shape, &self.order, x, y, false);
    }
    fn adjoint<R: Real>(&self, [_, shape]: [&[usize]; 2], dy: &[R], dx: &mut [R], add: bool) {
        permute(shape, &self.inverse()[..self.order.len()], dy, dx, add);
    }
}

impl Checked for Permute {
    fn samples() -> Vec<(Self, Vec<Sample>)> {
        let cases: [(&[usize], &[usize]); 12] = [
            (&[3, 5], &[1, 0]),
            (&[3, 5], &[0, 1]),
            (&[17, 19], &[1, 0]),
            (&[2, 3, 5], &[2, 0, 1]),
            (&[3, 1, 2], &[1, 2, 0]),
            (&[2, 3, 2, 5], &[0, 2, 1, 3]),
            (&[2, 3, 4, 5], &[0, 3, 1, 2]),
            (&[3, 2, 2, 3], &[3, 2, 1, 0]),
            (&[3, 2, 2, 3], &[2, 1, 0, 3]),
            (&[1, 1], &[1, 0]),
            (&[0, 3], &[1, 0]),
            (&[], &[]),
        ];
        let mut all: Vec<_> = cases.iter().map(|(x, order)| (Permute { order: order.to_vec() }, vec![Sample::normal(x, 0)])).collect();
        let large = Sample::of(&[2, 2], &[800.0, -800.0, 1e-3, 1.0]);
        all.push((Permute { order: vec![1, 0] }, vec![large]));
        all
    }
    fn refusals() -> Vec<Refusal<Self>> {
        let op = |order: &[usize]| Permute { order: order.to_vec() };
        vec![
            (op(&[0, 0]), vec![vec![2, 3]], "every axis once, not [0, 0]"),
            (op(&[1, 0]), vec![vec![2, 3, 4]], "every axis once"),
            (op(&[0, 2]), vec![vec![2, 3]], "every axis once"),
            (op(&[0]), vec![], "one input"),
        ]
    }
}
