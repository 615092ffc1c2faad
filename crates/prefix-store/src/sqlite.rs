//! SQLite: one thread writes, a few connections read. Every transaction begins as a writer (`BEGIN IMMEDIATE`), so it
//! never has to give up half-way because another one wrote in between.

mod connect;
mod history;
mod leadership;
mod lock;
mod migrate;
#[cfg(test)]
mod plans;
mod prune;
mod queries;
mod readers;
mod seal;
mod series;
mod signals;
mod snapshot;
mod transact;
mod write;
mod writer;

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;

use async_trait::async_trait;
use chrono::{DateTime, Utc};
use diesel::result::QueryResult;
use diesel::sqlite::SqliteConnection;
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
    AuditQuery, Bucket, Candidacy, ChangeSet, Changed, Changes, CorroborationHistoryQuery, Election, Epoch,
    EventQuery, FeedCursor, GroupQuery, HistoryQuery, MitigationQuery, PoolState, PopStats, ReadSet,
    Retention, SeriesQuery, Snapshot, SourceActivity, Store, StoreError, Totals, WaitingCorroborations,
};

use crate::cache::Cache;
use crate::error::{Failure, from_diesel};
use crate::migrate::Migration;
use crate::migrations::Found;
use crate::page::Recording;
use crate::predicate::Younger;
use crate::queries::Band;
use crate::queries::signals::group_lists;
use crate::retry::Retry;
use crate::row::{self, GroupRow, MitigationRow, PanicRow};
use crate::sql_type::{Id, Micros};
use crate::{OpenError, Options, page};
use lock::Lock;
use readers::Readers;
use writer::{Slot, Writer};

/// The store on one file.
pub(crate) struct SqliteStore {
    writer: Writer,
    readers: Readers,
    cache: Arc<Cache>,
    // released after writer and readers are gone
    _lock: Option<Lock>,
}

