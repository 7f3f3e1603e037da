//! The sections of the registry, as the audit walks them.

use super::problem::{LogVerhulst, Tanh};
use crate::sde::kinds::Scalar;
use crate::sde::method::{self, Visitor};
use crate::sde::{CalculusKind, Claims, Integrator, Ito, NoiseKind, Sde, Stratonovich, Tableau};

/// A section of the registry, by the equations that its methods are for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Section {
    /// Additive noise.
    Additive,
    /// State-dependent noise, Ito.
    Ito,
    /// State-dependent noise, Stratonovich.
    Stratonovich,
}

impl Section {
    /// All.
    pub const ALL: [Self; 3] = [Self::Additive, Self::Ito, Self::Stratonovich];

    /// The calculus of its equations.
    pub fn calculus(self) -> CalculusKind {
        match self {
            Self::Additive => CalculusKind::Either,
            Self::Ito => CalculusKind::Ito,
            Self::Stratonovich => CalculusKind::Stratonovich,
        }
    }

    /// The kind of noise with one Brownian motion.
    pub fn noise(self) -> NoiseKind {
        if self == Self::Additive { NoiseKind::Additive } else { NoiseKind::Scalar }
    }
}

/// The tableaus of a section.
pub fn tableaus(section: Section) -> Vec<(Claims, Tableau)> {
    struct All(Vec<(Claims, Tableau)>);
    impl<S: Sde<f64>> Visitor<f64, S> for All {
        fn visit<I: Integrator<f64, S>>(&mut self, method: &I) {
            self.0.extend(method.tableau().map(|tableau| (I::CLAIMS, tableau)));
        }
    }
    let mut all = All(vec![]);
    match section {
        Section::Additive => method::additive::<f64, LogVerhulst, _>(&mut all),
        Section::Ito => method::diagonal::<f64, Tanh<Ito, Scalar>, _>(&mut all),
        Section::Stratonovich => method::commutative::<f64, Tanh<Stratonovich, Scalar>, _>(&mut all),
    }
    all.0
}
