//! The methods that are compared.

use crate::config::{Setting, Value};
use crate::train::Rival;

/// Which settings a method's random search draws.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Space {
    /// A linear process with one isotropic Gaussian: variance-preserving or -exploding.
    White,
    /// The variance-preserving process with the data's full covariance.
    Coloured,
    /// Langevin dynamics toward a mixture.
    Nonlinear,
    /// EDM.
    Preconditioned,
    /// Flow matching along straight paths.
    Straight,
}

/// One way from data to samples.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Method {
    /// Its name in tables.
    pub name: &'static str,
    /// What its own search draws, if it has one.
    pub space: Option<Space>,
    /// The method whose search chooses its settings: itself, or one with the same process.
    pub tuned_as: Option<&'static str>,
    /// Whether a network is trained; otherwise samples come straight from the reference, or from a rival.
    pub network: bool,
    /// What they come from instead of the reference.
    pub rival: Option<Rival>,
    /// Whether a fifth of the points is held out, the parameters that are best on them are kept, and network
    /// and samples are corrected (20), (21); otherwise all points are learned from, the last parameters
    /// generate as they are, and nothing is regularised.
    pub kept: bool,
    /// What it sets.
    settings: &'static [(&'static str, &'static str)],
}

const LANGEVIN: (&str, &str) = ("sde.kind", "langevin");
const PAIRS: (&str, &str) = ("objective.control", "antithetic");

