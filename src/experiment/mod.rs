//! Experiments that test the claim of the method as a sceptic would: against a linear baseline that was tuned with the same
//! budget, with several seeds, intervals and paired tests, and where the reference is wrong.
//!
//! An [`Experiment`] is a list of [`Case`]s. Each of its [`Method`]s is tuned on the case by random search (on seeds of its own), then
//! trained once a seed; samples are drawn with several generation keys and measured against the exact law. Every training is one
//! [`Job`], every line of figures one [`Record`]; what is on record already is not run again. [`summarise`] makes the table.

mod case;
mod job;
mod method;
mod record;
mod search;
mod statistics;
mod table;

pub use case::{Case, GROUPS, cases};
pub use job::{Job, run_job};
pub use method::{Method, Space};
pub use record::{Key, METRICS, Record};
pub use search::candidate;
pub use statistics::{Interval, median, median_interval, paired};
pub use table::{Row, markdown, steps_to_reach, summarise};

use crate::Result;
use std::collections::{HashMap, HashSet};
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

/// How much of everything.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Experiment {
    /// Whether only one small case of each group is run.
    pub quick: bool,
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

/// The first of the tuning seeds: none of them is reported.
pub const TUNING: u64 = 1000;

impl Experiment {
    /// What `ndsm reproduce low-dim` runs.
    pub const FULL: Experiment = Experiment { quick: false, budget: 8, tuning_seeds: 2, seeds: 10, keys: 4, samples: 2500 };
    /// What `--quick` runs: enough to see that everything works, too little for any conclusion.
    pub const QUICK: Experiment = Experiment { quick: true, budget: 2, tuning_seeds: 1, seeds: 2, keys: 2, samples: 500 };

    /// The trainings whose figures choose the settings.
    pub fn tuning_jobs(&self) -> Vec<Job> {
        let mut jobs = Vec::new();
        for case in cases(self.quick) {
            for method in case.methods.iter().filter(|m| m.space.is_some()) {
                for candidate in 0..self.budget {
                    for seed in TUNING..TUNING + self.tuning_seeds {
                        jobs.push(Job { case: case.clone(), method: *method, candidate, seed, sweep: false });
                    }
                }
            }
        }
        jobs
    }

    /// The trainings that are reported, each with the settings that have the least mean sliced W_2 on the tuning seeds. A method
    /// without a search of its own takes those of the method it follows.
    pub fn jobs(&self, tuned: &[Record]) -> Vec<Job> {
        let mut score: HashMap<(&str, &str, usize), (f64, f64)> = HashMap::new();
        for r in tuned.iter().filter(|r| r.key.seed >= TUNING && !r.key.sweep) {
            let sum = score.entry((&r.key.case, &r.key.method, r.key.candidate)).or_default();
            // A run that failed is the worst.
            sum.0 += if r.values[0].is_finite() { r.values[0] } else { f64::INFINITY };
            sum.1 += 1.0;
        }
        let best = |case: &str, method: &str| {
            let mean = |i: usize| score.get(&(case, method, i)).map_or(f64::INFINITY, |(sum, n)| sum / n);
            (0..self.budget).min_by(|a, b| mean(*a).total_cmp(&mean(*b))).unwrap_or(0)
        };
        let mut jobs = Vec::new();
        for case in cases(self.quick) {
            for method in &case.methods {
                let candidate = method.tuned_as.map_or(0, |leader| best(&case.name, leader));
                for seed in 0..self.seeds {
                    jobs.push(Job { case: case.clone(), method: *method, candidate, seed, sweep: !case.sampling.is_empty() });
                }
            }
        }
        jobs
    }

    /// Runs the jobs that `known` does not hold, one a thread, and hands each one's records to `done` as it ends. The figures do not
    /// depend on the number of threads; the seconds do.
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
        let (next, stop) = (AtomicUsize::new(0), AtomicBool::new(false));
        let shared = Mutex::new((done, None));
        std::thread::scope(|scope| {
            for _ in 0..threads.clamp(1, todo.len().max(1)) {
                scope.spawn(|| {
                    // A pool of one thread: the job's own loops stay on it, and its seconds are its own.
                    let pool = rayon::ThreadPoolBuilder::new().num_threads(1).build();
                    while let Some(job) = todo.get(next.fetch_add(1, Ordering::Relaxed)).filter(|_| !stop.load(Ordering::Relaxed)) {
                        let records = match &pool {
                            Ok(pool) => pool.install(|| run_job(job, self)),
                            Err(_) => run_job(job, self),
                        };
                        let Ok(mut shared) = shared.lock() else { return };
                        let (done, failed) = &mut *shared;
                        if let Err(e) = records.and_then(|r| done(job, r)) {
                            failed.get_or_insert(e);
                            stop.store(true, Ordering::Relaxed);
                        }
                    }
                });
            }
        });
        let failed = shared.into_inner().ok().and_then(|(_, failed)| failed);
        failed.map_or(Ok(()), Err)
    }
}

#[cfg(test)]
mod tests;
