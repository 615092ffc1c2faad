//! SQLite: one thread writes, a few connections read. Every transaction begins as a writer (`BEGIN IMMEDIATE`), so it
//! never has to give up half-way because another one wrote in between.

mod access;
mod connect;
mod leadership;
mod lock;
mod migrate;
#[cfg(test)]
mod plans;
mod prune;
mod readers;
mod seal;
mod snapshot;
mod transact;
mod wal;
mod write;
mod writer;

use std::path::Path;
use std::sync::Arc;

use async_trait::async_trait;
use diesel::result::QueryResult;
use diesel::sqlite::SqliteConnection;
use futures::executor::block_on;
use futures::future::BoxFuture;
use prefix_core::id::InstanceId;
use prefix_core::name::Pop;
use prefix_core::ports::{
    Candidacy, ChangeFeed, ChangeSet, ChangedRows, Election, Epoch, FeedCursor, Leadership, PoolState,
    ReadSet, Retention, RowChanges, Snapshot, StoreError,
};

use crate::cache::Cache;
use crate::error::{Failure, from_diesel};
use crate::executor::Executor;
use crate::migrate::Migration;
use crate::migrations::Found;
use crate::sql::{Fetched, Sql};
use crate::store::{Database, Lane, SqlStore};
use crate::{OpenError, Options};
use lock::Lock;
use readers::Readers;
use wal::Wal;
use writer::{Slot, Writer};

/// A database in one file.
pub(crate) struct Sqlite {
    writer: Writer,
    readers: Readers,
    wal: Wal,
    // released after writer and readers are gone
    _lock: Option<Lock>,
}

/// Opens or makes the database.
pub(crate) async fn open(path: &Path, options: Options) -> Result<SqlStore<Sqlite>, OpenError> {
    let path = path.to_owned();
    blocking(move || {
        let Migrated { connection, lock, .. } = migrated(&path, options)?;
        Ok(SqlStore::new(Sqlite {
            writer: Writer::start(connection, path.clone(), options.statement_timeout),
            wal: Wal::of(&path),
            readers: Readers::new(path, options),
            _lock: lock,
        }))
    })
    .await
}

/// Opens or makes the database for the migrations only, and returns those that were missing.
pub(crate) async fn migrate(path: &Path, options: Options) -> Result<&'static [Migration], OpenError> {
    let path = path.to_owned();
    blocking(move || Ok(migrated(&path, options)?.applied)).await
}

/// What the file has, without changing it.
pub(crate) async fn found(path: &Path, options: Options) -> Result<Found, OpenError> {
    let path = path.to_owned();
    blocking(move || migrate::found(&path, options.statement_timeout)).await
}

/// A database that is up to date.
struct Migrated {
    // closed before the lock is released
    connection: SqliteConnection,
    lock: Option<Lock>,
    applied: &'static [Migration],
}

fn migrated(path: &Path, options: Options) -> Result<Migrated, OpenError> {
    if let Some(folder) = path.parent().filter(|folder| !folder.as_os_str().is_empty()) {
        std::fs::create_dir_all(folder)
            .map_err(|source| OpenError::Folder { path: folder.to_owned(), source })?;
    }
    let lock = options.exclusive.then(|| Lock::take(path)).transpose()?;
    access::restrict(path)?;
    let mut connection = connect::writer(path, options.statement_timeout)?;
    let applied = migrate::run(&mut connection, path)?;
    Ok(Migrated { connection, lock, applied })
}

async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, OpenError> + Send + 'static,
) -> Result<T, OpenError> {
    tokio::task::spawn_blocking(work).await.unwrap_or_else(|panic| {
        Err(OpenError::Unavailable { url: "sqlite".to_owned(), problem: panic.to_string() })
    })
}

impl Sqlite {
    async fn write<T: Send + 'static>(
        &self,
        work: impl FnOnce(&mut Slot) -> Result<T, Failure> + Send + 'static,
    ) -> Result<T, StoreError> {
        self.writer.run(work).await?.map_err(|failure| failure.error)
    }
}

