//! The command line as clap sees it: options that every command knows, and the tree of commands.

use crate::commands::{
    access, audit, config, events, explain, groups, guard, history, migrations, mitigations, panic, safelist,
    signals, simulate, state,
};
use crate::output::Format;
use clap::{Args, Parser, Subcommand};
use prefix_client::BaseUrl;
use std::path::PathBuf;

/// Ask and steer prefixd: what is under attack, what is filtered, why, and for how long
#[derive(Debug, Parser)]
#[command(name = "prefixdctl", version, max_term_width = 110, arg_required_else_help = true)]
#[command(
    after_help = "Exit codes: 0 ok, 1 general, 2 connection, 3 permission, 4 not found, 5 refused, 64 usage"
)]
pub(crate) struct Cli {
    #[command(flatten)]
    pub(crate) global: Global,
    #[command(subcommand)]
    pub(crate) command: Command,
}

/// Options of every command.
#[derive(Debug, Args)]
#[command(next_help_heading = "Global options")]
#[allow(clippy::struct_excessive_bools, reason = "each is a switch of its own on the command line")]
pub(crate) struct Global {
    /// Address of the server, without /v1
    #[arg(
        short,
        long,
        value_name = "URL",
        env = "PREFIXD_API",
        default_value = "http://127.0.0.1:8080",
        global = true
    )]
    pub(crate) api: BaseUrl,
    #[arg(
        help = "API token or shared secret; other users see it in the process list [env: PREFIXD_API_TOKEN]"
    )]
    #[arg(short, long, value_name = "TOKEN", global = true)]
    pub(crate) token: Option<String>,
    /// File that holds the token
    #[arg(long, value_name = "FILE", global = true)]
    pub(crate) token_file: Option<PathBuf>,
    /// Certificates to trust instead of the system's (PEM)
    #[arg(long, value_name = "FILE", global = true)]
    pub(crate) ca: Option<PathBuf>,
    /// Client certificate with its chain (PEM)
    #[arg(long, value_name = "FILE", global = true)]
    pub(crate) cert: Option<PathBuf>,
    /// Private key of the client certificate (PEM)
    #[arg(long, value_name = "FILE", global = true)]
    pub(crate) key: Option<PathBuf>,
    /// How answers are shown: the columns that matter, all of them, or the API's answer
    #[arg(
        short,
        long,
        visible_short_alias = 'f',
        visible_alias = "format",
        value_name = "FORMAT",
        env = "PREFIXD_OUTPUT",
        default_value = "table",
        global = true
    )]
    pub(crate) output: Format,
    /// Folder of the configuration, for commands that work without the API
    #[arg(long, value_name = "DIR", default_value = "/etc/prefixd", global = true)]
    pub(crate) config: PathBuf,
    /// Longest time of a request, its retries included
    #[arg(long, value_name = "SECONDS", default_value_t = 30, value_parser = clap::value_parser!(u64).range(1..=86_400), global = true)]
    pub(crate) timeout: u64,
    #[arg(help = "No colours [env: NO_COLOR]", long, global = true)]
    pub(crate) no_color: bool,
    /// Show what would happen and change nothing
    #[arg(long, global = true)]
    pub(crate) dry_run: bool,
    /// Ask no questions
    #[arg(short, long, global = true)]
    pub(crate) yes: bool,
    /// On stderr errors only
    #[arg(short, global = true)]
    pub(crate) quiet: bool,
    /// Show each request on stderr
    #[arg(short, long, global = true)]
    pub(crate) verbose: bool,
}

/// The commands.
#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Health, peers, rules and problems on one screen
    Status,
    /// Exit 0 if healthy, 1 if degraded
    Health(state::HealthArgs),
    /// The BGP neighbours
    Peers,
    /// The sites
    Pops,
    /// Totals, or counts over time
    Stats(state::StatsArgs),
    /// Events and mitigations of an address
    History(history::HistoryArgs),
    /// Why something is, or is not, mitigated, in plain words
    Explain(explain::ExplainArgs),
    /// Send and read events
    #[command(subcommand)]
    Events(events::EventsCommand),
    /// Pass on what detectors send in formats of their own, corroborate, and see what waits
    #[command(subcommand)]
    Signals(signals::SignalsCommand),
    /// Same as `signals corroborate`
    #[command(hide = true)]
    SendCorroborator(Box<signals::corroborator::CorroborateArgs>),
    /// Attacks on which several detectors have to agree
    #[command(subcommand)]
    Groups(groups::GroupsCommand),
    /// Read, make, withdraw and acknowledge mitigations
    #[command(subcommand)]
    Mitigations(mitigations::MitigationsCommand),
    /// What is never filtered
    #[command(subcommand)]
    Safelist(safelist::SafelistCommand),
    /// The kill switch: freeze, and take every rule away
    Panic(panic::PanicArgs),
    /// Let rules in again after a panic
    Thaw(panic::ThawArgs),
    /// The dead man's guard, which ends the rules of a daemon that died (needs --config, not the API)
    #[command(subcommand)]
    Guard(guard::GuardCommand),
    /// The schema of the database (needs --config, not the API)
    #[command(subcommand)]
    Migrations(migrations::MigrationsCommand),
    /// Log in; the login is kept for this server, readable by you alone
    Login(access::LoginArgs),
    /// Log out
    Logout,
    /// Who you are to the server
    Whoami,
    /// People who can log in
    #[command(subcommand)]
    Operators(access::operators::OperatorsCommand),
    /// Tokens for programs
    #[command(subcommand)]
    Tokens(access::tokens::TokensCommand),
    /// Logins that are not over
    #[command(subcommand)]
    Sessions(access::sessions::SessionsCommand),
    /// What user interfaces leave out for you
    #[command(subcommand)]
    Preferences(access::preferences::PreferencesCommand),
    /// Who did what
    #[command(subcommand)]
    Audit(audit::AuditCommand),
    /// The configuration: show, check, compare, reload
    #[command(subcommand)]
    Config(config::ConfigCommand),
    /// Same as `config reload`
    Reload(config::ReloadArgs),
    /// What a configuration would do, or would have done; nothing is announced or stored
    Simulate(simulate::SimulateArgs),
    /// Completions for a shell, on stdout
    Completions {
        /// The shell
        shell: clap_complete::Shell,
    },
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::CommandFactory;
    use prefix_client::operation;

    #[test]
    fn the_command_line_is_consistent() {
        Cli::command().debug_assert();
    }

    #[test]
    fn every_operation_of_the_api_has_a_command() {
        for operation in operation::ALL {
            let mut command = &Cli::command();
            for word in operation.command.split(' ') {
                let found = command.get_subcommands().find(|candidate| candidate.get_name() == word);
                let takes_word = || {
                    command.get_positionals().any(|argument| {
                        argument.get_possible_values().iter().any(|value| value.matches(word, false))
                    })
                };
                match found {
                    Some(found) => command = Box::leak(Box::new(found.clone())),
                    None => {
                        assert!(takes_word(), "no command `{}` for {}", operation.command, operation.path);
                    }
                }
            }
        }
    }

    #[test]
    fn format_is_another_name_of_output() {
        for arguments in [["-f", "json"], ["-o", "json"], ["--format", "json"], ["--output", "json"]] {
            let line = ["prefixdctl", "peers"].into_iter().chain(arguments);
            assert_eq!(Cli::try_parse_from(line).unwrap().global.output, Format::Json);
        }
    }
}
