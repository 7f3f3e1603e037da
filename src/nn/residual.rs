//! The residual perceptron: deep without losing its gradient, with the time in every block.

use super::architecture::{Architecture, Kind};
use super::layers::{Layers, Start, check_sizes};
use super::{Operations, ScoreNet, Sizes, Value};
use crate::Result;
use crate::tape::Activation;

/// A multilayer perceptron of pre-norm residual blocks on rows [x, e], x the point over its standard
/// deviation, e the features of the time and of the label:
///
/// h = in(x, e);  h <- h + `b{k}.1`(drop(silu(`b{k}.0`(norm(h), e)))), k = 0..depth;  y = out(norm(h)).
///
/// norm is a layer normalisation, drop the dropout of the network's [`Sizes`], if any. The second layer of
/// each block and the last start at zero, so the output does.
///
/// ```
/// use ndsm::nn::{ResidualMlp, ScoreNet};
/// let net = ScoreNet::of(ResidualMlp::new(3, 64, 4, 6)?)?;
/// let block = 2 * 64 + (64 + 12 + 1) * 64 + 65 * 64;
/// assert_eq!(net.parameter_count(), (3 + 12 + 1) * 64 + 4 * block + 2 * 64 + 65 * 3);
/// # Ok::<(), ndsm::Error>(())
/// ```
#[derive(Debug, Clone, PartialEq)]
pub struct ResidualMlp {
    dim: usize,
    depth: usize,
    frequencies: usize,
    classes: usize,
    dropout: f64,
    layers: Layers,
}

impl ResidualMlp {
    /// `network.kind` = "residual": `network.depth` blocks.
    pub const KIND: Kind =
        Kind { name: "residual", images: false, squares: |s| 2 * s.depth, network: |s| ScoreNet::of(ResidualMlp::of(s)?) };

    /// A network of `depth` blocks of `width` units for points in R^`dim`, without dropout.
    ///
    /// # Errors
    /// If `dim` is not in 1..=1,000,000, `width` in 1..=16,384, `depth` in 1..=64, `frequencies` in 0..=256,
    /// or there would be more than 2^30 parameters.
    pub fn new(dim: usize, width: usize, depth: usize, frequencies: usize) -> Result<Self> {
        Self::of(&Sizes { dim, width, depth, frequencies, ..Sizes::default() })
    }

    /// A network of these sizes.
    ///
    /// # Errors
    /// As [`Self::new`]; if `dropout` is not in [0, 1).
    pub fn of(sizes: &Sizes) -> Result<Self> {
        check_sizes(sizes)?;
        let Sizes { dim, width, depth, frequencies, classes, dropout, .. } = *sizes;
        let (e, unit) = (sizes.conditions(), Start::After(Activation::Identity));
        let mut layers = Layers::default();
        layers.linear("in", dim + e, width, unit);
        for k in 0..depth {
            layers.norm(format!("b{k}.norm"), width);
            layers.linear(format!("b{k}.0"), width + e, width, unit);
            layers.linear(format!("b{k}.1"), width, width, Start::Zero);
        }
        layers.norm("norm", width);
        layers.linear("out", width, dim, Start::Zero);
        layers.count()?;
        Ok(ResidualMlp { dim, depth, frequencies, classes, dropout, layers })
    }
}

impl Architecture for ResidualMlp {
    fn dim(&self) -> usize {
        self.dim
    }
    fn frequencies(&self) -> usize {
        self.frequencies
    }
    fn classes(&self) -> usize {
        self.classes
    }
    fn layers(&self) -> &Layers {
        &self.layers
    }
    fn formula(&self, on: &mut dyn Operations, row: Value) -> Result<Value> {
        let conditions = self.conditions();
        let e = if conditions > 0 { Some(on.columns(row, self.dim..self.dim + conditions)?) } else { None };
        let mut h = on.linear("in", row, Activation::Identity)?;
        for k in 0..self.depth {
            let mut inner = on.layer_norm(&format!("b{k}.norm"), h)?;
            if let Some(e) = e {
                inner = on.concat(inner, e)?;
            }
            let units = on.linear(&format!("b{k}.0"), inner, Activation::Silu)?;
            let units = on.dropout(units, self.dropout)?;
            let inner = on.linear(&format!("b{k}.1"), units, Activation::Identity)?;
            h = on.add(h, inner)?;
        }
        let h = on.layer_norm("norm", h)?;
        on.linear("out", h, Activation::Identity)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::nn::layers::EPSILON;
    use crate::rng::{Purpose, Stream};
    use crate::tape::Recorder;

    /// The documented formula, one row at a time.
    #[test]
    fn a_row_follows_the_formula() {
        let net = ScoreNet::of(ResidualMlp::new(2, 3, 2, 1).unwrap()).unwrap();
        let mut params = vec![0f64; net.parameter_count()];
        Stream::new(3, Purpose::Test, 0, 0).fill_normal(&mut params);
        let rows = [[0.3, -1.0, 0.6, 0.8], [2.0, 0.5, -1.0, 0.0]];
        let mut r = Recorder::<f64>::new();
        let x = r.input("x", &[2, net.inputs()]).unwrap();
        let y = net.record(&mut r, x).unwrap();
        let program = r.finish();
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
        for (row, y) in rows.iter().zip(ws.value(y).unwrap().chunks_exact(2)) {
            let mut h = linear("in", row);
            for k in 0..2 {
                let normed = [&norm(&format!("b{k}.norm"), &h)[..], &row[2..]].concat();
                let inner: Vec<f64> = linear(&format!("b{k}.0"), &normed).iter().map(|z| z / (1.0 + (-z).exp())).collect();
                h.iter_mut().zip(linear(&format!("b{k}.1"), &inner)).for_each(|(h, i)| *h += i);
            }
            for (y, want) in y.iter().zip(linear("out", &norm("norm", &h))) {
                assert!((y - want).abs() <= 1e-12 * (1.0 + want.abs()), "{y}, not {want}");
            }
        }
    }
}
