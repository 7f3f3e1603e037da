//! Optimisers over flat vectors of parameters.

mod adam;
mod descent;
mod schedule;

pub use adam::{Adam, Report, State};
pub use descent::{After, Descending, Descent, Fill, Minibatch};
pub use schedule::{Decay, Schedule};
