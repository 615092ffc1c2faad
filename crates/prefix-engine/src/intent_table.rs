//! The intent table: every unfinished mitigation of this pop in memory, and what that means for each route.
//!
//! It follows the store: a row changes here only after its commit. It answers without I/O what the speaker should hold
//! now ([`IntentTable::desired_path`]), which deadlines come next, and which paths need a later not-after time. That is
//! why rules leave on time even while storage is down.

mod adj_rib_out;
mod ahead;
mod panic_pending;
mod rows;
mod schedule;
mod victims;

use std::collections::HashSet;
use std::sync::Arc;

use chrono::{DateTime, Utc};
use prefix_core::address::VictimIp;
use prefix_core::announcer::OwnPath;
use prefix_core::clock::ClockFrame;
use prefix_core::flowspec::RouteKey;
use prefix_core::id::MitigationId;
use prefix_core::mitigation::{FormerRule, Mitigation, Removed, Status, Wanting, shared_path};
use prefix_core::panic::PanicScope;
use prefix_core::ports::ReadSet;
use prefix_core::speakers::{SpeakerId, Speakers};
use tokio::sync::Notify;

use crate::confirmation_waiters::ConfirmationWaiters;
use crate::mutex::Mutex;
use adj_rib_out::AdjRibOut;
pub(crate) use adj_rib_out::{AnnouncedPath, Rib};
use ahead::Ahead;
use rows::Rows;
use schedule::Schedule;

/// What the speaker's table should hold for one route.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum DesiredPath {
    /// This path.
    Path {
        /// For these mitigations, oldest first: several may want the same rule.
        wanted_by: Vec<Wanting>,
        /// The path, with the not-after time of an announcement now.
        path: Box<OwnPath>,
    },
    /// Whatever is there: the rule of a former step, kept until its successor is confirmed.
    Former,
    /// No path of ours.
    Absent,
}

/// What is to be sent to the speaker for one route.
pub(crate) enum RouteChange {
    /// Nothing: the path of a former step stays, or another pop has the route.
    Nothing,
    /// Nothing, because the speaker has confirmed it already; the row may not say so yet.
    Confirmed {
        /// The mitigations that want it.
        wanted_by: Vec<Wanting>,
        /// What was confirmed.
        path: AnnouncedPath,
    },
    /// This path.
    Announce(DesiredPath),
    /// A withdrawal: no path of ours is wanted there.
    Withdraw,
    /// Nothing, because the path there is not ours: a withdrawal would remove somebody else's rule.
    NotOurs,
    /// Nothing, because every speaker has confirmed that the rule is gone; the row may not say so yet.
    Gone,
}

/// How many rows there are of each kind.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Counts {
    pub(crate) active: u64,
    pub(crate) pending: u64,
    pub(crate) queued: u64,
    pub(crate) withdraw_stuck: u64,
}

struct State {
    speakers: Speakers,
    rows: Rows,
    schedule: Schedule,
    /// What each speaker has, in the order of [`Speakers::ids`].
    ribs: Vec<AdjRibOut>,
    ahead: Ahead,
    /// By which setting of storage's clock the rows are meant here.
    frame: ClockFrame,
    /// Rows that are stored by another one.
    of_other_frames: HashSet<MitigationId>,
    /// What a panic covers now.
    frozen: Arc<Vec<PanicScope>>,
    /// Rows that a panic covered: their paths are not desired, even after a thaw, until their end is written. Only a
    /// transaction can tell that one of them began after the thaw.
    panic_pending: HashSet<MitigationId>,
}

/// Every unfinished mitigation of this pop, and what the speakers have of them.
pub(crate) struct IntentTable {
    state: Mutex<State>,
    /// Those that every own rule goes to.
    pub(crate) speakers: Speakers,
    /// Notified when a deadline or a renewal may have come closer.
    pub(crate) deadline_moved: Notify,
    /// Notified when a quota may have freed up, or a row was queued.
    pub(crate) admission_due: Notify,
    /// Requests that wait for a row to be confirmed.
    pub(crate) confirmation_waiters: ConfirmationWaiters,
}

impl IntentTable {
    /// An empty table for these speakers.
    pub(crate) fn new(speakers: Speakers) -> Self {
        Self {
            state: Mutex::new(State::new(speakers.clone())),
            speakers,
            deadline_moved: Notify::new(),
            admission_due: Notify::new(),
            confirmation_waiters: ConfirmationWaiters::default(),
        }
    }

