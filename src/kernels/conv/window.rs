//! What the pixels of a result see of an image, and how it is brought into memory for the kernels.

use crate::Real;

/// Below so many contiguous numbers a row of the kernel is not worth a loop of its own: patches are gathered
/// instead.
const SHORT: usize = 16;

/// Pixel (y, x) of the result sees the `kernel[0]` x `kernel[1]` pixels of the image from (y, x) `stride` +
/// `shift` on; outside of the image lie zeros.
#[derive(Clone, Copy)]
pub struct Window {
    pub image: [usize; 2],
    pub kernel: [usize; 2],
    pub stride: [usize; 2],
    pub shift: [isize; 2],
    pub out: [usize; 2],
}

/// Channels `start..start + count` of pixels that have `of`.
#[derive(Clone, Copy)]
pub struct Channels {
    pub start: usize,
    pub count: usize,
    pub of: usize,
}

/// A grid of pixels in a buffer: images, rows and pixels lie so far apart, the first one at `base`.
#[derive(Clone, Copy)]
pub struct Grid {
    pub base: usize,
    pub image: usize,
    pub row: usize,
    pub pixel: usize,
}

/// What the kernels read: pixel q of the result sees `segments` runs of `len` contiguous numbers, `step`
/// apart, the first one where `grid` has its pixel q. Their concatenation is the row of the matrix that the
/// weights are multiplied by.
#[derive(Clone, Copy)]
pub struct Source<'a, R> {
    pub data: &'a [R],
    pub grid: Grid,
    pub segments: usize,
    pub step: usize,
    pub len: usize,
}

impl<R> Source<'_, R> {
    /// No number a pixel.
    pub fn nothing() -> Self {
        Source { data: &[], grid: Grid { base: 0, image: 0, row: 0, pixel: 0 }, segments: 0, step: 0, len: 0 }
    }
}

enum Layout {
    /// The image as it lies.
    Direct,
    /// The part of the image that is seen, with its border of zeros, these channels alone.
    Bordered,
    /// The numbers seen by each pixel of the result, one after another.
    Patches,
}

impl Window {
    /// Rows and columns of the image that are seen, with border.
    fn extent(&self) -> [usize; 2] {
        [0, 1].map(|a| (self.out[a].saturating_sub(1)).saturating_mul(self.stride[a]).saturating_add(self.kernel[a]))
    }

    fn layout(&self, channels: Channels) -> Layout {
        let extent = self.extent();
        let inside = (0..2).all(|a| self.shift[a] >= 0 && self.shift[a] as usize + extent[a] <= self.image[a]);
        let contiguous = channels.count == channels.of || self.kernel[1] == 1;
        if self.kernel[0] > 1 && self.kernel[1] * channels.count < SHORT {
            Layout::Patches
        } else if inside && contiguous {
            Layout::Direct
        } else {
            Layout::Bordered
        }
    }

    /// Numbers of working memory that [`Self::gather`] needs for one image.
    pub fn scratch(&self, channels: Channels) -> usize {
        let (pixels, each) = match self.layout(channels) {
            Layout::Direct => return 0,
            Layout::Bordered => (self.extent(), 1),
            Layout::Patches => (self.out, self.kernel[0].saturating_mul(self.kernel[1])),
        };
        pixels[0].saturating_mul(pixels[1]).saturating_mul(each).saturating_mul(channels.count)
    }

    /// The first `images` images of `x` as the kernels read them. `buffer` must have [`Self::scratch`]
    /// numbers for each.
    pub fn gather<'a, R: Real>(&self, x: &'a [R], images: usize, channels: Channels, buffer: &'a mut [R]) -> Source<'a, R> {
        let Channels { start, count, of } = channels;
        let [height, width] = self.image;
        let image = of * height * width;
        let [eh, ew] = self.extent();
        match self.layout(channels) {
            Layout::Direct => {
                let base = (self.shift[0] as usize * width + self.shift[1] as usize) * of + start;
                let grid = Grid { base, image, row: self.stride[0] * width * of, pixel: self.stride[1] * of };
                Source { data: x, grid, segments: self.kernel[0], step: width * of, len: self.kernel[1] * count }
            }
            Layout::Bordered => {
                let size = count * eh * ew;
                for i in 0..images {
                    self.border(&x[i * image..][..image], channels, &mut buffer[i * size..][..size]);
                }
                let grid = Grid { base: 0, image: size, row: self.stride[0] * ew * count, pixel: self.stride[1] * count };
                Source { data: buffer, grid, segments: self.kernel[0], step: ew * count, len: self.kernel[1] * count }
            }
            Layout::Patches => {
                let patch = self.kernel[0] * self.kernel[1] * count;
                let size = self.out[0] * self.out[1] * patch;
                for i in 0..images {
                    self.patches(&x[i * image..][..image], channels, &mut buffer[i * size..][..size]);
                }
                let grid = Grid { base: 0, image: size, row: self.out[1] * patch, pixel: patch };
                Source { data: buffer, grid, segments: 1, step: 0, len: patch }
            }
        }
    }

