//! The U-Net: a score of images.

use super::architecture::{Architecture, Kind};
use super::layers::{Layers, Start, check, check_sizes};
use super::{Operations, Pixels, ScoreNet, Sizes, Value};
use crate::tape::Activation;
use crate::{Error, Result};

/// Groups of every normalisation.
const GROUPS: usize = 8;

/// A U-Net (Ronneberger, Fischer, Brox, MICCAI 2015) with residual blocks and an embedding of the time (Ho,
/// Jain, Abbeel, NeurIPS 2020) on rows [x, features of the time and of the label], x an image or what a
/// linear map makes one of.
///
/// With m_l = width multipliers_l channels on level l = 0..L, whose images are stem 2^l times smaller:
///
/// ```text
/// e    = silu(t1(silu(t0(features))))                   4 width numbers
/// s_0  = d0(in(squares(F x)), e)                        in: 3x3; squares of stem x stem pixels as one
/// s_l  = dl(down{l-1}(s_{l-1}), e)       l = 1..L       down: 3x3, stride 2
/// h    = s_{L-1};  h = h + a.y(attention(a.q, a.k, a.v of a.n(h)))      where attention is asked for
/// h    = ul(concat(upl(double(h)), s_l), e)             l = L-2, ..., 0;   up: 3x3 behind a nearest-neighbour doubling
/// y    = B pixels(out(silu(n(h))))                      out: 3x3, zero at the start
/// block(x, e) = c1(drop(silu(n1(c0(silu(n0(x))) + t(e))))) + s(x)
///                      c0, c1: 3x3, c1 zero at the start; t(e) added at all places; s: 1x1 where the channels differ, else x itself
/// ```
///
/// dl and ul are `depth` blocks one after another, `dl`, `dl.1`, ...; n, n0, n1, a.n are group normalisations
/// of eight groups. F and B are those of [`Pixels`]: whitened coordinates are no pixels, and a convolution
/// wants pixels.
///
/// ```
/// use ndsm::nn::{Pixels, ScoreNet, Sizes, UNet};
/// let pixels = Pixels { shape: [28, 28, 1], maps: None };
/// let sizes = Sizes { dim: 784, width: 32, depth: 1, frequencies: 16, multipliers: vec![1, 2, 2], stem: 1, ..Sizes::default() };
/// let net = ScoreNet::of(UNet::of(&Sizes { pixels: Some(pixels), ..sizes })?)?;
/// assert_eq!((net.parameter_count(), net.inputs()), (484_577, 784 + 32));
/// # Ok::<(), ndsm::Error>(())
/// ```
#[derive(Debug, Clone, PartialEq)]
pub struct UNet {
    pixels: Pixels,
    dim: usize,
    depth: usize,
    levels: usize,
    frequencies: usize,
    classes: usize,
    dropout: f64,
    attention: bool,
    stem: usize,
    layers: Layers,
}

impl UNet {
    /// `network.kind` = "unet".
    pub const KIND: Kind = Kind { name: "unet", images: true, squares, network: |s| ScoreNet::of(UNet::of(s)?) };

    /// A network of these sizes.
    ///
    /// # Errors
    /// If the points are no images, or `dim` is not their number of pixels times channels; if height or width
    /// is not a multiple of stem 2^(levels - 1), the stem not 1, 2 or 4, the width not a multiple of 8 in
    /// 8..=4,096, the depth not in 1..=64; if there are no or more than 8 `multipliers`, one is not in 1..=64,
    /// or there would be more than 2^30 parameters.
    pub fn of(sizes: &Sizes) -> Result<Self> {
        check_sizes(sizes)?;
        let Sizes { dim, width, depth, frequencies, classes, dropout, attention, stem, .. } = *sizes;
        let multipliers = &sizes.multipliers;
        let Some(pixels) = sizes.pixels.clone() else {
            return Err(Error::refused("network.kind", "\"unet\" needs points that are images"));
        };
        let [h, w, c] = pixels.shape;
        check(&[("width", width, GROUPS, 4096), ("levels", multipliers.len(), 1, 8), ("stem", stem, 1, 4)])?;
        for m in multipliers {
            check(&[("multipliers", *m, 1, 64)])?;
        }
        if !width.is_multiple_of(GROUPS) {
            return Err(Error::invalid("network.width", format!("a multiple of {GROUPS}"), width));
        }
        if stem == 3 {
            return Err(Error::invalid("network.stem", "1, 2 or 4", stem));
        }
        if h.checked_mul(w).and_then(|n| n.checked_mul(c)) != Some(dim) {
            return Err(Error::shape("network", format!("images of {dim} numbers"), &[&pixels.shape]));
        }
        if pixels.maps.as_ref().is_some_and(|maps| maps.iter().any(|map| map.dim() != (dim, dim))) {
            return Err(Error::refused("network", format!("the maps between rows and images must be {dim} x {dim}")));
        }
        let least = stem << (multipliers.len() - 1);
        if !h.is_multiple_of(least) || !w.is_multiple_of(least) {
            let squares = if stem > 1 { format!(" of squares of {stem} pixels") } else { String::new() };
            let expected = format!(
                "at most as many levels as halve the images, whose sides must be multiples of {least} for {}{squares}",
                multipliers.len()
            );
            return Err(Error::invalid("network.multipliers", expected, format!("{h} x {w} pixels")));
        }
        let layers = layers(sizes, c * stem * stem);
        layers.count()?;
        Ok(UNet { pixels, dim, depth, levels: multipliers.len(), frequencies, classes, dropout, attention, stem, layers })
    }

