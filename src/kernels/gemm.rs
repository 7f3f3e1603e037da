//! Matrix products of row-major matrices: C = A B or C += A B, either operand read transposed.
//!
//! B is packed once into panels as wide as two vector registers; a block of C (8 rows by one panel) stays in
//! registers while k runs through blocks of 256 terms. Rows of A are *not* packed: each element is broadcast
//! from where it lies; only those of a large transposed A are, whose terms lie pages apart. A result of at
//! most four columns has kernels of its own ([`narrow`]), and dual numbers are multiplied part by part
//! ([`parts`]). The order in which the terms of an element of C are added depends on k alone (256 in order,
//! then the blocks in order), never on the element's place, so any split of C into row blocks gives the same
//! bits.

mod narrow;
mod pack;
mod parts;
#[cfg(test)]
mod tests;
mod tile;

use crate::Real;
use crate::simd::{Kernel, Level, dispatch_at, level};
use narrow::{Dots, NARROW, Outer};
pub use pack::{Packed, pack, packed_len};
use pack::{aligned, narrow, pack_at, pack_block};
use parts::gemm_of_parts;
use std::ops::Range;
pub use tile::{Tiled, add_product, level_of, run, spilled, tile};

/// Terms of a block: a panel of B of this height fits the first-level cache.
const KC: usize = 256;
/// Rows of A that are multiplied by every panel of B before the next ones: they fit the second-level cache.
const MC: usize = 64;
/// Bytes between the terms of a transposed A from which on its columns are packed: every term would lie on
/// another page.
const PAGE: usize = 4096;

/// A matrix of `rows` x `cols`, stored row-major as it stands, or transposed (then the store is `cols` x
/// `rows`).
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

/// How many numbers of working memory [`gemm`] needs.
pub fn scratch<R: Real>(a_transposed: bool, k: usize, n: usize) -> usize {
    match (a_transposed, n) {
        (true, ..=NARROW) => 0,
        (true, _) => packed_len::<R>(k.min(KC), n).saturating_add(k.min(KC) * MC),
        (false, _) => packed_len::<R>(k, n),
    }
}

/// C = A B, or C += A B if `accumulate`. `scratch` must have [`scratch`] numbers.
pub fn gemm<R: Real>(a: Matrix<'_, R>, b: Matrix<'_, R>, c: &mut [R], accumulate: bool, scratch: &mut [R]) {
    gemm_at(level(), a, b, c, accumulate, scratch);
}

fn gemm_at<R: Real>(level: Level, a: Matrix<'_, R>, b: Matrix<'_, R>, c: &mut [R], accumulate: bool, scratch: &mut [R]) {
    if !R::VECTORS {
        return gemm_of_parts(a, b, c, accumulate);
    }
    let (m, k, n) = (a.rows, a.cols, b.cols);
    if !a.transposed {
        let packed = pack_at(level, b, scratch);
        return multiply(a.data, packed, c, accumulate);
    }
    if k == 0 && !accumulate {
        c.fill(R::zero());
    }
    match n {
        0 => return,
        1 => return dispatch_at(level, Outer::<R, 1> { a, b, c, accumulate }),
        2 => return dispatch_at(level, Outer::<R, 2> { a, b, c, accumulate }),
        3 => return dispatch_at(level, Outer::<R, 3> { a, b, c, accumulate }),
        4 => return dispatch_at(level, Outer::<R, 4> { a, b, c, accumulate }),
        _ => {}
    }
    let (_, nr) = tile::<R>(level, n);
    let start = aligned(scratch);
    for p0 in (0..k).step_by(KC) {
        let kc = KC.min(k - p0);
        let (panels, columns) = scratch[start..].split_at_mut(kc * n.next_multiple_of(nr));
        pack_block(level, b, p0, kc, panels);
        let a = &a.data[p0 * m..(p0 + kc) * m];
        let a = if m * R::BYTES < PAGE { Rows::Columns(a) } else { Rows::Far(a, columns) };
        run(level, n, Multiply { a, b: panels, k: kc, n, c: &mut *c, accumulate: accumulate || p0 > 0 });
    }
}

/// C = A B or C += A B for A row-major, as it lies, and as many rows as `c` has.
pub fn multiply<R: Real>(a: &[R], b: Packed<'_, R>, c: &mut [R], accumulate: bool) {
    let Packed { data, k, n, level } = b;
    if !R::VECTORS {
        let m = c.len().checked_div(n).unwrap_or(0);
        return gemm_of_parts(Matrix::new(&a[..m * k], m, k), Matrix::new(&data[..k * n], k, n), c, accumulate);
    }
    if k == 0 && !accumulate {
        c.fill(R::zero());
    }
    match narrow(n) {
        None => run(level, n, Multiply { a: Rows::Plain(a), b: data, k, n, c, accumulate }),
        Some(_) if n == 0 => {}
        Some(1) => dispatch_at(level, Dots::<R, 1> { a, b: data, k, n, c, accumulate }),
        Some(2) => dispatch_at(level, Dots::<R, 2> { a, b: data, k, n, c, accumulate }),
        Some(_) => dispatch_at(level, Dots::<R, 4> { a, b: data, k, n, c, accumulate }),
    }
}

