//! The names of all data: what `data.name` may say.

use super::law::{Named, laws};
use crate::{Error, Result};

/// The data.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum DataName {
    /// `digits`: the 8 x 8 handwritten digits that the program carries.
    #[default]
    Digits,
    /// `idx`: images in the MNIST layout, plain or gzip.
    Idx,
    /// `cifar`: colour images in the layout of CIFAR-10 or CIFAR-100, plain or gzip.
    Cifar,
    /// `npy`: a NumPy array, one row a point.
    Npy,
    /// `safetensors`: a tensor of such a file, one row a point.
    Safetensors,
    /// `csv`: a table of numbers, one line a point.
    Csv,
    /// A law without parameters, one of [`laws`].
    Law(&'static Named),
    /// `mixture`: a Gaussian mixture given by `data.weights`, `data.means`, `data.std`.
    Mixture,
}

impl DataName {
    /// Every name, in the order of the help text.
    pub fn all() -> impl Iterator<Item = Self> {
        let carried = [DataName::Digits, DataName::Idx, DataName::Cifar, DataName::Npy, DataName::Safetensors, DataName::Csv];
        carried.into_iter().chain(laws().map(DataName::Law)).chain([DataName::Mixture])
    }

    /// The name in configuration files.
    pub fn name(self) -> &'static str {
        match self {
            DataName::Digits => "digits",
            DataName::Idx => "idx",
            DataName::Cifar => "cifar",
            DataName::Npy => "npy",
            DataName::Safetensors => "safetensors",
            DataName::Csv => "csv",
            DataName::Law(law) => law.name,
            DataName::Mixture => "mixture",
        }
    }

    /// The data called `name`.
    ///
    /// # Errors
    /// [`Error::Invalid`] at `place`, with the names that there are.
    pub fn parse(place: &str, name: &str) -> Result<Self> {
        let names = || Self::all().map(|n| format!("\"{}\"", n.name())).collect::<Vec<_>>().join(", ");
        Self::all().find(|n| n.name() == name).ok_or_else(|| Error::invalid(place, format!("one of {}", names()), format!("{name:?}")))
    }

    /// Whether the data are read from `data.path`.
    pub fn is_file(self) -> bool {
        matches!(self, DataName::Idx | DataName::Cifar | DataName::Npy | DataName::Safetensors | DataName::Csv)
    }

    /// The names that read a file, for a sentence.
    pub fn files() -> String {
        Self::all().filter(|name| name.is_file()).map(Self::name).collect::<Vec<_>>().join(", ")
    }

    /// Whether the data are drawn from a law, so that there are as many as one asks for.
    pub fn is_law(self) -> bool {
        matches!(self, DataName::Law(_) | DataName::Mixture)
    }
}
