//! Normalisation of channels: mean 0 and variance 1 per sample and group of channels, then a scale and a shift per channel.

use super::linear::Activation;
use crate::Real;
use crate::simd::dispatch;
use crate::tape::moments::{Backward, ColumnSums, Forward, Plan};
use crate::tape::op::{Adjoints, Checked, Op, Operands, Output, Point, Reads, Sample, elements};
use crate::tape::{Recorder, Var};

impl<R: Real> Recorder<R> {
    /// activation(gamma (x - m)/sqrt(v + epsilon) + beta) in one pass, m and v the mean and variance of each sample's `groups` equal
    /// bands of channels: x `[n, .., c]`, gamma `[c]`, beta `[c]` -> `[n, .., c]`.
    ///
    /// # Errors
    /// If the shapes do not fit, `groups` do not divide c, `epsilon` is not positive and finite, or a variable is another recorder's.
    #[track_caller]
    pub fn group_norm(&mut self, x: Var, gamma: Var, beta: Var, groups: usize, epsilon: f64, activation: Activation) -> crate::Result<Var> {
        self.apply(GroupNorm { groups, epsilon, activation }, &[x, gamma, beta])
    }

    /// The same with m and v those of each row: x `[.., c]`, gamma `[c]`, beta `[c]` -> `[.., c]`.
    ///
    /// # Errors
    /// If the shapes do not fit, `epsilon` is not positive and finite, or a variable is another recorder's.
    #[track_caller]
    pub fn layer_norm(&mut self, x: Var, gamma: Var, beta: Var, epsilon: f64, activation: Activation) -> crate::Result<Var> {
        self.apply(LayerNorm { epsilon, activation }, &[x, gamma, beta])
    }
}

/// Group normalisation (Wu and He, ECCV 2018): y = activation(gamma (x - m)/sqrt(v + epsilon) + beta), with m and v the mean and
/// the variance (divisor: the number of elements) of the channels of one group at all places of one sample. x `[n, .., c]`, channels
/// last, gamma and beta `[c]`, c a multiple of `groups`. The backward pass gets m and 1/sqrt(v + epsilon) and computes the rest again.
#[derive(Debug, Clone, Copy)]
pub struct GroupNorm {
    /// Number of groups; channels k c/groups..(k + 1) c/groups are group k.
    pub groups: usize,
    /// Keeps the division finite; > 0, unit of x squared.
    pub epsilon: f64,
    /// What follows in the same pass.
    pub activation: Activation,
}

/// Layer normalisation (Ba, Kiros, Hinton 2016): the same over the last axis alone, x `[.., c]`, gamma and beta `[c]`.
#[derive(Debug, Clone, Copy)]
pub struct LayerNorm {
    /// Keeps the division finite; > 0, unit of x squared.
    pub epsilon: f64,
    /// What follows in the same pass.
    pub activation: Activation,
}

/// A normalisation: how it cuts its input, and the rest follows.
trait Normalisation: Copy {
    /// For x of a shape that was accepted.
    fn plan(self, x: &[usize]) -> Plan;
    fn epsilon(self) -> f64;
    fn activation(self) -> Activation;
}

impl Normalisation for GroupNorm {
    fn plan(self, x: &[usize]) -> Plan {
        let (n, c) = (x[0], x[x.len() - 1]);
        Plan { samples: n, places: elements(&x[1..x.len() - 1]), channels: c, groups: self.groups }
    }
    fn epsilon(self) -> f64 {
        self.epsilon
    }
    fn activation(self) -> Activation {
        self.activation
    }
}

impl Normalisation for LayerNorm {
    fn plan(self, x: &[usize]) -> Plan {
        let c = x[x.len() - 1];
        Plan { samples: elements(&x[..x.len() - 1]), places: 1, channels: c, groups: 1 }
    }
    fn epsilon(self) -> f64 {
        self.epsilon
    }
    fn activation(self) -> Activation {
        self.activation
    }
}

/// Refuses an epsilon that does not keep the division finite.
fn positive(epsilon: f64) -> Result<(), String> {
    if epsilon > 0.0 && epsilon.is_finite() { Ok(()) } else { Err(format!("a finite epsilon > 0 (it is {epsilon})")) }
}

/// An operation's name with its activation.
fn label(name: &str, activation: Activation) -> String {
    match activation {
        Activation::Identity => name.to_string(),
        Activation::Silu => format!("{name} silu"),
        Activation::Tanh => format!("{name} tanh"),
    }
}

