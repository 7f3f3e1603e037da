//! What data must have for a fit: enough points, variances that can be held; and what a reader should know
//! where they have little.

use super::blocks::distinct;
use super::{Count, FitOptions};
use crate::mixture::{CovarianceKind, Mixture};
use crate::{Error, Result};
use ndarray::{ArrayView1, ArrayView2};

/// Constant columns that are named where there are several.
const NAMED: usize = 8;

/// How many different points there are: as many as `components` at least. `variances`: those of the columns.
pub fn enough(x: ArrayView2<f64>, variances: ArrayView1<f64>, components: Count) -> Result<usize> {
    if let Some(j) = variances.iter().position(|v| !v.is_finite()) {
        return Err(Error::refused("mixture fit: data", format!("the numbers of column {j} are too large to be squared")));
    }
    let (n, distinct) = (x.nrows(), distinct(x));
    match components {
        Count::Fixed(k) if k > distinct => {
            let points = if distinct == n { format!("{n} points") } else { format!("{n} points of which {distinct} are different") };
            Err(Error::refused("mixture fit", format!("{k} components need at least as many different points, got {points}")))
        }
        _ => Ok(distinct),
    }
}

/// The variance floor of each column, `[d]`.
pub fn floor(variances: ArrayView1<f64>, x: ArrayView2<f64>, relative: f64, notes: &mut Vec<String>) -> Result<Vec<f64>> {
    // Below the rounding of the numbers themselves a variance says nothing.
    let varies: Vec<bool> = variances
        .iter()
        .zip(x.columns())
        .map(|(v, column)| *v > (8.0 * f64::EPSILON * column.iter().fold(0f64, |m, x| m.max(x.abs()))).powi(2))
        .collect();
    let varying: Vec<f64> = variances.iter().zip(&varies).filter(|(_, varies)| **varies).map(|(v, _)| *v).collect();
    if varying.is_empty() {
        return Err(Error::refused("mixture fit", "all points are the same, so there is no variance to fit"));
    }
    let mean = varying.iter().sum::<f64>() / varying.len() as f64;
    let constant: Vec<usize> = (0..varies.len()).filter(|j| !varies[*j]).collect();
    match constant[..] {
        [] => {}
        [j] => notes.push(format!("column {j} is constant: its variance is the floor, {:e}", relative * mean)),
        // A border of an image is many.
        _ => {
            let some: Vec<String> = constant.iter().take(NAMED).map(usize::to_string).collect();
            let (some, more) = (some.join(", "), if constant.len() > NAMED { ", ..." } else { "" });
            let count = constant.len();
            notes.push(format!("{count} columns are constant ({some}{more}): their variance is the floor, {:e}", relative * mean));
        }
    }
    Ok(variances.iter().zip(&varies).map(|(v, varies)| relative * if *varies { *v } else { mean }).collect())
}

/// A warning where components explain fewer points than they have parameters of their own.
pub fn starved(mixture: &Mixture, options: &FitOptions, n: usize) -> Option<String> {
    let (kind, symmetry) = (options.kind, options.symmetry.as_ref());
    let order = symmetry.map_or(1, |s| s.group.order());
    // What one more would add, but for its weight: a covariance that all share is no one's own.
    let own = kind.parameters(2, mixture.dim()) - kind.parameters(1, mixture.dim()) - 1;
    let weights = mixture.weights().to_vec();
    let few = weights.chunks(order).filter(|w| w.iter().sum::<f64>() * (n as f64) < own as f64).count();
    let (of, what) = (weights.len() / order, if order == 1 { "components" } else { "orbits" });
    let simpler = matches!(kind, CovarianceKind::Tied | CovarianceKind::Spherical);
    let remedy = if simpler { "fewer of them" } else { "fewer of them, or a simpler covariance," };
    (few > 0).then(|| format!("{few} of {of} {what} explain fewer points than their {own} parameters; {remedy} would be safer"))
}
