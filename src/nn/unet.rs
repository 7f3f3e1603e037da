//! The U-Net: a score of images.

use super::layers::{Declared, Layers, Start, check};
use crate::tape::{Activation, Parameter, Recorder, Var};
use crate::{Error, Real, Result};

/// Groups of every normalisation.
const GROUPS: usize = 8;

/// A U-Net (Ronneberger, Fischer, Brox, MICCAI 2015) with residual blocks and an embedding of the time (Ho,
/// Jain, Abbeel, NeurIPS 2020), one block a level and no attention. Images `[n, h, w, c]`, time features
/// `[n, width]` -> `[n, h, w, c]`.
///
/// With m_l = width multipliers_l channels on level l = 0..L, whose images are 2^l times smaller:
///
/// ```text
/// e    = silu(t1(silu(t0(features))))                   4 width numbers
/// s_0  = d0(in(x), e)                                   in: 3x3
/// s_l  = dl(down{l-1}(s_{l-1}), e)       l = 1..L       down: 3x3, stride 2
/// h    = s_{L-1};  h = ul(concat(upl(double(h)), s_l), e)   l = L-2, ..., 0;   up: 3x3 behind a nearest-neighbour doubling
/// y    = out(silu(norm(h)))                             out: 3x3, zero at the start
/// block(x, e) = c1(silu(n1(c0(silu(n0(x))) + t(e)))) + s(x)     c0, c1: 3x3, c1 zero at the start; t(e) added at all places;
///                                                       s: 1x1 where the channels differ, else x itself
/// ```
///
/// ```
/// use ndsm::{nn::UNet, tape::Recorder};
/// let net = UNet::new([28, 28, 1], 32, &[1, 2, 2])?;
/// let mut r = Recorder::<f32>::new();
/// let x = r.input("x", &[2, 28, 28, 1])?;
/// let time = r.input("time", &[2, net.features()])?;
/// let y = net.record(&mut r, x, time)?;
/// assert_eq!(r.shape(y)?, [2, 28, 28, 1]);
/// assert_eq!(net.parameter_count(), 484_577);
/// # Ok::<(), ndsm::Error>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UNet {
    image: [usize; 3],
    width: usize,
    multipliers: Vec<usize>,
    layers: Layers,
    count: usize,
}

impl UNet {
    /// A network for images of `[height, width, channels]`.
    ///
    /// # Errors
    /// If height or width is not in 1..=16,384 or not a multiple of 2^(levels - 1), channels not in
    /// 1..=1,024, `width` not a multiple of 8 in 8..=4,096, there are no or more than 8 `multipliers`, one is
    /// not in 1..=64, or there would be more than 2^30 parameters.
    pub fn new(image: [usize; 3], width: usize, multipliers: &[usize]) -> Result<Self> {
        let [h, w, c] = image;
        check(&[
            ("height", h, 1, 16_384),
            ("width of the image", w, 1, 16_384),
            ("channels", c, 1, 1024),
            ("width", width, GROUPS, 4096),
            ("levels", multipliers.len(), 1, 8),
        ])?;
        for m in multipliers {
            check(&[("multiplier", *m, 1, 64)])?;
        }
        if !width.is_multiple_of(GROUPS) {
            return Err(Error::invalid("network.width", format!("a multiple of {GROUPS}"), width));
        }
        let least = 1 << (multipliers.len() - 1);
        if !h.is_multiple_of(least) || !w.is_multiple_of(least) {
            let expected = format!("a height and a width that are multiples of {least} for {} levels", multipliers.len());
            return Err(Error::invalid("network.image", expected, format!("{h} x {w}")));
        }
        let layers = layers(c, width, multipliers);
        Ok(UNet { image, width, multipliers: multipliers.to_vec(), count: layers.count()?, layers })
    }

