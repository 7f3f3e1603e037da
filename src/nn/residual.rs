//! The residual perceptron: deep without losing its gradient.

use super::layers::{Declared, Layers, Start, check};
use crate::tape::{Activation, Parameter, Recorder, Var};
use crate::{Real, Result};

/// A multilayer perceptron of residual blocks on rows `[n, inputs]` -> `[n, outputs]`:
///
/// h = in(x);  h <- h + `b{k}.1`(silu(`b{k}.0`(norm(h)))), k = 0..blocks;  y = out(norm(h)).
///
/// norm is a layer normalisation. The second layer of each block and the last start at zero.
///
/// ```
/// use ndsm::nn::ResidualMlp;
/// let net = ResidualMlp::new(3, 64, 4, 2)?;
/// assert_eq!(net.parameter_count(), 4 * 64 + 4 * (2 * 65 * 64 + 2 * 64) + 2 * 64 + 65 * 2);
/// # Ok::<(), ndsm::Error>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ResidualMlp {
    inputs: usize,
    blocks: usize,
    outputs: usize,
    layers: Layers,
    count: usize,
}

impl ResidualMlp {
    /// A network of `blocks` blocks of `width` units.
    ///
    /// # Errors
    /// If `inputs` or `outputs` is not in 1..=1,000,000, `width` in 1..=16,384, `blocks` in 1..=256, or there would be more than
    /// 2^30 parameters.
    pub fn new(inputs: usize, width: usize, blocks: usize, outputs: usize) -> Result<Self> {
        check(&[
            ("inputs", inputs, 1, 1_000_000),
            ("width", width, 1, 16_384),
            ("blocks", blocks, 1, 256),
            ("outputs", outputs, 1, 1_000_000),
        ])?;
        let mut layers = Layers::default();
        layers.linear("in", inputs, width, Start::Unit);
        for k in 0..blocks {
            layers.norm(format!("b{k}.norm"), width);
            layers.linear(format!("b{k}.0"), width, width, Start::Unit);
            layers.linear(format!("b{k}.1"), width, width, Start::Zero);
        }
        layers.norm("norm", width);
        layers.linear("out", width, outputs, Start::Zero);
        Ok(ResidualMlp { inputs, blocks, outputs, count: layers.count()?, layers })
    }

    /// Length of an input row.
    pub fn inputs(&self) -> usize {
        self.inputs
    }
    /// Length of an output row.
    pub fn outputs(&self) -> usize {
        self.outputs
    }
    /// Number of parameters.
    pub fn parameter_count(&self) -> usize {
        self.count
    }
    /// Names, shapes and places of the parameters: `in.weight`, `in.bias`, `b0.norm.scale`, `b0.norm.shift`, `b0.0.weight`, ...
    pub fn parameters(&self) -> Vec<Parameter> {
        self.layers.parameters()
    }
    /// Initial parameters: normal weights of variance 1/inputs; biases, the second layer of each block and the last zero.
    pub fn init<R: Real>(&self, seed: u64) -> Vec<R> {
        self.layers.init(seed)
    }

    /// Records the parameters under `prefix`.
    ///
    /// # Errors
    /// If the names are taken.
    pub fn declare<R: Real>(&self, recorder: &mut Recorder<R>, prefix: &str) -> Result<Declared> {
        self.layers.declare(recorder, prefix)
    }

    /// Records the network's value at `x` `[n, inputs]`.
    ///
    /// # Errors
    /// If the shapes do not fit or the parameters are another network's.
    pub fn apply<R: Real>(&self, r: &mut Recorder<R>, p: &Declared, x: Var) -> Result<Var> {
        let mut h = p.linear(r, "in", x, Activation::Identity)?;
        for k in 0..self.blocks {
            let inner = p.layer_norm(r, &format!("b{k}.norm"), h)?;
            let inner = p.linear(r, &format!("b{k}.0"), inner, Activation::Silu)?;
            let inner = p.linear(r, &format!("b{k}.1"), inner, Activation::Identity)?;
            h = r.add(h, inner)?;
        }
        let h = p.layer_norm(r, "norm", h)?;
        p.linear(r, "out", h, Activation::Identity)
    }

