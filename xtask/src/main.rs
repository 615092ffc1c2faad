//! Development tasks of prefixd: `cargo xtask setup`, `test`, `ci`, …
//!
//! Everything a person or a machine does to this checkout has one name here, so that what continuous integration runs
//! and what a developer runs are the same thing.
#![cfg_attr(test, allow(clippy::unwrap_used))]
#![allow(clippy::print_stdout, clippy::print_stderr, reason = "a command line tool talks to its terminal")]

mod ci;
mod count;
mod ignored;
mod junit;
mod lab;
mod layers;
mod promises;
mod setup;
mod steps;
mod test;
mod tidy;
mod workspace;

use clap::Parser;
use std::process::ExitCode;

/// Development tasks of prefixd.
#[derive(Parser)]
#[command(name = "cargo xtask", disable_version_flag = true)]
enum Task {
    /// Install what the tests and the demo need: speakers, routers, a database, linters
    Setup,
    /// Show the way of one event with a real speaker and a real router, in about a minute
    Demo {
        /// Stay up until Ctrl-C
        #[arg(long)]
        keep: bool,
    },
    /// Measure a release build against yardsticks of the same run, and write docs/benchmarks.md
    Bench {
        /// Shorter measurements, for a first look; writes no document
        #[arg(long)]
        quick: bool,
    },
    /// Run every test that this machine can run, with real speakers, routers and databases
    Test {
        /// First the crates whose tests are run (all crates, unless named); the rest is handed to the test runner: a part
        /// of test names, or options after `--`
        #[arg(value_name = "CRATE | FILTER", trailing_var_arg = true, allow_hyphen_values = true)]
        arguments: Vec<String>,
    },
    /// Run the end-to-end tests alone
    E2e {
        /// Handed to the test runner
        #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
        filter: Vec<String>,
    },
    /// Run everything that must hold before a change goes in: format, layers, clippy, deny, documentation, tests
    Ci,
    /// Run the quick part of it: format, layers, tidiness, clippy
    Check,
    /// Check the layers and the other rules that no compiler checks
    Tidy,
}

fn main() -> ExitCode {
    match run(Task::parse()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn run(task: Task) -> anyhow::Result<()> {
    match task {
        Task::Setup => setup::run(),
        Task::Demo { keep } => lab::show(keep),
        Task::Bench { quick } => lab::measure(quick),
        Task::Test { arguments } => test::all(&arguments),
        Task::E2e { filter } => test::end_to_end(&filter),
        Task::Ci => ci::run_all(),
        Task::Check => ci::check(),
        Task::Tidy => ci::rules(),
    }
}
