//! A reference of laws that are fitted to each class of the points by itself (`reference.per_class`).

use crate::mixture::{FitOptions, Mixture, Progress, fit_watched};
use crate::{Error, Result};
use ndarray::{ArrayView2, Axis};
use std::collections::BTreeMap;

/// The law of the rows of `x` [n, d], each class, whose rows `parts` has, with its share, and what was found.
///
/// # Errors
/// As [`fit_watched`], of any class.
pub(super) fn fit(
    x: ArrayView2<f64>,
    parts: &BTreeMap<u32, Vec<usize>>,
    options: &FitOptions,
    watch: &(dyn Fn(&Progress) + Sync),
) -> Result<(Mixture, Vec<String>)> {
    let (mut laws, mut counts, mut notes) = (Vec::new(), Vec::new(), Vec::new());
    for (class, rows) in parts {
        let own = x.select(Axis(0), rows);
        let fitted = fit_watched(own.view(), options, watch).map_err(|e: Error| e.within(format!("class {class}")))?;
        counts.push(format!("{} of class {class}", fitted.mixture.components()));
        notes.extend(fitted.notes.into_iter().map(|note| format!("class {class}: {note}")));
        laws.push((rows.len() as f64 / x.nrows() as f64, fitted.mixture));
    }
    notes.insert(0, format!("components, class by class: {}", counts.join(", ")));
    let laws: Vec<(f64, &Mixture)> = laws.iter().map(|(share, law)| (*share, law)).collect();
    Ok((Mixture::union(&laws)?, notes))
}
