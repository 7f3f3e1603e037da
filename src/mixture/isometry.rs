//! One linear isometry of R^d.

use crate::{Error, Result};
use ndarray::{Array1, Array2, ArrayView1, ArrayView2, ArrayViewMut1, Axis};

/// By how much an entry of g g^T may differ from the identity's.
const ORTHOGONAL: f64 = 1e-8;
/// Entries that are as near as this to 0, 1 or -1 are those numbers: a quarter turn is then exact.
const SNAP: f64 = 1e-12;
/// Isometries whose entries differ by no more are the same. Rounding over many products stays far below, and
/// no two elements of a group of [`super::group::MOST_ELEMENTS`] are that near.
const SAME: f64 = 1e-6;

/// A linear map that keeps lengths: a permutation of the coordinates with signs, which is exact and costs
/// nothing, or any orthogonal matrix.
#[derive(Debug, Clone, PartialEq)]
pub struct Isometry(Form);

#[derive(Debug, Clone, PartialEq)]
enum Form {
    /// (g x)_i = sign_i x_(source_i).
    Signed {
        source: Vec<usize>,
        sign: Vec<f64>,
    },
    Matrix(Array2<f64>),
}

impl Isometry {
    /// The map x -> g x.
    ///
    /// # Errors
    /// `Shape` unless the matrix is square; `Invalid` unless it is orthogonal to 1e-8.
    pub fn new(g: ArrayView2<f64>) -> Result<Self> {
        if g.nrows() != g.ncols() || g.is_empty() {
            return Err(Error::shape("isometry", "a square matrix", &[g.shape()]));
        }
        for ((i, j), v) in g.dot(&g.t()).indexed_iter() {
            let expected = if i == j { 1.0 } else { 0.0 };
            if (v - expected).abs() > ORTHOGONAL || !v.is_finite() {
                let problem = format!("must be orthogonal, but rows {i} and {j} have the product {v} in place of {expected}");
                return Err(Error::refused("isometry", problem));
            }
        }
        let snapped = g.mapv(|v| if (v - v.round()).abs() <= SNAP { v.round() } else { v });
        let source: Option<Vec<usize>> = snapped.outer_iter().map(|row| row.iter().position(|v| v.abs() == 1.0)).collect();
        Ok(match source {
            Some(source) => {
                let sign = source.iter().enumerate().map(|(i, j)| snapped[[i, *j]]).collect();
                Isometry(Form::Signed { source, sign })
            }
            None => Isometry(Form::Matrix(snapped)),
        })
    }

    /// x -> x.
    pub fn identity(d: usize) -> Self {
        Self::signed((0..d).collect(), vec![1.0; d])
    }

    /// (g x)_i = sign_i x_(source_i); `source` is a permutation, the signs are 1 or -1.
    pub(super) fn signed(source: Vec<usize>, sign: Vec<f64>) -> Self {
        Isometry(Form::Signed { source, sign })
    }

    /// The turn by 1/n in the plane of the first two coordinates, d >= 2, n >= 2.
    pub(super) fn turn(d: usize, n: usize) -> Self {
        let (s, c) = (std::f64::consts::TAU / n as f64).sin_cos();
        let mut g = Array2::<f64>::eye(d);
        g[[0, 0]] = c;
        g[[1, 1]] = c;
        g[[0, 1]] = -s;
        g[[1, 0]] = s;
        Self::new(g.view()).unwrap_or(Isometry(Form::Matrix(g)))
    }

    /// Dimension d.
    pub fn dim(&self) -> usize {
        match &self.0 {
            Form::Signed { source, .. } => source.len(),
            Form::Matrix(g) => g.nrows(),
        }
    }

    /// The matrix, [d, d].
    pub fn matrix(&self) -> Array2<f64> {
        self.rows(Array2::eye(self.dim()).view()).reversed_axes()
    }

    /// Whether g maps axes to axes, up to their signs.
    pub fn keeps_axes(&self) -> bool {
        matches!(self.0, Form::Signed { .. })
    }

    /// g x.
    pub fn apply(&self, x: ArrayView1<f64>) -> Array1<f64> {
        match &self.0 {
            Form::Signed { source, sign } => source.iter().zip(sign).map(|(j, s)| s * x[*j]).collect(),
            Form::Matrix(g) => g.dot(&x),
        }
    }

    /// g x of every row x of `x`, [n, d].
    pub fn rows(&self, x: ArrayView2<f64>) -> Array2<f64> {
        match &self.0 {
            Form::Signed { source, sign } => {
                let mut out = Array2::zeros(x.dim());
                let map = |mut to: ArrayViewMut1<f64>, from: ArrayView1<f64>| {
                    to.iter_mut().zip(source).zip(sign).for_each(|((to, j), s)| *to = s * from[*j]);
                };
                out.axis_iter_mut(Axis(0)).zip(x.axis_iter(Axis(0))).for_each(|(to, from)| map(to, from));
                out
            }
            Form::Matrix(g) => x.dot(&g.t()),
        }
    }