impl Method {
    /// The linear baseline with white noise, denoising score matching, antithetic pairs.
    pub const LINEAR: Method = Method {
        name: "linear",
        space: Some(Space::White),
        tuned_as: Some("linear"),
        network: true,
        rival: None,
        kept: false,
        settings: &[("reference.covariance", "spherical"), PAIRS],
    };
    /// The linear baseline with coloured noise.
    pub const COLOURED: Method = Method {
        name: "coloured",
        space: Some(Space::Coloured),
        tuned_as: Some("coloured"),
        network: true,
        rival: None,
        kept: false,
        settings: &[("sde.kind", "vp"), PAIRS],
    };
    /// The variance-preserving process with white noise, antithetic pairs.
    pub const WHITE_VP: Method =
        Method { name: "white-vp", settings: &[("sde.kind", "vp"), ("reference.covariance", "spherical"), PAIRS], ..Self::LINEAR };
    /// The variance-exploding process with white noise, antithetic pairs.
    pub const WHITE_VE: Method =
        Method { name: "white-ve", settings: &[("sde.kind", "ve"), ("reference.covariance", "spherical"), PAIRS], ..Self::LINEAR };
    /// Nonlinear denoising score matching along the component-wise chain, antithetic pairs.
    pub const NDSM: Method = Method {
        name: "ndsm",
        space: Some(Space::Nonlinear),
        tuned_as: Some("ndsm"),
        network: true,
        rival: None,
        kept: false,
        settings: &[LANGEVIN, PAIRS],
    };
    /// The three with points held out.
    pub const LINEAR_KEPT: Method = Method { name: "linear-kept", tuned_as: Some("linear-kept"), kept: true, ..Self::LINEAR };
    /// See [`Method::LINEAR_KEPT`].
    pub const COLOURED_KEPT: Method = Method { name: "coloured-kept", tuned_as: Some("coloured-kept"), kept: true, ..Self::COLOURED };
    /// See [`Method::LINEAR_KEPT`].
    pub const NDSM_KEPT: Method = Method { name: "ndsm-kept", tuned_as: Some("ndsm-kept"), kept: true, ..Self::NDSM };
    /// The same with the network as its own control variate.
    pub const SELF: Method = Method { name: "ndsm-self", space: None, settings: &[LANGEVIN, ("objective.control", "self")], ..Self::NDSM };
    /// The same without a control variate.
    pub const NONE: Method = Method { name: "ndsm-none", space: None, settings: &[LANGEVIN, ("objective.control", "none")], ..Self::NDSM };
    /// The component kernel.
    pub const KERNEL: Method =
        Method { name: "kernel", tuned_as: Some("kernel"), settings: &[LANGEVIN, ("objective.kind", "dsm"), PAIRS], ..Self::NDSM };
    /// The component flow, eq. (18).
    pub const FLOW: Method =
        Method { name: "flow", tuned_as: Some("flow"), settings: &[LANGEVIN, ("objective.kind", "component-flow"), PAIRS], ..Self::NDSM };
    /// EDM as published (Karras et al. 2022): exploding noise, the preconditioned network and its weights, Heun's steps
    /// in sigma; sigma from .002 to 80 where the data have standard deviation 1/2, here 1.
    pub const EDM: Method = Method {
        name: "edm",
        space: Some(Space::Preconditioned),
        tuned_as: Some("edm"),
        settings: &[
            ("sde.kind", "ve"),
            ("sde.t_min", "0.004"),
            ("sde.horizon", "160"),
            ("network.parametrisation", "preconditioned"),
            ("reference.covariance", "spherical"),
            PAIRS,
        ],
        ..Self::LINEAR
    };
    /// Flow matching along straight paths as published (Lipman et al. 2023; Liu, Gong and Liu 2023): the network is the
    /// velocity, times are uniform, data and noise independent.
    pub const FLOW_MATCHING: Method = Method {
        name: "flow-matching",
        space: Some(Space::Straight),
        tuned_as: Some("flow-matching"),
        settings: &[("sde.kind", "straight"), ("reference.covariance", "spherical"), PAIRS],
        ..Self::LINEAR
    };
    /// The same with noise and data of a batch paired by optimal transport (Tong et al. 2024; Pooladian et al. 2023).
    pub const FLOW_MATCHING_OT: Method = Method {
        name: "flow-matching-ot",
        tuned_as: Some("flow-matching-ot"),
        settings: &[("sde.kind", "straight"), ("objective.coupling", "optimal-transport"), ("reference.covariance", "spherical"), PAIRS],
        ..Self::FLOW_MATCHING
    };
    /// The three with points held out.
    pub const EDM_KEPT: Method = Method { name: "edm-kept", tuned_as: Some("edm-kept"), kept: true, ..Self::EDM };
    /// See [`Method::EDM_KEPT`].
    pub const FLOW_MATCHING_KEPT: Method =
        Method { name: "flow-matching-kept", tuned_as: Some("flow-matching-kept"), kept: true, ..Self::FLOW_MATCHING };
    /// See [`Method::EDM_KEPT`].
    pub const FLOW_MATCHING_OT_KEPT: Method =
        Method { name: "flow-matching-ot-kept", tuned_as: Some("flow-matching-ot-kept"), kept: true, ..Self::FLOW_MATCHING_OT };
    /// Samples of the fitted reference, without a network.
    pub const REFERENCE: Method = Method {
        name: "reference",
        space: None,
        tuned_as: None,
        network: false,
        rival: None,
        kept: false,
        settings: &[LANGEVIN, ("reference.floor", "0")],
    };
    /// Toward a mixture of spheres, whose noise is white as that of [`Method::LINEAR`].
    pub const WHITE_KEPT: Method = Method {
        name: "ndsm-white-kept",
        tuned_as: Some("ndsm-white-kept"),
        settings: &[LANGEVIN, PAIRS, ("reference.covariance", "spherical")],
        ..Self::NDSM_KEPT
    };
    /// The rivals without a network.
    pub const SMOOTHED: Method = Method { name: Rival::Smoothed.name(), rival: Some(Rival::Smoothed), kept: true, ..Self::REFERENCE };
    /// See [`Method::SMOOTHED`].
    pub const CLOSED_FORM: Method = Method { name: Rival::ClosedForm.name(), rival: Some(Rival::ClosedForm), ..Self::SMOOTHED };
    /// See [`Method::SMOOTHED`].
    pub const BRIDGE: Method = Method { name: Rival::Bridge.name(), rival: Some(Rival::Bridge), ..Self::SMOOTHED };
    /// The chain with its reference tied along quarter turns, weights free.
    pub const TIED_C4: Method =
        Method { name: "ndsm-c4", space: None, settings: &[LANGEVIN, PAIRS, ("reference.group", "c4")], ..Self::NDSM };
    /// The same with equal weights.
    pub const EXACT_C4: Method = Method {
        name: "ndsm-c4-exact",
        space: None,
        settings: &[LANGEVIN, PAIRS, ("reference.group", "c4"), ("reference.symmetry", "exact")],
        ..Self::NDSM
    };
    /// Samples of the tied reference.
    pub const REFERENCE_C4: Method =
        Method { name: "reference-c4", settings: &[LANGEVIN, ("reference.floor", "0"), ("reference.group", "c4")], ..Self::REFERENCE };
    /// Samples of the reference tied with equal weights.
    pub const REFERENCE_C4_EXACT: Method = Method {
        name: "reference-c4-exact",
        settings: &[LANGEVIN, ("reference.floor", "0"), ("reference.group", "c4"), ("reference.symmetry", "exact")],
        ..Self::REFERENCE
    };
    /// The same three with half turns.
    pub const TIED_C2: Method =
        Method { name: "ndsm-c2", space: None, settings: &[LANGEVIN, PAIRS, ("reference.group", "c2")], ..Self::NDSM };
    /// See [`Method::TIED_C2`].
    pub const EXACT_C2: Method = Method {
        name: "ndsm-c2-exact",
        space: None,
        settings: &[LANGEVIN, PAIRS, ("reference.group", "c2"), ("reference.symmetry", "exact")],
        ..Self::NDSM
    };
    /// See [`Method::TIED_C2`].
    pub const REFERENCE_C2: Method =
        Method { name: "reference-c2", settings: &[LANGEVIN, ("reference.floor", "0"), ("reference.group", "c2")], ..Self::REFERENCE };

