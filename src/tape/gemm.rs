//! Matrix products of row-major matrices: C = A B or C += A B, either operand read transposed.
//!
//! B is packed once into panels as wide as two vector registers; a block of C (8 rows by one panel) stays in registers while k
//! runs through blocks of 256 terms. Rows of A are *not* packed: each element is broadcast from where it lies; only a transposed
//! A is packed, panel by panel. The order in which the terms of an element of C are added depends on k alone (256 in order,
//! then the blocks in order), never on the element's place, so any split of C into row blocks gives the same bits.

use crate::Real;
use crate::simd::{Kernel, Level, dispatch_at, level};

/// Terms of a block: a panel of B of this height fits the first-level cache.
const KC: usize = 256;
/// Rows of A that are multiplied by every panel of B before the next ones: they fit the second-level cache.
const MC: usize = 64;

/// A matrix of `rows` x `cols`, stored row-major as it stands, or transposed (then the store is `cols` x `rows`).
#[derive(Clone, Copy)]
pub struct Matrix<'a, R> {
    pub data: &'a [R],
    pub rows: usize,
    pub cols: usize,
    pub transposed: bool,
}

impl<'a, R> Matrix<'a, R> {
    pub fn new(data: &'a [R], rows: usize, cols: usize) -> Self {
        Matrix { data, rows, cols, transposed: false }
    }
    /// The transpose: the same store read the other way.
    pub fn t(self) -> Self {
        Matrix { rows: self.cols, cols: self.rows, transposed: !self.transposed, ..self }
    }
}

/// Rows and columns of the block of C that is held in registers, for results with `n` columns: two registers wide, one where
/// that is enough.
fn tile<R: Real>(level: Level, n: usize) -> (usize, usize) {
    let (rows, bytes) = match level {
        Level::Avx512 => (8, 64),
        Level::Avx2 => (6, 32),
        Level::Baseline => (4, 16),
    };
    let lanes = bytes / R::BYTES;
    (rows, if n <= lanes { lanes } else { 2 * lanes })
}

/// How many numbers of working memory [`gemm`] needs.
pub fn scratch<R: Real>(a_transposed: bool, k: usize, n: usize) -> usize {
    packed_len::<R>(if a_transposed { k.min(KC) } else { k }, n)
}

/// How many numbers a packed k x n matrix takes.
pub fn packed_len<R: Real>(k: usize, n: usize) -> usize {
    k.saturating_mul(n.next_multiple_of(tile::<R>(level(), n).1))
}

/// A right operand in panels: [`pack`] made it.
#[derive(Clone, Copy)]
pub struct Packed<'a, R> {
    data: &'a [R],
    k: usize,
    n: usize,
    level: Level,
}

impl<'a, R: Real> Packed<'a, R> {
    /// The k x n matrix that [`pack`] wrote to `data` before.
    pub fn of(data: &'a [R], k: usize, n: usize) -> Self {
        Packed { data, k, n, level: level() }
    }
    /// Columns of the matrix.
    pub fn columns(&self) -> usize {
        self.n
    }
}

/// Packs `b` into `out`, which must have [`packed_len`] numbers.
pub fn pack<'a, R: Real>(b: Matrix<'_, R>, out: &'a mut [R]) -> Packed<'a, R> {
    pack_at(level(), b, out)
}

fn pack_at<'a, R: Real>(level: Level, b: Matrix<'_, R>, out: &'a mut [R]) -> Packed<'a, R> {
    let (_, nr) = tile::<R>(level, b.cols);
    let mut rest = &mut *out;
    for p0 in (0..b.rows).step_by(KC) {
        let kc = KC.min(b.rows - p0);
        let (block, after) = rest.split_at_mut(kc * b.cols.next_multiple_of(nr));
        pack_block(b, p0, kc, nr, block);
        rest = after;
    }
    Packed { data: out, k: b.rows, n: b.cols, level }
}

