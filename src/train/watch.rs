//! A run that is watched while it trains: the held-out gain every so many steps, the best parameters kept, an
//! end where nothing is won any more, and the calibration that follows.

use super::averages;
use super::calibration::Calibration;
use super::classes::PointLabels;
use super::held_out::{ClassGain, Gain, HeldOut, Mean};
use super::{Reference, System, Trainer};
use crate::config::Keep;
use crate::{Error, Real, Result};
use ndarray::{Array2, ArrayView2};
use std::time::Instant;

/// Draws, each a pair, of held-out points, and fewer of training points, which decide nothing: several of
/// each point where the points are fewer, one of as many points otherwise.
const DRAWS: usize = 1024;
const TRAINING_DRAWS: usize = 256;
/// Draws for the final model.
const FINAL_DRAWS: usize = 4096;

/// (19) on held-out points, and the same on training points.
#[derive(Debug, Clone, PartialEq)]
pub struct Gains {
    /// On points that training does not see.
    pub held_out: Gain,
    /// On points that it sees: what is below the other is learned by heart.
    pub training: Gain,
}

/// The parameters with the least held-out gain so far.
#[derive(Debug, Clone, PartialEq)]
pub struct Best<R> {
    /// The number of steps after which they were the averaged ones.
    pub step: u64,
    /// Their held-out gain (19).
    pub gain: Mean,
    /// The parameters.
    pub params: Vec<R>,
}

/// What a run is watched on: held-out points, and training points, for what the network knows by heart.
pub(super) struct Watch<R> {
    /// Held-out points, whitened.
    pub points: Array2<f64>,
    held_out: HeldOut<R>,
    training: HeldOut<R>,
}

impl<R: Real> Watch<R> {
    /// `held_out` and `training`: rows, whitened, which have these labels, if any.
    ///
    /// # Errors
    /// As [`HeldOut::new`].
    fn new(system: &System<R>, [held_out, training]: [ArrayView2<f64>; 2], labels: &PointLabels, seed: u64) -> Result<Self> {
        let points = held_out.to_owned();
        let held_out = HeldOut::new(system, held_out, &labels.held_out, DRAWS, (seed, 0))?;
        Ok(Watch { points, held_out, training: HeldOut::new(system, training, &labels.training, TRAINING_DRAWS, (seed, 1))? })
    }

    /// The gain of the network with the parameters `params` on held-out points and on training points.
    ///
    /// # Errors
    /// Parameters of another network.
    pub fn gains(&mut self, params: &[R]) -> Result<Gains> {
        Ok(Gains { held_out: gain(&mut self.held_out, params)?, training: gain(&mut self.training, params)? })
    }
}

fn gain<R: Real>(of: &mut HeldOut<R>, params: &[R]) -> Result<Gain> {
    of.added(params).map(|added| of.gain(&added))
}

impl<R: Real> Trainer<R> {
    /// Watches the held-out gain (19) of the rows of `x` [m, d], in the units of the reference: without it
    /// nothing is evaluated, and the last parameters are kept.
    ///
    /// # Errors
    /// Points that do not fit the reference.
    pub fn watching(mut self, reference: &Reference, x: ArrayView2<f64>) -> Result<Self> {
        let u = reference.whitening.whiten(x)?;
        if !self.labels.held_out.is_empty() && self.labels.held_out.len() != u.nrows() {
            return Err(Error::shape("held-out points", format!("{} rows, as many as labels", self.labels.held_out.len()), &[x.shape()]));
        }
        let points = self.points.all();
        self.watch = Some(Watch::new(&self.system, [u.view(), points.view()], &self.labels, self.config.train.seed)?);
        if self.state.optimiser.step == 0 && self.config.train.evaluate_every > 0 {
            self.evaluate()?;
        }
        Ok(self)
    }

