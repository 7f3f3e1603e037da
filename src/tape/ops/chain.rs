//! Functions of single elements in one pass over memory: what fusion makes of several.

use crate::Real;
use crate::kernels::activation::Silu;
use crate::kernels::chain::{BLOCK, Chain};
use crate::kernels::elementary::{Exp, Scale};
use crate::kernels::map::Map;
use crate::kernels::zip::{Add, Mul, Sub, Zip};
use crate::tape::op::{Adjoints, Op, Operands, Output, Point, Reads, elements};
use crate::tape::sample::{Checked, Refusal, Sample};
use std::any::Any;

/// `outer` behind `producer`, its input `at`, in one pass, if that is a function of single elements, too.
pub fn behind<R: Real>(outer: Chain<R>, at: usize, producer: &dyn Op<R>) -> Option<Box<dyn Op<R>>> {
    let both = Chain::splice(outer, at, chain(producer)?);
    both.fits().then(|| Box::new(both) as Box<dyn Op<R>>)
}

/// An operation as a chain, if it is one: what fuses with the chain of no function.
fn chain<R: Real>(op: &dyn Op<R>) -> Option<Chain<R>> {
    let as_it_is = |op: &dyn Op<R>| (op as &dyn Any).downcast_ref::<Chain<R>>().cloned();
    as_it_is(op).or_else(|| as_it_is(&*op.fuse(0, &Chain::identity())?))
}

impl<R: Real> Op<R> for Chain<R> {
    fn name(&self) -> &'static str {
        "chain"
    }
    fn label(&self) -> String {
        self.title()
    }
    fn shape(&self, x: &[&[usize]]) -> Result<Vec<usize>, String> {
        match x {
            [first, rest @ ..] if x.len() == self.inputs() && rest.iter().all(|s| s == first) => Ok(first.to_vec()),
            _ => Err(format!("{} inputs of equal shape", self.inputs())),
        }
    }
    fn scratch(&self, x: &[&[usize]]) -> usize {
        Chain::scratch(self, elements(x[0]))
    }
    fn reads(&self) -> Reads {
        Reads::Inputs
    }
    fn fuse(&self, at: usize, producer: &dyn Op<R>) -> Option<Box<dyn Op<R>>> {
        behind(self.clone(), at, producer)
    }
    fn flops(&self, _x: &[&[usize]], y: &[usize]) -> u64 {
        elements(y) as u64 * Chain::flops(self)
    }
    fn forward(&self, x: Operands<'_, R>, out: Output<'_, R>) {
        Chain::forward(self, |k| x.value(k), out.y, out.scratch);
    }
    fn vjp(&self, x: Operands<'_, R>, at: Point<'_, R>, dx: &mut Adjoints<'_, R>) {
        self.backward(|k| x.value(k), at.dy, dx, at.scratch);
    }
}

impl<R: Real> Checked for Chain<R> {
    fn samples() -> Vec<(Self, Vec<Sample>)> {
        let unary = |inner: Chain<R>| Chain::splice(Chain::one(Map(Silu), 1), 0, Chain::splice(Chain::one(Map(Scale(-0.5)), 1), 0, inner));
        let square = || Chain::one(Zip(Mul), 2);
        // a b - (c + e^d), and e^(a - b) as the second factor.
        let sum = || Chain::splice(Chain::one(Zip(Add), 2), 1, Chain::one(Map(Exp), 1));
        let difference = || Chain::splice(Chain::splice(Chain::one(Zip(Sub), 2), 1, sum()), 0, square());
        let product = || Chain::splice(square(), 1, Chain::splice(Chain::one(Map(Exp), 1), 0, Chain::one(Zip(Sub), 2)));
        let mut all = vec![];
        for shape in [&[3, 5][..], &[1, 7], &[], &[0, 4], &[BLOCK + 13]] {
            all.push((unary(Chain::one(Map(Exp), 1)), vec![Sample::normal(shape, 1)]));
            all.push((difference(), (1..5).map(|salt| Sample::normal(shape, salt)).collect()));
            all.push((product(), (1..4).map(|salt| Sample::normal(shape, salt)).collect()));
        }
        all.push((unary(square()), vec![Sample::points(&[-30.0, 40.0, 1.0]), Sample::points(&[10.0, 5.0, -0.25])]));
        all
    }
    fn refusals() -> Vec<Refusal<Self>> {
        let op = || Chain::one(Zip(Mul), 2);
        vec![(op(), vec![vec![3], vec![1]], "2 inputs of equal shape"), (op(), vec![vec![3]], "2 inputs of equal shape")]
    }
}
