//! A network that learns a score.

use super::operations::Taped;
use super::{Architecture, Declared, Mlp};
use crate::tape::{Parameter, Recorder, Var};
use crate::{Error, Real, Result};
use std::sync::Arc;

/// A score network: rows [x/std, features of the time, features of the label] -> rows as long as x, by the
/// formula of its [`Architecture`].
///
/// The time enters as `2 frequencies` Fourier features of the log signal-to-noise ratio ell = ln(sbar^2/(1 -
/// sbar^2)) (method.md, "Parametrisations"), the label, where there are classes, as a unit vector
/// ([`ScoreNet::label`]): a layer's weights of it are the embedding that is added to that of the time.
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
#[derive(Debug, Clone)]
pub struct ScoreNet {
    architecture: Arc<dyn Architecture>,
    dim: usize,
    classes: usize,
    /// The w_k of the features.
    frequencies: Arc<[f64]>,
    count: usize,
}

impl ScoreNet {
    /// The multilayer perceptron [`Mlp::new`].
    ///
    /// # Errors
    /// As that.
    pub fn new(dim: usize, width: usize, depth: usize, frequencies: usize) -> Result<Self> {
        Self::of(Mlp::new(dim, width, depth, frequencies)?)
    }

    /// The network of an architecture.
    ///
    /// # Errors
    /// If it has more than 2^30 parameters.
    pub fn of(architecture: impl Architecture + 'static) -> Result<Self> {
        let (dim, f, count) = (architecture.dim(), architecture.frequencies(), architecture.layers().count()?);
        let classes = architecture.classes();
        let step = |k: usize| if f > 1 { k as f64 / (f - 1) as f64 } else { 0.0 };
        let frequencies = (0..f).map(|k| std::f64::consts::PI / 14.0 * 32f64.powf(step(k))).collect();
        Ok(ScoreNet { architecture: Arc::new(architecture), dim, classes, frequencies, count })
    }

    /// Layers and formula.
    pub fn architecture(&self) -> &dyn Architecture {
        self.architecture.as_ref()
    }
    /// Dimension of the points.
    #[inline]
    pub fn dim(&self) -> usize {
        self.dim
    }
    /// Number of frequencies of the time's features; each has a sine and a cosine.
    pub fn frequencies(&self) -> usize {
        self.frequencies.len()
    }
    /// Of how many classes a point's label is one; 0 where points have none.
    #[inline]
    pub fn classes(&self) -> usize {
        self.classes
    }
    /// Length of an input row: `dim + 2 frequencies + classes`.
    #[inline]
    pub fn inputs(&self) -> usize {
        self.dim + 2 * self.frequencies.len() + self.classes
    }
    /// Number of parameters.
    pub fn parameter_count(&self) -> usize {
        self.count
    }
    /// Names, shapes and places of the parameters, as [`Self::record`] makes them in an empty recorder.
    pub fn parameters(&self) -> Vec<Parameter> {
        self.architecture.layers().parameters()
    }
    /// Initial parameters, by the laws of the [`Layers`](super::Layers).
    pub fn init<R: Real>(&self, seed: u64) -> Vec<R> {
        self.architecture.layers().init(seed)
    }

    /// Records the network's parameters under `prefix`.
    ///
    /// # Errors
    /// If the names are taken.
    pub fn declare<R: Real>(&self, recorder: &mut Recorder<R>, prefix: &str) -> Result<Declared> {
        self.architecture.layers().declare(recorder, prefix)
    }

    /// Records the network's value at `x` [n, inputs] -> [n, dim], with parameters that were declared before.
    ///
    /// # Errors
    /// If the shapes do not fit or the parameters are another network's.
    pub fn apply<R: Real>(&self, recorder: &mut Recorder<R>, declared: &Declared, x: Var) -> Result<Var> {
        Taped::record(self.architecture(), recorder, declared, x)
    }

    /// [`Self::declare`] without a prefix and [`Self::apply`] in one.
    ///
    /// # Errors
    /// As those.
    pub fn record<R: Real>(&self, recorder: &mut Recorder<R>, x: Var) -> Result<Var> {
        let declared = self.declare(recorder, "")?;
        self.apply(recorder, &declared, x)
    }

