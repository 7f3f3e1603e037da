use super::*;
use crate::rng::{Purpose, Stream};
use ndarray::{Array1, Array2, array};

fn normals(n: usize, step: u64) -> Vec<f64> {
    let mut z = vec![0.0; n];
    Stream::new(7, Purpose::Test, step, 0).fill_normal(&mut z);
    z
}

/// y = e^z with the controls z and z^2 - 1: skewed, so that coefficients and means of one sample depend on
/// each other.
fn skewed(n: usize, step: u64) -> (Array1<f64>, Array2<f64>) {
    let z = normals(n, step);
    let c = Array2::from_shape_fn((n, 2), |(i, j)| if j == 0 { z[i] } else { z[i] * z[i] - 1.0 });
    (z.iter().map(|z| z.exp()).collect(), c)
}

/// Bias in standard errors over many repetitions, and the mean of (error/standard error)^2.
fn calibration(repetitions: u64, mut one: impl FnMut(u64) -> (f64, f64)) -> (f64, f64) {
    let (mut sum, mut square, mut scaled) = (0.0, 0.0, 0.0);
    for r in 0..repetitions {
        let (error, se) = one(r);
        (sum, square, scaled) = (sum + error, square + error * error, scaled + (error / se).powi(2));
    }
    let n = repetitions as f64;
    (sum / n / ((square / n - (sum / n).powi(2)) / n).sqrt(), scaled / n)
}

const MEAN: f64 = 1.648_721_270_700_128_2; // e^(1/2)

/// Two-sided 99.99 % of the normal law.
const SURE: f64 = 3.89;

/// Coefficients b = Cov(c)^-1 Cov(c, loss) from other draws (eq. 12) leave the mean as it is.
#[test]
fn cross_fitting_is_unbiased_where_one_sample_is_not() {
    let regression = Regression { ridge: 1e-6, folds: 5 };
    let (bias, _) = calibration(20_000, |r| {
        let (y, c) = skewed(12, r);
        let e = regression.cross_fitted(y.view(), c.view()).unwrap().estimate;
        (e.mean - MEAN, e.standard_error)
    });
    assert!(bias.abs() <= SURE, "{bias}");
    // The planted fault: coefficients of the sample itself.
    let (bias, _) = calibration(20_000, |r| {
        let (y, c) = skewed(12, r);
        let moments = moments::Moments::of(y.view(), c.view());
        let adjusted = &y - &c.dot(&moments.coefficients(&[0, 1], 1e-6).unwrap());
        (adjusted.mean().unwrap() - MEAN, 1.0)
    });
    assert!(bias.abs() >= 10.0, "{bias}");
}

#[test]
fn standard_errors_are_what_they_claim() {
    // 4,000 repetitions: the mean of z^2 has a standard error of about 0.025. y = tanh(z + 1/2): the tails of
    // e^z make every standard error too small.
    let f = |z: f64| (z + 0.5).tanh();
    let mean: f64 =
        (-800..=800).map(|i| 0.01 * f64::from(i)).map(|z| 0.01 * f(z) * (-0.5 * z * z).exp() / std::f64::consts::TAU.sqrt()).sum();
    let near_one = |(bias, square): (f64, f64)| bias.abs() <= SURE && (0.85..1.15).contains(&square);
    let regression = calibration(4000, |r| {
        let (y, c) = skewed(400, r);
        let e = Regression::default().cross_fitted(y.mapv(|y| f(y.ln())).view(), c.view()).unwrap().estimate;
        (e.mean - mean, e.standard_error)
    });
    let pairs = calibration(4000, |r| {
        let z = normals(100, r);
        let half = |sign: f64| z.iter().map(|z| f(sign * z)).collect::<Vec<_>>();
        let e = antithetic(&half(1.0), &half(-1.0)).unwrap();
        (e.mean - mean, e.standard_error)
    });
    // y = u^2 + noise, one sample in each of 50 strata.
    let single = calibration(4000, |r| {
        let mut u = vec![0.0f64; 50];
        Stream::new(8, Purpose::Test, r, 0).fill_uniform(&mut u);
        let z = normals(50, r);
        let y: Vec<f64> = (0..50).map(|i| ((i as f64 + u[i]) / 50.0).powi(2) + 0.3 * z[i]).collect();
        let e = one_per_stratum(&y).unwrap();
        (e.mean - 1.0 / 3.0, e.standard_error)
    });
    let strata = calibration(4000, |r| {
        let z = normals(90, r);
        let (a, b): (Vec<f64>, Vec<f64>) = (z[..30].iter().map(|z| 5.0 + z).collect(), z[30..].iter().map(|z| 2.0 * z).collect());
        let e = stratified(&[(0.25, &a), (0.75, &b)]).unwrap();
        (e.mean - 1.25, e.standard_error)
    });
    assert!([regression, pairs, single, strata].into_iter().all(near_one), "{regression:?} {pairs:?} {single:?} {strata:?}");
}

