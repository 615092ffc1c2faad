//! cargo-fuzz target: entry::jsonpath.
#![no_main]

#[path = "../entry.rs"]
mod entry;

libfuzzer_sys::fuzz_target!(|data: &[u8]| entry::jsonpath(data));
