//! Experiments that test the claim of the method as a sceptic would: against a linear baseline that was tuned
//! with the same budget, with several seeds, intervals and paired tests, and where the reference is wrong.
//!
//! An [`Experiment`] is a list of [`Case`]s. Each of its [`Method`]s is tuned on the case by random search
//! (on seeds of its own), then trained once a seed; samples are drawn with several generation keys and
//! measured against the exact law. Every training is one [`Job`], every line of figures one [`Record`]; what
//! is on record already is not run again. [`summarise`] makes the table.

mod case;
pub mod images;
mod job;
mod less_data;
mod method;
mod record;
mod runner;
mod search;
mod statistics;
mod table;

pub use case::{Case, GROUPS, cases};
pub use job::{Job, run_job};
pub use less_data::{Factor, factors};
pub use method::{Method, Space};
pub use record::{GAIN, KL, Key, METRICS, Record};
pub use search::candidate;
pub use statistics::{Interval, median, median_interval, paired};
pub use table::{Row, markdown, steps_to_reach, summarise};

use crate::Result;
use std::collections::{HashMap, HashSet};
use std::path::PathBuf;

/// How much of everything.
#[derive(Debug, Clone, PartialEq)]
pub struct Experiment {
    /// Whether only one small case of each group is run.
    pub quick: bool,
    /// IDX images that cases about images take; without them there are none.
    pub data: Option<PathBuf>,
    /// Settings that the random search tries for each method and case.
    pub budget: usize,
    /// Seeds on which they are compared; they begin at [`TUNING`].
    pub tuning_seeds: u64,
    /// Seeds that are reported, from 0.
    pub seeds: u64,
    /// Generation keys that a figure is averaged over.
    pub keys: u64,
    /// Samples of a key.
    pub samples: usize,
}

/// Mean sliced W_2 of two settings on the tuning seeds that differ by less than this factor count as equal:
/// at a thousand points from four modes the counts of the modes alone move it by as much.
pub const TIE: f64 = 1.25;
/// The first of the tuning seeds: none of them is reported.
pub const TUNING: u64 = 1000;

impl Experiment {
    /// What `ndsm reproduce low-dim` runs.
    pub const FULL: Experiment = Experiment { quick: false, data: None, budget: 8, tuning_seeds: 2, seeds: 10, keys: 4, samples: 2500 };
    /// What `--quick` runs: enough to see that everything works, too little for any conclusion.
    pub const QUICK: Experiment = Experiment { quick: true, data: None, budget: 2, tuning_seeds: 1, seeds: 2, keys: 2, samples: 500 };

    /// Its cases.
    pub fn cases(&self) -> Vec<Case> {
        cases(self.quick, self.data.as_deref())
    }

    /// The trainings whose figures choose the settings.
    pub fn tuning_jobs(&self) -> Vec<Job> {
        let mut jobs = Vec::new();
        for case in self.cases().into_iter().filter(|case| case.tuned_on() == case.name) {
            for method in case.methods.iter().filter(|m| m.tuned_as == Some(m.name)) {
                for candidate in 0..self.budget {
                    for seed in TUNING..TUNING + self.tuning_seeds {
                        jobs.push(Job { case: case.clone(), method: *method, candidate, seed, sweep: false });
                    }
                }
            }
        }
        jobs
    }

    /// The trainings that are reported, each with the settings that did best on the tuning seeds: of those
    /// whose mean sliced W_2 is at most [`TIE`] times the least, the one with the least size of the NLL
    /// excess. Where modes lie apart, sliced W_2 hardly sees samples between them, because the modes' weights
    /// dominate it. Where the likelihood of fresh points was measured it decides alone. A method without a
    /// search of its own takes the settings of the method it follows.
    pub fn jobs(&self, tuned: &[Record]) -> Vec<Job> {
        let mut sums: HashMap<(&str, &str, usize), [f64; 4]> = HashMap::new();
        for r in tuned.iter().filter(|r| r.key.seed >= TUNING && !r.key.sweep) {
            let sum = sums.entry((&r.key.case, &r.key.method, r.key.candidate)).or_default();
            // A run that failed is the worst.
            let worst = |v: f64| if v.is_finite() { v } else { f64::INFINITY };
            sum[0] += worst(r.values[0]);
            sum[1] += worst(r.values[3].abs());
            sum[2] += worst(r.values[KL]);
            sum[3] += 1.0;
        }
        let best = |case: &str, method: &str| {
            let mean = |i: usize, j: usize| sums.get(&(case, method, i)).map_or(f64::INFINITY, |s| s[j] / s[3]);
            let likeliest = (0..self.budget).min_by(|a, b| mean(*a, 2).total_cmp(&mean(*b, 2))).filter(|i| mean(*i, 2).is_finite());
            if let Some(i) = likeliest {
                return i;
            }
            let least = (0..self.budget).map(|i| mean(i, 0)).fold(f64::INFINITY, f64::min);
            let good = (0..self.budget).filter(|i| mean(*i, 0) <= TIE * least);
            good.min_by(|a, b| mean(*a, 1).total_cmp(&mean(*b, 1))).unwrap_or(0)
        };
        let mut jobs = Vec::new();
        for case in self.cases() {
            for method in &case.methods {
                let candidate = method.tuned_as.map_or(0, |leader| best(case.tuned_on(), leader));
                let seeds = if case.group == less_data::GROUP { self.seeds.min(less_data::SEEDS) } else { self.seeds };
                for seed in 0..seeds {
                    jobs.push(Job { case: case.clone(), method: *method, candidate, seed, sweep: !case.sampling.is_empty() });
                }
            }
        }
        jobs
    }

    /// Runs the jobs that `known` does not hold, one a thread, and hands each one's records to `done` as it
    /// ends. The figures do not depend on the number of threads; the seconds do.
    ///
    /// # Errors
    /// The first error of a job or of `done`; jobs that have begun are finished, no other is begun.
    pub fn run(
        &self,
        jobs: &[Job],
        known: &HashSet<Key>,
        threads: usize,
        done: impl FnMut(&Job, Vec<Record>) -> Result<()> + Send,
    ) -> Result<()> {
        let todo: Vec<&Job> = jobs.iter().filter(|j| !j.keys().iter().all(|k| known.contains(k))).collect();
        let mut done = done;
        runner::side_by_side(&todo, threads, |job| run_job(job, self), |job, records| done(job, records))
    }
}

#[cfg(test)]
mod tests;
