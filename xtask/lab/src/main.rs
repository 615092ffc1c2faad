//! The development tasks that need real parts: `cargo xtask demo` and `cargo xtask bench` run this.
//!
//! It is a program of its own so that `cargo xtask` stays small, and works when the code under test does not compile.
#![cfg_attr(test, allow(clippy::unwrap_used))]
#![allow(clippy::print_stdout, clippy::print_stderr, reason = "a command line tool talks to its terminal")]

mod bench;
mod demo;
mod screen;

use clap::Parser;
use std::process::ExitCode;

/// The tasks of `cargo xtask` that need real parts.
#[derive(Parser)]
#[command(name = "cargo xtask", disable_version_flag = true)]
enum Task {
    /// Show the way of one event: a rule in a real router, and away again
    Demo {
        /// Stay up until Ctrl-C
        #[arg(long)]
        keep: bool,
    },
    /// Measure against yardsticks of the same run, and write `docs/benchmarks.md`
    Bench(bench::Options),
}

fn main() -> ExitCode {
    let task = Task::parse();
    let outcome = match tokio::runtime::Runtime::new() {
        Ok(runtime) => runtime.block_on(run(task)),
        Err(error) => Err(error.into()),
    };
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}

async fn run(task: Task) -> anyhow::Result<()> {
    match task {
        Task::Demo { keep } => Box::pin(demo::run(keep)).await,
        Task::Bench(options) => Box::pin(bench::run(options)).await,
    }
}
