//! Densities and scores of one-step laws.

use super::{row, three_modes};
use crate::audit::Row;
use crate::mixture::{Covariances, Mixture};
use crate::real::Dual;
use crate::rng::{Purpose, Stream};
use crate::sde::{DoubleWell, Isotropic, Langevin, Smooth, Step};
use crate::simd::W;
use crate::transition::rows::{self as law, RowLaw};
use crate::transition::{Euler, Factor, ItoTaylor, LocalLinear, OneStep};
use crate::{Real, Result};
use ndarray::{Array2, ArrayView2, array};

/// The three approximate laws of an equation, each with its name, given to a check.
macro_rules! each_law {
    ($sde:expr, $dual:expr, $single:expr, $check:ident($($arg:expr),*)) => {
        [
            $check("euler", &Euler($sde), &Euler($dual), &Euler($single), $($arg),*)?,
            $check("ito-taylor", &ItoTaylor($sde), &ItoTaylor($dual), &ItoTaylor($single), $($arg),*)?,
            $check("local-linear", &LocalLinear($sde), &LocalLinear($dual), &LocalLinear($single), $($arg),*)?,
        ]
    };
}

pub fn rows() -> Result<Vec<Row>> {
    let well = DoubleWell::new(1, 0.8)?;
    let pi = three_modes()?;
    let line = array![[0.5], [-1.2], [2.0], [0.0]];
    let mut rows = each_law!(well, well, well, density("double well", line.view())).to_vec();
    let langevin = || Langevin::<f64>::new(&pi, 1.0);
    let (dual, single) = (|| Langevin::<Dual<f64>>::new(&pi, 1.0), || Langevin::<f32>::new(&pi, 1.0));
    rows.extend(each_law!(langevin()?, dual()?, single()?, density("three modes", line.view())));
    let means = array![[-1.0, 0.5], [1.0, -0.2]];
    let covariances = ndarray::stack![ndarray::Axis(0), array![[0.5, 0.2], [0.2, 0.8]], array![[0.9, -0.3], [-0.3, 0.4]]];
    let plane = Mixture::new(array![0.4, 0.6], means, Covariances::Full(covariances))?;
    let langevin = || Langevin::<f64>::new(&plane, 1.0);
    let (dual, single) = (|| Langevin::<Dual<f64>>::new(&plane, 1.0), || Langevin::<f32>::new(&plane, 1.0));
    let starts = array![[0.5, 0.1], [-1.2, 2.0], [3.0, -1.0]];
    rows.extend(each_law!(langevin()?, dual()?, single()?, scores("two modes in the plane", starts.view())));
    rows.extend(positive("double well", well, well)?);
    rows.extend(positive("three modes", Langevin::<f64>::new(&pi, 1.0)?, Langevin::<f32>::new(&pi, 1.0)?)?);
    Ok(rows)
}

/// Steps of several sizes.
const STEPS: [f64; 3] = [0.02, 0.2, 0.7];

/// In one dimension: integral and moments by the midpoint rule over 12 standard deviations to both sides, and
/// the scores.
pub(super) fn density(
    name: &str,
    plain: &dyn RowLaw<f64>,
    dual: &dyn RowLaw<Dual<f64>>,
    single: &dyn RowLaw<f32>,
    tried: &str,
    x: ArrayView2<f64>,
) -> Result<Row> {
    const CELLS: usize = 4000;
    let (mut integral, mut moments) = (0f64, 0f64);
    for h in STEPS {
        let (m, c) = (law::mean(plain, 0.0, h, x)?, law::covariance(plain, 0.0, h, x)?);
        for i in 0..x.nrows() {
            let (m, v) = (m[[i, 0]], c[[i, 0, 0]]);
            let dy = 24.0 * v.sqrt() / CELLS as f64;
            let y = Array2::from_shape_fn((CELLS, 1), |(j, _)| m + dy * (j as f64 + 0.5 - 0.5 * CELLS as f64));
            let start = Array2::from_elem((CELLS, 1), x[[i, 0]]);
            let p = law::log_density(plain, 0.0, h, start.view(), y.view())?.mapv(f64::exp);
            let moment = |f: &dyn Fn(f64) -> f64| dy * p.iter().zip(&y).map(|(p, y)| p * f(*y)).sum::<f64>();
            integral = worst(integral, moment(&|_| 1.0) - 1.0);
            moments = worst(moments, moment(&|y| (y - m) / v.sqrt()));
            moments = worst(moments, moment(&|y| (y - m) * (y - m) / v) - 1.0);
        }
    }
    let mut row = scores(name, plain, dual, single, tried, x)?;
    let more = [("integral", integral, 1e-10), ("moments of the density", moments, 1e-10)];
    let errors: Vec<_> = row.errors.iter().map(|e| (e.reference, e.error, e.bound)).chain(more).collect();
    row = super::row(name, &format!("density, {tried}"), &errors);
    Ok(row)
}

