//! What the allocator sees: steps that allocate nothing, models that do not grow, and files, whatever their bytes, that take no
//! more memory than they justify.

mod allocations;
#[path = "../common/counting.rs"]
mod counting;
#[cfg(feature = "files")]
mod growth;
#[cfg(feature = "files")]
mod malformed;
#[cfg(feature = "files")]
#[path = "../fuzz/targets.rs"]
mod targets;
#[path = "../common/training.rs"]
mod training;
