//! Connections that read. They block no one, and see the last commit.

use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};

use diesel::sqlite::SqliteConnection;
use prefix_core::ports::{PoolState, StoreError};
use tokio::sync::Semaphore;

use super::connect;
use crate::Options;

/// A few connections, opened when they are needed.
pub(super) struct Readers {
    path: PathBuf,
    options: Options,
    permits: Arc<Semaphore>,
    most: usize,
    idle: Arc<Mutex<Vec<SqliteConnection>>>,
}

impl Readers {
    /// All but one of the connections: the other writes.
    pub(super) fn new(path: PathBuf, options: Options) -> Self {
        let most =
            usize::try_from(options.max_connections).unwrap_or(usize::MAX).saturating_sub(1).clamp(1, 64);
        Self { path, options, permits: Arc::new(Semaphore::new(most)), most, idle: Arc::default() }
    }

    /// Runs a query on a thread for blocking work. It ends there even if the caller is gone.
    pub(super) async fn run<T: Send + 'static>(
        &self,
        query: impl FnOnce(&mut SqliteConnection) -> T + Send + 'static,
    ) -> Result<T, StoreError> {
        let unavailable = |problem: String| StoreError::Unavailable(problem);
        let permit = Arc::clone(&self.permits).acquire_owned();
        let permit = tokio::time::timeout(self.options.statement_timeout, permit)
            .await
            .map_err(|_| unavailable("every connection is in use".into()))?
            .map_err(|error| unavailable(error.to_string()))?;
        let idle = Arc::clone(&self.idle);
        let (path, patience) = (self.path.clone(), self.options.statement_timeout);
        let work = move || {
            let waiting = idle.lock().unwrap_or_else(PoisonError::into_inner).pop();
            let mut connection = match waiting {
                Some(connection) => connection,
                None => connect::reader(&path, patience)
                    .map_err(|error| StoreError::Unavailable(error.to_string()))?,
            };
            let result = query(&mut connection);
            idle.lock().unwrap_or_else(PoisonError::into_inner).push(connection);
            drop(permit);
            Ok(result)
        };
        tokio::task::spawn_blocking(work).await.unwrap_or_else(|panic| Err(unavailable(panic.to_string())))
    }

    /// The connections in use and those that wait; the one that writes is not counted.
    pub(super) fn state(&self) -> PoolState {
        let idle = self.idle.lock().unwrap_or_else(PoisonError::into_inner).len();
        PoolState { active: self.most - self.permits.available_permits(), idle }
    }
}
