//! A latent space that a network has learned.

use super::Dataset;
use crate::nn::Autoencoder;
use crate::nn::replay::Replay;
use crate::optim::{Descent, Minibatch};
use crate::rng::{Purpose, Stream};
use crate::tape::{Recorder, Var};
use crate::{Error, Result};
use ndarray::{Array1, Array2, ArrayView2, Axis};

/// Held-out images that judge the parameters, at most, and how often they do.
const JUDGES: usize = 1000;
const LOOKS: usize = 10;
/// Decay of the averaged parameters.
const EMA: f64 = 0.99;

/// How an encoder is trained.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct EncoderTraining {
    /// Numbers of a code.
    pub latent: usize,
    /// Channels behind the first convolution.
    pub channels: usize,
    /// Weight of the Kullback-Leibler term of a variational autoencoder; none for a plain one.
    pub kl: Option<f64>,
    /// Optimiser steps.
    pub steps: usize,
    /// Images of a step.
    pub batch: usize,
    /// Learning rate.
    pub rate: f64,
    /// Seed of the weights, the order and the codes.
    pub seed: u64,
}

/// What was seen of an encoder in training.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct EncoderLook {
    /// After so many steps.
    pub step: usize,
    /// The loss of that step.
    pub loss: f64,
    /// Share of the held-out images' variance that their codes lose.
    pub lost: f64,
}

/// A convolutional autoencoder, plain or variational, with its parameters. Both ways are computed in f32; an
/// image has one code, in whatever company. The code of a variational one is its law's mean.
///
/// It minimises, per image, |x' - x|^2/V + `kl` KL(q || N(0, I)), x' the image of the code, V the variance of
/// the training images in all pixels together, KL the sum over numbers of a code of (m^2 + v - 1 - ln v)/2.
/// The parameters are those that lose least of the held-out images' variance, of several looks.
#[derive(Debug, Clone, PartialEq)]
pub struct NetworkEncoder {
    net: Autoencoder,
    params: Vec<f32>,
    /// Of the training images: the network sees (x - mean)/scale.
    mean: Array1<f64>,
    scale: f64,
    /// What was seen in training; empty for one that was read from a file.
    pub looks: Vec<EncoderLook>,
}

