//! What the tests of all metrics draw, and [`evaluate`] as a whole.

use super::*;
use crate::data::{Dataset, Request, load};
use ndarray::s;

/// [n, d] standard normals; each `draw` is another set.
pub(super) fn normals(n: usize, d: usize, draw: u64) -> Array2<f64> {
    let mut z = vec![0.0; n * d];
    Stream::new(11, Purpose::Test, draw, 0).fill_normal(&mut z);
    Array2::from_shape_vec((n, d), z).unwrap()
}

/// The rows in another order.
pub(super) fn shuffled(x: &Array2<f64>) -> Array2<f64> {
    let mut rows: Vec<usize> = (0..x.nrows()).collect();
    Stream::new(12, Purpose::Test, 0, 0).shuffle(&mut rows);
    x.select(Axis(0), &rows)
}

fn data(name: &str, n: usize) -> Dataset {
    load(&Request { name: name.into(), n: Some(n), ..Request::default() }).unwrap()
}

#[test]
fn a_new_draw_scores_like_the_floor_and_a_wrong_law_does_not() {
    let data = data("four-modes", 2000);
    let law = data.law.as_ref().unwrap();
    let good = evaluate(law.sample(2000, 5, 7).view(), &data, None, 0, 0).unwrap();
    // Equal weights instead of 0.4, 0.3, 0.2, 0.1: total variation (0.15 + 0.05 + 0.05 + 0.15) / 2.
    let mut wrong = normals(2000, 2, 1) * 0.5;
    for (i, mut row) in wrong.rows_mut().into_iter().enumerate() {
        row[0] += if i % 2 == 0 { 4.0 } else { -4.0 };
        row[1] += if i / 2 % 2 == 0 { 4.0 } else { -4.0 };
    }
    // One sample in a hundred lies between the modes.
    wrong.slice_mut(s![..20, ..]).fill(0.0);
    let bad = evaluate(wrong.view(), &data, None, 0, 0).unwrap();
    // 0.05 is above 3.89 standard deviations of half the sum of four shares of 2,000.
    assert!(good.value("mode_weight_tv").unwrap() <= 0.05 && (bad.value("mode_weight_tv").unwrap() - 0.2).abs() <= 0.02);
    assert!(good.value("outlier_share").unwrap() <= 0.004 && (bad.value("outlier_share").unwrap() - 0.01).abs() <= 0.004);
    for (good, bad, floor) in [
        (good.value("sliced_w2").unwrap(), bad.value("sliced_w2").unwrap(), good.floor("sliced_w2").unwrap()),
        (good.value("energy_distance").unwrap(), bad.value("energy_distance").unwrap(), good.floor("energy_distance").unwrap()),
        (good.value("mmd2").unwrap(), bad.value("mmd2").unwrap(), good.floor("mmd2").unwrap()),
    ] {
        assert!(good.abs() <= bad / 3.0 && floor.abs() <= bad / 3.0, "{good} {bad} {floor}");
    }
    // The entropy of four modes 16 standard deviations apart: that of the weights plus that of N(0, 0.25 I).
    let entropy = -[0.4f64, 0.3, 0.2, 0.1].iter().map(|w| w * w.ln()).sum::<f64>() + (std::f64::consts::TAU * 0.25).ln() + 1.0;
    for (nll, n) in [(good.value("nll_exact"), 2000.0), (good.floor("nll_exact"), 10_000.0)] {
        // -ln p has variance var(ln w) + 1 < 1.3.
        assert!((nll.unwrap() - entropy).abs() <= 3.89 * (1.3f64 / n).sqrt(), "{nll:?} {entropy}");
    }
    assert!((good.value("memorisation_ratio").unwrap() - 1.0).abs() <= 0.1, "{}", good.value("memorisation_ratio").unwrap());
}

