//! The way of one daemon to storage.

use std::collections::BTreeMap;

use async_trait::async_trait;
use chrono::{DateTime, Utc};
use prefix_core::Store;
use prefix_core::audit::AuditEntry;
use prefix_core::chain::ChainHead;
use prefix_core::event::Event;
use prefix_core::id::{EventId, GroupId, MitigationId};
use prefix_core::id::{InstanceId, PanicId};
use prefix_core::mitigation::Mitigation;
use prefix_core::name::CustomerId;
use prefix_core::name::{Pop, SourceName};
use prefix_core::page::Page;
use prefix_core::panic::PanicScope;
use prefix_core::safelist::Safelist;
use prefix_core::signal::{Corroboration, SignalGroup};
use prefix_core::store::{
    AuditQuery, Bucket, ChangeSet, EventQuery, GroupQuery, HistoryQuery, MitigationQuery, PoolState,
    PopStats, ReadSet, Retention, SeriesQuery, Snapshot, SourceActivity, StoreError, Totals,
    WaitingCorroborations,
};
use prefix_core::store::{Candidacy, Changes, CorroborationHistoryQuery, Election, Epoch, FeedCursor};

use tokio::time::Instant;

use super::{KillPoint, Tie};
use crate::observer::UnitOfWorkSummary;

#[async_trait]
impl Store for Tie<dyn Store> {
    async fn transact(
        &self,
        reads: &ReadSet,
        decide: &mut (dyn FnMut(Snapshot) -> ChangeSet + Send),
    ) -> Result<(), StoreError> {
        let bond = &self.bond;
        if bond.is_dead() {
            return std::future::pending().await;
        }
        // a unit of work is one effect: what half of it would be is the store's own affair, and its contract forbids it
        let end = bond.count();
        if matches!(end, Some(KillPoint::Before | KillPoint::Half)) {
            return bond.die("before it can write").await;
        }
        let mut summary = UnitOfWorkSummary::default();
        let defect = bond.defect;
        let mut spy = |mut snapshot| {
            if let Some(defect) = defect {
                defect.alter_facts(&mut snapshot);
            }
            let changes = decide(snapshot);
            summary = UnitOfWorkSummary::of(&changes);
            defect.map_or_else(|| changes.clone(), |defect| defect.alter_changes(changes.clone()))
        };
        let mut reads = reads.clone();
        if let Some(defect) = defect {
            defect.alter_reads(&mut reads);
        }
        let result = bond.stored(self.port.transact(&reads, &mut spy)).await;
        if let Some(defect) = defect {
            defect.tamper(&bond.observer.store);
        }
        bond.observer.wrote(bond, &summary, &result);
        if end.is_some() {
            return bond.die("before it hears that it is written").await;
        }
        result
    }

    async fn ping(&self) -> Result<(), StoreError> {
        self.bond.stored(self.port.ping()).await
    }

    async fn unfinished(&self, pop: &Pop) -> Result<Vec<Mitigation>, StoreError> {
        self.bond.stored(self.port.unfinished(pop)).await
    }

    async fn mitigation(&self, id: MitigationId) -> Result<Option<Mitigation>, StoreError> {
        self.bond.stored(self.port.mitigation(id)).await
    }

    async fn mitigations(&self, query: &MitigationQuery) -> Result<Page<Mitigation>, StoreError> {
        self.bond.stored(self.port.mitigations(query)).await
    }

    async fn event(&self, id: EventId) -> Result<Option<Event>, StoreError> {
        self.bond.stored(self.port.event(id)).await
    }

    async fn events(&self, query: &EventQuery) -> Result<Page<Event>, StoreError> {
        self.bond.stored(self.port.events(query)).await
    }

    async fn audit(&self, query: &AuditQuery) -> Result<Page<AuditEntry>, StoreError> {
        self.bond.stored(self.port.audit(query)).await
    }

    async fn safelist(&self) -> Result<Safelist, StoreError> {
        self.bond.stored(self.port.safelist()).await
    }

    async fn stats(&self) -> Result<BTreeMap<Pop, PopStats>, StoreError> {
        self.bond.stored(self.port.stats()).await
    }

    async fn totals(&self) -> Result<Totals, StoreError> {
        self.bond.stored(self.port.totals()).await
    }

    async fn series(&self, query: &SeriesQuery) -> Result<Vec<Bucket>, StoreError> {
        self.bond.stored(self.port.series(query)).await
    }