/// What is left of a variance by the best b (eq. 12).
#[test]
fn gains_are_those_of_theory() {
    // e^z on z and z^2 - 1: Var e^z = e^2 - e; Hermite coefficients e^(1/2), e^(1/2)/2: what is left is
    // e (e - 1 - 1 - 1/2).
    let (y, c) = skewed(200_000, 0);
    let fit = Regression::default().cross_fitted(y.view(), c.view()).unwrap();
    let e = 1f64.exp();
    assert!((fit.estimate.variance_ratio / ((e - 2.5) / (e - 1.0)) - 1.0).abs() <= 0.1, "{:?}", fit.estimate);
    assert!((fit.coefficients[0] - MEAN).abs() <= 0.1 && (fit.coefficients[1] - MEAN / 2.0).abs() <= 0.1);
    assert!((fit.condition - 1.0).abs() <= 0.05 && fit.z.iter().all(|z| z.abs() <= SURE) && fit.dropped.is_empty());
    // Odd y: pairs take all of it; even y: none.
    let z = normals(1000, 0);
    let half = |f: fn(f64) -> f64, sign: f64| z.iter().map(|z| f(sign * z)).collect::<Vec<_>>();
    assert!(antithetic(&half(f64::sin, 1.0), &half(f64::sin, -1.0)).unwrap().variance_ratio <= 1e-20);
    assert!((antithetic(&half(f64::cos, 1.0), &half(f64::cos, -1.0)).unwrap().variance_ratio - 2.0).abs() <= 1e-9);
}

#[test]
fn useless_controls_are_left_out_and_said() {
    let (y, c) = skewed(500, 1);
    let with = |f: &dyn Fn(usize, usize) -> f64| Array2::from_shape_fn((500, 4), |(i, j)| if j < 2 { c[[i, j]] } else { f(i, j) });
    let more = with(&|i, j| if j == 2 { 0.0 } else { 2.0 * c[[i, 0]] - 3.0 * c[[i, 1]] });
    let fit = Regression::default().cross_fitted(y.view(), more.view()).unwrap();
    assert_eq!(fit.dropped.len(), 2);
    assert_eq!(fit.dropped[0], Dropped { control: 2, why: Why::Constant });
    // One of three dependent ones goes; which, is a matter of pivots.
    assert!(fit.dropped[1].why == Why::Collinear && fit.coefficients[fit.dropped[1].control] == 0.0);
    let two = Regression::default().cross_fitted(y.view(), c.view()).unwrap();
    assert!((fit.estimate.mean - two.estimate.mean).abs() <= 1e-4 * two.estimate.standard_error);
    // A control whose mean is not 0 shows.
    let shifted = &c + 0.5;
    assert!(Regression::default().cross_fitted(y.view(), shifted.view()).unwrap().z[0].abs() > 5.0);
    assert_eq!(fit.dropped[0].to_string(), "control 2 is constant");
}

