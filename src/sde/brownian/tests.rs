use super::{Cursor, Tree};
use crate::Real;
use crate::rng::{Purpose, Stream};
use crate::sde::{Grid, Paths};
use crate::simd::W;

fn tree(seed: u64, grid: &[f64]) -> Tree {
    Tree::new(Paths { seed, purpose: Purpose::Test, step: 0 }, grid).unwrap()
}

/// [W, H, K] of every coordinate.
type Answer<R> = Vec<[[R; W]; 3]>;

fn ask<R: Real>(cursor: &mut Cursor<'_, R>, d: usize, s: f64, u: f64) -> Answer<R> {
    let [mut w, mut h, mut k] = [0; 3].map(|_| vec![[R::nan(); W]; d]);
    cursor.query(s, u, &mut w, &mut h, &mut k).unwrap();
    (0..d).map(|j| [w[j], h[j], k[j]]).collect()
}

/// Intervals of every kind: cells, sums of cells, dyadic nodes, arbitrary times, points.
fn intervals(grid: &[f64], n: usize) -> Vec<(f64, f64)> {
    let mut stream = Stream::new(8, Purpose::Test, 0, 0);
    let last = grid.len() - 1;
    let mut time = || {
        let cell = stream.below(last);
        let (a, b) = (grid[cell], grid[cell + 1]);
        match stream.below(4) {
            0 => a,
            1 => b,
            2 => a + (b - a) * stream.below(64) as f64 / 64.0,
            _ => a + (b - a) * stream.uniform::<f64>(),
        }
    };
    (0..n).map(|_| (time(), time())).map(|(s, u)| (s.min(u), s.max(u))).collect()
}

#[test]
fn a_path_does_not_depend_on_what_was_asked_before() {
    fn check<R: Real>(grid: &[f64]) {
        let (d, tree) = (3, tree(1, grid));
        let asked = intervals(grid, 300);
        let mut one = tree.cursor::<R>(2, d);
        let forward: Vec<Answer<R>> = asked.iter().map(|(s, u)| ask(&mut one, d, *s, *u)).collect();
        // Backward, with a fresh cursor each time, with every choice of parts in between, with fewer
        // coordinates, each lane by itself.
        for ((s, u), expected) in asked.iter().zip(&forward).rev() {
            assert_eq!(ask(&mut one, d, *s, *u), *expected);
            assert_eq!(ask(&mut tree.cursor::<R>(2, d), d, *s, *u), *expected);
            assert_eq!(ask(&mut tree.cursor::<R>(2, 1), 1, *s, *u), expected[..1]);
        }
        let mut sorted: Vec<usize> = (0..asked.len()).collect();
        sorted.sort_by(|a, b| asked[*a].partial_cmp(&asked[*b]).unwrap());
        let (mut clocks, mut by_lane) = (tree.clocks::<R>(2, d), tree.clocks::<R>(2, d));
        for (n, i) in sorted.into_iter().enumerate() {
            let (s, u) = asked[i];
            let [mut w, mut h, mut k] = [0; 3].map(|_| vec![[R::nan(); W]; d]);
            let (with_h, with_k) = (if n % 3 > 0 { d } else { 0 }, if n % 3 > 1 { d } else { 0 });
            one.query(s, u, &mut w, &mut h[..with_h], &mut k[..with_k]).unwrap();
            for j in 0..d {
                assert_eq!(w[j], forward[i][j][0]);
                assert!(with_h == 0 || h[j] == forward[i][j][1]);
                assert!(with_k == 0 || k[j] == forward[i][j][2]);
            }
            clocks.query(&[s; W], &[u; W], &mut w, &mut h, &mut k).unwrap();
            assert!((0..d).all(|j| [w[j], h[j], k[j]] == forward[i][j]));
            // Lane l asks for the interval n + l of the list.
            let other: [usize; W] = std::array::from_fn(|l| (n + l) % asked.len());
            by_lane.query(&other.map(|i| asked[i].0), &other.map(|i| asked[i].1), &mut w, &mut h, &mut k).unwrap();
            for (l, i) in other.into_iter().enumerate() {
                assert!((0..d).all(|j| [w[j][l], h[j][l], k[j][l]] == forward[i][j].map(|x| x[l])));
            }
        }
    }
    for grid in [vec![-1.0, 2.0], Grid::Geometric.times(3.0, 7).unwrap()] {
        check::<f64>(&grid);
        check::<f32>(&grid);
    }
}

#[test]
fn threads_and_other_paths_do_not_change_a_path() {
    let tree = tree(5, &[0.0, 1.0]);
    let times = Grid::Uniform.times(1.0, 24).unwrap();
    let block = |chunk: usize| -> Vec<Answer<f64>> {
        let mut cursor = tree.cursor(chunk, 2);
        times.windows(2).map(|t| ask(&mut cursor, 2, t[0], t[1])).collect()
    };
    let alone: Vec<_> = (0..8).map(block).collect();
    let together: Vec<_> = std::thread::scope(|scope| {
        let threads: Vec<_> = (0..8).map(|chunk| scope.spawn(move || block(7 - chunk))).collect();
        threads.into_iter().rev().map(|t| t.join().unwrap()).collect()
    });
    assert!(alone == together && alone[0] != alone[1]);
}

