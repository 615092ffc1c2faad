//! A speaker in memory with fault injection. It passes the same contract suite as the real adapters.

mod call;
mod table;

use std::collections::VecDeque;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use futures::StreamExt;
use futures::stream::{self, BoxStream};
use prefix_core::Announcer;
use prefix_core::announcer::{AnnounceError, OwnPath, Peer, RibPath, SpeakerEvent};
use prefix_core::flowspec::RouteKey;
use tokio::sync::{mpsc, watch};
use tokio::time::{Instant, sleep, timeout};

pub use call::{Call, Change};
use table::Table;

/// How a single change fails.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AnnounceFault {
    /// The speaker refuses; no effect.
    Refused,
    /// The speaker is unreachable; no effect.
    Unreachable,
    /// No answer, and no effect.
    Lost,
    /// No answer, although the change has its effect.
    AnswerLost,
    /// No answer; the effect comes with [`MemoryAnnouncer::let_late_changes_happen`].
    Late,
    /// No answer; the effect comes now, and once more with [`MemoryAnnouncer::let_late_changes_happen`].
    Repeated,
}

/// A speaker in memory, with fault injection. It starts connected, with an empty table and no peers.
#[derive(Debug)]
pub struct MemoryAnnouncer {
    inner: Mutex<Inner>,
    stalled: watch::Sender<bool>,
}

#[derive(Debug, Default)]
struct Inner {
    table: Table,
    peers: Vec<Peer>,
    down: Option<String>,
    announce_faults: VecDeque<AnnounceFault>,
    withdraw_faults: VecDeque<AnnounceFault>,
    read_faults: usize,
    reads: usize,
    break_table_after: Option<usize>,
    late: Vec<Change>,
    delay: Duration,
    call_timeout: Duration,
    history: Vec<Call>,
    watchers: Vec<mpsc::UnboundedSender<SpeakerEvent>>,
}

impl Default for MemoryAnnouncer {
    fn default() -> Self {
        Self::new()
    }
}