impl NetworkEncoder {
    /// Trained on the images of `data`; `seen` is told what is seen.
    ///
    /// # Errors
    /// Data that are no images, or of sides that are no multiples of four; settings out of range; training
    /// that diverges.
    pub fn fit(data: &Dataset, how: EncoderTraining, seen: &mut dyn FnMut(EncoderLook)) -> Result<Self> {
        let Some(shape) = data.images else {
            return Err(Error::refused("encoder.kind", "an autoencoder needs points that are images; use \"pca\""));
        };
        let image = [shape.height, shape.width, shape.channels];
        let net = Autoencoder::of(image, how.channels, how.latent, how.kl.is_some()).map_err(|e| e.within("encoder"))?;
        let mean = data.points.mean_axis(Axis(0)).unwrap_or_else(|| Array1::zeros(data.dim()));
        let variance = data.points.outer_iter().map(|x| (&x - &mean).mapv(|v| v * v).sum()).sum::<f64>() / data.points.nrows() as f64;
        if variance.is_nan() || variance <= 0.0 {
            return Err(Error::refused("encoder", "the training images are all the same"));
        }
        let scale = (variance / data.dim() as f64).sqrt();
        let start = net.init::<f32>(how.seed);
        let mut encoder = NetworkEncoder { net, params: start.clone(), mean, scale, looks: vec![] };
        let descent = Descent { steps: how.steps, batch: how.batch, rate: how.rate, weight_decay: 0.0, ema: EMA, seed: how.seed };
        let (d, block) = (data.dim(), descent.block());
        let loss = Loss::record(&encoder.net, block, how.kl)?;
        let images = encoder.inputs(data.points.view());
        let judges = data.held_out.slice(ndarray::s![..data.held_out.nrows().min(JUDGES), ..]);
        let spread = judges.outer_iter().map(|x| (&x - &encoder.mean).mapv(|v| v * v).sum()).sum::<f64>();
        let fill = |batch: Minibatch<'_>, ws: &mut crate::tape::Workspace<f32>| {
            for (x, row) in ws.input_mut(loss.x)?.chunks_exact_mut(d).zip(batch.rows) {
                x.copy_from_slice(&images[row * d..][..d]);
            }
            if let Some(noise) = loss.noise {
                Stream::new(how.seed, Purpose::Code, batch.step, batch.first as u32).fill_normal(ws.input_mut(noise)?);
            }
            Ok(())
        };
        let every = how.steps.div_ceil(LOOKS);
        let mut best = (f64::INFINITY, start.clone());
        let mut look = |step: usize, loss: f64, params: &[f32]| {
            if step.is_multiple_of(every) || step == how.steps {
                params.clone_into(&mut encoder.params);
                let again = encoder.decode(encoder.encode(judges)?.view())?;
                let lost = (&again - &judges).mapv(|v| v * v).sum() / spread;
                let seen_now = EncoderLook { step, loss, lost };
                encoder.looks.push(seen_now);
                seen(seen_now);
                if lost < best.0 {
                    best = (lost, params.to_vec());
                }
            }
            Ok(())
        };
        descent.run((&loss.program, loss.loss), start, data.points.nrows(), &fill, &mut look)?;
        encoder.params = best.1;
        Ok(encoder)
    }

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
        Ok(NetworkEncoder { net, params, mean, scale, looks: vec![] })
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
    fn inputs(&self, x: ArrayView2<f64>) -> Vec<f32> {
        let row = |x: ndarray::ArrayView1<'_, f64>| -> Vec<f32> {
            x.iter().zip(&self.mean).map(|(x, m)| ((x - m) / self.scale) as f32).collect()
        };
        x.outer_iter().flat_map(row).collect()
    }

    fn check(&self, x: ArrayView2<f64>, width: usize) -> Result<()> {
        if x.ncols() == width { Ok(()) } else { Err(Error::shape("encoder", format!("rows of {width} numbers"), &[x.shape()])) }
    }
}

fn array(values: Vec<f64>, n: usize, d: usize) -> Result<Array2<f64>> {
    Array2::from_shape_vec((n, d), values).map_err(|e| Error::refused("encoder", e.to_string()))
}

/// Rows [n, h w c] as images [n, h, w, c].
fn as_images(r: &mut Recorder<f32>, net: &Autoencoder, x: Var) -> Result<Var> {
    let (n, [h, w, c]) = (r.shape(x)?[0], net.image());
    r.reshape(x, &[n, h, w, c])
}

/// The loss of a block of images.
struct Loss {
    program: crate::tape::Program<f32>,
    x: Var,
    /// The standard normals of variational codes.
    noise: Option<Var>,
    loss: Var,
}

