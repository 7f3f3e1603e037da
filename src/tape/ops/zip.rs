//! Functions of two tensors, element by element, with broadcasting. One block each: value, the two derivatives, samples.

use super::Chain;
use crate::Real;
use crate::simd::{Kernel, dispatch};
use crate::tape::broadcast::{Plan, shape};
use crate::tape::op::{Adjoints, Checked, Op, Operands, Output, Point, Reads, Registered, Sample};

/// y = f(a, b).
pub trait Function2: Copy + Default + Send + Sync + 'static {
    /// Its name.
    const NAME: &'static str;
    /// What the derivatives are computed from.
    const READS: Reads;
    /// Whether it is a + b: behind a matrix product, a bias.
    const IS_SUM: bool = false;
    /// f(a, b).
    fn value<R: Real>(self, a: R, b: R) -> R;
    /// dy df/da; `y` = f(a, b).
    fn da<R: Real>(self, a: R, b: R, y: R, dy: R) -> R;
    /// dy df/db.
    fn db<R: Real>(self, a: R, b: R, y: R, dy: R) -> R;
}

/// A [`Function2`] as an operation.
#[derive(Clone, Copy)]
pub struct Zip<F>(pub F);

/// a + b.
#[derive(Clone, Copy, Default)]
pub struct Add;
impl Function2 for Add {
    const NAME: &'static str = "add";
    const IS_SUM: bool = true;
    const READS: Reads = Reads::Nothing;
    #[inline(always)]
    fn value<R: Real>(self, a: R, b: R) -> R {
        a + b
    }
    #[inline(always)]
    fn da<R: Real>(self, _a: R, _b: R, _y: R, dy: R) -> R {
        dy
    }
    #[inline(always)]
    fn db<R: Real>(self, _a: R, _b: R, _y: R, dy: R) -> R {
        dy
    }
}

/// a - b.
#[derive(Clone, Copy, Default)]
pub struct Sub;
impl Function2 for Sub {
    const NAME: &'static str = "sub";
    const READS: Reads = Reads::Nothing;
    #[inline(always)]
    fn value<R: Real>(self, a: R, b: R) -> R {
        a - b
    }
    #[inline(always)]
    fn da<R: Real>(self, _a: R, _b: R, _y: R, dy: R) -> R {
        dy
    }
    #[inline(always)]
    fn db<R: Real>(self, _a: R, _b: R, _y: R, dy: R) -> R {
        -dy
    }
}

/// a b.
#[derive(Clone, Copy, Default)]
pub struct Mul;
impl Function2 for Mul {
    const NAME: &'static str = "mul";
    const READS: Reads = Reads::Inputs;
    #[inline(always)]
    fn value<R: Real>(self, a: R, b: R) -> R {
        a * b
    }
    #[inline(always)]
    fn da<R: Real>(self, _a: R, b: R, _y: R, dy: R) -> R {
        dy * b
    }
    #[inline(always)]
    fn db<R: Real>(self, a: R, _b: R, _y: R, dy: R) -> R {
        dy * a
    }
}

/// a / b.
#[derive(Clone, Copy, Default)]
pub struct Div;
impl Function2 for Div {
    const NAME: &'static str = "div";
    const READS: Reads = Reads::All;
    #[inline(always)]
    fn value<R: Real>(self, a: R, b: R) -> R {
        a / b
    }
    #[inline(always)]
    fn da<R: Real>(self, _a: R, b: R, _y: R, dy: R) -> R {
        dy / b
    }
    #[inline(always)]
    fn db<R: Real>(self, _a: R, b: R, y: R, dy: R) -> R {
        -dy * y / b
    }
}

struct Forward<'a, F, R> {
    f: F,
    plan: Plan,
    a: &'a [R],
    b: &'a [R],
    y: &'a mut [R],
}
impl<F: Function2, R: Real> Kernel for Forward<'_, F, R> {
    type Output = ();
    #[inline(always)]
    fn run<const FMA: bool>(self) {
        let Forward { f, plan, a, b, y } = self;
        plan.map(a, b, y, |a, b| f.value(a, b));
    }
}

