//! The commands: each asks the API for one thing and shows the answer.

pub(crate) mod access;
pub(crate) mod audit;
mod bodies;
pub(crate) mod config;
pub(crate) mod events;
pub(crate) mod explain;
pub(crate) mod groups;
pub(crate) mod guard;
pub(crate) mod history;
mod list;
pub(crate) mod migrations;
pub(crate) mod mitigations;
pub(crate) mod panic;
pub(crate) mod safelist;
pub(crate) mod signals;
pub(crate) mod simulate;
pub(crate) mod state;
mod status;
pub(crate) mod verify;

use crate::cli::{Cli, Command};
use crate::exit::{Exit, Failure};
use crate::session::Session;
use clap::CommandFactory;

/// Carries one command out.
pub(crate) async fn run(session: &Session, command: Command) -> Result<Exit, Failure> {
    match command {
        Command::Status => status::run(session).await,
        Command::Health(arguments) => state::health(session, &arguments).await,
        Command::Peers => state::peers(session).await,
        Command::Pops => state::pops(session).await,
        Command::Stats(arguments) => state::stats(session, &arguments).await,
        Command::History(arguments) => history::run(session, &arguments).await,
        Command::Explain(arguments) => explain::run(session, &arguments).await,
        Command::Events(command) => events::run(session, command).await,
        Command::Signals(command) => signals::run(session, command).await,
        Command::SendCorroborator(arguments) => signals::corroborator::corroborate(session, *arguments).await,
        Command::Groups(command) => groups::run(session, command).await,
        Command::Mitigations(command) => mitigations::run(session, command).await,
        Command::Safelist(command) => safelist::run(session, command).await,
        Command::Panic(arguments) => panic::run(session, arguments).await,
        Command::Thaw(arguments) => panic::thaw(session, &arguments).await,
        Command::Guard(command) => guard::run(session, &command).await,
        Command::Migrations(command) => migrations::run(session, &command).await,
        Command::Login(arguments) => access::login(session, &arguments).await,
        Command::Logout => access::logout(session).await,
        Command::Whoami => access::whoami(session).await,
        Command::Operators(command) => access::operators::run(session, command).await,
        Command::Tokens(command) => access::tokens::run(session, command).await,
        Command::Sessions(command) => access::sessions::run(session, &command).await,
        Command::Preferences(command) => access::preferences::run(session, command).await,
        Command::Audit(command) => audit::run(session, command).await,
        Command::Config(command) => config::run(session, command).await,
        Command::Reload(arguments) => config::reload(session, &arguments).await,
        Command::Simulate(arguments) => simulate::run(session, &arguments).await,
        Command::Completions { shell } => {
            let mut script = Vec::new();
            clap_complete::generate(shell, &mut Cli::command(), "prefixdctl", &mut script);
            session.print(&String::from_utf8_lossy(&script))?;
            Ok(Exit::Ok)
        }
    }
}
