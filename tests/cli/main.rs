//! The program as a user runs it, and the files that it reads and writes.
//!
//! One program for all these tests: each would compile what it uses of the library again.
#![cfg(feature = "cli")]

use std::io::Write;
use std::process::Command;

/// Whether a command that shows that a tool is there succeeds; says what is left out where it does not.
fn there(tool: &mut Command, left_out: &str) -> bool {
    let there = tool.output().is_ok_and(|out| out.status.success());
    if !there {
        // Past the harness, which would keep it to itself.
        let _ = writeln!(std::io::stderr(), "SKIPPED: {left_out}");
    }
    there
}

mod audit;
mod data_files;
mod errors;
#[cfg(unix)]
mod faults;
mod interop;
mod labels;
mod pages;
mod runs;
#[cfg(target_os = "linux")]
mod silence;
#[cfg(target_os = "linux")]
mod soak;
#[cfg(target_os = "linux")]
mod writes;
