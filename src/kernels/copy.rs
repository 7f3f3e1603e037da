//! Numbers that are copied or added to others: runs of them, mirror images, and a box inside a row-major
//! tensor: where a part of a concatenation, a slice and a padded tensor lie.

use crate::Real;
use crate::simd::{Kernel, dispatch};

/// A box of up to four axes, as up to three outer loops over runs of adjacent numbers.
#[derive(Clone, Copy)]
pub struct Region {
    outer: [usize; 3],
    /// Distance of neighbours on each outer axis, in the large tensor.
    strides: [usize; 3],
    /// Where the box starts in the large tensor.
    offset: usize,
    run: usize,
}

impl Region {
    /// Entries start(axis)..start(axis) + size[axis] of each axis of a tensor of shape `of`, in which they
    /// must lie.
    pub fn new(of: &[usize], size: &[usize], start: impl Fn(usize) -> usize) -> Self {
        let mut w = Region { outer: [1; 3], strides: [0; 3], offset: 0, run: 1 };
        if size.contains(&0) {
            return Region { run: 0, ..w };
        }
        // Axes join the run from the last on, until one is not taken whole; that one is the run's first.
        let (mut stride, mut joins, mut slot) = (1, true, 3);
        for axis in (0..of.len()).rev() {
            w.offset += start(axis) * stride;
            if joins {
                w.run *= size[axis];
                joins = size[axis] == of[axis];
            } else {
                slot -= 1;
                (w.outer[slot], w.strides[slot]) = (size[axis], stride);
            }
            stride *= of[axis];
        }
        w
    }

    /// small = box of `large`, or small += box of `large` if `add`.
    pub fn read<R: Real>(self, large: &[R], small: &mut [R], add: bool) {
        if self.run > 0 {
            dispatch(Read { region: self, large, small, add });
        }
    }

    /// Box of `large` = small, or box of `large` += small if `add`; the rest of `large` stays.
    pub fn write<R: Real>(self, small: &[R], large: &mut [R], add: bool) {
        if self.run > 0 {
            dispatch(Write { region: self, small, large, add });
        }
    }

    /// Where run number i, j, k starts in the large tensor.
    #[inline(always)]
    fn at(&self, i: usize, j: usize, k: usize) -> usize {
        self.offset + i * self.strides[0] + j * self.strides[1] + k * self.strides[2]
    }
}

/// to = from, or to += from if `add`: equal lengths.
#[inline(always)]
pub fn copy_or_add<R: Real>(from: &[R], to: &mut [R], add: bool) {
    if add {
        for (to, from) in to.iter_mut().zip(from) {
            *to += *from;
        }
    } else {
        to.copy_from_slice(from);
    }
}

/// y = x with the entries of one axis of `shape` the other way round, or y += that if `add`.
pub fn mirror<R: Real>(shape: &[usize], axis: usize, x: &[R], y: &mut [R], add: bool) {
    // Sizes of an empty tensor need not have a product.
    if y.is_empty() {
        return;
    }
    // Entries of the axis, and the numbers of one.
    let (n, run) = (shape[axis], shape[axis + 1..].iter().product());
    for (i, y) in y.chunks_exact_mut(run).enumerate() {
        let image = i / n * n + n - 1 - i % n;
        copy_or_add(&x[image * run..][..run], y, add);
    }
}

struct Read<'a, R> {
    region: Region,
    large: &'a [R],
    small: &'a mut [R],
    add: bool,
}
impl<R: Real> Kernel for Read<'_, R> {
    const VECTORS: bool = R::VECTORS;
    type Output = ();
    #[inline(always)]
    fn run<const FMA: bool>(self) {
        let Read { region: w, large, small, add } = self;
        let mut runs = small.chunks_exact_mut(w.run);
        for i in 0..w.outer[0] {
            for j in 0..w.outer[1] {
                for (k, small) in (0..w.outer[2]).zip(&mut runs) {
                    copy_or_add(&large[w.at(i, j, k)..][..w.run], small, add);
                }
            }
        }
    }
}

struct Write<'a, R> {
    region: Region,
    small: &'a [R],
    large: &'a mut [R],
    add: bool,
}
impl<R: Real> Kernel for Write<'_, R> {
    const VECTORS: bool = R::VECTORS;
    type Output = ();
    #[inline(always)]
    fn run<const FMA: bool>(self) {
        let Write { region: w, small, large, add } = self;
        let mut runs = small.chunks_exact(w.run);
        for i in 0..w.outer[0] {
            for j in 0..w.outer[1] {
                for (k, small) in (0..w.outer[2]).zip(&mut runs) {
                    copy_or_add(small, &mut large[w.at(i, j, k)..][..w.run], add);
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn whole_axes_are_one_run() {
        let w = Region::new(&[4, 3, 5, 2], &[2, 3, 5, 2], |axis| [1, 0, 0, 0][axis]);
        assert_eq!((w.outer, w.run, w.offset), ([1; 3], 60, 30));
        let w = Region::new(&[4, 3, 5, 2], &[4, 3, 2, 2], |axis| [0, 0, 3, 0][axis]);
        assert_eq!((w.outer, w.strides, w.run, w.offset), ([1, 4, 3], [0, 30, 10], 4, 6));
    }

    #[test]
    fn a_box_is_read_and_written_where_it_lies() {
        let (of, size, start) = ([2, 4, 3, 5], [1, 2, 2, 3], [1, 1, 1, 2]);
        let large: Vec<f64> = (0..120).map(f64::from).collect();
        let mut want = vec![];
        for h in 1..3 {
            for w in 1..3 {
                want.extend((2..5).map(|c| f64::from(60 + h * 15 + w * 5 + c)));
            }
        }
        let region = Region::new(&of, &size, |axis| start[axis]);
        let mut small = vec![1.0; 12];
        region.read(&large, &mut small, true);
        assert!(small.iter().zip(&want).all(|(s, w)| *s == w + 1.0), "{small:?}");
        region.read(&large, &mut small, false);
        assert_eq!(small, want);
        let mut back = vec![0.0; 120];
        region.write(&small, &mut back, false);
        region.write(&small, &mut back, true);
        let inside = |v: f64| if want.contains(&v) { 2.0 * v } else { 0.0 };
        assert!(back.iter().zip(&large).all(|(b, l)| *b == inside(*l)), "{back:?}");
    }
}
