//! The operator's command line for prefixd: reads arguments, asks the API, shows the answer, and exits with a meaning.
#![cfg_attr(test, allow(clippy::unwrap_used, clippy::expect_used))]

mod cli;
mod commands;
mod confirm;
mod cookie_file;
mod exit;
mod explain;
mod files;
mod human;
mod output;
mod password;
mod progress;
mod session;
mod views;

use clap::Parser;
use clap::error::ErrorKind;
use exit::Exit;
use std::process::ExitCode;

fn main() -> ExitCode {
    let arguments = match cli::Cli::try_parse() {
        Ok(arguments) => arguments,
        Err(error) => {
            let exit = match error.kind() {
                _ if !error.use_stderr() => Exit::Ok,
                // an address, a rate, an id that is none: what the API would refuse as well
                ErrorKind::ValueValidation => Exit::Refused,
                _ => Exit::Usage,
            };
            // Nothing can be said if even the help cannot be printed.
            let _ = error.print();
            return exit.into();
        }
    };
    let format = arguments.global.output;
    let runtime = match tokio::runtime::Builder::new_current_thread().enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => {
            return exit::Failure::General(format!("cannot start: {error}")).report(format).into();
        }
    };
    let result = runtime.block_on(async {
        let session = session::Session::open(arguments.global)?;
        // one future holds every command's, which is too much for a stack frame
        Box::pin(commands::run(&session, arguments.command)).await
    });
    match result {
        Ok(exit) => exit.into(),
        Err(failure) => failure.report(format).into(),
    }
}