/// The report calls each number by its name.
#[test]
fn support_is_reported_by_its_names() {
    let (data, samples) = (small(300), normals(100, 2, 3) * 4.0);
    let got = evaluate(samples.view(), &data, None, 0, 0).unwrap();
    let exact = support(samples.view(), data.held_out.view(), 5).unwrap();
    assert!(exact.precision < 0.9 * exact.recall, "{exact:?}");
    let names = ["precision", "recall", "density", "coverage"].map(|name| got.value(name).unwrap());
    assert_eq!(names, [exact.precision, exact.recall, exact.density, exact.coverage]);
}

#[test]
fn results_do_not_depend_on_threads_or_order() {
    let data = data("moons", 300);
    let samples = normals(400, 2, 3);
    let run = |threads: usize, samples: &Array2<f64>| {
        let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
        Metrics { seconds: 0.0, ..pool.install(|| evaluate(samples.view(), &data, None, 4, 3).unwrap()) }
    };
    let one = run(1, &samples);
    assert_eq!(one, run(3, &samples));
    assert!((run(2, &shuffled(&samples)).value("energy_distance").unwrap() - one.value("energy_distance").unwrap()).abs() <= 1e-12);
    // No mixture is known: no modes; the density is.
    assert!(one.value("mode_weight_tv").is_none() && one.value("outlier_share").is_none() && one.value("nll_exact").is_some());
}

#[test]
fn unknown_laws_give_none_and_a_fitted_mixture_stands_in() {
    let data = data("digits", 200);
    let samples = data.points.slice(s![..100, ..]);
    let got = evaluate(samples, &data, None, 0, 0).unwrap();
    assert!(got.value("nll_exact").is_none() && got.floor("nll_exact").is_none() && got.value("mode_weight_tv").is_none());
    let ring = crate::data::law::four_modes().unwrap();
    let mixture = crate::data::Law::mixture(&ring).unwrap();
    let latent = crate::data::Law::sample(&ring, 100, 0, 0);
    let got = evaluate(samples, &data, Some(ModeSpace { mixture, samples: latent.view() }), 0, 0).unwrap();
    assert!(got.value("mode_weight_tv").unwrap() <= 0.2 && got.value("nll_exact").is_none() && got.value("outlier_share").is_none());
    assert!(got.value("memorisation_ratio").unwrap() < 0.9, "{}", got.value("memorisation_ratio").unwrap());
}

#[test]
fn bad_samples_are_refused() {
    let data = data("ring", 50);
    let mut x = normals(10, 2, 0);
    assert!(evaluate(x.slice(s![.., ..1]), &data, None, 0, 0).is_err());
    assert!(evaluate(x.slice(s![..1, ..]), &data, None, 0, 0).is_err());
    x[[3, 1]] = f64::NAN;
    let e = evaluate(x.view(), &data, None, 0, 0).unwrap_err();
    assert_eq!(e.to_string(), "evaluate: sample 3, coordinate 1: must be finite, got NaN");
}

#[test]
fn subsets_are_draws_without_replacement() {
    let x = Array2::from_shape_fn((100, 1), |(i, _)| i as f64);
    let some = subset(x.view(), 30, 0, 0);
    let mut rows: Vec<f64> = some.iter().copied().collect();
    assert!(!rows.is_sorted());
    rows.sort_by(f64::total_cmp);
    rows.dedup();
    assert_eq!(rows.len(), 30);
    assert_ne!(some, subset(x.view(), 30, 0, 1));
    assert_eq!(subset(x.view(), 100, 0, 0), x);
}

#[test]
fn points_that_mostly_coincide_have_no_bandwidth_and_no_mmd() {
    let mut data = data("ring", 50);
    data.held_out.slice_mut(s![..8_000, ..]).fill(1.0);
    let got = evaluate(normals(10, 2, 0).view(), &data, None, 0, 0).unwrap();
    assert!(got.value("mmd2").is_none() && got.floor("mmd2").is_none() && got.value("energy_distance").unwrap().is_finite());
}

