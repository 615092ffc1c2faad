//! SQLite: one thread writes, a few connections read. Every transaction begins as a writer (`BEGIN IMMEDIATE`), so it
//! never has to give up half-way because another one wrote in between.

mod connect;
mod lock;
mod migrate;
#[cfg(test)]
mod plans;
mod prune;
mod queries;
mod readers;
mod series;
mod snapshot;
mod transact;
mod write;
mod writer;

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;

use async_trait::async_trait;
use diesel::result::QueryResult;
use diesel::sqlite::SqliteConnection;
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
use crate::row::{AuditRow, ListedEvent, MitigationRow};
use crate::safelist_cache::SafelistCache;
use crate::sql_type::Id;
use crate::{OpenError, Options, page};
use lock::Lock;
use readers::Readers;
use writer::Writer;

/// The store on one file.
pub(crate) struct SqliteStore {
    writer: Writer,
    readers: Readers,
    safelist: Arc<SafelistCache>,
    // released after writer and readers are gone
    _lock: Option<Lock>,
}

/// Opens or makes the database.
pub(crate) async fn open(path: &Path, options: Options) -> Result<SqliteStore, OpenError> {
    let path = path.to_owned();
    let open = move || {
        if let Some(folder) = path.parent().filter(|folder| !folder.as_os_str().is_empty()) {
            std::fs::create_dir_all(folder)
                .map_err(|source| OpenError::Folder { path: folder.to_owned(), source })?;
        }
        let lock = options.exclusive.then(|| Lock::take(&path)).transpose()?;
        let mut connection = connect::writer(&path, options.statement_timeout)?;
        migrate::run(&mut connection, &path)?;
        Ok(SqliteStore {
            writer: Writer::start(connection, path.clone(), options.statement_timeout),
            readers: Readers::new(path, options),
            safelist: Arc::default(),
            _lock: lock,
        })
    };
    tokio::task::spawn_blocking(open).await.unwrap_or_else(|panic| {
        Err(OpenError::Unavailable { url: "sqlite".to_owned(), problem: panic.to_string() })
    })
}

impl SqliteStore {
    async fn read<T: Send + 'static>(
        &self,
        query: impl FnOnce(&mut SqliteConnection) -> QueryResult<T> + Send + 'static,
    ) -> Result<T, StoreError> {
        self.readers.run(query).await?.map_err(|error| from_diesel(&error))
    }
}

#[async_trait]
impl Store for SqliteStore {
    async fn transact(
        &self,
        reads: &ReadSet,
        decide: &mut (dyn FnMut(Snapshot) -> ChangeSet + Send),
    ) -> Result<(), StoreError> {
        let reads = Arc::new(reads.clone());
        let mut retry = Retry::new();
        loop {
            match transact::run(&self.writer, &reads, &self.safelist, decide).await {
                Ok(()) => return Ok(()),
                Err(failure) => retry.after(failure).await?,
            }
        }
    }

    async fn ping(&self) -> Result<(), StoreError> {
        self.read(queries::ping).await.map(drop)
    }

    async fn unfinished(&self, pop: &Pop) -> Result<Vec<Mitigation>, StoreError> {
        let mut found = Vec::new();
        let mut after: Option<Younger> = None;
        loop {
            let pop = pop.clone();
            let rows = self.read(move |c| queries::unfinished(c, pop.as_str(), after, page::CHUNK)).await?;
            let Some(row) = rows.last() else { return Ok(found) };
            after = Some(Younger { at: row.created_at, id: row.mitigation_id });
            for row in rows {
                found.push(row.parse()?);
            }
        }
    }

    async fn mitigation(&self, id: MitigationId) -> Result<Option<Mitigation>, StoreError> {
        let row = self.read(move |c| queries::mitigation(c, Id(id.as_uuid()))).await?;
        row.map(MitigationRow::parse).transpose()
    }

    async fn mitigations(&self, query: &MitigationQuery) -> Result<Page<Mitigation>, StoreError> {
        let (query, limit) = (query.clone(), query.page.limit);
        let rows = self.read(move |c| {
            let mut rows = Vec::new();
            for band in Band::of(&query) {
                rows.extend(queries::mitigations(c, &query, &band)?);
            }
            Ok(rows)
        });
        page::of_mitigations(rows.await?, limit)
    }

    async fn event(&self, id: EventId) -> Result<Option<Event>, StoreError> {
        let row = self.read(move |c| queries::event(c, Id(id.as_uuid()))).await?;
        row.map(crate::row::EventRow::parse).transpose()
    }

    async fn events(&self, query: &EventQuery) -> Result<Page<Event>, StoreError> {
        let (query, limit) = (query.clone(), query.page.limit);
        let rows = self.read(move |c| queries::events(c, &query)).await?;
        let events = rows.into_iter().map(ListedEvent::parse).collect::<Result<_, _>>()?;
        Ok(Page::from_overfull(events, limit, |event: &Event| Cursor {
            at: event.ingested_at,
            id: event.event_id.as_uuid(),
        }))
    }

    async fn audit(&self, query: &AuditQuery) -> Result<Page<AuditEntry>, StoreError> {
        let (query, limit) = (query.clone(), query.page.limit);
        let rows = self.read(move |c| queries::audit(c, &query)).await?;
        let entries = rows.into_iter().map(AuditRow::parse).collect::<Result<_, _>>()?;
        Ok(Page::from_overfull(entries, limit, |entry: &AuditEntry| Cursor {
            at: entry.timestamp,
            id: entry.audit_id.as_uuid(),
        }))
    }

    async fn safelist(&self) -> Result<Safelist, StoreError> {
        let cache = Arc::clone(&self.safelist);
        self.readers.run(move |c| snapshot::safelist_in_transaction(c, &cache)).await?
    }

    async fn stats(&self) -> Result<BTreeMap<Pop, PopStats>, StoreError> {
        crate::queries::stats(self.read(queries::tallies).await?)
    }

    async fn totals(&self) -> Result<Totals, StoreError> {
        Ok(crate::queries::totals(&self.read(queries::tallies).await?))
    }

    async fn series(&self, query: &SeriesQuery) -> Result<Vec<Bucket>, StoreError> {
        let query = *query;
        self.read(move |c| series::load(c, &query)).await
    }

    async fn prune(&self, retention: &Retention, limit: u32) -> Result<u64, StoreError> {
        let retention = *retention;
        self.writer.run(move |c| prune::run(c, &retention, limit)).await?.map_err(|failure| failure.error)
    }

    fn is_shared(&self) -> bool {
        false
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
        self.readers.state()
    }
}
