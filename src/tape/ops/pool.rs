//! Fewer pixels: means over windows.

use super::conv::stepped;
use crate::Real;
use crate::kernels::pool::Pooling;
use crate::tape::op::{Adjoints, Op, Operands, Output, Point, Reads};
use crate::tape::recorder::methods;
use crate::tape::sample::{Checked, Refusal, Sample};

methods! {
    /// Means over windows of x `[n, h, w, c]`; see [`AveragePool`].
    average_pool2d(x; pool: AveragePool) = pool;
}

/// The mean over the window at (i s, j s): x `[n, h, w, c]` -> `[n, h', w', c]` with
/// h' = floor((h - window)/s) + 1. No padding; pixels beyond the last window do not count. A window is added
/// up in order, row by row.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct AveragePool {
    /// Height and width of the window; at least 1.
    pub window: [usize; 2],
    /// s, downwards and to the right; at least 1.
    pub stride: [usize; 2],
}

impl AveragePool {
    /// For shapes that were accepted at recording.
    fn pooling<R: Real>(self, x: Operands<'_, R>) -> Pooling {
        let axes = |shape: &[usize]| shape.try_into().unwrap_or_default();
        Pooling { window: self.window, stride: self.stride, from: axes(x.shape(0)), to: axes(x.out_shape()) }
    }
}

impl<R: Real> Op<R> for AveragePool {
    fn name(&self) -> &'static str {
        "average_pool2d"
    }
    fn label(&self) -> String {
        let ([a, b], [s, t]) = (self.window, self.stride);
        format!("average_pool2d {a}x{b} stride {s}x{t}")
    }
    fn shape(&self, x: &[&[usize]]) -> Result<Vec<usize>, String> {
        let &[&[n, h, w, c]] = x else { return Err("x [n, h, w, c]".to_string()) };
        stepped(self.window, self.stride)?;
        match (h.checked_sub(self.window[0]), w.checked_sub(self.window[1])) {
            (Some(a), Some(b)) => Ok(vec![n, a / self.stride[0] + 1, b / self.stride[1] + 1, c]),
            _ => Err(format!("an image that holds the window {:?}", self.window)),
        }
    }
    fn reads(&self) -> Reads {
        Reads::Nothing
    }
    fn flops(&self, _x: &[&[usize]], y: &[usize]) -> u64 {
        let window = self.window[0].saturating_mul(self.window[1]) as u64;
        window.saturating_mul(y.iter().product::<usize>() as u64)
    }
    fn forward(&self, x: Operands<'_, R>, out: Output<'_, R>) {
        self.pooling(x).mean(x.value(0), out.y);
    }
    fn vjp(&self, x: Operands<'_, R>, at: Point<'_, R>, dx: &mut Adjoints<'_, R>) {
        if let Some(dx) = dx.add_to(0) {
            self.pooling(x).spread(at.dy, dx);
        }
    }
}

impl Checked for AveragePool {
    fn samples() -> Vec<(Self, Vec<Sample>)> {
        let op = |window, stride| AveragePool { window, stride };
        let mut all: Vec<_> = [
            (op([2, 2], [2, 2]), [2, 4, 6, 3]),
            (op([2, 2], [2, 2]), [1, 5, 3, 1]),
            (op([3, 2], [1, 3]), [1, 5, 7, 2]),
            (op([1, 1], [1, 1]), [1, 1, 1, 1]),
            (op([2, 1], [3, 2]), [3, 2, 1, 5]),
            (op([2, 2], [1, 1]), [0, 3, 3, 2]),
            (op([2, 2], [1, 1]), [1, 3, 3, 0]),
        ]
        .into_iter()
        .map(|(op, shape)| (op, vec![Sample::normal(&shape, 1)]))
        .collect();
        all.push((op([1, 3], [1, 1]), vec![Sample::of(&[1, 1, 3, 1], &[800.0, -799.0, 2.0])]));
        all
    }
    fn refusals() -> Vec<Refusal<Self>> {
        let op = |window, stride| AveragePool { window, stride };
        vec![
            (op([2, 2], [2, 2]), vec![vec![1, 1, 4, 2]], "holds the window [2, 2]"),
            (op([2, 0], [2, 2]), vec![vec![1, 4, 4, 2]], "at least 1"),
            (op([2, 2], [0, 1]), vec![vec![1, 4, 4, 2]], "at least 1"),
            (op([2, 2], [2, 2]), vec![vec![4, 4, 2]], "x [n, h, w, c]"),
            (op([2, 2], [2, 2]), vec![], "x [n, h, w, c]"),
        ]
    }
}
