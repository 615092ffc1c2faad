//! What the fakes and the lab promise to the tests of the other crates, in one program.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::print_stdout,
    reason = "a failing step is a failing test, and what was measured is said"
)]

mod fake_announcer;
mod lab_daemon;
mod lab_detectors;
mod lab_postgres;
mod lab_speakers;
mod memory_store;
