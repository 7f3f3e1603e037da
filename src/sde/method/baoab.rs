use super::prelude::*;
use crate::sde::Force;

/// BAOAB for underdamped Langevin dynamics (Leimkuhler and Matthews 2013), a symmetric splitting into kicks,
/// drifts and an exact Ornstein-Uhlenbeck step of the velocity:
///
/// v += (h/2) F(q);  q += (h/2) v;  v = e^(-gamma h) v + (T (1 - e^(-2 gamma h)))^(1/2) W / h^(1/2);
/// q += (h/2) v;  v += (h/2) F(q).
///
/// Weak order 2; where the force is linear the law of the positions is exact.
#[derive(Debug, Clone, Copy)]
pub struct Baoab;

enter!([Baoab] kinetic);

impl Method for Baoab {
    const CLAIMS: Claims = Claims {
        name: "baoab",
        calculus: CalculusKind::Either,
        needs: Needs::W,
        orders: &[Orders::of(NoiseKind::Additive, 1.0, 2.0)],
        invariant: Some(2.0),
        drifts: 2,
        source: "Leimkuhler and Matthews 2013",
    };
}

impl<R: Real, S: Kinetic<R>> Integrator<R, S> for Baoab {
    /// The force, of d numbers.
    type Memory = (Vec<[R; W]>, <S::Force as Force<R>>::Scratch);
    fn memory(&self, sde: &S) -> Self::Memory {
        (vec![[R::zero(); W]; sde.noises()], sde.force().scratch())
    }
    #[inline(always)]
    fn step<const FMA: bool>(
        &self,
        sde: &S,
        step: &Step,
        path: Increment<'_, R>,
        x: &mut [[R; W]],
        (f, force): &mut Self::Memory,
        _scratch: &mut S::Scratch,
    ) {
        let (q, v) = x.split_at_mut(path.w.len());
        let half: [R; W] = step.size(|h| 0.5 * h);
        let (gamma, temperature) = (sde.friction(), sde.temperature());
        let decay: [R; W] = step.size(|h| (-gamma * h).exp());
        let spread: [R; W] = step.size(|h| (-temperature * (-2.0 * gamma * h).exp_m1() / h).sqrt());
        sde.force().force::<FMA>(step.start(), q, f, force);
        add::<R, FMA>(&half, f, v);
        add::<R, FMA>(&half, v, q);
        for (v, w) in v.iter_mut().zip(path.w) {
            for i in 0..W {
                v[i] = decay[i].fma::<FMA>(v[i], spread[i] * w[i]);
            }
        }
        add::<R, FMA>(&half, v, q);
        sde.force().force::<FMA>(step.end(), q, f, force);
        add::<R, FMA>(&half, f, v);
    }
}

/// y += c x.
#[inline(always)]
fn add<R: Real, const FMA: bool>(c: &[R; W], x: &[[R; W]], y: &mut [[R; W]]) {
    for (y, x) in y.iter_mut().zip(x) {
        for i in 0..W {
            y[i] = c[i].fma::<FMA>(x[i], y[i]);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rng::Purpose;
    use crate::sde::{DoubleWell, DriftOf, Linear, LinearLaw, Paths, Underdamped, trajectories};
    use ndarray::{Array2, array};

    /// The step of a linear equation, x' = A x + b w: from its values at the unit vectors.
    fn map(sde: &Underdamped<crate::sde::Harmonic>, h: f64) -> (Array2<f64>, Array2<f64>) {
        let mut memory = Integrator::<f64, _>::memory(&Baoab, sde);
        let mut at = |q: f64, v: f64, w: f64| {
            let mut x = [[q; W], [v; W]];
            let path = Increment { w: &[[w; W]], h: &[] };
            Baoab.step::<false>(sde, &Step::common(0.0, h), path, &mut x, &mut memory, &mut ());
            [x[0][0], x[1][0]]
        };
        let (a, b, c) = (at(1.0, 0.0, 0.0), at(0.0, 1.0, 0.0), at(0.0, 0.0, h.sqrt()));
        (array![[a[0], b[0]], [a[1], b[1]]], array![[c[0]], [c[1]]])
    }

    #[test]
    fn weak_order_two_and_positions_without_bias() {
        // omega = 1, gamma = 2, T = 1, from (1, 0): mean and covariance at time 1.
        let sde = Underdamped::critically_damped(1, 1.0, 1.0).unwrap();
        let exact = sde.law(0.0, 1.0).unwrap();
        let start = array![[1.0], [0.0]];
        let error = |steps: usize| {
            let (a, b) = map(&sde, 1.0 / steps as f64);
            let (mut mean, mut c) = (start.clone(), Array2::<f64>::zeros((2, 2)));
            for _ in 0..steps {
                mean = a.dot(&mean);
                c = a.dot(&c).dot(&a.t()) + b.dot(&b.t());
            }
            let m = (&mean - &exact.map().dot(&start)).iter().fold(0f64, |w, e| w.max(e.abs()));
            (c - exact.covariance()).iter().fold(m, |w, e| w.max(e.abs()))
        };
        let slope = (error(16) / error(64)).log2() / 2.0;
        assert!((slope - 2.0).abs() <= 0.05, "{slope}");
        for h in [0.1, 0.5, 1.0] {
            let (a, b) = map(&sde, h);
            let mut c = Array2::<f64>::zeros((2, 2));
            for _ in 0..2000 {
                c = a.dot(&c).dot(&a.t()) + b.dot(&b.t());
            }
            assert!((c[[0, 0]] - 1.0).abs() <= 1e-12, "h = {h}: {}", c[[0, 0]]);
        }
    }

    #[test]
    fn both_wells_are_visited() {
        let sde = Underdamped::new(DriftOf(DoubleWell::new(1, 1.0).unwrap()), 1.0, 0.5).unwrap();
        let grid: Vec<f64> = (0..=100).map(|n| 0.2 * f64::from(n)).collect();
        let paths = Paths { seed: 0, purpose: Purpose::Test, step: 0 };
        let x = trajectories(&Baoab, &sde, &grid, &[1.0f64, 0.0].repeat(4000), paths).unwrap();
        // v ~ N(0, 1/2), independent of q, whose law is even: 99.99 % intervals.
        let end = x.index_axis(ndarray::Axis(0), 100);
        let kinetic = end.column(1).mapv(|v| v * v).mean().unwrap();
        let right = end.column(0).mapv(|q| f64::from(q > 0.0)).mean().unwrap();
        assert!((kinetic - 0.5).abs() <= 3.89 * 0.5 * (2f64 / 4000.0).sqrt() + 0.005, "{kinetic}");
        assert!((right - 0.5).abs() <= 3.89 * 0.5 / 4000f64.sqrt(), "{right}");
    }
}
