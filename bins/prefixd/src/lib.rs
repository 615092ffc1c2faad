//! The daemon as a library: what `main` composes, so that tests can reach it.
#![cfg_attr(test, allow(clippy::unwrap_used, clippy::expect_used, clippy::panic))]

use std::process::ExitCode;

pub mod cli;
pub mod config;
pub mod development;
pub mod logging;
pub mod metrics;
pub mod service_manager;
pub mod start;

/// Runs the daemon as the command line says.
pub fn run(cli: &cli::Cli) -> ExitCode {
    let environment = std::env::vars_os()
        .filter_map(|(name, value)| Some((name.into_string().ok()?, value.into_string().ok()?)))
        .collect();
    let chosen = match start::choose(cli, environment, start::default_folder()) {
        Ok(chosen) => chosen,
        Err(error) => {
            say(&format!("error: {error}"));
            return ExitCode::FAILURE;
        }
    };
    if chosen.development {
        say(&development::notice(cli.enforce));
    }
    if cli.check {
        return start::check(&chosen, &mut std::io::stdout()).unwrap_or(ExitCode::FAILURE);
    }
    ExitCode::SUCCESS
}

#[allow(clippy::print_stderr)] // the log does not exist yet
fn say(text: &str) {
    eprintln!("prefixd: {text}");
}
