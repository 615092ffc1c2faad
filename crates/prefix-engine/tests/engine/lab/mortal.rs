//! The ports of an engine that can be killed: from that moment on nothing it does has any effect, and nothing answers it.
//! It can also be held up, as by a stopped process, and cut off from its storage alone.

mod access;

use std::collections::BTreeMap;
use std::future::{Future, pending};
use std::sync::Arc;

use async_trait::async_trait;
use chrono::{DateTime, Utc};
use futures::StreamExt;
use futures::stream::BoxStream;
use prefix_core::Announcer;
use prefix_core::announcer::{AnnounceError, OwnPath, Peer, RibPath, SpeakerEvent};
use prefix_core::audit::AuditEntry;
use prefix_core::audit_chain::ChainHead;
use prefix_core::event::Event;
use prefix_core::flowspec::RouteKey;
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
use prefix_testkit::fakes::announcer::Change;
use prefix_testkit::fakes::{MemoryAnnouncer, MemoryStore};
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

/// Something that an engine did, in the order in which it happened.
#[derive(Clone, Debug)]
pub(crate) enum Deed {
    /// A change that was asked of the speaker, and its answer.
    Sent(Change, Result<(), AnnounceError>),
    /// An audit entry that was committed.
    Wrote(AuditEntry),
}

/// Who wants to know what an engine does.
pub(crate) type Observer = Arc<dyn Fn(Deed) + Send + Sync>;

/// A port with a life of its own.
pub(crate) struct Mortal<P> {
    pub(crate) port: Arc<P>,
    pub(crate) life: CancellationToken,
    pub(crate) observer: Option<Observer>,
    pub(crate) reach: watch::Receiver<Reach>,
}

/// How far an engine reaches.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Reach {
    /// Speaker and storage.
    Everything,
    /// The same, but claims are answered after 0.6 s.
    Slowly,
    /// The speaker only: storage is not available to it.
    Speaker,
    /// Nothing: its calls wait.
    Nothing,
}

impl<P> Mortal<P> {
    pub(crate) fn new(
        port: Arc<P>,
        (life, observer, reach): (CancellationToken, Option<Observer>, watch::Receiver<Reach>),
    ) -> Self {
        Self { port, life, observer, reach }
    }

    async fn served<T>(&self, call: impl Future<Output = Result<T, StoreError>>) -> Result<T, StoreError> {
        if *self.reach.borrow() == Reach::Speaker {
            return Err(StoreError::Unavailable("cut off".into()));
        }
        self.alive(call).await
    }

    fn observe(&self, deeds: impl Iterator<Item = Deed>) {
        if let Some(observer) = &self.observer {
            deeds.for_each(|deed| observer(deed));
        }
    }

    /// The answer of a call, or none ever again. A call that was under way at the end may have had its effect.
    async fn alive<T>(&self, call: impl Future<Output = T>) -> T {
        let mut reach = self.reach.clone();
        let held_up = async {
            // an engine whose test has ended is held up no longer
            let _ = reach.wait_for(|reach| *reach != Reach::Nothing).await;
            call.await
        };
        if !self.life.is_cancelled() {
            tokio::select! {
                biased;
                () = self.life.cancelled() => {}
                answer = held_up => return answer,
            }
        }
        pending().await
    }
}

#[async_trait]
impl Announcer for Mortal<MemoryAnnouncer> {
    async fn announce(&self, paths: &[OwnPath]) -> Vec<Result<(), AnnounceError>> {
        let results = self.alive(self.port.announce(paths)).await;
        let changes = paths.iter().map(|path| Change::Announce(Box::new(path.clone())));
        self.observe(changes.zip(&results).map(|(change, result)| Deed::Sent(change, result.clone())));
        results
    }

    async fn withdraw(&self, keys: &[RouteKey]) -> Vec<Result<(), AnnounceError>> {
        let results = self.alive(self.port.withdraw(keys)).await;
        let changes = keys.iter().map(|key| Change::Withdraw(key.clone()));
        self.observe(changes.zip(&results).map(|(change, result)| Deed::Sent(change, result.clone())));
        results
    }

