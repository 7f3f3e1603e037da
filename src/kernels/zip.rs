//! Functions of two numbers, element by element, with broadcasting. One block each: value and the two
//! derivatives.

use super::broadcast::{Plan, Term, Terms};
use super::{Gradients, Reads};
use crate::Real;

/// y = f(a, b).
pub trait Function2: Copy + Default + Send + Sync + 'static {
    /// Its name.
    const NAME: &'static str;
    /// What the derivatives are computed from: the inputs, or nothing, where they are constant.
    const READS: Reads;
    /// Whether it is a + b.
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

/// A [`Function2`], element by element, with broadcasting.
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

/// y = f(a, b); the plan is for their shapes.
pub fn forward<F: Function2, R: Real>(f: F, plan: Plan, a: &[R], b: &[R], y: &mut [R]) {
    plan.map(&Value(f), true, [a, b, &[]], y);
}

/// da += sum dy df/da over what a was broadcast to, and the same for b.
pub fn backward<F: Function2, R: Real>(f: F, plan: Plan, [a, b, dy]: [&[R]; 3], dx: &mut impl Gradients<R>) {
    // A derivative that reads nothing is a constant: what it makes of dy = 1.
    let constant = F::READS == Reads::Nothing;
    if let Some((da, fresh)) = dx.slot(0) {
        let of = Terms::Of(&OfA(f), [a, b, dy]);
        plan.sum(0, if constant { Terms::Times(f.da(0.0, 0.0, 1.0), dy) } else { of }, fresh, da);
    }
    if let Some((db, fresh)) = dx.slot(1) {
        let of = Terms::Of(&OfB(f), [b, a, dy]);
        plan.sum(1, if constant { Terms::Times(f.db(0.0, 0.0, 1.0), dy) } else { of }, fresh, db);
    }
}
