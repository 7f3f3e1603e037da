//! Covariances of low rank, C = L^T L + v I with L [q, d]: by Woodbury's identity all that is needed of them
//! lives in the q principal directions u_j of L^T L, eigenvalues lambda_j,
//!
//! C^-1 = I/v - sum_j (1/v - 1/(lambda_j + v)) u_j u_j^T,   det C = v^(d-q) prod_j (lambda_j + v).
//!
//! Differences of nearly equal numbers, which that form takes where lambda_j >> v, are avoided: a basis Q of
//! R^d that begins with the u_j is a product of q reflections ([`Reflectors`]), and in it C is diagonal.

use super::softmax::{finish, softmax};
use crate::linalg::{Reflectors, leading, symmetric_eigen};
use crate::simd::{Kernel, W};
use crate::{Real, Result};
use ndarray::{Array2, ArrayView2, Axis};

/// One covariance in its eigenbasis.
#[derive(Debug, Clone)]
pub struct LowRank<R> {
    /// Q.
    pub basis: Reflectors<R>,
    /// lambda_j + v, `[q]`.
    pub leading: Vec<R>,
    /// v.
    pub noise: R,
}

impl LowRank<f64> {
    /// From loadings, [q, d], and the variance of the rest.
    ///
    /// # Errors
    /// Loadings that are not finite or more than coordinates.
    pub fn new(loadings: ArrayView2<f64>, noise: f64) -> Result<Self> {
        let (basis, values) = Reflectors::principal(loadings)?;
        Ok(LowRank { basis, leading: values.iter().map(|v| v + noise).collect(), noise })
    }

    /// ln det C in `dim` dimensions.
    pub fn log_det(&self, dim: usize) -> f64 {
        self.leading.iter().map(|v| v.ln()).sum::<f64>() + (dim - self.leading.len()) as f64 * self.noise.ln()
    }

    /// The eigenvalues in `dim` dimensions, in descending order.
    pub fn spectrum(&self, dim: usize) -> Vec<f64> {
        (0..dim).map(|j| *self.leading.get(j).unwrap_or(&self.noise)).collect()
    }

    /// C^-1, [d, d], for those who must have it as a matrix.
    pub fn precision(&self, dim: usize) -> Array2<f64> {
        let mut out = Array2::from_diag(&ndarray::Array1::from_elem(dim, 1.0 / self.noise));
        for (u, v) in self.basis.directions().axis_iter(Axis(0)).zip(&self.leading) {
            let u = u.insert_axis(Axis(0));
            ndarray::linalg::general_mat_mul(1.0 / v - 1.0 / self.noise, &u.t(), &u, 1.0, &mut out);
        }
        out
    }

    /// The same in another precision.
    pub fn cast<S: Real>(&self) -> LowRank<S> {
        LowRank { basis: self.basis.cast(), leading: self.leading.iter().map(|v| S::of(*v)).collect(), noise: S::of(self.noise) }
    }
}

impl<R: Real> LowRank<R> {
    /// y = Q^T (x - m), and its squared Mahalanobis length sum_j y_j^2/v_j. `x`, `y`: `[d][W]`, `m`: `[d]`.
    #[inline(always)]
    pub fn whiten<const FMA: bool>(&self, x: &[[R; W]], m: &[R], y: &mut [[R; W]]) -> [R; W] {
        for ((x, m), y) in x.iter().zip(m).zip(&mut *y) {
            for i in 0..W {
                y[i] = x[i] - *m;
            }
        }
        self.basis.turn_back_lanes::<FMA>(y);
        let (first, rest) = y.split_at(self.leading.len());
        let mut sum = [R::zero(); W];
        for y in rest {
            for i in 0..W {
                sum[i] = y[i].fma::<FMA>(y[i], sum[i]);
            }
        }
        let inverse = R::one() / self.noise;
        for i in 0..W {
            sum[i] *= inverse;
        }
        for (y, v) in first.iter().zip(&self.leading) {
            let inverse = R::one() / *v;
            for i in 0..W {
                sum[i] = (y[i] * inverse).fma::<FMA>(y[i], sum[i]);
            }
        }
        sum
    }

