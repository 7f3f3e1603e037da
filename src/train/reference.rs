//! The reference law and the whitened coordinates, fitted to the data.

use crate::config::{Components, Config, Covariance, ReferenceKind};
use crate::mixture::{Count, CovarianceKind, FitOptions, Mixture, Trial, fit, refit_weights};
use crate::sde::Whitening;
use crate::{Error, Result};
use ndarray::{Array1, ArrayView2};

/// Largest number of components that `reference.components = "auto"` tries.
const MOST_COMPONENTS: usize = 30;

/// The reference law pi and the coordinates u = A^-1 (x - mean) in which everything is simulated and learned.
#[derive(Debug, Clone)]
pub struct Reference {
    /// x <-> u, with A A^T the pooled within-component covariance.
    pub whitening: Whitening,
    /// pi in the coordinates u, floored, its weights refitted.
    pub mixture: Mixture,
    /// Standard deviation of pi along each coordinate of u.
    pub std: Array1<f64>,
    /// Numbers of components tried.
    pub tried: Vec<Trial>,
    /// What a reader of the fit should know, a sentence each.
    pub notes: Vec<String>,
}

impl Reference {
    /// Fits the law that `config.reference` asks for to the rows of `x` [n, d]: expectation-maximisation in x, whitening by the
    /// pooled within-component covariance, the floor C_k <- (1 - rho) C_k + rho C_bar, and expectation-maximisation on the weights
    /// alone, because the floor breaks EM's fixed point (method.md, eq. 15 and 18).
    ///
    /// # Errors
    /// As [`fit`]: data without variance, more components than points.
    pub fn fit(x: ArrayView2<f64>, config: &Config) -> Result<Self> {
        let r = &config.reference;
        let kind = match r.covariance {
            Covariance::Full => CovarianceKind::Full,
            Covariance::Diagonal => CovarianceKind::Diagonal,
            Covariance::Spherical => CovarianceKind::Spherical,
            Covariance::Tied => CovarianceKind::Tied,
        };
        let components = match (r.kind, r.components) {
            (ReferenceKind::Gaussian, _) => Count::Fixed(1),
            (_, Components::Count(k)) => Count::Fixed(k),
            (_, Components::Auto) => Count::Auto { max: MOST_COMPONENTS.min(x.nrows()) },
        };
        if let Count::Fixed(k) = components
            && k > x.nrows()
        {
            return Err(Error::invalid("reference.components", format!("at most the {} training points", x.nrows()), k));
        }
        let options = FitOptions { kind, components, restarts: r.restarts, seed: config.train.seed, ..FitOptions::default() };
        let fitted = fit(x, &options).map_err(|e| e.within("reference"))?;
        let mut reference = Self::from_mixture(&fitted.mixture, r.floor)?;
        let u = reference.whitening.whiten(x)?;
        reference.mixture = refit_weights(u.view(), &reference.mixture)?;
        reference.std = reference.mixture.total_covariance().diag().mapv(f64::sqrt);
        reference.tried = fitted.tried;
        reference.notes = fitted.notes;
        Ok(reference)
    }

    /// The reference `mixture`, given in x, with the floor `rho`; its weights as they are.
    ///
    /// # Errors
    /// A pooled covariance that is not positive definite; rho outside [0, 1].
    pub fn from_mixture(mixture: &Mixture, rho: f64) -> Result<Self> {
        let whitening = Whitening::new(mixture.total_mean().view(), mixture.pooled_covariance().view())?;
        let floored = mixture.affine(whitening.inverse(), whitening.shift().view())?.floored(rho)?;
        let std = floored.total_covariance().diag().mapv(f64::sqrt);
        Ok(Reference { whitening, mixture: floored, std, tried: Vec::new(), notes: Vec::new() })
    }

    /// The reference in the units of the data.
    ///
    /// # Errors
    /// None that a fitted reference can meet.
    pub fn in_data_units(&self) -> Result<Mixture> {
        self.mixture.affine(self.whitening.factor(), self.whitening.mean())
    }
}
