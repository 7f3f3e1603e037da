//! The recorded program and its two replays.

use super::op::{Adjoints, Op, Operands, Output, Point};
use super::workspace::Workspace;
use super::{Parameter, Var};
use crate::{Error, Real, Result};
use std::ops::Range;
use std::panic::Location;
use std::sync::Arc;

/// One line of the program.
pub struct Node<R> {
    /// None for a leaf.
    pub(super) op: Option<Box<dyn Op<R>>>,
    pub(super) name: String,
    pub(super) inputs: Vec<usize>,
    pub(super) shape: Vec<usize>,
    /// Where the value lies in the workspace; empty for a parameter.
    pub(super) value: Range<usize>,
    /// Where the adjoint lies in the workspace; empty if nobody needs it, and for a parameter.
    pub(super) adjoint: Range<usize>,
    pub(super) kept: Range<usize>,
    /// Where the value lies in the caller's parameters, for a parameter.
    pub(super) parameter: Option<Range<usize>>,
    /// Whether a parameter or an input with gradient is this node or lies behind it.
    pub(super) needs_gradient: bool,
    pub(super) location: &'static Location<'static>,
}

pub(super) struct Inner<R> {
    pub(super) tape: u64,
    pub(super) nodes: Vec<Node<R>>,
    pub(super) parameters: Vec<Parameter>,
    pub(super) parameter_count: usize,
    pub(super) values: usize,
    pub(super) adjoints: usize,
    pub(super) kept: usize,
    pub(super) scratch: usize,
}

/// A finished recording. Immutable and shared: cloning copies a pointer, and any number of threads may replay it, each with
/// its own [`Workspace`].
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

    /// Evaluates every node for the inputs now in `ws`. Allocates nothing.
    ///
    /// # Errors
    /// If `params` has not [`Self::parameter_count`] numbers, or `ws` is another program's.
    pub fn forward(&self, params: &[R], ws: &mut Workspace<R>) -> Result<()> {
        self.own("forward", params, ws)?;
        for node in &self.inner.nodes {
            let Some(op) = &node.op else { continue };
            let (before, rest) = ws.values.split_at_mut(node.value.start);
            let x = Operands { nodes: &self.inner.nodes, inputs: &node.inputs, values: before, params, out: &node.shape };
            let y = &mut rest[..node.value.len()];
            op.forward(x, Output { y, kept: &mut ws.kept[node.kept.clone()], scratch: &mut ws.scratch });
        }
        Ok(())
    }

    /// Pulls adjoints back through the last forward pass: for L = sum over `seeds` of <seed, var>, adds dL/dparams to `grad`
    /// and leaves dL/dinput for the inputs recorded with gradient. May be called several times after one forward pass, with
    /// the same `params`. Nodes that no parameter and no such input reaches, or that no seed reaches, are skipped. Allocates
    /// nothing.
    ///
    /// # Errors
    /// If a length differs, `ws` is another program's, or a seed sits on a node that needs no gradient.
    pub fn backward(&self, params: &[R], ws: &mut Workspace<R>, seeds: &[(Var, &[R])], grad: &mut [R]) -> Result<()> {
        self.own("backward", params, ws)?;
        if grad.len() != params.len() {
            return Err(Error::invalid("backward: gradient", format!("{} numbers long", params.len()), grad.len()));
        }
        ws.touched.fill(false);
        for (var, seed) in seeds {
            let index = self.index("backward: seed", *var)?;
            let node = &self.inner.nodes[index];
            if node.parameter.is_some() || !node.needs_gradient {
                return Err(Error::refused(
                    "backward: seed",
                    format!(
                        "must sit on a result that depends on a parameter or on an input with gradient, got node {index} ({})",
                        node.name
                    ),
                ));
            }
            let dy = &mut ws.adjoints[node.adjoint.clone()];
            if seed.len() != dy.len() {
                return Err(Error::invalid(
                    format!("backward: seed of node {index} ({}), shape {:?}", node.name, node.shape),
                    format!("{} numbers long", dy.len()),
                    seed.len(),
                ));
            }
            if std::mem::replace(&mut ws.touched[index], true) {
                dy.iter_mut().zip(*seed).for_each(|(d, s)| *d += *s);
            } else {
                dy.copy_from_slice(seed);
            }
        }
        for (index, node) in self.inner.nodes.iter().enumerate().rev() {
            if !node.needs_gradient || node.parameter.is_some() {
                continue;
            }
            if !ws.touched[index] {
                // Only an input's adjoint is ever read after the sweep.
                if node.op.is_none() {
                    ws.adjoints[node.adjoint.clone()].fill(R::zero());
                }
                continue;
            }
            let Some(op) = &node.op else { continue };
            let (before, rest) = ws.adjoints.split_at_mut(node.adjoint.start);
            let x = Operands { nodes: &self.inner.nodes, inputs: &node.inputs, values: &ws.values, params, out: &node.shape };
            let at = Point {
                y: &ws.values[node.value.clone()],
                kept: &ws.kept[node.kept.clone()],
                dy: &mut rest[..node.adjoint.len()],
                scratch: &mut ws.scratch,
            };
            let mut dx =
                Adjoints { nodes: &self.inner.nodes, inputs: &node.inputs, adjoints: before, grad: &mut *grad, touched: &mut ws.touched };
            op.vjp(x, at, &mut dx);
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
