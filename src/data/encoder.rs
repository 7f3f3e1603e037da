//! From the data to the points that are modelled, and back.

use super::{Dataset, NetworkEncoder, Pca};
use crate::{Error, Result};
use ndarray::{Array2, ArrayView2};

/// The latent space that a run works in.
#[derive(Debug, Clone, PartialEq)]
pub enum Encoder {
    /// The data as they are.
    Identity,
    /// Principal components.
    Pca(Pca),
    /// What a network has learned.
    Network(Box<NetworkEncoder>),
}

impl Encoder {
    /// `latent` principal components of the training points; 0 for the data as they are.
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
            Encoder::Network(network) => network.encode(x),
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
            Encoder::Network(network) => network.decode(z.view()),
        }
    }

    /// Numbers of a point in the latent space of data of `d` numbers.
    pub fn latent(&self, d: usize) -> usize {
        match self {
            Encoder::Identity => d,
            Encoder::Pca(pca) => pca.variance.len(),
            Encoder::Network(network) => network.net().latent(),
        }
    }

    /// Columns of the data whose points in the latent space have `r`.
    pub fn data_dim(&self, r: usize) -> usize {
        match self {
            Encoder::Identity => r,
            Encoder::Pca(pca) => pca.mean.len(),
            Encoder::Network(network) => network.net().image().iter().product(),
        }
    }

    /// What it is and what it keeps, for summaries; nothing for the data as they are.
    pub fn summary(&self) -> Option<String> {
        match self {
            Encoder::Identity => None,
            Encoder::Pca(pca) => {
                Some(format!("{} principal components, {:.1} % of the variance", pca.variance.len(), 100.0 * pca.explained()))
            }
            Encoder::Network(network) => {
                let (net, lost) = (network.net(), network.lost);
                let kind = if net.is_variational() { "variational autoencoder" } else { "autoencoder" };
                Some(format!("{kind}, {} numbers, {:.1} % of the held-out images' variance", net.latent(), 100.0 * (1.0 - lost)))
            }
        }
    }
}