/// One sample off the board: its likelihood is 0.
#[test]
fn a_sample_where_the_density_is_zero_makes_the_likelihood_infinite() {
    let got = evaluate(ndarray::array![[1.0, 1.0], [9.0, 9.0]].view(), &data("checkerboard", 50), None, 3, 0).unwrap();
    assert!(got.value("nll_exact") == Some(f64::INFINITY) && got.value("sliced_w2").unwrap().is_finite());
}

/// As many held-out points as training points.
fn small(n: usize) -> Dataset {
    let mut data = data("four-modes", n);
    data.held_out = data.held_out.slice(s![..n, ..]).to_owned();
    data
}

/// Intervals cover what fresh draws give: of 20 draws of the law, at least 15 intervals of each metric with a
/// known mean hold it (a right 95 % interval fails that with probability below 1e-3), and they are as wide as
/// the values spread.
#[test]
fn intervals_cover_the_value_of_fresh_draws() {
    let data = small(150);
    let law = data.law.as_ref().unwrap();
    let all: Vec<Metrics> = (0..20).map(|i| evaluate(law.sample(150, 9, i).view(), &data, None, i, 20).unwrap()).collect();
    // That of the weights and that of N(0, 0.25 I): the modes are 16 standard deviations apart.
    let entropy = -[0.4f64, 0.3, 0.2, 0.1].iter().map(|w| w * w.ln()).sum::<f64>() + (std::f64::consts::TAU * 0.25).ln() + 1.0;
    for (name, exact) in [("nll_exact", entropy), ("mmd2_exact", 0.0)] {
        let holds = |m: &&Metrics| m.get(name).and_then(|m| m.interval).is_some_and(|[low, high]| low <= exact && exact <= high);
        let count = all.iter().filter(holds).count();
        assert!(count >= 15, "{name}: {count}");
    }
    for name in ["nll_exact", "mode_weight_tv", "frechet", "coverage", "w2", "sinkhorn"] {
        let mean = |values: &[f64]| values.iter().sum::<f64>() / values.len() as f64;
        let values: Vec<f64> = all.iter().map(|m| m.value(name).unwrap()).collect();
        let spread = mean(&values.iter().map(|v| (v - mean(&values)).powi(2)).collect::<Vec<_>>()).sqrt();
        // A coverage of 1 has none, and others end there: their lower halves alone say how wide they are.
        let lower = |m: &Metrics| m.get(name).unwrap().interval.map(|[low, _]| (m.value(name).unwrap() - low) / 1.96);
        let reach = mean(&all.iter().filter_map(lower).collect::<Vec<_>>());
        // Held-out points are the same in all draws, so that the spread is the smaller of the two.
        assert!(reach >= 0.6 * spread && reach <= 4.0 * spread, "{name}: {reach} against {spread}");
    }
    assert!(evaluate(law.sample(15, 9, 0).view(), &data, None, 0, 5).unwrap().measures.iter().all(|m| m.interval.is_none()));
}

/// Every metric beside its floor: finite, and for samples of the law itself within four of the interval's
/// standard deviations of it.
#[test]
fn samples_of_the_law_score_like_the_floor() {
    let data = small(400);
    let got = evaluate(data.law.as_ref().unwrap().sample(400, 9, 1).view(), &data, None, 0, 20).unwrap();
    assert_eq!(got.measures.len(), 16);
    for m in &got.measures {
        let Some(value) = m.value else { panic!("{m:?}") };
        // A share of exactly 0 or 1 has no interval; no other leaves [0, 1].
        let share = ["mode_weight_tv", "outlier_share", "precision", "recall", "coverage"].contains(&m.name);
        let Some([low, high]) = m.interval else {
            assert!(share && (value == 0.0 || value == 1.0), "{m:?}");
            continue;
        };
        assert!(value.is_finite() && low <= value && value <= high && (!share || low >= 0.0 && high <= 1.0), "{m:?}");
        if let Some(floor) = m.floor {
            assert!((value - floor).abs() <= 4.0 * (high - low) / 1.96, "{m:?}");
        }
    }
    let expected = expected_coverage(400, 400, 5);
    assert!((got.value("coverage").unwrap() - expected).abs() <= 0.04, "{expected}");
}
