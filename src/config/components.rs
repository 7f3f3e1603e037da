//! The number of components: given, or chosen.

use super::value::{Field, Range, Value};
use crate::{Error, Result};

/// How many components the reference mixture has.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Components {
    /// Chosen by the Bayesian information criterion.
    #[default]
    Auto,
    /// As many as this.
    Count(usize),
}

impl Field for Components {
    fn read(place: &str, value: &Value, range: Range) -> Result<Self> {
        match value {
            Value::Text(name) if name == "auto" => Ok(Components::Auto),
            Value::Int(_) => usize::read(place, value, range).map(Components::Count),
            _ => Err(Error::invalid(place, "an integer or \"auto\"", value)),
        }
    }
    fn value(&self) -> Option<Value> {
        Some(match self {
            Components::Auto => "auto".into(),
            Components::Count(k) => (*k).into(),
        })
    }
    fn accepts(range: Range) -> String {
        format!("\"auto\" or {}", usize::accepts(range))
    }
}
