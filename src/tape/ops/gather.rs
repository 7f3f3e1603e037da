//! Rows of a table, by number.

use crate::Real;
use crate::kernels::gather::{backward, forward};
use crate::tape::op::{Adjoints, Op, Operands, Output, Point, Reads, elements};
use crate::tape::recorder::methods;
use crate::tape::sample::{Checked, Refusal, Sample};

methods! {
    /// Rows of a table `[v, ..]` by number: indices `[..]` -> `[.., ..]`. The indices are whole numbers in
    /// 0..v, as numbers of the tape; any other gives a row of NaN and adds nothing to the table's gradient.
    gather(table, indices) = Gather;
}

/// y_i = row `index_i` of a table `[v, ..]`: indices of any shape `[..]`, y `[.., ..]`.
///
/// Indices are numbers of the tape, so they are known only at replay. One that is not whole to within 1/256,
/// or not in 0..v, gives a row of NaN and adds nothing to the gradient. The derivative by an index is zero,
/// as it is near every valid index.
///
/// The gradient of a row is summed over its occurrences in blocks of 256 indices: inside a block in order,
/// then the blocks in order.
#[derive(Clone, Copy)]
pub struct Gather;

impl<R: Real> Op<R> for Gather {
    fn name(&self) -> &'static str {
        "gather"
    }
    fn shape(&self, x: &[&[usize]]) -> Result<Vec<usize>, String> {
        match x {
            [[_, row @ ..], indices] => Ok([indices, row].concat()),
            [_, _] => Err("a table with at least one axis".to_string()),
            _ => Err("a table and indices".to_string()),
        }
    }
    fn reads(&self) -> Reads {
        Reads::Inputs
    }
    fn flops(&self, _x: &[&[usize]], _y: &[usize]) -> u64 {
        0
    }
    fn forward(&self, x: Operands<'_, R>, out: Output<'_, R>) {
        let (v, d) = sizes(x.shape(0));
        forward(v, d, x.value(0), x.value(1), out.y);
    }
    fn vjp(&self, x: Operands<'_, R>, at: Point<'_, R>, dx: &mut Adjoints<'_, R>) {
        // By an index: zero.
        dx.add_to(1);
        if let Some(dtable) = dx.add_to(0) {
            let (v, d) = sizes(x.shape(0));
            backward(v, d, x.value(1), at.dy, dtable);
        }
    }
}

/// Rows of a table, and the numbers of one.
fn sizes(table: &[usize]) -> (usize, usize) {
    (table[0], elements(&table[1..]))
}

impl Checked for Gather {
    fn samples() -> Vec<(Self, Vec<Sample>)> {
        let large = Sample::of(&[3, 1], &[800.0, -800.0, 1e-3]);
        let many: Vec<f64> = (0..600).map(|i| f64::from(i * i % 7)).collect();
        vec![
            (Gather, vec![Sample::normal(&[5, 3], 0), Sample::of(&[4], &[4.0, 0.0, 4.0, 2.0])]),
            (Gather, vec![Sample::normal(&[3, 17], 0), Sample::of(&[2, 3], &[0.0, 1.0, 2.0, 2.0, 1.0, 2.0])]),
            (Gather, vec![Sample::normal(&[3], 0), Sample::of(&[1], &[1.0])]),
            (Gather, vec![Sample::normal(&[1, 2, 3], 0), Sample::of(&[], &[0.0])]),
            (Gather, vec![Sample::normal(&[7, 2], 0), Sample::of(&[600], &many)]),
            (Gather, vec![Sample::normal(&[3, 2], 0), Sample::of(&[0], &[])]),
            (Gather, vec![Sample::normal(&[3, 0], 0), Sample::of(&[2], &[0.0, 1.0])]),
            (Gather, vec![large, Sample::of(&[3], &[2.0, 1.0, 0.0])]),
        ]
    }
    fn refusals() -> Vec<Refusal<Self>> {
        vec![
            (Gather, vec![vec![], vec![2]], "a table with at least one axis"),
            (Gather, vec![vec![3, 2]], "a table and indices"),
            (Gather, vec![vec![3, 2, 1], vec![2, 2, 2]], "at most 4 axes"),
        ]
    }
}

#[cfg(test)]
mod tests {
    use crate::tape::Recorder;

    #[test]
    fn a_bad_index_gives_nan_and_no_gradient() {
        let mut r = Recorder::<f32>::new();
        let table = r.parameter("table", &[3, 2]).unwrap();
        let index = r.input("index", &[7]).unwrap();
        let y = r.gather(table, index).unwrap();
        let program = r.finish();
        let mut ws = program.workspace().unwrap();
        ws.input_mut(index).unwrap().copy_from_slice(&[1.0, 3.0, -1.0, 0.5, f32::NAN, f32::INFINITY, 1.0]);
        let params = [1.0, 2.0, 3.0, 4.0, 5.0, 6.0];
        program.forward(&params, &mut ws).unwrap();
        let value = ws.value(y).unwrap();
        assert_eq!((&value[..2], &value[12..]), (&params[2..4], &params[2..4]));
        assert!(value[2..12].iter().all(|y| y.is_nan()), "{value:?}");
        let mut grad = [0.0; 6];
        program.backward(&params, &mut ws, &[(y, &[1.0; 14])], &mut grad).unwrap();
        assert_eq!(grad, [0.0, 0.0, 2.0, 2.0, 0.0, 0.0]);
    }
}
