//! The multilayer perceptron that learns a score.

use crate::rng::{Purpose, Stream};
use crate::tape::{Activation, Parameter, Recorder, Var};
use crate::{Error, Real, Result};

/// The largest number of parameters of a network: 4 GiB in f32.
pub(super) const MAX_PARAMETERS: usize = 1 << 30;

/// A score network: rows [x/std, features of the time] -> `depth` hidden layers of `width` units with SiLU -> `dim` outputs.
///
/// The time enters as `2 frequencies` Fourier features of the log signal-to-noise ratio ell = ln(sbar^2/(1 - sbar^2)) (method.md,
/// "Parametrisations"). The last layer starts at zero, so the output does.
///
/// ```
/// use ndsm::nn::ScoreNet;
/// let net = ScoreNet::new(2, 128, 3, 6)?; // 14-128-128-128-2
/// assert_eq!((net.inputs(), net.parameter_count()), (14, 15 * 128 + 2 * 129 * 128 + 129 * 2));
/// assert_eq!(
///     ScoreNet::new(2, 99_999_999_999, 3, 6).unwrap_err().to_string(),
///     "network.width: must be an integer in 1..=16384, got 99999999999"
/// );
/// # Ok::<(), ndsm::Error>(())
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ScoreNet {
    dim: usize,
    width: usize,
    depth: usize,
    frequencies: usize,
    count: usize,
}

/// The parameters of a recorded network: weights and bias of each layer. The same parameters may be applied to several inputs.
#[derive(Debug, Clone)]
pub struct Recorded {
    layers: Vec<(Var, Var)>,
}

impl ScoreNet {
    /// A network for points in R^`dim`.
    ///
    /// # Errors
    /// If `dim` is not in 1..=1,000,000, `width` in 1..=16,384, `depth` in 1..=64, `frequencies` in 0..=256, or there would be
    /// more than 2^30 parameters. Nothing is allocated before that is known.
    pub fn new(dim: usize, width: usize, depth: usize, frequencies: usize) -> Result<Self> {
        let limits =
            [("dim", dim, 1, 1_000_000), ("width", width, 1, 16_384), ("depth", depth, 1, 64), ("frequencies", frequencies, 0, 256)];
        for (name, value, least, most) in limits {
            if !(least..=most).contains(&value) {
                return Err(Error::invalid(format!("network.{name}"), format!("an integer in {least}..={most}"), value));
            }
        }
        let mut net = ScoreNet { dim, width, depth, frequencies, count: 0 };
        let count = net.layers().try_fold(0usize, |n, (i, o)| n.checked_add(o.checked_mul(i.checked_add(1)?)?));
        net.count = count.filter(|n| *n <= MAX_PARAMETERS).ok_or_else(|| {
            Error::refused(
                "network",
                format!("width {width} and depth {depth} with dimension {dim} make more than {MAX_PARAMETERS} parameters"),
            )
        })?;
        Ok(net)
    }

    /// Dimension of the points.
    pub fn dim(&self) -> usize {
        self.dim
    }
    /// Units of a hidden layer.
    pub fn width(&self) -> usize {
        self.width
    }
    /// Number of hidden layers.
    pub fn depth(&self) -> usize {
        self.depth
    }
    /// Number of frequencies of the time's features; each has a sine and a cosine.
    pub fn frequencies(&self) -> usize {
        self.frequencies
    }
    /// Length of an input row: `dim + 2 frequencies`.
    pub fn inputs(&self) -> usize {
        self.dim + 2 * self.frequencies
    }
    /// Number of parameters.
    pub fn parameter_count(&self) -> usize {
        self.count
    }

    /// (inputs, outputs) of each layer.
    pub(super) fn layers(self) -> impl Iterator<Item = (usize, usize)> {
        (0..=self.depth).map(move |layer| {
            let inputs = if layer == 0 { self.inputs() } else { self.width };
            (inputs, if layer == self.depth { self.dim } else { self.width })
        })
    }

    /// The activation of a layer.
    pub(super) fn activation(self, layer: usize) -> Activation {
        if layer == self.depth { Activation::Identity } else { Activation::Silu }
    }

    /// Names, shapes and places of the parameters, as [`Self::record`] makes them in an empty recorder: `layers.0.weight`
    /// `[inputs, width]`, `layers.0.bias` `[width]`, ...
    pub fn parameters(&self) -> Vec<Parameter> {
        let mut offset = 0;
        let mut list = vec![];
        for (layer, (i, o)) in self.layers().enumerate() {
            for (what, shape) in [("weight", vec![i, o]), ("bias", vec![o])] {
                let p = Parameter { name: format!("layers.{layer}.{what}"), shape, offset };
                offset = p.range().end;
                list.push(p);
            }
        }
        list
    }

