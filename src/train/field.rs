//! What samplers and likelihoods see of a trained network: the residual of its score over the guide's.

use super::Calibration;
use super::calibration::correct;
use crate::mixture::RowMemory;
use crate::nn::Inference;
use crate::objective::{Guide, Label, Regression, ScoreModel};
use crate::par;
use crate::sample::Field;
use crate::sde::NoiseScale;
use crate::{Error, Real, Result};

/// Rows of a parallel chunk; as many stay on the thread that asks.
const ROWS: usize = 512;

/// The labels of the points that a field is evaluated at.
#[derive(Debug, Clone, PartialEq, Default)]
pub(super) enum Labels {
    /// None is known.
    #[default]
    None,
    /// All are of one class.
    All(u32),
    /// One for each row.
    Rows(Vec<u32>),
}

impl Labels {
    fn of(&self, row: usize) -> Label {
        match self {
            Labels::None => None,
            Labels::All(class) => Some(*class),
            Labels::Rows(all) => all.get(row).copied(),
        }
    }
}

/// The residual field of a trained network, with memory for the points of a call.
pub(super) struct ScoreField<R: Real> {
    model: ScoreModel<R>,
    pub regression: Regression,
    inference: Inference<R>,
    calibration: Option<Calibration>,
    /// See [`tempering`].
    pub temperature: f64,
    /// What the network is told about the points.
    pub labels: Labels,
    /// See [`ScoreField::value`].
    pub guidance: f64,
    /// The network's value without labels.
    unlabelled: Vec<R>,
    rows: Vec<R>,
    times: Vec<f64>,
    /// The guide's score where it was last evaluated.
    pub guide: Vec<R>,
    /// Of a guide that is a mixture.
    lanes: Option<RowMemory<R>>,
}

impl<R: Real> ScoreField<R> {
    /// The field of a network with the parameters `params`, corrected by `calibration` (20).
    ///
    /// # Errors
    /// Parameters of another network.
    pub fn new(model: ScoreModel<R>, regression: Regression, params: &[R], calibration: Option<&Calibration>) -> Result<Self> {
        let inference = Inference::new(&model.net, params)?;
        let lanes = if let Guide::Reference(pi) = &model.guide { Some(pi.row_memory()) } else { None };
        let calibration = calibration.filter(|c| !c.is_identity()).cloned();
        Ok(ScoreField {
            model,
            regression,
            inference,
            calibration,
            temperature: 1.0,
            labels: Labels::None,
            guidance: 1.0,
            unlabelled: Vec::new(),
            rows: Vec::new(),
            times: Vec::new(),
            guide: Vec::new(),
            lanes,
        })
    }

    /// Takes other parameters of the same network.
    ///
    /// # Errors
    /// Parameters of another network.
    pub fn load(&mut self, params: &[R]) -> Result<()> {
        self.inference.load(params)
    }

    /// The guide's score at the rows of `u` and time `t`, into `self.guide`.
    pub fn evaluate_guide(&mut self, t: f64, u: &[R]) -> Result<()> {
        self.guide.resize(u.len(), R::zero());
        if let (Guide::Reference(pi), Some(lanes), true) = (&self.model.guide, &mut self.lanes, u.len() <= ROWS * self.model.dim()) {
            return pi.score_in(u, &mut self.guide, lanes);
        }
        self.times.clear();
        self.times.resize(u.len() / self.model.dim(), t);
        self.model.guide(&self.times, u, &mut self.guide)
    }

    /// The network's value at the rows of `u` and time `t`, told `labels`.
    fn network(&mut self, t: f64, u: &[R], labels: &Labels, out: &mut [R]) -> Result<()> {
        let (model, d, inputs) = (&self.model, self.model.dim(), self.model.net.inputs());
        let n = u.len() / d;
        if let Labels::Rows(all) = labels
            && all.len() != n
        {
            return Err(Error::shape("labels", format!("{n}, one for each point"), &[&[all.len()]]));
        }
        self.rows.resize(n * inputs, R::zero());
        let fill = |chunk: usize, (rows, u): (&mut [R], &[R])| {
            let mut rows = rows.chunks_exact_mut(inputs).zip(u.chunks_exact(d)).enumerate();
            rows.try_for_each(|(i, (row, u))| model.labelled_input(t, labels.of(chunk * ROWS + i), u, row))
        };
        par::try_each((par::chunks_mut(&mut self.rows, ROWS * inputs), par::chunks(u, ROWS * d)), fill)?;
        self.inference.run(&self.rows, out)
    }

    /// The network's value at the rows of `u` and time `t`, with the guidance w of its labels: that without a
    /// label plus w times what the label changes (Ho and Salimans, arXiv:2207.12598, whose w is less by 1).
    /// 1 is the class's own law, 0 that of all; more than 1 exaggerates what tells the class from the others.
    fn value(&mut self, t: f64, u: &[R], out: &mut [R]) -> Result<()> {
        let labels = std::mem::take(&mut self.labels);
        let told = self.network(t, u, &labels, out);
        self.labels = labels;
        told?;
        if self.guidance != 1.0 && self.labels != Labels::None {
            let mut without = std::mem::take(&mut self.unlabelled);
            without.resize(u.len(), R::zero());
            let untold = self.network(t, u, &Labels::None, &mut without);
            let w = R::of(self.guidance);
            out.iter_mut().zip(&without).for_each(|(o, without)| *o = *without + w * (*o - *without));
            self.unlabelled = without;
            untold?;
        }
        Ok(())
    }
}

impl<R: Real> Field<R> for ScoreField<R> {
    fn residual(&mut self, t: f64, u: &[R], out: &mut [R]) -> Result<()> {
        self.value(t, u, out)?;
        let (regression, scale) = (self.regression, self.model.scale);
        let factor = R::of(self.model.factor(regression, t) / regression.unit(scale, t));
        out.iter_mut().for_each(|o| *o *= factor);
        let whole = regression.is_whole(self.model.parametrisation);
        if whole || self.calibration.is_some() || self.temperature != 1.0 {
            self.evaluate_guide(t, u)?;
        }
        if whole {
            // The network is the whole score, or velocity: the residual is what it adds to the guide's.
            let share = R::of(regression.share(scale, t));
            out.iter_mut().zip(&self.guide).for_each(|(o, g)| *o -= share * *g);
        }
        if let Some(calibration) = &self.calibration {
            // (20), over sbar, or of a velocity as it is.
            correct(calibration.at(t), out, u, &self.guide);
        }
        if regression == Regression::Velocity {
            let factor = R::of(regression.score(scale, t));
            out.iter_mut().for_each(|o| *o *= factor);
        }
        if self.temperature != 1.0 {
            // The whole score, g + r, times the factor.
            let factor = R::of(tempering(scale, self.temperature, t));
            out.iter_mut().zip(&self.guide).for_each(|(o, g)| *o = factor * (*o + *g) - *g);
        }
        Ok(())
    }
}

/// What the score at time t is multiplied with so that modes of variance v come out with the variance
/// `temperature` v (arXiv:2510.01184). Of a mode with unit variance in whitened coordinates the noised law
/// has the variance V = alpha^2 + sbar^2, and V - alpha^2 (1 - temperature) if its own were `temperature`:
/// the factor is the ratio of the two, 1 where all is noise. Weights of modes that lie apart stay what they
/// are.
fn tempering(scale: NoiseScale, temperature: f64, t: f64) -> f64 {
    let alpha2 = scale.alpha(t).powi(2);
    let whole = alpha2 + scale.sbar(t).powi(2);
    whole / (whole - alpha2 * (1.0 - temperature))
}