    /// Height, width and channels of the images.
    pub fn image(&self) -> [usize; 3] {
        self.image
    }
    /// Number of features of the time.
    pub fn features(&self) -> usize {
        self.width
    }
    /// Number of parameters.
    pub fn parameter_count(&self) -> usize {
        self.count
    }
    /// Names, shapes and places of the parameters: `LAYER.weight` and `LAYER.bias`, of a normalisation
    /// `LAYER.scale` and `LAYER.shift`, layers named as above, those of a block `d0.n0`, `d0.c0`, `d0.t`,
    /// `d0.n1`, `d0.c1`, `d0.s`.
    pub fn parameters(&self) -> Vec<Parameter> {
        self.layers.parameters()
    }
    /// Initial parameters: normal weights of a variance that keeps the second moment of the units; biases,
    /// the last layer of each block and of the network zero, so that the output is.
    pub fn init<R: Real>(&self, seed: u64) -> Vec<R> {
        self.layers.init(seed)
    }

    /// The features of a time t, n = [`Self::features`]: sin and cos of a_k = 1,000 t 10,000^(-k/(n/2)), k =
    /// 0..n/2, first all sines, then all cosines, to the first n numbers of `out`.
    ///
    /// # Errors
    /// If `out` is shorter than n.
    pub fn time_features<R: Real>(&self, t: f64, out: &mut [R]) -> Result<()> {
        let n = self.width;
        if out.len() < n {
            return Err(Error::invalid("time_features: place for them", format!(">= {n} numbers"), out.len()));
        }
        let (sines, cosines) = out[..n].split_at_mut(n / 2);
        for (k, (sin, cos)) in sines.iter_mut().zip(cosines).enumerate() {
            let (s, c) = (1000.0 * t * 1e4f64.powf(-(k as f64) / (n / 2) as f64)).sin_cos();
            (*sin, *cos) = (R::of(s), R::of(c));
        }
        Ok(())
    }

    /// Records the parameters under `prefix`.
    ///
    /// # Errors
    /// If the names are taken.
    pub fn declare<R: Real>(&self, recorder: &mut Recorder<R>, prefix: &str) -> Result<Declared> {
        self.layers.declare(recorder, prefix)
    }

    /// Records the network's value at images `x` `[n, h, w, c]` with time features `time` `[n, width]`.
    ///
    /// # Errors
    /// If the shapes do not fit or the parameters are another network's.
    pub fn apply<R: Real>(&self, r: &mut Recorder<R>, p: &Declared, x: Var, time: Var) -> Result<Var> {
        let (shape, [h, w, c]) = (r.shape(x)?.to_vec(), self.image);
        if shape.get(1..) != Some(&self.image) || r.shape(time)? != [shape[0], self.width] {
            return Err(Error::shape("u-net", format!("images [n, {h}, {w}, {c}], time [n, {}]", self.width), &[&shape, r.shape(time)?]));
        }
        let e = p.linear(r, "t0", time, Activation::Silu)?;
        let e = p.linear(r, "t1", e, Activation::Silu)?;
        let first = p.conv(r, "in", x, 1)?;
        let mut h = block(r, p, "d0", first, e)?;
        let mut skips = vec![];
        for level in 1..self.multipliers.len() {
            skips.push(h);
            let down = p.conv(r, &format!("down{}", level - 1), h, 2)?;
            h = block(r, p, &format!("d{level}"), down, e)?;
        }
        for (level, skip) in skips.into_iter().enumerate().rev() {
            let double = r.upsample_nearest2d(h, [2, 2])?;
            let up = p.conv(r, &format!("up{level}"), double, 1)?;
            let both = r.concat(&[up, skip])?;
            h = block(r, p, &format!("u{level}"), both, e)?;
        }
        let h = p.group_norm(r, "n", h, GROUPS)?;
        p.conv(r, "out", h, 1)
    }

