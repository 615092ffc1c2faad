//! The reconciler compares the intent with what the speaker has, and lets the dispatcher repair the difference.
//!
//! It runs when a connection stands, at an interval, and for single routes when the speaker says that they changed. It
//! costs one streaming pass over the table plus the differences; paths of others are counted and left alone.

mod adoption;

use std::collections::HashSet;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use futures::StreamExt;
use prefix_core::announcer::{AnnounceError, RibPath, SpeakerEvent};
use prefix_core::flowspec::RouteKey;
use prefix_core::ownership::Ownership;
use prefix_core::ports::Epoch;
use tokio::sync::{Notify, mpsc};
use tokio::time::{Instant, MissedTickBehavior, interval, sleep, timeout};
use tokio_util::sync::CancellationToken;

use crate::answer::Speaker;
use crate::command::record::Record;
use crate::intent_table::{AnnouncedPath, DesiredPath, Rib};
use crate::leadership::LeaderState;
use crate::rib_diff::{self, Drift, RibDifference};
use crate::speaker::SpeakerState;
use crate::task_context::TaskContext;
use crate::telemetry;
use adoption::Adopted;

/// Own changes come back as events; a difference that lasts longer than this is none of ours.
const ECHO: Duration = Duration::from_millis(200);

/// The longest first pass of an elected leader: a speaker that does not answer by then carries out nothing either, and
/// the table is read again once it does.
const FIRST_PASS: Duration = Duration::from_secs(5);

/// The longest pass of all. A speaker sends 100,000 paths in some seconds.
const LONGEST_PASS: Duration = Duration::from_mins(2);

/// So many paths that are as they should be become confirmations at once. A pass that is cut off loses none that it
/// has made known: what is not confirmed yet is found again by the next pass.
const ADOPTED_AT_ONCE: usize = 500;

/// Before a pass that failed is tried again.
const RETRY: Duration = Duration::from_secs(2);

/// What this instance may do about the table.
enum Pass {
    /// It leads: differences are repaired.
    Repair(Epoch),
    /// It cannot know whether it leads: confirmed paths are noted.
    Learn,
    /// Another instance leads: paths of others are noted.
    Observe,
}

/// The differences that were found.
#[derive(Default)]
struct Differences {
    drifts: Vec<Drift>,
    /// Paths of ours that no living row wants.
    orphans: Vec<RouteKey>,
    /// Routes for the dispatcher that are no drift.
    enqueued: Vec<RouteKey>,
}

impl Differences {
    fn add(&mut self, key: RouteKey, kind: &'static str, found: &str) {
        self.drifts.push(Drift { key, kind, found: found.to_owned() });
    }
}

/// Compares the intent with the speaker's table, and follows the speaker's events.
pub(crate) struct Reconciler {
    context: TaskContext,
    speaker: Arc<SpeakerState>,
    /// Notified when a connection stands.
    connected: Notify,
}

impl Reconciler {
    pub(crate) fn new(context: TaskContext, speaker: Arc<SpeakerState>) -> Self {
        Self { context, speaker, connected: Notify::new() }
    }

