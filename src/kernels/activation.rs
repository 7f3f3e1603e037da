//! The activations that a layer and a normalisation compute in the same pass.

/// What follows an affine map.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Activation {
    /// Nothing.
    Identity,
    /// x/(1 + e^-x).
    Silu,
    /// tanh x.
    Tanh,
}

impl Activation {
    /// All of them.
    pub(crate) const ALL: [Activation; 3] = [Activation::Identity, Activation::Silu, Activation::Tanh];

    /// What the name of an operation is followed by.
    pub(crate) fn suffix(self) -> &'static str {
        match self {
            Activation::Identity => "",
            Activation::Silu => " silu",
            Activation::Tanh => " tanh",
        }
    }
}
