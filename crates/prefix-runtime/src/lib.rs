//! The daemon and its guard as a library: configuration, storage, speaker, engine and API are put together here and run.
//! The binary `prefixd` only reads its command line.
#![cfg_attr(test, allow(clippy::unwrap_used, clippy::expect_used, clippy::panic))]

use std::process::ExitCode;
use std::time::Duration;

pub mod compose;
pub mod descriptors;
pub mod development;
pub mod error;
pub mod guard;
pub mod guard_log;
pub mod guard_supervisor;
pub mod log_flood;
pub mod logging;
pub mod machine;
pub mod metrics;
pub mod mock_speaker;
pub mod panic_marker;
pub mod request;
pub mod running;
pub mod serve;
pub mod service_manager;
pub mod start;
pub mod state_dir;

pub use prefix_config::settings::values::ListenAddress;

use request::{Request, Task};

/// How long the end waits for threads that read or write files.
const BLOCKED_PATIENCE: Duration = Duration::from_secs(2);

/// Does what the command line asks for; returns when that has ended.
pub fn run(request: &Request) -> ExitCode {
    let environment = prefix_config::process_environment();
    let chosen = match start::choose(request, environment.clone(), start::default_folder()) {
        Ok(chosen) => chosen,
        Err(error) => return failed(&format!("error: {error}")),
    };
    if let Task::Guard(arguments) = &request.task {
        return guard::run(arguments, &chosen.source, &environment);
    }
    if chosen.development {
        say(&development::notice(request.enforce));
    }
    if matches!(request.task, Task::Check) {
        return start::check(&chosen, &mut std::io::stdout()).unwrap_or(ExitCode::FAILURE);
    }
    let loaded = chosen.source.load();
    // Whoever watches the start sees every finding, whatever the log is set to.
    let _ = start::print(&loaded, chosen.source.folder(), &mut std::io::stderr());
    let Some(configuration) = loaded.value else {
        return failed("the configuration has errors, nothing was started");
    };
    let flood = match logging::start(&configuration.settings.keys.observability, &environment) {
        Ok(flood) => flood,
        Err(error) => return failed(&format!("error: the log cannot be started: {error}")),
    };
    let runtime = match tokio::runtime::Builder::new_multi_thread().enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => return failed(&format!("error: the runtime cannot be started: {error}")),
    };
    runtime.spawn(flood.report_for_ever());
    let served = runtime.block_on(serve::serve(chosen.source, configuration, environment));
    // a disk that hangs must not hold up the end: what is on it is either written or repaired by the next start
    runtime.shutdown_timeout(BLOCKED_PATIENCE);
    match served {
        Ok(code) => code,
        Err(error) => {
            tracing::error!(target: "prefixd", "{error}");
            ExitCode::FAILURE
        }
    }
}

fn failed(text: &str) -> ExitCode {
    say(text);
    ExitCode::FAILURE
}

#[allow(clippy::print_stderr)] // the log does not exist yet
fn say(text: &str) {
    eprintln!("prefixd: {text}");
}
