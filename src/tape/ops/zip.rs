//! Functions of two tensors, element by element, with broadcasting. One block each: value, the two derivatives, samples.

use super::Chain;
use crate::Real;
use crate::kernels::broadcast::{Plan, Term, Terms, shape};
use crate::tape::op::{Adjoints, Checked, Op, Operands, Output, Point, Reads, Registered, Sample};
use crate::tape::recorder::methods;

methods! {
    /// a + b, with broadcasting (trailing axes aligned, sizes equal or 1).
    add(a, b) = Zip(Add);
    /// a - b, with broadcasting.
    sub(a, b) = Zip(Sub);
    /// a b, element by element, with broadcasting.
    mul(a, b) = Zip(Mul);
    /// a / b, element by element, with broadcasting.
    div(a, b) = Zip(Div);
    /// The larger of a and b, with broadcasting; NaN if one is. Where they are equal each gets half of the adjoint.
    max(a, b) = Zip(Max);
    /// The smaller of a and b, with broadcasting; NaN if one is. Where they are equal each gets half of the adjoint.
    min(a, b) = Zip(Min);
}

/// y = f(a, b).
pub trait Function2: Copy + Default + Send + Sync + 'static {
    /// Its name.
    const NAME: &'static str;
    /// What the derivatives are computed from: the inputs, or nothing, where they are constant.
    const READS: Reads;
    /// Whether it is a + b: behind a matrix product, a bias.
    const IS_SUM: bool = false;
    /// f(a, b).
    fn value<R: Real>(self, a: R, b: R) -> R;
    /// dy df/da.
    fn da<R: Real>(self, a: R, b: R, dy: R) -> R;
    /// dy df/db.
    fn db<R: Real>(self, a: R, b: R, dy: R) -> R;
    /// Whether the derivative jumps where a = b.
    const KINKED: bool = false;
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
    fn da<R: Real>(self, _a: R, _b: R, dy: R) -> R {
        dy
    }
    #[inline(always)]
    fn db<R: Real>(self, _a: R, _b: R, dy: R) -> R {
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
    fn da<R: Real>(self, _a: R, _b: R, dy: R) -> R {
        dy
    }
    #[inline(always)]
    fn db<R: Real>(self, _a: R, _b: R, dy: R) -> R {
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
    fn da<R: Real>(self, _a: R, b: R, dy: R) -> R {
        dy * b
    }
    #[inline(always)]
    fn db<R: Real>(self, a: R, _b: R, dy: R) -> R {
        dy * a
    }
}

/// a / b.
#[derive(Clone, Copy, Default)]
pub struct Div;
impl Function2 for Div {
    const NAME: &'static str = "div";
    const READS: Reads = Reads::Inputs;
    #[inline(always)]
    fn value<R: Real>(self, a: R, b: R) -> R {
        a / b
    }
    #[inline(always)]
    fn da<R: Real>(self, _a: R, b: R, dy: R) -> R {
        dy / b
    }
    #[inline(always)]
    fn db<R: Real>(self, a: R, b: R, dy: R) -> R {
        -dy * (a / b) / b
    }
}

/// The larger of a and b; NaN if one of them is. Where they are equal each gets half of the adjoint.
#[derive(Clone, Copy, Default)]
pub struct Max;
impl Function2 for Max {
    const NAME: &'static str = "max";
    const READS: Reads = Reads::Inputs;
    const KINKED: bool = true;
    #[inline(always)]
    fn value<R: Real>(self, a: R, b: R) -> R {
        larger(a, b)
    }
    #[inline(always)]
    fn da<R: Real>(self, a: R, b: R, dy: R) -> R {
        dy * share(a, b)
    }
    #[inline(always)]
    fn db<R: Real>(self, a: R, b: R, dy: R) -> R {
        dy * share(b, a)
    }
}

/// The smaller of a and b; NaN if one of them is. Where they are equal each gets half of the adjoint.
#[derive(Clone, Copy, Default)]
pub struct Min;
impl Function2 for Min {
    const NAME: &'static str = "min";
    const READS: Reads = Reads::Inputs;
    const KINKED: bool = true;
    #[inline(always)]
    fn value<R: Real>(self, a: R, b: R) -> R {
        -larger(-a, -b)
    }
    #[inline(always)]
    fn da<R: Real>(self, a: R, b: R, dy: R) -> R {
        dy * share(b, a)
    }
    #[inline(always)]
    fn db<R: Real>(self, a: R, b: R, dy: R) -> R {
        dy * share(a, b)
    }
}

/// max(a, b), NaN if one of them is.
#[inline(always)]
pub fn larger<R: Real>(a: R, b: R) -> R {
    if a > b || a.is_nan() { a } else { b }
}

/// What the maximum's adjoint gives to a.
#[inline(always)]
fn share<R: Real>(a: R, b: R) -> R {
    let equal = if a == b { R::of(0.5) } else { R::zero() };
    if a > b { R::one() } else { equal }
}

/// f(a, b).
#[derive(Clone, Copy)]
pub struct Value<F>(pub F);
impl<F: Function2> Term for Value<F> {
    #[inline(always)]
    fn at<R: Real, const FMA: bool>(self, a: R, b: R, _: R) -> R {
        self.0.value(a, b)
    }
}

/// The term of the adjoint of a.
#[derive(Clone, Copy)]
pub struct OfA<F>(pub F);
impl<F: Function2> Term for OfA<F> {
    #[inline(always)]
    fn at<R: Real, const FMA: bool>(self, a: R, b: R, dy: R) -> R {
        self.0.da(a, b, dy)
    }
}

/// The term of the adjoint of b.
#[derive(Clone, Copy)]
pub struct OfB<F>(pub F);
impl<F: Function2> Term for OfB<F> {
    #[inline(always)]
    fn at<R: Real, const FMA: bool>(self, b: R, a: R, dy: R) -> R {
        self.0.db(a, b, dy)
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
        let (a, b) = (x.value(0), x.value(1));
        Plan::new(x.shape(0), x.shape(1), x.out_shape()).map(&Value(self.0), true, [a, b, &[]], out.y);
    }
    fn vjp(&self, x: Operands<'_, R>, at: Point<'_, R>, dx: &mut Adjoints<'_, R>) {
        let plan = Plan::new(x.shape(0), x.shape(1), x.out_shape());
        let (a, b, dy) = (x.value(0), x.value(1), &*at.dy);
        // A derivative that reads nothing is a constant: what it makes of dy = 1.
        let constant = F::READS == Reads::Nothing;
        if let Some((da, fresh)) = dx.slot(0) {
            let of = Terms::Of(&OfA(self.0), [a, b, dy]);
            plan.sum(0, if constant { Terms::Times(self.0.da(0.0, 0.0, 1.0), dy) } else { of }, fresh, da);
        }
        if let Some((db, fresh)) = dx.slot(1) {
            let of = Terms::Of(&OfB(self.0), [b, a, dy]);
            plan.sum(1, if constant { Terms::Times(self.0.db(0.0, 0.0, 1.0), dy) } else { of }, fresh, db);
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
        if F::KINKED {
            // a on a grid, b half-way between its points: never near each other.
            for x in all.iter_mut().map(|(_, x)| x) {
                x[0].values.iter_mut().for_each(|v| *v = (8.0 * *v).round() / 8.0);
                x[1].values.iter_mut().for_each(|v| *v = ((8.0 * *v).round() + 0.5) / 8.0);
            }
        }
        all.push((op, vec![Sample::points(&[-800.0, 800.0, 1.0, 1e-3]), Sample::points(&[800.0, 0.5, -800.0, -1.0])]));
        all
    }
    fn refusals() -> Vec<(Self, Vec<Vec<usize>>, &'static str)> {
        let op = Zip(F::default());
        vec![(op, vec![vec![2, 3], vec![2]], "broadcast"), (op, vec![vec![0], vec![2]], "broadcast"), (op, vec![vec![1]], "two inputs")]
    }
}

#[cfg(test)]
mod tests {
    use crate::tape::Recorder;

    #[test]
    fn equal_operands_of_max_and_min_share_the_adjoint() {
        let mut r = Recorder::<f64>::new();
        let a = r.input_with_gradient("a", &[4]).unwrap();
        let b = r.input_with_gradient("b", &[4]).unwrap();
        let (max, min) = (r.max(a, b).unwrap(), r.min(a, b).unwrap());
        let program = r.finish();
        let mut ws = program.workspace().unwrap();
        ws.input_mut(a).unwrap().copy_from_slice(&[1.0, 2.0, 3.0, f64::NAN]);
        ws.input_mut(b).unwrap().copy_from_slice(&[1.0, 5.0, 0.0, 0.0]);
        program.forward(&[], &mut ws).unwrap();
        assert_eq!(ws.value(max).unwrap()[..3], [1.0, 5.0, 3.0]);
        assert_eq!(ws.value(min).unwrap()[..3], [1.0, 2.0, 0.0]);
        assert!(ws.value(max).unwrap()[3].is_nan() && ws.value(min).unwrap()[3].is_nan());
        for (y, da) in [(max, [0.5, 0.0, 1.0]), (min, [0.5, 1.0, 0.0])] {
            program.backward(&[], &mut ws, &[(y, &[1.0; 4])], &mut []).unwrap();
            assert_eq!(ws.adjoint(a).unwrap()[..3], da);
            assert_eq!(ws.adjoint(b).unwrap()[..3], da.map(|d| 1.0 - d));
        }
    }
}
