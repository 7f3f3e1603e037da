//! Counter-based random numbers: a number is a function of (seed, purpose, step, chunk, index) and of nothing
//! else.
//!
//! There is no generator state to save, to share between threads or to lose when a run is killed: whoever
//! needs the normals of chunk 7 of step 1,000 opens the [`Stream`] of that name. The function is Philox
//! 4x32-10 (Salmon, Moraes, Dror, Shaw: "Parallel random numbers: as easy as 1, 2, 3", SC 2011). The 64-bit
//! seed is its key; its 128-bit counter is
//!
//! | word | bits | holds |
//! |---|---|---|
//! | 0 | 32 | index of the block inside the stream, four 32-bit words a block |
//! | 1 | 32 | chunk: which group of paths, rows or points |
//! | 2 | 32 | step, low half |
//! | 3 | 24 + 7 + 1 | step, high part; [`Purpose`]; one bit that is set for the low halves of 64-bit numbers |
//!
//! so different names never share a counter: streams cannot overlap. The number n of [`Purpose::User`] takes
//! the place of word 2, and the step's low 24 bits that of its high part; what is left of the step is added
//! (exclusive or) to the upper half of the key. So different names of one seed still never share both key and
//! counter.
//!
//! ```
//! use ndsm::rng::{Purpose, Stream};
//! let mut a = [0f64; 5];
//! let mut b = [0f32; 5];
//! Stream::new(1, Purpose::Test, 10, 3).fill_normal(&mut a);
//! Stream::new(1, Purpose::Test, 10, 3).fill_normal(&mut b);
//! // f32 follows the same path as f64, rounded.
//! assert!(a.iter().zip(&b).all(|(a, b)| (a - f64::from(*b)).abs() < 1e-5));
//! ```

mod field;
mod normal;
mod philox;
mod purpose;

pub use field::Field;
pub use normal::NormalLanes;
pub use purpose::Purpose;

use crate::Real;
use std::convert::Infallible;

/// The random numbers of one name (seed, purpose, step, chunk), from the first on.
#[derive(Debug, Clone)]
pub struct Stream {
    key: [u32; 2],
    counter: [u32; 4],
    words: [u32; 4],
    used: usize,
}

impl Stream {
    /// Opens a stream. `step` < 2^56.
    pub fn new(seed: u64, purpose: Purpose, step: u64, chunk: u32) -> Self {
        let (code, number) = purpose.code();
        let [low, high] = [step as u32, (step >> 32) as u32];
        let (key, counter) = match number {
            None => (seed, [0, chunk, low, high << 8 | code << 1]),
            Some(n) => (seed ^ (step >> 24) << 32, [0, chunk, n, low << 8 | code << 1]),
        };
        Stream { key: [key as u32, (key >> 32) as u32], counter, words: [0; 4], used: 4 }
    }

    /// Standard normals (Box and Muller). Draws whole blocks of 64: the next call starts at the next unused
    /// block.
    pub fn fill_normal<R: Real>(&mut self, out: &mut [R]) {
        self.counter[0] = normal::fill(self.key, self.counter, out);
        self.used = 4;
    }

    /// The same normals, sixteen at a time, for loops inside a kernel. Takes over the rest of the stream.
    pub fn normal_lanes<R: Real>(self) -> NormalLanes<R> {
        NormalLanes::new(self.key, self.counter)
    }

    /// Numbers that are found by their address, in any order: field number `j` of this name, whatever was
    /// drawn before.
    pub fn field(&self, j: u32) -> Field {
        Field::new(philox::philox(self.key, [j, self.counter[1], self.counter[2], self.counter[3]]))
    }

    /// Uniform numbers in (0, 1).
    pub fn fill_uniform<R: Real>(&mut self, out: &mut [R]) {
        for u in out {
            *u = self.uniform();
        }
    }

    /// One number, uniform in (0, 1).
    pub fn uniform<R: Real>(&mut self) -> R {
        let (hi, lo) = (self.word(), self.word());
        R::uniform(hi, lo)
    }

    /// One standard normal.
    pub fn normal<R: Real>(&mut self) -> R {
        let (u, v): (f64, f64) = (self.uniform(), self.uniform());
        R::of((-2.0 * u.ln()).sqrt() * (std::f64::consts::TAU * v).cos())
    }

    /// An integer uniform in 0..n, n > 0, without bias (Lemire's method).
    pub fn below(&mut self, n: usize) -> usize {
        let n = n.max(1) as u64;
        loop {
            let x = u64::from(self.word()) << 32 | u64::from(self.word());
            let wide = u128::from(x) * u128::from(n);
            if (wide as u64) >= n.wrapping_neg() % n {
                return (wide >> 64) as usize;
            }
        }
    }

