//! The dispatcher owns the way to the speaker: it makes each route there what the intents says it should be.
//!
//! It works by level, not by edge. A enqueued only says that a route may differ; what is sent is decided when it is sent,
//! so changes of one route coalesce, and a rule that is taken over is never withdrawn in between. Changes go out in
//! bursts at a bounded pace, because speakers pack what comes faster into messages that routers refuse. No answer
//! means unknown: the route is read back before it is believed.

mod lease_uncertain;
mod retry_queue;

use std::collections::{HashMap, HashSet, VecDeque};
use std::sync::Arc;
use std::time::Duration;

use prefix_core::announcer::{AnnounceError, OwnPath, RibPath};
use prefix_core::flowspec::{Action, RouteKey};
use prefix_core::id::MitigationId;
use prefix_core::ownership::Ownership;
use prefix_core::store::Epoch;
use tokio::sync::mpsc;
use tokio::time::{Instant, sleep_until};
use tokio_util::sync::CancellationToken;

use crate::command::record::Record;
use crate::command::settle::{Confirmed, Settle, is_news};
use crate::commit_queue::CommitQueue;
use crate::intent_table::{AnnouncedPath, DesiredPath, RouteChange};
use crate::leadership::LeaderState;
use crate::reconciler::{held_by, replacement};
use crate::shared::Shared;
use crate::telemetry;
use retry_queue::RetryQueue;

/// The most changes that go out at once.
const BURST: usize = 200;
/// The most octets of withdrawn NLRI that go out at once. A speaker packs withdrawals that wait together into one
/// UPDATE, and FRR 8.4 resets the session when one carries 4095 octets of NLRI or more: even two bursts that a busy
/// machine lets pile up stay below that.
const BURST_OCTETS: usize = 2000;
/// Octets of withdrawn NLRI that take as long as a burst of [`BURST`] changes.
const PACED_OCTETS: usize = 3500;
const FIRST_RETRY: Duration = Duration::from_millis(100);
const LONGEST_RETRY: Duration = Duration::from_secs(5);
/// Between two looks at whether this instance may go on.
const PATIENCE: Duration = Duration::from_millis(100);
/// Between two looks at a route that waits until it is known again who leads.
const HELD_BACK: Duration = Duration::from_millis(500);

enum Enqueued {
    Now(Vec<RouteKey>),
    Later(Vec<RouteKey>, Duration),
    /// The speaker is there again: nothing waits any longer.
    Reconnected,
}

/// Tells the dispatcher which routes to look at.
#[derive(Clone)]
pub(crate) struct RouteQueue {
    sender: mpsc::UnboundedSender<Enqueued>,
}

/// The receiving side of [`RouteQueue`].
pub(crate) struct RouteQueueReceiver(mpsc::UnboundedReceiver<Enqueued>);

impl RouteQueue {
    pub(crate) fn new() -> (Self, RouteQueueReceiver) {
        let (sender, receiver) = mpsc::unbounded_channel();
        (Self { sender }, RouteQueueReceiver(receiver))
    }

    /// These routes may differ from what is wanted.
    pub(crate) fn enqueue(&self, keys: Vec<RouteKey>) {
        if !keys.is_empty() {
            // a dispatcher that has stopped needs no enqueued
            let _ = self.sender.send(Enqueued::Now(keys));
        }
    }

    /// The same, after a while.
    pub(crate) fn enqueue_later(&self, keys: Vec<RouteKey>, after: Duration) {
        let _ = self.sender.send(Enqueued::Later(keys, after));
    }

    /// The speaker is there again.
    pub(crate) fn reconnected(&self) {
        let _ = self.sender.send(Enqueued::Reconnected);
    }
}

#[derive(Default)]
struct Attempt {
    failures: u32,
    /// An earlier change may still take effect: only a read-back tells what is there.
    unresolved: bool,
}

/// One route of a burst.
struct Change {
    key: RouteKey,
    path: Option<(MitigationId, u16, OwnPath)>,
}

