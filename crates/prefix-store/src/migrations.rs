//! Migrations for the hand: which there are, which the database has, and applying the rest without starting a daemon.

use chrono::{DateTime, Utc};

use crate::migrate::{self, Migration};
use crate::{OpenError, Options, StoreUrl, pg, sqlite};

/// One migration of this program, and whether the database has it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct MigrationState {
    /// Its number, from 1 on, in the order in which they are applied.
    pub version: i64,
    /// Its name.
    pub name: &'static str,
    /// Whether the database has it.
    pub is_applied: bool,
    /// Since when; SQLite does not keep it.
    pub applied_at: Option<DateTime<Utc>>,
}

/// What the database says of itself.
pub(crate) struct Found {
    /// The version; 0 if nothing of ours is there.
    pub(crate) version: i64,
    /// When each version came, as far as the database keeps it.
    pub(crate) times: Vec<(i64, DateTime<Utc>)>,
}

/// Every migration that this program knows, in their order.
///
/// Changes nothing: an SQLite file that does not exist is not made, and a daemon may be using the database meanwhile.
///
/// # Errors
/// [`OpenError::Newer`] if a newer program has been here, [`OpenError::Unavailable`] if the database cannot be read.
pub async fn status(url: &StoreUrl, options: Options) -> Result<Vec<MigrationState>, OpenError> {
    let (known, found) = match url {
        StoreUrl::Sqlite(path) => (migrate::SQLITE, sqlite::found(path, options).await?),
        StoreUrl::Postgres(url) => (migrate::POSTGRES, pg::found(url, options).await?),
    };
    states(known, &found)
}

/// Applies what is missing, all of it or nothing, and returns it.
///
/// If nothing is missing the database is not touched, whoever uses it. Otherwise a daemon that holds the same SQLite
/// file is an older program, whose tables are not changed under it. On PostgreSQL it waits for others that migrate.
///
/// # Errors
/// Those of [`crate::open`].
pub async fn run(url: &StoreUrl, options: Options) -> Result<Vec<MigrationState>, OpenError> {
    let mut pending = status(url, options).await?;
    pending.retain(|migration| !migration.is_applied);
    if pending.is_empty() {
        return Ok(pending);
    }
    let applied = match url {
        StoreUrl::Sqlite(path) => sqlite::migrate(path, Options { exclusive: true, ..options }).await?,
        StoreUrl::Postgres(url) => pg::migrate(url, options).await?,
    };
    let mut states = status(url, options).await?;
    states.retain(|state| applied.iter().any(|migration| migration.version == state.version));
    Ok(states)
}

fn states(known: &'static [Migration], found: &Found) -> Result<Vec<MigrationState>, OpenError> {
    migrate::missing(known, found.version)?;
    let state = |&Migration { version, name, .. }: &Migration| MigrationState {
        version,
        name,
        is_applied: version <= found.version,
        applied_at: found.times.iter().find(|(applied, _)| *applied == version).map(|&(_, time)| time),
    };
    Ok(known.iter().map(state).collect())
}
