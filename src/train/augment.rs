//! Images that a training step changes: moved by a pixel, mirrored. In a latent space the changed image is
//! encoded, as the data were.

use crate::config::{Augment, Config};
use crate::data::{Dataset, Encoder, ImageShape};
use crate::rng::{Purpose, Stream};
use crate::sde::Whitening;
use crate::{Error, Real, Result};
use ndarray::{Array1, Array2};

/// Changes of the training images, and the way from pixels to whitened coordinates.
pub(super) struct Augmented<R> {
    kind: Augment,
    share: f64,
    height: usize,
    width: usize,
    channels: usize,
    images: Vec<R>,
    /// u = map x + offset.
    map: Array2<f64>,
    offset: Array1<f64>,
    changed: Vec<f64>,
}

/// Refuses `train.augment` where the data are no images.
///
/// # Errors
/// Data without a height and a width.
pub(super) fn check(config: &Config, data: &Dataset) -> Result<()> {
    if config.train.augment == Augment::None || data.images.is_some() {
        return Ok(());
    }
    let (kind, name) = (config.train.augment.name(), config.data.name.name());
    Err(Error::refused("train.augment", format!("\"{kind}\" needs images, and the data \"{name}\" are none; leave it at \"none\"")))
}

impl<R: Real> Augmented<R> {
    /// Of the training images of `data`; nothing where `train.augment` is "none".
    ///
    /// # Errors
    /// As [`check`]; an encoder or a whitening of other data.
    pub fn new(config: &Config, data: &Dataset, encoder: &Encoder, whitening: &Whitening) -> Result<Option<Self>> {
        check(config, data)?;
        let (Some(shape), true) = (data.images, config.train.augment != Augment::None) else { return Ok(None) };
        // Both ways are affine: the image of 0 is the offset.
        let zero = encoder.encode(Array2::zeros((1, data.dim())).view())?;
        let offset = whitening.whiten(zero.view())?.row(0).to_owned();
        let map = match encoder {
            Encoder::Identity => whitening.inverse().to_owned(),
            Encoder::Pca(pca) => whitening.inverse().dot(&pca.components),
            Encoder::Network(_) => return Err(Error::refused("train.augment", "needs pixels or principal components")),
        };
        let images = data.points.iter().map(|v| R::of(*v)).collect();
        let (kind, share) = (config.train.augment, config.train.augment_share);
        let changed = vec![0.0; data.dim()];
        let ImageShape { height, width, channels, .. } = shape;
        Ok(Some(Augmented { kind, share, height, width, channels, images, map, offset, changed }))
    }

