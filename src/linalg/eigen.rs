//! Eigenvalues and eigenvectors of a symmetric matrix: Householder's reduction to tridiagonal form, then the
//! implicit QL iteration (Wilkinson and Reinsch, Handbook for Automatic Computation II, 1971, contributions
//! II/2 and II/4).

use super::check_square;
use super::cholesky::square;
use super::vector::{add_scaled, dot};
use crate::simd::{Kernel, dispatch};
use crate::{Error, Real, Result};
use ndarray::{Array1, Array2, ArrayView2};

/// A = V diag(values) V^T.
#[derive(Debug, Clone, PartialEq)]
pub struct Eigen {
    /// Eigenvalues, ascending, `[n]`.
    pub values: Array1<f64>,
    /// Orthonormal eigenvectors in the columns, [n, n]; of each the entry of largest size (the first of
    /// equals) is positive.
    pub vectors: Array2<f64>,
}

impl Eigen {
    /// f(A) = V diag(f(values)) V^T, [n, n].
    pub fn map(&self, f: impl Fn(f64) -> f64) -> Array2<f64> {
        (&self.vectors * &self.values.mapv(f)).dot(&self.vectors.t())
    }
}

/// All eigenvalues and eigenvectors of the symmetric matrix `a`, [n, n], of which it reads the lower
/// triangle. About 9 n^3 operations.
///
/// # Errors
/// `Shape` if `a` is not square, `Invalid` if an entry is not finite, `NoConvergence` if one eigenvalue takes
/// more than 60 rounds (not seen: two are usual).
pub fn symmetric_eigen(a: ArrayView2<f64>) -> Result<Eigen> {
    check_square("symmetric_eigen", a)?;
    #[cfg(feature = "lapack")]
    if let Some(eigen) = super::lapack::eigen(a) {
        return Ok(eigen);
    }
    by_ql(a)
}

/// The crate's own method: 0.5 s for n = 784 on one core.
fn by_ql(a: ArrayView2<f64>) -> Result<Eigen> {
    let n = a.nrows();
    let largest = a.iter().fold(0f64, |m, v| m.max(v.abs()));
    // A power of two scales exactly; squares of the scaled entries neither overflow nor vanish.
    let scale = if largest > 0.0 { 2f64.powi(largest.log2().clamp(-1000.0, 1000.0) as i32) } else { 1.0 };
    let mut rows: Vec<f64> = a.iter().map(|v| v / scale).collect();
    let (mut diagonal, mut off) = (vec![0.0; n], vec![0.0; n]);
    let mut z = dispatch(Tridiagonalise { a: &mut rows, diagonal: &mut diagonal, off: &mut off });
    ql(&mut diagonal, &mut off, &mut z)?;
    Ok(ordered(diagonal.iter().map(|v| v * scale).collect(), square(n, z).view()))
}

/// Ascending values, signs fixed. `rows`: eigenvectors in the rows.
pub(super) fn ordered(values: Vec<f64>, rows: ArrayView2<f64>) -> Eigen {
    let n = values.len();
    let mut order: Vec<usize> = (0..n).collect();
    order.sort_by(|i, j| values[*i].total_cmp(&values[*j]));
    let mut vectors = Array2::zeros((n, n));
    for (to, from) in order.iter().enumerate() {
        let v = rows.row(*from);
        let mut largest = 0.0;
        for x in v {
            if x.abs() > f64::abs(largest) {
                largest = *x;
            }
        }
        vectors.column_mut(to).assign(&(&v * 1f64.copysign(largest)));
    }
    Eigen { values: order.iter().map(|i| values[*i]).collect(), vectors }
}

/// A = Q T Q^T, T tridiagonal with `diagonal` and, below it, `off[..n - 1]`; returns Q^T row by row.
///
/// Row i, from the last one up, is reflected onto its entry left of the diagonal by H_i = I - b v v^T, which
/// acts on the indices below i; what remains is the leading block, of which only the lower triangle is kept,
/// so that every inner loop runs along a row. v stays where row i was.
struct Tridiagonalise<'a> {
    a: &'a mut [f64],
    diagonal: &'a mut [f64],
    off: &'a mut [f64],
}

