//! What a command is doing, on standard error: a line that lives while a phase lasts, on a terminal; and with `-v` a
//! line that stays when it has ended. A phase that takes long is never silent: its clock goes on by itself.

use super::metrics_log::Step;
use super::remark;
use crate::train::Stage;
use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use std::fmt::Display;
use std::sync::atomic::{AtomicU8, Ordering};
use std::time::{Duration, Instant};

/// How often the line of a phase is drawn anew.
const TICK: Duration = Duration::from_millis(250);

/// How much is said on standard error.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Voice {
    /// Errors alone.
    Quiet,
    /// What has to be known, and on a terminal how far it is.
    Normal,
    /// The phases and their seconds, too.
    Verbose,
}

static VOICE: AtomicU8 = AtomicU8::new(Voice::Normal as u8);

/// Sets how much is said: once, at the beginning.
pub fn speak(voice: Voice) {
    VOICE.store(voice as u8, Ordering::Relaxed);
}

/// Whether as much as `voice` is to be said.
pub fn says(voice: Voice) -> bool {
    VOICE.load(Ordering::Relaxed) >= voice as u8
}

/// A part of a command's work. Ends when it is dropped.
pub struct Phase {
    bar: ProgressBar,
    name: &'static str,
    started: Instant,
}

impl Phase {
    /// A phase whose length is not known.
    pub fn begin(name: &'static str) -> Self {
        Self::new(name, ProgressBar::new_spinner(), "{spinner} {prefix} {wide_msg} {elapsed}")
    }

    /// A phase of `all` pieces of work, of which `done` were done before.
    pub fn of(name: &'static str, all: usize, done: usize) -> Self {
        Self::new(name, Self::bar(all, done), "{prefix} {bar:32} {pos}/{len}  {msg}  {eta} left")
    }

    fn bar(all: usize, done: usize) -> ProgressBar {
        let bar = ProgressBar::new(all as u64).with_position(done as u64);
        bar.reset_eta();
        bar
    }

    fn new(name: &'static str, bar: ProgressBar, style: &str) -> Self {
        if !says(Voice::Normal) {
            bar.set_draw_target(ProgressDrawTarget::hidden());
        }
        bar.set_style(ProgressStyle::with_template(style).unwrap_or(ProgressStyle::default_bar()).progress_chars("━╸─"));
        bar.set_prefix(name);
        if !bar.is_hidden() {
            bar.enable_steady_tick(TICK);
        }
        Phase { bar, name, started: Instant::now() }
    }

    /// What it has come to.
    pub fn tell(&self, text: impl Display) {
        self.bar.set_message(text.to_string());
    }

    /// How far a preparation is.
    pub fn stage(&self, stage: Stage<'_>) {
        match stage {
            Stage::Encoder(look) => {
                self.tell(format_args!("encoder: step {}, {:.1} % of the held-out images' variance lost", look.step, 100.0 * look.lost));
            }
            Stage::Reference(progress) => self.tell(format_args!("reference: {progress}")),
            Stage::Joint(step) => self.tell(format_args!("encoder and score together: step {step}")),
        }
    }

    /// So many more pieces are done.
    pub fn advance(&self, pieces: usize) {
        self.bar.inc(pieces as u64);
    }

    /// A line that stays above the phase's own, on a terminal.
    pub fn note(&self, line: impl AsRef<str>) {
        self.bar.println(line);
    }

    /// Ends it; the seconds that it took.
    pub fn end(self) -> f64 {
        self.started.elapsed().as_secs_f64()
    }
}

impl Drop for Phase {
    fn drop(&mut self) {
        self.bar.finish_and_clear();
        if says(Voice::Verbose) {
            remark(format_args!("{}: {:.2} s", self.name, self.started.elapsed().as_secs_f64()));
        }
    }
}

/// The steps of a training run: steps done, steps per second, smoothed loss, held-out gain, time left.
pub struct Progress {
    phase: Phase,
    loss: Option<f64>,
    gain: String,
}

impl Progress {
    /// A bar over `steps`, `done` of which were done by an earlier run.
    pub fn new(steps: usize, done: usize) -> Self {
        let style = "{prefix} {bar:32} {pos}/{len}  {per_sec:.dim}  {msg}  {eta} left";
        Progress { phase: Phase::new("training", Phase::bar(steps, done), style), loss: None, gain: String::new() }
    }

    /// After every step.
    pub fn step(&mut self, step: &Step) {
        let smoothed = self.loss.map_or(step.loss, |old| old + 0.05 * (step.loss - old));
        self.loss = Some(smoothed);
        if let Some(gains) = &step.gains {
            let gain = gains.held_out.whole;
            self.gain = format!("  held-out gain {:.3} +- {:.3}", gain.value, gain.error);
        }
        self.phase.tell(format_args!("loss {smoothed:.4}{}", self.gain));
        self.phase.bar.set_position(step.step as u64);
    }

    /// Takes the bar away.
    pub fn end(self) -> f64 {
        self.phase.end()
    }
}
