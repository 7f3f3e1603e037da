//! The transition law of a linear SDE over one step.

use super::exponential::{norm_1, power_of_two};
use super::{check_square, expm};
use crate::{Error, Result};
use ndarray::{Array2, ArrayView2, s};

/// Propagator and covariance of dX = J X dt + sigma dB over a time h, a = sigma sigma^T:
/// F(h) = e^{J h},   Q(h) = int_0^h e^{J s} a e^{J^T s} ds,   so that X_h ~ N(F x, Q) from x.
///
/// ```
/// use ndarray::array;
/// use ndsm::linalg::LinearStep;
/// // Brownian velocity: position and velocity have the covariance [[h^3/3, h^2/2], [h^2/2, h]].
/// let step = LinearStep::new(array![[0.0, 1.0], [0.0, 0.0]].view(), array![[0.0, 0.0], [0.0, 1.0]].view(), 0.5)?;
/// assert!((step.covariance[[0, 0]] - 1.0 / 24.0).abs() < 1e-16 && (step.covariance[[0, 1]] - 0.125).abs() < 1e-16);
/// # Ok::<(), ndsm::Error>(())
/// ```
#[derive(Debug, Clone, PartialEq)]
pub struct LinearStep {
    /// F(h), [n, n].
    pub propagator: Array2<f64>,
    /// Q(h), [n, n], symmetric.
    pub covariance: Array2<f64>,
}

impl LinearStep {
    /// Both for one `h` >= 0. `j`: [n, n], 1/time; `a`: [n, n], symmetric, unit^2/time.
    ///
    /// Over a short time tau = h/2^k with ||J tau|| <= 1 both are blocks of one exponential (Van Loan,
    /// "Computing integrals involving the matrix exponential", IEEE Trans. Autom. Control 23, 1978),
    ///
    /// exp( [[-J, a], [0, J^T]] tau ) = [[e^{-J tau}, G], [0, e^{J^T tau}]],   Q(tau) = e^{J tau} G,
    ///
    /// and then k doublings follow: Q(2 tau) = Q(tau) + F(tau) Q(tau) F(tau)^T, F(2 tau) = F(tau)^2. Over the
    /// whole of h the block e^{-J h} of a stiff, stable J would overflow or cancel; the doublings only add
    /// positive semi-definite matrices.
    ///
    /// # Errors
    /// `Shape` unless both matrices are square and alike, `Invalid` if an entry is not finite, `a` is not
    /// symmetric, `h` is negative or not finite, or the result overflows.
    pub fn new(j: ArrayView2<f64>, a: ArrayView2<f64>, h: f64) -> Result<Self> {
        let n = check_square("linear step: J", j)?;
        if check_square("linear step: a", a)? != n {
            return Err(Error::shape("linear step", "J and a of one size", &[j.shape(), a.shape()]));
        }
        let size = a.iter().fold(0.0, |m, v| v.abs().max(m));
        if let Some(((r, c), _)) = a.indexed_iter().find(|((r, c), v)| (**v - a[[*c, *r]]).abs() > 1e-12 * size) {
            return Err(Error::invalid(
                "linear step: a",
                "symmetric",
                format!("{} and {} across row {r}, column {c}", a[[r, c]], a[[c, r]]),
            ));
        }
        if !(h >= 0.0 && (norm_1(j) * h).is_finite()) {
            return Err(Error::invalid("linear step: h", ">= 0 and finite, J h too", h));
        }
        let doublings = (norm_1(j).max(norm_1(j.t())) * h).log2().ceil().max(0.0) as i32;
        let tau = h / 2f64.powi(doublings);
        // Q is linear in a: of size 1 it does not add to the norm of the block.
        let scale = power_of_two(size * tau);
        let mut block = Array2::zeros((2 * n, 2 * n));
        block.slice_mut(s![..n, ..n]).assign(&(&j * -tau));
        block.slice_mut(s![..n, n..]).assign(&(&a * (tau / scale)));
        block.slice_mut(s![n.., n..]).assign(&(&j.t() * tau));
        let e = expm(block.view())?;
        let mut f = e.slice(s![n.., n..]).t().to_owned();
        let mut q = symmetric(f.dot(&e.slice(s![..n, n..])));
        for _ in 0..doublings {
            q = symmetric(&q + &f.dot(&q).dot(&f.t()));
            f = f.dot(&f);
        }
        q *= scale;
        if f.iter().chain(&q).all(|v| v.is_finite()) {
            return Ok(LinearStep { propagator: f, covariance: q });
        }
        Err(Error::invalid("linear step", "short enough that e^(J h) does not overflow", format!("h = {h}, norm of J {:e}", norm_1(j))))
    }
}

fn symmetric(q: Array2<f64>) -> Array2<f64> {
    (&q + &q.t()) * 0.5
}

#[cfg(test)]
mod tests {
    use super::super::tests::{largest, normal, positive};
    use super::super::{phi1, symmetric_eigen};
    use super::*;
    use crate::linalg::Cholesky;
    use ndarray::array;

    /// Q(h) = sum_k h^{k+1}/(k+1)! L^k a,   L(X) = J X + X J^T: the Taylor series of Q' = L(Q) + a, for ||J h|| up to about 1.
    fn series(j: &Array2<f64>, a: &Array2<f64>, h: f64) -> Array2<f64> {
        let mut term = a * h;
        let mut sum = term.clone();
        for k in 2..80 {
            term = (j.dot(&term) + term.dot(&j.t())) * (h / f64::from(k));
            sum += &term;
        }
        sum
    }

