//! The choices: every key whose value is one of a few names.

use super::value::{Field, Range, Value};
pub use crate::data::DataName;
use crate::nn::{ARCHITECTURES, Kind};
use crate::{Error, Result};

/// Declares an enum with its names; the first variant is the default. `later` lists names that the design
/// knows and that this version does not offer; `also`, second names of a variant.
macro_rules! choice {
    ($(#[$meta:meta])* $choice:ident { $(#[$first_doc:meta])* $first:ident = $first_name:literal, $($(#[$doc:meta])* $variant:ident = $name:literal,)* } later $later:expr $(, also $($alias:literal = $same:ident),+)?) => {
        $(#[$meta])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
        pub enum $choice {
            $(#[$first_doc])* #[default] $first,
            $($(#[$doc])* $variant,)*
        }

        impl $choice {
            /// Every variant, in the order of the help text.
            pub const ALL: &[Self] = &[Self::$first, $(Self::$variant),*];

            /// The name in configuration files.
            pub fn name(self) -> &'static str {
                match self {
                    Self::$first => $first_name,
                    $(Self::$variant => $name,)*
                }
            }

            /// The variant called `name`.
            /// # Errors
            /// `Invalid` at `place`, with the names that there are.
            pub fn parse(place: &str, name: &str) -> Result<Self> {
                if let Some(found) = Self::ALL.iter().find(|v| v.name() == name) {
                    return Ok(*found);
                }
                $($(if name == $alias {
                    return Ok(Self::$same);
                })+)?
                const LATER: &[&str] = &$later;
                let names = quoted(Self::ALL.iter().map(|v| v.name()), ", ");
                if LATER.contains(&name) {
                    return Err(Error::refused(place, format!("\"{name}\" is not available yet; use one of {names}")));
                }
                Err(Error::invalid(place, format!("one of {names}"), Value::from(name)))
            }
        }

        impl Field for $choice {
            fn read(place: &str, value: &Value, _: Range) -> Result<Self> {
                match value {
                    Value::Text(name) => Self::parse(place, name),
                    _ => Err(Error::invalid(place, format!("one of {}", quoted(Self::ALL.iter().map(|v| v.name()), ", ")), value)),
                }
            }
            fn value(&self) -> Option<Value> {
                Some(self.name().into())
            }
            fn accepts(_: Range) -> String {
                quoted(Self::ALL.iter().map(|v| v.name()), " | ")
            }
        }
    };
}

fn quoted<'a>(names: impl Iterator<Item = &'a str>, between: &str) -> String {
    names.map(|n| format!("\"{n}\"")).collect::<Vec<_>>().join(between)
}

impl Field for DataName {
    fn read(place: &str, value: &Value, _: Range) -> Result<Self> {
        match value {
            Value::Text(name) => Self::parse(place, name),
            _ => Err(Error::invalid(place, format!("one of {}", quoted(Self::all().map(Self::name), ", ")), value)),
        }
    }
    fn value(&self) -> Option<Value> {
        Some(self.name().into())
    }
    fn accepts(_: Range) -> String {
        quoted(Self::all().map(Self::name), " | ")
    }
}

choice! {
    /// The family of the reference law pi.
    ReferenceKind {
        /// A Gaussian mixture fitted by expectation-maximisation.
        Mixture = "mixture",
        /// One Gaussian with the data's mean and covariance.
        Gaussian = "gaussian",
        /// The law that `reference.path` holds: written by `ndsm fit`, a run's checkpoint, or any mixture in
        /// the same layout.
        File = "file",
    } later []
}

choice! {
    /// The shape of the components' covariances.
    Covariance {
        /// Any symmetric positive matrix for each component.
        Full = "full",
        /// A diagonal matrix for each component.
        Diagonal = "diagonal",
        /// A multiple of the identity for each component.
        Spherical = "spherical",
        /// One full matrix for all components.
        Tied = "tied",
        /// `reference.rank` directions and a multiple of the identity for each component: probabilistic
        /// principal components.
        LowRank = "low-rank",
        /// Full where there are ten points for each number of a component's mean and covariance, tied where
        /// there are fewer.
        Auto = "auto",
    } later []
}

choice! {
    /// The way to the latent space.
    EncoderKind {
        /// Principal components.
        Pca = "pca",
        /// None: the data as they are.
        None = "none",
        /// A convolutional autoencoder of images.
        Autoencoder = "autoencoder",
        /// A variational one.
        Vae = "vae",
    } later []
}

choice! {
    /// What chooses the number of components.
    Criterion {
        /// The Bayesian information criterion.
        Bic = "bic",
        /// The integrated completed likelihood: clusters that are apart from each other.
        Icl = "icl",
    } later []
}

choice! {
    /// What a group of symmetries ties.
    Symmetry {
        /// Means and covariances along orbits, eq. (14); weights are the data's.
        Approximate = "approximate",
        /// Weights along orbits too: the law is invariant.
        Exact = "exact",
    } later []
}

choice! {
    /// The noising process.
    SdeKind {
        /// Langevin dynamics toward the reference, eq. (2): nonlinear when the reference is a mixture.
        Langevin = "langevin",
        /// The variance-preserving process. `sde.beta` is constant, so this is the stationary
        /// Ornstein-Uhlenbeck process toward the Gaussian fitted to the data, and "ou" names the same.
        Vp = "vp",
        /// The variance-exploding process.
        Ve = "ve",
        /// The sub-variance-preserving process: its mean is that of `vp`, its variance given the data the
        /// square.
        SubVp = "sub-vp",
        /// Straight paths from data to noise, x_t = (1 - t) x_0 + t z, t < 1: flow matching's ("Two baselines").
        Straight = "straight",
    } later [], also "ou" = Vp
}

impl SdeKind {
    /// Whether the process is linear, so that its law after any time is known exactly.
    pub fn is_linear(self) -> bool {
        self != SdeKind::Langevin
    }
}

choice! {
    /// The time grid of the noising chain.
    Grid {
        /// Each path has its own grid t q^-j that ends at its own t, eq. (15).
        PerPath = "per-path",
        /// Equal steps.
        Uniform = "uniform",
        /// Steps that grow linearly.
        Quadratic = "quadratic",
        /// Steps that grow by a constant factor.
        Geometric = "geometric",
    } later []
}

choice! {
    /// Where a sampler's times lie.
    Spacing {
        /// Evenly in (noise / signal)^(1/7).
        Karras = "karras",
        /// By the error that Heun's method makes on a Gaussian of each eigenvalue of a spectrum without a
        /// scale ("Sampling times"): for few steps of a linear process. The sliced W2 of `vp` samples on four
        /// modes, without moments, is .47 instead of 1.49 with 4 steps, .24 instead of .45 with 8, and the
        /// same with 16; times that grow by equal factors do as well.
        Spectral = "spectral",
        /// Evenly in time: straight paths'.
        Uniform = "uniform",
    } later []
}

choice! {
    /// What the network is trained to minimise.
    ObjectiveKind {
        /// Nonlinear denoising score matching along the chain, eq. (7).
        Ndsm = "ndsm",
        /// Denoising score matching with an exact kernel from x_0 to x_t.
        Dsm = "dsm",
        /// The exact component flow, eq. (18).
        ComponentFlow = "component-flow",
        /// Score matching without a target, the divergence of the score exact: a baseline.
        Implicit = "implicit",
        /// The same with the divergence by a random probe: a baseline.
        Hutchinson = "hutchinson",
        /// The same with the score projected on the probe too: a baseline.
        Sliced = "sliced",
        /// Flow matching, eq. (23): regression on the velocity of straight paths.
        FlowMatching = "flow-matching",
    } later []
}

impl ObjectiveKind {
    /// Whether there is no target: score matching by derivatives of the network.
    pub fn is_implicit(self) -> bool {
        matches!(self, ObjectiveKind::Implicit | ObjectiveKind::Hutchinson | ObjectiveKind::Sliced)
    }
}

choice! {
    /// Which noise a data point is paired with in flow matching.
    Coupling {
        /// Any.
        Independent = "independent",
        /// That of the batch's optimal assignment: the flow's paths cross less, and it has no score.
        OptimalTransport = "optimal-transport",
    } later []
}

choice! {
    /// The control variate.
    Control {
        /// The cheapest of `antithetic`, `self` and `none` at equal evaluations of the network, measured
        /// early in the run.
        Auto = "auto",
        /// Pairs with noise of both signs, eq. (11).
        Antithetic = "antithetic",
        /// The network as its own control, eq. (9).
        SelfControl = "self",
        /// No control.
        None = "none",
        /// The network as its own control, multiplied by a gate that learns, eq. (10).
        Gated = "gated",
        /// The network as its own control with coefficients by regression, one for each group of times, eq.
        /// (12).
        Regression = "regression",
        /// A small network of its own, eq. (10): it steadies the loss that is reported, not the gradient.
        Network = "network",
        /// The network as its own control with the coefficient that blends the denoising and the target score
        /// identity best where the data are the reference ("Control variates", below eq. 12). The gradient's
        /// variance over that without control, with `self`, this and `antithetic`: .052, .049, .049 on Euler
        /// chains of four modes with 20 steps and .0049 three times with 200; .59, .35, .25 on the default
        /// chain of the digits. It cannot be below `antithetic`, and costs as much.
        Blend = "blend",
    } later []
}

choice! {
    /// The weight lambda of a time in the loss.
    Weighting {
        /// lambda = sbar^2.
        Variance = "variance",
        /// lambda = 1.
        Uniform = "uniform",
        /// lambda = sigma^2 over the density of the times: a bound on the likelihood.
        Likelihood = "likelihood",
        /// lambda = sbar^2 over the running variance of the loss at about that time.
        InverseVariance = "inverse-variance",
        /// The network's own error counts alike at every time: |net - its target|^2, as EDM and flow matching
        /// are published.
        Network = "network",
    } later []
}

choice! {
    /// The one-step law whose score is the target.
    Transition {
        /// The component-wise exact step, eq. (15); for `dsm` the component kernel.
        Component = "component",
        /// Euler-Maruyama's step, eq. (5).
        Euler = "euler",
        /// The step of Ito and Taylor's expansion to order 1.5, eq. (13).
        ItoTaylor = "ito-taylor",
        /// The step of the drift's local linearisation, eq. (13).
        LocalLinear = "local-linear",
        /// The exact law of a linear process.
        Exact = "exact",
    } later []
}

choice! {
    /// How a training step changes images.
    Augment {
        /// Not at all.
        None = "none",
        /// Moved by a pixel, along a side or a diagonal.
        Shift = "shift",
        /// Left and right exchanged.
        Mirror = "mirror",
        /// One, the other, or both.
        Both = "both",
    } later []
}

choice! {
    /// Which parameters generate.
    Keep {
        /// The averaged ones with the least held-out gain, eq. (19), among those that were evaluated.
        Best = "best",
        /// The averaged ones after the last step.
        Last = "last",
    } later []
}

choice! {
    /// Which times a training step looks at.
    TimeSampling {
        /// ln(sbar / sqrt(1 - sbar^2)) normal, eq. (17), stratified over the batch.
        LogitNormal = "logit-normal",
        /// The points of the time grid, each as often as the others.
        Grid = "grid",
    } later []
}

choice! {
    /// Which data points a training step takes.
    Sampling {
        /// A rotated lattice over the data, in an order in which neighbours are near, and the times: even in
        /// both and in their plane.
        Lattice = "lattice",
        /// Epochs: random orders of all points.
        Shuffled = "shuffled",
    } later []
}

/// The architecture of the score network: one of [`ARCHITECTURES`], or left to be chosen from the number of
/// points.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct NetworkKind(Option<usize>);

impl NetworkKind {
    /// Left to be chosen.
    pub const AUTO: NetworkKind = NetworkKind(None);

    /// Every choice, in the order of the help text.
    pub fn all() -> impl Iterator<Item = Self> {
        (0..ARCHITECTURES.len()).map(|i| NetworkKind(Some(i))).chain([Self::AUTO])
    }

    /// The choice called `name`.
    pub fn named(name: &str) -> Option<Self> {
        Self::all().find(|kind| kind.name() == name)
    }

    /// How a network of it is made; none where it is to be chosen.
    pub fn architecture(self) -> Option<&'static Kind> {
        self.0.map(|i| &ARCHITECTURES[i])
    }

    /// The name in configuration files.
    pub fn name(self) -> &'static str {
        self.architecture().map_or("auto", |kind| kind.name)
    }
}

impl Field for NetworkKind {
    fn read(place: &str, value: &Value, _: Range) -> Result<Self> {
        let found = if let Value::Text(name) = value { NetworkKind::named(name) } else { None };
        found.ok_or_else(|| Error::invalid(place, format!("one of {}", quoted(NetworkKind::all().map(NetworkKind::name), ", ")), value))
    }
    fn value(&self) -> Option<Value> {
        Some(self.name().into())
    }
    fn accepts(_: Range) -> String {
        quoted(NetworkKind::all().map(NetworkKind::name), " | ")
    }
}

choice! {
    /// How the network's output becomes a score.
    Parametrisation {
        /// grad log pi + net / sbar: training starts from the reference.
        Residual = "residual",
        /// net / sbar.
        Scaled = "scaled",
        /// net; in flow matching the velocity.
        Plain = "plain",
        /// grad log pi + p net / sbar, eq. (22), p such that the network's target on whitened data has variance 1 at
        /// every time: the preconditioning of EDM.
        Preconditioned = "preconditioned",
    } later []
}

impl Parametrisation {
    /// Whether the network is what is missing in the guide, rather than a whole score.
    pub fn adds_to_guide(self) -> bool {
        matches!(self, Parametrisation::Residual | Parametrisation::Preconditioned)
    }
}

choice! {
    /// Which moments of the noised law samplers keep at every step.
    MomentMatching {
        /// None.
        None = "none",
        /// Mean and total variance.
        Scalar = "scalar",
        /// Mean, and the variance of each whitened coordinate.
        Diagonal = "diagonal",
        /// Mean and covariance.
        Full = "full",
        /// Mean and covariance of the share of each component of the reference, then of all points; a
        /// likelihood does not go through these maps.
        Component = "component",
        /// Those with which samples are likeliest to be the held-out points, as Gaussians; none in more than
        /// 128 dimensions.
        Auto = "auto",
    } later []
}

choice! {
    /// The learning rate over the run, after the warm-up.
    Schedule {
        /// Falls to zero like half a cosine.
        Cosine = "cosine",
        /// Stays.
        Constant = "constant",
    } later []
}

choice! {
    /// The number type of training.
    Precision {
        /// 32 bits.
        F32 = "f32",
        /// 64 bits.
        F64 = "f64",
    } later []
}