impl Loss {
    fn record(net: &Autoencoder, n: usize, kl: Option<f64>) -> Result<Self> {
        let (mut r, latent) = (Recorder::<f32>::new(), net.latent());
        let declared = net.declare(&mut r, "")?;
        let d: usize = net.image().iter().product();
        let x = r.input("x", &[n, d])?;
        let images = as_images(&mut r, net, x)?;
        let mut code = net.encode(&mut r, &declared, images)?;
        let (mut noise, mut divergence) = (None, None);
        if let Some(weight) = kl {
            let (mean, log) = (r.slice(code, 1, 0..latent)?, r.slice(code, 1, latent..2 * latent)?);
            let (variance, half) = (r.exp(log)?, r.scale(log, 0.5)?);
            let (z, std) = (r.input("noise", &[n, latent])?, r.exp(half)?);
            let spread = r.mul(std, z)?;
            code = r.add(mean, spread)?;
            noise = Some(z);
            // m^2 + v - ln v; the constant is left out.
            let square = r.square(mean)?;
            let sum = r.add(square, variance)?;
            let all = r.sub(sum, log)?;
            let total = r.sum(all)?;
            divergence = Some(r.scale(total, 0.5 * weight / n as f64)?);
        }
        let again = net.decode(&mut r, &declared, code)?;
        let off = r.sub(again, images)?;
        let square = r.square(off)?;
        // The pixels have variance 1 on average: their mean is the sum over V.
        let mut loss = r.mean(square)?;
        if let Some(divergence) = divergence {
            loss = r.add(loss, divergence)?;
        }
        Ok(Loss { program: r.finish(), x, noise, loss })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::data::{Request, load};

    fn digits() -> Dataset {
        load(&Request { name: "digits".into(), ..Request::default() }).unwrap()
    }

    const HOW: EncoderTraining = EncoderTraining { latent: 8, channels: 8, kl: None, steps: 400, batch: 64, rate: 3e-3, seed: 1 };

    /// Codes keep more of held-out images than nothing does, plain and variational; equal bits whatever the
    /// threads; an image has one code.
    #[test]
    fn codes_keep_what_images_have() {
        let data = digits();
        for kl in [None, Some(1e-3)] {
            let run = |threads: usize| {
                let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
                pool.install(|| NetworkEncoder::fit(&data, EncoderTraining { kl, ..HOW }, &mut |_| {})).unwrap()
            };
            let encoder = run(1);
            assert!(encoder == run(2), "{kl:?}");
            let least = encoder.looks.iter().map(|look| look.lost).fold(1.0, f64::min);
            assert!(encoder.looks.len() == 10 && least < 0.5 && encoder.looks[0].lost > least, "{kl:?}: {:?}", encoder.looks);
            let codes = encoder.encode(data.held_out.view()).unwrap();
            let again = encoder.decode(codes.view()).unwrap();
            let spread = (&data.held_out - &encoder.mean).mapv(|v| v * v).sum();
            let lost = (&again - &data.held_out).mapv(|v| v * v).sum() / spread;
            assert!((lost - least).abs() <= 1e-9, "{kl:?}: {lost} and {least}");
            let one = encoder.encode(data.held_out.slice(ndarray::s![5..6, ..])).unwrap();
            assert_eq!(one.row(0), codes.row(5));
        }
    }

    /// A heavy weight pulls the codes to the prior: their means go to 0.
    #[test]
    fn the_weight_pulls_codes_to_the_prior() {
        let data = digits();
        let size = |kl: f64| {
            let encoder = NetworkEncoder::fit(&data, EncoderTraining { kl: Some(kl), ..HOW }, &mut |_| {}).unwrap();
            encoder.encode(data.held_out.view()).unwrap().mapv(|v| v * v).mean().unwrap()
        };
        let (light, heavy) = (size(1e-4), size(10.0));
        assert!(heavy < 0.05 && light > 0.5, "{light} {heavy}");
    }

    #[test]
    fn what_has_no_images_is_refused() {
        let moons = load(&Request { name: "moons".into(), n: Some(50), ..Request::default() }).unwrap();
        let e = NetworkEncoder::fit(&moons, HOW, &mut |_| {}).unwrap_err();
        assert!(e.to_string().contains("needs points that are images") && e.exit_code() == 2, "{e}");
        let mut flat = digits();
        flat.points.fill(0.5);
        assert!(NetworkEncoder::fit(&flat, HOW, &mut |_| {}).unwrap_err().to_string().contains("all the same"));
        let encoder = NetworkEncoder::fit(&digits(), EncoderTraining { steps: 1, ..HOW }, &mut |_| {}).unwrap();
        assert!(encoder.encode(moons.points.view()).is_err() && encoder.decode(moons.points.view()).is_err());
        let parts = |scale| NetworkEncoder::from_parts(encoder.net.clone(), encoder.params.clone(), encoder.mean.clone(), scale);
        assert!(parts(0.0).is_err() && parts(f64::NAN).is_err() && parts(encoder.scale).is_ok());
    }
}
