mod laws;

use super::*;
use crate::mixture::{Covariances, Evaluator, Mixture};
use crate::nn::{Inference, ScoreNet};
use crate::real::Dual;
use crate::rng::Purpose;
use crate::sde::{EulerMaruyama, Grid, Isotropic, Paths, Sde, Sra1, Sriw1, Time, simulate};
use ndarray::{Array1, Array2, Axis, array};

const PATHS: Paths = Paths { seed: 11, purpose: Purpose::Test, step: 0 };
/// 99.999 % of a standard normal lies within.
const SIGMAS: f64 = 4.42;

/// f(x, t) and sigma(x, t) [d, m], as the equation computes them; every lane must agree.
fn coefficients<R: Real, S: Sde<R>>(sde: &S, t: f64, x: &[R]) -> (Array1<R>, Array2<R>) {
    let (d, m) = (sde.dim(), sde.noises());
    let lanes: Vec<[R; W]> = x.iter().map(|x| [*x; W]).collect();
    let (mut out, mut scratch) = (vec![[R::nan(); W]; d], sde.scratch());
    let take = |out: &[[R; W]]| out.iter().map(|o| if o.iter().all(|v| *v == o[0]) { o[0] } else { R::nan() }).collect::<Vec<R>>();
    sde.drift::<false>(&Time::Common(t), &lanes, &mut out, &mut scratch);
    let f = take(&out);
    sde.drift::<false>(&Time::Lanes([t; W]), &lanes, &mut out, &mut scratch);
    assert!(take(&out) == f, "a common time and each path's own differ");
    let mut sigma = Array2::from_elem((d, m), R::zero());
    for k in 0..m {
        let mut w = vec![[R::zero(); W]; m];
        w[k] = [R::one(); W];
        sde.diffuse::<false>(&Time::Lanes([t; W]), &lanes, &w, &mut out, &mut scratch);
        let own = take(&out);
        sde.diffuse::<false>(&Time::Common(t), &lanes, &w, &mut out, &mut scratch);
        assert!(take(&out) == own, "a common time and each path's own differ");
        sigma.column_mut(k).assign(&Array1::from(own));
    }
    (Array1::from(f), sigma)
}

fn close(a: &Array2<f64>, b: &Array2<f64>, tolerance: f64) -> bool {
    let scale = a.iter().chain(b).fold(0f64, |m, v| m.max(v.abs()));
    a.dim() == b.dim() && a.iter().zip(b).all(|(a, b)| (a - b).abs() <= tolerance * scale)
}

/// A drift that turns and contracts, with three Brownian motions.
fn matrix_process() -> OrnsteinUhlenbeck {
    let (a, s) = (array![[1.0, -2.0], [0.7, 0.5]], array![[0.3, 0.0, 1.0], [-0.4, 0.8, 0.1]]);
    OrnsteinUhlenbeck::new(a.view(), array![0.5, -1.0].view(), s.view()).unwrap()
}

