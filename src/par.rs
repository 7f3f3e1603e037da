//! Parallel loops, compiled once.
//!
//! rayon's adaptors are compiled anew for every closure that they are given, some 2,000 lines of machine code
//! each time. A loop here is a recursion over its [`Parts`] that knows its body as a pointer: one copy for
//! each kind of parts, and for each body its own lines alone.
//!
//! What a loop computes does not depend on the number of threads: item i is the same piece of the same slices
//! whoever works on it.

use crate::{Error, Result};
use std::ops::Range;
use std::sync::{Mutex, PoisonError};

/// Shares that a loop is cut into for each thread: enough to even out a thread that is held up.
const SHARES: usize = 8;

/// What a parallel loop runs over: items that can be cut in two between any two of them.
pub(crate) trait Parts: Sized + Send {
    /// One item.
    type Item;
    /// How many items are left.
    fn len(&self) -> usize;
    /// The first `at` items, and the others.
    fn split(self, at: usize) -> (Self, Self);
    /// The first item, which is then gone.
    fn next(&mut self) -> Option<Self::Item>;
}

/// Calls `body(i, item)` for every item.
pub(crate) fn each<P: Parts>(parts: P, body: impl Fn(usize, P::Item) + Sync) {
    each_with(parts, || (), |(), i, item| body(i, item));
}

/// Calls `body(memory, i, item)` for every item, with working memory that `memory` makes for each share of
/// the items.
pub(crate) fn each_with<P: Parts, M>(parts: P, memory: impl Fn() -> M + Sync, body: impl Fn(&mut M, usize, P::Item) + Sync) {
    let threads = rayon::current_num_threads();
    let most = if threads == 1 { usize::MAX } else { parts.len().div_ceil(threads * SHARES) };
    share(parts, 0, most, &|first, mut parts: P| {
        let (mut memory, mut i) = (memory(), first);
        while let Some(item) = parts.next() {
            body(&mut memory, i, item);
            i += 1;
        }
    });
}

/// [`each`] with what may fail.
///
/// # Errors
/// The error of the first item that has one; the others are looked at all the same.
pub(crate) fn try_each<P: Parts>(parts: P, body: impl Fn(usize, P::Item) -> Result<()> + Sync) -> Result<()> {
    let first = Mutex::new(None::<(usize, Error)>);
    each(parts, |i, item| {
        if let Err(e) = body(i, item) {
            let mut first = first.lock().unwrap_or_else(PoisonError::into_inner);
            if first.as_ref().is_none_or(|(at, _)| i < *at) {
                *first = Some((i, e));
            }
        }
    });
    first.into_inner().unwrap_or_else(PoisonError::into_inner).map_or(Ok(()), |(_, e)| Err(e))
}

/// `f(0)`, ..., `f(n - 1)`.
pub(crate) fn map<T: Default + Send>(n: usize, f: impl Fn(usize) -> T + Sync) -> Vec<T> {
    let mut out = Vec::new();
    out.resize_with(n, T::default);
    each(chunks_mut(&mut out, 1), |i, out| out[0] = f(i));
    out
}

/// Halves `parts`, whose first item has the number `first`, until at most `most` items are left.
fn share<P: Parts>(parts: P, first: usize, most: usize, body: &(dyn Fn(usize, P) + Sync)) {
    match parts.len() {
        0 => {}
        n if n <= most => body(first, parts),
        n => {
            let (left, right) = parts.split(n / 2);
            let (mut left, mut right) = (Some(left), Some(right));
            let mut left = || left.take().map_or((), |parts| share(parts, first, most, body));
            let mut right = || right.take().map_or((), |parts| share(parts, first + n / 2, most, body));
            both(&mut left, &mut right);
        }
    }
}

/// The only place where work is handed to another thread.
pub(crate) fn both(left: &mut (dyn FnMut() + Send), right: &mut (dyn FnMut() + Send)) {
    rayon::join(left, right);
}

impl Parts for Range<usize> {
    type Item = usize;
    fn len(&self) -> usize {
        ExactSizeIterator::len(self)
    }
    fn split(self, at: usize) -> (Self, Self) {
        (self.start..self.start + at, self.start + at..self.end)
    }
    fn next(&mut self) -> Option<usize> {
        Iterator::next(self)
    }
}

