//! Errors planted in laws and in a scheme for densities: each must fail a row that the right one passes.

use super::density::{density, scores};
use super::generator::{LORENZ, double_well, local, lorenz};
use super::grids::{D, conserved, well};
use crate::audit::Row;
use crate::mixture::{Covariances, Mixture};
use crate::real::Dual;
use crate::sde::{DoubleWell, Langevin, Lorenz, Step};
use crate::simd::W;
use crate::transition::law::Full;
use crate::transition::{Drift, Factor, FokkerPlanck, ItoTaylor, Line, LocalLinear, OneStep};
use crate::{Real, Result};
use ndarray::array;

type Lanes<R> = [[R; W]];

/// The law `right` after `bend` was at its mean and its covariance: `bend`(h, x, mean, C).
struct Bent<T, F> {
    right: T,
    bend: F,
}

impl<R: Real, T, F> OneStep<R> for Bent<T, F>
where
    T: OneStep<R, Factor = Full<R>>,
    F: Fn(R, &Lanes<R>, &mut Lanes<R>, &mut Lanes<R>) + Sync,
{
    type Factor = Full<R>;
    type Memory = T::Memory;
    fn dim(&self) -> usize {
        self.right.dim()
    }
    fn memory(&self) -> Self::Memory {
        self.right.memory()
    }
    fn law<const FMA: bool>(&self, step: &Step, x: &Lanes<R>, mean: &mut Lanes<R>, factor: &mut Full<R>, memory: &mut Self::Memory) {
        self.right.law::<FMA>(step, x, mean, factor, memory);
        let (d, l) = (x.len(), factor.l.clone());
        for a in 0..d {
            for b in 0..=a {
                factor.l[a * d + b] = std::array::from_fn(|i| (0..=b).map(|k| l[a * d + k][i] * l[b * d + k][i]).sum());
            }
        }
        let h: [R; W] = step.size(|h| h);
        (self.bend)(h[0], x, mean, &mut factor.l);
        factor.factorise::<FMA>();
    }
}

/// L^-1 for L^-T, and half of ln det C: what a slip in a score and in a normalisation would do.
struct Slipped<F>(F);

impl<R: Real, F: Factor<R>> Factor<R> for Slipped<F> {
    fn new(d: usize) -> Self {
        Slipped(F::new(d))
    }
    fn apply<const FMA: bool>(&self, z: &Lanes<R>, out: &mut Lanes<R>) {
        self.0.apply::<FMA>(z, out);
    }
    fn solve<const FMA: bool>(&self, v: &Lanes<R>, out: &mut Lanes<R>) {
        self.0.solve::<FMA>(v, out);
    }
    fn solve_transposed<const FMA: bool>(&self, v: &Lanes<R>, out: &mut Lanes<R>) {
        self.0.solve::<FMA>(v, out);
    }
    fn log_det<const FMA: bool>(&self) -> [R; W] {
        self.0.log_det::<FMA>().map(|v| R::of(0.5) * v)
    }
}

struct WithSlips<T>(T);

impl<R: Real, T: OneStep<R>> OneStep<R> for WithSlips<T> {
    type Factor = Slipped<T::Factor>;
    type Memory = T::Memory;
    fn dim(&self) -> usize {
        self.0.dim()
    }
    fn memory(&self) -> Self::Memory {
        self.0.memory()
    }
    fn law<const FMA: bool>(&self, step: &Step, x: &Lanes<R>, mean: &mut Lanes<R>, factor: &mut Self::Factor, memory: &mut Self::Memory) {
        self.0.law::<FMA>(step, x, mean, &mut factor.0, memory);
    }
}

/// Which of [mean, second moment] pass at the claimed order.
fn verdicts(rows: Result<Vec<Row>>) -> [bool; 2] {
    let rows = rows.unwrap();
    [rows[0].pass, rows[1].pass]
}

fn error(row: &Row, reference: &str) -> f64 {
    row.errors.iter().find(|e| e.reference == reference).unwrap().error
}

