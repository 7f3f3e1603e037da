//! A small network that tells classes of images apart, and whose last hidden layer gives features.

use super::layers::{Declared, Layers, Start, check};
use crate::tape::{Activation, Parameter, Recorder, Var};
use crate::{Error, Real, Result};

/// Images `[n, h, w, c]` -> features `[n, features]` -> logits `[n, classes]`.
///
/// ```text
/// features: silu(f(silu(c1(silu(c0(x))))))      c0, c1: 3x3, stride 2: c -> width -> 2 width channels; f: linear
/// logits:   out(features)
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Classifier {
    image: [usize; 3],
    width: usize,
    features: usize,
    classes: usize,
    layers: Layers,
    count: usize,
}

impl Classifier {
    /// A network for images of `[height, width, channels]`.
    ///
    /// # Errors
    /// If a side is not in 1..=16,384, channels or `width` not in 1..=1,024, `features` or `classes` not in
    /// 1..=65,536, or there would be more than 2^30 parameters.
    pub fn new(image: [usize; 3], width: usize, features: usize, classes: usize) -> Result<Self> {
        let [h, w, c] = image;
        check(&[
            ("height", h, 1, 16_384),
            ("width of the image", w, 1, 16_384),
            ("channels", c, 1, 1024),
            ("width", width, 1, 1024),
            ("features", features, 1, 65_536),
            ("classes", classes, 1, 65_536),
        ])?;
        let mut layers = Layers::default();
        layers.conv("c0", 3, (c, width), Start::After(Activation::Identity));
        layers.conv("c1", 3, (width, 2 * width), Start::After(Activation::Silu));
        layers.linear("f", h.div_ceil(4) * w.div_ceil(4) * 2 * width, features, Start::After(Activation::Silu));
        layers.linear("out", features, classes, Start::After(Activation::Silu));
        Ok(Classifier { image, width, features, classes, count: layers.count()?, layers })
    }

    /// Height, width and channels of the images.
    pub fn image(&self) -> [usize; 3] {
        self.image
    }
    /// Number of features.
    pub fn features(&self) -> usize {
        self.features
    }
    /// Number of classes.
    pub fn classes(&self) -> usize {
        self.classes
    }
    /// Number of parameters.
    pub fn parameter_count(&self) -> usize {
        self.count
    }
    /// Names, shapes and places of the parameters.
    pub fn parameters(&self) -> Vec<Parameter> {
        self.layers.parameters()
    }
    /// Initial parameters: normal weights of a variance that keeps the second moment of the units; biases
    /// zero.
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

    /// Records the features of images `x` `[n, h, w, c]`.
    ///
    /// # Errors
    /// If the shapes do not fit or the parameters are another network's.
    pub fn record_features<R: Real>(&self, r: &mut Recorder<R>, p: &Declared, x: Var) -> Result<Var> {
        let (shape, [h, w, c]) = (r.shape(x)?.to_vec(), self.image);
        if shape.get(1..) != Some(&self.image) {
            return Err(Error::shape("classifier", format!("images [n, {h}, {w}, {c}]"), &[&shape]));
        }
        let mut y = x;
        for name in ["c0", "c1"] {
            y = p.conv(r, name, y, 2)?;
            y = r.silu(y)?;
        }
        let y = r.reshape(y, &[shape[0], h.div_ceil(4) * w.div_ceil(4) * 2 * self.width])?;
        p.linear(r, "f", y, Activation::Silu)
    }

    /// Records the logits of features.
    ///
    /// # Errors
    /// As [`Self::record_features`].
    pub fn record_logits<R: Real>(&self, r: &mut Recorder<R>, p: &Declared, features: Var) -> Result<Var> {
        p.linear(r, "out", features, Activation::Identity)
    }
}
