//! The values that a key takes, and how each Rust type reads one.

use crate::{Error, Result};
use std::fmt;

/// A value as a configuration file or a program gives it.
#[derive(Debug, Clone, PartialEq)]
pub enum Value {
    /// `true` or `false`.
    Bool(bool),
    /// An integer; wide enough for every integer type of the configuration.
    Int(i128),
    /// A floating-point number.
    Real(f64),
    /// A text.
    Text(String),
    /// A list.
    List(Vec<Value>),
}

/// As TOML writes it.
impl fmt::Display for Value {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Value::Bool(b) => write!(f, "{b}"),
            Value::Int(i) => write!(f, "{i}"),
            Value::Real(x) if x.is_finite() => write!(f, "{x:?}"),
            Value::Real(x) => write!(
                f,
                "{}",
                if x.is_nan() {
                    "nan"
                } else if *x > 0.0 {
                    "inf"
                } else {
                    "-inf"
                }
            ),
            Value::Text(s) => {
                f.write_str("\"")?;
                for c in s.chars() {
                    match c {
                        '"' | '\\' => write!(f, "\\{c}")?,
                        c if c.is_control() => write!(f, "\\u{:04X}", u32::from(c))?,
                        c => write!(f, "{c}")?,
                    }
                }
                f.write_str("\"")
            }
            Value::List(items) => {
                f.write_str("[")?;
                for (i, item) in items.iter().enumerate() {
                    write!(f, "{}{item}", if i == 0 { "" } else { ", " })?;
                }
                f.write_str("]")
            }
        }
    }
}

macro_rules! from {
    ($($t:ty => |$x:ident| $value:expr;)*) => { $(
        impl From<$t> for Value {
            fn from($x: $t) -> Self {
                $value
            }
        }
    )* };
}
from! {
    bool => |x| Value::Bool(x);
    i32 => |x| Value::Int(x.into());
    u64 => |x| Value::Int(x.into());
    usize => |x| Value::Int(x as i128);
    f64 => |x| Value::Real(x);
    &str => |x| Value::Text(x.to_owned());
    String => |x| Value::Text(x);
}

/// The numbers that a key allows.
#[derive(Debug, Clone, Copy)]
pub(super) struct Range {
    low: f64,
    /// Whether `low` itself is excluded.
    above: bool,
    high: f64,
    /// Whether `high` itself is excluded.
    below: bool,
}

/// For keys that are not numbers.
pub(super) const ANY: Range = Range { low: f64::NEG_INFINITY, above: false, high: f64::INFINITY, below: false };
/// Seeds: integers that every file format holds exactly.
pub(super) const SEED: Range = from_to(0.0, (1u64 << 53) as f64);

/// low <= x <= high.
pub(super) const fn from_to(low: f64, high: f64) -> Range {
    Range { low, above: false, high, below: false }
}

/// 0 < x <= high.
pub(super) const fn positive(high: f64) -> Range {
    Range { low: 0.0, above: true, high, below: false }
}

/// low <= x < high.
pub(super) const fn from_below(low: f64, high: f64) -> Range {
    Range { low, above: false, high, below: true }
}

impl Range {
    fn check(self, place: &str, x: f64, shown: &Value) -> Result<()> {
        if !x.is_finite() {
            return Err(Error::invalid(place, "a finite number", shown));
        }
        if x < self.low || (self.above && x == self.low) {
            return Err(Error::invalid(place, self.low_side(), shown));
        }
        if x > self.high || (self.below && x == self.high) {
            return Err(Error::invalid(place, self.high_side(), shown));
        }
        Ok(())
    }

    fn low_side(self) -> String {
        format!("{} {}", if self.above { ">" } else { ">=" }, self.low)
    }

    fn high_side(self) -> String {
        format!("{} {}", if self.below { "<" } else { "<=" }, self.high)
    }

    /// `number > 0, <= 10`; `number` alone where everything is allowed.
    fn describe(self, what: &str) -> String {
        if self.low == f64::NEG_INFINITY { what.to_owned() } else { format!("{what} {}, {}", self.low_side(), self.high_side()) }
    }
}

/// A type that can stand behind a key.
pub(super) trait Field: Sized {
    /// The value of `place`, or why it cannot be.
    fn read(place: &str, value: &Value, range: Range) -> Result<Self>;
    /// The value as a file has it; `None` for what is written by leaving the key out.
    fn value(&self) -> Option<Value>;
    /// What the key accepts, for the help text.
    fn accepts(range: Range) -> String;
}

macro_rules! integer_field {
    ($($t:ty),*) => { $(
        impl Field for $t {
            fn read(place: &str, value: &Value, range: Range) -> Result<Self> {
                let Value::Int(i) = value else { return Err(Error::invalid(place, "an integer", value)) };
                range.check(place, *i as f64, value)?;
                // A float would be rounded to the bound.
                if *i > range.high as i128 {
                    return Err(Error::invalid(place, range.high_side(), value));
                }
                <$t>::try_from(*i).map_err(|_| Error::invalid(place, range.describe("an integer"), value))
            }
            fn value(&self) -> Option<Value> {
                Some((*self).into())
            }
            fn accepts(range: Range) -> String {
                range.describe("integer")
            }
        }
    )* };
}
integer_field!(usize, u64);

impl Field for f64 {
    fn read(place: &str, value: &Value, range: Range) -> Result<Self> {
        let x = match value {
            Value::Int(i) => *i as f64,
            Value::Real(x) => *x,
            _ => return Err(Error::invalid(place, "a number", value)),
        };
        range.check(place, x, value)?;
        Ok(x)
    }
    fn value(&self) -> Option<Value> {
        Some((*self).into())
    }
    fn accepts(range: Range) -> String {
        range.describe("number")
    }
}

impl Field for bool {
    fn read(place: &str, value: &Value, _: Range) -> Result<Self> {
        if let Value::Bool(b) = value { Ok(*b) } else { Err(Error::invalid(place, "true or false", value)) }
    }
    fn value(&self) -> Option<Value> {
        Some((*self).into())
    }
    fn accepts(_: Range) -> String {
        "true or false".to_owned()
    }
}

/// A text; the empty one is refused.
impl Field for String {
    fn read(place: &str, value: &Value, _: Range) -> Result<Self> {
        match value {
            Value::Text(s) if !s.is_empty() && !s.contains('\0') => Ok(s.clone()),
            _ => Err(Error::invalid(place, "a text that is not empty", value)),
        }
    }
    fn value(&self) -> Option<Value> {
        Some(Value::Text(self.clone()))
    }
    fn accepts(_: Range) -> String {
        "text".to_owned()
    }
}

/// A text that may be left out.
impl Field for Option<String> {
    fn read(place: &str, value: &Value, range: Range) -> Result<Self> {
        Field::read(place, value, range).map(Some)
    }
    fn value(&self) -> Option<Value> {
        self.clone().map(Value::Text)
    }
    fn accepts(range: Range) -> String {
        String::accepts(range)
    }
}

/// A list, written by leaving the key out when it is empty; a single item may stand for a list of one.
impl<T: Field> Field for Vec<T> {
    fn read(place: &str, value: &Value, range: Range) -> Result<Self> {
        match value {
            Value::List(items) => items.iter().enumerate().map(|(i, item)| T::read(&format!("{place}[{i}]"), item, range)).collect(),
            item => Ok(vec![T::read(place, item, range)?]),
        }
    }
    fn value(&self) -> Option<Value> {
        if self.is_empty() { None } else { Some(Value::List(self.iter().filter_map(Field::value).collect())) }
    }
    fn accepts(range: Range) -> String {
        format!("list of {}", T::accepts(range))
    }
}
