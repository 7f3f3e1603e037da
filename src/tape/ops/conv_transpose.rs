//! Transposed convolution.

use super::conv::{add_bias_gradient, grouped, label, start, stepped};
use crate::Real;
use crate::kernels::conv::{Convolution, Start};
use crate::simd::level;
use crate::tape::op::{Adjoints, Checked, Op, Operands, Output, Point, Reads, Sample};
use crate::tape::recorder::methods;

methods! {
    /// The adjoint of the convolution's map: x `[n, h, w, c_in]`, weights `[kh, kw, c_out/groups, c_in]`; see
    /// [`ConvTranspose2d`].
    conv_transpose2d(x, weight; conv: ConvTranspose2d) = conv;
    /// As [`Self::conv_transpose2d`], plus the bias `[c_out]`.
    conv_transpose2d_bias(x, weight, bias; conv: ConvTranspose2d) = conv;
}

/// The adjoint of the map x -> x * w of [`Conv2d`](super::Conv2d) with the same weights, stride, padding and groups, plus a bias b;
/// without it,
/// `<y, conv2d(z, w)> = <conv_transpose2d(y, w), z>` for every z of the result's shape.
///
/// x `[n, h, w, c_in]`, w `[kh, kw, c_out/groups, c_in]`, b `[c_out]` -> `[n, h', w', c_out]` with
/// h' = (h - 1) s - 2 p + kh + output_padding. The convolution maps images of s different sizes to one size: `output_padding`
/// tells them apart.
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

impl ConvTranspose2d {
    /// The sizes of the convolution, from the result to x.
    fn sizes(self, x: &[&[usize]]) -> Result<Convolution, String> {
        let form = || "x [n, h, w, c_in], weight [kh, kw, c_out/groups, c_in], and maybe bias [c_out]".to_string();
        let (&[images, h, w, d], &[kh, kw, cg, di]) = (match x {
            [x, weight] | [x, weight, _] => (*x, *weight),
            _ => return Err(form()),
        }) else {
            return Err(form());
        };
        if d != di {
            return Err(form());
        }
        let ConvTranspose2d { stride, padding, output_padding, groups } = self;
        let c = cg.checked_mul(groups).ok_or_else(form)?;
        grouped(groups, c, d)?;
        if x.get(2).is_some_and(|bias| *bias != [c]) {
            return Err(form());
        }
        let (small, kernel) = ([h, w], [kh, kw]);
        stepped(kernel, stride)?;
        if (0..2).any(|a| output_padding[a] >= stride[a]) {
            return Err(format!("output padding below the stride, got {output_padding:?} and {stride:?}"));
        }
        let size = |a: usize| {
            let steps = small[a].checked_sub(1)?.checked_mul(stride[a])?;
            let all = steps.checked_add(kernel[a])?.checked_add(output_padding[a])?;
            all.checked_sub(padding[a].checked_mul(2)?).filter(|n| *n > 0)
        };
        match (size(0), size(1)) {
            (Some(a), Some(b)) => Ok(Convolution { images, large: [a, b], c, small, d, kernel, stride, padding, groups }.cut()),
            _ => Err(format!("a result of at least one pixel, got an image of {small:?}, kernel {kernel:?}, padding {padding:?}")),
        }
    }
    /// For shapes that [`Op::shape`] accepted.
    fn of<R: Real>(self, x: Operands<'_, R>) -> Option<Convolution> {
        self.sizes(&[x.shape(0), x.shape(1)]).ok()
    }
}

impl<R: Real> Op<R> for ConvTranspose2d {
    fn name(&self) -> &'static str {
        "conv_transpose2d"
    }
    fn label(&self) -> String {
        label("conv_transpose2d", self.stride, self.padding, self.groups)
    }
    fn shape(&self, x: &[&[usize]]) -> Result<Vec<usize>, String> {
        let c = self.sizes(x)?;
        Ok(vec![c.images, c.large[0], c.large[1], c.c])
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
        c.adjoint(level(), x.value(0), x.value(1), start(&x), out.y, out.scratch);
    }
    fn vjp(&self, x: Operands<'_, R>, at: Point<'_, R>, dx: &mut Adjoints<'_, R>) {
        let Some(c) = self.of(x) else { return };
        if let Some((dx, fresh)) = dx.slot(0) {
            c.apply(level(), at.dy, x.value(1), if fresh { Start::Zero } else { Start::Old }, dx, at.scratch);
        }
        if let Some(dw) = dx.add_to(1) {
            c.add_weight_gradient(level(), at.dy, x.value(0), dw, at.scratch);
        }
        add_bias_gradient(at.dy, dx, x.count());
    }
}

impl Checked for ConvTranspose2d {
    fn samples() -> Vec<(Self, Vec<Sample>)> {
        let plain = ConvTranspose2d::default();
        let op = |stride, padding, output_padding, groups| ConvTranspose2d { stride, padding, output_padding, groups };
        let cases: [(ConvTranspose2d, [usize; 4], [usize; 4]); 11] = [
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
        ];
        let mut all = vec![];
        for (i, (op, x, weight)) in cases.into_iter().enumerate() {
            let mut inputs = vec![Sample::normal(&x, 1), Sample::normal(&weight, 2)];
            if i % 2 == 0 {
                inputs.push(Sample::normal(&[weight[2] * op.groups], 3));
            }
            all.push((op, inputs));
        }
        // Stride 3 and a kernel of one pixel: most of the result is bias alone.
        let bias = Sample::points(&[2.0, -3.0]);
        all.push((op([3, 3], [0, 0], [1, 0], 1), vec![Sample::normal(&[2, 2, 1, 3], 1), Sample::normal(&[1, 1, 2, 3], 2), bias]));
        let x = Sample { shape: vec![1, 1, 3, 1], values: vec![800.0, -800.0, 1.0] };
        let weight = Sample { shape: vec![1, 2, 1, 1], values: vec![1.0, 799.0] };
        all.push((plain, vec![x, weight, Sample::points(&[-300.0])]));
        all
    }
    fn refusals() -> Vec<(Self, Vec<Vec<usize>>, &'static str)> {
        let op = |stride, padding, output_padding, groups| ConvTranspose2d {
            stride: [stride; 2],
            padding: [padding; 2],
            output_padding: [output_padding; 2],
            groups,
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
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tape::{Conv2d, Recorder};

    /// <conv2d(z, w), y> = <z, conv_transpose2d(y, w)> for strides, paddings, groups and every size that the convolution maps
    /// to one.
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
