//! The library against laws, formulas and limits that are known.
//!
//! One program for all these tests: each would compile what it uses of the library again.

mod adaptive;
mod baselines;
mod common;
mod dynamics;
mod generation;
mod labels;
mod mixture_properties;
mod moments;
mod objectives;
mod training;