#[test]
fn intervals_add_up() {
    let grids = [vec![0.0, 1.0], Grid::Quadratic.times(2.0, 10).unwrap()];
    for grid in &grids {
        let tree = tree(2, grid);
        let asked = intervals(grid, 4000);
        let mut cursor = tree.cursor::<f64>(0, 1);
        // 16 paths each: 128,000 triples.
        for pair in asked.windows(2) {
            let mut t = [pair[0].0, pair[0].1, pair[1].0];
            t.sort_by(f64::total_cmp);
            let [s, r, u] = t;
            let [a, b, whole] = [(s, r), (r, u), (s, u)].map(|(s, u)| ask(&mut cursor, 1, s, u)[0]);
            let (l, r) = (r - s, u - r);
            for i in 0..W {
                assert!((whole[0][i] - a[0][i] - b[0][i]).abs() <= 1e-14, "W on {t:?}");
                if l + r > 1e-3 {
                    let (x, y) = (l / (l + r), r / (l + r));
                    let d = y * a[0][i] - x * b[0][i];
                    let h = x * a[1][i] + y * b[1][i] + 0.5 * d;
                    let k = x * x * a[2][i] + y * y * b[2][i] + 0.5 * x * y * (a[1][i] - b[1][i]) + (y - x) * d / 12.0;
                    assert!((whole[1][i] - h).abs() <= 1e-13 && (whole[2][i] - k).abs() <= 1e-13, "H, K on {t:?}");
                }
            }
        }
    }
}

/// Kolmogorov's distribution: P(sup > x) for the distance x / sqrt(n).
fn kolmogorov(x: f64) -> f64 {
    2.0 * (1..100).map(|k| (-1f64).powi(k - 1) * (-2.0 * f64::from(k * k) * x * x).exp()).sum::<f64>()
}

/// W, H, K over two neighbouring intervals and the whole, for a million paths: nine numbers of variance 1
/// after scaling, whose 45 covariances are known. 4 standard errors: all bounds together hold with
/// probability 0.99. Kolmogorov-Smirnov at 10^-3.
#[test]
fn the_law_is_the_law() {
    // In one cell on arbitrary times; nodes; times one node apart, at the end of the depth; across cells.
    let tiny = 2f64.powi(-48);
    let cases = [
        (vec![0.0, 1.0], [0.1, 0.4, 1.0 / 1.5]),
        (vec![0.0, 1.0], [0.25, 0.5, 0.75]),
        (vec![0.0, 1.0], [0.5, 0.5 + tiny, 0.5 + 2.0 * tiny]),
        (Grid::Uniform.times(3.0, 5).unwrap(), [0.3, 1.9, 2.4]),
    ];
    for (grid, [s, r, u]) in cases {
        let tree = tree(3, &grid);
        let n = 1_000_000;
        let mut samples = [0; 6].map(|_| Vec::with_capacity(n));
        let mut moments = [[0.0; 6]; 6];
        for chunk in 0..n / W {
            let mut cursor = tree.cursor::<f64>(chunk, 1);
            let [a, b] = [(s, r), (r, u)].map(|(s, u)| (ask(&mut cursor, 1, s, u)[0], u - s));
            for i in 0..W {
                let z: [f64; 6] = std::array::from_fn(|q| {
                    let (x, h) = if q < 3 { a } else { b };
                    x[q % 3][i] / (h * super::triple::law()[q % 3].powi(2)).sqrt()
                });
                for (p, q) in (0..6).flat_map(|p| (0..=p).map(move |q| (p, q))) {
                    moments[p][q] += z[p] * z[q];
                }
                z.iter().zip(&mut samples).for_each(|(z, s)| s.push(*z));
            }
        }
        for (p, q) in (0..6).flat_map(|p| (0..=p).map(move |q| (p, q))) {
            let (expected, variance) = if p == q { (1.0, 2.0) } else { (0.0, 1.0) };
            let got = moments[p][q] / n as f64;
            assert!((got - expected).abs() <= 4.0 * f64::sqrt(variance / n as f64), "{s} {r} {u}: {p} {q}: {got}");
        }
        for (q, z) in samples.iter_mut().enumerate() {
            z.sort_by(f64::total_cmp);
            let distance = z.iter().enumerate().map(|(i, z)| {
                let phi = z.normal_law_lane::<false>().0;
                (phi - i as f64 / n as f64).abs().max((phi - (i + 1) as f64 / n as f64).abs())
            });
            let p = kolmogorov(distance.fold(0.0, f64::max) * (n as f64).sqrt());
            assert!(p > 1e-3, "{s} {r} {u}: {q}: {p}");
        }
    }
}

