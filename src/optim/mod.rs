//! Optimisers over flat vectors of parameters.

mod adam;
mod schedule;

pub use adam::{Adam, Report, State};
pub use schedule::{Decay, Schedule};
