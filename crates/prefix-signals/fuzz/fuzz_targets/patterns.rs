//! cargo-fuzz target: entry::patterns.
#![no_main]

#[path = "../entry.rs"]
mod entry;

libfuzzer_sys::fuzz_target!(|data: &[u8]| entry::patterns(data));
