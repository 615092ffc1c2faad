//! The command line: few options, because everything else is configuration.

use std::path::PathBuf;

use clap::Parser;

use crate::config::settings::values::ListenAddress;

/// Where the configuration is looked for when nobody says.
pub const DEFAULT_FOLDER: &str = "/etc/prefixd";

/// Turns detectors' reports into FlowSpec rules, and takes every rule away again.
///
/// Without --config, and where /etc/prefixd does not exist, a built-in development configuration is used: loopback
/// only, SQLite in ./data, dry-run.
#[derive(Debug, Clone, Parser)]
#[command(name = "prefixd", version, max_term_width = 100)]
pub struct Cli {
    /// Folder with prefixd.yaml, inventory.yaml and playbooks.yaml [default: /etc/prefixd]
    #[arg(long, value_name = "DIR")]
    pub config: Option<PathBuf>,

    /// Address of the API, instead of http.listen
    #[arg(long, value_name = "ADDR")]
    pub listen: Option<ListenAddress>,

    /// Check the configuration, print every finding, start nothing; exit 1 if there is an error
    #[arg(long)]
    pub check: bool,

    /// Announce rules in spite of the built-in development configuration, which is dry-run
    #[arg(long, conflicts_with = "config")]
    pub enforce: bool,
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
    fn what_cannot_be_meant_is_refused() {
        for arguments in
            [&["--enforce", "--config", "conf"][..], &["--listen", "localhost"], &["guard"], &["--confg"]]
        {
            assert!(parse(arguments).is_err(), "{arguments:?}");
        }
    }
}
