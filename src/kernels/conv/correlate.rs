//! The kernel of the result: every pixel's numbers times the weights.

use super::window::{Channels, Grid, Source, Walk};
use crate::Real;
use crate::kernels::gemm::{Tiled, add_product, level_of, run, spilled, tile};
use crate::simd::{Kernel, Level, W, at_most, dispatch_at};

/// Terms of an element that are added up in registers before they are added to the element.
const TERMS: usize = 288;
/// Pixels that meet one block of weights before the next one: their numbers stay in the second-level cache.
const PIXELS: usize = 1024;
/// Up to so many results a pixel, lanes run along the terms and not along the results.
const FEW: usize = 4;

/// Where the sum starts.
#[derive(Clone, Copy)]
pub enum Start<'a, R> {
    Zero,
    /// From the bias, one number a channel of the result.
    Bias(&'a [R]),
    /// From what is there.
    Old,
}

impl<'a, R> Start<'a, R> {
    /// For these channels.
    pub fn of(self, channels: Channels) -> Self {
        match self {
            Start::Bias(b) => Start::Bias(&b[channels.start..][..channels.count]),
            other => other,
        }
    }
}

/// y = start + source weights, for `pixels` pixels in rows and images of size `out`.
pub struct Correlate<'a, R> {
    pub source: Source<'a, R>,
    /// In the form that [`pack`] gives them.
    pub weights: &'a [R],
    /// Results a pixel.
    pub n: usize,
    pub pixels: usize,
    pub out: [usize; 2],
    pub y: &'a mut [R],
    pub grid: Grid,
    pub start: Start<'a, R>,
}

/// Numbers that packed weights of `k` terms for `n` results take.
pub fn packed_len<R: Real>(level: Level, k: usize, n: usize) -> usize {
    k.saturating_mul(if n <= FEW { n } else { n.next_multiple_of(tile::<R>(level, n).1) })
}

/// Brings weights into the kernel's order: panels as wide as the tile, filled up with zeros; for few results
/// one after another. `taps` are the places of the taps' blocks of `rows` terms, in the order of the terms;
/// term i's weight for result j lies i `strides[0]` + j `strides[1]` behind.
pub fn pack<R: Real>(
    level: Level,
    w: &[R],
    taps: impl Iterator<Item = usize>,
    rows: usize,
    strides: [usize; 2],
    [k, n]: [usize; 2],
    out: &mut [R],
) {
    // Result j of term i goes to (j / width) k width + i width + j % width.
    let width = if n <= FEW { 1 } else { tile::<R>(level, n).1 };
    if !n.is_multiple_of(width) {
        out.fill(R::zero());
    }
    for (tap, from) in taps.enumerate() {
        for i in 0..rows {
            let from = from + i * strides[0];
            let term = tap * rows + i;
            for (panel, j0) in (0..n).step_by(width).enumerate() {
                let to = &mut out[panel * k * width + term * width..][..width.min(n - j0)];
                let mut at = from + j0 * strides[1];
                for to in to {
                    *to = w[at];
                    at += strides[1];
                }
            }
        }
    }
}

impl<R: Real> Correlate<'_, R> {
    pub fn run(self, level: Level) {
        if self.n <= FEW {
            return match at_most(level) {
                Level::Avx512 if R::VECTORS => dispatch_at(level, Dots::<R, 8>(self)),
                _ => dispatch_at(level, Dots::<R, 4>(self)),
            };
        }
        run(level, self.n, self);
    }
}

impl<R: Real> Tiled<R> for Correlate<'_, R> {
    fn run<const P: usize, const N: usize>(self, level: Level) {
        dispatch_at(level, ByBlocks::<R, P, N>(self));
    }
}

/// A block of pixels: where their numbers and their results lie. Pixels beyond the last repeat it; their
/// results are not stored.
struct Block<const P: usize> {
    from: [usize; P],
    to: [usize; P],
    height: usize,
}

