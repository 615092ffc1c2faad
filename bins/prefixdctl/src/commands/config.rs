//! `config`: what runs, what the files say, and making the two the same.

mod check;
mod set;

use crate::exit::{Exit, Failure};
use crate::output::{Format, yaml};
use crate::session::Session;
use crate::views::CHANGES;
use clap::{Args, Subcommand, ValueEnum};
use prefix_client::{Mode, Outcome};
use std::path::PathBuf;

/// What to do with the configuration.
#[derive(Debug, Subcommand)]
pub(crate) enum ConfigCommand {
    /// What runs
    Show {
        /// Which part
        #[arg(default_value = "settings")]
        part: Part,
    },
    /// Check the files of this host, as `prefixd --check` does; exit 5 on errors
    Check {
        /// The folder; without it, --config
        dir: Option<PathBuf>,
    },
    /// The files of the server against what runs
    Diff,
    /// Replace a document: checked, written to the server's file, and in force at once
    Set(set::SetArgs),
    /// Make the server read its files again
    Reload(ReloadArgs),
}

/// A part of the configuration.
#[derive(Debug, Clone, Copy, ValueEnum)]
pub(crate) enum Part {
    /// Everything of prefixd.yaml, secrets left out
    Settings,
    /// Customers, prefixes and services
    Inventory,
    /// Playbooks and vectors
    Playbooks,
    /// How sources are weighed together
    Correlation,
}

/// How to reload.
#[derive(Debug, Args)]
pub(crate) struct ReloadArgs {
    /// Even if more than 10 living rules, or 10 % of them, would be withdrawn
    #[arg(long)]
    force: bool,
}

/// Carries the command out.
pub(crate) async fn run(session: &Session, command: ConfigCommand) -> Result<Exit, Failure> {
    match command {
        ConfigCommand::Show { part } => show(session, part).await,
        ConfigCommand::Check { dir } => check::run(session, dir.as_deref()).await,
        ConfigCommand::Set(arguments) => set::run(session, &arguments).await,
        ConfigCommand::Diff => diff(session, false).await,
        ConfigCommand::Reload(arguments) => reload(session, &arguments).await,
    }
}

/// A document of nested parts reads best as YAML, the language of the files.
async fn show(session: &Session, part: Part) -> Result<Exit, Failure> {
    let client = session.client()?;
    let reply = match part {
        Part::Settings => client.config_settings().await?,
        Part::Inventory => client.config_inventory().await?,
        Part::Playbooks => client.config_playbooks().await?,
        Part::Correlation => client.config_correlation().await?,
    };
    session.show(&reply.body, || match session.format() {
        Format::Csv => {
            Err(Failure::Usage("a configuration is no list: choose json or yaml instead of csv".to_owned()))
        }
        _ => session.print(&yaml(&reply.body)?),
    })
}

async fn diff(session: &Session, force: bool) -> Result<Exit, Failure> {
    let reply = session.client()?.reload(force, Mode::DryRun).await?;
    let changes = reply.value.result().and_then(|reloaded| reloaded.changes.as_deref()).unwrap_or_default();
    session.print_list(&reply.body, CHANGES, changes, "difference between the files and what runs")?;
    if let Outcome::Rehearsed(rehearsal) = &reply.value {
        if !rehearsal.affected_mitigations.is_empty() {
            let count = rehearsal.affected_mitigations.len();
            session.note(&format!("a reload would withdraw {count} living mitigation(s)"));
        }
        note_restart(session, rehearsal.result.as_ref().map_or(&[], |result| &result.restart_required));
    }
    Ok(Exit::Ok)
}

/// Makes the server read its files again; as a dry run, shows the difference.
pub(crate) async fn reload(session: &Session, arguments: &ReloadArgs) -> Result<Exit, Failure> {
    if session.mode() == Mode::DryRun {
        return diff(session, arguments.force).await;
    }
    let reply = session.client()?.reload(arguments.force, Mode::Apply).await?;
    session.show(&reply.body, || {
        if let Outcome::Done(reloaded) = &reply.value {
            let what = if reloaded.reloaded.is_empty() {
                "nothing".to_owned()
            } else {
                reloaded.reloaded.join(", ")
            };
            session.print(&format!("reloaded {}\n", crate::output::printable(&what)))?;
            note_restart(session, &reloaded.restart_required);
        }
        Ok(())
    })
}

fn note_restart(session: &Session, keys: &[String]) {
    if !keys.is_empty() {
        session.note(&format!("active only after a restart: {}", keys.join(", ")));
    }
}
