//! What a score network is.

use super::ScoreNet;
use super::layers::Layers;
use super::{Operations, Value};
use crate::Result;
use ndarray::Array2;
use std::fmt;
use std::sync::Arc;

/// An architecture by name: how a configuration makes a network of it.
#[derive(Debug, Clone, Copy)]
pub struct Kind {
    /// The name in configuration files.
    pub name: &'static str,
    /// Whether it takes points that are images alone: [`Sizes::pixels`].
    pub images: bool,
    /// How many matrices of `width` x `width` a network has: what its size grows with.
    pub squares: fn(&Sizes) -> usize,
    /// The network of these sizes.
    ///
    /// # Errors
    /// Sizes out of range.
    pub network: fn(&Sizes) -> Result<ScoreNet>,
}

/// The sizes of a network for points in R^`dim`.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Sizes {
    /// Dimension of the points.
    pub dim: usize,
    /// `network.width`: units of a hidden layer, or channels of an image.
    pub width: usize,
    /// `network.depth`: hidden layers, or blocks of them.
    pub depth: usize,
    /// Frequencies of the time's features; each has a sine and a cosine.
    pub frequencies: usize,
    /// `network.classes`: of how many classes a point's label is one (0: points have none).
    pub classes: usize,
    /// `network.dropout`: the share of hidden units that a training step drops.
    pub dropout: f64,
    /// `network.multipliers`: channels of each level of a U-Net over `width`.
    pub multipliers: Vec<usize>,
    /// `network.attention`: whether the pixels of its lowest level attend to each other.
    pub attention: bool,
    /// `network.stem`: the side of the squares of pixels that it takes as one.
    pub stem: usize,
    /// How the points are images, if they are.
    pub pixels: Option<Pixels>,
}

impl Sizes {
    /// How long a row is beyond the point: features of the time, and of the label.
    pub fn conditions(&self) -> usize {
        2 * self.frequencies + self.classes
    }
}

/// How points are images.
#[derive(Debug, Clone, PartialEq)]
pub struct Pixels {
    /// Height, width, channels; the last runs fastest.
    pub shape: [usize; 3],
    /// The image of a row that a network gets is x F^T, what it makes of it in pixels comes back as y B^T: F
    /// and B, [d, d]. Nothing where a row is an image.
    pub maps: Option<Arc<[Array2<f64>; 2]>>,
}

/// What a score network is: layers, and a formula on them. [`ScoreNet::of`] makes a network of it, which
/// records itself for training and evaluates itself without a tape, by the same formula.
///
/// The formula maps rows [point over its standard deviation, features of the time, and of the label where
/// there are classes] to rows as long as the point; [`Operations::columns`] parts them.
///
/// ```
/// use ndsm::nn::{Architecture, Inference, Layers, Operations, ScoreNet, Start, Value};
/// use ndsm::tape::Activation;
/// // s(x) = x w + b, whatever the time.
/// #[derive(Debug)]
/// struct Affine(Layers);
/// impl Architecture for Affine {
///     fn dim(&self) -> usize {
///         2
///     }
///     fn frequencies(&self) -> usize {
///         0
///     }
///     fn layers(&self) -> &Layers {
///         &self.0
///     }
///     fn formula(&self, on: &mut dyn Operations, row: Value) -> ndsm::Result<Value> {
///         on.linear("affine", row, Activation::Identity)
///     }
/// }
/// let mut layers = Layers::default();
/// layers.linear("affine", 2, 2, Start::Zero);
/// let net = ScoreNet::of(Affine(layers))?;
/// let mut out = [0.0; 2];
/// Inference::new(&net, &[1.0, 0.0, 0.0, 2.0, 0.5, 0.5])?.run(&[3.0, 4.0], &mut out)?;
/// assert_eq!(out, [3.5, 8.5]);
/// # Ok::<(), ndsm::Error>(())
/// ```
pub trait Architecture: fmt::Debug + Send + Sync {
    /// Dimension of the points.
    fn dim(&self) -> usize;
    /// Number of frequencies of the time's features.
    fn frequencies(&self) -> usize;
    /// Of how many classes a point's label is one: none where points have no labels.
    fn classes(&self) -> usize {
        0
    }
    /// How long a row is beyond the point.
    fn conditions(&self) -> usize {
        2 * self.frequencies() + self.classes()
    }
    /// The layers: parameters, in their order, with the laws of their initial values.
    fn layers(&self) -> &Layers;
    /// Whether the formula uses the operations on images. Rows are then evaluated by replaying a tape, a few
    /// at a time, and otherwise by a plan over blocks of many.
    fn on_images(&self) -> bool {
        false
    }
    /// The network's value at `row` [n, dim + conditions] -> [n, dim], written in `on`.
    ///
    /// # Errors
    /// Those of the operations.
    fn formula(&self, on: &mut dyn Operations, row: Value) -> Result<Value>;
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Real;
    use crate::nn::{ARCHITECTURES, Inference};
    use crate::real::Dual;
    use crate::rng::{Purpose, Stream};
    use crate::tape::Recorder;

