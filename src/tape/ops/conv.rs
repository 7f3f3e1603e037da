//! Convolution of images and its adjoint: one operation, whose forward pass is the other direction's gradient
//! by the image.

use crate::Real;
use crate::kernels::conv::{Convolution, Start, add_row_sums};
use crate::simd::level;
use crate::tape::op::{Adjoints, Op, Operands, Output, Point, Reads};
use crate::tape::recorder::methods;
use crate::tape::sample::{Checked, Refusal, Sample};

methods! {
    /// Convolution of x `[n, h, w, c_in]` with weights `[kh, kw, c_in/groups, c_out]`; see [`Conv2d`].
    conv2d(x, weight; conv: Conv2d) = Convolve::from(conv);
    /// As [`Self::conv2d`], plus the bias `[c_out]`.
    conv2d_bias(x, weight, bias; conv: Conv2d) = Convolve::from(conv);
    /// The adjoint of the convolution's map: x `[n, h, w, c_in]`, weights `[kh, kw, c_out/groups, c_in]`; see
    /// [`ConvTranspose2d`].
    conv_transpose2d(x, weight; conv: ConvTranspose2d) = Convolve::from(conv);
    /// As [`Self::conv_transpose2d`], plus the bias `[c_out]`.
    conv_transpose2d_bias(x, weight, bias; conv: ConvTranspose2d) = Convolve::from(conv);
}

/// y = x * w (+ bias), as JAX and PyTorch have it (no turning of the kernel), channels last:
///
/// `y[n, i, j, d] = bias[d] + sum over a, b, c of x[n, s i + a - p, s j + b - p, c] w[a, b, c, d]`, zeros
/// outside of x.
///
/// x `[n, h, w, c_in]`, w `[kh, kw, c_in/groups, c_out]`, bias `[c_out]` -> `[n, h', w', c_out]` with
/// h' = floor((h + 2 p - kh)/s) + 1. With groups, the k-th part of the output channels sees the k-th part of
/// the input channels alone.
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

/// The adjoint of the map x -> x * w of [`Conv2d`] with the same weights, stride, padding and groups, plus a
/// bias b; without it, `<y, conv2d(z, w)> = <conv_transpose2d(y, w), z>` for every z of the result's shape.
///
/// x `[n, h, w, c_in]`, w `[kh, kw, c_out/groups, c_in]`, b `[c_out]` -> `[n, h', w', c_out]` with
/// h' = (h - 1) s - 2 p + kh + output_padding. The convolution maps images of s different sizes to one size:
/// `output_padding` tells them apart.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ConvTranspose2d {
    /// s, of the convolution; at least 1.
    pub stride: [usize; 2],
    /// p, of the convolution: so many rows and columns of the result are cut off on every side.
    pub padding: [usize; 2],
    /// Rows below and columns to the right that the result has in addition; less than the stride.
    pub output_padding: [usize; 2],
    /// Divides c_in and c_out.
    pub groups: usize,
}

impl Default for ConvTranspose2d {
    /// Stride 1, no padding, one group.
    fn default() -> Self {
        ConvTranspose2d { stride: [1, 1], padding: [0, 0], output_padding: [0, 0], groups: 1 }
    }
}

/// A convolution, from an image x to y, or its adjoint, from y to x, which has `output_padding`.
#[derive(Clone, Copy)]
pub struct Convolve {
    stride: [usize; 2],
    padding: [usize; 2],
    output_padding: Option<[usize; 2]>,
    groups: usize,
}

impl From<Conv2d> for Convolve {
    fn from(Conv2d { stride, padding, groups }: Conv2d) -> Self {
        Convolve { stride, padding, output_padding: None, groups }
    }
}

impl From<ConvTranspose2d> for Convolve {
    fn from(ConvTranspose2d { stride, padding, output_padding, groups }: ConvTranspose2d) -> Self {
        Convolve { stride, padding, output_padding: Some(output_padding), groups }
    }
}

