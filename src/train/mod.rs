//! Training: from data and a [`Config`](crate::config::Config) to a model that generates.
//!
//! [`prepare`] reads the data and finds their latent space; [`Reference`] fits the reference law and finds
//! the whitened coordinates; [`Settled`] is the configuration with what it left open chosen; [`System`]
//! builds process, objective and score model from it; [`Trainer`] takes optimiser steps; [`Generator`] makes
//! samples, [`Likelihood`] weighs points. All state is plain arrays, and every random number is named by
//! (seed, purpose, step, chunk), so a run that was stopped after any step goes on with the bits it would have
//! had.
//!
//! ```
//! use ndsm::config::{Config, Setting};
//! use ndsm::data::{Request, load};
//! use ndsm::sample::Method;
//! use ndsm::train::{Reference, Settled, Trainer};
//!
//! let config = Config::resolve(&[
//!     Setting::new("data.name", "four-modes"), Setting::new("data.n", 500usize),
//!     Setting::new("reference.components", 4usize), Setting::new("network.width", 32usize),
//!     Setting::new("train.steps", 20usize),
//! ])?;
//! let data = load(&Request { name: "four-modes".into(), n: Some(500), ..Request::default() })?;
//! let reference = Reference::fit(data.points.view(), &config)?;
//! let settled = Settled::new(&config, &reference, 500)?;
//! let mut trainer = Trainer::<f32>::new(&settled, &reference, data.points.view())?;
//! for _ in 0..20 {
//!     trainer.step()?;
//! }
//! let samples = trainer.generator(&reference)?.sample(1000, 0, Method::Ode, None)?;
//! assert_eq!(samples.dim(), (1000, 2));
//! # Ok::<(), ndsm::Error>(())
//! ```

mod augment;
mod averages;
mod bank;
mod batches;
mod calibration;
#[cfg(feature = "files")]
mod checkpoint;
mod choice;
mod class_fit;
mod classes;
mod diagnosis;
mod divergence;
mod field;
mod generator;
mod held_out;
mod horizon;
#[cfg(feature = "files")]
mod identity;
mod joint;
#[cfg(feature = "files")]
mod kept;
mod likelihood;
mod moments;
mod network;
mod order;
mod prepare;
mod reference;
mod rival;
#[cfg(feature = "files")]
mod sealed;
mod state;
#[cfg(feature = "files")]
mod state_tensors;
mod system;
#[cfg(feature = "files")]
mod tensors;
#[cfg(test)]
mod tests;
mod trainer;
mod watch;

pub use calibration::Calibration;
#[cfg(feature = "files")]
pub use checkpoint::Checkpoint;
pub use choice::{CANDIDATES, Prices};
pub use classes::Classes;
pub use diagnosis::Group;
pub use generator::Generator;
pub use held_out::{ClassGain, Gain, Mean};
pub use horizon::Settled;
#[cfg(feature = "cli")]
pub(crate) use identity::same_model;
pub(crate) use joint::together;
#[cfg(feature = "cli")]
pub(crate) use kept::{CHECKPOINT, CONFIG, check_run, last_whole};
pub use likelihood::{Likelihood, bits_per_dimension, dequantised};
pub use moments::DataMoments;
pub use network::network;
#[cfg(feature = "cli")]
pub(crate) use prepare::prepare_reference;
pub use prepare::{Prepared, Stage, prepare, prepare_watched, read_data};
pub use reference::Reference;
pub use rival::{Bridge, ClosedForm, FittedRival, Rival, smoothed_points};
#[cfg(feature = "cli")]
pub(crate) use sealed::check as check_seal;
pub use state::State;
pub use system::System;
pub use trainer::{StepReport, Trainer};
pub use watch::{Best, Gains};
