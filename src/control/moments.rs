//! Moments of (y, c) and the regression coefficients that they give.

use super::{Dropped, Why};
use crate::linalg::{Cholesky, symmetric_eigen};
use crate::{Error, Result};
use ndarray::{Array1, Array2, ArrayView1, ArrayView2, Axis, s};

/// Weighted count, means, and sums of products of deviations of the columns (y, c_1, ..., c_m).
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Moments {
    pub n: f64,
    pub mean: Array1<f64>,
    pub square: Array2<f64>,
}

impl Moments {
    pub fn empty(controls: usize) -> Self {
        Moments { n: 0.0, mean: Array1::zeros(controls + 1), square: Array2::zeros((controls + 1, controls + 1)) }
    }

    /// Of the rows of `y` `[n]` and `c` [n, m].
    pub fn of(y: ArrayView1<f64>, c: ArrayView2<f64>) -> Self {
        let mut out = Moments::empty(c.ncols());
        if y.is_empty() {
            return out;
        }
        let mut rows = Array2::zeros((y.len(), c.ncols() + 1));
        rows.column_mut(0).assign(&y);
        rows.slice_mut(s![.., 1..]).assign(&c);
        out.n = y.len() as f64;
        out.mean = rows.sum_axis(Axis(0)) / out.n;
        rows -= &out.mean;
        out.square = rows.t().dot(&rows);
        out
    }

    /// Those of both samples together (Chan, Golub and LeVeque 1983).
    pub fn merge(&mut self, other: &Self) {
        let n = self.n + other.n;
        if other.n == 0.0 {
            return;
        }
        let gap = &other.mean - &self.mean;
        let share = self.n * other.n / n;
        for ((i, j), q) in self.square.indexed_iter_mut() {
            *q += other.square[[i, j]] + share * gap[i] * gap[j];
        }
        self.mean.scaled_add(other.n / n, &gap);
        self.n = n;
    }

    /// Past samples count `decay` times as much.
    pub fn fade(&mut self, decay: f64) {
        self.n *= decay;
        self.square *= decay;
    }

    /// Sums of squared deviations of c_j.
    fn spread(&self, j: usize) -> f64 {
        self.square[[j + 1, j + 1]]
    }

    /// The correlations of the controls `kept`.
    pub fn correlation(&self, kept: &[usize]) -> Array2<f64> {
        let scale: Vec<f64> = kept.iter().map(|j| self.spread(*j).sqrt()).collect();
        Array2::from_shape_fn((kept.len(), kept.len()), |(a, b)| {
            if a == b { 1.0 } else { self.square[[kept[a] + 1, kept[b] + 1]] / (scale[a] * scale[b]) }
        })
    }

    /// b = (Cov(c) + ridge diag Cov(c))^-1 Cov(c, y), `[m]`: in units of the controls' standard deviations, a
    /// ridge on correlations. It is 0 for controls that are not in `kept`, or that are constant here.
    pub fn coefficients(&self, kept: &[usize], ridge: f64) -> Result<Array1<f64>> {
        let mut b = Array1::zeros(self.mean.len() - 1);
        let kept: Vec<usize> = kept.iter().copied().filter(|j| self.spread(*j) > 0.0).collect();
        if kept.is_empty() {
            return Ok(b);
        }
        let mut r = self.correlation(&kept);
        r.diag_mut().mapv_inplace(|v| v + ridge);
        let scale: Vec<f64> = kept.iter().map(|j| self.spread(*j).sqrt()).collect();
        let with_y = Array1::from_shape_fn(kept.len(), |a| self.square[[kept[a] + 1, 0]] / scale[a]);
        let beta = Cholesky::new(r.view()).map_err(|e| e.within("control variates"))?.solve_vec(with_y.view())?;
        kept.iter().enumerate().for_each(|(a, j)| b[*j] = beta[a] / scale[a]);
        Ok(b)
    }

    /// Which controls to use: none that is constant, or, but for 1e-10 of its variance, a combination of
    /// others. Pivoted Cholesky factors of the correlations take the one with most variance left each time.
    pub fn select(&self) -> (Vec<usize>, Vec<Dropped>) {
        let m = self.mean.len() - 1;
        let mut dropped = vec![];
        let mut rest: Vec<usize> = vec![];
        for j in 0..m {
            // What rounding of a constant leaves.
            let noise = (1e-14 * self.mean[j + 1]).powi(2) * self.n;
            if self.spread(j) > noise { rest.push(j) } else { dropped.push(Dropped { control: j, why: Why::Constant }) }
        }
        let r = self.correlation(&rest);
        let (k, mut left) = (rest.len(), Array1::<f64>::ones(rest.len()));
        let mut factor = Array2::<f64>::zeros((k, k));
        let (mut kept, mut open): (Vec<usize>, Vec<usize>) = (vec![], (0..k).collect());
        while let Some(at) = (0..open.len()).reduce(|a, b| if left[open[b]] > left[open[a]] { b } else { a }) {
            let pivot = open[at];
            if left[pivot] <= 1e-10 {
                break;
            }
            open.remove(at);
            let step = kept.len();
            factor[[pivot, step]] = left[pivot].sqrt();
            for &i in &open {
                let dot: f64 = (0..step).map(|q| factor[[i, q]] * factor[[pivot, q]]).sum();
                factor[[i, step]] = (r[[i, pivot]] - dot) / factor[[pivot, step]];
                left[i] -= factor[[i, step]] * factor[[i, step]];
            }
            kept.push(pivot);
        }
        dropped.extend(open.iter().map(|i| Dropped { control: rest[*i], why: Why::Collinear }));
        let mut kept: Vec<usize> = kept.into_iter().map(|i| rest[i]).collect();
        kept.sort_unstable();
        dropped.sort_by_key(|d| d.control);
        (kept, dropped)
    }

    /// Condition number of the correlations of the controls `kept`; 1 without any.
    pub fn condition(&self, kept: &[usize]) -> Result<f64> {
        if kept.is_empty() {
            return Ok(1.0);
        }
        let values = symmetric_eigen(self.correlation(kept).view())?.values;
        let (low, high) = values.iter().fold((f64::INFINITY, 0.0f64), |(l, h), v| (l.min(*v), h.max(*v)));
        Ok(high / low.max(f64::MIN_POSITIVE))
    }
}

/// Rows that fit each other, of finite numbers.
pub(super) fn check(place: &str, y: ArrayView1<f64>, c: ArrayView2<f64>) -> Result<()> {
    if c.nrows() != y.len() || c.ncols() == 0 {
        return Err(Error::shape(place, "samples [n] and controls [n, m], m >= 1", &[y.shape(), c.shape()]));
    }
    super::estimate::check(place, "samples", y, 0)?;
    if let Some(((i, j), v)) = c.indexed_iter().find(|(_, v)| !v.is_finite()) {
        return Err(Error::invalid(format!("{place}: control {j} of sample {i}"), "finite", v));
    }
    Ok(())
}