/// See the module.
pub(crate) struct Dispatcher {
    shared: Arc<Shared>,
    commit_queue: CommitQueue,
    dirty: VecDeque<RouteKey>,
    listed: HashSet<RouteKey>,
    retries: RetryQueue,
    attempts: HashMap<RouteKey, Attempt>,
    /// Routes that were read back right before the burst that is next.
    looked_at: HashSet<RouteKey>,
    next_burst: Instant,
    /// In which epoch a burst goes out: what comes of it is written down as work of that leader.
    epoch: Epoch,
}

impl Dispatcher {
    pub(crate) fn new(shared: Arc<Shared>, commit_queue: CommitQueue) -> Self {
        Self {
            shared,
            commit_queue,
            dirty: VecDeque::new(),
            listed: HashSet::new(),
            retries: RetryQueue::default(),
            attempts: HashMap::new(),
            looked_at: HashSet::new(),
            next_burst: Instant::now(),
            epoch: Epoch(0),
        }
    }

    /// Works until it is told to stop.
    pub(crate) async fn run(mut self, mut receiver: RouteQueueReceiver, stop: CancellationToken) {
        loop {
            while let Ok(enqueued) = receiver.0.try_recv() {
                self.take(enqueued);
            }
            self.take_due();
            if self.dirty.is_empty() {
                let wake = self.retries.next();
                tokio::select! {
                    () = stop.cancelled() => return,
                    enqueued = receiver.0.recv() => match enqueued {
                        Some(enqueued) => self.take(enqueued),
                        None => return,
                    },
                    () = sleep_until(wake.unwrap_or_else(Instant::now)), if wake.is_some() => {}
                }
                continue;
            }
            if Instant::now() < self.next_burst {
                tokio::select! {
                    () = stop.cancelled() => return,
                    () = sleep_until(self.next_burst) => {}
                }
            }
            // right before each burst: a leader whose lease ran out sends nothing
            match self.shared.leadership.state() {
                LeaderState::Leading(epoch) => self.burst(epoch, true).await,
                LeaderState::LeaseUncertain(epoch) => self.burst(epoch, false).await,
                LeaderState::Following => self.forget(),
                LeaderState::Waiting => {
                    tokio::select! {
                        () = stop.cancelled() => return,
                        () = self.shared.leadership.changed(PATIENCE) => {}
                    }
                }
            }
        }
    }

    /// Another instance sends: it looks at every route itself. What an earlier call may still do stays known.
    fn forget(&mut self) {
        self.dirty.clear();
        self.listed.clear();
        self.retries = RetryQueue::default();
        self.attempts.retain(|_, attempt| {
            attempt.failures = 0;
            attempt.unresolved
        });
    }

    fn take(&mut self, enqueued: Enqueued) {
        match enqueued {
            Enqueued::Now(keys) => keys.into_iter().for_each(|key| self.list(key)),
            Enqueued::Later(keys, after) => {
                let at = Instant::now() + after;
                keys.into_iter().for_each(|key| self.retries.put(at, key));
            }
            Enqueued::Reconnected => {
                for attempt in self.attempts.values_mut() {
                    attempt.failures = 0;
                }
                self.retries.take_all().into_iter().for_each(|key| self.list(key));
            }
        }
    }

    fn list(&mut self, key: RouteKey) {
        if self.listed.insert(key.clone()) {
            self.dirty.push_back(key);
        }
    }

    fn take_due(&mut self) {
        self.retries.take_due(Instant::now()).into_iter().for_each(|key| self.list(key));
    }

