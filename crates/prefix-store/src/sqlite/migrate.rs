//! Migrations on SQLite: all missing ones in one transaction. The version is the database's own `user_version`.

use std::path::Path;

use diesel::connection::SimpleConnection;
use diesel::dsl::sql;
use diesel::prelude::RunQueryDsl;
use diesel::result::QueryResult;
use diesel::sql_types::BigInt;
use diesel::sqlite::SqliteConnection;

use crate::OpenError;
use crate::migrate::{SQLITE, missing};

/// Brings the schema up to date.
pub(super) fn run(connection: &mut SqliteConnection, path: &Path) -> Result<(), OpenError> {
    let failed = |error: diesel::result::Error| OpenError::Unavailable {
        url: format!("sqlite://{}", path.display()),
        problem: error.to_string(),
    };
    connection.batch_execute("BEGIN IMMEDIATE").map_err(failed)?;
    let result = migrate(connection, failed);
    let end = if result.is_ok() { "COMMIT" } else { "ROLLBACK" };
    let ended = connection.batch_execute(end).map_err(failed);
    result.and(ended)
}

fn migrate(
    connection: &mut SqliteConnection,
    failed: impl Fn(diesel::result::Error) -> OpenError,
) -> Result<(), OpenError> {
    let found = version(connection).map_err(&failed)?;
    for migration in missing(SQLITE, found)? {
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
    Ok(())
}

fn version(connection: &mut SqliteConnection) -> QueryResult<i64> {
    diesel::select(sql::<BigInt>("(SELECT user_version FROM pragma_user_version)")).get_result(connection)
}