    /// Replaces all rows by what the store holds. Returns the routes of rows that changed.
    pub(crate) fn reload(&self, rows: Vec<Mitigation>) -> Vec<RouteKey> {
        let mut state = self.state.lock();
        let mut before = state.rows.clear();
        state.schedule.clear();
        state.of_other_frames.clear();
        let mut keys: Vec<RouteKey> = Vec::new();
        for row in rows {
            let old = before.remove(&row.mitigation_id);
            let is_same = old.as_ref().is_some_and(|old| old.revision == row.revision);
            let named = state.put(row, false);
            if !is_same {
                keys.extend(old.iter().flat_map(|old| route_keys(old)));
                keys.extend(named);
            }
        }
        keys.extend(before.values().flat_map(|gone| route_keys(gone)));
        let State { ahead, rows, .. } = &mut *state;
        ahead.was_reloaded(|id| rows.by_id.contains_key(id));
        self.deadline_moved.notify_one();
        sorted(keys)
    }

    /// The same where storage is not the one that was read before: revisions say nothing, and every route is named.
    pub(crate) fn replace(&self, rows: Vec<Mitigation>) -> Vec<RouteKey> {
        let known = {
            let mut state = self.state.lock();
            state.rows.forget_ended();
            state.ahead.clear_confirmed();
            state.rows.by_key.keys().cloned().collect::<Vec<_>>()
        };
        self.reload(rows);
        let state = self.state.lock();
        sorted(known.into_iter().chain(state.rows.by_key.keys().cloned()).collect())
    }

    /// Follows a row that this instance (`is_own`) or another one has committed. Returns the routes whose desired path may
    /// have changed.
    pub(crate) fn follow(&self, row: Mitigation, is_own: bool) -> Vec<RouteKey> {
        let keys = self.state.lock().put(row, is_own);
        if !keys.is_empty() {
            self.deadline_moved.notify_one();
        }
        keys
    }

    /// Goes over to another setting of storage's clock: `take` does so with the clock, so that nobody sees the time of the
    /// one and the deadlines of the other. Returns every route: what stands at the speaker carries the time of before.
    pub(crate) fn reframe(&self, take: impl FnOnce() -> ClockFrame) -> Vec<RouteKey> {
        let mut state = self.state.lock();
        state.frame = take();
        let rows = state.rows.clear();
        state.schedule.clear();
        state.of_other_frames.clear();
        for row in rows.into_values() {
            let is_own = state.ahead.is_own(row.mitigation_id);
            state.put(Arc::unwrap_or_clone(row), is_own);
        }
        self.deadline_moved.notify_one();
        sorted(state.rows.by_key.keys().cloned().collect())
    }

    /// The unfinished rows that are stored by another setting of storage's clock than the one here.
    pub(crate) fn of_other_frames(&self) -> Vec<MitigationId> {
        self.state.lock().of_other_frames.iter().copied().collect()
    }

    /// These rows are stored as they are meant here.
    pub(crate) fn are_of_this_frame(&self, ids: &[MitigationId]) {
        let of_other_frames = &mut self.state.lock().of_other_frames;
        for id in ids {
            of_other_frames.remove(id);
        }
    }

    /// The row, if it is unfinished.
    pub(crate) fn get(&self, id: MitigationId) -> Option<Arc<Mitigation>> {
        self.state.lock().rows.by_id.get(&id).cloned()
    }

    /// Every unfinished row.
    pub(crate) fn rows(&self) -> Vec<Arc<Mitigation>> {
        self.state.lock().rows.by_id.values().cloned().collect()
    }

    /// The living rows of a victim.
    pub(crate) fn living_of(&self, victim: VictimIp) -> Vec<Arc<Mitigation>> {
        self.state.lock().rows.of_victim(victim).filter(|row| row.lives()).cloned().collect()
    }

    /// The unfinished rows that name a route.
    pub(crate) fn of_route(&self, key: &RouteKey) -> Vec<Arc<Mitigation>> {
        self.state.lock().rows.of_route(key).cloned().collect()
    }

