//! The score model: a network, and what it is multiplied with and added to (method.md, "Parametrisations").

use super::Regression;
use crate::config::Parametrisation;
use crate::mixture::Evaluator;
use crate::nn::ScoreNet;
use crate::sde::NoiseScale;
use crate::{Error, Real, Result};

/// The class of a point, where it is known.
pub type Label = Option<u32>;

/// What the residual parametrisation adds to the network: a score that is right at late times.
#[derive(Debug, Clone)]
pub enum Guide<R> {
    /// grad log pi of the reference mixture, at every time.
    Reference(Evaluator<R>),
    /// -u / (alpha^2 + sbar^2): the score of N(0, I) data in a linear process.
    Standard,
}

/// How a network's output becomes a score in whitened coordinates:
/// plain s = net, scaled s = net / sbar, residual s = g + net / sbar, preconditioned s = g + p net / sbar (22), with g
/// the [`Guide`].
#[derive(Debug, Clone)]
pub struct ScoreModel<R> {
    /// The network.
    pub net: ScoreNet,
    /// How its output becomes a score.
    pub parametrisation: Parametrisation,
    /// The noise level over time.
    pub scale: NoiseScale,
    /// The score that the residual form adds, and that the samplers split off.
    pub guide: Guide<R>,
    /// Standard deviation of the data per coordinate: the network sees u divided by that of u at its time.
    std: Vec<f64>,
}

impl<R: Real> ScoreModel<R> {
    /// A model of points whose coordinates have standard deviations `std` before the noise.
    ///
    /// # Errors
    /// A standard deviation that is not positive; dimensions that differ.
    pub fn new(net: ScoreNet, parametrisation: Parametrisation, scale: NoiseScale, guide: Guide<R>, std: &[f64]) -> Result<Self> {
        let guided = if let Guide::Reference(pi) = &guide { pi.dim() } else { net.dim() };
        if std.len() != net.dim() || guided != net.dim() {
            return Err(Error::shape("score model", "one dimension for network, guide and std", &[&[net.dim()], &[guided], &[std.len()]]));
        }
        if let Some(s) = std.iter().find(|s| !(**s > 0.0 && s.is_finite())) {
            return Err(Error::invalid("score model: std", "finite and > 0", s));
        }
        Ok(ScoreModel { net, parametrisation, scale, guide, std: std.to_vec() })
    }

    /// The dimension d.
    pub fn dim(&self) -> usize {
        self.net.dim()
    }

    /// What the network's output is multiplied with to be S, or what it adds to that of the guide.
    #[inline]
    pub(crate) fn factor(&self, regression: Regression, t: f64) -> f64 {
        regression.factor(self.parametrisation, self.scale, t)
    }

    /// The network's input row for `u` at time `t`: u over its standard deviation, then the features of
    /// ell(t). A network with classes is told no label.
    #[inline]
    pub fn input(&self, t: f64, u: &[R], row: &mut [R]) -> Result<()> {
        self.labelled_input(t, None, u, row)
    }

    /// The same, and at the end the features of the label, where it is known.
    ///
    /// # Errors
    /// A label that is no class of the network; a row that is too short.
    #[inline]
    pub fn labelled_input(&self, t: f64, label: Label, u: &[R], row: &mut [R]) -> Result<()> {
        row[..self.dim()].copy_from_slice(u);
        self.scale_input(t, label, row)
    }

    /// The same in place, for any kind of number: the row begins with u.
    #[inline]
    pub(super) fn scale_input<N: Real>(&self, t: f64, label: Label, row: &mut [N]) -> Result<()> {
        let (point, time) = row.split_at_mut(self.dim());
        self.net.label(label, time)?;
        for (p, std) in point.iter_mut().zip(&self.std) {
            *p /= N::of(self.scale.total_std(*std, t));
        }
        self.net.features(self.scale.log_ratio(t), time)
    }

    /// The guide's score at the rows of `u` [n, d], row i at time `times[i]`.
    ///
    /// # Errors
    /// Shapes that do not fit.
    pub fn guide(&self, times: &[f64], u: &[R], out: &mut [R]) -> Result<()> {
        match &self.guide {
            Guide::Reference(pi) => pi.score(u, out),
            Guide::Standard => {
                for ((o, u), t) in out.chunks_exact_mut(self.dim()).zip(u.chunks_exact(self.dim())).zip(times) {
                    let precision = R::of(-1.0 / self.scale.total(*t));
                    o.iter_mut().zip(u).for_each(|(o, u)| *o = *u * precision);
                }
                Ok(())
            }
        }
    }
}
