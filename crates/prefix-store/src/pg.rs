//! PostgreSQL: a transaction is a task of its own that reads all facts in one round trip, writes everything in
//! another, and never returns a connection in the middle of a transaction.

mod begin;
mod bulk;
mod feed;
mod groups;
mod history;
mod leadership;
mod lookup;
mod migrate;
mod pool;
mod pooler;
mod prune;
mod queries;
mod seal;
mod series;
mod signals;
mod snapshot;
mod tls;
mod transact;
mod write;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use async_trait::async_trait;
use chrono::{DateTime, Utc};
use diesel::prelude::*;
use diesel::result::QueryResult;
use diesel_async::{AsyncPgConnection, RunQueryDsl};
use futures::FutureExt;
use futures::future::BoxFuture;
use prefix_core::audit::AuditEntry;
use prefix_core::chain::ChainHead;
use prefix_core::event::Event;
use prefix_core::id::{EventId, GroupId, InstanceId, MitigationId, PanicId};
use prefix_core::mitigation::Mitigation;
use prefix_core::name::{CustomerId, Pop, SourceName};
use prefix_core::page::{Cursor, Page};
use prefix_core::panic::PanicScope;
use prefix_core::safelist::Safelist;
use prefix_core::signal::{Corroboration, SignalGroup};
use prefix_core::store::{
    AuditQuery, Bucket, Candidacy, ChangeSet, Changes, CorroborationHistoryQuery, Election, Epoch,
    EventQuery, FeedCursor, GroupQuery, HistoryQuery, MitigationQuery, PoolState, PopStats, ReadSet,
    Retention, SeriesQuery, Snapshot, SourceActivity, Store, StoreError, Totals, WaitingCorroborations,
};

use crate::cache::Cache;
use crate::migrate::Migration;
use crate::migrations::Found;
use crate::page::Recording;
use crate::predicate::Younger;
use crate::queries::Band;
use crate::queries::signals::group_lists;
use crate::retry::Retry;
use crate::row::{self, EventRow, GroupRow, MitigationRow, PanicRow};
use crate::schema::mitigations;
use crate::sql_type::{Id, Micros};
use crate::{OpenError, Options, PostgresUrl, page};
use pool::Pool;

/// The store on a server.
pub(crate) struct PgStore {
    pool: Pool,
    /// Of its own for leadership: a renewal must not wait for a connection behind a crowd of readers.
    claims: Pool,
    cache: Arc<Cache>,
    cursors: feed::Cursors,
    /// True while the feed is being pruned.
    is_pruning: Arc<AtomicBool>,
}

/// Connects and migrates.
pub(crate) async fn open(url: &PostgresUrl, options: Options) -> Result<PgStore, OpenError> {
    let pool = Pool::new(url, options, options.max_connections.max(2))?;
    migrate_by(&pool, url).await?;
    let claims = Pool::new(url, options, 1)?;
    Ok(PgStore {
        pool,
        claims,
        cache: Arc::default(),
        cursors: feed::Cursors::default(),
        is_pruning: Arc::default(),
    })
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

impl PgStore {
    async fn read<T: Send>(
        &self,
        query: impl for<'c> FnOnce(&'c mut AsyncPgConnection) -> BoxFuture<'c, QueryResult<T>> + Send,
    ) -> Result<T, StoreError> {
        self.pool.run(query).await
    }
}

impl PgStore {
    /// Prunes the feed beside the caller, who does not wait for it.
    fn prune_feed(&self) {
        if self.is_pruning.swap(true, Ordering::AcqRel) {
            return;
        }
        let (pool, is_pruning) = (self.pool.clone(), Arc::clone(&self.is_pruning));
        tokio::spawn(async move {
            if let Err(error) = feed::prune(&pool).await {
                tracing::debug!(%error, "the feed of changes was not pruned; the next attempt comes in a second");
            }
            is_pruning.store(false, Ordering::Release);
        });
    }
}

#[async_trait]
impl Store for PgStore {
    async fn transact(
        &self,
        reads: &ReadSet,
        decide: &mut (dyn FnMut(Snapshot) -> ChangeSet + Send),
    ) -> Result<(), StoreError> {
        let reads = Arc::new(reads.clone());
        let mut retry = Retry::new();
        loop {
            match transact::run(&self.pool, &reads, &self.cache, decide).await {
                Ok(()) => return Ok(()),
                Err(failure) => retry.after(failure).await?,
            }
        }
    }

    async fn ping(&self) -> Result<(), StoreError> {
        self.read(|c| queries::ping(c).boxed()).await.map(drop)
    }

    async fn unfinished(&self, pop: &Pop) -> Result<Vec<Mitigation>, StoreError> {
        let mut found = Vec::new();
        let mut after: Option<Younger> = None;
        loop {
            let pop = pop.clone();
            let rows = self
                .read(move |c| {
                    async move { queries::unfinished(c, pop.as_str(), after, page::CHUNK).await }.boxed()
                })
                .await?;
            let Some(row) = rows.last() else { return Ok(found) };
            after = Some(page::behind(row));
            found.extend(row::readable(rows));
        }
    }

