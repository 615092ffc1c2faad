//! The reconciler compares what is written with what the speaker has, and lets the dispatcher mend the difference.
//!
//! It runs when a connection stands, at an interval, and for single routes when the speaker says that they changed. It
//! costs one streaming pass over the table plus the differences; foreign paths are counted and left alone.

use std::collections::HashSet;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use chrono::{DateTime, Utc};
use futures::StreamExt;
use prefix_core::announcer::{AnnounceError, RibPath, SpeakerEvent};
use prefix_core::audit::{Actor, AuditAction, AuditEntry};
use prefix_core::flowspec::{Action, RouteKey};
use prefix_core::ownership::{Ownership, Tags};
use prefix_core::store::Epoch;
use serde_json::json;
use tokio::sync::{Mutex, Notify, mpsc};
use tokio_util::sync::CancellationToken;

use crate::answer::Speaker;
use crate::command::record::Record;
use crate::command::settle::{Confirmed, Settle, is_news};
use crate::commit_queue::CommitQueue;
use crate::dispatcher::is_same_on_wire;
use crate::intent_table::{AnnouncedPath, DesiredPath};
use crate::leadership::LeaderState;
use crate::shared::Shared;
use crate::speaker::SpeakerState;
use crate::telemetry;

/// Own changes come back as events; a difference that lasts longer than this is none of ours.
const ECHO: Duration = Duration::from_millis(200);

/// The longest look at the table before an elected leader begins: a speaker that does not answer by then carries out
/// nothing either, and the table is read again once it does.
const FIRST_LOOK: Duration = Duration::from_secs(5);

/// Before a pass that failed is tried again.
const AGAIN: Duration = Duration::from_secs(2);

/// The most differences that get an audit entry of their own in one pass.
const MOST_ENTRIES: usize = 100;

/// How a path in the table relates to the intent.
enum Finding {
    /// As it is wanted, or none of our business.
    Fine,
    /// As we put it there, and wanted otherwise since: the dispatcher has yet to send it.
    Outdated,
    /// DesiredPath otherwise: replaced.
    Differs(String),
    /// Ours, and not wanted.
    Orphan,
    /// Another pop has this route: never replaced.
    HeldByOtherPop(String),
}

/// See [`Reconciler::part`].
enum Part {
    Mend(Epoch),
    Learn,
    Look,
}

/// A difference between intent and table.
pub(crate) struct Drift {
    pub(crate) key: RouteKey,
    pub(crate) kind: &'static str,
    pub(crate) found: String,
}

/// What a look at the table brought up.
#[derive(Default)]
struct Drifts {
    list: Vec<Drift>,
    /// Paths of ours that no living row wants.
    orphans: Vec<RouteKey>,
    /// Routes to look at that are no drift.
    enqueued: Vec<RouteKey>,
}

impl Drifts {
    fn found(&mut self, key: RouteKey, kind: &'static str, found: &str) {
        self.list.push(Drift { key, kind, found: found.to_owned() });
    }
}

/// See the module.
pub(crate) struct Reconciler {
    shared: Arc<Shared>,
    commit_queue: CommitQueue,
    speaker: Arc<SpeakerState>,
    pass: Mutex<()>,
    /// Rung when a connection stands.
    due: Notify,
}

impl Reconciler {
    pub(crate) fn new(shared: Arc<Shared>, commit_queue: CommitQueue, speaker: Arc<SpeakerState>) -> Self {
        Self { shared, commit_queue, speaker, pass: Mutex::new(()), due: Notify::new() }
    }

