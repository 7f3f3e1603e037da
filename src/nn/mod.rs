//! Networks: plain descriptions that record themselves on a tape.

mod attention;
mod autoencoder;
mod infer;
mod layers;
mod residual;
mod score_net;
mod unet;

pub use attention::attention;
pub use autoencoder::Autoencoder;
pub use infer::Inference;
pub use layers::Declared;
pub use residual::ResidualMlp;
pub use score_net::{Recorded, ScoreNet};
pub use unet::UNet;
