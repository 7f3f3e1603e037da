//! Control variates whose coefficients come from the other folds of the sample.

use super::Estimate;
use super::estimate::mean_variance;
use super::moments::{Moments, check};
use crate::{Error, Result};
use ndarray::{Array1, Array2, ArrayView1, ArrayView2, Axis, s};
use std::collections::BTreeMap;

/// How coefficients are fitted.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Regression {
    /// Added to the diagonal of the controls' correlations, >= 0. Large, it turns coefficients to 0 and never
    /// biases the estimate.
    pub ridge: f64,
    /// Folds k >= 2: a sample's coefficients come from the other k - 1.
    pub folds: usize,
}

impl Default for Regression {
    /// A ridge of 1e-6 and ten folds.
    fn default() -> Self {
        Regression { ridge: 1e-6, folds: 10 }
    }
}

/// A control that was left out.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Dropped {
    /// Its column.
    pub control: usize,
    /// The reason.
    pub why: Why,
}

/// Why a control is left out.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Why {
    /// It is the same for all samples.
    Constant,
    /// It is a linear combination of controls that are kept.
    Collinear,
}

impl std::fmt::Display for Dropped {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self.why {
            Why::Constant => write!(f, "control {} is constant", self.control),
            Why::Collinear => write!(f, "control {} is a combination of the others", self.control),
        }
    }
}

/// An estimate with control variates.
#[derive(Debug, Clone, PartialEq)]
pub struct Controlled {
    /// E y.
    pub estimate: Estimate,
    /// b, `[m]`: the mean over the folds, 0 for controls left out.
    pub coefficients: Array1<f64>,
    /// Condition number of the correlations of the controls kept, before the ridge.
    pub condition: f64,
    /// The controls left out.
    pub dropped: Vec<Dropped>,
    /// The means of the controls over their standard errors, `[m]`. One beyond 4 says that this control's
    /// mean is not 0, and that the estimate is biased.
    pub z: Array1<f64>,
}

/// Estimates by group.
#[derive(Debug, Clone, PartialEq)]
pub struct Grouped {
    /// E y over all groups.
    pub total: Estimate,
    /// Each group's own, by its number.
    pub groups: BTreeMap<usize, Controlled>,
}

impl Regression {
    /// E y from independent samples `y` `[n]` and controls `c` [n, m] of mean 0: the mean of y_i - b_f . c_i,
    /// with the b_f of fold f from the other folds. As b_f and c_i are independent, there is no bias. Folds
    /// are runs of neighbouring samples: shuffle them if their order means something.
    ///
    /// # Errors
    /// Shapes that do not fit, numbers that are not finite, fewer than two folds, a negative ridge; as many
    /// controls as samples, less a fold.
    pub fn cross_fitted(&self, y: ArrayView1<f64>, c: ArrayView2<f64>) -> Result<Controlled> {
        Ok(self.fit("control variates", y, c)?.0)
    }

    /// The same in each of the groups that `groups` `[n]` names, such as time bins: each with its own
    /// coefficients. Groups may have been drawn, or be strata of fixed sizes; the total's standard error is
    /// that of random groups, which is the larger.
    ///
    /// # Errors
    /// As [`Regression::cross_fitted`], naming the group.
    pub fn grouped(&self, y: ArrayView1<f64>, c: ArrayView2<f64>, groups: &[usize]) -> Result<Grouped> {
        if groups.len() != y.len() {
            return Err(Error::shape("control variates", "a group for each sample", &[y.shape(), &[groups.len()]]));
        }
        check("control variates", y, c)?;
        let mut members: BTreeMap<usize, Vec<usize>> = BTreeMap::new();
        groups.iter().enumerate().for_each(|(i, g)| members.entry(*g).or_default().push(i));
        let (mut all, mut out) = (vec![], BTreeMap::new());
        for (group, rows) in members {
            let (y, c) = (y.select(Axis(0), &rows), c.select(Axis(0), &rows));
            let (fit, adjusted) = self.fit(&format!("control variates: group {group}"), y.view(), c.view())?;
            all.extend(adjusted);
            out.insert(group, fit);
        }
        let (mean, variance) = mean_variance(all.iter().copied());
        let plain = mean_variance(y.iter().copied()).1;
        Ok(Grouped { total: Estimate::new(mean, variance / all.len() as f64, all.len(), plain), groups: out })
    }

    /// The estimate, and the samples with their controls subtracted.
    fn fit(&self, place: &str, y: ArrayView1<f64>, c: ArrayView2<f64>) -> Result<(Controlled, Array1<f64>)> {
        check(place, y, c)?;
        if !(self.ridge >= 0.0 && self.ridge.is_finite()) {
            return Err(Error::invalid(format!("{place}: ridge"), ">= 0", self.ridge));
        }
        let (n, m, k) = (y.len(), c.ncols(), self.folds);
        if k < 2 || k > n {
            return Err(Error::invalid(format!("{place}: folds"), format!("in 2..={n} (the samples)"), k));
        }
        let edges: Vec<usize> = (0..=k).map(|f| f * n / k).collect();
        let least = n - n.div_ceil(k);
        if m >= least {
            return Err(Error::invalid(
                format!("{place}: number of controls"),
                format!("below {least}, the samples that coefficients are fitted to"),
                m,
            ));
        }
        let parts: Vec<Moments> = edges.windows(2).map(|e| Moments::of(y.slice(s![e[0]..e[1]]), c.slice(s![e[0]..e[1], ..]))).collect();
        let joined = |without: usize| {
            let mut all = Moments::empty(m);
            parts.iter().enumerate().filter(|(f, _)| *f != without).for_each(|(_, part)| all.merge(part));
            all
        };
        let all = joined(k);
        let (kept, dropped) = all.select();
        let (mut adjusted, mut coefficients) = (y.to_owned(), Array1::zeros(m));
        for f in 0..k {
            let b = joined(f).coefficients(&kept, self.ridge)?;
            let rows = s![edges[f]..edges[f + 1]];
            let change = c.slice(s![edges[f]..edges[f + 1], ..]).dot(&b);
            adjusted.slice_mut(rows).zip_mut_with(&change, |y, c| *y -= c);
            coefficients.scaled_add(1.0 / k as f64, &b);
        }
        let (mean, variance) = mean_variance(adjusted.iter().copied());
        let plain = mean_variance(y.iter().copied()).1;
        let estimate = Estimate::new(mean, variance / n as f64, n, plain);
        let z = means_over_errors(c, &all);
        Ok((Controlled { estimate, coefficients, condition: all.condition(&kept)?, dropped, z }, adjusted))
    }
}

/// Means of controls over their standard errors; of a constant, 0 if it is 0, else infinity.
fn means_over_errors(c: ArrayView2<f64>, moments: &Moments) -> Array1<f64> {
    let n = c.nrows() as f64;
    let squares: Array2<f64> = moments.square.slice(s![1.., 1..]).to_owned();
    Array1::from_shape_fn(c.ncols(), |j| {
        let (mean, error) = (moments.mean[j + 1], (squares[[j, j]] / (n - 1.0) / n).sqrt());
        if mean == 0.0 { 0.0 } else { mean / error }
    })
}
