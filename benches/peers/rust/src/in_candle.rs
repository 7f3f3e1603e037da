//! The works in candle, on its CPU back end: eager, NCHW, products by the `gemm` crate.

use crate::works::{FREQUENCIES, GROUPS, Inputs, Unit, WIDTH, Work};
use candle_core::{Device, Result, Shape, Tensor, Var};
use candle_nn::{AdamW, Conv2d, Conv2dConfig, GroupNorm, Linear, Module, Optimizer, ParamsAdamW};
use std::f64::consts::PI;

fn tensor(x: Vec<f32>, shape: impl Into<Shape>) -> Result<Tensor> {
    Tensor::from_vec(x, shape, &Device::Cpu)
}

fn numbers(x: &Tensor) -> Vec<f32> {
    x.flatten_all().and_then(|x| x.to_vec1()).expect("f32")
}

/// Makes layers, and keeps their parameters for the optimiser.
struct Layers<'a> {
    inputs: &'a Inputs,
    vars: Vec<Var>,
}

impl<'a> Layers<'a> {
    fn new(inputs: &'a Inputs) -> Self {
        Self { inputs, vars: vec![] }
    }

    fn var(&mut self, x: Tensor) -> Result<Tensor> {
        let var = Var::from_tensor(&x)?;
        self.vars.push(var.clone());
        Ok(var.as_tensor().clone())
    }

    /// Weights, of that shape, and biases.
    fn pair(&mut self, [w, b]: [Vec<f32>; 2], shape: &[usize]) -> Result<[Tensor; 2]> {
        Ok([self.var(tensor(w, shape)?)?, self.var(tensor(b, shape[0])?)?])
    }

    fn dense(&mut self, name: &str, i: usize, o: usize) -> Result<Linear> {
        let [w, b] = self.pair(self.inputs.layer(name, &[o, i]), &[o, i])?;
        Ok(Linear::new(w, Some(b)))
    }

    fn conv(&mut self, name: &str, i: usize, o: usize, kernel: usize, stride: usize) -> Result<Conv2d> {
        let shape = [o, i, kernel, kernel];
        let [w, b] = self.pair(self.inputs.layer(name, &shape), &shape)?;
        Ok(Conv2d::new(w, Some(b), Conv2dConfig { padding: kernel / 2, stride, ..Default::default() }))
    }

    fn norm(&mut self, name: &str, channels: usize) -> Result<GroupNorm> {
        let [g, b] = self.pair(self.inputs.norm(name, channels), &[channels])?;
        GroupNorm::new(g, b, channels, GROUPS, 1e-5)
    }

    fn mlp(&mut self, sizes: [usize; 5]) -> Result<Mlp> {
        let layer = |l: usize| {
            let w = tensor(self.inputs.weights(l, sizes), &sizes[l..l + 2])?;
            let b = vec![0.0; sizes[l + 1]];
            Ok(Linear::new(self.var(w.t()?.contiguous()?)?, Some(self.var(tensor(b, sizes[l + 1])?)?)))
        };
        Ok(Mlp((0..4).map(layer).collect::<Result<_>>()?))
    }

    fn block(&mut self, name: &str, i: usize, o: usize) -> Result<Block> {
        Ok(Block {
            n0: self.norm(&format!("{name}.n0"), i)?,
            c0: self.conv(&format!("{name}.c0"), i, o, 3, 1)?,
            t: self.dense(&format!("{name}.t"), 4 * WIDTH, o)?,
            n1: self.norm(&format!("{name}.n1"), o)?,
            c1: self.conv(&format!("{name}.c1"), o, o, 3, 1)?,
            s: (i != o).then(|| self.conv(&format!("{name}.s"), i, o, 1, 1)).transpose()?,
        })
    }

    fn unet(&mut self) -> Result<Unet> {
        let c = WIDTH;
        Ok(Unet {
            time: [self.dense("t0", c, 4 * c)?, self.dense("t1", 4 * c, 4 * c)?],
            first: self.conv("in", 1, c, 3, 1)?,
            d0: self.block("d0", c, c)?,
            down0: self.conv("down0", c, c, 3, 2)?,
            d1: self.block("d1", c, 2 * c)?,
            down1: self.conv("down1", 2 * c, 2 * c, 3, 2)?,
            d2: self.block("d2", 2 * c, 2 * c)?,
            up1: self.conv("up1", 2 * c, 2 * c, 3, 1)?,
            u1: self.block("u1", 4 * c, 2 * c)?,
            up0: self.conv("up0", 2 * c, 2 * c, 3, 1)?,
            u0: self.block("u0", 3 * c, c)?,
            norm: self.norm("n", c)?,
            last: self.conv("out", c, 1, 3, 1)?,
        })
    }
}

struct Mlp(Vec<Linear>);

impl Mlp {
    fn forward(&self, x: &Tensor) -> Result<Tensor> {
        let hidden = self.0[..3].iter().try_fold(x.clone(), |x, layer| layer.forward(&x)?.silu())?;
        self.0[3].forward(&hidden)
    }
}

struct Block {
    n0: GroupNorm,
    c0: Conv2d,
    t: Linear,
    n1: GroupNorm,
    c1: Conv2d,
    s: Option<Conv2d>,
}

impl Block {
    fn forward(&self, x: &Tensor, e: &Tensor) -> Result<Tensor> {
        let time = self.t.forward(e)?.unsqueeze(2)?.unsqueeze(3)?;
        let h = self.c0.forward(&self.n0.forward(x)?.silu()?)?.broadcast_add(&time)?;
        let h = self.c1.forward(&self.n1.forward(&h)?.silu()?)?;
        match &self.s {
            Some(s) => h + s.forward(x)?,
            None => h + x,
        }
    }
}

