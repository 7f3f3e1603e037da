//! The losses again, in plain Rust and f64, formula by formula: what the libraries time has to be the same computation.

use crate::works::{GROUPS, Inputs, WIDTH, Work};
use crate::{in_burn, in_candle};

/// A square image, its channels one after the other: x[(channel * side + row) * side + column].
struct Image {
    side: usize,
    x: Vec<f64>,
}

fn wide(x: Vec<f32>) -> Vec<f64> {
    x.into_iter().map(f64::from).collect()
}

fn silu(x: f64) -> f64 {
    x / (1.0 + (-x).exp())
}

fn dense(inputs: &Inputs, name: &str, x: &[f64], outputs: usize) -> Vec<f64> {
    let [w, b] = inputs.layer(name, &[outputs, x.len()]).map(wide);
    let row = |o: usize| b[o] + w[o * x.len()..][..x.len()].iter().zip(x).map(|(w, x)| w * x).sum::<f64>();
    (0..outputs).map(row).collect()
}

impl Image {
    fn channels(&self) -> usize {
        self.x.len() / self.side.pow(2)
    }

    /// One pixel; zero around the image.
    fn at(&self, channel: usize, row: isize, column: isize) -> f64 {
        let side = self.side as isize;
        let inside = (0..side).contains(&row) && (0..side).contains(&column);
        if inside { self.x[(channel * self.side + row as usize) * self.side + column as usize] } else { 0.0 }
    }

    fn conv(&self, inputs: &Inputs, name: &str, outputs: usize, kernel: usize, stride: usize) -> Self {
        let [w, b] = inputs.layer(name, &[outputs, self.channels(), kernel, kernel]).map(wide);
        let (side, taps) = (self.side / stride, self.channels() * kernel * kernel);
        let pixel = |at: usize| {
            let [o, row, column] = [at / side / side, at / side % side, at % side];
            let tap = |k: usize| {
                let shift = |pixel: usize, k: usize| (pixel * stride + k) as isize - (kernel / 2) as isize;
                let [c, i, j] = [k / kernel / kernel, k / kernel % kernel, k % kernel];
                w[o * taps + k] * self.at(c, shift(row, i), shift(column, j))
            };
            b[o] + (0..taps).map(tap).sum::<f64>()
        };
        Self { side, x: (0..outputs * side * side).map(pixel).collect() }
    }

    /// A group of channels with mean 0 and deviation 1, then SiLU of factor and offset of each channel.
    fn smooth(&self, inputs: &Inputs, name: &str) -> Self {
        let [g, b] = inputs.norm(name, self.channels()).map(wide);
        let group = |x: &[f64]| {
            let mean = x.iter().sum::<f64>() / x.len() as f64;
            let variance = x.iter().map(|x| (x - mean).powi(2)).sum::<f64>() / x.len() as f64;
            x.iter().map(|x| (x - mean) / (variance + 1e-5).sqrt()).collect::<Vec<_>>()
        };
        let normal = self.x.chunks(self.x.len() / GROUPS).flat_map(group).enumerate();
        let area = self.side.pow(2);
        Self { side: self.side, x: normal.map(|(i, x)| silu(g[i / area] * x + b[i / area])).collect() }
    }

    fn block(&self, inputs: &Inputs, name: &str, e: &[f64], outputs: usize) -> Self {
        let layer = |part: &str| format!("{name}.{part}");
        let (time, area) = (dense(inputs, &layer("t"), e, outputs), self.side.pow(2));
        let mut h = self.smooth(inputs, &layer("n0")).conv(inputs, &layer("c0"), outputs, 3, 1);
        h.x.iter_mut().enumerate().for_each(|(i, h)| *h += time[i / area]);
        let h = h.smooth(inputs, &layer("n1")).conv(inputs, &layer("c1"), outputs, 3, 1);
        if self.channels() == outputs { h.plus(&self.x) } else { h.plus(&self.conv(inputs, &layer("s"), outputs, 1, 1).x) }
    }

    fn plus(mut self, other: &[f64]) -> Self {
        self.x.iter_mut().zip(other).for_each(|(x, other)| *x += other);
        self
    }

    /// Every pixel as a square of four.
    fn double(&self) -> Self {
        let side = 2 * self.side;
        let pixel = |at: usize| self.x[(at / side / 2) * self.side + at % side / 2];
        Self { side, x: (0..4 * self.x.len()).map(pixel).collect() }
    }

    fn beside(mut self, other: &Self) -> Self {
        self.x.extend(&other.x);
        self
    }
}

