//! One-step laws (13) and laws on grids: densities, moments, scores, conservation.

mod density;
mod exact;
mod generator;
mod grids;
mod moments;
#[cfg(test)]
mod planted;

use super::{Curve, Measured, Part, Row, Slope};
use crate::Result;

pub(super) const HOW: &str = "\
Every one-step law N(m(x), C(x)) and every law on a grid, against what does not know it:
density   integral, mean and variance of the density by quadrature; the score by differences of the log-density; the score in the start,
          by dual numbers, against the same; f32 against f64
variance  finite and positive at random starts in [-5, 5] and steps in (0, 2]
mean, second moment   local error against the generator's series (double well, Lorenz), or the law itself where the drift is linear
exact     laws of linear equations: against the process, two steps against one, scores by differences, the integral of the density
grid      mass, sign and invariant law of Fokker-Planck, its order in space; Fokker-Planck against Chapman-Kolmogorov";

/// Checks them all.
pub(super) const PARTS: &[Part] =
    &[("densities", |_| density::rows()), ("moments", |_| moments::rows()), ("exact", |_| exact::rows()), ("grids", |_| grids::rows())];

/// A row that passes if each error keeps its bound.
pub(super) fn row(name: &str, tried: &str, errors: &[(&'static str, f64, f64)]) -> Row {
    let errors: Vec<Measured> =
        errors.iter().map(|(reference, error, bound)| Measured { reference, error: *error, bound: *bound }).collect();
    let pass = errors.iter().all(|e| e.error <= e.bound);
    // The first is what is shown: the one that is nearest to its bound, or beyond it.
    let mut sorted = errors;
    sorted.sort_by(|a, b| ratio(b).total_cmp(&ratio(a)));
    Row { name: name.to_owned(), tried: vec![tried.to_owned()], errors: sorted, pass, ..Row::default() }
}

fn ratio(e: &Measured) -> f64 {
    if e.error.is_nan() { f64::INFINITY } else { e.error / e.bound.max(1e-300) }
}

/// A row for the order of an error, which passes if its slope is within `margin` of the claim; what the
/// finest two errors say instead is the uncertainty.
pub(super) fn order(name: &str, tried: &str, claim: f64, margin: f64, curve: Curve) -> Row {
    let measured = curve.slope();
    let finest = Curve { h: curve.h[..2].to_vec(), error: curve.error[..2].to_vec() }.slope();
    let pass = (measured - claim).abs() <= margin;
    let slope = Some(Slope { claim, measured, error: (measured - finest).abs(), curve: Some(curve) });
    Row { name: name.to_owned(), tried: vec![tried.to_owned()], pass, slope, ..Row::default() }
}

/// What the checks are tried on.
pub(super) fn three_modes() -> Result<crate::mixture::Mixture> {
    use ndarray::array;
    crate::mixture::Mixture::new(
        array![0.5, 0.3, 0.2],
        array![[-2.0], [0.3], [2.2]],
        crate::mixture::Covariances::Spherical(array![0.35, 0.5, 0.3]),
    )
}

#[cfg(test)]
mod tests {
    #[test]
    fn every_law_passes() {
        let table = crate::audit::table(crate::audit::Subject::Transitions, crate::audit::Effort::Quick, &mut |_| {});
        let failed: Vec<_> = table.rows.iter().filter(|row| !row.pass).collect();
        assert!(failed.is_empty() && table.rows.len() >= 20, "{failed:#?}");
    }
}
