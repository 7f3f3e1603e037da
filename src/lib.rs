//! Score-based generative modelling with *nonlinear* noising dynamics, every step auditable.
#![warn(missing_docs)]

pub mod error;
pub mod nn;
pub mod optim;
pub mod real;
pub mod rng;
pub mod simd;
pub mod tape;

pub use error::{Error, Result};
pub use real::Real;
