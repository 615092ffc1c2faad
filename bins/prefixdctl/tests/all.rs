//! What prefixdctl promises, and what the notify script for FastNetMon does, in one program.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::print_stdout,
    reason = "a failing step is a failing test, and what was measured is said"
)]

mod cli;
mod fastnetmon;
