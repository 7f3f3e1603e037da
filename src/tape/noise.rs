//! The noise of a replay.

use super::Workspace;
use crate::{Error, Real, Result};

/// Names the random numbers of one replay of a program that has [dropout](super::Recorder::dropout).
///
/// A batch may be replayed in blocks of rows, each with the number of its first row: the masks are those of
/// the batch replayed as a whole.
///
/// ```
/// use ndsm::tape::{Noise, Recorder};
/// let mut r = Recorder::<f32>::new();
/// let x = r.input("x", &[2, 1000])?;
/// let y = r.dropout(x, 0.5)?;
/// let program = r.finish();
/// let mut ws = program.workspace()?;
/// ws.input_mut(x)?.fill(1.0);
/// // Without noise it does nothing.
/// program.forward(&[], &mut ws)?;
/// assert!(ws.value(y)?.iter().all(|y| *y == 1.0));
/// // Both rows are a pair that shares a mask; about half of it is dropped, the rest is twice as large.
/// ws.set_noise(Some(Noise { seed: 0, step: 0, first: 0, share: 2 }))?;
/// program.forward(&[], &mut ws)?;
/// let (row, other) = ws.value(y)?.split_at(1000);
/// assert!(row == other && (row.iter().sum::<f32>() - 1000.0).abs() < 130.0);
/// # Ok::<(), ndsm::Error>(())
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Noise {
    /// The run's seed.
    pub seed: u64,
    /// Which batch of the run; < 2^56.
    pub step: u64,
    /// The number in its batch of the first row of the replay; rows are numbered below 2^32.
    pub first: usize,
    /// Consecutive rows of the batch that have one mask: rows i with the same i/share, rounded down. > 0.
    pub share: usize,
}

impl<R: Real> Workspace<R> {
    /// Sets the noise of the forward passes from now on, and of the backward passes behind them. None, as at
    /// the start, turns it off.
    ///
    /// # Errors
    /// If no row has a mask (`share` = 0).
    pub fn set_noise(&mut self, noise: Option<Noise>) -> Result<()> {
        if noise.is_some_and(|noise| noise.share == 0) {
            return Err(Error::invalid("noise: rows that share a mask", ">= 1", 0));
        }
        self.noise = noise;
        Ok(())
    }
}