/// In any dimension: the scores in both arguments by five-point differences of the log-density, and f32
/// against f64.
pub(super) fn scores(
    name: &str,
    plain: &dyn RowLaw<f64>,
    dual: &dyn RowLaw<Dual<f64>>,
    single: &dyn RowLaw<f32>,
    tried: &str,
    x: ArrayView2<f64>,
) -> Result<Row> {
    let (mut end, mut start, mut follows) = (0f64, 0f64, 0f64);
    for h in STEPS {
        // A standard deviation or two away from the mean, in a direction that depends on the row.
        let mut y = law::mean(plain, 0.0, h, x)?;
        y.indexed_iter_mut().for_each(|((i, j), y)| *y += h.sqrt() * ((2 * i + 3 * j) as f64 + 0.4).sin() * 1.5);
        let s = law::score(plain, 0.0, h, x, y.view())?;
        let back = law::start_score(dual, 0.0, h, x, y.view())?;
        for j in 0..x.ncols() {
            let e = 1e-3 * h.sqrt();
            let moved = |a: ArrayView2<f64>, c: f64| {
                let mut a = a.to_owned();
                a.column_mut(j).mapv_inplace(|v| v + c * e);
                a
            };
            let five = |f: &dyn Fn(f64) -> Result<ndarray::Array1<f64>>| {
                Ok::<_, crate::Error>((8.0 * (f(1.0)? - f(-1.0)?) - f(2.0)? + f(-2.0)?) / (12.0 * e))
            };
            let by_end = five(&|c| law::log_density(plain, 0.0, h, x, moved(y.view(), c).view()))?;
            let by_start = five(&|c| law::log_density(plain, 0.0, h, moved(x, c).view(), y.view()))?;
            let size = 1.0 / h.sqrt();
            for i in 0..x.nrows() {
                end = worst(end, (s[[i, j]] - by_end[i]) / (size + s[[i, j]].abs()));
                start = worst(start, (back[[i, j]] - by_start[i]) / (size + back[[i, j]].abs()));
            }
        }
        let (x32, y32) = (x.mapv(|v| v as f32), y.mapv(|v| v as f32));
        let s32 = law::score(single, 0.0, h, x32.view(), y32.view())?;
        let size = s.iter().fold(1.0 / h.sqrt(), |m, s| m.max(s.abs()));
        s.iter().zip(&s32).for_each(|(a, b)| follows = worst(follows, (a - f64::from(*b)) / size));
    }
    let errors = [("score by differences", end, 1e-8), ("score in the start", start, 1e-7), ("f32", follows, 2e-5)];
    Ok(row(name, &format!("scores, {tried}"), &errors))
}

/// The larger size; NaN stays.
pub(super) fn worst(a: f64, b: f64) -> f64 {
    if b.abs() <= a { a } else { b.abs() }
}

/// Variances at 100,000 random starts and steps.
fn positive<S, T>(tried: &str, sde: S, single: T) -> Result<Vec<Row>>
where
    S: Isotropic<f64> + Smooth<f64> + Clone,
    T: Isotropic<f32> + Smooth<f32> + Clone,
{
    let row = |name: &str, f64s: f64, f32s: f64| {
        let tried = format!("variance at 100,000 random starts and steps, {tried}");
        row(name, &tried, &[("share not positive", f64s, 0.0), ("share not positive in f32", f32s, 0.0)])
    };
    Ok(vec![
        row("ito-taylor", not_positive(&ItoTaylor(sde.clone())), not_positive(&ItoTaylor(single.clone()))),
        row("local-linear", not_positive(&LocalLinear(sde)), not_positive(&LocalLinear(single))),
    ])
}

/// The share of variances that are not finite and positive.
fn not_positive<R: Real, T: OneStep<R>>(law: &T) -> f64 {
    const BLOCKS: usize = 100_000 / W;
    let mut stream = Stream::new(0, Purpose::Test, 0, 0);
    let (mut memory, mut factor, mut mean) = (law.memory(), T::Factor::new(1), [[R::zero(); W]]);
    let mut bad = 0;
    for _ in 0..BLOCKS {
        let (mut x, mut ends) = ([[R::zero(); W]], [0.0; W]);
        for i in 0..W {
            x[0][i] = R::of(10.0 * stream.uniform::<f64>() - 5.0);
            ends[i] = 2.0 * stream.uniform::<f64>();
        }
        law.law::<false>(&Step::lanes([0.0; W], ends), &x, &mut mean, &mut factor, &mut memory);
        let log_det = factor.log_det::<false>();
        bad += (0..W).filter(|i| !(log_det[*i].is_finite() && mean[0][*i].is_finite())).count();
    }
    bad as f64 / (BLOCKS * W) as f64
}
