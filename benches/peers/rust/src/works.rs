//! The works, and their inputs: what both libraries have in common.

use std::path::PathBuf;

/// The layers of the small perceptron, which `sample` and `infer-*` have, too.
const SMALL: [usize; 5] = [14, 128, 128, 128, 2];
const LARGE: [usize; 5] = [64, 512, 512, 512, 64];
/// The U-Net's channels on its first level, and the groups of its norms.
pub const WIDTH: usize = 32;
pub const GROUPS: usize = 8;
/// Frequencies of the time that `sample` gives the perceptron.
pub const FREQUENCIES: usize = 6;

/// What is timed.
#[derive(Clone, Copy)]
pub enum Work {
    /// A step of Adam: mean of |sigma net(x) + z|^2.
    Mlp { sizes: [usize; 5], batch: usize },
    /// A step of Adam: mean of (net(x, t) - z)^2.
    Unet { images: usize },
    /// The small perceptron on so many rows.
    Infer { rows: usize },
    /// The reverse SDE in the plane.
    Sample { samples: usize, steps: usize },
    /// The product of two square matrices.
    Gemm { side: usize },
}

impl Work {
    pub fn named(name: &str) -> Option<Self> {
        Some(match name {
            "mlp-small" => Self::Mlp { sizes: SMALL, batch: 1024 },
            "mlp-large" => Self::Mlp { sizes: LARGE, batch: 512 },
            "unet" => Self::Unet { images: 64 },
            "infer-1" => Self::Infer { rows: 1 },
            "infer-4096" => Self::Infer { rows: 4096 },
            "sample" => Self::Sample { samples: 10_000, steps: 100 },
            "gemm-1024x1024x1024" => Self::Gemm { side: 1024 },
            _ => return None,
        })
    }

    /// The layers of its perceptron.
    pub fn sizes(self) -> [usize; 5] {
        if let Self::Mlp { sizes, .. } = self { sizes } else { SMALL }
    }

    /// Units of work before the first timed one, and in each timed call.
    pub fn calls(self) -> (usize, usize) {
        match self {
            Self::Mlp { .. } => (20, 10),
            Self::Unet { .. } => (5, 1),
            _ => (1, 1),
        }
    }

    /// What `compare.py` compares, of the last unit before the first timed one.
    pub fn results(self, x: &[f32]) -> Vec<(&'static str, f64)> {
        let mean = |f: &dyn Fn(f64) -> f64| x.iter().map(|&x| f(x.into())).sum::<f64>() / x.len() as f64;
        let average = mean(&|x| x);
        match self {
            Self::Mlp { .. } => vec![("loss_20", average)],
            Self::Unet { .. } => vec![("loss_5", average)],
            Self::Infer { .. } => vec![("first", x[0].into()), ("mean", average)],
            Self::Sample { .. } => vec![("std", mean(&|x| (x - average).powi(2)).sqrt())],
            Self::Gemm { .. } => vec![],
        }
    }
}

/// One unit of a work, ready to run: returns the loss of a training step, or else all that was computed.
pub type Unit = Box<dyn FnMut() -> Vec<f32>>;

/// The folder with the inputs, or none: then they are drawn.
pub struct Inputs(pub Option<PathBuf>);

impl Inputs {
    /// The array `name`, row-major: from its file, or uniform in low..high, of a stream that the name alone decides.
    pub fn get(&self, name: &str, shape: &[usize], [low, high]: [f32; 2]) -> Vec<f32> {
        let Some(folder) = &self.0 else {
            let seed = name.bytes().fold(0, |seed: u64, b| seed.wrapping_mul(257).wrapping_add(b.into()));
            let draw = |i: usize| low + (high - low) * uniform(seed.wrapping_mul(1 << 32).wrapping_add(i as u64));
            return (0..shape.iter().product()).map(draw).collect();
        };
        let path = folder.join(format!("{name}.npy"));
        let x = candle_core::Tensor::read_npy(&path).unwrap_or_else(|e| panic!("{}: {e}", path.display()));
        assert_eq!(x.dims(), shape, "{}: not the shape of this work", path.display());
        x.flatten_all().and_then(|x| x.to_vec1()).unwrap_or_else(|e| panic!("{}: {e}", path.display()))
    }

    /// Data of deviation 1.
    pub fn data(&self, name: &str, shape: &[usize]) -> Vec<f32> {
        self.get(name, shape, [-3f32.sqrt(), 3f32.sqrt()])
    }

    /// Rows of the small perceptron's input, again from the first when there are no more.
    pub fn rows(&self, rows: usize) -> Vec<f32> {
        self.data("x", &[1024, SMALL[0]]).into_iter().cycle().take(rows * SMALL[0]).collect()
    }

    /// The weights of the perceptron's layer, [inputs, outputs]; its biases start at zero.
    pub fn weights(&self, layer: usize, sizes: [usize; 5]) -> Vec<f32> {
        let bound = (sizes[layer] as f32).powf(-0.5);
        self.get(&format!("w{layer}"), &sizes[layer..layer + 2], [-bound, bound])
    }

    /// Weights, outputs first, and biases of the U-Net's layer.
    pub fn layer(&self, name: &str, shape: &[usize]) -> [Vec<f32>; 2] {
        let bound = (shape[1..].iter().product::<usize>() as f32).powf(-0.5);
        let weights = self.get(&format!("p.{name}.w"), shape, [-bound, bound]);
        [weights, self.get(&format!("p.{name}.b"), &shape[..1], [-0.1, 0.1])]
    }

    /// Factors and offsets of the U-Net's norm.
    pub fn norm(&self, name: &str, channels: usize) -> [Vec<f32>; 2] {
        let factors = self.get(&format!("p.{name}.g"), &[channels], [0.5, 1.5]);
        [factors, self.get(&format!("p.{name}.b"), &[channels], [-0.1, 0.1])]
    }
}

/// The number `i` of the sequence of splitmix64, in 0..1.
fn uniform(i: u64) -> f32 {
    let mut z = i.wrapping_add(1).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    ((z ^ (z >> 31)) >> 40) as f32 / (1 << 24) as f32
}
