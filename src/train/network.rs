//! The network, and its kind, width and learning rate where the configuration leaves them open: chosen from
//! the number of points, the rate from the width.
//!
//! With the time in every block a network needs fewer steps, and learns few points by heart sooner; so does a
//! wide one. In a few dimensions neither matters (method.md, "The network").

use super::{Reference, Settled};
use crate::config::{Config, NARROW, NetworkKind};
use crate::nn::{Kind, Mlp, Pixels, ResidualMlp, ScoreNet, Sizes};
use crate::{Error, Result};
use ndarray::Array1;
use std::sync::Arc;

/// Frequencies of the time's Fourier features.
const FREQUENCIES: usize = 6;
/// Dimensions from which on the points decide.
const DIRECTIONS: usize = 16;
/// Points from which on the time is put into every block, and from which on these blocks are wide.
const SOME: usize = 800;
const MANY: usize = 2000;
/// Units of a hidden layer beside [`NARROW`], and the learning rate of each that gains most: like 1/width
/// (arXiv:2203.03466), but in a few dimensions, where a narrow network is as good with the lower one.
const NARROW_RATE: f64 = 6e-3;
const WIDE: usize = 256;
const RATE: f64 = 3e-3;
/// Of a network on images: channels of its first level, the smallest side of its last, its learning rate.
const CHANNELS: usize = 32;
const LEAST_SIDE: usize = 4;
const RATE_ON_IMAGES: f64 = 2e-3;

/// The network of the configuration's kind and sizes for points where `reference` lives.
///
/// # Errors
/// Sizes out of range; a network for images where the points are none.
pub fn network(config: &Settled, reference: &Reference) -> Result<ScoreNet> {
    let n = &config.network;
    let kind = n.kind.architecture().ok_or_else(|| Error::refused("network.kind", "is still to be chosen"))?;
    let pixels = reference.image.filter(|_| kind.images).map(|shape| pixels(shape, reference));
    (kind.network)(&Sizes { pixels, ..sizes(config, reference.whitening.dim()) })
}

/// The sizes that the configuration asks for.
fn sizes(config: &Config, dim: usize) -> Sizes {
    let n = &config.network;
    Sizes {
        dim,
        width: n.width,
        depth: n.depth,
        frequencies: FREQUENCIES,
        classes: n.classes,
        dropout: n.dropout,
        multipliers: n.multipliers.clone(),
        attention: n.attention,
        stem: n.stem,
        pixels: None,
    }
}

/// Whether images of the shape `image` have a network on images, which is known before the work of a fit.
///
/// # Errors
/// As [`network`].
pub(super) fn check(config: &Config, image: Option<[usize; 3]>) -> Result<()> {
    let (Some(kind), Some(shape)) = (config.network.kind.architecture().filter(|kind| kind.images), image) else { return Ok(()) };
    let mut config = config.clone();
    choose_on_images(&mut config, image);
    let pixels = Some(Pixels { shape, maps: None });
    (kind.network)(&Sizes { pixels, ..sizes(&config, shape.iter().product()) }).map(drop)
}

/// The standard deviation that a point in whitened coordinates is divided with before the network sees it, of
/// every coordinate: its own, or of an image, whose pixels keep their proportions, one for all.
pub(super) fn input_std(config: &Settled, reference: &Reference) -> Vec<f64> {
    let std = &reference.std;
    if config.network.kind.architecture().is_some_and(|kind| kind.images) { vec![common(std); std.len()] } else { std.to_vec() }
}

/// The root of the mean square.
fn common(std: &Array1<f64>) -> f64 {
    (std.dot(std) / std.len() as f64).sqrt()
}

/// From the network's rows to images and back: with u = A^-1 (x - mean), c the deviation that u is divided
/// with and s that of a pixel, over all pixels, F = (c/s) A, so that images have variance 1; and B = s A^-1,
/// because what the network adds to a score is A^-1 times a difference of images, that of what it expects the
/// noised image to have been and what the reference does (method.md, "The network").
fn pixels(shape: [usize; 3], reference: &Reference) -> Pixels {
    let (factor, inverse) = (reference.whitening.factor(), reference.whitening.inverse());
    let covariance = reference.mixture.total_covariance();
    let variance = (factor.dot(&covariance) * factor).sum() / reference.std.len() as f64;
    let (c, s) = (common(&reference.std), variance.sqrt());
    Pixels { shape, maps: Some(Arc::new([&factor * (c / s), &inverse * s])) }
}

