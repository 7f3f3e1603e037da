//! The matrix exponential and the functions phi_1, phi_2 that exponential integrators are made of.
//!
//! phi_1(z) = (e^z - 1)/z,   phi_2(z) = (e^z - 1 - z)/z^2,   entire, so that phi_k(A) exists for singular A too.

use super::{check_square, lu};
use crate::{Error, Result};
use ndarray::{Array2, ArrayView2, s};

/// Degrees m of the diagonal Pade approximant and the 1-norms theta_m up to which its backward error stays
/// below 2^-53 (Higham, "The scaling and squaring method for the matrix exponential revisited", SIAM J.
/// Matrix Anal. Appl. 26, 2005, table 2.3).
const PADE: [(usize, f64); 5] =
    [(3, 1.495585217958292e-2), (5, 2.53939833006323e-1), (7, 9.504178996162932e-1), (9, 2.097847961257068e0), (13, 5.371920351148152e0)];

/// e^A, [n, n], by scaling and squaring with Pade approximants (Higham 2005, algorithm 2.3). The error is
/// that of perturbing A by a few roundings of its norm: near 1e-16 ||A|| relative to ||e^A|| for a normal A.
///
/// ```
/// use ndarray::array;
/// let turn = ndsm::linalg::expm(array![[0.0, -1.0], [1.0, 0.0]].view())?;
/// assert!((turn[[0, 0]] - 1f64.cos()).abs() < 1e-15 && (turn[[1, 0]] - 1f64.sin()).abs() < 1e-15);
/// # Ok::<(), ndsm::Error>(())
/// ```
///
/// # Errors
/// `Shape` if `a` is not square, `Invalid` if an entry is not finite or e^A overflows.
pub fn expm(a: ArrayView2<f64>) -> Result<Array2<f64>> {
    check_square("matrix exponential", a)?;
    let norm = norm_1(a);
    let (degree, squarings) = match PADE.iter().find(|(_, theta)| norm <= *theta) {
        Some((m, _)) => (*m, 0),
        // The smallest s with ||A|| / 2^s <= theta_13.
        None => (13, (norm / PADE[4].1).log2().ceil() as i32),
    };
    // A power of two scales exactly; in two factors it cannot vanish even for norms near the largest number.
    let half = squarings / 2;
    let mut r = pade((&a * 0.5f64.powi(half)) * 0.5f64.powi(squarings - half), degree);
    for _ in 0..squarings {
        r = r.dot(&r);
    }
    if r.iter().all(|v| v.is_finite()) {
        return Ok(r);
    }
    Err(Error::invalid("matrix exponential", "of a matrix small enough that e^A does not overflow", format!("norm {norm:e}")))
}

/// The approximant r = (V - U)^-1 (V + U), V and U the even and the odd part of sum_j b_j A^j with b_0 = 1,
/// b_{j+1} = b_j (m - j) / ((2m - j)(j + 1)).
fn pade(a: Array2<f64>, m: usize) -> Array2<f64> {
    let mut b = [1.0; 14];
    for j in 0..m {
        b[j + 1] = b[j] * (m - j) as f64 / ((2 * m - j) * (j + 1)) as f64;
    }
    let one = Array2::<f64>::eye(a.nrows());
    let a2 = a.dot(&a);
    let (u, v);
    if m == 13 {
        let a4 = a2.dot(&a2);
        let a6 = a4.dot(&a2);
        // The upper half of the powers shares the factor A^6.
        let high = |k: usize| a6.dot(&(&a6 * b[k + 12] + &a4 * b[k + 10] + &a2 * b[k + 8]));
        let low = |k: usize| &a6 * b[k + 6] + &a4 * b[k + 4] + &a2 * b[k + 2] + &one * b[k];
        u = a.dot(&(high(1) + low(1)));
        v = high(0) + low(0);
    } else {
        let (mut power, mut odd, mut even) = (one, Array2::zeros(a.raw_dim()), Array2::zeros(a.raw_dim()));
        for k in (0..m).step_by(2) {
            even.scaled_add(b[k], &power);
            odd.scaled_add(b[k + 1], &power);
            if k + 1 < m {
                power = power.dot(&a2);
            }
        }
        (u, v) = (a.dot(&odd), even);
    }
    lu::solve(&v - &u, v + u)
}

/// The largest column sum of absolute values.
pub(super) fn norm_1(a: ArrayView2<f64>) -> f64 {
    a.columns().into_iter().map(|c| c.iter().map(|v| v.abs()).sum::<f64>()).fold(0.0, f64::max)
}