#[test]
fn nonsense_is_refused() {
    let (y, c) = skewed(10, 0);
    let message = |r: Result<Controlled, crate::Error>| r.unwrap_err().to_string();
    let wide = Array2::from_shape_fn((10, 9), |(i, j)| ((i * j) as f64).sin());
    let refused = message(Regression::default().cross_fitted(y.view(), wide.view()));
    assert!(refused.contains("number of controls") && refused.contains("below 9"), "{refused}");
    assert!(message(Regression { folds: 1, ..Regression::default() }.cross_fitted(y.view(), c.view())).contains("folds"));
    assert!(message(Regression { ridge: -1.0, folds: 2 }.cross_fitted(y.view(), c.view())).contains("ridge"));
    let mut bad = c.clone();
    bad[[3, 1]] = f64::NAN;
    assert!(message(Regression::default().cross_fitted(y.view(), bad.view())).contains("control 1 of sample 3"));
    assert!(Regression::default().cross_fitted(y.view(), c.slice(ndarray::s![..5, ..])).is_err());
    let groups = [0, 0, 0, 0, 0, 0, 0, 0, 1, 1];
    let refused = Regression { ridge: 0.0, folds: 2 }.grouped(y.view(), c.view(), &groups).unwrap_err().to_string();
    assert!(refused.contains("group 1"), "{refused}");
    assert!(antithetic(&[1.0, 2.0], &[1.0]).is_err() && one_per_stratum(&[1.0]).is_err() && one_per_stratum(&[1.0, f64::NAN]).is_err());
    assert!(stratified(&[(0.5, &[1.0, 2.0])]).is_err() && replicated(array![[1.0, 2.0]].view()).is_err());
    assert!(Running::new(0, 0.0, 1.0).is_err() && Running::new(1, 0.0, 0.0).is_err());
    assert!(Running::new(3, 0.0, 1.0).unwrap().batch(y.view(), c.view()).is_err());
}

/// b of each group (eq. 12).
#[test]
fn groups_have_their_own_coefficients() {
    // y = +-2 z in two groups: one coefficient for both would be near 0.
    let z = normals(2000, 3);
    let groups: Vec<usize> = (0..2000).map(|i| i % 2).collect();
    let y: Array1<f64> = z.iter().zip(&groups).map(|(z, g)| if *g == 0 { 2.0 * z } else { 1.0 - 2.0 * z }).collect();
    let c = Array2::from_shape_vec((2000, 1), z).unwrap();
    let both = Regression::default().grouped(y.view(), c.view(), &groups).unwrap();
    assert!((both.groups[&0].coefficients[0] - 2.0).abs() <= 1e-4 && (both.groups[&1].coefficients[0] + 2.0).abs() <= 1e-4);
    assert!((both.total.mean - 0.5).abs() <= 1e-4 && both.total.gain() > 10.0);
    let one = Regression::default().cross_fitted(y.view(), c.view()).unwrap();
    assert!(one.estimate.gain() < 1.1);
}

/// b from the batches before (eq. 12).
#[test]
fn running_coefficients_come_from_the_past() {
    let mut running = Running::new(2, 1e-6, 0.9).unwrap();
    assert_eq!(running.coefficients().unwrap(), array![0.0, 0.0]);
    let (y, c) = skewed(50, 0);
    let first = running.batch(y.view(), c.view()).unwrap();
    assert!((first.mean - y.mean().unwrap()).abs() <= 1e-14, "the first batch stays as it is");
    let expected = moments::Moments::of(y.view(), c.view()).coefficients(&[0, 1], 1e-6).unwrap();
    assert!((&running.coefficients().unwrap() - &expected).iter().all(|d| d.abs() <= 1e-12));
    // Stored and read, it goes on.
    let again = Running::from_numbers(&running.numbers()).unwrap();
    assert!(again == running && Running::from_numbers(&running.numbers()[1..]).is_err() && Running::from_numbers(&[]).is_err());
    // Small batches, many of them: no bias.
    let (bias, _) = calibration(3000, |r| {
        let mut running = Running::new(2, 1e-6, 1.0).unwrap();
        for b in 0..8 {
            let (y, c) = skewed(6, 1000 + 8 * r + b);
            running.batch(y.view(), c.view()).unwrap();
        }
        let e = running.estimate().unwrap();
        (e.mean - MEAN, e.standard_error)
    });
    assert!(bias.abs() <= SURE, "{bias}");
    // What changes is followed.
    for r in 0..100 {
        let (y, c) = skewed(50, 100 + r);
        running.batch((-&y).view(), c.view()).unwrap();
    }
    assert!(running.coefficients().unwrap()[0] < -1.0);
}