    async fn table(&self) -> Result<BoxStream<'static, Result<RibPath, AnnounceError>>, AnnounceError> {
        self.alive(self.port.table()).await
    }

    async fn find(&self, keys: &[RouteKey]) -> Result<Vec<Option<RibPath>>, AnnounceError> {
        self.alive(self.port.find(keys)).await
    }

    async fn peers(&self) -> Result<Vec<Peer>, AnnounceError> {
        self.alive(self.port.peers()).await
    }

    fn watch(&self) -> BoxStream<'static, SpeakerEvent> {
        let life = self.life.clone();
        self.port
            .watch()
            .take_until(async move { life.cancelled().await })
            .chain(futures::stream::pending())
            .boxed()
    }
}

#[async_trait]
impl Transactions for Mortal<MemoryStore> {
    async fn transact(
        &self,
        reads: &ReadSet,
        decide: &mut (dyn FnMut(Snapshot) -> ChangeSet + Send),
    ) -> Result<(), StoreError> {
        let known = self.observer.as_ref().map_or(0, |_| self.port.all_audit().len());
        let result = self.served(self.port.transact(reads, decide)).await;
        if self.observer.is_some() {
            self.observe(self.port.all_audit().into_iter().skip(known).map(Deed::Wrote));
        }
        result
    }
}

#[async_trait]
impl Reads for Mortal<MemoryStore> {
    async fn unfinished(&self, pop: &Pop) -> Result<Vec<Mitigation>, StoreError> {
        self.served(self.port.unfinished(pop)).await
    }

    async fn unfinished_ids(
        &self,
        pop: Option<&Pop>,
        customer: Option<&CustomerId>,
    ) -> Result<Vec<MitigationId>, StoreError> {
        self.served(self.port.unfinished_ids(pop, customer)).await
    }

    async fn mitigation(&self, id: MitigationId) -> Result<Option<Mitigation>, StoreError> {
        self.served(self.port.mitigation(id)).await
    }

    async fn mitigations(&self, query: &MitigationQuery) -> Result<Page<Mitigation>, StoreError> {
        self.served(self.port.mitigations(query)).await
    }

    async fn by_ids(&self, ids: &[MitigationId]) -> Result<Vec<Mitigation>, StoreError> {
        self.served(self.port.by_ids(ids)).await
    }

    async fn event(&self, id: EventId) -> Result<Option<Event>, StoreError> {
        self.served(self.port.event(id)).await
    }

    async fn events(&self, query: &EventQuery) -> Result<Page<Event>, StoreError> {
        self.served(self.port.events(query)).await
    }

    async fn safelist(&self) -> Result<Safelist, StoreError> {
        self.served(self.port.safelist()).await
    }

    async fn panic_scopes(&self) -> Result<Vec<PanicScope>, StoreError> {
        self.served(self.port.panic_scopes()).await
    }

    async fn panic_scope(&self, id: PanicId) -> Result<Option<PanicScope>, StoreError> {
        self.served(self.port.panic_scope(id)).await
    }
}

#[async_trait]
impl SignalReads for Mortal<MemoryStore> {
    async fn groups(&self, query: &GroupQuery) -> Result<Page<SignalGroup>, StoreError> {
        self.served(self.port.groups(query)).await
    }

    async fn group(&self, id: GroupId) -> Result<Option<SignalGroup>, StoreError> {
        self.served(self.port.group(id)).await
    }

    async fn open_groups(&self, pop: &Pop, limit: u32) -> Result<Vec<SignalGroup>, StoreError> {
        self.served(self.port.open_groups(pop, limit)).await
    }

    async fn waiting_corroborations(
        &self,
        pop: &Pop,
        now: DateTime<Utc>,
        source: Option<&SourceName>,
        limit: u32,
    ) -> Result<(WaitingCorroborations, Vec<Corroboration>), StoreError> {
        self.served(self.port.waiting_corroborations(pop, now, source, limit)).await
    }

