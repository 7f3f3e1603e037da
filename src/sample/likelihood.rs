//! The likelihood of points, by a flow that carries their law to a known one.
//!
//! Points that follow dx/dt = v(x, t) (eq. 4) from t_0 to T have, along their path, d ln p_t(x_t)/dt = -div v
//! (Chen et al. 2018), so that
//!
//! ln p_{t_0}(x) = ln p_T(x_T) + int_{t_0}^T div v(x_t, t) dt.
//!
//! The integral is one more coordinate of the path, with the same method and the same steps.
//!
//! ```
//! use ndarray::{ArrayView2, array};
//! use ndsm::sample::{ScoreFlow, flow_log_density};
//! use ndsm::sde::ode::Explicit;
//! use ndsm::sde::{Clock, VariancePreserving};
//!
//! // Data N(0, 4): under dX = -X/2 dt + dB the law is N(0, v), v = 1 + 3 e^-t, with the score -x/v.
//! let sde = VariancePreserving::new(1, Clock::constant(1.0)?)?;
//! let v = |t: f64| 1.0 + 3.0 * (-t).exp();
//! let normal = |v: f64, x: f64| -0.5 * (x * x / v + (std::f64::consts::TAU * v).ln());
//! let score = |t: f64, x: &[f64], s: &mut [f64], div: &mut [f64]| {
//!     s.iter_mut().zip(x).for_each(|(s, x)| *s = -x / v(t));
//!     div.fill(-1.0 / v(t));
//!     Ok(())
//! };
//! let times: Vec<f64> = (0..=40).map(|i| f64::from(i) / 10.0).collect();
//! let x = array![[0.0], [1.0], [-5.0]];
//! let last = |x: ArrayView2<f64>| Ok(x.column(0).mapv(|x| normal(v(4.0), x)));
//! let got = flow_log_density(&mut ScoreFlow::new(&sde, score), Explicit::RK4, &times, x.view(), last)?;
//! assert!(got.iter().zip(&x).all(|(got, x)| (got - normal(4.0, *x)).abs() < 1e-6));
//! # Ok::<(), ndsm::Error>(())
//! ```

use crate::real::Dual;
use crate::sde::ode::{Explicit, ProbabilityFlow, Velocity};
use crate::sde::{Isotropic, check_rows};
use crate::{Error, Result};
use ndarray::{Array1, Array2, ArrayView2};

/// A number and its derivative along one coordinate.
type D = Dual<f64>;
/// Rows that a pass of [`ByDuals`] takes, where there are fewer points than that.
const ROWS: usize = 4096;

/// A vector field on batches, and its divergence. Closures that write both are such fields; [`ByDuals`] makes
/// one of a [`Velocity`] on dual numbers, [`ScoreFlow`] one of a process and a score.
pub trait DivergenceField {
    /// `v` = v(x, t) [n, d] and `div` = div v(x, t) `[n]` at the rows of `x` [n, d].
    ///
    /// # Errors
    /// Whatever it meets: the likelihood ends with it.
    fn evaluate(&mut self, t: f64, x: &[f64], v: &mut [f64], div: &mut [f64]) -> Result<()>;
}

impl<F: FnMut(f64, &[f64], &mut [f64], &mut [f64]) -> Result<()>> DivergenceField for F {
    fn evaluate(&mut self, t: f64, x: &[f64], v: &mut [f64], div: &mut [f64]) -> Result<()> {
        self(t, x, v, div)
    }
}

/// The field of a [`Velocity`] that is written for all number types, with its exact divergence: on dual
/// numbers: d rows for each point.
pub struct ByDuals<V> {
    velocity: V,
    dim: usize,
    x: Vec<D>,
    v: Vec<D>,
}

impl<V: Velocity<D>> ByDuals<V> {
    /// The field of `velocity` in `dim` dimensions.
    pub fn new(dim: usize, velocity: V) -> Self {
        ByDuals { velocity, dim, x: Vec::new(), v: Vec::new() }
    }
}

