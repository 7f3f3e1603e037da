//! The forward pass.

use super::{Affine, Plan, load, store};
use crate::Real;
use crate::kernels::activation::Activation;
use crate::kernels::lanes;
use crate::kernels::sums::{LEAF_ROWS, Tree, sum_of};
use crate::simd::{Kernel, W};

/// y = activation(gamma (x - m)/sqrt(v + epsilon) + beta); `kept` gets m and 1/sqrt(v + epsilon) of the
/// groups, sample by sample.
pub struct Forward<'a, R> {
    pub plan: Plan,
    pub epsilon: R,
    pub activation: Activation,
    pub x: &'a [R],
    pub gamma: &'a [R],
    pub beta: &'a [R],
    pub y: &'a mut [R],
    pub kept: &'a mut [R],
    pub scratch: &'a mut [R],
}

impl<R: Real> Kernel for Forward<'_, R> {
    const VECTORS: bool = R::VECTORS;
    type Output = ();
    #[inline(always)]
    fn run<const FMA: bool>(self) {
        let Forward { plan, epsilon, activation, x, gamma, beta, y, kept, scratch } = self;
        let (c, width) = (plan.channels, plan.width());
        if x.is_empty() {
            return kept.fill(R::zero());
        }
        let (sums, scratch) = scratch.split_at_mut(c);
        let (mean, scratch) = scratch.split_at_mut(c);
        let scale = &mut scratch[..c];
        let (share, mut tree) = (plan.share::<R>(), Tree::new());
        let size = plan.places * c;
        for ((x, y), kept) in x.chunks_exact(size).zip(y.chunks_exact_mut(size)).zip(kept.chunks_exact_mut(2 * plan.groups)) {
            let (means, stds) = kept.split_at_mut(plan.groups);
            column_sums::<R, FMA, false>(x, mean, sums, &mut tree);
            for (k, m) in means.iter_mut().enumerate() {
                let sums = &sums[k * width..][..width];
                *m = share * sum_of(width, |i| sums[i]);
                mean[k * width..][..width].fill(*m);
            }
            column_sums::<R, FMA, true>(x, mean, sums, &mut tree);
            for (k, s) in stds.iter_mut().enumerate() {
                let band = k * width..(k + 1) * width;
                let sums = &sums[band.clone()];
                *s = R::one() / (share * sum_of(width, |i| sums[i]) + epsilon).sqrt();
                scale[band.clone()].iter_mut().zip(&gamma[band]).for_each(|(scale, gamma)| *scale = *gamma * *s);
            }
            let affine = Affine { mean, scale, beta };
            for (x, y) in x.chunks(plan.piece()).zip(y.chunks_mut(plan.piece())) {
                affine.apply::<FMA>(x, y);
                activate::<R, FMA>(activation, y);
            }
        }
    }
}

/// z becomes activation(z).
#[inline(always)]
fn activate<R: Real, const FMA: bool>(activation: Activation, z: &mut [R]) {
    match activation {
        Activation::Identity => {}
        Activation::Silu => {
            for z in z {
                *z = lanes::silu::<R, FMA>(*z).0;
            }
        }
        Activation::Tanh => {
            for z in z {
                *z = lanes::tanh::<R, FMA>(*z).0;
            }
        }
    }
}

/// total = sum over rows of x, or of (x - centre)^2 with `SQUARE`, column by column. Four running sums per
/// leaf of rows, leaves pairwise. `tree` is room for them.
#[inline(always)]
fn column_sums<R: Real, const FMA: bool, const SQUARE: bool>(x: &[R], centre: &[R], total: &mut [R], tree: &mut Tree<R, W>) {
    let c = total.len();
    columns!(c, |j, width| {
        let centre = if SQUARE { load(centre, j, width) } else { [R::zero(); W] };
        tree.clear();
        for rows in x.chunks(LEAF_ROWS * c) {
            tree.push(leaf::<R, FMA, SQUARE>(rows, c, centre, j, width));
        }
        store(tree.total(), total, j, width);
    });
}

#[inline(always)]
fn leaf<R: Real, const FMA: bool, const SQUARE: bool>(x: &[R], c: usize, centre: [R; W], j: usize, width: usize) -> [R; W] {
    let mut sums = [[R::zero(); W]; 4];
    let mut fours = x.chunks_exact(4 * c);
    for four in fours.by_ref() {
        for (k, sum) in sums.iter_mut().enumerate() {
            add::<R, FMA, SQUARE>(sum, load(four, k * c + j, width), centre);
        }
    }
    for row in fours.remainder().chunks_exact(c) {
        add::<R, FMA, SQUARE>(&mut sums[0], load(row, j, width), centre);
    }
    let [mut total, b, c, d] = sums;
    for i in 0..W {
        total[i] = (total[i] + b[i]) + (c[i] + d[i]);
    }
    total
}

#[inline(always)]
fn add<R: Real, const FMA: bool, const SQUARE: bool>(sum: &mut [R; W], v: [R; W], centre: [R; W]) {
    for i in 0..W {
        if SQUARE {
            let d = v[i] - centre[i];
            sum[i] = d.fma::<FMA>(d, sum[i]);
        } else {
            sum[i] += v[i];
        }
    }
}
