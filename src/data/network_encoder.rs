//! A latent space that a network has learned.

use super::EncoderLook;
use crate::nn::Autoencoder;
use crate::nn::replay::Replay;
use crate::tape::{Recorder, Var};
use crate::{Error, Result};
use ndarray::{Array1, Array2, ArrayView2};

/// A convolutional autoencoder, plain or variational, with its parameters. Both ways are computed in f32; an
/// image has one code, in whatever company. The code of a variational one is its law's mean.
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
        Ok(NetworkEncoder { net, params, mean, scale, looks: vec![], lost: f64::NAN })
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
        self.check(x, self.mean.len())?;
        let latent = self.net.latent();
        let record = |r: &mut Recorder<f32>, n: usize| {
            let declared = self.net.declare(r, "")?;
            let x = r.input("x", &[n, self.mean.len()])?;
            let images = as_images(r, &self.net, x)?;
            let mut code = self.net.encode(r, &declared, images)?;
            if self.net.is_variational() {
                code = r.slice(code, 1, 0..latent)?;
            }
            Ok((x, code))
        };
        let mut out = vec![0.0; x.nrows() * latent];
        Replay::new(&record, &self.params)?.run(&self.inputs(x), &mut out)?;
        array(out.into_iter().map(f64::from).collect(), x.nrows(), latent)
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

fn array(values: Vec<f64>, n: usize, d: usize) -> Result<Array2<f64>> {
    Array2::from_shape_vec((n, d), values).map_err(|e| Error::refused("encoder", e.to_string()))
}

/// Rows [n, h w c] as images [n, h, w, c].
pub(super) fn as_images(r: &mut Recorder<f32>, net: &Autoencoder, x: Var) -> Result<Var> {
    let (n, [h, w, c]) = (r.shape(x)?[0], net.image());
    r.reshape(x, &[n, h, w, c])
}