/// Opens or makes the database.
pub(crate) async fn open(path: &Path, options: Options) -> Result<SqliteStore, OpenError> {
    let path = path.to_owned();
    blocking(move || {
        let Migrated { connection, lock, .. } = migrated(&path, options)?;
        Ok(SqliteStore {
            writer: Writer::start(connection, path.clone(), options.statement_timeout),
            readers: Readers::new(path, options),
            cache: Arc::default(),
            _lock: lock,
        })
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

impl SqliteStore {
    async fn read<T: Send + 'static>(
        &self,
        query: impl FnOnce(&mut SqliteConnection) -> QueryResult<T> + Send + 'static,
    ) -> Result<T, StoreError> {
        self.readers.run(query).await?.map_err(|error| from_diesel(&error))
    }

    async fn write<T: Send + 'static>(
        &self,
        work: impl FnOnce(&mut Slot) -> Result<T, Failure> + Send + 'static,
    ) -> Result<T, StoreError> {
        self.writer.run(work).await?.map_err(|failure| failure.error)
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
            match transact::run(&self.writer, &reads, &self.cache, decide).await {
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
            after = Some(page::behind(row));
            found.extend(row::readable(rows));
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
        Ok(page::of_mitigations(rows.await?, limit))
    }

    async fn event(&self, id: EventId) -> Result<Option<Event>, StoreError> {
        let row = self.read(move |c| queries::event(c, Id(id.as_uuid()))).await?;
        row.map(crate::row::EventRow::parse).transpose()
    }

    async fn events(&self, query: &EventQuery) -> Result<Page<Event>, StoreError> {
        let (query, limit) = (query.clone(), query.page.limit);
        let rows = self.read(move |c| queries::events(c, &query)).await?;
        Ok(page::of_events(rows, limit))
    }

    async fn audit(&self, query: &AuditQuery) -> Result<Page<AuditEntry>, StoreError> {
        let (query, limit) = (query.clone(), query.page.limit);
        let rows = self.read(move |c| queries::audit(c, &query)).await?;
        let entries = rows.into_iter().map(|(entry, seal)| entry.parse(seal)).collect();
        Ok(Page::from_overfull(entries, limit, |entry: &AuditEntry| Cursor {
            at: entry.timestamp,
            id: entry.audit_id.as_uuid(),
        }))
    }

    async fn safelist(&self) -> Result<Safelist, StoreError> {
        let cache = Arc::clone(&self.cache);
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
        self.write(move |slot| prune::run(slot, &retention, limit)).await
    }

    fn is_shared(&self) -> bool {
        false
    }

    async fn claim(&self, candidacy: &Candidacy) -> Result<Election, StoreError> {
        crate::leadership::check(candidacy)?;
        let asked = candidacy.clone();
        if let Some(election) = self.read(move |c| leadership::renewed(c, &asked)).await? {
            return Ok(election);
        }
        let asked = candidacy.clone();
        self.write(move |slot| leadership::claim(slot, &asked)).await
    }

    async fn resign(&self, pop: &Pop, instance: InstanceId, epoch: Option<Epoch>) -> Result<(), StoreError> {
        let (pop, epoch) = (pop.clone(), epoch.map(|epoch| epoch.0));
        self.write(move |slot| leadership::resign(slot, &pop, instance, epoch)).await
    }

    /// There are no others.
    async fn changes(
        &self,
        _: &Pop,
        _: InstanceId,
        since: Option<FeedCursor>,
    ) -> Result<Changes, StoreError> {
        let changed = if since.is_some() { Changed::Only(Vec::new()) } else { Changed::Anything };
        Ok(Changes { cursor: FeedCursor(0), changed })
    }

    async fn by_ids(&self, ids: &[MitigationId]) -> Result<Vec<Mitigation>, StoreError> {
        let ids: Vec<Id> = ids.iter().map(|id| Id(id.as_uuid())).collect();
        let rows = self.read(move |c| {
            ids.into_iter()
                .filter_map(|id| queries::mitigation(c, id).transpose())
                .collect::<QueryResult<Vec<_>>>()
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
            queries::unfinished_ids(
                c,
                pop.as_ref().map(Pop::as_str),
                customer.as_ref().map(CustomerId::as_str),
            )
        });
        Ok(ids.await?.into_iter().map(|id| id.0.into()).collect())
    }

    async fn panic_scopes(&self) -> Result<Vec<PanicScope>, StoreError> {
        self.read(queries::panic_scopes).await?.into_iter().map(PanicRow::parse).collect()
    }

    async fn panic_scope(&self, id: PanicId) -> Result<Option<PanicScope>, StoreError> {
        let row = self.read(move |c| queries::panic_scope(c, Id(id.as_uuid()))).await?;
        row.map(PanicRow::parse).transpose()
    }

    async fn seal(&self, pop: &Pop, leader: Epoch, limit: u32) -> Result<u32, StoreError> {
        let pop = pop.clone();
        self.write(move |slot| seal::run(slot, pop.as_str(), leader, limit)).await
    }

    async fn chain_head(&self, pop: &Pop) -> Result<Option<ChainHead>, StoreError> {
        let pop = pop.clone();
        Ok(self.read(move |c| queries::chain_head(c, pop.as_str())).await?.map(row::head))
    }

    async fn chain(&self, pop: &Pop, from: i64, limit: u32) -> Result<Vec<AuditEntry>, StoreError> {
        let pop = pop.clone();
        let rows = self.read(move |c| queries::chain(c, pop.as_str(), from, limit.into())).await?;
        Ok(rows.into_iter().map(|(entry, seal)| entry.parse(seal)).collect())
    }

    async fn groups(&self, query: &GroupQuery) -> Result<Page<SignalGroup>, StoreError> {
        let (query, limit) = (query.clone(), query.page.limit);
        let rows = self.read(move |c| {
            let mut rows = Vec::new();
            for status in group_lists(&query) {
                rows.extend(signals::groups(c, &query, status)?);
            }
            Ok(rows)
        });
        Ok(page::of_groups(rows.await?, limit))
    }

    async fn group(&self, id: GroupId) -> Result<Option<SignalGroup>, StoreError> {
        let row = self.read(move |c| signals::group(c, Id(id.as_uuid()))).await?;
        row.map(GroupRow::parse).transpose()
    }

    async fn open_groups(&self, pop: &Pop, limit: u32) -> Result<Vec<SignalGroup>, StoreError> {
        let pop = pop.clone();
        let rows = self.read(move |c| signals::open_groups(c, pop.as_str(), limit.into())).await?;
        Ok(rows.into_iter().filter_map(row::group).collect())
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
                let source = source.as_ref().map(SourceName::as_str);
                let counts = signals::waiting_counts(c, pop.as_str(), now.into())?;
                Ok((counts, signals::waiting(c, pop.as_str(), now.into(), source, limit.into())?))
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
        row::activity(self.read(move |c| signals::activity(c, pop.as_str(), since.into())).await?)
    }

    async fn last_heard(
        &self,
        sources: &[SourceName],
    ) -> Result<BTreeMap<SourceName, DateTime<Utc>>, StoreError> {
        let sources = sources.to_vec();
        self.read(move |c| {
            let mut heard = BTreeMap::new();
            for source in sources {
                let time = signals::last_heard(c, source.as_str())?;
                heard.extend(time.and_then(Micros::time).map(|time| (source, time)));
            }
            Ok(heard)
        })
        .await
    }

    async fn history(&self, query: &HistoryQuery) -> Result<Vec<Event>, StoreError> {
        let query = query.clone();
        let mut recording = Recording::new(query.limit, query.after, |id| id.as_uuid());
        // read and parsed where blocking does no harm
        self.read(move |c| {
            loop {
                let (after, limit) = recording.next();
                let (rows, next) = history::history(c, &query, after, limit)?;
                if !recording.take(rows, next, row::recorded) {
                    return Ok(recording.end());
                }
            }
        })
        .await
    }

    async fn corroboration_history(
        &self,
        query: &CorroborationHistoryQuery,
    ) -> Result<Vec<Corroboration>, StoreError> {
        let query = query.clone();
        let mut recording = Recording::new(query.limit, query.after, |id| id.as_uuid());
        self.read(move |c| {
            loop {
                let (after, limit) = recording.next();
                let (rows, next) = signals::recorded(c, &query, after, limit)?;
                if !recording.take(rows, next, row::corroboration) {
                    return Ok(recording.end());
                }
            }
        })
        .await
    }

    fn pool(&self) -> PoolState {
        self.readers.state()
    }
}
