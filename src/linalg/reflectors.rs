//! An orthogonal basis of all of R^d that begins with q given directions, as a product of q Householder
//! reflections: 4 d q operations a product where a d x d matrix takes 2 d^2.

use super::symmetric_eigen;
use crate::simd::{Kernel, W, dispatch};
use crate::{Error, Real, Result};
use ndarray::{Array2, ArrayView2, Axis, s};

/// Q = H_1 ... H_q, H_j = I - h_j h_j^T, |h_j|^2 = 2 (or 0, where there was nothing to turn); h_j is 0 before
/// its entry j.
#[derive(Debug, Clone, PartialEq)]
pub struct Reflectors<R> {
    dim: usize,
    /// h_j, [q, d].
    rows: Vec<R>,
}

impl Reflectors<f64> {
    /// The QR decomposition (Golub and Van Loan, Matrix Computations, 5.2) of the matrix whose *columns* are
    /// the rows of `a`, [q, d], q <= d: row i of `a` is Q (R_0i, ..., R_ii, 0, ...). The second result is R,
    /// [q, q], upper triangular.
    ///
    /// # Errors
    /// `Shape` if there are more rows than columns; `Invalid` for an entry that is not finite.
    pub fn qr(a: ArrayView2<f64>) -> Result<(Self, Array2<f64>)> {
        let (q, d) = a.dim();
        if q > d {
            return Err(Error::shape("Householder reflections", "at most as many directions as coordinates", &[a.shape()]));
        }
        if let Some(((i, j), v)) = a.indexed_iter().find(|(_, v)| !v.is_finite()) {
            return Err(Error::invalid("Householder reflections", "finite in every entry", format!("{v} in row {i}, column {j}")));
        }
        let mut basis = Reflectors { dim: d, rows: vec![0.0; q * d] };
        let mut r = Array2::zeros((q, q));
        for i in 0..q {
            let mut x = a.row(i).to_vec();
            basis.turn_back(&mut x);
            // Divided by the largest entry, squares neither overflow nor vanish.
            let scale = x[i..].iter().fold(0f64, |m, v| m.max(v.abs()));
            if scale > 0.0 {
                let norm = x[i..].iter().map(|v| (v / scale).powi(2)).sum::<f64>().sqrt();
                // To the side of the first entry that does not cancel.
                let alpha = if x[i] > 0.0 { -norm } else { norm };
                let h = &mut basis.rows[i * d..(i + 1) * d];
                h[i..].iter_mut().zip(&x[i..]).for_each(|(h, x)| *h = x / scale);
                h[i] -= alpha;
                let length = (h[i..].iter().map(|v| v * v).sum::<f64>() / 2.0).sqrt();
                h[i..].iter_mut().for_each(|v| *v /= length);
                x[i] = alpha * scale;
            }
            r.column_mut(i).iter_mut().zip(&x[..=i]).for_each(|(r, x)| *r = *x);
        }
        Ok((basis, r))
    }

    /// The principal directions of A^T A = sum_i a_i a_i^T, a_i the rows of `a`, [q, d]: a basis whose first
    /// q directions are its eigenvectors, and their eigenvalues in descending order. No d x d matrix is
    /// formed.
    ///
    /// # Errors
    /// As [`Reflectors::qr`].
    pub fn principal(a: ArrayView2<f64>) -> Result<(Self, Vec<f64>)> {
        let (basis, r) = Self::qr(a)?;
        let eigen = symmetric_eigen(r.dot(&r.t()).view())?;
        let q = a.nrows();
        let mut directions = Array2::zeros(a.dim());
        let mut values = Vec::with_capacity(q);
        for (i, mut to) in directions.axis_iter_mut(Axis(0)).enumerate() {
            let from = q - 1 - i;
            values.push(eigen.values[from].max(0.0));
            let mut x = vec![0.0; basis.dim];
            x[..q].iter_mut().zip(eigen.vectors.column(from)).for_each(|(x, v)| *x = *v);
            basis.turn(&mut x);
            to.iter_mut().zip(x).for_each(|(to, x)| *to = x);
        }
        Ok((Self::qr(directions.view())?.0, values))
    }