    async fn corroborator_activity(
        &self,
        pop: &Pop,
        since: DateTime<Utc>,
    ) -> Result<Vec<SourceActivity>, StoreError> {
        self.served(self.port.corroborator_activity(pop, since)).await
    }

    async fn last_heard(
        &self,
        sources: &[SourceName],
    ) -> Result<BTreeMap<SourceName, DateTime<Utc>>, StoreError> {
        self.served(self.port.last_heard(sources)).await
    }
}

#[async_trait]
impl Statistics for Mortal<MemoryStore> {
    async fn stats(&self) -> Result<BTreeMap<Pop, PopStats>, StoreError> {
        self.served(self.port.stats()).await
    }

    async fn totals(&self) -> Result<Totals, StoreError> {
        self.served(self.port.totals()).await
    }

    async fn series(&self, query: &SeriesQuery) -> Result<Vec<Bucket>, StoreError> {
        self.served(self.port.series(query)).await
    }
}

#[async_trait]
impl History for Mortal<MemoryStore> {
    async fn history(&self, query: &HistoryQuery) -> Result<Vec<Event>, StoreError> {
        self.served(self.port.history(query)).await
    }

    async fn corroboration_history(
        &self,
        query: &CorroborationHistoryQuery,
    ) -> Result<Vec<Corroboration>, StoreError> {
        self.served(self.port.corroboration_history(query)).await
    }
}

#[async_trait]
impl AuditLog for Mortal<MemoryStore> {
    async fn audit(&self, query: &AuditQuery) -> Result<Page<AuditEntry>, StoreError> {
        self.served(self.port.audit(query)).await
    }

    async fn seal_audit(&self, pop: &Pop, leader: Epoch, limit: u32) -> Result<u32, StoreError> {
        self.served(self.port.seal_audit(pop, leader, limit)).await
    }

    async fn audit_chain_head(&self, pop: &Pop) -> Result<Option<ChainHead>, StoreError> {
        self.served(self.port.audit_chain_head(pop)).await
    }

    async fn audit_chain(&self, pop: &Pop, from: i64, limit: u32) -> Result<Vec<AuditEntry>, StoreError> {
        self.served(self.port.audit_chain(pop, from, limit)).await
    }
}

#[async_trait]
impl Leadership for Mortal<MemoryStore> {
    fn is_shared(&self) -> bool {
        self.port.is_shared()
    }

    async fn claim(&self, candidacy: &Candidacy) -> Result<Election, StoreError> {
        let is_slow = *self.reach.borrow() == Reach::Slowly;
        let pause = || tokio::time::sleep(std::time::Duration::from_millis(if is_slow { 300 } else { 0 }));
        pause().await;
        let election = self.served(self.port.claim(candidacy)).await;
        pause().await;
        election
    }

    async fn resign(&self, pop: &Pop, instance: InstanceId, epoch: Option<Epoch>) -> Result<(), StoreError> {
        self.served(self.port.resign(pop, instance, epoch)).await
    }
}

#[async_trait]
impl ChangeFeed for Mortal<MemoryStore> {
    async fn changes(
        &self,
        pop: &Pop,
        reader: InstanceId,
        since: Option<FeedCursor>,
    ) -> Result<RowChanges, StoreError> {
        self.served(self.port.changes(pop, reader, since)).await
    }
}

#[async_trait]
impl Maintenance for Mortal<MemoryStore> {
    async fn ping(&self) -> Result<(), StoreError> {
        self.served(self.port.ping()).await
    }

    async fn retention_horizon(&self) -> Result<Option<DateTime<Utc>>, StoreError> {
        self.served(self.port.retention_horizon()).await
    }

    async fn move_retention_horizon(
        &self,
        from: Option<DateTime<Utc>>,
        to: DateTime<Utc>,
    ) -> Result<bool, StoreError> {
        self.served(self.port.move_retention_horizon(from, to)).await
    }

    async fn prune(&self, retention: &Retention, limit: u32) -> Result<u64, StoreError> {
        self.served(self.port.prune(retention, limit)).await
    }

    fn pool(&self) -> PoolState {
        self.port.pool()
    }
}