/// The left operand.
enum Rows<'a, R> {
    /// Row-major, k numbers a row.
    Plain(&'a [R]),
    /// Transposed, one block of at most KC terms: as many numbers a term as C has rows.
    Columns(&'a [R]),
    /// The same, with room for MC of its columns, packed.
    Far(&'a [R], &'a mut [R]),
}

struct Multiply<'a, R> {
    a: Rows<'a, R>,
    b: &'a [R],
    k: usize,
    n: usize,
    c: &'a mut [R],
    accumulate: bool,
}

impl<R: Real> Tiled<R> for Multiply<'_, R> {
    fn run<const MR: usize, const NR: usize>(self, level: Level) {
        // Other numbers are multiplied part by part.
        if const { R::VECTORS } {
            dispatch_at(level, ByBlocks::<R, MR, NR>(self));
        }
    }
}

struct ByBlocks<'a, R, const MR: usize, const NR: usize>(Multiply<'a, R>);

impl<R: Real, const MR: usize, const NR: usize> Kernel for ByBlocks<'_, R, MR, NR> {
    const VECTORS: bool = R::VECTORS;
    const LEVELS: [Level; 2] = level_of(MR);
    type Output = ();
    #[inline(always)]
    fn run<const FMA: bool>(self) {
        let Multiply { mut a, b, k, n, c, accumulate } = self.0;
        if n == 0 {
            return;
        }
        let m = c.len() / n;
        let step = MC / MR * MR;
        for band in (0..m).step_by(step) {
            let end = m.min(band + step);
            if let Rows::Far(a, packed) = &mut a {
                pack_rows::<R, MR>(a, m, band..end, packed);
            }
            for p0 in (0..k).step_by(KC) {
                let kc = KC.min(k - p0);
                let block = &b[p0 * n.next_multiple_of(NR)..];
                for (panel, j0) in (0..n).step_by(NR).enumerate() {
                    let b = &block[panel * kc * NR..].as_chunks::<NR>().0[..kc];
                    for i0 in (band..end).step_by(MR) {
                        let block = match &a {
                            Rows::Plain(a) => {
                                // Rows below the last one repeat it; their results are not stored.
                                let mut rows: [&[R]; MR] = [&[]; MR];
                                for (i, row) in rows.iter_mut().enumerate() {
                                    *row = &a[(i0 + i).min(m - 1) * k + p0..][..kc];
                                }
                                plain::<R, MR, NR, FMA>(rows, b)
                            }
                            Rows::Columns(a) => columns::<R, MR, NR, FMA>(a, m, i0, b),
                            Rows::Far(_, packed) => {
                                let a = &packed.as_chunks::<MR>().0[(i0 - band) / MR * kc..][..kc];
                                far::<R, MR, NR, FMA>(a, b)
                            }
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

#[inline(always)]
fn far<R: Real, const MR: usize, const NR: usize, const FMA: bool>(a: &[[R; MR]], b: &[[R; NR]]) -> [[R; NR]; MR] {
    let mut c = [[R::zero(); NR]; MR];
    for (a, b) in a.iter().zip(b) {
        add_product::<R, MR, NR, FMA>(|i| a[i], b, &mut c);
    }
    c
}

/// Rows `of` of a transposed A with m rows, MR by MR, term by term; the last ones filled up with zeros.
#[inline(always)]
fn pack_rows<R: Real, const MR: usize>(a: &[R], m: usize, of: Range<usize>, out: &mut [R]) {
    let k = a.len() / m;
    let out = out.as_chunks_mut::<MR>().0;
    for (p, row) in a.chunks_exact(m).enumerate() {
        let (whole, rest) = row[of.start..of.end].as_chunks::<MR>();
        for (panel, from) in whole.iter().enumerate() {
            out[panel * k + p] = *from;
        }
        if !rest.is_empty() {
            let last = &mut out[whole.len() * k + p];
            *last = [R::zero(); MR];
            last[..rest.len()].copy_from_slice(rest);
        }
    }
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
    let mut memory = [[R::zero(); NR]; MR];
    for (i, x) in spilled(block, &mut memory)[..height].iter().enumerate() {
        for (c, x) in c[i * n..][..width].iter_mut().zip(x) {
            *c = if accumulate { *c + *x } else { *x };
        }
    }
}