/// Rows p0..p0 + kc of `b`, in panels of `width` columns, the last one filled up with zeros.
fn pack_block<R: Real>(b: Matrix<'_, R>, p0: usize, kc: usize, width: usize, out: &mut [R]) {
    match width {
        32 => pack_panels::<R, 32>(b, p0, kc, out),
        16 => pack_panels::<R, 16>(b, p0, kc, out),
        8 => pack_panels::<R, 8>(b, p0, kc, out),
        6 => pack_panels::<R, 6>(b, p0, kc, out),
        4 => pack_panels::<R, 4>(b, p0, kc, out),
        _ => pack_panels::<R, 2>(b, p0, kc, out),
    }
}

fn pack_panels<R: Real, const N: usize>(b: Matrix<'_, R>, p0: usize, kc: usize, out: &mut [R]) {
    for (panel, out) in out.as_chunks_mut::<N>().0.chunks_exact_mut(kc.max(1)).enumerate() {
        let j0 = panel * N;
        let width = N.min(b.cols - j0);
        if width < N {
            out.fill([R::zero(); N]);
        }
        if b.transposed {
            for j in 0..width {
                let column = &b.data[(j0 + j) * b.rows + p0..][..kc];
                out.iter_mut().zip(column).for_each(|(row, x)| row[j] = *x);
            }
        } else {
            let rows = b.data[p0 * b.cols..].chunks_exact(b.cols);
            for (to, from) in out.iter_mut().zip(rows) {
                match from[j0..].first_chunk::<N>() {
                    Some(from) => *to = *from,
                    None => to[..width].copy_from_slice(&from[j0..]),
                }
            }
        }
    }
}

/// C = A B, or C += A B if `accumulate`. `scratch` must have [`scratch`] numbers.
pub fn gemm<R: Real>(a: Matrix<'_, R>, b: Matrix<'_, R>, c: &mut [R], accumulate: bool, scratch: &mut [R]) {
    gemm_at(level(), a, b, c, accumulate, scratch);
}

fn gemm_at<R: Real>(level: Level, a: Matrix<'_, R>, b: Matrix<'_, R>, c: &mut [R], accumulate: bool, scratch: &mut [R]) {
    let (m, k, n) = (a.rows, a.cols, b.cols);
    let (mr, nr) = tile::<R>(level, n);
    if !a.transposed {
        let packed = pack_at(level, b, &mut scratch[..k * n.next_multiple_of(nr)]);
        return multiply(a.data, packed, c, accumulate);
    }
    if k == 0 && !accumulate {
        c.fill(R::zero());
    }
    for p0 in (0..k).step_by(KC) {
        let kc = KC.min(k - p0);
        let panels = &mut scratch[..kc * n.next_multiple_of(nr)];
        pack_block(b, p0, kc, nr, panels);
        let a = Rows::Columns(&a.data[p0 * m..(p0 + kc) * m]);
        run(level, (mr, nr), Multiply { a, b: panels, k: kc, n, c: &mut *c, accumulate: accumulate || p0 > 0 });
    }
}

/// C = A B or C += A B for A row-major, as it lies, and as many rows as `c` has.
pub fn multiply<R: Real>(a: &[R], b: Packed<'_, R>, c: &mut [R], accumulate: bool) {
    if b.k == 0 && !accumulate {
        c.fill(R::zero());
    }
    run(b.level, tile::<R>(b.level, b.n), Multiply { a: Rows::Plain(a), b: b.data, k: b.k, n: b.n, c, accumulate });
}

/// The left operand.
#[derive(Clone, Copy)]
enum Rows<'a, R> {
    /// Row-major, k numbers a row.
    Plain(&'a [R]),
    /// Transposed, one block of at most KC terms: as many numbers a term as C has rows.
    Columns(&'a [R]),
}

struct Multiply<'a, R> {
    a: Rows<'a, R>,
    b: &'a [R],
    k: usize,
    n: usize,
    c: &'a mut [R],
    accumulate: bool,
}

struct Tiled<'a, R, const MR: usize, const NR: usize>(Multiply<'a, R>);

