//! The intents: every unfinished mitigation of this pop in memory, and what that means for each route on the wire.
//!
//! The intents follows the store: a row changes here only after its commit. It answers without I/O what the speaker
//! should hold now ([`IntentTable::wanted`]), which deadlines come next, and which rules need a later not-after time. That is
//! why rules leave on time even while storage is down.

use std::collections::{BTreeSet, HashMap, HashSet, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use chrono::{DateTime, Utc};
use prefix_core::address::VictimIp;
use prefix_core::announcer::OwnPath;
use prefix_core::decision::Decision;
use prefix_core::flowspec::{Action, RouteKey};
use prefix_core::id::MitigationId;
use prefix_core::mitigation::{Mitigation, Status};
use prefix_core::ownership::{NotAfter, Tags};
use prefix_core::panic::PanicScope;

/// What the speaker's table should hold for one route.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum DesiredPath {
    /// This path.
    Path {
        /// For this mitigation.
        id: MitigationId,
        /// At this step.
        step: u16,
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
    /// Nothing, because the speaker has confirmed it already; the row may not know yet.
    Known {
        /// The mitigation.
        id: MitigationId,
        /// Its step.
        step: u16,
        /// What was confirmed.
        path: AnnouncedPath,
    },
    /// This path.
    Announce(DesiredPath),
    /// That no path of ours is wanted there.
    Withdraw,
    /// Nothing, because the path there is not ours: a withdraw would take somebody else's rule away.
    Gone,
}

/// What is known of a route at the speaker since this start.
#[derive(Clone, Debug, Default)]
pub(crate) struct AdjRibOut {
    /// What the speaker confirmed last.
    pub(crate) confirmed: Option<AnnouncedPath>,
    /// What went wrong last.
    pub(crate) error: Option<String>,
    /// An announcement was sent since the route was last known to be empty.
    pub(crate) sent: bool,
}

/// A path of ours that the speaker confirmed.
#[derive(Clone, Copy, Debug)]
pub(crate) struct AnnouncedPath {
    /// What is done with matching packets.
    pub(crate) action: Action,
    /// Its tags.
    pub(crate) tags: Tags,
    /// When it was confirmed.
    pub(crate) at: DateTime<Utc>,
}

/// How many rows there are of each kind.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Counts {
    pub(crate) active: u64,
    pub(crate) pending: u64,
    pub(crate) queued: u64,
    pub(crate) withdraw_stuck: u64,
}

/// So many rows that ended are remembered: many more than can end while one answer of storage is under way.
const REMEMBERED: usize = 10_000;

#[derive(Default)]
struct State {
    rows: HashMap<MitigationId, Arc<Mitigation>>,
    by_key: HashMap<RouteKey, Vec<MitigationId>>,
    by_victim: HashMap<VictimIp, Vec<MitigationId>>,
    deadlines: BTreeSet<(DateTime<Utc>, MitigationId)>,
    renewals: BTreeSet<(DateTime<Utc>, MitigationId)>,
    renew_at: HashMap<MitigationId, DateTime<Utc>>,
    /// Rows whose end is being written down at the moment: once each, however often they are found to be over.
    expiring: HashSet<MitigationId>,
    /// Rows whose end was passed on to the speaker, and which end that was.
    over: HashMap<MitigationId, DateTime<Utc>>,
    /// The last revisions of rows that ended lately: an older state that was read meanwhile must not bring one back.
    ended: HashMap<MitigationId, i64>,
    ended_in_order: VecDeque<MitigationId>,
    queued: u64,
    /// What a panic covers now.
    frozen: Arc<Vec<PanicScope>>,
    /// Rows that a panic found: not wanted on the wire, whatever is thawed before their end is written down. Only a
    /// transaction can tell that one of them began after the thaw.
    panic_pending: HashSet<MitigationId>,
    wire: HashMap<RouteKey, AdjRibOut>,
    /// Routes of other pops: never touched.
    held_by_other_pop: HashSet<RouteKey>,
    /// Routes that our rows name and somebody else has a path of.
    foreign: HashSet<RouteKey>,
    /// Routes with a path of ours that no row names any more.
    orphans: HashSet<RouteKey>,
    /// Those of them that were seen there. The others are former rules, of which nobody has looked yet whose path stands there.
    observed: HashSet<RouteKey>,
    /// The whole table was looked at since the connection stands.
    table_read: bool,
}