    /// One image with its border.
    fn border<R: Real>(&self, x: &[R], channels: Channels, out: &mut [R]) {
        let Channels { start, count, of } = channels;
        let ew = self.extent()[1];
        // Columns before..before + inside of a row lie in the image, from column `from` on.
        let (before, from, inside) = overlap(self.shift[1], ew, self.image[1]);
        for (row, out) in out.chunks_exact_mut((ew * count).max(1)).enumerate() {
            let y = self.shift[0] + row as isize;
            if y < 0 || y as usize >= self.image[0] {
                out.fill(R::zero());
                continue;
            }
            let x = &x[(y as usize * self.image[1] + from) * of..][..inside * of];
            let (left, rest) = out.split_at_mut(before * count);
            let (middle, right) = rest.split_at_mut(inside * count);
            left.fill(R::zero());
            right.fill(R::zero());
            if count == of {
                middle.copy_from_slice(x);
            } else {
                for (to, from) in middle.chunks_exact_mut(count).zip(x.chunks_exact(of)) {
                    to.copy_from_slice(&from[start..start + count]);
                }
            }
        }
    }

    /// The patches of one image: number by number, so that the inner loop runs over the pixels of a row.
    fn patches<R: Real>(&self, x: &[R], channels: Channels, out: &mut [R]) {
        let Channels { start, count, of } = channels;
        let ([kh, kw], stride, width) = (self.kernel, self.stride[1], self.out[1]);
        let patch = kh * kw * count;
        for (a, b) in (0..kh).flat_map(|a| (0..kw).map(move |b| (a, b))) {
            // Pixels before..end of a row see the image at this tap.
            let first = self.shift[1] + b as isize;
            let before = first.min(0).unsigned_abs().div_ceil(stride).min(width);
            let end = self.image[1].saturating_add_signed(-first).div_ceil(stride).clamp(before, width);
            for (row, out) in out.chunks_exact_mut((width * patch).max(1)).enumerate() {
                let y = self.shift[0] + (row * self.stride[0] + a) as isize;
                let end = if y < 0 || y as usize >= self.image[0] { before } else { end };
                for k in 0..count {
                    let mut to = (a * kw + b) * count + k;
                    for _ in 0..before {
                        out[to] = R::zero();
                        to += patch;
                    }
                    if before < end {
                        let mut from = (y as usize * self.image[1] + (first + (before * stride) as isize) as usize) * of + start + k;
                        for _ in before..end {
                            out[to] = x[from];
                            to += patch;
                            from += stride * of;
                        }
                    }
                    for _ in end..width {
                        out[to] = R::zero();
                        to += patch;
                    }
                }
            }
        }
    }
}

/// Of `n` places from `shift` on: how many lie before 0, where the others start, and how many of them lie
/// below `size`.
fn overlap(shift: isize, n: usize, size: usize) -> (usize, usize, usize) {
    let before = n.min(shift.min(0).unsigned_abs());
    let from = size.min(shift.max(0) as usize);
    (before, from, (n - before).min(size - from))
}

/// A walk over the pixels of `out`-sized images in order, and where each lies in two buffers.
#[derive(Clone, Copy)]
pub struct Walk {
    out: [usize; 2],
    grids: [Grid; 2],
    at: [usize; 3],
    /// Where the present pixel lies in either buffer.
    pub place: [usize; 2],
}

impl Walk {
    #[inline(always)]
    pub fn new(out: [usize; 2], grids: [Grid; 2]) -> Self {
        Walk { out, grids, at: [0; 3], place: [grids[0].base, grids[1].base] }
    }
    /// Pixels from this one to the end of its row.
    #[inline(always)]
    pub fn rest_of_row(&self) -> usize {
        self.out[1] - self.at[2]
    }
    /// Where the pixel `i` further on in the same row lies.
    #[inline(always)]
    pub fn ahead(&self, i: usize) -> [usize; 2] {
        [self.place[0] + i * self.grids[0].pixel, self.place[1] + i * self.grids[1].pixel]
    }
    /// Goes on by `n` pixels, at most to the start of the next row.
    #[inline(always)]
    pub fn advance(&mut self, n: usize) {
        self.at[2] += n;
        for k in 0..2 {
            self.place[k] += n * self.grids[k].pixel;
        }
        if self.at[2] == self.out[1] {
            self.at[2] = 0;
            self.at[1] += 1;
            if self.at[1] == self.out[0] {
                self.at[1] = 0;
                self.at[0] += 1;
            }
            for k in 0..2 {
                let g = self.grids[k];
                self.place[k] = g.base + self.at[0] * g.image + self.at[1] * g.row;
            }
        }
    }
}
