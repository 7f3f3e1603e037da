//! Normalisation of channels: mean 0 and variance 1 per sample and group of channels, then a scale and a
//! shift per channel.

use crate::Real;
use crate::kernels::Activation;
use crate::kernels::moments::{Plan, backward, forward};
use crate::tape::op::{Adjoints, Op, Operands, Output, Point, Reads, elements};
use crate::tape::sample::{Checked, Refusal, Sample};
use crate::tape::{Recorder, Var};

impl<R: Real> Recorder<R> {
    /// activation(gamma (x - m)/sqrt(v + epsilon) + beta) in one pass, m and v the mean and variance of each
    /// sample's `groups` equal bands of channels: x `[n, .., c]`, gamma `[c]`, beta `[c]` -> `[n, .., c]`.
    ///
    /// # Errors
    /// If the shapes do not fit, `groups` do not divide c, `epsilon` is not positive and finite, or a
    /// variable is another recorder's.
    #[track_caller]
    pub fn group_norm(&mut self, x: Var, gamma: Var, beta: Var, groups: usize, epsilon: f64, activation: Activation) -> crate::Result<Var> {
        self.apply(Normalise { over: Over::Groups(groups), epsilon, activation }, &[x, gamma, beta])
    }

    /// The same with m and v those of each row: x `[.., c]`, gamma `[c]`, beta `[c]` -> `[.., c]`.
    ///
    /// # Errors
    /// If the shapes do not fit, `epsilon` is not positive and finite, or a variable is another recorder's.
    #[track_caller]
    pub fn layer_norm(&mut self, x: Var, gamma: Var, beta: Var, epsilon: f64, activation: Activation) -> crate::Result<Var> {
        self.apply(Normalise { over: Over::Rows, epsilon, activation }, &[x, gamma, beta])
    }
}

/// y = activation(gamma (x - m)/sqrt(v + epsilon) + beta), m and v a mean and a variance (divisor: the number
/// of elements), channels last, gamma and beta `[c]`. The backward pass gets m and 1/sqrt(v + epsilon) and
/// computes the rest again.
#[derive(Debug, Clone, Copy)]
pub struct Normalise {
    /// What m and v are taken over.
    pub over: Over,
    /// Keeps the division finite; > 0, unit of x squared.
    pub epsilon: f64,
    /// What follows in the same pass.
    pub activation: Activation,
}

/// Elements that share a mean and a variance.
#[derive(Debug, Clone, Copy)]
pub enum Over {
    /// Group normalisation (Wu and He, ECCV 2018), x `[n, .., c]`: of each sample the channels of a group at
    /// all places. c is a multiple of this number of groups; channels k c/groups..(k + 1) c/groups are group
    /// k.
    Groups(usize),
    /// Layer normalisation (Ba, Kiros, Hinton 2016), x `[.., c]`: the last axis.
    Rows,
}

impl Normalise {
    /// How an input of a shape that was accepted is cut.
    fn plan(self, x: &[usize]) -> Plan {
        let (rows, c) = (&x[..x.len() - 1], x[x.len() - 1]);
        match self.over {
            Over::Groups(groups) => Plan { samples: rows[0], places: elements(&rows[1..]), channels: c, groups },
            Over::Rows => Plan { samples: elements(rows), places: 1, channels: c, groups: 1 },
        }
    }
}