/// See the module.
#[derive(Default)]
pub(crate) struct IntentTable {
    state: Mutex<State>,
}

impl IntentTable {
    fn lock(&self) -> MutexGuard<'_, State> {
        // no panic can leave the state half written: every method mutates whole entries
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Replaces everything by what the store holds. Returns the routes of rows that are not what they were.
    pub(crate) fn reload(&self, rows: Vec<Mitigation>) -> Vec<RouteKey> {
        let mut state = self.lock();
        let mut before = std::mem::take(&mut state.rows);
        let mut keys: Vec<RouteKey> = Vec::new();
        let kept = std::mem::take(&mut *state);
        *state = State {
            rows: HashMap::new(),
            by_key: HashMap::new(),
            by_victim: HashMap::new(),
            deadlines: BTreeSet::new(),
            renewals: BTreeSet::new(),
            renew_at: HashMap::new(),
            queued: 0,
            ..kept
        };
        for row in rows {
            let is_known = before.remove(&row.mitigation_id).is_some_and(|old| {
                let is_same = old.revision == row.revision;
                if !is_same {
                    keys.extend(route_keys(&old));
                }
                is_same
            });
            let named = state.put(row);
            if !is_known {
                keys.extend(named);
            }
        }
        keys.extend(before.values().flat_map(|gone| route_keys(gone)));
        keys.sort();
        keys.dedup();
        keys
    }

    /// Follows a committed row. Returns the routes whose wanted state may have changed.
    pub(crate) fn follow(&self, row: Mitigation) -> Vec<RouteKey> {
        self.lock().put(row)
    }

    /// From now on this is frozen. Returns the routes of rows that are covered for the first time.
    pub(crate) fn freeze(&self, scopes: Arc<Vec<PanicScope>>) -> Vec<RouteKey> {
        let mut state = self.lock();
        state.frozen = scopes;
        let found: Vec<Arc<Mitigation>> =
            state.rows.values().filter(|row| state.is_frozen(row)).cloned().collect();
        let mut keys = Vec::new();
        for row in found {
            if state.panic_pending.insert(row.mitigation_id) {
                keys.extend(route_keys(&row));
            }
        }
        keys.sort();
        keys.dedup();
        keys
    }

    /// True if a panic found this row.
    pub(crate) fn is_panic_pending(&self, id: MitigationId) -> bool {
        self.lock().panic_pending.contains(&id)
    }

    /// Rows that a panic found and whose end is not written down yet, oldest first.
    pub(crate) fn panic_pending(&self) -> Vec<MitigationId> {
        let state = self.lock();
        let claims = |id: &&MitigationId| state.rows.get(id).is_some_and(|row| row.status.claims_rule());
        let mut ids: Vec<MitigationId> = state.panic_pending.iter().filter(claims).copied().collect();
        ids.sort();
        ids
    }

    /// These rows were taken for some that a panic found, and began after its thaw. Returns their routes.
    pub(crate) fn clear_panic_pending(&self, ids: &[MitigationId]) -> Vec<RouteKey> {
        let mut state = self.lock();
        let spared: Vec<_> = ids.iter().filter(|id| state.panic_pending.remove(id)).collect();
        spared.into_iter().filter_map(|id| state.rows.get(id)).flat_map(|row| route_keys(row)).collect()
    }

    /// The row, if it is unfinished.
    pub(crate) fn get(&self, id: MitigationId) -> Option<Arc<Mitigation>> {
        self.lock().rows.get(&id).cloned()
    }

    /// Every unfinished row.
    pub(crate) fn rows(&self) -> Vec<Arc<Mitigation>> {
        self.lock().rows.values().cloned().collect()
    }

    /// The living rows of a victim.
    pub(crate) fn living_of(&self, victim: VictimIp) -> Vec<Arc<Mitigation>> {
        let state = self.lock();
        let ids = state.by_victim.get(&victim).into_iter().flatten();
        ids.filter_map(|id| state.rows.get(id)).filter(|row| row.lives()).cloned().collect()
    }

    /// What the speaker should hold for this route.
    pub(crate) fn desired_path(&self, key: &RouteKey, now: DateTime<Utc>) -> DesiredPath {
        self.lock().desired_path(key, now)
    }