    /// The mitigation that an audit entry about a route names: the oldest that wants it or is giving it up.
    pub(crate) fn mitigation_of_route(&self, key: &RouteKey) -> Option<MitigationId> {
        self.state.lock().rows.of_route(key).map(|row| row.mitigation_id).min()
    }

    /// True if a row is giving this rule up: where another one wants it, that ends with the next confirmation.
    pub(crate) fn is_given_up(&self, key: &RouteKey) -> bool {
        self.state.lock().rows.of_route(key).any(|row| row.status == Status::Withdrawing)
    }

    /// Adds to what a unit of work reads the rows that share a rule with one of those that it may end.
    pub(crate) fn read_sharers(&self, reads: &mut ReadSet) {
        self.state.lock().rows.read_sharers(reads);
    }

    /// Every route that an unfinished row names.
    pub(crate) fn keys(&self) -> Vec<RouteKey> {
        self.state.lock().rows.by_key.keys().cloned().collect()
    }

    /// True if some row waits to be admitted.
    pub(crate) fn has_queued(&self) -> bool {
        self.state.lock().rows.queued > 0
    }

    /// How many rows there are of each kind; `stuck_since` is the latest decision of a withdrawal that counts as stuck.
    pub(crate) fn counts(&self, stuck_since: DateTime<Utc>) -> Counts {
        let mut counts = Counts::default();
        let state = self.state.lock();
        for row in state.rows.by_id.values() {
            match row.status {
                Status::Active | Status::Escalated => counts.active += 1,
                Status::Pending if state.ahead.is_confirmed(row.mitigation_id) => counts.active += 1,
                Status::Pending => counts.pending += 1,
                Status::Queued => counts.queued += 1,
                Status::Withdrawing if row.ended_at.is_some_and(|at| at <= stuck_since) => {
                    counts.withdraw_stuck += 1;
                }
                _ => {}
            }
        }
        counts
    }

    /// This instance begins to lead: what it knows of the speaker is older than what its predecessor did there.
    pub(crate) fn begin_to_lead(&self) {
        let mut state = self.state.lock();
        self.speakers.ids().for_each(|speaker| state.forget_speaker(speaker));
        state.schedule.over.clear();
        state.ahead.clear_confirmed();
        // a follower may have learned of a row before it learned of the thaw; the reload finds again what is frozen
        state.panic_pending.clear();
    }
}

/// The routes that a row names: its own, and that of the step before.
fn route_keys(row: &Mitigation) -> impl Iterator<Item = RouteKey> {
    let former = row.progress.former.as_ref().and_then(FormerRule::key);
    row.key().into_iter().chain(former)
}

/// Which rule of a row a route that it names is.
fn removed(row: &Mitigation, key: &RouteKey) -> Removed {
    if row.key().as_ref() == Some(key) { Removed::Rule } else { Removed::Former }
}

/// Each route once, in order.
fn sorted(mut keys: Vec<RouteKey>) -> Vec<RouteKey> {
    keys.sort();
    keys.dedup();
    keys
}

impl State {
    fn new(speakers: Speakers) -> Self {
        Self {
            ribs: speakers.ids().map(|_| AdjRibOut::default()).collect(),
            speakers,
            rows: Rows::default(),
            schedule: Schedule::default(),
            ahead: Ahead::default(),
            frame: ClockFrame::default(),
            of_other_frames: HashSet::new(),
            frozen: Arc::default(),
            panic_pending: HashSet::new(),
        }
    }

    /// What this speaker has.
    fn rib(&self, speaker: SpeakerId) -> &AdjRibOut {
        &self.ribs[speaker.0]
    }

    /// Puts a committed row, unless a newer revision of it is known.
    fn put(&mut self, row: Mitigation, is_own: bool) -> Vec<RouteKey> {
        if self.rows.is_outdated(&row) {
            return Vec::new();
        }
        let (id, is_final) = (row.mitigation_id, row.status.is_final());
        if row.clock.frame == self.frame || is_final {
            self.of_other_frames.remove(&id);
        } else {
            self.of_other_frames.insert(id);
        }
        let row = row.in_frame(self.frame);
        self.ahead.follow(&row, is_own);
        let mut keys: Vec<RouteKey> = route_keys(&row).collect();
        if let Some(old) = self.rows.remove(id) {
            keys.extend(route_keys(&old));
            self.schedule.remove_deadline(&old);
            self.plan_renewal(id);
        }
        if is_final {
            self.rows.remember_end(&row);
            self.panic_pending.remove(&id);
        } else {
            self.schedule.add_deadline(&row);
            if self.is_frozen(&row) {
                self.panic_pending.insert(id);
            }
            self.rows.insert(row);
            self.plan_renewal(id);
        }
        let keys = sorted(keys);
        for key in keys.iter().filter(|key| !self.rows.by_key.contains_key(key)) {
            self.ribs.iter_mut().for_each(|rib| rib.unnamed(key, is_final));
        }
        keys
    }