struct Backward<'a, F, R> {
    f: F,
    plan: Plan,
    /// 0: adjoint of a, 1: of b.
    which: usize,
    a: &'a [R],
    b: &'a [R],
    y: &'a [R],
    dy: &'a [R],
    dx: &'a mut [R],
}
impl<F: Function2, R: Real> Kernel for Backward<'_, F, R> {
    type Output = ();
    #[inline(always)]
    fn run<const FMA: bool>(self) {
        let Backward { f, plan, which, a, b, y, dy, dx } = self;
        if which == 0 {
            plan.reduce(0, dx, |i, j, k| f.da(a[i], b[j], y[k], dy[k]));
        } else {
            plan.reduce(1, dx, |i, j, k| f.db(a[i], b[j], y[k], dy[k]));
        }
    }
}

impl<R: Real, F: Function2> Op<R> for Zip<F>
where
    Zip<F>: Registered,
{
    fn name(&self) -> &'static str {
        F::NAME
    }
    fn shape(&self, x: &[&[usize]]) -> Result<Vec<usize>, String> {
        let [a, b] = x else { return Err("two inputs".to_string()) };
        shape(a, b).ok_or_else(|| "shapes that broadcast (aligned at the last axis, sizes equal or 1)".to_string())
    }
    fn reads(&self) -> Reads {
        F::READS
    }
    fn absorb(&self, at: usize, producer: &dyn Op<R>) -> Option<Box<dyn Op<R>>> {
        if F::IS_SUM && at == 0 { producer.with_bias() } else { None }
    }
    fn chain(&self) -> Option<Chain<R>> {
        Some(Chain::one(*self, 2))
    }
    fn flops(&self, _x: &[&[usize]], y: &[usize]) -> u64 {
        y.iter().product::<usize>() as u64
    }
    fn forward(&self, x: Operands<'_, R>, out: Output<'_, R>) {
        let plan = Plan::new(x.shape(0), x.shape(1), x.out_shape());
        dispatch(Forward { f: self.0, plan, a: x.value(0), b: x.value(1), y: out.y });
    }
    fn vjp(&self, x: Operands<'_, R>, at: Point<'_, R>, dx: &mut Adjoints<'_, R>) {
        let plan = Plan::new(x.shape(0), x.shape(1), x.out_shape());
        for which in 0..2 {
            if let Some(dx) = dx.add_to(which) {
                dispatch(Backward { f: self.0, plan, which, a: x.value(0), b: x.value(1), y: at.y, dy: at.dy, dx });
            }
        }
    }
}

impl<F: Function2> Checked for Zip<F> {
    fn samples() -> Vec<(Self, Vec<Sample>)> {
        let shapes: [(&[usize], &[usize]); 12] = [
            (&[3, 5], &[3, 5]),
            (&[4, 3], &[3]),
            (&[3], &[4, 3]),
            (&[5, 2], &[5, 1]),
            (&[3, 1, 5], &[4, 1]),
            (&[2, 3, 2, 3], &[3, 1, 3]),
            (&[1, 2, 1, 2], &[3, 1, 2, 1]),
            (&[], &[2, 3]),
            (&[37], &[1]),
            (&[130, 17], &[17]),
            (&[0, 3], &[3]),
            (&[0, 1], &[1, 4]),
        ];
        let op = Zip(F::default());
        let mut all: Vec<_> = shapes.iter().map(|(a, b)| (op, vec![Sample::normal(a, 1), Sample::away_from_zero(b, 2)])).collect();
        all.push((op, vec![Sample::points(&[-800.0, 800.0, 1.0, 1e-3]), Sample::points(&[800.0, 0.5, -800.0, -1.0])]));
        all
    }
    fn refusals() -> Vec<(Self, Vec<Vec<usize>>, &'static str)> {
        let op = Zip(F::default());
        vec![(op, vec![vec![2, 3], vec![2]], "broadcast"), (op, vec![vec![0], vec![2]], "broadcast"), (op, vec![vec![1]], "two inputs")]
    }
}
