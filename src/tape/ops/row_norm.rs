//! Euclidean norms of rows.

use crate::Real;
use crate::kernels::sums::sum_of;
use crate::simd::{Kernel, dispatch};
use crate::tape::op::{Adjoints, Checked, Op, Operands, Output, Point, Reads, Sample, elements, one, row_len};
use crate::tape::recorder::methods;

methods! {
    /// Euclidean norm of every row (last axis): `[.., m]` -> `[..]`. Its gradient at a zero row is 0.
    row_norm(x) = RowNorm;
}

/// y = sqrt(sum_j x_j^2) over the last axis, which disappears. dy/dx_j = x_j/y; where y = 0, the subgradient 0.
///
/// No square over- or underflows where the norm itself does not: rows whose sum of squares leaves the safe range are scaled
/// by their largest element.
#[derive(Clone, Copy)]
pub struct RowNorm;

impl<R: Real> Op<R> for RowNorm {
    fn name(&self) -> &'static str {
        "row_norm"
    }
    fn shape(&self, x: &[&[usize]]) -> Result<Vec<usize>, String> {
        match one(x)? {
            [rows @ .., _] => Ok(rows.to_vec()),
            [] => Err("at least one axis".to_string()),
        }
    }
    fn reads(&self) -> Reads {
        Reads::All
    }
    fn flops(&self, x: &[&[usize]], y: &[usize]) -> u64 {
        (2 * elements(x[0]) + elements(y)) as u64
    }
    fn forward(&self, x: Operands<'_, R>, out: Output<'_, R>) {
        let n = row_len(x.shape(0));
        if n == 0 {
            return out.y.fill(R::zero());
        }
        dispatch(Norms { n, x: x.value(0), y: out.y });
    }
    fn vjp(&self, x: Operands<'_, R>, at: Point<'_, R>, dx: &mut Adjoints<'_, R>) {
        let n = row_len(x.shape(0));
        if let Some((dx, fresh)) = dx.slot(0).filter(|_| n > 0) {
            dispatch(PullBack { n, x: x.value(0), y: at.y, dy: at.dy, dx, fresh });
        }
    }
}

struct Norms<'a, R> {
    n: usize,
    x: &'a [R],
    y: &'a mut [R],
}
impl<R: Real> Kernel for Norms<'_, R> {
    const VECTORS: bool = R::VECTORS;
    type Output = ();
    #[inline(always)]
    fn run<const FMA: bool>(self) {
        let n = self.n;
        for (x, y) in self.x.chunks_exact(n).zip(self.y) {
            let sum = sum_of(n, |j| x[j] * x[j]);
            // Squares that underflow are off by less than the smallest subnormal each, epsilon^2 of such a sum.
            let safe = sum >= R::min_positive_value() / R::epsilon() && sum <= R::max_value();
            *y = if safe { sum.sqrt() } else { scaled(x, sum) };
        }
    }
}

/// The norm of a row of which `sum`, the sum of squares, is 0, tiny, infinite or NaN.
#[cold]
fn scaled<R: Real>(x: &[R], sum: R) -> R {
    let largest = x.iter().fold(R::zero(), |m, x| m.max(x.abs()));
    if largest == R::zero() || !largest.is_finite() || sum.is_nan() {
        return sum;
    }
    largest
        * sum_of(x.len(), |j| {
            let ratio = x[j] / largest;
            ratio * ratio
        })
        .sqrt()
}

struct PullBack<'a, R> {
    n: usize,
    x: &'a [R],
    y: &'a [R],
    dy: &'a [R],
    dx: &'a mut [R],
    fresh: bool,
}
impl<R: Real> Kernel for PullBack<'_, R> {
    const VECTORS: bool = R::VECTORS;
    type Output = ();
    #[inline(always)]
    fn run<const FMA: bool>(self) {
        let PullBack { n, x, y, dy, dx, fresh } = self;
        for (((x, dx), y), dy) in x.chunks_exact(n).zip(dx.chunks_exact_mut(n)).zip(y).zip(dy) {
            if *y == R::zero() {
                if fresh {
                    dx.fill(R::zero());
                }
                continue;
            }
            // The ratio first: neither 1/y nor dy/y need be a number where it is one.
            if fresh {
                for (dx, x) in dx.iter_mut().zip(x) {
                    *dx = *x / *y * *dy;
                }
            } else {
                for (dx, x) in dx.iter_mut().zip(x) {
                    *dx += *x / *y * *dy;
                }
            }
        }
    }
}

