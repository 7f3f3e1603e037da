//! Exact laws of linear equations as one-step laws.

use super::density::worst;
use super::row;
use crate::Result;
use crate::audit::Row;
use crate::linalg::LinearStep;
use crate::real::Dual;
use crate::sde::{
    Clock, Linear, LinearLaw, OrnsteinUhlenbeck, Sde, Straight, SubVariancePreserving, TimeChanged, Underdamped, VarianceExploding,
    VariancePreserving,
};
use crate::transition::law::OneStep;
use crate::transition::rows::{self as law, RowLaw};
use crate::transition::{Exact, Factored};
use ndarray::{Array1, Array2, Axis, array};

/// A row for each kind of linear equation.
///
/// # Errors
/// None that was ever seen.
pub fn rows() -> Result<Vec<Row>> {
    let clock = Clock::linear(0.1, 20.0, 1.0)?;
    // A rotation with damping, and a drift that has no eigenvectors.
    let ou = |a: Array2<f64>, m: Array1<f64>, noise: Array2<f64>| OrnsteinUhlenbeck::new(a.view(), m.view(), noise.view());
    let (a, noise) = (array![[0.5, 2.0], [-2.0, 0.5]], array![[1.0, 0.0], [0.4, 0.7]]);
    let (rotating, first) = (ou(a.clone(), array![0.3, -0.2], noise.clone())?, [-a, noise.dot(&noise.t())]);
    let (a, noise) = (array![[1.0, 3.0], [0.0, 1.0]], array![[0.0], [1.0]]);
    let (defective, second) = (ou(a.clone(), array![0.0, 0.0], noise.clone())?, [-a, noise.dot(&noise.t())]);
    // dq = v dt, dv = (-q - 2 v) dt + 2 dB.
    let third = [array![[0.0, 1.0], [-1.0, -2.0]], array![[0.0, 0.0], [0.0, 4.0]]];
    Ok(vec![
        check("vp, linear schedule", VariancePreserving::new(2, clock)?, None)?,
        check("sub-vp, linear schedule", SubVariancePreserving::new(2, clock)?, None)?,
        check("ve", VarianceExploding::new(2, 0.7)?, None)?,
        check("straight paths", TimeChanged::new(Straight::new(2)?, Clock::constant(0.9)?), None)?,
        check("ou, rotating", rotating, Some(&first))?,
        check("ou, defective, noise in one coordinate", defective, Some(&second))?,
        check("critically damped", Underdamped::critically_damped(1, 1.0, 1.0)?, Some(&third))?,
    ])
}

/// Where laws are looked at: (start of the step, its end).
const STEPS: [(f64, f64); 3] = [(0.1, 0.11), (0.1, 0.6), (0.4, 1.0)];

/// The row of one equation.
fn check<S>(name: &str, sde: S, matrices: Option<&[Array2<f64>; 2]>) -> Result<Row>
where
    S: Linear<Transition: Factored> + Sde<f64> + Sde<Dual<f64>> + Clone,
    Exact<S>: OneStep<f64> + OneStep<Dual<f64>>,
{
    let one = Exact(sde.clone());
    compare(name, &one, &one, matrices, &|from, to| sde.law(from, to).map(|law| [law.map(), law.covariance()]))
}

