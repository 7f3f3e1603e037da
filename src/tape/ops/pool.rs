//! Fewer pixels and more: means over windows, and repetition.

use super::conv::stepped;
use crate::Real;
use crate::kernels::window::copy_or_add;
use crate::tape::op::{Adjoints, Checked, Op, Operands, Output, Point, Reads, Sample};
use crate::tape::recorder::methods;

methods! {
    /// Means over windows of x `[n, h, w, c]`; see [`AveragePool`].
    average_pool2d(x; pool: AveragePool) = pool;
    /// Every pixel of x `[n, h, w, c]` repeated `factor[0]` times downwards and `factor[1]` times to the right.
    upsample_nearest2d(x; factor: [usize; 2]) = UpsampleNearest { factor };
}

/// The mean over the window at (i s, j s): x `[n, h, w, c]` -> `[n, h', w', c]` with h' = floor((h - window)/s) + 1. No padding;
/// pixels beyond the last window do not count. A window is added up in order, row by row.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct AveragePool {
    /// Height and width of the window; at least 1.
    pub window: [usize; 2],
    /// s, downwards and to the right; at least 1.
    pub stride: [usize; 2],
}

impl AveragePool {
    /// Calls `f` with every pixel of x that a pixel of the result sees: (place in y, place in x), in order of y, then of x.
    fn each(self, [n, h, w, c]: [usize; 4], [_, oh, ow, _]: [usize; 4], mut f: impl FnMut(usize, usize)) {
        if c == 0 {
            return;
        }
        let ([wh, ww], [sh, sw]) = (self.window, self.stride);
        for y in 0..n * oh * ow {
            let (image, i, j) = (y / (oh * ow), y / ow % oh, y % ow);
            for a in 0..wh {
                for b in 0..ww {
                    f(y * c, ((image * h + i * sh + a) * w + j * sw + b) * c);
                }
            }
        }
    }
    fn factor<R: Real>(self) -> R {
        R::of(1.0 / (self.window[0] as f64 * self.window[1] as f64))
    }
}

/// The four axes of the only input, or what was expected.
fn image(x: &[&[usize]]) -> Result<[usize; 4], String> {
    match x {
        &[&[n, h, w, c]] => Ok([n, h, w, c]),
        _ => Err("x [n, h, w, c]".to_string()),
    }
}

/// The four axes of a shape that was accepted at recording.
fn axes(shape: &[usize]) -> [usize; 4] {
    shape.try_into().unwrap_or_default()
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
        let [n, h, w, c] = image(x)?;
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
        let (input, y) = (x.value(0), out.y);
        let (from, to) = (axes(x.shape(0)), axes(x.out_shape()));
        let c = from[3];
        y.fill(R::zero());
        self.each(from, to, |at, seen| copy_or_add(&input[seen..seen + c], &mut y[at..at + c], true));
        let factor = self.factor::<R>();
        y.iter_mut().for_each(|y| *y *= factor);
    }
    fn vjp(&self, x: Operands<'_, R>, at: Point<'_, R>, dx: &mut Adjoints<'_, R>) {
        let (from, to) = (axes(x.shape(0)), axes(x.out_shape()));
        let c = from[3];
        let factor = self.factor::<R>();
        let dy = at.dy;
        dy.iter_mut().for_each(|dy| *dy *= factor);
        if let Some(dx) = dx.add_to(0) {
            self.each(from, to, |at, seen| copy_or_add(&dy[at..at + c], &mut dx[seen..seen + c], true));
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
        all.push((op([1, 3], [1, 1]), vec![Sample { shape: vec![1, 1, 3, 1], values: vec![800.0, -799.0, 2.0] }]));
        all
    }
    fn refusals() -> Vec<(Self, Vec<Vec<usize>>, &'static str)> {
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

/// Every pixel becomes a block of `factor[0]` x `factor[1]` equal ones: x `[n, h, w, c]` -> `[n, h factor[0], w factor[1], c]`.
/// An adjoint adds up its block in order, row by row.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct UpsampleNearest {
    /// Copies downwards and to the right; at least 1.
    pub factor: [usize; 2],
}

impl UpsampleNearest {
    /// Calls `f` with every pixel of the result: (place in y, place in x), in order of y.
    fn each(self, [n, h, w, c]: [usize; 4], mut f: impl FnMut(usize, usize)) {
        if c == 0 {
            return;
        }
        let [a, b] = self.factor;
        let mut y = 0;
        for row in 0..n * h * a {
            for pixel in 0..w {
                for _ in 0..b {
                    f(y * c, (row / a * w + pixel) * c);
                    y += 1;
                }
            }
        }
    }
}

impl<R: Real> Op<R> for UpsampleNearest {
    fn name(&self) -> &'static str {
        "upsample_nearest2d"
    }
    fn label(&self) -> String {
        format!("upsample_nearest2d {}x{}", self.factor[0], self.factor[1])
    }
    fn shape(&self, x: &[&[usize]]) -> Result<Vec<usize>, String> {
        let [n, h, w, c] = image(x)?;
        if self.factor.contains(&0) {
            return Err(format!("a factor of at least 1, got {:?}", self.factor));
        }
        match (h.checked_mul(self.factor[0]), w.checked_mul(self.factor[1])) {
            (Some(h), Some(w)) => Ok(vec![n, h, w, c]),
            _ => Err("a result that fits into memory".to_string()),
        }
    }
    fn reads(&self) -> Reads {
        Reads::Nothing
    }
    fn flops(&self, _x: &[&[usize]], _y: &[usize]) -> u64 {
        0
    }
    fn forward(&self, x: Operands<'_, R>, out: Output<'_, R>) {
        let (shape, input, y) = (axes(x.shape(0)), x.value(0), out.y);
        let c = shape[3];
        self.each(shape, |at, seen| y[at..at + c].copy_from_slice(&input[seen..seen + c]));
    }
    fn vjp(&self, x: Operands<'_, R>, at: Point<'_, R>, dx: &mut Adjoints<'_, R>) {
        let (shape, dy) = (axes(x.shape(0)), at.dy);
        let c = shape[3];
        if let Some(dx) = dx.add_to(0) {
            self.each(shape, |at, seen| copy_or_add(&dy[at..at + c], &mut dx[seen..seen + c], true));
        }
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
        all.push((op([2, 2]), vec![Sample { shape: vec![1, 1, 2, 1], values: vec![800.0, -800.0] }]));
        all
    }
    fn refusals() -> Vec<(Self, Vec<Vec<usize>>, &'static str)> {
        let op = |factor| UpsampleNearest { factor };
        vec![
            (op([2, 0]), vec![vec![1, 2, 2, 1]], "at least 1, got [2, 0]"),
            (op([2, 2]), vec![vec![2, 2, 1]], "x [n, h, w, c]"),
            (op([2, 2]), vec![], "x [n, h, w, c]"),
        ]
    }
}
