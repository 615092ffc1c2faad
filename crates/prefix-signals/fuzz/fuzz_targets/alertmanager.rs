//! cargo-fuzz target: entry::alertmanager.
#![no_main]

#[path = "../entry.rs"]
mod entry;

libfuzzer_sys::fuzz_target!(|data: &[u8]| entry::alertmanager(data));
