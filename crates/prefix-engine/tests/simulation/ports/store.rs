//! The way of one daemon to storage.

use std::collections::BTreeMap;

use async_trait::async_trait;
use chrono::{DateTime, Utc};
use prefix_core::Store;
use prefix_core::audit::AuditEntry;
use prefix_core::audit_chain::ChainHead;
use prefix_core::event::Event;
use prefix_core::id::{EventId, GroupId, MitigationId};
use prefix_core::id::{InstanceId, PanicId};
use prefix_core::mitigation::Mitigation;
use prefix_core::name::CustomerId;
use prefix_core::name::{Pop, SourceName};
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

use tokio::time::Instant;

use super::{CrashPoint, LinkedPort};
use crate::deeds::Deeds;

#[async_trait]
impl Transactions for LinkedPort<dyn Store> {
    async fn transact(
        &self,
        reads: &ReadSet,
        decide: &mut (dyn FnMut(Snapshot) -> ChangeSet + Send),
    ) -> Result<(), StoreError> {
        let link = &self.link;
        if link.is_dead() {
            return std::future::pending().await;
        }
        // a unit of work is one effect: what half of it would be is the store's own affair, and its contract forbids it
        let decided = Instant::now();
        let end = link.count();
        if matches!(end, Some(CrashPoint::Before | CrashPoint::Half)) {
            return link.die("before it can write").await;
        }
        let mut deeds = Deeds::default();
        let defect = link.defect;
        let mut spy = |mut snapshot| {
            if let Some(defect) = defect {
                defect.bend_facts(&mut snapshot);
            }
            let changes = decide(snapshot);
            deeds = Deeds::of(&changes);
            defect.map_or_else(|| changes.clone(), |defect| defect.bend_changes(changes.clone()))
        };
        let mut reads = reads.clone();
        if let Some(defect) = defect {
            defect.bend_reads(&mut reads);
        }
        let result = link.stored(self.port.transact(&reads, &mut spy)).await;
        if let Some(defect) = defect {
            defect.tamper(&link.observer.store);
        }
        link.observer.wrote(link, &deeds, decided, &result);
        if end.is_some() {
            return link.die("before it learns that it is written").await;
        }
        result
    }
}

#[async_trait]
impl Reads for LinkedPort<dyn Store> {
    async fn unfinished(&self, pop: &Pop) -> Result<Vec<Mitigation>, StoreError> {
        self.link.stored(self.port.unfinished(pop)).await
    }

    async fn unfinished_ids(
        &self,
        pop: Option<&Pop>,
        customer: Option<&CustomerId>,
    ) -> Result<Vec<MitigationId>, StoreError> {
        self.link.stored(self.port.unfinished_ids(pop, customer)).await
    }

    async fn mitigation(&self, id: MitigationId) -> Result<Option<Mitigation>, StoreError> {
        self.link.stored(self.port.mitigation(id)).await
    }

    async fn mitigations(&self, query: &MitigationQuery) -> Result<Page<Mitigation>, StoreError> {
        self.link.stored(self.port.mitigations(query)).await
    }

    async fn by_ids(&self, ids: &[MitigationId]) -> Result<Vec<Mitigation>, StoreError> {
        self.link.stored(self.port.by_ids(ids)).await
    }

    async fn event(&self, id: EventId) -> Result<Option<Event>, StoreError> {
        self.link.stored(self.port.event(id)).await
    }

    async fn events(&self, query: &EventQuery) -> Result<Page<Event>, StoreError> {
        self.link.stored(self.port.events(query)).await
    }

    async fn safelist(&self) -> Result<Safelist, StoreError> {
        self.link.stored(self.port.safelist()).await
    }

    async fn panic_scopes(&self) -> Result<Vec<PanicScope>, StoreError> {
        self.link.stored(self.port.panic_scopes()).await
    }

    async fn panic_scope(&self, id: PanicId) -> Result<Option<PanicScope>, StoreError> {
        self.link.stored(self.port.panic_scope(id)).await
    }
}

#[async_trait]
impl SignalReads for LinkedPort<dyn Store> {
    async fn groups(&self, query: &GroupQuery) -> Result<Page<SignalGroup>, StoreError> {
        self.link.stored(self.port.groups(query)).await
    }

    async fn group(&self, id: GroupId) -> Result<Option<SignalGroup>, StoreError> {
        self.link.stored(self.port.group(id)).await
    }

    async fn open_groups(&self, pop: &Pop, limit: u32) -> Result<Vec<SignalGroup>, StoreError> {
        self.link.stored(self.port.open_groups(pop, limit)).await
    }

