//! Score-based generative modelling with *nonlinear* noising dynamics, every step auditable.
#![warn(missing_docs)]

#[cfg(feature = "cli")]
pub mod cli;
pub mod config;
pub mod data;
pub mod error;
pub mod linalg;
pub mod metrics;
pub mod mixture;
pub mod nn;
pub mod objective;
pub mod optim;
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
