//! Functions of single elements, one after another, in one pass over memory.

use super::map::{self, Function, Map};
use super::zip::{Function2, OfA, OfB, Value, Zip};
use super::{Add, Exp, Mul, Scale, Silu, Sub};
use crate::Real;
use crate::kernels::broadcast::Fill;
use crate::tape::op::{Adjoints, Checked, Op, Operands, Output, Point, Reads, Sample, elements};
use std::ops::Range;
use std::sync::Arc;

/// Elements that go through the whole chain before the next ones: their intermediates stay in the first-level cache.
const BLOCK: usize = 512;

/// Numbers of a step's intermediates; 1 for an empty tensor.
fn block(shape: &[usize]) -> usize {
    elements(shape).clamp(1, BLOCK)
}

/// A function of one or two numbers, on slices of equal length.
pub trait Pointwise<R>: Send + Sync {
    /// Its name, with its attribute.
    fn title(&self) -> String;
    /// Operations an element.
    fn flops(&self) -> u64;
    /// Whether the derivatives are computed from the result.
    fn reads_result(&self) -> bool;
    /// y = f(x); the second slice is empty for a function of one number.
    fn value(&self, x: [&[R]; 2], y: &mut [R]);
    /// dx += dy df/dx for argument `which`, dx = ... if `fresh`.
    fn pull(&self, which: usize, x: [&[R]; 2], y: &[R], dy: &[R], dx: &mut [R], fresh: bool);
}

/// y = f_s(...): every step is a function of inputs and earlier steps; every input and every step but the last is read once.
/// The backward pass computes the steps anew instead of keeping them: a pass over memory costs more.
pub struct Chain<R> {
    inputs: usize,
    steps: Vec<Step<R>>,
}

struct Step<R> {
    function: Arc<dyn Pointwise<R>>,
    arguments: Vec<Argument>,
}

#[derive(Clone, Copy)]
enum Argument {
    Input(usize),
    Step(usize),
}

impl<R> Clone for Step<R> {
    fn clone(&self) -> Self {
        Step { function: Arc::clone(&self.function), arguments: self.arguments.clone() }
    }
}

impl<R> Clone for Chain<R> {
    fn clone(&self) -> Self {
        Chain { inputs: self.inputs, steps: self.steps.clone() }
    }
}

impl<R: Real> Chain<R> {
    /// One function of `inputs` numbers.
    pub fn one(function: impl Pointwise<R> + 'static, inputs: usize) -> Self {
        Chain { inputs, steps: vec![Step { function: Arc::new(function), arguments: (0..inputs).map(Argument::Input).collect() }] }
    }

    /// `outer` of `inner`'s result as its input `at`: the inputs are `outer`'s with `inner`'s in the place of that one.
    pub fn splice(outer: Self, at: usize, inner: Self) -> Self {
        let (before, more) = (inner.steps.len(), inner.inputs);
        let mut steps = inner.steps;
        for argument in steps.iter_mut().flat_map(|step| &mut step.arguments) {
            if let Argument::Input(k) = argument {
                *k += at;
            }
        }
        for mut step in outer.steps {
            for argument in &mut step.arguments {
                *argument = match *argument {
                    Argument::Input(k) if k == at => Argument::Step(before - 1),
                    Argument::Input(k) => Argument::Input(if k > at { k - 1 + more } else { k }),
                    Argument::Step(s) => Argument::Step(s + before),
                };
            }
            steps.push(step);
        }
        Chain { inputs: outer.inputs - 1 + more, steps }
    }

    /// Number of steps.
    pub fn steps(&self) -> usize {
        self.steps.len()
    }

    /// The arguments of step `s` for the elements `at`, given the earlier steps' results, `block` numbers apart.
    fn arguments<'a>(&self, s: usize, x: Operands<'a, R>, at: &Range<usize>, earlier: &'a [R], block: usize) -> [&'a [R]; 2] {
        let mut slices: [&[R]; 2] = [&[]; 2];
        for (slice, argument) in slices.iter_mut().zip(&self.steps[s].arguments) {
            *slice = match *argument {
                Argument::Input(k) => &x.value(k)[at.clone()],
                Argument::Step(s) => &earlier[s * block..][..at.len()],
            };
        }
        slices
    }
}

