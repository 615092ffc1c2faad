//! PostgreSQL: a transaction is a task of its own that reads all facts in one round trip, writes everything in
//! another, and never returns a connection in the middle of a transaction.

mod bulk;
mod lookup;
mod migrate;
mod pool;
mod prune;
mod queries;
mod series;
mod snapshot;
mod tls;
mod transact;
mod write;

use std::collections::BTreeMap;
use std::sync::Arc;

use async_trait::async_trait;
use diesel::result::QueryResult;
use diesel_async::AsyncPgConnection;
use futures::FutureExt;
use futures::future::BoxFuture;
use prefix_core::audit::AuditEntry;
use prefix_core::event::Event;
use prefix_core::id::{EventId, MitigationId};
use prefix_core::mitigation::Mitigation;
use prefix_core::name::Pop;
use prefix_core::page::{Cursor, Page};
use prefix_core::safelist::Safelist;
use prefix_core::store::{
    AuditQuery, Bucket, ChangeSet, EventQuery, MitigationQuery, PoolState, PopStats, ReadSet, Retention,
    SeriesQuery, Snapshot, Store, StoreError, Totals,
};

use crate::error::from_diesel;
use crate::predicate::Younger;
use crate::queries::Band;
use crate::retry::Retry;
use crate::row::{AuditRow, EventRow, ListedEvent, MitigationRow};
use crate::safelist_cache::SafelistCache;
use crate::sql_type::Id;
use crate::{OpenError, Options, PostgresUrl, page};
use pool::Pool;

/// The store on a server.
pub(crate) struct PgStore {
    pool: Pool,
    safelist: Arc<SafelistCache>,
}

/// Connects and migrates.
pub(crate) async fn open(url: &PostgresUrl, options: Options) -> Result<PgStore, OpenError> {
    let pool = Pool::new(url, options)?;
    let unavailable =
        |error: StoreError| OpenError::Unavailable { url: url.to_string(), problem: error.to_string() };
    let mut lease = pool.get().await.map_err(unavailable)?;
    let migrated = migrate::run(lease.client(), url).await;
    if migrated.is_err() {
        lease.discard();
    }
    migrated?;
    Ok(PgStore { pool, safelist: Arc::default() })
}

impl PgStore {
    async fn read<T: Send>(
        &self,
        query: impl for<'c> FnOnce(&'c mut AsyncPgConnection) -> BoxFuture<'c, QueryResult<T>> + Send,
    ) -> Result<T, StoreError> {
        let mut lease = self.pool.get().await?;
        match tokio::time::timeout(self.pool.patience(), query(lease.client())).await {
            Ok(result) => result.map_err(|error| from_diesel(&error)),
            Err(_) => {
                // the late answer must not be what the next user of this connection waits for
                lease.discard();
                Err(StoreError::Unavailable("the database did not answer in time".into()))
            }
        }
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
            match transact::run(&self.pool, &reads, &self.safelist, decide).await {
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
            after = Some(Younger { at: row.created_at, id: row.mitigation_id });
            for row in rows {
                found.push(row.parse()?);
            }
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
        page::of_mitigations(rows.await?, limit)
    }

    async fn event(&self, id: EventId) -> Result<Option<Event>, StoreError> {
        let row = self.read(move |c| queries::event(c, Id(id.as_uuid())).boxed()).await?;
        row.map(EventRow::parse).transpose()
    }

    async fn events(&self, query: &EventQuery) -> Result<Page<Event>, StoreError> {
        let (query, limit) = (query.clone(), query.page.limit);
        let rows = self.read(move |c| async move { queries::events(c, &query).await }.boxed()).await?;
        let events = rows.into_iter().map(ListedEvent::parse).collect::<Result<_, _>>()?;
        Ok(Page::from_overfull(events, limit, |event: &Event| Cursor {
            at: event.ingested_at,
            id: event.event_id.as_uuid(),
        }))
    }

    async fn audit(&self, query: &AuditQuery) -> Result<Page<AuditEntry>, StoreError> {
        let texts = [&query.action, &query.actor_id, &query.target_type, &query.target_id];
        if texts.into_iter().flatten().any(|text| text.contains('\0')) {
            // nothing like it is stored, and the server would refuse the question
            return Ok(Page { items: Vec::new(), next_cursor: None });
        }
        let (query, limit) = (query.clone(), query.page.limit);
        let rows = self.read(move |c| async move { queries::audit(c, &query).await }.boxed()).await?;
        let entries = rows.into_iter().map(AuditRow::parse).collect::<Result<_, _>>()?;
        Ok(Page::from_overfull(entries, limit, |entry: &AuditEntry| Cursor {
            at: entry.timestamp,
            id: entry.audit_id.as_uuid(),
        }))
    }

    async fn safelist(&self) -> Result<Safelist, StoreError> {
        let (revision, rows) = self.read(|c| snapshot::safelist(c).boxed()).await?;
        self.safelist.put(revision, rows)
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

    async fn claim(
        &self,
        _: &prefix_core::store::Candidacy,
    ) -> Result<prefix_core::store::Election, StoreError> {
        Err(StoreError::Unavailable("being built".into()))
    }

    async fn resign(
        &self,
        _: &Pop,
        _: prefix_core::id::InstanceId,
        _: Option<prefix_core::store::Epoch>,
    ) -> Result<(), StoreError> {
        Err(StoreError::Unavailable("being built".into()))
    }

    async fn changes(
        &self,
        _: &Pop,
        _: prefix_core::id::InstanceId,
        _: Option<prefix_core::store::FeedCursor>,
    ) -> Result<prefix_core::store::Changes, StoreError> {
        Err(StoreError::Unavailable("being built".into()))
    }

    async fn by_ids(&self, _: &[MitigationId]) -> Result<Vec<Mitigation>, StoreError> {
        Err(StoreError::Unavailable("being built".into()))
    }

    async fn unfinished_ids(
        &self,
        _: Option<&Pop>,
        _: Option<&prefix_core::name::CustomerId>,
    ) -> Result<Vec<MitigationId>, StoreError> {
        Err(StoreError::Unavailable("being built".into()))
    }

    async fn panic_scopes(&self) -> Result<Vec<prefix_core::panic::PanicScope>, StoreError> {
        Ok(Vec::new())
    }

    async fn panic_scope(
        &self,
        _: prefix_core::id::PanicId,
    ) -> Result<Option<prefix_core::panic::PanicScope>, StoreError> {
        Ok(None)
    }

    async fn seal(&self, _: &Pop, _: prefix_core::store::Epoch, _: u32) -> Result<u32, StoreError> {
        Ok(0)
    }

    async fn chain_head(&self, _: &Pop) -> Result<Option<prefix_core::chain::ChainHead>, StoreError> {
        Ok(None)
    }

    async fn chain(&self, _: &Pop, _: i64, _: u32) -> Result<Vec<AuditEntry>, StoreError> {
        Ok(Vec::new())
    }

    fn pool(&self) -> PoolState {
        self.pool.state()
    }
}
