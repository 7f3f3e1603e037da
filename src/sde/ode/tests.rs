use super::dormand_prince::{DENSE, ERROR, dense};
use super::explicit::{Stages, q};
use super::*;
use crate::sde::surd::Surd;
use crate::sde::{Clock, VarianceExploding, VariancePreserving};

/// A table that may be changed.
#[derive(Clone)]
struct Table {
    c: Vec<Surd>,
    a: Vec<Vec<Surd>>,
    b: Vec<Surd>,
}

impl Table {
    fn of(method: &Explicit) -> Self {
        let s = method.b.len();
        let row = |a: &&[Surd]| (0..s).map(|j| a.get(j).copied().unwrap_or(Surd::ZERO)).collect();
        Table { c: method.c.to_vec(), a: method.a.iter().map(row).collect(), b: method.b.to_vec() }
    }

    /// sum_j a_ij u_j.
    fn apply(&self, u: &[Surd]) -> Vec<Surd> {
        self.a.iter().map(|row| dot(row, u)).collect()
    }

    /// For each rooted tree of up to five nodes: its order, its density gamma and its elementary weights Phi_i (Hairer, Norsett and
    /// Wanner 1993, II.2). A method has order p if sum_i b_i Phi_i = 1/gamma for all trees of up to p nodes.
    fn trees(&self) -> Vec<(usize, i64, Vec<Surd>)> {
        let times = |u: &[Surd], v: &[Surd]| u.iter().zip(v).map(|(u, v)| *u * *v).collect::<Vec<_>>();
        let (c, one) = (&self.c, vec![Surd::ONE; self.c.len()]);
        let (c2, ac) = (times(c, c), self.apply(c));
        let (c3, ac2, aac, cac) = (times(&c2, c), self.apply(&c2), self.apply(&ac), times(c, &ac));
        vec![
            (1, 1, one),
            (2, 2, c.clone()),
            (3, 3, c2.clone()),
            (3, 6, ac.clone()),
            (4, 4, c3.clone()),
            (4, 8, cac.clone()),
            (4, 12, ac2.clone()),
            (4, 24, aac.clone()),
            (5, 5, times(&c2, &c2)),
            (5, 10, times(&c2, &ac)),
            (5, 15, times(c, &ac2)),
            (5, 20, times(&ac, &ac)),
            (5, 20, self.apply(&c3)),
            (5, 30, times(c, &aac)),
            (5, 40, self.apply(&cac)),
            (5, 60, self.apply(&ac2)),
            (5, 120, self.apply(&aac)),
        ]
    }

    /// The order, exactly; 0 if a row of a does not sum to its c.
    fn order(&self, weights: &[Surd]) -> usize {
        if self.a.iter().zip(&self.c).any(|(row, c)| row.iter().copied().sum::<Surd>() != *c) {
            return 0;
        }
        let failing = self.trees().into_iter().filter(|(_, gamma, phi)| dot(weights, phi) != Surd::new(1, *gamma));
        failing.map(|(order, ..)| order - 1).min().unwrap_or(5)
    }
}

fn dot(u: &[Surd], v: &[Surd]) -> Surd {
    u.iter().zip(v).map(|(u, v)| *u * *v).sum()
}

fn embedded(b: &[Surd], error: &[Surd]) -> Vec<Surd> {
    b.iter().zip(error).map(|(b, e)| *b - *e).collect()
}

/// Whether the weights b_i(s) have order 4 at every s: sum_i b_i(s) Phi_i = s^order / gamma. Both sides are polynomials of degree 4
/// at most, so five points prove it.
fn dense_is_of_order_four(table: &Table, weights: impl Fn(Surd) -> [Surd; 7]) -> bool {
    [q(0, 1), q(1, 3), q(1, 2), q(3, 4), q(1, 1)].into_iter().all(|s| {
        let b = weights(s);
        table.trees().into_iter().filter(|(order, ..)| *order <= 4).all(|(order, gamma, phi)| {
            let power = (0..order).fold(Surd::new(1, gamma), |p, _| p * s);
            dot(&b, &phi) == power
        })
    })
}

#[test]
fn orders_hold_exactly() {
    for method in [Explicit::EULER, Explicit::HEUN, Explicit::RK4, Explicit::DORMAND_PRINCE] {
        let table = Table::of(&method);
        assert_eq!(table.order(&table.b), method.order(), "{}", method.name());
    }
    let table = Table::of(&Explicit::DORMAND_PRINCE);
    assert_eq!(table.order(&embedded(&table.b, &ERROR)), 4);
    assert!(dense_is_of_order_four(&table, |s| dense(s, |x| x)));
    assert!(table.a[6] == table.b, "the last stage lies at the next point");
    assert!(dense(Surd::ONE, |x| x).as_slice() == table.b, "a step ends where it should");
}