/// Operations per element: 1 for the mean, 3 for the variance, 4 to normalise, and the activation's.
fn flops(activation: Activation, y: &[usize]) -> u64 {
    let each = if activation == Activation::Identity { 8 } else { 12 };
    each * elements(y) as u64
}

fn forward<R: Real>(norm: impl Normalisation, x: Operands<'_, R>, out: Output<'_, R>) {
    dispatch(Forward {
        plan: norm.plan(x.shape(0)),
        epsilon: R::of(norm.epsilon()),
        activation: norm.activation(),
        x: x.value(0),
        gamma: x.value(1),
        beta: x.value(2),
        y: out.y,
        kept: out.kept,
        scratch: out.scratch,
    });
}

fn vjp<R: Real>(norm: impl Normalisation, x: Operands<'_, R>, at: Point<'_, R>, dx: &mut Adjoints<'_, R>) {
    let plan = norm.plan(x.shape(0));
    let (sums, scratch) = at.scratch.split_at_mut(plan.samples * 2 * plan.channels);
    dispatch(Backward {
        plan,
        activation: norm.activation(),
        x: x.value(0),
        gamma: x.value(1),
        beta: x.value(2),
        kept: at.kept,
        dy: at.dy,
        dx: dx.slot(0),
        sums: &mut *sums,
        scratch: &mut *scratch,
    });
    // Each sample's share of dbeta and dgamma, side by side: add up the samples.
    let c = plan.channels;
    let total = &mut scratch[..2 * c];
    dispatch(ColumnSums { rows: sums, total: &mut *total });
    for (k, total) in [(2, &total[..c]), (1, &total[c..])] {
        if let Some(d) = dx.add_to(k) {
            d.iter_mut().zip(total).for_each(|(d, t)| *d += *t);
        }
    }
}

impl<R: Real> Op<R> for GroupNorm {
    fn name(&self) -> &'static str {
        "group_norm"
    }
    fn label(&self) -> String {
        label(&format!("group_norm {}", self.groups), self.activation)
    }
    fn shape(&self, x: &[&[usize]]) -> Result<Vec<usize>, String> {
        positive(self.epsilon)?;
        match x {
            [x @ [_, .., c], [g], [b]] if c == g && c == b => match c.checked_rem(self.groups) {
                Some(0) => Ok(x.to_vec()),
                _ => Err(format!("a number of channels that {} groups divide", self.groups)),
            },
            _ => Err("x [n, .., c], gamma [c], beta [c]".to_string()),
        }
    }
    fn kept(&self, x: &[&[usize]]) -> usize {
        self.plan(x[0]).kept()
    }
    fn scratch(&self, x: &[&[usize]]) -> usize {
        self.plan(x[0]).scratch()
    }
    fn with_activation(&self, activation: Activation) -> Option<Box<dyn Op<R>>> {
        (self.activation == Activation::Identity).then(|| Box::new(GroupNorm { activation, ..*self }) as Box<dyn Op<R>>)
    }
    fn reads(&self) -> Reads {
        Reads::Inputs
    }
    fn flops(&self, _x: &[&[usize]], y: &[usize]) -> u64 {
        flops(self.activation, y)
    }
    fn forward(&self, x: Operands<'_, R>, out: Output<'_, R>) {
        forward(*self, x, out);
    }
    fn vjp(&self, x: Operands<'_, R>, at: Point<'_, R>, dx: &mut Adjoints<'_, R>) {
        vjp(*self, x, at, dx);
    }
}

impl<R: Real> Op<R> for LayerNorm {
    fn name(&self) -> &'static str {
        "layer_norm"
    }
    fn label(&self) -> String {
        label("layer_norm", self.activation)
    }
    fn shape(&self, x: &[&[usize]]) -> Result<Vec<usize>, String> {
        positive(self.epsilon)?;
        match x {
            [x @ [.., c], [g], [b]] if c == g && c == b => Ok(x.to_vec()),
            _ => Err("x [.., c], gamma [c], beta [c]".to_string()),
        }
    }
    fn kept(&self, x: &[&[usize]]) -> usize {
        self.plan(x[0]).kept()
    }
    fn scratch(&self, x: &[&[usize]]) -> usize {
        self.plan(x[0]).scratch()
    }
    fn with_activation(&self, activation: Activation) -> Option<Box<dyn Op<R>>> {
        (self.activation == Activation::Identity).then(|| Box::new(LayerNorm { activation, ..*self }) as Box<dyn Op<R>>)
    }
    fn reads(&self) -> Reads {
        Reads::Inputs
    }
    fn flops(&self, _x: &[&[usize]], y: &[usize]) -> u64 {
        flops(self.activation, y)
    }
    fn forward(&self, x: Operands<'_, R>, out: Output<'_, R>) {
        forward(*self, x, out);
    }
    fn vjp(&self, x: Operands<'_, R>, at: Point<'_, R>, dx: &mut Adjoints<'_, R>) {
        vjp(*self, x, at, dx);
    }
}

