//! Right operands in the order in which the kernels read them.

use super::tile::{levels_of, tile};
use super::{KC, Matrix, NARROW};
use crate::Real;
use crate::simd::{Kernel, Level, W, dispatch_at, level};

/// Bytes of a cache line, and of the widest register: panels start at a multiple of it, so that no load
/// straddles two lines.
const LINE: usize = 64;

/// How many numbers a packed k x n matrix takes.
pub fn packed_len<R: Real>(k: usize, n: usize) -> usize {
    let numbers = match narrow(n) {
        Some(columns) => k.next_multiple_of(W).saturating_mul(columns),
        None => k.saturating_mul(n.next_multiple_of(tile::<R>(level(), n).1)),
    };
    numbers.saturating_add(spare::<R>())
}

/// The columns that a narrow matrix is filled up to.
pub(super) fn narrow(n: usize) -> Option<usize> {
    (n <= NARROW).then(|| n.next_power_of_two())
}

/// Numbers that [`aligned`] may have to skip.
pub(super) const fn spare<R: Real>() -> usize {
    (LINE / R::BYTES).saturating_sub(1)
}

/// Where the first whole cache line starts. A place that is not aligned is slower, not wrong.
pub(super) fn aligned<R: Real>(x: &[R]) -> usize {
    x.as_ptr().align_offset(LINE).min(spare::<R>()).min(x.len())
}

/// A right operand in panels of columns, or in columns if it is narrow: [`pack`] made it.
#[derive(Clone, Copy)]
pub struct Packed<'a, R> {
    pub(super) data: &'a [R],
    pub(super) k: usize,
    pub(super) n: usize,
    pub(super) level: Level,
}

impl<'a, R: Real> Packed<'a, R> {
    /// The k x n matrix that [`pack`] wrote to `data` before: this very memory, no copy of it, whose lines
    /// might start elsewhere.
    pub fn of(data: &'a [R], k: usize, n: usize) -> Self {
        Packed { data: &data[aligned(data)..], k, n, level: level() }
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

pub(super) fn pack_at<'a, R: Real>(level: Level, b: Matrix<'_, R>, out: &'a mut [R]) -> Packed<'a, R> {
    let start = aligned(out);
    let out = &mut out[start..];
    if !R::VECTORS {
        // As it is: its parts are packed when they are multiplied.
        for (i, row) in out[..b.rows * b.cols].chunks_exact_mut(b.cols.max(1)).enumerate() {
            for (j, x) in row.iter_mut().enumerate() {
                *x = b.data[if b.transposed { j * b.rows + i } else { i * b.cols + j }];
            }
        }
    } else if let Some(columns) = narrow(b.cols) {
        pack_columns(b, &mut out[..b.rows.next_multiple_of(W) * columns]);
    } else {
        let (_, nr) = tile::<R>(level, b.cols);
        let mut rest = &mut *out;
        for p0 in (0..b.rows).step_by(KC) {
            let kc = KC.min(b.rows - p0);
            let (block, after) = rest.split_at_mut(kc * b.cols.next_multiple_of(nr));
            pack_block(level, b, p0, kc, block);
            rest = after;
        }
    }
    Packed { data: out, k: b.rows, n: b.cols, level }
}

/// The columns of `b` one after another, each filled up with zeros to whole vectors, then columns of zeros.
fn pack_columns<R: Real>(b: Matrix<'_, R>, out: &mut [R]) {
    out.fill(R::zero());
    for (j, column) in out.chunks_exact_mut(b.rows.next_multiple_of(W).max(1)).take(b.cols).enumerate() {
        for (p, x) in column[..b.rows].iter_mut().enumerate() {
            *x = if b.transposed { b.data[j * b.rows + p] } else { b.data[p * b.cols + j] };
        }
    }
}

/// Rows p0..p0 + kc of `b`, in panels as wide as the tile, the last one filled up with zeros.
pub(super) fn pack_block<R: Real>(level: Level, b: Matrix<'_, R>, p0: usize, kc: usize, out: &mut [R]) {
    match tile::<R>(level, b.cols).1 {
        32 => dispatch_at(level, Panels::<R, 32> { b, p0, kc, out }),
        16 => dispatch_at(level, Panels::<R, 16> { b, p0, kc, out }),
        8 => dispatch_at(level, Panels::<R, 8> { b, p0, kc, out }),
        4 => dispatch_at(level, Panels::<R, 4> { b, p0, kc, out }),
        _ => dispatch_at(level, Panels::<R, 2> { b, p0, kc, out }),
    }
}

struct Panels<'a, 'b, R, const N: usize> {
    b: Matrix<'a, R>,
    p0: usize,
    kc: usize,
    out: &'b mut [R],
}

impl<R: Real, const N: usize> Kernel for Panels<'_, '_, R, N> {
    const VECTORS: bool = R::VECTORS;
    const LEVELS: [Level; 2] = levels_of(N, R::BYTES);
    type Output = ();
    #[inline(always)]
    fn run<const FMA: bool>(self) {
        let Panels { b, p0, kc, out } = self;
        for (panel, out) in out.as_chunks_mut::<N>().0.chunks_exact_mut(kc.max(1)).enumerate() {
            let j0 = panel * N;
            let width = N.min(b.cols - j0);
            if width < N {
                out.fill([R::zero(); N]);
            }
            if !b.transposed {
                let rows = b.data[p0 * b.cols..].chunks_exact(b.cols);
                for (to, from) in out.iter_mut().zip(rows) {
                    match from[j0..].first_chunk::<N>() {
                        Some(from) => *to = *from,
                        None => to[..width].copy_from_slice(&from[j0..]),
                    }
                }
                continue;
            }
            // Eight columns at a time: their lines stay in the first-level cache also where they lie a power
            // of two apart.
            let column = |j: usize| &b.data[(j0 + j) * b.rows + p0..][..kc];
            let mut j = 0;
            while j + 8 <= width {
                let columns =
                    [column(j), column(j + 1), column(j + 2), column(j + 3), column(j + 4), column(j + 5), column(j + 6), column(j + 7)];
                for (p, row) in out.iter_mut().enumerate() {
                    for i in 0..8 {
                        row[j + i] = columns[i][p];
                    }
                }
                j += 8;
            }
            for j in j..width {
                out.iter_mut().zip(column(j)).for_each(|(row, x)| row[j] = *x);
            }
        }
    }
}
