//! Products with W = L^-1, the inverse Cholesky factor of a covariance C = L L^T: y = W (x - m) is
//! white, |y|^2 is the squared Mahalanobis distance, and C^-1 (x - m) = W^T y. The condition number enters as
//! its square root, which is why f32 can use this form where it could not use C^-1.

use crate::Real;
use crate::simd::W;
use ndarray::{Array2, ArrayView2};

/// Rows of a panel: as many accumulators of [`W`] lanes as the registers hold.
const P: usize = 4;

/// A lower triangular matrix, stored twice in panels of [`P`] rows and of `P` columns, so that both products
/// run through memory in order with their sums in registers.
#[derive(Debug, Clone)]
pub struct Whitening<R> {
    dim: usize,
    /// Rows p..p+P, columns 0..p+P (up to d): `down[..][r]` is row p + r.
    down: Vec<[R; P]>,
    /// Columns p..p+P, rows p..d: `up[..][c]` is column p + c.
    up: Vec<[R; P]>,
}

impl<R: Real> Whitening<R> {
    /// From the lower triangle of `w`, [d, d].
    pub fn new(w: ArrayView2<f64>) -> Self {
        let dim = w.nrows();
        let entry = |i: usize, j: usize| if i < dim && j <= i { R::of(w[[i, j]]) } else { R::zero() };
        let (mut down, mut up) = (Vec::new(), Vec::new());
        for p in (0..dim).step_by(P) {
            down.extend((0..dim.min(p + P)).map(|j| std::array::from_fn(|r| entry(p + r, j))));
            up.extend((p..dim).map(|i| std::array::from_fn(|c| if p + c < dim { entry(i, p + c) } else { R::zero() })));
        }
        Whitening { dim, down, up }
    }

    /// The same matrix, [d, d].
    pub fn matrix(&self) -> Array2<f64> {
        let mut w = Array2::zeros((self.dim, self.dim));
        let mut down = self.down.iter();
        for p in (0..self.dim).step_by(P) {
            for (j, column) in (0..self.dim.min(p + P)).zip(&mut down) {
                for (i, value) in (p..self.dim).zip(column) {
                    w[[i, j]] = value.f64();
                }
            }
        }
        w
    }

    /// The same matrix in another precision.
    pub fn cast<S: Real>(&self) -> Whitening<S> {
        let cast = |panels: &[[R; P]]| panels.iter().map(|p| p.map(|v| S::of(v.f64()))).collect();
        Whitening { dim: self.dim, down: cast(&self.down), up: cast(&self.up) }
    }

    /// y = W (x - m) for [`W`] points. `x`, `y`: `[d][W]`, `m`: `[d]`.
    #[inline(always)]
    pub fn apply<const FMA: bool>(&self, x: &[[R; W]], m: &[R], y: &mut [[R; W]]) {
        let mut panels = &self.down[..];
        for (p, y) in y[..self.dim].chunks_mut(P).enumerate() {
            let (panel, rest) = panels.split_at(P * p + y.len());
            panels = rest;
            let mut sums = [[R::zero(); W]; P];
            for ((w, x), m) in panel.iter().zip(x).zip(m) {
                let mut v = [R::zero(); W];
                for i in 0..W {
                    v[i] = x[i] - *m;
                }
                accumulate::<R, FMA>(w, &v, &mut sums);
            }
            y.copy_from_slice(&sums[..y.len()]);
        }
    }

    /// s += W^T y for [`W`] points. `y`, `s`: `[d][W]`.
    #[inline(always)]
    pub fn add_transposed<const FMA: bool>(&self, y: &[[R; W]], s: &mut [[R; W]]) {
        let mut panels = &self.up[..];
        for (p, s) in s[..self.dim].chunks_mut(P).enumerate() {
            let y = &y[P * p..self.dim];
            let (panel, rest) = panels.split_at(y.len());
            panels = rest;
            let mut sums = [[R::zero(); W]; P];
            sums[..s.len()].copy_from_slice(s);
            for (w, y) in panel.iter().zip(y) {
                accumulate::<R, FMA>(w, y, &mut sums);
            }
            s.copy_from_slice(&sums[..s.len()]);
        }
    }
}

/// `sums[r] += w[r] x`.
#[inline(always)]
fn accumulate<R: Real, const FMA: bool>(w: &[R; P], x: &[R; W], sums: &mut [[R; W]; P]) {
    for r in 0..P {
        for i in 0..W {
            sums[r][i] = w[r].fma::<FMA>(x[i], sums[r][i]);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rng::{Purpose, Stream};

    #[test]
    fn products_are_those_of_the_matrix() {
        for d in 1..=13 {
            let mut z = vec![0.0; d * d + d * W];
            Stream::new(4, Purpose::Test, 0, d as u32).fill_normal(&mut z);
            let w = Array2::from_shape_fn((d, d), |(i, j)| if j <= i { z[i * d + j] } else { 0.0 });
            let x: Vec<[f64; W]> = z[d * d..].as_chunks::<W>().0.to_vec();
            let whitening = Whitening::<f64>::new(w.view());
            assert_eq!(whitening.matrix(), w);
            let (mut y, mut s) = (vec![[0.0; W]; d], vec![[1.0; W]; d]);
            let m: Vec<f64> = (0..d).map(|j| j as f64).collect();
            whitening.apply::<false>(&x, &m, &mut y);
            whitening.add_transposed::<false>(&x, &mut s);
            for i in 0..W {
                for r in 0..d {
                    let exact: f64 = (0..d).map(|j| w[[r, j]] * (x[j][i] - m[j])).sum();
                    let transposed: f64 = (0..d).map(|j| w[[j, r]] * x[j][i]).sum();
                    assert!((y[r][i] - exact).abs() <= 1e-12 && (s[r][i] - 1.0 - transposed).abs() <= 1e-13);
                }
            }
        }
    }
}