/// Every coefficient, changed by a tenth, breaks the order.
#[test]
fn a_changed_coefficient_is_seen() {
    let tenth = |x: Surd| x * q(11, 10);
    for method in [Explicit::EULER, Explicit::HEUN, Explicit::RK4, Explicit::DORMAND_PRINCE] {
        let (table, s) = (Table::of(&method), method.b.len());
        for i in 0..s {
            let mut changed = vec![];
            for j in (0..i).filter(|j| !table.a[i][*j].is_zero()) {
                let mut t = table.clone();
                t.a[i][j] = tenth(t.a[i][j]);
                changed.push(t);
            }
            for column in 0..2 {
                let mut t = table.clone();
                let x = if column == 0 { &mut t.b[i] } else { &mut t.c[i] };
                if !x.is_zero() {
                    *x = tenth(*x);
                    changed.push(t);
                }
            }
            for t in changed {
                assert!(t.order(&t.b) < method.order(), "{} stage {i}", method.name());
            }
        }
    }
    let table = Table::of(&Explicit::DORMAND_PRINCE);
    for i in (0..7).filter(|i| *i != 1) {
        let mut error = ERROR;
        error[i] = tenth(error[i]);
        assert!(table.order(&embedded(&table.b, &error)) < 4, "error {i}");
        let extra = DENSE[i] * q(1, 10);
        let wrong = |s: Surd| {
            let mut b = dense(s, |x| x);
            b[i] = b[i] + s * s * (Surd::ONE - s) * (Surd::ONE - s) * extra;
            b
        };
        assert!(!dense_is_of_order_four(&table, wrong), "dense {i}");
    }
}

/// Two equations beside each other, one with time in it: x = e^(sin t), y = 1 / (1 + e^-t).
fn field(t: f64, x: &[f64], v: &mut [f64]) -> Result<()> {
    for (v, x) in v.chunks_mut(2).zip(x.chunks(2)) {
        (v[0], v[1]) = (x[0] * t.cos(), x[1] * (1.0 - x[1]));
    }
    Ok(())
}

fn exact(t: f64) -> [f64; 2] {
    [t.sin().exp(), 1.0 / (1.0 + (-t).exp())]
}

fn distance(x: &[f64], y: &[f64]) -> f64 {
    x.iter().zip(y).map(|(x, y)| (x - y).abs()).fold(0.0, f64::max)
}

/// Slopes of ln error against ln h, from each h to its half.
fn slopes(errors: &[f64]) -> Vec<f64> {
    errors.windows(2).map(|e| (e[0] / e[1]).log2()).collect()
}

fn uniform(from: f64, to: f64, n: usize) -> Vec<f64> {
    (0..=n).map(|i| if i == n { to } else { from + (to - from) * i as f64 / n as f64 }).collect()
}

#[test]
fn measured_orders_are_the_claimed_ones() {
    for method in [Explicit::EULER, Explicit::HEUN, Explicit::RK4, Explicit::DORMAND_PRINCE] {
        for (from, to) in [(0.0, 3.0), (3.0, 0.0)] {
            let errors: Vec<f64> = [32, 64, 128]
                .map(|n| {
                    let mut x = exact(from);
                    method.solve(&mut field, 2, &mut x, &uniform(from, to, n), &mut |_, _| ()).unwrap();
                    distance(&x, &exact(to))
                })
                .to_vec();
            for slope in slopes(&errors) {
                assert!((slope - method.order() as f64).abs() <= 0.25, "{} from {from}: {errors:?}", method.name());
            }
        }
    }
}

/// Order 4 inside of a step: the error of a single one of size h is O(h^5).
#[test]
fn dense_output_has_order_four() {
    for (s, t) in [(0.25, 0.9), (0.6, 0.9), (0.6, 2.0), (0.25, 2.0)] {
        let errors: Vec<f64> = [0.4, 0.2, 0.1, 0.05]
            .map(|h| {
                let x = exact(t);
                let mut stages = Stages::new(&Explicit::DORMAND_PRINCE, 2);
                field(t, &x, &mut stages.k[0]).unwrap();
                stages.rest(&Explicit::DORMAND_PRINCE, &mut field, (t, t + h), &x).unwrap();
                let mut between = [0.0; 2];
                combine(&mut between, &x, h, &dense(s, Surd::f64), &stages.k);
                distance(&between, &exact(t + s * h))
            })
            .to_vec();
        for slope in slopes(&errors) {
            assert!((slope - 5.0).abs() <= 0.25, "at {s} from {t}: {errors:?}");
        }
    }
}

