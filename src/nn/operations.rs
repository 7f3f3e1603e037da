//! What formulas of networks are written in.

use super::Architecture;
use super::attention;
use super::layers::Declared;
use crate::tape::{Activation, LinearMap, Recorder, Var};
use crate::{Error, Real, Result};
use ndarray::ArrayView2;
use std::ops::Range;

/// A tensor of a formula.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Value(pub(super) usize);

/// What formulas are written in: put down on a tape, or as steps of an [`Inference`](super::Inference). Both
/// use the same kernels, so that their results have the same bits where the tape has no
/// [noise](crate::tape::Noise).
///
/// # Errors
/// Of all: a layer that the network does not have, shapes that do not fit.
pub trait Operations {
    /// activation(x w + b) with the weights of `layer`: [n, i] -> [n, o].
    fn linear(&mut self, layer: &str, x: Value, activation: Activation) -> Result<Value>;
    /// Each row with mean 0 and variance 1, then scale and shift of `layer`: [n, c] -> [n, c].
    fn layer_norm(&mut self, layer: &str, x: Value) -> Result<Value>;
    /// x + y, of one shape.
    fn add(&mut self, x: Value, y: Value) -> Result<Value>;
    /// The columns `range` of x.
    fn columns(&mut self, x: Value, range: Range<usize>) -> Result<Value>;
    /// x and y side by side, along the last axis: [n, a], [n, b] -> [n, a + b].
    fn concat(&mut self, x: Value, y: Value) -> Result<Value>;
    /// x with a share p of its elements dropped, in training alone ([`Recorder::dropout`]): an inference has
    /// x, and so has a tape for p = 0.
    fn dropout(&mut self, x: Value, p: f64) -> Result<Value>;

    // Those on images: an architecture that uses them says so ([`Architecture::on_images`]).

    /// The same numbers, each row in another shape: [n, ..] -> [n, `shape`].
    fn reshape(&mut self, _x: Value, _shape: &[usize]) -> Result<Value> {
        rows_alone("reshape")
    }
    /// x M for every row of x [n, i] -> [n, o], M [i, o] a constant.
    fn linear_map(&mut self, _map: ArrayView2<f64>, _x: Value) -> Result<Value> {
        rows_alone("linear_map")
    }
    /// The convolution `layer`: [n, h, w, i] -> [n, h/stride, w/stride, o], zeros around the image.
    fn conv(&mut self, layer: &str, _x: Value, _stride: usize) -> Result<Value> {
        rows_alone(layer)
    }
    /// Each image's `groups` equal parts of its channels with mean 0 and variance 1, then scale and shift of
    /// `layer`, then SiLU: [n, h, w, c] -> [n, h, w, c].
    fn group_norm(&mut self, layer: &str, _x: Value, _groups: usize) -> Result<Value> {
        rows_alone(layer)
    }
    /// Every pixel twice in both directions: [n, h, w, c] -> [n, 2 h, 2 w, c].
    fn double(&mut self, _x: Value) -> Result<Value> {
        rows_alone("double")
    }
    /// Squares of `side` x `side` pixels as one pixel: [n, h, w, c] -> [n, h/side, w/side, side^2 c].
    fn space_to_depth(&mut self, _x: Value, _side: usize) -> Result<Value> {
        rows_alone("space_to_depth")
    }
    /// The way back from [`Operations::space_to_depth`]: [n, h, w, side^2 c] -> [n, h side, w side, c].
    fn depth_to_space(&mut self, _x: Value, _side: usize) -> Result<Value> {
        rows_alone("depth_to_space")
    }
    /// y [n, c] added to x [n, h, w, c] at all places.
    fn add_everywhere(&mut self, _x: Value, _y: Value) -> Result<Value> {
        rows_alone("add_everywhere")
    }
    /// The linear layers `layers` of every pixel of x [n, h, w, c], as queries, keys and values of an
    /// [attention](crate::nn::attention) between the pixels of an image: -> [n, h, w, c].
    fn attention(&mut self, layers: [&str; 3], _x: Value) -> Result<Value> {
        rows_alone(layers[0])
    }
}

/// The error of an operation on images where there are only rows.
fn rows_alone(what: &str) -> Result<Value> {
    Err(Error::refused(what, "is an operation on images, which Architecture::on_images must announce"))
}

/// Operations put down on a tape.
pub(super) struct Taped<'a, R> {
    recorder: &'a mut Recorder<R>,
    declared: &'a Declared,
    vars: Vec<Var>,
}

impl<'a, R: Real> Taped<'a, R> {
    /// The network's value at `row`.
    pub fn record(net: &dyn Architecture, recorder: &'a mut Recorder<R>, declared: &'a Declared, row: Var) -> Result<Var> {
        let mut on = Taped { recorder, declared, vars: vec![row] };
        let y = net.formula(&mut on, Value(0))?;
        Ok(on.vars[y.0])
    }

    fn put(&mut self, var: Var) -> Value {
        self.vars.push(var);
        Value(self.vars.len() - 1)
    }