    /// Follows the speaker until it is told to stop.
    pub(crate) async fn run(self: Arc<Self>, stop: CancellationToken) {
        let mut events = self.shared.announcer.watch();
        let mut interval = tokio::time::interval(self.shared.settings.reconciliation_interval);
        interval.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        interval.tick().await;
        let (suspects, mut suspected) = mpsc::unbounded_channel::<RouteKey>();
        let checker = {
            let this = self.clone();
            let stop = stop.clone();
            async move {
                loop {
                    let mut keys = HashSet::new();
                    tokio::select! {
                        () = stop.cancelled() => return,
                        key = suspected.recv() => match key {
                            Some(key) => keys.insert(key),
                            None => return,
                        },
                    };
                    tokio::time::sleep(ECHO).await;
                    while let Ok(key) = suspected.try_recv() {
                        keys.insert(key);
                    }
                    this.check(keys.into_iter().collect()).await;
                }
            }
        };
        // a hanging speaker holds up a pass, but not the news that it hangs
        let passes = async {
            let mut failed = false;
            loop {
                tokio::select! {
                    () = stop.cancelled() => return,
                    _ = interval.tick() => {}
                    () = tokio::time::sleep(AGAIN), if failed => {}
                    () = self.due.notified() => self.speaker.refresh(&*self.shared.announcer).await,
                    () = self.shared.leadership.look.notified() => {}
                }
                let elected = self.shared.leadership.to_look();
                let limit = elected.map_or(Duration::MAX, |_| FIRST_LOOK);
                tokio::select! {
                    () = stop.cancelled() => return,
                    // whoever is elected does not wait for the end of a look of no consequence
                    () = self.shared.leadership.look.notified(), if elected.is_none() => {
                        self.shared.leadership.look.notify_one();
                    }
                    passed = tokio::time::timeout(limit, self.reconcile()) => {
                        failed = self.speaker.connection() == Speaker::Connected && !matches!(passed, Ok(true));
                    }
                }
                if let Some(epoch) = elected {
                    self.shared.leadership.table_seen(epoch);
                }
            }
        };
        let follower = async {
            loop {
                tokio::select! {
                    () = stop.cancelled() => return,
                    event = events.next() => match event {
                        Some(event) => self.follow(event, &suspects),
                        None => return,
                    },
                }
            }
        };
        tokio::join!(checker, follower, passes);
    }

    fn follow(&self, event: SpeakerEvent, suspects: &mpsc::UnboundedSender<RouteKey>) {
        match event {
            SpeakerEvent::Connected => {
                self.speaker.connected();
                self.shared.intents.forget_speaker();
                self.shared.route_queue.reconnected();
                self.due.notify_one();
            }
            SpeakerEvent::Disconnected { reason } => self.speaker.disconnected(&reason),
            SpeakerEvent::PeerChanged(peer) => self.speaker.peer_changed(peer),
            // in dry-run the table is none of our business
            SpeakerEvent::PathChanged { .. } if !self.shared.enforced() => {}
            SpeakerEvent::PathChanged { key, path } => {
                if self.note_occupation(&key, path.as_deref()) {
                    self.shared.route_queue.enqueue(vec![key.clone()]);
                }
                let suspicious = match &path {
                    Some(path) => !matches!(self.judge(path), Finding::Fine | Finding::Outdated),
                    None => self.is_missing(&key),
                };
                if suspicious {
                    // the checker lives as long as this loop
                    let _ = suspects.send(key);
                }
            }
        }
    }

    /// Keeps track of routes that another pop has. Returns true if one became free.
    fn note_occupation(&self, key: &RouteKey, path: Option<&RibPath>) -> bool {
        let foreign = path.is_some_and(|path| path.local && path.ownership == Ownership::Foreign);
        self.shared.intents.note_foreign(key, foreign);
        match path.map(|path| path.ownership) {
            Some(Ownership::OtherPop { owner }) => {
                self.shared.intents.held_by_other_pop(key, &held_by(owner));
                false
            }
            _ => self.shared.intents.released_by_other_pop(key),
        }
    }

    fn is_missing(&self, key: &RouteKey) -> bool {
        let confirmed = self.shared.intents.wire(key).is_some_and(|wire| wire.confirmed.is_some());
        confirmed
            && matches!(self.shared.intents.desired_path(key, self.shared.now()), DesiredPath::Path { .. })
    }

