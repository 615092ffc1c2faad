//! What prefix-signals reads, in one program.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::print_stdout,
    reason = "a failing step is a failing test, and what was measured is said"
)]

mod choices;
mod fastnetmon;
mod forms;
mod fuzz_smoke;
mod golden;
mod properties;
mod recipes;
mod support;
mod webhook;