/// The U-Net on one image.
fn unet(inputs: &Inputs, x: Vec<f64>, t: f64) -> Vec<f64> {
    let (c, half) = (WIDTH, WIDTH / 2);
    let angle = |k: usize| 1e3 * t * 1e4f64.powf(-(k as f64) / half as f64);
    let features: Vec<f64> = (0..half).map(|k| angle(k).sin()).chain((0..half).map(|k| angle(k).cos())).collect();
    let smooth = |x: Vec<f64>| x.into_iter().map(silu).collect::<Vec<_>>();
    let e = smooth(dense(inputs, "t0", &features, 4 * c));
    let e = smooth(dense(inputs, "t1", &e, 4 * c));
    let s0 = Image { side: 28, x }.conv(inputs, "in", c, 3, 1).block(inputs, "d0", &e, c);
    let s1 = s0.conv(inputs, "down0", c, 3, 2).block(inputs, "d1", &e, 2 * c);
    let h = s1.conv(inputs, "down1", 2 * c, 3, 2).block(inputs, "d2", &e, 2 * c);
    let h = h.double().conv(inputs, "up1", 2 * c, 3, 1).beside(&s1).block(inputs, "u1", &e, 2 * c);
    let h = h.double().conv(inputs, "up0", 2 * c, 3, 1).beside(&s0).block(inputs, "u0", &e, c);
    h.smooth(inputs, "n").conv(inputs, "out", 1, 3, 1).x
}

/// The perceptron on one row.
fn mlp(inputs: &Inputs, sizes: [usize; 5], x: &[f64]) -> Vec<f64> {
    (0..4).fold(x.to_vec(), |x, l| {
        let w = wide(inputs.weights(l, sizes));
        let output = |o: usize| (0..sizes[l]).map(|i| x[i] * w[i * sizes[l + 1] + o]).sum::<f64>();
        (0..sizes[l + 1]).map(output).map(|y| if l < 3 { silu(y) } else { y }).collect()
    })
}

/// The loss of a training's first step.
fn loss(work: Work, inputs: &Inputs) -> f64 {
    match work {
        Work::Mlp { sizes, batch } => {
            let [x, z] = [("x", sizes[0]), ("z", sizes[4])].map(|(name, n)| wide(inputs.data(name, &[batch, n])));
            let sigma = wide(inputs.get("sigma", &[batch, 1], [0.1, 1.0]));
            let row = |r: usize| {
                let y = mlp(inputs, sizes, &x[r * sizes[0]..][..sizes[0]]);
                y.iter().zip(&z[r * sizes[4]..]).map(|(y, z)| (sigma[r] * y + z).powi(2)).sum::<f64>()
            };
            (0..batch).map(row).sum::<f64>() / batch as f64
        }
        Work::Unet { images } => {
            let [x, z] = ["x", "z"].map(|name| wide(inputs.data(name, &[images, 1, 28, 28])));
            let t = wide(inputs.get("t", &[images], [0.0, 1.0]));
            let y = x.chunks(784).zip(t).flat_map(|(x, t)| unet(inputs, x.to_vec(), t));
            y.zip(&z).map(|(y, z)| (y - z).powi(2)).sum::<f64>() / z.len() as f64
        }
        _ => unreachable!("not a training"),
    }
}

fn agree(what: &str, a: f64, b: f64) {
    println!("{what}: {a} and {b}");
    assert!((a - b).abs() <= 1e-4 * b.abs(), "{what}: {a} and {b}");
}

/// Smaller batches than those timed, all else the same.
#[test]
fn first_losses_agree_with_plain_rust_and_later_ones_with_each_other() {
    let inputs = Inputs(None);
    let named = |name| Work::named(name).expect("a work");
    let small = Work::Mlp { sizes: named("mlp-small").sizes(), batch: 32 };
    let large = Work::Mlp { sizes: named("mlp-large").sizes(), batch: 16 };
    for (name, work) in [("mlp-small", small), ("mlp-large", large), ("unet", Work::Unet { images: 2 })] {
        let mut burn = in_burn::unit(work, &inputs);
        let mut candle = in_candle::unit(work, &inputs).expect("candle");
        let mut losses = || [&mut burn, &mut candle].map(|unit| f64::from(unit()[0]));
        let [first, right] = [losses(), [loss(work, &inputs); 2]];
        agree(&format!("{name}, burn and plain Rust"), first[0], right[0]);
        agree(&format!("{name}, candle and plain Rust"), first[1], right[1]);
        let [burn, candle] = (0..5).map(|_| losses()).last().expect("five steps");
        agree(&format!("{name}, five steps later, burn and candle"), burn, candle);
    }
}

#[test]
fn inference_agrees_with_plain_rust() {
    let (inputs, work) = (Inputs(None), Work::Infer { rows: 3 });
    let right: Vec<f64> = wide(inputs.rows(3)).chunks(14).flat_map(|x| mlp(&inputs, work.sizes(), x)).collect();
    for (name, mut unit) in [("burn", in_burn::unit(work, &inputs)), ("candle", in_candle::unit(work, &inputs).expect("candle"))] {
        let y = unit();
        assert_eq!(y.len(), right.len());
        y.iter().zip(&right).for_each(|(y, right)| agree(name, f64::from(*y), *right));
    }
}
