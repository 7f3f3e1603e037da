//! Convolution of images.

use crate::Real;
use crate::kernels::conv::{Convolution, Start};
use crate::kernels::linear::add_row_sums;
use crate::simd::level;
use crate::tape::op::{Adjoints, Checked, Op, Operands, Output, Point, Reads, Sample};
use crate::tape::recorder::methods;

methods! {
    /// Convolution of x `[n, h, w, c_in]` with weights `[kh, kw, c_in/groups, c_out]`; see [`Conv2d`].
    conv2d(x, weight; conv: Conv2d) = conv;
    /// As [`Self::conv2d`], plus the bias `[c_out]`.
    conv2d_bias(x, weight, bias; conv: Conv2d) = conv;
}

/// y = x * w (+ bias), as JAX and PyTorch have it (no turning of the kernel), channels last:
///
/// `y[n, i, j, d] = bias[d] + sum over a, b, c of x[n, s i + a - p, s j + b - p, c] w[a, b, c, d]`, zeros outside of x.
///
/// x `[n, h, w, c_in]`, w `[kh, kw, c_in/groups, c_out]`, bias `[c_out]` -> `[n, h', w', c_out]` with h' = floor((h + 2 p - kh)/s) + 1.
/// With groups, the k-th part of the output channels sees the k-th part of the input channels alone.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Conv2d {
    /// s, downwards and to the right; at least 1.
    pub stride: [usize; 2],
    /// p, rows of zeros above and below, columns of zeros left and right.
    pub padding: [usize; 2],
    /// Divides c_in and c_out.
    pub groups: usize,
}

impl Default for Conv2d {
    /// Stride 1, no padding, one group.
    fn default() -> Self {
        Conv2d { stride: [1, 1], padding: [0, 0], groups: 1 }
    }
}

impl Conv2d {
    /// The sizes, or what was expected.
    fn sizes(self, x: &[&[usize]]) -> Result<Convolution, String> {
        let form = || "x [n, h, w, c_in], weight [kh, kw, c_in/groups, c_out], and maybe bias [c_out]".to_string();
        let (&[images, h, w, c], &[kh, kw, cg, d]) = (match x {
            [x, weight] | [x, weight, _] => (*x, *weight),
            _ => return Err(form()),
        }) else {
            return Err(form());
        };
        if x.get(2).is_some_and(|bias| *bias != [d]) {
            return Err(form());
        }
        let Conv2d { stride, padding, groups } = self;
        grouped(groups, c, d)?;
        if cg != c / groups {
            return Err(format!("weights of {} input channels (c_in/groups), got {cg}", c / groups));
        }
        let (large, kernel) = ([h, w], [kh, kw]);
        stepped(kernel, stride)?;
        let size = |a: usize| Convolution::small_size(large[a], kernel[a], stride[a], padding[a]);
        match (size(0), size(1)) {
            (Some(a), Some(b)) => Ok(Convolution { images, large, c, small: [a, b], d, kernel, stride, padding, groups }.cut()),
            _ => Err(format!("a kernel that fits into the image with its padding, got {kernel:?} for {large:?} and padding {padding:?}")),
        }
    }
    /// For shapes that [`Op::shape`] accepted.
    fn of<R: Real>(self, x: Operands<'_, R>) -> Option<Convolution> {
        self.sizes(&[x.shape(0), x.shape(1)]).ok()
    }
}

/// Whether `groups` divides both numbers of channels.
pub fn grouped(groups: usize, c: usize, d: usize) -> Result<(), String> {
    if groups > 0 && c.is_multiple_of(groups) && d.is_multiple_of(groups) {
        return Ok(());
    }
    Err(format!("a number of groups that divides both numbers of channels, got {groups} for {c} and {d}"))
}

/// Whether kernel and stride are at least 1.
pub fn stepped(kernel: [usize; 2], stride: [usize; 2]) -> Result<(), String> {
    if kernel.contains(&0) || stride.contains(&0) {
        return Err(format!("kernel and stride of at least 1, got {kernel:?} and {stride:?}"));
    }
    Ok(())
}

/// The name with what differs from the plain operation.
pub fn label(name: &str, stride: [usize; 2], padding: [usize; 2], groups: usize) -> String {
    let mut label = name.to_string();
    for (word, [a, b], plain) in [("stride", stride, 1), ("padding", padding, 0)] {
        if [a, b] != [plain, plain] {
            label += &if a == b { format!(" {word} {a}") } else { format!(" {word} {a}x{b}") };
        }
    }
    if groups != 1 {
        label += &format!(" groups {groups}");
    }
    label
}

/// The gradient of a bias, input 2 if there is one.
pub fn add_bias_gradient<R: Real>(dy: &mut [R], dx: &mut Adjoints<'_, R>, inputs: usize) {
    if inputs == 3
        && let Some(db) = dx.add_to(2)
    {
        add_row_sums(dy, db);
    }
}

/// Where a forward pass starts: from the bias, input 2 if there is one.
pub fn start<'a, R: Real>(x: &Operands<'a, R>) -> Start<'a, R> {
    if x.count() == 3 { Start::Bias(x.value(2)) } else { Start::Zero }
}