    /// The first q directions as rows, [q, d].
    pub fn directions(&self) -> Array2<f64> {
        let mut out = Array2::zeros((self.count(), self.dim));
        for (i, mut row) in out.axis_iter_mut(Axis(0)).enumerate() {
            let mut x = vec![0.0; self.dim];
            x[i] = 1.0;
            self.turn(&mut x);
            row.iter_mut().zip(x).for_each(|(to, x)| *to = x);
        }
        out
    }

    /// The same basis in another precision.
    pub fn cast<S: Real>(&self) -> Reflectors<S> {
        Reflectors { dim: self.dim, rows: self.rows.iter().map(|v| S::of(*v)).collect() }
    }
}

impl<R: Real> Reflectors<R> {
    /// Number q of reflections.
    pub fn count(&self) -> usize {
        self.rows.len() / self.dim
    }

    /// h_j from its entry j on, with j.
    fn each(&self) -> impl DoubleEndedIterator<Item = (usize, &[R])> + ExactSizeIterator {
        self.rows.chunks_exact(self.dim).enumerate().map(|(j, h)| (j, &h[j..]))
    }

    /// x <- Q x for one point, `[d]`: from coordinates in the basis to the given ones.
    pub fn turn(&self, x: &mut [R]) {
        dispatch(Turn { basis: self, x, back: false });
    }

    /// x <- Q^T x for one point, `[d]`: its coordinates in the basis.
    pub fn turn_back(&self, x: &mut [R]) {
        dispatch(Turn { basis: self, x, back: true });
    }

    /// x <- Q x for [`W`] points, `[d][W]`.
    #[inline(always)]
    pub fn turn_lanes<const FMA: bool>(&self, x: &mut [[R; W]]) {
        for (j, h) in self.each().rev() {
            reflect_lanes::<R, FMA>(h, &mut x[j..self.dim]);
        }
    }

    /// x <- Q^T x for [`W`] points, `[d][W]`.
    #[inline(always)]
    pub fn turn_back_lanes<const FMA: bool>(&self, x: &mut [[R; W]]) {
        for (j, h) in self.each() {
            reflect_lanes::<R, FMA>(h, &mut x[j..self.dim]);
        }
    }
}

/// One point. A kernel of its own, not inlined into those that use it: there are many of them, and a call is
/// nothing beside d q.
struct Turn<'a, R> {
    basis: &'a Reflectors<R>,
    x: &'a mut [R],
    back: bool,
}

impl<R: Real> Kernel for Turn<'_, R> {
    const VECTORS: bool = R::VECTORS;
    type Output = ();
    #[inline(always)]
    fn run<const FMA: bool>(self) {
        let (basis, x) = (self.basis, &mut self.x[..self.basis.dim]);
        // Loops, not closures: the body of a closure is compiled for the kernel's level only where it is
        // inlined.
        if self.back {
            for (j, h) in basis.each() {
                reflect::<R, FMA>(h, &mut x[j..]);
            }
        } else {
            for (j, h) in basis.each().rev() {
                reflect::<R, FMA>(h, &mut x[j..]);
            }
        }
    }
}

/// x <- x - h (h . x).
#[inline(always)]
fn reflect<R: Real, const FMA: bool>(h: &[R], x: &mut [R]) {
    let mut dot = R::zero();
    for (h, x) in h.iter().zip(&*x) {
        dot = h.fma::<FMA>(*x, dot);
    }
    for (h, x) in h.iter().zip(x) {
        *x = (-*h).fma::<FMA>(dot, *x);
    }
}

/// The same for [`W`] points at once.
#[inline(always)]
fn reflect_lanes<R: Real, const FMA: bool>(h: &[R], x: &mut [[R; W]]) {
    let mut dot = [R::zero(); W];
    for (h, x) in h.iter().zip(&*x) {
        for i in 0..W {
            dot[i] = h.fma::<FMA>(x[i], dot[i]);
        }
    }
    for (h, x) in h.iter().zip(x) {
        for i in 0..W {
            x[i] = (-*h).fma::<FMA>(dot[i], x[i]);
        }
    }
}

