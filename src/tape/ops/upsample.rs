//! More pixels: repetition.

use super::moves::Moves;
use crate::Real;
use crate::kernels::pool::Upsampling;
use crate::tape::recorder::methods;
use crate::tape::sample::{Checked, Refusal, Sample};

methods! {
    /// Every pixel of x `[n, h, w, c]` repeated `factor[0]` times downwards and `factor[1]` times to the
    /// right.
    upsample_nearest2d(x; factor: [usize; 2]) = UpsampleNearest { factor };
}

/// Every pixel becomes a block of `factor[0]` x `factor[1]` equal ones: x `[n, h, w, c]` ->
/// `[n, h factor[0], w factor[1], c]`. An adjoint adds up its block in order, row by row.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct UpsampleNearest {
    /// Upsampling downwards and to the right; at least 1.
    pub factor: [usize; 2],
}

impl UpsampleNearest {
    /// For a shape that was accepted at recording.
    fn upsampling(self, x: &[usize]) -> Upsampling {
        Upsampling { factor: self.factor, from: x.try_into().unwrap_or_default() }
    }
}

impl Moves for UpsampleNearest {
    const NAME: &'static str = "upsample_nearest2d";
    fn attributes(&self) -> String {
        format!(" {}x{}", self.factor[0], self.factor[1])
    }
    fn shape(&self, x: &[usize]) -> Result<Vec<usize>, String> {
        let &[n, h, w, c] = x else { return Err("x [n, h, w, c]".to_string()) };
        if self.factor.contains(&0) {
            return Err(format!("a factor of at least 1, got {:?}", self.factor));
        }
        match (h.checked_mul(self.factor[0]), w.checked_mul(self.factor[1])) {
            (Some(h), Some(w)) => Ok(vec![n, h, w, c]),
            _ => Err("a result that fits into memory".to_string()),
        }
    }
    fn apply<R: Real>(&self, [shape, _]: [&[usize]; 2], x: &[R], y: &mut [R]) {
        self.upsampling(shape).repeat(x, y);
    }
    fn adjoint<R: Real>(&self, [shape, _]: [&[usize]; 2], dy: &[R], dx: &mut [R], add: bool) {
        if !add {
            dx.fill(R::zero());
        }
        self.upsampling(shape).sum(dy, dx);
    }
}

impl Checked for UpsampleNearest {
    fn samples() -> Vec<(Self, Vec<Sample>)> {
        let op = |factor| UpsampleNearest { factor };
        let mut all: Vec<_> = [
            (op([2, 2]), [2, 3, 2, 3]),
            (op([1, 3]), [1, 1, 5, 1]),
            (op([3, 1]), [1, 2, 1, 2]),
            (op([2, 2]), [0, 3, 3, 2]),
            (op([2, 2]), [1, 2, 3, 0]),
        ]
        .into_iter()
        .map(|(op, shape)| (op, vec![Sample::normal(&shape, 1)]))
        .collect();
        all.push((op([2, 2]), vec![Sample::of(&[1, 1, 2, 1], &[800.0, -800.0])]));
        all
    }
    fn refusals() -> Vec<Refusal<Self>> {
        let op = |factor| UpsampleNearest { factor };
        vec![
            (op([2, 0]), vec![vec![1, 2, 2, 1]], "at least 1, got [2, 0]"),
            (op([2, 2]), vec![vec![2, 2, 1]], "x [n, h, w, c]"),
            (op([2, 2]), vec![], "one input"),
        ]
    }
}
