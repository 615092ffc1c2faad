//! A connection as every part of the store needs it.

use std::path::Path;
use std::time::Duration;

use diesel::connection::SimpleConnection;
use diesel::prelude::Connection;
use diesel::sqlite::SqliteConnection;

use crate::OpenError;

/// A connection that writes: durable at every commit.
pub(super) fn writer(path: &Path, patience: Duration) -> Result<SqliteConnection, OpenError> {
    // The write-ahead log lets readers go on while one writes; with `FULL` a commit is on disk before it is answered.
    open(
        path,
        patience,
        "PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL; PRAGMA foreign_keys = ON;
         PRAGMA journal_size_limit = 67108864;",
    )
}

/// A connection that only reads.
pub(super) fn reader(path: &Path, patience: Duration) -> Result<SqliteConnection, OpenError> {
    open(path, patience, "PRAGMA query_only = ON;")
}

fn open(path: &Path, patience: Duration, pragmas: &str) -> Result<SqliteConnection, OpenError> {
    let failed =
        |problem: String| OpenError::Unavailable { url: format!("sqlite://{}", path.display()), problem };
    let name = path.to_str().ok_or_else(|| failed("the file name is not UTF-8".to_owned()))?;
    let mut connection = SqliteConnection::establish(name).map_err(|error| failed(error.to_string()))?;
    let patience = patience.as_millis();
    connection
        .batch_execute(&format!("PRAGMA busy_timeout = {patience}; {pragmas}"))
        .map_err(|error| failed(error.to_string()))?;
    Ok(connection)
}
