//! cargo-fuzz target: entry::webhook.
#![no_main]

#[path = "../entry.rs"]
mod entry;

libfuzzer_sys::fuzz_target!(|data: &[u8]| entry::webhook(data));