/// Whether the number of points decides something.
pub(super) fn is_open(config: &Config) -> bool {
    config.network.kind == NetworkKind::AUTO || config.network.width == 0
}

/// The levels of a U-Net where none are given: as many as leave [`LEAST_SIDE`] pixels, at most three.
fn levels([h, w, _]: [usize; 3], stem: usize) -> Vec<usize> {
    let (h, w) = (h / stem, w / stem);
    let halves = |k: usize| h % (1 << k) == 0 && w % (1 << k) == 0 && h.min(w) >> k >= LEAST_SIDE;
    [1, 2, 2].into_iter().enumerate().take_while(|(k, _)| *k == 0 || halves(*k)).map(|(_, m)| m).collect()
}

/// Chooses what is open of a network on images, and says what.
fn choose_on_images(config: &mut Config, image: Option<[usize; 3]>) -> Option<String> {
    let network = &mut config.network;
    let open = network.width == 0 || network.multipliers.is_empty() || config.train.lr == 0.0;
    if network.width == 0 {
        network.width = CHANNELS;
    }
    // Without an image the network is refused when it is made.
    if let (true, Some(image)) = (network.multipliers.is_empty(), image) {
        network.multipliers = levels(image, network.stem);
    }
    if config.train.lr == 0.0 {
        config.train.lr = RATE_ON_IMAGES;
    }
    let said = || {
        let (width, multipliers) = (config.network.width, &config.network.multipliers);
        format!("network.width = {width}, network.multipliers = {multipliers:?}, train.lr = {}", config.train.lr)
    };
    open.then(said)
}

/// Chooses what is open for `points` training points in R^`dim`, images of the shape `image` where they are
/// images, and says what and why.
pub(super) fn choose(config: &mut Config, points: usize, dim: usize, image: Option<[usize; 3]>) -> Option<String> {
    if config.network.kind.architecture().is_some_and(|kind| kind.images) {
        return choose_on_images(config, image);
    }
    let open = is_open(config);
    if !open && config.train.lr > 0.0 {
        return None;
    }
    let named = |kind: Kind| NetworkKind::named(kind.name).unwrap_or_default();
    let network = &mut config.network;
    if network.kind == NetworkKind::AUTO {
        network.kind = named(if dim >= DIRECTIONS && points >= SOME { ResidualMlp::KIND } else { Mlp::KIND });
    }
    if network.width == 0 {
        let narrow = dim >= DIRECTIONS && points < if network.kind == named(Mlp::KIND) { SOME } else { MANY };
        network.width = if narrow { NARROW } else { WIDE };
    }
    let (kind, width) = (network.kind.name(), network.width);
    if config.train.lr == 0.0 {
        config.train.lr = if dim >= DIRECTIONS && width <= NARROW { NARROW_RATE } else { RATE };
    }
    let network = format!("network.kind = \"{kind}\", network.width = {width}, train.lr = {}", config.train.lr);
    Some(if open { format!("{network}, for {points} points in {dim} dimensions") } else { network })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Setting;

    #[test]
    fn the_network_follows_the_points() {
        for (points, dim, kind, width, rate) in [
            (100_000, 2, "mlp", 256, 0.003),
            (100, 2, "mlp", 256, 0.003),
            (SOME - 1, 24, "mlp", 128, 0.006),
            (SOME, 24, "residual", 128, 0.006),
            (MANY - 1, 24, "residual", 128, 0.006),
            (MANY, 24, "residual", 256, 0.003),
        ] {
            let mut config = Config::default();
            let said = choose(&mut config, points, dim, None).unwrap();
            let got = (config.network.kind.name(), config.network.width, config.train.lr);
            assert_eq!(got, (kind, width, rate), "{points} points, {dim} dimensions");
            let expected =
                format!("network.kind = \"{kind}\", network.width = {width}, train.lr = {rate}, for {points} points in {dim} dimensions");
            assert!(said == expected && !is_open(&config) && choose(&mut config, 0, 1, None).is_none(), "{said}");
        }
        // What is given stays, and the other follows it.
        let given = |key: &str, value: crate::config::Value| {
            let mut config = Config::resolve(&[Setting::new(key, value)]).unwrap();
            choose(&mut config, MANY, 24, None).unwrap();
            (config.network.kind.name(), config.network.width, config.train.lr)
        };
        assert_eq!(given("network.kind", "mlp".into()), ("mlp", 256, 0.003));
        assert_eq!(given("network.width", 7usize.into()), ("residual", 7, 0.006));
        assert_eq!(given("train.lr", 0.5.into()), ("residual", 256, 0.5));
    }
}