    /// The blocks of a side of a level, one after another.
    fn blocks(&self, on: &mut dyn Operations, name: &str, mut h: Value, e: Option<Value>) -> Result<Value> {
        for name in names(name, self.depth) {
            h = self.block(on, &name, h, e)?;
        }
        Ok(h)
    }

    /// A residual block; `e` is behind its SiLU.
    fn block(&self, on: &mut dyn Operations, name: &str, x: Value, e: Option<Value>) -> Result<Value> {
        let part = |part: &str| format!("{name}.{part}");
        let h = on.group_norm(&part("n0"), x, GROUPS)?;
        let mut h = on.conv(&part("c0"), h, 1)?;
        if let Some(e) = e {
            let t = on.linear(&part("t"), e, Activation::Identity)?;
            h = on.add_everywhere(h, t)?;
        }
        let h = on.group_norm(&part("n1"), h, GROUPS)?;
        let h = on.dropout(h, self.dropout)?;
        let h = on.conv(&part("c1"), h, 1)?;
        let x = if self.layers.has(&part("s")) { on.conv(&part("s"), x, 1)? } else { x };
        on.add(h, x)
    }
}

impl Architecture for UNet {
    fn dim(&self) -> usize {
        self.dim
    }
    fn frequencies(&self) -> usize {
        self.frequencies
    }
    fn classes(&self) -> usize {
        self.classes
    }
    fn layers(&self) -> &Layers {
        &self.layers
    }
    fn on_images(&self) -> bool {
        true
    }
    fn formula(&self, on: &mut dyn Operations, row: Value) -> Result<Value> {
        let (dim, conditions) = (self.dim, self.conditions());
        let (mut x, mut e) = (row, None);
        if conditions > 0 {
            let features = on.columns(row, dim..dim + conditions)?;
            let hidden = on.linear("t0", features, Activation::Silu)?;
            e = Some(on.linear("t1", hidden, Activation::Silu)?);
            x = on.columns(row, 0..dim)?;
        }
        if let Some(maps) = &self.pixels.maps {
            x = on.linear_map(maps[0].t(), x)?;
        }
        x = on.reshape(x, &self.pixels.shape)?;
        if self.stem > 1 {
            x = on.space_to_depth(x, self.stem)?;
        }
        let first = on.conv("in", x, 1)?;
        let mut h = self.blocks(on, "d0", first, e)?;
        let mut skips = vec![];
        for level in 1..self.levels {
            skips.push(h);
            let down = on.conv(&format!("down{}", level - 1), h, 2)?;
            h = self.blocks(on, &format!("d{level}"), down, e)?;
        }
        if self.attention {
            let normed = on.group_norm("a.n", h, GROUPS)?;
            let seen = on.attention(["a.q", "a.k", "a.v"], normed)?;
            let seen = on.conv("a.y", seen, 1)?;
            h = on.add(h, seen)?;
        }
        for (level, skip) in skips.into_iter().enumerate().rev() {
            let double = on.double(h)?;
            let up = on.conv(&format!("up{level}"), double, 1)?;
            let both = on.concat(up, skip)?;
            h = self.blocks(on, &format!("u{level}"), both, e)?;
        }
        let h = on.group_norm("n", h, GROUPS)?;
        let mut y = on.conv("out", h, 1)?;
        if self.stem > 1 {
            y = on.depth_to_space(y, self.stem)?;
        }
        y = on.reshape(y, &[dim])?;
        match &self.pixels.maps {
            Some(maps) => on.linear_map(maps[1].t(), y),
            None => Ok(y),
        }
    }
}

