//! Every registered law against itself: density, samples and score are written independently of each other.

use super::*;

/// Upper 99.99 % point of chi-squared (Wilson and Hilferty).
fn chi_squared_9999(degrees: f64) -> f64 {
    let a = 2.0 / (9.0 * degrees);
    degrees * (1.0 - a + 3.719 * a.sqrt()).powi(3)
}

/// Centres of an m x m grid over the window, and the area of a cell.
fn grid(law: &dyn Law, m: usize) -> (Array2<f64>, f64) {
    let [low, high] = law.window();
    let h = (high - low) / m as f64;
    let at = |i: usize| low + (i as f64 + 0.5) * h;
    (Array2::from_shape_fn((m * m, 2), |(row, axis)| at(if axis == 0 { row % m } else { row / m })), h * h)
}

fn all() -> impl Iterator<Item = Arc<dyn Law>> {
    laws().map(|named| {
        let law = (named.make)().unwrap();
        assert_eq!(law.name(), named.name);
        law
    })
}

#[test]
fn densities_integrate_to_one_and_samples_follow_them() {
    const FINE: usize = 320;
    const BINS: usize = 20;
    let n = 20_000;
    for law in all() {
        let (x, area) = grid(&*law, FINE);
        let p = law.log_density(x.view()).unwrap().mapv(f64::exp);
        let mass = p.sum() * area;
        assert!((mass - 1.0).abs() <= 2e-6, "{}: mass {mass}", law.name());

        let [low, high] = law.window();
        let bin = |x: f64| ((x - low) / (high - low) * BINS as f64).floor() as isize;
        let (mut expected, mut count) = ([[0.0; BINS]; BINS], [[0.0; BINS]; BINS]);
        for (x, p) in x.rows().into_iter().zip(&p) {
            expected[bin(x[1]) as usize][bin(x[0]) as usize] += p * area * n as f64;
        }
        let mut outside = 0.0;
        for x in law.sample(n, 3, TRAINING).rows() {
            let (i, j) = (bin(x[1]), bin(x[0]));
            let inside = (0..BINS as isize).contains(&i) && (0..BINS as isize).contains(&j);
            if inside { count[i as usize][j as usize] += 1.0 } else { outside += 1.0 }
        }
        // Bins that expect fewer than 8 points, and all outside the window, are one bin.
        let (mut chi2, mut degrees, mut rest) = (0.0, 0.0, (outside, 0.0));
        for (c, e) in count.iter().flatten().zip(expected.iter().flatten()) {
            if *e >= 8.0 {
                chi2 += (c - e) * (c - e) / e;
                degrees += 1.0;
            } else {
                rest = (rest.0 + c, rest.1 + e);
            }
        }
        if rest.1 >= 1.0 {
            chi2 += (rest.0 - rest.1) * (rest.0 - rest.1) / rest.1;
        } else {
            degrees -= 1.0;
            assert!(rest.0 <= 12.0, "{}: {} points where at most one was expected", law.name(), rest.0);
        }
        assert!(chi2 <= chi_squared_9999(degrees), "{}: chi-squared {chi2} with {degrees} degrees of freedom", law.name());
    }
}

#[test]
fn scores_are_gradients_of_log_densities() {
    let h = 1e-5;
    for law in all().filter(|law| law.name() != "checkerboard") {
        let mut x = law.sample(200, 4, TRAINING);
        // Off the support, too: the same points moved away from the centre.
        x.slice_mut(ndarray::s![100.., ..]).mapv_inplace(|x| 1.3 * x + 0.2);
        let score = law.score(x.view()).unwrap();
        for axis in 0..2 {
            let shifted = |by: f64| {
                let mut y = x.clone();
                y.column_mut(axis).mapv_inplace(|y| y + by);
                law.log_density(y.view()).unwrap()
            };
            let (up, down) = (shifted(h), shifted(-h));
            for i in 0..x.nrows() {
                let difference = (up[i] - down[i]) / (2.0 * h);
                let scale = 1.0 + score.row(i).mapv(f64::abs).sum();
                let err = (score[[i, axis]] - difference).abs() / scale;
                assert!(err <= 2e-7, "{} at {}: {} against {difference}", law.name(), x.row(i), score[[i, axis]]);
            }
        }
    }
}

#[test]
fn draws_are_repeatable_and_sets_differ() {
    for law in all() {
        let x = law.sample(1500, 7, TRAINING);
        let pool = rayon::ThreadPoolBuilder::new().num_threads(3).build().unwrap();
        assert_eq!(x, pool.install(|| law.sample(1500, 7, TRAINING)));
        assert_ne!(x, law.sample(1500, 7, HELD_OUT));
        assert_ne!(x, law.sample(1500, 8, TRAINING));
        assert_eq!(x.slice(ndarray::s![..1024, ..]), law.sample(1024, 7, TRAINING));
    }
}

#[test]
fn wrong_widths_are_refused() {
    for law in all() {
        let x = Array2::zeros((2, 3));
        for e in [law.log_density(x.view()).unwrap_err(), law.score(x.view()).unwrap_err()] {
            assert!(e.to_string().ends_with("expected points of length 2, got [2, 3]"), "{e}");
        }
    }
}

#[test]
fn the_board_is_eight_squares() {
    let x = ndarray::array![[1.0, 1.0], [3.0, 1.0], [-1.0, 1.0], [-1.0, -3.0], [-3.0, -3.0], [5.0, 1.0], [4.0, 0.5]];
    let dark = [true, false, false, false, true, false, false];
    for (p, dark) in Checkerboard.log_density(x.view()).unwrap().iter().zip(dark) {
        assert_eq!(*p, if dark { -32f64.ln() } else { f64::NEG_INFINITY });
    }
    assert!(Checkerboard.log_density(Checkerboard.sample(1000, 1, TRAINING).view()).unwrap().iter().all(|p| *p == -32f64.ln()));
    assert!(Checkerboard.score(x.view()).unwrap().iter().all(|s| *s == 0.0));
}
