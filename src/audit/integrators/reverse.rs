//! The reverse equation (3), with the exact score: what samplers integrate, by every method for additive
//! noise.

use super::Effort;
use super::backward::{Line, Transfer};
use super::paths::{Path, Walker, show, walk_path};
use super::weak::order;
use crate::audit::Row;
use crate::audit::scores::distance;
use crate::audit::transitions::{row, three_modes};
use crate::mixture::{Draw, Mixture};
use crate::par;
use crate::rng::Purpose;
use crate::sde::kinds::Additive;
use crate::sde::method::{self, Visitor};
use crate::sde::{Either, Integrator, Noise, Sde, Semilinear, Smooth, Time};
use crate::simd::{Kernel, W, nested};
use crate::{Real, Result};
use ndarray::Array2;

/// A row for each method's weak order, and one for the law of its samples.
///
/// # Errors
/// As [`Transfer::new`].
pub fn rows(effort: Effort) -> Result<Vec<Row>> {
    let data = three_modes()?;
    let sde = Backwards::new(&data);
    let (powers, samples): (&[i32], _) = if effort == Effort::Quick { (&[6, 5, 4], 20_000) } else { (&[7, 6, 5, 4], 100_000) };
    let start = data.marginal((-0.5f64).exp(), -(-1f64).exp_m1())?;
    let mut on = On { sde: &sde, reverse: Reverse { components: sde.components.clone(), start, data, powers, samples, rows: vec![] } };
    method::additive(&mut on);
    method::smooth(&mut on);
    method::semilinear(&mut on);
    on.reverse.rows.into_iter().collect()
}

/// The process dX = -X/2 dt + dB from a mixture in one dimension, backwards from time 1: Y_tau = X_(1 - tau),
///
/// dY = (Y/2 + s(Y, 1 - tau)) dtau + dB,   s = grad ln p_t,   p_t = sum_k w_k N(a m_k, a^2 v_k + 1 - a^2),   a = e^(-t/2).
///
/// Outside of [0, 1] the drift is NaN: no method may look there.
#[derive(Debug)]
struct Backwards {
    /// (w, m, v) of each component.
    components: Vec<[f64; 3]>,
}

impl Backwards {
    fn new(data: &Mixture) -> Self {
        let component = |k| [data.weights()[k], data.means()[[k, 0]], data.covariance(k)[[0, 0]]];
        Backwards { components: (0..data.components()).map(component).collect() }
    }

    /// s and ds/dx at the points `x`.
    #[inline(always)]
    fn score<R: Real, const FMA: bool>(&self, tau: &Time, x: &[R; W]) -> ([R; W], [R; W]) {
        nested::<FMA, _>(Score { components: &self.components, tau, x })
    }
}

/// [`Backwards::score`] as code of its own, not inlined into every stage of every method.
struct Score<'a, R> {
    components: &'a [[f64; 3]],
    tau: &'a Time,
    x: &'a [R; W],
}

impl<R: Real> Kernel for Score<'_, R> {
    const VECTORS: bool = R::VECTORS;
    type Output = ([R; W], [R; W]);
    #[inline(always)]
    fn run<const FMA: bool>(self) -> ([R; W], [R; W]) {
        let Score { components, tau, x } = self;
        // E[q], E[q^2] and E[1/v] under the responsibilities, q = (x - m)/v: s = -E[q], s' = Var q - E[1/v].
        let [mut total, mut first, mut second, mut precision] = [[R::zero(); W]; 4];
        for [w, m, v] in components {
            let at =
                |t: f64, f: &dyn Fn(f64, f64) -> f64| if (0.0..=1.0).contains(&t) { f((-0.5 * t).exp(), (-t).exp()) } else { f64::NAN };
            let mean: [R; W] = tau.lanes(|tau| at(1.0 - tau, &|a, _| a * m));
            let inverse: [R; W] = tau.lanes(|tau| at(1.0 - tau, &|_, b| 1.0 / (b * v + 1.0 - b)));
            let weight: [R; W] = tau.lanes(|tau| at(1.0 - tau, &|_, b| w / (b * v + 1.0 - b).sqrt()));
            for i in 0..W {
                let q = (x[i] - mean[i]) * inverse[i];
                let p = weight[i] * (R::of(-0.5) * q * (x[i] - mean[i])).exp_lane::<FMA>();
                total[i] += p;
                first[i] += p * q;
                second[i] += p * q * q;
                precision[i] += p * inverse[i];
            }
        }
        let [mut s, mut slope] = [[R::zero(); W]; 2];
        for i in 0..W {
            s[i] = -first[i] / total[i];
            slope[i] = (second[i] - precision[i]) / total[i] - s[i] * s[i];
        }
        (s, slope)
    }
}

impl<R: Real> Sde<R> for Backwards {
    type Calculus = Either;
    type Noise = Additive;
    type Scratch = ();
    fn dim(&self) -> usize {
        1
    }
    fn scratch(&self) {}
    #[inline(always)]
    fn drift<const FMA: bool>(&self, tau: &Time, x: &[[R; W]], f: &mut [[R; W]], (): &mut ()) {
        let (s, _) = self.score::<R, FMA>(tau, &x[0]);
        for i in 0..W {
            f[0][i] = R::of(0.5) * x[0][i] + s[i];
        }
    }
    #[inline(always)]
    fn diffuse<const FMA: bool>(&self, _tau: &Time, _x: &[[R; W]], w: &[[R; W]], g: &mut [[R; W]], (): &mut ()) {
        g[0] = w[0];
    }
}

