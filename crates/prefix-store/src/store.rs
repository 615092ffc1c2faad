//! The store over either database: what both do alike. What differs stands in `pg` and `sqlite`.

mod access;

use std::collections::BTreeMap;
use std::sync::Arc;

use async_trait::async_trait;
use chrono::{DateTime, Utc};
use diesel::result::QueryResult;
use futures::FutureExt;
use futures::future::BoxFuture;
use prefix_core::audit::AuditEntry;
use prefix_core::audit_chain::ChainHead;
use prefix_core::event::Event;
use prefix_core::id::{EventId, GroupId, MitigationId, PanicId};
use prefix_core::mitigation::Mitigation;
use prefix_core::name::{CustomerId, Pop, SourceName};
use prefix_core::page::{Cursor, Page};
use prefix_core::panic::PanicScope;
use prefix_core::ports::{
    AuditLog, AuditQuery, Bucket, ChangeSet, CorroborationHistoryQuery, Epoch, EventQuery, GroupQuery,
    History, HistoryQuery, Maintenance, MitigationQuery, PoolState, PopStats, ReadSet, Reads, Retention,
    SeriesQuery, SignalReads, Snapshot, SourceActivity, Statistics, StoreError, Totals, Transactions,
    WaitingCorroborations,
};
use prefix_core::safelist::Safelist;
use prefix_core::signal::{Corroboration, SignalGroup};

use crate::cache::Cache;
use crate::error::Failure;
use crate::executor::Executor;
use crate::page::{self, Place, Recording};
use crate::queries::mitigations::StatusPartition;
use crate::queries::retention::HorizonRow;
use crate::queries::statistics::BucketRow;
use crate::queries::{
    admission, audit, events, mitigations, panic, retention, safelist, signals, statistics,
};
use crate::retry::Retry;
use crate::row::{self, EventRow, GroupRow, HeadRow, MitigationRow, PanicRow, Parsed, SealedAuditRow};
use crate::sql::{Fetched, Sql, VALUES_AT_ONCE};
use crate::sql_type::{Id, Micros};

/// Which connections a read takes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Lane {
    /// Those for lists and counts that people ask for, however many of them wait for a slow answer.
    People,
    /// Those that the engine relies on to follow what is committed, which no list may hold up.
    Engine,
}

/// One of the databases: how it runs queries, units of work, and what changes rows beside them.
pub(crate) trait Database: Send + Sync + 'static {
    type Connection: Executor;
    /// What a unit of work learns from one attempt for the next.
    type Course: Send;

    /// Before the first attempt.
    fn begin(&self) -> Self::Course;

    /// Runs queries that change nothing on one connection of the lane.
    fn read<T: Send + 'static>(
        &self,
        lane: Lane,
        query: impl for<'c> FnOnce(&'c mut Self::Connection) -> BoxFuture<'c, QueryResult<T>> + Send + 'static,
    ) -> impl Future<Output = Result<T, StoreError>> + Send;

    /// Runs a unit of work once.
    fn attempt(
        &self,
        reads: &Arc<ReadSet>,
        cache: &Arc<Cache>,
        course: &mut Self::Course,
        decide: &mut (dyn FnMut(Snapshot) -> ChangeSet + Send),
    ) -> impl Future<Output = Result<(), Failure>> + Send;

    /// Seals up to `limit` audit entries; returns how many.
    fn seal(
        &self,
        pop: &Pop,
        leader: Epoch,
        limit: u32,
    ) -> impl Future<Output = Result<u32, StoreError>> + Send;

    /// Runs one statement that changes rows, in a transaction of its own; returns how many.
    fn execute(&self, sql: Sql) -> impl Future<Output = Result<usize, StoreError>> + Send;

    /// Deletes up to `limit` rows; returns how many.
    fn prune(&self, retention: Retention, limit: u32)
    -> impl Future<Output = Result<u64, StoreError>> + Send;

    /// The state of the connections.
    fn pool(&self) -> PoolState;
}

/// A database as the store of the engine.
pub(crate) struct SqlStore<D> {
    pub(crate) database: D,
    cache: Arc<Cache>,
}

impl<D: Database> SqlStore<D> {
    pub(crate) fn new(database: D) -> Self {
        Self { database, cache: Arc::default() }
    }

