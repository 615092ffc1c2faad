//! The prefixd daemon.

use std::process::ExitCode;

use clap::Parser;
use prefixd::cli::Cli;

fn main() -> ExitCode {
    prefixd::run(&Cli::parse())
}
