//! The progress of a fit and of a training run, on standard error; silent where that is no terminal.

use super::metrics_log::Step;
use crate::train::Stage;
use indicatif::{ProgressBar, ProgressStyle};

/// Of a training run: steps done, steps per second, smoothed loss, held-out gain, time left.
pub struct Progress {
    bar: ProgressBar,
    loss: Option<f64>,
    gain: String,
}

impl Progress {
    /// A bar over `steps`, `done` of which were done by an earlier run.
    pub fn new(steps: usize, done: usize) -> Self {
        let bar = ProgressBar::new(steps as u64).with_position(done as u64);
        let style =
            ProgressStyle::with_template("{bar:32} {pos}/{len}  {per_sec:.dim}  {msg}  {eta} left").unwrap_or(ProgressStyle::default_bar());
        bar.set_style(style.progress_chars("━╸─"));
        bar.reset_eta();
        Progress { bar, loss: None, gain: String::new() }
    }

    /// After every step.
    pub fn step(&mut self, step: &Step) {
        let smoothed = self.loss.map_or(step.loss, |old| old + 0.05 * (step.loss - old));
        self.loss = Some(smoothed);
        if let Some(gains) = &step.gains {
            let gain = gains.held_out.whole;
            self.gain = format!("  held-out gain {:.3} +- {:.3}", gain.value, gain.error);
        }
        self.bar.set_message(format!("loss {smoothed:.4}{}", self.gain));
        self.bar.set_position(step.step as u64);
    }

    /// Takes the bar away.
    pub fn finish(&self) {
        self.bar.finish_and_clear();
    }
}

/// How far a preparation is, on standard error; silent where that is no terminal.
pub struct Fitting(ProgressBar);

impl Fitting {
    /// Nothing is said before there is something to say.
    pub fn new() -> Self {
        let style = ProgressStyle::with_template("{msg}  {elapsed}").unwrap_or(ProgressStyle::default_spinner());
        Fitting(ProgressBar::new_spinner().with_style(style))
    }

    /// What it has come to.
    pub fn tell(&self, stage: Stage<'_>) {
        self.0.set_message(match stage {
            Stage::Encoder(look) => {
                format!("encoder: step {}, {:.1} % of the held-out images' variance lost", look.step, 100.0 * look.lost)
            }
            Stage::Reference(progress) => format!("reference: {progress}"),
            Stage::Joint(step) => format!("encoder and score together: step {step}"),
        });
        self.0.tick();
    }

    /// Takes the line away.
    pub fn finish(&self) {
        self.0.finish_and_clear();
    }
}
