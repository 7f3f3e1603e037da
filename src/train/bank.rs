//! The trajectory bank: simulated noising paths, used for several optimiser steps.

use crate::transition::Starts;
use crate::{Real, Result};

/// Batches of paths that are kept.
const SLOTS: u64 = 16;

/// Paths of [`SLOTS`] batches, each run up to the step that is drawn from. Optimiser step s takes slot s mod
/// 16 and finishes its paths with fresh noise; after `reuse` uses the slot is simulated anew. So neighbouring
/// steps have different paths, and a batch comes back after 16 steps.
///
/// What stays exact: given the bank, the draws of a step are X' = mu(X) + L z, with z fresh and independent
/// of X and of the parameters. Therefore the controls (8)-(12) have mean 0, and the regression (6) is
/// unbiased. What changes: the parameters have seen these X before, as they have seen the data of earlier
/// epochs, and gradients 16 steps apart are dependent.
///
/// The paths of a batch are a function of the step alone: a run that stops and goes on has the same ones.
pub(super) struct Bank<R> {
    slots: Vec<(Option<u64>, Starts<R>)>,
    reuse: u64,
}

impl<R: Real> Bank<R> {
    /// For batches of `draws` draws in `dim` dimensions, each used `reuse` >= 1 times.
    pub fn new(draws: usize, dim: usize, reuse: usize) -> Self {
        let slots = if reuse > 1 { SLOTS } else { 1 };
        Bank { slots: (0..slots).map(|_| (None, Starts::new(draws, dim))).collect(), reuse: reuse.max(1) as u64 }
    }

    /// The slot of optimiser step `step`, and the number of the batch that it holds then. Every batch has a
    /// number of its own.
    pub fn batch(&self, step: u64) -> (usize, u64) {
        let slots = self.slots.len() as u64;
        let (slot, visit) = (step % slots, step / slots);
        // Slots are renewed in turn, so that each step has about the same work.
        (slot as usize, (visit + slot % self.reuse) / self.reuse * slots + slot)
    }

    /// The paths of optimiser step `step`. Where they are not there yet, `simulate` makes those of the batch
    /// whose number it is given.
    ///
    /// # Errors
    /// Those of `simulate`.
    pub fn paths(&mut self, step: u64, simulate: impl FnOnce(u64, &mut Starts<R>) -> Result<()>) -> Result<&Starts<R>> {
        let (slot, batch) = self.batch(step);
        let (there, starts) = &mut self.slots[slot];
        if *there != Some(batch) {
            *there = None;
            simulate(batch, starts)?;
            *there = Some(batch);
        }
        Ok(starts)
    }

    /// The share of a long run's steps whose paths are there already.
    pub fn hits(&self) -> f64 {
        1.0 - 1.0 / self.reuse as f64
    }

    /// Its memory in bytes.
    pub fn bytes(&self) -> usize {
        self.slots.iter().map(|(_, starts)| starts.len() * (starts.dim() * size_of::<R>() + size_of::<[f64; 2]>())).sum()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_batch_is_used_as_often_as_it_should_be() {
        for reuse in [1, 3, 4] {
            let mut bank = Bank::<f32>::new(8, 2, reuse);
            let (mut made, mut used) = (vec![], std::collections::BTreeMap::new());
            for step in 0..960 {
                let batch = bank.batch(step).1;
                *used.entry(batch).or_insert(0) += 1;
                let make = |batch, _: &mut _| {
                    made.push(batch);
                    Ok(())
                };
                bank.paths(step, make).unwrap();
            }
            // No batch is made twice; all but the first and the last ones of each slot are used `reuse`
            // times.
            let mut unique = made.clone();
            unique.sort_unstable();
            unique.dedup();
            assert!(unique.len() == made.len() && used.values().all(|n| *n <= reuse), "{reuse}");
            assert!(used.values().filter(|n| **n == reuse).count() + 32 >= used.len(), "{reuse}");
            let hits = 1.0 - made.len() as f64 / 960.0;
            assert!((hits - bank.hits()).abs() <= 0.03, "{reuse}: {hits}");
        }
        assert_eq!(Bank::<f32>::new(8, 2, 2).bytes(), 16 * 8 * (2 * 4 + 16));
        // What could not be made is not there.
        let mut bank = Bank::<f32>::new(8, 2, 2);
        assert!(bank.paths(0, |_, _| Err(crate::Error::refused("here", "no"))).is_err());
        let mut again = false;
        let make = |_, _: &mut _| {
            again = true;
            Ok(())
        };
        bank.paths(0, make).unwrap();
        assert!(again);
    }
}
