//! The kernel of the weights' gradient: dw += source^T dy, a sum over pixels.

use super::window::{Grid, Source, Walk};
use crate::Real;
use crate::simd::{Kernel, Level, W, dispatch_at};
use crate::tape::gemm::add_product;

/// Pixels that are summed in registers before they are added to the gradient.
const LEAF: usize = 256;
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

fn tile<R: Real>(level: Level, n: usize) -> (usize, usize) {
    let (rows, bytes) = match level {
        Level::Avx512 => (8, 64),
        Level::Avx2 => (6, 32),
        Level::Baseline => (4, 16),
    };
    let lanes = bytes / R::BYTES;
    (rows, if n <= lanes { lanes } else { 2 * lanes })
}

/// Numbers of working memory for `n` channels.
pub fn scratch<R: Real>(level: Level, n: usize) -> usize {
    let (_, width) = tile::<R>(level, n);
    if n <= FEW || n.is_multiple_of(width) { 0 } else { LEAF * width }
}

impl<R: Real> Outer<'_, R> {
    pub fn run(self, level: Level) {
        if self.n <= FEW {
            return dispatch_at(level, Long(self));
        }
        match tile::<R>(level, self.n) {
            (8, 32) => dispatch_at(level, Tiled::<R, 8, 32>(self)),
            (8, 16) => dispatch_at(level, Tiled::<R, 8, 16>(self)),
            (8, _) => dispatch_at(level, Tiled::<R, 8, 8>(self)),
            (6, 16) => dispatch_at(level, Tiled::<R, 6, 16>(self)),
            (6, 8) => dispatch_at(level, Tiled::<R, 6, 8>(self)),
            (6, _) => dispatch_at(level, Tiled::<R, 6, 4>(self)),
            (_, 8) => dispatch_at(level, Tiled::<R, 4, 8>(self)),
            (_, 4) => dispatch_at(level, Tiled::<R, 4, 4>(self)),
            _ => dispatch_at(level, Tiled::<R, 4, 2>(self)),
        }
    }

    fn walk(&self) -> Walk {
        Walk::new(self.out, [self.source.grid, Grid { base: 0, image: 0, row: 0, pixel: 0 }])
    }
}

struct Tiled<'a, R, const M: usize, const N: usize>(Outer<'a, R>);

impl<R: Real, const M: usize, const N: usize> Kernel for Tiled<'_, R, M, N> {
    type Output = ();
    #[inline(always)]
    fn run<const FMA: bool>(self) {
        let mut walk = self.0.walk();
        let Outer { source, pixels, dy, start, channels, n, dw, panel, .. } = self.0;
        for q0 in (0..pixels).step_by(LEAF) {
            let count = LEAF.min(pixels - q0);
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
                        let first = segment * source.step + i0;
                        let sums = if height == M {
                            product::<R, M, N, FMA>(source.data, walk, source.grid.pixel, first, rows, apart, count)
                        } else {
                            edge::<R, M, N, FMA>(source.data, walk, source.grid.pixel, first, height, rows, apart, count)
                        };
                        let to = &mut dw[(segment * source.len + i0) * channels + start + j0..];
                        add(sums, to, channels, height, width);
                    }
                }
            }
            skip(&mut walk, count);
        }
    }
}

/// Goes on by `count` pixels.
#[inline(always)]
fn skip(walk: &mut Walk, mut count: usize) {
    while count > 0 {
        let run = walk.rest_of_row().min(count);
        walk.advance(run);
        count -= run;
    }
}

/// The sums over `count` pixels from `walk` on, of M numbers of the source, from `first` behind the pixel's place on, times N of
/// `rows`.
#[inline(always)]
fn product<R: Real, const M: usize, const N: usize, const FMA: bool>(
    x: &[R],
    mut walk: Walk,
    pixel: usize,
    first: usize,
    mut rows: &[R],
    apart: usize,
    mut count: usize,
) -> [[R; N]; M] {
    let mut c = [[R::zero(); N]; M];
    while count > 0 {
        let run = walk.rest_of_row().min(count);
        let x = &x[walk.place[0] + first..];
        for t in 0..run {
            let (Some(a), Some(b)) = (x[t * pixel..].first_chunk::<M>(), rows[t * apart..].first_chunk::<N>()) else { return c };
            add_product::<R, M, N, FMA>(|i| a[i], b, &mut c);
        }
        walk.advance(run);
        count -= run;
        rows = &rows[(run * apart).min(rows.len())..];
    }
    c
}

