//! A latent space that a network has learned.

use super::EncoderLook;
use crate::nn::Autoencoder;
use crate::nn::replay::Replay;
use crate::rng::{Purpose, Stream};
use crate::tape::{Recorder, Var};
use crate::{Error, Result};
use ndarray::{Array1, Array2, ArrayView2};

/// The streams of drawn codes are behind those of training.
const DRAWN: u32 = u32::MAX;

/// A convolutional autoencoder, plain or variational, with its parameters. Both ways are computed in f32; an
/// image has one code, in whatever company. The code of a variational one is its law's mean, or [drawn](Self::draws).
///
/// It minimises, per image, |x' - x|^2/V + `kl` KL(q || N(0, I)), x' the image of the code, V the variance of
/// the training images in all pixels together, KL the sum over numbers of a code of (m^2 + v - 1 - ln v)/2.
/// The parameters are those that lose least of the held-out images' variance, of several looks. One that was trained
/// beside the law of its codes ([`JointEncoder`](super::JointEncoder)) has that law in the place of N(0, I).
#[derive(Debug, Clone, PartialEq)]
pub struct NetworkEncoder {
    pub(super) net: Autoencoder,
    pub(super) params: Vec<f32>,
    /// Of the training images: the network sees (x - mean)/scale.
    pub(super) mean: Array1<f64>,
    pub(super) scale: f64,
    /// What was seen in training.
    pub looks: Vec<EncoderLook>,
    /// Share of the held-out images' variance that its codes lose; NaN where that is not known.
    pub lost: f64,
    /// The seed of codes that are drawn from the laws of a variational one, each named by its image: then their law is
    /// that of which the decoder has learned. Without it a code is its law's mean.
    pub draws: Option<u64>,
}

impl NetworkEncoder {
    /// The one with these parts, as read from a file.
    ///
    /// # Errors
    /// Parts that do not fit each other.
    pub fn from_parts(net: Autoencoder, params: Vec<f32>, mean: Array1<f64>, scale: f64) -> Result<Self> {
        let d: usize = net.image().iter().product();
        if params.len() != net.parameter_count() || mean.len() != d || scale.is_nan() || scale <= 0.0 {
            let expected = format!("{} parameters, a mean of {d} numbers and a scale > 0", net.parameter_count());
            return Err(Error::refused("encoder", format!("must have {expected}, got {}, {} and {scale}", params.len(), mean.len())));
        }
        Ok(NetworkEncoder { net, params, mean, scale, looks: vec![], lost: f64::NAN, draws: None })
    }

    /// The network.
    pub fn net(&self) -> &Autoencoder {
        &self.net
    }
    /// Its parameters.
    pub fn params(&self) -> &[f32] {
        &self.params
    }
    /// The image that is taken from all images, and the number that they are divided by.
    pub fn standard(&self) -> (&Array1<f64>, f64) {
        (&self.mean, self.scale)
    }

    /// Codes of images: [n, d] -> [n, latent].
    ///
    /// # Errors
    /// Images of another size.
    pub fn encode(&self, x: ArrayView2<f64>) -> Result<Array2<f64>> {
        self.codes(x, self.draws)
    }

    /// Codes, of a variational one its laws' means, or with a seed drawn from them.
    pub(super) fn codes(&self, x: ArrayView2<f64>, draws: Option<u64>) -> Result<Array2<f64>> {
        self.check(x, self.mean.len())?;
        let (latent, inputs) = (self.net.latent(), self.inputs(x));
        let record = |r: &mut Recorder<f32>, n: usize| {
            let declared = self.net.declare(r, "")?;
            let x = r.input("x", &[n, self.mean.len()])?;
            let images = as_images(r, &self.net, x)?;
            Ok((x, self.net.encode(r, &declared, images)?))
        };
        let numbers = if self.net.is_variational() { 2 * latent } else { latent };
        let mut out = vec![0.0; x.nrows() * numbers];
        Replay::new(&record, &self.params)?.run(&inputs, &mut out)?;
        let mut xi = vec![0f32; latent];
        let mut codes = Vec::with_capacity(x.nrows() * latent);
        for (law, image) in out.chunks_exact(numbers).zip(inputs.chunks_exact(x.ncols())) {
            let (mean, log) = law.split_at(latent);
            if let Some(seed) = draws {
                Stream::new(seed, Purpose::Code, name(image), DRAWN).fill_normal(&mut xi);
            }
            codes.extend((0..latent).map(|j| f64::from(mean[j] + if log.is_empty() { 0.0 } else { (0.5 * log[j]).exp() * xi[j] })));
        }
        array(codes, x.nrows(), latent)
    }

    /// Images of codes: [n, latent] -> [n, d].
    ///
    /// # Errors
    /// Codes of another length.
    pub fn decode(&self, z: ArrayView2<f64>) -> Result<Array2<f64>> {
        self.check(z, self.net.latent())?;
        let d = self.mean.len();
        let record = |r: &mut Recorder<f32>, n: usize| {
            let declared = self.net.declare(r, "")?;
            let z = r.input("z", &[n, self.net.latent()])?;
            let images = self.net.decode(r, &declared, z)?;
            Ok((z, images))
        };
        let rows: Vec<f32> = z.iter().map(|v| *v as f32).collect();
        let mut out = vec![0.0; z.nrows() * d];
        Replay::new(&record, &self.params)?.run(&rows, &mut out)?;
        let pixel = |(i, v): (usize, f32)| f64::from(v) * self.scale + self.mean[i % d];
        array(out.into_iter().enumerate().map(pixel).collect(), z.nrows(), d)
    }

    /// Images as the network sees them, row by row.
    pub(super) fn inputs(&self, x: ArrayView2<f64>) -> Vec<f32> {
        let row = |x: ndarray::ArrayView1<'_, f64>| -> Vec<f32> {
            x.iter().zip(&self.mean).map(|(x, m)| ((x - m) / self.scale) as f32).collect()
        };
        x.outer_iter().flat_map(row).collect()
    }

    pub(super) fn check(&self, x: ArrayView2<f64>, width: usize) -> Result<()> {
        if x.ncols() == width { Ok(()) } else { Err(Error::shape("encoder", format!("rows of {width} numbers"), &[x.shape()])) }
    }
}

/// An image as a number: FNV-1a over its bits, of which a stream takes 55.
fn name(image: &[f32]) -> u64 {
    crate::hash::fnv1a(image.iter().map(|v| u64::from(v.to_bits()))) >> 9
}

fn array(values: Vec<f64>, n: usize, d: usize) -> Result<Array2<f64>> {
    Array2::from_shape_vec((n, d), values).map_err(|e| Error::refused("encoder", e.to_string()))
}

/// Rows [n, h w c] as images [n, h, w, c].
pub(super) fn as_images(r: &mut Recorder<f32>, net: &Autoencoder, x: Var) -> Result<Var> {
    let (n, [h, w, c]) = (r.shape(x)?[0], net.image());
    r.reshape(x, &[n, h, w, c])
}
