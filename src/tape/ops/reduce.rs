//! Sums, means, variances, maxima and log-sum-exps over axes.

use crate::Real;
use crate::kernels::broadcast::Plan;
use crate::kernels::reduce::{Reduction, Statistic};
use crate::tape::op::{Adjoints, MAX_RANK, Op, Operands, Output, Point, Reads, elements, one};
use crate::tape::recorder::methods;
use crate::tape::sample::{Checked, Refusal, Sample};
use crate::tape::{Recorder, Var};

methods! {
    /// Sum of all elements; the result has no axes.
    sum(x) = Reduce::over(Statistic::Sum, Axes::All);
    /// Mean of all elements; the result has no axes.
    mean(x) = Reduce::over(Statistic::Mean, Axes::All);
    /// Sum over the last axis, which disappears.
    sum_last(x) = Reduce::over(Statistic::Sum, Axes::Last);
    /// Mean over the last axis, which disappears.
    mean_last(x) = Reduce::over(Statistic::Mean, Axes::Last);
}

/// One number for all elements along some axes: x -> x without those axes, or with their sizes 1.
///
/// The sums are trees (see [the kernels](crate::kernels)); the variance takes two passes, log-sum-exp
/// subtracts the maximum.
#[derive(Clone)]
pub struct Reduce {
    /// Which number.
    pub statistic: Statistic,
    /// Along which axes.
    pub axes: Axes,
    /// Whether the axes stay, with size 1.
    pub keep: bool,
}

/// Axes of a tensor.
#[derive(Clone)]
pub enum Axes {
    /// All.
    All,
    /// The last one.
    Last,
    /// These.
    These(Vec<usize>),
}

impl Axes {
    /// Which of `rank` axes they are, or what was expected of them.
    fn marked(&self, rank: usize) -> Result<[bool; MAX_RANK], String> {
        let mut marked = [false; MAX_RANK];
        match self {
            Axes::All => marked[..rank].fill(true),
            Axes::Last => *marked[..rank].last_mut().ok_or("at least one axis")? = true,
            Axes::These(axes) => {
                for axis in axes {
                    let mark = marked[..rank].get_mut(*axis).ok_or_else(|| format!("axes below {rank}, got {axes:?}"))?;
                    if std::mem::replace(mark, true) {
                        return Err(format!("each axis once, got {axes:?}"));
                    }
                }
            }
        }
        Ok(marked)
    }
}

impl Reduce {
    /// Over all axes, or the last: they disappear.
    pub fn over(statistic: Statistic, axes: Axes) -> Self {
        Reduce { statistic, axes, keep: false }
    }

    /// The input's shape with the axes' sizes 1, and how many elements go into one number.
    fn column(&self, x: &[usize]) -> Result<([usize; MAX_RANK], usize), String> {
        let marked = self.axes.marked(x.len())?;
        let (mut column, mut n) = ([1; MAX_RANK], 1);
        for ((size, column), marked) in x.iter().zip(&mut column).zip(marked) {
            if marked { n *= size } else { *column = *size }
        }
        Ok((column, n))
    }

    /// The loops, for a shape that was accepted.
    fn reduction(&self, x: &[usize]) -> Reduction {
        let (column, n) = self.column(x).unwrap_or(([1; MAX_RANK], 1));
        Reduction { statistic: self.statistic, plan: Plan::new(&column[..x.len()], x, x), n }
    }

    /// Elements of the result.
    fn results(&self, x: &[usize]) -> usize {
        self.column(x).map_or(0, |(column, _)| elements(&column))
    }
}

