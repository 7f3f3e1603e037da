//! Convolutions of images with channels last, without a matrix of patches.
//!
//! Between a larger image x `[n, h, w, c]` and a smaller one y `[n, h', w', d]` stands
//!
//! `y[n, i, j, d] = sum over a, b, c of x[n, s i + a - p, s j + b - p, c] w[a, b, c, d]`,
//!
//! with stride s, padding p and zeros outside of x. [`Convolution`] has this map, its adjoint in x, and the
//! gradient in w. With groups, channels of either side fall into as many equal parts, and part g of y sees
//! part g of x alone.
//!
//! A row of the kernel is a run of contiguous numbers of x, so y is a matrix product whose left operand is
//! read where it lies (with a border of zeros around it): blocks of pixels by channels stay in registers
//! while the terms run through. The adjoint is the same product with turned weights, one for each of the s^2
//! classes of pixels that see the same weights. The gradient is the transposed product, over blocks of
//! pixels.
//!
//! # Order of the sums
//! A function of the shapes alone. A result adds up blocks of at most 288 terms, each in order (a, b,
//! channel); with at most four results a pixel and group it is one sum of 16 interleaved ones, folded in
//! halves. An element of the gradient adds up blocks of at most 128 pixels in order, then the blocks in
//! order.

mod correlate;
mod outer;
mod window;

pub use super::linear::add_row_sums;
use crate::Real;
use crate::simd::Level;
pub use correlate::Start;
use correlate::{Correlate, pack, packed_len};
use outer::Outer;
use window::{Channels, Grid, Source, Window};

/// Pixels of the result whose images are brought into memory together.
const PIXELS: usize = 1024;

/// The sizes of the map. Axes of pairs: height, width.
#[derive(Clone, Copy)]
pub struct Convolution {
    pub images: usize,
    /// Of x, channels last.
    pub large: [usize; 2],
    pub c: usize,
    /// Of y.
    pub small: [usize; 2],
    pub d: usize,
    pub kernel: [usize; 2],
    pub stride: [usize; 2],
    pub padding: [usize; 2],
    pub groups: usize,
}

/// Along one axis: the pixels of x that are `first` + i `stride` see the taps `rest`, `rest` + `stride`, ...
#[derive(Clone, Copy)]
struct Phase {
    first: usize,
    pixels: usize,
    rest: usize,
    taps: usize,
    shift: isize,
}

/// Which channels are seen through which window, and where the results go.
#[derive(Clone, Copy)]
struct View<'a, R> {
    window: Window,
    from: Channels,
    to: Channels,
    grid: Grid,
    start: Start<'a, R>,
}

impl Convolution {
    /// The size of y along one axis, or None if the kernel does not fit into the padded image.
    pub fn small_size(large: usize, kernel: usize, stride: usize, padding: usize) -> Option<usize> {
        let room = padding.checked_mul(2)?.checked_add(large)?.checked_sub(kernel)?;
        Some(room.checked_div(stride)? + 1)
    }

    /// The size of x along one axis, `extra` numbers more than the least that y's size comes from, or None if
    /// there is none.
    pub fn large_size(small: usize, kernel: usize, stride: usize, padding: usize, extra: usize) -> Option<usize> {
        let steps = small.checked_sub(1)?.checked_mul(stride)?;
        let all = steps.checked_add(kernel)?.checked_add(extra)?;
        all.checked_sub(padding.checked_mul(2)?).filter(|n| *n > 0)
    }

    /// The same map with strides that do not reach beyond the image: of a longer one only the first place is
    /// left, and products with it could overflow.
    pub fn cut(mut self) -> Self {
        for a in 0..2 {
            self.stride[a] = self.stride[a].min(self.large[a] + 2 * self.padding[a] - self.kernel[a] + 1);
        }
        self
    }

    fn terms(&self) -> usize {
        self.kernel[0].saturating_mul(self.kernel[1]).saturating_mul(self.c / self.groups)
    }

