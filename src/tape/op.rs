//! What an operation is: its shape rule, its value, its vector-Jacobian product, and the samples it is checked on.

use super::ops::Chain;
use super::program::Node;
use crate::Real;
use crate::kernels::Activation;
use std::ops::Range;

/// The largest number of axes of a tensor on the tape.
pub const MAX_RANK: usize = 4;

/// An operation with its attributes, such as the constant of a scaling.
///
/// To add one, write the struct, this trait and [`Checked`] in one place and add its name to the list in `ops/mod.rs`:
/// [`Registered`] is implemented by that list alone, so an operation that is not on it does not compile, and the check walks
/// the list.
pub trait Op<R: Real>: Registered + Send + Sync + 'static {
    /// The name in tables and error messages.
    fn name(&self) -> &'static str;
    /// The name with the attributes, for tables.
    fn label(&self) -> String {
        self.name().to_string()
    }
    /// The shape of the result, or what was expected of the inputs' shapes. Runs once, at recording: a replay checks nothing.
    fn shape(&self, x: &[&[usize]]) -> Result<Vec<usize>, String>;
    /// How many numbers the forward pass keeps for the backward pass besides inputs and result.
    fn kept(&self, _x: &[&[usize]]) -> usize {
        0
    }
    /// How many numbers of working memory one call needs; their content does not outlive the call.
    fn scratch(&self, _x: &[&[usize]]) -> usize {
        0
    }
    /// Which values of the forward pass the vector-Jacobian product reads: the others' memory may hold something else by then.
    fn reads(&self) -> Reads {
        Reads::All
    }
    /// The operation that computes `producer`, whose result is read by this one alone as its input `at`, and this one in one
    /// pass, if there is such an operation. Its inputs are this one's, with the producer's in the place of input `at`.
    fn absorb(&self, _at: usize, _producer: &dyn Op<R>) -> Option<Box<dyn Op<R>>> {
        None
    }
    /// This operation and an activation of its result in one pass, if it can.
    fn with_activation(&self, _activation: Activation) -> Option<Box<dyn Op<R>>> {
        None
    }
    /// This operation and the sum of its result and a bias, its then last input, in one pass, if it can.
    fn with_bias(&self) -> Option<Box<dyn Op<R>>> {
        None
    }
    /// This operation as a chain of functions of single elements, if it is one: chains are fused into one pass.
    fn chain(&self) -> Option<Chain<R>> {
        None
    }
    /// Operations of one forward call: an addition, a product, a division, an elementary function count one each.
    fn flops(&self, x: &[&[usize]], y: &[usize]) -> u64;
    /// Computes the result. Must write every element of `out.y` and `out.kept`, whatever they hold.
    fn forward(&self, x: Operands<'_, R>, out: Output<'_, R>);
    /// Adds to the adjoint of every wanted input: dx_k += (dy/dx_k)^T dy.
    fn vjp(&self, x: Operands<'_, R>, at: Point<'_, R>, dx: &mut Adjoints<'_, R>);
}

/// What a vector-Jacobian product reads of the forward pass, besides what was kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Reads {
    /// Shapes alone.
    Nothing,
    /// The inputs.
    Inputs,
    /// The result.
    Result,
    /// Both.
    All,
}

impl Reads {
    /// Whether the inputs are read.
    pub fn inputs(self) -> bool {
        matches!(self, Reads::Inputs | Reads::All)
    }
    /// Whether the result is read.
    pub fn result(self) -> bool {
        matches!(self, Reads::Result | Reads::All)
    }
}

/// Marks the operations on a registry's list; see [`Op`].
pub trait Registered {}

/// What an operation is checked on ([`super::check`]).
pub trait Checked: Sized {
    /// Inputs for the gradient check. They must reach an odd size, an axis of size 1, an empty axis (unless that is among the
    /// refusals) and the largest sensible values, and keep away from kinks.
    fn samples() -> Vec<(Self, Vec<Sample>)>;
    /// Shapes that must be refused, each with words that the error must contain.
    fn refusals() -> Vec<(Self, Vec<Vec<usize>>, &'static str)>;
}

/// One input of a sample: a tensor in f64.
#[derive(Debug, Clone)]
pub struct Sample {
    /// Its shape.
    pub shape: Vec<usize>,
    /// Its elements in row-major order.
    pub values: Vec<f64>,
}

impl Sample {
    /// Standard normals; `salt` tells the inputs of one sample apart.
    pub fn normal(shape: &[usize], salt: u32) -> Self {
        let mut values = vec![0.0; shape.iter().product()];
        crate::rng::Stream::new(7, crate::rng::Purpose::Test, shape.len() as u64, salt).fill_normal(&mut values);
        Sample { shape: shape.to_vec(), values }
    }
    /// Numbers of either sign whose size lies in about [0.3, 3]: for divisors.
    pub fn away_from_zero(shape: &[usize], salt: u32) -> Self {
        let mut s = Self::normal(shape, salt);
        s.values.iter_mut().for_each(|v| *v = v.signum() * (0.4 * *v).exp());
        s
    }
    /// Positive numbers in about [0.3, 3].
    pub fn positive(shape: &[usize], salt: u32) -> Self {
        let mut s = Self::normal(shape, salt);
        s.values.iter_mut().for_each(|v| *v = (0.4 * *v).exp());
        s
    }
    /// Given numbers, as a vector.
    pub fn points(values: &[f64]) -> Self {
        Sample { shape: vec![values.len()], values: values.to_vec() }
    }
}

/// The inputs of a node.
#[derive(Clone, Copy)]
pub struct Operands<'a, R: Real> {
    pub(super) nodes: &'a [Node<R>],
    pub(super) inputs: &'a [usize],
    pub(super) values: Around<'a, R>,
    pub(super) params: &'a [R],
    pub(super) out: &'a [usize],
}

