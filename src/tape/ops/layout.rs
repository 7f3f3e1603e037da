//! Moving numbers: side by side, and out of the first axis.

use crate::Real;
use crate::tape::op::{Adjoints, Checked, Op, Operands, Output, Point, Reads, Sample, elements};

/// The inputs side by side on the last axis.
#[derive(Clone, Copy)]
pub struct Concat;

/// Size of the last axis.
fn width(shape: &[usize]) -> usize {
    shape.last().copied().unwrap_or(1)
}

impl<R: Real> Op<R> for Concat {
    fn name(&self) -> &'static str {
        "concat"
    }
    fn shape(&self, x: &[&[usize]]) -> Result<Vec<usize>, String> {
        let Some(first) = x.first().filter(|x| !x.is_empty()) else { return Err("inputs with at least one axis".to_string()) };
        let leading = &first[..first.len() - 1];
        if x.iter().any(|s| s.len() != first.len() || &s[..leading.len()] != leading) {
            return Err("shapes equal but for the last axis".to_string());
        }
        let total = x.iter().try_fold(0usize, |n, s| n.checked_add(width(s))).ok_or("a last axis that fits into memory")?;
        Ok([leading, &[total]].concat())
    }
    fn reads(&self) -> Reads {
        Reads::Nothing
    }
    fn flops(&self, _x: &[&[usize]], _y: &[usize]) -> u64 {
        0
    }
    fn forward(&self, x: Operands<'_, R>, out: Output<'_, R>) {
        let total = width(x.out_shape());
        let mut start = 0;
        for k in 0..x.count() {
            let w = width(x.shape(k));
            for (y, x) in out.y.chunks_exact_mut(total.max(1)).zip(x.value(k).chunks_exact(w.max(1))) {
                y[start..start + w].copy_from_slice(&x[..w]);
            }
            start += w;
        }
    }
    fn vjp(&self, x: Operands<'_, R>, at: Point<'_, R>, dx: &mut Adjoints<'_, R>) {
        let total = width(x.out_shape());
        let mut start = 0;
        for k in 0..x.count() {
            let w = width(x.shape(k));
            if let Some(dx) = dx.add_to(k) {
                for (dy, dx) in at.dy.chunks_exact(total.max(1)).zip(dx.chunks_exact_mut(w.max(1))) {
                    dx.iter_mut().zip(&dy[start..start + w]).for_each(|(dx, dy)| *dx += *dy);
                }
            }
            start += w;
        }
    }
}

impl Checked for Concat {
    fn samples() -> Vec<(Self, Vec<Sample>)> {
        let sets: [&[&[usize]]; 5] =
            [&[&[3, 2], &[3, 5], &[3, 1]], &[&[4], &[1]], &[&[2, 3, 1], &[2, 3, 2]], &[&[0, 2], &[0, 3]], &[&[3, 0], &[3, 2]]];
        let mut all: Vec<_> =
            sets.iter().map(|set| (Concat, set.iter().zip(0..).map(|(s, salt)| Sample::normal(s, salt)).collect())).collect();
        all.push((Concat, vec![Sample::points(&[800.0, -800.0]), Sample::points(&[1e-3])]));
        all
    }
    fn refusals() -> Vec<(Self, Vec<Vec<usize>>, &'static str)> {
        vec![
            (Concat, vec![vec![2, 3], vec![3, 3]], "but for the last axis"),
            (Concat, vec![vec![2, 3], vec![3]], "but for the last axis"),
            (Concat, vec![vec![]], "at least one axis"),
            (Concat, vec![], "at least one axis"),
        ]
    }
}

/// Entries start..end of the first axis.
#[derive(Clone, Copy)]
pub struct Rows {
    /// The first entry.
    pub start: usize,
    /// One past the last.
    pub end: usize,
}

impl<R: Real> Op<R> for Rows {
    fn name(&self) -> &'static str {
        "rows"
    }
    fn label(&self) -> String {
        format!("rows {}..{}", self.start, self.end)
    }
    fn shape(&self, x: &[&[usize]]) -> Result<Vec<usize>, String> {
        let [x] = x else { return Err("one input".to_string()) };
        match x {
            [n, rest @ ..] if self.start <= self.end && self.end <= *n => Ok([&[self.end - self.start], rest].concat()),
            _ => Err(format!("a first axis that holds {}..{}", self.start, self.end)),
        }
    }
    fn reads(&self) -> Reads {
        Reads::Nothing
    }
    fn flops(&self, _x: &[&[usize]], _y: &[usize]) -> u64 {
        0
    }
    fn forward(&self, x: Operands<'_, R>, out: Output<'_, R>) {
        let row = elements(&x.shape(0)[1..]);
        out.y.copy_from_slice(&x.value(0)[self.start * row..self.end * row]);
    }
    fn vjp(&self, x: Operands<'_, R>, at: Point<'_, R>, dx: &mut Adjoints<'_, R>) {
        let row = elements(&x.shape(0)[1..]);
        if let Some(dx) = dx.add_to(0) {
            dx[self.start * row..self.end * row].iter_mut().zip(at.dy.iter()).for_each(|(dx, dy)| *dx += *dy);
        }
    }
}

impl Checked for Rows {
    fn samples() -> Vec<(Self, Vec<Sample>)> {
        vec![
            (Rows { start: 1, end: 3 }, vec![Sample::normal(&[5, 3], 0)]),
            (Rows { start: 0, end: 1 }, vec![Sample::normal(&[1, 2, 3], 0)]),
            (Rows { start: 2, end: 2 }, vec![Sample::normal(&[3, 2], 0)]),
            (Rows { start: 0, end: 1 }, vec![Sample::normal(&[2, 0], 0)]),
            (Rows { start: 1, end: 3 }, vec![Sample::points(&[1.0, -800.0, 800.0])]),
        ]
    }
    fn refusals() -> Vec<(Self, Vec<Vec<usize>>, &'static str)> {
        vec![
            (Rows { start: 1, end: 4 }, vec![vec![3, 2]], "holds 1..4"),
            (Rows { start: 2, end: 1 }, vec![vec![3]], "holds 2..1"),
            (Rows { start: 0, end: 0 }, vec![vec![]], "a first axis"),
            (Rows { start: 0, end: 0 }, vec![], "one input"),
        ]
    }
}
