//! What the tests of all metrics draw, and [`evaluate`] as a whole.

use super::*;
use crate::data::{Request, load};
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
    let good = evaluate(law.sample(2000, 5, 7).view(), &data, None, 0).unwrap();
    // Equal weights instead of 0.4, 0.3, 0.2, 0.1: total variation (0.15 + 0.05 + 0.05 + 0.15) / 2.
    let mut wrong = normals(2000, 2, 1) * 0.5;
    for (i, mut row) in wrong.rows_mut().into_iter().enumerate() {
        row[0] += if i % 2 == 0 { 4.0 } else { -4.0 };
        row[1] += if i / 2 % 2 == 0 { 4.0 } else { -4.0 };
    }
    // One sample in a hundred lies between the modes.
    wrong.slice_mut(s![..20, ..]).fill(0.0);
    let bad = evaluate(wrong.view(), &data, None, 0).unwrap();
    // 0.05 is above 3.89 standard deviations of half the sum of four shares of 2,000.
    assert!(good.mode_weight_tv.unwrap() <= 0.05 && (bad.mode_weight_tv.unwrap() - 0.2).abs() <= 0.02);
    assert!(good.outlier_share.unwrap() <= 0.004 && (bad.outlier_share.unwrap() - 0.01).abs() <= 0.004);
    for (good, bad, floor) in [
        (good.sliced_w2, bad.sliced_w2, good.sliced_w2_floor),
        (good.energy_distance, bad.energy_distance, good.energy_distance_floor),
        (good.mmd2.unwrap(), bad.mmd2.unwrap(), good.mmd2_floor.unwrap()),
    ] {
        assert!(good.abs() <= bad / 3.0 && floor.abs() <= bad / 3.0, "{good} {bad} {floor}");
    }
    // The entropy of four modes 16 standard deviations apart: that of the weights plus that of N(0, 0.25 I).
    let entropy = -[0.4f64, 0.3, 0.2, 0.1].iter().map(|w| w * w.ln()).sum::<f64>() + (std::f64::consts::TAU * 0.25).ln() + 1.0;
    for (nll, n) in [(good.nll_exact, 2000.0), (good.nll_floor, 10_000.0)] {
        // -ln p has variance var(ln w) + 1 < 1.3.
        assert!((nll.unwrap() - entropy).abs() <= 3.89 * (1.3f64 / n).sqrt(), "{nll:?} {entropy}");
    }
    assert!((good.memorisation_ratio - 1.0).abs() <= 0.1, "{}", good.memorisation_ratio);
}

#[test]
fn results_do_not_depend_on_threads_or_order() {
    let data = data("moons", 300);
    let samples = normals(400, 2, 3);
    let run = |threads: usize, samples: &Array2<f64>| {
        let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
        Metrics { seconds: 0.0, ..pool.install(|| evaluate(samples.view(), &data, None, 4).unwrap()) }
    };
    let one = run(1, &samples);
    assert_eq!(one, run(3, &samples));
    assert!((run(2, &shuffled(&samples)).energy_distance - one.energy_distance).abs() <= 1e-12);
    // No mixture is known: no modes; the density is.
    assert!(one.mode_weight_tv.is_none() && one.outlier_share.is_none() && one.nll_exact.is_some());
}

#[test]
fn unknown_laws_give_none_and_a_fitted_mixture_stands_in() {
    let data = data("digits", 200);
    let samples = data.points.slice(s![..100, ..]);
    let got = evaluate(samples, &data, None, 0).unwrap();
    assert!(got.nll_exact.is_none() && got.nll_floor.is_none() && got.mode_weight_tv.is_none());
    let ring = crate::data::law::four_modes().unwrap();
    let mixture = crate::data::Law::mixture(&ring).unwrap();
    let latent = crate::data::Law::sample(&ring, 100, 0, 0);
    let got = evaluate(samples, &data, Some(ModeSpace { mixture, samples: latent.view() }), 0).unwrap();
    assert!(got.mode_weight_tv.unwrap() <= 0.2 && got.nll_exact.is_none() && got.outlier_share.is_none());
    assert!(got.memorisation_ratio < 0.9, "{}", got.memorisation_ratio);
}

#[test]
fn bad_samples_are_refused() {
    let data = data("ring", 50);
    let mut x = normals(10, 2, 0);
    assert!(evaluate(x.slice(s![.., ..1]), &data, None, 0).is_err());
    assert!(evaluate(x.slice(s![..1, ..]), &data, None, 0).is_err());
    x[[3, 1]] = f64::NAN;
    let e = evaluate(x.view(), &data, None, 0).unwrap_err();
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
    let got = evaluate(normals(10, 2, 0).view(), &data, None, 0).unwrap();
    assert!(got.mmd2.is_none() && got.mmd2_floor.is_none() && got.energy_distance.is_finite());
}

/// One sample off the board: its likelihood is 0.
#[test]
fn a_sample_where_the_density_is_zero_makes_the_likelihood_infinite() {
    let got = evaluate(ndarray::array![[1.0, 1.0], [9.0, 9.0]].view(), &data("checkerboard", 50), None, 3).unwrap();
    assert!(got.nll_exact == Some(f64::INFINITY) && got.sliced_w2.is_finite());
}
