//! Rivals without a network: generators that know nothing but the training points (method.md, "Rivals
//! without a network"). Each has one parameter that is chosen on held-out points.

mod bridge;
mod closed_form;
mod points;

pub use bridge::Bridge;
pub use closed_form::ClosedForm;
pub use points::smoothed_points;

use crate::{Error, Result};
use ndarray::ArrayView2;

/// That there are points [n, d], that they have coordinates, and that all are finite.
fn check_points(place: &str, x: ArrayView2<f64>) -> Result<()> {
    if x.is_empty() {
        return Err(Error::shape(place, "points [n, d], at least one", &[x.shape()]));
    }
    match x.indexed_iter().find(|(_, x)| !x.is_finite()) {
        Some(((i, j), x)) => Err(Error::invalid(format!("{place}: point {i}, coordinate {j}"), "finite", x)),
        None => Ok(()),
    }
}

/// That `n` samples of `d` numbers can be numbered, in chunks of `rows`.
fn check_count(place: &str, n: usize, d: usize, rows: usize) -> Result<()> {
    if n.div_ceil(rows) < u32::MAX as usize && n.checked_mul(d).is_some() {
        return Ok(());
    }
    Err(Error::invalid(format!("{place}: samples"), "fewer than can be numbered", n))
}
