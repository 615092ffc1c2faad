//! The daemon as a library: what `main` composes, so that tests can reach it.
#![cfg_attr(test, allow(clippy::unwrap_used, clippy::expect_used, clippy::panic))]

use std::process::ExitCode;

pub mod cli;
pub mod compose;
pub mod development;
pub mod guard;
pub mod guard_log;
pub mod guard_supervisor;
pub mod logging;
pub mod machine;
pub mod metrics;
pub mod mock_speaker;
pub mod panic_marker;
pub mod running;
pub mod serve;
pub mod service_manager;
pub mod start;
pub mod state_dir;

pub use prefix_config as config;

/// Runs the daemon as the command line says.
pub fn run(cli: &cli::Cli) -> ExitCode {
    let environment: config::Environment = std::env::vars_os()
        .filter_map(|(name, value)| Some((name.into_string().ok()?, value.into_string().ok()?)))
        .collect();
    let chosen = match start::choose(cli, environment.clone(), start::default_folder()) {
        Ok(chosen) => chosen,
        Err(error) => {
            say(&format!("error: {error}"));
            return ExitCode::FAILURE;
        }
    };
    if let Some(cli::Command::Guard(arguments)) = &cli.command {
        return guard::run(arguments, &chosen.source, &environment);
    }
    if chosen.development {
        say(&development::notice(cli.enforce));
    }
    if cli.check {
        return start::check(&chosen, &mut std::io::stdout()).unwrap_or(ExitCode::FAILURE);
    }
    let loaded = chosen.source.load();
    // Whoever watches the start sees every finding, whatever the log is set to.
    let _ = start::print(&loaded, chosen.source.folder(), &mut std::io::stderr());
    let Some(configuration) = loaded.value else {
        say("the configuration has errors, nothing was started");
        return ExitCode::FAILURE;
    };
    if let Err(error) = logging::start(&configuration.settings.keys.observability, &environment) {
        say(&format!("error: the log cannot be started: {error}"));
        return ExitCode::FAILURE;
    }
    let runtime = match tokio::runtime::Builder::new_multi_thread().enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => {
            say(&format!("error: no threads to run on: {error}"));
            return ExitCode::FAILURE;
        }
    };
    match runtime.block_on(serve::serve(chosen.source, configuration, environment)) {
        Ok(code) => code,
        Err(error) => {
            tracing::error!("{error:#}");
            ExitCode::FAILURE
        }
    }
}

#[allow(clippy::print_stderr)] // the log does not exist yet
fn say(text: &str) {
    eprintln!("prefixd: {text}");
}
