//! What comes before training: the data, their latent space, the reference, and the choices that follow from it.

use super::tensors::{Reader, bytes};
use crate::config::{Config, DataName, ReferenceKind};
use crate::data::{self, Dataset, Pca, Request};
use crate::mixture::{Covariances, Mixture};
use crate::train::{Reference, Settled};
use crate::{Error, Result};
use ndarray::{Array1, Array2, ArrayView2};
use std::path::Path;

/// Everything that a run knows before its first step.
pub struct Prepared {
    /// The configuration with horizon and steps chosen.
    pub config: Settled,
    /// The data.
    pub data: Dataset,
    /// The latent space, where there is one.
    pub pca: Option<Pca>,
    /// The training points where the reference lives, [n, d].
    pub x: Array2<f64>,
    /// The reference.
    pub reference: Reference,
}

/// Reads the data, fits or reads the reference, and settles what the configuration leaves open. Writes nothing.
///
/// # Errors
/// Data or a file that are not what they should be; a reference that does not fit the data; steps that would be unstable.
pub fn prepare(config: &Config) -> Result<Prepared> {
    let data = read(config)?;
    let (pca, x, reference) = match (&config.reference.kind, &config.reference.path) {
        (ReferenceKind::File, Some(path)) => from_file(Path::new(path), config, &data)?,
        _ => {
            let pca = latent_space(config, &data)?;
            let x = encode(pca.as_ref(), data.points.view())?;
            // A latent space has no pixels.
            let image = data.images.filter(|_| pca.is_none()).map(|i| (i.height, i.width));
            let reference = Reference::fit_images(x.view(), image, config)?;
            (pca, x, reference)
        }
    };
    let config = Settled::new(config, &reference)?;
    Ok(Prepared { config, data, pca, x, reference })
}

/// The reference of a file: in whitened coordinates where it has them, as `ndsm fit` and `ndsm train` write it; otherwise a mixture
/// in the units of the data. A latent space comes with it where it has one.
fn from_file(path: &Path, config: &Config, data: &Dataset) -> Result<(Option<Pca>, Array2<f64>, Reference)> {
    let bytes = bytes(path)?;
    let file = Reader::new(&bytes, path, "reference")?;
    let latent = config.data.latent;
    let pca = match file.pca()? {
        Some(pca) if pca.components.nrows() == latent && pca.mean.len() == data.dim() => Some(pca),
        Some(pca) => {
            let (r, d) = pca.components.dim();
            let got = format!("{latent} components of {} numbers", data.dim());
            return Err(Error::invalid("data.latent", format!("{r} components of {d} numbers, as in {}", path.display()), got));
        }
        None => latent_space(config, data)?,
    };
    let x = encode(pca.as_ref(), data.points.view())?;
    let rho = config.reference.floor;
    let reference = if file.has("whitening.mean") {
        file.check_format()?;
        let whole = file.reference()?;
        if rho > 0.0 { Reference::from_mixture(&whole.in_data_units()?, rho)? } else { whole }
    } else {
        Reference::from_mixture(&file.mixture()?, rho)?
    };
    if reference.whitening.dim() != x.ncols() {
        return Err(file.bad(format!("holds a law in {} dimensions, and the data have {}", reference.whitening.dim(), x.ncols())));
    }
    Ok((pca, x, reference))
}

/// The data that the configuration names.
pub fn read(config: &Config) -> Result<Dataset> {
    let d = &config.data;
    let mixture = if d.name == DataName::Mixture { Some(mixture(config)?) } else { None };
    data::load(&Request { name: d.name.name().to_owned(), path: d.path.as_ref().map(Into::into), n: Some(d.n), seed: d.seed, mixture })
}

/// The law `mixture`: spherical components from `data.weights`, `data.means`, `data.std`.
fn mixture(config: &Config) -> Result<Mixture> {
    let d = &config.data;
    let (k, dim) = (d.means.len(), d.means.first().map_or(0, Vec::len));
    let total: f64 = d.weights.iter().sum();
    let weights = if d.weights.is_empty() { Array1::from_elem(k, 1.0 / k as f64) } else { d.weights.iter().map(|w| w / total).collect() };
    let means = Array2::from_shape_vec((k, dim), d.means.concat()).map_err(|e| Error::refused("data.means", e.to_string()))?;
    let variances = Array1::from_shape_fn(k, |i| d.std[if d.std.len() == 1 { 0 } else { i }].powi(2));
    Mixture::new(weights, means, Covariances::Spherical(variances)).map_err(|e| e.within("data"))
}

fn latent_space(config: &Config, data: &Dataset) -> Result<Option<Pca>> {
    match config.data.latent {
        0 => Ok(None),
        r if r <= data.dim() && r < data.points.nrows() => Pca::fit(data.points.view(), r).map(Some),
        r => {
            let most = data.dim().min(data.points.nrows() - 1);
            Err(Error::invalid("data.latent", format!("at most {most} for {} points of {} numbers", data.points.nrows(), data.dim()), r))
        }
    }
}

/// Points of the data where the reference lives.
pub fn encode(pca: Option<&Pca>, x: ArrayView2<f64>) -> Result<Array2<f64>> {
    pca.map_or(Ok(x.to_owned()), |pca| pca.encode(x))
}
