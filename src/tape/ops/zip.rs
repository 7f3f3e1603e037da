//! Functions of two tensors, element by element, with broadcasting; what they compute is in `kernels/zip.rs`.

use super::conv::Convolve;
use super::{Linear, MatMul, chain};
use crate::Real;
use crate::kernels::Activation;
use crate::kernels::broadcast::{Plan, shape};
use crate::kernels::chain::Chain;
use crate::kernels::zip::{Add, Div, Function2, Max, Min, Mul, Sub, Zip, backward, forward};
use crate::tape::op::{Adjoints, Op, Operands, Output, Point, Reads, Registered, two};
use crate::tape::recorder::methods;
use crate::tape::sample::{Checked, Refusal, Sample};
use std::any::Any;

methods! {
    /// a + b, with broadcasting (trailing axes aligned, sizes equal or 1).
    add(a, b) = Zip(Add);
    /// a - b, with broadcasting.
    sub(a, b) = Zip(Sub);
    /// a b, element by element, with broadcasting.
    mul(a, b) = Zip(Mul);
    /// a / b, element by element, with broadcasting.
    div(a, b) = Zip(Div);
    /// The larger of a and b, with broadcasting; NaN if one is. Where they are equal each gets half of the
    /// adjoint.
    max(a, b) = Zip(Max);
    /// The smaller of a and b, with broadcasting; NaN if one is. Where they are equal each gets half of the
    /// adjoint.
    min(a, b) = Zip(Min);
}

impl<R: Real, F: Function2> Op<R> for Zip<F>
where
    Zip<F>: Registered,
{
    fn name(&self) -> &'static str {
        F::NAME
    }
    fn shape(&self, x: &[&[usize]]) -> Result<Vec<usize>, String> {
        let [a, b] = two(x)?;
        shape(a, b).ok_or_else(|| "shapes that broadcast (aligned at the last axis, sizes equal or 1)".to_string())
    }
    fn reads(&self) -> Reads {
        F::READS
    }
    fn fuse(&self, at: usize, producer: &dyn Op<R>) -> Option<Box<dyn Op<R>>> {
        let biased = if F::IS_SUM && at == 0 { biased(producer) } else { None };
        biased.or_else(|| chain::behind(Chain::one(*self, 2), at, producer))
    }
    fn flops(&self, _x: &[&[usize]], y: &[usize]) -> u64 {
        y.iter().product::<usize>() as u64
    }
    fn forward(&self, x: Operands<'_, R>, out: Output<'_, R>) {
        forward(self.0, Plan::new(x.shape(0), x.shape(1), x.out_shape()), x.value(0), x.value(1), out.y);
    }
    fn vjp(&self, x: Operands<'_, R>, at: Point<'_, R>, dx: &mut Adjoints<'_, R>) {
        backward(self.0, Plan::new(x.shape(0), x.shape(1), x.out_shape()), [x.value(0), x.value(1), at.dy], dx);
    }
}

/// A product or a convolution, and the sum of its result and a bias, its then last input, in one pass.
fn biased<R: Real>(producer: &dyn Op<R>) -> Option<Box<dyn Op<R>>> {
    let producer: &dyn Any = producer;
    if let Some(product) = producer.downcast_ref::<MatMul>() {
        let plain = product.transposed == [false, false];
        return plain.then(|| Box::new(Linear { activation: Activation::Identity }) as Box<dyn Op<R>>);
    }
    // The same operation with three inputs; what has a bias already has four then, which the shape rule
    // refuses.
    Some(Box::new(*producer.downcast_ref::<Convolve>()?))
}

impl<F: Function2> Checked for Zip<F> {
    fn samples() -> Vec<(Self, Vec<Sample>)> {
        let shapes: [(&[usize], &[usize]); 12] = [
            (&[3, 5], &[3, 5]),
            (&[4, 3], &[3]),
            (&[3], &[4, 3]),
            (&[5, 2], &[5, 1]),
            (&[3, 1, 5], &[4, 1]),
            (&[2, 3, 2, 3], &[3, 1, 3]),
            (&[1, 2, 1, 2], &[3, 1, 2, 1]),
            (&[], &[2, 3]),
            (&[37], &[1]),
            (&[130, 17], &[17]),
            (&[0, 3], &[3]),
            (&[0, 1], &[1, 4]),
        ];
        let op = Zip(F::default());
        let mut all: Vec<_> = shapes.iter().map(|(a, b)| (op, vec![Sample::normal(a, 1), Sample::away_from_zero(b, 2)])).collect();
        if F::KINKED {
            // a on a grid, b half-way between its points: never near each other.
            for x in all.iter_mut().map(|(_, x)| x) {
                x[0].values.iter_mut().for_each(|v| *v = (8.0 * *v).round() / 8.0);
                x[1].values.iter_mut().for_each(|v| *v = ((8.0 * *v).round() + 0.5) / 8.0);
            }
        }
        all.push((op, vec![Sample::points(&[-800.0, 800.0, 1.0, 1e-3]), Sample::points(&[800.0, 0.5, -800.0, -1.0])]));
        all
    }
    fn refusals() -> Vec<Refusal<Self>> {
        let op = Zip(F::default());
        vec![(op, vec![vec![2, 3], vec![2]], "broadcast"), (op, vec![vec![0], vec![2]], "broadcast"), (op, vec![vec![1]], "two inputs")]
    }
}

#[cfg(test)]
mod tests {
    use crate::tape::Recorder;

    #[test]
    fn equal_operands_of_max_and_min_share_the_adjoint() {
        let mut r = Recorder::<f64>::new();
        let a = r.input_with_gradient("a", &[4]).unwrap();
        let b = r.input_with_gradient("b", &[4]).unwrap();
        let (max, min) = (r.max(a, b).unwrap(), r.min(a, b).unwrap());
        let program = r.finish();
        let mut ws = program.workspace().unwrap();
        ws.input_mut(a).unwrap().copy_from_slice(&[1.0, 2.0, 3.0, f64::NAN]);
        ws.input_mut(b).unwrap().copy_from_slice(&[1.0, 5.0, 0.0, 0.0]);
        program.forward(&[], &mut ws).unwrap();
        assert_eq!(ws.value(max).unwrap()[..3], [1.0, 5.0, 3.0]);
        assert_eq!(ws.value(min).unwrap()[..3], [1.0, 2.0, 0.0]);
        assert!(ws.value(max).unwrap()[3].is_nan() && ws.value(min).unwrap()[3].is_nan());
        for (y, da) in [(max, [0.5, 0.0, 1.0]), (min, [0.5, 1.0, 0.0])] {
            program.backward(&[], &mut ws, &[(y, &[1.0; 4])], &mut []).unwrap();
            assert_eq!(ws.adjoint(a).unwrap()[..3], da);
            assert_eq!(ws.adjoint(b).unwrap()[..3], da.map(|d| 1.0 - d));
        }
    }
}
