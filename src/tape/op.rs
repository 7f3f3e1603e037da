//! What an operation is: its shape rule, its value and its vector-Jacobian product.

use super::noise::Noise;
use super::program::Node;
use crate::Real;
use crate::kernels::Gradients;
pub use crate::kernels::Reads;
pub use crate::kernels::permute::MAX_RANK;
use std::any::Any;
use std::ops::Range;

/// An operation with its attributes, such as the constant of a scaling.
///
/// To add one, write the struct, this trait and [`Checked`](super::Checked) in one place and add its name to
/// the list in `ops/mod.rs`: [`Registered`] is implemented by that list alone, so an operation that is not on
/// it does not compile, and the check walks the list. A row of the [printed table](super) is asked for by a
/// test.
pub trait Op<R: Real>: Registered + Any + Send + Sync {
    /// The name in tables and error messages.
    fn name(&self) -> &'static str;
    /// The name with the attributes, for tables.
    fn label(&self) -> String {
        self.name().to_string()
    }
    /// The shape of the result, or what was expected of the inputs' shapes. Runs once, at recording: a replay
    /// checks nothing.
    fn shape(&self, x: &[&[usize]]) -> Result<Vec<usize>, String>;
    /// How many numbers the forward pass keeps for the backward pass besides inputs and result.
    fn kept(&self, _x: &[&[usize]]) -> usize {
        0
    }
    /// How many numbers of working memory one call needs; their content does not outlive the call.
    fn scratch(&self, _x: &[&[usize]]) -> usize {
        0
    }
    /// Which values of the forward pass the vector-Jacobian product reads: the others' memory may hold
    /// something else by then.
    fn reads(&self) -> Reads {
        Reads::All
    }
    /// This operation and the one that computes its input `at`, whose result nothing else reads, as one
    /// operation, if there is such a one. Its inputs are this one's, with the producer's in the place of that
    /// input. An operation knows another one by its type: see [`Any`].
    fn fuse(&self, _at: usize, _producer: &dyn Op<R>) -> Option<Box<dyn Op<R>>> {
        None
    }
    /// Operations of one forward call: an addition, a product, a division, an elementary function count one
    /// each.
    fn flops(&self, x: &[&[usize]], y: &[usize]) -> u64;
    /// Computes the result. Must write every element of `out.y` and `out.kept`, whatever they hold.
    fn forward(&self, x: Operands<'_, R>, out: Output<'_, R>);
    /// Adds to the adjoint of every wanted input: dx_k += (dy/dx_k)^T dy.
    fn vjp(&self, x: Operands<'_, R>, at: Point<'_, R>, dx: &mut Adjoints<'_, R>);
}

/// Marks the operations on a registry's list; see [`Op`].
pub trait Registered {}

/// The inputs of a node.
#[derive(Clone, Copy)]
pub struct Operands<'a, R: Real> {
    pub(super) nodes: &'a [Node<R>],
    pub(super) inputs: &'a [usize],
    pub(super) values: Around<'a, R>,
    pub(super) params: &'a [R],
    pub(super) out: &'a [usize],
    pub(super) noise: Option<Noise>,
}

/// The memory of the values, but for the place that is being written to: what lies before it and what lies
/// behind.
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
    /// The noise of this replay: in the backward pass, that of the forward pass.
    pub fn noise(&self) -> Option<Noise> {
        self.noise
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
        Gradients::add_to(self, k)
    }
    /// As [`Self::add_to`], but if the flag is set the content is stale and has to be overwritten: saves a
    /// pass.
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

impl<R: Real> Gradients<R> for Adjoints<'_, R> {
    fn slot(&mut self, k: usize) -> Option<(&mut [R], bool)> {
        self.slot(k)
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
