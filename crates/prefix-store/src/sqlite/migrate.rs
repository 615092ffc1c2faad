//! Migrations on SQLite: all missing ones in one transaction. The version is the database's own `user_version`.

use std::path::Path;
use std::time::Duration;

use diesel::connection::SimpleConnection;
use diesel::dsl::sql;
use diesel::prelude::RunQueryDsl;
use diesel::result::{Error, QueryResult};
use diesel::sql_types::BigInt;
use diesel::sqlite::SqliteConnection;

use super::connect;
use crate::OpenError;
use crate::migrate::{Migration, SQLITE, missing};
use crate::migrations::Found;

/// Brings the schema up to date, and returns what was missing.
pub(super) fn run(connection: &mut SqliteConnection, path: &Path) -> Result<&'static [Migration], OpenError> {
    let failed = |error: Error| unavailable(path, &error);
    connection.batch_execute("BEGIN IMMEDIATE").map_err(failed)?;
    let result = migrate(connection, failed);
    let end = if result.is_ok() { "COMMIT" } else { "ROLLBACK" };
    let ended = connection.batch_execute(end).map_err(failed);
    result.and_then(|applied| ended.map(|()| applied))
}

/// What the file has. One that does not exist is not made.
pub(super) fn found(path: &Path, patience: Duration) -> Result<Found, OpenError> {
    let exists = path.try_exists().map_err(|error| unavailable(path, &error))?;
    let version = if exists {
        let mut connection = connect::observer(path, patience)?;
        version(&mut connection).map_err(|error| unavailable(path, &error))?
    } else {
        0
    };
    Ok(Found { version, times: Vec::new() })
}

fn unavailable(path: &Path, problem: &impl ToString) -> OpenError {
    OpenError::Unavailable { url: format!("sqlite://{}", path.display()), problem: problem.to_string() }
}

fn migrate(
    connection: &mut SqliteConnection,
    failed: impl Fn(Error) -> OpenError,
) -> Result<&'static [Migration], OpenError> {
    let found = version(connection).map_err(&failed)?;
    let missing = missing(SQLITE, found)?;
    for migration in missing {
        let version = migration.version;
        connection
            .batch_execute(migration.sql)
            .and_then(|()| connection.batch_execute(&format!("PRAGMA user_version = {version}")))
            .map_err(|error| OpenError::Migration {
                version,
                name: migration.name,
                problem: error.to_string(),
            })?;
        tracing::info!(version, name = migration.name, "the database was migrated");
    }
    Ok(missing)
}

fn version(connection: &mut SqliteConnection) -> QueryResult<i64> {
    diesel::select(sql::<BigInt>("(SELECT user_version FROM pragma_user_version)")).get_result(connection)
}