/// Kepler's ellipse of eccentricity 0.6, which is back after 2 pi: steps must change.
fn kepler(_t: f64, x: &[f64], v: &mut [f64]) -> Result<()> {
    for (v, x) in v.chunks_mut(4).zip(x.chunks(4)) {
        let r3 = (x[0] * x[0] + x[1] * x[1]).powf(1.5);
        v.copy_from_slice(&[x[2], x[3], -x[0] / r3, -x[1] / r3]);
    }
    Ok(())
}

const PERIHELION: [f64; 4] = [0.4, 0.0, 0.0, 2.0];

#[test]
fn errors_follow_the_tolerance() {
    for tolerance in [1e-4, 1e-6, 1e-8, 1e-10] {
        let mut x = PERIHELION;
        let solver = DormandPrince::new(tolerance, tolerance).unwrap();
        let steps = solver.solve(&mut kepler, 4, &mut x, &[0.0, std::f64::consts::TAU], &mut |_, _| ()).unwrap();
        let error = distance(&x, &PERIHELION);
        assert!(error <= 600.0 * tolerance && error >= 0.01 * tolerance, "{tolerance}: {error}");
        assert!(steps.evaluations == 2 + 6 * (steps.accepted + steps.rejected), "{steps:?}");
        assert!(tolerance > 1e-9 || steps.accepted < 700, "{steps:?}");
    }
}

#[test]
fn an_easy_crowd_does_not_spoil_a_hard_row() {
    let crowd = 500;
    let mut batch: Vec<f64> = PERIHELION.iter().copied().chain([1.0, 0.0, 0.0, 1.0].repeat(crowd)).collect();
    let solver = DormandPrince::new(1e-6, 1e-6).unwrap();
    let end = [0.0, std::f64::consts::TAU];
    let (mut alone, mut all) = (PERIHELION, 0);
    let one = solver.solve(&mut kepler, 4, &mut alone, &end, &mut |_, _| ()).unwrap();
    let steps = solver.solve(&mut kepler, 4, &mut batch, &end, &mut |_, x| all = x.len()).unwrap();
    assert!(all == batch.len() && steps.accepted + 2 >= one.accepted, "{steps:?} {one:?}");
    assert!(distance(&batch[..4], &PERIHELION) <= 2.0 * distance(&alone, &PERIHELION));
}

#[test]
fn dense_times_are_met_both_ways_and_time_stays_inside() {
    for (from, to) in [(0.0, 3.0), (3.0, 0.0)] {
        let times = uniform(from, to, 97);
        let mut inside = |t: f64, x: &[f64], v: &mut [f64]| {
            assert!((0.0..=3.0).contains(&t), "{t}");
            field(t, x, v)
        };
        let (mut x, mut worst, mut order) = (exact(from), 0f64, vec![]);
        let steps = DormandPrince::new(1e-8, 1e-8)
            .unwrap()
            .solve(&mut inside, 2, &mut x, &times, &mut |i, x| {
                order.push(i);
                worst = worst.max(distance(x, &exact(times[i])));
            })
            .unwrap();
        assert!(order.iter().copied().eq(0..98) && worst <= 1e-6 && steps.accepted < 60, "{worst} {steps:?}");
        assert!(distance(&x, &exact(to)) <= 2e-8);
    }
}

#[test]
fn single_precision_serves_too() {
    let mut decay = |_t: f64, x: &[f32], v: &mut [f32]| {
        v.iter_mut().zip(x).for_each(|(v, x)| *v = -x);
        Ok(())
    };
    let mut x = vec![1f32; 10_000];
    DormandPrince::new(1e-5, 1e-5).unwrap().solve(&mut decay, 1, &mut x, &[0.0, 2.0], &mut |_, _| ()).unwrap();
    assert!(x.iter().all(|x| (x - (-2f32).exp()).abs() <= 1e-5));
    let e = DormandPrince::new(1e-8, 1e-8).unwrap().solve(&mut decay, 1, &mut x, &[0.0, 2.0], &mut |_, _| ()).unwrap_err();
    assert!(e.to_string().contains("in f32"), "{e}");
}

