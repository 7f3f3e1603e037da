//! What training changes.

use super::calibration::Calibration;
use super::choice::Prices;
use super::watch::Best;
use crate::objective::{ControlState, Seen};
use crate::optim;

/// Everything that training changes: what a checkpoint holds.
#[derive(Debug, Clone, PartialEq)]
pub struct State<R> {
    /// The network's parameters, flat.
    pub params: Vec<R>,
    /// Adam's moments, the averaged parameters and the number of steps done.
    pub optimiser: optim::State<R>,
    /// With `train.averages`, averages over the whole run: a shorter and a longer one.
    pub averages: Option<[Vec<R>; 2]>,
    /// What the control variate has learned.
    pub control: ControlState<R>,
    /// What a weighting that learns has seen.
    pub weights: Seen,
    /// What `objective.control = "auto"` has measured.
    pub prices: Option<Prices>,
    /// The best parameters so far on held-out points, of `train.keep = "best"`.
    pub best: Option<Best<R>>,
    /// What the generating parameters are corrected with, once training has ended.
    pub calibration: Option<Calibration>,
}

impl<R> State<R> {
    /// The averaged parameters, or the last ones where there is no average.
    pub fn averaged(&self) -> &[R] {
        if self.optimiser.ema.is_empty() { &self.params } else { &self.optimiser.ema }
    }

    /// The parameters that generate: the best ones on held-out points where these are kept, or the averaged
    /// ones.
    pub fn generating(&self) -> &[R] {
        self.best.as_ref().map_or(self.averaged(), |best| &best.params)
    }
}
