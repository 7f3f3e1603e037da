//! A score network as an ONNX model, for programs that run these.
//!
//! ```
//! use ndsm::nn::{ScoreNet, onnx};
//! let net = ScoreNet::new(2, 16, 2, 3)?;
//! let model = onnx::model(&net, &net.init::<f32>(0))?;
//! std::fs::write(std::env::temp_dir().join("ndsm-doc.onnx"), model).ok();
//! # std::fs::remove_file(std::env::temp_dir().join("ndsm-doc.onnx")).ok();
//! # Ok::<(), ndsm::Error>(())
//! ```

mod file;

use super::layers::EPSILON;
use super::{Operations, ScoreNet, Value};
use crate::kernels::Activation;
use crate::tape::Parameter;
use crate::{Error, Real, Result};
use file::{Message, float, floats, indices, int, ints, node};
use ndarray::ArrayView2;
use std::ops::Range;

/// Names of the model's input and output.
pub const INPUT: &str = "rows";
/// Name of the model's output.
pub const OUTPUT: &str = "value";

const DOC: &str = "A score network of ndsm. Rows [x/std, features of the time and of the label] (ndsm::nn::ScoreNet) in whitened coordinates -> its \
                   value. What becomes a score of it: ndsm::guide::files.";

/// The bytes of a model of opset 17 in single precision: `rows` [n, inputs] -> `value` [n, dim] with the parameters
/// `params`, for any n. Dropout is left out.
///
/// # Errors
/// Parameters of another network; a formula that does not fit its layers.
pub fn model<R: Real>(net: &ScoreNet, params: &[R]) -> Result<Vec<u8>> {
    if params.len() != net.parameter_count() {
        return Err(Error::invalid("onnx: parameters", format!("{} numbers long", net.parameter_count()), params.len()));
    }
    let params: Vec<f32> = params.iter().map(|p| p.f64() as f32).collect();
    let mut graph =
        Graph { parameters: net.parameters(), params, values: vec![(INPUT.to_owned(), vec![net.inputs()])], ..Graph::default() };
    let y = net.architecture().formula(&mut graph, Value(0))?;
    let y = graph.name(y);
    graph.nodes.push(node("Identity", &[&y], OUTPUT, vec![]));
    let all = Message::default().messages(1, graph.nodes).bytes(2, "score network").messages(5, graph.tensors);
    let all = all.message(11, file::rows(INPUT, net.inputs())).message(12, file::rows(OUTPUT, net.dim()));
    Ok(file::model(all, DOC).done())
}

/// A formula put down as nodes.
#[derive(Default)]
struct Graph {
    parameters: Vec<Parameter>,
    params: Vec<f32>,
    /// Names of the formula's values, and the shape of a row.
    values: Vec<(String, Vec<usize>)>,
    nodes: Vec<Message>,
    tensors: Vec<Message>,
    /// Names given so far.
    count: usize,
}

impl Graph {
    fn name(&self, v: Value) -> String {
        self.values[v.0].0.clone()
    }

    fn shape(&self, v: Value) -> &[usize] {
        &self.values[v.0].1
    }

    fn fresh(&mut self, what: &str) -> String {
        self.count += 1;
        format!("{what}.{}", self.count)
    }

    /// A node whose output gets a name of its own.
    fn put(&mut self, kind: &str, inputs: &[&str], attributes: Vec<Message>) -> String {
        let output = self.fresh(kind);
        self.nodes.push(node(kind, inputs, &output, attributes));
        output
    }

    /// The value `name` of the formula.
    fn value(&mut self, name: String, shape: Vec<usize>) -> Result<Value> {
        self.values.push((name, shape));
        Ok(Value(self.values.len() - 1))
    }

    /// A constant.
    fn constant(&mut self, shape: &[usize], values: Vec<f32>) -> String {
        let name = self.fresh("constant");
        self.tensors.push(floats(&name, shape, values));
        name
    }

    /// A constant of whole numbers.
    fn whole(&mut self, values: &[i64]) -> String {
        let name = self.fresh("shape");
        self.tensors.push(indices(&name, values));
        name
    }