    /// score += -r C^-1 (x - m), given the y of [`LowRank::whiten`], which is used up.
    #[inline(always)]
    pub fn add_score<const FMA: bool>(&self, r: &[R; W], y: &mut [[R; W]], score: &mut [[R; W]]) {
        for (j, y) in y.iter_mut().enumerate() {
            let inverse = R::one() / *self.leading.get(j).unwrap_or(&self.noise);
            for i in 0..W {
                y[i] *= -r[i] * inverse;
            }
        }
        self.basis.turn_lanes::<FMA>(y);
        for (score, y) in score.iter_mut().zip(&*y) {
            for i in 0..W {
                score[i] += y[i];
            }
        }
    }
}

/// ln(w_k N(x; m_k, C_k)) of all components into `logits`, and Q_k^T (x - m_k) into `y` at `stride` k; the
/// result is the largest.
pub struct Logits<'a, R> {
    pub all: &'a [LowRank<R>],
    /// m_k, [k, d], and ln w_k - (1/2) ln det(2 pi C_k), `[k]`.
    pub means: &'a [R],
    pub constants: &'a [R],
    pub x: &'a [[R; W]],
    pub logits: &'a mut [[R; W]],
    pub y: &'a mut [[R; W]],
    pub stride: usize,
}

impl<R: Real> Kernel for Logits<'_, R> {
    const VECTORS: bool = R::VECTORS;
    type Output = [R; W];
    #[inline(always)]
    fn run<const FMA: bool>(self) -> [R; W] {
        let d = self.x.len();
        let mut top = [R::min_value(); W];
        for (k, (l, m)) in self.logits.iter_mut().zip(self.means.chunks_exact(d)).enumerate() {
            let q = self.all[k].whiten::<FMA>(self.x, m, &mut self.y[k * self.stride..k * self.stride + d]);
            finish::<R, FMA>(self.constants[k], &q, l, &mut top);
        }
        top
    }
}

/// The score of a mixture of such components.
pub struct Score<'a, R> {
    pub all: &'a [LowRank<R>],
    pub means: &'a [R],
    pub constants: &'a [R],
    pub x: &'a [[R; W]],
    pub score: &'a mut [[R; W]],
    pub logits: &'a mut [[R; W]],
    /// Working memory, [k d].
    pub rest: &'a mut [[R; W]],
}

impl<R: Real> Kernel for Score<'_, R> {
    const VECTORS: bool = R::VECTORS;
    type Output = ();
    #[inline(always)]
    fn run<const FMA: bool>(self) {
        let Score { all, means, constants, x, score, logits, rest } = self;
        let d = x.len();
        let top = Logits { all, means, constants, x, logits: &mut *logits, y: &mut *rest, stride: d }.run::<FMA>();
        let total = softmax::<R, FMA>(logits, &top);
        score.fill([R::zero(); W]);
        for ((c, y), e) in all.iter().zip(rest.chunks_exact_mut(d)).zip(&*logits) {
            let mut r = [R::zero(); W];
            for i in 0..W {
                r[i] = e[i] / total[i];
            }
            c.add_score::<FMA>(&r, y, score);
        }
    }
}

/// The probabilistic principal components of a covariance, [d, d] (Tipping and Bishop 1999, eq. 7 and 8): v
/// is the mean of the d - q smallest eigenvalues, the loadings are the other eigenvectors times
/// sqrt(lambda - v).
///
/// # Errors
/// An eigendecomposition that does not converge.
pub fn principal(covariance: ArrayView2<f64>, q: usize) -> Result<(Array2<f64>, f64)> {
    let eigen = symmetric_eigen(covariance)?;
    let d = covariance.nrows();
    let q = q.min(d);
    // With nothing left over, half of the least eigenvalue: any share of it would do.
    let noise = if q < d { eigen.values.iter().take(d - q).sum::<f64>() / (d - q) as f64 } else { 0.5 * eigen.values[0] };
    let loading = |i: usize, j: usize| {
        let from = d - 1 - i;
        (eigen.values[from] - noise).max(0.0).sqrt() * eigen.vectors[[j, from]]
    };
    Ok((Array2::from_shape_fn((q, d), |(i, j)| loading(i, j)), noise))
}