/// The memory of the values, but for the place that is being written to: what lies before it and what lies behind.
#[derive(Clone, Copy)]
pub(super) struct Around<'a, R> {
    pub(super) before: &'a [R],
    pub(super) behind: &'a [R],
    /// Where `behind` starts.
    pub(super) resume: usize,
}

impl<'a, R: Real> Operands<'a, R> {
    /// How many inputs there are.
    pub fn count(&self) -> usize {
        self.inputs.len()
    }
    /// Elements of input `k`, row-major.
    pub fn value(&self, k: usize) -> &'a [R] {
        let node = &self.nodes[self.inputs[k]];
        let at = node.value.clone();
        match &node.parameter {
            Some(at) => &self.params[at.clone()],
            None if at.end <= self.values.before.len() => &self.values.before[at],
            None => &self.values.behind[at.start - self.values.resume..at.end - self.values.resume],
        }
    }
    /// Shape of input `k`.
    pub fn shape(&self, k: usize) -> &'a [usize] {
        &self.nodes[self.inputs[k]].shape
    }
    /// Shape of the result.
    pub fn out_shape(&self) -> &'a [usize] {
        self.out
    }
}

/// Where a forward call writes.
pub struct Output<'a, R> {
    /// The result.
    pub y: &'a mut [R],
    /// What the backward pass will get to see again.
    pub kept: &'a mut [R],
    /// Working memory.
    pub scratch: &'a mut [R],
}

/// What a vector-Jacobian product sees besides the inputs.
pub struct Point<'a, R> {
    /// The result of the forward pass.
    pub y: &'a [R],
    /// What the forward pass kept.
    pub kept: &'a [R],
    /// The adjoint of the result. Complete, and nobody else's any more: the operation may overwrite it.
    pub dy: &'a mut [R],
    /// Working memory.
    pub scratch: &'a mut [R],
}

/// The adjoints of a node's inputs.
pub struct Adjoints<'a, R: Real> {
    pub(super) nodes: &'a [Node<R>],
    pub(super) inputs: &'a [usize],
    /// The memory of the adjoints before the place of the result's, and behind it.
    pub(super) before: &'a mut [R],
    pub(super) behind: &'a mut [R],
    /// Where `behind` starts.
    pub(super) resume: usize,
    pub(super) grad: &'a mut [R],
    pub(super) touched: &'a mut [bool],
}

impl<R: Real> Adjoints<'_, R> {
    /// Whether anybody needs the adjoint of input `k`.
    pub fn wanted(&self, k: usize) -> bool {
        self.nodes[self.inputs[k]].needs_gradient
    }
    /// The adjoint of input `k`, to be added to; None if nobody needs it.
    pub fn add_to(&mut self, k: usize) -> Option<&mut [R]> {
        let (dx, fresh) = self.slot(k)?;
        if fresh {
            dx.fill(R::zero());
        }
        Some(dx)
    }
    /// As [`Self::add_to`], but if the flag is set the content is stale and has to be overwritten: saves a pass.
    pub fn slot(&mut self, k: usize) -> Option<(&mut [R], bool)> {
        let index = self.inputs[k];
        let node = &self.nodes[index];
        if !node.needs_gradient {
            return None;
        }
        if let Some(at) = &node.parameter {
            return Some((&mut self.grad[at.clone()], false));
        }
        let fresh = !std::mem::replace(&mut self.touched[index], true);
        let at: Range<usize> = node.adjoint.clone();
        let dx =
            if at.end <= self.before.len() { &mut self.before[at] } else { &mut self.behind[at.start - self.resume..at.end - self.resume] };
        Some((dx, fresh))
    }
}

/// The shape of the only input, or what was expected.
pub fn one<'a>(x: &[&'a [usize]]) -> Result<&'a [usize], String> {
    match x {
        [x] => Ok(x),
        _ => Err("one input".to_string()),
    }
}

/// The shapes of both inputs, or what was expected.
pub fn two<'a>(x: &[&'a [usize]]) -> Result<[&'a [usize]; 2], String> {
    x.try_into().map_err(|_| "two inputs".to_string())
}

/// Length of the rows (the last axis) of a shape; 1 if it has no axes.
pub fn row_len(shape: &[usize]) -> usize {
    shape.last().copied().unwrap_or(1)
}

/// Number of elements of a shape that was accepted at recording.
pub fn elements(shape: &[usize]) -> usize {
    shape.iter().product()
}