struct Unet {
    time: [Linear; 2],
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
    fn forward(&self, x: &Tensor, t: &Tensor) -> Result<Tensor> {
        let half = WIDTH / 2;
        let frequencies = (0..half).map(|k| 1e3 * 1e4f32.powf(-(k as f32) / half as f32)).collect();
        let a = t.unsqueeze(1)?.broadcast_mul(&tensor(frequencies, (1, half))?)?;
        let e = self.time[0].forward(&Tensor::cat(&[a.sin()?, a.cos()?], 1)?)?.silu()?;
        let e = self.time[1].forward(&e)?.silu()?;
        let double = |x: &Tensor| x.upsample_nearest2d(2 * x.dim(2)?, 2 * x.dim(3)?);
        let s0 = self.d0.forward(&self.first.forward(x)?, &e)?;
        let s1 = self.d1.forward(&self.down0.forward(&s0)?, &e)?;
        let h = self.d2.forward(&self.down1.forward(&s1)?, &e)?;
        let h = self.u1.forward(&Tensor::cat(&[self.up1.forward(&double(&h)?)?, s1], 1)?, &e)?;
        let h = self.u0.forward(&Tensor::cat(&[self.up0.forward(&double(&h)?)?, s0], 1)?, &e)?;
        self.last.forward(&self.norm.forward(&h)?.silu()?)
    }
}

/// A step of Adam: candle's AdamW without decay.
fn trained(vars: Vec<Var>, loss: impl Fn() -> Result<Tensor> + 'static) -> Result<Unit> {
    let mut adam = AdamW::new(vars, ParamsAdamW { lr: 1e-3, weight_decay: 0.0, ..Default::default() })?;
    let mut step = move || {
        let value = loss()?;
        adam.backward_step(&value)?;
        value.to_scalar()
    };
    Ok(Box::new(move || vec![step().expect("a step")]))
}

/// dY = (Y/2 + s(Y, t)) dt + dB from t = 1 to 0, in `steps` equal steps; the network sees sin and cos of pi t k.
fn sample(net: &Mlp, start: &Tensor, steps: usize) -> Result<Tensor> {
    let h = 1.0 / steps as f64;
    (0..steps).try_fold(start.clone(), |y, n| {
        let angle = |k| PI * (1.0 - n as f64 * h) * k as f64;
        let features = (1..=FREQUENCIES).map(|k| angle(k).sin()).chain((1..=FREQUENCIES).map(|k| angle(k).cos()));
        let features = tensor(features.map(|x| x as f32).collect(), (1, 2 * FREQUENCIES))?;
        let features = features.broadcast_as((y.dim(0)?, 2 * FREQUENCIES))?;
        let drift = ((&y / 2.0)? + net.forward(&Tensor::cat(&[&y, &features], 1)?)?)?;
        (&y + (drift * h)?)? + (y.randn_like(0.0, 1.0)? * h.sqrt())?
    })
}

pub fn unit(work: Work, inputs: &Inputs) -> Result<Unit> {
    let mut layers = Layers::new(inputs);
    let sizes = work.sizes();
    Ok(match work {
        Work::Mlp { batch, .. } => {
            let net = layers.mlp(sizes)?;
            let x = tensor(inputs.data("x", &[batch, sizes[0]]), (batch, sizes[0]))?;
            let z = tensor(inputs.data("z", &[batch, sizes[4]]), (batch, sizes[4]))?;
            let sigma = tensor(inputs.get("sigma", &[batch, 1], [0.1, 1.0]), (batch, 1))?;
            trained(layers.vars, move || (net.forward(&x)?.broadcast_mul(&sigma)? + &z)?.sqr()?.sum(1)?.mean_all())?
        }
        Work::Unet { images } => {
            let net = layers.unet()?;
            let shape = [images, 1, 28, 28];
            let x = tensor(inputs.data("x", &shape), &shape)?;
            let z = tensor(inputs.data("z", &shape), &shape)?;
            let t = tensor(inputs.get("t", &[images], [0.0, 1.0]), images)?;
            trained(layers.vars, move || (net.forward(&x, &t)? - &z)?.sqr()?.mean_all())?
        }
        Work::Infer { rows } => {
            let net = Mlp(layers.mlp(sizes)?.0.into_iter().map(detached).collect());
            let x = tensor(inputs.rows(rows), (rows, sizes[0]))?;
            Box::new(move || numbers(&net.forward(&x).expect("an output")))
        }
        Work::Sample { samples, steps } => {
            let net = Mlp(layers.mlp(sizes)?.0.into_iter().map(detached).collect());
            let start = tensor(inputs.data("x", &[samples, 2]), (samples, 2))?;
            Box::new(move || numbers(&sample(&net, &start, steps).expect("samples")))
        }
        Work::Gemm { side } => {
            let [a, b] = ["a", "b"].map(|name| tensor(inputs.data(name, &[side, side]), (side, side)));
            let (a, b) = (a?, b?);
            Box::new(move || {
                a.matmul(&b).expect("a product");
                vec![]
            })
        }
    })
}

/// The layer without a record of what was done with it: nothing is trained.
fn detached(layer: Linear) -> Linear {
    Linear::new(layer.weight().detach(), layer.bias().map(Tensor::detach))
}
