//! The daemon: as a library that checks files, as a process, and with real speakers, routers, databases and detectors.
//!
//! One program, because each link costs more than most of the tests.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::print_stdout,
    reason = "a failing step is a failing test, and what was measured is said"
)]

mod certificates;
mod check;
mod e2e_detectors;
mod e2e_network;
mod editing;
mod hostile;
mod process;
mod reliability;
mod rule_sets;
mod test_network;