    /// Changes `u`, the whitened image number `row`, point `i` of batch `batch`: each change is made with the
    /// probability `train.augment_share`. What falls off an edge is gone; what comes in is as the edge was.
    pub fn change(&mut self, seed: u64, batch: u64, i: usize, row: usize, u: &mut [R]) {
        let mut stream = Stream::new(seed, Purpose::Augment, batch, i as u32);
        let [moved, mirrored] = [0; 2].map(|_| stream.uniform::<f64>() < self.share);
        let moved = moved && matches!(self.kind, Augment::Shift | Augment::Both);
        let mirrored = mirrored && matches!(self.kind, Augment::Mirror | Augment::Both);
        if !moved && !mirrored {
            return;
        }
        // One of the eight neighbours.
        let place = [0, 1, 2, 3, 5, 6, 7, 8][stream.below(8)];
        let (down, right) = if moved { (place / 3, place % 3) } else { (1, 1) };
        let (h, w, c) = (self.height, self.width, self.channels);
        let image = &self.images[row * h * w * c..][..h * w * c];
        for (at, pixel) in self.changed.chunks_exact_mut(c).enumerate() {
            let from = |at: usize, by: usize, n: usize| (at + 1).saturating_sub(by).min(n - 1);
            let (y, x) = (from(at / w, down, h), from(at % w, right, w));
            let source = &image[(y * w + if mirrored { w - 1 - x } else { x }) * c..];
            pixel.iter_mut().zip(source).for_each(|(to, from)| *to = from.f64());
        }
        for ((u, row), offset) in u.iter_mut().zip(self.map.rows()).zip(&self.offset) {
            *u = R::of(offset + row.iter().zip(&self.changed).map(|(a, x)| a * x).sum::<f64>());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Setting;
    use crate::train::{Prepared, prepare};

    fn prepared(kind: &str, latent: usize, share: f64) -> Prepared {
        let mut settings = vec![Setting::new("train.augment", kind), Setting::new("train.augment_share", share)];
        settings.extend([("data.latent", latent), ("data.n", 200), ("reference.components", 2)].map(|(k, v)| Setting::new(k, v)));
        settings.extend([("train.precision", "f64"), ("reference.covariance", "diagonal")].map(|(k, v)| Setting::new(k, v)));
        settings.push(Setting::new("network.width", 8usize));
        prepare(&Config::resolve(&settings).unwrap()).unwrap()
    }

    /// The changes that a batch may make of an image, by slicing.
    fn candidates(image: &[f64], moves: bool, mirrors: bool) -> Vec<Vec<f64>> {
        let mut all = Vec::new();
        for (dy, dx) in (-1i64..=1).flat_map(|dy| (-1i64..=1).map(move |dx| (dy, dx))).filter(|d| moves || *d == (0, 0)) {
            for flip in [false, true].into_iter().filter(|flip| mirrors || !flip) {
                let at = |y: i64, x: i64| {
                    let (y, x) = ((y - dy).clamp(0, 7), (x - dx).clamp(0, 7));
                    image[(y * 8 + if flip { 7 - x } else { x }) as usize]
                };
                all.push((0..64).map(|i| at(i / 8, i % 8)).collect());
            }
        }
        all
    }

    /// Every point of a batch is its image or one of its changes, in pixels and in a latent space; as many
    /// are changed as the share says (256 points: four errors are .125), in every way; the streams say which.
    #[test]
    fn points_are_changed_images() {
        for (kind, latent) in [("shift", 0), ("mirror", 0), ("both", 0), ("both", 6)] {
            let p = prepared(kind, latent, 0.5);
            let mut trainer = p.trainer::<f64>().unwrap();
            let (rows, u) = trainer.batch(8).unwrap();
            let mut seen = std::collections::BTreeSet::new();
            let mut changed = 0;
            for (row, u) in rows.iter().zip(u.outer_iter()) {
                let image = p.data.points.row(*row).to_vec();
                let all = candidates(&image, kind != "mirror", kind != "shift");
                let all: Vec<f64> = all.into_iter().flatten().collect();
                let all = Array2::from_shape_vec((all.len() / 64, 64), all).unwrap();
                let all = p.reference.whitening.whiten(p.encoder.encode(all.view()).unwrap().view()).unwrap();
                let near = |v: ndarray::ArrayView1<f64>| v.iter().zip(u).all(|(a, b)| (a - b).abs() <= 1e-9 * (1.0 + a.abs()));
                let found = all.outer_iter().position(near).unwrap_or_else(|| panic!("{kind}: no change of image {row}"));
                let unchanged = p.reference.whitening.whiten(p.x.select(ndarray::Axis(0), &[*row]).view()).unwrap();
                changed += usize::from(!near(unchanged.row(0)));
                seen.insert(found);
            }
            let expected = if kind == "both" { 0.75 } else { 0.5 };
            assert!((changed as f64 / 256.0 - expected).abs() <= 0.125, "{kind}: {changed} changed");
            assert_eq!(seen.len(), [9, 2, 18][["shift", "mirror", "both"].iter().position(|k| *k == kind).unwrap()], "{kind}");
            assert!(trainer.batch(8).unwrap() == (rows.clone(), u.clone()) && p.trainer::<f64>().unwrap().batch(8).unwrap() == (rows, u));
        }
    }

    /// The numbers of a pixel stay side by side: a mirrored and moved image of two by two colours.
    #[test]
    fn whole_pixels_move() {
        let images = ImageShape { height: 2, width: 2, channels: 3, range: [0.0, 1.0], levels: None };
        let points = Array2::from_shape_fn((1, 12), |(_, j)| j as f64);
        let data = Dataset {
            name: "npy".into(),
            held_out: points.clone(),
            points,
            images: Some(images),
            notes: Vec::new(),
            labels: None,
            held_out_labels: None,
            law: None,
        };
        let settings = ["both", "mirror"].map(|kind| {
            let all = [Setting::new("train.augment", kind), Setting::new("train.augment_share", 1.0)];
            Config::resolve(&all).unwrap()
        });
        let whitening = Whitening::new(Array1::zeros(12).view(), Array2::eye(12).view()).unwrap();
        let pixels: Vec<Vec<f64>> = (0..4).map(|p| (0..3).map(|c| (3 * p + c) as f64).collect()).collect();
        let mut seen = std::collections::BTreeSet::new();
        for config in &settings {
            let mut augmented = Augmented::<f64>::new(config, &data, &Encoder::Identity, &whitening).unwrap().unwrap();
            for batch in 0..60 {
                let mut u = vec![0.0; 12];
                augmented.change(0, batch, 0, 0, &mut u);
                let order: Vec<usize> = u.chunks(3).map(|p| pixels.iter().position(|q| q == p).expect("a whole pixel")).collect();
                seen.insert(order);
            }
        }
        // The mirror alone, and its eight moves.
        assert!(seen.contains(&vec![1, 0, 3, 2]) && seen.len() == 9, "{seen:?}");
    }

    /// None are changed where the share is 0: the bits are those without the key.
    #[test]
    fn nothing_is_changed_unless_asked_for() {
        let states = [("none", 0.5), ("both", 0.0)].map(|(kind, share)| {
            let mut trainer = prepared(kind, 6, share).trainer::<f64>().unwrap();
            (0..5).for_each(|_| drop(trainer.step().unwrap()));
            trainer.state().params.clone()
        });
        assert!(states[0] == states[1]);
        let mut trainer = prepared("both", 6, 0.5).trainer::<f64>().unwrap();
        (0..5).for_each(|_| drop(trainer.step().unwrap()));
        assert!(trainer.state().params != states[0]);
    }

    #[test]
    fn points_that_are_no_images_are_refused() {
        let settings = [("data.name", "moons"), ("train.augment", "mirror")];
        let settings: Vec<Setting> = settings.iter().map(|(k, v)| Setting::new(k, *v)).collect();
        let e = Config::resolve(&settings).unwrap_err().to_string();
        assert!(e.contains("train.augment") && e.contains("images"), "{e}");
    }
}
