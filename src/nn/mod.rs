//! Networks: plain descriptions that record themselves on a tape.

mod attention;
mod infer;
mod score_net;

pub use attention::attention;
pub use infer::Inference;
pub use score_net::{Recorded, ScoreNet};
