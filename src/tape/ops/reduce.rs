//! Sums, means and scalar products of rows.

use crate::Real;
use crate::simd::{Kernel, dispatch};
use crate::tape::op::{Adjoints, Checked, Op, Operands, Output, Point, Reads, Sample, elements};
use crate::tape::sums::{sum, sum_of};

/// Sum or mean, over all elements (the result has no axes) or over the last axis (which disappears).
#[derive(Clone, Copy)]
pub struct Reduce {
    /// Mean instead of sum.
    pub mean: bool,
    /// Over the last axis only.
    pub last: bool,
}

impl Reduce {
    /// Terms of one sum.
    fn terms(self, shape: &[usize]) -> usize {
        if self.last { shape.last().copied().unwrap_or(1) } else { elements(shape) }
    }
}

impl<R: Real> Op<R> for Reduce {
    fn name(&self) -> &'static str {
        match (self.mean, self.last) {
            (false, false) => "sum",
            (true, false) => "mean",
            (false, true) => "sum_last",
            (true, true) => "mean_last",
        }
    }
    fn shape(&self, x: &[&[usize]]) -> Result<Vec<usize>, String> {
        let [x] = x else { return Err("one input".to_string()) };
        if self.last && x.is_empty() {
            return Err("at least one axis".to_string());
        }
        if self.mean && self.terms(x) == 0 {
            return Err("at least one element to average".to_string());
        }
        Ok(if self.last { x[..x.len() - 1].to_vec() } else { vec![] })
    }
    fn reads(&self) -> Reads {
        Reads::Nothing
    }
    fn flops(&self, x: &[&[usize]], y: &[usize]) -> u64 {
        (elements(x[0]) + if self.mean { elements(y) } else { 0 }) as u64
    }
    fn forward(&self, x: Operands<'_, R>, out: Output<'_, R>) {
        let n = self.terms(x.shape(0));
        if self.last {
            dispatch(RowSums { n, y: &mut *out.y, term: Term::One(x.value(0)) });
        } else {
            out.y[0] = sum(x.value(0));
        }
        if self.mean {
            out.y.iter_mut().for_each(|y| *y /= R::of(n as f64));
        }
    }
    fn vjp(&self, x: Operands<'_, R>, at: Point<'_, R>, dx: &mut Adjoints<'_, R>) {
        let n = self.terms(x.shape(0));
        let Some((dx, fresh)) = dx.slot(0) else { return };
        for (dx, dy) in dx.chunks_exact_mut(n.max(1)).zip(at.dy.iter()) {
            let term = if self.mean { *dy / R::of(n as f64) } else { *dy };
            if fresh {
                dx.fill(term);
            } else {
                dx.iter_mut().for_each(|dx| *dx += term);
            }
        }
    }
}

impl Checked for Reduce {
    fn samples() -> Vec<(Self, Vec<Sample>)> {
        let shapes: [&[usize]; 6] = [&[3, 5], &[4, 1], &[1, 3], &[2, 3, 2], &[130], &[0, 3]];
        let mut all = vec![];
        for op in (0..4).map(|i| Reduce { mean: i & 1 > 0, last: i & 2 > 0 }) {
            all.extend(shapes.iter().filter(|s| !op.mean || op.terms(s) > 0).map(|s| (op, vec![Sample::normal(s, 0)])));
            all.push((op, vec![Sample::points(&[-800.0, 1e-3, 800.0])]));
        }
        all.push((Reduce { mean: false, last: true }, vec![Sample::normal(&[3, 0], 0)]));
        all.push((Reduce { mean: true, last: false }, vec![Sample::normal(&[], 0)]));
        all
    }
    fn refusals() -> Vec<(Self, Vec<Vec<usize>>, &'static str)> {
        vec![
            (Reduce { mean: true, last: false }, vec![vec![0, 2]], "at least one element"),
            (Reduce { mean: true, last: true }, vec![vec![2, 0]], "at least one element"),
            (Reduce { mean: false, last: true }, vec![vec![]], "at least one axis"),
            (Reduce { mean: false, last: false }, vec![], "one input"),
        ]
    }
}

/// What a row's sum runs over.
enum Term<'a, R> {
    One(&'a [R]),
    Product(&'a [R], &'a [R]),
}

/// y_i = sum_j term(i n + j), j < n.
struct RowSums<'a, R> {
    n: usize,
    y: &'a mut [R],
    term: Term<'a, R>,
}

impl<R: Real> Kernel for RowSums<'_, R> {
    const VECTORS: bool = R::VECTORS;
    type Output = ();
    #[inline(always)]
    fn run<const FMA: bool>(self) {
        let n = self.n;
        for (i, y) in self.y.iter_mut().enumerate() {
            let at = i * n..(i + 1) * n;
            *y = match self.term {
                Term::One(x) => {
                    let x = &x[at];
                    sum_of(n, |j| x[j])
                }
                Term::Product(a, b) => {
                    let (a, b) = (&a[at.clone()], &b[at]);
                    sum_of(n, |j| a[j] * b[j])
                }
            };
        }
    }
}

/// y_i = sum_j a_ij b_ij.
#[derive(Clone, Copy)]
pub struct RowDot;

impl<R: Real> Op<R> for RowDot {
    fn name(&self) -> &'static str {
        "row_dot"
    }
    fn shape(&self, x: &[&[usize]]) -> Result<Vec<usize>, String> {
        match x {
            [a, b] if a == b && !a.is_empty() => Ok(a[..a.len() - 1].to_vec()),
            [_, _] => Err("equal shapes with at least one axis".to_string()),
            _ => Err("two inputs".to_string()),
        }
    }
    fn reads(&self) -> Reads {
        Reads::Inputs
    }
    fn flops(&self, x: &[&[usize]], _y: &[usize]) -> u64 {
        2 * elements(x[0]) as u64
    }
    fn forward(&self, x: Operands<'_, R>, out: Output<'_, R>) {
        let n = x.shape(0).last().copied().unwrap_or(1);
        dispatch(RowSums { n, y: out.y, term: Term::Product(x.value(0), x.value(1)) });
    }
    fn vjp(&self, x: Operands<'_, R>, at: Point<'_, R>, dx: &mut Adjoints<'_, R>) {
        let n = x.shape(0).last().copied().unwrap_or(1).max(1);
        for k in 0..2 {
            let Some(dx) = dx.add_to(k) else { continue };
            let rows = dx.chunks_exact_mut(n).zip(x.value(1 - k).chunks_exact(n)).zip(at.dy.iter());
            for ((dx, other), dy) in rows {
                dx.iter_mut().zip(other).for_each(|(dx, x)| *dx += *dy * *x);
            }
        }
    }
}

impl Checked for RowDot {
    fn samples() -> Vec<(Self, Vec<Sample>)> {
        let shapes: [&[usize]; 6] = [&[3, 5], &[4, 1], &[1, 35], &[2, 3, 2], &[0, 3], &[3, 0]];
        let mut all: Vec<_> = shapes.iter().map(|s| (RowDot, vec![Sample::normal(s, 1), Sample::normal(s, 2)])).collect();
        all.push((RowDot, vec![Sample::points(&[-800.0, 800.0, 3.0]), Sample::points(&[1.0, 800.0, 1e-3])]));
        all
    }
    fn refusals() -> Vec<(Self, Vec<Vec<usize>>, &'static str)> {
        vec![
            (RowDot, vec![vec![2, 3], vec![2, 2]], "equal shapes"),
            (RowDot, vec![vec![], vec![]], "at least one axis"),
            (RowDot, vec![vec![2]], "two inputs"),
        ]
    }
}
