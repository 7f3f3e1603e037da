//! Standard normals by Box and Muller, sixteen counters at a time.

use super::philox::philox_lanes;
use crate::Real;
use crate::simd::{Kernel, W, dispatch};

/// Normals of one group of `W` counters.
pub const GROUP: usize = 4 * W;
/// The counter bit that names the low halves of 64-bit numbers.
const LOW: u32 = 1;

/// Fills `out` with the normals that follow `counter`; returns the next unused block index.
pub fn fill<R: Real>(key: [u32; 2], counter: [u32; 4], out: &mut [R]) -> u32 {
    dispatch(Fill { key, counter, out })
}

struct Fill<'a, R> {
    key: [u32; 2],
    counter: [u32; 4],
    out: &'a mut [R],
}

impl<R: Real> Kernel for Fill<'_, R> {
    const VECTORS: bool = R::VECTORS;
    type Output = u32;
    #[inline(always)]
    fn run<const FMA: bool>(self) -> u32 {
        let mut counter = self.counter;
        let (groups, rest) = self.out.as_chunks_mut::<GROUP>();
        for out in groups {
            *out = group::<R, FMA>(self.key, counter);
            counter[0] = counter[0].wrapping_add(W as u32);
        }
        if !rest.is_empty() {
            rest.copy_from_slice(&group::<R, FMA>(self.key, counter)[..rest.len()]);
            counter[0] = counter[0].wrapping_add(W as u32);
        }
        counter[0]
    }
}

/// The 64 normals of counters `counter`, `counter + 1`, ..., `counter + 15` (in word 0). Words (0, 1) and
/// (2, 3) of a block are a radius and an angle each; the order is 16 cosines, 16 sines of the first pair,
/// then of the second.
#[inline(always)]
pub fn group<R: Real, const FMA: bool>(key: [u32; 2], counter: [u32; 4]) -> [R; GROUP] {
    let mut c = counter.map(|word| [word; W]);
    for i in 0..W {
        c[0][i] = c[0][i].wrapping_add(i as u32);
    }
    let hi = philox_lanes(key, c);
    let lo = if R::BYTES == 8 {
        c[3] = [counter[3] | LOW; W];
        philox_lanes(key, c)
    } else {
        [[0; W]; 4]
    };
    let mut out = [R::zero(); GROUP];
    for pair in 0..2 {
        for i in 0..W {
            let (radius, angle) = ([hi[2 * pair][i], lo[2 * pair][i]], [hi[2 * pair + 1][i], lo[2 * pair + 1][i]]);
            (out[2 * pair * W + i], out[(2 * pair + 1) * W + i]) = box_muller::<R, FMA>(radius, angle);
        }
    }
    out
}

/// Two independent normals (r cos 2 pi v, r sin 2 pi v), r = sqrt(-2 ln u), from the high and low words of u
/// and of v.
#[inline(always)]
pub fn box_muller<R: Real, const FMA: bool>(u: [u32; 2], v: [u32; 2]) -> (R, R) {
    let radius = (R::of(-2.0) * R::uniform(u[0], u[1]).ln_normal_lane::<FMA>()).sqrt();
    let (sin, cos) = R::uniform(v[0], v[1]).sin_cos_turns::<FMA>();
    (radius * cos, radius * sin)
}

/// The normals of a stream, `W` at a time, in the order of [`super::Stream::fill_normal`]: for loops that
/// consume them lane by lane inside a [`Kernel`], without a buffer in memory.
#[derive(Debug, Clone)]
pub struct NormalLanes<R> {
    key: [u32; 2],
    counter: [u32; 4],
    group: [R; GROUP],
    used: usize,
}

impl<R: Real> NormalLanes<R> {
    pub(super) fn new(key: [u32; 2], counter: [u32; 4]) -> Self {
        NormalLanes { key, counter, group: [R::zero(); GROUP], used: GROUP }
    }

    /// The next `W` normals.
    #[inline(always)]
    pub fn draw<const FMA: bool>(&mut self) -> [R; W] {
        if self.used == GROUP {
            self.group = group::<R, FMA>(self.key, self.counter);
            self.counter[0] = self.counter[0].wrapping_add(W as u32);
            self.used = 0;
        }
        // Not by array::from_fn: a closure that may panic is left as a call, in a loop that needs every one
        // inlined.
        let mut lanes = [R::zero(); W];
        lanes.copy_from_slice(&self.group[self.used..self.used + W]);
        self.used += W;
        lanes
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::simd::{Level, dispatch_at};

    #[test]
    fn levels_agree_to_rounding_and_a_prefix_is_a_prefix() {
        let draw = |level, n| {
            let mut z = vec![0f32; n];
            dispatch_at(level, Fill { key: [1, 2], counter: [0, 3, 4, 5 << 1], out: &mut z });
            z
        };
        let z = draw(Level::Baseline, 1000);
        for level in [Level::Avx2, Level::Avx512] {
            assert!(draw(level, 1000).iter().zip(&z).all(|(a, b)| (a - b).abs() <= 4e-6));
        }
        assert_eq!(draw(Level::Baseline, 70), z[..70]);
        let mut lanes = NormalLanes::<f32>::new([1, 2], [0, 3, 4, 5 << 1]);
        let drawn: Vec<f32> = (0..8).flat_map(|_| lanes.draw::<false>()).collect();
        assert_eq!(drawn, z[..128]);
        let mut wide = vec![0f64; 1000];
        fill([1, 2], [0, 3, 4, 5 << 1], &mut wide);
        assert!(wide.iter().zip(&z).all(|(a, b)| (a - f64::from(*b)).abs() <= 4e-6 * (1.0 + a.abs())));
    }
}
