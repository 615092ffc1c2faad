//! `migrations`: the schema of the database that the configuration names, without daemon and API.

use crate::exit::{Exit, Failure};
use crate::output::{Cell, Column, Format, Shown, Tone};
use crate::progress::Progress;
use crate::session::Session;
use chrono::{DateTime, Utc};
use clap::Subcommand;
use prefix_client::Mode;
use prefix_config::Environment;
use prefix_config::folder::{ConfigSource, Files};
use prefix_store::migrations::{self, MigrationState};
use prefix_store::{OpenError, Options, StoreUrl};
use serde::Serialize;
use std::time::Duration;

/// How often the bar looks at the clock.
const TICK: Duration = Duration::from_millis(100);

/// What to do about the schema.
#[derive(Debug, Subcommand)]
pub(crate) enum MigrationsCommand {
    /// Which migrations there are, and which the database has
    Status,
    /// Apply those that are missing, all or none; with --dry-run only name them
    Run,
}

/// A migration as it is shown.
#[derive(Debug, Serialize)]
struct Migration {
    version: i64,
    name: &'static str,
    state: State,
    applied_at: Option<DateTime<Utc>>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
enum State {
    Applied,
    Pending,
}

#[derive(Debug, Serialize)]
struct Document {
    database: String,
    migrations: Vec<Migration>,
}

const MIGRATIONS: &[Column<Migration>] = &[
    Column::new("version", Shown::Always, |row| Cell::text(row.version)),
    Column::new("name", Shown::Always, |row| Cell::text(row.name)),
    Column::new("state", Shown::Always, |row| match row.state {
        State::Applied => Cell::Toned(Tone::Good, "applied".to_owned()),
        State::Pending => Cell::Toned(Tone::Warn, "pending".to_owned()),
    }),
    Column::new("applied_at", Shown::Always, |row| Cell::time(row.applied_at)),
];

impl From<MigrationState> for Migration {
    fn from(migration: MigrationState) -> Self {
        let MigrationState { version, name, is_applied, applied_at } = migration;
        let state = if is_applied { State::Applied } else { State::Pending };
        Self { version, name, state, applied_at }
    }
}

/// Carries the command out.
pub(crate) async fn run(session: &Session, command: &MigrationsCommand) -> Result<Exit, Failure> {
    let url = database(session)?;
    let options = Options { max_connections: 1, connect_timeout: session.timeout(), ..Options::default() };
    match command {
        MigrationsCommand::Status => {
            let states = migrations::status(&url, options).await.map_err(|error| failure(&url, error))?;
            show(session, &url, states)?;
        }
        MigrationsCommand::Run if session.mode() == Mode::DryRun => {
            let mut states = migrations::status(&url, options).await.map_err(|error| failure(&url, error))?;
            states.retain(|state| !state.is_applied);
            let pending = states.len();
            show(session, &url, states)?;
            session.note(&match pending {
                0 => format!("{url} is up to date"),
                pending => format!("would apply {} to {url}", count(pending)),
            });
        }
        MigrationsCommand::Run => {
            let states = apply(session, &url, options).await.map_err(|error| failure(&url, error))?;
            let applied = states.len();
            show(session, &url, states)?;
            session.note(&match applied {
                0 => format!("{url} is up to date"),
                applied => format!("applied {} to {url}", count(applied)),
            });
        }
    }
    Ok(Exit::Ok)
}

fn count(migrations: usize) -> String {
    if migrations == 1 { "1 migration".to_owned() } else { format!("{migrations} migrations") }
}

/// What --config says of the database; `DATABASE_URL` wins.
fn database(session: &Session) -> Result<StoreUrl, Failure> {
    let environment: Environment = std::env::vars_os()
        .filter_map(|(name, value)| Some((name.into_string().ok()?, value.into_string().ok()?)))
        .collect();
    let source = ConfigSource::new(Files::Folder(session.config_dir().to_path_buf()), environment);
    let loaded = source.load_storage();
    let lines: Vec<String> =
        loaded.diagnostics.iter().map(|diagnostic| diagnostic.in_folder(source.folder())).collect();
    let Some(url) = loaded.value else {
        return Err(Failure::Invalid(format!("the configuration cannot be used\n{}", lines.join("\n"))));
    };
    lines.iter().for_each(|line| session.note(line));
    Ok(url)
}

/// All of them are one transaction, so the bar only tells that it goes on.
async fn apply(
    session: &Session,
    url: &StoreUrl,
    options: Options,
) -> Result<Vec<MigrationState>, OpenError> {
    let mut progress = Progress::without_count(session, "applying migrations");
    let work = migrations::run(url, options);
    tokio::pin!(work);
    loop {
        match tokio::time::timeout(TICK, &mut work).await {
            Ok(outcome) => return outcome,
            Err(_) => progress.advance(0),
        }
    }
}

fn failure(url: &StoreUrl, error: OpenError) -> Failure {
    match (error, url) {
        (OpenError::InUse { path }, _) => Failure::Invalid(format!(
            "{} is in use by a prefixd that is older than this program: stop it, then run the migrations, or start \
             a new prefixd, which runs them itself",
            path.display()
        )),
        (error @ OpenError::Unavailable { .. }, StoreUrl::Postgres(_)) => {
            Failure::Connection(error.to_string())
        }
        (error, _) => Failure::General(error.to_string()),
    }
}

fn show(session: &Session, url: &StoreUrl, states: Vec<MigrationState>) -> Result<(), Failure> {
    let migrations = states.into_iter().map(Migration::from).collect();
    let document = Document { database: url.to_string(), migrations };
    let body = serde_json::to_vec(&document)
        .map_err(|error| Failure::General(format!("the migrations cannot be written: {error}")))?;
    if session.print_document(&body)? {
        return Ok(());
    }
    if document.migrations.is_empty() && session.format() != Format::Csv {
        return Ok(());
    }
    session.print_rows(MIGRATIONS, &document.migrations)
}
