//! Functions of single elements, one after another, in one pass over memory.

use super::Gradients;
use super::broadcast::Fill;
use super::map::{self, Function, Map};
use super::zip::{Function2, OfA, OfB, Value, Zip};
use crate::Real;
use std::ops::Range;
use std::sync::Arc;

/// Elements that go through the whole chain before the next ones: their intermediates stay in the first-level
/// cache.
pub const BLOCK: usize = 512;
/// More inputs or steps than this are not gathered in one pass: their blocks would leave the first-level
/// cache.
const MOST: usize = 8;

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

/// y = f_s(...): every step is a function of inputs and earlier steps; every input and every step but the
/// last is read once. The backward pass computes the steps anew instead of keeping them: a pass over memory
/// costs more.
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

    /// No function: its input. With it, [`Self::splice`] leaves a chain as it is.
    pub fn identity() -> Self {
        Chain { inputs: 1, steps: vec![] }
    }

    /// `outer` of `inner`'s result as its input `at`: the inputs are `outer`'s with `inner`'s in the place of
    /// that one.
    pub fn splice(outer: Self, at: usize, inner: Self) -> Self {
        if inner.steps.is_empty() {
            return outer;
        }
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

    /// Whether it is short enough for one pass.
    pub fn fits(&self) -> bool {
        self.inputs <= MOST && self.steps.len() <= MOST
    }

    /// Number of inputs.
    pub fn inputs(&self) -> usize {
        self.inputs
    }

    /// The names of the steps.
    pub fn title(&self) -> String {
        self.steps.iter().map(|step| step.function.title()).collect::<Vec<_>>().join(", ")
    }

    /// Operations an element.
    pub fn flops(&self) -> u64 {
        self.steps.iter().map(|step| step.function.flops()).sum()
    }

    /// Numbers of working memory for `n` elements.
    pub fn scratch(&self, n: usize) -> usize {
        2 * self.steps.len() * block(n)
    }

    /// y = the chain of the inputs, all as long as y.
    pub fn forward<'a>(&self, inputs: impl Fn(usize) -> &'a [R], y: &mut [R], scratch: &mut [R]) {
        let (last, block) = (self.steps.len() - 1, block(y.len()));
        let x = self.gather(inputs);
        for (i, y) in y.chunks_mut(block).enumerate() {
            let at = i * block..i * block + y.len();
            for s in 0..last {
                let (earlier, here) = scratch.split_at_mut(s * block);
                self.steps[s].function.value(self.arguments(s, &x, &at, earlier, block), &mut here[..at.len()]);
            }
            self.steps[last].function.value(self.arguments(last, &x, &at, scratch, block), y);
        }
    }

    /// dx_k += dy dy/dx_k for every input.
    pub fn backward<'a>(&self, inputs: impl Fn(usize) -> &'a [R], dy: &[R], dx: &mut impl Gradients<R>, scratch: &mut [R]) {
        let (count, block) = (self.steps.len(), block(dy.len()));
        let x = self.gather(inputs);
        let (values, adjoints) = scratch.split_at_mut(count * block);
        // Which inputs' adjoints are to be overwritten: by every block, not only by the first.
        let mut fresh = [false; MOST];
        for (k, fresh) in fresh.iter_mut().enumerate().take(self.inputs) {
            *fresh = dx.slot(k).is_some_and(|slot| slot.1);
        }
        for start in (0..dy.len()).step_by(block) {
            let at = start..dy.len().min(start + block);
            let n = at.len();
            for s in 0..count {
                if s + 1 < count || self.steps[s].function.reads_result() {
                    let (earlier, here) = values.split_at_mut(s * block);
                    self.steps[s].function.value(self.arguments(s, &x, &at, earlier, block), &mut here[..n]);
                }
            }
            for (s, step) in self.steps.iter().enumerate().rev() {
                let (earlier, here) = adjoints.split_at_mut(s * block);
                let dy = if s + 1 == count { &dy[at.clone()] } else { &here[..n] };
                let (slices, y) = (self.arguments(s, &x, &at, values, block), &values[s * block..][..n]);
                for (which, argument) in step.arguments.iter().enumerate() {
                    match *argument {
                        Argument::Step(r) => step.function.pull(which, slices, y, dy, &mut earlier[r * block..][..n], true),
                        Argument::Input(k) => {
                            if let Some((dx, _)) = dx.slot(k) {
                                step.function.pull(which, slices, y, dy, &mut dx[at.clone()], fresh[k]);
                            }
                        }
                    }
                }
            }
        }
    }

    fn gather<'a>(&self, inputs: impl Fn(usize) -> &'a [R]) -> [&'a [R]; MOST] {
        let mut x: [&[R]; MOST] = [&[]; MOST];
        (0..self.inputs).for_each(|k| x[k] = inputs(k));
        x
    }

    /// The arguments of step `s` for the elements `at`, given the earlier steps' results, `block` numbers
    /// apart.
    fn arguments<'a>(&self, s: usize, x: &[&'a [R]; MOST], at: &Range<usize>, earlier: &'a [R], block: usize) -> [&'a [R]; 2] {
        let mut slices: [&[R]; 2] = [&[]; 2];
        for (slice, argument) in slices.iter_mut().zip(&self.steps[s].arguments) {
            *slice = match *argument {
                Argument::Input(k) => &x[k][at.clone()],
                Argument::Step(s) => &earlier[s * block..][..at.len()],
            };
        }
        slices
    }
}

/// Numbers of a step's intermediates, of `n` elements; 1 for none.
fn block(n: usize) -> usize {
    n.clamp(1, BLOCK)
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
        // Where the derivative is not computed from y, y has not been computed: any slice of the right length
        // does.
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
