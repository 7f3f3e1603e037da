//! Laws on a grid, where no formula is known: the Fokker-Planck equation in one and two dimensions, and the
//! Chapman-Kolmogorov equation of a chain. They are what the approximate laws, the integrators and trained
//! networks are held against.

mod chapman_kolmogorov;
mod fokker_planck;
mod line;
mod plane;

pub use chapman_kolmogorov::ChapmanKolmogorov;
pub use fokker_planck::{Drift, FokkerPlanck};
pub use line::Line;
pub use plane::Plane;