impl MemoryAnnouncer {
    /// A connected speaker with an empty table.
    pub fn new() -> Self {
        let inner = Inner { call_timeout: Duration::from_secs(30), ..Inner::default() };
        Self { inner: Mutex::new(inner), stalled: watch::channel(false).0 }
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The next `times` announced paths fail like this. Faults are used in the order in which they were set.
    pub fn fail_announces(&self, times: usize, fault: AnnounceFault) {
        self.lock().announce_faults.extend(std::iter::repeat_n(fault, times));
    }

    /// The next `times` withdrawn routes fail like this.
    pub fn fail_withdraws(&self, times: usize, fault: AnnounceFault) {
        self.lock().withdraw_faults.extend(std::iter::repeat_n(fault, times));
    }

    /// The next `times` reads (table, routes, peers) get no answer.
    pub fn fail_reads(&self, times: usize) {
        self.lock().read_faults += times;
    }

    /// The next table breaks off after so many paths.
    pub fn break_table_after(&self, paths: usize) {
        self.lock().break_table_after = Some(paths);
    }

    /// Removes the faults that were not used yet. Late changes stay late.
    pub fn heal(&self) {
        let mut inner = self.lock();
        inner.announce_faults.clear();
        inner.withdraw_faults.clear();
        inner.read_faults = 0;
        inner.break_table_after = None;
    }

    /// Applies the changes that failed as [`AnnounceFault::Late`] or [`AnnounceFault::Repeated`], in order.
    pub fn let_late_changes_happen(&self) {
        self.let_late_changes_happen_as(|_| {});
    }

    /// The same after `shuffle`, which may reorder, drop or repeat them. Returns the changes that were applied.
    pub fn let_late_changes_happen_as(&self, shuffle: impl FnOnce(&mut Vec<Change>)) -> Vec<Change> {
        let mut inner = self.lock();
        let mut late = std::mem::take(&mut inner.late);
        shuffle(&mut late);
        for change in &late {
            inner.apply(change);
        }
        late
    }

    /// Sets the time that every call takes.
    pub fn set_delay(&self, delay: Duration) {
        self.lock().delay = delay;
    }

    /// Sets how long a call waits for a stalled speaker; 30 s by default.
    pub fn set_call_timeout(&self, timeout: Duration) {
        self.lock().call_timeout = timeout;
    }

    /// Stops the speaker like SIGSTOP: calls wait, and changes are applied when it [wakes](Self::wake), answered or
    /// not.
    pub fn stall(&self) {
        self.stalled.send_replace(true);
    }

    /// Ends a stall: the changes that were sent during it are applied, in order.
    pub fn wake(&self) {
        self.let_late_changes_happen();
        self.stalled.send_replace(false);
    }

    /// Breaks the connection; the table is kept.
    pub fn disconnect(&self, reason: &str) {
        let mut inner = self.lock();
        inner.down = Some(reason.to_owned());
        inner.tell(&SpeakerEvent::Disconnected { reason: reason.to_owned() });
    }

    /// Restores the connection.
    pub fn connect(&self) {
        let mut inner = self.lock();
        inner.down = None;
        inner.tell(&SpeakerEvent::Connected);
    }

    /// False while the connection is [broken](Self::disconnect).
    pub fn is_connected(&self) -> bool {
        self.lock().down.is_none()
    }

    /// Restarts the speaker: its table is empty, and late changes are dropped.
    pub fn restart(&self) {
        self.disconnect("the speaker restarts");
        {
            let mut inner = self.lock();
            inner.table.clear();
            inner.late.clear();
        }
        self.connect();
    }

    /// Adds a path as another client (`local`) or a BGP neighbor does. A local path replaces the local path of the same
    /// route.
    pub fn put(&self, path: RibPath) {
        let mut inner = self.lock();
        let key = path.key.clone();
        inner.table.put(path);
        inner.tell_best(&key);
    }

    /// Removes the path of a route that a BGP neighbor has announced: it withdraws it, or its session is down.
    pub fn remove_learned(&self, key: &RouteKey) {
        let mut inner = self.lock();
        if inner.table.remove_learned(key) {
            inner.tell_best(key);
        }
    }

    /// Whether learned paths are better than local ones: events tell of the best path only. They are not at first.
    pub fn prefer_learned(&self, prefer: bool) {
        self.lock().table.prefers_learned = prefer;
    }

    /// How often the table, or routes of it, were read.
    pub fn reads(&self) -> usize {
        self.lock().reads
    }

    /// Removes the local path of a route, as another client does.
    pub fn remove(&self, key: &RouteKey) {
        self.lock().apply(&Change::Withdraw(key.clone()));
    }

    /// Sets the neighbors; new and changed ones are events.
    pub fn set_peers(&self, peers: Vec<Peer>) {
        let mut inner = self.lock();
        let changed: Vec<Peer> = peers.iter().filter(|peer| !inner.peers.contains(peer)).cloned().collect();
        inner.peers = peers;
        changed.into_iter().for_each(|peer| inner.tell(&SpeakerEvent::PeerChanged(peer)));
    }

    /// The local path of a route, on which a change acts.
    pub fn local(&self, key: &RouteKey) -> Option<RibPath> {
        self.lock().table.local(key).cloned()
    }

    /// The own local paths, by route.
    pub fn own_paths(&self) -> Vec<RibPath> {
        self.paths().into_iter().filter(|path| path.local && path.ownership.is_own()).collect()
    }

    /// The whole table, by route, unicast paths of others included.
    pub fn paths(&self) -> Vec<RibPath> {
        self.lock().table.paths().cloned().collect()
    }

    /// Every requested change with its answer, in order.
    pub fn history(&self) -> Vec<Call> {
        self.lock().history.clone()
    }

    /// The requested changes of one route.
    pub fn history_of(&self, key: &RouteKey) -> Vec<Call> {
        self.lock().history.iter().filter(|call| call.change.key() == *key).cloned().collect()
    }

    /// Clears the history.
    pub fn forget_history(&self) {
        self.lock().history.clear();
    }

    /// Applies changes, one answer each.
    async fn change(&self, changes: Vec<Change>) -> Vec<Result<(), AnnounceError>> {
        if changes.is_empty() {
            return Vec::new();
        }
        let (delay, limit) = self.bounds();
        if !delay.is_zero() {
            sleep(delay).await;
        }
        if *self.stalled.borrow() && self.lock().down.is_none() {
            return self.change_stalled(changes, limit).await;
        }
        let mut inner = self.lock();
        let mut results = Vec::with_capacity(changes.len());
        for change in changes {
            let result = inner.carry_out(&change);
            inner.history.push(Call { at: Instant::now(), change, result: result.clone() });
            results.push(result);
        }
        results
    }

    async fn change_stalled(&self, changes: Vec<Change>, limit: Duration) -> Vec<Result<(), AnnounceError>> {
        self.lock().late.extend(changes.iter().cloned());
        let mut stalled = self.stalled.subscribe();
        let woke = timeout(limit, stalled.wait_for(|stalled| !stalled)).await.is_ok();
        let result = if woke { Ok(()) } else { Err(no_answer()) };
        let mut inner = self.lock();
        let calls =
            changes.into_iter().map(|change| Call { at: Instant::now(), change, result: result.clone() });
        let calls: Vec<Call> = calls.collect();
        let results = calls.iter().map(|call| call.result.clone()).collect();
        inner.history.extend(calls);
        results
    }

    /// Waits as a change does; an error if the read is not answered.
    async fn read(&self) -> Result<(), AnnounceError> {
        let (delay, limit) = self.bounds();
        if !delay.is_zero() {
            sleep(delay).await;
        }
        let mut stalled = self.stalled.subscribe();
        if self.lock().down.is_none() && timeout(limit, stalled.wait_for(|stalled| !stalled)).await.is_err() {
            return Err(no_answer());
        }
        let mut inner = self.lock();
        inner.reachable()?;
        inner.reads += 1;
        if inner.read_faults > 0 {
            inner.read_faults -= 1;
            return Err(no_answer());
        }
        Ok(())
    }

    fn bounds(&self) -> (Duration, Duration) {
        let inner = self.lock();
        (inner.delay, inner.call_timeout)
    }
}

fn no_answer() -> AnnounceError {
    AnnounceError::Unknown("timed out".into())
}

impl Inner {
    fn reachable(&self) -> Result<(), AnnounceError> {
        self.down.as_ref().map_or(Ok(()), |reason| Err(AnnounceError::Unreachable(reason.clone())))
    }