    /// What is to be sent for a route now: nothing if the speaker has confirmed just that, with a not-after time that
    /// is neither later than the row allows nor due to be renewed.
    pub(crate) fn route_change(&self, key: &RouteKey, now: DateTime<Utc>) -> RouteChange {
        let state = self.lock();
        let wanted = state.desired_path(key, now);
        let DesiredPath::Path { id, path, .. } = &wanted else {
            return if wanted == DesiredPath::Former { RouteChange::Nothing } else { state.to_withdraw(key) };
        };
        if state.held_by_other_pop.contains(key) {
            return RouteChange::Nothing;
        }
        let (Some(row), Some(confirmed)) =
            (state.rows.get(id), state.wire.get(key).and_then(|wire| wire.confirmed))
        else {
            return RouteChange::Announce(wanted);
        };
        let same = confirmed.action == path.action && confirmed.tags.mitigation == path.tags.mitigation;
        let too_late = confirmed.tags.not_after > NotAfter::at_or_after(row.expires_at);
        let renew = state.renewal_time(row).is_some_and(|at| at <= now);
        if !same || too_late || renew {
            return RouteChange::Announce(wanted);
        }
        let step = row.progress.step;
        RouteChange::Known { id: *id, step, path: confirmed }
    }

    /// Every route that a path of ours can stand on, and nobody else's: what a stop may take off the wire.
    pub(crate) fn ours(&self) -> Vec<RouteKey> {
        let state = self.lock();
        let all = state.by_key.keys().chain(state.wire.keys()).chain(&state.orphans);
        let mut keys: Vec<RouteKey> =
            all.filter(|key| matches!(state.to_withdraw(key), RouteChange::Withdraw)).cloned().collect();
        keys.sort();
        keys.dedup();
        keys
    }

    /// True if it is known whose path stands on a route, if any, before it is announced or (`announce` = false) withdrawn.
    pub(crate) fn is_seen(&self, key: &RouteKey, announce: bool) -> bool {
        let state = self.lock();
        let confirmed = state.wire.get(key).is_some_and(|wire| wire.confirmed.is_some());
        // of the many paths of others only those are remembered that stand on a route that a row names
        confirmed || state.observed.contains(key) || (announce && state.table_read)
    }

    /// The speaker's whole table was looked at: from now on its events tell what others change.
    pub(crate) fn table_was_read(&self) {
        self.lock().table_read = true;
    }

    /// Every route that the speaker should hold, or that is wanted away from it, with the rows that name it.
    pub(crate) fn keys(&self) -> Vec<RouteKey> {
        self.lock().by_key.keys().cloned().collect()
    }

    /// The unfinished rows that name a route.
    pub(crate) fn of_route(&self, key: &RouteKey) -> Vec<Arc<Mitigation>> {
        let state = self.lock();
        let ids = state.by_key.get(key).into_iter().flatten();
        ids.filter_map(|id| state.rows.get(id)).cloned().collect()
    }

    /// The speaker confirmed a path.
    pub(crate) fn confirmed(&self, key: &RouteKey, path: AnnouncedPath) {
        let mut state = self.lock();
        let wire = state.wire.entry(key.clone()).or_default();
        wire.confirmed = Some(path);
        wire.error = None;
        // one API path per route: ours has replaced whatever somebody else had put there
        state.foreign.remove(key);
        state.plan_renewals(key);
    }

    /// Another pop has a path of this route: it is never replaced.
    pub(crate) fn held_by_other_pop(&self, key: &RouteKey, error: &str) {
        let mut state = self.lock();
        state.held_by_other_pop.insert(key.clone());
        let sent = state.wire.get(key).is_some_and(|wire| wire.sent);
        state.wire.insert(key.clone(), AdjRibOut { confirmed: None, error: Some(error.to_owned()), sent });
        state.plan_renewals(key);
    }

    /// Another pop's path of this route is gone. Returns true if there was one.
    pub(crate) fn released_by_other_pop(&self, key: &RouteKey) -> bool {
        self.lock().held_by_other_pop.remove(key)
    }

    /// Every route that other pops have paths of.
    pub(crate) fn all_held_by_other_pop(&self) -> Vec<RouteKey> {
        self.lock().held_by_other_pop.iter().cloned().collect()
    }