    async fn all<R: Fetched>(&self, lane: Lane, sql: Sql<R>) -> Result<Vec<R>, StoreError> {
        self.database.read(lane, move |connection| connection.fetch_all(sql).boxed()).await
    }

    async fn one<R: Fetched>(&self, lane: Lane, sql: Sql<R>) -> Result<Option<R>, StoreError> {
        self.database.read(lane, move |connection| connection.fetch_one(sql).boxed()).await
    }

    /// The rows of several statements, on one connection.
    async fn each<R: Fetched>(&self, lane: Lane, statements: Vec<Sql<R>>) -> Result<Vec<R>, StoreError> {
        let read = self.database.read(lane, move |connection| {
            let read = async move {
                let mut rows = Vec::new();
                for sql in statements {
                    rows.extend(connection.fetch_all(sql).await?);
                }
                Ok(rows)
            };
            read.boxed()
        });
        read.await
    }
}

#[async_trait]
impl<D: Database> Transactions for SqlStore<D> {
    async fn transact(
        &self,
        reads: &ReadSet,
        decide: &mut (dyn FnMut(Snapshot) -> ChangeSet + Send),
    ) -> Result<(), StoreError> {
        let reads = Arc::new(reads.clone());
        let (mut retry, mut course) = (Retry::new(), self.database.begin());
        loop {
            match self.database.attempt(&reads, &self.cache, &mut course, decide).await {
                Ok(()) => return Ok(()),
                Err(failure) => retry.after(failure).await?,
            }
        }
    }
}

#[async_trait]
impl<D: Database> Reads for SqlStore<D> {
    async fn unfinished(&self, pop: &Pop) -> Result<Vec<Mitigation>, StoreError> {
        let mut found = Vec::new();
        let mut after: Option<Place> = None;
        loop {
            let rows =
                self.all(Lane::Engine, mitigations::unfinished(pop.as_str(), after, page::CHUNK)).await?;
            let Some(row) = rows.last() else { return Ok(found) };
            after = Some(row.place());
            found.extend(row::readable(rows));
        }
    }

    async fn unfinished_ids(
        &self,
        pop: Option<&Pop>,
        customer: Option<&CustomerId>,
    ) -> Result<Vec<MitigationId>, StoreError> {
        let sql = mitigations::unfinished_ids(pop.map(Pop::as_str), customer.map(CustomerId::as_str));
        Ok(self.all(Lane::Engine, sql).await?.into_iter().map(|row| row.mitigation_id.0.into()).collect())
    }

    async fn mitigation(&self, id: MitigationId) -> Result<Option<Mitigation>, StoreError> {
        self.one(Lane::People, mitigations::by_id(Id(id.as_uuid())))
            .await?
            .map(MitigationRow::parse)
            .transpose()
    }

    async fn mitigations(&self, query: &MitigationQuery) -> Result<Page<Mitigation>, StoreError> {
        let partitions = StatusPartition::of(query);
        let pages = partitions.iter().map(|partition| mitigations::page(query, partition)).collect();
        Ok(page::of(self.each(Lane::People, pages).await?, query.page.limit))
    }

    async fn by_ids(&self, ids: &[MitigationId]) -> Result<Vec<Mitigation>, StoreError> {
        if ids.is_empty() {
            return Ok(Vec::new());
        }
        let ids: Vec<Id> = ids.iter().map(|id| Id(id.as_uuid())).collect();
        let parts = ids.chunks(VALUES_AT_ONCE).map(|ids| mitigations::by_ids(ids.to_vec())).collect();
        Ok(row::readable(self.each(Lane::Engine, parts).await?))
    }

    async fn event(&self, id: EventId) -> Result<Option<Event>, StoreError> {
        let id = Id(id.as_uuid());
        let near = match events::by_id_and_time(id) {
            Some(sql) => self.one(Lane::People, sql).await?,
            None => None,
        };
        let row = match near {
            Some(row) => Some(row),
            None => self.one(Lane::People, events::by_id(id)).await?,
        };
        row.map(EventRow::parse).transpose()
    }

    async fn events(&self, query: &EventQuery) -> Result<Page<Event>, StoreError> {
        Ok(page::of(self.all(Lane::People, events::page(query)).await?, query.page.limit))
    }