impl<const P: usize> Block<P> {
    #[inline(always)]
    fn next(walk: &mut Walk, left: usize) -> Self {
        let mut block = Block { from: [0; P], to: [0; P], height: P.min(left) };
        // Mostly the whole block lies in one row.
        if walk.rest_of_row() >= P && left >= P {
            for i in 0..P {
                [block.from[i], block.to[i]] = walk.ahead(i);
            }
            walk.advance(P);
            return block;
        }
        let mut place = walk.place;
        for i in 0..P {
            if i < block.height {
                place = walk.place;
                walk.advance(1);
            }
            [block.from[i], block.to[i]] = place;
        }
        block
    }
}

struct ByBlocks<'a, R, const P: usize, const N: usize>(Correlate<'a, R>);

impl<R: Real, const P: usize, const N: usize> Kernel for ByBlocks<'_, R, P, N> {
    const VECTORS: bool = R::VECTORS;
    const LEVELS: [Level; 2] = level_of(P);
    type Output = ();
    #[inline(always)]
    fn run<const FMA: bool>(self) {
        let Correlate { source, weights, n, pixels, out, y, grid, start } = self.0;
        let k = source.segments * source.len;
        let panels = weights.as_chunks::<N>().0;
        // Equal parts of at most TERMS terms; one if there is no term at all, for the start.
        let parts = k.div_ceil(TERMS).max(1);
        let part = k.div_ceil(parts).max(1);
        let mut band = Walk::new(out, [source.grid, grid]);
        for q0 in (0..pixels).step_by(PIXELS) {
            let end = pixels.min(q0 + PIXELS);
            let mut after = band;
            for (panel, j0) in (0..n).step_by(N).enumerate() {
                let width = N.min(n - j0);
                for k0 in (0..k.max(1)).step_by(part) {
                    let weights = &panels[panel * k + k0..][..part.min(k - k0)];
                    let place = (k0 / source.len.max(1), k0 % source.len.max(1));
                    let mut bias = [R::zero(); N];
                    if let (0, Start::Bias(b)) = (k0, start) {
                        bias[..width].copy_from_slice(&b[j0..j0 + width]);
                    }
                    let add = k0 > 0 || matches!(start, Start::Old);
                    let mut walk = band;
                    for q in (q0..end).step_by(P) {
                        let block = Block::<P>::next(&mut walk, end - q);
                        let sums = product::<R, P, N, FMA>(&source, place, &block.from, weights);
                        store(sums, y, &block, j0, width, &bias, add);
                    }
                    after = walk;
                }
            }
            band = after;
        }
    }
}

/// The sums of a block of pixels over the terms of `weights`, from (segment, term of it) `place` on.
#[inline(always)]
fn product<R: Real, const P: usize, const N: usize, const FMA: bool>(
    source: &Source<'_, R>,
    place: (usize, usize),
    from: &[usize; P],
    mut weights: &[[R; N]],
) -> [[R; N]; P] {
    let mut c = [[R::zero(); N]; P];
    let (mut segment, mut first) = place;
    while !weights.is_empty() {
        let (now, later) = weights.split_at(weights.len().min(source.len - first));
        let at = segment * source.step + first;
        let mut rows: [&[R]; P] = [&[]; P];
        for i in 0..P {
            rows[i] = &source.data[from[i] + at..][..now.len()];
        }
        for (p, w) in now.iter().enumerate() {
            add_product::<R, P, N, FMA>(|i| rows[i][p], w, &mut c);
        }
        weights = later;
        segment += 1;
        first = 0;
    }
    c
}

/// y = sums + bias, or y += sums + bias.
#[inline(always)]
fn store<R: Real, const P: usize, const N: usize>(
    sums: [[R; N]; P],
    y: &mut [R],
    block: &Block<P>,
    j0: usize,
    width: usize,
    bias: &[R; N],
    add: bool,
) {
    if block.height == P && width == N {
        for i in 0..P {
            let row = &mut y[block.to[i] + j0..][..N];
            for j in 0..N {
                row[j] = if add { row[j] + sums[i][j] } else { sums[i][j] + bias[j] };
            }
        }
        return;
    }
    let mut memory = [[R::zero(); N]; P];
    for (sums, to) in spilled(sums, &mut memory)[..block.height].iter().zip(block.to) {
        for ((y, sum), bias) in y[to + j0..][..width].iter_mut().zip(sums).zip(bias) {
            *y = if add { *y + *sum } else { *sum + *bias };
        }
    }
}