    async fn mitigation(&self, id: MitigationId) -> Result<Option<Mitigation>, StoreError> {
        let row = self.read(move |c| queries::mitigation(c, Id(id.as_uuid())).boxed()).await?;
        row.map(MitigationRow::parse).transpose()
    }

    async fn mitigations(&self, query: &MitigationQuery) -> Result<Page<Mitigation>, StoreError> {
        let (query, limit) = (query.clone(), query.page.limit);
        let rows = self.read(move |c| {
            let read = async move {
                let mut rows = Vec::new();
                for band in Band::of(&query) {
                    rows.extend(queries::mitigations(c, &query, &band).await?);
                }
                Ok(rows)
            };
            read.boxed()
        });
        Ok(page::of_mitigations(rows.await?, limit))
    }

    async fn event(&self, id: EventId) -> Result<Option<Event>, StoreError> {
        let row = self.read(move |c| queries::event(c, Id(id.as_uuid())).boxed()).await?;
        row.map(EventRow::parse).transpose()
    }

    async fn events(&self, query: &EventQuery) -> Result<Page<Event>, StoreError> {
        let (query, limit) = (query.clone(), query.page.limit);
        let rows = self.read(move |c| async move { queries::events(c, &query).await }.boxed()).await?;
        Ok(page::of_events(rows, limit))
    }

    async fn audit(&self, query: &AuditQuery) -> Result<Page<AuditEntry>, StoreError> {
        let texts = [&query.action, &query.actor_id, &query.target_type, &query.target_id];
        if texts.into_iter().flatten().any(|text| text.contains('\0')) {
            // nothing like it is stored, and the server would refuse the question
            return Ok(Page { items: Vec::new(), next_cursor: None });
        }
        let (query, limit) = (query.clone(), query.page.limit);
        let rows = self.read(move |c| async move { queries::audit(c, &query).await }.boxed()).await?;
        let entries = rows.into_iter().map(|(entry, seal)| entry.parse(seal)).collect();
        Ok(Page::from_overfull(entries, limit, |entry: &AuditEntry| Cursor {
            at: entry.timestamp,
            id: entry.audit_id.as_uuid(),
        }))
    }

    async fn safelist(&self) -> Result<Safelist, StoreError> {
        let (revision, rows) = self.read(|c| snapshot::safelist(c).boxed()).await?;
        self.cache.put_safelist(revision, rows)
    }

    async fn stats(&self) -> Result<BTreeMap<Pop, PopStats>, StoreError> {
        crate::queries::stats(self.read(|c| queries::tallies(c).boxed()).await?)
    }

    async fn totals(&self) -> Result<Totals, StoreError> {
        Ok(crate::queries::totals(&self.read(|c| queries::tallies(c).boxed()).await?))
    }

    async fn series(&self, query: &SeriesQuery) -> Result<Vec<Bucket>, StoreError> {
        let query = *query;
        self.read(move |c| series::load(c, query).boxed()).await
    }

    async fn prune(&self, retention: &Retention, limit: u32) -> Result<u64, StoreError> {
        prune::run(&self.pool, *retention, limit).await
    }

    fn is_shared(&self) -> bool {
        true
    }

    async fn claim(&self, candidacy: &Candidacy) -> Result<Election, StoreError> {
        let election = leadership::claim(&self.claims, candidacy).await?;
        if election.won_by(candidacy.instance).is_some() {
            self.prune_feed();
        }
        Ok(election)
    }

    async fn resign(&self, pop: &Pop, instance: InstanceId, epoch: Option<Epoch>) -> Result<(), StoreError> {
        leadership::resign(&self.claims, pop, instance, epoch).await
    }

    async fn changes(
        &self,
        pop: &Pop,
        reader: InstanceId,
        since: Option<FeedCursor>,
    ) -> Result<Changes, StoreError> {
        feed::changes(&self.pool, &self.cursors, pop, reader, since).await
    }

    async fn by_ids(&self, ids: &[MitigationId]) -> Result<Vec<Mitigation>, StoreError> {
        let ids: Vec<Id> = ids.iter().map(|id| Id(id.as_uuid())).collect();
        if ids.is_empty() {
            return Ok(Vec::new());
        }
        let rows = self.read(move |c| {
            let found = mitigations::table
                .filter(mitigations::mitigation_id.eq_any(ids))
                .select(MitigationRow::as_select());
            async move { found.load(c).await }.boxed()
        });
        Ok(row::readable(rows.await?))
    }

    async fn unfinished_ids(
        &self,
        pop: Option<&Pop>,
        customer: Option<&CustomerId>,
    ) -> Result<Vec<MitigationId>, StoreError> {
        let (pop, customer) = (pop.cloned(), customer.cloned());
        let ids = self.read(move |c| {
            let read = async move {
                let (pop, customer) =
                    (pop.as_ref().map(Pop::as_str), customer.as_ref().map(CustomerId::as_str));
                queries::unfinished_ids(c, pop, customer).await
            };
            read.boxed()
        });
        Ok(ids.await?.into_iter().map(|id| id.0.into()).collect())
    }

