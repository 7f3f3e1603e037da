//! Every fuzz target: the program's name says which.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| ndsm_fuzz::targets::run(env!("CARGO_BIN_NAME"), bytes));