/// Two steps against one (Chapman and Kolmogorov), map and covariance by Van Loan's exponential where the
/// equation has constant `matrices` J and a, scores by differences of the log-density, the integral of the
/// density by the covariance's determinant on a grid of standard deviations. `process`(from, to): map and
/// covariance of the process.
fn compare(
    name: &str,
    one: &dyn RowLaw<f64>,
    dual: &dyn RowLaw<Dual<f64>>,
    matrices: Option<&[Array2<f64>; 2]>,
    process: &dyn Fn(f64, f64) -> Result<[Array2<f64>; 2]>,
) -> Result<Row> {
    let x = array![[0.8, -0.5], [-1.5, 0.4]];
    let [mut composed, mut covariance, mut van_loan, mut score, mut start, mut integral] = [0f64; 6];
    for (from, to) in STEPS {
        let (m, c) = law::moments(one, from, to, x.view())?;
        let [map, exact] = process(from, to)?;
        let scale = exact.diag().fold(0f64, |w, v| w.max(*v));
        covariance = c.outer_iter().flat_map(|c| (&c - &exact).into_iter()).fold(covariance, |w, e| worst(w, e / scale));
        if let Some([j, a]) = matrices {
            let reference = LinearStep::new(j.view(), a.view(), to - from)?;
            van_loan = (&reference.covariance - &exact).iter().fold(van_loan, |w, e| worst(w, e / scale));
            van_loan = (&reference.propagator - &map).iter().fold(van_loan, |w, e| worst(w, *e));
        }
        // Halfway, and on: m2(m1(x)), E2 C1 E2^T + C2.
        let middle = 0.5 * (from + to);
        let ([_, first], [e, second]) = (process(from, middle)?, process(middle, to)?);
        let (half, _) = law::moments(one, from, middle, x.view())?;
        let (whole, _) = law::moments(one, middle, to, half.view())?;
        let both = e.dot(&first).dot(&e.t()) + second;
        composed = (&whole - &m).iter().fold(composed, |w, e| worst(w, *e));
        composed = (&both - &exact).iter().fold(composed, |w, e| worst(w, e / scale));
        // Points at 1.3 standard deviations, and differences there.
        let sd: Vec<f64> = (0..2).map(|j| exact[[j, j]].sqrt()).collect();
        let y = Array2::from_shape_fn((2, 2), |(i, j)| m[[i, j]] + 1.3 * sd[j] * if i == j { 1.0 } else { -0.5 });
        let density = |x: &Array2<f64>, y: &Array2<f64>| law::log_density(one, from, to, x.view(), y.view());
        let by_score = law::score(one, from, to, x.view(), y.view())?;
        let by_start = law::start_score(dual, from, to, x.view(), y.view())?;
        for j in 0..2 {
            // The log-density is quadratic: central differences of any length are exact.
            let h = 0.5 * sd[j];
            let moved = |z: &Array2<f64>, h: f64| {
                let mut z = z.clone();
                z.column_mut(j).mapv_inplace(|v| v + h);
                z
            };
            let in_y = (density(&x, &moved(&y, h))? - density(&x, &moved(&y, -h))?) / (2.0 * h);
            let in_x = (density(&moved(&x, h), &y)? - density(&moved(&x, -h), &y)?) / (2.0 * h);
            let size = |s: &Array2<f64>| s.iter().fold(1e-300, |w: f64, v| w.max(v.abs()));
            score = in_y.iter().zip(by_score.column(j)).fold(score, |w, (a, b)| worst(w, (a - b) / size(&by_score)));
            start = in_x.iter().zip(by_start.column(j)).fold(start, |w, (a, b)| worst(w, (a - b) / size(&by_start)));
        }
        integral = worst(integral, mass(one, from, to, &x.slice(ndarray::s![..1, ..]).to_owned(), &m, &exact)? - 1.0);
    }
    let errors = [
        ("covariance of the process", covariance, 1e-12),
        ("Van Loan's exponential", van_loan, 1e-12),
        ("two steps for one", composed, 1e-12),
        ("differences of the log-density", score, 1e-9),
        ("differences in the start", start, 1e-9),
        ("integral 1", integral, 1e-12),
    ];
    Ok(row("exact", name, &errors))
}

/// The density's integral by the trapezoidal rule along the columns of the symmetric root of C: exact to
/// rounding for a Gaussian.
fn mass(one: &dyn RowLaw<f64>, from: f64, to: f64, x: &Array2<f64>, mean: &Array2<f64>, covariance: &Array2<f64>) -> Result<f64> {
    let root = crate::linalg::symmetric_eigen(covariance.view())?.map(f64::sqrt);
    let (count, gap) = (41usize, 0.4);
    let at = |i: usize| gap * (i as f64 - 0.5 * (count - 1) as f64);
    let z = Array2::from_shape_fn((count * count, 2), |(q, j)| at(if j == 0 { q / count } else { q % count }));
    let y = z.dot(&root) + mean.row(0);
    let x = x.broadcast(y.dim()).map_or_else(|| y.clone(), |x| x.to_owned());
    let determinant = root[[0, 0]] * root[[1, 1]] - root[[0, 1]] * root[[1, 0]];
    let density = law::log_density(one, from, to, x.view(), y.view())?.mapv(f64::exp);
    Ok(density.sum_axis(Axis(0)).into_scalar() * gap * gap * determinant)
}
