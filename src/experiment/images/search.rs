//! What a search tries.

use super::ImageSpace;
use crate::config::{Setting, Value};
use crate::rng::{Purpose, Stream};

/// Settings of a method.
pub struct Candidate {
    /// Of the configuration.
    pub settings: Vec<Setting>,
    /// Steps of the solver.
    pub solver: usize,
    /// Whether some of the points are held out, and the parameters best on them are kept.
    pub holds_out: bool,
}

/// What the ranges of a search depend on.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Process {
    Linear,
    Coloured,
    Exploding,
    Preconditioned,
    Straight,
    Nonlinear,
}

impl Process {
    /// The horizon, the mean of ln(noise/signal) in training, and the solver's steps; nothing for what the method
    /// sets itself, or leaves uniform.
    fn centre(self) -> (Option<f64>, Option<f64>, usize) {
        match self {
            Process::Linear | Process::Coloured => (Some(7.0), Some(-0.3), 24),
            Process::Exploding => (Some(100.0), Some(-0.3), 24),
            Process::Preconditioned => (None, Some(-0.5), 17),
            Process::Straight => (None, None, 24),
            Process::Nonlinear => (Some(3.0), Some(-0.6), 8),
        }
    }

    /// Shares of the identity in the mobility of whitened pixels. Those of a border hardly vary, and whitened
    /// alone they are as loud as all others.
    fn isotropies(self) -> Option<[f64; 3]> {
        match self {
            Process::Coloured => Some([0.5, 0.2, 0.8]),
            Process::Nonlinear => Some([1.0, 0.8, 1.0]),
            _ => None,
        }
    }
}

impl Candidate {
    /// Number `index` of a search, with tools or as published. Number 0 is what larger studies found best
    /// (method.md, last section), or what was published; the others are drawn around it, from spaces of the same
    /// width for all methods.
    pub fn of(process: Process, tools: bool, space: ImageSpace, index: usize) -> Self {
        let mut settings: Vec<Setting> = Vec::new();
        let mut set = |key: &str, value: Value| settings.push(Setting::new(key, value));
        let pixels = space == ImageSpace::Pixels;
        let rate = if pixels { 2e-3 } else { 3e-3 };
        let (horizon, mean, solver) = process.centre();
        if let Some(isotropies) = process.isotropies().filter(|_| pixels) {
            set("sde.isotropy", isotropies[index % isotropies.len()].into());
        }
        let mixture = process == Process::Nonlinear;
        if index == 0 {
            set("train.lr", rate.into());
            horizon.into_iter().for_each(|horizon| set("sde.horizon", horizon.into()));
            if tools {
                set("network.dropout", 0.0.into());
                set("train.weight_decay", if mixture { 0.5 } else { 0.1 }.into());
            }
            if tools && !pixels {
                // Where a mixture explains most of the score, blocks that begin as nothing begin late.
                set("network.kind", if mixture { "mlp" } else { "residual" }.into());
                set("calibration.moments", if mixture { "component" } else { "auto" }.into());
            }
            return Candidate { settings, solver, holds_out: tools && !mixture };
        }
        let mut stream = Stream::new(0, Purpose::Split, 64 + process as u64, index as u32);
        let mut between = |low: f64, high: f64| low * (high / low).powf(stream.uniform::<f64>());
        set("train.lr", (rate * between(0.4, 2.5)).into());
        if let Some(horizon) = horizon {
            set("sde.horizon", (horizon * between(0.5, 1.6)).into());
            set("sde.t_min", between(0.005, 0.05).into());
        }
        match mean {
            Some(mean) => set("objective.time_mean", (mean + stream.uniform::<f64>() - 0.5).into()),
            // Uniform, or as of Esser et al. 2024.
            None if stream.below(2) == 1 => {
                set("objective.time_sampling", "logit-normal".into());
                set("objective.time_mean", (1.5 * stream.uniform::<f64>() - 0.9).into());
            }
            None => {}
        }
        let solver = if mixture { [4, 8, 8, 16] } else { [8, 16, 24, 48] }[stream.below(4)];
        if !tools {
            return Candidate { settings, solver, holds_out: false };
        }
        set("network.dropout", [0.0, 0.1][stream.below(2)].into());
        set("train.weight_decay", [0.0, 0.1, 0.5][stream.below(3)].into());
        let [holds_out, calibrates, residual, components] = [(); 4].map(|()| stream.below(2) == 1);
        set("calibration.score", (holds_out && calibrates).into());
        if !pixels {
            set("network.kind", if residual { "residual" } else { "mlp" }.into());
            set("calibration.moments", if components { "component" } else { "auto" }.into());
        }
        Candidate { settings, solver, holds_out }
    }
}
