//! Control variates: that they change no mean and no minimiser, and what they do to the gradient's variance.

mod bias;
mod minimiser;
mod variance;

use super::scores::trained::by_control;
use super::transitions::row;
use super::{Effort, Part, Row};
use crate::Result;
use crate::config::Control;
use crate::objective::points_per_draw;

pub(super) const HOW: &str = "\
bias       each control on draws of each process and one-step law, at random parameters of the score network and of the control: the difference to
           the loss without control has mean 0, and so have the differences of the gradients along eight random directions; for implicit score
           matching, whose values differ by a constant, those of the gradients. Largest deviation in
           standard errors over 1e6 draws (quick: 1e5); one of nine normal numbers exceeds 4.4 in one case of 10,000
minimiser  a score that is linear in its parameters: the normal equations of its least squares fit have the same mean with and without control, and
           hold on average at the projection of the chain's own score (Chapman-Kolmogorov). Largest deviation in standard errors
variance   trace of the gradient's covariance over batches, four modes, fixed parameters, Euler chains of N = 20..1,000 steps on [0, 1]: its order in
           N without control; the largest value over that at N = 20 with one; the share that the network as its own control
           leaves; and the share that the lattice over data and times leaves of the variance with pairs
score      error of a trained network's score to the chain's own (Chapman-Kolmogorov), double well, 200 Euler steps, relative in L2(p), mean over ten bins
           of time: with each control over without any, at equal evaluations of the network";

/// Checks them all.
pub(super) const PARTS: &[Part] = &[("bias", bias::rows), ("minimiser", minimiser::rows), ("variance", variance::rows), ("score", scores)];

/// What the controls do to the score that is learned.
fn scores(effort: Effort) -> Result<Vec<Row>> {
    let (evaluations, bound) = if effort == Effort::Quick { (500_000, 0.8) } else { (4_000_000, 0.5) };
    let none = by_control(Control::None, evaluations)?;
    let one = |control: Control| {
        let error = by_control(control, evaluations)?;
        let tried = format!("{}, {evaluations} evaluations; error {error:.4}, without control {none:.4}", control.name());
        Ok(row("score", &tried, &[("none's error", error / none, bound)]))
    };
    of_the_gradient().map(one).collect()
}

/// The controls that act on the gradient: those that evaluate the network twice.
fn of_the_gradient() -> impl Iterator<Item = Control> {
    Control::ALL.iter().copied().filter(|c| *c != Control::Auto && points_per_draw(*c) > 1)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::audit::{Subject, table};

    #[test]
    fn controls_are_what_they_should_be() {
        let table = table(Subject::Control, Effort::Quick, &mut |_| {});
        let failed: Vec<&Row> = table.rows.iter().filter(|row| !row.pass).collect();
        assert!(failed.is_empty(), "{failed:#?}");
    }
}