    async fn waiting_corroborations(
        &self,
        pop: &Pop,
        now: DateTime<Utc>,
        source: Option<&SourceName>,
        limit: u32,
    ) -> Result<(WaitingCorroborations, Vec<Corroboration>), StoreError> {
        self.link.stored(self.port.waiting_corroborations(pop, now, source, limit)).await
    }

    async fn corroborator_activity(
        &self,
        pop: &Pop,
        since: DateTime<Utc>,
    ) -> Result<Vec<SourceActivity>, StoreError> {
        self.link.stored(self.port.corroborator_activity(pop, since)).await
    }

    async fn last_heard(
        &self,
        sources: &[SourceName],
    ) -> Result<BTreeMap<SourceName, DateTime<Utc>>, StoreError> {
        self.link.stored(self.port.last_heard(sources)).await
    }
}

#[async_trait]
impl Statistics for LinkedPort<dyn Store> {
    async fn stats(&self) -> Result<BTreeMap<Pop, PopStats>, StoreError> {
        self.link.stored(self.port.stats()).await
    }

    async fn totals(&self) -> Result<Totals, StoreError> {
        self.link.stored(self.port.totals()).await
    }

    async fn series(&self, query: &SeriesQuery) -> Result<Vec<Bucket>, StoreError> {
        self.link.stored(self.port.series(query)).await
    }
}

#[async_trait]
impl History for LinkedPort<dyn Store> {
    async fn history(&self, query: &HistoryQuery) -> Result<Vec<Event>, StoreError> {
        self.link.stored(self.port.history(query)).await
    }

    async fn corroboration_history(
        &self,
        query: &CorroborationHistoryQuery,
    ) -> Result<Vec<Corroboration>, StoreError> {
        self.link.stored(self.port.corroboration_history(query)).await
    }
}

#[async_trait]
impl AuditLog for LinkedPort<dyn Store> {
    async fn audit(&self, query: &AuditQuery) -> Result<Page<AuditEntry>, StoreError> {
        self.link.stored(self.port.audit(query)).await
    }

    async fn seal_audit(&self, pop: &Pop, leader: Epoch, limit: u32) -> Result<u32, StoreError> {
        self.link.stored(self.port.seal_audit(pop, leader, limit)).await
    }

    async fn audit_chain_head(&self, pop: &Pop) -> Result<Option<ChainHead>, StoreError> {
        self.link.stored(self.port.audit_chain_head(pop)).await
    }

    async fn audit_chain(&self, pop: &Pop, from: i64, limit: u32) -> Result<Vec<AuditEntry>, StoreError> {
        self.link.stored(self.port.audit_chain(pop, from, limit)).await
    }
}

#[async_trait]
impl Leadership for LinkedPort<dyn Store> {
    fn is_shared(&self) -> bool {
        self.port.is_shared()
    }

    async fn claim(&self, candidacy: &Candidacy) -> Result<Election, StoreError> {
        let asked = Instant::now();
        self.link.pause_point();
        let election = self.link.stored(self.port.claim(candidacy)).await;
        let election = match self.link.defect {
            Some(defect) => defect.bend_election(candidacy, election),
            None => election,
        };
        self.link.observer.claimed(&self.link, asked, candidacy.instance, &election);
        election
    }

    async fn resign(&self, pop: &Pop, instance: InstanceId, epoch: Option<Epoch>) -> Result<(), StoreError> {
        self.link.observer.resigned(&self.link);
        self.link.stored(self.port.resign(pop, instance, epoch)).await
    }
}

#[async_trait]
impl ChangeFeed for LinkedPort<dyn Store> {
    async fn changes(
        &self,
        pop: &Pop,
        reader: InstanceId,
        since: Option<FeedCursor>,
    ) -> Result<RowChanges, StoreError> {
        self.link.stored(self.port.changes(pop, reader, since)).await
    }
}

#[async_trait]
impl Maintenance for LinkedPort<dyn Store> {
    async fn ping(&self) -> Result<(), StoreError> {
        self.link.stored(self.port.ping()).await
    }

    async fn retention_horizon(&self) -> Result<Option<DateTime<Utc>>, StoreError> {
        self.link.stored(self.port.retention_horizon()).await
    }

    async fn move_retention_horizon(
        &self,
        from: Option<DateTime<Utc>>,
        to: DateTime<Utc>,
    ) -> Result<bool, StoreError> {
        self.link.stored(self.port.move_retention_horizon(from, to)).await
    }

    async fn prune(&self, retention: &Retention, limit: u32) -> Result<u64, StoreError> {
        self.link.stored(self.port.prune(retention, limit)).await
    }

    fn pool(&self) -> PoolState {
        self.port.pool()
    }
}