#[test]
fn moments_do_not_depend_on_how_they_are_put_together() {
    let (y, c) = skewed(100, 2);
    let whole = moments::Moments::of(y.view(), c.view());
    let mut parts = moments::Moments::empty(2);
    for (a, b) in [(0, 1), (1, 40), (40, 100)] {
        parts.merge(&moments::Moments::of(y.slice(ndarray::s![a..b]), c.slice(ndarray::s![a..b, ..])));
    }
    assert!(
        (&whole.square - &parts.square).iter().all(|d| d.abs() <= 1e-10) && (&whole.mean - &parts.mean).iter().all(|d| d.abs() <= 1e-13)
    );
}

/// For a Gaussian law, linear and quadratic Stein controls take all variance of a polynomial of degree two.
#[test]
fn stein_controls_are_exact_for_gaussians() {
    let z = normals(600, 5);
    let x = Array2::from_shape_fn((300, 2), |(i, j)| if j == 0 { 1.0 + z[2 * i] } else { 0.5 * z[2 * i] + 0.8 * z[2 * i + 1] });
    // Covariance [[1, .5], [.5, .89]], precision [[1.390625, -.78125], [-.78125, 1.5625]].
    let precision = array![[1.390625, -0.78125], [-0.78125, 1.5625]];
    let about = array![1.0, 0.0];
    let score = -(&x - &about).dot(&precision);
    let y: Array1<f64> = x.rows().into_iter().map(|x| 1.0 + x[0] - 2.0 * x[0] * x[1] + x[1] * x[1]).collect();
    let c = stein::quadratic(x.view(), score.view(), about.view()).unwrap();
    let fit = Regression { ridge: 0.0, folds: 10 }.cross_fitted(y.view(), c.view()).unwrap();
    // 1 + E X_0 - 2 E X_0 X_1 + E X_1^2 = 1 + 1 - 1 + .89.
    assert!((fit.estimate.mean - 1.89).abs() <= 1e-10 && fit.estimate.standard_error <= 1e-10, "{:?}", fit.estimate);
    assert!(stein::quadratic(x.view(), score.view(), array![0.0].view()).is_err());
}

#[test]
fn quasi_random_points_are_even_and_uniform() {
    // Star discrepancy of the first 1,000 points in one dimension: at most 3 ln n / n; independent points
    // have about 0.03.
    let mut u: Vec<f64> = Kronecker::new(1, &mut Stream::new(0, Purpose::Test, 0, 0)).unwrap().points(1000).into_iter().collect();
    u.sort_by(f64::total_cmp);
    let off = u.iter().enumerate().map(|(i, u)| (u - i as f64 / 1000.0).abs().max((u - (i + 1) as f64 / 1000.0).abs()));
    assert!(off.fold(0.0, f64::max) <= 0.005);
    // Any one point is uniform over the shifts.
    let mut at: Vec<f64> = (0..4000).map(|r| Kronecker::new(2, &mut Stream::new(0, Purpose::Test, 1, r)).unwrap().at(7, 1)).collect();
    at.sort_by(f64::total_cmp);
    let off = at.iter().enumerate().map(|(i, u)| (u - i as f64 / 4000.0).abs()).fold(0.0, f64::max);
    assert!(off * 4000f64.sqrt() <= 1.95, "{off}"); // 99.9 % of Kolmogorov's law
    assert!(Kronecker::new(0, &mut Stream::new(0, Purpose::Test, 0, 0)).is_err());
}
