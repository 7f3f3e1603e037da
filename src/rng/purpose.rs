//! What random numbers are for.

/// One list of names, each with its number: an enum with fields has no `as`.
macro_rules! purposes {
    ($($(#[$doc:meta])* $name:ident = $code:literal,)*) => {
        /// What a stream is for. Two uses of random numbers in one run never share a purpose, so no draw of
        /// one can be a draw of the other. The numbers are part of every result: append, never renumber.
        ///
        /// [`Purpose::User`] is for streams of one's own. No purpose of the crate has its number, so that
        /// they share no counter with the crate's, nor with each other: within a run, that is one seed, they
        /// are as independent as any two streams.
        ///
        /// ```
        /// use ndsm::rng::{Purpose, Stream};
        /// let first = |purpose| Stream::new(1, purpose, 0, 0).uniform::<f64>();
        /// let mine = first(Purpose::User(0));
        /// assert!(mine != first(Purpose::User(1)) && mine != first(Purpose::Test));
        /// ```
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
        pub enum Purpose {
            $($(#[$doc])* $name,)*
            /// Streams of one's own, number n.
            User(u32),
            /// Space-time Levy areas of the paths of [`Purpose::User`] of this number.
            UserArea(u32),
            /// The component k of their component-wise steps.
            UserComponent(u32),
        }

        impl Purpose {
            /// Its number in the counter, < 128, and n where it has one.
            pub(super) fn code(self) -> (u32, Option<u32>) {
                match self {
                    $(Purpose::$name => ($code, None),)*
                    Purpose::User(n) => (24, Some(n)),
                    Purpose::UserArea(n) => (25, Some(n)),
                    Purpose::UserComponent(n) => (26, Some(n)),
                }
            }

            /// All of the crate's own.
            #[cfg(test)]
            pub(super) const CRATE: &[Purpose] = &[$(Purpose::$name,)*];
        }
    };
}

purposes! {
    /// Tests and benches.
    Test = 0,
    /// Drawing a data set from its law.
    Data = 1,
    /// Splitting and shuffling data.
    Split = 2,
    /// Starts and restarts of k-means and expectation-maximisation.
    Fit = 3,
    /// Initial weights of networks.
    Init = 4,
    /// Which data points a training step takes.
    Batch = 5,
    /// Which times a training step takes.
    Time = 6,
    /// Noise of the noising chain before its last step.
    Path = 7,
    /// Noise of the step whose score is learned, and of direct draws from exact kernels.
    Noise = 8,
    /// The component k of a component-wise step (15), and of the component kernel.
    Component = 9,
    /// Starting points of generation.
    Start = 10,
    /// Noise of the reverse SDE.
    Reverse = 11,
    /// Noise of the corrector.
    Corrector = 12,
    /// Random directions and subsets of metrics.
    Metric = 13,
    /// Hutchinson probes.
    Probe = 14,
    /// Pictures.
    Picture = 15,
    /// The component k of a component-wise step of the reverse SDE.
    ReverseComponent = 16,
    /// The component k of a component-wise step of the corrector.
    CorrectorComponent = 17,
    /// Space-time Levy areas of test paths.
    TestArea = 18,
    /// Space-time Levy areas of noising paths.
    PathArea = 19,
    /// Space-time Levy areas of the reverse SDE.
    ReverseArea = 20,
    /// Space-time Levy areas of all other paths.
    OtherArea = 21,
    /// Brownian paths as functions of time.
    Brownian = 22,
    /// The component k of the component-wise steps of a noising path before its last.
    PathComponent = 23,
    /// Which units of a network dropout drops.
    Dropout = 27,
    /// Seeds of the draws and runs from which moments are taken.
    Moments = 28,
    /// Starts and perturbations of closed-form diffusion.
    ClosedForm = 29,
    /// Draws of the light bridge.
    Bridge = 30,
    /// Batches that it learns from.
    BridgeBatch = 31,
    /// Noise that makes pixels continuous.
    Dequantisation = 32,
    /// Which images a training step changes, and how.
    Augment = 33,
    /// The order of the rows that a small network beside the score network is trained on.
    Descent = 34,
    /// Codes of a variational autoencoder in training.
    Code = 35,
    /// Noise up to the horizon of codes that are trained together with their score.
    Horizon = 36,
    /// Points whose label a training step keeps to itself.
    LabelDropout = 37,
    /// Classes of samples.
    Label = 38,
}

impl Purpose {
    /// The purpose of the Levy areas that stand beside increments of this purpose.
    pub(crate) fn area(self) -> Self {
        match self {
            Purpose::Test => Purpose::TestArea,
            Purpose::Path => Purpose::PathArea,
            Purpose::Reverse => Purpose::ReverseArea,
            Purpose::User(n) => Purpose::UserArea(n),
            _ => Purpose::OtherArea,
        }
    }

    /// The purpose of the components k of the component-wise steps whose normals have this purpose.
    pub(crate) fn component(self) -> Self {
        match self {
            Purpose::Path => Purpose::PathComponent,
            Purpose::Reverse => Purpose::ReverseComponent,
            Purpose::Corrector => Purpose::CorrectorComponent,
            Purpose::User(n) => Purpose::UserComponent(n),
            _ => Purpose::Component,
        }
    }
}