    /// The numbers of a parameter, and its shape.
    fn numbers(&self, layer: &str, what: &str) -> Result<(Vec<usize>, Vec<f32>)> {
        let name = format!("{layer}.{what}");
        let found = self.parameters.iter().find(|p| p.name == name);
        let found = found.ok_or_else(|| Error::refused(&name, "is another network's parameter"))?;
        Ok((found.shape.clone(), self.params[found.range()].to_vec()))
    }

    /// A parameter under its own name, which tells whoever reads the model what it is.
    fn parameter(&mut self, layer: &str, what: &str) -> Result<(String, Vec<usize>)> {
        let (shape, values) = self.numbers(layer, what)?;
        let name = format!("{layer}.{what}");
        self.tensors.push(floats(&name, &shape, values));
        Ok((name, shape))
    }

    fn activated(&mut self, x: String, activation: Activation) -> String {
        match activation {
            Activation::Identity => x,
            Activation::Tanh => self.put("Tanh", &[&x], vec![]),
            Activation::Silu => {
                let gate = self.put("Sigmoid", &[&x], vec![]);
                self.put("Mul", &[&x, &gate], vec![])
            }
        }
    }

    /// `x` in another shape; the first number of `shape` may be -1.
    fn reshaped(&mut self, x: &str, shape: &[i64]) -> String {
        let shape = self.whole(shape);
        self.put("Reshape", &[x, &shape], vec![])
    }

    fn permuted(&mut self, x: &str, axes: &[i64]) -> String {
        self.put("Transpose", &[x], vec![ints("perm", axes)])
    }

    /// x w + b along the last axis.
    fn product(&mut self, layer: &str, x: &str) -> Result<(String, usize)> {
        let (weight, shape) = self.parameter(layer, "weight")?;
        let (bias, _) = self.parameter(layer, "bias")?;
        let product = self.put("MatMul", &[x, &weight], vec![]);
        let outputs = shape.last().copied().unwrap_or(0);
        Ok((self.put("Add", &[&product, &bias], vec![]), outputs))
    }

    /// Rows, columns and channels of images.
    fn image(&self, x: Value) -> Result<[usize; 3]> {
        let shape = self.shape(x);
        shape.try_into().map_err(|_| Error::shape("onnx", "images [n, h, w, c]", &[shape]))
    }

    /// x as `split`, its inner two axes exchanged, as `to`.
    fn exchanged(&mut self, x: Value, split: [i64; 4], to: [usize; 3]) -> Result<Value> {
        let x = self.name(x);
        let parts = self.reshaped(&x, &split);
        let turned = self.permuted(&parts, &[0, 2, 1, 3]);
        let y = self.reshaped(&turned, &rows_of(&to));
        self.value(y, to.to_vec())
    }
}

/// The shape of any number of rows of `shape`.
fn rows_of(shape: &[usize]) -> Vec<i64> {
    [-1].into_iter().chain(shape.iter().map(|s| *s as i64)).collect()
}

