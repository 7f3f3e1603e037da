//! Products whose result has few columns, such as a network's last layer: a panel would be mostly zeros.

use super::{KC, Matrix, spilled};
use crate::Real;
use crate::simd::{Kernel, W, sum};

/// Most columns of a narrow result.
pub const NARROW: usize = 4;

/// C = A B or C += A B by dot products: A row-major, B packed in N columns. The terms of a block of [`KC`]
/// are added in [`W`] interleaved sums, then these in halves.
pub struct Dots<'a, R, const N: usize> {
    pub a: &'a [R],
    pub b: &'a [R],
    pub k: usize,
    /// At most N.
    pub n: usize,
    pub c: &'a mut [R],
    pub accumulate: bool,
}

impl<R: Real, const N: usize> Kernel for Dots<'_, R, N> {
    const VECTORS: bool = R::VECTORS;
    type Output = ();
    #[inline(always)]
    fn run<const FMA: bool>(mut self) {
        let m = self.c.len() / self.n;
        let mut i0 = 0;
        while i0 + 4 <= m {
            self.rows::<4, FMA>(i0);
            i0 += 4;
        }
        while i0 < m {
            self.rows::<1, FMA>(i0);
            i0 += 1;
        }
    }
}

impl<R: Real, const N: usize> Dots<'_, R, N> {
    /// Rows i0..i0 + G of C: as many as keep the multiplier busy while each waits for its sums.
    #[inline(always)]
    fn rows<const G: usize, const FMA: bool>(&mut self, i0: usize) {
        let (k, n) = (self.k, self.n);
        let b = self.b.as_chunks::<W>().0;
        let mut columns: [&[[R; W]]; N] = [&[]; N];
        for (j, column) in columns.iter_mut().enumerate() {
            *column = &b[j * k.div_ceil(W)..][..k.div_ceil(W)];
        }
        for p0 in (0..k).step_by(KC) {
            let kc = KC.min(k - p0);
            let mut rows: [&[R]; G] = [&[]; G];
            for (i, row) in rows.iter_mut().enumerate() {
                *row = &self.a[(i0 + i) * k + p0..][..kc];
            }
            let mut sums = [[[R::zero(); W]; N]; G];
            for q in 0..kc / W {
                let mut x = [[R::zero(); W]; G];
                for i in 0..G {
                    x[i].copy_from_slice(&rows[i][q * W..][..W]);
                }
                add::<R, N, G, FMA>(&x, columns, p0 / W + q, &mut sums);
            }
            let whole = kc / W * W;
            if whole < kc {
                let mut x = [[R::zero(); W]; G];
                for i in 0..G {
                    x[i][..kc - whole].copy_from_slice(&rows[i][whole..]);
                }
                add::<R, N, G, FMA>(&x, columns, (p0 + whole) / W, &mut sums);
            }
            let fresh = !self.accumulate && p0 == 0;
            // Hidden from the compiler, which would cut the loop above into the halves that the sums below
            // begin with.
            let sums = std::hint::black_box(sums);
            for (sums, c) in sums.iter().zip(self.c[i0 * n..].chunks_exact_mut(n)) {
                for (lanes, c) in sums.iter().zip(c) {
                    let s = sum(*lanes);
                    *c = if fresh { s } else { *c + s };
                }
            }
        }
    }
}

/// sums_ij += x_i b_j, vector `q` of each column.
#[inline(always)]
fn add<R: Real, const N: usize, const G: usize, const FMA: bool>(
    x: &[[R; W]; G],
    b: [&[[R; W]]; N],
    q: usize,
    sums: &mut [[[R; W]; N]; G],
) {
    for j in 0..N {
        let b = &b[j][q];
        for i in 0..G {
            for l in 0..W {
                sums[i][j][l] = x[i][l].fma::<FMA>(b[l], sums[i][j][l]);
            }
        }
    }
}

/// C = A B or C += A B for A stored transposed, row by row of the stores: the columns of A lie side by side
/// in lanes, nothing is packed. In the order of all products: blocks of [`KC`] terms.
pub struct Outer<'a, R, const N: usize> {
    pub a: Matrix<'a, R>,
    /// N columns.
    pub b: Matrix<'a, R>,
    pub c: &'a mut [R],
    pub accumulate: bool,
}

impl<R: Real, const N: usize> Kernel for Outer<'_, R, N> {
    const VECTORS: bool = R::VECTORS;
    type Output = ();
    #[inline(always)]
    fn run<const FMA: bool>(mut self) {
        let m = self.a.rows;
        let mut i0 = 0;
        while i0 + 4 * W <= m {
            self.strip::<{ 4 * W }, FMA>(i0, 4 * W);
            i0 += 4 * W;
        }
        while i0 < m {
            self.strip::<W, FMA>(i0, W.min(m - i0));
            i0 += W;
        }
    }
}

impl<R: Real, const N: usize> Outer<'_, R, N> {
    /// Rows i0..i0 + height of C, height <= S.
    #[inline(always)]
    fn strip<const S: usize, const FMA: bool>(&mut self, i0: usize, height: usize) {
        let (m, k) = (self.a.rows, self.a.cols);
        let (along, across) = if self.b.transposed { (1, k) } else { (N, 1) };
        for p0 in (0..k).step_by(KC) {
            let mut sums = [[R::zero(); S]; N];
            for p in p0..k.min(p0 + KC) {
                let row = &self.a.data[p * m + i0..][..height];
                let mut x = [R::zero(); S];
                match row.first_chunk::<S>() {
                    Some(row) => x = *row,
                    None => x[..height].copy_from_slice(row),
                }
                for j in 0..N {
                    let y = self.b.data[p * along + j * across];
                    for l in 0..S {
                        sums[j][l] = x[l].fma::<FMA>(y, sums[j][l]);
                    }
                }
            }
            let fresh = !self.accumulate && p0 == 0;
            let mut memory = [[R::zero(); S]; N];
            let sums = spilled(sums, &mut memory);
            for (l, c) in self.c[i0 * N..].chunks_exact_mut(N).take(height).enumerate() {
                for j in 0..N {
                    c[j] = if fresh { sums[j][l] } else { c[j] + sums[j][l] };
                }
            }
        }
    }
}
