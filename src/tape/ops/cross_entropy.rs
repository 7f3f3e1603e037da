//! Cross-entropy of classes given by logits: against class numbers, and against weights.

use crate::Real;
use crate::kernels::cross_entropy::{Target, backward, by_weights, forward};
use crate::tape::op::{Adjoints, Op, Operands, Output, Point, Reads, elements, row_len};
use crate::tape::recorder::methods;
use crate::tape::sample::{Checked, Refusal, Sample};

methods! {
    /// ln sum_k e^z_k - z_c per row: logits z `[.., k]`, numbers c of the right classes `[..]` -> `[..]`. A
    /// label is a whole number in 0..k, as a number of the tape; any other gives NaN and adds nothing to the
    /// logits' gradient.
    cross_entropy(logits, labels) = CrossEntropy;
    /// -sum_j t_j (z_j - ln sum_k e^z_k) per row: logits z `[.., k]`, weights t `[.., k]` -> `[..]`.
    soft_cross_entropy(logits, weights) = SoftCrossEntropy;
}

/// y = ln sum_k e^z_k - z_c: logits z `[.., k]`, numbers c of the right classes `[..]` -> y `[..]`, in nats.
///
/// Labels are numbers of the tape, so they are known only at replay. One that is not whole to within 1/256,
/// or not in 0..k, gives NaN and adds nothing to the logits' gradient. The derivative by a label is zero, as
/// it is near every valid label. Logits may be -infinity (a class that cannot be); the right class there
/// costs infinity.
#[derive(Clone, Copy)]
pub struct CrossEntropy;

/// y = sum_j t_j (ln sum_k e^z_k - z_j): logits z `[.., k]`, weights t `[.., k]` -> y `[..]`, in nats; there
/// 0 ln 0 = 0. The weights need not sum up to 1.
#[derive(Clone, Copy)]
pub struct SoftCrossEntropy;

/// Classes of logits that were accepted.
fn classes(x: &[usize]) -> usize {
    row_len(x).max(1)
}

impl<R: Real> Op<R> for CrossEntropy {
    fn name(&self) -> &'static str {
        "cross_entropy"
    }
    fn shape(&self, x: &[&[usize]]) -> Result<Vec<usize>, String> {
        match x {
            [[rows @ .., k], labels] if *k > 0 && rows == *labels => Ok(labels.to_vec()),
            _ => Err("logits [.., k] of at least one class and a label for each row, [..]".to_string()),
        }
    }
    fn kept(&self, x: &[&[usize]]) -> usize {
        2 * elements(x[1])
    }
    fn scratch(&self, x: &[&[usize]]) -> usize {
        classes(x[0])
    }
    fn reads(&self) -> Reads {
        Reads::Inputs
    }
    fn flops(&self, x: &[&[usize]], y: &[usize]) -> u64 {
        (4 * elements(x[0]) + 3 * elements(y)) as u64
    }
    fn forward(&self, x: Operands<'_, R>, out: Output<'_, R>) {
        forward(classes(x.shape(0)), x.value(0), Target::Labels(x.value(1)), out.y, out.kept, out.scratch);
    }
    fn vjp(&self, x: Operands<'_, R>, at: Point<'_, R>, dx: &mut Adjoints<'_, R>) {
        if let Some(dz) = dx.add_to(0) {
            backward(classes(x.shape(0)), x.value(0), Target::Labels(x.value(1)), [at.kept, at.dy], dz, at.scratch);
        }
        // By a label: zero.
        dx.add_to(1);
    }
}

impl Checked for CrossEntropy {
    fn samples() -> Vec<(Self, Vec<Sample>)> {
        let labels = |shape: &[usize], k: usize| {
            let n = elements(shape);
            Sample { shape: shape.to_vec(), values: (0..n).map(|i| ((i * i + 1) % k) as f64).collect() }
        };
        let mut all = vec![];
        for (rows, k) in [(&[3][..], 5), (&[4], 1), (&[1], 3), (&[2, 3], 17), (&[], 16), (&[2], 601), (&[0], 3)] {
            all.push((CrossEntropy, vec![Sample::normal(&[rows, &[k]].concat(), 0), labels(rows, k)]));
        }
        let values = vec![-800.0, 799.5, 800.0, f64::NEG_INFINITY, 40.0, 41.0];
        all.push((CrossEntropy, vec![Sample { shape: vec![2, 3], values }, Sample::points(&[0.0, 2.0])]));
        all
    }
    fn refusals() -> Vec<Refusal<Self>> {
        let words = "a label for each row";
        vec![
            (CrossEntropy, vec![vec![3, 5], vec![5]], words),
            (CrossEntropy, vec![vec![3, 0], vec![3]], "at least one class"),
            (CrossEntropy, vec![vec![], vec![]], words),
            (CrossEntropy, vec![vec![3, 5]], words),
        ]
    }
}

