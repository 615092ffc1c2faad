//! The Adj-RIB-Out (RFC 4271 §1.1) as far as it concerns us: what the speaker confirmed since this start, and routes on
//! which paths of others stand.

use std::collections::{HashMap, HashSet};

use chrono::{DateTime, Utc};
use prefix_core::flowspec::{Action, RouteKey};
use prefix_core::ownership::Tags;
use tokio::time::Instant;

use super::{IntentTable, RouteChange, sorted};

/// What is known of a route at the speaker since this start.
#[derive(Clone, Debug, Default)]
pub(crate) struct AdjRibOutEntry {
    /// What the speaker confirmed last.
    pub(crate) confirmed: Option<AnnouncedPath>,
    /// What went wrong last.
    pub(crate) error: Option<String>,
    /// An announcement was sent since the route was last known to be empty.
    sent: bool,
}

/// A path of ours that the speaker confirmed.
#[derive(Clone, Copy, Debug)]
pub(crate) struct AnnouncedPath {
    /// What is done with matching packets.
    pub(crate) action: Action,
    /// Its tags.
    pub(crate) tags: Tags,
    /// When it was confirmed, for people.
    pub(crate) at: DateTime<Utc>,
    /// The same for comparisons: by no clock that can be set.
    pub(crate) seen: Instant,
}

impl AnnouncedPath {
    /// A path that the speaker confirms now.
    pub(crate) fn new(action: Action, tags: Tags, now: DateTime<Utc>) -> Self {
        Self { action, tags, at: now, seen: Instant::now() }
    }
}

/// What is known of every route at the speaker.
#[derive(Default)]
pub(super) struct AdjRibOut {
    entries: HashMap<RouteKey, AdjRibOutEntry>,
    /// Routes of other pops: never touched.
    pub(super) held_by_other_pop: HashSet<RouteKey>,
    /// Routes that our rows name and somebody else has a path of.
    foreign: HashSet<RouteKey>,
    /// Routes with a path of ours that no row names any more.
    orphans: HashSet<RouteKey>,
    /// The orphans that were observed in the speaker's table. The others are former rules: whose path stands there has
    /// not been read yet.
    observed: HashSet<RouteKey>,
    /// Routes that were read since the connection stands, and on which nobody else has put a path since.
    owner_read: HashSet<RouteKey>,
    /// Routes of which the speaker has told that something changed, and that were not read since.
    suspected: HashSet<RouteKey>,
    /// The whole table was read since the connection stands.
    table_read: bool,
}

impl AdjRibOut {
    /// What the speaker confirmed last for this route.
    pub(super) fn confirmed(&self, key: &RouteKey) -> Option<AnnouncedPath> {
        self.entries.get(key)?.confirmed
    }

    /// True if somebody else's path stands on this route.
    pub(super) fn is_of_others(&self, key: &RouteKey) -> bool {
        self.foreign.contains(key) || self.held_by_other_pop.contains(key)
    }

    /// True if a path of ours was confirmed on this route or left behind there.
    pub(super) fn may_hold(&self, key: &RouteKey) -> bool {
        self.confirmed(key).is_some() || self.orphans.contains(key)
    }

    /// True if the rule of a former step may stay: its not-after time is not over, and it is no orphan.
    pub(super) fn may_keep_former(&self, key: &RouteKey, now: DateTime<Utc>) -> bool {
        let is_over = self.confirmed(key).is_some_and(|confirmed| confirmed.tags.not_after.time() <= now);
        !is_over && !self.observed.contains(key)
    }

    /// No row names this route any more; `is_final`: because the last one has ended.
    pub(super) fn unnamed(&mut self, key: &RouteKey, is_final: bool) {
        let is_foreign = self.foreign.remove(key);
        if is_foreign || self.confirmed(key).is_none() {
            // one API path per route: what was confirmed there is gone
            self.entries.remove(key);
        }
        if !is_final && !is_foreign {
            // a step changed the match: the former rule is announced, and no row names it any more
            self.orphans.insert(key.clone());
        }
    }
}

impl IntentTable {
    /// What is known of a route at the speaker.
    pub(crate) fn adj_rib_out(&self, key: &RouteKey) -> Option<AdjRibOutEntry> {
        self.state.lock().adj_rib_out.entries.get(key).cloned()
    }

    /// Every route that a path of ours can stand on, and nobody else's: what a stop may withdraw.
    pub(crate) fn own_routes(&self) -> Vec<RouteKey> {
        let state = self.state.lock();
        let rib = &state.adj_rib_out;
        let all = state.rows.by_key.keys().chain(rib.entries.keys()).chain(&rib.orphans);
        sorted(all.filter(|key| matches!(state.withdrawal(key), RouteChange::Withdraw)).cloned().collect())
    }

    /// True if somebody else's local path stands on a route.
    pub(crate) fn is_of_others(&self, key: &RouteKey) -> bool {
        self.state.lock().adj_rib_out.is_of_others(key)
    }