    fn judge(&self, path: &RibPath) -> Finding {
        // a path that comes back over a session cannot be changed here, and stands for none of ours
        if !path.local {
            return Finding::Fine;
        }
        let wanted = self.shared.intents.desired_path(&path.key, self.shared.now());
        match (path.ownership, wanted) {
            (Ownership::Foreign, DesiredPath::Path { .. }) if path.local => {
                Finding::Differs(format!("a path of somebody else stands in its place: {}", path.attributes))
            }
            (Ownership::OtherPop { owner }, DesiredPath::Path { .. }) => {
                Finding::HeldByOtherPop(held_by(owner))
            }
            // a former rule is kept until its successor is confirmed, and never past its time
            (Ownership::Own { not_after: Some(not_after), .. }, DesiredPath::Former)
                if not_after.time() <= self.shared.now() =>
            {
                Finding::Orphan
            }
            (Ownership::Foreign | Ownership::OtherPop { .. }, _)
            | (Ownership::Own { .. }, DesiredPath::Former) => Finding::Fine,
            (Ownership::Own { .. }, DesiredPath::Absent) => Finding::Orphan,
            (Ownership::Own { not_after, mitigation }, DesiredPath::Path { path: wanted, .. }) => {
                let fits = |action: &Action| path.action.as_ref().is_some_and(|a| is_same_on_wire(a, action));
                let known = self.shared.intents.wire(&path.key).and_then(|wire| wire.confirmed);
                let is_as_confirmed = known.is_some_and(|known| {
                    let tags = known.tags;
                    fits(&known.action)
                        && (not_after, mitigation) == (Some(tags.not_after), Some(tags.mitigation))
                });
                if is_as_confirmed && !(fits(&wanted.action) && mitigation == Some(wanted.tags.mitigation)) {
                    return Finding::Outdated;
                }
                if !fits(&wanted.action) {
                    Finding::Differs(path.attributes.clone())
                } else if mitigation != Some(wanted.tags.mitigation) || not_after.is_none() {
                    Finding::Differs(format!("the tags are not ours any more: {}", path.attributes))
                } else if not_after.is_some_and(|at| at > wanted.tags.not_after) {
                    // a living rule never promises more time than its row does
                    Finding::Differs(format!("its not-after time is too late: {}", path.attributes))
                } else {
                    Finding::Fine
                }
            }
        }
    }

    /// Looks again at routes that changed: by now the echoes of our own changes are over.
    async fn check(&self, keys: Vec<RouteKey>) {
        let Some(epoch) = self.shared.leadership.settled().await else { return };
        // without a connection there is nothing to look at, and the next one begins with a whole pass
        let Ok(found) = self.shared.announcer.find(&keys).await else { return };
        let mut drifts = Drifts::default();
        for (key, path) in keys.into_iter().zip(found) {
            match path {
                Some(path) => self.handle(&path, &mut drifts),
                None if self.is_missing(&key) => drifts.found(key, "missing", "no path"),
                None => {}
            }
        }
        self.mend(drifts, epoch);
    }

    fn handle(&self, path: &RibPath, drifts: &mut Drifts) {
        match self.judge(path) {
            Finding::Fine => {}
            Finding::Outdated => drifts.enqueued.push(path.key.clone()),
            Finding::Differs(found) => drifts.found(path.key.clone(), "action", &found),
            Finding::Orphan => {
                // a row that is withdrawing wants it gone too, and has said so already
                if self.shared.intents.of_route(&path.key).is_empty() {
                    drifts.found(path.key.clone(), "orphan", &path.attributes);
                } else {
                    drifts.enqueued.push(path.key.clone());
                }
                drifts.orphans.push(path.key.clone());
            }
            Finding::HeldByOtherPop(error) => self.shared.intents.held_by_other_pop(&path.key, &error),
        }
    }

