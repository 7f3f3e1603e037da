//! The kernel of the weights' gradient: dw += source^T dy, a sum over pixels.

use super::window::{Source, Walk};
use crate::Real;
use crate::kernels::gemm::{Tiled, add_product, level_of, run, spilled, tile};
use crate::simd::{Kernel, Level, W, dispatch_at};
use std::ops::Range;

/// Pixels that are summed in registers before they are added to the gradient.
const LEAF: usize = 128;
/// Up to so many channels of dy, lanes run along the source and not along dy.
const FEW: usize = 4;
/// Numbers of the source side by side then.
const LONG: usize = 6 * W;

/// dw += source^T dy over `pixels` pixels in rows and images of size `out`.
pub struct Outer<'a, R> {
    pub source: Source<'a, R>,
    pub pixels: usize,
    pub out: [usize; 2],
    /// Pixel q's numbers lie from `start` + q `channels` on: `n` of them count.
    pub dy: &'a [R],
    pub start: usize,
    pub channels: usize,
    pub n: usize,
    /// Row r of the product is added from `start` + r `channels` on.
    pub dw: &'a mut [R],
    /// Working memory, [`scratch`] numbers.
    pub panel: &'a mut [R],
}

/// Numbers of working memory for `n` channels.
pub fn scratch<R: Real>(level: Level, n: usize) -> usize {
    let width = tile::<R>(level, n).1;
    if n <= FEW || n.is_multiple_of(width) { 0 } else { LEAF * width }
}

impl<R: Real> Outer<'_, R> {
    pub fn run(self, level: Level) {
        if self.n <= FEW {
            return dispatch_at(level, Long(self));
        }
        run(level, self.n, self);
    }
}

impl<R: Real> Tiled<R> for Outer<'_, R> {
    fn run<const M: usize, const N: usize>(self, level: Level) {
        // The upper level has 32 registers: 24 for the sums of a taller block.
        if const { M == 8 } {
            dispatch_at(level, ByBlocks::<R, 12, N>(self));
        } else {
            dispatch_at(level, ByBlocks::<R, M, N>(self));
        }
    }
}

/// Where the next `count` pixels of the source lie.
#[inline(always)]
fn places(walk: &mut Walk, count: usize) -> [usize; LEAF] {
    let mut places = [0; LEAF];
    for place in &mut places[..count] {
        *place = walk.place[0];
        walk.advance(1);
    }
    places
}

struct ByBlocks<'a, R, const M: usize, const N: usize>(Outer<'a, R>);

impl<R: Real, const M: usize, const N: usize> Kernel for ByBlocks<'_, R, M, N> {
    const VECTORS: bool = R::VECTORS;
    const LEVELS: [Level; 2] = level_of(M);
    type Output = ();
    #[inline(always)]
    fn run<const FMA: bool>(self) {
        let Outer { source, pixels, out, dy, start, channels, n, dw, panel } = self.0;
        let mut walk = Walk::new(out, [source.grid; 2]);
        for q0 in (0..pixels).step_by(LEAF) {
            let count = LEAF.min(pixels - q0);
            let places = &places(&mut walk, count)[..count];
            for j0 in (0..n).step_by(N) {
                let width = N.min(n - j0);
                let rows = &dy[q0 * channels + start + j0..];
                let (rows, apart) = if n.is_multiple_of(N) {
                    (rows, channels)
                } else {
                    for (to, q) in panel.as_chunks_mut::<N>().0.iter_mut().zip(0..count) {
                        *to = [R::zero(); N];
                        to[..width].copy_from_slice(&rows[q * channels..][..width]);
                    }
                    (&*panel, N)
                };
                for segment in 0..source.segments {
                    for i0 in (0..source.len).step_by(M) {
                        let height = M.min(source.len - i0);
                        // The last block starts earlier, if it can, and only its new rows count.
                        let done = (M - height).min(i0);
                        let first = segment * source.step + i0 - done;
                        let sums = if height + done == M {
                            product::<R, M, N, FMA>(source.data, places, first, rows, apart)
                        } else {
                            edge::<R, M, N, FMA>(source.data, places, first, height, rows, apart)
                        };
                        let to = &mut dw[(segment * source.len + i0) * channels + start + j0..];
                        add(sums, to, channels, done..done + height, width);
                    }
                }
            }
        }
    }
}

