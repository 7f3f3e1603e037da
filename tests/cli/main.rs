//! The program as a user runs it, and the files that it reads and writes.
//!
//! One program for all these tests: each would compile what it uses of the library again.
#![cfg(feature = "cli")]

mod audit;
mod data_files;
mod errors;
#[cfg(unix)]
mod faults;
mod interop;
mod pages;
mod runs;
#[cfg(target_os = "linux")]
mod silence;
#[cfg(target_os = "linux")]
mod soak;
#[cfg(target_os = "linux")]
mod writes;
