//! Rows of a table, by number.

use crate::Real;
use crate::kernels::index::index;
use crate::simd::{Kernel, W, dispatch};
use crate::tape::op::{Adjoints, Checked, Op, Operands, Output, Point, Reads, Sample, elements};
use crate::tape::recorder::methods;

methods! {
    /// Rows of a table `[v, ..]` by number: indices `[..]` -> `[.., ..]`. The indices are whole numbers in 0..v, as numbers of
    /// the tape; any other gives a row of NaN and adds nothing to the table's gradient.
    gather(table, indices) = Gather;
}

/// y_i = row `index_i` of a table `[v, ..]`: indices of any shape `[..]`, y `[.., ..]`.
///
/// Indices are numbers of the tape, so they are known only at replay. One that is not whole to within 1/256, or not in 0..v,
/// gives a row of NaN and adds nothing to the gradient. The derivative by an index is zero, as it is near every valid index.
///
/// The gradient of a row is summed over its occurrences in blocks of 256 indices: inside a block in order, then the blocks in
/// order.
#[derive(Clone, Copy)]
pub struct Gather;

/// Indices that are sorted at once.
const BLOCK: usize = 256;

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
        // Sizes of an empty tensor need not have a product.
        if out.y.is_empty() {
            return;
        }
        let (v, d) = (x.shape(0)[0], elements(&x.shape(0)[1..]));
        for (y, number) in out.y.chunks_exact_mut(d).zip(x.value(1)) {
            match index(*number, v) {
                Some(i) => y.copy_from_slice(&x.value(0)[i * d..][..d]),
                None => y.fill(R::nan()),
            }
        }
    }
    fn vjp(&self, x: Operands<'_, R>, at: Point<'_, R>, dx: &mut Adjoints<'_, R>) {
        // By an index: zero.
        dx.add_to(1);
        let Some(dtable) = dx.add_to(0) else { return };
        if at.dy.is_empty() {
            return;
        }
        let (v, d) = (x.shape(0)[0], elements(&x.shape(0)[1..]));
        for (indices, dy) in x.value(1).chunks(BLOCK).zip(at.dy.chunks(BLOCK * d)) {
            let (mut order, mut count) = ([(0, 0); BLOCK], 0);
            for (k, number) in indices.iter().enumerate() {
                if let Some(i) = index(*number, v) {
                    order[count] = (i, k);
                    count += 1;
                }
            }
            order[..count].sort_unstable();
            dispatch(AddRows { order: &order[..count], d, dy, dtable: &mut *dtable });
        }
    }
}

/// dtable[i] += sum of dy[k] over the (i, k) in `order`, which is sorted.
struct AddRows<'a, R> {
    order: &'a [(usize, usize)],
    d: usize,
    dy: &'a [R],
    dtable: &'a mut [R],
}

impl<R: Real> Kernel for AddRows<'_, R> {
    const VECTORS: bool = R::VECTORS;
    type Output = ();
    #[inline(always)]
    fn run<const FMA: bool>(self) {
        let AddRows { order, d, dy, dtable } = self;
        for same in order.chunk_by(|a, b| a.0 == b.0) {
            let dtable = &mut dtable[same[0].0 * d..][..d];
            for (block, dtable) in dtable.chunks_mut(W).enumerate() {
                let mut sum = [R::zero(); W];
                for (_, k) in same {
                    let dy = &dy[k * d + block * W..][..dtable.len()];
                    for (sum, dy) in sum.iter_mut().zip(dy) {
                        *sum += *dy;
                    }
                }
                for (dtable, sum) in dtable.iter_mut().zip(sum) {
                    *dtable += sum;
                }
            }
        }
    }
}

impl Checked for Gather {
    fn samples() -> Vec<(Self, Vec<Sample>)> {
        let index = |shape: &[usize], values: &[f64]| Sample { shape: shape.to_vec(), values: values.to_vec() };
        let large = Sample { shape: vec![3, 1], values: vec![800.0, -800.0, 1e-3] };
        let many: Vec<f64> = (0..600).map(|i| f64::from(i * i % 7)).collect();
        vec![
            (Gather, vec![Sample::normal(&[5, 3], 0), index(&[4], &[4.0, 0.0, 4.0, 2.0])]),
            (Gather, vec![Sample::normal(&[3, 17], 0), index(&[2, 3], &[0.0, 1.0, 2.0, 2.0, 1.0, 2.0])]),
            (Gather, vec![Sample::normal(&[3], 0), index(&[1], &[1.0])]),
            (Gather, vec![Sample::normal(&[1, 2, 3], 0), index(&[], &[0.0])]),
            (Gather, vec![Sample::normal(&[7, 2], 0), index(&[600], &many)]),
            (Gather, vec![Sample::normal(&[3, 2], 0), index(&[0], &[])]),
            (Gather, vec![Sample::normal(&[3, 0], 0), index(&[2], &[0.0, 1.0])]),
            (Gather, vec![large, index(&[3], &[2.0, 1.0, 0.0])]),
        ]
    }
    fn refusals() -> Vec<(Self, Vec<Vec<usize>>, &'static str)> {
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
