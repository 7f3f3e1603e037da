//! The other way round along an axis: mirror images.

use crate::Real;
use crate::kernels::window::copy_or_add;
use crate::tape::op::{Adjoints, Checked, Op, Operands, Output, Point, Reads, Sample, elements, one};
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
    /// y = x mirrored, or y += that if `add`.
    fn mirror<R: Real>(self, shape: &[usize], x: &[R], y: &mut [R], add: bool) {
        // Sizes of an empty tensor need not have a product.
        if y.is_empty() {
            return;
        }
        // Entries of the axis, and the numbers of one.
        let (n, run) = (shape[self.axis], elements(&shape[self.axis + 1..]));
        for (i, y) in y.chunks_exact_mut(run).enumerate() {
            let image = i / n * n + n - 1 - i % n;
            copy_or_add(&x[image * run..][..run], y, add);
        }
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
        let x = one(x)?;
        if self.axis < x.len() { Ok(x.to_vec()) } else { Err(format!("an axis {}", self.axis)) }
    }
    fn reads(&self) -> Reads {
        Reads::Nothing
    }
    fn flops(&self, _x: &[&[usize]], _y: &[usize]) -> u64 {
        0
    }
    fn forward(&self, x: Operands<'_, R>, out: Output<'_, R>) {
        self.mirror(x.shape(0), x.value(0), out.y, false);
    }
    fn vjp(&self, x: Operands<'_, R>, at: Point<'_, R>, dx: &mut Adjoints<'_, R>) {
        if let Some((dx, fresh)) = dx.slot(0) {
            self.mirror(x.shape(0), at.dy, dx, !fresh);
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
