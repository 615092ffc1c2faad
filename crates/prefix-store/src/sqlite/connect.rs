//! A connection as every part of the store needs it.

use std::path::Path;
use std::time::Duration;

use diesel::connection::SimpleConnection;
use diesel::prelude::Connection;
use diesel::sql_types::Text;
use diesel::sqlite::SqliteConnection;
use prefix_core::address::{Prefix, VictimIp};

use crate::OpenError;

diesel::define_sql_function! {
    /// Whether an address is within a prefix.
    fn is_within(address: Text, prefix: Text) -> Bool;
}

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

/// A connection that cannot write, and does not make the file.
pub(super) fn observer(path: &Path, patience: Duration) -> Result<SqliteConnection, OpenError> {
    // a URI: percent signs, queries and fragments mean something there
    let name = name(path)?.replace('%', "%25").replace('?', "%3f").replace('#', "%23");
    let authority = if path.is_absolute() { "//" } else { "" };
    connect(path, &format!("file:{authority}{name}?mode=ro"), patience, "")
}

fn open(path: &Path, patience: Duration, pragmas: &str) -> Result<SqliteConnection, OpenError> {
    connect(path, name(path)?, patience, pragmas)
}

fn connect(
    path: &Path,
    name: &str,
    patience: Duration,
    pragmas: &str,
) -> Result<SqliteConnection, OpenError> {
    let mut connection =
        SqliteConnection::establish(name).map_err(|error| failed(path, error.to_string()))?;
    // SQLite knows no addresses; PostgreSQL asks the same with `<<=`
    is_within_utils::register_impl(&mut connection, |address: String, prefix: String| {
        let (address, prefix) = (address.parse::<VictimIp>(), prefix.parse::<Prefix>());
        matches!((address, prefix), (Ok(address), Ok(prefix)) if prefix.contains(address))
    })
    .map_err(|error| failed(path, error.to_string()))?;
    let patience = patience.as_millis();
    connection
        .batch_execute(&format!("PRAGMA busy_timeout = {patience}; {pragmas}"))
        .map_err(|error| failed(path, error.to_string()))?;
    Ok(connection)
}

fn name(path: &Path) -> Result<&str, OpenError> {
    path.to_str().ok_or_else(|| failed(path, "the file name is not UTF-8".to_owned()))
}

fn failed(path: &Path, problem: String) -> OpenError {
    OpenError::Unavailable { url: format!("sqlite://{}", path.display()), problem }
}
