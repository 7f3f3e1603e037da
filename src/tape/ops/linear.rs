//! A layer in one pass: matrix product, bias, activation and its derivative.

use crate::Real;
use crate::kernels::Activation;
use crate::kernels::linear::{Sizes, backward, forward, scratch};
use crate::tape::op::{Adjoints, Op, Operands, Output, Point, Reads};
use crate::tape::recorder::methods;
use crate::tape::sample::{Checked, Refusal, Sample};

methods! {
    /// activation(x w + b) in one pass: x `[n, i]`, w `[i, o]`, b `[o]` -> `[n, o]`.
    linear(x, w, b; activation: Activation) = Linear { activation };
}

/// y = activation(x w + b): x `[n, i]`, w `[i, o]`, b `[o]`, y `[n, o]`. The forward pass keeps the
/// derivative of the activation, so that the backward pass is dz = dy y'(z) and db = sum over rows of dz in
/// one pass, then dx = dz w^T, dw = x^T dz.
#[derive(Clone, Copy)]
pub struct Linear {
    /// The activation.
    pub activation: Activation,
}

impl<R: Real> Op<R> for Linear {
    fn name(&self) -> &'static str {
        "linear"
    }
    fn label(&self) -> String {
        format!("linear{}", self.activation.suffix())
    }
    fn shape(&self, x: &[&[usize]]) -> Result<Vec<usize>, String> {
        match x {
            [[n, i], [wi, o], [bo]] if i == wi && o == bo => Ok(vec![*n, *o]),
            _ => Err("x [n, i], w [i, o], b [o]".to_string()),
        }
    }
    fn kept(&self, x: &[&[usize]]) -> usize {
        match (self.activation, x) {
            (Activation::Identity, _) => 0,
            (_, [[n, _], [_, o], _]) => n.saturating_mul(*o),
            _ => 0,
        }
    }
    fn scratch(&self, x: &[&[usize]]) -> usize {
        sizes(x[0], x[1]).map_or(0, scratch::<R>)
    }
    fn reads(&self) -> Reads {
        Reads::Inputs
    }
    fn flops(&self, x: &[&[usize]], y: &[usize]) -> u64 {
        let elements = y.iter().product::<usize>() as u64;
        // The bias, then sigmoid or tanh with its derivative.
        let each = if self.activation == Activation::Identity { 1 } else { 9 };
        elements * (2 * x[0][1] as u64 + each)
    }
    fn forward(&self, x: Operands<'_, R>, out: Output<'_, R>) {
        let Some(sizes) = sizes(x.shape(0), x.shape(1)) else { return };
        forward(sizes, self.activation, [x.value(0), x.value(1), x.value(2)], out.y, out.kept, out.scratch);
    }
    fn vjp(&self, x: Operands<'_, R>, at: Point<'_, R>, dx: &mut Adjoints<'_, R>) {
        let Some(sizes) = sizes(x.shape(0), x.shape(1)) else { return };
        backward(sizes, [x.value(0), x.value(1)], at.kept, at.dy, dx, at.scratch);
    }
}

/// Of shapes that were accepted.
fn sizes(x: &[usize], w: &[usize]) -> Option<Sizes> {
    match (x, w) {
        (&[n, i], &[_, o]) => Some(Sizes { n, i, o }),
        _ => None,
    }
}

impl Checked for Linear {
    fn samples() -> Vec<(Self, Vec<Sample>)> {
        let mut all = vec![];
        for activation in Activation::ALL {
            for (n, i, o) in [(3, 5, 2), (1, 1, 1), (7, 2, 17), (300, 1, 3), (2, 3, 67), (0, 3, 2), (2, 0, 3)] {
                all.push((Linear { activation }, vec![Sample::normal(&[n, i], 1), Sample::normal(&[i, o], 2), Sample::normal(&[o], 3)]));
            }
            // z up to +-800, but no derivative so steep that the check's difference quotient could not
            // follow.
            let x = Sample::of(&[3, 1], &[8.0, -8.0, 1.0]);
            let w = Sample::of(&[1, 3], &[100.0, -3.0, 0.1]);
            all.push((Linear { activation }, vec![x, w, Sample::normal(&[3], 3)]));
        }
        all
    }
    fn refusals() -> Vec<Refusal<Self>> {
        let op = Linear { activation: Activation::Silu };
        vec![
            (op, vec![vec![2, 3], vec![4, 5], vec![5]], "w [i, o]"),
            (op, vec![vec![2, 3], vec![3, 5], vec![4]], "b [o]"),
            (op, vec![vec![2], vec![3, 5], vec![5]], "x [n, i]"),
            (op, vec![vec![2, 3], vec![3, 5]], "x [n, i]"),
        ]
    }
}
