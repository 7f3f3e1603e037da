//! Layers by name: the parameters of a network as a list, from which names, places, initial values and
//! recording follow.

use super::Sizes;
use crate::rng::{Purpose, Stream};
use crate::tape::{Activation, Conv2d, ConvTranspose2d, Parameter, Recorder, Var};
use crate::{Error, Real, Result};

/// Under the square root of every normalisation.
pub(super) const EPSILON: f64 = 1e-5;
/// The largest number of parameters of a network: 4 GiB in f32.
const MAX_PARAMETERS: usize = 1 << 30;

/// One layer's parameters.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Layer {
    name: String,
    kind: Kind,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Kind {
    /// `weight`, and `bias` of this many outputs; every output is a sum of `fan_in` products.
    Weights { shape: Vec<usize>, outputs: usize, fan_in: usize, start: Start },
    /// `scale` and `shift` of a normalisation of this many channels.
    Norm(usize),
}

/// The law of a layer's initial weights: normal, with the variance that gives the outputs the second moment
/// 1, or zero.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Start {
    /// Inputs are standard normals behind this activation: 1/(fan_in E act(z)^2) (He, Zhang, Ren, Sun, ICCV
    /// 2015, for any activation in place of ReLU). `Identity` for inputs of second moment 1.
    After(Activation),
    /// All zero: the branch or network is zero before the first step.
    Zero,
}

impl Start {
    fn variance(self, fan_in: usize) -> f64 {
        match self {
            Start::After(activation) => 1.0 / second_moment(activation) / fan_in as f64,
            Start::Zero => 0.0,
        }
    }
}

/// E act(z)^2, z ~ N(0, 1), by the trapezoidal rule (exponentially accurate for a smooth decaying integrand).
pub(super) fn second_moment(activation: Activation) -> f64 {
    let value: fn(f64) -> f64 = match activation {
        Activation::Identity => return 1.0,
        Activation::Silu => |z| z / (1.0 + (-z).exp()),
        Activation::Tanh => f64::tanh,
    };
    let step = 0.05;
    let term = |i: i32| {
        let z = f64::from(i) * step;
        value(z).powi(2) * (-0.5 * z * z).exp()
    };
    (-240..=240).map(term).sum::<f64>() * step / std::f64::consts::TAU.sqrt()
}

/// The layers of a network, in the order of their parameters. Written once, they give names, shapes and
/// places of the parameters, their initial values, and what is recorded.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Layers(Vec<Layer>);

impl Layers {
    /// x w + b, w `[i, o]`.
    pub fn linear(&mut self, name: impl Into<String>, i: usize, o: usize, start: Start) {
        self.weights(name, vec![i, o], o, i, start);
    }
    /// A convolution of `k` x `k`, w `[k, k, i, o]`.
    pub fn conv(&mut self, name: impl Into<String>, k: usize, (i, o): (usize, usize), start: Start) {
        self.weights(name, vec![k, k, i, o], o, k * k * i, start);
    }
    /// A transposed convolution of 4 x 4 with stride 2, w `[4, 4, o, i]`: 2 x 2 places of the input meet in
    /// an output.
    pub fn conv_transposed(&mut self, name: impl Into<String>, i: usize, o: usize, start: Start) {
        self.weights(name, vec![4, 4, o, i], o, 4 * i, start);
    }
    /// A normalisation of `c` channels.
    pub fn norm(&mut self, name: impl Into<String>, c: usize) {
        self.0.push(Layer { name: name.into(), kind: Kind::Norm(c) });
    }
    fn weights(&mut self, name: impl Into<String>, shape: Vec<usize>, outputs: usize, fan_in: usize, start: Start) {
        self.0.push(Layer { name: name.into(), kind: Kind::Weights { shape, outputs, fan_in, start } });
    }

    /// Whether there is a layer of this name.
    pub(super) fn has(&self, name: &str) -> bool {
        self.0.iter().any(|layer| layer.name == name)
    }

    /// Number of parameters.
    ///
    /// # Errors
    /// If there are more than 2^30.
    pub fn count(&self) -> Result<usize> {
        let sizes = self.0.iter().flat_map(|layer| layer.parts().into_iter().map(|(_, shape)| shape));
        let count = sizes.map(|shape| shape.iter().try_fold(1usize, |n, s| n.checked_mul(*s))).try_fold(0usize, |n, s| n.checked_add(s?));
        let count = count.filter(|n| *n <= MAX_PARAMETERS);
        count.ok_or_else(|| Error::refused("network", format!("these sizes make more than {MAX_PARAMETERS} parameters")))
    }

    /// Names, shapes and places of the parameters.
    pub fn parameters(&self) -> Vec<Parameter> {
        let mut offset = 0;
        let mut list = vec![];
        for layer in &self.0 {
            for (what, shape) in layer.parts() {
                let p = Parameter { name: format!("{}.{what}", layer.name), shape, offset };
                offset = p.range().end;
                list.push(p);
            }
        }
        list
    }

    /// Initial parameters: weights by their law, biases and shifts 0, scales 1.
    pub fn init<R: Real>(&self, seed: u64) -> Vec<R> {
        let mut params = vec![];
        for (index, layer) in self.0.iter().enumerate() {
            let [weight, bias] = layer.parts().map(|(_, shape)| shape.iter().product::<usize>());
            let first = params.len();
            let fill = if matches!(layer.kind, Kind::Norm(_)) { R::one() } else { R::zero() };
            params.resize(first + weight, fill);
            let variance = match layer.kind {
                Kind::Weights { fan_in, start, .. } => start.variance(fan_in),
                Kind::Norm(_) => 0.0,
            };
            if variance > 0.0 {
                let weights = &mut params[first..];
                Stream::new(seed, Purpose::Init, index as u64, 0).fill_normal(weights);
                weights.iter_mut().for_each(|w| *w *= R::of(variance.sqrt()));
            }
            params.resize(first + weight + bias, R::zero());
        }
        params
    }

