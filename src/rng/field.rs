//! Numbers by address, for what is drawn in no order, such as the nodes of a tree.

use super::normal::box_muller;
use super::philox::{philox, philox_lanes};
use crate::Real;
use crate::simd::W;

/// Lanes that share a Philox block: its words (0, 1) are one lane's radius and angle, (2, 3) another's.
const HALF: usize = W / 2;

/// Pairs of standard normals, or words, of [`W`] lanes, each a function of its address (row, column) and of
/// the field's name.
///
/// A [`super::Stream`] counts in 32 bits; a field has an address of 92. To make room, the name is not part of
/// the counter: it is put through Philox, and what comes out is the key (64 bits) and one word of the
/// counter. Two fields of one seed share both with probability 2^-96.
///
/// | word | holds |
/// |---|---|
/// | 0, 1 | column (60 bits), lane modulo 8 (3 bits), one bit that is set for the low halves of 64-bit numbers |
/// | 2 | row |
/// | 3 | from the name |
#[derive(Debug, Clone, Copy)]
pub struct Field {
    key: [u32; 2],
    tag: u32,
}

impl Field {
    pub(super) fn new(name: [u32; 4]) -> Self {
        Field { key: [name[0], name[1]], tag: name[2] }
    }

    /// Two independent normals for each of the lanes `lane`, ..., `lane + N - 1` at (`row`, `column`), column
    /// < 2^60. All [`W`] lanes at once cost what streams cost; fewer are for loops over single lanes, and get
    /// the same bits.
    #[inline(always)]
    pub fn pair<R: Real, const N: usize, const FMA: bool>(&self, lane: usize, row: u32, column: u64) -> [[R; N]; 2] {
        let address = [(column << 4) as u32, (column >> 28) as u32, row, self.tag];
        let mut z = [[R::zero(); N]; 2];
        if N != W {
            for i in 0..N {
                let (half, sub) = ((lane + i) / HALF % 2, (lane + i) % HALF);
                let words = |low: usize| {
                    let c = philox(self.key, [address[0] | (2 * sub + low) as u32, address[1], row, self.tag]);
                    [c[2 * half], c[2 * half + 1]]
                };
                let (hi, lo) = (words(0), if R::BYTES == 8 { words(1) } else { [0; 2] });
                (z[0][i], z[1][i]) = box_muller::<R, FMA>([hi[0], lo[0]], [hi[1], lo[1]]);
            }
        } else if R::BYTES == 8 {
            // High and low halves side by side: two chains of operations that don't wait for each other.
            let mut counter = address.map(|word| [word; W]);
            for i in 0..W {
                counter[0][i] |= (2 * (i % HALF) + i / HALF) as u32;
            }
            let c = philox_lanes(self.key, counter);
            for half in 0..2 {
                let (u, v) = (&c[2 * half], &c[2 * half + 1]);
                for i in 0..HALF {
                    let to = half * HALF + i;
                    (z[0][to], z[1][to]) = box_muller::<R, FMA>([u[i], u[i + HALF]], [v[i], v[i + HALF]]);
                }
            }
        } else {
            let mut counter = address.map(|word| [word; HALF]);
            for i in 0..HALF {
                counter[0][i] |= 2 * i as u32;
            }
            let c = philox_lanes(self.key, counter);
            let mut words = [[0; W]; 2];
            for (word, out) in words.iter_mut().enumerate() {
                for (out, half) in out.as_chunks_mut::<HALF>().0.iter_mut().zip([c[word], c[word + 2]]) {
                    *out = half;
                }
            }
            for i in 0..N {
                (z[0][i], z[1][i]) = box_muller::<R, FMA>([words[0][i], 0], [words[1][i], 0]);
            }
        }
        z
    }

    /// Four words of each of the [`W`] lanes at (`row`, `column`), column < 2^60: those that [`Self::pair`]
    /// makes its normals of, and the others of the same address. A field is asked for one of the two.
    #[inline(always)]
    pub fn words(&self, row: u32, column: u64) -> [[u32; W]; 4] {
        let mut counter = [(column << 4) as u32, (column >> 28) as u32, row, self.tag].map(|word| [word; W]);
        for i in 0..W {
            counter[0][i] |= i as u32;
        }
        philox_lanes(self.key, counter)
    }
}

#[cfg(test)]
mod tests {
    use crate::rng::{Purpose, Stream};
    use crate::simd::W;

    #[test]
    fn single_lanes_are_the_lanes_of_all_and_addresses_differ() {
        let mut seen = std::collections::HashSet::new();
        for (chunk, j, row, column) in [(0, 0, 0, 0), (1, 0, 0, 0), (0, 1, 0, 0), (0, 0, 1, 0), (0, 0, 0, 1), (0, 0, 0, 1 << 59)] {
            let field = Stream::new(3, Purpose::Test, 9, chunk).field(j);
            let all = field.pair::<f64, W, false>(0, row, column);
            let single = field.pair::<f32, W, false>(0, row, column);
            for i in 0..W {
                let one = field.pair::<f64, 1, false>(i, row, column);
                for (p, z) in one.iter().enumerate() {
                    assert_eq!(z[0], all[p][i]);
                    assert!((f64::from(single[p][i]) - z[0]).abs() <= 4e-6 * (1.0 + z[0].abs()));
                    assert!(seen.insert(z[0].to_bits()));
                }
            }
        }
    }

    /// Moments at 99.99 % confidence along lanes, columns and rows, and no correlation inside of a pair or
    /// between neighbours.
    #[test]
    fn a_field_is_normal_and_uncorrelated() {
        let field = Stream::new(5, Purpose::Test, 0, 0).field(0);
        let n = 1 << 14;
        for step in [(0u32, 1u64), (1, 0), (0, 1 << 20)] {
            let at = |i: u64| field.pair::<f64, W, false>(0, step.0 * i as u32, step.1 * i);
            let (mut sum, mut next) = ([0.0; 4], [0.0; 3]);
            let mut before = at(n);
            for i in 0..n {
                let z = at(i);
                for l in 0..W {
                    for (p, s) in sum.iter_mut().enumerate() {
                        *s += z[0][l].powi(p as i32 + 1) + z[1][l].powi(p as i32 + 1);
                    }
                    next[0] += z[0][l] * z[1][l];
                    next[1] += z[0][l] * before[0][l];
                    next[2] += z[1][l] * z[1][(l + 1) % W];
                }
                before = z;
            }
            let n = (n as usize * W) as f64;
            // Standard deviations of z^p: 1, sqrt 2, sqrt 15, sqrt 96.
            for (p, (expected, variance)) in [(0.0, 1.0), (1.0, 2.0), (0.0, 15.0), (3.0, 96.0f64)].into_iter().enumerate() {
                let got = sum[p] / (2.0 * n);
                assert!((got - expected).abs() <= 3.89 * (variance / (2.0 * n)).sqrt(), "moment {}: {got}", p + 1);
            }
            assert!(next.iter().all(|s| (s / n).abs() <= 3.89 / n.sqrt()), "{next:?}");
        }
    }
}
