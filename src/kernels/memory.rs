//! Memory for the loops.

use crate::{Error, Real, Result};
use std::ops::{Deref, DerefMut, Range};

/// Memory that starts at a cache line.
pub struct Buffer<R> {
    store: Vec<R>,
    range: Range<usize>,
}

/// Bytes of a cache line and of the widest vector register.
const LINE: usize = 64;

impl<R: Real> Buffer<R> {
    /// `n` zeros.
    pub fn zeros(n: usize) -> Result<Self> {
        let spare = LINE / R::BYTES;
        let store: Vec<R> = zeros(n.saturating_add(spare))?;
        // Where the address cannot be known (in an interpreter) the store's own start is as good as any.
        let start = Some(store.as_ptr().align_offset(LINE)).filter(|start| *start <= spare).unwrap_or(0);
        Ok(Buffer { store, range: start..start + n })
    }
}

impl<R> Deref for Buffer<R> {
    type Target = [R];
    fn deref(&self) -> &[R] {
        &self.store[self.range.clone()]
    }
}

impl<R> DerefMut for Buffer<R> {
    fn deref_mut(&mut self) -> &mut [R] {
        &mut self.store[self.range.clone()]
    }
}

/// `n` zeros, or an error where memory does not suffice.
pub fn zeros<R: Real>(n: usize) -> Result<Vec<R>> {
    let mut v = Vec::new();
    v.try_reserve_exact(n).map_err(|_| Error::Unavailable {
        what: format!("{} MiB of memory", (n as u128 * R::BYTES as u128) >> 20),
        why: "the system refuses it; use a smaller batch or network".to_string(),
    })?;
    v.resize(n, R::zero());
    Ok(v)
}
