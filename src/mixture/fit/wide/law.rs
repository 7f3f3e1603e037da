//! The mixture while it is fitted, in the numbers that an iteration changes: nothing is prepared that only
//! those need who use it afterwards.

use super::super::low_rank_step::{KEPT, spanning};
use crate::linalg::symmetric_eigen;
use crate::mixture::{Covariances, Mixture};
use crate::{Error, Result};
use ndarray::{Array1, Array2, Array3, ArrayView1, ArrayView2, Axis, concatenate, s};

/// sum_k w_k N(m_k, sum_j l_kj l_kj^T + v_k I).
#[derive(Debug, Clone)]
pub struct Law {
    /// w, `[k]`.
    pub weights: Array1<f64>,
    /// m, [k, d].
    pub means: Array2<f64>,
    /// l, [k, q, d]: those of a component are orthogonal to each other.
    pub loadings: Array3<f64>,
    /// v, `[k]`.
    pub noise: Array1<f64>,
}

impl Law {
    /// Components that are all alike about the origin, with `loadings` [k, q, d] of any directions.
    ///
    /// # Errors
    /// Covariances of another kind; loadings that are not finite.
    pub fn alike(covariances: Covariances) -> Result<Self> {
        let Covariances::LowRank { mut loadings, noise } = covariances else {
            return Err(Error::refused("mixture fit", "expected covariances of low rank"));
        };
        let (k, _, d) = loadings.dim();
        for mut l in loadings.outer_iter_mut() {
            let turned = orthogonal(l.view())?;
            l.assign(&turned);
        }
        Ok(Law { weights: Array1::from_elem(k, 1.0 / k as f64), means: Array2::zeros((k, d)), loadings, noise })
    }

    /// Number k of components.
    pub fn components(&self) -> usize {
        self.noise.len()
    }

    /// L of component `c`, [q, d].
    pub fn directions(&self, c: usize) -> ArrayView2<'_, f64> {
        self.loadings.index_axis(Axis(0), c)
    }

    /// Puts directions that mean nothing in the place of loadings of component `c` that are 0, so that the M
    /// step can turn them.
    ///
    /// # Errors
    /// Loadings that are not finite.
    pub fn span(&mut self, c: usize) -> Result<()> {
        let length = |l: ArrayView1<f64>| l.dot(&l);
        let shortest = 0.5 * KEPT * self.noise[c];
        if self.directions(c).outer_iter().any(|l| length(l) <= shortest)
            && let Some(rows) = spanning(self.directions(c), self.noise[c])?
        {
            self.loadings.index_axis_mut(Axis(0), c).assign(&rows);
        }
        Ok(())
    }

    /// The mixture, with its origin at `-mean` of its own.
    ///
    /// # Errors
    /// As [`Mixture::new`].
    pub fn mixture(&self, mean: ArrayView1<f64>) -> Result<Mixture> {
        let covariances = Covariances::LowRank { loadings: self.loadings.clone(), noise: self.noise.clone() };
        Mixture::new(self.weights.clone(), &self.means + &mean, covariances)
    }

    /// Component `c` by itself.
    pub fn component(&self, c: usize) -> Self {
        Law {
            weights: Array1::ones(1),
            means: self.means.slice(s![c..=c, ..]).to_owned(),
            loadings: self.loadings.slice(s![c..=c, .., ..]).to_owned(),
            noise: self.noise.slice(s![c..=c]).to_owned(),
        }
    }

    /// The same with the first component of `two` in the place of component `c`, and the second behind all.
    ///
    /// # Errors
    /// Mixtures of different shapes.
    pub fn with_two(&self, c: usize, two: &Self) -> Result<Self> {
        let mut law = self.clone();
        law.weights[c] = self.weights[c] * two.weights[0];
        law.means.row_mut(c).assign(&two.means.row(0));
        law.loadings.index_axis_mut(Axis(0), c).assign(&two.directions(0));
        law.noise[c] = two.noise[0];
        let join = |e: ndarray::ShapeError| Error::refused("mixture fit", e.to_string());
        let weight = Array1::from_elem(1, self.weights[c] * two.weights[1]);
        Ok(Law {
            weights: concatenate(Axis(0), &[law.weights.view(), weight.view()]).map_err(join)?,
            means: concatenate(Axis(0), &[law.means.view(), two.means.slice(s![1.., ..])]).map_err(join)?,
            loadings: concatenate(Axis(0), &[law.loadings.view(), two.loadings.slice(s![1.., .., ..])]).map_err(join)?,
            noise: concatenate(Axis(0), &[law.noise.view(), two.noise.slice(s![1..])]).map_err(join)?,
        })
    }

    /// The same with component `c` anew: at `place`, the point that is explained worst of `n`, as wide as the
    /// average component, along the directions of the heaviest, with the weight of one point.
    pub fn revived(&self, c: usize, place: &[f64], n: usize) -> Self {
        let mut law = self.clone();
        let heaviest = (0..self.components()).fold(0, |best, k| if self.weights[k] > self.weights[best] { k } else { best });
        law.means.row_mut(c).assign(&ArrayView1::from(place));
        law.loadings.index_axis_mut(Axis(0), c).assign(&self.directions(heaviest));
        law.noise[c] = self.weights.dot(&self.noise);
        law.weights[c] = 1.0 / n as f64;
        law.weights /= law.weights.sum();
        law
    }
}

/// Rows with the same sum of l l^T as those of `a`, [q, d], orthogonal to each other, the longest first:
/// turned by the eigenvectors of A A^T, which is small.
///
/// # Errors
/// Rows that are not finite.
pub fn orthogonal(a: ArrayView2<f64>) -> Result<Array2<f64>> {
    let eigen = symmetric_eigen(a.dot(&a.t()).view())?;
    Ok(eigen.vectors.slice(s![.., ..;-1]).t().dot(&a))
}
