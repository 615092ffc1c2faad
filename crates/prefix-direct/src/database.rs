//! The database that the configuration folder names, without the daemon.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use prefix_core::Store;
use prefix_store::migrations::{self, MigrationState};
use prefix_store::{OpenError, Options, StoreUrl};

use crate::error::DirectError;

/// A database that is not open yet. It is shown as its URL without credentials.
#[derive(Debug, Clone)]
pub struct Database(pub(crate) StoreUrl);

impl Database {
    /// All migrations of this program, and which of them the database has. `timeout` is for the connection.
    pub async fn migrations(&self, timeout: Duration) -> Result<Vec<MigrationState>, DirectError> {
        migrations::status(&self.0, single(timeout)).await.map_err(|error| self.error(error))
    }

    /// Applies the migrations that are missing, all or none, and returns them.
    pub async fn migrate(&self, timeout: Duration) -> Result<Vec<MigrationState>, DirectError> {
        migrations::run(&self.0, single(timeout)).await.map_err(|error| self.error(error))
    }

    /// Opens it beside a running daemon, if its schema is up to date: who only reads changes nothing, not even that.
    /// `timeout` is for the connection and for each statement.
    pub(crate) async fn open(&self, timeout: Duration) -> Result<Arc<dyn Store>, DirectError> {
        let options = Options {
            max_connections: 4,
            connect_timeout: timeout,
            statement_timeout: timeout,
            exclusive: false,
        };
        let states = migrations::status(&self.0, options).await.map_err(|error| self.error(error))?;
        if states.iter().any(|state| !state.is_applied) {
            return Err(DirectError::Unmigrated { url: self.0.clone() });
        }
        prefix_store::open(&self.0, options).await.map_err(|error| self.error(error))
    }

    fn error(&self, error: OpenError) -> DirectError {
        match (error, &self.0) {
            (OpenError::InUse { path }, _) => DirectError::InUse { path },
            (error @ OpenError::Unavailable { .. }, StoreUrl::Postgres(_)) => DirectError::NoDatabase(error),
            (error, _) => DirectError::Database(error),
        }
    }
}

impl fmt::Display for Database {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(out)
    }
}

/// Migrations are one transaction.
fn single(timeout: Duration) -> Options {
    Options { max_connections: 1, connect_timeout: timeout, ..Options::default() }
}