    /// The shape of images.
    fn image(&self, x: Value) -> Result<[usize; 4]> {
        let shape = self.recorder.shape(self.vars[x.0])?;
        shape.try_into().map_err(|_| Error::shape("network", "images [n, h, w, c]", &[shape]))
    }

    /// x as `split`, its inner two axes exchanged, as `to`.
    fn exchange(&mut self, x: Value, split: [usize; 4], to: [usize; 4]) -> Result<Value> {
        let parts = self.recorder.reshape(self.vars[x.0], &split)?;
        let turned = self.recorder.permute(parts, &[0, 2, 1, 3])?;
        let y = self.recorder.reshape(turned, &to)?;
        Ok(self.put(y))
    }
}

impl<R: Real> Operations for Taped<'_, R> {
    fn linear(&mut self, layer: &str, x: Value, activation: Activation) -> Result<Value> {
        let y = self.declared.linear(self.recorder, layer, self.vars[x.0], activation)?;
        Ok(self.put(y))
    }
    fn layer_norm(&mut self, layer: &str, x: Value) -> Result<Value> {
        let y = self.declared.layer_norm(self.recorder, layer, self.vars[x.0])?;
        Ok(self.put(y))
    }
    fn add(&mut self, x: Value, y: Value) -> Result<Value> {
        let sum = self.recorder.add(self.vars[x.0], self.vars[y.0])?;
        Ok(self.put(sum))
    }
    fn columns(&mut self, x: Value, range: Range<usize>) -> Result<Value> {
        let y = self.recorder.slice(self.vars[x.0], 1, range)?;
        Ok(self.put(y))
    }
    fn concat(&mut self, x: Value, y: Value) -> Result<Value> {
        let both = self.recorder.concat(&[self.vars[x.0], self.vars[y.0]])?;
        Ok(self.put(both))
    }
    fn dropout(&mut self, x: Value, p: f64) -> Result<Value> {
        if p == 0.0 {
            return Ok(x);
        }
        let y = self.recorder.dropout(self.vars[x.0], p)?;
        Ok(self.put(y))
    }
    fn reshape(&mut self, x: Value, shape: &[usize]) -> Result<Value> {
        let x = self.vars[x.0];
        let n = self.recorder.shape(x)?[0];
        let y = self.recorder.reshape(x, &[&[n], shape].concat())?;
        Ok(self.put(y))
    }
    fn linear_map(&mut self, map: ArrayView2<f64>, x: Value) -> Result<Value> {
        let (i, o) = map.dim();
        let map = LinearMap::new(i, o, map.iter().map(|v| R::of(*v)));
        let map = map.ok_or_else(|| Error::refused("linear_map", "its matrix is too large"))?;
        let y = self.recorder.linear_map(self.vars[x.0], &map)?;
        Ok(self.put(y))
    }
    fn conv(&mut self, layer: &str, x: Value, stride: usize) -> Result<Value> {
        let y = self.declared.conv(self.recorder, layer, self.vars[x.0], stride)?;
        Ok(self.put(y))
    }
    fn group_norm(&mut self, layer: &str, x: Value, groups: usize) -> Result<Value> {
        let y = self.declared.group_norm(self.recorder, layer, self.vars[x.0], groups)?;
        Ok(self.put(y))
    }
    fn double(&mut self, x: Value) -> Result<Value> {
        let y = self.recorder.upsample_nearest2d(self.vars[x.0], [2, 2])?;
        Ok(self.put(y))
    }
    fn space_to_depth(&mut self, x: Value, side: usize) -> Result<Value> {
        let [n, h, w, c] = self.image(x)?;
        let (h, w) = (h / side, w / side);
        self.exchange(x, [n * h, side, w, side * c], [n, h, w, side * side * c])
    }
    fn depth_to_space(&mut self, x: Value, side: usize) -> Result<Value> {
        let [n, h, w, c] = self.image(x)?;
        let c = c / (side * side);
        self.exchange(x, [n * h, w, side, side * c], [n, h * side, w * side, c])
    }
    fn add_everywhere(&mut self, x: Value, y: Value) -> Result<Value> {
        let (x, y) = (self.vars[x.0], self.vars[y.0]);
        let [n, c] = self.recorder.shape(y)?[..] else {
            return Err(Error::shape("add_everywhere", "y [n, c]", &[self.recorder.shape(y)?]));
        };
        let y = self.recorder.reshape(y, &[n, 1, 1, c])?;
        let sum = self.recorder.add(x, y)?;
        Ok(self.put(sum))
    }
    fn attention(&mut self, layers: [&str; 3], x: Value) -> Result<Value> {
        let [n, h, w, c] = self.image(x)?;
        let pixels = self.recorder.reshape(self.vars[x.0], &[n * h * w, c])?;
        let mut parts = [pixels; 3];
        for (part, layer) in parts.iter_mut().zip(layers) {
            let rows = self.declared.linear(self.recorder, layer, pixels, Activation::Identity)?;
            *part = self.recorder.reshape(rows, &[n, h * w, c])?;
        }
        let [q, k, v] = parts;
        let y = attention(self.recorder, q, k, v, None)?;
        let y = self.recorder.reshape(y, &[n, h, w, c])?;
        Ok(self.put(y))
    }
}