impl Checked for RowNorm {
    fn samples() -> Vec<(Self, Vec<Sample>)> {
        let shapes: [&[usize]; 7] = [&[3, 5], &[5], &[4, 1], &[1, 35], &[2, 3, 2], &[0, 3], &[3, 0]];
        let mut all: Vec<_> = shapes.iter().map(|s| (RowNorm, vec![Sample::away_from_zero(s, 1)])).collect();
        all.push((RowNorm, vec![Sample::points(&[-800.0, 300.0, 1e-3])]));
        // The middle row's differences vanish by symmetry: the subgradient.
        all.push((RowNorm, vec![Sample { shape: vec![3, 2], values: vec![3.0, 4.0, 0.0, 0.0, -1.0, 1.0] }]));
        // f32 squares overflow, f64 ones do not.
        all.push((RowNorm, vec![Sample::points(&[3e30, -4e30])]));
        all
    }
    fn refusals() -> Vec<(Self, Vec<Vec<usize>>, &'static str)> {
        vec![(RowNorm, vec![vec![]], "at least one axis"), (RowNorm, vec![vec![2], vec![2]], "one input")]
    }
}

#[cfg(test)]
mod tests {
    use crate::Real;
    use crate::tape::Recorder;

    /// Rows (3, 4) s: norm 5 s, gradient (0.6, 0.8), from the subnormals to the largest numbers.
    fn scales<R: Real>() {
        let scales = [
            R::min_positive_value() * R::of(1e-3),
            R::min_positive_value(),
            R::of(1e-20),
            R::one(),
            R::of(1e25),
            R::max_value() / R::of(6.0),
        ];
        let mut r = Recorder::<R>::new();
        let x = r.input_with_gradient("x", &[scales.len(), 2]).unwrap();
        let y = r.row_norm(x).unwrap();
        let program = r.finish();
        let mut ws = program.workspace().unwrap();
        for (x, s) in ws.input_mut(x).unwrap().chunks_exact_mut(2).zip(scales) {
            (x[0], x[1]) = (R::of(3.0) * s, R::of(-4.0) * s);
        }
        program.forward(&[], &mut ws).unwrap();
        program.backward(&[], &mut ws, &[(y, &vec![R::one(); scales.len()])], &mut []).unwrap();
        for (i, s) in scales.into_iter().enumerate() {
            // A subnormal has fewer digits.
            let eps = R::epsilon().f64().max(R::epsilon().f64() * R::min_positive_value().f64() / s.f64());
            let y = ws.value(y).unwrap()[i] / s;
            assert!((y.f64() - 5.0).abs() <= 20.0 * eps, "{} {s:e}: {y}", R::NAME);
            let dx = &ws.adjoint(x).unwrap()[2 * i..2 * i + 2];
            assert!((dx[0].f64() - 0.6).abs() <= 4.0 * eps && (dx[1].f64() + 0.8).abs() <= 4.0 * eps, "{} {s:e}: {dx:?}", R::NAME);
        }
    }

    #[test]
    fn the_norm_keeps_its_digits_at_every_scale() {
        scales::<f32>();
        scales::<f64>();
    }

    #[test]
    fn infinity_and_nan_are_passed_on() {
        let mut r = Recorder::<f64>::new();
        let x = r.input("x", &[3, 2]).unwrap();
        let y = r.row_norm(x).unwrap();
        let program = r.finish();
        let mut ws = program.workspace().unwrap();
        let (inf, nan) = (f64::INFINITY, f64::NAN);
        ws.input_mut(x).unwrap().copy_from_slice(&[-inf, 1.0, nan, 1.0, 1e300, nan]);
        program.forward(&[], &mut ws).unwrap();
        let y = ws.value(y).unwrap();
        assert!(y[0] == inf && y[1].is_nan() && y[2].is_nan(), "{y:?}");
    }
}
