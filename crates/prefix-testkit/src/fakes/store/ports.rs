//! The storage ports over the rows in memory.

use std::collections::BTreeMap;

use async_trait::async_trait;
use chrono::{DateTime, Utc};
use prefix_core::audit::AuditEntry;
use prefix_core::audit_chain::ChainHead;
use prefix_core::event::Event;
use prefix_core::id::{EventId, GroupId, InstanceId, MitigationId, PanicId};
use prefix_core::mitigation::Mitigation;
use prefix_core::name::{CustomerId, Pop, SourceName};
use prefix_core::page::Page;
use prefix_core::panic::PanicScope;
use prefix_core::ports::{
    AuditLog, AuditQuery, Bucket, Candidacy, ChangeFeed, ChangeSet, CorroborationHistoryQuery, Election,
    Epoch, EventQuery, FeedCursor, GroupQuery, History, HistoryQuery, Leadership, Maintenance,
    MitigationQuery, PoolState, PopStats, ReadSet, Reads, Retention, RowChanges, SeriesQuery, SignalReads,
    Snapshot, SourceActivity, Statistics, StoreError, Totals, Transactions, WaitingCorroborations,
};
use prefix_core::safelist::Safelist;
use prefix_core::signal::{Corroboration, SignalGroup};

use super::state::State;
use super::{MemoryStore, down, select};

#[async_trait]
impl Transactions for MemoryStore {
    async fn transact(
        &self,
        reads: &ReadSet,
        decide: &mut (dyn FnMut(Snapshot) -> ChangeSet + Send),
    ) -> Result<(), StoreError> {
        // others get their turn, as they do while a real database works
        tokio::task::yield_now().await;
        let mut paused = self.paused.subscribe();
        if paused.wait_for(|paused| !paused).await.is_err() {
            return Err(down());
        }
        self.lock().transact(reads, decide)
    }
}

#[async_trait]
impl Reads for MemoryStore {
    async fn unfinished(&self, pop: &Pop) -> Result<Vec<Mitigation>, StoreError> {
        self.read(|state| state.unfinished(pop))
    }

    async fn unfinished_ids(
        &self,
        pop: Option<&Pop>,
        customer: Option<&CustomerId>,
    ) -> Result<Vec<MitigationId>, StoreError> {
        let is_meant = |row: &&Mitigation| {
            !row.status.is_final()
                && pop.is_none_or(|pop| row.pop == *pop)
                && customer.is_none_or(|customer| row.customer_id.as_ref() == Some(customer))
        };
        self.read(|state| state.mitigations.values().filter(is_meant).map(|row| row.mitigation_id).collect())
    }

    async fn mitigation(&self, id: MitigationId) -> Result<Option<Mitigation>, StoreError> {
        self.read(|state| state.mitigations.get(&id).cloned())
    }

    async fn mitigations(&self, query: &MitigationQuery) -> Result<Page<Mitigation>, StoreError> {
        self.read(|state| select::mitigations(state, query))
    }

    async fn by_ids(&self, ids: &[MitigationId]) -> Result<Vec<Mitigation>, StoreError> {
        self.read(|state| ids.iter().filter_map(|id| state.mitigations.get(id).cloned()).collect())
    }

    async fn event(&self, id: EventId) -> Result<Option<Event>, StoreError> {
        self.read(|state| state.events.iter().find(|event| event.event_id == id).cloned())
    }

    async fn events(&self, query: &EventQuery) -> Result<Page<Event>, StoreError> {
        self.read(|state| select::events(state, query))
    }

    async fn safelist(&self) -> Result<Safelist, StoreError> {
        self.read(|state| state.safelist.clone())
    }

    async fn panic_scopes(&self) -> Result<Vec<PanicScope>, StoreError> {
        self.read(State::frozen)
    }

    async fn panic_scope(&self, id: PanicId) -> Result<Option<PanicScope>, StoreError> {
        self.read(|state| state.panic.get(&id).cloned())
    }
}

#[async_trait]
impl SignalReads for MemoryStore {
    async fn groups(&self, query: &GroupQuery) -> Result<Page<SignalGroup>, StoreError> {
        self.read(|state| state.signals.page(query))
    }