    /// Records all parameters as `{prefix}{layer}.{what}`.
    ///
    /// # Errors
    /// If the names are taken.
    pub fn declare<R: Real>(&self, recorder: &mut Recorder<R>, prefix: &str) -> Result<Declared> {
        let one = |p: &Parameter| Ok((p.name.clone(), recorder.parameter(&format!("{prefix}{}", p.name), &p.shape)?));
        Ok(Declared { vars: self.parameters().iter().map(one).collect::<Result<_>>()? })
    }
}

impl Layer {
    fn parts(&self) -> [(&'static str, Vec<usize>); 2] {
        match &self.kind {
            Kind::Weights { shape, outputs, .. } => [("weight", shape.clone()), ("bias", vec![*outputs])],
            Kind::Norm(c) => [("scale", vec![*c]), ("shift", vec![*c])],
        }
    }
}

/// The parameters of a recorded network. The same parameters may be applied to several inputs.
#[derive(Debug, Clone)]
pub struct Declared {
    vars: Vec<(String, Var)>,
}

impl Declared {
    /// The two parameters of a layer.
    fn layer(&self, name: &str, what: [&str; 2]) -> Result<[Var; 2]> {
        let find = |what: &str| {
            let found = self.vars.iter().find(|(n, _)| n.strip_prefix(name).and_then(|n| n.strip_prefix('.')) == Some(what));
            found.map(|(_, var)| *var).ok_or_else(|| Error::refused(format!("{name}.{what}"), "is another network's parameter"))
        };
        Ok([find(what[0])?, find(what[1])?])
    }
    pub(super) fn linear<R: Real>(&self, r: &mut Recorder<R>, name: &str, x: Var, activation: Activation) -> Result<Var> {
        let [w, b] = self.layer(name, ["weight", "bias"])?;
        r.linear(x, w, b, activation)
    }
    /// A convolution that keeps the size (odd kernels), or halves an even one at stride 2.
    pub(super) fn conv<R: Real>(&self, r: &mut Recorder<R>, name: &str, x: Var, stride: usize) -> Result<Var> {
        let [w, b] = self.layer(name, ["weight", "bias"])?;
        let padding = r.shape(w)?[0] / 2;
        r.conv2d_bias(x, w, b, Conv2d { stride: [stride; 2], padding: [padding; 2], groups: 1 })
    }
    /// A transposed convolution that doubles the size.
    pub(super) fn conv_transposed<R: Real>(&self, r: &mut Recorder<R>, name: &str, x: Var) -> Result<Var> {
        let [w, b] = self.layer(name, ["weight", "bias"])?;
        r.conv_transpose2d_bias(x, w, b, ConvTranspose2d { stride: [2; 2], padding: [1; 2], ..Default::default() })
    }
    pub(super) fn group_norm<R: Real>(&self, r: &mut Recorder<R>, name: &str, x: Var, groups: usize) -> Result<Var> {
        let [scale, shift] = self.layer(name, ["scale", "shift"])?;
        r.group_norm(x, scale, shift, groups, EPSILON, Activation::Silu)
    }
    pub(super) fn layer_norm<R: Real>(&self, r: &mut Recorder<R>, name: &str, x: Var) -> Result<Var> {
        let [scale, shift] = self.layer(name, ["scale", "shift"])?;
        r.layer_norm(x, scale, shift, EPSILON, Activation::Identity)
    }
}

/// Refuses sizes of a score network that are out of range.
pub(super) fn check_sizes(s: &Sizes) -> Result<()> {
    if !(0.0..1.0).contains(&s.dropout) {
        return Err(Error::invalid("network.dropout", "a number in [0, 1)", s.dropout));
    }
    check(&[
        ("dim", s.dim, 1, 1_000_000),
        ("width", s.width, 1, 16_384),
        ("depth", s.depth, 1, 64),
        ("frequencies", s.frequencies, 0, 256),
        ("classes", s.classes, 0, 4096),
    ])
}

/// Refuses a size out of its range.
pub(super) fn check(limits: &[(&str, usize, usize, usize)]) -> Result<()> {
    for (name, value, least, most) in limits {
        if !(least..=most).contains(&value) {
            return Err(Error::invalid(format!("network.{name}"), format!("an integer in {least}..={most}"), *value));
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn second_moments_are_those_of_the_activations() {
        // Monte Carlo over 2^20 normals; the std of each square < 1.5, 3.89 of them: 99.99 %.
        let n = 1 << 20;
        let mut z = vec![0f64; n];
        Stream::new(9, Purpose::Test, 0, 0).fill_normal(&mut z);
        for activation in [Activation::Identity, Activation::Silu, Activation::Tanh] {
            let mut r = Recorder::<f64>::new();
            let x = r.input("x", &[n]).unwrap();
            let y = match activation {
                Activation::Identity => r.scale(x, 1.0),
                Activation::Silu => r.silu(x),
                Activation::Tanh => r.tanh(x),
            };
            let square = r.square(y.unwrap()).unwrap();
            let mean = r.mean(square).unwrap();
            let program = r.finish();
            let mut ws = program.workspace().unwrap();
            ws.input_mut(x).unwrap().copy_from_slice(&z);
            program.forward(&[], &mut ws).unwrap();
            let (got, mean) = (second_moment(activation), ws.value(mean).unwrap()[0]);
            assert!((mean - got).abs() <= 3.89 * 1.5 / (n as f64).sqrt(), "{activation:?}: {got}, sampled {mean}");
        }
    }
}