    /// The held-out gain of the averaged parameters; the best so far are kept, of all averages that there
    /// are: after the last step of their combinations too.
    pub(super) fn evaluate(&mut self) -> Result<Option<Gains>> {
        let Some(watch) = &mut self.watch else { return Ok(None) };
        let (began, step) = (Instant::now(), self.state.optimiser.step);
        let gains = watch.gains(self.state.averaged())?;
        if self.config.train.keep == Keep::Best {
            // Put in place when all have been looked at: an error loses none.
            let mut best = self.state.best.clone();
            let mut consider = |params: &[R], gain: Mean| {
                if best.as_ref().is_none_or(|best| gain.value < best.gain.value) {
                    best = Some(Best { step, gain, params: params.to_vec() });
                }
            };
            consider(self.state.averaged(), gains.held_out.whole);
            if let Some(averages) = self.state.averages.as_ref().filter(|_| step > 0) {
                for params in averages {
                    consider(params, gain(&mut watch.held_out, params)?.whole);
                }
                let ended = step == self.config.train.steps as u64;
                for length in averages::TRIED.iter().filter(|_| ended) {
                    let params = averages::combination(averages, *length);
                    consider(&params, gain(&mut watch.held_out, &params)?.whole);
                }
            }
            self.state.best = best;
        }
        self.spent[2] += began.elapsed();
        Ok(Some(gains))
    }

    /// Calibrates the generating parameters on the held-out points (20), where `calibration.score` asks for
    /// it and there are such points: what the end of training does. Another step takes it back.
    ///
    /// # Errors
    /// As the noising.
    pub fn calibrate(&mut self) -> Result<Option<&Calibration>> {
        self.state.calibration = match &self.watch {
            Some(watch) if self.config.calibration.score => {
                let points = (watch.points.view(), &self.labels.held_out[..]);
                Some(Calibration::fit(&self.system, points, self.state.generating(), self.config.train.seed)?)
            }
            _ => None,
        };
        Ok(self.state.calibration.as_ref())
    }

    /// The held-out gain (19) of what generates, with its calibration, on the rows of `x` [m, d], in the
    /// units of the reference: of points that no part of the training saw, what the model is worth. The network
    /// is told no labels.
    ///
    /// # Errors
    /// Points that do not fit the reference.
    pub fn final_gain(&self, reference: &Reference, x: ArrayView2<f64>) -> Result<Mean> {
        let u = reference.whitening.whiten(x)?;
        let (points, added) = self.corrected(u.view(), &[])?;
        Ok(points.gain(&added).whole)
    }

    /// The same of each class over the held-out points that have its label, of the network with their labels
    /// and without: what it makes of them. Nothing where it is told none.
    ///
    /// # Errors
    /// None that a trainer can meet.
    pub fn class_gains(&self) -> Result<Vec<ClassGain>> {
        let (Some(watch), labels) = (&self.watch, &self.labels.held_out) else { return Ok(Vec::new()) };
        if labels.is_empty() {
            return Ok(Vec::new());
        }
        let (told, with) = self.corrected(watch.points.view(), labels)?;
        let (untold, without) = self.corrected(watch.points.view(), &[])?;
        let gains = told.gains_by_label(&with, labels).into_iter().zip(untold.gains_by_label(&without, labels).into_values());
        Ok(gains.map(|((class, told), untold)| ClassGain { class, told, untold }).collect())
    }

    /// Points noised for a final measurement, and what the generating parameters add there with their calibration.
    fn corrected(&self, u: ArrayView2<f64>, labels: &[u32]) -> Result<(HeldOut<R>, Vec<R>)> {
        let mut points = HeldOut::new(&self.system, u, labels, FINAL_DRAWS, (self.config.train.seed, 3))?;
        let added = points.added(self.state.generating())?;
        let corrected = self.state.calibration.as_ref().map(|c| c.applied(&self.system, &points, &added));
        Ok((points, corrected.unwrap_or(added)))
    }

    /// Whether `train.patience` steps have gone by without a better held-out gain: no step follows.
    pub fn exhausted(&self) -> bool {
        let patience = self.config.train.patience as u64;
        patience > 0 && self.state.best.as_ref().is_some_and(|best| self.state.optimiser.step - best.step >= patience)
    }

