//! Transition laws of linear equations.

use super::*;

/// A transition law is right if it composes, and begins as drift and noise say.
fn is_the_law_of<S: Linear + Sde<f64>>(name: &str, sde: &S) {
    is_the_law_until(name, sde, 1.3);
}

/// The same with times up to `u`.
fn is_the_law_until<S: Linear + Sde<f64>>(name: &str, sde: &S, u: f64) {
    let (s, t) = (0.2, 0.5);
    let [st, tu, su] = [(s, t), (t, u), (s, u)].map(|(a, b)| sde.law(a, b).unwrap());
    // Beside 1: a map that forgets nearly everything may be off by the rounding of 1.
    assert!((su.map() - tu.map().dot(&st.map())).iter().all(|e| e.abs() <= 1e-14), "{name}: maps");
    let shift = tu.map().dot(&st.shift()) + tu.shift();
    assert!(su.shift().iter().zip(&shift).all(|(a, b)| (a - b).abs() <= 1e-13), "{name}: shifts");
    let covariance = tu.map().dot(&st.covariance()).dot(&tu.map().t()) + tu.covariance();
    assert!(close(&su.covariance(), &covariance, 1e-13), "{name}: covariances {} {covariance}", su.covariance());

    let h = 1e-6;
    let law = sde.law(t, t + h).unwrap();
    let x = Array1::from_shape_fn(Sde::dim(sde), |j| 0.7 - 0.4 * j as f64);
    let mean = law.map().dot(&x) + law.shift();
    let middle = (&mean + &x) * 0.5;
    let (f, sigma) = coefficients(sde, t + h / 2.0, middle.as_slice().unwrap());
    let rate = (mean - x) / h;
    assert!(close(&rate.insert_axis(Axis(0)), &f.insert_axis(Axis(0)), 1e-8), "{name}: drift");
    assert!(close(&(law.covariance() / h), &sigma.dot(&sigma.t()), 1e-4), "{name}: noise {} {sigma}", law.covariance() / h);
    let same = sde.law(t, t).unwrap();
    assert!(close(&same.map(), &Array2::eye(x_dim(sde)), 0.0) && same.covariance().iter().all(|v| *v == 0.0), "{name}: no step");
}

fn x_dim<S: Sde<f64>>(sde: &S) -> usize {
    sde.dim()
}

/// The exact one-step laws of the linear processes (eq. 13).
#[test]
fn exact_laws_are_those_of_their_equations() {
    let clocks = [Clock::constant(0.8), Clock::linear(0.1, 3.0, 1.0), Clock::cosine(1.1, 0.008, 6.0)].map(Result::unwrap);
    for clock in clocks {
        is_the_law_of("vp", &VariancePreserving::new(2, clock).unwrap());
        is_the_law_of("sub-vp", &SubVariancePreserving::new(2, clock).unwrap());
        is_the_law_of("time-changed", &TimeChanged::new(matrix_process(), clock));
        is_the_law_of("time-changed ve", &TimeChanged::new(VarianceExploding::new(1, 0.7).unwrap(), clock));
    }
    is_the_law_of("ve", &VarianceExploding::new(2, 0.7).unwrap());
    let straight = Straight::new(2).unwrap();
    is_the_law_until("straight", &straight, 0.9);
    let law = straight.law(0.0, 0.7).unwrap();
    assert!((law.decay() - 0.3).abs() <= 1e-15 && (law.sd() - 0.7).abs() <= 1e-15, "{law:?}");
    assert!(straight.law(0.5, 1.0).is_err() && Straight::new(0).is_err());
    is_the_law_of("ou", &matrix_process());
    is_the_law_of("critically damped", &Underdamped::critically_damped(2, 1.7, 0.4).unwrap());
    is_the_law_of("damped", &Underdamped::new(Harmonic::new(1, 2.0).unwrap(), 0.3, 0.9).unwrap());
}

#[test]
fn a_planted_error_is_not_the_law() {
    struct Wrong(VariancePreserving);
    impl Linear for Wrong {
        type Transition = ScalarLaw;
        fn law(&self, from: f64, to: f64) -> Result<ScalarLaw> {
            let law = self.0.law(from, to)?;
            Ok(ScalarLaw::new(1, law.decay(), law.sd() * 1.01))
        }
    }
    let right = VariancePreserving::new(1, Clock::constant(1.0).unwrap()).unwrap();
    let law = Wrong(right).law(0.0, 1e-6).unwrap();
    let (_, sigma) = coefficients(&right, 0.0, &[0.0f64]);
    assert!(!close(&(law.covariance() / 1e-6), &sigma.dot(&sigma.t()), 1e-4));
}

