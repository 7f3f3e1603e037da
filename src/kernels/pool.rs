//! Fewer pixels and more, channels last: means over windows, and repetition.

use super::copy::copy_or_add;
use crate::Real;

/// Pooling of a height and a width, a stride apart, on images `[n, h, w, c]`; the result is `[n, h', w', c]`.
/// A window is added up in order, row by row.
#[derive(Clone, Copy)]
pub struct Pooling {
    pub window: [usize; 2],
    pub stride: [usize; 2],
    pub from: [usize; 4],
    pub to: [usize; 4],
}

impl Pooling {
    /// y = the mean of each window.
    pub fn mean<R: Real>(self, x: &[R], y: &mut [R]) {
        let c = self.from[3];
        y.fill(R::zero());
        self.each(|at, seen| copy_or_add(&x[seen..seen + c], &mut y[at..at + c], true));
        let factor = self.factor::<R>();
        y.iter_mut().for_each(|y| *y *= factor);
    }

    /// dx += the share of every pixel in the windows' dy, which is used up.
    pub fn spread<R: Real>(self, dy: &mut [R], dx: &mut [R]) {
        let (c, factor) = (self.from[3], self.factor::<R>());
        dy.iter_mut().for_each(|dy| *dy *= factor);
        self.each(|at, seen| copy_or_add(&dy[at..at + c], &mut dx[seen..seen + c], true));
    }

    /// Calls `f` with every pixel of x that a pixel of the result sees: (place in y, place in x), in order of
    /// y, then of x.
    fn each(self, mut f: impl FnMut(usize, usize)) {
        let ([_, h, w, c], [n, oh, ow, _]) = (self.from, self.to);
        if c == 0 {
            return;
        }
        let ([wh, ww], [sh, sw]) = (self.window, self.stride);
        for y in 0..n * oh * ow {
            let (image, i, j) = (y / (oh * ow), y / ow % oh, y % ow);
            for a in 0..wh {
                for b in 0..ww {
                    f(y * c, ((image * h + i * sh + a) * w + j * sw + b) * c);
                }
            }
        }
    }

    fn factor<R: Real>(self) -> R {
        R::of(1.0 / (self.window[0] as f64 * self.window[1] as f64))
    }
}

/// Every pixel of images `[n, h, w, c]` becomes a block of equal ones.
#[derive(Clone, Copy)]
pub struct Upsampling {
    pub factor: [usize; 2],
    pub from: [usize; 4],
}

impl Upsampling {
    /// y = the blocks.
    pub fn repeat<R: Real>(self, x: &[R], y: &mut [R]) {
        let c = self.from[3];
        self.each(|at, seen| y[at..at + c].copy_from_slice(&x[seen..seen + c]));
    }

    /// dx += the sum of each block of dy, in order, row by row.
    pub fn sum<R: Real>(self, dy: &[R], dx: &mut [R]) {
        let c = self.from[3];
        self.each(|at, seen| copy_or_add(&dy[at..at + c], &mut dx[seen..seen + c], true));
    }

    /// Calls `f` with every pixel of the result: (place in y, place in x), in order of y.
    fn each(self, mut f: impl FnMut(usize, usize)) {
        let ([n, h, w, c], [a, b]) = (self.from, self.factor);
        if c == 0 {
            return;
        }
        let mut y = 0;
        for row in 0..n * h * a {
            for pixel in 0..w {
                for _ in 0..b {
                    f(y * c, (row / a * w + pixel) * c);
                    y += 1;
                }
            }
        }
    }
}
