//! The recorded program and its two replays.

use super::op::{Adjoints, Around, Op, Operands, Output, Point};
use super::plan::Memory;
use super::workspace::Workspace;
use super::{Parameter, Var};
use crate::{Error, Real, Result};
use std::ops::Range;
use std::panic::Location;
use std::sync::Arc;

/// One line of the program.
pub struct Node<R> {
    /// None for a leaf, and for a node that is computed as part of another.
    pub(super) op: Option<Box<dyn Op<R>>>,
    /// The node that computes this one on the way: it has no value of its own any more.
    pub(super) fused: Option<usize>,
    /// Whether its value outlives the replay: a result that nobody reads on the tape, or one that the caller
    /// asked to keep.
    pub(super) lasting: bool,
    pub(super) name: String,
    pub(super) inputs: Vec<usize>,
    pub(super) shape: Vec<usize>,
    /// Where the value lies in the workspace; empty for a parameter.
    pub(super) value: Range<usize>,
    /// Where the adjoint lies in the workspace; empty if nobody needs it, and for a parameter.
    pub(super) adjoint: Range<usize>,
    /// Where what the operation keeps lies in the workspace.
    pub(super) kept: Range<usize>,
    /// Where the value lies in the caller's parameters, for a parameter.
    pub(super) parameter: Option<Range<usize>>,
    /// Whether a parameter or an input with gradient is this node or lies behind it.
    pub(super) needs_gradient: bool,
    pub(super) location: &'static Location<'static>,
}

impl<R> Node<R> {
    /// Without a place in memory.
    pub(super) fn new(
        op: Option<Box<dyn Op<R>>>,
        name: String,
        inputs: Vec<usize>,
        shape: Vec<usize>,
        needs_gradient: bool,
        location: &'static Location<'static>,
    ) -> Self {
        let (value, adjoint, kept) = (0..0, 0..0, 0..0);
        let (fused, parameter, lasting) = (None, None, false);
        Node { op, fused, lasting, name, inputs, shape, value, adjoint, kept, parameter, needs_gradient, location }
    }
    /// Whether it is an input or a parameter.
    pub(super) fn is_leaf(&self) -> bool {
        self.op.is_none() && self.fused.is_none()
    }
}

pub(super) struct Inner<R> {
    pub(super) tape: u64,
    pub(super) nodes: Vec<Node<R>>,
    pub(super) parameters: Vec<Parameter>,
    pub(super) parameter_count: usize,
    pub(super) memory: Memory,
}

/// A finished recording. Immutable and shared: cloning copies a pointer, and any number of threads may replay
/// it, each with its own [`Workspace`].
pub struct Program<R> {
    pub(super) inner: Arc<Inner<R>>,
}

impl<R> Clone for Program<R> {
    fn clone(&self) -> Self {
        Program { inner: Arc::clone(&self.inner) }
    }
}

impl<R: Real> Program<R> {
    /// Names, shapes and places of the parameters in the flat vector that a replay takes.
    pub fn parameters(&self) -> &[Parameter] {
        &self.inner.parameters
    }

    /// Length of that vector.
    pub fn parameter_count(&self) -> usize {
        self.inner.parameter_count
    }

    /// Memory for one replay at a time, all zero.
    ///
    /// # Errors
    /// If the memory cannot be had.
    pub fn workspace(&self) -> Result<Workspace<R>> {
        Workspace::new(self)
    }

    /// How much memory a workspace has.
    pub fn memory(&self) -> Memory {
        self.inner.memory
    }

    /// Evaluates every node for the inputs now in `ws`. Allocates nothing.
    ///
    /// # Errors
    /// If `params` has not [`Self::parameter_count`] numbers, or `ws` is another program's.
    pub fn forward(&self, params: &[R], ws: &mut Workspace<R>) -> Result<()> {
        self.forward_seen(params, ws, |_, _| {})
    }

    /// [`Self::forward`], with every operation's value shown to `see` as soon as it is there.
    pub(super) fn forward_seen(&self, params: &[R], ws: &mut Workspace<R>, mut see: impl FnMut(usize, &[R])) -> Result<()> {
        self.own("forward", params, ws)?;
        ws.replayed = ws.noise;
        let noise = ws.replayed;
        for (index, node) in self.inner.nodes.iter().enumerate() {
            let Some(op) = &node.op else { continue };
            let (before, rest) = ws.values.split_at_mut(node.value.start);
            let (y, behind) = rest.split_at_mut(node.value.len());
            let values = Around { before, behind, resume: node.value.end };
            let x = Operands { nodes: &self.inner.nodes, inputs: &node.inputs, values, params, out: &node.shape, noise };
            op.forward(x, Output { y: &mut *y, kept: &mut ws.kept[node.kept.clone()], scratch: &mut ws.scratch });
            see(index, y);
        }
        Ok(())
    }