impl<R: Real> Op<R> for Conv2d {
    fn name(&self) -> &'static str {
        "conv2d"
    }
    fn label(&self) -> String {
        label("conv2d", self.stride, self.padding, self.groups)
    }
    fn shape(&self, x: &[&[usize]]) -> Result<Vec<usize>, String> {
        let c = self.sizes(x)?;
        Ok(vec![c.images, c.small[0], c.small[1], c.d])
    }
    fn scratch(&self, x: &[&[usize]]) -> usize {
        self.sizes(x).map_or(0, |c| c.scratch::<R>(level()))
    }
    fn reads(&self) -> Reads {
        Reads::Inputs
    }
    fn with_bias(&self) -> Option<Box<dyn Op<R>>> {
        // The same operation with three inputs; what has a bias already has four then, which the shape rule refuses.
        Some(Box::new(*self))
    }
    fn flops(&self, x: &[&[usize]], y: &[usize]) -> u64 {
        let bias = if x.len() == 3 { y.iter().product::<usize>() as u64 } else { 0 };
        self.sizes(x).map_or(0, |c| c.flops() + bias)
    }
    fn forward(&self, x: Operands<'_, R>, out: Output<'_, R>) {
        let Some(c) = self.of(x) else { return };
        c.apply(level(), x.value(0), x.value(1), start(&x), out.y, out.scratch);
    }
    fn vjp(&self, x: Operands<'_, R>, at: Point<'_, R>, dx: &mut Adjoints<'_, R>) {
        let Some(c) = self.of(x) else { return };
        if let Some((dx, fresh)) = dx.slot(0) {
            c.adjoint(level(), at.dy, x.value(1), if fresh { Start::Zero } else { Start::Old }, dx, at.scratch);
        }
        if let Some(dw) = dx.add_to(1) {
            c.add_weight_gradient(level(), x.value(0), at.dy, dw, at.scratch);
        }
        add_bias_gradient(at.dy, dx, x.count());
    }
}

impl Checked for Conv2d {
    fn samples() -> Vec<(Self, Vec<Sample>)> {
        let plain = Conv2d::default();
        let op = |stride, padding, groups| Conv2d { stride, padding, groups };
        let cases: [(Conv2d, [usize; 4], [usize; 4]); 15] = [
            (plain, [2, 5, 4, 3], [3, 2, 3, 5]),
            (plain, [1, 1, 1, 1], [1, 1, 1, 1]),
            (plain, [3, 2, 3, 2], [1, 1, 2, 7]),
            (op([1, 1], [1, 1], 1), [1, 4, 5, 6], [3, 3, 6, 6]),
            (op([1, 1], [1, 1], 1), [2, 3, 3, 1], [3, 3, 1, 6]),
            (op([1, 1], [1, 1], 1), [1, 3, 4, 6], [3, 3, 6, 1]),
            (op([2, 2], [1, 1], 1), [2, 7, 5, 2], [3, 3, 2, 3]),
            (op([3, 1], [0, 2], 1), [1, 7, 3, 1], [2, 5, 1, 2]),
            (op([3, 2], [1, 0], 1), [1, 5, 6, 2], [1, 1, 2, 2]),
            (op([1, 2], [2, 1], 3), [1, 4, 5, 6], [3, 3, 2, 3]),
            (op([usize::MAX, 9], [1, 1], 1), [2, 3, 4, 2], [3, 3, 2, 2]),
            (op([1, 1], [1, 1], 1), [0, 3, 3, 2], [3, 3, 2, 2]),
            (plain, [1, 3, 3, 0], [2, 2, 0, 2]),
            (plain, [1, 3, 3, 2], [2, 2, 2, 0]),
            (op([1, 1], [1, 1], 1), [1, 0, 2, 2], [1, 2, 2, 1]),
        ];
        let mut all = vec![];
        for (i, (op, x, weight)) in cases.into_iter().enumerate() {
            let mut inputs = vec![Sample::normal(&x, 1), Sample::normal(&weight, 2)];
            if i % 2 == 0 {
                inputs.push(Sample::normal(&weight[3..], 3));
            }
            all.push((op, inputs));
        }
        let x = Sample { shape: vec![1, 1, 3, 1], values: vec![800.0, -800.0, 1.0] };
        let weight = Sample { shape: vec![1, 2, 1, 1], values: vec![1.0, 799.0] };
        all.push((plain, vec![x, weight, Sample::points(&[-300.0])]));
        all
    }
    fn refusals() -> Vec<(Self, Vec<Vec<usize>>, &'static str)> {
        let op = |stride, padding, groups| Conv2d { stride: [stride; 2], padding: [padding; 2], groups };
        let (x, w) = (vec![2, 5, 4, 6], vec![3, 3, 6, 4]);
        vec![
            (op(1, 0, 1), vec![x.clone()], "weight [kh, kw, c_in/groups, c_out]"),
            (op(1, 0, 1), vec![vec![5, 4, 6], w.clone()], "x [n, h, w, c_in]"),
            (op(1, 0, 1), vec![x.clone(), w.clone(), vec![3]], "bias [c_out]"),
            (op(1, 0, 1), vec![x.clone(), vec![3, 3, 5, 4]], "6 input channels (c_in/groups), got 5"),
            (op(1, 0, 2), vec![x.clone(), w.clone()], "3 input channels (c_in/groups), got 6"),
            (op(1, 0, 4), vec![x.clone(), w.clone()], "got 4 for 6 and 4"),
            (op(1, 0, 0), vec![x.clone(), w.clone()], "got 0 for 6 and 4"),
            (op(0, 0, 1), vec![x.clone(), w.clone()], "at least 1, got [3, 3] and [0, 0]"),
            (op(1, 0, 1), vec![x.clone(), vec![3, 0, 6, 4]], "at least 1, got [3, 0]"),
            (op(1, 0, 1), vec![vec![2, 2, 4, 6], w.clone()], "got [3, 3] for [2, 4] and padding [0, 0]"),
            (op(1, usize::MAX, 1), vec![x, w], "fits into the image"),
        ]
    }
}