impl Kernel for Tridiagonalise<'_> {
    type Output = Vec<f64>;
    #[inline(always)]
    fn run<const FMA: bool>(self) -> Vec<f64> {
        let Tridiagonalise { a, diagonal, off } = self;
        let n = diagonal.len();
        let mut b = vec![0.0; n];
        let mut p = vec![0.0; n];
        for i in (0..n).rev() {
            let (block, row) = a.split_at_mut(i * n);
            diagonal[i] = row[i];
            if i == 0 {
                break;
            }
            let v = &mut row[..i];
            let norm = dot::<FMA>(v, v).sqrt();
            off[i - 1] = v[i - 1];
            // Nothing to reflect, or nothing that a matrix of size 1 would notice.
            if v[..i - 1].iter().all(|x| x.abs() <= 1e-140) {
                continue;
            }
            off[i - 1] = -norm.copysign(v[i - 1]);
            b[i] = 1.0 / (norm * (norm + v[i - 1].abs()));
            v[i - 1] -= off[i - 1];
            // p = b A v, from the lower triangle alone.
            p[..i].fill(0.0);
            for (j, row) in block.chunks_exact(n).enumerate() {
                p[j] += dot::<FMA>(&row[..=j], &v[..=j]);
                add_scaled::<FMA>(&mut p[..j], v[j], &row[..j]);
            }
            let p = &mut p[..i];
            p.iter_mut().for_each(|p| *p *= b[i]);
            // H A H = A - v w^T - w v^T,   w = p - (b/2) (p . v) v.
            let half = -0.5 * b[i] * dot::<FMA>(p, v);
            add_scaled::<FMA>(p, half, v);
            for (j, row) in block.chunks_exact_mut(n).enumerate() {
                let (vj, wj) = (-v[j], -p[j]);
                for ((x, v), w) in row[..=j].iter_mut().zip(&*v).zip(&*p) {
                    *x = wj.fma::<FMA>(*v, vj.fma::<FMA>(*w, *x));
                }
            }
        }
        // Q = H_{n-1} ... H_1: Q^T grows from the upper left corner, row by row.
        let mut z = vec![0.0; n * n];
        for i in 0..n {
            z[i * n + i] = 1.0;
            if b[i] != 0.0 {
                let v = &a[i * n..i * n + i];
                for row in z.chunks_exact_mut(n).take(i) {
                    let s = -b[i] * dot::<FMA>(&row[..i], v);
                    add_scaled::<FMA>(&mut row[..i], s, v);
                }
            }
        }
        z
    }
}

/// The implicit QL iteration with Wilkinson's shift on the tridiagonal matrix (`d`, `e`); the rows of `z`
/// turn along.
fn ql(d: &mut [f64], e: &mut [f64], z: &mut [f64]) -> Result<()> {
    let n = d.len();
    let mut turns = Vec::with_capacity(n);
    for l in 0..n {
        for round in 0.. {
            let negligible = |m: &usize| e[*m].abs() <= f64::EPSILON * (d[*m].abs() + d[*m + 1].abs()) + f64::MIN_POSITIVE;
            let m = (l..n - 1).find(negligible).unwrap_or(n - 1);
            if m == l {
                break;
            }
            if round == 60 {
                return Err(Error::NoConvergence { place: format!("symmetric_eigen, eigenvalue {l} of {n}"), iterations: round });
            }
            let g = (d[l + 1] - d[l]) / (2.0 * e[l]);
            let mut g = d[m] - d[l] + e[l] / (g + g.hypot(1.0).copysign(g));
            let (mut s, mut c, mut p) = (1.0, 1.0, 0.0);
            turns.clear();
            let mut split = false;
            for i in (l..m).rev() {
                let (f, b) = (s * e[i], c * e[i]);
                let r = f64::hypot(f, g);
                e[i + 1] = r;
                if r == 0.0 {
                    // The matrix falls apart here: go on with the smaller part.
                    d[i + 1] -= p;
                    e[m] = 0.0;
                    split = true;
                    break;
                }
                (s, c) = (f / r, g / r);
                g = d[i + 1] - p;
                let r = (d[i] - g) * s + 2.0 * c * b;
                p = s * r;
                d[i + 1] = g + p;
                g = c * r - b;
                turns.push((c, s));
            }
            if !split {
                d[l] -= p;
                e[l] = g;
                e[m] = 0.0;
            }
            dispatch(Turn { z: &mut z[..(m + 1) * n], n, turns: &turns });
        }
    }
    Ok(())
}

/// Plane rotations of neighbouring rows, from the last pair up.
struct Turn<'a> {
    z: &'a mut [f64],
    n: usize,
    turns: &'a [(f64, f64)],
}