#[test]
fn time_changes_are_the_processes_with_schedules() {
    let unit = Clock::constant(1.0).unwrap();
    for clock in [Clock::linear(0.1, 20.0, 1.0).unwrap(), Clock::cosine(1.0, 0.008, 9.0).unwrap()] {
        let direct = (VariancePreserving::new(2, clock).unwrap(), SubVariancePreserving::new(2, clock).unwrap());
        let changed = (
            TimeChanged::new(VariancePreserving::new(2, unit).unwrap(), clock),
            TimeChanged::new(SubVariancePreserving::new(2, unit).unwrap(), clock),
        );
        for t in [0.0, 0.3, 0.99, 1.0] {
            let x = [0.4, -2.0];
            for ((f, s), (g, r)) in [
                (coefficients(&direct.0, t, &x), coefficients(&changed.0, t, &x)),
                (coefficients(&direct.1, t, &x), coefficients(&changed.1, t, &x)),
            ] {
                assert!(close(&f.insert_axis(Axis(0)), &g.insert_axis(Axis(0)), 1e-14) && close(&s, &r, 1e-14), "t = {t}");
            }
            let preserving = (Isotropic::<f64>::noise(&direct.0, t, 0.2), Isotropic::<f64>::noise(&changed.0, t, 0.2));
            let sub = (Isotropic::<f64>::noise(&direct.1, t, 0.2), Isotropic::<f64>::noise(&changed.1, t, 0.2));
            for (a, b) in [preserving, sub] {
                assert!((a / b - 1.0).abs() <= 1e-12, "{a} {b}");
            }
        }
    }
    // int sigma^2 of the sub-preserving process and of straight paths, by Simpson's rule.
    fn is_the_integral(sde: &impl Isotropic<f64>) {
        let square = |t: f64| sde.sigma(t).powi(2);
        let (n, h) = (400, 0.5 / 400.0);
        let simpson: f64 =
            (0..n).map(|i| 0.3 + h * f64::from(i)).map(|t| h / 6.0 * (square(t) + 4.0 * square(t + h / 2.0) + square(t + h))).sum();
        assert!((sde.noise(0.3, 0.5) - simpson.sqrt()).abs() <= 1e-10);
    }
    is_the_integral(&SubVariancePreserving::new(1, Clock::linear(0.1, 3.0, 1.0).unwrap()).unwrap());
    is_the_integral(&Straight::new(1).unwrap());
}

/// Ito's formula for X = u(t, b, i) with di = rate(t, b) dt: the drift u_t + u_bb/2 + rate u_i and the noise
/// u_b, by central differences, must be the equation's.
fn solves<S: Sde<f64>>(sde: &S, u: impl Fn(f64, f64, f64) -> f64, rate: impl Fn(f64, f64) -> f64) {
    let h = 1e-4;
    for (t, b, i) in [(0.5, 0.3, 0.4), (1.0, -0.8, 0.9), (0.1, 0.0, 0.1)] {
        let [ut, ub, ui] = [(h, 0.0, 0.0), (0.0, h, 0.0), (0.0, 0.0, h)]
            .map(|(dt, db, di)| (u(t + dt, b + db, i + di) - u(t - dt, b - db, i - di)) / (2.0 * h));
        let ubb = (u(t, b + h, i) - 2.0 * u(t, b, i) + u(t, b - h, i)) / (h * h);
        let (f, sigma) = coefficients(sde, t, &[u(t, b, i)]);
        assert!((f[0] - (ut + 0.5 * ubb + rate(t, b) * ui)).abs() <= 1e-6, "drift {} at {t}", f[0]);
        assert!((sigma[[0, 0]] - ub).abs() <= 1e-7, "noise {} at {t}", sigma[[0, 0]]);
    }
}

#[test]
fn exact_solutions_satisfy_itos_formula() {
    let tanh = Tanh::new(1, 0.3, 0.7).unwrap();
    solves(&tanh, |t, b, _| tanh.exact(0.1, t, b), |_, _| 0.0);
    let gl = GinzburgLandau::new(1, 0.6, 1.3, 0.5).unwrap();
    solves(&gl, |t, b, i| gl.exact(0.8, t, b, i), |t, b| (2.0 * (0.6 * t + 0.5 * b)).exp());
    let gbm = GeometricBrownian::new(vec![0.2], vec![0.4]).unwrap();
    solves(&gbm, |t, b, _| gbm.exact(&[1.5], t, &[b])[0], |_, _| 0.0);
}

/// Mean of `values` and its standard error.
fn mean(values: impl Iterator<Item = f64> + Clone) -> (f64, f64) {
    let n = values.clone().count() as f64;
    let m = values.clone().sum::<f64>() / n;
    (m, (values.map(|v| (v - m).powi(2)).sum::<f64>() / n / n).sqrt())
}

