//! How an encoder is trained.

use super::network_encoder::as_images;
use super::{Dataset, NetworkEncoder};
use crate::nn::Autoencoder;
use crate::optim::{Descent, Minibatch};
use crate::rng::{Purpose, Stream};
use crate::tape::{Program, Recorder, Var, Workspace};
use crate::{Error, Result};
use ndarray::{Array1, ArrayView1, ArrayView2, Axis, s};

/// Held-out images that judge the parameters, at most, and how often they do.
const JUDGES: usize = 1000;
const LOOKS: usize = 10;
/// Decay of the averaged parameters.
pub(super) const EMA: f64 = 0.99;

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
        let mut encoder = NetworkEncoder { net, params: start.clone(), mean, scale, looks: vec![], lost: f64::NAN, draws: None };
        let (descent, judges) = (how.descent(), Judges::new(data, encoder.mean.view()));
        let prior = how.kl.map(|weight| Prior { weight, normal: true });
        let loss = Loss::record(&encoder.net, descent.block(), prior)?;
        let images = encoder.inputs(data.points.view());
        let fill = |batch: Minibatch<'_>, ws: &mut Workspace<f32>| loss.fill(&images, batch, how.seed, ws);
        let every = how.steps.div_ceil(LOOKS);
        let mut best = (f64::INFINITY, start.clone());
        let mut look = |step: usize, loss: f64, params: &[f32]| {
            if step.is_multiple_of(every) || step == how.steps {
                params.clone_into(&mut encoder.params);
                let look = EncoderLook { step, loss, lost: judges.lost(&encoder)? };
                encoder.looks.push(look);
                seen(look);
                if look.lost < best.0 {
                    best = (look.lost, params.to_vec());
                }
            }
            Ok(())
        };
        descent.run((&loss.program, loss.loss), start, data.points.nrows(), &fill, &mut look)?;
        (encoder.lost, encoder.params) = best;
        Ok(encoder)
    }
}

impl EncoderTraining {
    /// Steps over its images.
    pub(super) fn descent(&self) -> Descent {
        Descent { steps: self.steps, batch: self.batch, rate: self.rate, weight_decay: 0.0, ema: EMA, seed: self.seed }
    }
}

/// Held-out images that an encoder is judged by.
pub(super) struct Judges<'a> {
    images: ArrayView2<'a, f64>,
    /// Their squares around the training images' mean.
    spread: f64,
}

impl<'a> Judges<'a> {
    pub fn new(data: &'a Dataset, mean: ArrayView1<'_, f64>) -> Self {
        let images = data.held_out.slice(s![..data.held_out.nrows().min(JUDGES), ..]);
        let spread = images.outer_iter().map(|x| (&x - &mean).mapv(|v| v * v).sum()).sum::<f64>();
        Judges { images, spread }
    }

    /// Share of their variance that their codes lose, the means of laws.
    pub fn lost(&self, encoder: &NetworkEncoder) -> Result<f64> {
        let again = encoder.decode(encoder.codes(self.images, None)?.view())?;
        Ok((&again - &self.images).mapv(|v| v * v).sum() / self.spread)
    }
}

/// What the laws of variational codes are compared with.
#[derive(Clone, Copy)]
pub(super) struct Prior {
    /// Weight of the divergence from it.
    pub weight: f64,
    /// Whether it is N(0, I). Otherwise the loss has the laws' entropy alone, and descends the rest by its gradient
    /// at the codes.
    pub normal: bool,
}

/// The loss of a block of images.
pub(super) struct Loss {
    pub program: Program<f32>,
    x: Var,
    /// The standard normals of variational codes.
    noise: Option<Var>,
    /// The codes, of variational laws drawn from them.
    pub code: Var,
    pub loss: Var,
}

impl Loss {
    pub fn record(net: &Autoencoder, n: usize, prior: Option<Prior>) -> Result<Self> {
        let (mut r, latent) = (Recorder::<f32>::new(), net.latent());
        let declared = net.declare(&mut r, "")?;
        let d: usize = net.image().iter().product();
        let x = r.input("x", &[n, d])?;
        let images = as_images(&mut r, net, x)?;
        let mut code = net.encode(&mut r, &declared, images)?;
        let (mut noise, mut divergence) = (None, None);
        if let Some(Prior { weight, normal }) = prior {
            let (mean, log) = (r.slice(code, 1, 0..latent)?, r.slice(code, 1, latent..2 * latent)?);
            let half = r.scale(log, 0.5)?;
            let (z, std) = (r.input("noise", &[n, latent])?, r.exp(half)?);
            let spread = r.mul(std, z)?;
            code = r.add(mean, spread)?;
            noise = Some(z);
            // m^2 + v - ln v, or - ln v alone; constants are left out.
            let mut all = r.scale(log, -1.0)?;
            if normal {
                let (square, variance) = (r.square(mean)?, r.exp(log)?);
                let sum = r.add(square, variance)?;
                all = r.sub(sum, log)?;
            }
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
        if prior.is_some_and(|prior| !prior.normal) {
            r.keep(code)?;
        }
        Ok(Loss { program: r.finish(), x, noise, code, loss })
    }

    /// Puts a block's rows of `images` in, and the normals that `seed` and the step name.
    pub fn fill(&self, images: &[f32], batch: Minibatch<'_>, seed: u64, ws: &mut Workspace<f32>) -> Result<()> {
        let x = ws.input_mut(self.x)?;
        let d = x.len() / batch.rows.len();
        x.chunks_exact_mut(d).zip(batch.rows).for_each(|(x, row)| x.copy_from_slice(&images[row * d..][..d]));
        if let Some(noise) = self.noise {
            Stream::new(seed, Purpose::Code, batch.step, batch.first as u32).fill_normal(ws.input_mut(noise)?);
        }
        Ok(())
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

    /// Drawn codes are a function of seed and image, and have the variance that the laws add to their means; what is
    /// not variational has nothing to draw.
    #[test]
    fn codes_are_drawn_from_their_laws() {
        let data = digits();
        let how = EncoderTraining { kl: Some(0.05), ..HOW };
        let means = NetworkEncoder::fit(&data, how, &mut |_| {}).unwrap();
        let drawn = |seed: u64| NetworkEncoder { draws: Some(seed), ..means.clone() };
        let code = |encoder: &NetworkEncoder, x: ArrayView2<f64>| encoder.encode(x).unwrap();
        let (m, z, other) = (code(&means, data.points.view()), code(&drawn(1), data.points.view()), code(&drawn(2), data.points.view()));
        assert_eq!(z.row(5), code(&drawn(1), data.points.slice(s![5..6, ..])).row(0));
        // Independent draws around the same means: half of the square of what is between them is what is around
        // these; 11,504 numbers.
        let square = |x: ndarray::Array2<f64>| x.mapv(|v| v * v).mean().unwrap();
        let (around, between) = (square(&z - &m), square(&z - &other));
        assert!(around > 1e-4 && (0.5 * between / around - 1.0).abs() <= 0.1, "{around} {between}");
        let plain = NetworkEncoder::fit(&data, HOW, &mut |_| {}).unwrap();
        let same = NetworkEncoder { draws: Some(1), ..plain.clone() };
        assert_eq!(code(&plain, data.points.view()), code(&same, data.points.view()));
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