    /// The time that held-out points took, in that of all steps. NaN before the first step.
    pub fn watching_share(&self) -> f64 {
        self.spent[2].as_secs_f64() / self.spent[1].as_secs_f64()
    }
}

#[cfg(test)]
pub(super) mod tests {
    use crate::config::{Config, Setting};
    use crate::train::{Prepared, prepare};

    /// A small run in f64, evaluated every ten steps.
    pub fn prepared(settings: &[(&str, &str)]) -> Prepared {
        let mut all = vec![Setting::new("data.name", "moons"), Setting::new("data.n", 60usize), Setting::new("train.precision", "f64")];
        all.extend(
            [("network.width", 16usize), ("train.batch", 64), ("train.steps", 40), ("train.evaluate_every", 10)]
                .map(|(k, v)| Setting::new(k, v)),
        );
        all.push(Setting::new("reference.components", 1usize));
        all.extend(settings.iter().map(|(k, v)| match (v.parse::<usize>(), v.parse::<bool>()) {
            (Ok(number), _) => Setting::new(k, number),
            (_, Ok(switch)) => Setting::new(k, switch),
            _ => Setting::new(k, *v),
        }));
        prepare(&Config::resolve(&all).unwrap()).unwrap()
    }

    /// The best of all that were evaluated is kept and generates, patience ends the run where nothing was
    /// won for so long, and without evaluation nothing is kept.
    #[test]
    fn the_best_parameters_are_kept() {
        let run = |settings: &[(&str, &str)]| {
            let fixed = [
                ("data.n", "40"),
                ("train.steps", "400"),
                ("network.width", "64"),
                ("train.schedule", "constant"),
                ("train.evaluate_every", "20"),
                ("train.averages", "false"),
            ];
            let mut trainer = prepared(&[&fixed[..], settings].concat()).trainer::<f64>().unwrap();
            let mut gains = vec![(0, 0.0)];
            while trainer.state().optimiser.step < 400 && !trainer.exhausted() {
                let report = trainer.step().unwrap();
                gains.extend(report.gains.map(|g| (report.step, g.held_out.whole.value)));
            }
            (gains, trainer.state().clone())
        };
        let (gains, state) = run(&[]);
        let best = gains.iter().fold((0, 0.0), |best, g| if g.1 < best.1 { *g } else { best });
        let kept = state.best.as_ref().unwrap();
        assert!(gains.len() == 21 && (kept.step, kept.gain.value) == best && state.generating() == kept.params, "{gains:?}");
        assert!(kept.step > 0 && kept.params != state.params, "{gains:?}");
        let (patient, stopped) = run(&[("train.patience", "100")]);
        // The least gain until a step, and the first step that is 100 beyond it.
        let best_until = |step: u64| gains.iter().filter(|g| g.0 <= step).fold((0, 0.0), |best, g| if g.1 < best.1 { *g } else { best });
        let end = (1..=400).find(|step| step - best_until(*step).0 >= 100).unwrap_or(400);
        assert!(patient[..] == gains[..patient.len()] && stopped.optimiser.step == end && end < 400, "{end} {gains:?}");
        assert_eq!(stopped.best.as_ref().unwrap().step, best_until(end).0);
        let (_, last) = run(&[("train.keep", "last")]);
        assert!(last.best.is_none() && last.generating() == state.averaged());
        // Of more averages none worse is kept, and they are averages.
        let (same, averaged) = run(&[("train.averages", "true")]);
        let (longer, [short, long]) = (averaged.best.as_ref().unwrap(), averaged.averages.as_ref().unwrap());
        assert!(same == gains && longer.gain.value <= kept.gain.value, "{} {}", longer.gain.value, kept.gain.value);
        assert!(short != long && *long != averaged.params && *short != averaged.averaged());
        let (none, unseen) = run(&[("train.evaluate_every", "0")]);
        assert!(none.len() == 1 && unseen.params == state.params && unseen.generating() == last.generating());
    }
}