/// The covariance of low rank nearest to sum_i a_i a_i^T + v I, a_i the rows of `a`: as [`principal`] of it,
/// without forming it.
///
/// # Errors
/// Rows that are not finite.
pub fn truncated(a: ArrayView2<f64>, noise: f64, q: usize) -> Result<(Array2<f64>, f64)> {
    let d = a.ncols();
    let (mut rows, left) = if a.nrows() <= d {
        leading(a, q)?
    } else {
        // More rows than coordinates: few coordinates, and their d x d matrix is the smaller one.
        let eigen = symmetric_eigen(a.t().dot(&a).view())?;
        let root = Array2::from_shape_fn((d, d), |(i, j)| eigen.values[d - 1 - i].max(0.0).sqrt() * eigen.vectors[[j, d - 1 - i]]);
        (root.slice(ndarray::s![..q.min(d), ..]).to_owned(), eigen.values.iter().take(d - q.min(d)).map(|v| v.max(0.0)).sum())
    };
    let more = if q < d { left / (d - q) as f64 } else { 0.0 };
    // lambda + v stays what it was while v grows.
    for mut row in rows.axis_iter_mut(Axis(0)) {
        let value = row.iter().map(|v| v * v).sum::<f64>();
        row *= if value > 0.0 { ((value - more).max(0.0) / value).sqrt() } else { 0.0 };
    }
    Ok((rows, noise + more))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::linalg::Cholesky;
    use crate::rng::{Purpose, Stream};

    fn normals(rows: usize, columns: usize, seed: u64) -> Array2<f64> {
        let mut stream = Stream::new(seed, Purpose::Test, 0, 0);
        Array2::from_shape_simple_fn((rows, columns), || stream.normal::<f64>())
    }

    #[test]
    fn woodbury_is_the_inverse() {
        for (q, d) in [(0, 3), (1, 1), (2, 5), (4, 4), (6, 30)] {
            let l = normals(q, d, 1);
            let dense = l.t().dot(&l) + Array2::<f64>::eye(d) * 0.3;
            let low = LowRank::new(l.view(), 0.3).unwrap();
            let cholesky = Cholesky::new(dense.view()).unwrap();
            assert!((low.precision(d) - cholesky.inverse()).iter().all(|e| e.abs() <= 1e-12), "{q} {d}");
            assert!((low.log_det(d) - cholesky.log_det()).abs() <= 1e-12);
        }
    }

    #[test]
    fn principal_components_keep_what_is_of_low_rank() {
        let l = normals(2, 6, 2);
        let dense = l.t().dot(&l) + Array2::<f64>::eye(6) * 0.3;
        for (rows, noise) in [principal(dense.view(), 2).unwrap(), truncated(l.view(), 0.3, 2).unwrap()] {
            assert!((noise - 0.3).abs() <= 1e-13);
            assert!((rows.t().dot(&rows) - l.t().dot(&l)).iter().all(|e| e.abs() <= 1e-12));
        }
        // One direction fewer: both ways agree, and the trace is kept.
        let ((a, v), (b, u)) = (principal(dense.view(), 1).unwrap(), truncated(l.view(), 0.3, 1).unwrap());
        assert!((v - u).abs() <= 1e-13 && (a.t().dot(&a) - b.t().dot(&b)).iter().all(|e| e.abs() <= 1e-12));
        let trace = a.iter().map(|a| a * a).sum::<f64>() + 6.0 * v;
        assert!((trace - dense.diag().sum()).abs() <= 1e-12);
        let many = normals(9, 4, 3);
        let (c, w) = truncated(many.view(), 0.1, 2).unwrap();
        let (e, x) = principal((many.t().dot(&many) + Array2::<f64>::eye(4) * 0.1).view(), 2).unwrap();
        assert!((w - x).abs() <= 1e-12 && (c.t().dot(&c) - e.t().dot(&e)).iter().all(|e| e.abs() <= 1e-11));
    }
}