    /// True if a panic covers this row now.
    fn is_frozen(&self, row: &Mitigation) -> bool {
        row.status.claims_rule()
            && self.frozen.iter().any(|scope| scope.covers(&row.pop, row.customer_id.as_ref()))
    }

    /// A withdrawal names a route, not an owner, so it is sent only where a path of ours can be.
    fn withdrawal(&self, speaker: SpeakerId, key: &RouteKey) -> RouteChange {
        // the rule of a former step was announced, whatever became of its successor
        let attempted =
            |row: &&Arc<Mitigation>| (row.speaker.attempted || row.progress.former.is_some()) && !row.dry_run;
        let rows = || self.rows.of_route(key).filter(attempted);
        let rib = self.rib(speaker);
        if !rows().any(|row| !self.is_gone_at(speaker, row, key)) && !rib.may_hold(key) {
            let is_gone = |row: &Arc<Mitigation>| {
                self.speakers.are_several()
                    && row.speaker.is_gone_everywhere(&self.speakers, removed(row, key))
            };
            if rows().any(is_gone) { RouteChange::Gone } else { RouteChange::Nothing }
        } else if rib.is_of_others(key) {
            RouteChange::NotOurs
        } else {
            RouteChange::Withdraw
        }
    }

    /// True if this one of several speakers has confirmed, and the row says so, that this rule of the row is gone.
    fn is_gone_at(&self, speaker: SpeakerId, row: &Mitigation, key: &RouteKey) -> bool {
        let name = self.speakers.name(speaker);
        name.is_some_and(|name| row.speaker.is_gone_at(name, removed(row, key)))
    }

    /// What shall stand on a route for all rows that want it.
    fn shared_path(&self, key: &RouteKey, now: DateTime<Utc>) -> Option<(OwnPath, Vec<Wanting>)> {
        let spared = |row: &&Arc<Mitigation>| !self.panic_pending.contains(&row.mitigation_id);
        let wanting = self.rows.of_route(key).filter(spared).filter(|row| row.wants(key, now));
        shared_path(wanting.map(|row| &**row), now)
    }

    /// True if a speaker has what shall stand on a route, but for its time.
    fn is_as_wanted(&self, key: &RouteKey, confirmed: AnnouncedPath, now: DateTime<Utc>) -> bool {
        self.shared_path(key, now).is_some_and(|(path, _)| {
            confirmed.action == path.action && confirmed.tags.mitigation == path.tags.mitigation
        })
    }

    /// True if this one of several speakers has the rule of the running step, while the others may not.
    fn has_running_rule(&self, speaker: SpeakerId, row: &Mitigation, now: DateTime<Utc>) -> bool {
        let has = |key: RouteKey| {
            self.rib(speaker).confirmed(&key).is_some_and(|path| self.is_as_wanted(&key, path, now))
        };
        self.speakers.are_several() && row.key().is_some_and(has)
    }

    fn desired_path(&self, speaker: SpeakerId, key: &RouteKey, now: DateTime<Utc>) -> DesiredPath {
        if let Some((path, wanted_by)) = self.shared_path(key, now) {
            return DesiredPath::Path { wanted_by, path: Box::new(path) };
        }
        // a former rule is never renewed: it leaves at its not-after time like any other, whatever becomes of its successor
        let is_kept = self.rib(speaker).may_keep_former(key, now);
        let waits = |row: &Arc<Mitigation>| {
            row.lives()
                && !row.dry_run
                && row.expires_at > now
                && !self.panic_pending.contains(&row.mitigation_id)
                && !self.has_running_rule(speaker, row, now)
        };
        if is_kept && self.rows.of_route(key).any(waits) { DesiredPath::Former } else { DesiredPath::Absent }
    }
}
