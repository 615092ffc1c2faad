//! PostgreSQL: a transaction is a task of its own that reads all facts in one round trip, writes everything in
//! another, and never returns a connection in the middle of a transaction.

mod access;
mod begin;
mod course;
mod customers;
mod event_days;
mod feed;
mod fence;
mod grant;
mod leadership;
mod log;
mod migrate;
mod pool;
mod pooler;
mod prune;
mod seal;
mod snapshot;
mod tls;
mod transact;
mod write;

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use async_trait::async_trait;
use chrono::Utc;
use diesel::result::QueryResult;
use diesel_async::AsyncPgConnection;
use futures::FutureExt;
use futures::future::BoxFuture;
use prefix_core::id::InstanceId;
use prefix_core::name::Pop;
use prefix_core::ports::{
    Candidacy, ChangeFeed, ChangeSet, Election, Epoch, FeedCursor, Leadership, PoolState, ReadSet, Retention,
    RowChanges, Snapshot, StoreError,
};

use crate::cache::Cache;
use crate::error::Failure;
use crate::executor::Executor;
use crate::migrate::Migration;
use crate::migrations::Found;
use crate::sql::Sql;
use crate::store::{Database, Lane, SqlStore};
use crate::{OpenError, Options, PostgresUrl};
use course::{Contention, Course};
use pool::Pool;

/// More writers than that only wait for each other.
const MOST_WRITERS: u32 = 4;
/// One looks at the feed, the other reads the rows that it names.
const FEED: u32 = 2;

/// A database on a server. What must not wait for something else has connections of its own.
pub(crate) struct Postgres {
    /// For lists and counts: however many wait for a slow answer, they delay only each other.
    reads: Pool,
    /// For units of work, and what is done beside them: seals, pruning.
    writes: Pool,
    /// For following what other instances commit.
    feed: Pool,
    /// For leadership: nothing may delay a renewal.
    claims: Pool,
    cursors: feed::Cursors,
    contention: Contention,
    /// True while the feed is being pruned.
    is_pruning: Arc<AtomicBool>,
}

/// Connects and migrates.
pub(crate) async fn open(url: &PostgresUrl, options: Options) -> Result<SqlStore<Postgres>, OpenError> {
    let most = options.max_connections.max(2);
    let writers = (most / 2).clamp(1, MOST_WRITERS);
    let writes = Pool::new(url, options, writers)?;
    migrate_by(&writes, url).await?;
    event_days::provide(&writes, Utc::now()).await.map_err(|error| unavailable(url, &error))?;
    Ok(SqlStore::new(Postgres {
        reads: Pool::new(url, options, most - writers)?,
        writes,
        feed: Pool::new(url, options, FEED)?,
        claims: Pool::new(url, options, 1)?,
        cursors: feed::Cursors::default(),
        contention: Contention::default(),
        is_pruning: Arc::default(),
    }))
}

/// Connects for the migrations only, and returns those that were missing.
pub(crate) async fn migrate(url: &PostgresUrl, options: Options) -> Result<&'static [Migration], OpenError> {
    migrate_by(&Pool::new(url, options, 1)?, url).await
}

/// What the database has, without changing it.
pub(crate) async fn found(url: &PostgresUrl, options: Options) -> Result<Found, OpenError> {
    let pool = Pool::new(url, options, 1)?;
    pool.run(|connection| migrate::found(connection).boxed()).await.map_err(|error| unavailable(url, &error))
}

async fn migrate_by(pool: &Pool, url: &PostgresUrl) -> Result<&'static [Migration], OpenError> {
    let mut lease = pool.get().await.map_err(|error| unavailable(url, &error))?;
    let migrated = migrate::run(&mut lease, url).await;
    if migrated.is_err() {
        lease.discard();
    }
    migrated
}

fn unavailable(url: &PostgresUrl, error: &StoreError) -> OpenError {
    OpenError::Unavailable { url: url.to_string(), problem: error.to_string() }
}

impl Postgres {
    /// Prunes the feed beside the caller, who does not wait for it.
    fn prune_feed(&self) {
        if self.is_pruning.swap(true, Ordering::AcqRel) {
            return;
        }
        let (pool, is_pruning) = (self.writes.clone(), Arc::clone(&self.is_pruning));
        tokio::spawn(async move {
            if let Err(error) = feed::prune(&pool).await {
                tracing::debug!(%error, "the feed of changes was not pruned; the next attempt comes in a second");
            }
            is_pruning.store(false, Ordering::Release);
        });
    }
}

impl Database for Postgres {
    type Connection = AsyncPgConnection;
    type Course = Course;

    fn begin(&self) -> Course {
        Course::new(&self.contention)
    }

    async fn read<T: Send + 'static>(
        &self,
        lane: Lane,
        query: impl for<'c> FnOnce(&'c mut AsyncPgConnection) -> BoxFuture<'c, QueryResult<T>> + Send + 'static,
    ) -> Result<T, StoreError> {
        let pool = match lane {
            Lane::People => &self.reads,
            Lane::Engine => &self.feed,
        };
        pool.run(query).await
    }

    async fn attempt(
        &self,
        reads: &Arc<ReadSet>,
        cache: &Arc<Cache>,
        course: &mut Course,
        decide: &mut (dyn FnMut(Snapshot) -> ChangeSet + Send),
    ) -> Result<(), Failure> {
        transact::run(&self.writes, reads, cache, course, decide).await
    }

    async fn seal(&self, pop: &Pop, leader: Epoch, limit: u32) -> Result<u32, StoreError> {
        seal::run(&self.writes, pop, leader, limit).await
    }

    async fn execute(&self, sql: Sql) -> Result<usize, StoreError> {
        self.writes.run(move |client| client.execute(sql).boxed()).await
    }

    async fn prune(&self, retention: Retention, limit: u32) -> Result<u64, StoreError> {
        prune::run(&self.writes, retention, limit).await
    }

    fn pool(&self) -> PoolState {
        self.reads.state() + self.writes.state() + self.feed.state() + self.claims.state()
    }
}

#[async_trait]
impl Leadership for SqlStore<Postgres> {
    fn is_shared(&self) -> bool {
        true
    }

    async fn claim(&self, candidacy: &Candidacy) -> Result<Election, StoreError> {
        let election = leadership::claim(&self.database.claims, candidacy).await?;
        if election.won_by(candidacy.instance).is_some() {
            self.database.prune_feed();
        }
        Ok(election)
    }

    async fn resign(&self, pop: &Pop, instance: InstanceId, epoch: Option<Epoch>) -> Result<(), StoreError> {
        leadership::resign(&self.database.claims, pop, instance, epoch).await
    }
}

#[async_trait]
impl ChangeFeed for SqlStore<Postgres> {
    async fn changes(
        &self,
        pop: &Pop,
        reader: InstanceId,
        since: Option<FeedCursor>,
    ) -> Result<RowChanges, StoreError> {
        feed::changes(&self.database.feed, &self.database.cursors, pop, reader, since).await
    }
}