    fn relative(got: &Array2<f64>, expected: &Array2<f64>) -> f64 {
        largest(&(got - expected)) / largest(expected)
    }

    #[test]
    fn agrees_with_the_series_for_random_singular_and_rank_one() {
        let random = normal(4, 1) * 0.4;
        let singular = random.dot(&Array2::from_diag(&array![1.0, 0.0, 1.0, 0.0]));
        let shear = Array2::from_shape_fn((4, 4), |(r, c)| if c == r + 1 { 2.0 } else { 0.0 });
        let b = normal(4, 2).slice(s![.., ..1]).to_owned();
        for j in [random, singular, shear, Array2::zeros((4, 4))] {
            for a in [positive(4, 3), b.dot(&b.t()), Array2::zeros((4, 4))] {
                for h in [1e-6, 0.3, 1.0] {
                    let step = LinearStep::new(j.view(), a.view(), h).unwrap();
                    let (got, expected) = (step.covariance, series(&j, &a, h));
                    let err = largest(&(&got - &expected));
                    assert!(err <= 1e-13 * largest(&expected), "h = {h}: {err:e}");
                    assert!(relative(&step.propagator, &expm((&j * h).view()).unwrap()) <= 1e-13);
                }
            }
        }
    }

    /// J = V diag(l) V^T: in its basis Q_rc = a_rc h phi_1((l_r + l_c) h). Also -1e4, where Van Loan's block
    /// holds e^{1e4}.
    #[test]
    fn stiff_steps_agree_with_the_eigenvalues() {
        let eigen = symmetric_eigen((normal(4, 5) + normal(4, 5).t()).view()).unwrap();
        let v = &eigen.vectors;
        for l in [[-1e4, -30.0, -1.0, 0.0], [-1e4, -9e3, -8e3, -5e3], [-1e4, -1.0, 0.0, 3.0]] {
            let j = (v * &ndarray::Array1::from(l.to_vec())).dot(&v.t());
            let a = positive(4, 6);
            let turned = v.t().dot(&a).dot(v);
            let q = Array2::from_shape_fn((4, 4), |(r, c)| turned[[r, c]] * phi1(l[r] + l[c]));
            let step = LinearStep::new(j.view(), a.view(), 1.0).unwrap();
            let err = relative(&step.covariance, &v.dot(&q).dot(&v.t()));
            // J is known to 1e-16 of its norm, 1e4, only.
            assert!(err <= 5e-12, "{l:?}: {err:e}");
            assert!(Cholesky::new(step.covariance.view()).is_ok());
        }
        // Diagonal: nothing is lost in the basis, and every entry has its own digits.
        let (j, a) = (array![[-1e4, 0.0], [0.0, -1.0]], array![[2.0, 0.3], [0.3, 1.0]]);
        let step = LinearStep::new(j.view(), a.view(), 1.0).unwrap();
        for (r, c) in [(0, 0), (0, 1), (1, 1)] {
            let expected = a[[r, c]] * phi1(j[[r, r]] + j[[c, c]]);
            assert!((step.covariance[[r, c]] / expected - 1.0).abs() <= 1e-12);
        }
    }

    /// Far from normal: J = [[-1, 1000], [0, -2]] in closed form, u = e^-h.
    #[test]
    fn non_normal_steps_agree_with_the_closed_form() {
        let (j, a) = (array![[-1.0, 1000.0], [0.0, -2.0]], Array2::<f64>::eye(2));
        for h in [0.01, 1.0, 10.0] {
            // e^{Js} = [[e^-s, 1000 (e^-s - e^-2s)], [0, e^-2s]];   i(k) = int_0^h e^-ks ds.
            let i = |k: f64| h * phi1(-k * h);
            let expected =
                array![[i(2.0) + 1e6 * (i(2.0) - 2.0 * i(3.0) + i(4.0)), 1000.0 * (i(3.0) - i(4.0))], [1000.0 * (i(3.0) - i(4.0)), i(4.0)]];
            let err = relative(&LinearStep::new(j.view(), a.view(), h).unwrap().covariance, &expected);
            assert!(err <= 1e-12, "h = {h}: {err:e}");
        }
    }

    /// The stationary covariance of a stable J solves J Q + Q J^T + a = 0.
    #[test]
    fn long_steps_reach_the_lyapunov_equation() {
        let j = normal(5, 7) - Array2::<f64>::eye(5) * 5.0;
        let a = positive(5, 8);
        let q = LinearStep::new(j.view(), a.view(), 1e3).unwrap().covariance;
        let rest = j.dot(&q) + q.dot(&j.t()) + &a;
        assert!(largest(&rest) <= 1e-12 * largest(&a), "{:e}", largest(&rest));
    }

    #[test]
    fn bad_input_is_refused() {
        let one = Array2::<f64>::eye(2);
        let words = |j: &Array2<f64>, a: &Array2<f64>, h| LinearStep::new(j.view(), a.view(), h).unwrap_err().to_string();
        assert!(words(&one, &Array2::eye(3), 1.0).contains("one size"));
        assert!(words(&one, &array![[1.0, 2.0], [0.0, 1.0]], 1.0).contains("symmetric"));
        assert!(words(&one, &one, -1.0).contains(">= 0") && words(&one, &one, f64::NAN).contains(">= 0"));
        assert!(words(&one, &one, 1e4).contains("overflow"));
    }
}