/// The names of `depth` blocks.
fn names(name: &str, depth: usize) -> impl Iterator<Item = String> {
    (0..depth).map(move |i| if i == 0 { name.to_owned() } else { format!("{name}.{i}") })
}

/// Matrices of width x width: 9 of a convolution of equally many channels.
fn squares(sizes: &Sizes) -> usize {
    let grown = |width: usize| layers(&Sizes { width, ..sizes.clone() }, 1).count().unwrap_or(usize::MAX / 8);
    // The number of parameters is a polynomial of degree two in the width.
    (grown(3 * GROUPS).saturating_add(grown(GROUPS))).saturating_sub(2 * grown(2 * GROUPS)) / (2 * GROUPS * GROUPS)
}

/// All layers of a network for images of `c` channels.
fn layers(sizes: &Sizes, c: usize) -> Layers {
    let Sizes { width, depth, attention, .. } = *sizes;
    let conditions = sizes.conditions();
    let channels: Vec<usize> = sizes.multipliers.iter().map(|m| m * width).collect();
    let (embedding, last) = (4 * width, channels.len().saturating_sub(1));
    let unit = Start::After(Activation::Identity);
    let mut all = Layers::default();
    let blocks = |all: &mut Layers, name: String, i: usize, o: usize| {
        for (k, name) in names(&name, depth).enumerate() {
            let i = if k == 0 { i } else { o };
            all.norm(format!("{name}.n0"), i);
            all.conv(format!("{name}.c0"), 3, (i, o), Start::After(Activation::Silu));
            if conditions > 0 {
                all.linear(format!("{name}.t"), embedding, o, Start::After(Activation::Silu));
            }
            all.norm(format!("{name}.n1"), o);
            all.conv(format!("{name}.c1"), 3, (o, o), Start::Zero);
            if i != o {
                all.conv(format!("{name}.s"), 1, (i, o), unit);
            }
        }
    };
    if conditions > 0 {
        all.linear("t0", conditions, embedding, unit);
        all.linear("t1", embedding, embedding, Start::After(Activation::Silu));
    }
    let Some([first, lowest]) = channels.first().zip(channels.last()).map(|(a, b)| [*a, *b]) else { return all };
    all.conv("in", 3, (c, width), unit);
    blocks(&mut all, "d0".into(), width, first);
    for (level, pair) in channels.windows(2).enumerate() {
        all.conv(format!("down{level}"), 3, (pair[0], pair[0]), unit);
        blocks(&mut all, format!("d{}", level + 1), pair[0], pair[1]);
    }
    if attention {
        all.norm("a.n", lowest);
        for layer in ["a.q", "a.k", "a.v"] {
            all.linear(layer, lowest, lowest, Start::After(Activation::Silu));
        }
        all.conv("a.y", 1, (lowest, lowest), Start::Zero);
    }
    for level in (0..last).rev() {
        let (h, o) = (channels[level + 1], channels[level]);
        all.conv(format!("up{level}"), 3, (h, h), unit);
        blocks(&mut all, format!("u{level}"), h + o, o);
    }
    all.norm("n", first);
    all.conv("out", 3, (first, c), Start::Zero);
    all
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::nn::Inference;
    use crate::rng::{Purpose, Stream};
    use ndarray::Array2;
    use std::sync::Arc;

    fn normals(len: usize, chunk: u32) -> Vec<f64> {
        let mut v = vec![0.0; len];
        Stream::new(2, Purpose::Test, 0, chunk).fill_normal(&mut v);
        v
    }

    fn sizes(shape: [usize; 3], multipliers: &[usize]) -> Sizes {
        let (dim, multipliers) = (shape.iter().product(), multipliers.to_vec());
        let pixels = Some(Pixels { shape, maps: None });
        Sizes { dim, width: 8, depth: 1, frequencies: 2, multipliers, stem: 1, pixels, ..Sizes::default() }
    }

    fn value(net: &ScoreNet, params: &[f64], rows: &[f64]) -> Vec<f64> {
        let mut out = vec![0.0; rows.len() / net.inputs() * net.dim()];
        Inference::new(net, params).unwrap().run(rows, &mut out).unwrap();
        out
    }

    #[test]
    fn sizes_are_checked() {
        for (sizes, words) in [
            (Sizes { pixels: None, ..sizes([4, 4, 1], &[1]) }, "network.kind: \"unet\" needs points that are images"),
            (Sizes { dim: 15, ..sizes([4, 4, 1], &[1]) }, "images of 15 numbers"),
            (sizes([6, 8, 1], &[1, 2, 2]), "multiples of 4 for 3, got 6 x 8 pixels"),
            (Sizes { stem: 2, ..sizes([6, 8, 1], &[1, 2]) }, "multiples of 4 for 2 of squares of 2 pixels, got 6 x 8 pixels"),
            (Sizes { stem: 3, ..sizes([6, 6, 1], &[1]) }, "network.stem: must be 1, 2 or 4, got 3"),
            (Sizes { stem: 0, ..sizes([6, 6, 1], &[1]) }, "network.stem"),
            (Sizes { width: 12, ..sizes([8, 8, 1], &[1]) }, "network.width: must be a multiple of 8, got 12"),
            (sizes([8, 8, 1], &[]), "network.levels"),
            (sizes([512, 512, 1], &[1; 9]), "network.levels"),
            (sizes([8, 8, 1], &[1, 0]), "network.multipliers: must be an integer in 1..=64, got 0"),
            (Sizes { width: 4096, ..sizes([8, 8, 1], &[64, 64]) }, "more than 1073741824 parameters"),
        ] {
            let e = UNet::of(&sizes).unwrap_err().to_string();
            assert!(e.contains(words), "{e}");
        }
    }

    #[test]
    fn images_do_not_mix() {
        let net = ScoreNet::of(UNet::of(&Sizes { attention: true, ..sizes([4, 8, 2], &[1, 3, 2]) }).unwrap()).unwrap();
        let params: Vec<f64> = normals(net.parameter_count(), 1).iter().map(|p| 0.2 * p).collect();
        let rows = normals(2 * net.inputs(), 0);
        let y = value(&net, &params, &rows);
        assert!(y.iter().all(|y| y.is_finite() && *y != 0.0));
        // A pixel of the second image, or its time, moves all of the second result, and nothing of the first.
        for at in [net.inputs(), 2 * net.inputs() - 1] {
            let mut moved = rows.clone();
            moved[at] += 1.0;
            let z = value(&net, &params, &moved);
            assert!(z[..64] == y[..64] && z[64..].iter().zip(&y[64..]).all(|(z, y)| z != y));
        }
    }

    /// With the stem a network is the one without on images whose squares are pixels; with maps it is the one
    /// without between two products.
    #[test]
    fn stem_and_maps_are_changes_of_coordinates() {
        let inner = ScoreNet::of(UNet::of(&sizes([2, 3, 8], &[1])).unwrap()).unwrap();
        let outer = ScoreNet::of(UNet::of(&Sizes { stem: 2, ..sizes([4, 6, 2], &[1]) }).unwrap()).unwrap();
        assert_eq!(inner.parameters(), outer.parameters());
        let params: Vec<f64> = normals(inner.parameter_count(), 1).iter().map(|p| 0.3 * p).collect();
        let row = normals(inner.inputs(), 2);
        // Where number k of the image without lies in the one with squares: row, column, channel.
        let at = |k: usize| {
            let (i, j, c) = (k / 24, k / 8 % 3, k % 8);
            ((2 * i + c / 4) * 6 + 2 * j + c / 2 % 2) * 2 + c % 2
        };
        let mut split = row.clone();
        (0..48).for_each(|k| split[at(k)] = row[k]);
        let (y, z) = (value(&inner, &params, &row), value(&outer, &params, &split));
        assert!((0..48).all(|k| z[at(k)] == y[k]) && y.iter().any(|y| *y != 0.0));

        let [f, b] = [3, 4].map(|chunk| Array2::from_shape_vec((48, 48), normals(48 * 48, chunk)).unwrap() / 5.0);
        let pixels = Some(Pixels { shape: [2, 3, 8], maps: Some(Arc::new([f.clone(), b.clone()])) });
        let mapped = ScoreNet::of(UNet::of(&Sizes { pixels, ..sizes([2, 3, 8], &[1]) }).unwrap()).unwrap();
        let image = f.dot(&ndarray::ArrayView1::from(&row[..48]));
        let inside = value(&inner, &params, &[&image.to_vec()[..], &row[48..]].concat());
        let want = b.dot(&ndarray::Array1::from(inside));
        for (got, want) in value(&mapped, &params, &row).iter().zip(&want) {
            assert!((got - want).abs() <= 1e-12 * (1.0 + want.abs()), "{got} {want}");
        }
    }
}