#[test]
fn moments_of_simulated_paths() {
    let cir = CoxIngersollRoss::new(1, 1.5, 1.0, 0.6).unwrap();
    assert!(cir.never_zero());
    let mut x = vec![2.0; 8000];
    simulate(&Sriw1, &cir, &Grid::Uniform.times(1.0, 100).unwrap(), &mut x, PATHS).unwrap();
    let (m, v) = cir.moments(2.0, 1.0);
    let ((first, se), (second, se2)) = (mean(x.iter().copied()), mean(x.iter().map(|x| (x - m).powi(2))));
    assert!((first - m).abs() <= SIGMAS * se && (second - v).abs() <= SIGMAS * se2, "{first} {m}, {second} {v}");
    assert!((cir.moments(9.0, f64::INFINITY).1 - 0.36 / 3.0).abs() <= 1e-15);

    // Below Feller's condition steps land below 0; the mean still relaxes as it must, up to the error of the
    // steps.
    let rough = CoxIngersollRoss::new(1, 1.0, 0.5, 1.5).unwrap();
    assert!(!rough.never_zero());
    let mut x = vec![0.1; 20_000];
    simulate(&EulerMaruyama, &rough, &Grid::Uniform.times(1.0, 400).unwrap(), &mut x, PATHS).unwrap();
    let (first, se) = mean(x.iter().copied());
    assert!(x.iter().any(|x| *x < 0.0) && (first - rough.moments(0.1, 1.0).0).abs() <= SIGMAS * se + 0.01, "{first}");

    let gl = GinzburgLandau::new(2, 1.0, 2.0, 0.7).unwrap();
    let mut x = vec![0.5; 8000];
    simulate(&Sriw1, &gl, &Grid::Uniform.times(6.0, 300).unwrap(), &mut x, PATHS).unwrap();
    let (second, fourth) = gl.stationary_moments().unwrap();
    for (values, exact) in [(mean(x.iter().map(|x| x * x)), second), (mean(x.iter().map(|x| x.powi(4))), fourth)] {
        assert!((values.0 - exact).abs() <= SIGMAS * values.1, "{values:?} {exact}");
    }
    assert!(GinzburgLandau::new(1, -1.0, 1.0, 1.0).unwrap().stationary_moments().is_none());
}

#[test]
fn lorenz_rests_at_its_fixed_points() {
    let (lorenz, c) = (Lorenz::classic(0.5).unwrap(), (8.0f64 / 3.0 * 27.0).sqrt());
    for x in [[c, c, 27.0], [-c, -c, 27.0], [0.0; 3]] {
        assert!(coefficients(&lorenz, 0.0, &x).0.iter().all(|f| f.abs() <= 1e-13));
    }
    let (f, sigma) = coefficients(&lorenz, 0.0, &[1.0, 2.0, 3.0]);
    assert_eq!((f, sigma), (array![10.0, 23.0, -6.0], Array2::eye(3) * 0.5));
}

