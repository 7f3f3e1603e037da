//! The memory of one replay.

use super::Var;
use super::noise::Noise;
use super::program::{Inner, Program, fused};
use crate::kernels::memory::Buffer;
use crate::{Error, Real, Result};
use std::sync::Arc;

/// The values, adjoints and kept intermediates of one replay of one [`Program`], and its working memory.
pub struct Workspace<R> {
    pub(super) program: Arc<Inner<R>>,
    pub(super) values: Buffer<R>,
    pub(super) adjoints: Buffer<R>,
    pub(super) kept: Buffer<R>,
    pub(super) scratch: Buffer<R>,
    /// Which nodes' adjoints the backward sweep has written to.
    pub(super) touched: Vec<bool>,
    /// Of the next forward pass, and of the last one.
    pub(super) noise: Option<Noise>,
    pub(super) replayed: Option<Noise>,
}

impl<R: Real> Workspace<R> {
    pub(super) fn new(program: &Program<R>) -> Result<Self> {
        let p = &program.inner;
        Ok(Workspace {
            values: Buffer::zeros(p.memory.values)?,
            adjoints: Buffer::zeros(p.memory.adjoints)?,
            kept: Buffer::zeros(p.memory.kept)?,
            scratch: Buffer::zeros(p.memory.scratch)?,
            touched: vec![false; p.nodes.len()],
            noise: None,
            replayed: None,
            program: Arc::clone(p),
        })
    }

    /// The elements of an input, row-major, to be filled before a forward pass.
    ///
    /// # Errors
    /// If `var` is not an input of this program.
    pub fn input_mut(&mut self, var: Var) -> Result<&mut [R]> {
        let index = self.program.index("input", var)?;
        let node = &self.program.nodes[index];
        if !node.is_leaf() || node.parameter.is_some() {
            return Err(Error::refused("input", format!("node {index} ({}) is not an input", node.name)));
        }
        Ok(&mut self.values[node.value.clone()])
    }

    /// The elements, row-major, of an input or a result after the last forward pass. Results are those that
    /// nothing on the tape reads, and those that [`Recorder::keep`](super::Recorder::keep) named: others'
    /// memory has been given to later ones.
    ///
    /// # Errors
    /// If `var` is another program's, an intermediate that was not kept, or a parameter: those lie in the
    /// caller's vector.
    pub fn value(&self, var: Var) -> Result<&[R]> {
        let index = self.program.index("value", var)?;
        let node = &self.program.nodes[index];
        if node.parameter.is_some() {
            return Err(Error::refused("value", format!("{} is a parameter: its value lies in the caller's vector", node.name)));
        }
        if let Some(into) = node.fused {
            return Err(fused("value", &format!("node {index} ({})", node.name), into));
        }
        if node.op.is_some() && !node.lasting {
            let why = "is an intermediate, whose memory is used again; to read it, call Recorder::keep at recording";
            return Err(Error::refused("value", format!("node {index} ({}) {why}", node.name)));
        }
        Ok(&self.values[node.value.clone()])
    }

    /// The adjoint of an input that was recorded with gradient, after the last backward pass.
    ///
    /// # Errors
    /// If `var` is anything else: an inner node's adjoint does not outlive the sweep, a parameter's goes to
    /// the gradient vector.
    pub fn adjoint(&self, var: Var) -> Result<&[R]> {
        let index = self.program.index("adjoint", var)?;
        let node = &self.program.nodes[index];
        if !node.is_leaf() || node.parameter.is_some() || !node.needs_gradient {
            return Err(Error::refused("adjoint", format!("node {index} ({}) is not an input recorded with gradient", node.name)));
        }
        Ok(&self.adjoints[node.adjoint.clone()])
    }

    /// Overwrites everything that a replay must not read before it has written it by NaN.
    pub(crate) fn poison(&mut self) {
        for node in &self.program.nodes {
            if node.op.is_some() {
                self.values[node.value.clone()].fill(R::nan());
            }
        }
        self.adjoints.fill(R::nan());
        self.kept.fill(R::nan());
        self.scratch.fill(R::nan());
    }

    /// Overwrites the values that no vector-Jacobian product says it [reads](super::Op::reads) by NaN.
    pub(crate) fn poison_unread(&mut self) {
        let nodes = &self.program.nodes;
        let mut read = vec![false; nodes.len()];
        for (index, node) in nodes.iter().enumerate() {
            let Some(op) = &node.op else { continue };
            read[index] |= op.reads().result();
            if op.reads().inputs() {
                node.inputs.iter().for_each(|i| read[*i] = true);
            }
        }
        for (node, _) in nodes.iter().zip(read).filter(|(_, read)| !read) {
            self.values[node.value.clone()].fill(R::nan());
        }
    }
}