    /// Initial parameters: normal weights, of a variance that keeps the second moment of the units at 1 from layer to layer
    /// (He, Zhang, Ren, Sun, ICCV 2015, for SiLU in place of ReLU: 1/(inputs E silu(z)^2) for inputs behind a SiLU, 1/inputs for
    /// the first layer); biases and the last layer zero.
    pub fn init<R: Real>(&self, seed: u64) -> Vec<R> {
        let mut params = vec![R::zero(); self.count];
        let behind_silu = 1.0 / silu_second_moment();
        for (layer, (p, (inputs, _))) in self.parameters().iter().step_by(2).zip(self.layers()).enumerate().take(self.depth) {
            let weights = &mut params[p.range()];
            Stream::new(seed, Purpose::Init, layer as u64, 0).fill_normal(weights);
            let std = R::of((if layer == 0 { 1.0 } else { behind_silu } / inputs as f64).sqrt());
            weights.iter_mut().for_each(|w| *w *= std);
        }
        params
    }

    /// Records the network's parameters under `prefix`: `{prefix}layers.0.weight`, ...
    ///
    /// # Errors
    /// If the names are taken.
    pub fn declare<R: Real>(&self, recorder: &mut Recorder<R>, prefix: &str) -> Result<Recorded> {
        let mut layers = vec![];
        for (layer, (i, o)) in self.layers().enumerate() {
            let w = recorder.parameter(&format!("{prefix}layers.{layer}.weight"), &[i, o])?;
            let b = recorder.parameter(&format!("{prefix}layers.{layer}.bias"), &[o])?;
            layers.push((w, b));
        }
        Ok(Recorded { layers })
    }

    /// Records the network's value at `x` [n, inputs] -> [n, dim], with parameters that were declared before.
    ///
    /// # Errors
    /// If the shapes do not fit.
    pub fn apply<R: Real>(&self, recorder: &mut Recorder<R>, recorded: &Recorded, x: Var) -> Result<Var> {
        recorded.layers.iter().enumerate().try_fold(x, |x, (layer, (w, b))| recorder.linear(x, *w, *b, self.activation(layer)))
    }

    /// [`Self::declare`] without a prefix and [`Self::apply`] in one.
    ///
    /// # Errors
    /// As those.
    pub fn record<R: Real>(&self, recorder: &mut Recorder<R>, x: Var) -> Result<Var> {
        let recorded = self.declare(recorder, "")?;
        self.apply(recorder, &recorded, x)
    }

    /// The features of ell: sin and cos of w_k (ell + 1), k = 0..f, f frequencies: first all sines, then all cosines, to the
    /// first `2 f` numbers of `out`. ell lies in about [-8, 6], whose centre is -1; the slowest sine runs through half a
    /// turn there, from -1 to 1, and the frequencies rise geometrically to 32 times that: w_k = (pi/14) 32^(k/(f-1)), periods
    /// 28, 14, 7, 3.5, 1.75 and 0.875 for f = 6.
    ///
    /// # Errors
    /// If `out` is shorter than `2 f`.
    pub fn features<R: Real>(&self, ell: f64, out: &mut [R]) -> Result<()> {
        let f = self.frequencies;
        if out.len() < 2 * f {
            return Err(Error::invalid("features: place for them", format!(">= {} numbers", 2 * f), out.len()));
        }
        let (sines, cosines) = out[..2 * f].split_at_mut(f);
        for (k, (sin, cos)) in sines.iter_mut().zip(cosines).enumerate() {
            let step = if f > 1 { k as f64 / (f - 1) as f64 } else { 0.0 };
            let (s, c) = (std::f64::consts::PI / 14.0 * 32f64.powf(step) * (ell + 1.0)).sin_cos();
            (*sin, *cos) = (R::of(s), R::of(c));
        }
        Ok(())
    }
}