    /// Multiplications and additions of each of the three maps, those with the border's zeros included.
    pub fn flops(&self) -> u64 {
        let results = self.d * self.images * self.small[0] * self.small[1];
        2u64.saturating_mul(self.terms() as u64).saturating_mul(results as u64)
    }

    fn window(&self) -> Window {
        let shift = self.padding.map(|p| -(p as isize));
        Window { image: self.large, kernel: self.kernel, stride: self.stride, shift, out: self.small }
    }

    /// Channels of x and of y that belong to group `g`.
    fn group(&self, g: usize) -> [Channels; 2] {
        [self.c, self.d].map(|of| Channels { start: g * (of / self.groups), count: of / self.groups, of })
    }

    /// Images that are treated together, for results of that size.
    fn band(&self, out: [usize; 2]) -> usize {
        (PIXELS / (out[0].saturating_mul(out[1])).max(1)).clamp(1, self.images.max(1))
    }

    /// Numbers of working memory of [`Self::apply`].
    pub fn apply_scratch<R: Real>(&self, level: Level) -> usize {
        let [c, d] = self.group(0);
        let images = self.window().scratch(c).saturating_mul(self.band(self.small));
        packed_len::<R>(level, self.terms(), d.count).saturating_add(images)
    }

    /// y = start + the map of x.
    pub fn apply<R: Real>(&self, level: Level, x: &[R], w: &[R], start: Start<'_, R>, y: &mut [R], scratch: &mut [R]) {
        if y.is_empty() {
            return;
        }
        for g in 0..self.groups {
            let [c, d] = self.group(g);
            let k = self.terms();
            let (weights, buffer) = scratch.split_at_mut(packed_len::<R>(level, k, d.count));
            let taps = (0..self.kernel[0] * self.kernel[1]).map(|tap| tap * c.count * d.of + d.start);
            pack(level, w, taps, c.count, [d.of, 1], [k, d.count], weights);
            let grid = Grid { base: d.start, image: self.small[0] * self.small[1] * d.of, row: self.small[1] * d.of, pixel: d.of };
            let view = View { window: self.window(), from: c, to: d, grid, start };
            self.correlate(level, view, x, weights, y, buffer);
        }
    }

    /// The pixels from `first` on, first < min(stride, size).
    fn phase(&self, axis: usize, first: usize) -> Phase {
        let (s, p, k) = (self.stride[axis], self.padding[axis], self.kernel[axis]);
        let rest = (first + p) % s;
        let taps = k.saturating_sub(rest).div_ceil(s);
        let shift = ((first + p) / s) as isize - (taps as isize - 1);
        Phase { first, pixels: (self.large[axis] - first).div_ceil(s), rest, taps, shift }
    }

