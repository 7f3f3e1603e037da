//! Toy laws with exact densities: what a trained model can be measured against without a second sample.
//!
//! A law on the plane is a [`Plane`]: a name, a window, one draw and one formula. To add one, write its file,
//! with the names by which it is asked for in `NAMED`, and put the file's name into the registry below: from
//! then on it can be trained on, and the tests walk it (the density integrates to one, samples follow it, the
//! score is its gradient).

/// The registry: the files of the laws.
macro_rules! laws {
    ($($file:ident),+) => {
        $(mod $file;)+
        $(pub use $file::*;)+
        const FILES: &[&[Named]] = &[$($file::NAMED),+];
    };
}

laws![modes, ring, curve, pinwheel, checkerboard];

use crate::mixture::Mixture;
use crate::par;
use crate::rng::{Purpose, Stream};
use crate::{Error, Result};
use ndarray::{Array1, Array2, ArrayView2, ArrayViewMut2};
use std::fmt::Debug;
use std::sync::Arc;

/// Points that share one random stream; a draw is the same for every number of threads.
const CHUNK: usize = 1024;
/// The set that [`Law::sample`] draws for training.
pub const TRAINING: u64 = 0;
/// The set that [`Law::sample`] draws for comparison; independent of the training set.
pub const HELD_OUT: u64 = 1;

/// A law that needs no parameters, and the `data.name` that asks for it.
#[derive(Debug, Clone, Copy)]
pub struct Named {
    /// The name.
    pub name: &'static str,
    /// Makes the law.
    pub make: fn() -> Result<Arc<dyn Law>>,
}

impl PartialEq for Named {
    fn eq(&self, other: &Self) -> bool {
        self.name == other.name
    }
}
impl Eq for Named {}

/// The laws that need no parameters.
pub fn laws() -> impl Iterator<Item = &'static Named> {
    FILES.iter().copied().flatten()
}

/// A law on R^d whose density is known.
pub trait Law: Debug + Send + Sync {
    /// The `data.name` that asks for it.
    fn name(&self) -> &'static str;

    /// The dimension d.
    fn dim(&self) -> usize;

    /// `[low, high]`: the cube `[low, high]^d` holds all but 1e-6 of the mass. For pictures and grids.
    fn window(&self) -> [f64; 2];

    /// Fills `x`: [n, d] with independent points, drawn from `stream`.
    fn fill(&self, stream: &mut Stream, x: ArrayViewMut2<f64>);

    /// ln p at each row of `x`: [n, d]; -infinity where p = 0.
    ///
    /// # Errors
    /// [`Error::Shape`] if `x` has another number of columns than d.
    fn log_density(&self, x: ArrayView2<f64>) -> Result<Array1<f64>>;

    /// grad ln p at each row of `x`: [n, d] -> [n, d].
    ///
    /// # Errors
    /// [`Error::Shape`] if `x` has another number of columns than d.
    fn score(&self, x: ArrayView2<f64>) -> Result<Array2<f64>>;

    /// The law as a Gaussian mixture, if it is one.
    fn mixture(&self) -> Option<&Mixture> {
        None
    }

    /// `n` independent points, [n, d]. Each (`seed`, `set`) names a draw of its own: [`TRAINING`],
    /// [`HELD_OUT`], or any further number below 2^56; a longer draw starts with the shorter one's whole
    /// chunks of 1,024 points.
    fn sample(&self, n: usize, seed: u64, set: u64) -> Array2<f64> {
        let mut x = Array2::zeros((n, self.dim()));
        let d = self.dim();
        par::each(par::chunks_mut(x.as_slice_mut().unwrap_or_default(), CHUNK * d), |chunk, rows| {
            if let Ok(rows) = ArrayViewMut2::from_shape((rows.len() / d, d), rows) {
                self.fill(&mut Stream::new(seed, Purpose::Data, set, chunk as u32), rows);
            }
        });
        x
    }
}

/// A law on the plane, given point by point; [`Law`] follows from it.
pub trait Plane: Debug + Send + Sync {
    /// See [`Law::name`].
    fn name(&self) -> &'static str;
    /// See [`Law::window`].
    fn window(&self) -> [f64; 2];
    /// One point.
    fn draw(&self, stream: &mut Stream) -> [f64; 2];
    /// ln p and its gradient at `x`.
    fn log_density_and_score(&self, x: [f64; 2]) -> (f64, [f64; 2]);
}

impl<P: Plane> Law for P {
    fn name(&self) -> &'static str {
        Plane::name(self)
    }

    fn dim(&self) -> usize {
        2
    }

    fn window(&self) -> [f64; 2] {
        Plane::window(self)
    }

    fn fill(&self, stream: &mut Stream, mut x: ArrayViewMut2<f64>) {
        for mut row in x.rows_mut() {
            let point = self.draw(stream);
            row.iter_mut().zip(point).for_each(|(to, from)| *to = from);
        }
    }

    fn log_density(&self, x: ArrayView2<f64>) -> Result<Array1<f64>> {
        check_plane(Law::name(self), x)?;
        Ok(Array1::from(par::map(x.nrows(), |i| self.log_density_and_score([x[[i, 0]], x[[i, 1]]]).0)))
    }

    fn score(&self, x: ArrayView2<f64>) -> Result<Array2<f64>> {
        check_plane(Law::name(self), x)?;
        Ok(Array2::from(par::map(x.nrows(), |i| self.log_density_and_score([x[[i, 0]], x[[i, 1]]]).1)))
    }
}

fn check_plane(name: &str, x: ArrayView2<f64>) -> Result<()> {
    if x.ncols() == 2 { Ok(()) } else { Err(Error::shape(name, "points of length 2", &[x.shape()])) }
}

/// ln N(x; 0, s^2) of one coordinate.
fn log_normal(x: f64, s: f64) -> f64 {
    -0.5 * ((x / s).powi(2) + (std::f64::consts::TAU * s * s).ln())
}

#[cfg(test)]
mod tests;