/// The sums, over the pixels at `places`, of M numbers of the source, `first` behind the pixel's place, times
/// N of `rows`.
#[inline(always)]
fn product<R: Real, const M: usize, const N: usize, const FMA: bool>(
    x: &[R],
    places: &[usize],
    first: usize,
    rows: &[R],
    apart: usize,
) -> [[R; N]; M] {
    let mut c = [[R::zero(); N]; M];
    for (q, place) in places.iter().enumerate() {
        let (a, b) = (&x[place + first..][..M], row::<R, N>(rows, q * apart));
        add_product::<R, M, N, FMA>(|i| a[i], b, &mut c);
    }
    c
}

/// As [`product`] with `height` < M numbers of the source: the last is repeated, its sums are not used. In
/// one function, both loops together would make the frequent one a third slower.
#[inline(always)]
fn edge<R: Real, const M: usize, const N: usize, const FMA: bool>(
    x: &[R],
    places: &[usize],
    first: usize,
    height: usize,
    rows: &[R],
    apart: usize,
) -> [[R; N]; M] {
    let mut c = [[R::zero(); N]; M];
    for (q, place) in places.iter().enumerate() {
        let (a, b) = (&x[place + first..][..height], row::<R, N>(rows, q * apart));
        add_product::<R, M, N, FMA>(|i| a[i.min(height - 1)], b, &mut c);
    }
    c
}

/// N numbers from `at` on.
#[inline(always)]
fn row<R: Real, const N: usize>(rows: &[R], at: usize) -> &[R; N] {
    &rows[at..].as_chunks::<N>().0[0]
}

/// Adds the rows `new` and the first `width` columns to rows that lie `apart`.
#[inline(always)]
fn add<R: Real, const M: usize, const N: usize>(sums: [[R; N]; M], to: &mut [R], apart: usize, new: Range<usize>, width: usize) {
    if new.len() == M && width == N {
        for i in 0..M {
            let row = &mut to[i * apart..][..N];
            for j in 0..N {
                row[j] += sums[i][j];
            }
        }
        return;
    }
    let mut memory = [[R::zero(); N]; M];
    for (i, sums) in spilled(sums, &mut memory)[new].iter().enumerate() {
        to[i * apart..][..width].iter_mut().zip(sums).for_each(|(to, sum)| *to += *sum);
    }
}

/// Few channels of dy: each is broadcast, and lanes run along the source.
struct Long<'a, R>(Outer<'a, R>);

impl<R: Real> Kernel for Long<'_, R> {
    const VECTORS: bool = R::VECTORS;
    type Output = ();
    #[inline(always)]
    fn run<const FMA: bool>(self) {
        let Outer { source, pixels, out, dy, start, channels, n, dw, .. } = self.0;
        let mut walk = Walk::new(out, [source.grid; 2]);
        for q0 in (0..pixels).step_by(LEAF) {
            let count = LEAF.min(pixels - q0);
            let places = &places(&mut walk, count)[..count];
            for j in 0..n {
                let dy = &dy[q0 * channels + start + j..];
                for segment in 0..source.segments {
                    let to = &mut dw[segment * source.len * channels + start + j..];
                    let mut i = 0;
                    while i + LONG <= source.len {
                        long::<R, LONG, FMA>(source.data, places, segment * source.step + i, dy, channels, &mut to[i * channels..]);
                        i += LONG;
                    }
                    while i + W <= source.len {
                        long::<R, W, FMA>(source.data, places, segment * source.step + i, dy, channels, &mut to[i * channels..]);
                        i += W;
                    }
                    while i < source.len {
                        long::<R, 1, FMA>(source.data, places, segment * source.step + i, dy, channels, &mut to[i * channels..]);
                        i += 1;
                    }
                }
            }
        }
    }
}

/// Adds the sums, over the pixels at `places`, of N numbers of the source times one of dy, to numbers that
/// lie `channels` apart.
#[inline(always)]
fn long<R: Real, const N: usize, const FMA: bool>(x: &[R], places: &[usize], first: usize, dy: &[R], channels: usize, to: &mut [R]) {
    let mut sums = [R::zero(); N];
    for (q, place) in places.iter().enumerate() {
        let (d, x) = (dy[q * channels], row::<R, N>(x, place + first));
        for i in 0..N {
            sums[i] = d.fma::<FMA>(x[i], sums[i]);
        }
    }
    for (i, sum) in sums.iter().enumerate() {
        to[i * channels] += *sum;
    }
}