impl<V: Velocity<D>> DivergenceField for ByDuals<V> {
    fn evaluate(&mut self, t: f64, x: &[f64], v: &mut [f64], div: &mut [f64]) -> Result<()> {
        let d = self.dim;
        check_rows("divergence", x, d)?;
        let (n, rows) = (x.len() / d, x.len());
        div.fill(0.0);
        // Few points go in several directions at once: that many rows keep all threads busy.
        let directions: Vec<usize> = (0..d).collect();
        for some in directions.chunks((ROWS / n.max(1)).clamp(1, d)) {
            self.x.clear();
            for j in some {
                self.x.extend(x.iter().enumerate().map(|(i, x)| Dual::new(*x, if i % d == *j { 1.0 } else { 0.0 })));
            }
            self.v.resize(self.x.len(), D::default());
            self.velocity.velocity(t, &self.x, &mut self.v)?;
            for (j, duals) in some.iter().zip(self.v.chunks_exact(rows.max(1))) {
                for ((v, div), dual) in v.chunks_exact_mut(d).zip(&mut *div).zip(duals.chunks_exact(d)) {
                    v[*j] = dual[*j].value;
                    *div += dual[*j].tangent;
                }
            }
        }
        Ok(())
    }
}

/// The probability flow v = f - sigma(t)^2 s / 2 (eq. 4) of a process and a score, which brings its
/// divergence with it; that of f is taken on dual numbers. Where s is the score of the law of X_t, points
/// moved by v have that law.
pub struct ScoreFlow<'a, S: Isotropic<D>, F> {
    sde: &'a S,
    drift: ByDuals<ProbabilityFlow<'a, D, S, Zero>>,
    score: F,
    s: Vec<f64>,
    div: Vec<f64>,
}

/// No score: what is left of the flow is the drift.
struct Zero;

impl Velocity<D> for Zero {
    fn velocity(&mut self, _t: f64, _x: &[D], v: &mut [D]) -> Result<()> {
        v.fill(D::default());
        Ok(())
    }
}

impl<'a, S: Isotropic<D>, F: DivergenceField> ScoreFlow<'a, S, F> {
    /// The flow of `sde` with the score `score`.
    pub fn new(sde: &'a S, score: F) -> Self {
        let drift = ByDuals::new(sde.dim(), ProbabilityFlow::new(sde, Zero));
        ScoreFlow { sde, drift, score, s: Vec::new(), div: Vec::new() }
    }
}

impl<S: Isotropic<D>, F: DivergenceField> DivergenceField for ScoreFlow<'_, S, F> {
    fn evaluate(&mut self, t: f64, x: &[f64], v: &mut [f64], div: &mut [f64]) -> Result<()> {
        self.s.resize(v.len(), 0.0);
        self.div.resize(div.len(), 0.0);
        self.drift.evaluate(t, x, v, div)?;
        self.score.evaluate(t, x, &mut self.s, &mut self.div)?;
        let weight = -0.5 * self.sde.sigma(t).powi(2);
        v.iter_mut().zip(&self.s).for_each(|(v, s)| *v += weight * s);
        div.iter_mut().zip(&self.div).for_each(|(v, s)| *v += weight * s);
        Ok(())
    }
}

/// ln p_{t_0} at the rows of `x` [n, d]: along the flow `field` by `method`, with a step from each of `times`
/// to the next, from t_0 to T, where `last` gives ln p_T at the rows of its argument [n, d].
///
/// # Errors
/// Points without a coordinate or that are not finite; times that are less than two or do not run one way;
/// what the field or `last` returns; `NonFinite` with the row (a point and its integral), the step and the
/// time at which it became NaN or infinite.
pub fn flow_log_density(
    field: &mut dyn DivergenceField,
    method: Explicit,
    times: &[f64],
    x: ArrayView2<f64>,
    last: impl FnOnce(ArrayView2<f64>) -> Result<Array1<f64>>,
) -> Result<Array1<f64>> {
    flow_log_density_through(field, method, &[times], x, &mut |_, _| (), last)
}

