//! Pages that belong to no module: when this helps, what a run leaves, what an audit certifies, what it costs, and
//! questions that users of score models ask.

#[doc = include_str!("benefits.md")]
pub mod benefits {}
#[doc = include_str!("files.md")]
pub mod files {}
#[doc = include_str!("audits.md")]
pub mod audits {}
#[doc = include_str!("performance.md")]
pub mod performance {}
#[doc = include_str!("questions.md")]
pub mod questions {}