    /// Sends what is to be sent of the next routes; `surely` = this instance leads.
    async fn burst(&mut self, epoch: Epoch, surely: bool) {
        self.epoch = epoch;
        let now = self.shared.now();
        let mut announce = Vec::new();
        let mut withdraw = Vec::new();
        let mut known = Settle::default();
        let mut octets = 0;
        while announce.len() + withdraw.len() < BURST && octets < BURST_OCTETS {
            let Some(key) = self.dirty.pop_front() else { break };
            self.listed.remove(&key);
            match self.shared.intents.route_change(&key, now) {
                RouteChange::Announce(DesiredPath::Path { id, step, path }) => {
                    announce.push(Change { key, path: Some((id, step, *path)) });
                }
                RouteChange::Withdraw if octets + key.nlri().as_bytes().len() > BURST_OCTETS => {
                    // first of the next burst
                    self.listed.insert(key.clone());
                    self.dirty.push_front(key);
                    break;
                }
                RouteChange::Withdraw => {
                    octets += key.nlri().as_bytes().len();
                    withdraw.push(Change { key, path: None });
                }
                RouteChange::Known { id, step, path } => {
                    Self::confirmed(&self.shared, &mut known, id, key, step, path);
                }
                RouteChange::Gone => {
                    self.shared.intents.gone(&key);
                    known.gone.push(key);
                }
                RouteChange::Announce(_) | RouteChange::Nothing => {}
            }
        }
        self.settle(known);
        let changes = announce.len() + withdraw.len();
        if changes == 0 {
            return;
        }
        let pace = self.pace(changes, octets);
        self.next_burst = Instant::now() + pace;
        if self.shared.enforced() {
            if surely && self.look_first(&announce, &withdraw).await {
                return;
            }
            let (announce, withdraw) =
                if surely { (announce, withdraw) } else { self.sort_out(announce, withdraw).await };
            if announce.len() + withdraw.len() > 0 {
                self.send(announce, withdraw, pace).await;
            }
        } else {
            // dry-run changes nothing at the speaker, but what left it by its own time is written down
            self.read_back(withdraw).await;
        }
    }

    /// How long a burst takes, by the number of its changes or by its octets.
    fn pace(&self, changes: usize, octets: usize) -> Duration {
        let per_second = self.shared.settings.max_changes_per_second.max(1);
        let as_changes = changes.max((octets * BURST).div_ceil(PACED_OCTETS));
        let as_changes = u32::try_from(as_changes).unwrap_or(u32::MAX);
        Duration::from_secs(1) * as_changes / per_second
    }

    /// Leaves of a burst only what is right whoever leads.
    async fn sort_out(&mut self, announce: Vec<Change>, withdraw: Vec<Change>) -> (Vec<Change>, Vec<Change>) {
        let all: Vec<Change> = announce.into_iter().chain(withdraw).collect();
        let keys: Vec<RouteKey> = all.iter().map(|change| change.key.clone()).collect();
        let found = self.shared.announcer.find(&keys).await;
        let now = self.shared.now();
        let (mut announce, mut withdraw, mut settle) = (Vec::new(), Vec::new(), Settle::default());
        let found = match found {
            Ok(found) => found,
            Err(error) => {
                // nothing was sent: that stays different from a change without an answer
                let error = AnnounceError::Unreachable(format!("its table cannot be read: {error}"));
                keys.iter().for_each(|key| self.failed(key, &error));
                return (announce, withdraw);
            }
        };
        for (change, found) in all.into_iter().zip(found) {
            let found = found.filter(|path| path.ownership.is_own());
            match (&change.path, &found) {
                (None, None) if !self.is_unresolved(&change.key) => self.confirm(change, &mut settle),
                (None, Some(path))
                    if lease_uncertain::must_go(&self.shared.intents, &change.key, path, now) =>
                {
                    withdraw.push(change);
                }
                (Some((_, _, wanted)), Some(path)) if lease_uncertain::may_live_on(wanted, path) => {
                    announce.push(change);
                }
                (_, found) => {
                    let wait = found.as_ref().and_then(|path| lease_uncertain::time_left(path, now));
                    self.retries.put(Instant::now() + wait.unwrap_or(HELD_BACK).min(HELD_BACK), change.key);
                }
            }
        }
        self.settle(settle);
        (announce, withdraw)
    }