/// [`flow_log_density`] along pieces of a way, each with times of its own: `between(i, paths)` may change the
/// points before piece i, and after the last one, [n, d + 1], ln of what it does to volumes in the last
/// column, which is added up.
pub(crate) fn flow_log_density_through(
    field: &mut dyn DivergenceField,
    method: Explicit,
    pieces: &[&[f64]],
    x: ArrayView2<f64>,
    between: &mut dyn FnMut(usize, &mut [f64]),
    last: impl FnOnce(ArrayView2<f64>) -> Result<Array1<f64>>,
) -> Result<Array1<f64>> {
    let (n, d) = x.dim();
    if d == 0 {
        return Err(Error::shape("flow likelihood", "points [n, d], d >= 1", &[x.shape()]));
    }
    let mut paths = vec![0.0; n * (d + 1)];
    for (path, x) in paths.chunks_exact_mut(d + 1).zip(x.outer_iter()) {
        path.iter_mut().zip(x).for_each(|(p, x)| *p = *x);
    }
    let mut flow = Augmented { field, dim: d, x: vec![0.0; n * d], v: vec![0.0; n * d], div: vec![0.0; n] };
    for (i, times) in pieces.iter().enumerate() {
        between(i, &mut paths);
        method.solve(&mut flow, d + 1, &mut paths, times, &mut |_, _| ())?;
    }
    between(pieces.len(), &mut paths);
    let ends = Array2::from_shape_fn((n, d), |(i, j)| paths[i * (d + 1) + j]);
    let last = last(ends.view())?;
    if last.len() != n {
        return Err(Error::shape("flow likelihood: the last law", format!("{n} log-densities"), &[last.shape()]));
    }
    Ok(Array1::from_shape_fn(n, |i| last[i] + paths[i * (d + 1) + d]))
}

/// (v, div v): the velocity of a point and of its integral.
struct Augmented<'a> {
    field: &'a mut dyn DivergenceField,
    dim: usize,
    x: Vec<f64>,
    v: Vec<f64>,
    div: Vec<f64>,
}