    /// Of networks on rows: one, several and many units, deep and shallow, with the time and without, with
    /// dropout and without, with classes and time or classes alone.
    fn on_rows() -> Vec<Sizes> {
        let sizes = |dim, width, depth, frequencies, dropout| Sizes { dim, width, depth, frequencies, dropout, ..Sizes::default() };
        let labelled = |classes, frequencies| Sizes { classes, ..sizes(2, 17, 2, frequencies, 0.0) };
        vec![
            sizes(2, 33, 3, 6, 0.0),
            sizes(3, 20, 1, 0, 0.0),
            sizes(1, 1, 1, 1, 0.0),
            sizes(5, 100, 2, 2, 0.0),
            sizes(2, 33, 3, 6, 0.2),
            labelled(3, 4),
            labelled(5, 0),
        ]
    }

    /// On images: one level and several, one block and two, squares of pixels, attention, maps, and all
    /// without the time.
    fn on_images() -> Vec<Sizes> {
        let sizes = |shape: [usize; 3], multipliers: &[usize], frequencies| {
            let (dim, multipliers) = (shape.iter().product(), multipliers.to_vec());
            let pixels = Some(Pixels { shape, maps: None });
            Sizes { dim, width: 8, depth: 1, frequencies, multipliers, stem: 1, pixels, ..Sizes::default() }
        };
        let map = |n: usize, shift: usize| Array2::from_shape_fn((n, n), |(i, j)| ((3 * i + 5 * j + shift) % 7) as f64 / 12.0 - 0.2);
        let mapped = Some(Pixels { shape: [2, 2, 1], maps: Some(Arc::new([map(4, 0), map(4, 2)])) });
        vec![
            sizes([4, 6, 2], &[1, 2], 3),
            Sizes { attention: true, dropout: 0.2, ..sizes([4, 4, 1], &[2, 1, 3], 1) },
            Sizes { stem: 2, depth: 2, ..sizes([8, 4, 3], &[1, 1], 2) },
            Sizes { pixels: mapped, ..sizes([2, 2, 1], &[1], 2) },
            sizes([3, 1, 1], &[1], 0),
            Sizes { classes: 3, ..sizes([2, 2, 1], &[1, 1], 2) },
            Sizes { classes: 2, ..sizes([2, 2, 1], &[1], 0) },
        ]
    }

    fn networks() -> impl Iterator<Item = (String, ScoreNet)> {
        let samples = |kind: &Kind| if kind.images { on_images() } else { on_rows() };
        let all = ARCHITECTURES.iter().flat_map(move |kind| samples(kind).into_iter().map(move |sizes| (kind, sizes)));
        all.map(|(kind, sizes)| (format!("{} {sizes:?}", kind.name), (kind.network)(&sizes).unwrap()))
    }

    fn normals<R: Real>(len: usize, chunk: u32) -> Vec<R> {
        let mut v = vec![R::zero(); len];
        Stream::new(1, Purpose::Test, 0, chunk).fill_normal(&mut v);
        v
    }