/// Probability flow (eq. 4) with an exact score.
#[test]
fn the_flow_carries_a_gaussian_law() {
    // Data N(0, v0): the law at t is N(0, v(t)), the score -x / v, and the flow moves x_0 to x_0 (v(t) / v0)^(1/2).
    let (v0, clock) = (0.3, Clock::linear(0.1, 8.0, 1.0).unwrap());
    let preserving = VariancePreserving::new(2, clock).unwrap();
    let at = |t: f64| {
        let decay = (-clock.integral(0.0, t)).exp();
        v0 * decay + 1.0 - decay
    };
    let score = |t: f64, x: &[f64], s: &mut [f64]| {
        s.iter_mut().zip(x).for_each(|(s, x)| *s = -x / at(t));
        Ok(())
    };
    let start: Vec<f64> = (0..2 * 101).map(|i| 0.01 * f64::from(i) - 1.0).collect();
    let mut x = start.clone();
    let mut flow = ProbabilityFlow::new(&preserving, score);
    let solver = DormandPrince::new(1e-9, 1e-9).unwrap();
    solver.solve(&mut flow, 2, &mut x, &[0.0, 1.0], &mut |_, _| ()).unwrap();
    let factor = (at(1.0) / v0).sqrt();
    assert!(x.iter().zip(&start).all(|(x, s)| (x - s * factor).abs() <= 1e-7));
    Explicit::HEUN.solve(&mut flow, 2, &mut x, &uniform(1.0, 0.0, 400), &mut |_, _| ()).unwrap();
    assert!(x.iter().zip(&start).all(|(x, s)| (x - s).abs() <= 1e-3));

    let exploding = VarianceExploding::new(1, 1.0).unwrap();
    let score = |t: f64, x: &[f64], s: &mut [f64]| {
        s.iter_mut().zip(x).for_each(|(s, x)| *s = -x / (v0 + t * t));
        Ok(())
    };
    let mut x = [1.0];
    solver.solve(&mut ProbabilityFlow::new(&exploding, score), 1, &mut x, &[2.0, 0.0], &mut |_, _| ()).unwrap();
    assert!((x[0] - (v0 / (v0 + 4.0)).sqrt()).abs() <= 1e-7);
}

#[test]
fn failures_are_sentences() {
    let solver = DormandPrince::new(1e-6, 1e-6).unwrap();
    let mut square = |_t: f64, x: &[f64], v: &mut [f64]| {
        v.iter_mut().zip(x).for_each(|(v, x)| *v = x * x);
        Ok(())
    };
    let none: &mut dyn FnMut(usize, &[f64]) = &mut |_, _| ();
    // x = 1 / (1 - t) ends at t = 1.
    let e = solver.solve(&mut square, 1, &mut [1.0], &[0.0, 2.0], none).unwrap_err().to_string();
    assert!(e.contains("below rounding at time 1.0"), "{e}");
    let e = Explicit::RK4.solve(&mut square, 1, &mut [0.0, 1e200], &[0.0, 1.0, 2.0], none).unwrap_err().to_string();
    assert!(e.contains("row 1 by the method rk4") && e.contains("step 0"), "{e}");
    let e = solver.max_steps(5).solve(&mut kepler, 4, &mut PERIHELION.clone(), &[0.0, 9.0], none).unwrap_err().to_string();
    assert!(e.contains("too many steps") && e.contains("5 iterations"), "{e}");

    let mut late = |t: f64, x: &[f64], v: &mut [f64]| {
        v.copy_from_slice(x);
        v[1] = if t > 0.5 { f64::NAN } else { 0.0 };
        Ok(())
    };
    let e = solver.solve(&mut late, 1, &mut [1.0, 1.0, 1.0], &[0.0, 1.0], none).unwrap_err().to_string();
    assert!(e.contains("row 1") && (e.contains("time 0.5") || e.contains("time 0.49999")) && e.contains("NaN"), "{e}");
    let e = solver.solve(&mut late, 1, &mut [1.0, 1.0], &[0.6, 1.0], none).unwrap_err().to_string();
    assert!(e.contains("row 1") && e.contains("time 0.6"), "{e}");

    let mut refusing = |_t: f64, _x: &[f64], _v: &mut [f64]| Err(Error::refused("network", "is not there"));
    for e in [
        solver.solve(&mut refusing, 1, &mut [1.0], &[0.0, 1.0], none).unwrap_err(),
        Explicit::HEUN.solve(&mut refusing, 1, &mut [1.0], &[0.0, 1.0], none).unwrap_err(),
    ] {
        assert!(e.to_string().contains("is not there"), "{e}");
    }
    for times in [&[0.0][..], &[0.0, 0.0], &[0.0, 1.0, 0.5], &[1.0, 0.0, 0.5], &[0.0, f64::NAN], &[0.0, f64::INFINITY]] {
        assert!(solver.solve(&mut square, 1, &mut [1.0], times, none).is_err(), "{times:?}");
        assert!(Explicit::RK4.solve(&mut square, 1, &mut [1.0], times, none).is_err(), "{times:?}");
    }
    assert!(solver.solve(&mut square, 2, &mut [1.0], &[0.0, 1.0], none).is_err());
    assert!(solver.solve(&mut square, 1, &mut [f64::NAN], &[0.0, 1.0], none).is_err());
    assert!(DormandPrince::new(0.0, 1.0).is_err() && DormandPrince::new(1.0, f64::NAN).is_err());
}
