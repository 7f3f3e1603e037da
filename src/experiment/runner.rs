//! Jobs side by side, one a thread.

use crate::{Error, Result};
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

/// Runs `work` on every job and hands each one's result to `done` as it ends, on `threads` threads. Each job has
/// a pool of one thread: its own loops stay on it, and its seconds are its own.
///
/// # Errors
/// The first error of a job or of `done`; jobs that have begun are finished, no other is begun.
pub(super) fn side_by_side<J: Sync, T: Send>(
    jobs: &[J],
    threads: usize,
    work: impl Fn(&J) -> Result<T> + Sync,
    done: impl FnMut(&J, T) -> Result<()> + Send,
) -> Result<()> {
    let (next, stop) = (AtomicUsize::new(0), AtomicBool::new(false));
    let shared = Mutex::new((done, None::<Error>));
    std::thread::scope(|scope| {
        for _ in 0..threads.clamp(1, jobs.len().max(1)) {
            scope.spawn(|| {
                let pool = rayon::ThreadPoolBuilder::new().num_threads(1).build();
                while let Some(job) = jobs.get(next.fetch_add(1, Ordering::Relaxed)).filter(|_| !stop.load(Ordering::Relaxed)) {
                    let result = match &pool {
                        Ok(pool) => pool.install(|| work(job)),
                        Err(_) => work(job),
                    };
                    let Ok(mut shared) = shared.lock() else { return };
                    let (done, failed) = &mut *shared;
                    if let Err(e) = result.and_then(|r| done(job, r)) {
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
