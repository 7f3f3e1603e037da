//! The progress bar of a training run, on standard error; silent where that is no terminal.

use indicatif::{ProgressBar, ProgressStyle};

/// Steps done, steps per second, smoothed loss, time left.
pub struct Progress {
    bar: ProgressBar,
    loss: Option<f64>,
}

impl Progress {
    /// A bar over `steps`, `done` of which were done by an earlier run.
    pub fn new(steps: usize, done: usize) -> Self {
        let bar = ProgressBar::new(steps as u64).with_position(done as u64);
        let style =
            ProgressStyle::with_template("{bar:32} {pos}/{len}  {per_sec:.dim}  {msg}  {eta} left").unwrap_or(ProgressStyle::default_bar());
        bar.set_style(style.progress_chars("━╸─"));
        bar.reset_eta();
        Progress { bar, loss: None }
    }

    /// After every step.
    pub fn step(&mut self, done: usize, loss: f64) {
        let smoothed = self.loss.map_or(loss, |old| old + 0.05 * (loss - old));
        self.loss = Some(smoothed);
        self.bar.set_message(format!("loss {smoothed:.4}"));
        self.bar.set_position(done as u64);
    }

    /// Takes the bar away.
    pub fn finish(&self) {
        self.bar.finish_and_clear();
    }
}