    /// Pulls adjoints back through the last forward pass: for L = sum over `seeds` of <seed, var>, adds
    /// dL/dparams to `grad` and leaves dL/dinput for the inputs recorded with gradient. May be called several
    /// times after one forward pass, with the same `params`. Nodes that no parameter and no such input
    /// reaches, or that no seed reaches, are skipped. Allocates nothing.
    ///
    /// # Errors
    /// If a length differs, `ws` is another program's, or a seed sits on a node that needs no gradient or was
    /// fused into another.
    pub fn backward(&self, params: &[R], ws: &mut Workspace<R>, seeds: &[(Var, &[R])], grad: &mut [R]) -> Result<()> {
        self.backward_seen(params, ws, seeds, grad, |_, _| {})
    }

    /// [`Self::backward`], with every complete adjoint of an input or an operation shown to `see` before it
    /// is pulled back.
    pub(super) fn backward_seen(
        &self,
        params: &[R],
        ws: &mut Workspace<R>,
        seeds: &[(Var, &[R])],
        grad: &mut [R],
        mut see: impl FnMut(usize, &[R]),
    ) -> Result<()> {
        self.own("backward", params, ws)?;
        if grad.len() != params.len() {
            return Err(Error::invalid("backward: gradient", format!("{} numbers long", params.len()), grad.len()));
        }
        for (var, seed) in seeds {
            self.seeded(*var, seed)?;
        }
        ws.touched.fill(false);
        for (index, node) in self.inner.nodes.iter().enumerate().rev() {
            if !node.needs_gradient || node.parameter.is_some() || node.fused.is_some() {
                continue;
            }
            let (before, rest) = ws.adjoints.split_at_mut(node.adjoint.start);
            let (dy, behind) = rest.split_at_mut(node.adjoint.len());
            for (_, seed) in seeds.iter().filter(|(var, _)| var.index == index) {
                if std::mem::replace(&mut ws.touched[index], true) {
                    dy.iter_mut().zip(*seed).for_each(|(d, s)| *d += *s);
                } else {
                    dy.copy_from_slice(seed);
                }
            }
            if !ws.touched[index] {
                // Only an input's adjoint is ever read after the sweep.
                if node.op.is_none() {
                    dy.fill(R::zero());
                }
                continue;
            }
            see(index, dy);
            let Some(op) = &node.op else { continue };
            let values = Around { before: &ws.values, behind: &[], resume: 0 };
            let noise = ws.replayed;
            let x = Operands { nodes: &self.inner.nodes, inputs: &node.inputs, values, params, out: &node.shape, noise };
            let (y, kept) = (&ws.values[node.value.clone()], &ws.kept[node.kept.clone()]);
            let mut dx = Adjoints {
                nodes: &self.inner.nodes,
                inputs: &node.inputs,
                before,
                behind,
                resume: node.adjoint.end,
                grad: &mut *grad,
                touched: &mut ws.touched,
            };
            op.vjp(x, Point { y, kept, dy, scratch: &mut ws.scratch }, &mut dx);
        }
        Ok(())
    }

    /// Whether a seed of this length may sit on `var`.
    fn seeded(&self, var: Var, seed: &[R]) -> Result<()> {
        let index = self.index("backward: seed", var)?;
        let node = &self.inner.nodes[index];
        let name = || format!("node {index} ({})", node.name);
        if node.parameter.is_some() || !node.needs_gradient {
            let rule = "must sit on a result that depends on a parameter or on an input with gradient";
            return Err(Error::refused("backward: seed", format!("{rule}, got {}", name())));
        }
        if let Some(into) = node.fused {
            return Err(fused("backward: seed", &name(), into));
        }
        let expected = node.adjoint.len();
        if seed.len() != expected {
            let place = format!("backward: seed of {}, shape {:?}", name(), node.shape);
            return Err(Error::invalid(place, format!("{expected} numbers long"), seed.len()));
        }
        Ok(())
    }

    fn own(&self, doing: &str, params: &[R], ws: &Workspace<R>) -> Result<()> {
        if params.len() != self.inner.parameter_count {
            return Err(Error::invalid(
                format!("{doing}: parameters"),
                format!("{} numbers long", self.inner.parameter_count),
                params.len(),
            ));
        }
        if !Arc::ptr_eq(&self.inner, &ws.program) {
            return Err(Error::refused(format!("{doing}: workspace"), "belongs to another program"));
        }
        Ok(())
    }

    fn index(&self, doing: &str, var: Var) -> Result<usize> {
        self.inner.index(doing, var)
    }
}

impl<R> Inner<R> {
    /// The node of a variable of this tape.
    pub(super) fn index(&self, doing: &str, var: Var) -> Result<usize> {
        if var.tape != self.tape || var.index >= self.nodes.len() {
            return Err(Error::refused(doing, "the variable belongs to another recorder"));
        }
        Ok(var.index)
    }
}

/// The error of touching a node that has no value of its own.
pub(super) fn fused(place: &str, name: &str, into: usize) -> Error {
    Error::refused(place, format!("{name} is computed as part of node {into}; to have it by itself, call Recorder::keep at recording"))
}

#[cfg(test)]
#[path = "tests.rs"]
mod tests;
