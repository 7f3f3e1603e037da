//! Numbers that mean whole numbers, such as the rows of a table and the classes of a loss.

use crate::Real;

/// How far an index may be from a whole number: it may be the result of arithmetic.
const TOLERANCE: f64 = 1.0 / 256.0;

/// The whole number in 0..n that `number` means, if it means one. It is a step function: its derivative is
/// zero near every valid index.
pub fn index<R: Real>(number: R, n: usize) -> Option<usize> {
    let nearest = number.f64().round();
    let valid = (number.f64() - nearest).abs() <= TOLERANCE && nearest >= 0.0 && nearest < n as f64;
    valid.then_some(nearest as usize)
}