impl<R: Real> Op<R> for Reduce {
    fn name(&self) -> &'static str {
        match self.statistic {
            Statistic::Sum => "sum",
            Statistic::Mean => "mean",
            Statistic::Variance { unbiased: false } => "variance",
            Statistic::Variance { unbiased: true } => "unbiased variance",
            Statistic::Max => "max_axes",
            Statistic::LogSumExp => "logsumexp",
        }
    }
    fn label(&self) -> String {
        let axes = match &self.axes {
            Axes::All => String::new(),
            Axes::Last => " over last".to_string(),
            Axes::These(axes) => format!(" over {axes:?}"),
        };
        format!("{}{axes}{}", Op::<R>::name(self), if self.keep { ", kept" } else { "" })
    }
    fn shape(&self, x: &[&[usize]]) -> Result<Vec<usize>, String> {
        let x = one(x)?;
        let (column, n) = self.column(x)?;
        let least = self.statistic.least();
        if n < least {
            return Err(format!("at least {} to take the {} of", ["", "one element", "two elements"][least], Op::<R>::name(self)));
        }
        let marked = self.axes.marked(x.len())?;
        Ok((0..x.len()).filter(|axis| self.keep || !marked[*axis]).map(|axis| column[axis]).collect())
    }
    fn kept(&self, x: &[&[usize]]) -> usize {
        self.statistic.kept() * self.results(x[0])
    }
    fn scratch(&self, x: &[&[usize]]) -> usize {
        self.statistic.scratch() * self.results(x[0])
    }
    fn reads(&self) -> Reads {
        self.statistic.reads()
    }
    fn flops(&self, x: &[&[usize]], y: &[usize]) -> u64 {
        let [each, once] = self.statistic.flops();
        (each * elements(x[0]) + once * elements(y)) as u64
    }
    fn forward(&self, x: Operands<'_, R>, out: Output<'_, R>) {
        self.reduction(x.shape(0)).forward(x.value(0), out.y, out.kept);
    }
    fn vjp(&self, x: Operands<'_, R>, at: Point<'_, R>, dx: &mut Adjoints<'_, R>) {
        if let Some((dx, fresh)) = dx.slot(0) {
            self.reduction(x.shape(0)).backward([x.value(0), at.y, at.kept], at.dy, dx, fresh, at.scratch);
        }
    }
}

impl Checked for Reduce {
    fn samples() -> Vec<(Self, Vec<Sample>)> {
        let these = |axes: &[usize]| Axes::These(axes.to_vec());
        let mut all = vec![];
        for statistic in Statistic::ALL {
            let mut add = |axes: &Axes, keep: bool, mut x: Sample| {
                if statistic == Statistic::Max {
                    spread(&mut x.values);
                }
                let op = Reduce { statistic, axes: axes.clone(), keep };
                if Op::<f64>::shape(&op, &[&x.shape]).is_ok() {
                    all.push((op, vec![x]));
                }
            };
            for shape in [&[3, 5][..], &[4, 1], &[1, 3], &[2, 3, 2], &[130], &[0, 3], &[3, 0]] {
                add(&Axes::All, false, Sample::normal(shape, 0));
                add(&Axes::Last, false, Sample::normal(shape, 0));
            }
            add(&Axes::All, false, Sample::normal(&[], 0));
            add(&Axes::All, false, Sample::points(&[-800.0, 1e-3, 800.0]));
            // Every pattern of kept and reduced axes; rows of one column, of a few, of many, and more than a
            // leaf holds.
            for axes in 0..16usize {
                let list: Vec<usize> = (0..4).filter(|i| axes >> i & 1 > 0).collect();
                add(&these(&list), axes % 3 == 0, Sample::normal(&[2, 3, 1 + axes % 3, 3], 0));
            }
            for (shape, list) in [(&[67, 3][..], &[0][..]), (&[3, 41], &[0]), (&[2, 5, 33], &[1, 0]), (&[3, 0, 2], &[1]), (&[0, 5], &[0])] {
                add(&these(list), false, Sample::normal(shape, 0));
                add(&these(list), true, Sample::normal(shape, 0));
            }
        }
        let hidden = Sample::of(&[2, 3], &[f64::NEG_INFINITY, 1.0, 0.5, 40.0, f64::NEG_INFINITY, -800.0]);
        all.push((Reduce::over(Statistic::LogSumExp, Axes::Last), vec![hidden]));
        all
    }
    fn refusals() -> Vec<Refusal<Self>> {
        let over = Reduce::over;
        vec![
            (over(Statistic::Mean, Axes::All), vec![vec![0, 2]], "at least one element"),
            (over(Statistic::Mean, Axes::Last), vec![vec![2, 0]], "at least one element"),
            (over(Statistic::Max, Axes::These(vec![1])), vec![vec![2, 0]], "at least one element"),
            (over(Statistic::Variance { unbiased: true }, Axes::Last), vec![vec![3, 1]], "at least two elements"),
            (over(Statistic::Sum, Axes::Last), vec![vec![]], "at least one axis"),
            (over(Statistic::Sum, Axes::These(vec![0, 2])), vec![vec![3, 4]], "axes below 2"),
            (over(Statistic::Sum, Axes::These(vec![1, 1])), vec![vec![3, 4]], "each axis once"),
            (over(Statistic::Sum, Axes::All), vec![], "one input"),
        ]
    }
}

