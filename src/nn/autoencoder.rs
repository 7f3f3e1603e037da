//! The convolutional autoencoder: images as few numbers.

use super::layers::{Declared, Layers, Start, check};
use crate::tape::{Activation, Parameter, Recorder, Var};
use crate::{Error, Real, Result};

/// A convolutional autoencoder: images `[n, h, w, c]` -> codes `[n, latent]` -> images. A variational one
/// (Kingma and Welling, ICLR 2014) gives a normal law for each code: means, then logarithms of variances, `[n,
/// 2 latent]`.
///
/// ```text
/// encode: silu(e0(x)) -> silu(e1(.)) -> code(.)      e0, e1: 3x3, stride 2: c -> width -> 2 width channels
/// decode: silu(rows(z)) -> silu(d1(.)) -> d0(.)      rows: latent -> h/4 w/4 2 width; d1, d0: transposed 4x4, stride 2
/// ```
///
/// ```
/// use ndsm::{nn::Autoencoder, tape::Recorder};
/// let net = Autoencoder::new([28, 28, 1], 16, 8)?;
/// let mut r = Recorder::<f32>::new();
/// let x = r.input("x", &[5, 28, 28, 1])?;
/// let (code, again) = net.record(&mut r, x)?;
/// assert_eq!((r.shape(code)?, r.shape(again)?), (&[5, 8][..], &[5, 28, 28, 1][..]));
/// # Ok::<(), ndsm::Error>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Autoencoder {
    image: [usize; 3],
    width: usize,
    latent: usize,
    variational: bool,
    layers: Layers,
    count: usize,
}

impl Autoencoder {
    /// A network for images of `[height, width, channels]`, with `width` channels behind the first layer.
    ///
    /// # Errors
    /// If height or width is not a multiple of 4 in 4..=16,384, channels or `width` not in 1..=1,024,
    /// `latent` not in 1..=65,536, or there would be more than 2^30 parameters.
    pub fn new(image: [usize; 3], width: usize, latent: usize) -> Result<Self> {
        Self::of(image, width, latent, false)
    }

    /// The same, variational where that is asked for.
    ///
    /// # Errors
    /// As [`Self::new`].
    pub fn of(image: [usize; 3], width: usize, latent: usize, variational: bool) -> Result<Self> {
        let [h, w, c] = image;
        check(&[
            ("height", h, 4, 16_384),
            ("width of the image", w, 4, 16_384),
            ("channels", c, 1, 1024),
            ("width", width, 1, 1024),
            ("latent", latent, 1, 65_536),
        ])?;
        if !h.is_multiple_of(4) || !w.is_multiple_of(4) {
            return Err(Error::invalid("network.image", "a height and a width that are multiples of 4", format!("{h} x {w}")));
        }
        let flat = h / 4 * (w / 4) * 2 * width;
        let mut layers = Layers::default();
        layers.conv("e0", 3, (c, width), Start::After(Activation::Identity));
        layers.conv("e1", 3, (width, 2 * width), Start::After(Activation::Silu));
        let numbers = if variational { 2 * latent } else { latent };
        layers.linear("code", flat, numbers, Start::After(Activation::Silu));
        layers.linear("rows", latent, flat, Start::After(Activation::Identity));
        layers.conv_transposed("d1", 2 * width, width, Start::After(Activation::Silu));
        layers.conv_transposed("d0", width, c, Start::After(Activation::Silu));
        Ok(Autoencoder { image, width, latent, variational, count: layers.count()?, layers })
    }

    /// Height, width and channels of the images.
    pub fn image(&self) -> [usize; 3] {
        self.image
    }
    /// Length of a code.
    pub fn latent(&self) -> usize {
        self.latent
    }
    /// Channels behind the first layer.
    pub fn width(&self) -> usize {
        self.width
    }
    /// Whether a code is a law.
    pub fn is_variational(&self) -> bool {
        self.variational
    }
    /// Number of parameters.
    pub fn parameter_count(&self) -> usize {
        self.count
    }
    /// Names, shapes and places of the parameters: `e0.weight`, `e0.bias`, ...
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