/// The `count` largest principal directions of A^T A scaled by the roots of their eigenvalues: rows l_j with
/// sum_j l_j l_j^T = A^T A but for what the others held; the second result is the sum of their eigenvalues.
///
/// # Errors
/// As [`Reflectors::qr`].
pub fn leading(a: ArrayView2<f64>, count: usize) -> Result<(Array2<f64>, f64)> {
    let (basis, values) = Reflectors::principal(a)?;
    let count = count.min(values.len());
    let mut rows = basis.directions().slice(s![..count, ..]).to_owned();
    for (mut row, value) in rows.axis_iter_mut(Axis(0)).zip(&values) {
        row *= value.sqrt();
    }
    Ok((rows, values[count..].iter().sum()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::linalg::tests::normal;
    use ndarray::array;

    #[test]
    fn reflections_give_the_matrix_back() {
        for (q, d) in [(1, 1), (1, 4), (3, 7), (5, 5), (4, 40)] {
            let a = normal(d, 3).slice(s![..q, ..]).to_owned();
            let (basis, r) = Reflectors::qr(a.view()).unwrap();
            let u = basis.directions();
            assert!((u.dot(&u.t()) - Array2::<f64>::eye(q)).iter().all(|e| e.abs() <= 1e-14));
            assert!((r.t().dot(&u) - &a).iter().all(|e| e.abs() <= 1e-13), "{q} {d}");
            assert!(r.indexed_iter().all(|((i, j), v)| i <= j || *v == 0.0));
            let (basis, values) = Reflectors::principal(a.view()).unwrap();
            let u = basis.directions();
            let scaled = &u * &ndarray::Array1::from(values.clone()).insert_axis(Axis(1));
            assert!((u.t().dot(&scaled) - a.t().dot(&a)).iter().all(|e| e.abs() <= 1e-12));
            assert!(values.windows(2).all(|w| w[0] >= w[1]));
        }
    }

    #[test]
    fn lanes_and_points_agree_and_turning_back_undoes() {
        let basis = Reflectors::qr(normal(9, 4).slice(s![..4, ..])).unwrap().0;
        let x: Vec<[f64; W]> = (0..9).map(|j| std::array::from_fn(|i| ((i * 9 + j) as f64).sin())).collect();
        let mut lanes = x.clone();
        basis.turn_back_lanes::<false>(&mut lanes);
        let mut point: Vec<f64> = x.iter().map(|x| x[5]).collect();
        basis.turn_back(&mut point);
        assert!(point.iter().zip(&lanes).all(|(a, b)| (*a - b[5]).abs() <= 1e-14));
        basis.turn_lanes::<false>(&mut lanes);
        basis.turn(&mut point);
        assert!(lanes.iter().zip(&x).all(|(a, b)| (0..W).all(|i| (a[i] - b[i]).abs() <= 1e-14)));
        assert!(point.iter().zip(&lanes).all(|(a, b)| (*a - b[5]).abs() <= 1e-14));
    }

    /// Directions that are 0 or depend on each other, and sizes whose squares overflow.
    #[test]
    fn degenerate_directions_leave_the_basis_orthogonal() {
        let a = array![[0.0, 0.0, 0.0], [1e200, 1e200, 0.0], [-2e200, -2e200, 0.0]];
        let (basis, r) = Reflectors::qr(a.view()).unwrap();
        let u = basis.directions();
        assert!((u.dot(&u.t()) - Array2::<f64>::eye(3)).iter().all(|e| e.abs() <= 1e-14));
        assert!((r.t().dot(&u) - &a).iter().all(|e| e.abs() <= 1e186));
        let (rows, rest) = leading(array![[3.0, 0.0], [0.0, 1.0]].view(), 1).unwrap();
        assert!((rows.mapv(f64::abs) - array![[3.0, 0.0]]).iter().all(|e| e.abs() <= 1e-14) && (rest - 1.0).abs() <= 1e-14);
        assert!(Reflectors::qr(array![[1.0], [2.0]].view()).is_err());
        assert!(Reflectors::qr(array![[1.0, f64::NAN]].view()).unwrap_err().to_string().contains("NaN in row 0, column 1"));
    }
}