    /// The speaker has no path of ours there, or not the right one: whatever was confirmed counts no longer.
    pub(crate) fn gone(&self, key: &RouteKey) {
        let mut state = self.lock();
        state.wire.remove(key);
        state.orphans.remove(key);
        state.observed.remove(key);
        state.plan_renewals(key);
    }

    /// The speaker is a new one, as far as anybody knows: nothing that it confirmed before counts.
    pub(crate) fn forget_speaker(&self) {
        let mut state = self.lock();
        state.wire.clear();
        state.orphans.clear();
        state.observed.clear();
        state.renewals.clear();
        state.renew_at.clear();
        state.table_read = false;
    }

    /// This instance begins to lead: whatever it believed of the speaker is older than what its predecessor did.
    pub(crate) fn begin_to_lead(&self) {
        self.forget_speaker();
        let mut state = self.lock();
        state.over.clear();
        // a follower may have heard of a row before it heard of the thaw; what is frozen is found again with the rows
        state.panic_pending.clear();
    }

    /// A path of ours stands there that no row names.
    pub(crate) fn orphaned(&self, key: &RouteKey) {
        let mut state = self.lock();
        state.orphans.insert(key.clone());
        state.observed.insert(key.clone());
    }

    /// Notes whether somebody else's API path stands on a route that our rows name.
    pub(crate) fn note_foreign(&self, key: &RouteKey, is_foreign: bool) {
        let mut state = self.lock();
        if is_foreign && state.by_key.contains_key(key) {
            state.foreign.insert(key.clone());
        } else {
            state.foreign.remove(key);
        }
    }

    /// Announcements of these routes are sent now.
    pub(crate) fn sending(&self, keys: impl Iterator<Item = RouteKey>) {
        let mut state = self.lock();
        keys.for_each(|key| state.wire.entry(key).or_default().sent = true);
    }

    /// True if a path of ours may have come back to a route since it was last known to be empty.
    pub(crate) fn was_sent(&self, key: &RouteKey) -> bool {
        self.lock().wire.get(key).is_some_and(|wire| wire.sent)
    }

    /// Something went wrong with a route.
    pub(crate) fn failed(&self, key: &RouteKey, error: &str) {
        self.lock().wire.entry(key.clone()).or_default().error = Some(error.to_owned());
    }

    /// What is known of a route at the speaker.
    pub(crate) fn wire(&self, key: &RouteKey) -> Option<AdjRibOut> {
        self.lock().wire.get(key).cloned()
    }

    /// The next time at which a row expires or a not-after time is to be renewed.
    pub(crate) fn next_deadline(&self) -> Option<DateTime<Utc>> {
        let state = self.lock();
        let first = |set: &BTreeSet<(DateTime<Utc>, MitigationId)>| set.first().map(|(at, _)| *at);
        match (first(&state.deadlines), first(&state.renewals)) {
            (Some(a), Some(b)) => Some(a.min(b)),
            (a, b) => a.or(b),
        }
    }

    /// Takes up to `limit` rows whose time is over off the list of deadlines. Also returns the routes of those that are
    /// taken for the first time: for the others the speaker has been told.
    pub(crate) fn take_expired(
        &self,
        now: DateTime<Utc>,
        limit: usize,
    ) -> (Vec<MitigationId>, Vec<RouteKey>) {
        let mut state = self.lock();
        let due = take_due(&mut state.deadlines, now, limit);
        let mut keys = Vec::new();
        for (_, id) in &due {
            let Some(row) = state.rows.get(id).cloned() else { continue };
            if state.over.insert(*id, row.expires_at) != Some(row.expires_at) {
                keys.extend(row.key());
            }
        }
        let ids = due.into_iter().map(|(_, id)| id).filter(|id| state.expiring.insert(*id)).collect();
        (ids, keys)
    }

    /// Takes the routes whose not-after time is to be renewed off the list.
    pub(crate) fn take_renewals(&self, now: DateTime<Utc>) -> Vec<RouteKey> {
        let mut state = self.lock();
        let due = take_due(&mut state.renewals, now, usize::MAX);
        for (_, id) in &due {
            state.renew_at.remove(id);
        }
        due.into_iter().filter_map(|(_, id)| state.rows.get(&id)).flat_map(|row| route_keys(row)).collect()
    }