    /// The features of ell: sin and cos of w_k (ell + 1), k = 0..f, f frequencies: first all sines, then all
    /// cosines, to the first `2 f` numbers of `out`. ell lies in about [-8, 6], whose centre is -1; the
    /// slowest sine runs through half a turn there, from -1 to 1, and the frequencies rise geometrically to
    /// 32 times that: w_k = (pi/14) 32^(k/(f-1)), periods 28, 14, 7, 3.5, 1.75 and 0.875 for f = 6.
    ///
    /// # Errors
    /// If `out` is shorter than `2 f`.
    pub fn features<R: Real>(&self, ell: f64, out: &mut [R]) -> Result<()> {
        let f = self.frequencies.len();
        if out.len() < 2 * f {
            return Err(Error::invalid("features: place for them", format!(">= {} numbers", 2 * f), out.len()));
        }
        let (sines, cosines) = out[..2 * f].split_at_mut(f);
        for ((sin, cos), w) in sines.iter_mut().zip(cosines).zip(self.frequencies.iter()) {
            let (s, c) = (w * (ell + 1.0)).sin_cos();
            (*sin, *cos) = (R::of(s), R::of(c));
        }
        Ok(())
    }

    /// The features of a label, into the last numbers of an input row: the unit vector of its class times
    /// sqrt(classes), so that its numbers have the mean square 1 that the layers' initial values are made
    /// for, and zeros where no label is known (Karras et al., NeurIPS 2022).
    ///
    /// # Errors
    /// A label that is no class; a row that is too short.
    pub fn label<R: Real>(&self, label: Option<u32>, row: &mut [R]) -> Result<()> {
        let at = row.len().checked_sub(self.classes);
        let Some(features) = at.map(|at| &mut row[at..]) else {
            return Err(Error::invalid("label: place for it", format!(">= {} numbers", self.classes), row.len()));
        };
        features.fill(R::zero());
        match label {
            None => Ok(()),
            Some(class) => match features.get_mut(class as usize) {
                Some(of) => {
                    *of = R::of((self.classes as f64).sqrt());
                    Ok(())
                }
                None => Err(Error::invalid("label", format!("one of {} classes from 0 on", self.classes), class)),
            },
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

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

    #[test]
    fn a_label_is_the_unit_vector_of_its_class() {
        let sizes = crate::nn::Sizes { dim: 2, width: 3, depth: 1, frequencies: 1, classes: 4, ..Default::default() };
        let net = ScoreNet::of(Mlp::of(&sizes).unwrap()).unwrap();
        assert_eq!(net.inputs(), 2 + 2 + 4);
        let mut row = [9.0f64; 8];
        net.label(Some(2), &mut row).unwrap();
        assert_eq!(row, [9.0, 9.0, 9.0, 9.0, 0.0, 0.0, 2.0, 0.0]);
        net.label(None, &mut row).unwrap();
        assert_eq!(row[4..], [0.0; 4]);
        let e = net.label(Some(4), &mut row).unwrap_err().to_string();
        assert!(e.contains("one of 4 classes from 0 on, got 4"), "{e}");
        assert!(net.label(None, &mut row[..3]).is_err());
        // Without classes there is nothing to tell.
        let plain = ScoreNet::new(2, 3, 1, 1).unwrap();
        assert!(plain.label(None, &mut row).is_ok() && plain.label(Some(0), &mut row).is_err());
    }

    #[test]
    fn another_networks_parameters_are_refused() {
        let (net, mut r) = (ScoreNet::new(2, 8, 3, 2).unwrap(), Recorder::<f32>::new());
        let x = r.input("x", &[5, net.inputs()]).unwrap();
        let y = net.record(&mut r, x).unwrap();
        assert_eq!(r.shape(y).unwrap(), [5, 2]);
        assert!(net.declare(&mut r, "").is_err());
        let shallow = ScoreNet::new(2, 8, 1, 2).unwrap().declare(&mut r, "shallow.").unwrap();
        let e = net.apply(&mut r, &shallow, x).unwrap_err().to_string();
        assert!(e.contains("layers.2.weight"), "{e}");
    }
}
