//! Networks: plain descriptions that record themselves on a tape.

mod infer;
mod score_net;

pub use infer::Inference;
pub use score_net::{Recorded, ScoreNet};