/// phi_1(z) = (e^z - 1)/z, within a few units in the last place for every z; 1 at 0.
pub fn phi1(z: f64) -> f64 {
    if z == 0.0 { 1.0 } else { z.exp_m1() / z }
}

/// phi_2(z) = (e^z - 1 - z)/z^2, within a few units in the last place for every z; 1/2 at 0.
///
/// ```
/// use ndsm::linalg::phi2;
/// assert_eq!(phi2(0.0), 0.5);
/// assert!((phi2(-1e9) - 1e-9).abs() < 1e-17);
/// ```
pub fn phi2(z: f64) -> f64 {
    if z.abs() > 1.0 {
        // Two divisions: z^2 could overflow.
        return (z.exp_m1() - z) / z / z;
    }
    // sum_k z^k / (k + 2)!, Horner; 1/19! is below the last place.
    (0..18).rev().fold(0.0, |sum, k| (1.0 + z * sum) / f64::from(k + 2))
}

/// e^A, phi_1(A) and phi_2(A), each [n, n].
#[derive(Debug, Clone, PartialEq)]
pub struct Phi {
    /// e^A.
    pub exp: Array2<f64>,
    /// phi_1(A) = sum_k A^k / (k + 1)!.
    pub phi1: Array2<f64>,
    /// phi_2(A) = sum_k A^k / (k + 2)!.
    pub phi2: Array2<f64>,
}

impl Phi {
    /// All three at once, without inverting A: they are the first block row of
    /// exp [[A, I, 0], [0, 0, I], [0, 0, 0]] = [[e^A, phi_1, phi_2], [0, I, I], [0, 0, I]].
    ///
    /// # Errors
    /// As [`expm`].
    pub fn new(a: ArrayView2<f64>) -> Result<Self> {
        let n = check_square("phi functions", a)?;
        let mut block = Array2::zeros((3 * n, 3 * n));
        block.slice_mut(s![..n, ..n]).assign(&a);
        for i in 0..2 * n {
            block[[i, i + n]] = 1.0;
        }
        let e = expm(block.view())?;
        let part = |k: usize| e.slice(s![..n, k * n..(k + 1) * n]).to_owned();
        Ok(Phi { exp: part(0), phi1: part(1), phi2: part(2) })
    }
}

/// A power of two near x >= 0, for exact scaling; 1 for 0.
pub(super) fn power_of_two(x: f64) -> f64 {
    if x > 0.0 { 2f64.powi(x.log2().clamp(-1000.0, 1000.0) as i32) } else { 1.0 }
}

#[cfg(test)]
mod tests {
    use super::super::tests::{largest, normal};
    use super::*;
    use ndarray::{Array1, array};

    /// sum_j A^j / (j + k)!, term by term: phi_k(A) with phi_0 = exp. Independent of Pade and squaring; for
    /// norms up to about 2.
    fn series(a: &Array2<f64>, k: i32) -> Array2<f64> {
        let mut term = Array2::<f64>::eye(a.nrows()) / (1..=k).map(f64::from).product::<f64>();
        let mut sum = term.clone();
        for j in 1..60 {
            term = term.dot(a) / f64::from(j + k);
            sum += &term;
        }
        sum
    }

    fn relative(got: &Array2<f64>, expected: &Array2<f64>) -> f64 {
        largest(&(got - expected)) / largest(expected)
    }

    #[test]
    fn every_degree_agrees_with_the_series() {
        for (i, norm) in [1e-3, 0.1, 0.5, 1.5, 2.5, 5.0].into_iter().enumerate() {
            let a = normal(5, i as u64);
            let a = &a * (norm / norm_1(a.view()));
            let phi = Phi::new(a.view()).unwrap();
            for (got, expected) in [(&expm(a.view()).unwrap(), 0), (&phi.exp, 0), (&phi.phi1, 1), (&phi.phi2, 2)] {
                let err = relative(got, &series(&a, expected));
                assert!(err <= 2e-14, "norm {norm}, phi_{expected}: {err:e}");
            }
        }
    }

    #[test]
    fn each_degree_is_exact_to_its_order_and_needed_to_its_theta() {
        // At theta_m the truncation error of degree m is still below rounding; at 8 theta_m it is not.
        for (m, theta) in PADE {
            let at = |x: f64| (pade(array![[x]], m)[[0, 0]] / x.exp() - 1.0).abs();
            assert!(at(theta) <= 1e-14, "degree {m}: {:e}", at(theta));
            assert!(at(8.0 * theta) >= 1e-13, "degree {m}: {:e}", at(8.0 * theta));
        }
    }