/// Langevin dynamics toward one Gaussian (eq. 2), with a mobility, are the Ornstein-Uhlenbeck process.
#[test]
fn langevin_dynamics_of_a_gaussian_are_linear() {
    let (m, c, mobility) = (array![0.5, -1.0], array![[1.2, 0.5], [0.5, 0.6]], array![[2.0, 0.3], [0.3, 0.4]]);
    let law = Mixture::new(array![1.0], m.clone().insert_axis(Axis(0)), Covariances::Full(c.clone().insert_axis(Axis(0)))).unwrap();
    let precision = array![[0.6, -0.5], [-0.5, 1.2]] / (1.2 * 0.6 - 0.25);
    let (beta, x) = (1.6, [0.3, 0.9]);

    let preconditioned = Preconditioned::new(Evaluator::<f64>::new(&law), beta, mobility.view()).unwrap();
    let (f, s) = coefficients(&preconditioned, 0.0, &x);
    let a = mobility.dot(&precision) * (beta / 2.0);
    let twin = OrnsteinUhlenbeck::new(a.view(), m.view(), s.view()).unwrap();
    let (g, _) = coefficients(&twin, 0.0, &x);
    assert!(close(&f.insert_axis(Axis(0)), &g.insert_axis(Axis(0)), 1e-13));
    assert!(close(&s.dot(&s.t()), &(&mobility * beta), 1e-14) && close(&twin.stationary_covariance().unwrap(), &c, 1e-13));

    let langevin = Langevin::<f64>::new(&law, beta).unwrap();
    let closure = force_fn(2, |_t, x: &[f64], s| {
        let y = [x[0] - 0.5, x[1] + 1.0];
        s[0] = -(0.6 * y[0] - 0.5 * y[1]) / 0.47;
        s[1] = -(-0.5 * y[0] + 1.2 * y[1]) / 0.47;
    });
    let closure = Overdamped::toward(closure.unwrap(), beta).unwrap();
    let ((f, s), (g, r)) = (coefficients(&langevin, 0.0, &x), coefficients(&closure, 0.0, &x));
    assert!(close(&f.insert_axis(Axis(0)), &g.insert_axis(Axis(0)), 1e-13) && s == r);

    let well = Underdamped::new(DriftOf(DoubleWell::new(1, 1.0).unwrap()), 0.5, 0.9).unwrap();
    let (f, s) = coefficients(&well, 0.0, &[2.0, 3.0]);
    assert_eq!((f, s), (array![3.0, 2.0 - 8.0 - 1.5], array![[0.0], [0.9f64.sqrt()]]));
}

#[test]
fn closures_are_processes() {
    let grid = Grid::Uniform.times(1.0, 50).unwrap();
    let (mut a, mut b) = (vec![0.3; 40], vec![0.3; 40]);
    simulate(&Sra1, &DoubleWell::new(2, 0.5).unwrap(), &grid, &mut a, PATHS).unwrap();
    let own = from_fn(2, |_t, x, f| (0..2).for_each(|j| f[j] = x[j] - f64::powi(x[j], 3)), 0.5).unwrap();
    simulate(&Sra1, &own, &grid, &mut b, PATHS).unwrap();
    assert!(a.iter().zip(&b).all(|(a, b)| (a - b).abs() <= 1e-12));

    simulate(&Sriw1, &GeometricBrownian::new(vec![0.1, 0.2], vec![0.5, 0.3]).unwrap(), &grid, &mut a, PATHS).unwrap();
    let own = from_fn_diagonal(
        2,
        |_t, x: &[f64], f: &mut [f64]| (f[0], f[1]) = (0.1 * x[0], 0.2 * x[1]),
        |_t, x: &[f64], s: &mut [f64]| (s[0], s[1]) = (0.5 * x[0], 0.3 * x[1]),
    );
    simulate(&Sriw1, &own.unwrap(), &grid, &mut b, PATHS).unwrap();
    assert!(a.iter().zip(&b).all(|(a, b)| (a - b).abs() <= 1e-11));

    let late = from_fn(1, |t, _x, f: &mut [f64]| f[0] = if t > 0.5 { f64::NAN } else { 0.0 }, 1.0).unwrap();
    let e = simulate(&EulerMaruyama, &late, &grid, &mut [0.0; 3], PATHS).unwrap_err().to_string();
    assert!(e.contains("path 0") && e.contains("step 27"), "{e}");
}