    async fn prune(&self, retention: &Retention, limit: u32) -> Result<u64, StoreError> {
        self.bond.stored(self.port.prune(retention, limit)).await
    }

    fn is_shared(&self) -> bool {
        self.port.is_shared()
    }

    async fn claim(&self, candidacy: &Candidacy) -> Result<Election, StoreError> {
        let asked = Instant::now();
        let election = self.bond.stored(self.port.claim(candidacy)).await;
        let election = match self.bond.defect {
            Some(defect) => defect.alter_election(candidacy, election),
            None => election,
        };
        self.bond.observer.claimed(&self.bond, asked, candidacy.instance, &election);
        election
    }

    async fn resign(&self, pop: &Pop, instance: InstanceId, epoch: Option<Epoch>) -> Result<(), StoreError> {
        self.bond.observer.resigned(&self.bond);
        self.bond.stored(self.port.resign(pop, instance, epoch)).await
    }

    async fn changes(
        &self,
        pop: &Pop,
        reader: InstanceId,
        since: Option<FeedCursor>,
    ) -> Result<Changes, StoreError> {
        self.bond.stored(self.port.changes(pop, reader, since)).await
    }

    async fn by_ids(&self, ids: &[MitigationId]) -> Result<Vec<Mitigation>, StoreError> {
        self.bond.stored(self.port.by_ids(ids)).await
    }

    async fn unfinished_ids(
        &self,
        pop: Option<&Pop>,
        customer: Option<&CustomerId>,
    ) -> Result<Vec<MitigationId>, StoreError> {
        self.bond.stored(self.port.unfinished_ids(pop, customer)).await
    }

    async fn panic_scopes(&self) -> Result<Vec<PanicScope>, StoreError> {
        self.bond.stored(self.port.panic_scopes()).await
    }

    async fn panic_scope(&self, id: PanicId) -> Result<Option<PanicScope>, StoreError> {
        self.bond.stored(self.port.panic_scope(id)).await
    }

    async fn seal(&self, pop: &Pop, leader: Epoch, limit: u32) -> Result<u32, StoreError> {
        self.bond.stored(self.port.seal(pop, leader, limit)).await
    }

    async fn chain_head(&self, pop: &Pop) -> Result<Option<ChainHead>, StoreError> {
        self.bond.stored(self.port.chain_head(pop)).await
    }

    async fn chain(&self, pop: &Pop, from: i64, limit: u32) -> Result<Vec<AuditEntry>, StoreError> {
        self.bond.stored(self.port.chain(pop, from, limit)).await
    }

    async fn groups(&self, query: &GroupQuery) -> Result<Page<SignalGroup>, StoreError> {
        self.bond.stored(self.port.groups(query)).await
    }

    async fn group(&self, id: GroupId) -> Result<Option<SignalGroup>, StoreError> {
        self.bond.stored(self.port.group(id)).await
    }

    async fn open_groups(&self, pop: &Pop, limit: u32) -> Result<Vec<SignalGroup>, StoreError> {
        self.bond.stored(self.port.open_groups(pop, limit)).await
    }

    async fn waiting_corroborations(
        &self,
        pop: &Pop,
        now: DateTime<Utc>,
        source: Option<&SourceName>,
        limit: u32,
    ) -> Result<(WaitingCorroborations, Vec<Corroboration>), StoreError> {
        self.bond.stored(self.port.waiting_corroborations(pop, now, source, limit)).await
    }

    async fn corroborator_activity(
        &self,
        pop: &Pop,
        since: DateTime<Utc>,
    ) -> Result<Vec<SourceActivity>, StoreError> {
        self.bond.stored(self.port.corroborator_activity(pop, since)).await
    }

    async fn last_heard(
        &self,
        sources: &[SourceName],
    ) -> Result<BTreeMap<SourceName, DateTime<Utc>>, StoreError> {
        self.bond.stored(self.port.last_heard(sources)).await
    }

    async fn history(&self, query: &HistoryQuery) -> Result<Vec<Event>, StoreError> {
        self.bond.stored(self.port.history(query)).await
    }

    async fn corroboration_history(
        &self,
        query: &CorroborationHistoryQuery,
    ) -> Result<Vec<Corroboration>, StoreError> {
        self.bond.stored(self.port.corroboration_history(query)).await
    }

    fn pool(&self) -> PoolState {
        self.port.pool()
    }
}