/// What is asked as a whole has the law of a whole, whatever it was made of: H and K of sums by Chen's
/// relation.
#[test]
fn sums_have_the_law_of_wholes() {
    let (n, tree) = (400_000, tree(4, &Grid::Geometric.times(1.0, 6).unwrap()));
    let (s, u) = (0.01, 0.9);
    let mut moments = [[0.0; 3]; 3];
    for chunk in 0..n / W {
        let whole = ask(&mut tree.cursor::<f64>(chunk, 1), 1, s, u)[0];
        for i in 0..W {
            for (p, q) in (0..3).flat_map(|p| (0..=p).map(move |q| (p, q))) {
                moments[p][q] += whole[p][i] * whole[q][i] / (n as f64 * (u - s));
            }
        }
    }
    let v: [f64; 3] = [1.0, 1.0 / 12.0, 1.0 / 720.0];
    for (p, q) in (0..3).flat_map(|p| (0..=p).map(move |q| (p, q))) {
        let (expected, sd) = if p == q { (v[p], v[p] * 2f64.sqrt()) } else { (0.0, (v[p] * v[q]).sqrt()) };
        assert!((moments[p][q] - expected).abs() <= 4.0 * sd / (n as f64).sqrt(), "{p} {q}: {}", moments[p][q]);
    }
}

#[test]
fn single_precision_follows_the_same_path() {
    for grid in [vec![0.0, 1.0], Grid::Uniform.times(1.0, 10).unwrap()] {
        let tree = tree(6, &grid);
        let (mut double, mut single) = (tree.cursor::<f64>(0, 2), tree.cursor::<f32>(0, 2));
        for (s, u) in intervals(&grid, 500) {
            let (a, b) = (ask(&mut double, 2, s, u), ask(&mut single, 2, s, u));
            let bound = 2e-5 * (u - s).sqrt();
            assert!(
                a.iter().flatten().flatten().zip(b.iter().flatten().flatten()).all(|(a, b)| (a - f64::from(*b)).abs() <= bound),
                "{s} {u}"
            );
        }
    }
}

#[test]
fn rounded_times_are_the_fractions_they_should_be() {
    // 0.7 n / 64 isn't exact; the nodes are found all the same, so that a walk over them takes what a walk
    // over exact ones takes.
    let (rounded, exact) = (tree(7, &[0.0, 0.7]), tree(7, &[0.0, 1.0]));
    let (mut a, mut b) = (rounded.cursor::<f64>(0, 1), exact.cursor::<f64>(0, 1));
    for n in 0..64 {
        let (n, scale) = (f64::from(n), 0.7f64.sqrt());
        let (a, b) = (ask(&mut a, 1, 0.7 * n / 64.0, 0.7 * ((n + 1.0) / 64.0)), ask(&mut b, 1, n / 64.0, (n + 1.0) / 64.0));
        assert!(a[0].iter().flatten().zip(b[0].iter().flatten()).all(|(a, b)| (a - scale * b).abs() <= 1e-15));
    }
}

#[test]
fn nothing_is_known_outside_and_of_wrong_shapes() {
    let (t0, t1) = (0.5, 2.0);
    let tree = tree(0, &[t0, 1.0, t1]);
    let mut cursor = tree.cursor::<f64>(0, 2);
    let mut w = [[f64::NAN; W]; 2];
    for (s, u) in [(t0.next_down(), 1.0), (1.0, t1.next_up()), (1.5, 1.0), (f64::NAN, 1.0), (1.0, f64::NAN), (-f64::INFINITY, 1.0)] {
        let e = cursor.query(s, u, &mut w, &mut [], &mut []).unwrap_err();
        assert_eq!(e.exit_code(), 2);
        assert!(e.to_string().contains("inside of [0.5, 2.0]"), "{e}");
        let (mut at, mut to) = ([1.0; W], [1.5; W]);
        (at[3], to[3]) = (s, u);
        assert!(tree.clocks::<f64>(0, 2).query(&at, &to, &mut w, &mut [], &mut []).is_err());
    }
    for t in [t0, 1.0, 1.2, t1] {
        let answer = ask(&mut cursor, 2, t, t);
        assert!(answer.iter().flatten().flatten().all(|x| *x == 0.0));
    }
    cursor.query(t0, t1, &mut w, &mut [], &mut []).unwrap();
    assert!(cursor.query(t0, t1, &mut w[..1], &mut [], &mut []).is_err());
    assert!(cursor.query(t0, t1, &mut w, &mut [[0.0; W]], &mut []).is_err());
    assert!(cursor.query(t0, t1, &mut w, &mut [], &mut [[0.0; W]; 2]).is_err());
    let name = Paths { seed: 0, purpose: Purpose::Test, step: 0 };
    for grid in [&[][..], &[1.0], &[1.0, 1.0], &[0.0, 2.0, 1.0], &[0.0, f64::NAN], &[0.0, f64::INFINITY], &[f64::MIN, f64::MAX]] {
        assert!(Tree::new(name, grid).is_err(), "{grid:?}");
    }
}

#[test]
fn memory_is_bounded() {
    // Bytes per path and coordinate, whatever the number of steps.
    let per_path = |coordinate: usize| coordinate / W;
    assert!(per_path(size_of::<super::coordinate::Coordinate<f64, W>>()) <= 2048);
    assert!(size_of::<super::coordinate::Coordinate<f64, 1>>() <= 2048);
}