    /// g^-1 = g^T.
    pub fn inverse(&self) -> Self {
        match &self.0 {
            Form::Signed { source, sign } => {
                let (mut back, mut signs) = (vec![0; source.len()], vec![1.0; source.len()]);
                for (i, (j, s)) in source.iter().zip(sign).enumerate() {
                    back[*j] = i;
                    signs[*j] = *s;
                }
                Self::signed(back, signs)
            }
            Form::Matrix(g) => Isometry(Form::Matrix(g.t().to_owned())),
        }
    }

    /// x -> self(first(x)).
    pub fn after(&self, first: &Self) -> Self {
        if let (Form::Signed { source, sign }, Form::Signed { source: inner, sign: inner_sign }) = (&self.0, &first.0) {
            let signs = source.iter().zip(sign).map(|(j, s)| s * inner_sign[*j]).collect();
            return Self::signed(source.iter().map(|j| inner[*j]).collect(), signs);
        }
        let product = self.matrix().dot(&first.matrix());
        // Products such as the second power of an eighth of a turn keep the axes again.
        Self::new(product.view()).unwrap_or(Isometry(Form::Matrix(product)))
    }

    /// g C g^T, [d, d].
    pub fn conjugate(&self, c: ArrayView2<f64>) -> Array2<f64> {
        // The rows of C g^T are g applied to C's; once more for the columns.
        self.rows(self.rows(c).t()).reversed_axes()
    }

    /// tr g and tr g^2.
    pub(super) fn traces(&self) -> [f64; 2] {
        match &self.0 {
            Form::Signed { source, sign } => {
                let fixed = |i: usize, j: usize, value: f64| if i == j { value } else { 0.0 };
                let each = source.iter().zip(sign).enumerate();
                each.fold([0.0; 2], |[one, two], (i, (j, s))| [one + fixed(i, *j, *s), two + fixed(i, source[*j], s * sign[*j])])
            }
            Form::Matrix(g) => [g.diag().sum(), g.iter().zip(&g.t()).map(|(a, b)| a * b).sum()],
        }
    }

    /// Whether the two maps are the same up to rounding.
    pub fn is_near(&self, other: &Self) -> bool {
        match (&self.0, &other.0) {
            (Form::Signed { .. }, Form::Signed { .. }) => self == other,
            _ => self.matrix().iter().zip(&other.matrix()).all(|(a, b)| (a - b).abs() <= SAME),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use ndarray::array;

    #[test]
    fn both_forms_are_their_matrices() {
        let (s, c) = 0.3f64.sin_cos();
        let matrices = [array![[0.0, -1.0, 0.0], [0.0, 0.0, 1.0], [1.0, 0.0, 0.0]], array![[c, -s, 0.0], [s, c, 0.0], [0.0, 0.0, -1.0]]];
        let x = array![[1.0, 2.0, 3.0], [-1.0, 0.5, 4.0]];
        let covariance = array![[2.0, 0.3, 0.1], [0.3, 1.0, -0.2], [0.1, -0.2, 0.5]];
        let near = |a: &Array2<f64>, b: &Array2<f64>| a.iter().zip(b).all(|(a, b)| (a - b).abs() <= 1e-14);
        for (i, m) in matrices.iter().enumerate() {
            let g = Isometry::new(m.view()).unwrap();
            assert_eq!((g.keeps_axes(), g.dim()), (i == 0, 3));
            assert!(near(&g.matrix(), m));
            assert!(near(&g.rows(x.view()), &x.dot(&m.t())));
            assert!((g.apply(x.row(1)) - m.dot(&x.row(1))).iter().all(|e| e.abs() <= 1e-14));
            assert!(near(&g.conjugate(covariance.view()), &m.dot(&covariance).dot(&m.t())));
            assert!(near(&g.inverse().matrix(), &m.t().to_owned()));
            let traces = [m.diag().sum(), m.dot(m).diag().sum()];
            assert!(g.traces().iter().zip(traces).all(|(a, b)| (a - b).abs() <= 1e-14), "{:?} {traces:?}", g.traces());
            for other in &matrices {
                let h = Isometry::new(other.view()).unwrap();
                assert!(near(&g.after(&h).matrix(), &m.dot(other)));
            }
        }
        // Eight turns by an eighth are the identity, exactly by snapping or to rounding.
        let eighth = Isometry::turn(2, 8);
        let whole = (0..8).fold(Isometry::identity(2), |g, _| eighth.after(&g));
        assert!(whole.is_near(&Isometry::identity(2)) && !eighth.is_near(&whole));
    }
}
