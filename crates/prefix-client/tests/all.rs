//! What prefix-client promises, in one program: a link costs more than the tests.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::print_stdout,
    reason = "a failing step is a failing test, and what was measured is said"
)]

mod client;
mod coverage;
mod tls;
