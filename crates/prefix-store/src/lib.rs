//! The Store port on Diesel: SQLite (embedded, the default) and PostgreSQL (production).
//!
//! One schema and one set of rows serve both; what differs is how a transaction is run. On SQLite every write runs on
//! one thread with one connection, on PostgreSQL a transaction is a task of its own that sends its statements in as
//! few round trips as it can. In both the caller only decides, so a dropped caller never leaves half a transaction.
#![cfg_attr(test, allow(clippy::unwrap_used, clippy::expect_used))]

mod cache;
mod error;
mod exchange;
mod executor;
mod facts;
mod key;
mod leadership;
mod migrate;
pub mod migrations;
mod page;
mod pg;
mod queries;
mod retry;
mod row;
mod sql;
mod sql_type;
mod sqlite;
mod store;
mod url;
mod writes;

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use prefix_core::Store;
use thiserror::Error;

pub use url::{PostgresUrl, StoreUrl, UrlError};

/// How to use the database.
#[derive(Clone, Copy, Debug)]
pub struct Options {
    /// The most connections, at least 2. On SQLite one of them writes, and one more reads for the engine itself. On
    /// PostgreSQL half of them, at most four, write, and the others read; there are two more for the change feed and
    /// one for leadership, which neither reads nor writes delay.
    pub max_connections: u32,
    /// How long a connection may take to come about.
    pub connect_timeout: Duration,
    /// How long one statement may take, waits for locks included.
    pub statement_timeout: Duration,
    /// SQLite: refuse to start beside another daemon on the same file. Commands that work on the file directly,
    /// beside a running daemon, set it to false.
    pub exclusive: bool,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            max_connections: 10,
            connect_timeout: Duration::from_secs(5),
            statement_timeout: Duration::from_secs(5),
            exclusive: true,
        }
    }
}

/// Why storage cannot be used.
#[derive(Debug, Error)]
pub enum OpenError {
    /// The folder of the database file cannot be made.
    #[error("cannot create the folder {}: {source}", path.display())]
    Folder {
        /// The folder.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// The permissions of a file of the database cannot be read or set.
    #[error("cannot restrict {} to its owner: {source}", path.display())]
    Permissions {
        /// The file.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// The lock file cannot be used.
    #[error("cannot use the lock file {}: {source}", path.display())]
    LockFile {
        /// The lock file.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// Another daemon uses the same file.
    #[error(
        "{} is in use by another prefixd: stop it, or give this one a storage.url of its own (several instances \
         share a PostgreSQL database)", path.display()
    )]
    InUse {
        /// The database file.
        path: PathBuf,
    },
    /// The certificates that the URL asks for cannot be used.
    #[error("cannot set up tls to the database: {0}")]
    Tls(String),
    /// The database does not answer as it should.
    #[error("cannot open {url}: {problem}")]
    Unavailable {
        /// Which database, without credentials.
        url: String,
        /// What it said.
        problem: String,
    },
    /// A newer program has been here.
    #[error(
        "the database is at schema version {found}, this prefixd knows {known}: run a prefixd that is at least as \
         new as the one that migrated it, or restore the backup from before"
    )]
    Newer {
        /// The version of the database.
        found: i64,
        /// The newest version that this program knows.
        known: i64,
    },
    /// A migration failed; the database is as it was before.
    #[error("migration {version} ({name}) failed: {problem}")]
    Migration {
        /// Its number.
        version: i64,
        /// Its name.
        name: &'static str,
        /// What the database said.
        problem: String,
    },
}

/// Opens the database, brings its schema up to date, and returns the store.
///
/// SQLite: folder and file are made if they are missing. Several programs may open one PostgreSQL database at the
/// same time: one migrates, the others wait for it.
pub async fn open(url: &StoreUrl, options: Options) -> Result<Arc<dyn Store>, OpenError> {
    Ok(match url {
        StoreUrl::Sqlite(path) => Arc::new(sqlite::open(path, options).await?),
        StoreUrl::Postgres(url) => Arc::new(pg::open(url, options).await?),
    })
}
