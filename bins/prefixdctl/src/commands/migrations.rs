//! `migrations`: the schema of the database that the configuration names, without daemon and API.

use crate::exit::{Exit, Failure};
use crate::output::{Cell, Column, Format, Shown, Tone};
use crate::progress::Progress;
use crate::session::Session;
use chrono::{DateTime, Utc};
use clap::Subcommand;
use prefix_client::Mode;
use prefix_direct::{Database, MigrationState};
use serde::Serialize;

/// What to do about the schema.
#[derive(Debug, Subcommand)]
pub(crate) enum MigrationsCommand {
    /// Which migrations there are, and which the database has
    Status,
    /// Apply those that are missing, all or none; with --dry-run only name them
    Run,
}

const APPLIED: &str = "applied";

/// A migration as it is shown.
#[derive(Debug, Serialize)]
struct Migration {
    version: i64,
    name: &'static str,
    state: &'static str,
    applied_at: Option<DateTime<Utc>>,
}

#[derive(Debug, Serialize)]
struct Document {
    database: String,
    migrations: Vec<Migration>,
}

const MIGRATIONS: &[Column<Migration>] = &[
    Column::new("version", Shown::Always, |row| Cell::text(row.version)),
    Column::new("name", Shown::Always, |row| Cell::text(row.name)),
    Column::new("state", Shown::Always, |row| {
        Cell::Toned(if row.state == APPLIED { Tone::Good } else { Tone::Warn }, row.state.to_owned())
    }),
    Column::new("applied_at", Shown::Always, |row| Cell::time(row.applied_at)),
];

/// Carries the command out.
pub(crate) async fn run(session: &Session, command: &MigrationsCommand) -> Result<Exit, Failure> {
    let database = session.warned(session.config_folder().database()?);
    match command {
        MigrationsCommand::Status => {
            let states = database.migrations(session.timeout()).await?;
            show(session, &database, states)?;
        }
        MigrationsCommand::Run if session.mode() == Mode::DryRun => {
            let mut states = database.migrations(session.timeout()).await?;
            states.retain(|state| !state.is_applied);
            show_applied(session, &database, states, "would apply")?;
        }
        MigrationsCommand::Run => {
            let work = Box::pin(database.migrate(session.timeout()));
            let states = Progress::during(session, "applying migrations", work).await?;
            show_applied(session, &database, states, "applied")?;
        }
    }
    Ok(Exit::Ok)
}

fn show_applied(
    session: &Session,
    database: &Database,
    states: Vec<MigrationState>,
    verb: &str,
) -> Result<(), Failure> {
    let count = states.len();
    show(session, database, states)?;
    session.note(&match count {
        0 => format!("{database} is up to date"),
        1 => format!("{verb} 1 migration to {database}"),
        _ => format!("{verb} {count} migrations to {database}"),
    });
    Ok(())
}

fn show(session: &Session, database: &Database, states: Vec<MigrationState>) -> Result<(), Failure> {
    let shown = |MigrationState { version, name, is_applied, applied_at }| {
        let state = if is_applied { APPLIED } else { "pending" };
        Migration { version, name, state, applied_at }
    };
    let migrations = states.into_iter().map(shown).collect();
    let document = Document { database: database.to_string(), migrations };
    if session.print_own(&document)? || (document.migrations.is_empty() && session.format() != Format::Csv) {
        return Ok(());
    }
    session.print_rows(MIGRATIONS, &document.migrations)
}
