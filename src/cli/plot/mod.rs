//! Pictures: plain arrays in, an image out. Everything is drawn at twice the size at which a page shows it.

mod axes;
mod canvas;
mod convergence;
mod curve;
mod field;
mod font;
mod gains;
mod images;
mod legend;
mod paths;
mod responsibilities;
mod scatter;
mod sweep;

pub use canvas::Canvas;
pub use convergence::{Errors, convergence};
pub use curve::loss_curve;
pub use field::score_field;
pub use gains::{Gains, gains};
pub use images::image_grid;
pub use paths::trajectories;
pub use responsibilities::responsibilities;
pub use scatter::{samples_beside_data, window};
pub use sweep::{Curve, sweep};

#[cfg(test)]
mod tests;
