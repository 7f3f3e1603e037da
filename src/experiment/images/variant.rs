//! What is compared: methods, with all that can be done for a network, as they were published, and with each
//! part taken away.

use super::super::{Method, Space};
use super::search::{Candidate, Process};
use super::{ImageCase, ImageSpace, ImageStudy};
use crate::config::{Setting, Value};

/// What a network is given beside its process.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Tools {
    /// A plain perceptron that sees the time at its input, the last parameters, no calibration, no moments, no
    /// regularisation.
    Published,
    /// All that can be done beside: the time in every block, some points held out and the parameters best on them,
    /// calibration (20), moments (21), regularisation; each where the search finds it better.
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
    pub const ALL: [Tool; 4] = [Tool::Control, Tool::Calibration, Tool::Network, Tool::Moments];

    /// Those that a network has there: a U-Net is itself, and maps of moments are for few dimensions.
    pub fn of(space: ImageSpace) -> &'static [Tool] {
        if space == ImageSpace::Pixels { &[Tool::Control, Tool::Calibration] } else { &Self::ALL }
    }

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
    /// Whether the components of its reference are tied by the symmetry of the case, eq. (14).
    pub tied: bool,
}

/// Hidden layers in a latent space.
const DEPTH: usize = 3;
/// Points for each component of a mixture, of which one is tried; most components.
const POINTS_PER_COMPONENT: [usize; 3] = [80, 125, 50];
const MOST_COMPONENTS: usize = 100;
/// Rank of a mixture in pixels.
const RANK: usize = 30;

impl Variant {
    /// Its name in tables.
    pub fn name(&self) -> String {
        match self.tools {
            _ if self.tied => format!("{}, tied", Variant { tied: false, ..*self }.name()),
            _ if !self.method.network => self.method.name.to_owned(),
            Tools::Published => format!("{}, as published", self.method.name),
            Tools::All => self.method.name.to_owned(),
            Tools::Without(tool) => format!("{}, without {}", self.method.name, tool.name()),
        }
    }

    /// In pixels, the name of a reference of low rank as its components' directions alone have it.
    pub(super) fn bare(&self, space: ImageSpace) -> Option<String> {
        (!self.method.network && space == ImageSpace::Pixels).then(|| format!("{}, without residual noise", self.name()))
    }

    /// The variant whose search chooses its settings.
    pub fn leader(&self) -> Variant {
        let tools = if let Tools::Without(_) = self.tools { Tools::All } else { self.tools };
        Variant { tools, tied: false, ..*self }
    }

    /// How many settings a search of `budget` tries: without a network there are only numbers of components.
    pub fn candidates(&self, budget: usize) -> usize {
        if self.method.network { budget } else { budget.min(POINTS_PER_COMPONENT.len()) }
    }

    /// What it is with candidate number `candidate` of its search, for `n` points of a case.
    pub fn settings(&self, study: &ImageStudy, n: usize, case: &ImageCase, seed: u64, candidate: usize) -> Candidate {
        let space = study.space;
        let mut all: Vec<Setting> = Vec::new();
        let mut set = |key: &str, value: Value| all.push(Setting::new(key, value));
        // The points are given: what stands here of data sets defaults alone.
        set("data.name", "digits".into());
        set("train.steps", case.steps.into());
        set("train.seed", seed.into());
        match space {
            ImageSpace::Latent(latent) => {
                set("data.latent", latent.into());
                set("network.kind", "mlp".into());
                set("network.width", study.width.into());
                set("network.depth", DEPTH.into());
            }
            ImageSpace::Pixels => {
                set("data.latent", 0.into());
                set("network.kind", "unet".into());
                set("network.width", study.width.into());
                set("calibration.moments", "none".into());
                if self.method.has_mixture() {
                    set("reference.covariance", "low-rank".into());
                    set("reference.rank", RANK.into());
                }
            }
        }
        let (group, order) = if self.tied { case.shape.symmetry() } else { ("none", 1) };
        if self.method.has_mixture() {
            let each = POINTS_PER_COMPONENT[candidate % POINTS_PER_COMPONENT.len()];
            // As many orbits as make so many components.
            set("reference.components", ((n / each).clamp(2, MOST_COMPONENTS) / order).max(1).into());
            set("reference.group", group.into());
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
            (Some(Space::Coloured), _) => Process::Coloured,
            _ => Process::Linear,
        };
        let searched = Candidate::of(process, self.method.network && self.tools != Tools::Published, space, candidate);
        // A later setting of a key would replace what a tool is taken away with.
        let gone = match self.tools {
            Tools::Without(Tool::Network) => "network.kind",
            Tools::Without(Tool::Moments) => "calibration.moments",
            Tools::Without(Tool::Calibration) => "calibration.score",
            _ => "",
        };
        all.extend(searched.settings.into_iter().filter(|setting| setting.key != gone));
        all.extend(self.method.settings());
        if self.tools == Tools::Without(Tool::Control) {
            all.push(Setting::new("objective.control", "none"));
        }
        Candidate { settings: all, ..searched }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Config;
    use crate::data::DataName;

    /// Every setting that a search may draw can be run, whatever the tools, and says what the method is.
    #[test]
    fn settings_can_be_run() {
        let with_larger = |s: ImageStudy| ImageStudy { data: Some((DataName::Idx, "images".into())), ..s };
        let cases = |s: ImageStudy| s.cases().into_iter().map(move |c| (s.clone(), c));
        for (study, case) in [ImageStudy::latent(), ImageStudy::pixels()].map(with_larger).into_iter().flat_map(cases) {
            let space = study.space;
            for variant in study.variants(case.group) {
                for candidate in 0..40 {
                    let chosen = variant.settings(&study, 4000, &case, 0, candidate);
                    let config = Config::resolve(&chosen.settings).map_err(|e| e.within(variant.name())).unwrap();
                    let published = variant.tools == Tools::Published;
                    let kind = if space == ImageSpace::Pixels { "unet" } else { "mlp" };
                    assert!(!published || (config.network.dropout == 0.0 && config.network.kind.name() == kind), "{}", variant.name());
                    assert!(!published || !chosen.holds_out, "{}", variant.name());
                    assert!(chosen.solver >= 4 && config.train.steps == case.steps, "{}", variant.name());
                    assert_eq!(config.reference.group != "none", variant.tied, "{}", variant.name());
                    let without = variant.tools == Tools::Without(Tool::Control);
                    assert_eq!(config.objective.control.name() == "none", without, "{}", variant.name());
                }
            }
        }
    }
}
