//! Networks: plain descriptions that record themselves on a tape.
//!
//! A score network is an [`Architecture`]: [`Layers`] and a formula written in [`Operations`]. [`ScoreNet`]
//! records it for training and [`Inference`] evaluates it without a tape, by the same formula and with the
//! same bits; [`ARCHITECTURES`] is the list that `network.kind` chooses from.

mod architecture;
mod attention;
mod autoencoder;
mod classifier;
mod infer;
mod layers;
mod mlp;
pub mod onnx;
mod operations;
mod plan;
pub(crate) mod replay;
mod residual;
mod score_net;
mod unet;

pub use architecture::{Architecture, Kind, Pixels, Sizes};
pub use attention::attention;
pub use autoencoder::Autoencoder;
pub use classifier::Classifier;
pub use infer::Inference;
pub use layers::{Declared, Layers, Start};
pub use mlp::Mlp;
pub use operations::{Operations, Value};
pub use residual::ResidualMlp;
pub use score_net::ScoreNet;
pub use unet::UNet;

/// Every architecture that `network.kind` names, the default first. One named here is tested: shapes, first
/// values, gradients, and that inference has the bits of the tape.
pub static ARCHITECTURES: &[Kind] = &[Mlp::KIND, ResidualMlp::KIND, UNet::KIND];
