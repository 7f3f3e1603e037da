//! Outer products of rows.

use crate::Real;
use crate::kernels::rows::{outer, outer_left, outer_right};
use crate::tape::op::{Adjoints, Op, Operands, Output, Point, Reads, elements, row_len, two};
use crate::tape::recorder::methods;
use crate::tape::sample::{Checked, Refusal, Sample};

methods! {
    /// Products a_i b_j of every row (last axis) of a with that of b: `[.., m]`, `[.., n]` -> `[.., m, n]`.
    outer(a, b) = Outer;
}

/// y_ij = a_i b_j for every row of a `[.., m]` and the same row of b `[.., n]`: y `[.., m, n]`.
#[derive(Clone, Copy)]
pub struct Outer;

impl<R: Real> Op<R> for Outer {
    fn name(&self) -> &'static str {
        "outer"
    }
    fn shape(&self, x: &[&[usize]]) -> Result<Vec<usize>, String> {
        match two(x)? {
            [[a @ .., m], [b @ .., n]] if a == b => Ok([a, &[*m, *n]].concat()),
            _ => Err("shapes with at least one axis, equal but for the last".to_string()),
        }
    }
    fn reads(&self) -> Reads {
        Reads::Inputs
    }
    fn flops(&self, _x: &[&[usize]], y: &[usize]) -> u64 {
        elements(y) as u64
    }
    fn forward(&self, x: Operands<'_, R>, out: Output<'_, R>) {
        outer([0, 1].map(|k| row_len(x.shape(k))), x.value(0), x.value(1), out.y);
    }
    fn vjp(&self, x: Operands<'_, R>, at: Point<'_, R>, dx: &mut Adjoints<'_, R>) {
        let sizes = [0, 1].map(|k| row_len(x.shape(k)));
        if let Some(da) = dx.add_to(0) {
            outer_left(sizes, x.value(1), at.dy, da);
        }
        if let Some(db) = dx.add_to(1) {
            outer_right(sizes, x.value(0), at.dy, db);
        }
    }
}

impl Checked for Outer {
    fn samples() -> Vec<(Self, Vec<Sample>)> {
        let cases: [(&[usize], &[usize]); 8] = [
            (&[3, 5], &[3, 2]),
            (&[3], &[1]),
            (&[1, 1], &[1, 19]),
            (&[2, 3, 2], &[2, 3, 3]),
            (&[1, 70], &[1, 3]),
            (&[0, 3], &[0, 2]),
            (&[2, 0], &[2, 3]),
            (&[2, 3], &[2, 0]),
        ];
        let mut all: Vec<_> = cases.iter().map(|(a, b)| (Outer, vec![Sample::normal(a, 1), Sample::normal(b, 2)])).collect();
        all.push((Outer, vec![Sample::points(&[-800.0, 800.0, 3.0]), Sample::points(&[1.0, 800.0])]));
        all
    }
    fn refusals() -> Vec<Refusal<Self>> {
        vec![
            (Outer, vec![vec![2, 3], vec![3, 3]], "equal but for the last"),
            (Outer, vec![vec![2, 3], vec![3]], "equal but for the last"),
            (Outer, vec![vec![], vec![]], "at least one axis"),
            (Outer, vec![vec![1, 1, 1, 2], vec![1, 1, 1, 2]], "at most 4 axes"),
            (Outer, vec![vec![2]], "two inputs"),
        ]
    }
}