    async fn group(&self, id: GroupId) -> Result<Option<SignalGroup>, StoreError> {
        self.read(|state| state.signals.groups.get(&id).cloned())
    }

    async fn open_groups(&self, pop: &Pop, limit: u32) -> Result<Vec<SignalGroup>, StoreError> {
        self.read(|state| state.signals.open(pop, limit))
    }

    async fn waiting_corroborations(
        &self,
        pop: &Pop,
        now: DateTime<Utc>,
        source: Option<&SourceName>,
        limit: u32,
    ) -> Result<(WaitingCorroborations, Vec<Corroboration>), StoreError> {
        self.read(|state| state.signals.waiting(pop, now, source, limit))
    }

    async fn corroborator_activity(
        &self,
        pop: &Pop,
        since: DateTime<Utc>,
    ) -> Result<Vec<SourceActivity>, StoreError> {
        self.read(|state| state.signals.activity(pop, since))
    }

    async fn last_heard(
        &self,
        sources: &[SourceName],
    ) -> Result<BTreeMap<SourceName, DateTime<Utc>>, StoreError> {
        self.read(|state| select::last_heard(state, sources))
    }
}

#[async_trait]
impl Statistics for MemoryStore {
    async fn stats(&self) -> Result<BTreeMap<Pop, PopStats>, StoreError> {
        self.read(State::stats)
    }

    async fn totals(&self) -> Result<Totals, StoreError> {
        self.read(|state| Totals {
            mitigations: state.mitigations.len() as u64,
            events: state.events.len() as u64,
        })
    }

    async fn series(&self, query: &SeriesQuery) -> Result<Vec<Bucket>, StoreError> {
        self.read(|state| select::series(state, query))
    }
}

#[async_trait]
impl History for MemoryStore {
    async fn history(&self, query: &HistoryQuery) -> Result<Vec<Event>, StoreError> {
        self.read(|state| select::history(state, query))
    }

    async fn corroboration_history(
        &self,
        query: &CorroborationHistoryQuery,
    ) -> Result<Vec<Corroboration>, StoreError> {
        self.read(|state| select::corroboration_history(state, query))
    }
}

#[async_trait]
impl AuditLog for MemoryStore {
    async fn audit(&self, query: &AuditQuery) -> Result<Page<AuditEntry>, StoreError> {
        self.read(|state| select::audit(state, query))
    }

    async fn seal_audit(&self, pop: &Pop, leader: Epoch, limit: u32) -> Result<u32, StoreError> {
        self.change(|state, _| state.seal(pop, leader, limit))?
    }

    async fn audit_chain_head(&self, pop: &Pop) -> Result<Option<ChainHead>, StoreError> {
        self.read(|state| state.shared.head(pop))
    }

    async fn audit_chain(&self, pop: &Pop, from: i64, limit: u32) -> Result<Vec<AuditEntry>, StoreError> {
        self.read(|state| state.chain(pop, from, limit))
    }
}

#[async_trait]
impl Leadership for MemoryStore {
    fn is_shared(&self) -> bool {
        self.lock().shared
    }

    async fn claim(&self, candidacy: &Candidacy) -> Result<Election, StoreError> {
        self.change(|state, now| state.shared.claim(candidacy, now))
    }

    async fn resign(&self, pop: &Pop, instance: InstanceId, epoch: Option<Epoch>) -> Result<(), StoreError> {
        self.change(|state, _| state.shared.resign(pop, instance, epoch))
    }
}

#[async_trait]
impl ChangeFeed for MemoryStore {
    async fn changes(
        &self,
        pop: &Pop,
        reader: InstanceId,
        since: Option<FeedCursor>,
    ) -> Result<RowChanges, StoreError> {
        self.read(|state| state.shared.changes(pop, reader, since))
    }
}

#[async_trait]
impl Maintenance for MemoryStore {
    async fn ping(&self) -> Result<(), StoreError> {
        self.read(|_| ())
    }

    async fn prune(&self, retention: &Retention, limit: u32) -> Result<u64, StoreError> {
        let mut inner = self.lock();
        inner.calls.reads += 1;
        if inner.down {
            return Err(down());
        }
        Ok(inner.state.prune(retention, limit))
    }

    fn pool(&self) -> PoolState {
        PoolState::default()
    }
}
