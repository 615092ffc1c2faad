//! cargo-fuzz target: `prefix_api::fuzzed::event`.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| prefix_api::fuzzed::event(data));