#[test]
fn known_covariances() {
    // An integrated Brownian motion: Q = s^2 [[h^3/3, h^2/2], [h^2/2, h]], of a drift matrix without inverse.
    let integrated =
        OrnsteinUhlenbeck::new(array![[0.0, -1.0], [0.0, 0.0]].view(), array![0.0, 0.0].view(), array![[0.0], [2.0]].view()).unwrap();
    for h in [1e-5f64, 0.1, 30.0] {
        let law = integrated.law(0.0, h).unwrap();
        let exact = array![[h.powi(3) / 3.0, h * h / 2.0], [h * h / 2.0, h]] * 4.0;
        let (q, factor) = (law.covariance(), spread_matrix(&law));
        for ((q, e), l) in q.iter().zip(&exact).zip(&factor.dot(&factor.t())) {
            assert!((q - e).abs() <= 1e-14 * e && (l - e).abs() <= 1e-14 * e, "h = {h}: {q} {l} {e}");
        }
        assert!(close(&law.map(), &array![[1.0, h], [0.0, 1.0]], 1e-15));
    }
    assert!(integrated.stationary_covariance().is_err());

    // Stiff and slow together: no digit of the slow one is lost, and nothing overflows.
    let stiff = OrnsteinUhlenbeck::new(array![[1e6, 0.0], [0.0, 1.0]].view(), array![0.0, 0.0].view(), Array2::eye(2).view()).unwrap();
    let law = stiff.law(0.0, 1.0).unwrap();
    let slow = ((-1f64).exp(), -0.5 * (-2f64).exp_m1());
    assert!((law.map()[[1, 1]] - slow.0).abs() <= 1e-14 && (law.covariance()[[1, 1]] - slow.1).abs() <= 1e-14, "{law:?}");
    assert!(law.map()[[0, 0]].abs() <= 1e-14 && (law.covariance()[[0, 0]] * 2e6 - 1.0).abs() <= 1e-12, "{law:?}");

    // A C + C A^T = S S^T, and the Gibbs law of the spring.
    let (ou, c) = (matrix_process(), matrix_process().stationary_covariance().unwrap());
    let (a, (_, s)) = (array![[1.0, -2.0], [0.7, 0.5]], coefficients(&ou, 0.0, &[0.0f64, 0.0]));
    assert!(close(&(a.dot(&c) + c.dot(&a.t())), &s.dot(&s.t()), 1e-14), "{c}");
    let spring = Underdamped::critically_damped(1, 2.0, 0.8).unwrap().as_ornstein_uhlenbeck().unwrap();
    assert!(close(&spring.stationary_covariance().unwrap(), &array![[0.2, 0.0], [0.0, 0.8]], 1e-14));
    let law = spring.law(0.0, 1.0).unwrap();
    // Critical damping: q(t) = (1 + omega t) e^(-omega t) from q = 1, v = 0.
    assert!((law.map()[[0, 0]] - 3.0 * (-2f64).exp()).abs() <= 1e-14);
}

/// L, column by column.
fn spread_matrix<L: LinearLaw>(law: &L) -> Array2<f64> {
    let d = law.dim();
    let mut l = Array2::zeros((d, d));
    for k in 0..d {
        let (mut z, mut out) = (vec![[0.0; W]; d], vec![[0.0; W]; d]);
        z[k] = [1.0; W];
        law.spread::<f64, false>(&z, &mut out);
        l.column_mut(k).assign(&out.iter().map(|o| o[0]).collect::<Array1<f64>>());
    }
    l
}

