//! A block of paths, and where it was read last.

use super::coordinate::Coordinate;
use super::tree::Tree;
use super::triple::Parts;
use super::walk::Walk;
use crate::simd::{Kernel, W, dispatch};
use crate::{Error, Real, Result};

/// The paths of one block, read from left to right at O(1) normals per step, or in any other order at
/// O(depth).
///
/// It remembers where it was read last, which changes what an answer costs and never what it is. Its memory,
/// 25 KiB per coordinate of 16 paths in f64, doesn't depend on the number of steps; nothing is allocated
/// after construction. It holds all `N` = [`W`] lanes of a block, at common times; [`Clocks`](super::Clocks)
/// is for times that differ.
#[derive(Debug, Clone)]
pub struct Cursor<'a, R, const N: usize = W> {
    tree: &'a Tree,
    /// Where it was read last, and when that is.
    walk: Walk,
    time: f64,
    coordinates: Vec<Coordinate<R, N>>,
}

impl<'a, R: Real, const N: usize> Cursor<'a, R, N> {
    pub(super) fn new(tree: &'a Tree, chunk: usize, lane: usize, d: usize) -> Self {
        let stream = tree.paths.stream(chunk);
        let coordinates = (0..d).map(|j| Coordinate::new(stream.field(j as u32), lane)).collect();
        Cursor { tree, walk: Walk::default(), time: tree.grid[0], coordinates }
    }

    /// W, H and K over [s, u], for use inside a [`Kernel`]. `w`: d blocks, paths last; `h`, `k`: the same, or
    /// empty where K, or H and K, aren't needed. s = u gives zeros.
    ///
    /// # Errors
    /// `Invalid` unless t_0 <= s <= u <= t_N; `Shape` if a slice is of another length.
    #[inline(always)]
    pub fn increment<const FMA: bool>(&mut self, s: f64, u: f64, w: &mut [[R; N]], h: &mut [[R; N]], k: &mut [[R; N]]) -> Result<()> {
        let d = self.coordinates.len();
        if w.len() != d || !(h.is_empty() || h.len() == d) || !(k.is_empty() || k.len() == d) {
            return Err(lengths(d, w.len(), h.len(), k.len()));
        }
        let parts = match (h.is_empty(), k.is_empty()) {
            (true, true) => Parts::W,
            (false, true) => Parts::Wh,
            (false, false) => Parts::Whk,
            (true, false) => return Err(lengths(d, w.len(), h.len(), k.len())),
        };
        let (from, to) = self.tree.locate(s, u, (self.time, self.walk.at))?;
        self.walk.go::<R, N, FMA>(self.tree, &mut self.coordinates, from, to, parts);
        self.time = u;
        let zero = [R::zero(); N];
        for (j, c) in self.coordinates.iter().enumerate() {
            w[j] = if from < to { c.sum.w } else { zero };
            if parts >= Parts::Wh {
                h[j] = if from < to { c.sum.h } else { zero };
            }
            if parts >= Parts::Whk {
                k[j] = if from < to { c.sum.k } else { zero };
            }
        }
        Ok(())
    }

    /// [`Cursor::increment`] outside of a kernel.
    ///
    /// # Errors
    /// As [`Cursor::increment`].
    pub fn query(&mut self, s: f64, u: f64, w: &mut [[R; N]], h: &mut [[R; N]], k: &mut [[R; N]]) -> Result<()> {
        dispatch(Query { cursor: self, s, u, w, h, k })
    }
}

#[cold]
pub(super) fn lengths(d: usize, w: usize, h: usize, k: usize) -> Error {
    Error::shape("Brownian path", format!("W of {d} blocks, H and K of as many or none, K only with H"), &[&[w], &[h], &[k]])
}

struct Query<'c, 'a, R, const N: usize> {
    cursor: &'c mut Cursor<'a, R, N>,
    s: f64,
    u: f64,
    w: &'c mut [[R; N]],
    h: &'c mut [[R; N]],
    k: &'c mut [[R; N]],
}

impl<R: Real, const N: usize> Kernel for Query<'_, '_, R, N> {
    const VECTORS: bool = R::VECTORS;
    type Output = Result<()>;
    #[inline(always)]
    fn run<const FMA: bool>(self) -> Result<()> {
        self.cursor.increment::<FMA>(self.s, self.u, self.w, self.h, self.k)
    }
}
