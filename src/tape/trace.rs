//! Replays that show every value and every adjoint at the moment when it is complete.

use super::Var;
use super::op::{Adjoints, Operands, Output, Point};
use super::program::Program;
use super::workspace::Workspace;
use crate::{Real, Result};

impl<R: Real> Program<R> {
    /// [`Self::forward`], with every operation's value shown to `see` as soon as it is there.
    pub(super) fn forward_seen(&self, params: &[R], ws: &mut Workspace<R>, mut see: impl FnMut(usize, &[R])) -> Result<()> {
        // Refuses what does not fit.
        self.forward(params, ws)?;
        for (index, node) in self.inner.nodes.iter().enumerate() {
            let Some(op) = &node.op else { continue };
            let (before, rest) = ws.values.split_at_mut(node.value.start);
            let x = Operands { nodes: &self.inner.nodes, inputs: &node.inputs, values: before, params, out: &node.shape };
            let y = &mut rest[..node.value.len()];
            op.forward(x, Output { y: &mut *y, kept: &mut ws.kept[node.kept.clone()], scratch: &mut ws.scratch });
            see(index, y);
        }
        Ok(())
    }

    /// [`Self::backward`], with every complete adjoint of an input or an operation shown to `see` before it is pulled back.
    pub(super) fn backward_seen(
        &self,
        params: &[R],
        ws: &mut Workspace<R>,
        seeds: &[(Var, &[R])],
        grad: &mut [R],
        mut see: impl FnMut(usize, &[R]),
    ) -> Result<()> {
        // Refuses what does not fit.
        self.backward(params, ws, seeds, &mut grad.to_vec())?;
        ws.touched.fill(false);
        for (index, node) in self.inner.nodes.iter().enumerate().rev() {
            if !node.needs_gradient || node.parameter.is_some() {
                continue;
            }
            let (before, rest) = ws.adjoints.split_at_mut(node.adjoint.start);
            let dy = &mut rest[..node.adjoint.len()];
            for (_, seed) in seeds.iter().filter(|(var, _)| var.index == index) {
                if std::mem::replace(&mut ws.touched[index], true) {
                    dy.iter_mut().zip(*seed).for_each(|(d, s)| *d += *s);
                } else {
                    dy.copy_from_slice(seed);
                }
            }
            if !ws.touched[index] {
                continue;
            }
            see(index, dy);
            let Some(op) = &node.op else { continue };
            let x = Operands { nodes: &self.inner.nodes, inputs: &node.inputs, values: &ws.values, params, out: &node.shape };
            let (y, kept) = (&ws.values[node.value.clone()], &ws.kept[node.kept.clone()]);
            let mut dx =
                Adjoints { nodes: &self.inner.nodes, inputs: &node.inputs, adjoints: before, grad: &mut *grad, touched: &mut ws.touched };
            op.vjp(x, Point { y, kept, dy, scratch: &mut ws.scratch }, &mut dx);
        }
        Ok(())
    }
}
