//! Softmax and its logarithm over the last axis.

use crate::Real;
use crate::kernels::softmax::{backward, forward};
use crate::tape::op::{Adjoints, Op, Operands, Output, Point, Reads, elements, one, row_len};
use crate::tape::recorder::methods;
use crate::tape::sample::{Checked, Refusal, Sample};

methods! {
    /// e^x_j/sum_k e^x_k over the last axis: `[.., n]` -> `[.., n]`. A row that is -infinity throughout gives
    /// zeros.
    softmax(x) = Softmax { log: false };
    /// x_j - ln sum_k e^x_k over the last axis: `[.., n]` -> `[.., n]`.
    log_softmax(x) = Softmax { log: true };
}

/// y_j = e^x_j / sum_k e^x_k over the last axis, or its logarithm x_j - ln sum_k e^x_k: x `[.., n]` -> y
/// `[.., n]`.
///
/// Entries may be -infinity: they get the weight 0. A row of nothing else has no weight to give: y = 0, and
/// no gradient; as a logarithm it stays what it is, and its sum counts as constant, so that dx = dy. An entry
/// infinity makes its row NaN.
#[derive(Clone, Copy)]
pub struct Softmax {
    /// Whether it is the logarithm.
    pub log: bool,
}

impl<R: Real> Op<R> for Softmax {
    fn name(&self) -> &'static str {
        if self.log { "log_softmax" } else { "softmax" }
    }
    fn shape(&self, x: &[&[usize]]) -> Result<Vec<usize>, String> {
        let x = one(x)?;
        if x.is_empty() { Err("at least one axis".to_string()) } else { Ok(x.to_vec()) }
    }
    fn scratch(&self, x: &[&[usize]]) -> usize {
        if self.log { row_len(x[0]) } else { 0 }
    }
    fn reads(&self) -> Reads {
        Reads::Result
    }
    fn flops(&self, _x: &[&[usize]], y: &[usize]) -> u64 {
        (if self.log { 6 } else { 5 }) * elements(y) as u64
    }
    fn forward(&self, x: Operands<'_, R>, out: Output<'_, R>) {
        forward(self.log, row_len(x.out_shape()), x.value(0), out.y);
    }
    fn vjp(&self, x: Operands<'_, R>, at: Point<'_, R>, dx: &mut Adjoints<'_, R>) {
        if let Some(dx) = dx.add_to(0) {
            backward(self.log, row_len(x.out_shape()), [at.y, at.dy], dx, at.scratch);
        }
    }
}

impl Checked for Softmax {
    fn samples() -> Vec<(Self, Vec<Sample>)> {
        let shapes: [&[usize]; 8] = [&[3, 5], &[4, 1], &[1, 3], &[2, 3, 17], &[16], &[601], &[0, 3], &[3, 0]];
        let mut all = vec![];
        for log in [false, true] {
            all.extend(shapes.iter().map(|s| (Softmax { log }, vec![Sample::normal(s, 0)])));
            all.push((Softmax { log }, vec![Sample::points(&[-800.0, 799.5, 800.0, 797.0])]));
        }
        let hidden = Sample::of(&[2, 3], &[f64::NEG_INFINITY, 1.0, 0.5, 40.0, f64::NEG_INFINITY, 41.0]);
        all.push((Softmax { log: false }, vec![hidden]));
        all
    }
    fn refusals() -> Vec<Refusal<Self>> {
        let of = |log| [(Softmax { log }, vec![vec![]], "at least one axis"), (Softmax { log }, vec![vec![2], vec![2]], "one input")];
        [false, true].into_iter().flat_map(of).collect()
    }
}
