//! Sums of u u^T over many points, the larger half of expectation-maximisation's work with full covariances.

use crate::Real;
use crate::simd::W;
use ndarray::Array2;

/// A tile of the matrix: ROWS x COLUMNS entries, each summed in L lanes, which is what the vector registers
/// hold.
const ROWS: usize = 4;
const COLUMNS: usize = 2;
const L: usize = 8;
/// Entries of a tile.
const TILE: usize = ROWS * COLUMNS;

/// d rounded up to whole tiles: the length of one group of points in `u`.
pub fn padded(d: usize) -> usize {
    d.next_multiple_of(ROWS)
}

/// Entries of all tiles that touch the lower triangle.
pub fn len(d: usize) -> usize {
    tiles(d).count() * TILE
}

/// Upper left corners of those tiles.
#[inline(always)]
fn tiles(d: usize) -> impl Iterator<Item = (usize, usize)> {
    (0..d).step_by(ROWS).flat_map(move |a| (0..d.min(a + ROWS)).step_by(COLUMNS).map(move |b| (a, b)))
}

/// sums += sum over groups and lanes of u u^T. `u`: `[groups][padded d][W]`, zero beyond d.
#[inline(always)]
pub fn add<const FMA: bool>(d: usize, u: &[[f64; W]], sums: &mut [f64]) {
    let (out, _) = sums.as_chunks_mut::<TILE>();
    for ((a, b), out) in tiles(d).zip(out) {
        let tile = tile::<FMA>(u, padded(d), a, b);
        for (out, tile) in out.iter_mut().zip(tile) {
            *out += tile;
        }
    }
}

#[inline(always)]
fn tile<const FMA: bool>(u: &[[f64; W]], stride: usize, a: usize, b: usize) -> [f64; TILE] {
    let mut sums = [[[0.0; L]; COLUMNS]; ROWS];
    for group in u.chunks_exact(stride) {
        let (left, right) = (&group[a..a + ROWS], &group[b..b + COLUMNS]);
        for h in 0..W / L {
            for r in 0..ROWS {
                for c in 0..COLUMNS {
                    for i in 0..L {
                        sums[r][c][i] = left[r][h * L + i].fma::<FMA>(right[c][h * L + i], sums[r][c][i]);
                    }
                }
            }
        }
    }
    // Only the finished sums of lanes are added across: were it one expression, the compiler would shuffle
    // inside the loop.
    let sums = std::hint::black_box(sums);
    let mut out = [0.0; TILE];
    for r in 0..ROWS {
        for c in 0..COLUMNS {
            out[r * COLUMNS + c] = sums[r][c].iter().sum();
        }
    }
    out
}

/// The symmetric matrix that `sums` holds, [d, d].
pub fn matrix(d: usize, sums: &[f64]) -> Array2<f64> {
    let mut m = Array2::zeros((d, d));
    for ((a, b), tile) in tiles(d).zip(sums.chunks_exact(TILE)) {
        for (i, value) in tile.iter().enumerate() {
            let (row, column) = (a + i / COLUMNS, b + i % COLUMNS);
            if row < d && column <= row {
                m[[row, column]] = *value;
                m[[column, row]] = *value;
            }
        }
    }
    m
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rng::{Purpose, Stream};

    #[test]
    fn sums_are_the_products() {
        for d in 1..=11 {
            let groups = 3;
            let mut u = vec![[0.0; W]; groups * padded(d)];
            let mut stream = Stream::new(8, Purpose::Test, 0, d as u32);
            for group in u.chunks_exact_mut(padded(d)) {
                group[..d].iter_mut().for_each(|lane| stream.fill_normal(lane));
            }
            let mut sums = vec![0.0; len(d)];
            add::<false>(d, &u, &mut sums);
            add::<false>(d, &u, &mut sums);
            for ((i, j), got) in matrix(d, &sums).indexed_iter() {
                let exact: f64 = u.chunks_exact(padded(d)).map(|g| (0..W).map(|l| 2.0 * g[i][l] * g[j][l]).sum::<f64>()).sum();
                assert!((got - exact).abs() <= 1e-12, "d = {d}, {i} {j}: {got} {exact}");
            }
        }
    }
}