/// Few results a pixel: 16 interleaved running sums over the terms, folded in halves; P pixels share a weight
/// that was read.
struct Dots<'a, R, const P: usize>(Correlate<'a, R>);

impl<R: Real, const P: usize> Kernel for Dots<'_, R, P> {
    const VECTORS: bool = R::VECTORS;
    const LEVELS: [Level; 2] = if P == 8 { [Level::Avx512; 2] } else { [Level::Baseline, Level::Avx2] };
    type Output = ();
    #[inline(always)]
    fn run<const FMA: bool>(self) {
        let Correlate { source, weights, n, pixels, out, y, grid, start } = self.0;
        let k = source.segments * source.len;
        let mut walk = Walk::new(out, [source.grid, grid]);
        for q in (0..pixels).step_by(P) {
            let block = Block::<P>::next(&mut walk, pixels - q);
            for j in 0..n {
                let sums = dots::<R, P, FMA>(&source, &block.from, &weights[j * k..(j + 1) * k]);
                for i in 0..block.height {
                    let y = &mut y[block.to[i] + j];
                    *y = match start {
                        Start::Zero => sums[i],
                        Start::Bias(b) => sums[i] + b[j],
                        Start::Old => *y + sums[i],
                    };
                }
            }
        }
    }
}

#[inline(always)]
fn dots<R: Real, const P: usize, const FMA: bool>(source: &Source<'_, R>, from: &[usize; P], weights: &[R]) -> [R; P] {
    let mut lanes = [[R::zero(); W]; P];
    for (segment, weights) in weights.chunks_exact(source.len.max(1)).enumerate() {
        let (blocks, rest) = weights.as_chunks::<W>();
        let mut rows: [&[R]; P] = [&[]; P];
        for i in 0..P {
            rows[i] = &source.data[from[i] + segment * source.step..][..source.len];
        }
        for (b, w) in blocks.iter().enumerate() {
            add_lanes::<R, P, FMA>(&rows, b * W, w, &mut lanes);
        }
        if !rest.is_empty() {
            let mut w = [R::zero(); W];
            w[..rest.len()].copy_from_slice(rest);
            let mut ends = [[R::zero(); W]; P];
            let mut rests: [&[R]; P] = [&[]; P];
            for (end, row) in ends.iter_mut().zip(rows) {
                end[..rest.len()].copy_from_slice(&row[blocks.len() * W..]);
            }
            for i in 0..P {
                rests[i] = &ends[i];
            }
            add_lanes::<R, P, FMA>(&rests, 0, &w, &mut lanes);
        }
    }
    let mut sums = [R::zero(); P];
    for i in 0..P {
        // black_box: folding all pixels at once, with gathers, would keep the lanes in memory throughout.
        let mut lanes = std::hint::black_box(lanes[i]);
        halve::<R, 8>(&mut lanes);
        halve::<R, 4>(&mut lanes);
        halve::<R, 2>(&mut lanes);
        halve::<R, 1>(&mut lanes);
        sums[i] = lanes[0];
    }
    sums
}

/// Folds the first 2 H lanes in halves.
#[inline(always)]
fn halve<R: Real, const H: usize>(lanes: &mut [R; W]) {
    for l in 0..H {
        lanes[l] += lanes[l + H];
    }
}

/// lanes_il += rows_i[at + l] w_l. The pixels are written out, as in [`add_product`].
#[inline(always)]
fn add_lanes<R: Real, const P: usize, const FMA: bool>(rows: &[&[R]; P], at: usize, w: &[R; W], lanes: &mut [[R; W]; P]) {
    macro_rules! pixel {
        ($($i:literal)+) => {
            $(if P > $i {
                let x = &rows[$i][at..][..W];
                for l in 0..W {
                    lanes[$i][l] = x[l].fma::<FMA>(w[l], lanes[$i][l]);
                }
            })+
        };
    }
    pixel!(0 1 2 3 4 5 6 7);
}