impl<R: Real> Smooth<R> for Backwards {
    type Derivatives = ();
    fn derivatives_memory(&self) {}
    /// The score's own equation, ds/dt = s/2 + x s'/2 + s''/2 + s s', turns M = s''/2 - ds/dt into -(s/2 + x
    /// s'/2 + s s').
    #[inline(always)]
    fn derivatives<const FMA: bool>(
        &self,
        tau: &Time,
        x: &[[R; W]],
        f: &mut [[R; W]],
        jacobian: &mut [[R; W]],
        m: &mut [[R; W]],
        (): &mut (),
    ) {
        let (s, slope) = self.score::<R, FMA>(tau, &x[0]);
        let half = R::of(0.5);
        for i in 0..W {
            f[0][i] = half * x[0][i] + s[i];
            jacobian[0][i] = half + slope[i];
            m[0][i] = -(half * s[i] + (half * x[0][i] + s[i]) * slope[i]);
        }
    }
}

/// -Y/2: the drift of N(0, I) data.
impl<R: Real> Semilinear<R> for Backwards {
    fn rate(&self, _j: usize) -> f64 {
        0.5
    }
}

/// What is measured, on the equation.
struct On<'a> {
    sde: &'a Backwards,
    reverse: Reverse<'a>,
}

impl Visitor<f64, Backwards> for On<'_> {
    fn visit<I: Integrator<f64, Backwards>>(&mut self, method: &I) {
        show(method, self.sde, &mut |on| self.reverse.measure(on));
    }
}

struct Reverse<'a> {
    /// Of p_0.
    components: Vec<[f64; 3]>,
    /// p_1.
    start: Mixture,
    /// p_0.
    data: Mixture,
    powers: &'a [i32],
    samples: usize,
    rows: Vec<Result<Row>>,
}

impl Reverse<'_> {
    fn measure(&mut self, on: &dyn Walker) {
        let claims = on.claims();
        let Some(orders) = claims.for_noise(Additive::KIND) else { return };
        let end = |k: i32| self.expectation(on, 1 << k);
        let weak = order(&claims, orders, "reverse time", self.powers, self.exact(), &end);
        let law = self.law(on);
        self.rows.extend([weak, law]);
    }

    /// E phi(X_0), phi = x^3 + x^2.
    fn exact(&self) -> f64 {
        self.components.iter().map(|[w, m, v]| w * (m.powi(3) + 3.0 * m * v + m * m + v)).sum()
    }

    /// E phi(Y_1) with `count` steps from p_1.
    fn expectation(&self, on: &dyn Walker, count: usize) -> Result<f64> {
        let phi = |x: f64| x.powi(3) + x * x;
        let (line, h) = (Line::new(-7.0, 7.0, 1401), 1.0 / count as f64);
        let mut u = vec![];
        for n in (0..count).rev() {
            let transfer = Transfer::new(on, (n as f64 * h, h), line)?;
            if u.is_empty() {
                u = transfer.end(&phi);
            }
            u = transfer.apply(&u);
        }
        // Over p_1 by the trapezoidal rule, which for Gaussians is exact to rounding.
        let points = Array2::from_shape_vec((u.len(), 1), line.points()).unwrap_or_default();
        let density = self.start.log_density(points.view())?.mapv(f64::exp);
        Ok(density.iter().zip(&u).map(|(p, u)| p * u).sum::<f64>() / density.sum())
    }

    /// The law of samples after 512 steps, against p_0.
    fn law(&self, on: &dyn Walker) -> Result<Row> {
        let mut y = self.start.sample(self.samples, 11, Purpose::Start, Draw::Independent)?.0.into_raw_vec_and_offset().0;
        par::each(par::chunks_mut(&mut y, W), |chunk, y| {
            let mut x = [[y[0]; W]];
            x[0][..y.len()].copy_from_slice(y);
            walk_path(on, &Path::draw(11, chunk as u32, 1, 512, 1), &mut x);
            y.copy_from_slice(&x[0][..y.len()]);
        });
        let off = distance(&mut y, &self.data)?;
        Ok(row(on.claims().name, &format!("law of {} samples, reverse time", self.samples), &[("Kolmogorov-Smirnov", off, 1.0)]))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::real::Dual;

    /// J, and M = f''/2 + df/dtau, by dual numbers in x and by differences in time.
    #[test]
    fn derivatives_of_the_reverse_drift() {
        let sde = Backwards::new(&three_modes().unwrap());
        let drift = |tau: f64, x: Dual<Dual<f64>>| {
            let mut f = [[Dual::constant(Dual::constant(0.0)); W]];
            sde.drift::<false>(&Time::Common(tau), &[[x; W]], &mut f, &mut ());
            f[0][0]
        };
        for x in [-2.5, -0.7, 0.1, 1.4, 3.0] {
            let (tau, e) = (0.6, 1e-5);
            let [mut f, mut j, mut m] = [[[0.0; W]]; 3];
            sde.derivatives::<false>(&Time::Common(tau), &[[x; W]], &mut f, &mut j, &mut m, &mut ());
            let one = Dual::new(Dual::new(x, 1.0), Dual::new(1.0, 0.0));
            let y = drift(tau, one);
            let in_time = (drift(tau + e, one).value.value - drift(tau - e, one).value.value) / (2.0 * e);
            assert!((f[0][0] - y.value.value).abs() <= 1e-13 && (j[0][0] - y.value.tangent).abs() <= 1e-12);
            assert!((m[0][0] - 0.5 * y.tangent.tangent - in_time).abs() <= 1e-8, "{x}: {}", m[0][0]);
        }
        assert!(drift(1.001, Dual::constant(Dual::constant(0.0))).value.value.is_nan());
    }
}
