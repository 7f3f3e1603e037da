//! A layer in one pass: matrix product, bias, activation and its derivative.

use crate::Real;
use crate::kernels::activation::Activation;
use crate::kernels::gemm::{Matrix, gemm, multiply, pack, packed_len, scratch};
use crate::kernels::linear::{BACK, add_rows, linear_rows, pull_back};
use crate::tape::op::{Adjoints, Checked, Op, Operands, Output, Point, Reads, Sample};
use crate::tape::recorder::methods;

methods! {
    /// activation(x w + b) in one pass: x `[n, i]`, w `[i, o]`, b `[o]` -> `[n, o]`.
    linear(x, w, b; activation: Activation) = Linear { activation };
}

/// y = activation(x w + b): x `[n, i]`, w `[i, o]`, b `[o]`, y `[n, o]`. The forward pass keeps the derivative of the activation, so that
/// the backward pass is dz = dy y'(z) and db = sum over rows of dz in one pass, then dx = dz w^T, dw = x^T dz.
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
        let [[n, i], [_, o], _] = x else { return 0 };
        let sums = (n.div_ceil(BACK) + 1).saturating_mul(*o);
        let backward = sums.saturating_add(packed_len::<R>(*o, *i)).saturating_add(scratch::<R>(true, BACK.min(*n), *o));
        packed_len::<R>(*i, *o).max(backward)
    }
    fn reads(&self) -> Reads {
        Reads::Inputs
    }
    fn with_activation(&self, activation: Activation) -> Option<Box<dyn Op<R>>> {
        (self.activation == Activation::Identity).then(|| Box::new(Linear { activation }) as Box<dyn Op<R>>)
    }
    fn flops(&self, x: &[&[usize]], y: &[usize]) -> u64 {
        let elements = y.iter().product::<usize>() as u64;
        // The bias, then sigmoid or tanh with its derivative.
        let each = if self.activation == Activation::Identity { 1 } else { 9 };
        elements * (2 * x[0][1] as u64 + each)
    }
    fn forward(&self, x: Operands<'_, R>, out: Output<'_, R>) {
        let (i, o) = (x.shape(1)[0], x.shape(1)[1]);
        let w = pack(Matrix::new(x.value(1), i, o), &mut out.scratch[..packed_len::<R>(i, o)]);
        linear_rows(self.activation, x.value(0), w, i, x.value(2), out.y, out.kept);
    }
    fn vjp(&self, x: Operands<'_, R>, at: Point<'_, R>, dx: &mut Adjoints<'_, R>) {
        let (n, i, o) = (x.shape(0)[0], x.shape(1)[0], x.shape(1)[1]);
        let (sums, rest) = at.scratch.split_at_mut(n.div_ceil(BACK) * o);
        let (total, rest) = rest.split_at_mut(o);
        let (panels, tmp) = rest.split_at_mut(packed_len::<R>(o, i));
        let wt = pack(Matrix::new(x.value(1), i, o).t(), panels);
        // Whether the adjoints of x and w have to be overwritten: the first band is told.
        let (mut fresh_x, mut fresh_w) = (false, false);
        for (band, from) in (0..n).step_by(BACK).enumerate() {
            let rows = BACK.min(n - from);
            let dz = &mut at.dy[from * o..][..rows * o];
            if o > 0 {
                let kept = if at.kept.is_empty() { at.kept } else { &at.kept[from * o..][..rows * o] };
                pull_back(dz, kept, &mut sums[band * o..][..o]);
            }
            // dw before dx: if x and w are one variable the fresh one is overwritten as a whole.
            if let Some((dw, fresh)) = dx.slot(1) {
                fresh_w |= fresh;
                let x = Matrix::new(&x.value(0)[from * i..][..rows * i], rows, i);
                gemm(x.t(), Matrix::new(dz, rows, o), dw, band > 0 || !fresh_w, tmp);
            }
            if let Some((dx, fresh)) = dx.slot(0) {
                fresh_x |= fresh;
                multiply(dz, wt, &mut dx[from * i..][..rows * i], !fresh_x);
            }
        }
        if n == 0 {
            // No rows: zeros, if nobody has written them.
            dx.add_to(1);
        }
        if o > 0
            && let Some(db) = dx.add_to(2)
        {
            add_rows(sums, total, db);
        }
    }
}

impl Checked for Linear {
    fn samples() -> Vec<(Self, Vec<Sample>)> {
        let mut all = vec![];
        for activation in Activation::ALL {
            for (n, i, o) in [(3, 5, 2), (1, 1, 1), (7, 2, 17), (300, 1, 3), (2, 3, 67), (0, 3, 2), (2, 0, 3)] {
                all.push((Linear { activation }, vec![Sample::normal(&[n, i], 1), Sample::normal(&[i, o], 2), Sample::normal(&[o], 3)]));
            }
            // z up to +-800, but no derivative so steep that the check's difference quotient could not follow.
            let x = Sample { shape: vec![3, 1], values: vec![8.0, -8.0, 1.0] };
            let w = Sample { shape: vec![1, 3], values: vec![100.0, -3.0, 0.1] };
            all.push((Linear { activation }, vec![x, w, Sample::normal(&[3], 3)]));
        }
        all
    }
    fn refusals() -> Vec<(Self, Vec<Vec<usize>>, &'static str)> {
        let op = Linear { activation: Activation::Silu };
        vec![
            (op, vec![vec![2, 3], vec![4, 5], vec![5]], "w [i, o]"),
            (op, vec![vec![2, 3], vec![3, 5], vec![4]], "b [o]"),
            (op, vec![vec![2], vec![3, 5], vec![5]], "x [n, i]"),
            (op, vec![vec![2, 3], vec![3, 5]], "x [n, i]"),
        ]
    }
}
