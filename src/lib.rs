//! Score-based generative modelling with *nonlinear* noising dynamics, every step auditable.
//!
//! A Gaussian mixture is fitted to the data, Langevin dynamics lead toward it, and a network learns the score
//! of that noising process; time run backwards then makes new data. The reference knows the modes and their
//! weights, so the horizon is short and few steps do. The derivations, with the equation numbers that the
//! code refers to, are in [`method`]; [`guide`] says when it helps, what the files of a run are, what an audit
//! certifies, what it costs, and answers questions.
//!
//! The modules, each using only those above it:
//!
//! | module | what lives there |
//! |---|---|
//! | [`error`], [`real`], [`simd`] | the error type; f32, f64, dual numbers; loops for three vector levels |
//! | [`rng`] | counter-based random numbers, named by (seed, purpose, step, chunk) |
//! | [`linalg`] | factorizations, exponentials, least squares |
//! | [`control`] | expectations with less variance: controls, antithetic pairs, strata, quasi-random points |
//! | [`kernels`] | loops over slices: products, convolutions, sums, normalisation, activations |
//! | [`tape`] | reverse-mode automatic differentiation: recorded once, replayed every step |
//! | [`nn`], [`optim`] | layers, score networks behind one trait; Adam, averages, schedules |
//! | [`mixture`] | Gaussian mixtures: density, score, Hessian, samples, expectation-maximisation |
//! | [`data`], [`metrics`] | laws with exact densities, digits, files, latent spaces; discrepancies with floors |
//! | [`config`] | what a run is: every key with its default and range |
//! | [`sde`] | processes, time grids, Brownian paths, integrators |
//! | [`transition`] | one-step laws and the targets that their scores give; laws of training times |
//! | [`objective`] | denoising score matching, control variates, the component flow |
//! | [`sample`] | probability flow, reverse equation, predictor-corrector, likelihood |
//! | [`train`] | preparing data, reference, training, generation, checkpoints (feature `files`) |
//! | [`audit`], [`experiment`] | tables that check every formula; methods compared on many cases |
//! | `cli` | the command line, pictures, report (feature `cli`) |
//!
//! From points to new points, in memory:
//!
//! ```
//! use ndsm::config::{Config, Setting};
//! use ndsm::data::{Request, load};
//! use ndsm::sample::Method;
//! use ndsm::train::{Reference, Settled, Trainer};
//!
//! let data = load(&Request { name: "moons".into(), n: Some(400), ..Request::default() })?;
//! let config = Config::resolve(&[
//!     Setting::new("data.name", "moons"), Setting::new("reference.components", 6usize),
//!     Setting::new("network.width", 32usize), Setting::new("train.steps", 20usize),
//! ])?;
//! let reference = Reference::fit(data.points.view(), &config)?;
//! let settled = Settled::new(&config, &reference, data.points.nrows())?;
//! let mut trainer = Trainer::<f32>::new(&settled, &reference, data.points.view())?;
//! for _ in 0..config.train.steps {
//!     trainer.step()?;
//! }
//! let new = trainer.generator(&reference)?.sample(100, 0, Method::Ode, None)?;
//! assert_eq!(new.dim(), (100, 2));
//! # Ok::<(), ndsm::Error>(())
//! ```
#![warn(missing_docs)]
// Loops over lanes are written by index: in that form they become one vector operation.
#![allow(clippy::needless_range_loop)]

pub mod audit;
#[cfg(feature = "cli")]
pub mod cli;
pub mod config;
pub mod control;
pub mod data;
pub mod error;
pub mod experiment;
pub mod guide;
mod hash;
pub mod kernels;
pub mod linalg;
#[doc = include_str!("method.md")]
pub mod method {}
pub mod metrics;
pub mod mixture;
pub mod nn;
pub mod objective;
pub mod optim;
mod par;
pub mod real;
pub mod rng;
pub mod sample;
pub mod sde;
pub mod simd;
pub mod tape;
pub mod train;
pub mod transition;

pub use error::{Error, Result};
pub use real::Real;

/// The examples of the README are tested too.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;
