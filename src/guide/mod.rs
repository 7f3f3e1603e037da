//! Pages that belong to no module: what a run leaves, what an audit certifies, and questions that users of score
//! models ask.

#[doc = include_str!("files.md")]
pub mod files {}
#[doc = include_str!("audits.md")]
pub mod audits {}
#[doc = include_str!("questions.md")]
pub mod questions {}