    /// Mends first, then tells: whatever was believed of these routes counts no longer.
    fn mend(&self, drifts: Drifts, epoch: Epoch) {
        let Drifts { list, orphans, mut enqueued } = drifts;
        for drift in &list {
            self.shared.intents.gone(&drift.key);
            enqueued.push(drift.key.clone());
        }
        orphans.iter().for_each(|key| self.shared.intents.orphaned(key));
        self.shared.route_queue.enqueue(enqueued);
        if list.is_empty() {
            return;
        }
        telemetry::drifts(&list);
        // a drift is mended even if nobody can write it down at the moment
        let _ = self.commit_queue.led_by(epoch).submit(Record(self.audit_entries(&list)));
    }

    /// One entry per route, and one for all the rest when there are many: a speaker that came back empty is one thing
    /// that happened, not fifty thousand.
    fn audit_entries(&self, drifts: &[Drift]) -> Vec<AuditEntry> {
        let now = self.shared.now();
        let entry = |details| AuditEntry::new(now, Actor::SYSTEM, AuditAction::Reconcile, details);
        let (shown, rest) = drifts.split_at(drifts.len().min(MOST_ENTRIES));
        let mut entries: Vec<AuditEntry> = shown
            .iter()
            .map(|drift| {
                let details = json!({
                    "kind": drift.kind, "flow": drift.key.flow(), "nlri": drift.key.nlri(), "found": drift.found,
                });
                match self.shared.intents.of_route(&drift.key).first() {
                    Some(row) => entry(details).on("mitigation", row.mitigation_id),
                    None => entry(details),
                }
            })
            .collect();
        if !rest.is_empty() {
            let count = |kind| rest.iter().filter(|drift| drift.kind == kind).count();
            entries.push(entry(json!({
                "further": rest.len(), "missing": count("missing"), "action": count("action"), "orphan": count("orphan"),
            })));
        }
        entries
    }

    /// One pass over the whole table. Returns false if it could not be read.
    pub(crate) async fn reconcile(&self) -> bool {
        if !self.shared.enforced() {
            return true;
        }
        let Ok(_one_at_a_time) = self.pass.try_lock() else { return true };
        let started = self.shared.now();
        let result = self.compare().await;
        let pop = self.shared.settings.pop.as_str();
        match &result {
            Ok((own, foreign)) => {
                self.shared.foreign_rules.store(*foreign, Ordering::Relaxed);
                telemetry::reconciled(Ok((*own, *foreign, self.shared.now() - started)), pop);
            }
            Err(error) => telemetry::reconciled(Err(&error.to_string()), pop),
        }
        result.is_ok()
    }

    /// What this instance may do about the table: look only, learn what stands there, or mend it.
    fn part(&self) -> Part {
        let leadership = &self.shared.leadership;
        match (leadership.state(), leadership.to_look()) {
            (LeaderState::Leading(epoch), _) | (_, Some(epoch)) => Part::Mend(epoch),
            (LeaderState::LeaseUncertain(_), None) => Part::Learn,
            (LeaderState::Following | LeaderState::Waiting, None) => Part::Look,
        }
    }

