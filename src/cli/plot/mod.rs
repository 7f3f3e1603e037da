//! Pictures: plain arrays in, a [`Figure`] out, which is written as PNG, SVG or PDF.

mod axes;
mod convergence;
mod curve;
mod field;
mod figure;
mod font;
mod gains;
mod images;
mod legend;
mod paths;
mod pdf;
mod raster;
mod responsibilities;
mod scatter;
mod svg;
mod sweep;

pub use convergence::{Errors, convergence};
pub use curve::{Losses, loss_curves};
pub use field::score_field;
pub use figure::{Figure, Panel};
pub use gains::{Gains, gains};
pub use images::image_grid;
pub use paths::trajectories;
pub use responsibilities::responsibilities;
pub use scatter::{samples_beside_data, side_by_side, window};
pub use svg::panels;
pub use sweep::{Curve, sweep};

#[cfg(test)]
mod tests;
