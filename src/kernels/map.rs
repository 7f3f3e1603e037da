//! Functions of one number, element by element: the loops; the functions are in `elementary.rs` and
//! `activation.rs`.

use super::{Activation, Reads};
use crate::Real;
use crate::simd::{Kernel, W, dispatch};

/// y = f(x).
pub trait Function: Copy + Send + Sync + 'static {
    /// Its name.
    const NAME: &'static str;
    /// Operations an element.
    const FLOPS: u64;
    /// Whether the derivative is computed from x, from y, or is constant.
    const READS: Reads;
    /// Whether [`Self::value`] and [`Self::derivative`] are free of branches and calls. If not, blocks of
    /// numbers that are all [within](Self::within) go through [`Self::lane`] and [`Self::lane_derivative`],
    /// which are.
    const EVERYWHERE: bool = true;
    /// The activation of a layer that it is, if it is one: then it is fused into the layer.
    const ACTIVATION: Option<Activation> = None;
    /// Its attributes for tables, each behind a space.
    fn attributes(self) -> String {
        String::new()
    }
    /// What was expected of its attributes, if they are not that.
    fn refuse(self) -> Result<(), String> {
        Ok(())
    }
    /// f(x), for every x.
    fn value<R: Real, const FMA: bool>(self, x: R) -> R;
    /// f'(x), for every x; `y` = f(x).
    fn derivative<R: Real, const FMA: bool>(self, x: R, y: R) -> R;
    /// Where [`Self::lane`] equals [`Self::value`] to the last bit.
    #[inline(always)]
    fn within<R: Real>(self, _x: R) -> bool {
        true
    }
    /// f(x) within.
    #[inline(always)]
    fn lane<R: Real, const FMA: bool>(self, x: R) -> R {
        self.value::<R, FMA>(x)
    }
    /// f'(x) within.
    #[inline(always)]
    fn lane_derivative<R: Real, const FMA: bool>(self, x: R, y: R) -> R {
        self.derivative::<R, FMA>(x, y)
    }
}

/// Types that are [`Function`]s. In the expressions, `R` is the kind of numbers and `FMA` whether a fused
/// multiply-add is one instruction; y = f(x) is known to the derivative, and `reads` says which of x and y it
/// looks at. Whatever else the trait has may follow.
macro_rules! functions {
    ($(
        $(#[$doc:meta])*
        struct $f:ident $(($($attribute:ty),+))? = $name:literal, flops $flops:literal, reads $reads:ident {
            value($of:ident, $x:ident) = $value:expr;
            derivative($at:ident, $z:ident, $y:ident) = $derivative:expr;
            $($more:tt)*
        }
    )+) => {$(
        $(#[$doc])*
        #[derive(Clone, Copy)]
        pub struct $f $(($(pub $attribute),+))?;
        impl $crate::kernels::map::Function for $f {
            const NAME: &'static str = $name;
            const FLOPS: u64 = $flops;
            const READS: $crate::kernels::Reads = $crate::kernels::Reads::$reads;
            #[inline(always)]
            fn value<R: $crate::Real, const FMA: bool>($of, $x: R) -> R {
                $value
            }
            #[inline(always)]
            fn derivative<R: $crate::Real, const FMA: bool>($at, $z: R, $y: R) -> R {
                $derivative
            }
            $($more)*
        }
    )+};
}
pub(crate) use functions;

/// A [`Function`], element by element.
#[derive(Clone, Copy)]
pub struct Map<F>(pub F);

/// Name and attributes.
pub fn title<F: Function>(f: F) -> String {
    format!("{}{}", F::NAME, f.attributes())
}

/// y = f(x).
pub fn forward<F: Function, R: Real>(f: F, x: &[R], y: &mut [R]) {
    dispatch(Forward(f, x, y));
}

/// dx += dy f'(x), or dx = ... if it is `fresh`. Of x and y only what the derivative reads is looked at; both
/// have dy's length.
pub fn backward<F: Function, R: Real>(f: F, [x, y, dy]: [&[R]; 3], dx: &mut [R], fresh: bool) {
    dispatch(Backward { f, x, y, dy, dx, fresh });
}

struct Forward<'a, F, R>(F, &'a [R], &'a mut [R]);
impl<F: Function, R: Real> Kernel for Forward<'_, F, R> {
    const VECTORS: bool = R::VECTORS;
    type Output = ();
    #[inline(always)]
    fn run<const FMA: bool>(self) {
        let Forward(f, x, y) = self;
        if F::EVERYWHERE {
            for (y, x) in y.iter_mut().zip(x) {
                *y = f.value::<R, FMA>(*x);
            }
            return;
        }
        let ((x, last_x), (y, last_y)) = (x.as_chunks::<W>(), y.as_chunks_mut::<W>());
        for (y, x) in y.iter_mut().zip(x) {
            if all_within(f, x) {
                for i in 0..W {
                    y[i] = f.lane::<R, FMA>(x[i]);
                }
            } else {
                for i in 0..W {
                    y[i] = f.value::<R, FMA>(x[i]);
                }
            }
        }
        for (y, x) in last_y.iter_mut().zip(last_x) {
            *y = f.value::<R, FMA>(*x);
        }
    }
}

#[inline(always)]
fn all_within<F: Function, R: Real>(f: F, x: &[R; W]) -> bool {
    let mut all = true;
    for i in 0..W {
        all &= f.within(x[i]);
    }
    all
}

struct Backward<'a, F, R> {
    f: F,
    x: &'a [R],
    y: &'a [R],
    dy: &'a [R],
    dx: &'a mut [R],
    fresh: bool,
}
impl<F: Function, R: Real> Kernel for Backward<'_, F, R> {
    const VECTORS: bool = R::VECTORS;
    type Output = ();
    #[inline(always)]
    fn run<const FMA: bool>(self) {
        let Backward { f, x, y, dy, dx, fresh } = self;
        if fresh {
            if F::EVERYWHERE {
                for (dx, ((x, y), dy)) in dx.iter_mut().zip(x.iter().zip(y).zip(dy)) {
                    *dx = *dy * f.derivative::<R, FMA>(*x, *y);
                }
                return;
            }
            dx.fill(R::zero());
        }
        if F::EVERYWHERE {
            for (dx, ((x, y), dy)) in dx.iter_mut().zip(x.iter().zip(y).zip(dy)) {
                *dx += *dy * f.derivative::<R, FMA>(*x, *y);
            }
            return;
        }
        let ((x, last_x), (y, last_y)) = (x.as_chunks::<W>(), y.as_chunks::<W>());
        let ((dy, last_dy), (dx, last_dx)) = (dy.as_chunks::<W>(), dx.as_chunks_mut::<W>());
        for (dx, ((x, y), dy)) in dx.iter_mut().zip(x.iter().zip(y).zip(dy)) {
            if all_within(f, x) {
                for i in 0..W {
                    dx[i] += dy[i] * f.lane_derivative::<R, FMA>(x[i], y[i]);
                }
            } else {
                for i in 0..W {
                    dx[i] += dy[i] * f.derivative::<R, FMA>(x[i], y[i]);
                }
            }
        }
        for (dx, ((x, y), dy)) in last_dx.iter_mut().zip(last_x.iter().zip(last_y).zip(last_dy)) {
            *dx += *dy * f.derivative::<R, FMA>(*x, *y);
        }
    }
}
