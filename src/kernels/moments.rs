//! The loops of a normalisation: means and variances per sample and group of channels, and their derivatives.
//!
//! A sample is a matrix of `places` rows and `channels` columns; a group is a band of columns. So every sum
//! is first one over rows, sixteen columns side by side, and then one over the few columns of a group: no
//! loop runs across the channels, and a group may have any width.

/// Runs `$call(j, width)` for blocks of at most W columns j..j + width; the width of a full block is a
/// constant to the compiler.
macro_rules! columns {
    ($n:expr, |$j:ident, $width:ident| $call:expr) => {{
        let (n, mut $j) = ($n, 0);
        while $j + W <= n {
            let $width = W;
            $call;
            $j += W;
        }
        if $j < n {
            let $width = n - $j;
            $call;
        }
    }};
}

mod backward;
mod forward;

use super::broadcast::{self, Terms};
use super::sums::LEAF_ROWS;
use super::{Activation, Gradients};
use crate::Real;
use crate::simd::{W, dispatch};
use backward::Backward;
use forward::Forward;

/// How a tensor is cut.
#[derive(Debug, Clone, Copy)]
pub struct Plan {
    /// Samples: each has its own means.
    pub samples: usize,
    /// Rows of a sample.
    pub places: usize,
    /// Columns of a sample.
    pub channels: usize,
    /// Equal bands of columns.
    pub groups: usize,
}

impl Plan {
    /// Numbers that the forward pass leaves: mean and 1/std of every sample and group.
    pub fn kept(self) -> usize {
        self.samples.saturating_mul(2 * self.groups)
    }
    /// Numbers of working memory: two sums per sample and channel, then what [`Backward`] keeps at hand: five
    /// rows, two sums per leaf of rows and channel, and a piece of a sample.
    pub fn scratch(self) -> usize {
        let rows = self.samples.saturating_add(self.places.div_ceil(LEAF_ROWS)).saturating_mul(2).saturating_add(5);
        rows.saturating_mul(self.channels).saturating_add(self.piece())
    }
    /// Numbers of the rows that go through normalisation and activation before the next ones: they stay in
    /// the first-level cache.
    fn piece(self) -> usize {
        (1024 / self.channels.max(1)).max(1) * self.channels
    }
    fn width(self) -> usize {
        self.channels / self.groups
    }
    /// One over the number of elements of a group.
    fn share<R: Real>(self) -> R {
        R::one() / R::of((self.places * self.width()) as f64)
    }
}

/// y = activation(gamma (x - m)/sqrt(v + epsilon) + beta); `kept` gets m and 1/sqrt(v + epsilon).
pub fn forward<R: Real>(
    plan: Plan,
    epsilon: f64,
    activation: Activation,
    [x, gamma, beta]: [&[R]; 3],
    y: &mut [R],
    kept: &mut [R],
    scratch: &mut [R],
) {
    dispatch(Forward { plan, epsilon: R::of(epsilon), activation, x, gamma, beta, y, kept, scratch });
}

/// [`forward`] with m and v those of each row, for as many rows as `y` has; `room` is that of
/// [`layer_norm_room`].
pub fn layer_norm_rows<R: Real>(epsilon: f64, x: &[R], gamma: &[R], beta: &[R], y: &mut [R], room: &mut [R]) {
    let plan = Plan { samples: y.len() / gamma.len(), places: 1, channels: gamma.len(), groups: 1 };
    let (kept, scratch) = room.split_at_mut(plan.kept());
    forward(plan, epsilon, Activation::Identity, [x, gamma, beta], y, kept, scratch);
}

/// Numbers of working memory for at most `rows` rows of `c`.
pub fn layer_norm_room(rows: usize, c: usize) -> usize {
    let plan = Plan { samples: rows, places: 1, channels: c, groups: 1 };
    plan.kept() + plan.scratch()
}

/// Adds to the gradients of x, gamma and beta, inputs 0, 1 and 2; dy is used up.
pub fn backward<R: Real>(
    plan: Plan,
    activation: Activation,
    [x, gamma, beta]: [&[R]; 3],
    kept: &[R],
    dy: &mut [R],
    dx: &mut impl Gradients<R>,
    scratch: &mut [R],
) {
    let c = plan.channels;
    let (sums, scratch) = scratch.split_at_mut(plan.samples * 2 * c);
    dispatch(Backward { plan, activation, x, gamma, beta, kept, dy, dx: dx.slot(0), sums: &mut *sums, scratch: &mut *scratch });
    // Each sample's share of dbeta and dgamma, side by side: add up the samples.
    let total = &mut scratch[..2 * c];
    broadcast::Plan::new(&[2 * c], &[plan.samples, 2 * c], &[plan.samples, 2 * c]).sum(0, Terms::Times(1.0, sums), true, total);
    for (k, total) in [(2, &total[..c]), (1, &total[c..])] {
        if let Some(d) = dx.add_to(k) {
            d.iter_mut().zip(total).for_each(|(d, t)| *d += *t);
        }
    }
}

/// z = (x - mean) scale + beta, one number of each per channel.
struct Affine<'a, R> {
    mean: &'a [R],
    scale: &'a [R],
    beta: &'a [R],
}

impl<R: Real> Affine<'_, R> {
    /// Of any number of rows.
    #[inline(always)]
    fn apply<const FMA: bool>(&self, x: &[R], z: &mut [R]) {
        let c = self.mean.len();
        columns!(c, |j, width| {
            let (mean, scale, beta) = (load(self.mean, j, width), load(self.scale, j, width), load(self.beta, j, width));
            for (x, z) in x.chunks_exact(c).zip(z.chunks_exact_mut(c)) {
                let mut v = load(x, j, width);
                for i in 0..W {
                    v[i] = (v[i] - mean[i]).fma::<FMA>(scale[i], beta[i]);
                }
                store(v, z, j, width);
            }
        });
    }
}

/// `width` <= W numbers from `at` on; zeros behind them.
#[inline(always)]
fn load<R: Real>(x: &[R], at: usize, width: usize) -> [R; W] {
    let mut v = [R::zero(); W];
    v[..width].copy_from_slice(&x[at..at + width]);
    v
}

#[inline(always)]
fn store<R: Real>(v: [R; W], x: &mut [R], at: usize, width: usize) {
    x[at..at + width].copy_from_slice(&v[..width]);
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::kernels::activation::Activation;
    use crate::simd::dispatch;

    #[test]
    fn means_of_a_large_offset_keep_their_digits() {
        // Values around 10,000 with a standard deviation of 1, f32: the two passes leave the normalised
        // values right to the rounding of the inputs themselves; mean(x^2) - mean^2 would be off by 8.
        let (n, c) = (300, 6);
        let plan = Plan { samples: 1, places: n, channels: c, groups: 2 };
        let x: Vec<f32> = (0..n * c).map(|i| 10_000.0 + if (i / c) % 2 == 0 { 1.0 } else { -1.0 }).collect();
        let (mut y, mut kept, mut scratch) = (vec![f32::NAN; n * c], [f32::NAN; 4], vec![f32::NAN; plan.scratch()]);
        let (gamma, beta) = (vec![1.0; c], vec![0.0; c]);
        dispatch(Forward {
            plan,
            epsilon: 1e-5,
            activation: Activation::Identity,
            x: &x,
            gamma: &gamma,
            beta: &beta,
            y: &mut y,
            kept: &mut kept,
            scratch: &mut scratch,
        });
        assert!(y.iter().enumerate().all(|(i, y)| (y - if (i / c) % 2 == 0 { 1.0 } else { -1.0 }).abs() <= 1e-3), "{kept:?}");
    }
}
