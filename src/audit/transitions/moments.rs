//! Local errors of the moments of one-step laws.

use super::generator::{LORENZ, double_well, local, lorenz};
use super::{order, row, three_modes};
use crate::Result;
use crate::audit::{Curve, Row};
use crate::linalg;
use crate::linalg::lanes::{GramianMemory, PhiMemory};
use crate::mixture::{Covariances, Mixture};
use crate::sde::{ComponentStep, DoubleWell, Langevin, Lorenz};
use crate::simd::W;
use crate::transition::{Euler, ItoTaylor, LocalLinear, rows as law};
use ndarray::{Array2, array};

pub fn rows() -> Result<Vec<Row>> {
    let (equation, well) = (double_well(), DoubleWell::new(1, 0.8)?);
    let mut rows = local("euler", &Euler(well), &equation, 2.0)?;
    rows.extend(local("ito-taylor", &ItoTaylor(well), &equation, 3.0)?);
    rows.extend(local("local-linear", &LocalLinear(well), &equation, 3.0)?);
    let [s, rho, beta] = LORENZ;
    let (equation, sde) = (lorenz(), Lorenz::new(s, rho, beta, 0.8)?);
    rows.extend(local("euler", &Euler(sde), &equation, 2.0)?);
    rows.extend(local("ito-taylor", &ItoTaylor(sde), &equation, 3.0)?);
    rows.extend(local("local-linear", &LocalLinear(sde), &equation, 3.0)?);
    rows.push(linear()?);
    rows.push(van_loan()?);
    rows.push(phi()?);
    rows.push(component()?);
    Ok(rows)
}

/// Local linearisation of a linear equation is its law: dX = -(beta/2) P (X - m) dt + beta^(1/2) dB, P with
/// eigenvalues 1/v: mean m + e^(-beta h/2v) (x - m), variance v (1 - e^(-beta h/v)) along each eigenvector.
fn linear() -> Result<Row> {
    let covariance = array![[0.5, 0.2], [0.2, 1.8]];
    let pi = Mixture::new(array![1.0], array![[0.5, -1.0]], Covariances::Full(covariance.clone().insert_axis(ndarray::Axis(0))))?;
    let one = LocalLinear(Langevin::<f64>::new(&pi, 1.3)?);
    let eigen = linalg::symmetric_eigen(covariance.view())?;
    let x = array![[2.0, 1.0], [-3.0, 0.0]];
    let (mut mean_error, mut covariance_error) = (0f64, 0f64);
    for h in [1e-3, 0.1, 1.0, 10.0, 1000.0] {
        let decay = eigen.map(|v| (-0.65 * h / v).exp());
        let exact: Array2<f64> = (&x - &pi.means()).dot(&decay) + pi.means();
        let spread = eigen.map(|v| -v * (-1.3 * h / v).exp_m1());
        let (m, c) = (law::mean(&one, 0.0, h, x.view())?, law::covariance(&one, 0.0, h, x.view())?);
        mean_error = m.iter().zip(&exact).fold(mean_error, |w, (a, b)| w.max((a - b).abs()));
        let scale = spread.iter().fold(0f64, |w, v| w.max(v.abs()));
        for c in c.outer_iter() {
            covariance_error = c.iter().zip(&spread).fold(covariance_error, |w, (a, b)| w.max((a - b).abs() / scale));
        }
    }
    let errors = [("mean of the linear equation", mean_error, 1e-12), ("covariance of the linear equation", covariance_error, 1e-12)];
    Ok(row("local-linear", "linear drift in the plane, h = 0.001 to 1000", &errors))
}

/// Damped oscillators, slow and stiff, a nilpotent J, another one, and one of two very different rates.
fn matrices() -> [Array2<f64>; 5] {
    [
        array![[0.0, 1.0], [-1.0, -0.1]],
        array![[0.0, 1.0], [-400.0, -500.0]],
        array![[0.0, 1.0], [0.0, 0.0]],
        array![[-2.0, 1.0], [-4.0, 2.0]],
        array![[-1e3, 3.0], [0.0, -1.0]],
    ]
}

/// Lengths of steps over which [`matrices`] act.
const TIMES: [f64; 3] = [1e-3, 0.5, 3.0];

/// e^A, phi_1(A) and phi_2(A) of one block exponential (Pade and squaring) against the series and doublings
/// that hot loops use.
fn phi() -> Result<Row> {
    let mut worst = [0f64; 3];
    for j in matrices() {
        for h in TIMES {
            let reference = linalg::Phi::new((&j * h).view())?;
            let jacobian: Vec<[f64; W]> = j.iter().map(|v| [*v; W]).collect();
            let mut hot = PhiMemory::new(2);
            hot.evaluate::<false>(&[h; W], &jacobian, 2);
            let minus_one = &reference.exp - &Array2::<f64>::eye(2);
            let pairs = [(&minus_one, &hot.expm1), (&reference.phi1, &hot.phi1), (&reference.phi2, &hot.phi2)];
            for (worst, (reference, hot)) in worst.iter_mut().zip(pairs) {
                let scale = reference.iter().fold(0f64, |w, v| w.max(v.abs()));
                *worst = reference.iter().zip(hot).fold(*worst, |w, (a, b)| w.max((a - b[0]).abs() / scale));
            }
        }
    }
    let [exp, one, two] = worst;
    Ok(row("phi", "5 matrices, h = 0.001 to 3", &[("e^A - I", exp, 1e-12), ("phi_1", one, 1e-12), ("phi_2", two, 1e-12)]))
}

/// Van Loan's block exponential against the series and doublings that hot loops use, which share nothing with
/// it.
fn van_loan() -> Result<Row> {
    let mut worst = 0f64;
    for j in matrices() {
        for h in TIMES {
            let reference = linalg::LinearStep::new(j.view(), Array2::eye(2).view(), h)?.covariance;
            let jacobian: Vec<[f64; W]> = j.iter().map(|v| [*v; W]).collect();
            let mut q = [[0.0; W]; 4];
            GramianMemory::new(2).evaluate::<false>(&[h; W], &jacobian, 2, &mut q);
            let scale = reference.iter().fold(0f64, |w, v| w.max(v.abs()));
            worst = reference.iter().zip(&q).fold(worst, |w, (a, b)| w.max((a - h * b[0]).abs() / scale));
        }
    }
    Ok(row("van-loan", "5 matrices, h = 0.001 to 3, against series and doublings", &[("covariance", worst, 1e-12)]))
}

/// The component-wise step (15): its mean sum_k r_k (m_k + e^(-beta h/2v_k) (x - m_k)) against that of local
/// linearisation, which is right to h^3: a local error of h^2, so of weak order 1.
fn component() -> Result<Row> {
    let pi = three_modes()?;
    let step = ComponentStep::<f64>::new(&pi, 1.0)?;
    let one = LocalLinear(Langevin::<f64>::new(&pi, 1.0)?);
    let x = array![[0.9]];
    let r = pi.responsibilities(x.view())?;
    let mut curve = Curve { h: (0..5).map(|k| 0.5f64.powi(10 - k)).collect(), error: Vec::new() };
    for h in &curve.h {
        let mean: f64 = (0..pi.components())
            .map(|k| {
                let (m, v) = (pi.means()[[k, 0]], step.variances(k)[0]);
                r[[0, k]] * (m + (-0.5 * h / v).exp() * (x[[0, 0]] - m))
            })
            .sum();
        curve.error.push((mean - law::mean(&one, 0.0, *h, x.view())?[[0, 0]]).abs());
    }
    Ok(order("component", "mean on three modes, local error", 2.0, 0.1, curve))
}