impl Velocity<f64> for Augmented<'_> {
    fn velocity(&mut self, t: f64, paths: &[f64], v: &mut [f64]) -> Result<()> {
        let d = self.dim;
        self.x.chunks_exact_mut(d).zip(paths.chunks_exact(d + 1)).for_each(|(x, path)| x.copy_from_slice(&path[..d]));
        self.field.evaluate(t, &self.x, &mut self.v, &mut self.div)?;
        for ((out, v), div) in v.chunks_exact_mut(d + 1).zip(self.v.chunks_exact(d)).zip(&self.div) {
            out[..d].copy_from_slice(v);
            out[d] = *div;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Real;
    use crate::mixture::{Covariances, Evaluator, Mixture};
    use crate::sde::{Clock, Linear, LinearLaw, SubVariancePreserving, VarianceExploding, VariancePreserving};
    use crate::simd::{W, load, store};
    use approx::assert_relative_eq;
    use ndarray::array;

    fn data() -> Mixture {
        let covariances = array![[[1.0, 0.5], [0.5, 0.6]], [[0.3, 0.0], [0.0, 2.0]], [[0.7, -0.4], [-0.4, 0.8]]];
        Mixture::new(array![0.5, 0.2, 0.3], array![[-2.0, 0.0], [2.5, 1.0], [0.5, -3.0]], Covariances::Full(covariances)).unwrap()
    }

    /// p_t of these data under a linear process that treats all coordinates alike.
    fn law(sde: &impl Linear, t: f64) -> Mixture {
        let step = sde.law(0.0, t).unwrap();
        data().marginal(step.map()[[0, 0]], step.covariance()[[0, 0]]).unwrap()
    }

    /// Its score, on any numbers.
    fn score<R: Real>(law: &Mixture, x: &[R], s: &mut [R]) {
        let (law, lanes) = (Evaluator::<R>::new(law), || vec![[R::zero(); W]; 2]);
        let (mut from, mut to, mut scratch) = (lanes(), lanes(), law.scratch());
        for (x, s) in x.chunks(2 * W).zip(s.chunks_mut(2 * W)) {
            load(x, &mut from);
            law.score_block::<false>(&from, &mut to, &mut scratch);
            store(&to, s);
        }
    }

    /// ln p_0 from ln p_T along (eq. 4), with the exact scores of a mixture under each linear process; the
    /// divergence of the score from its Hessian and on dual numbers, and all of the flow on dual numbers.
    fn check<S: Isotropic<D> + Linear>(sde: &S, horizon: f64) {
        let x = Array2::from_shape_fn((35, 2), |(i, j)| if j == 0 { 0.9 * (i % 7) as f64 - 3.0 } else { 1.2 * (i / 7) as f64 - 3.5 });
        let times: Vec<f64> = (0..=200).map(|i| horizon * f64::from(i) / 200.0).collect();
        let by_hand = |t: f64, x: &[f64], s: &mut [f64], div: &mut [f64]| {
            let law = law(sde, t);
            score(&law, x, s);
            let hessians = law.hessians(ArrayView2::from_shape((x.len() / 2, 2), x).unwrap())?;
            div.iter_mut().zip(hessians.outer_iter()).for_each(|(div, h)| *div = h.diag().sum());
            Ok(())
        };
        let on_duals = |t: f64, x: &[D], s: &mut [D]| {
            score(&law(sde, t), x, s);
            Ok(())
        };
        let last = |x: ArrayView2<f64>| law(sde, horizon).log_density(x);
        let exact = data().log_density(x.view()).unwrap();
        let run = |field: &mut dyn DivergenceField| flow_log_density(field, Explicit::RK4, &times, x.view(), last).unwrap();
        for got in [
            run(&mut ScoreFlow::new(sde, by_hand)),
            run(&mut ScoreFlow::new(sde, ByDuals::new(2, on_duals))),
            run(&mut ByDuals::new(2, ProbabilityFlow::new(sde, on_duals))),
        ] {
            assert_relative_eq!(got.as_slice().unwrap(), exact.as_slice().unwrap(), max_relative = 1e-6);
        }
    }

    #[test]
    fn flows_of_exact_scores_give_the_exact_density() {
        check(&VariancePreserving::new(2, Clock::linear(0.5, 1.5, 2.0).unwrap()).unwrap(), 2.0);
        check(&SubVariancePreserving::new(2, Clock::constant(1.0).unwrap()).unwrap(), 2.0);
        check(&VarianceExploding::new(2, 1.0).unwrap(), 3.0);
    }

    #[test]
    fn nonsense_is_refused() {
        let mut still = |_t: f64, _x: &[f64], v: &mut [f64], div: &mut [f64]| {
            v.fill(0.0);
            div.fill(0.0);
            Ok(())
        };
        let x = array![[1.0, 2.0], [3.0, 4.0]];
        let zeros = |n: usize| move |_: ArrayView2<f64>| Ok(Array1::zeros(n));
        assert_eq!(flow_log_density(&mut still, Explicit::EULER, &[0.0, 1.0], x.view(), zeros(2)).unwrap(), array![0.0, 0.0]);
        assert!(flow_log_density(&mut still, Explicit::EULER, &[0.0, 1.0], x.view(), zeros(3)).is_err());
        assert!(flow_log_density(&mut still, Explicit::EULER, &[0.0], x.view(), zeros(2)).is_err());
        assert!(flow_log_density(&mut still, Explicit::EULER, &[0.0, 1.0], Array2::zeros((2, 0)).view(), zeros(2)).is_err());
        let mut broken = |_t: f64, _x: &[f64], _v: &mut [f64], _div: &mut [f64]| Err(Error::refused("score", "it has none"));
        assert!(flow_log_density(&mut broken, Explicit::EULER, &[0.0, 1.0], x.view(), zeros(2)).unwrap_err().to_string().contains("none"));
    }
}
