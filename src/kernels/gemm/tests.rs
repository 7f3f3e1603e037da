use super::*;
use crate::real::{Dual, Number};
use crate::rng::{Purpose, Stream};

fn draw<R: Real>(n: usize, chunk: u32) -> Vec<R> {
    let mut x = vec![R::zero(); n];
    Stream::new(1, Purpose::Test, 0, chunk).fill_normal(&mut x);
    x
}

/// Every level, every combination of transposes, sizes around every edge, fresh and accumulating, against the
/// definition in f64: |error| <= (k + 2) eps sum |a||b| (the bound for any order of summation).
fn check<R: Real>() {
    let sizes = [0, 1, 2, 3, 4, 8, 9, 16, 17, 33, 70, 257];
    let shapes = (0..120).map(|i| (sizes[i % 12], sizes[(i * 5 + i / 12) % 12], sizes[(i * 7 + i / 3) % 12]));
    for (m, k, n) in shapes.chain([(130, 520, 65), (1030, 260, 9), (67, 530, 1), (130, 260, 2), (70, 300, 3), (65, 513, 4)]) {
        let (a, b, c0) = (draw::<R>(m * k, 0), draw::<R>(k * n, 1), draw::<R>(m * n, 2));
        for (ta, tb, accumulate) in (0..8).map(|i| (i & 1 > 0, i & 2 > 0, i & 4 > 0)) {
            let view = |x, rows, cols, t: bool| if t { Matrix::new(x, cols, rows).t() } else { Matrix::new(x, rows, cols) };
            let (av, bv) = (view(&a, m, k, ta), view(&b, k, n, tb));
            for level in [Level::Baseline, Level::Avx2, Level::Avx512] {
                let mut c = c0.clone();
                gemm_at(level, av, bv, &mut c, accumulate, &mut vec![R::nan(); 2 * (k + 33) * (m + n + 66)]);
                for i in 0..m {
                    for j in 0..n {
                        let at =
                            |p: usize| (a[if ta { p * m + i } else { i * k + p }].f64(), b[if tb { j * k + p } else { p * n + j }].f64());
                        let start = if accumulate { c0[i * n + j].f64() } else { 0.0 };
                        let want = (0..k).map(|p| at(p).0 * at(p).1).sum::<f64>() + start;
                        let size = (0..k).map(|p| (at(p).0 * at(p).1).abs()).sum::<f64>() + start.abs();
                        let err = (c[i * n + j].f64() - want).abs();
                        assert!(
                            err <= (k + 2) as f64 * R::epsilon().f64() * size,
                            "{} {} {m}x{k}x{n} ({ta}, {tb}): {err}",
                            level.name(),
                            R::NAME
                        );
                    }
                }
            }
        }
    }
}

#[test]
fn products_agree_with_the_definition() {
    check::<f32>();
    check::<f64>();
    // Numbers of 8, 16 and 32 bytes with more to them than their values.
    check::<Dual<f32>>();
    check::<Dual<f64>>();
    check::<Dual<Dual<f64>>>();
}

/// (A + A' e)(B + B' e) = A B + (A' B + A B') e, transposed or packed, fresh or added.
#[test]
fn products_of_duals_carry_their_tangents() {
    let (m, k, n) = (9, 260, 7);
    let dual = |n, chunk| draw::<f64>(n, chunk).into_iter().zip(draw(n, chunk + 9)).map(|(v, t)| Dual::new(v, t)).collect();
    let (a, b): (Vec<Dual<f64>>, Vec<Dual<f64>>) = (dual(m * k, 0), dual(k * n, 1));
    for (ta, tb, accumulate) in (0..8).map(|i| (i & 1 > 0, i & 2 > 0, i & 4 > 0)) {
        let av = if ta { Matrix::new(&a, k, m).t() } else { Matrix::new(&a, m, k) };
        let bv = if tb { Matrix::new(&b, n, k).t() } else { Matrix::new(&b, k, n) };
        let start = Dual::new(0.5, 3.0);
        let mut c = vec![if accumulate { start } else { Dual::nan() }; m * n];
        gemm(av, bv, &mut c, accumulate, &mut vec![Dual::nan(); scratch::<Dual<f64>>(ta, k, n)]);
        for (i, j) in (0..m).flat_map(|i| (0..n).map(move |j| (i, j))) {
            let term = |p: usize| (a[if ta { p * m + i } else { i * k + p }], b[if tb { j * k + p } else { p * n + j }]);
            let sum = (0..k).map(term).map(|(a, b)| a.tangent * b.value + a.value * b.tangent).sum::<f64>();
            let want = sum + if accumulate { start.tangent } else { 0.0 };
            let size: f64 = (0..k).map(term).map(|(a, b)| (a.tangent * b.value).abs() + (a.value * b.tangent).abs()).sum();
            let err = (c[i * n + j].tangent - want).abs();
            assert!(err <= (2 * k + 4) as f64 * f64::EPSILON * (size + 3.0), "({ta}, {tb}, {accumulate}) [{i}, {j}]: {err}");
        }
    }
}

#[test]
fn row_blocks_give_the_same_bits() {
    for (m, k, n) in [(101, 300, 37), (101, 300, 2), (9, 17, 3)] {
        rows::<f32>(m, k, n);
        rows::<f64>(m, k, n);
    }
}

fn rows<R: Real>(m: usize, k: usize, n: usize) {
    let (a, b) = (draw::<R>(m * k, 0), draw::<R>(k * n, 1));
    let mut store = vec![R::zero(); packed_len::<R>(k, n)];
    let packed = pack(Matrix::new(&b, k, n), &mut store);
    let (mut whole, mut parts) = (vec![R::zero(); m * n], vec![R::zero(); m * n]);
    multiply(&a, packed, &mut whole, false);
    for (a, c) in a.chunks(7 * k).zip(parts.chunks_mut(7 * n)) {
        multiply(a, packed, c, false);
    }
    assert_eq!(whole, parts);
}

#[test]
fn the_stated_scratch_suffices() {
    for (ta, m, k, n) in [
        (false, 9, 300, 33),
        (true, 9, 300, 33),
        (true, 1, 1, 1),
        (false, 1, 1, 1),
        (true, 130, 5, 2),
        (true, 600, 300, 33),
        (true, 600, 300, 3),
        (false, 9, 300, 3),
    ] {
        let (a, b) = (draw::<f64>(m * k, 0), draw::<f64>(k * n, 1));
        let av = if ta { Matrix::new(&a, k, m).t() } else { Matrix::new(&a, m, k) };
        gemm(av, Matrix::new(&b, k, n), &mut vec![0.0; m * n], false, &mut vec![0.0; scratch::<f64>(ta, k, n)]);
    }
}