/// As [`product`] with less than M numbers of the source: the last is repeated, its sums are not used.
#[inline(always)]
#[allow(clippy::too_many_arguments)]
fn edge<R: Real, const M: usize, const N: usize, const FMA: bool>(
    x: &[R],
    mut walk: Walk,
    pixel: usize,
    first: usize,
    height: usize,
    mut rows: &[R],
    apart: usize,
    mut count: usize,
) -> [[R; N]; M] {
    let mut c = [[R::zero(); N]; M];
    while count > 0 {
        let run = walk.rest_of_row().min(count);
        let x = &x[walk.place[0] + first..];
        for t in 0..run {
            let Some(b) = rows[t * apart..].first_chunk::<N>() else { return c };
            add_product::<R, M, N, FMA>(|i| x[t * pixel + i.min(height - 1)], b, &mut c);
        }
        walk.advance(run);
        count -= run;
        rows = &rows[(run * apart).min(rows.len())..];
    }
    c
}

/// Adds the first `height` rows and `width` columns to rows that lie `apart`.
#[inline(always)]
fn add<R: Real, const M: usize, const N: usize>(sums: [[R; N]; M], to: &mut [R], apart: usize, height: usize, width: usize) {
    if height == M && width == N {
        for i in 0..M {
            let row = &mut to[i * apart..][..N];
            for j in 0..N {
                row[j] += sums[i][j];
            }
        }
        return;
    }
    // As in the other kernel: sums must be indexed by constants only.
    let mut copy = [[R::zero(); N]; M];
    for i in 0..M {
        for j in 0..N {
            copy[i][j] = sums[i][j];
        }
    }
    for (i, sums) in std::hint::black_box(&copy)[..height].iter().enumerate() {
        to[i * apart..][..width].iter_mut().zip(sums).for_each(|(to, sum)| *to += *sum);
    }
}

/// Few channels of dy: each is broadcast, and lanes run along the source.
struct Long<'a, R>(Outer<'a, R>);

impl<R: Real> Kernel for Long<'_, R> {
    type Output = ();
    #[inline(always)]
    fn run<const FMA: bool>(self) {
        let mut walk = self.0.walk();
        let Outer { source, pixels, dy, start, channels, n, dw, .. } = self.0;
        for q0 in (0..pixels).step_by(LEAF) {
            let count = LEAF.min(pixels - q0);
            for j in 0..n {
                let dy = &dy[q0 * channels + start + j..];
                for segment in 0..source.segments {
                    let to = &mut dw[segment * source.len * channels + start + j..];
                    let mut i = 0;
                    while i + LONG <= source.len {
                        long::<R, LONG, FMA>(&source, walk, segment * source.step + i, dy, channels, count, &mut to[i * channels..]);
                        i += LONG;
                    }
                    while i + W <= source.len {
                        long::<R, W, FMA>(&source, walk, segment * source.step + i, dy, channels, count, &mut to[i * channels..]);
                        i += W;
                    }
                    while i < source.len {
                        long::<R, 1, FMA>(&source, walk, segment * source.step + i, dy, channels, count, &mut to[i * channels..]);
                        i += 1;
                    }
                }
            }
            skip(&mut walk, count);
        }
    }
}

#[inline(always)]
fn long<R: Real, const N: usize, const FMA: bool>(
    source: &Source<'_, R>,
    mut walk: Walk,
    first: usize,
    dy: &[R],
    channels: usize,
    count: usize,
    to: &mut [R],
) {
    let mut sums = [R::zero(); N];
    let mut q = 0;
    while q < count {
        let run = walk.rest_of_row().min(count - q);
        let x = &source.data[walk.place[0] + first..];
        for t in 0..run {
            let Some(x) = x[t * source.grid.pixel..].first_chunk::<N>() else { return };
            let d = dy[(q + t) * channels];
            for i in 0..N {
                sums[i] = d.fma::<FMA>(x[i], sums[i]);
            }
        }
        walk.advance(run);
        q += run;
    }
    for (i, sum) in sums.iter().enumerate() {
        to[i * channels] += *sum;
    }
}