fn run<R: Real>(level: Level, tile: (usize, usize), m: Multiply<'_, R>) {
    match tile {
        (8, 32) => dispatch_at(level, Tiled::<R, 8, 32>(m)),
        (8, 16) => dispatch_at(level, Tiled::<R, 8, 16>(m)),
        (8, _) => dispatch_at(level, Tiled::<R, 8, 8>(m)),
        (6, 16) => dispatch_at(level, Tiled::<R, 6, 16>(m)),
        (6, 8) => dispatch_at(level, Tiled::<R, 6, 8>(m)),
        (6, _) => dispatch_at(level, Tiled::<R, 6, 4>(m)),
        (_, 8) => dispatch_at(level, Tiled::<R, 4, 8>(m)),
        (_, 4) => dispatch_at(level, Tiled::<R, 4, 4>(m)),
        _ => dispatch_at(level, Tiled::<R, 4, 2>(m)),
    }
}

impl<R: Real, const MR: usize, const NR: usize> Kernel for Tiled<'_, R, MR, NR> {
    type Output = ();
    #[inline(always)]
    fn run<const FMA: bool>(self) {
        let Multiply { a, b, k, n, c, accumulate } = self.0;
        if n == 0 {
            return;
        }
        let m = c.len() / n;
        for band in (0..m).step_by(MC.next_multiple_of(MR)) {
            let end = m.min(band + MC.next_multiple_of(MR));
            for p0 in (0..k).step_by(KC) {
                let kc = KC.min(k - p0);
                let block = &b[p0 * n.next_multiple_of(NR)..];
                for (panel, j0) in (0..n).step_by(NR).enumerate() {
                    let b = &block[panel * kc * NR..].as_chunks::<NR>().0[..kc];
                    for i0 in (band..end).step_by(MR) {
                        let block = match a {
                            Rows::Plain(a) => {
                                // Rows below the last one repeat it; their results are not stored.
                                let mut rows: [&[R]; MR] = [&[]; MR];
                                for (i, row) in rows.iter_mut().enumerate() {
                                    *row = &a[(i0 + i).min(m - 1) * k + p0..][..kc];
                                }
                                plain::<R, MR, NR, FMA>(rows, b)
                            }
                            Rows::Columns(a) => columns::<R, MR, NR, FMA>(a, m, i0, b),
                        };
                        let (height, width) = (MR.min(m - i0), NR.min(n - j0));
                        store(block, &mut c[i0 * n + j0..], n, height, width, accumulate || p0 > 0);
                    }
                }
            }
        }
    }
}

#[inline(always)]
fn plain<R: Real, const MR: usize, const NR: usize, const FMA: bool>(a: [&[R]; MR], b: &[[R; NR]]) -> [[R; NR]; MR] {
    let mut c = [[R::zero(); NR]; MR];
    for (p, b) in b.iter().enumerate() {
        add_product::<R, MR, NR, FMA>(|i| a[i][p], b, &mut c);
    }
    c
}

#[inline(always)]
fn columns<R: Real, const MR: usize, const NR: usize, const FMA: bool>(a: &[R], m: usize, i0: usize, b: &[[R; NR]]) -> [[R; NR]; MR] {
    let mut c = [[R::zero(); NR]; MR];
    let terms = a.chunks_exact(m).zip(b);
    if i0 + MR <= m {
        for (a, b) in terms {
            let a: &[R] = &a[i0..i0 + MR];
            add_product::<R, MR, NR, FMA>(|i| a[i], b, &mut c);
        }
    } else {
        // As above: the last row is repeated.
        for (a, b) in terms {
            add_product::<R, MR, NR, FMA>(|i| a[(i0 + i).min(m - 1)], b, &mut c);
        }
    }
    c
}

/// c_ij += a_i b_j. The rows are written out: a loop over them the compiler sometimes takes for the one to vectorise, with
/// gathers, sixty times slower.
#[inline(always)]
pub fn add_product<R: Real, const MR: usize, const NR: usize, const FMA: bool>(a: impl Fn(usize) -> R, b: &[R; NR], c: &mut [[R; NR]; MR]) {
    macro_rules! row {
        ($($i:literal)+) => {
            $(if MR > $i {
                let x = a($i);
                for j in 0..NR {
                    c[$i][j] = x.fma::<FMA>(b[j], c[$i][j]);
                }
            })+
        };
    }
    row!(0 1 2 3 4 5 6 7 8 9 10 11);
}