/// Pieces of `size` numbers; the last may be shorter.
pub(crate) struct Chunks<'a, T> {
    slice: &'a [T],
    size: usize,
}

/// [`Chunks`] of `slice`.
pub(crate) fn chunks<T>(slice: &[T], size: usize) -> Chunks<'_, T> {
    Chunks { slice, size: size.max(1) }
}

impl<'a, T: Sync> Parts for Chunks<'a, T> {
    type Item = &'a [T];
    fn len(&self) -> usize {
        self.slice.len().div_ceil(self.size)
    }
    fn split(self, at: usize) -> (Self, Self) {
        let (left, right) = self.slice.split_at((at * self.size).min(self.slice.len()));
        (Chunks { slice: left, ..self }, Chunks { slice: right, ..self })
    }
    fn next(&mut self) -> Option<&'a [T]> {
        let piece = self.slice.split_off(..self.size.min(self.slice.len()))?;
        (!piece.is_empty()).then_some(piece)
    }
}

/// [`Chunks`] that may be written to.
pub(crate) struct ChunksMut<'a, T> {
    slice: &'a mut [T],
    size: usize,
}

/// [`ChunksMut`] of `slice`.
pub(crate) fn chunks_mut<T>(slice: &mut [T], size: usize) -> ChunksMut<'_, T> {
    ChunksMut { slice, size: size.max(1) }
}

impl<'a, T: Send> Parts for ChunksMut<'a, T> {
    type Item = &'a mut [T];
    fn len(&self) -> usize {
        self.slice.len().div_ceil(self.size)
    }
    fn split(self, at: usize) -> (Self, Self) {
        let (left, right) = self.slice.split_at_mut((at * self.size).min(self.slice.len()));
        (ChunksMut { slice: left, size: self.size }, ChunksMut { slice: right, size: self.size })
    }
    fn next(&mut self) -> Option<&'a mut [T]> {
        let piece = self.slice.split_off_mut(..self.size.min(self.slice.len()))?;
        (!piece.is_empty()).then_some(piece)
    }
}

/// Several at once: as many items as the one with the fewest.
macro_rules! together {
    ($($part:ident $at:tt),+) => {
        impl<$($part: Parts),+> Parts for ($($part,)+) {
            type Item = ($($part::Item,)+);
            fn len(&self) -> usize {
                [$(self.$at.len()),+].into_iter().fold(usize::MAX, usize::min)
            }
            fn split(self, at: usize) -> (Self, Self) {
                let both = ($(self.$at.split(at),)+);
                (($(both.$at.0,)+), ($(both.$at.1,)+))
            }
            fn next(&mut self) -> Option<Self::Item> {
                Some(($(self.$at.next()?,)+))
            }
        }
    };
}
together!(A 0, B 1);
together!(A 0, B 1, C 2);
together!(A 0, B 1, C 2, D 3);

#[cfg(test)]
mod tests {
    use super::*;

    /// Every item once, with its number, on one thread and on three; lengths that leave a rest.
    #[test]
    fn every_item_comes_once_with_its_number() {
        for threads in [1, 3] {
            let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
            for n in [0, 1, 2, 47, 1000] {
                let (from, mut to): (Vec<usize>, _) = ((0..n).collect(), vec![0; n]);
                let mut sums = vec![0; n.div_ceil(7)];
                pool.install(|| {
                    each((chunks(&from, 7), chunks_mut(&mut to, 7), chunks_mut(&mut sums, 1)), |i, (from, to, sum)| {
                        assert_eq!(from[0], 7 * i);
                        to.iter_mut().zip(from).for_each(|(to, from)| *to += from + 1);
                        sum[0] += from.len();
                    });
                });
                assert_eq!(to, (1..=n).collect::<Vec<_>>());
                assert!(sums.iter().sum::<usize>() == n && sums.iter().all(|s| *s <= 7));
                assert_eq!(pool.install(|| map(n, |i| i * i)), (0..n).map(|i| i * i).collect::<Vec<_>>());
            }
        }
    }

    #[test]
    fn memory_is_made_once_for_each_share() {
        let pool = rayon::ThreadPoolBuilder::new().num_threads(2).build().unwrap();
        let made = std::sync::atomic::AtomicUsize::new(0);
        let memory = || made.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
        pool.install(|| each_with(0..1000, memory, |_, _, _| {}));
        assert!((2..=32).contains(&made.into_inner()));
    }
}
