//! The table of keys: the one place where a key is declared with its meaning, type, default and range. The
//! structs, the reader, `--set`, the help text and the resolved copy in the run directory all come from it.

use super::choices::*;
use super::components::Components;
use super::value::{ANY, Field, SEED, Value, from_below, from_to, positive};
use crate::Result;

/// One key of the configuration.
pub struct Key {
    /// The name with its table: `sde.beta`.
    pub name: &'static str,
    /// What it means, in a line or two.
    pub doc: &'static str,
    /// What it accepts, in words.
    pub accepts: fn() -> String,
    /// Its value; `None` for what is written by leaving the key out.
    pub get: fn(&Config) -> Option<Value>,
    pub(super) set: fn(&mut Config, &Value) -> Result<()>,
    /// Writes the default, which may depend on the other keys.
    pub(super) fill: fn(&mut Config),
}

/// `key: Type = default given the other keys, range;`
macro_rules! tables {
    ($($(#[doc = $table_doc:literal])+ $table:ident: $name:ident {
        $($(#[doc = $doc:literal])+ $key:ident: $type:ty = $default:expr, $range:expr;)+
    })+) => {
        /// A whole run: every key has a value. [`Config::default`] is what `ndsm train` does when nothing is
        /// said.
        #[derive(Debug, Clone, PartialEq)]
        pub struct Config {
            $($(#[doc = $table_doc])+ pub $table: $name,)+
        }

        $($(#[doc = $table_doc])+
        #[derive(Debug, Clone, PartialEq)]
        pub struct $name {
            $($(#[doc = $doc])+ pub $key: $type,)+
        })+

        impl Config {
            /// What the defaults are filled into; no value of it survives.
            pub(super) fn blank() -> Self {
                Config { $($table: $name { $($key: <$type>::default(),)+ },)+ }
            }
        }

        /// Every key, in the order of the help text.
        pub static KEYS: &[Key] = &[$($(Key {
            name: concat!(stringify!($table), ".", stringify!($key)),
            doc: concat!($($doc),+),
            accepts: || <$type as Field>::accepts($range),
            get: |c| c.$table.$key.value(),
            set: |c, v| {
                c.$table.$key = Field::read(concat!(stringify!($table), ".", stringify!($key)), v, $range)?;
                Ok(())
            },
            fill: |c| {
                c.$table.$key = given(c, $default);
            },
        },)+)+];
    };
}

/// The default of a key, given the other keys.
fn given<T>(c: &Config, default: impl Fn(&Config) -> T) -> T {
    default(c)
}

/// Whether the data have so many directions that a network learns its points by heart, and that a component
/// may have fewer points than numbers: those that are worked with in a latent space. In the plane dropout and
/// weight decay only cost (README, "Is the network worth having?").
fn many_directions(c: &Config) -> bool {
    c.data.latent > 0
}

/// Whether the network takes images alone.
fn on_images(c: &Config) -> bool {
    c.network.kind.architecture().is_some_and(|kind| kind.images)
}

/// How near to the ends of straight paths, t = 0 and 1, times come: as near as the network's features tell
/// them apart.
const STRAIGHT_END: f64 = 0.002;

/// Largest data set, in points.
const MAX_POINTS: f64 = 1e8;

tables! {
    /// Where the data come from.
    data: DataConfig {
        /// Which data: `digits` is carried by the program, `idx`, `cifar`, `npy`, `safetensors` and `csv` read
        /// `data.path`, the others are laws.
        name: DataName = |_| DataName::Digits, ANY;
        /// The file (of npy also .npz), or for `idx` and `cifar` the folder, to read.
        path: Option<String> = |_| None, ANY;
        /// The array of an .npz or safetensors file that has several.
        array: Option<String> = |_| None, ANY;
        /// The columns of a csv file to keep, by their names or their numbers from 1 on (left out: all but the
        /// labels).
        columns: Vec<String> = |_| Vec::new(), ANY;
        /// The labels: a csv file's column, or an array of an .npz or safetensors file; for metrics and splits,
        /// and for `network.classes`.
        label: Option<String> = |_| None, ANY;
        /// How many points: drawn from the law, or taken from the file (0: all).
        n: usize = |c| if c.data.name.is_law() { 10_000 } else { 0 }, from_to(0.0, MAX_POINTS);
        /// Seed of the draw, of the order and of the split of the data.
        seed: u64 = |_| 0, SEED;
        /// Share of a file's rows, of every label alike, that is held out for evaluation (0: a fifth, at most
        /// 2,000 rows); a law's held-out points are a draw of their own.
        held_out: f64 = |_| 0.0, from_below(0.0, 1.0);
        /// Numbers of the latent space to work in (0: the data as they are).
        latent: usize = |c| match (c.encoder.kind, c.data.name) {
            (EncoderKind::Autoencoder | EncoderKind::Vae, _) => 16,
            (EncoderKind::None, _) => 0,
            _ if on_images(c) => 0,
            (EncoderKind::Pca, DataName::Digits) => 24,
            (EncoderKind::Pca, DataName::Idx) => 32,
            (EncoderKind::Pca, DataName::Cifar) => 64,
            (EncoderKind::Pca, _) => 0,
        }, from_to(0.0, 4096.0);
        /// Weights of the law `mixture` (left out: equal).
        weights: Vec<f64> = |_| Vec::new(), from_to(0.0, 1e12);
        /// Means of the law `mixture`, one list a component.
        means: Vec<Vec<f64>> = |_| Vec::new(), from_to(-1e12, 1e12);
        /// Standard deviations of the law `mixture`: one for all components or one each.
        std: Vec<f64> = |_| Vec::new(), positive(1e12);
    }
    /// The way from the data to the latent space, `data.latent` numbers, and back.
    encoder: EncoderConfig {
        /// Principal components, or an autoencoder of images, which is trained first.
        kind: EncoderKind = |c| if c.data.latent > 0 { EncoderKind::Pca } else { EncoderKind::None }, ANY;
        /// Channels behind an autoencoder's first convolution.
        channels: usize = |_| 16, from_to(1.0, 1024.0);
        /// Weight of the Kullback-Leibler term of a "vae", beside squared errors in units of the images'
        /// variance.
        kl: f64 = |_| 1e-3, from_to(0.0, 1e6);
        /// Optimiser steps of an autoencoder.
        steps: usize = |_| 3000, from_to(1.0, 1e9);
        /// Images of such a step.
        batch: usize = |_| 128, from_to(1.0, 1e6);
        /// Its learning rate.
        lr: f64 = |_| 2e-3, positive(10.0);
        /// Steps, after those and the fit of the reference, in which a "vae" and the network of the score are trained
        /// together, on `train.batch` images each; `train.steps` of the network alone follow.
        joint: usize = |_| 0, from_to(0.0, 1e9);
    }
    /// The reference law pi, fitted to the data.
    reference: ReferenceConfig {
        /// Family of the law; a linear process takes a Gaussian.
        kind: ReferenceKind = |c| if c.sde.kind.is_linear() { ReferenceKind::Gaussian } else { ReferenceKind::Mixture }, ANY;
        /// The safetensors file of `reference.kind` = "file".
        path: Option<String> = |_| None, ANY;
        /// Components of the mixture.
        components: Components = |c| if c.reference.kind == ReferenceKind::Gaussian { Components::Count(1) } else { Components::Auto }, from_to(1.0, 10_000.0);
        /// Shape of the covariances.
        covariance: Covariance = |c| {
            if many_directions(c) && c.reference.kind == ReferenceKind::Mixture { Covariance::Auto } else { Covariance::Full }
        }, ANY;
        /// Directions of a covariance that is "low-rank", fewer than the data have.
        rank: usize = |_| 8, from_to(1.0, 4096.0);
        /// What chooses the number of components.
        criterion: Criterion = |_| Criterion::Bic, ANY;
        /// Symmetries of the data: `none`, a group such as `c4`, `d4`, `negation`, `signs`, `permutations`,
        /// `shifts`, for images `mirror`, `quarter-turns`, `inversion`, `translations`, several joined by `+`,
        /// `custom`, or `auto`: the one of `reference.candidates` that the data support.
        group: String = |_| "none".to_owned(), ANY;
        /// What the group ties: geometry alone, or weights too.
        symmetry: Symmetry = |_| Symmetry::Approximate, ANY;
        /// Groups that `auto` tries.
        candidates: Vec<String> = |_| Vec::new(), ANY;
        /// Fit a law to the points of each label by itself, of `reference.components` components each, and take
        /// all of them together.
        per_class: bool = |_| false, ANY;
        /// Generators of the group `custom`: orthogonal matrices, each a list of its d x d entries row by
        /// row.
        generators: Vec<Vec<f64>> = |_| Vec::new(), from_to(-1.0, 1.0);
        /// Share rho of the pooled covariance mixed into each component's.
        floor: f64 = |c| if c.reference.kind == ReferenceKind::File { 0.0 } else { 0.1 }, from_below(0.0, 1.0);
        /// Independent starts of the fit, of which the likeliest is kept.
        restarts: usize = |_| 4, from_to(1.0, 1000.0);
        /// Points of a minibatch of the fit: data of eight or more begin with two passes over minibatches (0:
        /// never).
        batch: usize = |_| 8192, from_to(0.0, 1e8);
    }
    /// The noising process.
    sde: SdeConfig {
        /// The process; `ou`, the Ornstein-Uhlenbeck process, is `vp`: at a constant `sde.beta` they are the
        /// same.
        kind: SdeKind = |_| SdeKind::Langevin, ANY;
        /// Noise rate, in 1/time.
        beta: f64 = |_| 1.0, positive(1e6);
        /// Share s of the identity in the mobility M = (1 - s) C_bar + s (tr C_bar/d) I, C_bar the pooled
        /// covariance of the reference: 0 whitens, with 1 covariances of low rank stay so.
        isotropy: f64 = |c| if c.reference.covariance == Covariance::LowRank { 1.0 } else { 0.0 }, from_to(0.0, 1.0);
        /// Final time T of the noising (0: chosen from the reference).
        horizon: f64 = |c| if c.sde.kind == SdeKind::Straight { 1.0 - STRAIGHT_END } else { 0.0 }, from_to(0.0, 1e6);
        /// Smallest time that is learned, where generation ends.
        t_min: f64 = |c| if c.sde.kind == SdeKind::Straight { STRAIGHT_END } else { 0.02 }, positive(1e6);
        /// Steps of the noising chain (0: chosen from the reference).
        steps: usize = |_| 0, from_to(0.0, 1e6);
        /// Where the chain's times lie.
        grid: Grid = |c| {
            let fixed = c.objective.time_sampling == TimeSampling::Grid
                || (c.has_chain() && c.objective.transition != Transition::Component);
            if fixed { Grid::Uniform } else { Grid::PerPath }
        }, ANY;
        /// Where samplers' times lie.
        spacing: Spacing = |c| if c.sde.kind == SdeKind::Straight { Spacing::Uniform } else { Spacing::Karras }, ANY;
    }
    /// What is minimised.
    objective: ObjectiveConfig {
        /// The objective; a linear process takes `dsm`, straight paths `flow-matching`.
        kind: ObjectiveKind = |c| match c.sde.kind {
            SdeKind::Langevin => ObjectiveKind::Ndsm,
            SdeKind::Vp | SdeKind::Ve | SdeKind::SubVp => ObjectiveKind::Dsm,
            SdeKind::Straight => ObjectiveKind::FlowMatching,
        }, ANY;
        /// Which noise a data point is paired with in flow matching.
        coupling: Coupling = |_| Coupling::Independent, ANY;
        /// The control variate.
        control: Control = |c| match (c.objective.kind.is_implicit(), c.objective.coupling) {
            (true, _) => Control::None,
            (false, Coupling::Independent) => Control::Auto,
            (false, Coupling::OptimalTransport) => Control::Antithetic,
        }, ANY;
        /// Weight of a time in the loss.
        weighting: Weighting = |c| {
            let published = c.objective.kind == ObjectiveKind::FlowMatching || c.network.parametrisation == Parametrisation::Preconditioned;
            if published { Weighting::Network } else { Weighting::Variance }
        }, ANY;
        /// The one-step law whose steps the chain takes, and whose score is the target.
        transition: Transition = |c| if c.sde.kind.is_linear() { Transition::Exact } else { Transition::Component }, ANY;
        /// Which times a step looks at.
        time_sampling: TimeSampling = |c| {
            let chain = c.has_chain() && c.sde.grid != Grid::PerPath;
            if chain || c.objective.kind == ObjectiveKind::FlowMatching { TimeSampling::Grid } else { TimeSampling::LogitNormal }
        }, ANY;
        /// Mean of ln(noise / signal) over the times, eq. (17).
        time_mean: f64 = |c| match (c.sde.kind, c.network.parametrisation) {
            (SdeKind::Langevin, _) => -0.6,
            // EDM's -1.2 is that of ln sigma where the data have standard deviation 1/2.
            (SdeKind::Ve, Parametrisation::Preconditioned) => -1.2 + std::f64::consts::LN_2,
            _ => -0.3,
        }, from_to(-100.0, 100.0);
        /// Standard deviation of ln(noise / signal) over the times, eq. (17).
        time_spread: f64 = |_| 1.2, positive(100.0);
    }
    /// The score network.
    network: NetworkConfig {
        /// The architecture ("auto": chosen from the number of points).
        kind: NetworkKind = |_| NetworkKind::AUTO, ANY;
        /// Units of a hidden layer, or channels of the first level of a "unet" (0: chosen from the number of
        /// points).
        width: usize = |_| 0, from_to(0.0, 16_384.0);
        /// Hidden layers, or blocks of two of a "residual" network, or blocks of each level of a "unet".
        depth: usize = |c| if on_images(c) { 1 } else { 3 }, from_to(1.0, 64.0);
        /// Channels of each level of a "unet" over `network.width`; from level to level images are halved
        /// (left out: two levels more than one, or as many as the images have halves).
        multipliers: Vec<usize> = |_| Vec::new(), from_to(1.0, 64.0);
        /// Whether the pixels of the lowest level of a "unet" attend to each other.
        attention: bool = |_| false, ANY;
        /// Side of the squares of pixels that a "unet" takes as one pixel: 1, 2 or 4.
        stem: usize = |_| 1, from_to(1.0, 4.0);
        /// Share of the hidden units that a training step drops at random (0: none).
        dropout: f64 = |c| if many_directions(c) { 0.1 } else { 0.0 }, from_below(0.0, 1.0);
        /// Of how many classes, 0, 1, ..., the labels of the data are (0: the network is told no labels).
        classes: usize = |_| 0, from_to(0.0, 4096.0);
        /// Share of the points whose label a training step keeps to itself: what guidance needs.
        label_dropout: f64 = |_| 0.1, from_below(0.0, 1.0);
        /// How the output becomes a score.
        parametrisation: Parametrisation = |c| match (c.sde.kind, c.objective.kind) {
            (SdeKind::Ve, _) => Parametrisation::Scaled,
            (_, ObjectiveKind::FlowMatching) => Parametrisation::Plain,
            _ => Parametrisation::Residual,
        }, ANY;
    }
    /// The training run.
    train: TrainConfig {
        /// Optimiser steps.
        steps: usize = |c| if matches!(c.data.name, DataName::Idx | DataName::Cifar) { 6000 } else { 2000 }, from_to(1.0, 1e9);
        /// Data points, and so paths, in a step.
        batch: usize = |c| if on_images(c) { 64 } else { 256 }, from_to(1.0, 1e6);
        /// Times looked at on each path.
        times_per_path: usize = |_| 1, from_to(1.0, 1024.0);
        /// Which data points a step takes.
        sampling: Sampling = |_| Sampling::Lattice, ANY;
        /// What is done to images before they are noised: for data that have the symmetry.
        augment: Augment = |_| Augment::None, ANY;
        /// Probability of each of these changes.
        augment_share: f64 = |c| if c.train.augment == Augment::Mirror { 0.5 } else { 0.1 }, from_to(0.0, 1.0);
        /// Steps that simulated paths are used for, each time with a fresh last step.
        reuse: usize = |c| if c.has_chain() { 4 } else { 1 }, from_to(1.0, 1000.0);
        /// Learning rate of Adam (0: chosen from the network's width).
        lr: f64 = |_| 0.0, from_to(0.0, 10.0);
        /// The learning rate over the run.
        schedule: Schedule = |_| Schedule::Cosine, ANY;
        /// Steps over which the learning rate rises to its value.
        warmup: usize = |c| (c.train.steps / 20).min(100), from_to(0.0, 1e9);
        /// Decay of the averaged weights, which are those that generate (0: no averaging).
        ema: f64 = |_| 0.99, from_below(0.0, 1.0);
        /// Weight decay of AdamW.
        weight_decay: f64 = |c| if many_directions(c) { 0.5 } else { 0.0 }, from_to(0.0, 100.0);
        /// Largest norm of the gradient; longer ones are shortened to it (0: no clipping).
        clip: f64 = |_| 1.0, from_to(0.0, 1e12);
        /// Which parameters generate: the best of the averaged ones on held-out points, or the last of them.
        keep: Keep = |_| Keep::Best, ANY;
        /// Steps between evaluations of the held-out gain (0: none, and the last parameters are kept).
        evaluate_every: usize = |c| (c.train.steps / 16).max(50), from_to(0.0, 1e9);
        /// Keep two averages over the whole run, too, a tenth and a quarter of it long: the best are chosen
        /// among all.
        averages: bool = |c| c.train.keep == Keep::Best && c.train.evaluate_every > 0, ANY;
        /// Steps without a better held-out gain after which training ends (0: it goes on to its last step).
        patience: usize = |_| 0, from_to(0.0, 1e9);
        /// Seed of the fit, the weights and the noise.
        seed: u64 = |_| 0, SEED;
        /// Number type.
        precision: Precision = |_| Precision::F32, ANY;
        /// Steps between checkpoints (0: only at the end).
        checkpoint_every: usize = |_| 500, from_to(0.0, 1e9);
        /// Log the variance of the loss in eight groups of times.
        diagnose: bool = |_| false, ANY;
    }
    /// What is corrected after training, on held-out points.
    calibration: CalibrationConfig {
        /// Correct the network by regression on itself, the point and the guide, eq. (20).
        score: bool = |c| c.train.evaluate_every > 0, ANY;
        /// Moments of the noised law that samplers keep at every step, eq. (21).
        moments: MomentMatching = |_| MomentMatching::Auto, ANY;
    }
}