/// Writes a block's first `height` rows and `width` columns to rows of C that lie `n` apart.
#[inline(always)]
fn store<R: Real, const MR: usize, const NR: usize>(
    block: [[R; NR]; MR],
    c: &mut [R],
    n: usize,
    height: usize,
    width: usize,
    accumulate: bool,
) {
    if height == MR && width == NR {
        for i in 0..MR {
            let row = &mut c[i * n..][..NR];
            for j in 0..NR {
                row[j] = if accumulate { row[j] + block[i][j] } else { block[i][j] };
            }
        }
        return;
    }
    // The block must be indexed by constants only, or it could not stay in registers: the edge goes through a copy of it, and
    // black_box hides from the compiler that it is one.
    let mut copy = [[R::zero(); NR]; MR];
    for i in 0..MR {
        for j in 0..NR {
            copy[i][j] = block[i][j];
        }
    }
    for (i, x) in std::hint::black_box(&copy)[..height].iter().enumerate() {
        for (c, x) in c[i * n..][..width].iter_mut().zip(x) {
            *c = if accumulate { *c + *x } else { *x };
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rng::{Purpose, Stream};

    fn draw<R: Real>(n: usize, chunk: u32) -> Vec<R> {
        let mut x = vec![R::zero(); n];
        Stream::new(1, Purpose::Test, 0, chunk).fill_normal(&mut x);
        x
    }

    /// Every level, every combination of transposes, sizes around every edge, fresh and accumulating, against the definition
    /// in f64: |error| <= (k + 2) eps sum |a||b| (the bound for any order of summation).
    fn check<R: Real>() {
        let sizes = [0, 1, 2, 3, 5, 8, 9, 16, 17, 33, 70, 257];
        let shapes = (0..120).map(|i| (sizes[i % 12], sizes[(i * 5 + i / 12) % 12], sizes[(i * 7 + i / 3) % 12]));
        for (m, k, n) in shapes.chain([(130, 520, 65)]) {
            let (a, b, c0) = (draw::<R>(m * k, 0), draw::<R>(k * n, 1), draw::<R>(m * n, 2));
            for (ta, tb, accumulate) in (0..8).map(|i| (i & 1 > 0, i & 2 > 0, i & 4 > 0)) {
                let view = |x, rows, cols, t: bool| if t { Matrix::new(x, cols, rows).t() } else { Matrix::new(x, rows, cols) };
                let (av, bv) = (view(&a, m, k, ta), view(&b, k, n, tb));
                for level in [Level::Baseline, Level::Avx2, Level::Avx512] {
                    let mut c = c0.clone();
                    gemm_at(level, av, bv, &mut c, accumulate, &mut vec![R::nan(); 2 * (k + 33) * (m + n + 66)]);
                    for i in 0..m {
                        for j in 0..n {
                            let at = |p: usize| {
                                (a[if ta { p * m + i } else { i * k + p }].f64(), b[if tb { j * k + p } else { p * n + j }].f64())
                            };
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
    }

    #[test]
    fn row_blocks_give_the_same_bits() {
        let (m, k, n) = (101, 300, 37);
        let (a, b) = (draw::<f32>(m * k, 0), draw::<f32>(k * n, 1));
        let mut store = vec![0.0; packed_len::<f32>(k, n)];
        let packed = pack(Matrix::new(&b, k, n), &mut store);
        let (mut whole, mut parts) = (vec![0.0; m * n], vec![0.0; m * n]);
        multiply(&a, packed, &mut whole, false);
        for (a, c) in a.chunks(7 * k).zip(parts.chunks_mut(7 * n)) {
            multiply(a, packed, c, false);
        }
        assert_eq!(whole, parts);
    }

    #[test]
    fn the_stated_scratch_suffices() {
        for (ta, m, k, n) in [(false, 9, 300, 33), (true, 9, 300, 33), (true, 1, 1, 1), (false, 1, 1, 1), (true, 130, 5, 2)] {
            let (a, b) = (draw::<f64>(m * k, 0), draw::<f64>(k * n, 1));
            let av = if ta { Matrix::new(&a, k, m).t() } else { Matrix::new(&a, m, k) };
            gemm(av, Matrix::new(&b, k, n), &mut vec![0.0; m * n], false, &mut vec![0.0; scratch::<f64>(ta, k, n)]);
        }
    }
}
