//! The prefixd daemon: the command line. What it does is in `prefix-runtime`.
#![cfg_attr(test, allow(clippy::unwrap_used))]

mod cli;

use std::process::ExitCode;

use clap::Parser;

fn main() -> ExitCode {
    prefix_runtime::run(&cli::Cli::parse().into())
}