    #[test]
    fn singular_and_nilpotent() {
        let zero = Phi::new(Array2::zeros((3, 3)).view()).unwrap();
        assert_eq!((zero.exp, zero.phi1, zero.phi2), (Array2::eye(3), Array2::eye(3), Array2::eye(3) / 2.0));
        let n = array![[0.0, 3.0, -7.0], [0.0, 0.0, 20.0], [0.0, 0.0, 0.0]];
        let (n2, one) = (n.dot(&n), Array2::<f64>::eye(3));
        let phi = Phi::new(n.view()).unwrap();
        assert!(relative(&phi.exp, &(&one + &n + &n2 / 2.0)) <= 1e-14);
        assert!(relative(&phi.phi1, &(&one + &n / 2.0 + &n2 / 6.0)) <= 1e-14);
        assert!(relative(&phi.phi2, &(&one / 2.0 + &n / 6.0 + &n2 / 24.0)) <= 1e-14);
    }

    /// Normal matrices S diag(z) S^T, stiff ones too, against the scalar functions.
    #[test]
    fn stiff_matrices_agree_with_their_eigenvalues() {
        let vectors = super::super::symmetric_eigen((normal(4, 9) + normal(4, 9).t()).view()).unwrap().vectors;
        for values in [[-1e4, -30.0, -1.0, 0.0], [-1e4, -1e4, -9e3, -5e3], [-50.0, -3.0, 0.5, 40.0]] {
            let of = |f: fn(f64) -> f64| (&vectors * &Array1::from(values.map(f).to_vec())).dot(&vectors.t());
            let a = of(|z| z);
            let phi = Phi::new(a.view()).unwrap();
            // A itself is known to 1e-16 of its norm only, and so is e^A.
            let tol = 1e-15 * norm_1(a.view()).max(100.0);
            assert!(largest(&(&phi.exp - of(f64::exp))) <= tol * largest(&of(f64::exp)).max(1e-3));
            assert!(relative(&phi.phi1, &of(phi1)) <= tol, "{:e}", relative(&phi.phi1, &of(phi1)));
            assert!(relative(&phi.phi2, &of(phi2)) <= tol, "{:e}", relative(&phi.phi2, &of(phi2)));
        }
    }

    /// References from 40-digit arithmetic.
    #[test]
    #[allow(clippy::excessive_precision)]
    fn scalar_functions_keep_their_digits() {
        let table = [
            (1e-9, 1.0000000005000000002, 0.50000000016666666671),
            (-1e-5, 0.999995000016666625, 0.49999833333749999167),
            (0.01, 1.0050167084168057542, 0.50167084168057542165),
            (-0.1, 0.95162581964040426836, 0.48374180359595731642),
            (0.75, 1.4893333554835662247, 0.65244447397808829964),
            (-0.999999, 0.63212082306975563694, 0.36787954480978917285),
            (-1.000001, 0.63212029458752032267, 0.36787933753314214419),
            (-3.0, 0.31673764387737867568, 0.22775411870754043811),
            (-700.0, 1.0 / 700.0, 699.0 / 490000.0),
            (-1e200, 1e-200, 1e-200),
        ];
        for (z, one, two) in table {
            assert!((phi1(z) / one - 1.0).abs() <= 1e-15, "phi1({z}) = {:e}", phi1(z));
            assert!((phi2(z) / two - 1.0).abs() <= 1e-15, "phi2({z}) = {:e}", phi2(z));
        }
        // z phi_2 + 1 = phi_1 and z phi_1 + 1 = e^z, across the change of formula.
        for i in -400..400 {
            let z = f64::from(i) * 0.01;
            assert!((phi2(z) * z + 1.0 - phi1(z)).abs() <= 4e-16 * phi1(z).max(1.0), "{z}");
            assert!((phi1(z) * z + 1.0 - z.exp()).abs() <= 4e-16 * z.exp().max(1.0), "{z}");
        }
    }

    #[test]
    fn overflow_and_bad_shapes_are_refused() {
        assert!(expm(array![[800.0]].view()).unwrap_err().to_string().contains("overflow"));
        assert!(expm(array![[f64::MAX]].view()).unwrap_err().to_string().contains("overflow"));
        assert!(expm(Array2::zeros((2, 3)).view()).unwrap_err().to_string().contains("square"));
        assert_eq!(expm(Array2::zeros((0, 0)).view()).unwrap().dim(), (0, 0));
        assert_eq!(expm(array![[-f64::MAX]].view()).unwrap()[[0, 0]], 0.0);
    }
}
