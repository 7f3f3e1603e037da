//! (W, H, K) of an interval: how two neighbours join, and how one splits in halves.

use crate::Real;

/// W, H and K of one interval, for N paths.
#[derive(Debug, Clone, Copy)]
pub(super) struct Triple<R, const N: usize> {
    pub w: [R; N],
    pub h: [R; N],
    pub k: [R; N],
}

/// Which parts of a triple are wanted; each includes those before it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Parts {
    W,
    Wh,
    Whk,
}

/// Standard deviations, for an interval of length 1, of a cell's W, H, K: 1, 1/12, 1/720 are the variances
/// ...
pub(super) fn law() -> [f64; 3] {
    [1.0, 1.0 / 12.0, 1.0 / 720.0].map(f64::sqrt)
}

/// ... and of what its halves have beyond it: 1/16, 1/768, 1/2880.
pub(super) fn innovations() -> [f64; 3] {
    [1.0 / 16.0, 1.0 / 768.0, 1.0 / 2880.0].map(f64::sqrt)
}

impl<R: Real, const N: usize> Triple<R, N> {
    pub const fn new(x: R) -> Self {
        Triple { w: [x; N], h: [x; N], k: [x; N] }
    }

    /// Chen's relation. `self` and `right` are of neighbouring intervals of lengths l and r; with a = l/(l +
    /// r), b = r/(l + r), and D = b W_l - a W_r, which is how far the path is off its chord where they meet,
    ///
    /// W = W_l + W_r,   H = a H_l + b H_r + D/2,   K = a^2 K_l + b^2 K_r + (a b/2) (H_l - H_r) + (b - a) D/12.
    ///
    /// It follows from the definitions: above the long chord the path is a hat of height D plus its two
    /// bridges.
    #[inline(always)]
    pub fn append<const FMA: bool>(&mut self, right: &Self, l: f64, r: f64, parts: Parts) {
        if parts >= Parts::Wh {
            let (a, b) = (l / (l + r), r / (l + r));
            let (aa, bb, ab, tilt) = (R::of(a * a), R::of(b * b), R::of(0.5 * a * b), R::of((b - a) / 12.0));
            let (a, b, half) = (R::of(a), R::of(b), R::of(0.5));
            if parts == Parts::Whk {
                for i in 0..N {
                    let d = b.fma::<FMA>(self.w[i], -(a * right.w[i]));
                    let k = aa.fma::<FMA>(self.k[i], bb * right.k[i]);
                    self.k[i] = ab.fma::<FMA>(self.h[i] - right.h[i], tilt.fma::<FMA>(d, k));
                }
            }
            for i in 0..N {
                let d = b.fma::<FMA>(self.w[i], -(a * right.w[i]));
                self.h[i] = a.fma::<FMA>(self.h[i], b.fma::<FMA>(right.h[i], half * d));
            }
        }
        for i in 0..N {
            self.w[i] += right.w[i];
        }
    }

    /// Takes over some parts of another.
    #[inline(always)]
    pub fn copy(&mut self, from: &Self, parts: Parts) {
        self.w = from.w;
        if parts >= Parts::Wh {
            self.h = from.h;
        }
        if parts >= Parts::Whk {
            self.k = from.k;
        }
    }

    /// The halves of an interval of length L, given its own (W, H, K) and two of three independent normals
    /// (Foster 2020, theorem 6.1.6; Jelincic et al. 2024): with z ~ N(0, L/16), x ~ N(0, L/768), y ~ N(0,
    /// L/2880),
    ///
    /// W = W/2 +- (3/2 H + z),   H = H/4 - z/2 +- (15/4 K + x),   K = K/8 - x/2 +- y,
    ///
    /// with the upper sign on the left. `self` becomes the left half and `other` the right one. Their K is
    /// without y, which [`Triple::add_k`] adds: most halves never need it.
    #[inline(always)]
    pub fn halve<const FMA: bool>(&mut self, other: &mut Self, z: &[R; N], x: &[R; N], sd: [R; 2]) {
        let [half, quarter, eighth] = [0.5, 0.25, 0.125].map(R::of);
        let (three_halves, slope) = (R::of(1.5), R::of(3.75));
        for i in 0..N {
            let (z, x) = (sd[0] * z[i], sd[1] * x[i]);
            let (w, dw) = (half * self.w[i], three_halves.fma::<FMA>(self.h[i], z));
            let (h, dh) = (quarter.fma::<FMA>(self.h[i], -(half * z)), slope.fma::<FMA>(self.k[i], x));
            let k = eighth.fma::<FMA>(self.k[i], -(half * x));
            (self.w[i], other.w[i]) = (w + dw, w - dw);
            (self.h[i], other.h[i]) = (h + dh, h - dh);
            (self.k[i], other.k[i]) = (k, k);
        }
    }