    async fn panic_scopes(&self) -> Result<Vec<PanicScope>, StoreError> {
        let rows = self.read(|c| queries::panic_scopes(c).boxed()).await?;
        rows.into_iter().map(PanicRow::parse).collect()
    }

    async fn panic_scope(&self, id: PanicId) -> Result<Option<PanicScope>, StoreError> {
        let row = self.read(move |c| queries::panic_scope(c, Id(id.as_uuid())).boxed()).await?;
        row.map(PanicRow::parse).transpose()
    }

    async fn seal(&self, pop: &Pop, leader: Epoch, limit: u32) -> Result<u32, StoreError> {
        seal::run(&self.pool, pop, leader, limit).await
    }

    async fn chain_head(&self, pop: &Pop) -> Result<Option<ChainHead>, StoreError> {
        let pop = pop.clone();
        let row = self.read(move |c| async move { queries::chain_head(c, pop.as_str()).await }.boxed());
        Ok(row.await?.map(row::head))
    }

    async fn chain(&self, pop: &Pop, from: i64, limit: u32) -> Result<Vec<AuditEntry>, StoreError> {
        let pop = pop.clone();
        let rows = self
            .read(move |c| async move { queries::chain(c, pop.as_str(), from, limit.into()).await }.boxed());
        Ok(rows.await?.into_iter().map(|(entry, seal)| entry.parse(seal)).collect())
    }

    async fn groups(&self, query: &GroupQuery) -> Result<Page<SignalGroup>, StoreError> {
        let (query, limit) = (query.clone(), query.page.limit);
        let rows = self.read(move |c| {
            let read = async move {
                let mut rows = Vec::new();
                for status in group_lists(&query) {
                    rows.extend(signals::groups(&mut &*c, &query, status).await?);
                }
                Ok(rows)
            };
            read.boxed()
        });
        Ok(page::of_groups(rows.await?, limit))
    }

    async fn group(&self, id: GroupId) -> Result<Option<SignalGroup>, StoreError> {
        let id = Id(id.as_uuid());
        let row = self.read(move |c| async move { signals::group(&mut &*c, id).await }.boxed()).await?;
        row.map(GroupRow::parse).transpose()
    }

    async fn open_groups(&self, pop: &Pop, limit: u32) -> Result<Vec<SignalGroup>, StoreError> {
        let pop = pop.clone();
        let rows = self.read(move |c| {
            async move { signals::open_groups(&mut &*c, pop.as_str(), limit.into()).await }.boxed()
        });
        Ok(rows.await?.into_iter().filter_map(row::group).collect())
    }

    async fn waiting_corroborations(
        &self,
        pop: &Pop,
        now: DateTime<Utc>,
        source: Option<&SourceName>,
        limit: u32,
    ) -> Result<(WaitingCorroborations, Vec<Corroboration>), StoreError> {
        let (pop, source) = (pop.clone(), source.cloned());
        let (counts, rows) = self
            .read(move |c| {
                let read = async move {
                    let (pop, source) = (pop.as_str(), source.as_ref().map(SourceName::as_str));
                    let counts = signals::waiting_counts(&mut &*c, pop, now.into()).await?;
                    let rows = signals::waiting(&mut &*c, pop, now.into(), source, limit.into()).await?;
                    Ok((counts, rows))
                };
                read.boxed()
            })
            .await?;
        Ok((row::waiting(counts)?, row::newest_first(rows)))
    }

    async fn corroborator_activity(
        &self,
        pop: &Pop,
        since: DateTime<Utc>,
    ) -> Result<Vec<SourceActivity>, StoreError> {
        let pop = pop.clone();
        let rows = self.read(move |c| {
            async move { signals::activity(&mut &*c, pop.as_str(), since.into()).await }.boxed()
        });
        row::activity(rows.await?)
    }

    async fn last_heard(
        &self,
        sources: &[SourceName],
    ) -> Result<BTreeMap<SourceName, DateTime<Utc>>, StoreError> {
        let sources = sources.to_vec();
        self.read(move |c| {
            let read = async move {
                let mut heard = BTreeMap::new();
                for source in sources {
                    let time = signals::last_heard(&mut &*c, source.as_str()).await?;
                    heard.extend(time.and_then(Micros::time).map(|time| (source, time)));
                }
                Ok(heard)
            };
            read.boxed()
        })
        .await
    }

    async fn history(&self, query: &HistoryQuery) -> Result<Vec<Event>, StoreError> {
        let mut recording = Recording::new(query.limit, query.after, |id| id.as_uuid());
        loop {
            let (query, (after, limit)) = (query.clone(), recording.next());
            let read =
                self.read(move |c| async move { history::history(c, &query, after, limit).await }.boxed());
            let (rows, next) = read.await?;
            if !recording.take(rows, next, row::recorded) {
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
            let read = self.read(move |c| {
                async move { signals::recorded(&mut &*c, &query, after, limit).await }.boxed()
            });
            let (rows, next) = read.await?;
            if !recording.take(rows, next, row::corroboration) {
                return Ok(recording.end());
            }
        }
    }

    fn pool(&self) -> PoolState {
        self.pool.state()
    }
}
