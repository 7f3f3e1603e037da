//! The number of components by splitting: k + 1 of them start from the k that were found, with the one in two
//! parts that gains most by it. What a split gains is found with the component's own points alone, and is
//! known already of all components but those that the last one changed.

use super::super::{IN_VAIN, Trial};
use super::expect::{Shares, expect};
use super::law::Law;
use super::{Climbed, Wide, kmeans};
use crate::rng::{Purpose, Stream};
use crate::{Result, par};

/// Clusterings in two that are tried for a component.
const TRIES: usize = 2;
/// Iterations of a split by itself, and of all components after it.
const OWN: usize = 5;
const ALL: usize = 5;
/// A split is looked for anew when the number of points of its component has changed by this share.
const CHANGED: f64 = 0.1;
/// Points below which a component is not split.
const FEWEST: usize = 4;

/// A component in two parts.
struct Split {
    /// Points that it was found with.
    mass: f64,
    /// What it adds to the sum of ln pi.
    gain: f64,
    /// None where the points cannot be divided.
    two: Option<Law>,
}

impl Wide<'_> {
    /// The number of components up to `max` with the least criterion: the one that splitting finds, and its
    /// neighbours for as long as they are better, each from as many starts as a number that is given.
    pub(super) fn by_splitting(&self, max: usize) -> Result<(Climbed, Vec<Trial>)> {
        let (law, mut tried) = self.splits(max)?;
        let k = law.components();
        let (split, anew) = (self.climb(&self.points, law, self.options.max_iterations)?, self.best_of(k)?);
        let mut best = if anew.last() > split.last() { anew } else { split };
        let mut least = self.tell(&best, &mut tried);
        for step in [1, -1] {
            // Where more were better, fewer are not.
            while step == 1 || best.law.components() <= k {
                let next = best.law.components().saturating_add_signed(step);
                if next == 0 || next > max {
                    break;
                }
                let candidate = self.best_of(next)?;
                let value = self.tell(&candidate, &mut tried);
                if value >= least {
                    break;
                }
                (best, least) = (candidate, value);
            }
        }
        Ok((best, tried))
    }

    /// The value of the criterion, and its trial in the place of a worse one with as many components.
    fn tell(&self, climbed: &Climbed, tried: &mut Vec<Trial>) -> f64 {
        let trial = self.trial(climbed);
        let value = trial.value(self.options.criterion);
        match tried.iter_mut().find(|t| t.components == trial.components) {
            Some(old) if old.value(self.options.criterion) <= value => {}
            Some(old) => *old = trial,
            None => tried.push(trial),
        }
        value
    }

    /// Splits until three of them in a row bring no lower value, and the mixture that had the least.
    fn splits(&self, max: usize) -> Result<(Law, Vec<Trial>)> {
        let criterion = self.options.criterion;
        let all = vec![0; self.points.count()];
        let mut now = self.climb(&self.points, self.start(&self.points, &all, 1)?, self.options.max_iterations)?;
        let mut tried = vec![self.trial(&now)];
        let (mut best, mut least) = (now.law.clone(), tried[0].value(criterion));
        let mut splits: Vec<Option<Split>> = vec![None];
        let mut in_vain = 0;
        for k in 2..=max {
            let shares = expect(&self.points, &now.law, None)?;
            for (split, mass) in splits.iter_mut().zip(shares.mass()) {
                if split.as_ref().is_some_and(|s| (s.mass - mass).abs() > CHANGED * s.mass) {
                    *split = None;
                }
            }
            let missing: Vec<usize> = (0..splits.len()).filter(|c| splits[*c].is_none()).collect();
            let found = par::map(missing.len(), |i| Some(self.split(&now.law, &shares, missing[i], k)));
            for (c, found) in missing.into_iter().zip(found.into_iter().flatten()) {
                splits[c] = Some(found?);
            }
            let gain = |c: usize| splits[c].as_ref().filter(|s| s.two.is_some()).map_or(f64::NEG_INFINITY, |s| s.gain);
            let most = (0..splits.len()).fold(0, |best, c| if gain(c) > gain(best) { c } else { best });
            let Some(Split { two: Some(two), .. }) = splits[most].take() else { break };
            splits.push(None);
            now = self.climb(&self.points, now.law.with_two(most, &two)?, ALL.min(self.options.max_iterations))?;
            let trial = self.trial(&now);
            let value = trial.value(criterion);
            tried.push(trial);
            in_vain += 1;
            if value < least {
                (best, least, in_vain) = (now.law.clone(), value, 0);
            }
            if in_vain == IN_VAIN {
                break;
            }
        }
        Ok((best, tried))
    }

    /// Component `c` of `law` in two parts, from the points that belong to it more than to the others.
    fn split(&self, law: &Law, shares: &Shares, c: usize, k: usize) -> Result<Split> {
        let mass = shares.of[c].iter().map(|(_, r)| r).sum();
        let own: Vec<usize> = shares.of[c].iter().filter(|(_, r)| *r > 0.5).map(|(i, _)| *i as usize).collect();
        let mut split = Split { mass, gain: 0.0, two: None };
        if own.len() < FEWEST {
            return Ok(split);
        }
        let points = self.points.select(own.iter().copied());
        let blocks = points.blocks()?;
        let alone = expect(&points, &law.component(c), None)?.log_likelihood();
        for attempt in 0..TRIES {
            let mut stream = Stream::new(self.options.seed, Purpose::Fit, ((k as u64) << 24) | attempt as u64, 1 + c as u32);
            let labels = kmeans::kmeans(&blocks, 2, &mut stream);
            let two = self.climb(&points, self.start(&points, &labels, 2)?, OWN.min(self.options.max_iterations))?;
            let gain = own.len() as f64 * (two.last() - alone);
            if split.two.is_none() || gain > split.gain {
                (split.gain, split.two) = (gain, Some(two.law));
            }
        }
        Ok(split)
    }
}