#[test]
fn a_wrong_term_of_mean_or_covariance_costs_the_order() {
    let (sde, sigma2) = (DoubleWell::new(1, 0.8).unwrap(), 0.64);
    type Bend<'a> = &'a (dyn Fn(f64, &Lanes<f64>, &mut Lanes<f64>, &mut Lanes<f64>) + Sync);
    let taylor = |bend: Bend| verdicts(local("", &Bent { right: ItoTaylor(sde), bend }, &double_well(), 3.0));
    let linear = |bend: Bend| verdicts(local("", &Bent { right: LocalLinear(sde), bend }, &double_well(), 3.0));
    // f' = 1 - 3 x^2, f'' = -6 x, M = (sigma^2/2) f''.
    let each = |out: &mut Lanes<f64>, x: &Lanes<f64>, change: &dyn Fn(f64) -> f64| (0..W).for_each(|i| out[0][i] += change(x[0][i]));
    assert_eq!(taylor(&|_, _, _, _| ()), [true, true]);
    assert_eq!(linear(&|_, _, _, _| ()), [true, true]);
    // The mean without M: its square is part of the second moment.
    let without_m: Bend = &|h, x, mean, _| each(mean, x, &|x| 1.5 * h * h * sigma2 * x);
    assert_eq!([taylor(without_m), linear(without_m)], [[false, false]; 2]);
    // - h^2 J a for + h^2 J a.
    let sign: Bend = &|h, x, _, c| each(c, x, &|x| -2.0 * h * h * sigma2 * (1.0 - 3.0 * x * x));
    assert_eq!([taylor(sign), linear(sign)], [[true, false]; 2]);
    // Kessler's second moment, sigma^2 (x f'' + 2 f') h^2/2, with the derivatives of sigma = 0 where those of
    // f belong.
    let kessler: Bend = &|h, x, _, c| each(c, x, &|x| -0.5 * h * h * sigma2 * (2.0 * (1.0 - 3.0 * x * x) - 6.0 * x * x));
    assert_eq!([taylor(kessler), linear(kessler)], [[true, false]; 2]);
}

#[test]
fn a_jacobian_that_was_not_made_symmetric_costs_the_order() {
    let [s, rho, beta] = LORENZ;
    let right = || ItoTaylor(Lorenz::new(s, rho, beta, 0.8).unwrap());
    assert_eq!(verdicts(local("", &right(), &lorenz(), 3.0)), [true, true]);
    // h^2 J a for (h^2/2) (J a + a J^T), of which the lower triangle is read.
    let bend = |h: f64, x: &Lanes<f64>, _: &mut Lanes<f64>, c: &mut Lanes<f64>| {
        for i in 0..W {
            let [x, y, z] = [x[0][i], x[1][i], x[2][i]];
            let j = [[-s, s, 0.0], [rho - z, -1.0, -x], [y, x, -beta]];
            for a in 0..3 {
                (0..=a).for_each(|b| c[3 * a + b][i] += 0.5 * h * h * 0.64 * (j[a][b] - j[b][a]));
            }
        }
    };
    assert_eq!(verdicts(local("", &Bent { right: right(), bend }, &lorenz(), 3.0)), [true, false]);
}

