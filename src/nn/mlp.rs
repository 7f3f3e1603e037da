//! The multilayer perceptron.

use super::architecture::{Architecture, Kind};
use super::layers::{Layers, Start, check_sizes};
use super::{Operations, ScoreNet, Sizes, Value};
use crate::Result;
use crate::tape::Activation;

/// Rows [x/std, features of the time and of the label] -> `depth` hidden layers of `width` units with SiLU -> `dim` outputs.
///
/// Behind each SiLU stands the dropout of the network's [`Sizes`], if any.
///
/// The last layer starts at zero, so the output does. Parameters: `layers.0.weight` [inputs, width],
/// `layers.0.bias` `[width]`, ...
#[derive(Debug, Clone, PartialEq)]
pub struct Mlp {
    dim: usize,
    depth: usize,
    frequencies: usize,
    classes: usize,
    dropout: f64,
    layers: Layers,
}

impl Mlp {
    /// `network.kind` = "mlp".
    pub const KIND: Kind =
        Kind { name: "mlp", images: false, squares: |s| s.depth.saturating_sub(1), network: |s| ScoreNet::of(Mlp::of(s)?) };

    /// A network for points in R^`dim`, without dropout.
    ///
    /// # Errors
    /// If `dim` is not in 1..=1,000,000, `width` in 1..=16,384, `depth` in 1..=64, `frequencies` in 0..=256,
    /// or there would be more than 2^30 parameters. Nothing is allocated for these before that is known.
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
        let mut layers = Layers::default();
        layers.linear("layers.0", dim + sizes.conditions(), width, Start::After(Activation::Identity));
        for k in 1..depth {
            layers.linear(format!("layers.{k}"), width, width, Start::After(Activation::Silu));
        }
        layers.linear(format!("layers.{depth}"), width, dim, Start::Zero);
        layers.count()?;
        Ok(Mlp { dim, depth, frequencies, classes, dropout, layers })
    }
}

impl Architecture for Mlp {
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
        let mut h = row;
        for k in 0..self.depth {
            let units = on.linear(&format!("layers.{k}"), h, Activation::Silu)?;
            h = on.dropout(units, self.dropout)?;
        }
        on.linear(&format!("layers.{}", self.depth), h, Activation::Identity)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::nn::layers::second_moment;
    use crate::rng::{Purpose, Stream};
    use crate::tape::Recorder;

    #[test]
    fn the_units_keep_their_size() {
        let n = 64;
        let mut x = vec![0.0; n * 4];
        Stream::new(1, Purpose::Test, 0, 0).fill_normal(&mut x);
        // Second moment of the sixth layer's units, weights and points random: E silu(z)^2 up to a factor of
        // 2.
        let mut r = Recorder::<f64>::new();
        let xv = r.input("x", &[n, 4]).unwrap();
        let net = ScoreNet::new(256, 256, 5, 0).unwrap();
        let first = r.parameter("w", &[4, 256]).unwrap();
        let h = r.matmul(xv, first).unwrap();
        let declared = net.declare(&mut r, "").unwrap();
        let h = (0..5).fold(h, |h, k| declared.linear(&mut r, &format!("layers.{k}"), h, Activation::Silu).unwrap());
        let program = r.finish();
        let mut ws = program.workspace().unwrap();
        ws.input_mut(xv).unwrap().copy_from_slice(&x);
        let mut all = vec![0.0; 4 * 256];
        Stream::new(2, Purpose::Test, 0, 0).fill_normal(&mut all);
        all.iter_mut().for_each(|w| *w *= 0.5);
        all.extend(net.init::<f64>(5));
        program.forward(&all, &mut ws).unwrap();
        let h = ws.value(h).unwrap();
        let moment = h.iter().map(|h| h * h).sum::<f64>() / h.len() as f64 / second_moment(Activation::Silu);
        assert!((0.5..=2.0).contains(&moment), "{moment}");
    }

    /// Streams, laws and order of the parameters, which checkpoints and the bits of every run rest on.
    #[test]
    fn the_initial_weights_are_those_of_their_streams() {
        let net = ScoreNet::new(2, 8, 2, 1).unwrap();
        let names: Vec<String> = net.parameters().into_iter().map(|p| p.name).collect();
        let all = ["layers.0.weight", "layers.0.bias", "layers.1.weight", "layers.1.bias", "layers.2.weight", "layers.2.bias"];
        assert_eq!(names, all);
        let params = net.init::<f64>(7);
        for (layer, (at, len, variance)) in
            [(0, 32, 1.0 / 4.0), (40, 64, 1.0 / second_moment(Activation::Silu) / 8.0)].into_iter().enumerate()
        {
            let mut want = vec![0.0; len];
            Stream::new(7, Purpose::Init, layer as u64, 0).fill_normal(&mut want);
            want.iter_mut().for_each(|w: &mut f64| *w *= f64::sqrt(variance));
            assert_eq!(params[at..][..len], want);
            assert!(params[at + len..][..8].iter().all(|b| *b == 0.0));
        }
        assert!(params[112..].iter().all(|w| *w == 0.0) && params.len() == 112 + 18);
    }
}
