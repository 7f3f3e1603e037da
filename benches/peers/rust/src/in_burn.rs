//! The works in burn, on its CPU back end `flex`: eager, NCHW, products by the `gemm` crate.
//!
//! Of burn 0.22's back ends for a CPU it is the fastest in every work. `ndarray`, which is deprecated, takes 1.4 to 7 times as long
//! (as long for a product of large matrices) and far longer for the U-Net. `cpu` is not tried: it compiles its kernels by an LLVM
//! that its build downloads. `tch` is LibTorch, which stands beside as PyTorch, and burn no longer has a back end on candle.

use crate::works::{FREQUENCIES, GROUPS, Inputs, Unit, WIDTH, Work};
use burn::module::{Module, Param};
use burn::nn::conv::{Conv2d, Conv2dConfig};
use burn::nn::{GroupNorm, GroupNormConfig, Linear, PaddingConfig2d};
use burn::optim::{AdamConfig, GradientsParams};
use burn::tensor::activation::silu;
use burn::tensor::module::interpolate;
use burn::tensor::ops::{InterpolateMode, InterpolateOptions};
use burn::tensor::{Device, Distribution, Tensor, TensorData};
use std::f64::consts::PI;

fn tensor<const D: usize>(x: Vec<f32>, shape: [usize; D], device: &Device) -> Tensor<D> {
    Tensor::from_data(TensorData::new(x, shape), device)
}

fn numbers<const D: usize>(x: Tensor<D>) -> Vec<f32> {
    x.into_data().try_into_vec().expect("f32")
}

/// Makes layers.
struct Layers<'a> {
    inputs: &'a Inputs,
    device: &'a Device,
}

impl Layers<'_> {
    fn parameter<const D: usize>(&self, x: Vec<f32>, shape: [usize; D]) -> Param<Tensor<D>> {
        Param::from_tensor(tensor(x, shape, self.device))
    }

    /// A dense layer of weights [inputs, outputs].
    fn linear(&self, w: Vec<f32>, b: Vec<f32>, [i, o]: [usize; 2]) -> Linear {
        Linear { weight: self.parameter(w, [i, o]), bias: Some(self.parameter(b, [o])) }
    }

    fn dense(&self, name: &str, i: usize, o: usize) -> Linear {
        let [w, b] = self.inputs.layer(name, &[o, i]);
        let transposed = (0..i * o).map(|at| w[at % o * i + at / o]).collect();
        self.linear(transposed, b, [i, o])
    }

    fn conv(&self, name: &str, i: usize, o: usize, kernel: usize, stride: usize) -> Conv2d {
        let (shape, pad) = ([o, i, kernel, kernel], kernel / 2);
        let [w, b] = self.inputs.layer(name, &shape);
        let config = Conv2dConfig::new([i, o], [kernel; 2]).with_stride([stride; 2]);
        let layer = config.with_padding(PaddingConfig2d::Explicit(pad, pad, pad, pad)).init(self.device);
        Conv2d { weight: self.parameter(w, shape), bias: Some(self.parameter(b, [o])), ..layer }
    }

    fn norm(&self, name: &str, channels: usize) -> GroupNorm {
        let [gamma, beta] = self.inputs.norm(name, channels).map(|x| Some(self.parameter(x, [channels])));
        GroupNorm { gamma, beta, ..GroupNormConfig::new(GROUPS, channels).init(self.device) }
    }

    fn mlp(&self, sizes: [usize; 5]) -> Mlp {
        let layer = |l: usize| self.linear(self.inputs.weights(l, sizes), vec![0.0; sizes[l + 1]], [sizes[l], sizes[l + 1]]);
        Mlp { layers: (0..4).map(layer).collect() }
    }

    fn block(&self, name: &str, i: usize, o: usize) -> Block {
        Block {
            n0: self.norm(&format!("{name}.n0"), i),
            c0: self.conv(&format!("{name}.c0"), i, o, 3, 1),
            t: self.dense(&format!("{name}.t"), 4 * WIDTH, o),
            n1: self.norm(&format!("{name}.n1"), o),
            c1: self.conv(&format!("{name}.c1"), o, o, 3, 1),
            s: (i != o).then(|| self.conv(&format!("{name}.s"), i, o, 1, 1)),
        }
    }

    fn unet(&self) -> Unet {
        let c = WIDTH;
        Unet {
            t0: self.dense("t0", c, 4 * c),
            t1: self.dense("t1", 4 * c, 4 * c),
            first: self.conv("in", 1, c, 3, 1),
            d0: self.block("d0", c, c),
            down0: self.conv("down0", c, c, 3, 2),
            d1: self.block("d1", c, 2 * c),
            down1: self.conv("down1", 2 * c, 2 * c, 3, 2),
            d2: self.block("d2", 2 * c, 2 * c),
            up1: self.conv("up1", 2 * c, 2 * c, 3, 1),
            u1: self.block("u1", 4 * c, 2 * c),
            up0: self.conv("up0", 2 * c, 2 * c, 3, 1),
            u0: self.block("u0", 3 * c, c),
            norm: self.norm("n", c),
            last: self.conv("out", c, 1, 3, 1),
        }
    }
}

#[derive(Module, Debug)]
struct Mlp {
    layers: Vec<Linear>,
}

impl Mlp {
    fn forward(&self, x: Tensor<2>) -> Tensor<2> {
        let hidden = self.layers[..3].iter().fold(x, |x, layer| silu(layer.forward(x)));
        self.layers[3].forward(hidden)
    }
}

#[derive(Module, Debug)]
struct Block {
    n0: GroupNorm,
    c0: Conv2d,
    t: Linear,
    n1: GroupNorm,
    c1: Conv2d,
    s: Option<Conv2d>,
}