impl Convolve {
    /// The sizes, or what was expected.
    fn sizes(self, inputs: &[&[usize]]) -> Result<Convolution, String> {
        let adjoint = self.output_padding.is_some();
        let form = || {
            let weight = if adjoint { "[kh, kw, c_out/groups, c_in]" } else { "[kh, kw, c_in/groups, c_out]" };
            format!("x [n, h, w, c_in], weight {weight}, and maybe bias [c_out]")
        };
        let (&[images, height, width, channels], &[kh, kw, cg, d]) = (match inputs {
            [x, weight] | [x, weight, _] => (*x, *weight),
            _ => return Err(form()),
        }) else {
            return Err(form());
        };
        let (stride, padding, groups) = (self.stride, self.padding, self.groups);
        let (given, kernel) = ([height, width], [kh, kw]);
        // Channels of the larger image; the weights have those of the smaller one.
        let c = if adjoint { cg.checked_mul(groups).ok_or_else(form)? } else { channels };
        if adjoint && channels != d {
            return Err(form());
        }
        if groups == 0 || !c.is_multiple_of(groups) || !d.is_multiple_of(groups) {
            return Err(format!("a number of groups that divides both numbers of channels, got {groups} for {c} and {d}"));
        }
        if inputs.get(2).is_some_and(|bias| *bias != [if adjoint { c } else { d }]) {
            return Err(form());
        }
        if cg != c / groups {
            return Err(format!("weights of {} input channels (c_in/groups), got {cg}", c / groups));
        }
        stepped(kernel, stride)?;
        let [large, small] = match self.output_padding {
            None => match each(|a| Convolution::small_size(given[a], kernel[a], stride[a], padding[a])) {
                Some(small) => [given, small],
                None => {
                    let what = format!("got {kernel:?} for {given:?} and padding {padding:?}");
                    return Err(format!("a kernel that fits into the image with its padding, {what}"));
                }
            },
            Some(extra) if (0..2).any(|a| extra[a] >= stride[a]) => {
                return Err(format!("output padding below the stride, got {extra:?} and {stride:?}"));
            }
            Some(extra) => match each(|a| Convolution::large_size(given[a], kernel[a], stride[a], padding[a], extra[a])) {
                Some(large) => [large, given],
                None => {
                    let what = format!("got an image of {given:?}, kernel {kernel:?}, padding {padding:?}");
                    return Err(format!("a result of at least one pixel, {what}"));
                }
            },
        };
        Ok(Convolution { images, large, c, small, d, kernel, stride, padding, groups }.cut())
    }
    /// For shapes that [`Op::shape`] accepted.
    fn of<R: Real>(self, x: Operands<'_, R>) -> Option<Convolution> {
        self.sizes(&[x.shape(0), x.shape(1)]).ok()
    }
}

/// Of height and width, if there is one of both.
fn each(f: impl Fn(usize) -> Option<usize>) -> Option<[usize; 2]> {
    Some([f(0)?, f(1)?])
}

/// Whether kernel and stride are at least 1.
pub fn stepped(kernel: [usize; 2], stride: [usize; 2]) -> Result<(), String> {
    if kernel.contains(&0) || stride.contains(&0) {
        return Err(format!("kernel and stride of at least 1, got {kernel:?} and {stride:?}"));
    }
    Ok(())
}

impl<R: Real> Op<R> for Convolve {
    fn name(&self) -> &'static str {
        if self.output_padding.is_some() { "conv_transpose2d" } else { "conv2d" }
    }
    /// The name with what differs from the plain operation.
    fn label(&self) -> String {
        let mut label = Op::<R>::name(self).to_string();
        for (word, [a, b], plain) in [("stride", self.stride, 1), ("padding", self.padding, 0)] {
            if [a, b] != [plain, plain] {
                label += &if a == b { format!(" {word} {a}") } else { format!(" {word} {a}x{b}") };
            }
        }
        if self.groups != 1 {
            label += &format!(" groups {}", self.groups);
        }
        label
    }
    fn shape(&self, x: &[&[usize]]) -> Result<Vec<usize>, String> {
        let c = self.sizes(x)?;
        let ([h, w], channels) = if self.output_padding.is_some() { (c.large, c.c) } else { (c.small, c.d) };
        Ok(vec![c.images, h, w, channels])
    }
    fn scratch(&self, x: &[&[usize]]) -> usize {
        self.sizes(x).map_or(0, |c| c.scratch::<R>(level()))
    }
    fn reads(&self) -> Reads {
        Reads::Inputs
    }
    fn flops(&self, x: &[&[usize]], y: &[usize]) -> u64 {
        let bias = if x.len() == 3 { y.iter().product::<usize>() as u64 } else { 0 };
        self.sizes(x).map_or(0, |c| c.flops() + bias)
    }
    fn forward(&self, x: Operands<'_, R>, out: Output<'_, R>) {
        let Some(c) = self.of(x) else { return };
        let start = if x.count() == 3 { Start::Bias(x.value(2)) } else { Start::Zero };
        let map = if self.output_padding.is_some() { Convolution::adjoint } else { Convolution::apply };
        map(&c, level(), x.value(0), x.value(1), start, out.y, out.scratch);
    }
    fn vjp(&self, x: Operands<'_, R>, at: Point<'_, R>, dx: &mut Adjoints<'_, R>) {
        let Some(c) = self.of(x) else { return };
        let adjoint = self.output_padding.is_some();
        if let Some((dx, fresh)) = dx.slot(0) {
            let map = if adjoint { Convolution::apply } else { Convolution::adjoint };
            map(&c, level(), at.dy, x.value(1), if fresh { Start::Zero } else { Start::Old }, dx, at.scratch);
        }
        if let Some(dw) = dx.add_to(1) {
            let [large, small] = if adjoint { [&*at.dy, x.value(0)] } else { [x.value(0), &*at.dy] };
            c.add_weight_gradient(level(), large, small, dw, at.scratch);
        }
        if x.count() == 3
            && let Some(db) = dx.add_to(2)
        {
            add_row_sums(at.dy, db);
        }
    }
}