/// E silu(z)^2, z ~ N(0, 1), by the trapezoidal rule (exponentially accurate for a smooth decaying integrand).
pub(super) fn silu_second_moment() -> f64 {
    let step = 0.05;
    let term = |i: i32| {
        let z = f64::from(i) * step;
        (z / (1.0 + (-z).exp())).powi(2) * (-0.5 * z * z).exp()
    };
    (-240..=240).map(term).sum::<f64>() * step / std::f64::consts::TAU.sqrt()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::nn::Inference;

    #[test]
    fn sizes_are_checked_before_anything_is_allocated() {
        for (dim, width, depth, f, words) in [
            (0, 8, 1, 1, "network.dim: must be an integer in 1..=1000000, got 0"),
            (2, 0, 1, 1, "network.width"),
            (2, usize::MAX, 1, 1, "network.width"),
            (2, 8, 0, 1, "network.depth"),
            (2, 8, 65, 1, "network.depth: must be an integer in 1..=64, got 65"),
            (2, 8, 1, 257, "network.frequencies"),
            (1_000_000, 16_384, 64, 6, "more than 1073741824 parameters"),
        ] {
            let e = ScoreNet::new(dim, width, depth, f).unwrap_err();
            assert!(e.to_string().contains(words) && e.exit_code() == 2, "{e}");
        }
    }

    #[test]
    fn recording_makes_the_stated_parameters() {
        let net = ScoreNet::new(2, 8, 3, 2).unwrap();
        let mut r = Recorder::<f32>::new();
        let x = r.input("x", &[5, net.inputs()]).unwrap();
        let y = net.record(&mut r, x).unwrap();
        assert_eq!(r.shape(y).unwrap(), [5, 2]);
        assert!(net.declare(&mut r, "").is_err());
        let program = r.finish();
        assert_eq!(program.parameters(), net.parameters());
        assert_eq!(program.parameter_count(), net.parameter_count());
    }

    #[test]
    fn the_initial_output_is_zero_and_the_units_keep_their_size() {
        let net = ScoreNet::new(4, 256, 6, 0).unwrap();
        let params = net.init::<f64>(3);
        assert_ne!(params, net.init::<f64>(4));
        let n = 64;
        let mut x = vec![0.0; n * 4];
        Stream::new(1, Purpose::Test, 0, 0).fill_normal(&mut x);
        let mut inference = Inference::new(net, &params).unwrap();
        let mut y = vec![1.0; n * 4];
        inference.run(&x, &mut y).unwrap();
        assert!(y.iter().all(|y| *y == 0.0));
        // Second moment of the sixth layer's units, weights and points random: E silu(z)^2 up to a factor of 2.
        let mut r = Recorder::<f64>::new();
        let xv = r.input("x", &[n, 4]).unwrap();
        let net = ScoreNet::new(256, 256, 5, 0).unwrap();
        let first = r.parameter("w", &[4, 256]).unwrap();
        let h = r.matmul(xv, first).unwrap();
        let recorded = net.declare(&mut r, "").unwrap();
        let h = recorded.layers[..5].iter().fold(h, |h, (w, b)| r.linear(h, *w, *b, Activation::Silu).unwrap());
        let program = r.finish();
        let mut ws = program.workspace().unwrap();
        ws.input_mut(xv).unwrap().copy_from_slice(&x);
        let mut all = vec![0.0; 4 * 256];
        Stream::new(2, Purpose::Test, 0, 0).fill_normal(&mut all);
        all.iter_mut().for_each(|w| *w *= 0.5);
        all.extend(net.init::<f64>(5));
        program.forward(&all, &mut ws).unwrap();
        let h = ws.value(h).unwrap();
        let moment = h.iter().map(|h| h * h).sum::<f64>() / h.len() as f64 / silu_second_moment();
        assert!((0.5..=2.0).contains(&moment), "{moment}");
    }

    #[test]
    fn the_second_moment_of_silu_is_right() {
        // Monte Carlo over 2^20 normals; std of silu^2 < 1.1, 3.89 of them: 99.99 %.
        let n = 1 << 20;
        let mut z = vec![0f64; n];
        Stream::new(9, Purpose::Test, 0, 0).fill_normal(&mut z);
        let mean = z.iter().map(|z| (z / (1.0 + (-z).exp())).powi(2)).sum::<f64>() / n as f64;
        assert!((mean - silu_second_moment()).abs() <= 3.89 * 1.1 / (n as f64).sqrt(), "{mean}");
    }

    #[test]
    fn features_are_those_of_the_documentation() {
        let net = ScoreNet::new(1, 1, 1, 6).unwrap();
        let mut out = [9.0; 13];
        net.features(6.0, &mut out).unwrap();
        assert!((out[0] - 1.0f64).abs() <= 1e-15 && out[6].abs() <= 1e-15 && out[12] == 9.0);
        for (k, period) in [28.0, 14.0, 7.0, 3.5, 1.75, 0.875].into_iter().enumerate() {
            net.features(-1.0 + period / 4.0, &mut out).unwrap();
            assert!((out[k] - 1.0).abs() <= 1e-12, "period {period}");
        }
        assert!(net.features(0.0, &mut [0f32; 11]).is_err());
        ScoreNet::new(1, 1, 1, 1).unwrap().features(-1.0, &mut out).unwrap();
        assert_eq!(out[..2], [0.0, 1.0]);
    }
}