impl Kernel for Turn<'_> {
    type Output = ();
    #[inline(always)]
    fn run<const FMA: bool>(self) {
        let mut z = self.z;
        for (c, s) in self.turns {
            let (rest, lower) = z.split_at_mut(z.len() - self.n);
            let start = rest.len() - self.n;
            for (x, y) in rest[start..].iter_mut().zip(lower) {
                let f = *y;
                *y = s.fma::<FMA>(*x, c * f);
                *x = c.fma::<FMA>(*x, -s * f);
            }
            z = rest;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::tests::{largest, normal};
    use super::*;
    use ndarray::array;
    use proptest::prelude::*;

    /// Largest entries of A - V D V^T and V^T V - I.
    fn residuals(a: &Array2<f64>, e: &Eigen) -> (f64, f64) {
        (largest(&(e.map(|v| v) - a)), largest(&(e.vectors.t().dot(&e.vectors) - Array2::<f64>::eye(a.nrows()))))
    }

    fn symmetric(n: usize, seed: u64) -> Array2<f64> {
        let a = normal(n, seed);
        &a + &a.t()
    }

    #[test]
    fn random_matrices_leave_no_residual() {
        for n in [1, 2, 3, 10, 64, 150] {
            let a = symmetric(n, n as u64);
            for e in [symmetric_eigen(a.view()).unwrap(), by_ql(a.view()).unwrap()] {
                let (residual, skew) = residuals(&a, &e);
                assert!(residual <= 1e-14 * (n as f64 + 10.0) && skew <= 1e-15 * (n as f64 + 10.0), "n = {n}: {residual}, {skew}");
                assert!(e.values.windows(2).into_iter().all(|w| w[0] <= w[1]));
                for v in e.vectors.columns() {
                    let top = v.iter().fold(0f64, |m, x| if x.abs() > m.abs() { *x } else { m });
                    assert!(top > 0.0);
                }
            }
        }
    }

    /// -1, 2, -1 has the eigenvalues 2 - 2 cos(pi j/(n + 1)).
    #[test]
    fn the_second_difference_has_its_known_spectrum() {
        let n = 60;
        let a = Array2::from_shape_fn((n, n), |(i, j)| [2.0, -1.0].get(i.abs_diff(j)).copied().unwrap_or(0.0));
        let e = symmetric_eigen(a.view()).unwrap();
        for (j, v) in e.values.iter().enumerate() {
            let exact = 2.0 - 2.0 * (std::f64::consts::PI * (j + 1) as f64 / (n + 1) as f64).cos();
            assert!((v - exact).abs() <= 1e-14, "{v} {exact}");
        }
    }

    #[test]
    fn degenerate_matrices() {
        let zero = symmetric_eigen(Array2::zeros((4, 4)).view()).unwrap();
        assert!(zero.values.iter().all(|v| *v == 0.0));
        // Rank one, and entries whose squares overflow or vanish.
        for scale in [1.0, 1e200, 1e-200, 1e-310] {
            let a = Array2::<f64>::ones((5, 5)) * scale;
            let e = symmetric_eigen(a.view()).unwrap();
            assert!((e.values[4] / scale - 5.0).abs() <= 1e-14 && e.values[0].abs() <= 1e-14 * scale, "{:?}", e.values);
            assert!(residuals(&(a / scale), &Eigen { values: e.values / scale, ..e }).1 <= 1e-14);
        }
        let e = symmetric_eigen(array![[3.0, 0.0], [0.0, 1.0]].view()).unwrap();
        assert_eq!(e, Eigen { values: array![1.0, 3.0], vectors: array![[0.0, 1.0], [1.0, 0.0]] });
        assert_eq!(symmetric_eigen(Array2::zeros((0, 0)).view()).unwrap().values.len(), 0);
    }

    proptest! {
        #![proptest_config(ProptestConfig { cases: 64, rng_seed: proptest::test_runner::RngSeed::Fixed(1), ..ProptestConfig::default() })]
        /// Matrices with a chosen, possibly repeated or wide, spectrum give it back.
        #[test]
        fn a_chosen_spectrum_comes_back(powers in prop::collection::vec(-6i32..6, 1..9), seed in 0u64..1000) {
            let n = powers.len();
            let q = symmetric_eigen(symmetric(n, seed).view()).unwrap().vectors;
            let mut values: Vec<f64> = powers.iter().map(|p| 10f64.powi(*p)).collect();
            let a = (&q * &Array1::from(values.clone())).dot(&q.t());
            let e = symmetric_eigen(a.view()).unwrap();
            values.sort_by(f64::total_cmp);
            let top = values[n - 1];
            for (got, exact) in e.values.iter().zip(&values) {
                prop_assert!((got - exact).abs() <= 1e-14 * top * n as f64, "{} {}", got, exact);
            }
            prop_assert!(residuals(&a, &e).1 <= 1e-14);
        }
    }
}
