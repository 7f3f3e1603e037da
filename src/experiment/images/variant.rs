//! What is compared: methods, with all that can be done for a network, as they were published, and with each
//! part taken away.

use super::super::{Method, Space};
use super::{ImageSpace, ImageStudy};
use crate::config::{Setting, Value};
use crate::rng::{Purpose, Stream};

/// What a network is given beside its process.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Tools {
    /// A plain perceptron that sees the time at its input, the last parameters, no calibration, no moments, no
    /// regularisation.
    Published,
    /// The time in every block, a fifth of the points held out and the parameters best on them, calibration
    /// (20), moments (21).
    All,
    /// All but one.
    Without(Tool),
}

/// One part.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Tool {
    /// Antithetic pairs.
    Control,
    /// The time in every block.
    Network,
    /// Calibration on held-out points (20).
    Calibration,
    /// Moments of the noised law (21).
    Moments,
}

impl Tool {
    /// Every part.
    pub const ALL: [Tool; 4] = [Tool::Control, Tool::Network, Tool::Calibration, Tool::Moments];

    fn name(self) -> &'static str {
        match self {
            Tool::Control => "control",
            Tool::Network => "network",
            Tool::Calibration => "calibration",
            Tool::Moments => "moments",
        }
    }
}

/// A method with its tools.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Variant {
    /// The method.
    pub method: Method,
    /// What its network is given.
    pub tools: Tools,
}

/// Hidden layers in a latent space.
const DEPTH: usize = 3;
/// Points for each component of a mixture, and most components.
const POINTS_PER_COMPONENT: usize = 250;
const MOST_COMPONENTS: usize = 20;
/// Rank of a mixture in pixels.
const RANK: usize = 30;

impl Variant {
    /// Its name in tables.
    pub fn name(&self) -> String {
        match self.tools {
            _ if !self.method.network => self.method.name.to_owned(),
            Tools::Published => format!("{}, as published", self.method.name),
            Tools::All => self.method.name.to_owned(),
            Tools::Without(tool) => format!("{}, without {}", self.method.name, tool.name()),
        }
    }

    /// The variant whose search chooses its settings.
    pub fn leader(&self) -> Variant {
        let tools = if let Tools::Without(_) = self.tools { Tools::All } else { self.tools };
        Variant { tools, ..*self }
    }

    /// Whether points are held out.
    pub fn holds_out(&self) -> bool {
        self.method.network && self.tools != Tools::Published
    }

    /// Its settings with candidate number `candidate` of its search, for `n` points; and the solver's steps.
    pub fn settings(&self, study: &ImageStudy, n: usize, steps: usize, seed: u64, candidate: usize) -> (Vec<Setting>, usize) {
        let space = study.space;
        let mut all: Vec<Setting> = Vec::new();
        let mut set = |key: &str, value: Value| all.push(Setting::new(key, value));
        // The points are given: what stands here of data sets defaults alone.
        set("data.name", "digits".into());
        set("train.steps", steps.into());
        set("train.seed", seed.into());
        let components = (n / POINTS_PER_COMPONENT).clamp(2, MOST_COMPONENTS);
        match space {
            ImageSpace::Latent(latent) => {
                set("data.latent", latent.into());
                let plain = self.tools == Tools::Published || self.tools == Tools::Without(Tool::Network);
                set("network.kind", if plain { "mlp" } else { "residual" }.into());
                set("network.width", study.width.into());
                set("network.depth", DEPTH.into());
            }
            ImageSpace::Pixels => {
                set("network.kind", "unet".into());
                if self.method.has_mixture() {
                    set("reference.covariance", "low-rank".into());
                    set("reference.rank", RANK.into());
                }
            }
        }
        if self.method.has_mixture() {
            set("reference.components", components.into());
        }
        match self.tools {
            Tools::Published => {
                set("calibration.moments", "none".into());
                set("network.dropout", 0.0.into());
                set("train.weight_decay", 0.0.into());
            }
            Tools::Without(Tool::Calibration) => set("calibration.score", false.into()),
            Tools::Without(Tool::Moments) => set("calibration.moments", "none".into()),
            _ => {}
        }
        let process = match (self.method.space, self.method) {
            (_, Method::WHITE_VE) => Process::Exploding,
            (Some(Space::Preconditioned), _) => Process::Preconditioned,
            (Some(Space::Straight), _) => Process::Straight,
            (Some(Space::Nonlinear), _) => Process::Nonlinear,
            _ => Process::Linear,
        };
        let (searched, solver) = candidate_of(process, self.holds_out(), space, candidate);
        all.extend(searched);
        all.extend(self.method.settings());
        if self.tools == Tools::Without(Tool::Control) {
            all.push(Setting::new("objective.control", "none"));
        }
        (all, solver)
    }
}

/// What the ranges of a search depend on.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Process {
    Linear,
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
            Process::Linear => (Some(7.0), Some(-0.3), 24),
            Process::Exploding => (Some(100.0), Some(-0.3), 24),
            Process::Preconditioned => (None, Some(-0.5), 17),
            Process::Straight => (None, None, 24),
            Process::Nonlinear => (Some(3.0), Some(-0.6), 8),
        }
    }
}

/// Candidate `index` of the search: its settings, and the solver's steps. Number 0 is what larger studies found
/// best (method.md, last section), or what was published; the others are drawn around it, from spaces of the same
/// width for all methods.
fn candidate_of(process: Process, regularised: bool, space: ImageSpace, index: usize) -> (Vec<Setting>, usize) {
    let mut all: Vec<Setting> = Vec::new();
    let mut set = |key: &str, value: Value| all.push(Setting::new(key, value));
    let rate = if space == ImageSpace::Pixels { 2e-3 } else { 3e-3 };
    let (horizon, mean, solver) = process.centre();
    if index == 0 {
        set("train.lr", rate.into());
        horizon.into_iter().for_each(|horizon| set("sde.horizon", horizon.into()));
        if regularised {
            set("network.dropout", 0.0.into());
            set("train.weight_decay", 0.1.into());
        }
        return (all, solver);
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
    let (dropout, decay) = ([0.0, 0.1][stream.below(2)], [0.0, 0.1, 0.5][stream.below(3)]);
    if regularised {
        set("network.dropout", dropout.into());
        set("train.weight_decay", decay.into());
    }
    (all, if process == Process::Nonlinear { [4, 8, 8, 16] } else { [8, 16, 24, 48] }[stream.below(4)])
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Config;

    /// Every setting that a search may draw can be run, whatever the tools, and says what the method is.
    #[test]
    fn settings_can_be_run() {
        let study = ImageStudy::latent();
        for group in ["full", "parts", "small-sets"] {
            for variant in study.variants(group) {
                for candidate in 0..40 {
                    let (settings, solver) = variant.settings(&study, 4000, 1000, 0, candidate);
                    let config = Config::resolve(&settings).map_err(|e| e.within(variant.name())).unwrap();
                    let published = variant.tools == Tools::Published;
                    assert!(!published || (config.network.dropout == 0.0 && config.network.kind.name() == "mlp"), "{}", variant.name());
                    assert!(solver >= 4 && config.train.steps == 1000, "{}", variant.name());
                    let without = variant.tools == Tools::Without(Tool::Control);
                    assert_eq!(config.objective.control.name() == "none", without, "{}", variant.name());
                }
            }
        }
    }
}