impl<R: Real> Op<R> for Chain<R> {
    fn name(&self) -> &'static str {
        "chain"
    }
    fn label(&self) -> String {
        self.steps.iter().map(|step| step.function.title()).collect::<Vec<_>>().join(", ")
    }
    fn shape(&self, x: &[&[usize]]) -> Result<Vec<usize>, String> {
        match x {
            [first, rest @ ..] if x.len() == self.inputs && rest.iter().all(|s| s == first) => Ok(first.to_vec()),
            _ => Err(format!("{} inputs of equal shape", self.inputs)),
        }
    }
    fn scratch(&self, x: &[&[usize]]) -> usize {
        2 * self.steps.len() * block(x[0])
    }
    fn reads(&self) -> Reads {
        Reads::Inputs
    }
    fn chain(&self) -> Option<Chain<R>> {
        Some(self.clone())
    }
    fn flops(&self, _x: &[&[usize]], y: &[usize]) -> u64 {
        elements(y) as u64 * self.steps.iter().map(|step| step.function.flops()).sum::<u64>()
    }
    fn forward(&self, x: Operands<'_, R>, out: Output<'_, R>) {
        let (last, block) = (self.steps.len() - 1, block(x.out_shape()));
        for (i, y) in out.y.chunks_mut(block).enumerate() {
            let at = i * block..i * block + y.len();
            for s in 0..last {
                let (earlier, here) = out.scratch.split_at_mut(s * block);
                self.steps[s].function.value(self.arguments(s, x, &at, earlier, block), &mut here[..at.len()]);
            }
            self.steps[last].function.value(self.arguments(last, x, &at, out.scratch, block), y);
        }
    }
    fn vjp(&self, x: Operands<'_, R>, at: Point<'_, R>, dx: &mut Adjoints<'_, R>) {
        let (count, block) = (self.steps.len(), block(x.out_shape()));
        let (values, adjoints) = at.scratch.split_at_mut(count * block);
        // Which inputs' adjoints are to be overwritten: by every block, not only by the first.
        let mut fresh = [false; super::super::fuse::MOST];
        for (k, fresh) in fresh.iter_mut().enumerate().take(self.inputs) {
            *fresh = dx.slot(k).is_some_and(|slot| slot.1);
        }
        for start in (0..at.dy.len()).step_by(block) {
            let at_block = start..at.dy.len().min(start + block);
            let n = at_block.len();
            for s in 0..count {
                if s + 1 < count || self.steps[s].function.reads_result() {
                    let (earlier, here) = values.split_at_mut(s * block);
                    self.steps[s].function.value(self.arguments(s, x, &at_block, earlier, block), &mut here[..n]);
                }
            }
            for (s, step) in self.steps.iter().enumerate().rev() {
                let (earlier, here) = adjoints.split_at_mut(s * block);
                let dy = if s + 1 == count { &at.dy[at_block.clone()] } else { &here[..n] };
                let (slices, y) = (self.arguments(s, x, &at_block, values, block), &values[s * block..][..n]);
                for (which, argument) in step.arguments.iter().enumerate() {
                    match *argument {
                        Argument::Step(r) => step.function.pull(which, slices, y, dy, &mut earlier[r * block..][..n], true),
                        Argument::Input(k) => {
                            if let Some((dx, _)) = dx.slot(k) {
                                step.function.pull(which, slices, y, dy, &mut dx[at_block.clone()], fresh[k]);
                            }
                        }
                    }
                }
            }
        }
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
    fn refusals() -> Vec<(Self, Vec<Vec<usize>>, &'static str)> {
        let op = || Chain::one(Zip(Mul), 2);
        vec![(op(), vec![vec![3], vec![1]], "2 inputs of equal shape"), (op(), vec![vec![3]], "2 inputs of equal shape")]
    }
}

impl<F: Function, R: Real> Pointwise<R> for Map<F> {
    fn title(&self) -> String {
        map::title(self.0)
    }
    fn flops(&self) -> u64 {
        F::FLOPS
    }
    fn reads_result(&self) -> bool {
        F::READS.result()
    }
    fn value(&self, x: [&[R]; 2], y: &mut [R]) {
        map::forward(self.0, x[0], y);
    }
    fn pull(&self, _which: usize, x: [&[R]; 2], y: &[R], dy: &[R], dx: &mut [R], fresh: bool) {
        // Where the derivative is not computed from y, y has not been computed: any slice of the right length does.
        map::backward(self.0, [x[0], y, dy], dx, fresh);
    }
}

impl<F: Function2, R: Real> Pointwise<R> for Zip<F> {
    fn title(&self) -> String {
        F::NAME.to_string()
    }
    fn flops(&self) -> u64 {
        1
    }
    fn reads_result(&self) -> bool {
        F::READS.result()
    }
    fn value(&self, x: [&[R]; 2], y: &mut [R]) {
        Value(self.0).fill([x[0], x[1], x[1]], y, true);
    }
    fn pull(&self, which: usize, [a, b]: [&[R]; 2], _y: &[R], dy: &[R], dx: &mut [R], fresh: bool) {
        if which == 0 { OfA(self.0).fill([a, b, dy], dx, fresh) } else { OfB(self.0).fill([b, a, dy], dx, fresh) }
    }
}