#[test]
fn slips_in_density_and_scores_are_seen() {
    let well = ItoTaylor(DoubleWell::new(1, 0.8).unwrap());
    let line = array![[0.5], [-1.2]];
    assert!(density("", &well, &well, &well, "", line.view()).unwrap().pass);
    let wrong = density("", &WithSlips(well.clone()), &well, &well, "", line.view()).unwrap();
    assert!(!wrong.pass && error(&wrong, "integral") >= 0.1, "{wrong:#?}");

    let covariances = ndarray::stack![ndarray::Axis(0), array![[0.5, 0.2], [0.2, 0.8]], array![[0.9, -0.3], [-0.3, 0.4]]];
    let pi = Mixture::new(array![0.4, 0.6], array![[-1.0, 0.5], [1.0, -0.2]], Covariances::Full(covariances)).unwrap();
    let plain = || ItoTaylor(Langevin::<f64>::new(&pi, 1.0).unwrap());
    let dual = || ItoTaylor(Langevin::<Dual<f64>>::new(&pi, 1.0).unwrap());
    let single = ItoTaylor(Langevin::<f32>::new(&pi, 1.0).unwrap());
    let starts = array![[0.5, 0.1], [-1.2, 2.0]];
    assert!(scores("", &plain(), &dual(), &single, "", starts.view()).unwrap().pass);
    let wrong = scores("", &WithSlips(plain()), &dual(), &single, "", starts.view()).unwrap();
    assert!(!wrong.pass && error(&wrong, "score by differences") >= 1e-3, "{wrong:#?}");
    // A score in the start that forgets that the covariance depends on the start too.
    let bend = |_, _: &Lanes<Dual<f64>>, _: &mut Lanes<Dual<f64>>, c: &mut Lanes<Dual<f64>>| {
        c.as_flattened_mut().iter_mut().for_each(|v| *v = Dual::constant(v.value));
    };
    let wrong = scores("", &plain(), &Bent { right: dual(), bend }, &single, "", starts.view()).unwrap();
    assert!(!wrong.pass && error(&wrong, "score in the start") >= 1e-3, "{wrong:#?}");
}

/// An implicit scheme with the fluxes of Chang and Cooper, and w as cell i sees it at its left and its right
/// face, by plain elimination; `open`: what flows to the right of the last cell is lost.
fn implicit(p: &mut Line, h: f64, steps: usize, w: &dyn Fn(&Line, usize) -> [f64; 2], open: bool) {
    let (n, c) = (p.density().len(), h / steps as f64 * D / p.spacing().powi(2));
    let rate = |w: f64| if w == 0.0 { c } else { c * w / w.exp_m1() };
    for _ in 0..steps {
        let (mut upper, mut rest) = (vec![0.0; n], vec![0.0; n]);
        for i in 0..n {
            let [left, right] = w(p, i);
            let (mut lower, mut pivot) = (0.0, 1.0);
            if i > 0 {
                lower = rate(-left);
                pivot += rate(left) - lower * upper[i - 1];
            }
            if i + 1 < n || open {
                pivot += rate(-right);
                upper[i] = rate(right) / pivot;
            }
            let before = if i > 0 { rest[i - 1] } else { 0.0 };
            rest[i] = (p.density()[i] + lower * before) / pivot;
        }
        let mut next = 0.0;
        for i in (0..n).rev() {
            next = rest[i] + if i + 1 < n { upper[i] * next } else { 0.0 };
            p.density_mut()[i] = next;
        }
    }
}

#[test]
fn a_flux_that_does_not_conserve_is_seen() {
    let equation = FokkerPlanck { drift: Drift::Potential(&well), diffusion: D };
    assert!(conserved(&|p, h, steps| equation.evolve(p, 0.0, h, steps)).unwrap().pass);
    let row = |w: &dyn Fn(&Line, usize) -> [f64; 2], open: bool| {
        conserved(&|p, h, steps| {
            implicit(p, h, steps, w, open);
            Ok(())
        })
        .unwrap()
    };
    let mass = |row: &Row| error(row, "mass, each step");
    let potential = |p: &Line, i: usize| [p.x(i) - p.spacing(), p.x(i), p.x(i) + p.spacing()].map(|x| well(x) / D);
    let at_faces = |p: &Line, i: usize| {
        let [a, b, c] = potential(p, i);
        [a - b, b - c]
    };
    // With the right weights the scheme of this test conserves, up to the rounding of its elimination.
    let right = row(&at_faces, false);
    assert!(mass(&right) <= 1e-6, "{right:#?}");
    // The right face's weight taken at the cell: the neighbour gets something else than the cell gives.
    let at_cell = |p: &Line, i: usize| [at_faces(p, i)[0], (p.x(i) - p.x(i).powi(3)) * p.spacing() / D];
    let wrong = row(&at_cell, false);
    assert!(!wrong.pass && mass(&wrong) >= 1e-2, "{wrong:#?}");
    // An end that leaks.
    let wrong = row(&at_faces, true);
    assert!(!wrong.pass && mass(&wrong) >= 1e-2, "{wrong:#?}");
}