    fn carry_out(&mut self, change: &Change) -> Result<(), AnnounceError> {
        self.reachable()?;
        change.check()?;
        let faults = match change {
            Change::Announce(_) => &mut self.announce_faults,
            Change::Withdraw(_) => &mut self.withdraw_faults,
        };
        match faults.pop_front() {
            None => {
                self.apply(change);
                Ok(())
            }
            Some(AnnounceFault::Refused) => Err(AnnounceError::Refused("injected fault".into())),
            Some(AnnounceFault::Unreachable) => Err(AnnounceError::Unreachable("injected fault".into())),
            Some(AnnounceFault::Lost) => Err(no_answer()),
            Some(AnnounceFault::AnswerLost) => {
                self.apply(change);
                Err(no_answer())
            }
            Some(AnnounceFault::Late) => {
                self.late.push(change.clone());
                Err(no_answer())
            }
            Some(AnnounceFault::Repeated) => {
                self.apply(change);
                self.late.push(change.clone());
                Err(no_answer())
            }
        }
    }

    fn apply(&mut self, change: &Change) {
        let changed = match change {
            Change::Announce(path) => {
                self.table.put(call::as_listed(path));
                true
            }
            Change::Withdraw(key) => self.table.remove_local(key),
        };
        if changed {
            self.tell_best(&change.key());
        }
    }

    fn tell_best(&mut self, key: &RouteKey) {
        let path = self.table.best(key).cloned().map(Box::new);
        self.tell(&SpeakerEvent::PathChanged { key: key.clone(), path });
    }

    fn tell(&mut self, event: &SpeakerEvent) {
        self.watchers.retain(|watcher| watcher.send(event.clone()).is_ok());
    }
}

#[async_trait]
impl Announcer for MemoryAnnouncer {
    async fn announce(&self, paths: &[OwnPath]) -> Vec<Result<(), AnnounceError>> {
        self.change(paths.iter().map(|path| Change::Announce(Box::new(path.clone()))).collect()).await
    }

    async fn withdraw(&self, keys: &[RouteKey]) -> Vec<Result<(), AnnounceError>> {
        self.change(keys.iter().map(|key| Change::Withdraw(key.clone())).collect()).await
    }

    async fn table(&self) -> Result<BoxStream<'static, Result<RibPath, AnnounceError>>, AnnounceError> {
        self.read().await?;
        let mut inner = self.lock();
        let told = inner.table.paths().filter(|path| table::is_reported(path)).cloned().map(Ok);
        let mut items: Vec<Result<RibPath, AnnounceError>> = told.collect();
        if let Some(paths) = inner.break_table_after.take() {
            items.truncate(paths);
            items.push(Err(no_answer()));
        }
        Ok(stream::iter(items).boxed())
    }

    async fn find(&self, keys: &[RouteKey]) -> Result<Vec<Option<RibPath>>, AnnounceError> {
        if keys.is_empty() {
            return Ok(Vec::new());
        }
        self.read().await?;
        let inner = self.lock();
        Ok(keys.iter().map(|key| inner.table.find(key).cloned()).collect())
    }

    async fn peers(&self) -> Result<Vec<Peer>, AnnounceError> {
        self.read().await?;
        Ok(self.lock().peers.clone())
    }

    fn watch(&self) -> BoxStream<'static, SpeakerEvent> {
        let (sender, receiver) = mpsc::unbounded_channel();
        let mut inner = self.lock();
        let now = match &inner.down {
            None => SpeakerEvent::Connected,
            Some(reason) => SpeakerEvent::Disconnected { reason: reason.clone() },
        };
        // the receiver is right here
        let _ = sender.send(now);
        inner.watchers.push(sender);
        stream::unfold(receiver, |mut receiver| async move { Some((receiver.recv().await?, receiver)) })
            .boxed()
    }
}