    async fn compare(&self) -> Result<(usize, u64), AnnounceError> {
        let part = self.part();
        // only what was wanted and confirmed before the pass began can be missing from it
        let before: Vec<RouteKey> = self.shared.intents.keys();
        let started = self.shared.now();
        let mut released_by_other_pop: HashSet<RouteKey> =
            self.shared.intents.all_held_by_other_pop().into_iter().collect();
        let mut table = self.shared.announcer.table().await?;
        let mut seen = HashSet::with_capacity(before.len());
        let mut drifts = Drifts::default();
        let mut settle = Settle::default();
        let mut foreign = 0;
        while let Some(path) = table.next().await {
            let path = path?;
            if !path.ownership.is_own() {
                foreign += u64::from(path.key.kind().is_flowspec());
            }
            if path.ownership.is_own() && path.local {
                seen.insert(path.key.clone());
            }
            if matches!(path.ownership, Ownership::OtherPop { .. }) {
                released_by_other_pop.remove(&path.key);
            }
            if path.local {
                self.note_occupation(&path.key, Some(&path));
            }
            match self.judge(&path) {
                _ if matches!(part, Part::Look) => {}
                Finding::Fine if path.ownership.is_own() && path.local => self.adopt(&path, &mut settle),
                Finding::Fine => {}
                _ => self.handle(&path, &mut drifts),
            }
        }
        self.shared.intents.table_was_read();
        let own = seen.len();
        let Part::Mend(epoch) = part else { return Ok((own, foreign)) };
        drifts.enqueued.extend(
            released_by_other_pop.into_iter().filter(|key| self.shared.intents.released_by_other_pop(key)),
        );
        let held_by_other_pop: HashSet<RouteKey> =
            self.shared.intents.all_held_by_other_pop().into_iter().collect();
        for key in before {
            if seen.contains(&key) {
                continue;
            }
            match self.shared.intents.desired_path(&key, self.shared.now()) {
                // another pop's path stands there: that is said in the row, and nothing can be mended
                DesiredPath::Path { .. } if held_by_other_pop.contains(&key) => {}
                DesiredPath::Path { .. } if self.was_announced(&key, started) => {
                    drifts.found(key, "missing", "no path");
                }
                // not announced yet, or withdrawing: whatever is there, it is not a drift
                DesiredPath::Path { .. } | DesiredPath::Absent => drifts.enqueued.push(key),
                DesiredPath::Former => {}
            }
        }
        self.mend(drifts, epoch);
        if !settle.confirmed.is_empty() {
            let _ = self.commit_queue.led_by(epoch).submit(settle);
        }
        Ok((own, foreign))
    }

    /// True if the rule was in the table before a pass began: only then it is missing from it.
    fn was_announced(&self, key: &RouteKey, started: DateTime<Utc>) -> bool {
        match self.shared.intents.wire(key).and_then(|wire| wire.confirmed) {
            Some(confirmed) => confirmed.at < started,
            // nothing was heard of it since this start: the row tells
            None => self.shared.intents.of_route(key).iter().any(|row| row.lives() && row.speaker.announced),
        }
    }

    /// A path that is as it should be: after a restart this is how the daemon learns what is on the wire.
    fn adopt(&self, path: &RibPath, settle: &mut Settle) {
        let Ownership::Own { not_after: Some(not_after), .. } = path.ownership else { return };
        let DesiredPath::Path { id, step, path: wanted } =
            self.shared.intents.desired_path(&path.key, self.shared.now())
        else {
            return;
        };
        let known = self.shared.intents.wire(&path.key).and_then(|wire| wire.confirmed);
        if known.is_some_and(|known| known.tags.not_after == not_after) {
            return;
        }
        let tags = Tags { not_after, mitigation: wanted.tags.mitigation };
        let on_wire = AnnouncedPath { action: wanted.action, tags, at: self.shared.now() };
        self.shared.intents.confirmed(&path.key, on_wire);
        self.shared.deadline_moved.notify_one();
        if self.shared.intents.get(id).is_some_and(|row| is_news(&row)) {
            let key = path.key.clone();
            settle.confirmed.push(Confirmed { id, key, step, action: wanted.action, not_after });
        }
    }
}

/// A path of somebody else is about to be replaced by ours.
pub(crate) fn replacement(shared: &Shared, path: &RibPath) -> AuditEntry {
    let found = format!("a path of somebody else stands in its place: {}", path.attributes);
    let details =
        json!({ "kind": "action", "flow": path.key.flow(), "nlri": path.key.nlri(), "found": found });
    let entry = AuditEntry::new(shared.now(), Actor::SYSTEM, AuditAction::Reconcile, details);
    match shared.intents.of_route(&path.key).first() {
        Some(row) => entry.on("mitigation", row.mitigation_id),
        None => entry,
    }
}

/// Why a route is left to another pop.
pub(crate) fn held_by(owner: u32) -> String {
    format!("another pop (owner hash {owner}) announces the same rule at this speaker; it is never replaced")
}