impl Checked for Convolve {
    fn samples() -> Vec<(Self, Vec<Sample>)> {
        let mut all = convolutions();
        all.extend(adjoints());
        // The last one large.
        for op in [Convolve::from(Conv2d::default()), ConvTranspose2d::default().into()] {
            let (x, weight) = (Sample::of(&[1, 1, 3, 1], &[800.0, -800.0, 1.0]), Sample::of(&[1, 2, 1, 1], &[1.0, 799.0]));
            all.push((op, vec![x, weight, Sample::points(&[-300.0])]));
        }
        all
    }
    fn refusals() -> Vec<Refusal<Self>> {
        let mut all = refused_convolutions();
        all.extend(refused_adjoints());
        all
    }
}

/// Every second one with a bias.
fn cases<const N: usize>(cases: [(impl Into<Convolve>, [usize; 4], [usize; 4]); N]) -> Vec<(Convolve, Vec<Sample>)> {
    let sample = |(i, (op, x, weight)): (usize, (_, [usize; 4], [usize; 4]))| {
        let op: Convolve = Into::into(op);
        let mut inputs = Sample::normals(&[&x, &weight]);
        if i % 2 == 0 {
            let bias = if op.output_padding.is_some() { weight[2] * op.groups } else { weight[3] };
            inputs.push(Sample::normal(&[bias], 3));
        }
        (op, inputs)
    };
    cases.into_iter().enumerate().map(sample).collect()
}

fn convolutions() -> Vec<(Convolve, Vec<Sample>)> {
    let plain = Conv2d::default();
    let op = |stride, padding, groups| Conv2d { stride, padding, groups };
    cases([
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
    ])
}

fn adjoints() -> Vec<(Convolve, Vec<Sample>)> {
    let plain = ConvTranspose2d::default();
    let op = |stride, padding, output_padding, groups| ConvTranspose2d { stride, padding, output_padding, groups };
    let mut all = cases([
        (plain, [2, 3, 2, 3], [3, 2, 5, 3]),
        (plain, [1, 1, 1, 1], [1, 1, 1, 1]),
        (op([1, 1], [1, 1], [0, 0], 1), [1, 4, 5, 6], [3, 3, 6, 6]),
        (op([2, 2], [1, 1], [1, 0], 1), [2, 3, 2, 2], [3, 3, 3, 2]),
        (op([2, 2], [0, 0], [0, 0], 1), [1, 3, 3, 5], [2, 2, 1, 5]),
        (op([3, 2], [0, 1], [2, 1], 1), [1, 2, 3, 1], [1, 2, 2, 1]),
        (op([1, 2], [2, 1], [0, 1], 3), [1, 4, 3, 6], [3, 3, 1, 6]),
        (op([usize::MAX, 5], [0, 0], [2, 1], 1), [1, 1, 2, 2], [1, 2, 1, 2]),
        (op([2, 1], [0, 0], [0, 0], 1), [0, 3, 3, 2], [3, 3, 2, 2]),
        (plain, [1, 2, 3, 0], [2, 2, 2, 0]),
        (plain, [1, 2, 3, 2], [2, 2, 0, 2]),
    ]);
    // Stride 3 and a kernel of one pixel: most of the result is bias alone.
    let bias = Sample::points(&[2.0, -3.0]);
    let op = op([3, 3], [0, 0], [1, 0], 1).into();
    all.push((op, vec![Sample::normal(&[2, 2, 1, 3], 1), Sample::normal(&[1, 1, 2, 3], 2), bias]));
    all
}