    async fn safelist(&self) -> Result<Safelist, StoreError> {
        let known = self.cache.newest_safelist();
        let revision = known.as_ref().map(|list| list.revision);
        let read = self.database.read(Lane::People, move |connection| {
            async move { safelist::changed_since(connection, revision).await }.boxed()
        });
        match (read.await?, known) {
            ((revision, Some(rows)), _) => self.cache.put_safelist(revision, rows),
            ((_, None), known) => Ok(known.unwrap_or_default()),
        }
    }

    async fn panic_scopes(&self) -> Result<Vec<PanicScope>, StoreError> {
        self.all(Lane::Engine, panic::active()).await?.into_iter().map(PanicRow::parse).collect()
    }

    async fn panic_scope(&self, id: PanicId) -> Result<Option<PanicScope>, StoreError> {
        self.one(Lane::Engine, panic::by_id(Id(id.as_uuid()))).await?.map(PanicRow::parse).transpose()
    }
}

#[async_trait]
impl<D: Database> SignalReads for SqlStore<D> {
    async fn groups(&self, query: &GroupQuery) -> Result<Page<SignalGroup>, StoreError> {
        let lists = signals::group_lists(query);
        let pages = lists.into_iter().map(|status| signals::groups(query, status)).collect();
        Ok(page::of(self.each(Lane::People, pages).await?, query.page.limit))
    }

    async fn group(&self, id: GroupId) -> Result<Option<SignalGroup>, StoreError> {
        self.one(Lane::People, signals::group(Id(id.as_uuid()))).await?.map(GroupRow::parse).transpose()
    }

    async fn open_groups(&self, pop: &Pop, limit: u32) -> Result<Vec<SignalGroup>, StoreError> {
        let rows = self.all(Lane::People, signals::open_groups(pop.as_str(), limit.into())).await?;
        Ok(row::readable(rows))
    }

    async fn waiting_corroborations(
        &self,
        pop: &Pop,
        now: DateTime<Utc>,
        source: Option<&SourceName>,
        limit: u32,
    ) -> Result<(WaitingCorroborations, Vec<Corroboration>), StoreError> {
        let counts = signals::waiting_counts(pop.as_str(), now.into());
        let newest = signals::waiting(pop.as_str(), now.into(), source.map(SourceName::as_str), limit.into());
        let read = self.database.read(Lane::People, move |connection| {
            async move { Ok((connection.fetch_all(counts).await?, connection.fetch_all(newest).await?)) }
                .boxed()
        });
        let (counts, newest) = read.await?;
        Ok((row::waiting(counts)?, row::newest_first(newest)))
    }

    async fn corroborator_activity(
        &self,
        pop: &Pop,
        since: DateTime<Utc>,
    ) -> Result<Vec<SourceActivity>, StoreError> {
        row::activity(self.all(Lane::People, signals::activity(pop.as_str(), since.into())).await?)
    }

    async fn last_heard(
        &self,
        sources: &[SourceName],
    ) -> Result<BTreeMap<SourceName, DateTime<Utc>>, StoreError> {
        let sources = sources.to_vec();
        let read = self.database.read(Lane::People, move |connection| {
            let read = async move {
                let mut heard = BTreeMap::new();
                for source in sources {
                    let time = signals::last_heard(connection, source.as_str()).await?;
                    heard.extend(time.and_then(Micros::time).map(|time| (source, time)));
                }
                Ok(heard)
            };
            read.boxed()
        });
        read.await
    }
}

#[async_trait]
impl<D: Database> Statistics for SqlStore<D> {
    async fn stats(&self) -> Result<BTreeMap<Pop, PopStats>, StoreError> {
        statistics::stats(self.all(Lane::People, statistics::tallies()).await?)
    }

    async fn totals(&self) -> Result<Totals, StoreError> {
        Ok(statistics::totals(&self.all(Lane::People, statistics::tallies()).await?))
    }

    async fn series(&self, query: &SeriesQuery) -> Result<Vec<Bucket>, StoreError> {
        let rows = self.all(Lane::People, statistics::series(query)).await?;
        Ok(rows.into_iter().filter_map(BucketRow::parse).collect())
    }
}

