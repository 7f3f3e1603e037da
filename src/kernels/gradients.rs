//! What a vector-Jacobian product reads, and where the gradients go.

use crate::Real;

/// What a vector-Jacobian product reads of the forward pass, besides what was kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Reads {
    /// Shapes alone.
    Nothing,
    /// The inputs.
    Inputs,
    /// The result.
    Result,
    /// Both.
    All,
}

impl Reads {
    /// Whether the inputs are read.
    pub fn inputs(self) -> bool {
        matches!(self, Reads::Inputs | Reads::All)
    }
    /// Whether the result is read.
    pub fn result(self) -> bool {
        matches!(self, Reads::Result | Reads::All)
    }
}

/// Where the gradients by several inputs go. Two inputs may be the same tensor: their gradients are one place
/// then.
pub trait Gradients<R: Real> {
    /// The gradient by input `k`, and whether what lies there is stale and has to be overwritten, which is
    /// said once; None if nobody needs it.
    fn slot(&mut self, k: usize) -> Option<(&mut [R], bool)>;
    /// The gradient by input `k`, to be added to; None if nobody needs it.
    fn add_to(&mut self, k: usize) -> Option<&mut [R]> {
        let (dx, fresh) = self.slot(k)?;
        if fresh {
            dx.fill(R::zero());
        }
        Some(dx)
    }
}