    /// [`Self::declare`] without a prefix and [`Self::apply`] in one.
    ///
    /// # Errors
    /// As those.
    pub fn record<R: Real>(&self, recorder: &mut Recorder<R>, x: Var) -> Result<Var> {
        let declared = self.declare(recorder, "")?;
        self.apply(recorder, &declared, x)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::nn::layers::EPSILON;
    use crate::rng::{Purpose, Stream};

    #[test]
    fn sizes_are_checked() {
        for (i, w, b, o, words) in [
            (0, 1, 1, 1, "network.inputs"),
            (1, 0, 1, 1, "network.width"),
            (1, 1, 0, 1, "network.blocks: must be an integer in 1..=256, got 0"),
            (1, 1, 1, usize::MAX, "network.outputs"),
            (1, 16_384, 256, 1, "more than 1073741824 parameters"),
        ] {
            let e = ResidualMlp::new(i, w, b, o).unwrap_err().to_string();
            assert!(e.contains(words), "{e}");
        }
    }

    /// The documented formula, one row at a time.
    #[test]
    fn a_row_follows_the_formula() {
        let net = ResidualMlp::new(2, 3, 2, 1).unwrap();
        let mut params = vec![0f64; net.parameter_count()];
        Stream::new(3, Purpose::Test, 0, 0).fill_normal(&mut params);
        let rows = [[0.3, -1.0], [2.0, 0.5]];
        let mut r = Recorder::<f64>::new();
        let x = r.input("x", &[2, net.inputs()]).unwrap();
        let y = net.record(&mut r, x).unwrap();
        let program = r.finish();
        assert_eq!((program.parameters(), program.parameter_count()), (&net.parameters()[..], net.parameter_count()));
        let mut ws = program.workspace().unwrap();
        ws.input_mut(x).unwrap().copy_from_slice(rows.as_flattened());
        program.forward(&params, &mut ws).unwrap();

        let of = |name: &str| &params[net.parameters().iter().find(|p| p.name == name).unwrap().range()];
        let linear = |name: &str, x: &[f64]| {
            let (w, b) = (of(&format!("{name}.weight")), of(&format!("{name}.bias")));
            (0..b.len()).map(|j| b[j] + x.iter().enumerate().map(|(i, x)| x * w[i * b.len() + j]).sum::<f64>()).collect::<Vec<f64>>()
        };
        let norm = |name: &str, x: &[f64]| {
            let (scale, shift) = (of(&format!("{name}.scale")), of(&format!("{name}.shift")));
            let mean = x.iter().sum::<f64>() / 3.0;
            let std = (x.iter().map(|x| (x - mean).powi(2)).sum::<f64>() / 3.0 + EPSILON).sqrt();
            (0..3).map(|j| (x[j] - mean) / std * scale[j] + shift[j]).collect::<Vec<f64>>()
        };
        for (row, y) in rows.iter().zip(ws.value(y).unwrap()) {
            let mut h = linear("in", row);
            for k in 0..2 {
                let inner = linear(&format!("b{k}.0"), &norm(&format!("b{k}.norm"), &h));
                let inner: Vec<f64> = inner.iter().map(|z| z / (1.0 + (-z).exp())).collect();
                let inner = linear(&format!("b{k}.1"), &inner);
                h.iter_mut().zip(inner).for_each(|(h, i)| *h += i);
            }
            let expected = linear("out", &norm("norm", &h))[0];
            assert!((y - expected).abs() <= 1e-12 * (1.0 + expected.abs()), "{y}, not {expected}");
        }
        let zero = net.init::<f64>(0);
        program.forward(&zero, &mut ws).unwrap();
        assert!(ws.value(y).unwrap().iter().all(|y| *y == 0.0) && zero != net.init::<f64>(1));
    }
}
