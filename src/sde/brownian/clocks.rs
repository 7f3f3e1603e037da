//! A block of paths, each at its own time.

use super::cursor::{Cursor, lengths};
use super::tree::Tree;
use crate::simd::{Kernel, W, dispatch};
use crate::{Real, Result};

/// The paths of a block, each asked for an interval of its own: what steps that adapt to each path need. Lane
/// i gives bit for bit what lane i of a [`Cursor`] gives for the same interval; it costs about as much as the
/// plain, unvectorised normals.
#[derive(Debug, Clone)]
pub struct Clocks<'a, R> {
    lanes: Vec<Cursor<'a, R, 1>>,
    /// W, H, K of one lane.
    one: [Vec<[R; 1]>; 3],
}

impl<'a, R: Real> Clocks<'a, R> {
    pub(super) fn new(tree: &'a Tree, chunk: usize, d: usize) -> Self {
        let zero = vec![[R::zero()]; d];
        Clocks { lanes: (0..W).map(|lane| Cursor::new(tree, chunk, lane, d)).collect(), one: [zero.clone(), zero.clone(), zero] }
    }

    /// W, H and K of lane i over [s_i, u_i], for use inside a [`Kernel`]; otherwise as [`Cursor::increment`].
    ///
    /// # Errors
    /// As [`Cursor::increment`], if any lane's interval is not inside of [t_0, t_N].
    #[inline(always)]
    pub fn increments<const FMA: bool>(
        &mut self,
        s: &[f64; W],
        u: &[f64; W],
        w: &mut [[R; W]],
        h: &mut [[R; W]],
        k: &mut [[R; W]],
    ) -> Result<()> {
        let d = self.one[0].len();
        if w.len() != d || !(h.is_empty() || h.len() == d) || !(k.is_empty() || k.len() == d) {
            return Err(lengths(d, w.len(), h.len(), k.len()));
        }
        let [one_w, one_h, one_k] = &mut self.one;
        let (one_w, one_h, one_k) = (&mut one_w[..], &mut one_h[..h.len()], &mut one_k[..k.len()]);
        for (i, lane) in self.lanes.iter_mut().enumerate() {
            lane.increment::<FMA>(s[i], u[i], one_w, one_h, one_k)?;
            for (all, one) in [(&mut *w, &*one_w), (&mut *h, &*one_h), (&mut *k, &*one_k)] {
                for (all, one) in all.iter_mut().zip(one) {
                    all[i] = one[0];
                }
            }
        }
        Ok(())
    }

    /// [`Clocks::increments`] outside of a kernel.
    ///
    /// # Errors
    /// As [`Clocks::increments`].
    pub fn query(&mut self, s: &[f64; W], u: &[f64; W], w: &mut [[R; W]], h: &mut [[R; W]], k: &mut [[R; W]]) -> Result<()> {
        dispatch(Query { clocks: self, s, u, w, h, k })
    }
}

struct Query<'c, 'a, R> {
    clocks: &'c mut Clocks<'a, R>,
    s: &'c [f64; W],
    u: &'c [f64; W],
    w: &'c mut [[R; W]],
    h: &'c mut [[R; W]],
    k: &'c mut [[R; W]],
}

impl<R: Real> Kernel for Query<'_, '_, R> {
    const VECTORS: bool = R::VECTORS;
    type Output = Result<()>;
    #[inline(always)]
    fn run<const FMA: bool>(self) -> Result<()> {
        self.clocks.increments::<FMA>(self.s, self.u, self.w, self.h, self.k)
    }
}
