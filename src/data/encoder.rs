//! From the data to the points that are modelled, and back.

use super::{Dataset, Pca};
use crate::{Error, Result};
use ndarray::{Array2, ArrayView2};

/// The latent space that a run works in.
#[derive(Debug, Clone, PartialEq)]
pub enum Encoder {
    /// The data as they are.
    Identity,
    /// Principal components.
    Pca(Pca),
}

impl Encoder {
    /// The one of `data.latent` = `latent`, fitted to the training points; 0 for the data as they are.
    ///
    /// # Errors
    /// More components than numbers, or than points less one.
    pub fn fit(data: &Dataset, latent: usize) -> Result<Self> {
        let (n, d) = data.points.dim();
        match latent {
            0 => Ok(Encoder::Identity),
            r if r <= d && r < n => Pca::fit(data.points.view(), r).map(Encoder::Pca),
            r => {
                let most = d.min(n - 1);
                Err(Error::invalid("data.latent", format!("at most {most} for {n} points of {d} numbers"), r))
            }
        }
    }

    /// Points of the data in the latent space: [n, d] -> [n, r].
    ///
    /// # Errors
    /// If `x` does not have as many columns as the data.
    pub fn encode(&self, x: ArrayView2<f64>) -> Result<Array2<f64>> {
        match self {
            Encoder::Identity => Ok(x.to_owned()),
            Encoder::Pca(pca) => pca.encode(x),
        }
    }

    /// Points of the latent space as data: [n, r] -> [n, d].
    ///
    /// # Errors
    /// If `z` does not have r columns.
    pub fn decode(&self, z: Array2<f64>) -> Result<Array2<f64>> {
        match self {
            Encoder::Identity => Ok(z),
            Encoder::Pca(pca) => pca.decode(z.view()),
        }
    }

    /// Columns of the data whose points in the latent space have `r`.
    pub fn data_dim(&self, r: usize) -> usize {
        match self {
            Encoder::Identity => r,
            Encoder::Pca(pca) => pca.mean.len(),
        }
    }
}