/// x, gamma and beta of a sample.
fn sample(x: &[usize]) -> Vec<Sample> {
    let c = &x[x.len() - 1..];
    vec![Sample::normal(x, 1), Sample::normal(c, 2), Sample::normal(c, 3)]
}

/// Large, so that it counts, and so that groups of two numbers are no step function.
const EPSILON: f64 = 0.5;

impl Checked for GroupNorm {
    fn samples() -> Vec<(Self, Vec<Sample>)> {
        // More than a leaf of rows, more than a block of lanes, rows without a partner, groups of one element.
        let shapes: [(usize, &[usize]); 9] = [
            (2, &[2, 3, 5, 4]),
            (1, &[1, 11, 7, 3]),
            (5, &[2, 3, 1, 20]),
            (3, &[3, 6]),
            (2, &[2, 1, 34]),
            (2, &[1, 1, 1, 2]),
            (2, &[0, 3, 2]),
            (2, &[2, 0, 3, 2]),
            (1, &[2, 3, 0]),
        ];
        let mut all = vec![];
        for activation in [Activation::Identity, Activation::Silu, Activation::Tanh] {
            let op = |groups| GroupNorm { groups, epsilon: EPSILON, activation };
            all.extend(shapes.iter().map(|(groups, s)| (op(*groups), sample(s))));
            // Far from zero, and large.
            let mut x = sample(&[1, 4, 2]);
            x[0].values.iter_mut().for_each(|x| *x = 800.0 + 100.0 * *x);
            all.push((op(1), x));
        }
        all
    }
    fn refusals() -> Vec<(Self, Vec<Vec<usize>>, &'static str)> {
        let op = GroupNorm { groups: 2, epsilon: EPSILON, activation: Activation::Silu };
        vec![
            (op, vec![vec![2, 3], vec![3], vec![3]], "2 groups divide"),
            (GroupNorm { groups: 0, ..op }, vec![vec![2, 3], vec![3], vec![3]], "0 groups divide"),
            (op, vec![vec![4], vec![4], vec![4]], "x [n, .., c]"),
            (op, vec![vec![2, 4], vec![2], vec![4]], "gamma [c]"),
            (op, vec![vec![2, 4], vec![4], vec![1]], "beta [c]"),
            (op, vec![vec![2, 4], vec![4]], "beta [c]"),
            (GroupNorm { epsilon: 0.0, ..op }, vec![vec![2, 4], vec![4], vec![4]], "a finite epsilon > 0"),
            (GroupNorm { epsilon: f64::NAN, ..op }, vec![vec![2, 4], vec![4], vec![4]], "a finite epsilon > 0"),
        ]
    }
}

impl Checked for LayerNorm {
    fn samples() -> Vec<(Self, Vec<Sample>)> {
        let shapes: [&[usize]; 8] = [&[3, 5], &[2, 3, 4], &[7], &[1, 1], &[2, 37], &[67, 3], &[0, 3], &[2, 0]];
        let mut all = vec![];
        for activation in [Activation::Identity, Activation::Silu, Activation::Tanh] {
            let op = LayerNorm { epsilon: EPSILON, activation };
            all.extend(shapes.iter().map(|s| (op, sample(s))));
            let mut x = sample(&[5]);
            x[0].values.iter_mut().for_each(|x| *x = -800.0 + 100.0 * *x);
            all.push((op, x));
        }
        all
    }
    fn refusals() -> Vec<(Self, Vec<Vec<usize>>, &'static str)> {
        let op = LayerNorm { epsilon: EPSILON, activation: Activation::Identity };
        vec![
            (op, vec![vec![], vec![1], vec![1]], "x [.., c]"),
            (op, vec![vec![2, 4], vec![2], vec![4]], "gamma [c]"),
            (op, vec![vec![2, 4], vec![4], vec![4, 1]], "beta [c]"),
            (op, vec![vec![2, 4], vec![4]], "beta [c]"),
            (LayerNorm { epsilon: f64::INFINITY, ..op }, vec![vec![2, 4], vec![4], vec![4]], "a finite epsilon > 0"),
        ]
    }
}