    /// A change names a route, not an owner. Where nobody has seen yet whose path stands there it is read back first:
    /// what belongs to somebody else is not taken away, and what belongs to another pop is not replaced. Returns true
    /// if there was anything to look at: time has passed, and what is to be sent is decided anew.
    async fn look_first(&mut self, announce: &[Change], withdraw: &[Change]) -> bool {
        let is_unseen = |change: &&Change| {
            let key = &change.key;
            // an announcement without an answer was sent only where nobody else's path was to stay
            let is_tried = self.attempts.get(key).is_some_and(|attempt| attempt.unresolved);
            !is_tried
                && !self.looked_at.contains(key)
                && !self.shared.intents.is_seen(key, change.path.is_some())
        };
        let both = || announce.iter().chain(withdraw);
        let unseen: Vec<&Change> = both().filter(is_unseen).collect();
        if unseen.is_empty() {
            self.looked_at.clear();
            return false;
        }
        let keys: Vec<RouteKey> = unseen.iter().map(|change| change.key.clone()).collect();
        let announces: Vec<bool> = unseen.iter().map(|change| change.path.is_some()).collect();
        let found = self.shared.announcer.find(&keys).await;
        self.next_burst = Instant::now();
        match found {
            Ok(found) => {
                let mut replaced = Vec::new();
                for ((key, announces), path) in keys.into_iter().zip(announces).zip(found) {
                    let path = path.filter(|path| path.local);
                    let intents = &self.shared.intents;
                    match path.as_ref().map(|path| path.ownership) {
                        Some(Ownership::OtherPop { owner }) => {
                            intents.held_by_other_pop(&key, &held_by(owner))
                        }
                        Some(Ownership::Foreign) => {
                            intents.note_foreign(&key, true);
                            replaced.extend(path.filter(|_| announces));
                        }
                        _ => {}
                    }
                    self.looked_at.insert(key);
                }
                self.tell_replaced(&replaced);
                both().for_each(|change| self.list(change.key.clone()));
            }
            Err(error) => {
                // nothing was sent: that stays different from a change without an answer
                let error = AnnounceError::Unreachable(format!("its table cannot be read: {error}"));
                keys.iter().for_each(|key| self.failed(key, &error));
                let rest = both().filter(|change| !keys.contains(&change.key));
                rest.for_each(|change| self.list(change.key.clone()));
            }
        }
        true
    }

    fn tell_replaced(&self, paths: &[RibPath]) {
        if paths.is_empty() {
            return;
        }
        let entries = paths.iter().map(|path| replacement(&self.shared, path)).collect();
        let _ = self.commit_queue.led_by(self.epoch).submit(Record(entries));
    }

    async fn send(&mut self, announce: Vec<Change>, withdraw: Vec<Change>, pace: Duration) {
        let paths: Vec<OwnPath> = announce
            .iter()
            .filter_map(|change| change.path.as_ref())
            .map(|(_, _, path)| path.clone())
            .collect();
        let keys: Vec<RouteKey> = withdraw.iter().map(|change| change.key.clone()).collect();
        self.shared.intents.sending(announce.iter().map(|change| change.key.clone()));
        let started = Instant::now();
        let announcer = &self.shared.announcer;
        let (announced, withdrawn) = tokio::join!(
            async { if paths.is_empty() { Vec::new() } else { announcer.announce(&paths).await } },
            async { if keys.is_empty() { Vec::new() } else { announcer.withdraw(&keys).await } },
        );
        // a speaker that answers late is busy: it gets time to pass on what it has
        self.next_burst = self.next_burst.max(Instant::now() + pace / 2);
        let confirmed = |results: &[Result<(), AnnounceError>]| results.iter().filter(|r| r.is_ok()).count();
        telemetry::speaker_call(started.elapsed(), confirmed(&announced), confirmed(&withdrawn));
        let failures = announced.iter().chain(&withdrawn).filter_map(|result| result.as_ref().err());
        telemetry::speaker_failed(failures);
        let mut verify = Vec::new();
        let mut settle = Settle::default();
        for (change, result) in
            announce.into_iter().chain(withdraw).zip(announced.into_iter().chain(withdrawn))
        {
            match result {
                Ok(()) if self.is_unresolved(&change.key) => verify.push(change),
                Ok(()) => self.confirm(change, &mut settle),
                Err(error) => self.failed(&change.key, &error),
            }
        }
        if !verify.is_empty() {
            self.verify(verify, &mut settle).await;
        }
        self.settle(settle);
    }

    fn is_unresolved(&self, key: &RouteKey) -> bool {
        self.attempts.get(key).is_some_and(|attempt| attempt.unresolved)
    }

