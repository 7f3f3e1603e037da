//! Recording: leaves and operations, one method each.

use super::fuse::fuse;
use super::op::{MAX_RANK, Op, Reads};
use super::plan::{Memory, plan};
use super::program::{Inner, Node, Program};
use super::{Parameter, Var};
use crate::{Error, Real, Result};
use std::ops::Range;
use std::panic::Location;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

/// Records a program once: leaves by name, operations by method. Every error names the operation, the shapes
/// and the place in the caller's source.
pub struct Recorder<R> {
    pub(super) inner: Inner<R>,
}

impl<R: Real> Default for Recorder<R> {
    fn default() -> Self {
        Self::new()
    }
}

/// Methods that record one operation each; in the file of the operation.
macro_rules! methods {
    ($($(#[$doc:meta])* $name:ident($($x:ident),+ $(; $a:ident: $t:ty)?) = $op:expr;)*) => {
        impl<R: $crate::Real> $crate::tape::Recorder<R> {
            $($(#[$doc])*
            ///
            /// # Errors
            /// If the shapes do not fit, or a variable is another recorder's.
            #[track_caller]
            pub fn $name(&mut self, $($x: $crate::tape::Var),+ $(, $a: $t)?) -> $crate::Result<$crate::tape::Var> {
                self.apply($op, &[$($x),+])
            })*
        }
    };
}
pub(super) use methods;

impl<R: Real> Recorder<R> {
    /// An empty recording.
    pub fn new() -> Self {
        static NEXT: AtomicU64 = AtomicU64::new(0);
        let tape = NEXT.fetch_add(1, Ordering::Relaxed);
        let inner = Inner { tape, nodes: vec![], parameters: vec![], parameter_count: 0, memory: Memory::default() };
        Recorder { inner }
    }

    /// A tensor that is filled before every forward pass. Its adjoint is not computed.
    ///
    /// # Errors
    /// If the name is taken or the shape has more than four axes or too many elements.
    #[track_caller]
    pub fn input(&mut self, name: &str, shape: &[usize]) -> Result<Var> {
        self.leaf(name, shape, false, false)
    }

    /// An input whose adjoint every backward pass computes.
    ///
    /// # Errors
    /// As [`Self::input`].
    #[track_caller]
    pub fn input_with_gradient(&mut self, name: &str, shape: &[usize]) -> Result<Var> {
        self.leaf(name, shape, false, true)
    }

    /// A tensor that lies in the flat vector of parameters, behind those recorded before it.
    ///
    /// # Errors
    /// As [`Self::input`].
    #[track_caller]
    pub fn parameter(&mut self, name: &str, shape: &[usize]) -> Result<Var> {
        self.leaf(name, shape, true, true)
    }

    #[track_caller]
    fn leaf(&mut self, name: &str, shape: &[usize], parameter: bool, needs_gradient: bool) -> Result<Var> {
        let location = Location::caller();
        let place = || format!("{name}, recorded at {}:{}", location.file(), location.line());
        if self.inner.nodes.iter().any(|n| n.op.is_none() && n.name == name) {
            return Err(Error::refused(place(), "the name is taken"));
        }
        let n = count::<R>(shape).map_err(|expected| Error::shape(place(), expected, &[shape]))?;
        let parameter = if parameter {
            let at = take(&mut self.inner.parameter_count, n).map_err(|e| Error::shape(place(), e, &[shape]))?;
            self.inner.parameters.push(Parameter { name: name.to_string(), shape: shape.to_vec(), offset: at.start });
            Some(at)
        } else {
            None
        };
        let node = Node::new(None, name.to_string(), vec![], shape.to_vec(), needs_gradient, location);
        let node = Node { lasting: true, parameter, ..node };
        self.push(node, n, 0).map_err(|e| Error::shape(place(), e, &[shape]))
    }

    /// Records any operation: what all the methods below call.
    ///
    /// # Errors
    /// If the shapes do not fit, or a variable is another recorder's.
    #[track_caller]
    pub fn apply<O: Op<R>>(&mut self, op: O, inputs: &[Var]) -> Result<Var> {
        self.apply_boxed(Box::new(op), inputs)
    }

    #[track_caller]
    pub(crate) fn apply_boxed(&mut self, op: Box<dyn Op<R>>, inputs: &[Var]) -> Result<Var> {
        let location = Location::caller();
        let place = format!("{}, recorded at {}:{}", op.name(), location.file(), location.line());
        let inputs = inputs.iter().map(|v| self.inner.index(&place, *v)).collect::<Result<Vec<usize>>>()?;
        let shapes: Vec<&[usize]> = inputs.iter().map(|i| self.inner.nodes[*i].shape.as_slice()).collect();
        let refuse = |expected: String| Error::shape(place.clone(), expected, &shapes);
        let shape = op.shape(&shapes).map_err(refuse)?;
        let n = count::<R>(&shape).map_err(refuse)?;
        let kept = op.kept(&shapes);
        let needs_gradient = inputs.iter().any(|i| self.inner.nodes[*i].needs_gradient);
        let name = op.label();
        let node = Node::new(Some(op), name, inputs, shape, needs_gradient, location);
        self.push(node, n, kept).map_err(|e| Error::shape(place, e, &[]))
    }

    fn push(&mut self, node: Node<R>, n: usize, kept: usize) -> std::result::Result<Var, String> {
        let own = if node.parameter.is_some() { 0 } else { n };
        let adjoint = if node.needs_gradient { own } else { 0 };
        let total =
            [own, adjoint, kept].iter().try_fold(self.inner.memory.unshared, |sum, n| sum.checked_add(n.checked_next_multiple_of(64)?));
        self.inner.memory.unshared = total.ok_or("a program that fits into memory")?;
        self.inner.nodes.push(node);
        Ok(Var { tape: self.inner.tape, index: self.inner.nodes.len() - 1 })
    }

    /// Lets an intermediate keep its value after a replay, so that it can be [read](super::Workspace::value),
    /// and be by itself: it is not fused into another operation.
    ///
    /// # Errors
    /// If it is another recorder's.
    pub fn keep(&mut self, var: Var) -> Result<()> {
        let index = self.inner.index("keep", var)?;
        self.inner.nodes[index].lasting = true;
        Ok(())
    }

    /// The shape of a variable.
    ///
    /// # Errors
    /// If it is another recorder's.
    pub fn shape(&self, var: Var) -> Result<&[usize]> {
        Ok(&self.inner.nodes[self.inner.index("shape", var)?].shape)
    }

    /// Ends the recording: fuses operations and gives every buffer its place. What nothing on the tape reads
    /// is a result.
    pub fn finish(mut self) -> Program<R> {
        self.mark_results();
        self.inner.memory.unshared = self.plan(false);
        fuse(&mut self.inner.nodes);
        self.plan(true);
        Program { inner: Arc::new(self.inner) }
    }

    /// Ends the recording of what is only evaluated: as [`Self::finish`], with memory for the values that are
    /// still to be read and no others, and without a backward pass.
    pub fn finish_forward(mut self) -> Program<R> {
        self.inner.nodes.iter_mut().for_each(|node| node.needs_gradient = false);
        self.finish()
    }

    /// Ends the recording without fusion and with a buffer for every node: every value can be read after a
    /// replay. To look at a program node by node, and to test what [`Self::finish`] makes of it.
    pub fn finish_plain(mut self) -> Program<R> {
        self.inner.nodes.iter_mut().for_each(|node| node.lasting = true);
        self.inner.memory.unshared = self.plan(false);
        Program { inner: Arc::new(self.inner) }
    }

    fn mark_results(&mut self) {
        let mut read = vec![false; self.inner.nodes.len()];
        self.inner.nodes.iter().flat_map(|node| &node.inputs).for_each(|i| read[*i] = true);
        for (node, read) in self.inner.nodes.iter_mut().zip(read) {
            node.lasting |= !read;
        }
    }

    /// Places all buffers; returns how many numbers they take in all.
    fn plan(&mut self, shared: bool) -> usize {
        let Inner { nodes, memory, .. } = &mut self.inner;
        let (mut reads, mut kept, mut scratch) = (vec![], vec![], 0);
        for node in nodes.iter() {
            let shapes: Vec<&[usize]> = node.inputs.iter().map(|i| nodes[*i].shape.as_slice()).collect();
            reads.push(node.op.as_ref().map_or(Reads::Nothing, |op| op.reads()));
            kept.push(node.op.as_ref().map_or(0, |op| op.kept(&shapes)));
            scratch = scratch.max(node.op.as_ref().map_or(0, |op| op.scratch(&shapes)));
        }
        plan(nodes, &reads, scratch, &kept, shared, memory);
        memory.total()
    }
}

/// Elements of a shape, or the rule that it breaks.
fn count<R: Real>(shape: &[usize]) -> std::result::Result<usize, String> {
    if shape.len() > MAX_RANK {
        return Err(format!("at most {MAX_RANK} axes"));
    }
    let n = shape.iter().try_fold(1usize, |n, s| n.checked_mul(*s));
    n.filter(|n| *n <= isize::MAX as usize / R::BYTES).ok_or_else(|| "a tensor that fits into memory".to_string())
}

/// Takes `n` numbers from the end of a buffer that is `len` long so far.
fn take(len: &mut usize, n: usize) -> std::result::Result<Range<usize>, String> {
    let end = len.checked_add(n).ok_or_else(|| "a program that fits into memory".to_string())?;
    Ok(std::mem::replace(len, end)..end)
}
