//! What prefix-store promises on SQLite and on PostgreSQL, in one program.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::print_stdout,
    reason = "a failing step is a failing test, and what was measured is said"
)]

mod behind_the_back;
mod connections;
mod contract;
mod event_days;
mod instances;
mod migrations;
mod million;
mod open;
mod pooler;
mod recovery;
mod soak;
mod tls;