    fn rib(&self) -> Rib<'_> {
        self.context.intents.rib(self.speaker.id)
    }

    /// Follows the speaker until `stop`.
    pub(crate) async fn run(self, stop: CancellationToken) {
        let (suspects, suspected) = mpsc::unbounded_channel();
        let work = async {
            tokio::join!(self.check_suspects(suspected), self.follow_events(suspects), self.passes())
        };
        stop.run_until_cancelled(work).await;
    }

    /// Reads again routes that changed: by now the echoes of our own changes are over.
    async fn check_suspects(&self, mut suspected: mpsc::UnboundedReceiver<RouteKey>) {
        let mut keys = HashSet::new();
        loop {
            if keys.is_empty() {
                let Some(first) = suspected.recv().await else { return };
                keys.insert(first);
                sleep(ECHO).await;
            } else {
                // no event tells of them again
                sleep(RETRY).await;
            }
            while let Ok(key) = suspected.try_recv() {
                keys.insert(key);
            }
            if self.check(keys.iter().cloned().collect()).await {
                keys.clear();
            }
        }
    }

    /// Compares the whole table when a connection stands, at an interval, and when leadership asks for it. A hanging
    /// speaker holds up a pass, but not the news that it hangs.
    async fn passes(&self) {
        let leadership = &self.context.leadership;
        let read_table = leadership.read_table(self.speaker.id);
        let mut interval = interval(self.context.settings.reconciliation_interval);
        interval.set_missed_tick_behavior(MissedTickBehavior::Delay);
        interval.tick().await;
        let mut failed = false;
        loop {
            tokio::select! {
                _ = interval.tick() => {}
                () = sleep(RETRY), if failed => {}
                () = self.connected.notified() => self.speaker.refresh().await,
                () = read_table.notified() => {}
            }
            let elected = leadership.table_to_read(self.speaker.id);
            let limit = elected.map_or(Duration::MAX, |_| FIRST_PASS);
            tokio::select! {
                // whoever is elected does not wait for the end of a pass that repairs nothing
                () = read_table.notified(), if elected.is_none() => {
                    read_table.notify_one();
                }
                passed = timeout(limit, self.reconcile()) => {
                    failed = self.speaker.connection() == Speaker::Connected && !matches!(passed, Ok(true));
                }
            }
            if let Some(epoch) = elected {
                leadership.table_read(epoch, self.speaker.id);
            }
        }
    }

    async fn follow_events(&self, suspects: mpsc::UnboundedSender<RouteKey>) {
        let mut events = self.speaker.announcer.watch();
        while let Some(event) = events.next().await {
            self.follow(event, &suspects);
        }
    }

    fn follow(&self, event: SpeakerEvent, suspects: &mpsc::UnboundedSender<RouteKey>) {
        let TaskContext { route_queue, settings, .. } = &self.context;
        let rib = self.rib();
        match event {
            SpeakerEvent::Connected => {
                self.speaker.connected();
                rib.forget_speaker();
                route_queue.reconnected();
                self.connected.notify_one();
            }
            SpeakerEvent::Disconnected { reason } => self.speaker.disconnected(&reason),
            SpeakerEvent::PeerChanged(peer) => self.speaker.peer_changed(peer),
            // in dry-run the table is none of our business
            SpeakerEvent::PathChanged { .. } if !settings.enforced() => {}
            SpeakerEvent::PathChanged { key, path } => {
                let is_suspect = match path.as_deref() {
                    // the best path came over a session: it says nothing of the one that we act on
                    Some(path) if !path.local => self.is_missing(&key) || rib.is_of_others(&key),
                    path => {
                        if self.note_owner(&key, path) {
                            route_queue.enqueue(vec![key.clone()]);
                        }
                        path.map_or_else(|| self.is_missing(&key), |path| self.is_suspect(path))
                    }
                };
                if is_suspect {
                    rib.suspect(key.clone());
                    // the receiver lives as long as this loop
                    let _ = suspects.send(key);
                }
            }
        }
    }

    /// True if a local path is to be read again once the echoes of our own changes are over.
    fn is_suspect(&self, path: &RibPath) -> bool {
        match self.compare(path) {
            Some(RibDifference::Outdated) => false,
            Some(_) => true,
            // a late update of ours has put an earlier not-after time back
            None => self.confirmed(&path.key).is_some_and(|confirmed| ends_before(path, &confirmed)),
        }
    }

    /// Keeps track of routes on which others have the local path: one learned over a session occupies nothing.
    /// Returns true if another pop released one.
    fn note_owner(&self, key: &RouteKey, path: Option<&RibPath>) -> bool {
        let rib = self.rib();
        let owner = path.filter(|path| path.local).map(|path| path.ownership);
        rib.note_foreign(key, owner == Some(Ownership::Foreign));
        match owner {
            Some(Ownership::OtherPop { owner }) => {
                rib.held_by_other_pop(key, &rib_diff::held_by(owner));
                false
            }
            _ => rib.released_by_other_pop(key),
        }
    }

    fn confirmed(&self, key: &RouteKey) -> Option<AnnouncedPath> {
        self.rib().entry(key)?.confirmed
    }

    fn desired(&self, key: &RouteKey) -> DesiredPath {
        self.rib().desired_path(key, self.context.now())
    }

    fn is_missing(&self, key: &RouteKey) -> bool {
        self.confirmed(key).is_some() && matches!(self.desired(key), DesiredPath::Path { .. })
    }

    fn compare(&self, path: &RibPath) -> Option<RibDifference> {
        let confirmed = self.confirmed(&path.key);
        rib_diff::compare(path, &self.desired(&path.key), confirmed.as_ref(), self.context.now())
    }

    /// Reads these routes and repairs the differences. Returns false if they are to be read again.
    async fn check(&self, keys: Vec<RouteKey>) -> bool {
        let Some(epoch) = self.context.leadership.settled(self.speaker.id).await else { return true };
        let found = match self.speaker.announcer.find(&keys).await {
            Ok(found) => found,
            // the next connection begins with a whole pass, and so does the next term of a leader
            Err(AnnounceError::Unreachable(_)) => return true,
            Err(AnnounceError::Refused(_) | AnnounceError::Unknown(_)) => return false,
        };
        let mut differences = Differences::default();
        let mut adopted = Adopted::default();
        for (key, path) in keys.into_iter().zip(found) {
            let path = path.filter(|path| path.local);
            if self.note_owner(&key, path.as_ref()) {
                differences.enqueued.push(key.clone());
            }
            self.rib().no_longer_suspect(&key);
            match path {
                Some(path) => match self.compare(&path) {
                    None => adopted.extend(self.adoption(&path)),
                    difference => self.sort_in(&path, difference, &mut differences),
                },
                None if self.is_missing(&key) => differences.add(key, "missing", "no path"),
                None => {}
            }
        }
        self.adopt(&mut adopted, epoch);
        self.repair(differences, epoch);
        true
    }

    /// Decides what is done about a difference.
    fn sort_in(&self, path: &RibPath, difference: Option<RibDifference>, differences: &mut Differences) {
        let intents = &self.context.intents;
        match difference {
            None => {}
            Some(RibDifference::Outdated) => differences.enqueued.push(path.key.clone()),
            Some(RibDifference::Differs(found)) => differences.add(path.key.clone(), "action", &found),
            Some(RibDifference::Orphan) => {
                // a row that is withdrawing wants it gone too, and has said so already
                if intents.of_route(&path.key).is_empty() {
                    differences.add(path.key.clone(), "orphan", &path.attributes);
                } else {
                    differences.enqueued.push(path.key.clone());
                }
                differences.orphans.push(path.key.clone());
            }
            Some(RibDifference::HeldByOtherPop(error)) => self.rib().held_by_other_pop(&path.key, &error),
        }
    }

    /// Repairs first, then audits: whatever was known of these routes counts no longer.
    fn repair(&self, differences: Differences, epoch: Epoch) {
        let TaskContext { intents, route_queue, commit_queue, .. } = &self.context;
        let Differences { drifts, orphans, mut enqueued } = differences;
        let rib = self.rib();
        for drift in &drifts {
            rib.gone(&drift.key);
            enqueued.push(drift.key.clone());
        }
        orphans.iter().for_each(|key| rib.orphaned(key));
        route_queue.enqueue(enqueued);
        if drifts.is_empty() {
            return;
        }
        let name = self.speaker.name.as_ref();
        telemetry::drifts(name, &drifts);
        let mitigation_of = |key: &_| intents.mitigation_of_route(key);
        let entries = rib_diff::audit_entries(&drifts, mitigation_of, self.context.now());
        let entries = entries.into_iter().map(|entry| rib_diff::naming(entry, name)).collect();
        // a drift is repaired even if it cannot be written at the moment
        let _ = commit_queue.led_by(epoch).submit(Record(entries));
    }

    /// One pass over the whole table. Returns false if it could not be read.
    async fn reconcile(&self) -> bool {
        if !self.context.settings.enforced() {
            return true;
        }
        let started = Instant::now();
        let counts = self.bounded_pass(started).await;
        if let Ok((_, foreign)) = counts {
            self.speaker.foreign_rules.store(foreign, Ordering::Relaxed);
        }
        let (pop, name) = (self.context.settings.pop.as_str(), self.speaker.name.as_ref());
        telemetry::reconciled(&counts, started.elapsed(), pop, name);
        counts.is_ok()
    }

    fn purpose(&self) -> Pass {
        let leadership = &self.context.leadership;
        match (leadership.state_at(self.speaker.id), leadership.table_to_read(self.speaker.id)) {
            (LeaderState::Leading(epoch), _) | (_, Some(epoch)) => Pass::Repair(epoch),
            (LeaderState::LeaseUncertain(_), None) => Pass::Learn,
            (LeaderState::Following | LeaderState::Waiting, None) => Pass::Observe,
        }
    }

    /// Returns how many own paths and how many rules of others there are.
    async fn pass(&self, started: Instant) -> Result<(usize, u64), AnnounceError> {
        let rib = self.rib();
        let purpose = self.purpose();
        // only what was desired and confirmed before the pass began can be missing from it
        let before: Vec<RouteKey> = self.context.intents.keys();
        let mut released = rib.all_held_by_other_pop();
        let mut table = self.speaker.announcer.table().await?;
        let mut seen = HashSet::with_capacity(before.len());
        let mut differences = Differences::default();
        let mut adopted = Adopted::default();
        let mut foreign = 0;
        while let Some(path) = table.next().await {
            let path = path?;
            foreign += u64::from(!path.ownership.is_own() && path.key.kind().is_flowspec());
            // a path that was learned over a session is none that we act on
            if !path.local {
                continue;
            }
            if rib_diff::is_ours(&path) {
                seen.insert(path.key.clone());
            }
            if matches!(path.ownership, Ownership::OtherPop { .. }) {
                released.remove(&path.key);
            }
            self.note_owner(&path.key, Some(&path));
            match (self.compare(&path), &purpose) {
                (_, Pass::Observe) => {}
                (None, Pass::Repair(epoch)) => {
                    adopted.extend(self.adoption(&path));
                    if adopted.len() >= ADOPTED_AT_ONCE {
                        self.adopt(&mut adopted, *epoch);
                    }
                }
                (None, Pass::Learn) => {
                    if let Some((confirmed, ..)) = self.adoption(&path) {
                        rib.confirmed(&path.key, confirmed);
                    }
                }
                (difference, _) => self.sort_in(&path, difference, &mut differences),
            }
        }
        rib.table_was_read();
        let own = seen.len();
        let Pass::Repair(epoch) = purpose else { return Ok((own, foreign)) };
        self.adopt(&mut adopted, epoch);
        differences.enqueued.extend(released.into_iter().filter(|key| rib.released_by_other_pop(key)));
        let held_by_other_pop = rib.all_held_by_other_pop();
        for key in before {
            if seen.contains(&key) {
                continue;
            }
            match self.desired(&key) {
                // another pop's path stands there: that is said in the row, and nothing can be repaired
                DesiredPath::Path { .. } if held_by_other_pop.contains(&key) => {}
                DesiredPath::Path { .. } if self.was_announced(&key, started) => {
                    differences.add(key, "missing", "no path");
                }
                // not announced yet, or withdrawing: whatever is there, it is not a drift
                DesiredPath::Path { .. } | DesiredPath::Absent => differences.enqueued.push(key),
                DesiredPath::Former => {}
            }
        }
        self.repair(differences, epoch);
        Ok((own, foreign))
    }

    /// A pass that ends: a table of which there is always more is none that can be compared.
    async fn bounded_pass(&self, started: Instant) -> Result<(usize, u64), AnnounceError> {
        let endless = |_| {
            let problem = format!("the table has not ended for {} s", LONGEST_PASS.as_secs());
            Err(AnnounceError::Unknown(problem))
        };
        let passed = timeout(LONGEST_PASS, self.pass(started)).await.unwrap_or_else(endless);
        self.speaker.table_read(passed.as_ref().err());
        passed
    }

    /// True if the rule was in the table before a pass began: only then it is missing from it.
    fn was_announced(&self, key: &RouteKey, started: Instant) -> bool {
        match self.confirmed(key) {
            Some(confirmed) => confirmed.seen < started,
            // nothing was confirmed since this start: the row says it
            None => {
                let rows = self.context.intents.of_route(key);
                let name = self.context.intents.speakers.name(self.speaker.id);
                rows.iter().any(|row| row.lives() && row.speaker.is_announced_at(name))
            }
        }
    }
}

/// True if the path in the table ends earlier than the one that was confirmed: it is to be renewed earlier, too.
fn ends_before(path: &RibPath, confirmed: &AnnouncedPath) -> bool {
    matches!(path.ownership, Ownership::Own { not_after: Some(at), .. } if at < confirmed.tags.not_after)
}
