//! Connections that read. They block no one, and see the last commit.

use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};

use diesel::sqlite::SqliteConnection;
use prefix_core::ports::{PoolState, StoreError};
use tokio::sync::{OwnedSemaphorePermit, RwLock, Semaphore};

use super::connect;
use crate::Options;
use crate::store::Lane;

/// A few connections, opened when they are needed.
pub(super) struct Readers {
    path: PathBuf,
    options: Options,
    people: Arc<Semaphore>,
    engine: Arc<Semaphore>,
    most: usize,
    idle: Arc<Mutex<Vec<SqliteConnection>>>,
    gate: Gate,
}

/// Shared by those that read; whoever has it alone knows that nobody reads.
pub(super) type Gate = Arc<RwLock<()>>;

impl Readers {
    /// All but one of the connections: the other writes. One more is the engine's.
    pub(super) fn new(path: PathBuf, options: Options) -> Self {
        let most =
            usize::try_from(options.max_connections).unwrap_or(usize::MAX).saturating_sub(1).clamp(1, 64);
        let (people, engine) = (Arc::new(Semaphore::new(most)), Arc::new(Semaphore::new(1)));
        Self { path, options, people, engine, most, idle: Arc::default(), gate: Arc::default() }
    }

    /// Runs a query on a thread for blocking work. It ends there even if the caller is gone.
    pub(super) async fn run<T: Send + 'static>(
        &self,
        lane: Lane,
        query: impl FnOnce(&mut SqliteConnection) -> T + Send + 'static,
    ) -> Result<T, StoreError> {
        let permit = self.permit(lane).await?;
        let gate = Arc::clone(&self.gate).read_owned().await;
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
            drop((permit, gate));
            Ok(result)
        };
        let read = tokio::task::spawn_blocking(work);
        read.await.unwrap_or_else(|panic| Err(StoreError::Unavailable(panic.to_string())))
    }

    /// What every reader shares.
    pub(super) fn gate(&self) -> Gate {
        Arc::clone(&self.gate)
    }

    async fn permit(&self, lane: Lane) -> Result<OwnedSemaphorePermit, StoreError> {
        let permits = match lane {
            Lane::People => &self.people,
            Lane::Engine => &self.engine,
        };
        let permit = Arc::clone(permits).acquire_owned();
        tokio::time::timeout(self.options.statement_timeout, permit)
            .await
            .map_err(|_| StoreError::Unavailable("every connection to the database is in use".into()))?
            .map_err(|error| StoreError::Unavailable(error.to_string()))
    }

    /// The connections in use and those that wait; the one that writes is not counted.
    pub(super) fn state(&self) -> PoolState {
        let idle = self.idle.lock().unwrap_or_else(PoisonError::into_inner).len();
        let free = self.people.available_permits() + self.engine.available_permits();
        PoolState { active: (self.most + 1).saturating_sub(free), idle }
    }
}
