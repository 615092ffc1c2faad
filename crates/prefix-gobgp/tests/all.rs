//! What prefix-gobgp promises with GoBGP 3 and 4, in one program.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::print_stdout,
    reason = "a failing step is a failing test, and what was measured is said"
)]

mod connection;
mod contract;
mod port_contract;
mod proxy;
mod speaker;
mod support;
mod targets;
mod versions;