    /// The methods of most cases.
    pub const USUAL: [Method; 12] = [
        Self::LINEAR,
        Self::COLOURED,
        Self::REFERENCE,
        Self::SMOOTHED,
        Self::CLOSED_FORM,
        Self::BRIDGE,
        Self::NONE,
        Self::SELF,
        Self::NDSM,
        Self::NDSM_KEPT,
        Self::KERNEL,
        Self::FLOW,
    ];
    /// Those with a search of their own.
    pub const LEADERS: [Method; 15] = [
        Self::LINEAR,
        Self::COLOURED,
        Self::NDSM,
        Self::LINEAR_KEPT,
        Self::COLOURED_KEPT,
        Self::NDSM_KEPT,
        Self::WHITE_KEPT,
        Self::KERNEL,
        Self::FLOW,
        Self::EDM,
        Self::EDM_KEPT,
        Self::FLOW_MATCHING,
        Self::FLOW_MATCHING_KEPT,
        Self::FLOW_MATCHING_OT,
        Self::FLOW_MATCHING_OT_KEPT,
    ];

    /// Whether it learns the score of the mixture's dynamics, or is the mixture.
    pub fn has_mixture(&self) -> bool {
        !self.network || self.settings.contains(&LANGEVIN)
    }

    /// Whether its noise is a chain of steps: a kernel takes none.
    pub fn has_chain(&self) -> bool {
        !self.sets("objective.kind")
    }

    /// Whether it sets the key, so that no search does.
    pub fn sets(&self, key: &str) -> bool {
        self.settings.iter().any(|(own, _)| *own == key)
    }

    /// What it sets, as a configuration takes it.
    pub fn settings(&self) -> Vec<Setting> {
        let value = |text: &str| text.parse::<f64>().map_or_else(|_| Value::from(text), Value::from);
        self.settings.iter().map(|(key, text)| Setting::new(key, value(text))).collect()
    }
}