    /// An earlier change without an answer may have come in between: what is there now decides.
    async fn verify(&mut self, changes: Vec<Change>, settle: &mut Settle) {
        let keys: Vec<RouteKey> = changes.iter().map(|change| change.key.clone()).collect();
        match self.shared.announcer.find(&keys).await {
            Ok(found) => {
                for (change, found) in changes.into_iter().zip(found) {
                    if matches_wish(&change, found.as_ref()) {
                        self.confirm(change, settle);
                    } else {
                        self.failed(
                            &change.key,
                            &AnnounceError::Unknown("an earlier change came late".into()),
                        );
                    }
                }
            }
            Err(error) => changes.iter().for_each(|change| self.failed(&change.key, &error)),
        }
    }

    async fn read_back(&mut self, changes: Vec<Change>) {
        let keys: Vec<RouteKey> = changes.iter().map(|change| change.key.clone()).collect();
        if keys.is_empty() {
            return;
        }
        let mut settle = Settle::default();
        match self.shared.announcer.find(&keys).await {
            Ok(found) => {
                for (change, found) in changes.into_iter().zip(found) {
                    if found.is_some_and(|path| path.ownership.is_own()) {
                        self.retries.put(Instant::now() + LONGEST_RETRY, change.key);
                    } else {
                        self.confirm(change, &mut settle);
                    }
                }
            }
            Err(_) => {
                let at = Instant::now() + LONGEST_RETRY;
                changes.into_iter().for_each(|change| self.retries.put(at, change.key));
            }
        }
        self.settle(settle);
    }

    fn confirm(&mut self, change: Change, settle: &mut Settle) {
        self.attempts.remove(&change.key);
        match change.path {
            Some((id, step, path)) => {
                let path = AnnouncedPath { action: path.action, tags: path.tags, at: self.shared.now() };
                self.shared.intents.confirmed(&change.key, path);
                self.shared.deadline_moved.notify_one();
                Self::confirmed(&self.shared, settle, id, change.key, step, path);
            }
            None => {
                self.shared.intents.gone(&change.key);
                settle.gone.push(change.key);
            }
        }
    }

    /// Notes a confirmation, unless the row says all of it already.
    fn confirmed(
        shared: &Shared,
        settle: &mut Settle,
        id: MitigationId,
        key: RouteKey,
        step: u16,
        path: AnnouncedPath,
    ) {
        if shared.intents.get(id).is_some_and(|row| is_news(&row)) {
            let (action, not_after) = (path.action, path.tags.not_after);
            settle.confirmed.push(Confirmed { id, key, step, action, not_after });
        }
    }

    fn failed(&mut self, key: &RouteKey, error: &AnnounceError) {
        let attempt = self.attempts.entry(key.clone()).or_default();
        attempt.failures += 1;
        attempt.unresolved |= matches!(error, AnnounceError::Unknown(_));
        let wait = (FIRST_RETRY * 2_u32.saturating_pow(attempt.failures.min(10) - 1)).min(LONGEST_RETRY);
        // routes that failed together need not come back together
        let spread =
            key.nlri().as_bytes().iter().fold(0_u32, |sum, byte| sum.wrapping_mul(31) + u32::from(*byte));
        let wait = wait + wait * (spread % 256) / 512;
        self.shared.intents.failed(key, &error.to_string());
        self.retries.put(Instant::now() + wait, key.clone());
    }

    fn settle(&self, settle: Settle) {
        if settle.confirmed.is_empty() && settle.gone.is_empty() {
            return;
        }
        // the commit_queue is gone only when the engine is
        let _ = self.commit_queue.led_by(self.epoch).submit(settle);
    }
}

/// Rates travel as 32-bit floating point numbers, so actions are compared as the communities they become.
pub(crate) fn is_same_on_wire(a: &Action, b: &Action) -> bool {
    a.action_type() == b.action_type() && a.extended_communities() == b.extended_communities()
}

fn matches_wish(change: &Change, found: Option<&RibPath>) -> bool {
    match (&change.path, found) {
        (None, found) => !found.is_some_and(|path| path.ownership.is_own()),
        (Some((_, _, wanted)), Some(found)) => {
            let own = Ownership::Own {
                not_after: Some(wanted.tags.not_after),
                mitigation: Some(wanted.tags.mitigation),
            };
            found.action.as_ref().is_some_and(|action| is_same_on_wire(action, &wanted.action))
                && found.ownership == own
        }
        (Some(_), None) => false,
    }
}