    /// The value at `rows` on the tape, and, pulled back from `dy`, the gradients of the parameters and of
    /// the rows.
    fn taped<R: Real>(net: &ScoreNet, params: &[R], rows: &[R], dy: &[R]) -> [Vec<R>; 3] {
        let mut r = Recorder::<R>::new();
        let x = r.input_with_gradient("x", &[rows.len() / net.inputs(), net.inputs()]).unwrap();
        let y = net.record(&mut r, x).unwrap();
        let program = r.finish();
        assert_eq!((program.parameters(), program.parameter_count()), (&net.parameters()[..], net.parameter_count()));
        let mut ws = program.workspace().unwrap();
        ws.input_mut(x).unwrap().copy_from_slice(rows);
        program.forward(params, &mut ws).unwrap();
        let (value, mut grad) = (ws.value(y).unwrap().to_vec(), vec![R::zero(); params.len()]);
        program.backward(params, &mut ws, &[(y, dy)], &mut grad).unwrap();
        [value, grad, ws.adjoint(x).unwrap().to_vec()]
    }

    #[test]
    fn names_are_unique_and_a_first_network_is_zero() {
        for (i, kind) in ARCHITECTURES.iter().enumerate() {
            assert!(ARCHITECTURES[..i].iter().all(|other| other.name != kind.name), "{}", kind.name);
        }
        for (name, net) in networks() {
            let params = net.init::<f64>(3);
            assert!(params.len() == net.parameter_count() && params != net.init::<f64>(4) && params == net.init::<f64>(3), "{name}");
            let n = 7;
            let mut out = vec![1.0; n * net.dim()];
            Inference::new(&net, &params).unwrap().run(&normals(n * net.inputs(), 0), &mut out).unwrap();
            assert!(out.iter().all(|y| *y == 0.0), "{name}: {out:?}");
            assert!(net.declare(&mut Recorder::<f32>::new(), "a.").is_ok());
        }
    }

    #[test]
    fn sizes_out_of_range_are_refused() {
        for kind in ARCHITECTURES {
            let good = if kind.images { on_images().remove(0) } else { on_rows().remove(0) };
            let with = |change: fn(&mut Sizes)| {
                let mut sizes = good.clone();
                change(&mut sizes);
                sizes
            };
            for (sizes, words) in [
                (with(|s| s.dim = 0), "network.dim: must be an integer in 1..=1000000, got 0"),
                (with(|s| s.width = 0), "network.width"),
                (with(|s| s.width = usize::MAX), "network.width"),
                (with(|s| s.depth = 0), "network.depth"),
                (with(|s| s.depth = 65), "network.depth: must be an integer in 1..=64, got 65"),
                (with(|s| s.frequencies = 257), "network.frequencies"),
                (with(|s| s.classes = 4097), "network.classes: must be an integer in 0..=4096, got 4097"),
                (with(|s| s.dropout = 1.0), "network.dropout: must be a number in [0, 1), got 1"),
                (with(|s| s.dropout = -0.1), "network.dropout"),
                (with(|s| s.dropout = f64::NAN), "network.dropout"),
            ] {
                let e = (kind.network)(&sizes).unwrap_err();
                assert!(e.to_string().contains(words) && e.exit_code() == 2, "{}: {e}", kind.name);
            }
            // The squares are what the number of parameters grows with.
            let sizes = |width| Sizes { width, depth: 5, attention: kind.images, ..good.clone() };
            let unit = if kind.images { 80 } else { 1000 };
            let count = |width| (kind.network)(&sizes(width)).unwrap().parameter_count() as f64;
            let second = (count(3 * unit) - 2.0 * count(2 * unit) + count(unit)) / (2 * unit * unit) as f64;
            assert_eq!(second, (kind.squares)(&sizes(8)) as f64, "{}", kind.name);
        }
        let large = Sizes { dim: 1_000_000, width: 16_384, depth: 64, ..on_rows().remove(0) };
        for kind in ARCHITECTURES.iter().filter(|kind| !kind.images) {
            let e = (kind.network)(&large).unwrap_err().to_string();
            assert!(e.contains("more than 1073741824 parameters"), "{}: {e}", kind.name);
        }
    }