impl Operations for Graph {
    fn linear(&mut self, layer: &str, x: Value, activation: Activation) -> Result<Value> {
        let x = self.name(x);
        let (y, outputs) = self.product(layer, &x)?;
        let y = self.activated(y, activation);
        self.value(y, vec![outputs])
    }
    fn layer_norm(&mut self, layer: &str, x: Value) -> Result<Value> {
        let (scale, shape) = self.parameter(layer, "scale")?;
        let (shift, _) = self.parameter(layer, "shift")?;
        let x = self.name(x);
        let y = self.put("LayerNormalization", &[&x, &scale, &shift], vec![int("axis", -1), float("epsilon", EPSILON as f32)]);
        self.value(y, shape)
    }
    fn add(&mut self, x: Value, y: Value) -> Result<Value> {
        let shape = self.shape(x).to_vec();
        let sum = self.put("Add", &[&self.name(x), &self.name(y)], vec![]);
        self.value(sum, shape)
    }
    fn columns(&mut self, x: Value, range: Range<usize>) -> Result<Value> {
        let x = self.name(x);
        let [from, to, axis] = [range.start as i64, range.end as i64, 1].map(|v| self.whole(&[v]));
        let y = self.put("Slice", &[&x, &from, &to, &axis], vec![]);
        self.value(y, vec![range.len()])
    }
    fn concat(&mut self, x: Value, y: Value) -> Result<Value> {
        let mut shape = self.shape(x).to_vec();
        if let (Some(last), Some(more)) = (shape.last_mut(), self.shape(y).last()) {
            *last += more;
        }
        let both = self.put("Concat", &[&self.name(x), &self.name(y)], vec![int("axis", -1)]);
        self.value(both, shape)
    }
    fn dropout(&mut self, x: Value, _p: f64) -> Result<Value> {
        Ok(x)
    }
    fn reshape(&mut self, x: Value, shape: &[usize]) -> Result<Value> {
        let x = self.name(x);
        let y = self.reshaped(&x, &rows_of(shape));
        self.value(y, shape.to_vec())
    }
    fn linear_map(&mut self, map: ArrayView2<f64>, x: Value) -> Result<Value> {
        let (i, o) = map.dim();
        let map = self.constant(&[i, o], map.iter().map(|v| *v as f32).collect());
        let y = self.put("MatMul", &[&self.name(x), &map], vec![]);
        self.value(y, vec![o])
    }
    fn conv(&mut self, layer: &str, x: Value, stride: usize) -> Result<Value> {
        let [h, w, _] = self.image(x)?;
        let (shape, values) = self.numbers(layer, "weight")?;
        let [kh, kw, i, o] = shape[..] else { return Err(Error::shape(layer, "weights [k, k, i, o]", &[&shape])) };
        // ONNX has channels first, and of weights the outputs.
        let at = |k: usize| {
            let (a, b) = (k / (i * kh * kw), k % (i * kh * kw));
            let (c, y, x) = (b / (kh * kw), b / kw % kh, b % kw);
            ((y * kw + x) * i + c) * o + a
        };
        let turned = (0..values.len()).map(|k| values[at(k)]).collect();
        let weight = self.constant(&[o, i, kh, kw], turned);
        let (bias, _) = self.parameter(layer, "bias")?;
        let channels_first = self.permuted(&self.name(x), &[0, 3, 1, 2]);
        let [k, s] = [kh, stride].map(|v| v as i64);
        let attributes = vec![ints("kernel_shape", &[k, kw as i64]), ints("strides", &[s, s]), ints("pads", &[k / 2; 4])];
        let y = self.put("Conv", &[&channels_first, &weight, &bias], attributes);
        let y = self.permuted(&y, &[0, 2, 3, 1]);
        let size = |v: usize| (v + 2 * (kh / 2) - kh) / stride + 1;
        self.value(y, vec![size(h), size(w), o])
    }
    fn group_norm(&mut self, layer: &str, x: Value, groups: usize) -> Result<Value> {
        let [h, w, c] = self.image(x)?;
        // A group of an image is a channel of its own: [n, pixels, groups, c/groups] -> [n, groups, pixels c/groups].
        let parts = self.reshaped(&self.name(x), &rows_of(&[h * w, groups, c / groups]));
        let parts = self.permuted(&parts, &[0, 2, 1, 3]);
        let parts = self.reshaped(&parts, &rows_of(&[groups, h * w * c / groups]));
        let [ones, zeros] = [1.0, 0.0].map(|v| self.constant(&[groups], vec![v; groups]));
        let normal = self.put("InstanceNormalization", &[&parts, &ones, &zeros], vec![float("epsilon", EPSILON as f32)]);
        let normal = self.reshaped(&normal, &rows_of(&[groups, h * w, c / groups]));
        let normal = self.permuted(&normal, &[0, 2, 1, 3]);
        let normal = self.reshaped(&normal, &rows_of(&[h, w, c]));
        let (scale, _) = self.parameter(layer, "scale")?;
        let (shift, _) = self.parameter(layer, "shift")?;
        let scaled = self.put("Mul", &[&normal, &scale], vec![]);
        let shifted = self.put("Add", &[&scaled, &shift], vec![]);
        let y = self.activated(shifted, Activation::Silu);
        self.value(y, vec![h, w, c])
    }
    fn double(&mut self, x: Value) -> Result<Value> {
        let [h, w, c] = self.image(x)?;
        let apart = self.reshaped(&self.name(x), &rows_of(&[h, 1, w, 1, c]));
        let repeats = self.whole(&[1, 1, 2, 1, 2, 1]);
        let twice = self.put("Tile", &[&apart, &repeats], vec![]);
        let y = self.reshaped(&twice, &rows_of(&[2 * h, 2 * w, c]));
        self.value(y, vec![2 * h, 2 * w, c])
    }
    fn space_to_depth(&mut self, x: Value, side: usize) -> Result<Value> {
        let [h, w, c] = self.image(x)?;
        let (h, w) = (h / side, w / side);
        self.exchanged(x, [-1, side as i64, w as i64, (side * c) as i64], [h, w, side * side * c])
    }
    fn depth_to_space(&mut self, x: Value, side: usize) -> Result<Value> {
        let [h, w, c] = self.image(x)?;
        let c = c / (side * side);
        self.exchanged(x, [-1, w as i64, side as i64, (side * c) as i64], [h * side, w * side, c])
    }
    fn add_everywhere(&mut self, x: Value, y: Value) -> Result<Value> {
        let [h, w, c] = self.image(x)?;
        let everywhere = self.reshaped(&self.name(y), &rows_of(&[1, 1, c]));
        let sum = self.put("Add", &[&self.name(x), &everywhere], vec![]);
        self.value(sum, vec![h, w, c])
    }
    fn attention(&mut self, layers: [&str; 3], x: Value) -> Result<Value> {
        let [h, w, c] = self.image(x)?;
        let pixels = self.reshaped(&self.name(x), &rows_of(&[h * w, c]));
        let mut parts = [String::new(), String::new(), String::new()];
        for (part, layer) in parts.iter_mut().zip(layers) {
            *part = self.product(layer, &pixels)?.0;
        }
        let [q, k, v] = parts;
        let factor = self.constant(&[1], vec![1.0 / (c.max(1) as f32).sqrt()]);
        let q = self.put("Mul", &[&q, &factor], vec![]);
        let k = self.permuted(&k, &[0, 2, 1]);
        let scores = self.put("MatMul", &[&q, &k], vec![]);
        let weights = self.put("Softmax", &[&scores], vec![int("axis", -1)]);
        let y = self.put("MatMul", &[&weights, &v], vec![]);
        let y = self.reshaped(&y, &rows_of(&[h, w, c]));
        self.value(y, vec![h, w, c])
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::nn::{ARCHITECTURES, Pixels, Sizes};

    /// What onnxruntime makes of the models is tested with the command line. Here: every architecture has one, of
    /// the size of its parameters.
    #[test]
    fn every_architecture_has_a_model() {
        for kind in ARCHITECTURES {
            let pixels = kind.images.then_some(Pixels { shape: [8, 8, 1], maps: None });
            let (dim, multipliers) = (if kind.images { 64 } else { 3 }, vec![1, 2]);
            let sizes =
                Sizes { dim, width: 8, depth: 1, frequencies: 2, multipliers, attention: kind.images, stem: 2, pixels, ..Sizes::default() };
            let net = (kind.network)(&sizes).unwrap();
            let bytes = model(&net, &net.init::<f64>(1)).unwrap();
            assert!(bytes.len() > 4 * net.parameter_count() && bytes.len() < 4 * net.parameter_count() + 40_000, "{}", kind.name);
            for p in net.parameters().iter().filter(|p| p.shape.len() < 4) {
                assert!(bytes.windows(p.name.len()).any(|w| w == p.name.as_bytes()), "{}", p.name);
            }
            assert!(model(&net, &[0f32; 3]).is_err());
        }
    }
}