impl<R: Real> Op<R> for Normalise {
    fn name(&self) -> &'static str {
        match self.over {
            Over::Groups(_) => "group_norm",
            Over::Rows => "layer_norm",
        }
    }
    fn label(&self) -> String {
        let groups = if let Over::Groups(groups) = self.over { format!(" {groups}") } else { String::new() };
        format!("{}{groups}{}", Op::<R>::name(self), self.activation.suffix())
    }
    fn shape(&self, x: &[&[usize]]) -> Result<Vec<usize>, String> {
        if !(self.epsilon > 0.0 && self.epsilon.is_finite()) {
            return Err(format!("a finite epsilon > 0 (it is {})", self.epsilon));
        }
        match (self.over, x) {
            (Over::Rows, [x @ [.., c], [g], [b]]) if c == g && c == b => Ok(x.to_vec()),
            (Over::Rows, _) => Err("x [.., c], gamma [c], beta [c]".to_string()),
            (Over::Groups(groups), [x @ [_, .., c], [g], [b]]) if c == g && c == b => match c.checked_rem(groups) {
                Some(0) => Ok(x.to_vec()),
                _ => Err(format!("a number of channels that {groups} groups divide")),
            },
            (Over::Groups(_), _) => Err("x [n, .., c], gamma [c], beta [c]".to_string()),
        }
    }
    fn kept(&self, x: &[&[usize]]) -> usize {
        self.plan(x[0]).kept()
    }
    fn scratch(&self, x: &[&[usize]]) -> usize {
        self.plan(x[0]).scratch()
    }
    fn reads(&self) -> Reads {
        Reads::Inputs
    }
    /// An element: 1 for the mean, 3 for the variance, 4 to normalise, and the activation's.
    fn flops(&self, _x: &[&[usize]], y: &[usize]) -> u64 {
        let each = if self.activation == Activation::Identity { 8 } else { 12 };
        each * elements(y) as u64
    }
    fn forward(&self, x: Operands<'_, R>, out: Output<'_, R>) {
        let inputs = [x.value(0), x.value(1), x.value(2)];
        forward(self.plan(x.shape(0)), self.epsilon, self.activation, inputs, out.y, out.kept, out.scratch);
    }
    fn vjp(&self, x: Operands<'_, R>, at: Point<'_, R>, dx: &mut Adjoints<'_, R>) {
        let inputs = [x.value(0), x.value(1), x.value(2)];
        backward(self.plan(x.shape(0)), self.activation, inputs, at.kept, at.dy, dx, at.scratch);
    }
}

/// x, gamma and beta of a sample.
fn sample(x: &[usize]) -> Vec<Sample> {
    let c = &x[x.len() - 1..];
    vec![Sample::normal(x, 1), Sample::normal(c, 2), Sample::normal(c, 3)]
}

/// Large, so that it counts, and so that groups of two numbers are no step function.
const EPSILON: f64 = 0.5;

impl Checked for Normalise {
    fn samples() -> Vec<(Self, Vec<Sample>)> {
        // More than a leaf of rows, more than a block of lanes, rows without a partner, groups of one
        // element.
        let groups: [(usize, &[usize]); 9] = [
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
        let rows: [&[usize]; 8] = [&[3, 5], &[2, 3, 4], &[7], &[1, 1], &[2, 37], &[67, 3], &[0, 3], &[2, 0]];
        let mut all = vec![];
        for activation in Activation::ALL {
            let op = |over| Normalise { over, epsilon: EPSILON, activation };
            all.extend(groups.iter().map(|(groups, s)| (op(Over::Groups(*groups)), sample(s))));
            all.extend(rows.iter().map(|s| (op(Over::Rows), sample(s))));
            // Far from zero, and large.
            for (over, shape, centre) in [(Over::Groups(1), &[1, 4, 2][..], 800.0), (Over::Rows, &[5], -800.0)] {
                let mut x = sample(shape);
                x[0].values.iter_mut().for_each(|x| *x = centre + 100.0 * *x);
                all.push((op(over), x));
            }
        }
        all
    }
    fn refusals() -> Vec<Refusal<Self>> {
        let op = |over| Normalise { over, epsilon: EPSILON, activation: Activation::Silu };
        let (two, rows) = (op(Over::Groups(2)), op(Over::Rows));
        vec![
            (two, vec![vec![2, 3], vec![3], vec![3]], "2 groups divide"),
            (op(Over::Groups(0)), vec![vec![2, 3], vec![3], vec![3]], "0 groups divide"),
            (two, vec![vec![4], vec![4], vec![4]], "x [n, .., c]"),
            (two, vec![vec![2, 4], vec![2], vec![4]], "gamma [c]"),
            (two, vec![vec![2, 4], vec![4], vec![1]], "beta [c]"),
            (two, vec![vec![2, 4], vec![4]], "beta [c]"),
            (Normalise { epsilon: 0.0, ..two }, vec![vec![2, 4], vec![4], vec![4]], "a finite epsilon > 0"),
            (Normalise { epsilon: f64::NAN, ..two }, vec![vec![2, 4], vec![4], vec![4]], "a finite epsilon > 0"),
            (rows, vec![vec![], vec![1], vec![1]], "x [.., c]"),
            (rows, vec![vec![2, 4], vec![2], vec![4]], "gamma [c]"),
            (rows, vec![vec![2, 4], vec![4], vec![4, 1]], "beta [c]"),
            (rows, vec![vec![2, 4], vec![4]], "beta [c]"),
            (Normalise { epsilon: f64::INFINITY, ..rows }, vec![vec![2, 4], vec![4], vec![4]], "a finite epsilon > 0"),
        ]
    }
}