    /// Records the codes `[n, latent]` of images `x` `[n, h, w, c]`, or, variational, their laws `[n, 2
    /// latent]`.
    ///
    /// # Errors
    /// If the shapes do not fit or the parameters are another network's.
    pub fn encode<R: Real>(&self, r: &mut Recorder<R>, p: &Declared, x: Var) -> Result<Var> {
        let (shape, [h, w, c]) = (r.shape(x)?.to_vec(), self.image);
        if shape.get(1..) != Some(&self.image) {
            return Err(Error::shape("autoencoder", format!("images [n, {h}, {w}, {c}]"), &[&shape]));
        }
        let mut y = x;
        for name in ["e0", "e1"] {
            y = p.conv(r, name, y, 2)?;
            y = r.silu(y)?;
        }
        let y = r.reshape(y, &[shape[0], h / 4 * (w / 4) * 2 * self.width])?;
        p.linear(r, "code", y, Activation::Identity)
    }

    /// Records the images `[n, h, w, c]` of codes `z` `[n, latent]`.
    ///
    /// # Errors
    /// As [`Self::encode`].
    pub fn decode<R: Real>(&self, r: &mut Recorder<R>, p: &Declared, z: Var) -> Result<Var> {
        let [h, w, _] = self.image;
        let y = p.linear(r, "rows", z, Activation::Silu)?;
        let n = r.shape(y)?[0];
        let y = r.reshape(y, &[n, h / 4, w / 4, 2 * self.width])?;
        let y = p.conv_transposed(r, "d1", y)?;
        let y = r.silu(y)?;
        p.conv_transposed(r, "d0", y)
    }

    /// [`Self::declare`] without a prefix, [`Self::encode`] and [`Self::decode`] in one: the codes and the
    /// images again; variational, of the laws' means.
    ///
    /// # Errors
    /// As those.
    pub fn record<R: Real>(&self, recorder: &mut Recorder<R>, x: Var) -> Result<(Var, Var)> {
        let declared = self.declare(recorder, "")?;
        let mut code = self.encode(recorder, &declared, x)?;
        if self.variational {
            code = recorder.slice(code, 1, 0..self.latent)?;
        }
        Ok((code, self.decode(recorder, &declared, code)?))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rng::{Purpose, Stream};

    #[test]
    fn sizes_are_checked() {
        for (image, width, latent, words) in [
            ([0, 8, 1], 8, 1, "network.height"),
            ([6, 8, 1], 8, 1, "multiples of 4, got 6 x 8"),
            ([8, 8, 1], 0, 1, "network.width"),
            ([8, 8, 1], 8, 0, "network.latent: must be an integer in 1..=65536, got 0"),
            ([16_384, 16_384, 1], 1024, 65_536, "more than 1073741824 parameters"),
        ] {
            let e = Autoencoder::new(image, width, latent).unwrap_err().to_string();
            assert!(e.contains(words), "{e}");
        }
        let mut r = Recorder::<f32>::new();
        let x = r.input("x", &[2, 8, 4, 1]).unwrap();
        let e = Autoencoder::new([8, 8, 1], 8, 1).unwrap().record(&mut r, x).unwrap_err().to_string();
        assert!(e.contains("images [n, 8, 8, 1], got [2, 8, 4, 1]"), "{e}");
    }

    #[test]
    fn the_parameters_are_as_stated_and_the_units_keep_their_size() {
        let net = Autoencoder::new([12, 8, 3], 16, 32).unwrap();
        let (n, mut r) = (16, Recorder::<f64>::new());
        let x = r.input("x", &[n, 12, 8, 3]).unwrap();
        let (code, image) = net.record(&mut r, x).unwrap();
        r.keep(code).unwrap();
        let program = r.finish();
        assert_eq!((program.parameters(), program.parameter_count()), (&net.parameters()[..], net.parameter_count()));
        let params = net.init::<f64>(1);
        assert!(params.len() == net.parameter_count() && params != net.init::<f64>(2));
        let mut ws = program.workspace().unwrap();
        Stream::new(5, Purpose::Test, 0, 0).fill_normal(ws.input_mut(x).unwrap());
        program.forward(&params, &mut ws).unwrap();
        // Borders have fewer terms, and a small sample its scatter.
        for (what, values) in [("code", ws.value(code).unwrap()), ("image", ws.value(image).unwrap())] {
            let moment = values.iter().map(|v| v * v).sum::<f64>() / values.len() as f64;
            assert!((0.2..=2.0).contains(&moment), "{what}: {moment}");
        }
    }
}