#[test]
fn a_network_is_a_force() {
    let net = ScoreNet::new(1, 8, 2, 3).unwrap();
    let params: Vec<f64> = net.init(3).iter().map(|p: &f64| p + 0.1).collect();
    let inputs = net.inputs();
    let rows = |x: &[f64]| {
        let mut rows = vec![0.0; x.len() * inputs];
        for (row, x) in rows.chunks_mut(inputs).zip(x) {
            row[0] = *x;
            net.features(-1.0, &mut row[1..]).unwrap();
        }
        rows
    };
    let force = force_blocks(
        1,
        || Inference::new(&net, &params).ok(),
        |network, _t, x: &[f64], out| {
            let ran = network.as_mut().map(|network| network.run(&rows(x), out));
            if !matches!(ran, Some(Ok(()))) {
                out.fill(f64::NAN);
            }
        },
    );
    let (f, _) = coefficients(&Overdamped::toward(force.unwrap(), 2.0).unwrap(), 0.0, &[0.4]);
    let mut out = [0.0];
    Inference::new(&net, &params).unwrap().run(&rows(&[0.4]), &mut out).unwrap();
    assert!((f[0] - out[0]).abs() <= 1e-15 && out[0] != 0.0, "{f} {out:?}");
}

#[test]
fn coefficients_differentiate_by_duals() {
    let slope = |f: Array1<Dual<f64>>| f[0].tangent;
    let x = Dual::new(0.8, 1.0);
    let gl = coefficients(&GinzburgLandau::new(1, 0.6, 1.3, 0.5).unwrap(), 0.0, &[x]).0;
    assert!((slope(gl) - (0.6 + 0.125 - 3.9 * 0.64)).abs() <= 1e-15);
    // At and below 0 the root has no slope, not an infinite one.
    for at in [0.0, -0.1] {
        let (f, s) = coefficients(&CoxIngersollRoss::new(1, 1.0, 1.0, 1.0).unwrap(), 0.0, &[Dual::new(at, 1.0)]);
        assert!(s[[0, 0]].value == 0.0 && s[[0, 0]].tangent == 0.0 && slope(f) == 0.0);
    }
}

#[test]
fn bad_parameters_are_refused_in_words() {
    let one = Clock::constant(1.0).unwrap();
    let square = array![[1.0, 2.0], [3.0, 4.0]];
    let refused = [
        DoubleWell::new(0, 1.0).err(),
        GinzburgLandau::new(1, 1.0, 0.0, 1.0).err(),
        GinzburgLandau::new(1, f64::NAN, 1.0, 1.0).err(),
        CoxIngersollRoss::new(1, -1.0, 1.0, 1.0).err(),
        Tanh::new(1, 1.0, f64::INFINITY).err(),
        Lorenz::classic(0.0).err(),
        Harmonic::new(0, 1.0).err(),
        Underdamped::critically_damped(1, 1.0, -1.0).err(),
        VariancePreserving::new(0, one).err(),
        SubVariancePreserving::new(0, one).err(),
        VariancePreserving::new(1, one).unwrap().law(1.0, 0.5).err(),
        VarianceExploding::new(1, 1.0).unwrap().law(-1.0, 0.5).err(),
        matrix_process().law(0.0, f64::INFINITY).err(),
        OrnsteinUhlenbeck::new(square.view(), array![0.0].view(), square.view()).err(),
        OrnsteinUhlenbeck::new((&square * f64::NAN).view(), array![0.0, 0.0].view(), square.view()).err(),
        OrnsteinUhlenbeck::new((&square * -1e3).view(), array![0.0, 0.0].view(), square.view()).unwrap().law(0.0, 9.0).err(),
        Preconditioned::new::<f64>(Harmonic::new(2, 1.0).unwrap(), 1.0, square.view()).err(),
        Preconditioned::new::<f64>(Harmonic::new(1, 1.0).unwrap(), 1.0, square.view()).err(),
        force_fn(0, |_, _: &[f64], _: &mut [f64]| ()).err(),
        from_fn(1, |_, _: &[f64], _: &mut [f64]| (), 0.0).err(),
    ];
    for (i, e) in refused.iter().enumerate() {
        assert!(e.as_ref().is_some_and(|e| e.to_string().len() > 20), "case {i}: {e:?}");
    }
}
