//! The command line: few options, because everything else is configuration.

use std::path::PathBuf;

use clap::{Args, Parser, Subcommand};
use prefix_runtime::ListenAddress;
use prefix_runtime::request::{self, Request, Task};

/// Turns detectors' reports into FlowSpec rules, and takes every rule away again.
///
/// Without --config, and where /etc/prefixd does not exist, a built-in development configuration is used: loopback
/// only, SQLite in ./data, dry-run.
#[derive(Debug, Clone, Parser)]
#[command(name = "prefixd", version, max_term_width = 100)]
pub(crate) struct Cli {
    /// Folder with prefixd.yaml, inventory.yaml and playbooks.yaml [default: /etc/prefixd]
    #[arg(long, value_name = "DIR", global = true)]
    pub(crate) config: Option<PathBuf>,

    /// Address of the API, instead of http.listen
    #[arg(long, value_name = "ADDR")]
    pub(crate) listen: Option<ListenAddress>,

    /// Check the configuration, print every finding, start nothing; exit 1 if there is an error
    #[arg(long)]
    pub(crate) check: bool,

    /// Announce rules in spite of the built-in development configuration, which is dry-run
    #[arg(long, conflicts_with = "config")]
    pub(crate) enforce: bool,

    /// What to run instead of the daemon.
    #[command(subcommand)]
    pub(crate) command: Option<Command>,
}

/// What to run instead of the daemon.
#[derive(Debug, Clone, Subcommand)]
pub(crate) enum Command {
    /// Take away own rules whose time is over, whether or not a daemon lives
    ///
    /// Reads only pop, bgp and `state_dir` of prefixd.yaml and needs only the speaker.
    Guard(GuardArguments),
}

/// How the guard runs.
#[derive(Debug, Clone, Args)]
pub(crate) struct GuardArguments {
    /// One pass, for cron: exit 1 if overdue rules are left or the speaker cannot be read
    #[arg(long, conflicts_with = "metrics_listen")]
    pub(crate) once: bool,

    /// Serve /metrics on this address
    #[arg(long, value_name = "ADDR")]
    pub(crate) metrics_listen: Option<ListenAddress>,

    /// Started by the daemon: a session of its own, and an end when the daemon is gone and nothing is left
    #[arg(long, hide = true, conflicts_with = "once")]
    pub(crate) spawned: bool,
}

impl From<Cli> for Request {
    fn from(cli: Cli) -> Self {
        let Cli { config, listen, check, enforce, command } = cli;
        let task = match command {
            Some(Command::Guard(GuardArguments { once, metrics_listen, spawned })) => {
                Task::Guard(request::GuardArguments { once, metrics_listen, spawned })
            }
            None if check => Task::Check,
            None => Task::Serve,
        };
        Self { config, listen, enforce, task }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(arguments: &[&str]) -> Result<Cli, clap::Error> {
        Cli::try_parse_from(std::iter::once("prefixd").chain(arguments.iter().copied()))
    }

    #[test]
    fn the_documented_options_are_understood() {
        let cli = parse(&["--config", "conf", "--listen", "[::1]:8081", "--check"]).unwrap();
        assert_eq!(cli.config, Some(PathBuf::from("conf")));
        assert_eq!(cli.listen.map(|at| at.to_string()).as_deref(), Some("[::1]:8081"));
        assert!(cli.check && !cli.enforce);
    }

    #[test]
    fn the_guard_takes_the_folder_before_or_after_its_name() {
        for arguments in [["guard", "--config", "conf"], ["--config", "conf", "guard"]] {
            let cli = parse(&arguments).unwrap();
            assert_eq!(cli.config, Some(PathBuf::from("conf")));
            assert!(matches!(cli.command, Some(Command::Guard(_))));
        }
    }

    #[test]
    fn what_cannot_be_meant_is_refused() {
        for arguments in [
            &["--enforce", "--config", "conf"][..],
            &["--listen", "localhost"],
            &["guards"],
            &["--confg"],
            &["guard", "--once", "--spawned"],
        ] {
            assert!(parse(arguments).is_err(), "{arguments:?}");
        }
    }
}