    /// Puts `items` in a uniformly random order (Fisher and Yates).
    pub fn shuffle<T>(&mut self, items: &mut [T]) {
        for i in (1..items.len()).rev() {
            items.swap(i, self.below(i + 1));
        }
    }

    /// An index drawn with the given weights (non-negative, not all zero).
    pub fn weighted(&mut self, weights: &[f64]) -> usize {
        let mut left = self.uniform::<f64>() * weights.iter().sum::<f64>();
        let last = weights.iter().rposition(|w| *w > 0.0).unwrap_or(0);
        for (i, w) in weights.iter().enumerate().take(last) {
            left -= w;
            if left < 0.0 {
                return i;
            }
        }
        last
    }

    fn word(&mut self) -> u32 {
        if self.used == 4 {
            self.words = philox::philox(self.key, self.counter);
            self.counter[0] = self.counter[0].wrapping_add(1);
            self.used = 0;
        }
        self.used += 1;
        self.words[self.used - 1]
    }
}

/// So that the methods of `rand`, and every law of `rand_distr`, can draw from a stream. What they draw is
/// the stream's words, 32 bits each, from the first of the next unused block on, and nothing else; 64-bit
/// numbers take two, the upper half first.
///
/// ```
/// use ndsm::rng::{Purpose, Stream};
/// use rand_distr::{Distribution, Gamma, Poisson};
///
/// let mut stream = Stream::new(1, Purpose::User(0), 0, 0);
/// let (gamma, poisson) = (Gamma::new(2.5, 1.0)?, Poisson::new(7.0)?);
/// let x: Vec<f64> = (0..10_000).map(|_| gamma.sample(&mut stream)).collect();
/// assert!((x.iter().sum::<f64>() / 10_000.0 - 2.5).abs() < 0.07);
/// // A law that rejects takes as many words as it needs: with a stream for each row, none moves the others.
/// let row = |i: u32| -> f64 { poisson.sample(&mut Stream::new(1, Purpose::User(1), 0, i)) };
/// let few: Vec<f64> = (5..8).map(row).collect();
/// let all: Vec<f64> = (0..100).map(row).collect();
/// assert_eq!(few, all[5..8]);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
///
/// The words never change. What a law makes of them is that law's: it is the same on all machines and for any
/// number of threads, but may differ between versions of `rand_distr`, and by a rounding where it calls the
/// system's `ln` or `exp`.
impl rand::TryRng for Stream {
    type Error = Infallible;
    fn try_next_u32(&mut self) -> Result<u32, Infallible> {
        Ok(self.word())
    }
    fn try_next_u64(&mut self) -> Result<u64, Infallible> {
        Ok(u64::from(self.word()) << 32 | u64::from(self.word()))
    }
    fn try_fill_bytes(&mut self, out: &mut [u8]) -> Result<(), Infallible> {
        for chunk in out.chunks_mut(4) {
            let bytes = self.word().to_le_bytes();
            chunk.copy_from_slice(&bytes[..chunk.len()]);
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_do_not_collide() {
        let mut first = std::collections::HashSet::new();
        for seed in [0, 1, 1 << 32] {
            for purpose in [Purpose::Path, Purpose::Noise, Purpose::Reverse] {
                for step in [0, 1, 1 << 32, 1 << 40] {
                    for chunk in 0..8 {
                        let mut s = Stream::new(seed, purpose, step, chunk);
                        assert!(first.insert([s.word(), s.word(), s.word(), s.word()]));
                    }
                }
            }
        }
    }

    /// Streams of one's own share no counter with the crate's or with each other: of the first blocks, all
    /// words differ, and the names' keys and counters do. The crate's are where they always were.
    #[test]
    fn streams_of_users_collide_with_none() {
        let mut seen = std::collections::HashSet::new();
        let users =
            [0, 1, 255, 1 << 24, u32::MAX].into_iter().flat_map(|n| [Purpose::User(n), Purpose::UserArea(n), Purpose::UserComponent(n)]);
        for purpose in Purpose::CRATE.iter().copied().chain(users) {
            for step in [0, 1, 255, 1 << 24, 1 << 32, (1 << 56) - 1] {
                for chunk in [0, 1, u32::MAX] {
                    let mut s = Stream::new(7, purpose, step, chunk);
                    assert!(seen.insert((s.key, s.counter)), "{purpose:?} {step} {chunk}");
                    // The low halves of 64-bit numbers have a bit of their own.
                    assert_eq!(s.counter[3] & 1, 0);
                    assert!(seen.insert((s.key, [s.word(), s.word(), s.word(), s.word()])));
                }
            }
        }
        // 24 to 26 are the users'.
        for (i, purpose) in (0u32..24).chain(27..).zip(Purpose::CRATE) {
            let s = Stream::new(5 << 32 | 7, *purpose, 3 << 32 | 2, 9);
            assert_eq!((s.key, s.counter), ([7, 5], [0, 9, 2, 3 << 8 | i << 1]), "{purpose:?}");
        }
        let (area, component) = (Purpose::User(3).area(), Purpose::User(3).component());
        assert_eq!((area, component), (Purpose::UserArea(3), Purpose::UserComponent(3)));
    }

    /// What rand draws are the words of Philox in order: the known answers of Random123 for key 0 and counter
    /// 0, as numbers of 32 and 64 bits and as bytes.
    #[test]
    fn rand_draws_the_words_in_order() {
        use rand::Rng;
        let words = [0x6627_e8d5u32, 0xe169_c58d, 0xbc57_ac4c, 0x9b00_dbd8];
        let open = || Stream::new(0, Purpose::Test, 0, 0);
        let mut s = open();
        assert_eq!([s.next_u32(), s.next_u32(), s.next_u32(), s.next_u32()], words);
        let mut s = open();
        assert_eq!([s.next_u64(), s.next_u64()], [0x6627_e8d5_e169_c58d, 0xbc57_ac4c_9b00_dbd8]);
        let mut bytes = [0; 16];
        open().fill_bytes(&mut bytes);
        assert!(bytes.chunks(4).zip(words).all(|(b, w)| *b == w.to_le_bytes()));
    }

    /// Moments of the normals at 99.99 % confidence, and no correlation between neighbours, chunks and steps.
    fn moments<R: Real>() {
        let n = 1 << 20;
        let draw = |step, chunk| {
            let mut z = vec![R::zero(); n];
            Stream::new(5, Purpose::Test, step, chunk).fill_normal(&mut z);
            z.into_iter().map(Real::f64).collect::<Vec<f64>>()
        };
        let (z, next_step, next_chunk) = (draw(0, 0), draw(1, 0), draw(0, 1));
        let mean = |f: &dyn Fn(usize) -> f64| (0..n).map(f).sum::<f64>() / n as f64;
        // Standard deviations of z^p: 1, sqrt 2, sqrt 15, sqrt 96; 3.89 of them is the 99.99 % interval.
        for (p, expected, sd) in [(1, 0.0, 1.0), (2, 1.0, 2f64.sqrt()), (3, 0.0, 15f64.sqrt()), (4, 3.0, 96f64.sqrt())] {
            let got = mean(&|i| z[i].powi(p));
            assert!((got - expected).abs() <= 3.89 * sd / (n as f64).sqrt(), "moment {p}: {got}");
        }
        for lag in [1, 16, 32, 64] {
            let got = mean(&|i| z[i] * z[(i + lag) % n]);
            assert!(got.abs() <= 3.89 / (n as f64).sqrt(), "lag {lag}: {got}");
        }
        for other in [&next_step, &next_chunk] {
            let got = mean(&|i| z[i] * other[i]);
            assert!(got.abs() <= 3.89 / (n as f64).sqrt(), "{got}");
        }
        // Share beyond 3 standard deviations: 0.0026998.
        let p = 0.002_699_796;
        let got = mean(&|i| f64::from(z[i].abs() > 3.0));
        assert!((got - p).abs() <= 3.89 * (p / n as f64).sqrt(), "tail {got}");
    }

    #[test]
    fn normals_are_normal() {
        moments::<f32>();
        moments::<f64>();
    }

    #[test]
    fn integers_and_shuffles_are_uniform() {
        let mut s = Stream::new(3, Purpose::Test, 0, 0);
        let mut count = [0f64; 7];
        let n = 70_000;
        for _ in 0..n {
            count[s.below(7)] += 1.0;
        }
        // Chi-squared with 6 degrees of freedom, 99.99 %: 27.86.
        let chi2: f64 = count.iter().map(|c| (c - 1e4).powi(2) / 1e4).sum();
        assert!(chi2 <= 27.86, "{chi2}");
        let mut items: Vec<usize> = (0..50).collect();
        s.shuffle(&mut items);
        let mut sorted = items.clone();
        sorted.sort_unstable();
        assert!(sorted.iter().copied().eq(0..50) && items != sorted);
        let picks = (0..1000).map(|_| s.weighted(&[0.0, 1.0, 0.0, 3.0, 0.0])).collect::<Vec<_>>();
        assert!(picks.iter().all(|k| *k == 1 || *k == 3));
        let share = picks.iter().filter(|k| **k == 3).count() as f64 / 1000.0;
        assert!((share - 0.75).abs() <= 3.89 * (0.75 * 0.25 / 1000f64).sqrt(), "{share}");
    }
}
