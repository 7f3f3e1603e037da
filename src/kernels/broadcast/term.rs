//! Arithmetic of single elements, on slices.

use crate::Real;
use crate::simd::{Kernel, dispatch};

/// What is computed from the elements of up to three tensors: plain arithmetic of three numbers.
pub trait Term: Copy {
    /// The number.
    fn at<R: Real, const FMA: bool>(self, own: R, other: R, dy: R) -> R;
}

/// c times the operand.
#[derive(Clone, Copy)]
pub struct Times(pub f64);
impl Term for Times {
    #[inline(always)]
    fn at<R: Real, const FMA: bool>(self, own: R, _: R, _: R) -> R {
        R::of(self.0) * own
    }
}

/// A [`Term`] on slices, its type forgotten.
pub trait Fill<R> {
    /// out = term(own, other, dy), or added to out unless it is `fresh`; all slices are at least as long as
    /// `out`.
    fn fill(&self, x: [&[R]; 3], out: &mut [R], fresh: bool);
}

impl<T: Term, R: Real> Fill<R> for T {
    fn fill(&self, x: [&[R]; 3], out: &mut [R], fresh: bool) {
        dispatch(Flat { term: *self, x, out, fresh });
    }
}

struct Flat<'a, T, R> {
    term: T,
    x: [&'a [R]; 3],
    out: &'a mut [R],
    fresh: bool,
}

impl<T: Term, R: Real> Kernel for Flat<'_, T, R> {
    const VECTORS: bool = R::VECTORS;
    type Output = ();
    #[inline(always)]
    fn run<const FMA: bool>(self) {
        let Flat { term, x: [own, other, dy], out, fresh } = self;
        flat::<T, R, FMA>(term, own, other, dy, out, fresh);
    }
}

/// Slices as arguments, so that the compiler knows that `out` is nobody else's.
#[inline(always)]
fn flat<T: Term, R: Real, const FMA: bool>(term: T, own: &[R], other: &[R], dy: &[R], out: &mut [R], fresh: bool) {
    let n = out.len();
    let (own, other, dy) = (&own[..n], &other[..n], &dy[..n]);
    if fresh {
        for i in 0..n {
            out[i] = term.at::<R, FMA>(own[i], other[i], dy[i]);
        }
    } else {
        for i in 0..n {
            out[i] += term.at::<R, FMA>(own[i], other[i], dy[i]);
        }
    }
}