    /// Dropout takes no parameter and is recorded behind every hidden activation; a network without has the
    /// operations that it always had.
    #[test]
    fn dropout_is_recorded_behind_the_activations() {
        for (kind, inner) in [("mlp", vec!["linear silu"; 3]), ("residual", vec!["linear silu", "linear", "add"])] {
            let kind = ARCHITECTURES.iter().find(|other| other.name == kind).unwrap();
            let record = |dropout: f64| {
                let net = (kind.network)(&Sizes { dropout, ..on_rows().remove(0) }).unwrap();
                let mut r = Recorder::<f32>::new();
                let x = r.input("x", &[5, net.inputs()]).unwrap();
                net.record(&mut r, x).unwrap();
                let rows = r.finish().table().rows;
                let ops: Vec<String> =
                    rows.into_iter().map(|row| row.op).filter(|op| !op.contains(' ') || !op.contains("parameter")).collect();
                (ops, net.parameters(), net.init::<f32>(0))
            };
            let ((ops, parameters, start), (dropped, same, again)) = (record(0.0), record(0.25));
            assert!(parameters == same && start == again, "{}", kind.name);
            let without: Vec<&String> = dropped.iter().filter(|op| *op != "dropout 0.25").collect();
            assert_eq!(without, ops.iter().collect::<Vec<_>>(), "{}", kind.name);
            assert_eq!(dropped.len() - ops.len(), 3, "{}", kind.name);
            for (i, _) in dropped.iter().enumerate().filter(|(_, op)| *op == "dropout 0.25") {
                assert!(dropped[i - 1] == inner[0] && dropped[i + 1].starts_with("linear"), "{}: {dropped:?}", kind.name);
            }
        }
    }

    fn bits<R: Real>(name: &str, net: &ScoreNet) {
        let params: Vec<R> = normals(net.parameter_count(), 2);
        let mut inference = Inference::new(net, &net.init(0)).unwrap();
        inference.load(&params).unwrap();
        for n in [1000, 129, 1, 0] {
            let rows: Vec<R> = normals(n * net.inputs(), 3);
            let [want, ..] = taped(net, &params, &rows, &vec![R::zero(); n * net.dim()]);
            for threads in [1, 2, 3] {
                let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
                let mut out = vec![R::nan(); n * net.dim()];
                pool.install(|| inference.run(&rows, &mut out)).unwrap();
                assert!(out == want && out.iter().all(|o| o.is_finite()), "{name}: {n} rows, {threads} threads");
            }
        }
    }

    #[test]
    fn inference_has_the_bits_of_the_tape() {
        for (name, net) in networks() {
            bits::<f32>(&name, &net);
            bits::<f64>(&name, &net);
            bits::<Dual<f64>>(&name, &net);
        }
    }

    /// Both gradients of <dy, y>, along ten random directions, by central differences.
    #[test]
    fn gradients_are_those_of_the_formula() {
        for (name, net) in networks() {
            let n = 6;
            let params: Vec<f64> = normals(net.parameter_count(), 4).iter().map(|p: &f64| 0.3 * p).collect();
            let (rows, dy) = (normals::<f64>(n * net.inputs(), 5), normals::<f64>(n * net.dim(), 6));
            let [_, grad, dx] = taped(&net, &params, &rows, &dy);
            for k in 0..10 {
                let (u, v) = (normals::<f64>(params.len(), 10 + k), normals::<f64>(rows.len(), 30 + k));
                let h = 1e-6;
                let value = |h: f64| {
                    let moved = |x: &[f64], v: &[f64]| x.iter().zip(v).map(|(x, v)| x + h * v).collect::<Vec<f64>>();
                    let mut y = vec![0.0; dy.len()];
                    Inference::new(&net, &moved(&params, &u)).unwrap().run(&moved(&rows, &v), &mut y).unwrap();
                    y.iter().zip(&dy).map(|(y, dy)| y * dy).sum::<f64>()
                };
                let difference = (value(h) - value(-h)) / (2.0 * h);
                let along = |g: &[f64], v: &[f64]| g.iter().zip(v).map(|(g, v)| g * v).sum::<f64>();
                let exact = along(&grad, &u) + along(&dx, &v);
                assert!((difference - exact).abs() <= 1e-6 * (1.0 + exact.abs()), "{name}: {exact}, by differences {difference}");
            }
        }
    }
}