    /// True if it is known whose path stands on a route, if any, before it is announced or (`announce` = false) withdrawn.
    pub(crate) fn is_owner_known(&self, key: &RouteKey, announce: bool) -> bool {
        let rib = &self.state.lock().adj_rib_out;
        // of the many paths of others only those are remembered that stand on a route that a row names
        !rib.suspected.contains(key)
            && (rib.confirmed(key).is_some()
                || rib.observed.contains(key)
                || rib.owner_read.contains(key)
                || (announce && rib.table_read))
    }

    /// The speaker's whole table was read: from now on its events tell what others change.
    pub(crate) fn table_was_read(&self) {
        self.state.lock().adj_rib_out.table_read = true;
    }

    /// A route was read, and what others have there is noted: from now on the speaker's events tell what they change.
    pub(crate) fn owner_read(&self, key: RouteKey) {
        let rib = &mut self.state.lock().adj_rib_out;
        rib.suspected.remove(&key);
        rib.owner_read.insert(key);
    }

    /// Something else than expected may stand on this route: until it is read, its owner is not known.
    pub(crate) fn suspect(&self, key: RouteKey) {
        self.state.lock().adj_rib_out.suspected.insert(key);
    }

    /// A suspected route was read, and what others have there is noted.
    pub(crate) fn no_longer_suspect(&self, key: &RouteKey) {
        self.state.lock().adj_rib_out.suspected.remove(key);
    }

    /// The speaker confirmed a path.
    pub(crate) fn confirmed(&self, key: &RouteKey, path: AnnouncedPath) {
        let mut state = self.state.lock();
        let entry = state.adj_rib_out.entries.entry(key.clone()).or_default();
        entry.confirmed = Some(path);
        entry.error = None;
        // one API path per route: ours has replaced whatever somebody else had put there
        state.adj_rib_out.foreign.remove(key);
        state.plan_renewals(key);
        self.deadline_moved.notify_one();
    }

    /// Another pop has a path of this route: it is never replaced.
    pub(crate) fn held_by_other_pop(&self, key: &RouteKey, error: &str) {
        let mut state = self.state.lock();
        state.adj_rib_out.held_by_other_pop.insert(key.clone());
        let entry = state.adj_rib_out.entries.entry(key.clone()).or_default();
        entry.confirmed = None;
        entry.error = Some(error.to_owned());
        state.plan_renewals(key);
    }

    /// Another pop's path of this route is gone. Returns true if there was one.
    pub(crate) fn released_by_other_pop(&self, key: &RouteKey) -> bool {
        self.state.lock().adj_rib_out.held_by_other_pop.remove(key)
    }

    /// Every route that other pops have paths of.
    pub(crate) fn all_held_by_other_pop(&self) -> HashSet<RouteKey> {
        self.state.lock().adj_rib_out.held_by_other_pop.clone()
    }

    /// The speaker has no path of ours there, or not the right one: whatever was confirmed counts no longer.
    pub(crate) fn gone(&self, key: &RouteKey) {
        let mut state = self.state.lock();
        let rib = &mut state.adj_rib_out;
        rib.entries.remove(key);
        rib.orphans.remove(key);
        rib.observed.remove(key);
        rib.owner_read.remove(key);
        state.plan_renewals(key);
    }

    /// The speaker may be a new one: nothing that it confirmed before counts.
    pub(crate) fn forget_speaker(&self) {
        let mut state = self.state.lock();
        let rib = &mut state.adj_rib_out;
        rib.entries.clear();
        rib.orphans.clear();
        rib.observed.clear();
        rib.owner_read.clear();
        rib.suspected.clear();
        rib.table_read = false;
        state.schedule.clear_renewals();
    }

    /// A path of ours stands there that no row names.
    pub(crate) fn orphaned(&self, key: &RouteKey) {
        let rib = &mut self.state.lock().adj_rib_out;
        rib.orphans.insert(key.clone());
        rib.observed.insert(key.clone());
    }

    /// Notes whether somebody else's API path stands on a route that our rows name.
    pub(crate) fn note_foreign(&self, key: &RouteKey, is_foreign: bool) {
        let mut state = self.state.lock();
        if is_foreign {
            state.adj_rib_out.owner_read.remove(key);
        }
        if is_foreign && state.rows.by_key.contains_key(key) {
            state.adj_rib_out.foreign.insert(key.clone());
        } else {
            state.adj_rib_out.foreign.remove(key);
        }
    }

    /// Announcements of these routes are sent now.
    pub(crate) fn announcing<'a>(&self, keys: impl Iterator<Item = &'a RouteKey>) {
        let entries = &mut self.state.lock().adj_rib_out.entries;
        keys.for_each(|key| entries.entry(key.clone()).or_default().sent = true);
    }

    /// True if a path of ours may have come back to a route since it was last known to be empty.
    pub(crate) fn was_sent(&self, key: &RouteKey) -> bool {
        self.state.lock().adj_rib_out.entries.get(key).is_some_and(|entry| entry.sent)
    }

    /// Something went wrong with a route.
    pub(crate) fn failed(&self, key: &RouteKey, error: &str) {
        self.state.lock().adj_rib_out.entries.entry(key.clone()).or_default().error = Some(error.to_owned());
    }
}