#[test]
fn exact_steps_draw_from_the_law() {
    let law = matrix_process().law(0.0, 0.7).unwrap();
    let n = 20_011; // not a multiple of W
    let (start, mut x) = (array![1.0, 2.0], [1.0, 2.0].repeat(n));
    let mut single: Vec<f32> = x.iter().map(|x| *x as f32).collect();
    law.step(&mut x, PATHS).unwrap();
    law.step(&mut single, PATHS).unwrap();
    assert!(x.iter().zip(&single).all(|(a, b)| (a - f64::from(*b)).abs() <= 1e-4), "f32 follows f64");
    let (mean, c) = (law.map().dot(&start) + law.shift(), law.covariance());
    for i in 0..2 {
        for j in 0..=i {
            // Var of (x_i - m_i)(x_j - m_j) is C_ii C_jj + C_ij^2.
            let product: f64 = x.chunks(2).map(|x| (x[i] - mean[i]) * (x[j] - mean[j])).sum::<f64>() / n as f64;
            let se = ((c[[i, i]] * c[[j, j]] + c[[i, j]].powi(2)) / n as f64).sqrt();
            assert!((product - c[[i, j]]).abs() <= SIGMAS * se, "{i} {j}: {product} {}", c[[i, j]]);
        }
        let m = x.chunks(2).map(|x| x[i]).sum::<f64>() / n as f64;
        assert!((m - mean[i]).abs() <= SIGMAS * (c[[i, i]] / n as f64).sqrt(), "{m}");
    }
    assert!(law.step(&mut [0.0f64; 3], PATHS).is_err());
}

/// Short steps and long ones keep the digits of map, shift and covariance. A = [[a, c], [0, b]] has closed
/// forms: e^(-A h) = [[e^(-a h), -c (e^(-a h) - e^(-b h))/(b - a)], [0, e^(-b h)]].
#[test]
fn short_and_long_steps_keep_their_digits() {
    let relative = |got: f64, exact: f64, tolerance: f64, what: &str| {
        let error = (got / exact - 1.0).abs();
        assert!(error <= tolerance, "{what}: {got:e} for {exact:e}, off by {error:e}");
    };
    let ((a, b, c), m) = ((1.0, 2.0, 0.5), [3.0, -1.0]);
    let ou = OrnsteinUhlenbeck::new(array![[a, c], [0.0, b]].view(), array![m[0], m[1]].view(), Array2::eye(2).view()).unwrap();
    for h in [1e-12, 1e-9, 1e-6, 1e-3, 0.1, 1.0, 10.0, 30.0, 100.0] {
        let law = ou.law(0.0, h).unwrap();
        let (map, shift) = (law.map(), law.shift());
        // As differences that do not cancel: e^(-a h) - e^(-b h) = -e^(-a h) (e^(-(b - a) h) - 1).
        let upper = c / (b - a) * (-a * h).exp() * (-(b - a) * h).exp_m1();
        // A matrix is right to the rounding of |A| h, as e^(-a h) is for a h that is.
        let tolerance = 1e-14 * (1.0 + h);
        relative(map[[0, 0]], (-a * h).exp(), tolerance, &format!("map at {h}"));
        relative(map[[1, 1]], (-b * h).exp(), 4.0 * tolerance, &format!("map at {h}"));
        relative(map[[0, 1]], upper, 4.0 * tolerance, &format!("map at {h}"));
        relative(shift[0], -(-a * h).exp_m1() * m[0] - upper * m[1], 1e-14, &format!("shift at {h}"));
        relative(shift[1], -(-b * h).exp_m1() * m[1], 1e-14, &format!("shift at {h}"));
        relative(law.covariance()[[1, 1]], -(-2.0 * b * h).exp_m1() / (2.0 * b), 1e-14, &format!("covariance at {h}"));
    }
    // Coordinates that do not touch each other: the slow one does not cost the fast one its digits, nor the
    // other way round.
    let apart = OrnsteinUhlenbeck::new(array![[20.0, 0.0], [0.0, 1e-3]].view(), array![1.0, 1.0].view(), Array2::eye(2).view()).unwrap();
    let law = apart.law(0.0, 3.0).unwrap();
    relative(law.map()[[0, 0]], (-60f64).exp(), 1e-12, "fast");
    relative(law.map()[[1, 1]], (-3e-3f64).exp(), 1e-15, "slow");
    relative(law.shift()[1], -(-3e-3f64).exp_m1(), 1e-14, "slow shift");
    // A spring swings, and its matrix is none of the above: against the Taylor series.
    let (drift, mean) = (array![[0.0, -1.0], [4.0, 0.3]], array![1.5, 0.25]);
    let spring = OrnsteinUhlenbeck::new(drift.view(), mean.view(), array![[0.0], [1.0]].view()).unwrap();
    for h in [1e-9, 1e-6, 1e-3, 0.1] {
        let (mut term, mut series) = (mean.clone(), Array1::<f64>::zeros(2));
        for n in 1..30 {
            term = drift.dot(&term) * (-h / f64::from(n));
            series -= &term;
        }
        let shift = spring.law(0.0, h).unwrap().shift();
        for j in 0..2 {
            relative(shift[j], series[j], 1e-14, &format!("spring at {h}"));
        }
    }
}
