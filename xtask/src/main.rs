//! Development tasks of prefixd: `cargo xtask setup`, `test`, `ci`, …
//!
//! Everything a person or a machine does to this checkout has one name here, so that what continuous integration runs
//! and what a developer runs are the same thing.
#![allow(clippy::print_stdout, clippy::print_stderr, reason = "a command line tool talks to its terminal")]

mod setup;
mod workspace;

use clap::{Parser, Subcommand};

/// Development tasks of prefixd.
#[derive(Parser)]
#[command(name = "cargo xtask", disable_version_flag = true)]
struct Arguments {
    #[command(subcommand)]
    task: Task,
}

#[derive(Subcommand)]
enum Task {
    /// Install what the tests and the demo need: speakers, routers, a database, linters
    Setup,
}

fn main() -> anyhow::Result<()> {
    match Arguments::parse().task {
        Task::Setup => setup::run(),
    }
}
