//! Cross-entropy of classes given by logits: against class numbers, and against weights.

use super::index::index;
use super::softmax::{exponentials, log_sum};
use super::sums::sum_of;
use crate::Real;
use crate::simd::{Kernel, dispatch};

/// What the losses are computed against.
#[derive(Clone, Copy)]
pub enum Target<'a, R> {
    Labels(&'a [R]),
    Weights(&'a [R]),
}

/// y = the cost of `k` logits z against the target, row by row; 2 numbers a row are kept, `scratch` has k.
pub fn forward<R: Real>(k: usize, z: &[R], target: Target<'_, R>, y: &mut [R], kept: &mut [R], scratch: &mut [R]) {
    dispatch(Forward { k, z, target, y, kept, scratch: &mut scratch[..k] });
}

/// dz += dy (T p - t) with p the softmax of z, T the sum of the weights t: for a label, t is 1 at the class.
pub fn backward<R: Real>(k: usize, z: &[R], target: Target<'_, R>, [kept, dy]: [&[R]; 2], dz: &mut [R], scratch: &mut [R]) {
    dispatch(Backward { k, z, target, dy, kept, dz, scratch: &mut scratch[..k] });
}

/// dt += dy (m + l - z), for weights t.
pub fn by_weights<R: Real>(k: usize, z: &[R], [kept, dy]: [&[R]; 2], dt: &mut [R]) {
    for (((dt, z), kept), dy) in dt.chunks_exact_mut(k).zip(z.chunks_exact(k)).zip(kept.chunks_exact(2)).zip(dy) {
        for (dt, z) in dt.iter_mut().zip(z) {
            *dt += *dy * ((kept[0] - *z) + kept[1]);
        }
    }
}

/// Kept of each row: m and l of ln sum e^z = m + l.
struct Forward<'a, R> {
    k: usize,
    z: &'a [R],
    target: Target<'a, R>,
    y: &'a mut [R],
    kept: &'a mut [R],
    scratch: &'a mut [R],
}

impl<R: Real> Kernel for Forward<'_, R> {
    const VECTORS: bool = R::VECTORS;
    type Output = ();
    #[inline(always)]
    fn run<const FMA: bool>(self) {
        let Forward { k, z, target, y, kept, scratch } = self;
        for (i, ((y, z), kept)) in y.iter_mut().zip(z.chunks_exact(k)).zip(kept.chunks_exact_mut(2)).enumerate() {
            let (shift, log) = log_sum::<R, FMA>(z, scratch);
            kept.copy_from_slice(&[shift, log]);
            *y = match target {
                Target::Labels(labels) => index(labels[i], k).map_or(R::nan(), |c| (shift - z[c]) + log),
                Target::Weights(t) => {
                    let t = &t[i * k..][..k];
                    for j in 0..k {
                        // 0 ln 0 = 0.
                        let cost = (shift - z[j]) + log;
                        scratch[j] = if t[j] == R::zero() && !cost.is_finite() { R::zero() } else { t[j] * cost };
                    }
                    sum_of(k, |j| scratch[j])
                }
            };
        }
    }
}

struct Backward<'a, R> {
    k: usize,
    z: &'a [R],
    target: Target<'a, R>,
    dy: &'a [R],
    kept: &'a [R],
    dz: &'a mut [R],
    scratch: &'a mut [R],
}

impl<R: Real> Kernel for Backward<'_, R> {
    const VECTORS: bool = R::VECTORS;
    type Output = ();
    #[inline(always)]
    fn run<const FMA: bool>(self) {
        let Backward { k, z, target, dy, kept, dz, scratch } = self;
        let rows = dz.chunks_exact_mut(k).zip(z.chunks_exact(k)).zip(kept.chunks_exact(2)).zip(dy);
        for (i, (((dz, z), kept), dy)) in rows.enumerate() {
            exponentials::<R, FMA>(z, kept[0], kept[1], scratch);
            match target {
                Target::Labels(labels) => {
                    let Some(c) = index(labels[i], k) else { continue };
                    scratch[c] -= R::one();
                    for (dz, p) in dz.iter_mut().zip(&*scratch) {
                        *dz += *dy * *p;
                    }
                }
                Target::Weights(t) => {
                    let t = &t[i * k..][..k];
                    let total = sum_of(k, |j| t[j]);
                    for ((dz, p), t) in dz.iter_mut().zip(&*scratch).zip(t) {
                        *dz += *dy * (total * *p - *t);
                    }
                }
            }
        }
    }
}
