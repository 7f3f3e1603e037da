//! The other way round along an axis: mirror images.

use crate::Real;
use crate::tape::op::{Adjoints, Checked, Op, Operands, Output, Point, Reads, Sample};
use crate::tape::recorder::methods;

methods! {
    /// x with the order of the entries of one axis reversed.
    flip(x; axis: usize) = Flip { axis };
}

/// y_.., i, .. = x_.., n - 1 - i, .. on one axis. Its own inverse, so also its own vector-Jacobian product.
#[derive(Clone, Copy)]
pub struct Flip {
    /// The axis.
    pub axis: usize,
}

impl Flip {
    /// For every entry of the axis, where it lies and where its mirror image does: ranges of equal length.
    fn pairs(self, shape: &[usize]) -> impl Iterator<Item = (usize, usize)> {
        let (n, inner) = (shape[self.axis], shape[self.axis + 1..].iter().product::<usize>());
        let outer = shape[..self.axis].iter().product::<usize>();
        (0..outer * n).map(move |i| (i * inner, (i / n * n + n - 1 - i % n) * inner))
    }
}

impl<R: Real> Op<R> for Flip {
    fn name(&self) -> &'static str {
        "flip"
    }
    fn label(&self) -> String {
        format!("flip axis {}", self.axis)
    }
    fn shape(&self, x: &[&[usize]]) -> Result<Vec<usize>, String> {
        match x {
            [x] if self.axis < x.len() => Ok(x.to_vec()),
            _ => Err(format!("one input with an axis {}", self.axis)),
        }
    }
    fn reads(&self) -> Reads {
        Reads::Nothing
    }
    fn flops(&self, _x: &[&[usize]], _y: &[usize]) -> u64 {
        0
    }
    fn forward(&self, x: Operands<'_, R>, out: Output<'_, R>) {
        let inner = x.shape(0)[self.axis + 1..].iter().product::<usize>();
        for (to, from) in self.pairs(x.shape(0)) {
            out.y[to..to + inner].copy_from_slice(&x.value(0)[from..from + inner]);
        }
    }
    fn vjp(&self, x: Operands<'_, R>, at: Point<'_, R>, dx: &mut Adjoints<'_, R>) {
        let inner = x.shape(0)[self.axis + 1..].iter().product::<usize>();
        let Some(dx) = dx.add_to(0) else { return };
        for (to, from) in self.pairs(x.shape(0)) {
            dx[from..from + inner].iter_mut().zip(&at.dy[to..to + inner]).for_each(|(dx, dy)| *dx += *dy);
        }
    }
}

impl Checked for Flip {
    fn samples() -> Vec<(Self, Vec<Sample>)> {
        let shapes: [(&[usize], usize); 5] = [(&[3, 5], 0), (&[2, 3, 4], 1), (&[2, 1, 7], 2), (&[1, 2], 0), (&[0, 3], 1)];
        let mut all: Vec<_> = shapes.iter().map(|(s, axis)| (Flip { axis: *axis }, vec![Sample::normal(s, 0)])).collect();
        all.push((Flip { axis: 0 }, vec![Sample::points(&[-800.0, 1.0, 800.0])]));
        all
    }
    fn refusals() -> Vec<(Self, Vec<Vec<usize>>, &'static str)> {
        vec![(Flip { axis: 1 }, vec![vec![3]], "an axis 1"), (Flip { axis: 0 }, vec![], "one input")]
    }
}
