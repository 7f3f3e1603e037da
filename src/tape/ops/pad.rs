//! A border of zeros.

use super::moves::Moves;
use crate::Real;
use crate::kernels::copy::Region;
use crate::tape::recorder::methods;
use crate::tape::sample::{Checked, Refusal, Sample};

methods! {
    /// Zeros around x: per axis, how many before and how many behind.
    pad(x; border: &[(usize, usize)]) = Pad { border: border.to_vec() };
}

/// Zeros before and behind the entries of every axis.
#[derive(Clone)]
pub struct Pad {
    /// How many before and how many behind, axis by axis.
    pub border: Vec<(usize, usize)>,
}

impl Pad {
    fn region(&self, x: &[usize], y: &[usize]) -> Region {
        Region::new(y, x, |axis| self.border[axis].0)
    }
}

impl Moves for Pad {
    const NAME: &'static str = "pad";
    fn attributes(&self) -> String {
        format!(" {:?}", self.border)
    }
    fn shape(&self, x: &[usize]) -> Result<Vec<usize>, String> {
        if x.len() != self.border.len() {
            return Err(format!("as many axes as borders ({})", self.border.len()));
        }
        let padded = |(n, (before, behind)): (&usize, &(usize, usize))| n.checked_add(*before)?.checked_add(*behind);
        x.iter().zip(&self.border).map(padded).collect::<Option<Vec<usize>>>().ok_or_else(|| "borders that fit into memory".to_string())
    }
    fn apply<R: Real>(&self, [small, large]: [&[usize]; 2], x: &[R], y: &mut [R]) {
        y.fill(R::zero());
        self.region(small, large).write(x, y, false);
    }
    fn adjoint<R: Real>(&self, [small, large]: [&[usize]; 2], dy: &[R], dx: &mut [R], add: bool) {
        self.region(small, large).read(dy, dx, add);
    }
}

impl Checked for Pad {
    fn samples() -> Vec<(Self, Vec<Sample>)> {
        let op = |border: &[(usize, usize)]| Pad { border: border.to_vec() };
        vec![
            (op(&[(2, 1)]), vec![Sample::points(&[800.0, -800.0, 1e-3])]),
            (op(&[(0, 1), (3, 0)]), vec![Sample::normal(&[3, 5], 0)]),
            (op(&[(0, 0), (1, 1), (1, 1), (0, 0)]), vec![Sample::normal(&[2, 3, 3, 2], 0)]),
            (op(&[(1, 0), (0, 1), (1, 2), (2, 1)]), vec![Sample::normal(&[1, 2, 1, 3], 0)]),
            (op(&[(0, 0), (0, 0)]), vec![Sample::normal(&[2, 3], 0)]),
            (op(&[(1, 1), (0, 0)]), vec![Sample::normal(&[0, 3], 0)]),
            (op(&[]), vec![Sample::normal(&[], 0)]),
        ]
    }
    fn refusals() -> Vec<Refusal<Self>> {
        let op = |border: &[(usize, usize)]| Pad { border: border.to_vec() };
        vec![
            (op(&[(1, 1)]), vec![vec![2, 3]], "as many axes as borders (1)"),
            (op(&[(usize::MAX, 1)]), vec![vec![2]], "fit into memory"),
            (op(&[(1, 1)]), vec![], "one input"),
        ]
    }
}
