//! Score-based generative modelling with *nonlinear* noising dynamics, every step auditable.

pub mod data;
pub mod error;
pub mod linalg;
pub mod metrics;
pub mod mixture;
pub mod real;
pub mod rng;
pub mod simd;

pub use error::{Error, Result};
pub use real::Real;