    /// [`Self::declare`] without a prefix and [`Self::apply`] in one.
    ///
    /// # Errors
    /// As those.
    pub fn record<R: Real>(&self, recorder: &mut Recorder<R>, x: Var, time: Var) -> Result<Var> {
        let declared = self.declare(recorder, "")?;
        self.apply(recorder, &declared, x, time)
    }
}

/// A residual block; `e` is behind its SiLU.
fn block<R: Real>(r: &mut Recorder<R>, p: &Declared, name: &str, x: Var, e: Var) -> Result<Var> {
    let part = |part: &str| format!("{name}.{part}");
    let h = p.group_norm(r, &part("n0"), x, GROUPS)?;
    let h = p.conv(r, &part("c0"), h, 1)?;
    let t = p.linear(r, &part("t"), e, Activation::Identity)?;
    let (n, o) = (r.shape(t)?[0], r.shape(t)?[1]);
    let t = r.reshape(t, &[n, 1, 1, o])?;
    let h = r.add(h, t)?;
    let h = p.group_norm(r, &part("n1"), h, GROUPS)?;
    let h = p.conv(r, &part("c1"), h, 1)?;
    let x = if p.has(&part("s")) { p.conv(r, &part("s"), x, 1)? } else { x };
    r.add(h, x)
}