    fn phases(&self) -> impl Iterator<Item = [Phase; 2]> + '_ {
        let [a, b] = [0, 1].map(|axis| self.stride[axis].min(self.large[axis]));
        (0..a).flat_map(move |i| (0..b).map(move |j| [self.phase(0, i), self.phase(1, j)]))
    }

    /// The window through which the pixels of x in a class see y.
    fn turned(&self, phase: [Phase; 2]) -> Window {
        let [a, b] = phase;
        let (kernel, shift, out) = ([a.taps, b.taps], [a.shift, b.shift], [a.pixels, b.pixels]);
        Window { image: self.small, kernel, stride: [1, 1], shift, out }
    }

    /// Numbers of working memory of [`Self::adjoint`].
    pub fn adjoint_scratch<R: Real>(&self, level: Level) -> usize {
        let [c, d] = self.group(0);
        let of = |phase: [Phase; 2]| {
            let window = self.turned(phase);
            let terms = window.kernel[0].saturating_mul(window.kernel[1]).saturating_mul(d.count);
            let images = window.scratch(d).saturating_mul(self.band(window.out));
            packed_len::<R>(level, terms, c.count).saturating_add(images)
        };
        self.phases().map(of).max().unwrap_or(0)
    }

    /// x = start + the adjoint map of y.
    pub fn adjoint<R: Real>(&self, level: Level, y: &[R], w: &[R], start: Start<'_, R>, x: &mut [R], scratch: &mut [R]) {
        if x.is_empty() {
            return;
        }
        for g in 0..self.groups {
            let [c, d] = self.group(g);
            for phase in self.phases() {
                let window = self.turned(phase);
                let [a, b] = phase;
                let k = a.taps * b.taps * d.count;
                let (weights, buffer) = scratch.split_at_mut(packed_len::<R>(level, k, c.count));
                let taps = (0..a.taps * b.taps).map(|tap| {
                    let row = a.rest + self.stride[0] * (a.taps - 1 - tap / b.taps);
                    let column = b.rest + self.stride[1] * (b.taps - 1 - tap % b.taps);
                    (row * self.kernel[1] + column) * c.count * d.of + d.start
                });
                pack(level, w, taps, d.count, [1, d.of], [k, c.count], weights);
                let width = self.large[1] * c.of;
                let grid = Grid {
                    base: a.first * width + b.first * c.of + c.start,
                    image: self.large[0] * width,
                    row: self.stride[0] * width,
                    pixel: self.stride[1] * c.of,
                };
                self.correlate(level, View { window, from: d, to: c, grid, start }, y, weights, x, buffer);
            }
        }
    }

    /// Channels of `x`, seen through a window, times the weights, to channels of `y`.
    fn correlate<R: Real>(&self, level: Level, view: View<'_, R>, x: &[R], weights: &[R], y: &mut [R], buffer: &mut [R]) {
        let View { window, from, to, grid, start } = view;
        let out = window.out;
        let (image, pixels) = (from.of * window.image[0] * window.image[1], out[0] * out[1]);
        let (band, start) = (self.band(out), start.of(to));
        for n0 in (0..self.images).step_by(band) {
            let images = band.min(self.images - n0);
            let source = if weights.is_empty() { Source::nothing() } else { window.gather(&x[n0 * image..], images, from, &mut *buffer) };
            let y = &mut y[n0 * grid.image..];
            Correlate { source, weights, n: to.count, pixels: images * pixels, out, y, grid, start }.run(level);
        }
    }

    /// Numbers of working memory of [`Self::add_weight_gradient`].
    pub fn weight_gradient_scratch<R: Real>(&self, level: Level) -> usize {
        let [c, d] = self.group(0);
        self.window().scratch(c).saturating_mul(self.band(self.small)).saturating_add(outer::scratch::<R>(level, d.count))
    }

    /// What suffices for each of the three.
    pub fn scratch<R: Real>(&self, level: Level) -> usize {
        self.apply_scratch::<R>(level).max(self.adjoint_scratch::<R>(level)).max(self.weight_gradient_scratch::<R>(level))
    }

    /// dw += the gradient of <y, map of x> in w.
    pub fn add_weight_gradient<R: Real>(&self, level: Level, x: &[R], y: &[R], dw: &mut [R], scratch: &mut [R]) {
        if dw.is_empty() || y.is_empty() {
            return;
        }
        let (window, band, out) = (self.window(), self.band(self.small), self.small);
        let (large, small) = (self.c * self.large[0] * self.large[1], self.d * out[0] * out[1]);
        for n0 in (0..self.images).step_by(band) {
            let images = band.min(self.images - n0);
            for g in 0..self.groups {
                let [c, d] = self.group(g);
                let (panel, buffer) = scratch.split_at_mut(outer::scratch::<R>(level, d.count));
                let source = window.gather(&x[n0 * large..], images, c, buffer);
                let (dy, pixels) = (&y[n0 * small..], images * out[0] * out[1]);
                Outer { source, pixels, out, dy, start: d.start, channels: d.of, n: d.count, dw: &mut *dw, panel }.run(level);
            }
        }
    }
}

#[cfg(test)]
mod tests;