impl<R: Real> Op<R> for SoftCrossEntropy {
    fn name(&self) -> &'static str {
        "soft_cross_entropy"
    }
    fn shape(&self, x: &[&[usize]]) -> Result<Vec<usize>, String> {
        match x {
            [logits @ [rows @ .., k], weights] if *k > 0 && logits == weights => Ok(rows.to_vec()),
            _ => Err("logits [.., k] of at least one class and weights of the same shape".to_string()),
        }
    }
    fn kept(&self, x: &[&[usize]]) -> usize {
        2 * elements(x[0]) / classes(x[0])
    }
    fn scratch(&self, x: &[&[usize]]) -> usize {
        classes(x[0])
    }
    fn reads(&self) -> Reads {
        Reads::Inputs
    }
    fn flops(&self, x: &[&[usize]], y: &[usize]) -> u64 {
        (8 * elements(x[0]) + elements(y)) as u64
    }
    fn forward(&self, x: Operands<'_, R>, out: Output<'_, R>) {
        forward(classes(x.shape(0)), x.value(0), Target::Weights(x.value(1)), out.y, out.kept, out.scratch);
    }
    fn vjp(&self, x: Operands<'_, R>, at: Point<'_, R>, dx: &mut Adjoints<'_, R>) {
        let (k, z) = (classes(x.shape(0)), x.value(0));
        if let Some(dz) = dx.add_to(0) {
            backward(k, z, Target::Weights(x.value(1)), [at.kept, at.dy], dz, at.scratch);
        }
        if let Some(dt) = dx.add_to(1) {
            by_weights(k, z, [at.kept, at.dy], dt);
        }
    }
}

impl Checked for SoftCrossEntropy {
    fn samples() -> Vec<(Self, Vec<Sample>)> {
        let shapes: [&[usize]; 7] = [&[3, 5], &[4, 1], &[1, 3], &[2, 3, 17], &[16], &[2, 601], &[0, 3]];
        let mut all: Vec<_> = shapes.iter().map(|s| (SoftCrossEntropy, vec![Sample::normal(s, 1), Sample::normal(s, 2)])).collect();
        all.push((SoftCrossEntropy, vec![Sample::points(&[-800.0, 799.5, 800.0]), Sample::points(&[0.0, 0.25, 0.75])]));
        all
    }
    fn refusals() -> Vec<Refusal<Self>> {
        let words = "weights of the same shape";
        vec![
            (SoftCrossEntropy, vec![vec![3, 5], vec![3]], words),
            (SoftCrossEntropy, vec![vec![3, 0], vec![3, 0]], "at least one class"),
            (SoftCrossEntropy, vec![vec![], vec![]], words),
            (SoftCrossEntropy, vec![vec![3, 5]], words),
        ]
    }
}

#[cfg(test)]
mod tests {
    use crate::tape::Recorder;

    #[test]
    fn a_bad_label_gives_nan_and_no_gradient() {
        let mut r = Recorder::<f32>::new();
        let z = r.input_with_gradient("z", &[7, 2]).unwrap();
        let labels = r.input("labels", &[7]).unwrap();
        let y = r.cross_entropy(z, labels).unwrap();
        let program = r.finish();
        let mut ws = program.workspace().unwrap();
        ws.input_mut(z).unwrap().fill(3.0);
        ws.input_mut(labels).unwrap().copy_from_slice(&[1.0, 2.0, -1.0, 0.5, f32::NAN, f32::INFINITY, 0.0]);
        program.forward(&[], &mut ws).unwrap();
        let value = ws.value(y).unwrap();
        for good in [value[0], value[6]] {
            assert!((good - std::f32::consts::LN_2).abs() <= 1e-7);
        }
        assert!(value[1..6].iter().all(|y| y.is_nan()), "{value:?}");
        program.backward(&[], &mut ws, &[(y, &[2.0; 7])], &mut []).unwrap();
        let dz = ws.adjoint(z).unwrap();
        assert_eq!((&dz[..2], &dz[12..]), (&[1.0, -1.0][..], &[-1.0, 1.0][..]));
        assert!(dz[2..12].iter().all(|d| *d == 0.0), "{dz:?}");
    }

    #[test]
    fn impossible_classes_cost_nothing_unless_they_are_right() {
        let none = f64::NEG_INFINITY;
        let mut r = Recorder::<f64>::new();
        let z = r.input_with_gradient("z", &[2, 3]).unwrap();
        let t = r.input("t", &[2, 3]).unwrap();
        let labels = r.input("labels", &[2]).unwrap();
        let (soft, hard) = (r.soft_cross_entropy(z, t).unwrap(), r.cross_entropy(z, labels).unwrap());
        let program = r.finish();
        let mut ws = program.workspace().unwrap();
        ws.input_mut(z).unwrap().copy_from_slice(&[none, 0.0, 0.0, none, none, none]);
        ws.input_mut(t).unwrap().copy_from_slice(&[0.0, 0.5, 0.5, 0.0, 0.0, 0.0]);
        ws.input_mut(labels).unwrap().copy_from_slice(&[2.0, 1.0]);
        program.forward(&[], &mut ws).unwrap();
        let ln2 = std::f64::consts::LN_2;
        assert!((ws.value(soft).unwrap()[0] - ln2).abs() <= 1e-15 && (ws.value(hard).unwrap()[0] - ln2).abs() <= 1e-15);
        assert_eq!((ws.value(soft).unwrap()[1], ws.value(hard).unwrap()[1]), (0.0, f64::INFINITY));
        program.backward(&[], &mut ws, &[(soft, &[1.0; 2]), (hard, &[1.0; 2])], &mut []).unwrap();
        let dz = ws.adjoint(z).unwrap();
        let want = [0.0, 0.5, -0.5, 0.0, -1.0, 0.0];
        assert!(dz.iter().zip(want).all(|(d, w)| (d - w).abs() <= 1e-15), "{dz:?}");
    }
}