/// All layers of a network for images of `c` channels.
fn layers(c: usize, width: usize, multipliers: &[usize]) -> Layers {
    let channels: Vec<usize> = multipliers.iter().map(|m| m * width).collect();
    let (embedding, last) = (4 * width, channels.len() - 1);
    let mut all = Layers::default();
    let block = |all: &mut Layers, name: String, i: usize, o: usize| {
        all.norm(format!("{name}.n0"), i);
        all.conv(format!("{name}.c0"), 3, (i, o), Start::After(Activation::Silu));
        all.linear(format!("{name}.t"), embedding, o, Start::After(Activation::Silu));
        all.norm(format!("{name}.n1"), o);
        all.conv(format!("{name}.c1"), 3, (o, o), Start::Zero);
        if i != o {
            all.conv(format!("{name}.s"), 1, (i, o), Start::After(Activation::Identity));
        }
    };
    all.linear("t0", width, embedding, Start::After(Activation::Identity));
    all.linear("t1", embedding, embedding, Start::After(Activation::Silu));
    all.conv("in", 3, (c, width), Start::After(Activation::Identity));
    block(&mut all, "d0".into(), width, channels[0]);
    for (level, pair) in channels.windows(2).enumerate() {
        all.conv(format!("down{level}"), 3, (pair[0], pair[0]), Start::After(Activation::Identity));
        block(&mut all, format!("d{}", level + 1), pair[0], pair[1]);
    }
    for level in (0..last).rev() {
        let (h, o) = (channels[level + 1], channels[level]);
        all.conv(format!("up{level}"), 3, (h, h), Start::After(Activation::Identity));
        block(&mut all, format!("u{level}"), h + o, o);
    }
    all.norm("n", channels[0]);
    all.conv("out", 3, (channels[0], c), Start::Zero);
    all
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rng::{Purpose, Stream};

    fn normals(len: usize, chunk: u32) -> Vec<f64> {
        let mut v = vec![0.0; len];
        Stream::new(2, Purpose::Test, 0, chunk).fill_normal(&mut v);
        v
    }

    /// The network's value for two images, all inputs fixed.
    fn value(net: &UNet, params: &[f64], x: &[f64], t: [f64; 2]) -> Vec<f64> {
        let ([h, w, c], mut r) = (net.image(), Recorder::<f64>::new());
        let (xv, time) = (r.input("x", &[2, h, w, c]).unwrap(), r.input("time", &[2, net.features()]).unwrap());
        let y = net.record(&mut r, xv, time).unwrap();
        assert!(net.declare(&mut r, "").is_err());
        let program = r.finish();
        assert_eq!(program.parameters(), net.parameters());
        assert_eq!(program.parameter_count(), net.parameter_count());
        let mut ws = program.workspace().unwrap();
        ws.input_mut(xv).unwrap().copy_from_slice(x);
        for (row, t) in ws.input_mut(time).unwrap().chunks_exact_mut(net.features()).zip(t) {
            net.time_features(t, row).unwrap();
        }
        program.forward(params, &mut ws).unwrap();
        ws.value(y).unwrap().to_vec()
    }

    #[test]
    fn sizes_are_checked() {
        for (image, width, multipliers, words) in [
            ([0, 8, 1], 8, &[1, 2][..], "network.height: must be an integer in 1..=16384, got 0"),
            ([8, 8, 0], 8, &[1], "network.channels"),
            ([6, 8, 1], 8, &[1, 2, 2], "multiples of 4 for 3 levels, got 6 x 8"),
            ([8, 8, 1], 12, &[1], "network.width: must be a multiple of 8, got 12"),
            ([8, 8, 1], 0, &[1], "network.width"),
            ([8, 8, 1], 8, &[], "network.levels"),
            ([512, 512, 1], 8, &[1; 9], "network.levels"),
            ([8, 8, 1], 8, &[1, 0], "network.multiplier: must be an integer in 1..=64, got 0"),
            ([8, 8, 1], 4096, &[64, 64], "more than 1073741824 parameters"),
        ] {
            let e = UNet::new(image, width, multipliers).unwrap_err().to_string();
            assert!(e.contains(words), "{e}");
        }
        let mut r = Recorder::<f32>::new();
        let net = UNet::new([4, 4, 1], 8, &[1]).unwrap();
        let (x, time) = (r.input("x", &[2, 4, 4, 1]).unwrap(), r.input("time", &[3, 8]).unwrap());
        let e = net.record(&mut r, x, time).unwrap_err().to_string();
        assert!(e.contains("images [n, 4, 4, 1], time [n, 8], got [2, 4, 4, 1] and [3, 8]"), "{e}");
        let other = crate::nn::ScoreNet::new(1, 1, 1, 1).unwrap().declare(&mut r, "other.").unwrap();
        let time = r.input("time of 2", &[2, 8]).unwrap();
        assert!(net.apply(&mut r, &other, x, time).unwrap_err().to_string().contains("t0.weight"));
    }

    #[test]
    fn the_output_is_zero_at_first_and_samples_do_not_mix() {
        let net = UNet::new([4, 8, 2], 8, &[1, 3, 2]).unwrap();
        let x = normals(2 * 64, 0);
        assert!(value(&net, &net.init(0), &x, [0.1, 0.9]).iter().all(|y| *y == 0.0));
        let params: Vec<f64> = normals(net.parameter_count(), 1).iter().map(|p| 0.2 * p).collect();
        let y = value(&net, &params, &x, [0.1, 0.9]);
        assert!(y.iter().all(|y| y.is_finite() && *y != 0.0));
        // The second image and its time move the second result alone.
        let mut moved = x.clone();
        moved[64] += 1.0;
        for (x, t) in [(&moved, [0.1, 0.9]), (&x, [0.1, 0.8])] {
            let z = value(&net, &params, x, t);
            assert!(z[..64] == y[..64] && z[64..].iter().zip(&y[64..]).all(|(z, y)| z != y));
        }
    }

    #[test]
    fn features_of_the_time_are_those_of_the_documentation() {
        let net = UNet::new([1, 1, 1], 8, &[1]).unwrap();
        let mut out = [9.0; 9];
        net.time_features(0.002, &mut out).unwrap();
        for k in 0..4 {
            let a = 2.0 * 0.1f64.powi(k as i32);
            assert!((out[k] - a.sin()).abs() <= 1e-15 && (out[4 + k] - a.cos()).abs() <= 1e-15);
        }
        assert!(out[8] == 9.0 && net.time_features(0.0, &mut out[..7]).is_err());
    }
}