#[async_trait]
impl<D: Database> History for SqlStore<D> {
    async fn history(&self, query: &HistoryQuery) -> Result<Vec<Event>, StoreError> {
        let mut recording = Recording::new(query.limit, query.after, |id| id.as_uuid());
        loop {
            let (query, (after, limit)) = (query.clone(), recording.next());
            let read = self.database.read(Lane::People, move |connection| {
                let read = async move {
                    let (rows, next) = events::history(connection, &query, after, limit).await?;
                    // parsed where blocking does no harm
                    Ok((rows.into_iter().filter_map(EventRow::recorded).collect(), next))
                };
                read.boxed()
            });
            let (found, next) = read.await?;
            if !recording.take(found, next) {
                return Ok(recording.end());
            }
        }
    }

    async fn corroboration_history(
        &self,
        query: &CorroborationHistoryQuery,
    ) -> Result<Vec<Corroboration>, StoreError> {
        let mut recording = Recording::new(query.limit, query.after, |id| id.as_uuid());
        loop {
            let (query, (after, limit)) = (query.clone(), recording.next());
            let read = self.database.read(Lane::People, move |connection| {
                let read = async move {
                    let (rows, next) = signals::history(connection, &query, after, limit).await?;
                    Ok((row::readable(rows), next))
                };
                read.boxed()
            });
            let (found, next) = read.await?;
            if !recording.take(found, next) {
                return Ok(recording.end());
            }
        }
    }
}

#[async_trait]
impl<D: Database> AuditLog for SqlStore<D> {
    async fn audit(&self, query: &AuditQuery) -> Result<Page<AuditEntry>, StoreError> {
        let texts = [&query.action, &query.actor_id, &query.target_type, &query.target_id];
        if texts.into_iter().flatten().any(|text| text.contains('\0')) {
            // nothing like it is stored, and PostgreSQL would refuse the question
            return Ok(Page { items: Vec::new(), next_cursor: None });
        }
        let (query, limit) = (query.clone(), query.page.limit);
        let read = self.database.read(Lane::People, move |connection| {
            async move { audit::page(connection, &query).await }.boxed()
        });
        let entries = read.await?.into_iter().map(SealedAuditRow::parse).collect();
        Ok(Page::from_overfull(entries, limit, |entry: &AuditEntry| Cursor {
            at: entry.timestamp,
            id: entry.audit_id.as_uuid(),
        }))
    }

    async fn seal_audit(&self, pop: &Pop, leader: Epoch, limit: u32) -> Result<u32, StoreError> {
        self.database.seal(pop, leader, limit).await
    }

    async fn audit_chain_head(&self, pop: &Pop) -> Result<Option<ChainHead>, StoreError> {
        Ok(self.one(Lane::People, audit::chain_head(pop.as_str())).await?.map(HeadRow::parse))
    }

    async fn audit_chain(&self, pop: &Pop, from: i64, limit: u32) -> Result<Vec<AuditEntry>, StoreError> {
        let rows = self.all(Lane::People, audit::chain(pop.as_str(), from, limit.into())).await?;
        Ok(rows.into_iter().map(SealedAuditRow::parse).collect())
    }
}

#[async_trait]
impl<D: Database> Maintenance for SqlStore<D> {
    async fn ping(&self) -> Result<(), StoreError> {
        self.one(Lane::Engine, admission::row()).await.map(drop)
    }

    async fn retention_horizon(&self) -> Result<Option<DateTime<Utc>>, StoreError> {
        Ok(self.one(Lane::Engine, retention::horizon()).await?.and_then(HorizonRow::parse))
    }

    async fn move_retention_horizon(
        &self,
        from: Option<DateTime<Utc>>,
        to: DateTime<Utc>,
    ) -> Result<bool, StoreError> {
        self.database.execute(retention::move_horizon(from, to)).await.map(|rows| rows > 0)
    }

    async fn prune(&self, retention: &Retention, limit: u32) -> Result<u64, StoreError> {
        self.database.prune(*retention, limit).await
    }

    fn pool(&self) -> PoolState {
        self.database.pool()
    }

    fn unreadable(&self) -> Vec<(&'static str, String)> {
        row::unreadable_rows()
    }
}
