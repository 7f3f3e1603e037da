//! Sums, means, variances, maxima and log-sum-exps along axes.

mod terms;

use super::Reads;
use super::broadcast::{Plan, Terms, Times};
use crate::Real;
use crate::simd::dispatch;
pub use terms::row_max;
use terms::{Deviation, Exponential, Largest, Logarithms, Maximum, SquaredDeviation, ToLargest, Weight};

/// What is computed of the n elements x_i.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Statistic {
    /// sum_i x_i.
    Sum,
    /// m = sum_i x_i/n.
    Mean,
    /// sum_i (x_i - m)^2/(n - 1) if unbiased, /n if not.
    Variance {
        /// Which of both.
        unbiased: bool,
    },
    /// The largest; NaN if one is. Equal largest ones share the adjoint equally.
    Max,
    /// ln sum_i e^x_i. -infinity if all are (or there are none), and then the gradient is 0; NaN if one is
    /// infinity.
    LogSumExp,
}

impl Statistic {
    /// All of them.
    pub const ALL: [Statistic; 6] = [
        Statistic::Sum,
        Statistic::Mean,
        Statistic::Variance { unbiased: false },
        Statistic::Variance { unbiased: true },
        Statistic::Max,
        Statistic::LogSumExp,
    ];

    /// The fewest elements that it can be taken of.
    pub fn least(self) -> usize {
        match self {
            Statistic::Sum | Statistic::LogSumExp => 0,
            Statistic::Mean | Statistic::Max | Statistic::Variance { unbiased: false } => 1,
            Statistic::Variance { unbiased: true } => 2,
        }
    }

    /// How many numbers a result the forward pass keeps.
    pub fn kept(self) -> usize {
        match self {
            Statistic::Sum | Statistic::Mean | Statistic::Max => 0,
            Statistic::Variance { .. } => 1,
            Statistic::LogSumExp => 2,
        }
    }

    /// How many numbers of working memory a result the backward pass needs.
    pub fn scratch(self) -> usize {
        usize::from(self == Statistic::Max)
    }

    /// What the backward pass reads.
    pub fn reads(self) -> Reads {
        match self {
            Statistic::Sum | Statistic::Mean => Reads::Nothing,
            Statistic::Variance { .. } | Statistic::LogSumExp => Reads::Inputs,
            Statistic::Max => Reads::All,
        }
    }

    /// Operations an element, and operations a result.
    pub fn flops(self) -> [usize; 2] {
        match self {
            Statistic::Sum | Statistic::Max => [1, 0],
            Statistic::Mean => [1, 1],
            Statistic::Variance { .. } | Statistic::LogSumExp => [4, 2],
        }
    }

    /// What the sum of squares is divided by.
    fn divisor(self, n: usize) -> f64 {
        n as f64 - if self == (Statistic::Variance { unbiased: true }) { 1.0 } else { 0.0 }
    }
}

/// One number for every `n` elements. Operand a of the plan is the result, operand b the input.
///
/// The sums are trees; the variance takes two passes, so that a mean that is large against the deviation
/// costs no digits; log-sum-exp subtracts the maximum.
#[derive(Clone, Copy)]
pub struct Reduction {
    pub statistic: Statistic,
    pub plan: Plan,
    pub n: usize,
}

impl Reduction {
    /// y = the statistic of x.
    pub fn forward<R: Real>(self, x: &[R], y: &mut [R], kept: &mut [R]) {
        let Reduction { statistic, plan, n } = self;
        let divide = |y: &mut [R], by: f64| y.iter_mut().for_each(|y| *y /= R::of(by));
        match statistic {
            Statistic::Sum => plan.sum(0, Terms::Times(1.0, x), true, y),
            Statistic::Mean => {
                plan.sum(0, Terms::Times(1.0, x), true, y);
                divide(y, n as f64);
            }
            Statistic::Variance { .. } => {
                plan.sum(0, Terms::Times(1.0, x), true, kept);
                divide(kept, n as f64);
                plan.sum(0, Terms::Of(&SquaredDeviation, [kept, x, &[]]), true, y);
                divide(y, statistic.divisor(n));
            }
            Statistic::Max => dispatch(Maximum { plan, x, y }),
            Statistic::LogSumExp => {
                let (shift, sums) = kept.split_at_mut(y.len());
                dispatch(Maximum { plan, x, y: &mut *shift });
                // All -infinity: any number does, and 0 gives e^-infinity.
                shift.iter_mut().filter(|m| **m == -R::infinity()).for_each(|m| *m = R::zero());
                plan.sum(0, Terms::Of(&Exponential, [shift, x, &[]]), true, y);
                dispatch(Logarithms { shift, sums, y });
            }
        }
    }

    /// dx += dy dy/dx, or dx = ... if it is `fresh`. dy is used up.
    pub fn backward<R: Real>(self, [x, y, kept]: [&[R]; 3], dy: &mut [R], dx: &mut [R], fresh: bool, scratch: &mut [R]) {
        let Reduction { statistic, plan, n } = self;
        match statistic {
            Statistic::Sum => plan.map(&Times(1.0), fresh, [dy, &[], &[]], dx),
            Statistic::Mean => plan.map(&Times(1.0 / n as f64), fresh, [dy, &[], &[]], dx),
            Statistic::Variance { .. } => plan.map(&Deviation(2.0 / statistic.divisor(n)), fresh, [kept, x, dy], dx),
            Statistic::Max => {
                let counts = &mut scratch[..y.len()];
                plan.sum(0, Terms::Of(&Largest, [y, x, &[]]), true, counts);
                dy.iter_mut().zip(counts).for_each(|(dy, count)| *dy /= *count);
                plan.map(&ToLargest, fresh, [y, x, dy], dx);
            }
            Statistic::LogSumExp => {
                // By the result's length: the values of y need not be there any more.
                let (shift, sums) = kept.split_at(y.len());
                dy.iter_mut().zip(sums).for_each(|(dy, sum)| *dy /= *sum);
                plan.map(&Weight, fresh, [shift, x, dy], dx);
            }
        }
    }
}