    /// The end of a row was written down, or not: one that still claims its rule gets its deadline back, at the
    /// earliest at `at` if it is over. That happens when storage failed, and when the clock was set back meanwhile.
    pub(crate) fn expire_ended(&self, id: MitigationId, now: DateTime<Utc>, at: DateTime<Utc>) {
        let mut state = self.lock();
        state.expiring.remove(&id);
        let end = state.rows.get(&id).filter(|row| row.status.claims_rule()).map(|row| row.expires_at);
        if end.is_none_or(|end| end > now) {
            state.over.remove(&id);
        }
        if let Some(end) = end {
            state.deadlines.insert((if end > now { end } else { at }, id));
        }
    }

    /// True if some row waits to be let in.
    pub(crate) fn has_queued(&self) -> bool {
        self.lock().queued > 0
    }

    /// How many rows there are of each kind; `stuck_since` is the latest decision of a withdraw that counts as stuck.
    pub(crate) fn counts(&self, stuck_since: DateTime<Utc>) -> Counts {
        let state = self.lock();
        let mut counts = Counts::default();
        for row in state.rows.values() {
            match row.status {
                Status::Active | Status::Escalated => counts.active += 1,
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
}

fn take_due(
    set: &mut BTreeSet<(DateTime<Utc>, MitigationId)>,
    now: DateTime<Utc>,
    limit: usize,
) -> Vec<(DateTime<Utc>, MitigationId)> {
    let mut due = Vec::new();
    while due.len() < limit && set.first().is_some_and(|(at, _)| *at <= now) {
        due.extend(set.pop_first());
    }
    due
}

fn route_keys(row: &Mitigation) -> impl Iterator<Item = RouteKey> {
    let former = row.progress.former.as_ref().and_then(prefix_core::mitigation::FormerRule::key);
    row.key().into_iter().chain(former)
}

impl State {
    fn put(&mut self, mut row: Mitigation) -> Vec<RouteKey> {
        let mut keys: Vec<RouteKey> = route_keys(&row).collect();
        let held = self.rows.get(&row.mitigation_id).map(|held| held.revision);
        let known = held.max(self.ended.get(&row.mitigation_id).copied());
        if known.is_some_and(|revision| revision > row.revision) {
            return Vec::new();
        }
        if row.status.is_final() && self.ended.insert(row.mitigation_id, row.revision).is_none() {
            self.ended_in_order.push_back(row.mitigation_id);
            if self.ended_in_order.len() > REMEMBERED
                && let Some(oldest) = self.ended_in_order.pop_front()
            {
                self.ended.remove(&oldest);
            }
        }
        if let Some(old) = self.remove(row.mitigation_id) {
            keys.extend(route_keys(&old));
        }
        let is_final = row.status.is_final();
        if is_final {
            self.panic_pending.remove(&row.mitigation_id);
        } else {
            // explanations are read from the store; kept here they would be most of the memory
            row.decision = Decision::open();
            let id = row.mitigation_id;
            for key in route_keys(&row) {
                self.by_key.entry(key).or_default().push(id);
            }
            self.by_victim.entry(row.victim_ip).or_default().push(id);
            if row.lives() || row.status == Status::Queued {
                self.deadlines.insert((row.expires_at, id));
            }
            self.queued += u64::from(row.status == Status::Queued);
            if self.is_frozen(&row) {
                self.panic_pending.insert(id);
            }
            self.rows.insert(id, Arc::new(row));
            self.plan_renewal(id);
        }
        keys.sort();
        keys.dedup();
        for key in &keys {
            if self.by_key.contains_key(key) {
                continue;
            }
            let is_foreign = self.foreign.remove(key);
            let confirmed = self.wire.get(key).is_some_and(|wire| wire.confirmed.is_some());
            if !confirmed || is_foreign {
                // one API path per route: what was confirmed there is gone
                self.wire.remove(key);
            }
            if !is_final && !is_foreign {
                // a step changed the match: the former rule is on the wire, and nobody names it any more
                self.orphans.insert(key.clone());
            }
        }
        keys
    }

    fn remove(&mut self, id: MitigationId) -> Option<Arc<Mitigation>> {
        let row = self.rows.remove(&id)?;
        for key in route_keys(&row) {
            if let Some(ids) = self.by_key.get_mut(&key) {
                ids.retain(|other| *other != id);
                if ids.is_empty() {
                    self.by_key.remove(&key);
                }
            }
        }
        if let Some(ids) = self.by_victim.get_mut(&row.victim_ip) {
            ids.retain(|other| *other != id);
            if ids.is_empty() {
                self.by_victim.remove(&row.victim_ip);
            }
        }
        self.deadlines.remove(&(row.expires_at, id));
        self.plan_renewal(id);
        self.queued -= u64::from(row.status == Status::Queued);
        Some(row)
    }

    fn is_frozen(&self, row: &Mitigation) -> bool {
        row.status.claims_rule()
            && self.frozen.iter().any(|scope| scope.covers(&row.pop, row.customer_id.as_ref()))
    }

    /// A withdraw names a route, not an owner, so it is sent only where a path of ours can be.
    fn to_withdraw(&self, key: &RouteKey) -> RouteChange {
        let ids = self.by_key.get(key).into_iter().flatten();
        // the rule of a former step was announced, whatever became of its successor
        let attempted =
            |row: &Arc<Mitigation>| (row.speaker.attempted || row.progress.former.is_some()) && !row.dry_run;
        let named = ids.filter_map(|id| self.rows.get(id)).any(attempted);
        let confirmed = self.wire.get(key).is_some_and(|wire| wire.confirmed.is_some());
        if !named && !confirmed && !self.orphans.contains(key) {
            return RouteChange::Nothing;
        }
        if self.foreign.contains(key) || self.held_by_other_pop.contains(key) {
            RouteChange::Gone
        } else {
            RouteChange::Withdraw
        }
    }

    fn desired_path(&self, key: &RouteKey, now: DateTime<Utc>) -> DesiredPath {
        let ids = self.by_key.get(key).into_iter().flatten();
        let rows = || ids.clone().filter_map(|id| self.rows.get(id));
        let wanted = |row: &&Arc<Mitigation>| {
            row.lives()
                && !row.dry_run
                && row.expires_at > now
                && !self.panic_pending.contains(&row.mitigation_id)
        };
        for row in rows().filter(wanted) {
            if let Some(route) = row.route.as_ref().filter(|route| route.key() == *key) {
                let tags = Tags { not_after: row.not_after(now), mitigation: row.mitigation_id.into() };
                let path = OwnPath { route: route.clone(), action: row.action, tags };
                return DesiredPath::Path {
                    id: row.mitigation_id,
                    step: row.progress.step,
                    path: Box::new(path),
                };
            }
        }
        // nobody renews a former rule: it leaves at its not-after time like any other, whatever becomes of its successor
        let is_over = self.wire.get(key).and_then(|wire| wire.confirmed);
        let is_over = is_over.is_some_and(|confirmed| confirmed.tags.not_after.time() <= now);
        let is_kept = !is_over && !self.observed.contains(key);
        if is_kept && rows().any(|row| wanted(&row)) { DesiredPath::Former } else { DesiredPath::Absent }
    }

    /// When the route of a former rule is to be looked at again: at its not-after time.
    fn former_time(&self, row: &Mitigation) -> Option<DateTime<Utc>> {
        let former = row.progress.former.as_ref().filter(|_| row.lives())?;
        Some(self.wire.get(&former.key()?)?.confirmed?.tags.not_after.time())
    }

    /// Half of the step's TTL before the not-after time on the wire, if the row lasts longer than that.
    fn renewal_time(&self, row: &Mitigation) -> Option<DateTime<Utc>> {
        let on_wire = self.wire.get(&row.key()?)?.confirmed?.tags.not_after.time();
        let lasts = row.lives() && !row.dry_run && row.expires_at > on_wire;
        lasts.then(|| on_wire - row.ttl.delta() / 2)
    }

    fn next_look(&self, row: &Mitigation) -> Option<DateTime<Utc>> {
        self.renewal_time(row).into_iter().chain(self.former_time(row)).min()
    }

    fn plan_renewal(&mut self, id: MitigationId) {
        if let Some(at) = self.renew_at.remove(&id) {
            self.renewals.remove(&(at, id));
        }
        if let Some(at) = self.rows.get(&id).and_then(|row| self.next_look(row)) {
            self.renewals.insert((at, id));
            self.renew_at.insert(id, at);
        }
    }

    fn plan_renewals(&mut self, key: &RouteKey) {
        let ids: Vec<MitigationId> = self.by_key.get(key).into_iter().flatten().copied().collect();
        for id in ids {
            self.plan_renewal(id);
        }
    }
}
