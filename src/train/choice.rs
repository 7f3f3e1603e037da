//! `objective.control = "auto"`: the control that is cheapest for this run, measured.

use crate::config::Control;
use std::fmt;

/// What is tried, in this order.
pub const CANDIDATES: [Control; 3] = [Control::Antithetic, Control::SelfControl, Control::None];
/// The step before which the choice is made: the network has left its initial weights, whose gradient is that
/// of the last layer alone.
pub(super) const AT: u64 = 50;
/// Batches that each candidate is measured on.
pub(super) const BATCHES: u64 = 24;

/// The price of each of [`CANDIDATES`]: the trace of the gradient's covariance over batches, times the
/// network evaluations of a draw. The variance falls like one over the draws, so this is the variance at
/// equal evaluations. Evaluations are counted, not timed: the choice is part of the result, and the result
/// does not depend on the machine.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Prices(pub [f64; 3]);

impl Prices {
    /// The cheapest.
    pub fn choice(&self) -> Control {
        let best = (1..3).fold(0, |best, i| if self.0[i] < self.0[best] { i } else { best });
        CANDIDATES[best]
    }
}

impl fmt::Display for Prices {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let least = self.0.iter().copied().fold(f64::INFINITY, f64::min);
        write!(f, "\"{}\", by the gradient's variance at equal evaluations:", self.choice().name())?;
        for (control, price) in CANDIDATES.iter().zip(self.0) {
            write!(f, " {} {:.2}", control.name(), price / least)?;
        }
        Ok(())
    }
}