impl Block {
    fn forward(&self, x: Tensor<4>, e: Tensor<2>) -> Tensor<4> {
        let time = self.t.forward(e).unsqueeze_dims(&[2, 3]);
        let h = self.c0.forward(silu(self.n0.forward(x.clone()))) + time;
        let h = self.c1.forward(silu(self.n1.forward(h)));
        match &self.s {
            Some(s) => h + s.forward(x),
            None => h + x,
        }
    }
}

#[derive(Module, Debug)]
struct Unet {
    t0: Linear,
    t1: Linear,
    first: Conv2d,
    d0: Block,
    down0: Conv2d,
    d1: Block,
    down1: Conv2d,
    d2: Block,
    up1: Conv2d,
    u1: Block,
    up0: Conv2d,
    u0: Block,
    norm: GroupNorm,
    last: Conv2d,
}

impl Unet {
    fn forward(&self, x: Tensor<4>, t: Tensor<1>) -> Tensor<4> {
        let half = WIDTH / 2;
        let frequencies = (0..half).map(|k| 1e3 * 1e4f32.powf(-(k as f32) / half as f32)).collect();
        let a = t.clone().unsqueeze_dim(1) * tensor(frequencies, [1, half], &t.device());
        let e = silu(self.t0.forward(Tensor::cat(vec![a.clone().sin(), a.cos()], 1)));
        let e = silu(self.t1.forward(e));
        let double = |x| interpolate(x, InterpolateOptions::new(InterpolateMode::Nearest).with_scale_factor([2.0; 2]));
        let s0 = self.d0.forward(self.first.forward(x), e.clone());
        let s1 = self.d1.forward(self.down0.forward(s0.clone()), e.clone());
        let h = self.d2.forward(self.down1.forward(s1.clone()), e.clone());
        let h = self.u1.forward(Tensor::cat(vec![self.up1.forward(double(h)), s1], 1), e.clone());
        let h = self.u0.forward(Tensor::cat(vec![self.up0.forward(double(h)), s0], 1), e);
        self.last.forward(silu(self.norm.forward(h)))
    }
}

/// A step of Adam. The optimiser takes the network and gives it back.
fn trained<N: Module + 'static>(net: N, loss: impl Fn(&N) -> Tensor<1> + 'static) -> Unit {
    let mut adam = AdamConfig::new().with_epsilon(1e-8).init();
    let mut net = Some(net);
    Box::new(move || {
        let old = net.take().expect("the network of the step before");
        let value = loss(&old);
        let gradients = GradientsParams::from_grads(value.backward(), &old);
        net = Some(adam.step(1e-3, old, gradients));
        numbers(value)
    })
}

/// dY = (Y/2 + s(Y, t)) dt + dB from t = 1 to 0, in `steps` equal steps; the network sees sin and cos of pi t k.
fn sample(net: &Mlp, start: &Tensor<2>, steps: usize) -> Tensor<2> {
    let h = 1.0 / steps as f64;
    (0..steps).fold(start.clone(), |y, n| {
        let angle = |k| PI * (1.0 - n as f64 * h) * k as f64;
        let features = (1..=FREQUENCIES).map(|k| angle(k).sin()).chain((1..=FREQUENCIES).map(|k| angle(k).cos()));
        let features = tensor(features.map(|x| x as f32).collect(), [1, 2 * FREQUENCIES], &y.device());
        let features = features.expand([y.dims()[0], 2 * FREQUENCIES]);
        let drift = y.clone() / 2.0 + net.forward(Tensor::cat(vec![y.clone(), features], 1));
        let noise = y.random_like(Distribution::Normal(0.0, 1.0));
        y + drift * h + noise * h.sqrt()
    })
}

pub fn unit(work: Work, inputs: &Inputs) -> Unit {
    let device = Device::flex();
    let device = if matches!(work, Work::Mlp { .. } | Work::Unet { .. }) { device.autodiff() } else { device };
    let layers = Layers { inputs, device: &device };
    let sizes = work.sizes();
    match work {
        Work::Mlp { batch, .. } => {
            let x = tensor(inputs.data("x", &[batch, sizes[0]]), [batch, sizes[0]], &device);
            let z = tensor(inputs.data("z", &[batch, sizes[4]]), [batch, sizes[4]], &device);
            let sigma = tensor(inputs.get("sigma", &[batch, 1], [0.1, 1.0]), [batch, 1], &device);
            trained(layers.mlp(sizes), move |net| (net.forward(x.clone()) * sigma.clone() + z.clone()).square().sum_dim(1).mean())
        }
        Work::Unet { images } => {
            let shape = [images, 1, 28, 28];
            let [x, z] = ["x", "z"].map(|name| tensor(inputs.data(name, &shape), shape, &device));
            let t = tensor(inputs.get("t", &[images], [0.0, 1.0]), [images], &device);
            trained(layers.unet(), move |net| (net.forward(x.clone(), t.clone()) - z.clone()).square().mean())
        }
        Work::Infer { rows } => {
            let (net, x) = (layers.mlp(sizes), tensor(inputs.rows(rows), [rows, sizes[0]], &device));
            Box::new(move || numbers(net.forward(x.clone())))
        }
        Work::Sample { samples, steps } => {
            let net = layers.mlp(sizes);
            let start = tensor(inputs.data("x", &[samples, 2]), [samples, 2], &device);
            Box::new(move || numbers(sample(&net, &start, steps)))
        }
        Work::Gemm { side } => {
            let [a, b] = ["a", "b"].map(|name| tensor(inputs.data(name, &[side; 2]), [side; 2], &device));
            Box::new(move || {
                drop(a.clone().matmul(b.clone()));
                vec![]
            })
        }
    }
}
