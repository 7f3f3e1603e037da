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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tape::{Activation, Recorder};

    /// y = silu(x w + b) of an input with gradient, z = y + y, and an untouched branch.
    struct Net {
        x: Var,
        y: Var,
        z: Var,
        unused: Var,
        fixed: Var,
        program: Program<f64>,
    }

    fn net() -> Net {
        let mut r = Recorder::<f64>::new();
        let x = r.input_with_gradient("x", &[2, 2]).unwrap();
        let fixed = r.input("fixed", &[2, 2]).unwrap();
        let unused = r.input_with_gradient("unused", &[3]).unwrap();
        r.exp(unused).unwrap();
        let w = r.parameter("w", &[2, 2]).unwrap();
        let b = r.parameter("b", &[2]).unwrap();
        let y = r.linear(x, w, b, Activation::Silu).unwrap();
        let z = r.add(y, y).unwrap();
        Net { x, y, z, unused, fixed, program: r.finish() }
    }

    const PARAMS: [f64; 6] = [0.5, -1.0, 2.0, 0.25, 0.1, -0.2];
    const X: [f64; 4] = [1.0, -2.0, 0.5, 3.0];

    #[test]
    fn several_seeds_are_pulled_back_over_one_forward_pass() {
        let Net { x, y, z, unused, program, .. } = net();
        let mut ws = program.workspace().unwrap();
        ws.input_mut(x).unwrap().copy_from_slice(&X);
        program.forward(&PARAMS, &mut ws).unwrap();
        let mut pull = |seeds: &[(Var, &[f64])]| {
            let mut grad = vec![0.0; 6];
            program.backward(&PARAMS, &mut ws, seeds, &mut grad).unwrap();
            assert_eq!(ws.adjoint(unused).unwrap(), [0.0; 3]);
            grad.extend_from_slice(ws.adjoint(x).unwrap());
            grad
        };
        let (one, two) = ([1.0, 0.0, 0.0, 0.0], [0.0, 0.0, 2.0, -1.0]);
        let (first, second) = (pull(&[(z, &one)]), pull(&[(y, &two)]));
        let sum: Vec<f64> = first.iter().zip(&second).map(|(a, b)| a + b).collect();
        let together = pull(&[(z, &one), (y, &two)]);
        assert!(together.iter().zip(&sum).all(|(a, b)| (a - b).abs() <= 1e-15 * (1.0 + b.abs())), "{together:?} {sum:?}");
        // Two seeds on one node add up; z = 2 y.
        assert_eq!(pull(&[(y, &one), (y, &one)]), first);
        // No seed: nothing.
        assert_eq!(pull(&[]), [0.0; 10]);
    }

    #[test]
    fn wrong_use_is_an_error_with_a_sentence() {
        let Net { x, y, fixed, program, .. } = net();
        let other = net();
        let mut ws = program.workspace().unwrap();
        let grad = &mut [0.0; 6];
        let errors = [
            (program.forward(&PARAMS[1..], &mut ws), "parameters: must be 6 numbers long, got 5"),
            (other.program.forward(&PARAMS, &mut ws), "another program"),
            (program.backward(&PARAMS, &mut ws, &[], &mut grad[1..]), "gradient: must be 6 numbers long, got 5"),
            (program.backward(&PARAMS, &mut ws, &[(other.y, &[0.0; 4])], grad), "another recorder"),
            (program.backward(&PARAMS, &mut ws, &[(y, &[0.0; 3])], grad), "shape [2, 2]: must be 4 numbers long, got 3"),
            (program.backward(&PARAMS, &mut ws, &[(fixed, &[0.0; 4])], grad), "node 1 (fixed)"),
            (ws.input_mut(y).map(|_| ()), "not an input"),
            (ws.adjoint(y).map(|_| ()), "not an input recorded with gradient"),
            (ws.adjoint(fixed).map(|_| ()), "not an input recorded with gradient"),
            (ws.value(other.x).map(|_| ()), "another recorder"),
            (ws.input_mut(x).map(|_| ()), ""),
        ];
        for (result, words) in errors {
            match result {
                Ok(()) => assert!(words.is_empty()),
                Err(e) => assert!(!words.is_empty() && e.to_string().contains(words), "{e}"),
            }
        }
    }

    #[test]
    fn names_and_sizes_are_checked_at_recording() {
        let mut r = Recorder::<f32>::new();
        let a = r.input("a", &[2, 3]).unwrap();
        let long = usize::MAX / 2;
        for (result, words) in [
            (r.parameter("a", &[2]), "the name is taken"),
            (r.input("b", &[1; 5]), "at most 4 axes"),
            (r.input("b", &[long, 4]), "fits into memory"),
            (r.matmul(a, a), "matmul, recorded at src/tape/program.rs:"),
        ] {
            let e = result.unwrap_err().to_string();
            assert!(e.contains(words), "{e}");
        }
        // Each fits, both do not: the sum overflows.
        let half = isize::MAX as usize / 8;
        let sizes: Vec<crate::Result<Var>> = (0..9).map(|i| r.input(&format!("c{i}"), &[half])).collect();
        assert!(sizes.iter().all(Result::is_ok));
        assert!(r.finish().workspace().is_err_and(|e| e.to_string().contains("MiB of memory")));
    }

    #[test]
    fn the_table_and_the_graph_show_every_node() {
        let Net { x, z, program, .. } = net();
        let mut ws = program.workspace().unwrap();
        ws.input_mut(x).unwrap().copy_from_slice(&[1.0, f64::NAN, 0.5, 3.0]);
        program.forward(&PARAMS, &mut ws).unwrap();
        program.backward(&PARAMS, &mut ws, &[(z, &[1.0; 4])], &mut [0.0; 6]).unwrap();
        let rows = program.rows(Some(&ws)).unwrap();
        let x = rows[0].value.unwrap();
        assert_eq!((x.min, x.mean, x.max, x.nan), (0.5, 1.5, 3.0, 1));
        let linear = &rows[6];
        // 2 x 2 numbers of 2 products and sums each, a bias, a SiLU with its derivative; x, w, b, y and what is kept.
        assert_eq!((linear.op.as_str(), linear.flops, linear.bytes), ("linear silu", 4 * (2 * 2 + 9), 8 * (4 + 4 + 2 + 4 + 4)));
        assert!(linear.adjoint.is_some() && rows[2].adjoint.is_none() && rows[4].value.is_none());
        let table = program.table(Some(&ws)).unwrap();
        assert!(table.contains("(1 NaN)") && table.contains("parameter w") && table.contains("6 parameters"), "{table}");
        assert_eq!(program.to_string().lines().count(), rows.len() + 2);
        let dot = program.dot();
        assert!(dot.contains("n0 -> n6;") && dot.matches("[shape=").count() == rows.len(), "{dot}");
    }
}