/// Moves numbers apart, in their order: no two are near each other, so that no step of a difference changes
/// which is the largest.
fn spread(values: &mut [f64]) {
    let mut order: Vec<usize> = (0..values.len()).collect();
    order.sort_by(|i, j| values[*i].total_cmp(&values[*j]));
    for (rank, i) in order.into_iter().enumerate() {
        values[i] += rank as f64 / 16.0;
    }
}

macro_rules! over_axes {
    ($($(#[$doc:meta])* $name:ident: $statistic:expr;)+) => {
        impl<R: Real> Recorder<R> {
            $($(#[$doc])*
            /// The axes disappear, or stay with size 1 if they are to be kept.
            ///
            /// # Errors
            /// If an axis is not x's or is named twice, if there are too few elements, or if x is another
            /// recorder's.
            #[track_caller]
            pub fn $name(&mut self, x: Var, axes: &[usize], keep: bool) -> crate::Result<Var> {
                self.apply(Reduce { statistic: $statistic, axes: Axes::These(axes.to_vec()), keep }, &[x])
            })+
        }
    };
}

over_axes! {
    /// Sums over any set of axes.
    sum_axes: Statistic::Sum;
    /// Means over any set of axes.
    mean_axes: Statistic::Mean;
    /// Variances over any set of axes, biased: of n elements, sum (x - m)^2/n.
    variance_axes: Statistic::Variance { unbiased: false };
    /// Variances over any set of axes, unbiased: of n >= 2 elements, sum (x - m)^2/(n - 1).
    unbiased_variance_axes: Statistic::Variance { unbiased: true };
    /// Maxima over any set of axes; NaN if an element is. Equal largest elements share the adjoint equally.
    max_axes: Statistic::Max;
    /// ln sum e^x over any set of axes. -infinity if all elements are, and then the gradient is 0; NaN if one
    /// is infinity.
    logsumexp_axes: Statistic::LogSumExp;
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Value and gradient (for dy = 1, 2, ...) of one operation.
    fn run(op: Reduce, shape: &[usize], x: &[f64]) -> (Vec<f64>, Vec<f64>) {
        let mut r = Recorder::<f64>::new();
        let var = r.input_with_gradient("x", shape).unwrap();
        let y = r.apply(op, &[var]).unwrap();
        let n = elements(r.shape(y).unwrap());
        let program = r.finish();
        let mut ws = program.workspace().unwrap();
        ws.input_mut(var).unwrap().copy_from_slice(x);
        program.forward(&[], &mut ws).unwrap();
        let value = ws.value(y).unwrap().to_vec();
        let dy: Vec<f64> = (1..=n).map(|i| i as f64).collect();
        program.backward(&[], &mut ws, &[(y, &dy)], &mut []).unwrap();
        (value, ws.adjoint(var).unwrap().to_vec())
    }

    #[test]
    fn axes_are_reduced_and_kept_as_asked() {
        let x: Vec<f64> = (0..24).map(f64::from).collect();
        let mut r = Recorder::<f64>::new();
        let var = r.input("x", &[2, 3, 4]).unwrap();
        let kept = r.sum_axes(var, &[0, 2], true).unwrap();
        let gone = r.unbiased_variance_axes(var, &[1], false).unwrap();
        assert_eq!((r.shape(kept).unwrap(), r.shape(gone).unwrap()), (&[1, 3, 1][..], &[2, 4][..]));
        let op = |statistic, axes: &[usize]| Reduce::over(statistic, Axes::These(axes.to_vec()));
        assert_eq!(run(op(Statistic::Sum, &[0, 2]), &[2, 3, 4], &x).0, [60.0, 92.0, 124.0]);
        assert_eq!(run(op(Statistic::Mean, &[2, 1]), &[2, 3, 4], &x).0, [5.5, 17.5]);
        assert_eq!(run(op(Statistic::Max, &[1]), &[2, 3, 4], &x).0, [8.0, 9.0, 10.0, 11.0, 20.0, 21.0, 22.0, 23.0]);
        // Deviations -4, 0, 4.
        assert_eq!(run(op(Statistic::Variance { unbiased: true }, &[1]), &[2, 3, 4], &x).0, [16.0; 8]);
        assert_eq!(run(op(Statistic::Variance { unbiased: false }, &[1]), &[2, 3, 4], &x).0, [32.0 / 3.0; 8]);
    }

    #[test]
    fn a_large_mean_costs_the_variance_no_digits() {
        let x: Vec<f64> = (0..1000).map(|i| 1e9 + f64::from(i % 2)).collect();
        assert_eq!(run(Reduce::over(Statistic::Variance { unbiased: false }, Axes::All), &[1000], &x).0, [0.25]);
    }

    #[test]
    fn equal_maxima_share_the_adjoint() {
        let op = || Reduce::over(Statistic::Max, Axes::Last);
        let (y, dx) = run(op(), &[2, 4], &[3.0, 1.0, 3.0, 0.0, -1.0, -1.0, -1.0, -1.0]);
        assert_eq!((y, dx), (vec![3.0, -1.0], vec![0.5, 0.0, 0.5, 0.0, 0.5, 0.5, 0.5, 0.5]));
        let x = [f64::NAN, 1.0, 2.0, 1.0, 1.0, 2.0, f64::NAN, 0.0];
        assert!(run(op(), &[2, 4], &x).0.iter().all(|y| y.is_nan()));
    }

    #[test]
    fn logsumexp_of_nothing_is_minus_infinity_without_a_gradient() {
        let none = f64::NEG_INFINITY;
        let op = |axis: usize| Reduce::over(Statistic::LogSumExp, Axes::These(vec![axis]));
        let (y, dx) = run(op(1), &[3, 2], &[none, none, none, 7.0, 1000.0, 1000.0]);
        assert_eq!((y[0], y[1], dx), (none, 7.0, vec![0.0, 0.0, 0.0, 2.0, 1.5, 1.5]));
        assert!((y[2] - 1000.0 - std::f64::consts::LN_2).abs() <= 1e-12);
        assert_eq!(run(op(0), &[2, 1], &[none, none]), (vec![none], vec![0.0, 0.0]));
        assert_eq!(run(op(0), &[0, 2], &[]).0, [none, none]);
        assert!(run(op(0), &[2, 1], &[f64::INFINITY, 0.0]).0[0].is_nan());
    }

    #[test]
    fn long_strided_sums_are_trees() {
        // 2^22 rows of f32: a running sum of 0.1 would be wrong in the third digit.
        let rows = 1 << 22;
        let mut r = Recorder::<f32>::new();
        let x = r.input("x", &[rows, 2]).unwrap();
        let y = r.sum_axes(x, &[0], false).unwrap();
        let program = r.finish();
        let mut ws = program.workspace().unwrap();
        ws.input_mut(x).unwrap().fill(0.1);
        program.forward(&[], &mut ws).unwrap();
        let exact = f64::from(0.1f32) * rows as f64;
        for y in ws.value(y).unwrap() {
            assert!((f64::from(*y) - exact).abs() <= 80.0 * 0.5 * f64::from(f32::EPSILON) * exact, "{y}");
        }
    }
}
