//! The targets, for the programs of this crate.

#[path = "../common/counting.rs"]
pub mod counting;
pub mod targets;