impl Database for Sqlite {
    type Connection = SqliteConnection;
    type Course = ();

    fn begin(&self) {}

    async fn read<T: Send + 'static>(
        &self,
        lane: Lane,
        query: impl for<'c> FnOnce(&'c mut SqliteConnection) -> BoxFuture<'c, QueryResult<T>> + Send + 'static,
    ) -> Result<T, StoreError> {
        let read = self.readers.run(lane, |connection| block_on(query(connection)));
        read.await?.map_err(|error| from_diesel(&error))
    }

    async fn attempt(
        &self,
        reads: &Arc<ReadSet>,
        cache: &Arc<Cache>,
        (): &mut (),
        decide: &mut (dyn FnMut(Snapshot) -> ChangeSet + Send),
    ) -> Result<(), Failure> {
        let done = transact::run(&self.writer, reads, cache, decide).await;
        self.wal.after_commit(&self.readers, &self.writer);
        done
    }

    async fn seal(&self, pop: &Pop, leader: Epoch, limit: u32) -> Result<u32, StoreError> {
        let pop = pop.clone();
        self.write(move |slot| seal::run(slot, pop.as_str(), leader, limit)).await
    }

    async fn execute(&self, sql: Sql) -> Result<usize, StoreError> {
        self.write(move |slot| {
            slot.transaction(|connection| Ok((execute(connection, sql)?, writer::End::Commit)))
        })
        .await
    }

    async fn prune(&self, retention: Retention, limit: u32) -> Result<u64, StoreError> {
        self.write(move |slot| prune::run(slot, &retention, limit)).await
    }

    fn pool(&self) -> PoolState {
        self.readers.state()
    }
}

#[async_trait]
impl Leadership for SqlStore<Sqlite> {
    fn is_shared(&self) -> bool {
        false
    }

    async fn claim(&self, candidacy: &Candidacy) -> Result<Election, StoreError> {
        crate::leadership::check(candidacy)?;
        let asked = candidacy.clone();
        let renewed = self
            .database
            .readers
            .run(Lane::Engine, move |connection| leadership::renewed(connection, &asked));
        if let Some(election) = renewed.await?.map_err(|error| from_diesel(&error))? {
            return Ok(election);
        }
        let asked = candidacy.clone();
        self.database.write(move |slot| leadership::claim(slot, &asked)).await
    }

    async fn resign(&self, pop: &Pop, instance: InstanceId, epoch: Option<Epoch>) -> Result<(), StoreError> {
        let (pop, epoch) = (pop.clone(), epoch.map(|epoch| epoch.0));
        self.database.write(move |slot| leadership::resign(slot, &pop, instance, epoch)).await
    }
}

#[async_trait]
impl ChangeFeed for SqlStore<Sqlite> {
    /// There are no others.
    async fn changes(
        &self,
        _: &Pop,
        _: InstanceId,
        since: Option<FeedCursor>,
    ) -> Result<RowChanges, StoreError> {
        let changed = if since.is_some() { ChangedRows::Only(Vec::new()) } else { ChangedRows::Anything };
        Ok(RowChanges { cursor: FeedCursor(0), changed })
    }
}

/// Every row of a query, on the thread at work.
fn fetch_all<R: Fetched>(connection: &mut SqliteConnection, sql: Sql<R>) -> QueryResult<Vec<R>> {
    block_on(connection.fetch_all(sql))
}

/// The first row.
fn fetch_one<R: Fetched>(connection: &mut SqliteConnection, sql: Sql<R>) -> QueryResult<Option<R>> {
    block_on(connection.fetch_one(sql))
}

/// Changes rows; returns how many.
fn execute(connection: &mut SqliteConnection, sql: Sql) -> QueryResult<usize> {
    block_on(connection.execute(sql))
}