    /// K += `sd` y.
    #[inline(always)]
    pub fn add_k<const FMA: bool>(&mut self, y: &[R; N], sd: R) {
        for i in 0..N {
            self.k[i] = sd.fma::<FMA>(y[i], self.k[i]);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The halves as the code makes them, each a row of coefficients of (W, H, K, z, x, y), in eighths: lane
    /// i of `one` is the i-th unit vector. They are small dyadic numbers, so that everything below is exact.
    fn rows() -> [[i64; 6]; 6] {
        let unit = |i: usize| std::array::from_fn(|lane| f64::from(u8::from(lane == i)));
        let one = Triple::<f64, 6> { w: unit(0), h: unit(1), k: unit(2) };
        let (mut l, mut r) = (one, one);
        l.halve::<false>(&mut r, &unit(3), &unit(4), [1.0, 1.0]);
        l.add_k::<false>(&unit(5), 1.0);
        r.add_k::<false>(&unit(5), -1.0);
        [l.w, l.h, l.k, r.w, r.h, r.k].map(|row| {
            row.map(|c| {
                assert_eq!((8.0 * c).fract(), 0.0);
                (8.0 * c) as i64
            })
        })
    }

    #[test]
    fn halves_are_independent_with_the_law_of_half_the_length() {
        // Variances of (W, H, K, z, x, y) for length 1, in units of 1/11520, and of a half's W, H, K.
        const UNIT: i64 = 11520;
        const PARENT: [i64; 6] = [UNIT, UNIT / 12, UNIT / 720, UNIT / 16, UNIT / 768, UNIT / 2880];
        let half = [1.0 / 2.0, 1.0 / 24.0, 1.0 / 1440.0];
        let m = rows();
        for a in 0..6 {
            for b in 0..6 {
                let cov: i64 = (0..6).map(|i| m[a][i] * m[b][i] * PARENT[i]).sum();
                let expected = if a == b { (64.0 * UNIT as f64 * half[a % 3]).round() as i64 } else { 0 };
                assert_eq!(cov, expected, "{a} {b}");
            }
        }
        assert_eq!(PARENT.map(|v| v * (UNIT / v)), [UNIT; 6]);
        for (got, v) in law().into_iter().chain(innovations()).zip(PARENT) {
            assert!((got * got * UNIT as f64 / v as f64 - 1.0).abs() <= 4.0 * f64::EPSILON);
        }
    }

    #[test]
    fn halves_join_to_the_whole() {
        let m = rows().map(|row| row.map(|c| c as f64 / 8.0));
        let mut whole = Triple { w: m[0], h: m[1], k: m[2] };
        whole.append::<false>(&Triple { w: m[3], h: m[4], k: m[5] }, 0.7, 0.7, Parts::Whk);
        for (i, row) in [whole.w, whole.h, whole.k].into_iter().enumerate() {
            assert!((0..6).all(|j| row[j] == f64::from(u8::from(i == j))), "{i}: {row:?}");
        }
    }

    /// W, H, K of the path t^p over [s, u], by their definitions:
    /// H = (1/h) int (B - chord), K = (1/h^2) int (B - chord) (h/2 - (t - s)) dt.
    fn power(p: i32, s: f64, u: f64) -> Triple<f64, 1> {
        let (h, w) = (u - s, u.powi(p) - s.powi(p));
        // int t^q over [s, u].
        let int = |q: i32| (u.powi(q + 1) - s.powi(q + 1)) / f64::from(q + 1);
        let area = int(p) - s.powi(p) * h - 0.5 * w * h;
        // int (t - s) (t^p - s^p - w (t - s)/h) dt.
        let moment = int(p + 1) - s * int(p) - s.powi(p) * h * h / 2.0 - w * h * h / 3.0;
        Triple { w: [w], h: [area / h], k: [(0.5 * h * area - moment) / (h * h)] }
    }

    #[test]
    fn chen_joins_neighbours_of_any_lengths() {
        for p in 1..=5 {
            for (s, r, u) in [(0.0, 0.5, 1.0), (0.0, 0.1, 1.0), (-1.0, 0.7, 0.9), (0.3, 1.2, 1.3)] {
                let (mut sum, whole) = (power(p, s, r), power(p, s, u));
                sum.append::<false>(&power(p, r, u), r - s, u - r, Parts::Whk);
                for (got, expected) in [(sum.w, whole.w), (sum.h, whole.h), (sum.k, whole.k)] {
                    assert!((got[0] - expected[0]).abs() <= 1e-13, "t^{p} on {s} {r} {u}: {got:?} {expected:?}");
                }
            }
        }
    }
}