fn refused_convolutions() -> Vec<Refusal<Convolve>> {
    let op = |stride, padding, groups| Convolve::from(Conv2d { stride: [stride; 2], padding: [padding; 2], groups });
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

fn refused_adjoints() -> Vec<Refusal<Convolve>> {
    let op = |stride, padding, output_padding, groups| {
        let [stride, padding, output_padding] = [stride, padding, output_padding].map(|n| [n; 2]);
        Convolve::from(ConvTranspose2d { stride, padding, output_padding, groups })
    };
    let (x, w) = (vec![2, 5, 4, 6], vec![3, 3, 4, 6]);
    vec![
        (op(1, 0, 0, 1), vec![x.clone()], "weight [kh, kw, c_out/groups, c_in]"),
        (op(1, 0, 0, 1), vec![vec![5, 4, 6], w.clone()], "x [n, h, w, c_in]"),
        (op(1, 0, 0, 1), vec![x.clone(), vec![3, 3, 4, 5]], "x [n, h, w, c_in]"),
        (op(1, 0, 0, 1), vec![x.clone(), w.clone(), vec![6]], "bias [c_out]"),
        (op(1, 0, 0, 4), vec![x.clone(), w.clone()], "got 4 for 16 and 6"),
        (op(1, 0, 0, 0), vec![x.clone(), w.clone()], "got 0 for 0 and 6"),
        (op(0, 0, 0, 1), vec![x.clone(), w.clone()], "at least 1, got [3, 3] and [0, 0]"),
        (op(2, 0, 2, 1), vec![x.clone(), w.clone()], "below the stride, got [2, 2] and [2, 2]"),
        (op(1, 3, 0, 1), vec![x, w.clone()], "at least one pixel"),
        (op(1, 0, 0, 1), vec![vec![1, 0, 4, 6], w], "at least one pixel"),
    ]
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tape::Recorder;

    /// <conv2d(z, w), y> = <z, conv_transpose2d(y, w)> for strides, paddings, groups and every size that the
    /// convolution maps to one.
    #[test]
    fn it_is_the_adjoint_of_the_convolution() {
        for (stride, padding, groups, size) in
            [(1, 1, 1, [5, 4]), (2, 1, 1, [7, 6]), (2, 0, 2, [8, 5]), (3, 2, 4, [4, 9]), (3, 1, 1, [10, 11])]
        {
            let (z, w) = (Sample::normal(&[2, size[0], size[1], 4], 1), Sample::normal(&[3, 2, 4 / groups, 8], 2));
            let mut r = Recorder::<f64>::new();
            let (zv, wv) = (r.input("z", &z.shape).unwrap(), r.input("w", &w.shape).unwrap());
            let conv = r.conv2d(zv, wv, Conv2d { stride: [stride; 2], padding: [padding; 2], groups }).unwrap();
            let y = Sample::normal(r.shape(conv).unwrap(), 3);
            let yv = r.input("y", &y.shape).unwrap();
            let output_padding = [0, 1].map(|a| (size[a] + 2 * padding - w.shape[a]) % stride);
            let turned = ConvTranspose2d { stride: [stride; 2], padding: [padding; 2], output_padding, groups };
            let back = r.conv_transpose2d(yv, wv, turned).unwrap();
            assert_eq!(r.shape(back).unwrap(), z.shape);
            let program = r.finish();
            let mut ws = program.workspace().unwrap();
            for (var, sample) in [(zv, &z), (wv, &w), (yv, &y)] {
                ws.input_mut(var).unwrap().copy_from_slice(&sample.values);
            }
            program.forward(&[], &mut ws).unwrap();
            let dot = |a: &[f64], b: &[f64]| a.iter().zip(b).map(|(a, b)| a * b).sum::<f64>();
            let (left, right) = (dot(ws.value(conv).unwrap(), &y.values), dot(&z.values, ws.value(back).unwrap()));
            assert!(
                (left - right).abs() <= 1e-12 * (1.0 + left.abs()),
                "stride {stride}, padding {padding}, groups {groups}: {left}, {right}"
            );
        }
    }
}
